"""Parts of a result by place: a label, a face, a node, a path distance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest, shown
from ..mesh.places import Place, asked, called, checked, place_name
from ..units import numbers_in
from .paths import of_nodes, places, region_nodes

if TYPE_CHECKING:
    import xarray as xr

Bools = NDArray[np.bool_]


def at(ds: xr.Dataset, place: Any = None, *, distance: Any = None, region: str | None = None) -> xr.Dataset:
    """The part of a result that lies at a place: its nodes, and the membrane pairs beside them.

    Parameters
    ----------
    ds : result of a run, or of `open`.
    place : what channels and stimuli take: a label or face of the mesh ("apical", "tip-3"), the number of a node, a function of
        ``distance`` or of ``x, y, z``, or a list of these (all together); everywhere by default.
    distance : path distance from the root (um, or a quantity): only the node nearest to it, without the dimension ``node``; of several
        distances one node each, along ``node``.
    region : only nodes of this region; with `distance` the cytosol by default (the first region where there is none of that name).

    Raises
    ------
    InputError
        If the result has no such place or region, or nothing lies there.

    Examples
    --------
    ``cs.at(ds, "apical", distance=100).ca.plot()``, ``cs.at(ds, "soma", region="er").ca.mean("node")``
    """
    for name in ("node", "region"):
        if name not in (ds.dims if name == "node" else ds.coords):
            raise InputError("at", "expected the result of a run, with its coordinate 'region' over 'node'")
    if region is None and distance is not None:
        region = "cytosol" if "cytosol" in ds.region.values else str(ds.region.values[0])
    chosen = _chosen(ds, checked(place, "at"), region)
    if region is not None:
        there = np.zeros(len(chosen), bool)
        there[region_nodes(ds, region)] = True
        chosen = chosen & there
    if not chosen.any():
        where = "" if place is None else f" at {place_name(checked(place, 'at'))}"
        raise InputError("at", f"no node of the result lies{where}" + (f" in '{region}'" if region is not None else ""))
    picked: Any = np.flatnonzero(chosen)
    if distance is not None:
        wanted = np.array(numbers_in(distance, "um", "at.distance"))
        there = of_nodes(ds, "distance")[picked]
        picked = picked[[int(np.argmin(np.abs(there - d))) for d in wanted]]
        span = max(float(np.ptp(of_nodes(ds, "distance"))), 1e-9)
        if (wanted < there.min() - 0.1 * span).any() or (wanted > there.max() + 0.1 * span).any():
            raise InputError(
                "at.distance", f"{wanted.tolist()} um lies beyond this place, which goes from {there.min():.4g} to {there.max():.4g} um"
            )
        if len(picked) == 1 and not isinstance(distance, (list, tuple, np.ndarray)):
            return _cut(ds, int(picked[0]), picked)
    return _cut(ds, picked, picked)


def _cut(ds: xr.Dataset, index: Any, picked: Any) -> xr.Dataset:
    """The nodes at some indices along ``node``, and the pairs of membranes that one of them takes part in."""
    numbers = of_nodes(ds, "node_index")[picked] if "node_index" in ds.variables else picked
    out = {"node": index}
    for dim in (str(d) for d in ds.dims if str(d).startswith("pair_")):
        sides = [ds[f"node_{side}_{dim[5:]}"].values for side in ("inside", "outside") if f"node_{side}_{dim[5:]}" in ds.variables]
        out[dim] = np.flatnonzero(np.logical_or.reduce([np.isin(side, numbers) for side in sides])) if sides else slice(None)
    return ds.isel(out)


def _chosen(ds: xr.Dataset, place: Place, region: str | None) -> Bools:
    count = ds.sizes["node"]
    if place is None:
        return np.ones(count, bool)
    if isinstance(place, tuple):
        return np.logical_or.reduce([_chosen(ds, part, region) for part in place])
    if callable(place):
        found = called(place, [of_nodes(ds, name).copy() for name in asked(place, "at")], "at")
        if found.shape != (count,) or found.dtype != bool:
            raise InputError("at", f"the function returned {found.dtype} of shape {found.shape}, expected one bool per node (use & and |)")
        return found
    out = np.zeros(count, bool)
    numbers = np.array([place]) if isinstance(place, int) else _named(ds, place, region)
    if isinstance(numbers, np.ndarray) and numbers.dtype == bool:
        return numbers
    found = places(ds, numbers)
    out[found[found >= 0]] = True
    if isinstance(place, int) and not out.any():
        raise InputError("at", f"node {place} is not in the result")
    return out


def _named(ds: xr.Dataset, name: str, region: str | None) -> Any:
    """Bools over the nodes of a label or section, or the numbers of the nodes of a face."""
    labels = {str(v.attrs["label"]): v for v in ds.coords.values() if "label" in v.attrs and v.dims == ("node",)}
    if name in labels:
        return np.array(labels[name].values, bool)
    if "section" in ds.coords and name.startswith("section-") and name[8:].isdigit():
        found = np.asarray(ds["section"].values) == int(name[8:])
        if found.any():
            return found
    faces = faces_of(ds)
    if name in faces:
        return _of_region(ds, np.array(faces[name], np.int64), region)
    known = [*labels, *faces]
    listed = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    raise InputError("at", f"unknown place {shown(name)}{nearest(name, known)}; the result has {listed or 'no named places'}")


def faces_of(ds: xr.Dataset) -> dict[str, list[int]]:
    """Numbers of the nodes of each face, as a run has written them."""
    try:
        found = json.loads(ds.attrs.get("faces", "{}"))
        sound = isinstance(found, dict) and all(isinstance(rows, list) and all(type(k) is int for k in rows) for rows in found.values())
    except (TypeError, ValueError, RecursionError):
        sound = False
    if not sound:
        raise InputError("at", "the attribute 'faces' of the result is damaged (it is not what a run writes)")
    return dict(found)


def _of_region(ds: xr.Dataset, numbers: NDArray[np.int64], region: str | None) -> NDArray[np.int64]:
    """The nodes of a face; where regions share their positions a tip is that of all of them (see `Mesh.select`)."""
    mesh = json.loads(ds.attrs.get("model", "{}")).get("mesh", {})
    sizes = dict(mesh.get("nodes", {}))
    if region not in sizes or mesh.get("structure") != "Columns":
        return numbers
    first = sum(list(sizes.values())[: list(sizes).index(region)])
    return numbers % sizes[region] + first
