"""The membrane potential of a description: a number, a table of times and potentials, or a function of the time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..description.fixed import told
from ..errors import InputError, shown
from ..mesh.places import function_name
from ..units import value
from .tables import FILES, Table, table_of

EXPECTED = (
    "expected a potential (e.g. '-70 mV'), a function of the time in ms that returns mV, pairs of time and potential, or two arrays "
    "with units (times * u.ms, potentials * u.mV)"
)


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
        return table_of(given, "mV", "voltage", "potential", expected)
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
