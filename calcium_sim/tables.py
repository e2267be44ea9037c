"""Tables instead of networks: functions of one input, sampled as finely as a tolerance asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .network import Program, evaluate

FEWEST, MOST = 65, 2**20 + 1


@dataclass(frozen=True)
class Table:
    """Values (points, outputs) at even spacings of x from `low` to `high`, or of log x; between them linear, beyond them constant.

    `error` is the largest error found halfway between points, in units of the tolerance.
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
        from .kernels.table import table_sweep

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
    Table, or None where about a million points are not enough (a jump, or noise of the precision of the arithmetic).
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (logarithmic and low <= 0):
        raise InputError("table", f"range [{low:g}, {high:g}] cannot be tabulated{' by decades' if logarithmic else ''}")
    call = (lambda x: evaluate(function, x[None])) if isinstance(function, Program) else function
    points, y = FEWEST, _sampled(call, low, high, 0.0, FEWEST, logarithmic)
    allowed = np.array([tolerance[min(k, len(tolerance) - 1)] for k in range(len(y))])
    while points <= MOST:
        between = _sampled(call, low, high, 0.5, points - 1, logarithmic, points)
        limit = allowed[:, :1] + allowed[:, 1:] * np.abs(between)
        with np.errstate(all="ignore"):
            error = float(np.max(np.abs(0.5 * (y[:, 1:] + y[:, :-1]) - between) / limit))
        if error <= 1.0:
            values = np.ascontiguousarray(y.T)
            values.flags.writeable = False
            return Table(float(low), float(high), values, logarithmic, error)
        merged = np.empty((len(y), 2 * points - 1))
        merged[:, ::2], merged[:, 1::2] = y, between
        points, y = 2 * points - 1, merged
    return None


def _sampled(
    call: Callable[..., Any], low: float, high: float, shift: float, count: int, logarithmic: bool, points: int = 0
) -> NDArray[np.float64]:
    """The function at `count` of `points` even spacings, shifted by a share of a spacing."""
    share = (np.arange(count) + shift) / ((points or count) - 1)
    x = np.exp(math.log(low) + share * math.log(high / low)) if logarithmic else low + share * (high - low)
    return np.atleast_2d(np.asarray(call(np.clip(x, low, high)), float))
