"""Paths through a result: which nodes a wave passes from its start to a tip, and how far each lies along the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest

if TYPE_CHECKING:
    import xarray as xr

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """Nodes in order of travel and their position [um].

    `position` is the coordinate ``distance`` where that only grows or only falls along the path (a cable, root to tip), and the
    path length from the first node elsewhere (tip to tip through the soma).
    """

    nodes: Ints
    position: Floats


def region_nodes(ds: xr.Dataset, region: str) -> Ints:
    """Indices along ``node`` of a region, or an InputError with the nearest name."""
    if not isinstance(region, str):
        raise InputError("region", f"{region!r} is no name of a region, expected text (e.g. 'cytosol')")
    names = np.atleast_1d(np.asarray(ds["region"].values))
    found = np.flatnonzero(names == region)
    if not len(found):
        known = list(dict.fromkeys(names.tolist()))
        raise InputError("region", f"unknown region '{region}'{nearest(region, known)}; the result has {', '.join(known)}")
    return found


def of_nodes(ds: xr.Dataset, name: str) -> Floats:
    """A coordinate of the nodes (``x``, ``y``, ``z``, ``distance``, ``volume``), or an InputError where there is none that can be used."""
    found = ds[name] if name in ds.variables else None
    if found is None or found.dims != ("node",) or found.dtype.kind not in "fiu" or not np.isfinite(found.values).all():
        told = "is missing in the result" if found is None else "is no finite number at each node"
        raise InputError(name, f"{told}, expected a coordinate over (node) as a run writes it (was the result cut down or changed?)")
    return np.asarray(found.values, float)


def _positions(ds: xr.Dataset, nodes: Ints) -> Floats:
    return np.stack([of_nodes(ds, k)[nodes] for k in ("x", "y", "z")], axis=1)


def graph(ds: xr.Dataset, nodes: Ints) -> tuple[Any, bool]:
    """Sparse graph of the path lengths [um] between the given nodes, and whether it is one tree.

    On a tree an edge is as long as its ends differ in ``distance`` (the way along the branch, bends included); elsewhere straight.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    if "edge_nodes" not in ds:
        raise InputError("edge_nodes", "the result has no mesh topology, so no path can be found in it (was it cut down before saving?)")
    a, b = _edges(ds, nodes)
    shape = (len(nodes), len(nodes))
    parts = connected_components(csr_array((np.ones(len(a)), (a, b)), shape=shape), directed=False, return_labels=False)
    tree = parts == 1 and len(a) == len(nodes) - 1
    at, distance = _positions(ds, nodes), of_nodes(ds, "distance")[nodes]
    length = np.abs(distance[a] - distance[b]) if tree else np.linalg.norm(at[a] - at[b], axis=1)
    return csr_array((np.maximum(length, 1e-12), (a, b)), shape=shape), tree


def places(ds: xr.Dataset, numbers: Any) -> Ints:
    """Where the nodes of these numbers in the mesh lie along ``node``; -1 where they were cut away (and for the extracellular space)."""
    wanted = np.asarray(numbers, np.int64)
    own = of_nodes(ds, "node_index").astype(np.int64) if "node_index" in ds.variables else np.arange(ds.sizes["node"])
    order = np.argsort(own, kind="stable")
    k = np.minimum(np.searchsorted(own[order], wanted), max(len(own) - 1, 0))
    return np.where(own[order][k] == wanted, order[k], -1) if len(own) else np.full(wanted.shape, -1)


def _edges(ds: xr.Dataset, nodes: Ints) -> tuple[Ints, Ints]:
    """Edges whose ends both are among some places along ``node``, as indices into these."""
    known = ds["edge_nodes"]
    if known.dtype.kind not in "fiu" or set(known.dims) != {"edge", "two"} or not np.isfinite(known.values).all():
        missing = np.isnan(known.values).mean() if known.dtype.kind == "f" else 0.0
        told = f"has the dimensions ({', '.join(map(str, known.dims))}) and {missing:.0%} of it is missing"
        raise InputError(
            "edge_nodes", f"{told}, expected numbers over (edge, two) (where() masks; take nodes by ds.sel(node=...), ds.isel(...))"
        )
    local = np.full(ds.sizes["node"] + 1, -1, np.int64)
    local[nodes] = np.arange(len(nodes))
    pairs = local[places(ds, known.transpose("edge", "two").values)]
    a, b = pairs[(pairs >= 0).all(axis=1)].T
    return a, b


