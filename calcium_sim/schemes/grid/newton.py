"""Generates Newton's method for the membranes of a (z, r) grid: the fluxes that channels carry at the concentrations these fluxes make.

The concentrations on the membranes, ``p + k J``, depend linearly on the fluxes J of one stage of the joint step (see
`kernels.grid_step`); one flux per membrane and species is unknown. The gates of a channel are advanced implicitly to the same
concentrations; derivatives are difference quotients, because a gate is solved within them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...compile.continued import follows, memory, stage_text
from ...compile.kinetics import LocalKinetics
from ...compile.lanes import Lanes, lu_factor, lu_solve
from ...compile.module import Module, bundle, outside_text
from ...plan.specs import ChannelSpec, PortRef
from ...plugin import Channel
from ...plugin.imported import definition
from .between import Follow

SMALLEST = 2.0**-30
"""Smallest step of a difference quotient [uM]: where a cell is drained, a smaller one is lost in the round-off of what flows in from
1000 uM, and one flip of its last digit, as a slope, would end Newton's method anywhere."""
TOLERANCE = 1e-4
"""Newton's method ends when its last change of every concentration is below this fraction of (concentration + `FLOOR`); it is quadratic."""
FLOOR = 0.01
WHOLE, ITERATIONS = 8, 60
"""Two or three are the rule; after `WHOLE` the method goes half the way, which ends its cycles; a step that needs more than `ITERATIONS`
gives no numbers."""


@dataclass(frozen=True)
class Point:
    """The node of a field at a membrane: the first or the last cell of a line."""

    membrane: int
    field: int
    last: bool


@dataclass(frozen=True)
class Unknown:
    """A membrane flux of one species: the fields it feeds with their signs, and the channels that carry it with their counts."""

    feeds: tuple[tuple[int, int], ...]
    carriers: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class AxisymmetricSpec:
    """What the generated step depends on.

    `region` is the region of each field; `lines` are the fields that diffuse or cross a membrane; `interior` are the buffers and decays of
    each region that has any; `weights` are (channel, row of W); `fed` are points on membranes through which a stimulus enters; with `shown`
    everything is watched of which an open probability is shown.
    """

    region: tuple[int, ...]
    lines: tuple[int, ...]
    channels: tuple[ChannelSpec, ...]
    points: tuple[Point, ...]
    unknowns: tuple[Unknown, ...]
    interior: tuple[tuple[int, LocalKinetics], ...]
    follow: tuple[Follow, ...]
    weights: tuple[tuple[int, int], ...]
    fed: tuple[int, ...]
    shown: bool = False

    def point(self, membrane: int, field: int) -> int:
        """Number of the point of a field at a membrane."""
        return next(q for q, p in enumerate(self.points) if (p.membrane, p.field) == (membrane, field))

    def coupling(self) -> list[tuple[int, int]]:
        """Pairs (point, unknown) where the point's field is fed by the unknown; `K` has one value for each."""
        return [(q, j) for q, p in enumerate(self.points) for j, u in enumerate(self.unknowns) if p.field in dict(u.feeds)]

    def watched(self) -> list[int]:
        """Points of the membranes that carry a network or a channel that reads a rate of change: `meet` follows their concentrations."""
        membranes = {c.membrane for c in self.channels if c.paced or (c.cls.states and c.cls.rates is None)}
        membranes |= {self.points[tr.source].membrane for tr in self.follow}
        membranes |= {c.membrane for c in self.channels if self.shown and c.cls.open_probability is not None}
        return [q for q, p in enumerate(self.points) if p.membrane in membranes]

    def moving(self, c: ChannelSpec) -> bool:
        """Whether a channel's states move within the joint step: it has rates, or its network's rates are continued."""
        return bool(c.cls.states) and not c.paced and (c.cls.rates is not None or follows(c))

    def at_points(self, c: ChannelSpec) -> ChannelSpec:
        """The channel with the points of fields at its membrane in place of the fields."""
        return replace(c, ports=tuple(PortRef("field", self.point(c.membrane, p.index)) if p.kind == "field" else p for p in c.ports))

    def responses(self, field: int) -> list[int]:
        """Unknowns that feed a field."""
        return [j for j, u in enumerate(self.unknowns) if field in dict(u.feeds)]


