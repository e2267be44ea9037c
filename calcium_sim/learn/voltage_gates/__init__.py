"""Gates that depend on the potential, learned from tables of their steady values and time constants, thousands at a time."""

from __future__ import annotations

from .fit import GateTables as GateTables
from .fit import fit_gates as fit_gates
