"""Tables of a quantity against the time: pairs, or two columns, with units, joined by straight lines."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import InputError, shown
from ..mesh import Floats
from ..units import value

FILES = (".csv", ".txt", ".dat", ".tsv")
"""Endings of files of two columns."""

SLOPE = 1e-9
"""Slopes that differ by less than this part of the larger one are one."""


SHORT = 8
"""Points of a table that is written in full."""


class Table(tuple[tuple[float, float], ...]):
    """Pairs of time [ms] and a value that have been checked."""

    def __repr__(self) -> str:
        return repr(tuple(self)) if len(self) <= SHORT else f"a table of {len(self)} points until {self[-1][0]:g} ms"

    def at(self, t: float) -> float:
        """The value at a time [ms]: on straight lines, held at the ends."""
        return float(np.interp(t, *self._columns))

    def jumps(self) -> Iterator[tuple[float, float]]:
        """Times at which it jumps, and the values to which."""
        yield from ((late, v) for (early, _), (late, v) in pairwise(self) if late == early)

    def kinks(self) -> Floats:
        """Times at which it jumps or its slope changes, its two ends among them where it is not level there."""
        times, values = self._columns
        h, rise = np.diff(times), np.diff(values)
        slope = np.concatenate([[0.0], np.divide(rise, h, out=np.where(rise == 0.0, 0.0, np.inf), where=h > 0), [0.0]])
        early, late = slope[:-1], slope[1:]
        jumps = np.isinf(early) | np.isinf(late)
        with np.errstate(invalid="ignore"):
            turns = np.abs(late - early) > SLOPE * np.maximum(np.abs(early), np.abs(late))
        return np.unique(times[turns | jumps])

    def largest(self) -> float:
        """The largest value, whatever its sign."""
        return float(np.abs(self._columns[1]).max())

    def grounded(self) -> Table:
        """The same, beginning and ending at 0, where it jumps if it has to."""
        first, last = ([(t, 0.0)] if v else [] for t, v in (self[0], self[-1]))
        return Table([*first, *self, *last])

    @cached_property
    def sums(self) -> Floats:
        """Integrals up to each of its times."""
        times, values = self._columns
        return np.concatenate([[0.0], np.cumsum(0.5 * (values[1:] + values[:-1]) * np.diff(times))])

    def columns(self) -> tuple[Floats, Floats]:
        """Times and values."""
        return self._columns

    @cached_property
    def _columns(self) -> tuple[Floats, Floats]:
        times, values = np.array(self).T.copy()
        return times, values


def table_of(given: Any, unit: str, where: str, what: str, expected: str) -> Table:
    """A table from pairs or two columns.

    Parameters
    ----------
    given : pairs of quantities, or two columns.
    unit : of the values; times are in ms.
    where : how errors name it.
    what : what the values are ("potential").
    expected : how a message says what may be given.

    Raises
    ------
    InputError
        If it is something else, or its times decrease.
    """
    rows = list(given)

    def columns(times: Any, values: Any) -> tuple[Floats, Floats]:
        t, v = column(times, "ms", where, "times", expected), column(values, unit, where, f"{what}s", expected)
        if len(t) != len(v):
            raise InputError(where, f"{len(t)} times and {len(v)} {what}s, expected as many of each")
        return t, v

    def pairs() -> tuple[Floats, Floats]:
        try:
            found = [(t, v) for t, v in rows]
        except (TypeError, ValueError):
            raise InputError(where, f"{shown(rows)} is no table, {expected}") from None
        return columns([t for t, _ in found], [v for _, v in found])

    try:
        times, values = columns(*rows) if len(rows) == 2 and all(map(_long, rows)) else pairs()
    except InputError:
        if len(rows) != 2 or not all(isinstance(row, (list, tuple)) for row in rows):
            raise
        times, values = columns(*rows)  # two lists of two
    if len(times) < 2 or (np.diff(times) < 0).any():
        raise InputError(where, f"needs at least two (time, {what}) pairs with times that do not decrease")
    return Table(zip(times.tolist(), values.tolist(), strict=True))


def _long(column: Any) -> bool:
    """Whether this is a column rather than a pair."""
    if isinstance(column, (list, tuple)):
        return len(column) != 2
    return getattr(getattr(column, "magnitude", column), "ndim", 0) == 1


def column(given: Any, unit: str, where: str, what: str, expected: str) -> Floats:
    """A column in `unit`: an array with one unit, or quantities one by one."""
    if hasattr(given, "units"):
        one = value(type(given)(1.0, given.units), unit, where)
        numbers = np.asarray(given.magnitude, float) * one if one >= 1 else np.asarray(given.magnitude, float) / round(1 / one, 9)
    elif isinstance(given, np.ndarray) and given.dtype.kind in "biufc":
        raise InputError(where, f"{what} have no unit, {expected}")
    else:
        numbers = np.array([value(v, unit, where) for v in given])
    if not np.isfinite(numbers).all():
        raise InputError(where, f"{np.count_nonzero(~np.isfinite(numbers))} of {len(numbers)} values are not finite")
    return numbers
