"""Gates from a recording of the potential, fitted through the equation of the cell."""

from __future__ import annotations

from .fit import fit_trace as fit_trace
from .recording import Recording as Recording
from .recording import read_recording as read_recording
from .result import TraceFit as TraceFit
