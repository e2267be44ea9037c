"""Voltage-clamp recordings: checked times, commands and currents, from arrays, datasets or files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError, shown, warn
from ...mesh import Floats
from ..fit.files import UNITS, columns, dataset, factor, found

JUMP, AFTER = 10.0, 5.0
"""A jump of the command by more than this [mV] leaves a capacitive transient: so many ms after it are left out."""
FEWEST, MOST = 50, 2_000_000
"""Samples."""
LOST = 0.01
"""Share of potentials that may be missing."""
FORM = "expected times [ms], potentials [mV] and currents [nA]: three arrays, a dataset or file with time, V and I, or a ClampRecording"
INSIDE = {"time": "ms", "V": "mV", "I": "nA"}
NAMES = {"time": ("time", "t"), "V": ("V", "v", "voltage", "command"), "I": ("I", "i", "current")}


@dataclass(frozen=True, eq=False)
class ClampRecording:
    """A voltage-clamp recording.

    Attributes
    ----------
    time : of the samples [ms], ascending.
    voltage : command [mV]; it has no gaps.
    current : recorded [nA], outward positive; NaN where there is none.
    name : how it is called.
    used : samples that are fitted: those with a current, none within 5 ms after a jump of the command of more than 10 mV.
    """

    time: Floats
    voltage: Floats
    current: Floats
    name: str
    used: NDArray[np.bool_]

    @classmethod
    def of(
        cls, time: ArrayLike, voltage: ArrayLike, current: ArrayLike, name: str = "recording", *, jump: float = JUMP, after: float = AFTER
    ) -> ClampRecording:
        """Check columns and make a recording of them.

        Parameters
        ----------
        time, voltage, current : of the samples, in ms, mV and nA.
        name : for messages.
        jump, after : a change of the command between two samples by more than `jump` [mV] begins `after` ms that are left out.

        Raises
        ------
        InputError
            If columns differ in length, times do not ascend, or too many potentials are missing.
        """
        t, v, i = (_column(c, f"{name}.{part}") for c, part in ((time, "time"), (voltage, "V"), (current, "I")))
        if not len(t) == len(v) == len(i):
            raise InputError(name, f"has {len(t)} times, {len(v)} potentials and {len(i)} currents, expected as many of each")
        if not FEWEST <= len(t) <= MOST:
            fix = "average neighbours" if len(t) > MOST else "record longer"
            raise InputError(name, f"has {len(t)} samples, expected {FEWEST} to {MOST} ({fix})")
        if not np.isfinite(t).all() or not (np.diff(t) > 0).all():
            raise InputError(f"{name}.time", "does not ascend, expected times in ms, one per sample")
        v = _without_gaps(t, v, name)
        known = np.isfinite(i)
        used = known & ~_after_jumps(t, v, jump, after)
        if used.sum() < FEWEST:
            raise InputError(f"{name}.I", f"{used.sum()} currents are left, expected at least {FEWEST} (NaN, or too near to jumps)")
        return cls(t, v, i, name, used)

    def leaving_out(self, after: float, jump: float = JUMP) -> ClampRecording:
        """The same with another time [ms] left out behind jumps of more than `jump` [mV]."""
        return ClampRecording.of(self.time, self.voltage, self.current, self.name, jump=jump, after=after)

    @property
    def interval(self) -> float:
        """Usual time between samples [ms]."""
        return float(np.median(np.diff(self.time)))

    def noise(self) -> float:
        """Standard deviation of the noise of the current [nA], from differences of neighbours."""
        both = self.used[1:] & self.used[:-1]
        return float(np.median(np.abs(np.diff(self.current)[both]))) / 0.6745 / np.sqrt(2.0) if both.any() else 0.0


def recordings_of(given: Any, unit: str = "nA", after: float | None = None) -> tuple[ClampRecording, ...]:
    """What was given as recordings: one, or a sequence of them.

    Raises
    ------
    InputError
        If there is none, or one is none.
    """
    if unit not in UNITS["nA"]:
        raise InputError("current_unit", f"{shown(unit)}, expected one of {', '.join(UNITS['nA'])}")
    one = isinstance(given, (str, os.PathLike, ClampRecording, Mapping)) or hasattr(given, "data_vars") or _is_columns(given)
    rows = [given] if one else list(given) if isinstance(given, Sequence) else []
    if not rows:
        raise InputError("recordings", f"{shown(given)} are no recordings, {FORM}")
    found = [recording for k, row in enumerate(rows) for recording in _each(row, unit, f"recordings[{k}]")]
    if sum(len(r.time) for r in found) > MOST:
        raise InputError("recordings", f"have {sum(len(r.time) for r in found)} samples, expected at most {MOST} (average neighbours)")
    return tuple(found if after is None else [r.leaving_out(after) for r in found])


def recording_of(given: Any, unit: str = "nA", name: str = "recording", after: float | None = None) -> ClampRecording:
    """One recording; `unit` is that of currents that do not tell it, `after` [ms] is left out behind jumps, as it comes by default."""
    found = _each(given, unit, name)
    if len(found) != 1:
        raise InputError(found[0].name, f"the first of {len(found)} sweeps, expected one recording (take one: data.isel(sweep=0))")
    return found[0] if after is None else found[0].leaving_out(after)


def _each(given: Any, unit: str, name: str) -> list[ClampRecording]:
    """The sweeps of what was given."""
    if isinstance(given, ClampRecording):
        return [given]
    if isinstance(given, (str, os.PathLike)):
        return _read(given, unit)
    if hasattr(given, "data_vars"):
        return _of_dataset(given, unit, name)
    if isinstance(given, Mapping):
        return [_of_table(given, unit, name)]
    if _is_columns(given):
        return [ClampRecording.of(given[0], given[1], _column(given[2], f"{name}.I") * UNITS["nA"][unit], name)]
    raise InputError(name, f"{shown(given)} is no recording, {FORM}")


def _is_columns(given: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 3 and all(np.ndim(c) == 1 and not hasattr(c, "data_vars") for c in given)


def _read(path: str | os.PathLike[str], unit: str) -> list[ClampRecording]:
    where = found(path, "recordings")
    if where.suffix.lower() == ".nc":
        return _of_dataset(dataset(where), unit, where.name)
    t, v, i = columns(where, (3,), "three: time [ms], potential [mV], current").T
    return [ClampRecording.of(t, v, i * UNITS["nA"][unit], where.name)]


def _of_dataset(data: Any, unit: str, name: str) -> list[ClampRecording]:
    parts, factors = {}, {}
    for part, words in NAMES.items():
        word = next((w for w in words if w in data.variables), None)
        if word is None:
            raise InputError(name, f"has no {part}, there are {', '.join(map(str, data.variables)) or 'no variables'}; {FORM}")
        parts[part] = data[word]
        factors[part] = factor(data[word].attrs, INSIDE[part], unit if part == "I" else INSIDE[part], f"{name}.{part}")
    over = parts["time"].dims
    sweeps = [d for d in parts["I"].dims if d not in over] if len(over) == 1 else []
    if len(sweeps) > 1:
        raise InputError(name, f"the current has the dimensions {', '.join(map(str, parts['I'].dims))}, expected sweeps and time")
    count = parts["I"].sizes[sweeps[0]] if sweeps else 1
    out = []
    for k in range(count):
        one = {p: c.isel({sweeps[0]: k}) if sweeps and sweeps[0] in c.dims else c for p, c in parts.items()}
        t, v, i = (_column(c.values, f"{name}.{p}") * factors[p] for p, c in one.items())
        out.append(ClampRecording.of(t, v, i, f"{name}[{k}]" if count > 1 else name))
    return out


def _of_table(data: Mapping[Any, Any], unit: str, name: str) -> ClampRecording:
    missing = [part for part, words in NAMES.items() if not any(w in data for w in words)]
    if missing:
        raise InputError(name, f"has no {', '.join(missing)}, there are {', '.join(map(str, data)) or 'no columns'}; {FORM}")
    t, v, i = (next(data[w] for w in words if w in data) for words in NAMES.values())
    return ClampRecording.of(t, v, _column(i, f"{name}.I") * UNITS["nA"][unit], name)


def _column(given: Any, where: str) -> Floats:
    part = where.rpartition(".")[2]
    unit = INSIDE[part]
    try:
        column = np.array(given.to(unit).magnitude if hasattr(given, "magnitude") else given, float)
    except Exception:
        raise InputError(where, f"{shown(given)} are no numbers in {unit}") from None
    if column.ndim != 1:
        raise InputError(where, f"has shape {column.shape}, expected one row of numbers in {unit} (one sweep)")
    return column


def _without_gaps(t: Floats, v: Floats, name: str) -> Floats:
    lost = ~np.isfinite(v)
    if not lost.any():
        return v
    if lost.mean() > LOST:
        raise InputError(f"{name}.V", f"{lost.sum()} of {len(v)} potentials are not finite (give the command of every sample)")
    warn(f"{name}: {lost.sum()} potentials are missing, they are taken from straight lines between their neighbours")
    return np.where(lost, np.interp(t, t[~lost], v[~lost]), v)


def _after_jumps(t: Floats, v: Floats, jump: float, after: float) -> NDArray[np.bool_]:
    """Samples within `after` ms of the middle between two samples that are more than `jump` mV apart."""
    out = np.zeros(len(t), bool)
    for k in np.flatnonzero(np.abs(np.diff(v)) > jump):
        begin = 0.5 * (t[k] + t[k + 1])
        out[k + 1 : np.searchsorted(t, begin + after * (1.0 - 1e-9))] = True
    return out
