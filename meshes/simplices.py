"""Triangles and tetrahedra: vertex-centred control volumes with the conductances of linear finite elements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import InputError, nearest
from ..mesh import OUTSIDE, Floats, Membrane, Mesh, Nodes
from .simplex_input import Ints, Simplices, check_simplices, facets_of, pair_facets, signed_volume

Sides = tuple[str, str]


def from_simplices(
    points: Any,
    cells: Any,
    regions: Any,
    names: Mapping[Any, str] | None = None,
    *,
    membranes: Mapping[str, Sides] | None = None,
    facets: Mapping[str, Any] | None = None,
    distance: str = "straight",
    root: int | None = None,
) -> Mesh:
    """Build a mesh of triangles (2-D, 1 um thick) or tetrahedra whose cells are labelled by region.

    A node is a vertex in one region: a vertex that k regions touch becomes k nodes, so that every interface between two regions is a
    membrane, and so is the outer boundary. A cell gives an equal share of its volume to each of its nodes; the conductance between two
    nodes is minus their entry in the stiffness matrix of linear elements, which is exact for linear fields. It can be negative (an
    obtuse cell); such entries are kept, because clipping them makes the limit of fine meshes wrong. A pair of a membrane has a third
    (triangles: half) of each facet around its vertex.

    Parameters
    ----------
    points : shape (n, 2) or (n, 3), um. Flat (x, y, constant) points of triangles are taken as 2-D.
    cells : whole numbers, shape (m, 3) for triangles or (m, 4) for tetrahedra, in either orientation.
    regions : name of the region of each cell, or a label that `names` translates, shape (m,).
    names : {label: region}; its order is the order of the regions (otherwise that of first appearance).
    membranes : {name: (inside, outside)} for interfaces, e.g. ``{"er": ("er", "cytosol"), "plasma": ("cytosol", "outside")}``. An
        interface that is not listed is called "plasma" (cytosol to outside), like the region (any other to cytosol), or "a-b".
    facets : {name: point numbers, shape (k, 2) or (k, 3)}: facets of an interface that form a membrane of their own (an active zone).
    distance : how `mesh.distance` is measured from the root: "straight", or "edges" (shortest path along edges, which follows a branched
        cell but is some percent too long).
    root : number of a point; by default the one with the lowest x.

    Returns
    -------
    Mesh
        Nodes of a region in reverse Cuthill-McKee order; ``simplices`` holds the cells in the numbers of the nodes.

    Raises
    ------
    InputError
        For a mesh that `check_simplices` refuses, names of interfaces that do not exist, facets that are on no interface.
    """
    if distance not in ("straight", "edges"):
        raise InputError("distance", f"unknown way '{distance}'{nearest(distance, ['straight', 'edges'])}; there are straight, edges")
    if root is not None and not (isinstance(root, (int, np.integer)) and 0 <= root < len(points)):
        raise InputError("root", f"{root!r} is no number of a point")
    mesh = check_simplices(points, cells, regions, names)
    nodes = _split(mesh)
    walls = _walls(mesh, dict(membranes or {}), {k: _local(mesh, k, v) for k, v in (facets or {}).items()})
    edges, conductance, volume = _assemble(mesh, nodes)
    position = np.zeros((len(nodes.point), 3))
    position[:, : mesh.points.shape[1]] = mesh.points[nodes.point]
    thick = "tetrahedra" if mesh.points.shape[1] == 3 else "triangles, 1 um thick"
    negative = float((conductance < 0).mean()) if len(conductance) else 0.0
    return Mesh(
        regions=mesh.regions,
        start=nodes.start,
        volume=volume,
        position=position,
        distance=_distance(mesh, distance, root)[nodes.point],
        edges=edges,
        conductance=conductance,
        membranes={name: wall.membrane(name, mesh, nodes) for name, wall in walls.items()},
        simplices=nodes.cells,
        notes=(f"{len(mesh.cells)} {thick}; {negative:.0%} of the edges have a negative conductance (kept).",),
    )


@dataclass(frozen=True)
class _Nodes:
    """Vertices split by region: the point of each node, the nodes of each cell; `order[k]` is the node of the k-th sorted key."""

    point: Ints
    start: Ints
    cells: Nodes
    keys: Ints
    order: Ints

    def find(self, region: int, point: Ints, points: int) -> Nodes:
        """Return the nodes of points in a region."""
        return self.order[np.searchsorted(self.keys, region * points + point)].astype(np.uint32)


def _split(mesh: Simplices) -> _Nodes:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    n = len(mesh.points)
    keys, local = np.unique(mesh.region[:, None] * n + mesh.cells, return_inverse=True)
    local = local.reshape(mesh.cells.shape)
    corners = mesh.cells.shape[1]
    a = np.repeat(local, corners, axis=1).ravel()
    b = np.tile(local, (1, corners)).ravel()
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(len(keys), len(keys))).tocsr()
    start = np.searchsorted(keys, np.arange(len(mesh.regions) + 1) * n)
    order = np.empty(len(keys), np.int64)
    for lo, hi in pairwise(start):
        order[lo + reverse_cuthill_mckee(graph[lo:hi, lo:hi].tocsr(), symmetric_mode=True)] = np.arange(lo, hi)
    point = np.empty(len(keys), np.int64)
    point[order] = keys % n
    return _Nodes(point, start.astype(np.int64), order[local].astype(np.uint32), keys, order)


def _assemble(mesh: Simplices, nodes: _Nodes) -> tuple[Nodes, Floats, Floats]:
    """Edges, conductances (minus the stiffness of linear elements, summed over the cells) and lumped volumes."""
    corners = mesh.cells.shape[1]
    size = signed_volume(mesh.points, mesh.cells)
    side = mesh.points[mesh.cells[:, 1:]] - mesh.points[mesh.cells[:, :1]]
    gradient = np.empty((len(size), corners, corners - 1))
    gradient[:, 1:] = np.linalg.inv(side).transpose(0, 2, 1)
    gradient[:, 0] = -gradient[:, 1:].sum(axis=1)
    i, j = np.triu_indices(corners, 1)
    value = -size[:, None] * np.einsum("cki,cki->ck", gradient[:, i], gradient[:, j])
    ends = np.sort(np.stack([nodes.cells[:, i], nodes.cells[:, j]], axis=-1).astype(np.int64), axis=-1).reshape(-1, 2)
    count = len(nodes.point)
    keys, inverse = np.unique(ends[:, 0] * count + ends[:, 1], return_inverse=True)
    conductance = np.bincount(inverse, value.ravel(), len(keys)).astype(float)
    # right angles give zeros up to round-off; an edge that conducts nothing only costs time
    kept = np.abs(conductance) > 1e-14 * np.abs(value).max()
    edges = np.stack([keys // count, keys % count], axis=1)[kept].astype(np.uint32)
    volume = np.bincount(nodes.cells.ravel(), np.repeat(size / corners, corners), count).astype(float)
    return edges, conductance[kept], volume


def _distance(mesh: Simplices, way: str, root: int | None) -> Floats:
    first = int(np.argmin(mesh.points[:, 0]))
    if root is not None:
        found = np.flatnonzero(mesh.original == root)
        if not len(found):
            raise InputError("root", f"point {root} belongs to no cell")
        first = int(found[0])
    straight: Floats = np.linalg.norm(mesh.points - mesh.points[first], axis=1)
    if way == "straight":
        return straight
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra

    i, j = np.triu_indices(mesh.cells.shape[1], 1)
    ends = np.unique(np.sort(np.stack([mesh.cells[:, i], mesh.cells[:, j]], axis=-1).reshape(-1, 2), axis=1), axis=0)
    length = np.linalg.norm(mesh.points[ends[:, 0]] - mesh.points[ends[:, 1]], axis=1)
    graph = coo_array((length, (ends[:, 0], ends[:, 1])), shape=(len(straight), len(straight))).tocsr()
    far = dijkstra(graph, directed=False, indices=first)
    return np.where(np.isfinite(far), far, straight)  # pieces that share no point with the root's


@dataclass(frozen=True)
class _Wall:
    """Facets of one membrane and the numbers of its regions, -1 for the outside."""

    inside: int
    outside: int
    facets: Ints

    def membrane(self, name: str, mesh: Simplices, nodes: _Nodes) -> Membrane:
        """Pairs of nodes, one per vertex, each with its share of the facets around it."""
        corners = self.facets.shape[1]
        share = np.repeat(_areas(mesh.points[self.facets]) / corners, corners)
        point, inverse = np.unique(self.facets.ravel(), return_inverse=True)
        n = len(mesh.points)
        outside = np.empty(0, np.uint32) if self.outside < 0 else nodes.find(self.outside, point, n)
        sides = mesh.regions[self.inside], OUTSIDE if self.outside < 0 else mesh.regions[self.outside]
        inside = nodes.find(self.inside, point, n)
        order = np.argsort(inside)  # neighbours in memory
        area = np.bincount(inverse, share, len(point)).astype(float)
        return Membrane(name, sides, inside[order], outside[order] if len(outside) else outside, area[order])


def _areas(corners: Floats) -> Floats:
    side = corners[:, 1:] - corners[:, :1]
    if side.shape[1] == 1:
        length: Floats = np.linalg.norm(side[:, 0], axis=1)  # times the thickness of 1 um
        return length
    area: Floats = np.linalg.norm(np.cross(side[:, 0], side[:, 1]), axis=1) / 2
    return area


def _local(mesh: Simplices, name: str, facets: Any) -> Ints:
    """Facets of a named group in the numbers of the checked mesh, corners sorted."""
    where, corners = f"facets.{name}", mesh.cells.shape[1] - 1
    given = np.asarray(facets)
    if given.ndim != 2 or given.shape[1] != corners or not len(given) or not np.issubdtype(given.dtype, np.integer):
        raise InputError(where, f"{given.dtype} of shape {given.shape}, expected point numbers of shape (facets, {corners})")
    at = np.minimum(np.searchsorted(mesh.original, given), len(mesh.original) - 1)
    lost = np.flatnonzero((mesh.original[at] != given).any(axis=1))
    if len(lost):
        raise InputError(where, f"{len(lost)} facets name points of no cell, first {lost[:5].tolist()}")
    return np.sort(at, axis=1)


def _walls(mesh: Simplices, named: dict[str, Sides], groups: dict[str, Ints]) -> dict[str, _Wall]:
    """All facets between two regions or on the boundary, by membrane."""
    facets, cell, _ = facets_of(mesh.cells)
    order, start = pair_facets(facets)
    count = np.diff(np.append(start, len(order)))
    a = mesh.region[cell[order[start]]]
    b = np.where(count == 2, mesh.region[cell[order[np.minimum(start + 1, len(order) - 1)]]], -1)
    wall = a != b
    rows, low, high = facets[order[start]][wall], np.minimum(a, b)[wall], np.maximum(a, b)[wall]
    group = _grouped(rows, groups)
    present = {(int(x), int(y)) for x, y in np.unique(np.stack([low, high], axis=1), axis=0)}
    chosen = _chosen(mesh, named, present, set(groups))
    walls = {}
    for pair in sorted(present, key=lambda p: (p[0] < 0, p)):
        here = (low == pair[0]) & (high == pair[1])
        name, sides = chosen[pair]
        for k, label in [(-1, name), *enumerate(groups)]:
            mine = here & (group == k)
            if mine.any():
                if label in walls:
                    fix = "give each pair of regions a name of its own"
                    raise InputError(f"facets.{label}" if k >= 0 else f"membranes.{label}", f"lies on two interfaces ({fix})")
                walls[label] = _Wall(*_turned(mesh, named, label, pair, sides), rows[mine])
    for label in named:
        if label not in walls:
            raise InputError(f"membranes.{label}", f"has no facets: all of them belong to {', '.join(groups)}")
    return walls


def _turned(mesh: Simplices, named: dict[str, Sides], label: str, pair: tuple[int, int], sides: tuple[int, int]) -> tuple[int, int]:
    """Sides of a membrane: as `membranes` gives them for this very name, otherwise as for its interface."""
    if label not in named:
        return sides
    mine = _numbers(mesh, label, named[label])
    if set(mine) != set(pair):
        raise InputError(f"membranes.{label}", f"parts {_title(mesh, pair)}, not {' and '.join(named[label])}")
    return mine


def _grouped(rows: Ints, groups: dict[str, Ints]) -> Ints:
    """Number of the group of each facet, -1 for none."""
    group = np.full(len(rows), -1)
    if not groups:
        return group
    _, inverse = np.unique(np.concatenate([rows, *groups.values()]), axis=0, return_inverse=True)
    where = np.full(inverse.max() + 1, -1)
    where[inverse[: len(rows)]] = np.arange(len(rows))
    at = len(rows)
    for k, (name, facets) in enumerate(groups.items()):
        mine = where[inverse[at : at + len(facets)]]
        at += len(facets)
        lost = np.flatnonzero(mine < 0)
        if len(lost):
            raise InputError(f"facets.{name}", f"{len(lost)} lie on no interface or boundary, first {lost[:5].tolist()}")
        taken = group[mine[group[mine] >= 0]]
        if len(taken):
            raise InputError(f"facets.{name}", f"{len(taken)} belong to '{list(groups)[taken[0]]}' as well")
        group[mine] = k
    return group


def _chosen(
    mesh: Simplices, named: dict[str, Sides], present: set[tuple[int, int]], groups: set[str]
) -> dict[tuple[int, int], tuple[str, tuple[int, int]]]:
    """Name and sides of every interface of the mesh."""
    chosen = {pair: _default(mesh, pair) for pair in present}
    given: dict[tuple[int, int], str] = {}
    for name, sides in named.items():
        numbers = _numbers(mesh, name, sides)
        pair = min(numbers), max(numbers)
        if pair not in present:
            known = "; ".join(_title(mesh, p) for p in sorted(present))
            raise InputError(f"membranes.{name}", f"{' and '.join(sides)} do not touch; these do: {known}")
        if name in groups:
            continue
        if pair in given:
            raise InputError(f"membranes.{name}", f"{_title(mesh, pair)} are parted by '{given[pair]}' (use facets=... for a part of it)")
        given[pair] = name
        chosen[pair] = name, numbers
    return chosen


def _numbers(mesh: Simplices, name: str, sides: Any) -> tuple[int, int]:
    known = (*mesh.regions, OUTSIDE)
    pair = isinstance(sides, (tuple, list)) and len(sides) == 2 and all(s in known for s in sides)
    if not pair or sides[0] in (OUTSIDE, sides[1]):
        raise InputError(f"membranes.{name}", f"{sides!r} are not (inside, outside) out of {', '.join(known)} (the outside comes second)")
    a, b = (-1 if s == OUTSIDE else mesh.regions.index(s) for s in sides)
    return a, b


def _title(mesh: Simplices, pair: tuple[int, int]) -> str:
    return " and ".join(OUTSIDE if k < 0 else mesh.regions[k] for k in sorted(pair, reverse=pair[0] < 0))


def _default(mesh: Simplices, pair: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    low, high = pair
    a, b = (OUTSIDE if k < 0 else mesh.regions[k] for k in pair)
    if low < 0:
        return ("plasma" if b == "cytosol" else f"{b}-{OUTSIDE}"), (high, low)
    if a == "cytosol":
        return b, (high, low)
    return (a if b == "cytosol" else f"{a}-{b}"), (low, high)
