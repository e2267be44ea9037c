"""Generates the step of rotationally symmetric (z, r) grids: gates, membrane fluxes and radial diffusion are solved jointly.

One step h: half a step along z and half of the stimuli | buffers and decays h/2 | joint radial step h | buffers and decays h/2 | half of
the stimuli and half a step along z (see `kernels.lines`; the halves of neighbouring steps are one solve).

The joint step is SDIRK2 (Alexander 1977, doi 10.1137/0714068), g = 1 - 1/sqrt(2), in increments: stage i with base u_i solves
``(I - g h L) d = g h (L u_i + s J)``. The solve without flux is done first; the concentrations on the membranes then depend linearly on
the fluxes J, through the response of the line to a unit flux, and Newton's method finds the J that the channels carry there, each gate being
advanced implicitly to them. One flux per membrane and species is unknown, so that the systems stay tiny. What each channel moved is taken
from the last linearisation: their sum is what was applied, to round-off. Where a state leaves its bounds, it is advanced by backward Euler.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .codegen import GAMMA, ChannelSpec, Lanes, LocalKinetics, Module, bundle, lu_factor, lu_solve
from .kernels.lines import SLICES
from .plugin import Channel

TINY = 1e-9
"""Lowest concentration [uM] shown to a channel: an explicit half step of a sharp peak may undershoot."""
TOLERANCE = 1e-4
"""Newton's method ends when its last change of every concentration is below this fraction of (concentration + `FLOOR`); it is quadratic."""
FLOOR = 0.01
ITERATIONS = 12


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
    carriers: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Follow:
    """A point whose rate of change some channel reads: rows of Y for its last value and its rate."""

    point: int
    last: int
    rate: int


@dataclass(frozen=True)
class AxisymmetricSpec:
    """What the generated step depends on.

    `region` is the region of each field; `lines` are the fields that diffuse or cross a membrane; `interior` are the buffers and decays of
    each region that has any; `weights` are (channel, row of W).
    """

    region: tuple[int, ...]
    lines: tuple[int, ...]
    channels: tuple[ChannelSpec, ...]
    points: tuple[Point, ...]
    unknowns: tuple[Unknown, ...]
    interior: tuple[tuple[int, LocalKinetics], ...]
    states: int
    follow: tuple[Follow, ...]
    weights: tuple[tuple[int, int], ...]
    parallel: bool

    def point(self, membrane: int, field: int) -> int:
        """Number of the point of a field at a membrane."""
        return next(q for q, p in enumerate(self.points) if (p.membrane, p.field) == (membrane, field))

    def coupling(self) -> list[tuple[int, int]]:
        """Pairs (point, unknown) where the point's field is fed by the unknown; `K` has one value for each."""
        return [(q, j) for q, p in enumerate(self.points) for j, u in enumerate(self.unknowns) if p.field in dict(u.feeds)]

    def responses(self, field: int) -> list[int]:
        """Unknowns that feed a field."""
        return [j for j, u in enumerate(self.unknowns) if field in dict(u.feeds)]


def source(spec: AxisymmetricSpec) -> tuple[str, list[list[int]]]:
    """Return the text of the generated module, and for each line the rows of the scratch array with the fluxes that feed it."""
    module, lanes = Module(), Lanes(width=SLICES)
    for name in _rows(spec):
        lanes.row(name)
    newton = _newton(spec, module, lanes) + _guess(spec, module, lanes) + _fallback(spec, module, lanes)
    across = _across(spec, lanes)
    rows = [[lanes.row(f"J{j}") for j in spec.responses(f)] for f in spec.lines]
    interior = "".join(_interior(kinetics, region, module, lanes) for region, kinetics in spec.interior)
    across = across.replace("SCRATCH", str(lanes.size))
    return "\n".join([module.text(), _IMPORTS, interior, newton, across, _advance(spec)]), rows


def _rows(spec: AxisymmetricSpec) -> list[str]:
    """Names of what the generated functions hand each other in rows of the scratch array."""
    names = [f"{name}{q}" for q in range(len(spec.points)) for name in "pc"] + [f"J{j}" for j in range(len(spec.unknowns))]
    names += [f"{name}{r}" for name in ("yn", "yb", "yp", "ys") for r in range(spec.states)]
    return names + [f"f{m}" for m in range(len(spec.channels))] + [f"weight{m}" for m, _ in spec.weights]


