"""The points of a morphology, whatever file they come from: one tree of them chosen, checked and named before anything is built."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest, shown
from ..mesh import Floats
from ..units import is_number, to_float, value
from .inputs import length

Ints = NDArray[np.int64]
SOMA = 1
LARGEST = 1e4  # um, 1 cm
LARGEST_SAID = 1e6  # where the unit was given
SMALLEST = 1e-6  # um
NEAR = 1.5
"""Distance from the middle of the soma, in radii of the body, up to which a tree without a parent is one of its neurites."""
TREES = ("soma", "largest")
_SCALE = 'unit = "nm", or "um" if it is right'
_VOXELS = '; of voxels give the size: unit = "8 nm" for the hemibrain'


@dataclass(frozen=True)
class Points:
    """The points of a file, in its order; `parent` is an index into them, -1 at a root.

    `line` is 0 where a file has no lines of points. `apart` are points that hang on their parent though they lie off it, with no length
    or volume in between. `told` is what a person should be warned of, `notes` what the mesh says of itself.
    """

    file: str
    line: Ints
    id: Ints
    type: Ints
    position: Floats
    radius: Floats
    parent: Ints
    apart: NDArray[np.bool_]
    told: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def at(self, k: int) -> str:
        """Name a point for an error: file, line and node id."""
        if self.line[k]:
            return f"{self.file}: line {self.line[k]}, node {self.id[k]}"
        x, y, z = self.position[k]
        return f"{self.file}: point {self.id[k]} at ({x:g}, {y:g}, {z:g})"

    def warned(self, *told: str) -> Points:
        """These points with more to warn of."""
        return replace(self, told=(*self.told, *told))

    def kept(self, keep: NDArray[np.bool_], parent: Ints) -> Points:
        """Some of the points, with parents (indices into all) that are among them or -1."""
        number = np.cumsum(keep) - 1
        left = np.where(parent[keep] < 0, -1, number[parent[keep]])
        arrays = {name: getattr(self, name)[keep] for name in ("line", "id", "type", "position", "radius", "apart")}
        return replace(self, **arrays, parent=left)


def children(parent: Ints) -> list[list[int]]:
    """Return the children of every point, in the order of the file."""
    kids: list[list[int]] = [[] for _ in parent]
    for k, p in enumerate(parent):
        if p >= 0:
            kids[p].append(k)
    return kids


def downward(parent: Ints) -> list[int]:
    """Points that a root leads to, each after its parent."""
    kids = children(parent)
    order = [int(k) for k in np.flatnonzero(parent < 0)]
    for k in order:
        order += kids[k]
    return order


def segment_lengths(points: Points) -> Floats:
    """Return the length of neurite between every point and its parent [um]; 0 at the root."""
    step = points.position - points.position[np.maximum(points.parent, 0)]
    step[(points.parent < 0) | points.apart] = 0.0
    size: Floats = np.sqrt((step**2).sum(axis=1))
    return size


@dataclass(frozen=True)
class Wanted:
    """How a file is to be read: um per unit of it, whether that was given, the smallest radius [um], which of several trees."""

    builder: str
    scale: float
    said: bool
    min_radius: float
    trees: str | None

    @classmethod
    def checked(cls, builder: str, unit: Any, min_radius: Any, trees: Any) -> Wanted:
        """Read the arguments of a builder, or raise InputError."""
        least = 0.0 if min_radius is None else length(min_radius, f"{builder}.min_radius")
        if trees is not None and not (isinstance(trees, str) and trees in TREES):
            close = nearest(trees, TREES)
            raise InputError(f"{builder}.trees", f"{shown(trees)} is no choice of a tree{close}; there are {', '.join(TREES)}")
        return cls(builder, 1.0 if unit is None else _um(unit, f"{builder}.unit"), unit is not None, least, trees)


def _um(unit: Any, where: str) -> float:
    """um per unit of a file: from the name of a unit, a length, or the number itself."""
    if is_number(unit):
        number = to_float(unit)
    else:
        bare = isinstance(unit, str) and unit.strip()[:1].isalpha()
        number = value(f"1 {unit}" if bare else unit, "um", where)
    if not 0 < number < 1e9:
        raise InputError(where, f'{number:g} um per unit of the file cannot be (e.g. "nm", "8 nm", or 0.001 for um per unit)')
    return number


def prepared(points: Points, wanted: Wanted) -> Points:
    """One tree with positive radii, in um.

    Raises
    ------
    InputError
        If there is no root, a cycle, several trees of which none was chosen; a radius that is not positive; sizes above 1 cm (1 m where the
        unit was given); fewer than two points, unless a file without lines of points holds a soma alone.
    """
    points = replace(points, position=points.position * wanted.scale, radius=points.radius * wanted.scale)
    points = _one_tree(_joined(points), wanted)
    if len(points.id) < 2 and (points.line.any() or not (points.type == SOMA).any()):
        count = f"{len(points.id) or 'no'} point{'' if len(points.id) else 's'}"
        fix = " (a cell of one point is made by well_mixed)" if len(points.id) else ""
        raise InputError(points.file, f"has {count}, a morphology needs at least 2{fix}")
    points = _at_least(points, wanted.min_radius)
    _check_sizes(points, LARGEST_SAID if wanted.said else LARGEST)
    return points.warned(*_doubts(points))


def _joined(points: Points) -> Points:
    """Hang on the soma the trees that begin at it: some programs write every neurite as a tree of its own."""
    soma, others = np.flatnonzero(points.type == SOMA), np.flatnonzero((points.parent < 0) & (points.type != SOMA))
    if (points.parent[soma] < 0).sum() != 1 or not len(others):
        return points
    at = points.position[soma]
    middle = at.mean(axis=0)
    body = (_away(at, middle) + points.radius[soma]).max()
    near = [int(k) for k in others if _away(points.position[k], middle) <= NEAR * body]
    if not near:
        return points
    parent = points.parent.copy()
    for k in near:
        parent[k] = soma[np.argmin(_away(at, points.position[k]) - points.radius[soma])]
    apart = points.apart.copy()
    apart[near] = not points.line.any()  # lines of points are drawn through their soma
    what = f"{len(near)} trees begin" if len(near) > 1 else "a tree begins"
    return replace(points, parent=parent, apart=apart).warned(f"{points.at(near[0])}: {what} at the soma without a parent, joined to it")


def _away(places: Floats, place: Floats) -> Floats:
    far: Floats = np.sqrt(((places - place) ** 2).sum(axis=-1))
    return far


def _one_tree(points: Points, wanted: Wanted) -> Points:
    roots = np.flatnonzero(points.parent < 0)
    if not len(roots) and len(points.id):
        raise InputError(points.at(0), "the file has no root (parent -1): its nodes form a cycle")
    order = downward(points.parent)
    if len(order) < len(points.id):
        lost = np.setdiff1d(np.arange(len(points.id)), order)
        raise InputError(points.at(int(lost[0])), f"does not lead to the root: {len(lost)} nodes hang on a cycle (correct a parent)")
    if len(roots) < 2:
        return points
    tree = np.arange(len(points.id))
    for k in order:
        if points.parent[k] >= 0:
            tree[k] = tree[points.parent[k]]
    size = np.bincount(tree, segment_lengths(points), len(tree)).astype(float)
    top = _chosen(points, roots, tree, size, wanted.trees)
    keep = tree == top
    share = 1 - size[top] / size.sum() if size.sum() > 0 else 0.0
    left = f"{len(roots) - 1} of {len(roots)} trees left out, {100 * share:.3g} % of the length (trees = {wanted.trees!r})"
    chosen = points.kept(keep, points.parent)
    return replace(chosen, notes=(*chosen.notes, left), told=(*chosen.told, *([f"{points.file}: {left}"] if share > 0.1 else [])))


def _chosen(points: Points, roots: Ints, tree: Ints, size: Floats, trees: str | None) -> int:
    """The root of the tree that was asked for."""
    if trees is None:
        what = f"is a second root after node {points.id[roots[0]]}; there are {len(roots)} trees"
        raise InputError(points.at(int(roots[1])), f'{what} (take one: trees = "soma" or trees = "largest"; or join them in the file)')
    if trees == "largest":
        return int(np.argmax(size))
    bodies = np.unique(tree[points.type == SOMA])
    if len(bodies) == 1:
        return int(bodies[0])
    found = f"soma points lie in {len(bodies)} of the {len(roots)} trees" if len(bodies) else "no tree has a soma (type 1)"
    raise InputError(points.file, f'{found}, so trees = "soma" names none (trees = "largest" takes the longest)')


def _at_least(points: Points, least: float) -> Points:
    small = points.radius < least
    if not least or not small.any():
        return points
    told = f"{small.sum()} of {len(small)} radii are below {least:g} um and raised to it (min_radius)"
    raised = replace(points, radius=np.maximum(points.radius, least), notes=(*points.notes, told))
    return raised.warned(f"{points.file}: {told}") if 2 * small.sum() > len(small) else raised


def _check_sizes(points: Points, largest: float) -> None:
    root = int(np.flatnonzero(points.parent < 0)[0])
    wrong = np.flatnonzero(~(points.radius > 0))
    if len(wrong):
        k, several = int(wrong[0]), f" ({len(wrong)} of {len(points.id)} points)" if len(wrong) > 1 else ""
        raise InputError(points.at(k), f'radius {points.radius[k]:g} um must be > 0{several}; give a smallest one: min_radius = "0.1 um"')
    odd = np.flatnonzero((points.radius < SMALLEST) | (points.radius > largest))
    if len(odd):
        k = int(odd[0])
        fix = 'give a smallest one: min_radius = "0.1 um", or' if points.radius[k] < SMALLEST else "if the file is not in um, say"
        raise InputError(points.at(k), f'radius {points.radius[k]:g} um cannot be ({fix} its unit: unit = "nm")')
    away = _away(points.position, points.position[root])
    if away.max() > largest:
        k = int(np.argmax(away))
        far, end = f"lies {away[k]:g} um from the root", f"say its unit: {_SCALE}"
        raise InputError(points.at(k), f"{far}, more than {largest / 1e4:g} cm (files are taken to be in um; {end}){_VOXELS}")


def _doubts(points: Points) -> list[str]:
    told = []
    if not (points.type == SOMA).any():
        told.append(f"{points.file}: no soma (type 1); the root is node {points.id[np.argmin(points.parent)]}")
    total, radius, alone = segment_lengths(points).sum(), np.median(points.radius), len(points.id) == 1
    if radius < 0.01 or (radius > 100 if alone else total < 5 or radius > 25):
        what = "one point with a" if alone else f"{total:.3g} um of neurite with a median"
        unit = 'unit = scales it: "nm", or "8 nm" for voxels'
        told.append(f"{points.file}: {what} radius of {radius:.3g} um; is the file in um? ({unit})")
    return told
