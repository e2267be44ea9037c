"""Generates gates that move within the step while their network runs once per step: the network's outputs are continued.

For networks that return opening and closing rates, or steady values and time constants. Rates are continued by their fourth roots, for
receptors open with the fourth power of calcium or so, and stay positive.

(z, r) grids (`renewed`, `stage_text`): the network runs between two steps. Within the next step its outputs are straight lines in the
concentrations that it reads and in time, through the last two evaluations: of all lines through both the one with the smallest slopes,
where a relative change of a concentration by `SLOW` counts as much as the step of time. Concentrations and gates are then solved jointly,
as those of a classic channel. What the network makes of its states and of rates of change is in these lines, too.

Cables (`predicted`, `midpoint`): there a concentration before or after the reactions is off by the diffusion of half a step, and only their
mean is not. The gates are taken to the middle of the step with outputs continued as above, and the fluxes see them there; then the network
runs on what it finds in the middle, and the gates go from the beginning to the end of the step with these rates.
"""

from __future__ import annotations

from ..networks.channel import LearnedGate, resolve
from ..networks.prepared import gate_of
from ..plan.memory import Memory, memory_of
from ..plan.specs import ChannelSpec
from .kinetics import LocalKinetics
from .lanes import Lanes
from .learned import FLOOR, Learned, evaluate_lines
from .module import Module

SLOW = 0.1
"""Relative change of a concentration that weighs as much as a step of time: with 0.02 the lines are too steep along steps of splitting."""
STEEPEST = 2.0
"""Largest logarithmic slope of a root: rates grow at most with the eighth power."""


def memory(c: ChannelSpec) -> Memory:
    """The rows of a channel; its fields are the indices of its ports."""
    fields = {name: p.index for name, p in zip(c.cls.reads, c.ports, strict=True) if p.kind == "field"}
    found = memory_of(c.cls, fields, c.memory)
    assert found is not None
    return found


def follows(c: ChannelSpec) -> bool:
    """Whether a channel's gate is continued from its network's last outputs."""
    return c.memory >= 0


def lowered(c: ChannelSpec) -> bool:
    """Whether the generated code evaluates the network itself; else the stepper calls torch and fills the memory."""
    gate = gate_of(c.cls)
    return gate is not None and gate.program is not None


def _gate(c: ChannelSpec) -> LearnedGate:
    gate = resolve(c.cls)
    assert gate is not None
    return gate


def _roots(c: ChannelSpec) -> list[bool]:
    """For every output: whether it is a rate, continued by its fourth root (or a steady value, continued as it is)."""
    n = len(_gate(c).states)
    return [_gate(c).kind == "rates"] * n + [True] * n


def stage_text(c: ChannelSpec, key: str) -> str:
    """The function `stage_<key>`: solve z = b + g f(z) for the gates at concentrations c, `late` ms after the evaluation."""
    rows, n, fields = memory(c), len(_gate(c).states), range(len(memory(c).fields))
    lines = []
    for o, root in enumerate(_roots(c)):
        slopes = "".join(f" + s{o}_{j} * (c{j} - w{j})" for j in fields)
        lines.append(f"a{o} = v{o} + t{o} * late{slopes}")
        lines += _power(o, root)
    rates = _gate(c).kind == "rates"
    result = [
        f"(b{i} + g * a{i}) / (1.0 + g * (a{i} + a{n + i}))" if rates else f"(b{i} + g * a{i} * a{n + i}) / (1.0 + g * a{n + i})"
        for i in range(n)
    ]
    lines.append(f"return {', '.join(result)}{',' if n == 1 else ''}")
    given = [f"b{i}" for i in range(n)] + [f"c{j}" for j in fields] + [f"w{j}" for j in fields]
    given += [t for o in range(rows.outputs) for t in (f"v{o}", f"t{o}", *(f"s{o}_{j}" for j in fields))]
    body = "\n".join("    " + line for line in lines)
    return f"@njit(forceinline=True, **OPTIONS)\ndef stage_{key}({', '.join(given)}, late, g):\n{body}\n"