def ports_read(function: Callable[..., Any], names: Sequence[str]) -> set[str]:
    """Ports that a function ``f(y, x, p)`` reads: the attributes of its second argument, all of `names` if it is used in other ways."""
    tree = definition(function, "ports_read")
    x = tree.args.args[1].arg
    uses = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == x]
    read = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == x]
    return {n.attr for n in read} if len(read) == len(uses) else set(names)


def _stage_text(cls: type[Channel], key: str) -> str:
    """The function `stage_<key>`: solve z = b + g f(z) for the states, f linearised about the states p (exact for linear rates)."""
    n = len(cls.states)
    comma = "," if n == 1 else ""

    def listed(name: str) -> str:
        return ", ".join(f"{name}{i}" for i in range(n))

    def call(values: list[str]) -> str:
        return f"rates_{key}({bundle('Y', key, values)}, x, q)"

    lines = [f"{listed('r')}{comma} = {call([f'p{i}' for i in range(n)])}"]
    for j in range(n):
        lines.append(f"{listed('s')}{comma} = {call([f'p{i} + {2.0**-20!r}' if i == j else f'p{i}' for i in range(n)])}")
        lines += [f"w{i}_{j} = {'1.0' if i == j else '0.0'} - g * (s{i} - r{i}) * {2.0**20!r}" for i in range(n)]
    factor, filled = lu_factor(n, {(i, j) for i in range(n) for j in range(n)}, "w")
    lines += [*factor, *(f"k{i} = b{i} - p{i} + g * r{i}" for i in range(n)), *lu_solve(n, filled, "w", "k")]
    lines.append(f"return {', '.join(f'p{i} + k{i}' for i in range(n))}{comma}")
    return f"@njit(forceinline=True, **OPTIONS)\ndef stage_{key}({listed('b')}, {listed('p')}, x, q, g):\n{indent(lines)}\n"


def _following(c: ChannelSpec, key: str) -> str:
    """The functions `stage_<key>` and `outside_<key>` of a gate that is continued by its network's secant."""
    return stage_text(c, key) + outside_text(c.cls, key)


def indent(lines: Sequence[str], by: int = 4) -> str:
    """Lines as one indented text."""
    return "\n".join(" " * by + line for line in lines)


def prologue(spec: AxisymmetricSpec, module: Module) -> list[str]:
    """Statements: parameters of all channels into local names."""
    return LocalKinetics((), spec.channels, (), (), ()).prologue(module)


def states_of(c: ChannelSpec, prefix: str) -> list[str]:
    """Names of a channel's states."""
    return [f"{prefix}{c.state + k}" for k in range(len(c.cls.states))]


class Text:
    """Expressions for the channels of a spec."""

    def __init__(self, spec: AxisymmetricSpec, module: Module) -> None:
        self.spec, self.module = spec, module

    def ports(self, c: ChannelSpec, shift: int = -1) -> list[str]:
        """Ports of a channel at the concentrations c<point>; point `shift` is perturbed by d<point>."""
        out = []
        for p in c.ports:
            if p.kind == "field":
                q = self.spec.point(c.membrane, p.index)
                out.append(f"(c{q} + d{q})" if q == shift else f"c{q}")
            else:
                out.append({"value": f"e{p.index}", "rate": f"yn{p.index}", "place": f"yn{p.index}", "v": "v", "t": "t"}[p.kind])
        return out

    def points(self, c: ChannelSpec) -> list[int]:
        """Points that a channel reads."""
        return sorted({self.spec.point(c.membrane, p.index) for p in c.ports if p.kind == "field"})

    def gating_points(self, c: ChannelSpec) -> set[int]:
        """Points that the rates of a channel read."""
        if not self.spec.moving(c):
            return set()
        if follows(c):
            return set(memory(self.spec.at_points(c)).fields)
        assert c.cls.rates is not None
        names = ports_read(c.cls.rates, list(c.cls.reads))
        read = [p.index for name, p in zip(c.cls.reads, c.ports, strict=True) if p.kind == "field" and name in names]
        return {self.spec.point(c.membrane, f) for f in read}

    def stage(self, m: int, out: Sequence[str], base: str, about: str, step: str, shift: int = -1) -> str:
        """Statement that advances the states of channel m from `base`, linearised about `about`."""
        c = self.spec.channels[m]
        key = self.module.key(c.cls)
        result = ", ".join(out) + ("," if len(out) == 1 else "")
        if follows(c):
            points = memory(self.spec.at_points(c)).fields
            given = states_of(c, base) + [f"(c{q} + d{q})" if q == shift else f"c{q}" for q in points]
            return f"{result} = stage_{key}({', '.join([*given, *(f'yn{r}' for r in memory(c).continued())])}, late, {step})"
        x = bundle("X", key, self.ports(c, shift))
        given = [*states_of(c, base), *states_of(c, about)]
        return f"{result} = stage_{key}({', '.join(given)}, {x}, q{m}, {step})"

    def flux(self, m: int, states: Sequence[str], shift: int = -1) -> str:
        """Flux density of channel m."""
        c = self.spec.channels[m]
        key = self.module.key(c.cls)
        weight = f" * weight{m}" if c.weight >= 0 else ""
        return f"flux_{key}({bundle('Y', key, states)}, {bundle('X', key, self.ports(c, shift))}, q{m}){weight}"


