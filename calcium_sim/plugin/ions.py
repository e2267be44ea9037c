"""Charges of ions, and what connects moles with charge."""

from __future__ import annotations

from collections.abc import Mapping

FARADAY = 96485.0
"""Faraday constant [C/mol]."""

CHARGES = {"ca": 2, "ba": 2, "sr": 2, "mg": 2, "na": 1, "k": 1, "h": 1, "cl": -1}
"""Elementary charges of an ion, by the name of its species."""

MOLAR, CURRENT = "uM*um/ms", "pA/um^2"
"""What a flux of moles and what one of charge are counted in."""

PER_MOLE = 1e-6 * FARADAY
"""Current density [pA/um^2] of a flux of one elementary charge per molecule of 1 uM um/ms."""


def charge_moved(moves: Mapping[str, float]) -> float:
    """Elementary charges that one unit of a flux of moles carries."""
    return float(sum(count * CHARGES.get(species, 0) for species, count in moves.items()))
