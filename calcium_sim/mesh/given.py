"""What a description is given: names, numbers with units, tables by name. One line where it is something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InputError, shown
from ..units import value


def named(given: Any, where: str, example: str) -> str:
    """A name as it is."""
    if not (isinstance(given, str) and given):
        raise InputError(where, f"{shown(given)} is no name (e.g. '{example}')")
    return given


def positive(given: Any, where: str, unit: str, *, zero: bool = False) -> float:
    """A quantity as a number in `unit`, above zero; with `zero` it may be zero, which needs no unit."""
    number = value(given, unit, where, zero=zero)
    if number < 0 or not (number or zero):
        raise InputError(where, f"{number:g} {unit} must be {'>= 0' if zero else '> 0'}")
    return number


def ordered(low: float, high: float, where: str) -> tuple[float, float]:
    """A lower and an upper limit [um], refused where they are the other way round."""
    if low > high:
        raise InputError(where, f"{low:g} um to {high:g} um: the limits are swapped (the lower one comes first)")
    return low, high


def by_region(given: Any, where: str, unit: str) -> dict[str, float]:
    """One number per region."""
    if not isinstance(given, Mapping):
        raise InputError(where, f"{shown(given)} is not a table, expected one value per region (e.g. {{'cytosol': ...}})")
    return {named(r, where, "cytosol"): positive(v, f"{where}.{r}", unit, zero=True) for r, v in given.items()}
