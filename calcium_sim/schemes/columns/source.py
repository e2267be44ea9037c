"""Generates the kinetics of cables, trees and single points: every region has the same positions, so a node is one column.

One step over h at every position of a block of lanes: gates h/2, reactions and fluxes h, gates h/2. The loop over blocks and steps is
`kernels.columns`. Where the potential is solved for, the reactions are in three parts, between which the tree is solved (`kernels.cable`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ...compile.continued import follows, lowered, memory, midpoint, predicted
from ...compile.joint import JointKinetics
from ...compile.kinetics import LocalKinetics
from ...compile.lanes import LANES, Lanes
from ...compile.module import Module
from ...networks.prepared import gate_of
from ...plan.specs import ROWS, ChannelSpec

FEW = 8
"""Positions up to which blocks are no longer than needed."""


@dataclass(frozen=True)
class ColumnSpec:
    """What the generated step depends on."""

    kinetics: LocalKinetics
    ratios: int
    weights: tuple[tuple[int, int], ...]
    active: float = 0.0
    positions: int = LANES

    def width(self) -> int:
        """Lanes of a block: as many as there are positions, where these are few and no network, which has its own, takes part."""
        alone = all(gate_of(c.cls) is None for c in self.kinetics.channels)
        return min(self.positions, LANES) if alone and self.positions <= FEW else LANES

    def used(self) -> list[int]:
        """Rows of Y that a step reads and writes."""
        rows = {r for c in self.kinetics.channels for r in range(c.state, c.state + len(c.cls.states))}
        rows |= {p.index for c in self.kinetics.channels for p in c.ports if p.kind in ROWS}
        return sorted(rows | {r for c in self.kinetics.channels if follows(c) for r in memory(c).all()})


@dataclass(frozen=True)
class Source:
    """What is generated: `site` for `kernels.columns`, or `first`, `second` and `third`, with the elements of scratch that they need."""

    module: Module
    scratch: int
    parts: tuple[str, ...]


ARRAYS = ("U", "Y", "M", "A", "W", "S")
TIMES = ("t0", "h", "before", "volts_a", "volts_b", "volts_c")
_NETWORKS = [("nets", "networks"), ("C", "matrix"), ("K", "matrix")]
_ARGUMENTS = [("b", "row"), *((a, "matrix") for a in ARRAYS), ("P", "row"), *_NETWORKS]
SYSTEM = len(_ARGUMENTS)
"""Where the system of the potential comes among the arguments."""
SITE = [*_ARGUMENTS, ("n", "whole"), ("block", "whole"), *((t, "double") for t in TIMES)]
"""How the kinetics of a block are called."""


def source(spec: ColumnSpec) -> Source:
    """Return what is generated for a plan."""
    width = spec.width()
    module, lanes, k = Module(width=width), Lanes(width=width), spec.kinetics
    module.networks.active = spec.active
    here = ["lo = block * LANES", "size = min(LANES, n - lo)"]
    middle = "v, t = volts_b, t0 + 0.5 * h"
    if isinstance(k, JointKinetics):
        arguments = [*SITE[:SYSTEM], ("T", "matrix"), *SITE[SYSTEM:]]
        parts = {
            "gates": _gates(spec, module, Lanes(width=width)),
            "first": [*_begin(spec, module, lanes, apart=True), middle, *k.first(module, lanes)],
            "second": [middle, *k.second(module, lanes)],
            "third": [middle, *k.third(module, lanes), *_end(spec, module, lanes, apart=True)],
        }
    else:
        arguments = SITE
        parts = {"site": [*_begin(spec, module, lanes), middle, *k.reaction(module, lanes), *_end(spec, module, lanes)]}
    head = k.prologue(module)
    for name, part in parts.items():
        module.define(name, arguments, [*head, *here, *part])
    module.work = max(module.work, lanes.size)
    return Source(module, module.scratch(), tuple(parts))


def _begin(spec: ColumnSpec, module: Module, lanes: Lanes, apart: bool = False) -> list[str]:
    """What a block reads, and the gates over half a step; with `apart` only those whose networks run once in a step."""
    k = spec.kinetics
    given = {**_kept(spec), "A": [(f"ratio{r}", r) for r in range(spec.ratios)], "S": [(f"s{f}", row) for row, f in enumerate(k.sources)]}
    given["W"] = [(f"weight{m}", row) for m, row in spec.weights]
    lines = []
    for array, rows in given.items():
        lines += lanes.copies("load", array, rows, "lo, size, LANES")

    def own(m: int, c: ChannelSpec) -> list[str] | None:
        return predicted(lanes, m, c) if follows(c) else [] if apart else None

    lines += ["v, t = volts_a, t0 + 0.25 * h", *k.gates(module, lanes, "0.5 * h", own=own)]
    seen = sorted({f for c in k.channels if follows(c) for f in memory(c).fields})
    return lines + (lanes.loop([f"o{f} = u{f}" for f in seen], [f"o{f}" for f in seen]) if seen else [])


def _end(spec: ColumnSpec, module: Module, lanes: Lanes, apart: bool = False) -> list[str]:
    """The gates over the other half, and what a block writes."""
    k = spec.kinetics

    def own(m: int, c: ChannelSpec) -> list[str] | None:
        if not follows(c):
            return [] if apart else None
        if not lowered(c):
            return []
        return ["v, t = volts_b, t0 + 0.5 * h", *midpoint(module, lanes, m, c), "v, t = volts_c, t0 + 0.75 * h"]

    lines = ["v, t = volts_c, t0 + 0.75 * h", *k.gates(module, lanes, "0.5 * h", own=own)]
    for array, rows in _kept(spec).items():
        lines += lanes.copies("store", array, rows, "lo, size")
    moved = [f"m{m}" for m in range(len(k.channels))] + [f"x{d.field}" for d in k.decays]
    return lines + lanes.copies("book", "M", zip(moved, range(len(moved)), strict=True), "lo, size")


def _gates(spec: ColumnSpec, module: Module, lanes: Lanes) -> list[str]:
    """All other gates over `h`, at the middle t0 of that time."""
    k, kept = spec.kinetics, _kept(spec)
    lines = [line for array, rows in kept.items() for line in lanes.copies("load", array, rows, "lo, size, LANES")]
    lines += ["v, t = volts_a, t0", *k.gates(module, lanes, "h", own=lambda m, c: [] if follows(c) else None)]
    module.work = lanes.size
    return lines + lanes.copies("store", "Y", kept["Y"], "lo, size")


def _kept(spec: ColumnSpec) -> dict[str, list[tuple[str, int]]]:
    """Rows that a step changes, by array."""
    return {"U": [(f"u{f}", f) for f in spec.kinetics.fields], "Y": [(f"y{r}", r) for r in spec.used()]}