_IMPORTS = f"""
SLICES = {SLICES}
from calcium_sim.kernels.lines import (
    add_row, book, book_tile, combine, explicit_half, give, implicit_half, implicit_half_parallel, increments, inject, load_tile, move,
    move_sum, store_tile, take,
)
from calcium_sim.kernels.stimulus import table_value

U64 = np.uint64
"""


def ports_read(function: Callable[..., Any], names: Sequence[str]) -> set[str]:
    """Ports that a function ``f(y, x, p)`` reads: the attributes of its second argument, all of `names` if it is used in other ways."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
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
    return f"@njit(forceinline=True, **OPTIONS)\ndef stage_{key}({listed('b')}, {listed('p')}, x, q, g):\n{_indent(lines)}\n"


def _indent(lines: Sequence[str], by: int = 4) -> str:
    return "\n".join(" " * by + line for line in lines)


def _parameters(spec: AxisymmetricSpec, module: Module) -> list[str]:
    return LocalKinetics((), spec.channels, (), (), ()).prologue(module)


def _states(c: ChannelSpec, prefix: str) -> list[str]:
    return [f"{prefix}{c.state + k}" for k in range(len(c.cls.states))]


class _Text:
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
                out.append({"value": f"e{p.index}", "rate": f"yn{p.index}", "v": "v", "t": "t"}[p.kind])
        return out

    def points(self, c: ChannelSpec) -> list[int]:
        """Points that a channel reads."""
        return sorted({self.spec.point(c.membrane, p.index) for p in c.ports if p.kind == "field"})

    def gating_points(self, c: ChannelSpec) -> set[int]:
        """Points that the rates of a channel read."""
        if not c.cls.states or c.cls.rates is None:
            return set()
        names = ports_read(c.cls.rates, list(c.cls.reads))
        read = [p.index for name, p in zip(c.cls.reads, c.ports, strict=True) if p.kind == "field" and name in names]
        return {self.spec.point(c.membrane, f) for f in read}

    def stage(self, m: int, out: Sequence[str], base: str, about: str, step: str, shift: int = -1) -> str:
        """Statement that advances the states of channel m from `base`, linearised about `about`."""
        c = self.spec.channels[m]
        key = self.module.key(c.cls)
        x = bundle("X", key, self.ports(c, shift))
        given = ", ".join([*_states(c, base), *_states(c, about)])
        return f"{', '.join(out)}{',' if len(out) == 1 else ''} = stage_{key}({given}, {x}, q{m}, {step})"

    def flux(self, m: int, states: Sequence[str], shift: int = -1) -> str:
        """Flux density of channel m."""
        c = self.spec.channels[m]
        key = self.module.key(c.cls)
        weight = f" * weight{m}" if c.weight >= 0 else ""
        return f"flux_{key}({bundle('Y', key, states)}, {bundle('X', key, self.ports(c, shift))}, q{m}){weight}"


def _channel_loop(text: _Text, lanes: Lanes, m: int) -> list[str]:
    """Loop: flux of channel m at the ports c<point> with implicit gates, and its derivatives."""
    c = text.spec.channels[m]
    moving = bool(c.cls.states) and c.cls.rates is not None
    z, s = ([f"{name}{k}" for k in range(len(c.cls.states))] for name in ("z", "s"))
    body = [text.stage(m, z, "yb", "yp", "g")] if moving else []
    states = z if moving else _states(c, "yn")
    body.append(f"f{m} = {text.flux(m, states)}")
    for q in text.points(c):
        if q in text.gating_points(c):
            body += [text.stage(m, s, "yb", "yp", "g", q), f"j{m}_{q} = ({text.flux(m, s, q)} - f{m}) * i{q}"]
        else:
            body.append(f"j{m}_{q} = ({text.flux(m, states, q)} - f{m}) * i{q}")
    return lanes.loop(body, [f"f{m}", *(f"j{m}_{q}" for q in text.points(c))])


def _port_loop(spec: AxisymmetricSpec, lanes: Lanes) -> list[str]:
    """Loop: concentrations c<point> at the fluxes J, and the steps of the difference quotients."""
    body = []
    for q in range(len(spec.points)):
        terms = "".join(f" + k{q}_{j} * J{j}" for p, j in spec.coupling() if p == q)
        body += [f"c{q} = max(p{q}{terms}, {TINY!r})", f"d{q} = {2.0**-20!r} * c{q}", f"i{q} = 1.0 / d{q}"]
    return _loop(lanes, body, [f"{name}{q}" for q in range(len(spec.points)) for name in "cdi"])


def _update_loop(spec: AxisymmetricSpec, text: _Text, lanes: Lanes) -> list[str]:
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
    body += [*factor, *lu_solve(n, filled, "w", "r"), *(f"J{j} = J{j} + r{j}" for j in range(n))]
    moved = sorted({q for q, _ in coupled})
    body += [f"x{q} = {' + '.join(f'k{q}_{j} * r{j}' for p, j in spec.coupling() if p == q)}" for q in moved]
    for m, c in enumerate(spec.channels):
        body.append(f"f{m} = f{m}{''.join(f' + j{m}_{q} * x{q}' for q in text.points(c) if q in moved)}")
    test = " | ".join(f"(abs(x{q}) > {TOLERANCE!r} * c{q} + {TOLERANCE * FLOOR!r})" for q in moved)
    body.append(f"count += 1 if {test or 'False'} else 0")
    return lanes.loop(body, [*(f"J{j}" for j in range(n)), *(f"f{m}" for m in range(len(spec.channels)))])


def _newton(spec: AxisymmetricSpec, module: Module, lanes: Lanes) -> str:
    """The function `newton`: fluxes J, channel fluxes f and states ys of one stage, given p (without flux), yb and yp."""
    if not spec.channels:
        return "\n@njit(**OPTIONS)\ndef newton(b, P, K, v, t, g):\n    pass\n"
    text = _Text(spec, module)
    head = _parameters(spec, module) + [f"k{q}_{j} = K[{n}]" for n, (q, j) in enumerate(spec.coupling())]
    module.parts += [_stage_text(cls, key) for cls, key in module.keys.items() if cls.states and cls.rates is not None]
    once = _port_loop(spec, lanes)
    for m in range(len(spec.channels)):
        once += _channel_loop(text, lanes, m)
    lines = [*head, f"for iteration in range({ITERATIONS}):"]
    lines += ["    " + t for t in [*once, "count = 0", *_update_loop(spec, text, lanes), "if count == 0:", "    break"]]
    lines += _port_loop(spec, lanes)
    for m, c in enumerate(spec.channels):
        if c.cls.states and c.cls.rates is not None:
            out = _states(c, "ys")
            lines += lanes.loop([text.stage(m, out, "yb", "yp", "g")], out)
    return f"\n@njit(**OPTIONS)\ndef newton(b, P, K, v, t, g):\n{_indent(lines)}\n"


def _guess(spec: AxisymmetricSpec, module: Module, lanes: Lanes) -> str:
    """The function `guess`: fluxes J at the concentrations c and states yn, where Newton's method starts."""
    text = _Text(spec, module)
    lines = _parameters(spec, module)
    for m, c in enumerate(spec.channels):
        lines += lanes.loop([f"f{m} = {text.flux(m, _states(c, 'yn'))}"], [f"f{m}"])
    for j, u in enumerate(spec.unknowns):
        lines += lanes.loop([f"J{j} = {' + '.join(f'{float(count)!r} * f{m}' for m, count in u.carriers)}"], [f"J{j}"])
    return f"\n@njit(**OPTIONS)\ndef guess(b, P, v, t):\n{_indent(lines or ['pass'])}\n"


