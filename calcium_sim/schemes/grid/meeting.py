"""Generates the meeting of two steps at the membranes of a (z, r) grid, where networks run: see `between`.

Networks and rates of change see the concentrations on the membranes, half a cell away from the nodes. They are those of the nodes plus
what the fluxes make of them (`excess`, kept from call to call); `near` are the coefficients. `o<point>` holds the concentrations of the
nodes before the step along z where `merged`: those between its two halves are the mean of before and after.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compile.continued import follows, lowered, memory, renewed
from ...compile.lanes import Lanes
from ...compile.module import Module
from ...plan.specs import ROWS, ChannelSpec
from .between import follow_loop
from .newton import AxisymmetricSpec, Text, loop, prologue, states_of

_GLANCES = 12
"""Each glance multiplies what is missing by half a cell times d flux / d c over D, which is below 1 wherever the joint step is solvable."""

Table = NDArray[np.int64]


@dataclass(frozen=True)
class Seen:
    """Where the step puts and finds what, by row of scratch memory.

    points : (node, node before, excess, what enters, point), for `look` (node, wall, excess, what enters, point). followed : (place, row of
    y) of what is read, kept : of what is written. weighted : (place, row of the weights).
    """

    points: Table
    followed: Table
    kept: Table
    weighted: Table


_TIMES = [(name, "double") for name in ("elapsed", "before", "t", "v", "h")]
MEET = [("b", "row"), ("P", "row"), ("near", "row"), ("nets", "networks"), ("C", "matrix"), ("merged", "whole"), *_TIMES, ("size", "whole")]
LOOK = [("b", "row"), ("P", "row"), ("near", "row"), ("v", "double"), ("t", "double")]
"""How they are called, with a block of 64 slices."""


def meeting(spec: AxisymmetricSpec, module: Module) -> Seen:
    """Add the function `meet`, which follows the concentrations on the membranes and runs the networks there."""
    lanes, watched = Lanes(), spec.watched()
    if not watched:
        return _seen([], [], [], [])
    following = [(m, c) for m, c in enumerate(spec.channels) if follows(c) and lowered(c)]
    kept = [r for _, c in following for r in range(c.memory, c.memory + memory(c).size)]
    rows = sorted({r for m in _present(spec) for r in _rows_of(spec.channels[m])} | {r for f in spec.follow for r in f.rows()} | set(kept))
    points = [(*(lanes.row(f"{name}{q}") for name in "poxe"), q) for q in watched]
    followed = [(lanes.row(f"y{r}"), r) for r in rows]
    weighted = _weighted(spec, lanes)
    mean = loop(lanes, [f"p{q} = 0.5 * (p{q} + o{q})" for q in watched], [f"p{q}" for q in watched])
    lines = ["if merged > 0:", *("    " + t for t in mean)]
    lines += ["for glance in range(1 if elapsed > 0.0 else 2):", *("    " + t for t in _walls(spec, module, lanes, rows))]
    for q in watched:
        lanes.rows[f"u{q}"] = lanes.rows[f"c{q}"]
    # a stimulus that sets in is no rate of change
    fed = [q for q in spec.fed if q in watched]
    change = loop(lanes, [f"c{q} = c{q} - e{q}" for q in fed], [f"c{q}" for q in fed]) + follow_loop(lanes, spec.follow)
    change += loop(lanes, [f"c{q} = c{q} + e{q}" for q in fed], [f"c{q}" for q in fed])
    lines += ["if elapsed > 0.0:", *("    " + t for t in change or ["pass"])]
    for m, c in following:
        lines += _last_seen(spec, lanes, c) + renewed(module, lanes, m, c, spec.at_points(c))
    module.define("meet", MEET, [*prologue(spec, module), "block = I64(0)", *lines])
    module.work = max(module.work, lanes.size)
    written = sorted({r for f in spec.follow for r in f.rows()} | set(kept))
    return _seen(points, followed, [(lanes.row(f"y{r}"), r) for r in written], weighted)


def look(spec: AxisymmetricSpec, module: Module) -> Seen:
    """Add the function `look`: concentrations on the membranes, those of shown open probabilities too."""
    spec = replace(spec, shown=True)
    lanes, watched = Lanes(), spec.watched()
    if not watched:
        return _seen([], [], [], [])
    rows = sorted({r for m in _present(spec) for r in _rows_of(spec.channels[m])})
    points = [(*(lanes.row(f"{name}{q}") for name in "pcxe"), q) for q in watched]
    followed = [(lanes.row(f"y{r}"), r) for r in rows]
    weighted = _weighted(spec, lanes)
    lines = loop(lanes, [f"x{q} = 0.0 * p{q}" for q in watched], [f"x{q}" for q in watched])
    lines += [f"for glance in range({_GLANCES}):", *("    " + t for t in _walls(spec, module, lanes, rows))]
    module.define("look", LOOK, [*prologue(spec, module), *lines])
    module.work = max(module.work, lanes.size)
    return _seen(points, followed, [], weighted)


def _seen(points: list[Any], followed: list[Any], kept: list[Any], weighted: list[Any]) -> Seen:
    return Seen(*(np.array(t, np.int64).reshape(-1, n) for t, n in ((points, 5), (followed, 2), (kept, 2), (weighted, 2))))


def _weighted(spec: AxisymmetricSpec, lanes: Lanes) -> list[tuple[int, int]]:
    return [(lanes.row(f"weight{m}"), row) for m, row in spec.weights if m in _present(spec)]


def _last_seen(spec: AxisymmetricSpec, lanes: Lanes, c: ChannelSpec) -> list[str]:
    """Set `count` to 0 where no time has passed since the network ran, and the nodes are as they were; else keep how they are."""
    rows, points = memory(c), memory(spec.at_points(c)).fields
    nodes = [(rows.node(j), q) for j, q in enumerate(points)]
    tests = " | ".join([f"(y{rows.known} == 0.0)", *(f"(p{q} != y{r})" for r, q in nodes)])
    check = ["count = 0", *lanes.loop([f"count += 1 if {tests} else 0"], [])]
    lines = ["count = 1", "if elapsed == 0.0:", *("    " + t for t in check)]
    return lines + loop(lanes, [f"y{r} = p{q}" for r, q in nodes], [f"y{r}" for r, _ in nodes])


def _present(spec: AxisymmetricSpec) -> list[int]:
    """Numbers of the channels on the membranes that are watched."""
    membranes = {spec.points[q].membrane for q in spec.watched()}
    return [m for m, c in enumerate(spec.channels) if c.membrane in membranes]


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
    return {*range(c.state, c.state + len(c.cls.states)), *(p.index for p in c.ports if p.kind in ROWS)}
