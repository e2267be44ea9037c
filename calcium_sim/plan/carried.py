"""What one unit of a channel's flux carries: moles of each species, and charge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..plugin import Channel
from ..plugin.ions import CURRENT, MOLAR, PER_MOLE, charge_moved
from ..units import value


@dataclass(frozen=True)
class Carried:
    """Per unit of flux from `across[0]` to `across[1]`: species [uM um/ms] and charge [pA/um^2]; one from the other, by one constant."""

    moves: Mapping[str, float]
    charge: float


def carried(cls: type[Channel]) -> Carried:
    """What a channel class carries."""
    charges = charge_moved(cls.moves)
    if cls.flux_unit == MOLAR:
        return Carried({s: float(count) for s, count in cls.moves.items()}, PER_MOLE * charges)
    current = float(value(f"1 {cls.flux_unit}", CURRENT, cls.label()))
    return Carried({s: count * current / (PER_MOLE * charges) for s, count in cls.moves.items()}, current)
