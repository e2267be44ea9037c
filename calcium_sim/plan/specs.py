"""What a lowered model says of its channels, buffers, decays and stimuli, as indices: where things stand in the arrays of a run."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..kernels.stimulus import table_integral, train_end, train_integral
from ..mesh import Floats
from ..model.tables import Table
from ..plugin import Channel
from .carried import Carried


@dataclass(frozen=True)
class Wants:
    """What a scheme asks of a plan.

    `continued`: networks of rates or steady values run once per step, and what they returned is kept in rows of the states. `joint`: gates
    move in one solve with the fluxes, in which other kinds of networks have no part; they are paced (see `schemes.pacing`).
    """

    continued: bool = False
    joint: bool = False


NOTHING = Wants()
ROWS = "rate", "place"
"""Kinds of ports whose index is a row of Y."""


@dataclass(frozen=True)
class PortRef:
    """Where a channel's port is found: kind "field" (index of a field), "value" (index into P), "rate" or "place" (rows of its
    membrane's Y: of a rate of change, of a potential that differs from place to place), "v" or "t"."""

    kind: str
    index: int = 0


@dataclass(frozen=True)
class ChannelSpec:
    """One channel on one membrane, as indices.

    `membrane` is its number; `param` and `state` are its first element of P and row of its membrane's Y; `gains` are (field, count,
    ratio row): the field gains count times flux times area/volume; `weight` is its row of W, or -1; `memory` the first row of Y where
    the outputs of its network are kept, or -1. A channel that is `paced` is advanced around the step, see `pacing`.
    """

    cls: type[Channel]
    membrane: int
    param: int
    state: int
    ports: tuple[PortRef, ...]
    gains: tuple[tuple[int, float, int], ...]
    weight: int = -1
    memory: int = -1
    paced: bool = False

    def raised(self, by: int) -> ChannelSpec:
        """The same where the rows of all membranes stand in one array, those of this one from row `by` on."""
        ports = tuple(PortRef(p.kind, p.index + by) if p.kind in ROWS else p for p in self.ports)
        return replace(self, state=self.state + by, ports=ports, memory=self.memory + by if self.memory >= 0 else -1)


@dataclass(frozen=True)
class Tracked:
    """A field whose rate of change channels of a membrane read: row of its Y for the last value, then the rate, then its last value."""

    membrane: str
    field: int
    row: int

    def rate(self) -> int:
        """Row of the rate of change."""
        return self.row + 1


@dataclass(frozen=True)
class Binding:
    """A buffer: fields of the free buffer and its ligand; P[param:param + 3] are kon, koff, total."""

    free: int
    ligand: int
    param: int


@dataclass(frozen=True)
class Decay:
    """First-order decay of a field; P[param:param + 2] are rate and resting value."""

    field: int
    param: int


@dataclass(frozen=True)
class Source:
    """One influx or current: entries of u it feeds, the rates there at unit course, the amount per ms, its course, its membrane or None.

    Rates are in uM/ms or mV/ms, amounts in uM um^3 or fC; `number` is that of the stimulus. A current that is given as a table [pA] has
    that in place of a course.
    """

    number: int

    field: int
    index: np.ndarray
    rate: Floats
    amount: float
    course: tuple[float, float, float, float, float]
    through: str | None = None
    table: Table | None = None

    def between(self, start: float, end: float) -> float:
        """Integral of its course, or its table, between two times."""
        if self.table is not None:
            late, early = (table_integral(*self.table.columns(), self.table.sums, t) for t in (end, start))
            return float(late - early)
        return float(train_integral(*self.course, end) - train_integral(*self.course, start))

    def end(self) -> float:
        """Time [ms] from which it brings nothing any more."""
        return float(train_end(*self.course)) if self.table is None else float(self.table[-1][0])


@dataclass(frozen=True)
class Holder:
    """An electrode that holds the potential at a position: conductance [nS], table of potentials, its account of charge in `moved`."""

    number: int
    position: int
    conductance: float
    protocol: Table
    moved: int


@dataclass(frozen=True)
class Arrivals:
    """Events that add to states of a channel: times [ms], ascending, the weight of each, entries of y, and what weight 1 adds to each."""

    number: int
    times: Floats
    weights: Floats
    entries: np.ndarray
    amounts: Floats


@dataclass(frozen=True)
class Field:
    """One unknown: the concentration of a species or free buffer in a region, or the potential; `span` is its part of the state vector u.

    `kind` is "species", "buffer" or "potential". `capacity` is what one unit of it holds at each node: the volume [um^3], of a potential
    the capacitance [pF]. `rest` is its mean at the start, a typical size; what it starts from at each node is in `Plan.u0`.
    """

    name: str
    region: str
    diffusion: float
    span: slice
    nodes: slice
    capacity: Floats
    rest: float
    kind: str = "species"

    @property
    def potential(self) -> bool:
        """Whether it is a potential, which may be negative, and whose books are kept in charge."""
        return self.kind == "potential"


@dataclass(frozen=True)
class Gauge:
    """One channel on one membrane as it runs: `states` and `moved` are its parts of the state arrays y and moved.

    `beside`: it is the current of the channel before it, whose states it reads.
    """

    label: str
    membrane: str
    channel: Channel
    way: tuple[str, str]
    spec: ChannelSpec
    states: tuple[slice, ...]
    moved: slice
    weight: Floats | None
    area: Floats
    carried: Carried
    beside: bool = False
