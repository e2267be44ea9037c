"""Training of learned channels: data, the fit and its result, and a folder for each kind of network; `gates` for tables of one gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .voltage_gates import GateTables as GateTables
    from .voltage_gates import fit_gates as fit_gates

_NAMES = ("GateTables", "fit_gates")

if not TYPE_CHECKING:  # else every misspelt name would be one

    def __getattr__(name: str) -> Any:
        """Import what fits gates when it is first asked for."""
        if name in _NAMES:
            from . import voltage_gates

            return getattr(voltage_gates, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
