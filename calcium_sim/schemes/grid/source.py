"""Generates what happens at the membranes and in the cells of rotationally symmetric (z, r) grids; the step is `kernels.grid_step`.

For a tile of slices ``begin`` prepares the joint step, ``newton`` solves one of its stages, ``middle`` goes from the first to the second,
``finish`` concludes it; ``react<n>`` takes buffers and decays of a region over h, ``meet`` and ``look`` are those of `meeting`. They work
on rows of scratch memory; `Layout` tells where the step puts and finds what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compile.continued import follows, memory
from ...compile.kinetics import LocalKinetics
from ...compile.lanes import GAMMA, Lanes
from ...compile.module import AT, Module
from ...kernels.lines import SLICES
from ...plan.specs import ROWS
from .meeting import Seen, look, meeting
from .newton import AxisymmetricSpec, fallback, guess, loop, newton

Table = NDArray[np.uint64]


@dataclass(frozen=True)
class Layout:
    """Where the step puts and finds what; tables of rows (place in scratch, ...).

    start : by field, its first value in u. at : first elements of the tiles of fields, radial lines and decays. region : by field.
    cells : by region. lines : fields that diffuse or cross a membrane. read, weighted : (place, row of y or of the weights).
    points : (place at the beginning, place without flux, field, whether it is the last cell, line, whether a stimulus enters).
    inner : regions with reactions; of each of them fields : (place before, place after, tile), decays : (place, tile).
    rows : of every line the places of the fluxes that feed it. gated : (place, row of y). carried : (place, first of the amounts moved).
    decayed : (tile, first of the amounts moved, region). mobile : fields that diffuse along z.
    """

    start: Table
    at: Table
    region: Table
    cells: Table
    lines: Table
    read: Table
    weighted: Table
    points: Table
    inner: Table
    fields: tuple[Table, ...]
    decays: tuple[Table, ...]
    rows: tuple[Table, ...]
    gated: Table
    carried: Table
    decayed: Table
    mobile: Table


@dataclass(frozen=True)
class Source:
    """What is generated, the rows of the scratch memory of a tile by name, its size, those of reactions, and what `meet` and `look` see."""

    module: Module
    lanes: Lanes
    inner: tuple[tuple[Table, Table], ...]
    met: Seen
    looked: Seen


def source(spec: AxisymmetricSpec) -> Source:
    """Return what is generated for a plan."""
    module, lanes = Module(), Lanes(width=SLICES)
    for name in _rows(spec):
        lanes.row(name)
    newton(spec, module, lanes)
    _stages(spec, module, lanes)
    inner = tuple(_interior(spec, n, kinetics, module, lanes) for n, (_, kinetics) in enumerate(spec.interior))
    met, looked = meeting(spec, module), look(spec, module)
    module.work = max(module.work, lanes.size)
    return Source(module, lanes, inner, met, looked)


def _rows(spec: AxisymmetricSpec) -> list[str]:
    """Names of what the generated functions hand each other in rows of the scratch memory."""
    names = [f"{name}{q}" for q in range(len(spec.points)) for name in "pc"] + [f"J{j}" for j in range(len(spec.unknowns))]
    names += [f"yn{r}" for r in read(spec)] + [f"{name}{r}" for name in ("yb", "yp", "ys") for r in gated(spec)]
    return names + [f"{name}{m}" for m in range(len(spec.channels)) for name in "fA"] + [f"weight{m}" for m, _ in spec.weights]


def _stages(spec: AxisymmetricSpec, module: Module, lanes: Lanes) -> None:
    """Add the functions `begin`, `middle` and `finish`."""
    states, channels, ratio = gated(spec), range(len(spec.channels)), f"{(1 - GAMMA) / GAMMA!r}"
    bases, carried = [f"{name}{r}" for r in states for name in ("yb", "yp")], [f"A{m}" for m in channels]
    first = loop(lanes, [t for r in states for t in (f"yb{r} = yn{r}", f"yp{r} = yn{r}")], bases)
    module.define("begin", AT, [*guess(spec, module, lanes), *first])
    lines = loop(lanes, [f"A{m} = {1 - GAMMA!r} * f{m}" for m in channels], carried)
    lines += loop(lanes, [t for r in states for t in (f"yb{r} = yn{r} + {ratio} * (ys{r} - yn{r})", f"yp{r} = ys{r}")], bases)
    module.define("middle", [("b", "row")], lines)
    lines = loop(lanes, [f"A{m} = h * (A{m} + {GAMMA!r} * f{m})" for m in channels], carried)
    module.define("finish", [*AT, ("h", "double")], [*lines, *fallback(spec, module, lanes)])


def _interior(spec: AxisymmetricSpec, n: int, kinetics: LocalKinetics, module: Module, lanes: Lanes) -> tuple[Table, Table]:
    """Add the function `react<n>`; the rows of its fields and decays, with the tiles of these."""
    inner = Lanes(size=lanes.size, width=lanes.width)
    before = [inner.row(f"u{f}") for f in kinetics.fields]
    module.define(f"react{n}", [*AT, ("h", "double")], kinetics.reaction(module, inner, f"_in{n}"))
    lanes.size = max(lanes.size, inner.size)
    earlier = len(spec.region) + len(spec.lines) + sum(len(k.decays) for _, k in spec.interior[:n])
    fields = [(place, inner.row(f"u{f}"), f) for place, f in zip(before, kinetics.fields, strict=True)]
    return table(fields, 3), table([(inner.row(f"x{d.field}"), earlier + k) for k, d in enumerate(kinetics.decays)], 2)


def gated(spec: AxisymmetricSpec) -> list[int]:
    """Rows of the states that move within the joint step."""
    return sorted({c.state + k for c in spec.channels if spec.moving(c) for k in range(len(c.cls.states))})


def read(spec: AxisymmetricSpec) -> list[int]:
    """Rows of Y that the joint step reads."""
    rows = {r for c in spec.channels for r in (*range(c.state, c.state + len(c.cls.states)), *(p.index for p in c.ports if p.kind in ROWS))}
    return sorted(rows | {r for c in spec.channels if follows(c) for r in memory(c).continued()})


def table(rows: Sequence[Any], columns: int = 0) -> Table:
    """Rows of numbers, or with 0 columns plain numbers."""
    numbers = np.array(rows, np.uint64)
    return numbers.reshape(-1, columns) if columns else numbers