def _channel_loop(text: Text, lanes: Lanes, m: int) -> list[str]:
    """Loop: flux of channel m at the ports c<point> with implicit gates, and its derivatives."""
    c = text.spec.channels[m]
    moving = text.spec.moving(c)
    z, s = ([f"{name}{k}" for k in range(len(c.cls.states))] for name in ("z", "s"))
    body = [text.stage(m, z, "yb", "yp", "g")] if moving else []
    states = z if moving else states_of(c, "yn")
    body.append(f"f{m} = {text.flux(m, states)}")
    for q in text.points(c):
        if q in text.gating_points(c):
            body += [text.stage(m, s, "yb", "yp", "g", q), f"j{m}_{q} = ({text.flux(m, s, q)} - f{m}) * i{q}"]
        else:
            body.append(f"j{m}_{q} = ({text.flux(m, states, q)} - f{m}) * i{q}")
    body += [f"f{m} = f{m} + j{m}_{q} * under{q}" for q in text.points(c)]
    return lanes.loop(body, [f"f{m}", *(f"j{m}_{q}" for q in text.points(c))])


def _port_loop(spec: AxisymmetricSpec, lanes: Lanes) -> list[str]:
    """Loop: concentrations c<point> at the fluxes J, and the steps of the difference quotients.

    No channel is shown a concentration below 0, which an explicit half step of a sharp peak or a trial of Newton's method may give: there
    its flux goes on along the tangent at 0, by ``under<point>``. Without this a pump that saturates would seem to carry nothing below 0,
    and from there Newton's method would hardly return.
    """
    body = []
    for q in range(len(spec.points)):
        terms = "".join(f" + k{q}_{j} * J{j}" for p, j in spec.coupling() if p == q)
        body += [f"w = p{q}{terms}", f"c{q} = max(w, 0.0)", f"under{q} = w - c{q}"]
        body += [f"d{q} = {2.0**-20!r} * c{q} + {SMALLEST!r}", f"i{q} = 1.0 / d{q}"]
    return loop(lanes, body, [f"{name}{q}" for q in range(len(spec.points)) for name in ("c", "d", "i", "under")])


def _update_loop(spec: AxisymmetricSpec, text: Text, lanes: Lanes) -> list[str]:
    """Loop: Newton's update of the fluxes; counts the lanes that have not converged."""
    n, coupled = len(spec.unknowns), set(spec.coupling())
    body = []
    for i, u in enumerate(spec.unknowns):
        body.append(f"r{i} = {' + '.join(f'{float(count)!r} * f{m}' for m, count in u.carriers)} - J{i}")
        for j in range(n):
            read = [(m, count, q) for m, count in u.carriers for q in text.points(spec.channels[m]) if (q, j) in coupled]
            slopes = [f" - {float(count)!r} * j{m}_{q} * k{q}_{j}" for m, count, q in read]
            body.append(f"w{i}_{j} = {'1.0' if i == j else '0.0'}{''.join(slopes)}")
    factor, filled = lu_factor(n, {(i, j) for i in range(n) for j in range(n)}, "w")
    body += [*factor, *lu_solve(n, filled, "w", "r"), *(f"J{j} = J{j} + share * r{j}" for j in range(n))]
    moved = sorted({q for q, _ in coupled})
    body += [f"x{q} = {' + '.join(f'k{q}_{j} * r{j}' for p, j in spec.coupling() if p == q)}" for q in moved]
    for m, c in enumerate(spec.channels):
        body.append(f"f{m} = f{m}{''.join(f' + j{m}_{q} * x{q}' for q in text.points(c) if q in moved)}")
    test = " | ".join(f"(abs(x{q}) > {TOLERANCE!r} * c{q} + {TOLERANCE * FLOOR!r})" for q in moved)
    body.append(f"count += 1 if {test or 'False'} else 0")
    return lanes.loop(body, [*(f"J{j}" for j in range(n)), *(f"f{m}" for m in range(len(spec.channels)))])


