"""Tables instead of networks: functions of one input, sampled as finely as a tolerance asks for.

Even spacings alone would not see what is narrower than they are. A network tells where to look. `kinks` finds where what an operation
reads passes the place of its kink, or the middle of its step: between these a network of straight pieces is straight, so that nothing of it
is missed though large parts of it cancel. `bends` halves the range where any operation is not yet straight between two points. Each of them
is monotone or convex in what it reads, so that a feature, however narrow, shows at the ends or in the middle of some interval.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .program import Program, evaluate

FEWEST, MOST = 65, 2**20 + 1
GRID = 2048
"""Points at which every table is compared with its function, evenly spaced, by decades, and at random: each."""
STRAIGHT, LEVEL = 0.02, 1e-6
"""An operation is straight between two points if its value halfway is off by less than this fraction of it, or less than this number."""
ROUNDS, POINTS = 48, 200_000
"""Halvings of a range, and points, after which a network is too intricate for a table."""
NUMBERS = 20_000_000
"""Numbers of all operations that are held at once at most."""
WORK = 20_000_000_000
"""Products that go into one of the searches, or into a table."""
LAYERS = 32
"""Kinks are looked for again between those that were found, layer by layer, this many times at most."""


@dataclass(frozen=True)
class Table:
    """Values (points, outputs) at even spacings of x from `low` to `high`, or of log x; between them linear, beyond them constant.

    `error` is the largest error found, halfway between points and where else it was looked at, in units of the tolerance.
    """

    low: float
    high: float
    values: NDArray[np.float64]
    logarithmic: bool
    error: float

    @property
    def start(self) -> float:
        """First argument, log x where `logarithmic`."""
        return math.log(self.low) if self.logarithmic else self.low

    @property
    def factor(self) -> float:
        """Intervals per unit of the argument."""
        return (len(self.values) - 1) / ((math.log(self.high) if self.logarithmic else self.high) - self.start)

    def __call__(self, x: Any) -> NDArray[np.float64]:
        """Look up, (nodes,) -> (outputs, nodes)."""
        from ..kernels.table import table_sweep

        given = np.ascontiguousarray(x, float).reshape(-1)
        out = np.empty((self.values.shape[1], given.size))
        table_sweep(given, out, self.values, self.start, self.factor, self.logarithmic)
        return out


def tabulate(
    function: Program | Callable[[NDArray[np.float64]], Any],
    low: float,
    high: float,
    tolerance: Sequence[tuple[float, float]] = ((1e-5, 0.0),),
    logarithmic: bool = False,
) -> Table | None:
    """Sample a function of one input with doubled numbers of points until linear interpolation is accurate enough.

    Parameters
    ----------
    function : program with one input, or function of (nodes,) that returns (outputs, nodes).
    low, high : range.
    tolerance : (absolute, relative) per output, the last one for the rest: an error of ``absolute + relative * abs(y)`` passes. For a gate
        with (steady value, time constant) take ``((1e-5, 0), (0, 1e-4))``.
    logarithmic : space the points evenly in log x (concentrations).

    Returns
    -------
    Table, or None where about a million points are not enough (a jump, a narrow feature in a wide range, or noise of the precision of the
    arithmetic): then the function itself has to be evaluated.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (logarithmic and low <= 0):
        raise InputError("table", f"range [{low:g}, {high:g}] cannot be tabulated{' by decades' if logarithmic else ''}")
    places = looked_at(function, low, high)
    if places is None:
        return None
    call = (lambda x: evaluate(function, x[None])) if isinstance(function, Program) else function
    exact = np.atleast_2d(np.asarray(call(places), float))
    points, y = FEWEST, _sampled(call, low, high, 0.0, FEWEST, logarithmic)
    allowed = np.array([tolerance[min(k, len(tolerance) - 1)] for k in range(len(y))])

    def error(found: NDArray[np.float64], true: NDArray[np.float64]) -> float:
        with np.errstate(all="ignore"):
            return float(np.max(np.abs(found - true) / (allowed[:, :1] + allowed[:, 1:] * np.abs(true))))

    most = min(MOST, WORK // max(1, function.weights.size)) if isinstance(function, Program) else MOST
    while points <= most:
        between = _sampled(call, low, high, 0.5, points - 1, logarithmic, points)
        worst = error(0.5 * (y[:, 1:] + y[:, :-1]), between)
        if worst <= 1.0:
            values = np.ascontiguousarray(y.T)
            values.flags.writeable = False
            table = Table(float(low), float(high), values, logarithmic, worst)
            worst = max(worst, error(table(places), exact))
            if worst <= 1.0:
                return replace(table, error=worst)
        merged = np.empty((len(y), 2 * points - 1))
        merged[:, ::2], merged[:, 1::2] = y, between
        points, y = 2 * points - 1, merged
    return None


def looked_at(function: Any, low: float, high: float) -> NDArray[np.float64] | None:
    """Where a function of one input has to be right: an even grid, one by decades, random points, and the `kinks` and `bends` of a network.

    The random points are drawn anew for every network, and the same for one network at any time. None of a network with more than `POINTS`.
    """
    even = np.linspace(low, high, GRID)
    least = low if low > 0 else 1e-9 * high
    decades = np.geomspace(least, high, GRID) if high > 0 and low >= 0 else even[:0]
    random = np.random.default_rng(_seed(function)).random((2, GRID))
    drawn = [low + (high - low) * random[0], least * (high / least) ** random[1] if decades.size else even[:0]]
    grid = np.unique(np.clip(np.concatenate([even, decades, *drawn]), low, high))
    if not isinstance(function, Program):
        return grid
    if _too_much(function, grid.size):
        return None
    for find in (kinks, bends, kinks):
        found = find(function, grid)
        if found is None:
            return None
        grid = np.unique(np.concatenate([grid, found]))
    return np.concatenate([grid, 0.5 * (grid[1:] + grid[:-1])])


def _too_much(program: Program, points: int) -> bool:
    """Whether so many points of a network take too much memory, or too long."""
    return program.breadth * points > NUMBERS or program.weights.size * points > WORK


def _seed(function: Any) -> int:
    if not isinstance(function, Program):
        return 0
    return int.from_bytes(hashlib.sha256(repr(function.structure).encode() + function.weights.tobytes()).digest()[:8], "big")


def kinks(program: Program, grid: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Points on both sides of every kink and step of a network of one input that changes a sign between points of a grid."""
    exact, known = replace(program, weights=program.weights.astype(float)), grid
    for _ in range(LAYERS):
        found = _crossings(exact, known)
        if found is None:
            return None
        merged = np.unique(np.concatenate([known, found]))
        if len(merged) == len(known):
            break
        known = merged
    return np.setdiff1d(known, grid)


def _crossings(program: Program, grid: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The neighbouring numbers between which something that a network turns at changes its sign, by bisection."""

    def turns(x: NDArray[np.float64]) -> NDArray[np.bool_]:
        seen: list[Any] = []
        evaluate(program, x[None], turns=seen)
        return np.concatenate([s < 0.0 for s in seen]) if seen else np.zeros((0, x.size), bool)

    below = turns(grid)
    row, place = np.nonzero(below[:, 1:] != below[:, :-1])
    a, b, sign = grid[place], grid[place + 1], below[row, place]
    if len(a) > POINTS // 2 or _too_much(program, len(a)) or 64 * len(a) * program.weights.size > WORK:
        return None
    for _ in range(64):
        x = 0.5 * (a + b)
        inside = (a < x) & (x < b)
        if not inside.any():
            break
        same = turns(x)[row, np.arange(len(x))] == sign
        a, b = np.where(inside & same, x, a), np.where(inside & ~same, x, b)
    return np.concatenate([a, b])


def bends(program: Program, grid: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Points between those of a grid at which some operation of a network of one input turns, in double precision; see above."""
    exact = replace(program, weights=program.weights.astype(float))

    def operations(x: NDArray[np.float64]) -> NDArray[np.float64]:
        seen: list[Any] = []
        evaluate(exact, x[None], seen)
        return np.concatenate(seen)

    a, b, found, count = grid[:-1], grid[1:], [], 0
    at = operations(grid)
    first, last = at[:, :-1], at[:, 1:]
    for _ in range(ROUNDS):
        if _too_much(exact, count + len(a)):
            return None
        x = 0.5 * (a + b)
        halfway = operations(x)
        size = np.maximum(np.maximum(np.abs(first), np.abs(last)), np.abs(halfway))
        with np.errstate(all="ignore"):
            straight = np.abs(halfway - 0.5 * (first + last)) <= STRAIGHT * size + LEVEL
        inner = (a < x) & (x < b)
        found.append(x[inner])
        count += int(inner.sum())
        on = ~straight.all(axis=0) & inner
        if count > POINTS:
            return None
        if not on.any():
            break
        a, b = np.concatenate([a[on], x[on]]), np.concatenate([x[on], b[on]])
        first, last = (np.concatenate(pair, axis=1) for pair in ((first[:, on], halfway[:, on]), (halfway[:, on], last[:, on])))
    return np.concatenate(found)


def _sampled(
    call: Callable[..., Any], low: float, high: float, shift: float, count: int, logarithmic: bool, points: int = 0
) -> NDArray[np.float64]:
    """The function at `count` of `points` even spacings, shifted by a share of a spacing."""
    share = (np.arange(count) + shift) / ((points or count) - 1)
    x = np.exp(math.log(low) + share * math.log(high / low)) if logarithmic else low + share * (high - low)
    return np.atleast_2d(np.asarray(call(np.clip(x, low, high)), float))
