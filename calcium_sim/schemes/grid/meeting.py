"""Generates the meeting of two steps at the membranes of a (z, r) grid, where networks run: see `between`.

Networks and rates of change see the concentrations on the membranes, half a cell away from the nodes. They are those of the nodes plus what
the fluxes make of them (`excess`, kept from call to call); `near` are the coefficients. `node` holds the concentrations of the nodes before
the step along z where `merged`: those between its two halves are the mean of before and after.
"""

from __future__ import annotations

from dataclasses import replace

from ...compile.continued import follows, lowered, memory, renewed
from ...compile.kinetics import LocalKinetics
from ...compile.lanes import LANES, Lanes
from ...compile.module import Module
from ...plan.specs import ChannelSpec
from .between import follow_loop
from .newton import AxisymmetricSpec, Text, indent, loop, states_of

_WHOLE = f"lo, size, {LANES}"
_GLANCES = 12
"""Each glance multiplies what is missing by half a cell times d flux / d c over D, which is below 1 wherever the joint step is solvable."""


def meeting(spec: AxisymmetricSpec, module: Module) -> str:
    """The functions `nodes`, which keeps the concentrations beside the membranes, and `meet`, which follows them and runs the networks."""
    taken = [f"node[{q}, k] = u[index[{q}, k]]" for q in spec.watched()]
    each = ["for k in range(node.shape[1]):", *("    " + t for t in taken)] if taken else ["pass"]
    text = f"\n@njit(**OPTIONS)\ndef nodes(u, index, node):\n{indent(each)}\n"
    given = "u, Y, P, W, nets, counts, near, index, node, excess, entering, merged, elapsed, before, t, v, h"
    return text + f"\n\n@njit(**OPTIONS)\ndef meet({given}):\n{indent(_meet(spec, module))}\n"


def look(spec: AxisymmetricSpec, module: Module) -> str:
    """The function `look`: concentrations on the membranes, (points, slices), those of shown open probabilities too."""
    shown = indent(_look(replace(spec, shown=True), module))
    return f"\n\n@njit(cache=True, **OPTIONS)\ndef look(u, Y, P, W, near, index, entering, t, v):\n{shown}\n"


def _meet(spec: AxisymmetricSpec, module: Module) -> list[str]:
    lanes, watched = Lanes(), spec.watched()
    if not watched:
        return ["pass"]
    following = [(m, c) for m, c in enumerate(spec.channels) if follows(c) and lowered(c)]
    kept = [r for _, c in following for r in range(c.memory, c.memory + memory(c).size)]
    rows = sorted({r for m in _present(spec) for r in _rows_of(spec.channels[m])} | {r for f in spec.follow for r in f.rows()} | set(kept))
    lines = _loads(spec, lanes, rows)
    before = lanes.copies("load", "node", [(f"o{q}", q) for q in watched], _WHOLE)
    before += loop(lanes, [f"p{q} = 0.5 * (p{q} + o{q})" for q in watched], [f"p{q}" for q in watched])
    lines += ["if merged:", *("    " + t for t in before)]
    beyond = [(f"x{q}", q) for q in watched]
    lines += lanes.copies("load", "excess", beyond, _WHOLE)
    lines += ["for glance in range(1 if elapsed > 0.0 else 2):", *("    " + t for t in _walls(spec, module, lanes, rows))]
    lines += lanes.copies("store", "excess", beyond, "lo, size")
    for q in watched:
        lanes.rows[f"u{q}"] = lanes.rows[f"c{q}"]
    # a stimulus that sets in is no rate of change
    followed = loop(lanes, [f"c{q} = c{q} - e{q}" for q in spec.fed if q in watched], [f"c{q}" for q in spec.fed if q in watched])
    followed += follow_loop(lanes, spec.follow)
    followed += loop(lanes, [f"c{q} = c{q} + e{q}" for q in spec.fed if q in watched], [f"c{q}" for q in spec.fed if q in watched])
    followed += lanes.copies("store", "Y", [(f"y{r}", r) for f in spec.follow for r in f.rows()], "lo, size")
    lines += ["if elapsed > 0.0:", *("    " + t for t in followed or ["pass"])]
    for m, c in following:
        lines += _last_seen(spec, lanes, c) + renewed(module, lanes, m, c, spec.at_points(c))
    lines += lanes.copies("store", "Y", [(f"y{r}", r) for r in kept], "lo, size")
    head = [*_prologue(spec, module), f"works = {module.networks.works()}"]
    return [*head, *_blocks(lines, lanes)]