def newton(spec: AxisymmetricSpec, module: Module, lanes: Lanes) -> None:
    """Add the function `newton`: fluxes J, channel fluxes f and states ys of one stage, given p (without flux), yb and yp."""
    arguments = [("b", "row"), ("P", "row"), ("K", "row"), ("v", "double"), ("t", "double"), ("g", "double"), ("late", "double")]
    if not spec.channels:
        module.define("newton", arguments, [])
        return
    text = Text(spec, module)
    head = prologue(spec, module) + [f"k{q}_{j} = K[{n}]" for n, (q, j) in enumerate(spec.coupling())]
    module.parts += [_stage_text(cls, key) for cls, key in module.keys.items() if cls.states and cls.rates is not None]
    module.parts += list({c.cls: _following(c, module.key(c.cls)) for c in spec.channels if follows(c)}.values())
    once = _port_loop(spec, lanes)
    for m in range(len(spec.channels)):
        once += _channel_loop(text, lanes, m)
    # the last step is a whole one, for J and the channels' fluxes agree to round-off only after that
    share = f"share = 1.0 if iteration < {WHOLE} or count == 0 else 0.5"
    end = ["if count == 0 and share == 1.0:", "    break"]
    lines = [*head, "count = 1", f"for iteration in range({ITERATIONS}):"]
    lines += ["    " + t for t in [*once, share, "count = 0", *_update_loop(spec, text, lanes), *end]]
    # the step is far too long: say so, and the loop repeats with a shorter one or stops
    lines += [
        "if count > 0 or share < 1.0:",
        *(
            "    " + t
            for t in lanes.loop([f"J{j} = np.nan" for j in range(len(spec.unknowns))], [f"J{j}" for j in range(len(spec.unknowns))])
        ),
    ]
    lines += _port_loop(spec, lanes)
    for m, c in enumerate(spec.channels):
        if spec.moving(c):
            out = states_of(c, "ys")
            lines += lanes.loop([text.stage(m, out, "yb", "yp", "g")], out)
    module.define("newton", arguments, lines)


def guess(spec: AxisymmetricSpec, module: Module, lanes: Lanes) -> list[str]:
    """Statements: fluxes J at the concentrations c and states yn, where Newton's method starts."""
    text = Text(spec, module)
    lines = prologue(spec, module)
    for m, c in enumerate(spec.channels):
        lines += lanes.loop([f"f{m} = {text.flux(m, states_of(c, 'yn'))}"], [f"f{m}"])
    for j, u in enumerate(spec.unknowns):
        lines += lanes.loop([f"J{j} = {' + '.join(f'{float(count)!r} * f{m}' for m, count in u.carriers)}"], [f"J{j}"])
    return lines


def fallback(spec: AxisymmetricSpec, module: Module, lanes: Lanes) -> list[str]:
    """Statements: states ys outside their bounds are advanced from yn by backward Euler instead."""
    text = Text(spec, module)
    lines = [*prologue(spec, module), "late = h"]
    for m, c in enumerate(spec.channels):
        if not spec.moving(c):
            continue
        key, ys = module.key(c.cls), states_of(c, "ys")
        z = [f"z{k}" for k in range(len(ys))]
        lines += ["count = 0", *lanes.loop([f"count += 1 if outside_{key}({', '.join(ys)}) else 0"], []), "if count > 0:"]
        body = [f"if outside_{key}({', '.join(ys)}):", "    " + text.stage(m, z, "yn", "yn", "h")]
        body += [f"    {y} = {new}" for y, new in zip(ys, z, strict=True)]
        lines += ["    " + t for t in lanes.loop(body, ys)]
    return lines


def loop(lanes: Lanes, body: list[str], outputs: list[str]) -> list[str]:
    """A loop over the lanes, or nothing for an empty body."""
    return lanes.loop(body, outputs) if body else []
