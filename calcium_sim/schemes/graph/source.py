"""Generates what happens at the nodes of general graphs (simplices, and any mesh without a faster scheme); see `kernels.graph_step`.

Of every membrane ``gates<k>`` moves the states over h, ``flux<k>`` gives the flux of every channel and ``slope<k>`` how fast fluxes can
move what lies beside it; of every region ``react<r>`` takes buffers and decays over h. They work on rows of scratch memory; `Rows` tells
where the step puts and finds what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...compile.kinetics import LocalKinetics
from ...compile.lanes import Lanes
from ...compile.module import AT, Module
from ...plan.specs import Binding, Decay

Table = NDArray[np.int64]


@dataclass(frozen=True)
class Membrane:
    """Channels of one membrane; `sides` are (region, its column there, whether it lies inside) of a field, `weights` (channel, row)."""

    kinetics: LocalKinetics
    states: int
    sides: dict[int, tuple[int, int, bool]]
    weights: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Region:
    """Fields of one region in the order of its columns, with their reactions."""

    fields: tuple[int, ...]
    bindings: tuple[Binding, ...]
    decays: tuple[Decay, ...]


@dataclass(frozen=True)
class Rows:
    """Where the step puts and finds what of a membrane: (first element in scratch, ...) by row.

    `reads` (place, region, column, side) of fields, `states` (place before, place after, row of Y), `weights`, `fluxes`, `ratios` (place,
    row of an array); `speeds` are places; `feeds` (channel, region, column, side, row of ratios) with their `counts`.
    """

    reads: Table
    states: Table
    weights: Table
    fluxes: Table
    ratios: Table
    speeds: Table
    feeds: Table
    counts: NDArray[np.float64]


def source(regions: tuple[Region, ...], membranes: tuple[Membrane, ...]) -> tuple[Module, list[Rows], list[tuple[Table, Table]]]:
    """What is generated; for every membrane its rows, for every region those of reacting fields (place before, place after,
    column) and of decays (place, row)."""
    module = Module()
    rows = [_membrane(k, m, module) for k, m in enumerate(membranes)]
    return module, rows, [_region(r, region, module) for r, region in enumerate(regions)]


GATES = [*AT, ("h", "double"), ("nets", "networks"), ("C", "matrix"), ("size", "whole")]
"""How the gates of a block are called."""


def _membrane(k: int, m: Membrane, module: Module) -> Rows:
    kin, lanes, head = m.kinetics, Lanes(), m.kinetics.prologue(module)
    fields = sorted({f for c in kin.channels for f in kin.reads(c)})
    reads = [(lanes.row(f"u{f}"), *m.sides[f][:2], int(not m.sides[f][2])) for f in fields]
    before = [lanes.row(f"y{r}") for r in range(m.states)]
    weights = [(lanes.row(f"weight{j}"), row) for j, row in m.weights]
    fluxes = [(lanes.row(f"f{j}"), j) for j in range(len(kin.channels))]
    ratios = [(lanes.row(f"ratio{row}"), row) for row in sorted({row for c in kin.channels for _, _, row in c.gains})]
    body = [line for j in range(len(kin.channels)) for line in lanes.loop([f"f{j} = {kin.flux(module, j, 'u')}"], [f"f{j}"])]
    module.define(f"flux{k}", AT, [*head, *body])
    speeds, body = _slopes(m, module, lanes)
    module.define(f"slope{k}", AT, [*head, *body])
    if body := kin.gates(module, lanes, "h"):
        module.define(f"gates{k}", GATES, [*head, "block = I64(0)", *body])
    states = [(place, lanes.row(f"y{r}"), r) for r, place in enumerate(before)]  # the update of a gate leaves them in other rows
    module.work = max(module.work, lanes.size)
    feeds = [(j, *m.sides[f][:2], int(not m.sides[f][2]), row, count) for j, c in enumerate(kin.channels) for f, count, row in c.gains]
    return Rows(
        _table(reads, 4),
        _table(states, 3),
        _table(weights, 2),
        _table(fluxes, 2),
        _table(ratios, 2),
        _table([(s,) for s in speeds], 1),
        _table([f[:5] for f in feeds], 5),
        np.array([float(f[5]) for f in feeds]),
    )


def _slopes(m: Membrane, module: Module, lanes: Lanes) -> tuple[list[int], list[str]]:
    """Rows of what bounds the spectrum of the fluxes [1/ms], field by field, and the statements that fill them."""
    kin, terms, lines = m.kinetics, dict[int, list[str]](), list[str]()
    for j, c in enumerate(kin.channels):
        slopes = [f"j{j}_{f}" for f in kin.depends(module, j)]
        if not slopes:
            continue
        total = " + ".join(f"abs({s})" for s in slopes)
        lines += lanes.loop([*kin.slopes(module, j), f"steep{j} = {total}"], [f"steep{j}"])
        for f, count, row in c.gains:
            terms.setdefault(f, []).append(f"{abs(float(count))!r} * ratio{row} * steep{j}")
    sums = {f"speed{f}": " + ".join(parts) for f, parts in terms.items()}
    lines += lanes.loop([f"{name} = {total}" for name, total in sums.items()], list(sums)) if sums else []
    return [lanes.row(name) for name in sums], lines


def _region(r: int, region: Region, module: Module) -> tuple[Table, Table]:
    lanes = Lanes()
    reacting = sorted({f for b in region.bindings for f in (b.free, b.ligand)} | {d.field for d in region.decays})
    before = [lanes.row(f"u{f}") for f in reacting]
    if reacting:
        own = LocalKinetics(tuple(reacting), (), region.bindings, region.decays, ())
        module.define(f"react{r}", [*AT, ("h", "double")], own.reaction(module, lanes, f"_in{r}"))
    columns = [(place, lanes.row(f"u{f}"), region.fields.index(f)) for place, f in zip(before, reacting, strict=True)]
    module.work = max(module.work, lanes.size)
    return _table(columns, 3), _table([(lanes.row(f"x{d.field}"), n) for n, d in enumerate(region.decays)], 2)


def _table(rows: Sequence[tuple[int, ...]], columns: int) -> Table:
    return np.array(rows, np.int64).reshape(-1, columns)