def _fallback(spec: AxisymmetricSpec, module: Module, lanes: Lanes) -> str:
    """The function `keep_bounds`: states ys outside their bounds are advanced from yn by backward Euler instead."""
    text = _Text(spec, module)
    lines = _parameters(spec, module)
    for m, c in enumerate(spec.channels):
        if not c.cls.states or c.cls.rates is None:
            continue
        key, ys = module.key(c.cls), _states(c, "ys")
        z = [f"z{k}" for k in range(len(ys))]
        lines += ["count = 0", *lanes.loop([f"count += 1 if outside_{key}({', '.join(ys)}) else 0"], []), "if count > 0:"]
        body = [f"if outside_{key}({', '.join(ys)}):", "    " + text.stage(m, z, "yn", "yn", "h")]
        body += [f"    {y} = {new}" for y, new in zip(ys, z, strict=True)]
        lines += ["    " + t for t in lanes.loop(body, ys)]
    return f"\n@njit(**OPTIONS)\ndef keep_bounds(b, P, v, t, h):\n{_indent(lines or ['pass'])}\n"


def _interior(kinetics: LocalKinetics, region: int, module: Module, lanes: Lanes) -> str:
    """The function `react<region>`: buffers and decays of a region over h, cell by cell; `at` are the tiles of its fields and decays."""
    inner = Lanes(size=lanes.size, width=lanes.width)
    names = [f"u{f}" for f in kinetics.fields]
    copies = [f"move(a, at[{n}] + here, b, U64({inner.row(name)}))" for n, name in enumerate(names)]
    loops = kinetics.reaction(module, inner)
    back = [f"move(b, U64({inner.row(name)}), a, at[{n}] + here)" for n, name in enumerate(names)]
    back += [f"add_row(b, U64({inner.row(f'x{d.field}')}), a, at[{len(names) + n}] + here)" for n, d in enumerate(kinetics.decays)]
    lanes.size = max(lanes.size, inner.size)
    lines = [*kinetics.prologue(module), "for cell in range(cells):", "    here = U64(SLICES) * cell"]
    return f"\n@njit(**OPTIONS)\ndef react{region}(a, b, P, at, cells, h):\n{_indent(lines)}\n{_indent([*copies, *loops, *back], 8)}\n"


