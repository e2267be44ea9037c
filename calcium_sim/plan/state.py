"""What a run carries from step to step, and the arrays that describe its stimuli and potential."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..mesh import Floats
from .lower import Plan
from .specs import Source
from .stops import RESOLUTION


def beside(t: float, h: float = math.inf) -> float:
    """How far one looks to a side of a time at which a stimulus may begin, within a step of length h there [ms]."""
    return min(RESOLUTION * t, 0.25 * h)


@dataclass
class State:
    """Concentrations u, gate states y, amounts moved since the last observation [uM um per pair], time, previous step [ms].

    On (z, r) grids networks that run between two steps do not after a step that is short beside the one before them: `behind` is the time
    since they last ran, `seen` the time over which they then knew rates of change [ms].

    `rows` keeps what `shaped` has made; `known` holds, per block, the inputs on which networks last ran (`active`), else nothing.
    `limited`: edges of negative conductance are limited from now on, see `kernels.graph`.
    """

    u: Floats
    y: Floats
    moved: Floats
    t: float = 0.0
    before: float = 1.0
    known: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    limited: bool = False
    behind: float = 0.0
    seen: float = 1.0
    rows: tuple[Floats, Floats, Floats] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def start(cls, plan: Plan) -> State:
        """The resting state of a plan."""
        return cls(plan.u0.copy(), plan.y0.copy(), np.zeros(plan.moved_size))

    def copy(self) -> State:
        """An independent copy."""
        return replace(self, u=self.u.copy(), y=self.y.copy(), moved=self.moved.copy(), known=self.known.copy(), rows=None)

    def shaped(self, shapes: tuple[tuple[int, int], ...]) -> tuple[Floats, Floats, Floats]:
        """The three arrays as matrices that share their memory; made once, since states are overwritten in place."""
        if self.rows is None:
            self.rows = (self.u.reshape(shapes[0]), self.y.reshape(shapes[1]), self.moved.reshape(shapes[2]))
        return self.rows

    def assign(self, other: State) -> None:
        """Overwrite with another state, keeping the arrays."""
        self.u[:], self.y[:], self.moved[:] = other.u, other.y, other.moved
        self.t, self.before, self.limited = other.t, other.before, other.limited
        self.behind, self.seen = other.behind, other.seen
        self.known = other.known.copy() if other.known.size else other.known


@dataclass(frozen=True)
class Clock:
    """What drives the cell from outside: the membrane potential as a table of straight lines (constant outside), and how far things move.

    `travel` is a table, over the times `marks`, of how far all that depends on time alone has moved, in units of what one step may see.
    """

    times: Floats
    potential: Floats
    marks: Floats | None = None
    travel: Floats | None = None

    @classmethod
    def at(cls, potential: float) -> Clock:
        """Nothing moves."""
        return cls(np.zeros(2), np.full(2, potential))

    def smooth_steps(self, t: float, h: float, count: int, most: float = 1.0) -> int:
        """How many of `count` steps of h from t on can be taken before one in which a driving quantity moves too far."""
        if self.marks is None or self.travel is None:
            return count
        travel = np.interp(t + h * np.arange(count + 1), self.marks, self.travel)
        far = np.flatnonzero(np.diff(travel) > most)
        return int(far[0]) if len(far) else count


@dataclass(frozen=True)
class Sources:
    """Influxes packed for `kernels.stimulus.fill_sources`; `fields` are the fields with a row in `buffer`, `tables` as `add_tables` has
    them."""

    fields: tuple[int, ...]
    buffer: Floats
    course: Floats
    target: np.ndarray
    start: np.ndarray
    node: np.ndarray
    rate: Floats
    tables: tuple[np.ndarray, ...]


def pack_sources(plan: Plan, width: int) -> Sources:
    """Pack the influxes of a plan; `width` is the length of one row of the source buffer."""
    fields = tuple(sorted({s.field for s in plan.sources}))
    pulses = [s for s in plan.sources if s.table is None]
    course = np.array([s.course for s in pulses], float).reshape(-1, 5)
    return Sources(fields, np.zeros((len(fields), width)), course, *_targets(pulses, fields), _pack_tables(plan, fields))


def _targets(sources: Sequence[Source], fields: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray, Floats]:
    """Row that each feeds, the first of its entries, nodes and rates."""
    counts = [len(s.index) for s in sources]
    return (
        np.array([fields.index(s.field) for s in sources], np.int64),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate([np.zeros(0, np.int64), *(s.index for s in sources)]).astype(np.int64),
        np.concatenate([np.zeros(0), *(s.rate for s in sources)]),
    )


def _pack_tables(plan: Plan, fields: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Currents that are given as tables, for `kernels.stimulus.add_tables`."""
    given = [(s, s.table) for s in plan.sources if s.table is not None]
    target, start, node, rate = _targets([s for s, _ in given], fields)
    first = np.cumsum([0, *(len(table) for _, table in given)]).astype(np.int64)
    rows = [(*table.columns(), table.sums) for _, table in given]
    times, values, sums = (np.concatenate([np.zeros(0), *(row[k] for row in rows)]) for k in range(3))
    return target, first, times, values, sums, start, node, rate