def renewed(module: Module, lanes: Lanes, m: int, c: ChannelSpec, seen: ChannelSpec) -> list[str]:
    """Statements, for a `count` above 0: evaluate the network and lay the lines through this evaluation and the last, `elapsed` ms ago.

    Ports of `seen` are rows ``u<index>``. The lines are level at the first evaluation, and where no time has passed.
    """
    rows, points = memory(c), memory(seen).fields
    states = {name: f"y{c.state + k}" for k, name in enumerate(c.cls.states)}
    ports = dict(zip(c.cls.reads, LocalKinetics((), (seen,), (), (), ()).ports(seen, "u"), strict=True))
    prepare, call, outputs = evaluate_lines(module.networks, lanes, Learned(c.cls, states, ports, str(m)), "h")
    body = _lines(c, outputs, [f"(u{q} - y{rows.wall(j)})" for j, q in enumerate(points)], [f"u{q}" for q in points])
    body += [f"y{rows.wall(j)} = u{q}" for j, q in enumerate(points)] + [f"y{rows.known} = 1.0"]
    per = f"per = {SLOW**2!r} / elapsed if elapsed > 0.0 else 0.0"
    return ["if count > 0:", *("    " + t for t in [*prepare, per, *call, *lanes.loop(body, [f"y{r}" for r in rows.kept()])])]


def _lines(c: ChannelSpec, outputs: list[str], changes: list[str], now: list[str]) -> list[str]:
    """Statements: values and slopes of the outputs, from the last values and the `changes` of the concentrations since.

    `elapsed` is the time since, `per` its inverse times the square of `SLOW`.
    """
    rows, body = memory(c), [f"norm = {SLOW**2!r}"]
    for j, (change, u) in enumerate(zip(changes, now, strict=True)):
        body += [f"scale{j} = 1.0 / (abs({u}) + {FLOOR!r})", f"m{j} = {change} * scale{j}", f"norm = norm + m{j} * m{j}"]
    body.append(f"norm = y{rows.known} / norm if elapsed > 0.0 else 0.0")
    for o, root in enumerate(_roots(c)):
        value, late, *slopes = rows.output(o)
        body += _output(c, outputs, o, root)
        body += [f"change = (new - y{value}) * norm", f"y{late} = change * per"]
        most = f"{STEEPEST!r} * new" if root else "np.inf"
        for j, r in enumerate(slopes):
            body.append(f"y{r} = min(max(change * m{j}, -{most}), {most}) * scale{j}")
        body.append(f"y{value} = new")
    return body


def predicted(lanes: Lanes, m: int, c: ChannelSpec) -> list[str]:
    """Loop: the gates half a step later, with rates continued from the last evaluation; ``w<row>`` keeps them as they are."""
    rows, own = memory(c), _own(c)
    body = [f"late{m} = 0.5 * before + 0.25 * h", *(f"w{r} = y{r}" for r in own)]
    for o, root in enumerate(_roots(c)):
        value, slope, *slopes = rows.output(o)
        moved = "".join(f" + y{r} * (u{f} - y{rows.wall(j)})" for j, (r, f) in enumerate(zip(slopes, rows.fields, strict=True)))
        body += [f"a{o} = y{value} + y{slope} * late{m}{moved}", *_power(o, root)]
    return lanes.loop([*body, *_towards(c)], [f"{name}{r}" for r in own for name in "wy"])


