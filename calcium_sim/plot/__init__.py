"""Pictures of a result and of a cell. matplotlib is imported when one is drawn."""

from __future__ import annotations

from .pictures import arrival_map as arrival_map
from .pictures import draw as draw
from .pictures import kymograph as kymograph
from .pictures import probes as probes
from .pictures import traces as traces
