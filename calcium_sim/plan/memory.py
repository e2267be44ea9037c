"""Rows of the states in which a gate keeps what its network returned, where the network runs between two steps."""

from __future__ import annotations

from dataclasses import dataclass

from ..networks.channel import resolve
from ..networks.prepared import RELAXING
from ..plugin import Channel


@dataclass(frozen=True)
class Memory:
    """Rows of Y of one gate: whether its network has run, the concentrations that it saw, what tells whether it has to run, its outputs'
    lines."""

    first: int
    fields: tuple[int, ...]
    outputs: int

    @property
    def size(self) -> int:
        """Number of rows."""
        return 1 + 2 * len(self.fields) + self.outputs * (2 + len(self.fields))

    @property
    def known(self) -> int:
        """Row that is 1 once the network has run."""
        return self.first

    def node(self, j: int) -> int:
        """Row of the concentration at the node, of the j-th field (on grids); on cables of its last difference quotient."""
        return self.first + 1 + j

    def wall(self, j: int) -> int:
        """Row of the concentration that the network has seen."""
        return self.first + 1 + len(self.fields) + j

    def output(self, o: int) -> list[int]:
        """Rows of the value of an output, its slope in time and its slopes in the fields."""
        at = self.first + 1 + 2 * len(self.fields) + o * (2 + len(self.fields))
        return list(range(at, at + 2 + len(self.fields)))

    def kept(self) -> list[int]:
        """Rows that an evaluation writes."""
        return [self.known, *self.continued()]

    def all(self) -> list[int]:
        """All rows."""
        return list(range(self.first, self.first + self.size))

    def continued(self) -> list[int]:
        """Rows that a step reads."""
        return [self.wall(j) for j in range(len(self.fields))] + [r for o in range(self.outputs) for r in self.output(o)]


def memory_of(cls: type[Channel], fields: dict[str, int], first: int) -> Memory | None:
    """Rows that a channel class needs from `first` on, or None; `fields` numbers the concentrations among its ports by name."""
    gate = resolve(cls)
    if gate is None or gate.kind not in RELAXING:
        return None
    return Memory(first, tuple(f for name, f in fields.items() if name in gate.inputs), 2 * len(gate.states))
