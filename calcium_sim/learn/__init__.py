"""Training of learned channels: data, fits and their results, a folder for each kind of network; `gates` for tables of one gate."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clamp import ClampChannel as ClampChannel
    from .clamp import ClampFit as ClampFit
    from .clamp import ClampGate as ClampGate
    from .clamp import ClampRecording as ClampRecording
    from .clamp import fit_clamp as fit_clamp
    from .clamp import nernst as nernst
    from .trace import Recording as Recording
    from .trace import Reduction as Reduction
    from .trace import TraceFit as TraceFit
    from .trace import fit_trace as fit_trace
    from .trace import read_recording as read_recording
    from .trace import reduce as reduce
    from .voltage_gates import GateTables as GateTables
    from .voltage_gates import fit_gates as fit_gates

_HOMES = {
    "voltage_gates": ("GateTables", "fit_gates"),
    "clamp": ("ClampChannel", "ClampFit", "ClampGate", "ClampRecording", "fit_clamp", "nernst"),
    "trace": ("Recording", "Reduction", "TraceFit", "fit_trace", "read_recording", "reduce"),
}

if not TYPE_CHECKING:  # else every misspelt name would be one

    def __getattr__(name: str) -> Any:
        """Import what fits when it is first asked for."""
        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{home}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
