"""Mesh builders: each returns a calcium_sim.mesh.Mesh. Importing this package needs numpy only; morphio and scipy come with first use."""

if __name__ == "meshes":
    raise ImportError("import calcium_sim.meshes instead of the folder meshes")

from .neurites import neurite as neurite
from .simplices import from_simplices as from_simplices
from .swc import example as example
from .swc import from_morphology as from_morphology
from .swc import from_swc as from_swc
from .swc import swc_files as swc_files
from .wellmixed import well_mixed as well_mixed

__all__ = ["example", "from_morphology", "from_simplices", "from_swc", "neurite", "swc_files", "well_mixed"]
