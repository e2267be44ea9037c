"""A recording of the potential, and of the current where one was injected: checked arrays on even times, from arrays, results or files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError, shown
from ...mesh import Floats
from ..fit.files import columns, dataset, factor, found

EXPECTED = "expected (times [ms], potentials [mV]) or (times, potentials, currents [pA]), a result with v, or a Recording"
EVEN = 1e-3
"""How far a time may lie off an even grid, in intervals: times in single precision are."""
FEWEST = 20
"""Samples of a recording."""


@dataclass(frozen=True)
class Recording:
    """A current-clamp recording.

    Attributes
    ----------
    time : even times [ms].
    voltage : potentials [mV].
    current : injected, pA, positive depolarises; None where the stimuli of the model tell it.
    """

    time: Floats
    voltage: Floats
    current: Floats | None = None

    def __post_init__(self) -> None:
        for name in ("time", "voltage", "current"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, _column(given, name))
        n = len(self.time)
        for name in ("voltage", "current"):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise InputError(f"recording.{name}", f"has {len(column)} values for {n} times, expected as many of each")
        if n < FEWEST:
            raise InputError("recording.time", f"has {n} samples, expected at least {FEWEST}")
        _check_even(self.time)

    @property
    def interval(self) -> float:
        """Between samples [ms]."""
        return float(self.time[-1] - self.time[0]) / (len(self.time) - 1)

    def part(self, start: float, end: float) -> Recording:
        """What was recorded from one time [ms] to another."""
        inside = (self.time >= start - 1e-9) & (self.time <= end + 1e-9)
        if inside.sum() < FEWEST:
            span = f"{self.time[0]:g} to {self.time[-1]:g} ms"
            raise InputError("recording", f"{inside.sum()} samples from {start:g} to {end:g} ms of {span}, expected at least {FEWEST}")
        return Recording(self.time[inside], self.voltage[inside], None if self.current is None else self.current[inside])

    def noise(self) -> float:
        """Standard deviation of the noise of the potential [mV], from fourth differences: most samples of a trace lie on smooth parts."""
        differences = np.diff(self.voltage, 4)
        return float(np.median(np.abs(differences)) / 0.6745 / np.sqrt(70.0))


def recording_of(given: Any) -> Recording:
    """What was given as a recording: one, two or three columns, a table of them, or a result of one node.

    Raises
    ------
    InputError
        If it is none, its columns do not fit together, or a value is not finite.
    """
    if isinstance(given, Recording):
        return given
    if hasattr(given, "data_vars"):
        return _of_dataset(given)
    if isinstance(given, Mapping):
        if not {"time", "voltage"} <= set(given) <= {"time", "voltage", "current"}:
            raise InputError("recording", f"has {', '.join(map(str, given))}, expected time, voltage and perhaps current")
        return Recording(**given)
    if isinstance(given, (tuple, list)) and len(given) in (2, 3):
        return Recording(*given)
    raise InputError("recording", f"{shown(given)} is no recording, {EXPECTED}")


def read_recording(path: str | os.PathLike[str], sweep: int | None = None) -> Recording:
    """Read a recording from a file.

    Parameters
    ----------
    path : ``.csv`` or ``.txt`` with a column of times [ms], one of potentials [mV] and perhaps one of currents [pA] (a first line of names
        is passed over), or ``.nc``: a result of `simulate`, or variables ``voltage`` and perhaps ``current`` over ``time`` or over
        ``sweep`` and ``time``.
    sweep : which one, by its place in the file; needed where there are several.

    Raises
    ------
    InputError
        If the file is not there or holds no recording.
    """
    where = found(path, "recording")
    if where.suffix.lower() == ".nc":
        return _of_dataset(dataset(where), sweep, str(path))
    return Recording(*columns(where, (2, 3), "two or three: time [ms], potential [mV], current [pA]").T)


def _of_dataset(data: Any, sweep: int | None = None, where: str = "recording") -> Recording:
    if "v" in data:
        if data.v.sizes.get("node", 1) != 1:
            raise InputError(where, f"is a result with {data.v.sizes['node']} positions, expected one (take one: ds.v.isel(node=0))")
        return Recording(*(_scaled(data[name], unit, where) for name, unit in (("time", "ms"), ("v", "mV"))))
    if "voltage" not in data or "time" not in data.coords:
        raise InputError(where, f"has {', '.join(map(str, data.data_vars)) or 'no variables'}, expected v or voltage over time")
    if "sweep" in data.voltage.dims:
        count = data.sizes["sweep"]
        if sweep is None and count > 1:
            raise InputError(where, f"has {count} sweeps, expected one (choose it: sweep=0 is the first)")
        if not 0 <= (sweep or 0) < count:
            raise InputError(where, f"has sweeps 0 to {count - 1}, and no {sweep}")
        data = data.isel(sweep=sweep or 0)
    parts = [("time", "ms"), ("voltage", "mV"), *([("current", "pA")] if "current" in data else [])]
    return Recording(*(_scaled(data[name], unit, where) for name, unit in parts))


def _scaled(variable: Any, unit: str, where: str) -> Floats:
    """A variable in `unit`, which it is in already if it does not tell another one."""
    values = np.asarray(variable.values)
    if values.dtype.kind in "mM":
        raise InputError(
            f"{where}.{variable.name}", f"holds dates or durations, expected numbers in {unit} (open it with decode_times=False)"
        )
    return values.reshape(-1) * factor(variable.attrs, unit, unit, f"{where}.{variable.name}")


def _column(given: Any, name: str) -> Floats:
    unit = {"time": "ms", "voltage": "mV", "current": "pA"}[name]
    try:
        if hasattr(given, "units") and hasattr(given, "to"):
            given = given.to(unit).magnitude
        column = np.array(given, float)
    except Exception:
        raise InputError(f"recording.{name}", f"{shown(given)} are no numbers in {unit}") from None
    if column.ndim != 1:
        raise InputError(f"recording.{name}", f"has shape {column.shape}, expected one row of numbers in {unit}")
    if not np.isfinite(column).all():
        raise InputError(f"recording.{name}", f"{np.count_nonzero(~np.isfinite(column))} of {column.size} values are not finite")
    column.setflags(write=False)
    return column


def _check_even(time: Floats) -> None:
    steps = np.diff(time)
    if not (steps > 0).all():
        raise InputError("recording.time", "does not ascend, expected times in ms, one per sample")
    even = np.linspace(time[0], time[-1], len(time))
    off = float(np.abs(time - even).max() / (even[1] - even[0]))
    if off > EVEN:
        told = f"intervals from {steps.min():.6g} to {steps.max():.6g} ms"
        raise InputError("recording.time", f"is not even, {told} (interpolate it: numpy.interp on times that are)")
