"""What a run notes about its networks: inputs outside the trained range, outputs out of bounds, values that are no numbers.

Every input with a trained range and every output is an item, with one row of numbers per block of nodes that the kernels write (see
`kernels.noted.bounded`). Every evaluation counts, those of repeated steps too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ..kernels.noted import NOTED
from ..mesh import Floats
from .channel import LearnedGate
from .prepared import limits, ranges, reach


@dataclass(frozen=True)
class Item:
    """One thing that is watched: an input (`output` False) or an output of a network, its bounds and unit."""

    gate: LearnedGate = field(repr=False, hash=False)
    what: str
    unit: str
    low: float
    high: float
    output: bool


@dataclass
class Watches:
    """The items of a module, in the order of their rows."""

    items: list[Item] = field(default_factory=list)

    def input(self, gate: LearnedGate, kind: str, j: int) -> int:
        """Row of a port (kind "x") or its rate of change ("dx")."""
        port, (low, high) = gate.ports[j], ranges(gate)[kind, j]
        what, unit = (port.port, port.unit) if kind == "x" else (f"d({port.port})", f"{port.unit}/ms")
        return self._row(Item(gate, what, unit, low, high, False))

    def output(self, gate: LearnedGate, o: int) -> int:
        """Row of an output column."""
        bound = limits(gate)[o]
        return self._row(Item(gate, bound.name, "", bound.low, bound.high, True))

    def state(self, gate: LearnedGate, j: int) -> int:
        """Row of a state that rates of change may carry out of its bounds."""
        bound = reach(gate)[j]
        return self._row(Item(gate, bound.name, "", bound.low, bound.high, True))

    def _row(self, item: Item) -> int:
        for k, known in enumerate(self.items):
            if known.gate is item.gate and (known.what, known.output) == (item.what, item.output):
                return k
        self.items.append(item)
        return len(self.items) - 1

    def counts(self, blocks: int) -> Floats:
        """Fresh rows (blocks, items, numbers)."""
        out = np.zeros((blocks, max(1, len(self.items)), NOTED))
        out[:, :, 2], out[:, :, 3] = np.inf, -np.inf
        return out


def note(row: Floats, values: Floats, low: float, high: float) -> None:
    """Write values into a row as the kernels do."""
    outside = (values < low) | (values > high)
    row[0] += values.size
    row[1] += outside.sum()
    if outside.any():
        row[2], row[3] = min(row[2], values[outside].min()), max(row[3], values[outside].max())


@dataclass(frozen=True)
class Seen:
    """What was noted about one item."""

    evaluations: int
    outside: int
    lowest: float
    highest: float
    no_numbers: int

    def plus(self, other: Seen) -> Seen:
        """Both together."""
        extremes = min(self.lowest, other.lowest), max(self.highest, other.highest)
        counts = self.evaluations + other.evaluations, self.outside + other.outside
        return Seen(*counts, *extremes, self.no_numbers + other.no_numbers)


def totals(watches: Watches, counts: Floats) -> Iterable[tuple[Item, Seen]]:
    """What was noted about every item, over all blocks."""
    for k, item in enumerate(watches.items):
        rows = counts[:, k]
        yield (
            item,
            Seen(int(rows[:, 0].sum()), int(rows[:, 1].sum()), float(rows[:, 2].min()), float(rows[:, 3].max()), int(rows[:, 4].sum())),
        )
