"""Meshes: one frozen finite-volume structure, places in it, and values that differ from place to place."""

from __future__ import annotations

from .mesh import OUTSIDE as OUTSIDE
from .mesh import Axisymmetric as Axisymmetric
from .mesh import Columns as Columns
from .mesh import Face as Face
from .mesh import Floats as Floats
from .mesh import Membrane as Membrane
from .mesh import Mesh as Mesh
from .mesh import Nodes as Nodes
from .mesh import path_to as path_to
from .mesh import within as within