def _last_seen(spec: AxisymmetricSpec, lanes: Lanes, c: ChannelSpec) -> list[str]:
    """Set `count` to 0 where no time has passed since the network ran, and the nodes are as they were; else keep how they are."""
    rows, points = memory(c), memory(spec.at_points(c)).fields
    nodes = [(rows.node(j), q) for j, q in enumerate(points)]
    tests = " | ".join([f"(y{rows.known} == 0.0)", *(f"(p{q} != y{r})" for r, q in nodes)])
    check = ["count = 0", *lanes.loop([f"count += 1 if {tests} else 0"], [])]
    lines = ["count = 1", "if elapsed == 0.0:", *("    " + t for t in check)]
    return lines + loop(lanes, [f"y{r} = p{q}" for r, q in nodes], [f"y{r}" for r, _ in nodes])


def _look(spec: AxisymmetricSpec, module: Module) -> list[str]:
    lanes, watched = Lanes(), spec.watched()
    lines = ["wall = np.zeros((len(index), Y.shape[1]))"]
    if not watched:
        return [*lines, "return wall"]
    rows = sorted({r for m in _present(spec) for r in _rows_of(spec.channels[m])})
    inner = _loads(spec, lanes, rows)
    inner += loop(lanes, [t for q in watched for t in (f"x{q} = 0.0 * p{q}",)], [f"x{q}" for q in watched])
    inner += [f"for glance in range({_GLANCES}):", *("    " + t for t in _walls(spec, module, lanes, rows))]
    inner += lanes.copies("store", "wall", [(f"c{q}", q) for q in watched], "lo, size")
    return [*lines, *_prologue(spec, module), *_blocks(inner, lanes), "return wall"]


def _present(spec: AxisymmetricSpec) -> list[int]:
    """Numbers of the channels on the membranes that are watched."""
    membranes = {spec.points[q].membrane for q in spec.watched()}
    return [m for m, c in enumerate(spec.channels) if c.membrane in membranes]


def _prologue(spec: AxisymmetricSpec, module: Module) -> list[str]:
    return LocalKinetics((), spec.channels, (), (), ()).prologue(module)


def _blocks(lines: list[str], lanes: Lanes) -> list[str]:
    """The loop over blocks of 64 slices."""
    head = [f"b = np.empty({lanes.size})", "n = Y.shape[1]", f"for lo in range(0, n, {LANES}):", f"    size = min({LANES}, n - lo)"]
    return [*head, *("    " + line for line in lines)]


def _loads(spec: AxisymmetricSpec, lanes: Lanes, rows: list[int]) -> list[str]:
    """Nodes p, states y, weights."""
    present = _present(spec)
    lines = lanes.copies("gather_flat", "u, index", [(f"p{q}", q) for q in spec.watched()], "lo, size")
    lines += lanes.copies("load", "Y", [(f"y{r}", r) for r in rows], _WHOLE)
    lines += lanes.copies("load", "entering", [(f"e{q}", q) for q in spec.fed if q in spec.watched()], _WHOLE)
    return lines + lanes.copies("load", "W", [(f"weight{m}", row) for m, row in spec.weights if m in present], _WHOLE)


def _walls(spec: AxisymmetricSpec, module: Module, lanes: Lanes, rows: list[int]) -> list[str]:
    """Concentrations c on the membranes: p at the nodes, and the excess x that is renewed by the fluxes; the states are ``yn<row>``."""
    text, watched = Text(spec, module), spec.watched()
    for r in rows:  # states that nothing has continued are those of now
        lanes.rows.setdefault(f"yn{r}", lanes.row(f"y{r}"))
    more = {q: f" + e{q}" if q in spec.fed else "" for q in watched}
    lines = loop(lanes, [f"c{q} = max(p{q} + x{q}{more[q]}, 0.0)" for q in watched], [f"c{q}" for q in watched])
    for m in _present(spec):
        lines += lanes.loop([f"f{m} = {text.flux(m, states_of(spec.channels[m], 'yn'))}"], [f"f{m}"])
    body = [t for q in watched for t in (f"x{q} = {_excess(spec, q)}", f"c{q} = max(p{q} + x{q}{more[q]}, 0.0)")]
    return lines + loop(lanes, body, [f"{name}{q}" for q in watched for name in "cx"])


def _excess(spec: AxisymmetricSpec, q: int) -> str:
    """Expression: what the fluxes f through a point's own membrane add to its concentration."""
    terms = [
        f"near[{n}] * {float(count)!r} * f{m}"
        for n, (p, j) in enumerate(spec.coupling())
        for m, count in spec.unknowns[j].carriers
        if p == q and spec.channels[m].membrane == spec.points[q].membrane
    ]
    return " + ".join(terms) or "0.0"


def _rows_of(c: ChannelSpec) -> set[int]:
    """Rows of Y that a channel's flux may read."""
    return {*range(c.state, c.state + len(c.cls.states)), *(p.index for p in c.ports if p.kind == "rate")}
