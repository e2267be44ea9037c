"""Checks of the numbers that a mesh builder is given: positive lengths, whole numbers of cells, a sane size."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..units import value

MOST_NODES = 200_000_000


def positive(quantity: Any, unit: str, where: str) -> float:
    """Convert a quantity to a positive float in `unit`, or raise InputError."""
    number = value(quantity, unit, where)
    if not number > 0:
        raise InputError(where, f"{number:g} {unit} must be > 0")
    return number


def length(quantity: Any, where: str) -> float:
    """Convert a length to a positive float in um, or raise InputError."""
    return positive(quantity, "um", where)


def cells(extent: float, spacing: float, where: str) -> int:
    """Whole number of equal cells of about `spacing` in `extent`, at least one.

    Only the ratio of the two lengths enters, so that scaling both by a power of two gives the same cells.
    """
    if spacing > extent:
        raise InputError(where, f"{spacing:g} um is longer than the {extent:g} um that it should divide (give a smaller spacing)")
    number = extent / spacing
    refuse_huge(number, where)
    return max(1, round(number))


def refuse_huge(number: float, where: str) -> None:
    """Raise InputError for more nodes than any run could hold (about 1 kB each)."""
    if number > MOST_NODES:
        raise InputError(where, f"gives {number:.3g} nodes, at most {MOST_NODES:.0e} are allowed (check the units: lengths are in um)")