def _across(spec: AxisymmetricSpec, lanes: Lanes) -> str:
    """The function `across`: everything of a step but the z direction and the stimuli, tile by tile."""
    lines = ["lo = U64(SLICES * block)", "size = min(U64(SLICES), slices - lo)", "b = SB[block]", "a = SA[block]"]
    lines += [*_loads(spec, lanes), *_interior_calls(spec), *_joint(spec, lanes), *_interior_calls(spec), *_stores(spec, lanes)]
    loop = "prange" if spec.parallel else "range"
    head = ["g = GAMMA * h", "t1 = t0 + g", "t2 = t0 + 0.9999999 * h", f"for block in {loop}({_TILES}):"]
    options = "parallel=True, " if spec.parallel else ""
    signature = "u, Y, M, W, P, K, start, at, cells, booked, factors, responses, rows, inner, slices, SA, SB, t0, h, before, v1, v2"
    body = f"{_indent(head)}\n{_indent(lines, 8)}"
    return f"\nGAMMA = {GAMMA!r}\nSIZE = SCRATCH\n\n\n@njit({options}cache=True, **OPTIONS)\ndef across({signature}):\n{body}\n"


_TILES = "(slices + U64(SLICES - 1)) // U64(SLICES)"


def _gated(spec: AxisymmetricSpec) -> list[int]:
    """Rows of the states that have rates."""
    return sorted({c.state + k for c in spec.channels if c.cls.rates is not None for k in range(len(c.cls.states))})


def _loads(spec: AxisymmetricSpec, lanes: Lanes) -> list[str]:
    """Fill the tile; rates of change that channels read."""
    lines = [f"load_tile(u, start[{f}], lo, size, cells[{r}], a, at[{f}])" for f, r in enumerate(spec.region)]
    lines += [f"take(b, U64({lanes.row(f'yn{r}')}), Y[{r}], lo, size)" for r in range(spec.states)]
    lines += [f"take(b, U64({lanes.row(f'weight{m}')}), W[{row}], lo, size)" for m, row in spec.weights]
    if spec.follow:
        lines += _at_membranes(spec, lanes)
    for tr in spec.follow:
        body = [f"yn{tr.rate} = (c{tr.point} - yn{tr.last}) / before", f"yn{tr.last} = c{tr.point}"]
        lines += lanes.loop(body, [f"yn{tr.rate}", f"yn{tr.last}"])
    return lines


def _at_membranes(spec: AxisymmetricSpec, lanes: Lanes) -> list[str]:
    return [f"move(a, {_cell(spec, q)}, b, U64({lanes.row(f'c{q}')}))" for q in range(len(spec.points))]


def _joint(spec: AxisymmetricSpec, lanes: Lanes) -> list[str]:
    """The two stages of the joint step."""
    gated, channels, ratio = _gated(spec), range(len(spec.channels)), f"{(1 - GAMMA) / GAMMA!r}"
    rows = [f"{name}{r}" for r in gated for name in ("yb", "yp")]
    lines = [*_at_membranes(spec, lanes), "guess(b, P, v1, t1)"]
    lines += _loop(lanes, [t for r in gated for t in (f"yb{r} = yn{r}", f"yp{r} = yn{r}")], rows)
    lines += _stage_calls(spec, lanes, "v1", "t1")
    lines += _loop(lanes, [f"A{m} = {1 - GAMMA!r} * f{m}" for m in channels], [f"A{m}" for m in channels])
    lines += _combine(spec, ratio)
    lines += _loop(lanes, [t for r in gated for t in (f"yb{r} = yn{r} + {ratio} * (ys{r} - yn{r})", f"yp{r} = ys{r}")], rows)
    lines += _stage_calls(spec, lanes, "v2", "t2")
    lines += _loop(lanes, [f"A{m} = h * (A{m} + {GAMMA!r} * f{m})" for m in channels], [f"A{m}" for m in channels])
    return [*lines, *_combine(spec, "1.0"), "keep_bounds(b, P, v2, t2, h)"]


