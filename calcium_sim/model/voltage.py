"""The membrane potential of a description: a number, a table of times and potentials, or a function of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..description.fixed import told
from ..errors import InputError, shown
from ..mesh import Floats
from ..mesh.places import function_name
from ..units import value

EXPECTED = (
    "expected a potential (e.g. '-70 mV'), a function of the time in ms that returns mV, pairs of time and potential, or two arrays "
    "with units (times * u.ms, potentials * u.mV)"
)

FILES = (".csv", ".txt", ".dat", ".tsv")
"""Endings of files of two columns."""


class Table(tuple[tuple[float, float], ...]):
    """Pairs of time [ms] and potential [mV] that have been checked."""

    def at(self, t: float) -> float:
        """The potential [mV] at a time [ms]: on straight lines, held at the ends."""
        return float(np.interp(t, *self._columns))

    def jumps(self) -> Iterator[tuple[float, float]]:
        """Times at which it jumps, and the potentials to which."""
        yield from ((late, v) for (early, _), (late, v) in pairwise(self) if late == early)

    @cached_property
    def _columns(self) -> tuple[Floats, Floats]:
        times, potential = np.array(self).T.copy()
        return times, potential


def checked(given: Any, expected: str = EXPECTED) -> float | Table | Callable[[float], Any] | None:
    """None, a number in mV, a table, or a function; `expected` is how a message says what may be given.

    Raises
    ------
    InputError
        If it is something else, or a table whose times decrease.
    """
    if given is None or callable(given) or isinstance(given, Table):
        return given
    if isinstance(given, (list, tuple)) or int(getattr(given, "ndim", 0)) > 0:
        return _table(given, expected)
    if isinstance(given, str) and Path(given.strip()).suffix.lower() in FILES:
        columns = f"t, v = numpy.loadtxt({given.strip()!r}, delimiter=',', unpack=True)"
        raise InputError("voltage", f"{shown(given)} is the name of a file (read it: {columns}, and give t * u.ms, v * u.mV)")
    if isinstance(given, str) or hasattr(given, "units") or isinstance(given, (bool, int, float, np.number)):
        return value(given, "mV", "voltage")
    raise InputError("voltage", f"{shown(given)} is no potential, {expected}")


def potential_name(voltage: Any) -> str:
    """A checked potential in words."""
    if isinstance(voltage, Table):
        times, potential = np.array(voltage).T
        return f"table of {len(times)} points, {potential.min():g} to {potential.max():g} mV until {times[-1]:g} ms"
    return f"a function ({name})" if (name := function_name(voltage)) else told(voltage)


def _table(given: Any, expected: str) -> Table:
    rows = list(given)
    try:
        times, potential = _arrays(*rows) if len(rows) == 2 and all(map(_long, rows)) else _pairs(rows, expected)
    except InputError:
        if len(rows) != 2 or not all(isinstance(row, (list, tuple)) for row in rows):
            raise
        times, potential = _arrays(*rows)  # two lists of two
    if len(times) < 2 or (np.diff(times) < 0).any():
        raise InputError("voltage", "needs at least two (time, potential) pairs with times that do not decrease")
    return Table(zip(times.tolist(), potential.tolist(), strict=True))


def _long(column: Any) -> bool:
    """Whether this is a column rather than a pair."""
    if isinstance(column, (list, tuple)):
        return len(column) != 2
    return getattr(getattr(column, "magnitude", column), "ndim", 0) == 1


def _pairs(rows: list[Any], expected: str) -> tuple[Floats, Floats]:
    try:
        pairs = [(t, v) for t, v in rows]
    except (TypeError, ValueError):
        raise InputError("voltage", f"{shown(rows)} is no table, {expected}") from None
    return _numbers([t for t, _ in pairs], "ms"), _numbers([v for _, v in pairs], "mV")


def _arrays(times: Any, potential: Any) -> tuple[Floats, Floats]:
    t, v = _numbers(times, "ms"), _numbers(potential, "mV")
    if len(t) != len(v):
        raise InputError("voltage", f"{len(t)} times and {len(v)} potentials, expected as many of each")
    return t, v


def _numbers(column: Any, unit: str) -> Floats:
    """A column in `unit`: an array with one unit, or quantities one by one."""
    if hasattr(column, "units"):
        one = value(type(column)(1.0, column.units), unit, "voltage")
        numbers = np.asarray(column.magnitude, float) * one if one >= 1 else np.asarray(column.magnitude, float) / round(1 / one, 9)
    elif isinstance(column, np.ndarray) and column.dtype.kind in "biufc":
        raise InputError("voltage", f"{'times' if unit == 'ms' else 'potentials'} have no unit, {EXPECTED}")
    else:
        numbers = np.array([value(v, unit, "voltage") for v in column])
    if not np.isfinite(numbers).all():
        raise InputError("voltage", f"{np.count_nonzero(~np.isfinite(numbers))} of {len(numbers)} values are not finite")
    return numbers
