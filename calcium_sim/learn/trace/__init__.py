"""Networks fitted through the equation of a cell: gates from a recording of the potential, and a neuron as one compartment."""

from __future__ import annotations

from .compartment import reduce as reduce
from .fit import fit_trace as fit_trace
from .recording import Recording as Recording
from .recording import read_recording as read_recording
from .reduction import Reduction as Reduction
from .result import TraceFit as TraceFit