def _loop(lanes: Lanes, body: list[str], outputs: list[str]) -> list[str]:
    return lanes.loop(body, outputs) if body else []


def _stores(spec: AxisymmetricSpec, lanes: Lanes) -> list[str]:
    """Write the tile back; book what channels and decays moved."""
    gated, collected = _gated(spec), len(spec.region) + len(spec.lines)
    lines = [f"store_tile(a, at[{f}], u, start[{f}], lo, size, cells[{r}])" for f, r in enumerate(spec.region)]
    lines += [f"give(b, U64({lanes.row(f'ys{r}' if r in gated else f'yn{r}')}), Y[{r}], lo, size)" for r in range(spec.states)]
    lines += [f"book(b, U64({lanes.row(f'A{m}')}), M, booked[{m}] + lo, size)" for m in range(len(spec.channels))]
    for n, region in enumerate(region for region, kinetics in spec.interior for _ in kinetics.decays):
        tile = f"at[{collected + n}]"
        lines.append(f"book_tile(a, {tile}, M, booked[{len(spec.channels) + n}], lo, size, cells[{region}])")
        lines.append(f"a[{tile} : {tile} + U64(SLICES) * cells[{region}]] = 0.0")
    return lines


def _cell(spec: AxisymmetricSpec, q: int, tile: str = "at") -> str:
    p = spec.points[q]
    index = p.field if tile == "at" else len(spec.region) + spec.lines.index(p.field)
    return f"at[{index}] + U64(SLICES) * (cells[{spec.region[p.field]}] - U64(1))" if p.last else f"at[{index}]"


def _interior_calls(spec: AxisymmetricSpec) -> list[str]:
    return [f"react{r}(a, b, P, inner[{n}], cells[{r}], 0.5 * h)" for n, (r, _) in enumerate(spec.interior)]


def _stage_calls(spec: AxisymmetricSpec, lanes: Lanes, v: str, t: str) -> list[str]:
    nf = len(spec.region)
    lines = [f"increments(a, at[{f}], at[{nf + n}], cells[{spec.region[f]}], factors[{n}])" for n, f in enumerate(spec.lines)]
    for q, p in enumerate(spec.points):
        row = f"U64({lanes.row(f'p{q}')})"
        if p.field in spec.lines:
            lines.append(f"move_sum(a, {_cell(spec, q)}, {_cell(spec, q, 'dt')}, b, {row})")
        else:
            lines.append(f"move(a, {_cell(spec, q)}, b, {row})")
    return [*lines, f"newton(b, P, K, {v}, {t}, g)"]


def _combine(spec: AxisymmetricSpec, scale: str) -> list[str]:
    lines = []
    for n, f in enumerate(spec.lines):
        tiles = f"at[{f}], at[{len(spec.region) + n}], cells[{spec.region[f]}]"
        lines.append(f"combine(a, {tiles}, {scale}, responses[{n}], b, rows[{n}])")
    return lines


def _advance(spec: AxisymmetricSpec) -> str:
    half = "implicit_half_parallel" if spec.parallel else "implicit_half"
    return f'''

@njit(cache=True, **OPTIONS)
def advance(u, Y, M, W, P, K, start, at, cells, booked, factors, responses, rows, inner, slices, size,
            mobile, mobile_cells, numbers, halves, work, fed, course, target, first, node, rate, vt, vv, t, h, before, steps):
    """`steps` steps of length h from time t; half steps along z of neighbouring steps are merged."""
    SA = np.zeros(({_TILES}, size))
    SB = np.zeros(({_TILES}, SIZE))
    for f in range(mobile.size):
        explicit_half(u, mobile[f], slices, mobile_cells[f], numbers[f])
    for k in range(steps):
        t0 = t + k * h
        v1 = table_value(vt, vv, t0 + GAMMA * h)
        v2 = table_value(vt, vv, t0 + 0.9999999 * h)
        inject(u, fed, course, target, first, node, rate, t0, h)
        across(u, Y, M, W, P, K, start, at, cells, booked, factors, responses, rows, inner, slices, SA, SB, t0, h, before, v1, v2)
        inject(u, fed, course, target, first, node, rate, t0, h)
        before = h
        scale = 2.0 if k < steps - 1 else 1.0
        for f in range(mobile.size):
            {half}(u, mobile[f], mobile_cells[f], halves[f], scale, work)
'''
