"""Checks of a triangle or tetrahedron mesh before anything is built from it: readers let damaged meshes pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, warn
from ..mesh import OUTSIDE, Floats

Ints = NDArray[np.int64]
SHAPES = {(2, 3): "triangles", (3, 4): "tetrahedra"}
OTHER = {6: "second-order triangles (or prisms)", 8: "hexahedra", 9: "second-order quadrilaterals", 10: "second-order tetrahedra"}
WIDEST = 1e4  # um, 1 cm
NARROWEST = 0.02  # um


@dataclass(frozen=True)
class Simplices:
    """A checked mesh: `points` (n, d) that are all used, positively oriented `cells` (m, d + 1), `region` of each cell, `original` ids."""

    points: Floats
    cells: Ints
    region: Ints
    regions: tuple[str, ...]
    original: Ints


def check_simplices(points: Any, cells: Any, regions: Any, names: Mapping[Any, str] | None) -> Simplices:
    """Check points, cells and labels; orient the cells and drop points that no cell uses.

    Raises
    ------
    InputError
        For other cells than triangles in the plane or tetrahedra, indices out of range, coordinates that are not finite, cells without
        volume, cells that overlap, a mesh wider than 1 cm or narrower than 20 nm, labels without a name.

    Warns
    -----
    UserWarning
        If points were dropped, or points coincide and so split the mesh.
    """
    xyz = _points(points)
    _finite(xyz)
    index = _cells(cells)
    xyz = _match(xyz, index)
    if index.min() < 0 or index.max() >= len(xyz):
        bad = int(np.argmax(((index < 0) | (index >= len(xyz))).any(axis=1)))
        raise InputError("cells", f"cell {bad} names point {_outlier(index[bad], len(xyz))}, there are {len(xyz)} (numbered from 0)")
    region, known = _regions(regions, names, len(index))
    used = np.unique(index)
    if len(used) < len(xyz):
        warn(f"{len(xyz) - len(used)} of {len(xyz)} points belong to no cell and are dropped")
        index, xyz = np.searchsorted(used, index), xyz[used]
    _width(xyz)
    _coincident(xyz, index)
    return Simplices(xyz, _oriented(xyz, index), region, known, used)


def _points(points: Any) -> Floats:
    try:
        xyz: Floats = np.array(points, float)
    except (TypeError, ValueError):
        raise InputError("points", "are not numbers, expected an array of shape (points, 2) or (points, 3) in um") from None
    if xyz.ndim != 2 or xyz.shape[1] not in (2, 3) or not len(xyz):
        raise InputError("points", f"have shape {xyz.shape}, expected (points, 2) or (points, 3) in um")
    return xyz


def _finite(xyz: Floats) -> None:
    bad = np.flatnonzero(~np.isfinite(xyz).all(axis=1))
    if len(bad):
        raise InputError("points", f"{len(bad)} have coordinates that are not finite, first {bad[:5].tolist()}")


def _cells(cells: Any) -> Ints:
    try:
        index = np.asarray(cells)
    except ValueError:
        counts: dict[int, int] = {}
        for cell in cells:
            size = len(cell) if hasattr(cell, "__len__") else 1
            counts[size] = counts.get(size, 0) + 1
        found = ", ".join(f"{n} with {k} points" for k, n in sorted(counts.items()))
        raise InputError("cells", f"are mixed ({found}), only triangles or only tetrahedra are supported (split the others)") from None
    if index.size == 0:
        raise InputError("cells", "there are none, expected an array of shape (cells, 3) or (cells, 4)")
    if index.ndim != 2 or not np.issubdtype(index.dtype, np.integer):
        raise InputError("cells", f"{index.dtype} of shape {index.shape}, expected whole numbers of shape (cells, 3) or (cells, 4)")
    return index.astype(np.int64)


def _match(xyz: Floats, index: Ints) -> Floats:
    """Refuse cells that are not simplices of the space; a flat (x, y, 0) mesh of triangles is taken as 2-D."""
    size = index.shape[1]
    if xyz.shape[1] == 3 and size == 3:
        z = xyz[:, 2]
        if not (z == z[0]).all():
            raise InputError("cells", f"{len(index)} triangles in space are a surface, expected tetrahedra that fill it (mesh the volume)")
        return xyz[:, :2].copy()
    if (xyz.shape[1], size) not in SHAPES:
        kind = "quadrilaterals" if size == 4 else OTHER.get(size, f"cells with {size} points")
        raise InputError("cells", f"{len(index)} {kind}, only triangles in 2-D and tetrahedra in 3-D are supported (split them)")
    return xyz


def _outlier(cell: Ints, count: int) -> int:
    return int(cell[(cell < 0) | (cell >= count)][0])


def _regions(regions: Any, names: Mapping[Any, str] | None, count: int) -> tuple[Ints, tuple[str, ...]]:
    """Number of the region of each cell, and the names in order: that of `names`, otherwise of first appearance."""
    given = np.asarray(regions)
    if given.shape != (count,):
        raise InputError("regions", f"{given.shape} labels for {count} cells, expected one per cell")
    labels, first, inverse = np.unique(given, return_index=True, return_inverse=True)
    if names is None:
        if not np.issubdtype(given.dtype, np.str_):
            raise InputError("regions", f"labels are {given.dtype}, expected names (or give names={{1: 'cytosol', 2: 'er'}})")
        names = {labels[k]: str(labels[k]) for k in np.argsort(first)}
    table = {k: names.get(label.item()) if label.item() in names else None for k, label in enumerate(labels)}
    for k, name in table.items():
        if not isinstance(name, str) or not name or name == OUTSIDE:
            cells = int((inverse == k).sum())
            fix = (
                f"'{OUTSIDE}' is reserved" if name == OUTSIDE else f"there are {', '.join(f'{a}: {b}' for a, b in names.items()) or 'none'}"
            )
            raise InputError("regions", f"label {labels[k].item()!r} of {cells} cells has no name; {fix}")
    known = tuple(dict.fromkeys(n for n in names.values() if n in table.values()))
    number = np.array([known.index(str(table[k])) for k in range(len(labels))], np.int64)
    return number[inverse], known


def _width(xyz: Floats) -> None:
    width = float(np.ptp(xyz, axis=0).max())
    if not NARROWEST <= width <= WIDEST:
        raise InputError("points", f"the mesh is {width:.3g} um wide; did you mean um? (multiply the points: 1e6 from m, 1e-3 from nm)")


def _coincident(xyz: Floats, index: Ints) -> None:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # round-off of a file with 12 digits
    grid = np.round((xyz - xyz.min(axis=0)) / (np.ptp(xyz, axis=0).max() * 1e-11)).astype(np.int64)
    double = len(xyz) - len(np.unique(grid, axis=0))
    a, b = index[:, :-1].ravel(), index[:, 1:].ravel()
    pieces = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(len(xyz), len(xyz))), directed=False, return_labels=False)
    if double:
        warn(f"{double} points coincide with others and split the mesh: {pieces} connected pieces (merge them)")
    elif pieces > 1:
        warn(f"the mesh has {pieces} connected pieces that share no point")


def signed_volume(xyz: Floats, index: Ints) -> Floats:
    """Signed volume of the cells (area in 2-D)."""
    side = xyz[index[:, 1:]] - xyz[index[:, :1]]
    volume: Floats = np.linalg.det(side) / math.factorial(xyz.shape[1])
    return volume


def _oriented(xyz: Floats, index: Ints) -> Ints:
    """Turn every cell to a positive volume; refuse cells without volume and cells that lie on the same side of a common facet."""
    volume = signed_volume(xyz, index)
    side = xyz[index[:, 1:]] - xyz[index[:, :1]]
    scale = (side**2).sum(axis=2).max(axis=1) ** (xyz.shape[1] / 2)
    flat = np.flatnonzero(np.abs(volume) <= 1e-12 * scale)
    if len(flat):
        raise InputError("cells", f"{len(flat)} have no volume, first {flat[:5].tolist()} (remove them or mesh again)")
    turned = index.copy()
    backwards = volume < 0
    turned[backwards, :2] = turned[backwards, 1::-1]
    folded = _folded(turned)
    if len(folded):
        raise InputError("cells", f"{len(folded)} overlap a neighbour (inverted), first {folded[:5].tolist()} (mesh again)")
    return turned


def facets_of(cells: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """All facets of all cells, facet k opposite to corner k: sorted corners, the cell of each, and whether the order outward is even."""
    count, corners = cells.shape
    rows = np.concatenate([np.delete(cells, k, axis=1) for k in range(corners)])
    order = np.argsort(rows, axis=1)
    # sign of the sorting permutation times that of the facet's place in the cell
    swaps = sum((order[:, i] > order[:, j]).astype(int) for i in range(corners - 1) for j in range(i + 1, corners - 1))
    even = (swaps + np.repeat(np.arange(corners), count)) % 2 == 0
    return np.take_along_axis(rows, order, axis=1), np.tile(np.arange(count), corners), even


def pair_facets(facets: Ints) -> tuple[Ints, Ints]:
    """Order that brings equal facets together, and where each group of equal facets starts in it."""
    order = np.lexsort(facets.T[::-1])
    ranked = facets[order]
    new = np.concatenate([[True], (ranked[1:] != ranked[:-1]).any(axis=1)])
    return order, np.flatnonzero(new)


def _folded(cells: Ints) -> Ints:
    facets, cell, even = facets_of(cells)
    order, start = pair_facets(facets)
    count = np.diff(np.append(start, len(order)))
    many = np.flatnonzero(count > 2)
    if len(many):
        shared = cell[order[start[many[0]] : start[many[0]] + count[many[0]]]]
        raise InputError("cells", f"{len(many)} facets belong to more than two cells, first of cells {shared[:5].tolist()} (mesh again)")
    first = start[count == 2]
    same = even[order[first]] == even[order[first + 1]]
    folded: Ints = np.unique(cell[order[first[same] + 1]])
    return folded
