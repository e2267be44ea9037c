"""Pulses in time: their shape, length, start, and trains of them, of whatever they bring."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from ..errors import InputError, nearest, shown
from ..mesh.given import positive

SHAPES = ("ramp-down", "square", "triangle")
FINEST = 1e-10
"""A pulse is at least this fraction of the time at which it comes: times have 16 digits, so that its amount is exact to 1e-6."""


def check_pulses(s: Any) -> None:
    """Check shape, duration, start, period and count of a stimulus, and keep them as numbers; `where` of it is how errors name it.

    Raises
    ------
    InputError
        If they are no pulses, or too short for the digits of their time.
    """
    where = s.where
    if not (isinstance(s.shape, str) and s.shape in SHAPES):
        known = f"{nearest(s.shape, SHAPES)}; there are {', '.join(SHAPES)}"
        raise InputError(f"{where}.shape", f"unknown shape {shown(s.shape)}{known}")
    object.__setattr__(s, "duration", positive(s.duration, f"{where}.duration", "ms"))
    object.__setattr__(s, "start", positive(s.start, f"{where}.start", "ms", zero=True))
    _check_train(s, where)
    check_resolved(s, s.start)


def _check_train(s: Any, where: str) -> None:
    if s.period is not None:
        period = positive(s.period, f"{where}.period", "ms")
        if period < s.duration:
            raise InputError(f"{where}.period", f"{period:g} ms is shorter than one pulse ({s.duration:g} ms)")
        if s.count is None:
            raise InputError(f"{where}.period", f"{period:g} ms without a number of pulses (give count=, or leave period out for one)")
        object.__setattr__(s, "period", period)
    count = 1 if s.count is None else s.count
    whole = isinstance(count, Integral) and not isinstance(count, bool) and 1 <= int(count) <= 2**53
    if not whole or (count > 1 and s.period is None):
        raise InputError(f"{where}.count", f"{shown(count)} pulses need a whole number >= 1 and a period")
    object.__setattr__(s, "count", int(count))


def check_resolved(s: Any, time: float) -> None:
    """Refuse a pulse that is too short for the digits of the time [ms] at which it comes."""
    if s.duration < FINEST * time:
        told = f"{s.duration:g} ms is too short for a pulse at {time:g} ms: times have 16 digits"
        fix = f"expected at least {FINEST * time:.2g} ms (bring the same amount in a longer pulse)"
        raise InputError(f"{s.where}.duration", f"{told}, {fix}")


def last_start(s: Any, end: float) -> float:
    """Time [ms] at which the last pulse begins that begins before `end`."""
    if s.period is None or end <= s.start:
        return float(s.start)
    return float(s.start + min(s.count - 1, (end - s.start) // s.period) * s.period)
