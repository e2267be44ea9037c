"""The description of a cell: species, buffers, channels on membranes, stimuli, the potential. Frozen data with units."""

from __future__ import annotations

from .model import Buffer as Buffer
from .model import Model as Model
from .model import Species as Species
from .model import direction as direction
from .model import nodes_of as nodes_of
from .model import resolve_side as resolve_side