def midpoint(module: Module, lanes: Lanes, m: int, c: ChannelSpec) -> list[str]:
    """Statements: evaluate the network in the middle of the step, and advance the gates from its beginning to its end with these rates.

    Ports are rows ``u<field>`` and, before the reactions, ``o<field>``: concentrations in the middle are their mean. Their rates of change
    are followed from middle to middle. A rate over the step is the mean of those before and after the reactions, on the line through the
    middle. Where the network has not run (`active`), lines are level.
    """
    rows, gate, own = memory(c), _gate(c), _own(c)
    body = ["elapsed = 0.5 * (before + h)"]
    for j, f in enumerate(rows.fields):
        body += [f"um{f} = 0.5 * (o{f} + u{f})", f"d = (um{f} - y{rows.wall(j)}) / elapsed"]
        body += [f"s = (d - y{rows.node(j)}) * elapsed / (elapsed + before)", f"dm{f} = d + min(max(s, -abs(d)), abs(d))"]
        body += [f"y{rows.node(j)} = d", f"change{m}_{j} = um{f} - y{rows.wall(j)}", f"y{rows.wall(j)} = um{f}"]
    names = [(f"um{f}", f"dm{f}", f"change{m}_{j}", f"y{rows.node(j)}", f"y{rows.wall(j)}") for j, f in enumerate(rows.fields)]
    lines = lanes.loop(body, [t for n in names for t in n]) if names else []
    states = {name: f"y{c.state + k}" for k, name in enumerate(c.cls.states)}
    ports = dict(zip(c.cls.reads, LocalKinetics((), (c,), (), (), ()).ports(c, "um"), strict=True))
    named = {name: p.index for name, p in zip(c.cls.reads, c.ports, strict=True) if p.kind == "field"}
    ports |= {f"d_{name}": f"dm{f}" for name, f in named.items() if name in gate.inputs}
    prepare, call, outputs = evaluate_lines(module.networks, lanes, Learned(c.cls, states, ports, str(m)), "h")
    body = ["elapsed = 0.5 * (before + h)", f"per = {SLOW**2!r} / elapsed"]
    body += _lines(c, outputs, [f"change{m}_{j}" for j in range(len(rows.fields))], [f"um{f}" for f in rows.fields])
    kept = [rows.known, *(r for o in range(rows.outputs) for r in rows.output(o))]
    call += lanes.loop([*body, f"y{rows.known} = 1.0"], [f"y{r}" for r in kept])
    lines += ["count = 1", *prepare, "if count > 0:", *("    " + t for t in call)]
    if module.networks.active > 0:
        level = [f"y{rows.known}", *(f"y{r}" for o in range(rows.outputs) for r in rows.output(o)[1:])]
        lines += ["else:", *("    " + t for t in lanes.loop([f"{name} = 0.0" for name in level], level))]
    body = []
    for o, root in enumerate(_roots(c)):
        value, _, *slopes = rows.output(o)
        half = " + ".join(f"y{r} * (u{f} - o{f})" for r, f in zip(slopes, rows.fields, strict=True)) or "0.0"
        body.append(f"a{o} = y{value}")
        body += [f"a{o} = a{o} * a{o}", f"s = 0.25 * ({half}) * ({half})", f"a{o} = a{o} * (a{o} + 6.0 * s) + s * s"] if root else []
    return lines + lanes.loop([*body, *_relax(c)], [f"y{r}" for r in own])


def _own(c: ChannelSpec) -> list[int]:
    return list(range(c.state, c.state + len(_gate(c).states)))


def _power(o: int, root: bool) -> list[str]:
    return [f"a{o} = max(a{o}, 0.0)", f"a{o} = a{o} * a{o}", f"a{o} = a{o} * a{o}"] if root else []


def _output(c: ChannelSpec, outputs: list[str], o: int, root: bool) -> list[str]:
    """Statement: what is continued of an output; its roots are taken in the precision of the network, which is three times cheaper."""
    number = f"np.{_gate(c).card.dtype}"
    rate = outputs[o] if _gate(c).kind == "rates" or not root else f"(1.0 / {outputs[o]})"
    return [f"new = np.float64(math.sqrt(math.sqrt({number}({rate}))))" if root else f"new = {rate}"]


def _relax(c: ChannelSpec) -> list[str]:
    """Statements: the gates ``y<row>`` from ``w<row>``, relaxed over h with the outputs ``a<o>``."""
    n, body = len(_gate(c).states), []
    for i, r in enumerate(_own(c)):
        if _gate(c).kind == "rates":
            body.append(f"y{r} = relax(w{r}, a{i}, a{n + i}, h)")
        else:
            body.append(f"y{r} = approach(w{r}, a{i}, h * a{n + i})")
    return body


def _towards(c: ChannelSpec) -> list[str]:
    """The same over h/2, with 1 + x + x^2/2 for the exponential of x: of second order is enough in the middle of a step."""
    n, body = len(_gate(c).states), []
    for i, r in enumerate(_own(c)):
        total, gain = (f"(a{i} + a{n + i})", f"a{i}") if _gate(c).kind == "rates" else (f"a{n + i}", f"a{i} * a{n + i}")
        body += [f"x = 0.5 * h * {total}", f"gain = 0.5 * h * {gain}"]
        body.append(f"y{r} = (y{r} + gain * (1.0 + 0.5 * x)) / (1.0 + x * (1.0 + 0.5 * x))")
    return body