def spacing(ds: xr.Dataset, nodes: Ints) -> float:
    """Median length of the edges between these nodes that lead along ``distance`` rather than across it [um]; 0 without edges."""
    a, b = _edges(ds, nodes)
    at, distance = _positions(ds, nodes), of_nodes(ds, "distance")[nodes]
    length, gain = np.linalg.norm(at[a] - at[b], axis=1), np.abs(distance[a] - distance[b])
    along = gain > 0.5 * length
    return float(np.median(np.maximum(length, gain)[along])) if along.any() else 0.0


def travel(ds: xr.Dataset, start: int, end: int | None = None, region: str = "cytosol", ends: Ints | None = None) -> Path:
    """The shortest path from one node to another, by default to the farthest of the nodes `ends` (of all in the region).

    Raises
    ------
    InputError
        If a node is not in the region or the end cannot be reached.
    """
    from scipy.sparse.csgraph import dijkstra

    nodes = region_nodes(ds, region)
    first = _local(nodes, start, region, "path[0]")
    edges, _ = graph(ds, nodes)
    far, before = dijkstra(edges, directed=False, indices=first, return_predecessors=True)
    possible = np.isfinite(far) if ends is None else np.isfinite(far) & np.isin(nodes, ends)
    last = int(np.argmax(np.where(possible, far, -1.0))) if end is None else _local(nodes, end, region, "path[1]")
    if not np.isfinite(far[last]):
        raise InputError("path", f"node {end} cannot be reached from node {start} inside '{region}'")
    way = [last]
    while way[-1] != first:
        way.append(int(before[way[-1]]))
    order = np.array(way[::-1])
    return Path(nodes[order], _position(of_nodes(ds, "distance")[nodes[order]], far[order]))


def _position(distance: Floats, travelled: Floats) -> Floats:
    step = np.diff(distance)
    return distance if len(step) and ((step > 0).all() or (step < 0).all()) else travelled


def _local(nodes: Ints, node: int, region: str, where: str) -> int:
    k = int(np.searchsorted(nodes, node))
    if k >= len(nodes) or nodes[k] != node:
        raise InputError(where, f"node {node} is not in region '{region}' (its nodes are {nodes[0]} to {nodes[-1]})")
    return k


def choose(ds: xr.Dataset, path: Any, region: str) -> Path:
    """The path that a caller means.

    Parameters
    ----------
    path : None (from the root to the farthest tip), (start node, end node), or the nodes in order (three or more), by their numbers in the
        mesh (``node_index``).
    """
    if path is None:
        nodes = region_nodes(ds, region)
        return travel(ds, int(nodes[np.argmin(of_nodes(ds, "distance")[nodes])]), None, region)
    if isinstance(path, Path):
        return path
    given = np.asarray(path)
    if given.ndim != 1 or len(given) < 2 or given.dtype.kind not in "iu":
        raise InputError("path", f"{path!r} is no path, expected (start node, end node) or a list of nodes")
    given = _known(ds, given)
    if len(given) == 2:
        return travel(ds, int(given[0]), int(given[1]), region)
    nodes = region_nodes(ds, region)
    for k, node in enumerate(given):
        _local(nodes, int(node), region, f"path[{k}]")
    at = _positions(ds, given)
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(at, axis=0), axis=1))])
    return Path(given, _position(of_nodes(ds, "distance")[given], travelled))


def _known(ds: xr.Dataset, numbers: Ints) -> Ints:
    found = places(ds, np.maximum(numbers, -1))
    for k in np.flatnonzero((found < 0) | (numbers < 0)):
        raise InputError(f"path[{k}]", f"node {numbers[k]} is not in the result")
    return found
