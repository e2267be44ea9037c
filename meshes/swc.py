"""Reconstructed neurons: a tree of cones with a coaxial ER, from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, file_path, nearest, shown, warn
from ..mesh import Floats, Mesh
from ..units import number_in, value
from .gaps import filled, told_of_gaps, without_cylinders
from .inputs import length as positive_length
from .inputs import refuse_huge
from .points import SOMA, Points, Wanted, prepared, segment_lengths
from .soma import one_point_soma
from .swc_text import read_swc
from .tree import Tree, without_idle

EXAMPLES = {"granule-cell": "granule_cell_gc2.swc"}


def swc_files() -> tuple[str, ...]:
    """Return the names of the morphologies that come with the package, for `example`."""
    return tuple(EXAMPLES)


def example(name: str) -> Path:
    """Return the path of a morphology that comes with the package, e.g. ``example("granule-cell")``."""
    if not (isinstance(name, str) and name in EXAMPLES):
        raise InputError("example", f"unknown morphology {shown(name)}{nearest(name, EXAMPLES)}; there are {', '.join(EXAMPLES)}")
    return Path(__file__).parent / "data" / EXAMPLES[name]


def from_morphology(
    path: str | Path,
    spacing: Any,
    er_fraction: Any = 0.17,
    *,
    er_radius: Callable[[float], float] | None = None,
    unit: Any = None,
    min_radius: Any = None,
    trees: str | None = None,
    gaps: str = "cylinders",
) -> Mesh:
    """Build the mesh of a neuron from a file: SWC, Neurolucida ASC or HDF5 (read by morphio), or NeuroML2.

    Every segment is a cone between two points. The nodes are the root, branch points, ends, changes of type, and points at equal
    distances in between, about `spacing` apart; a control volume reaches half way to its neighbours. Volumes, membrane areas and
    conductances are integrated exactly through all points of the file, so that total volume and area do not depend on `spacing`.

    The ER is a coaxial tube in every neurite and in the soma (such files say nothing about it): by default 17 % of the cross-section
    everywhere, a radius of 0.41 of the neurite's.

    A soma of one point is a cylinder as long as wide (its lateral area is that of the sphere) and one node; the three-point convention
    of NeuroMorpho.Org (two more points at a distance of one radius) means the same. A soma that is drawn as an outline, or as several in
    a stack (thin lines of soma points that come back to their start, exactly or nearly, in any plane), becomes such a point as well, and
    the root: at the centre of the largest outline, with the radius of the circle of the same area; a warning says so. Any other soma of
    several points is a chain of cones. A neurite whose first point is a child of a soma point starts at that point, or, if the point lies
    outside of the soma's radius R, with a cylinder that reaches back to the surface; it is joined to the soma's node through a length R of
    the soma's cross-section. Cylinders that make more than 1 % of the neurites are told: a note of the mesh for SWC, else a warning.

    In NeuroML every segment is a cone from its own beginning, which may be a place along its parent, and the cell holds the sum of them
    (and the rings where radii step, see below): a neurite that leaves the soma begins there with the diameter that it has there, and
    where a segment begins off its parent, nothing is put in between; a warning says how far. A segment without length alone is a soma
    of one point. Types come from groups (by ``neuroLexId``, else by names such as soma_group, axon, apical_dends; a name that speaks of
    several, as dends_and_soma, says nothing), else from the names of the segments.

    A point that lies on its parent adds no length and no volume: the radius steps there. The ring of the step is part of the membrane,
    but not where a branch begins with a radius of its own. Tips without length are left out.

    Parameters
    ----------
    path : file; ``.asc``, ``.h5``, ``.nml`` and ``.xml`` say the format, anything else is SWC.
    spacing : distance of nodes along an unbranched section (adjusted to a whole number of pieces).
    er_fraction : part of the cross-section taken by the ER; None for no ER.
    er_radius : instead of `er_fraction`: function of the neurite's radius [um] that returns the ER's [um]; linear between the points.
    unit : what one unit of the file is, um by default: ``"nm"``, a length such as ``"8 nm"`` (voxels), or the number of um.
    min_radius : length to which smaller radii, and those that are 0 or negative for "not known", are raised.
    trees : which one to take of a file that holds several: "soma" (the one with the soma) or "largest" (the longest).
    gaps : what lies between the soma and a neurite that begins outside of it: "cylinders" that reach back to the surface, or "nothing", as
        in NEURON and Arbor (for comparisons: areas and spike times are then the same).

    Returns
    -------
    Mesh
        Regions "cytosol" and "er"; membranes "plasma" and "er"; `Columns` structure in Hines order; ``distance`` is the path length from
        the root. Labels (in both regions): "soma", "axon", "basal", "apical", "dendrite" (basal or apical), "type-<n>" for other types,
        "tips", and "section-<k>" for the unbranched sections in depth-first order. Faces: "tip-<k>", the cytosol's cross-section at
        the ends, in the order of the nodes.

    Raises
    ------
    InputError
        If the file cannot be read or is not one tree with positive radii below 1 cm, or the ER does not fit into the neurite. Where an
        argument mends that, the message names it.

    Warns
    -----
    UserWarning
        If the soma is drawn as outlines, stays a chain of cones that hold far less than a body as wide as its points, is not at the root,
        or is missing; if neurites begin off the soma or their parent; if the file seems not to be in um, or is written in a way that could
        mean something else; if points are left out.
    """
    return _built("from_morphology", path, spacing, er_fraction, er_radius, unit, min_radius, trees, gaps)


def from_swc(
    path: str | Path,
    spacing: Any,
    er_fraction: Any = 0.17,
    *,
    er_radius: Callable[[float], float] | None = None,
    unit: Any = None,
    min_radius: Any = None,
    trees: str | None = None,
    gaps: str = "cylinders",
) -> Mesh:
    """Build the mesh of a neuron from an SWC file; the same as `from_morphology`, where arguments and rules are described."""
    return _built("from_swc", path, spacing, er_fraction, er_radius, unit, min_radius, trees, gaps)


def _built(
    builder: str,
    path: str | Path,
    spacing: Any,
    er_fraction: Any,
    er_radius: Callable[[float], float] | None,
    unit: Any,
    min_radius: Any,
    trees: str | None,
    gaps: str,
) -> Mesh:
    step = positive_length(spacing, f"{builder}.spacing")
    wanted = Wanted.checked(builder, unit, min_radius, trees)
    points = without_idle(one_point_soma(prepared(read_points(file_path(path, f"{builder}.path")), wanted)))
    soma = points.type == SOMA
    if soma.any() and not soma[points.parent < 0].all():
        points = points.warned(f"{points.file}: the root is not part of the soma, so the soma is taken as cones like a neurite")
    points = without_cylinders(points) if filled(gaps, builder) == "nothing" else told_of_gaps(points)
    for told in points.told:
        warn(told)
    inner = _er_radii(points, er_fraction, er_radius, builder)
    refuse_huge(segment_lengths(points).sum() / step, f"{builder}.spacing")
    tree = Tree(points, inner, step)
    tree.build()
    return tree.mesh()


def read_points(path: Path) -> Points:
    """Read the points of a morphology as they stand in the file, by the ending of its name."""
    ending = path.suffix.lower()
    if ending in (".asc", ".h5"):
        from .morphio_file import read_morphio

        return read_morphio(path)
    if ending in (".nml", ".xml"):
        from .neuroml_file import read_neuroml

        return read_neuroml(path)
    return read_swc(path)


def _er_radii(points: Points, fraction: Any, function: Callable[[float], float] | None, builder: str) -> Floats | None:
    if function is None:
        if fraction is None:
            return None
        part = value(fraction, "1", f"{builder}.er_fraction")
        if not 0 < part < 1:
            raise InputError(
                f"{builder}.er_fraction", f"{part:g} must lie between 0 and 1 (part of the cross-section), or be None for no ER"
            )
        return points.radius * np.sqrt(part)
    where = f"{builder}.er_radius"
    if not callable(function):
        raise InputError(where, f"{shown(function)} is not a function of the neurite's radius in um (e.g. lambda r: r / 2)")
    inner = np.array([_inner_radius(function, float(r), where) for r in points.radius])
    wrong = np.flatnonzero(~((inner > 0) & (inner < points.radius)))
    if len(wrong):
        k = int(wrong[0])
        raise InputError(
            where,
            f"gives {inner[k]:g} um for a radius of {points.radius[k]:g} um ({points.at(k)}); it must lie between 0 and that",
        )
    return inner


def _inner_radius(function: Callable[[float], float], radius: float, where: str) -> float:
    try:
        found = function(radius)
    except Exception as error:
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(where, f"the function fails at a radius of {radius:g} um: {told}") from error
    return number_in(found, "um", where)
