"""Numbers read off a result: when the wave arrives, how fast it runs, how much calcium there is, whether anything went negative."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import CalciumSimError, InputError, nearest
from .paths import Path, choose, graph, region_nodes, travel
from .units import value

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]
THRESHOLD = "0.2 uM"
_BISECTIONS = 45
_FIT_POINTS = 400


def concentration(ds: xr.Dataset, species: str, region: str) -> tuple[NDArray[np.int64], Floats]:
    """Nodes of a region and the values of a species there, shape (times, nodes), or an InputError with the nearest name."""
    known = [str(k) for k, v in ds.data_vars.items() if v.dims == ("time", "node")]
    if species not in known:
        raise InputError("species", f"the result has no '{species}'{nearest(species, known)}; it has {', '.join(known)}")
    nodes = region_nodes(ds, region)
    values = np.asarray(ds[species].values[:, nodes], float)
    if np.isnan(values).all():
        raise InputError("region", f"'{species}' does not live in '{region}'")
    return nodes, values


def micromolar(threshold: Any) -> float:
    """A threshold as a float in uM: a quantity, a string, or a bare number of uM."""
    return float(threshold) if isinstance(threshold, (int, float)) else value(threshold, "uM", "threshold")


def arrival_times(ds: xr.Dataset, threshold: Any = THRESHOLD, species: str = "ca", region: str = "cytosol") -> xr.DataArray:
    """When the wave reaches each node: the first upward crossing of a threshold.

    Between two output times the course is the cubic through the four nearest outputs (a straight line where there are fewer than
    four), so outputs every 0.5 ms give arrivals good to a few microseconds.

    Parameters
    ----------
    ds : result of a run.
    threshold : concentration; a bare number is in uM.

    Returns
    -------
    xarray.DataArray
        Shape (nodes of the region,) [ms]; NaN where the threshold is never crossed, the first time where the node starts above it.
    """
    import xarray as xr

    nodes, values = concentration(ds, species, region)
    level = micromolar(threshold)
    out = first_crossing(np.asarray(ds["time"].values, float), values, level)
    coords = {k: ("node", ds[k].values[nodes]) for k in ("region", "x", "y", "z", "distance") if k in ds}
    told = {"units": "ms", "long_name": f"arrival of the {species} wave", "threshold": level}
    return xr.DataArray(out, dims="node", coords=coords | {"node_index": ("node", nodes)}, name="arrival", attrs=told)


def first_crossing(time: Floats, c: Floats, level: float) -> Floats:
    """First upward crossing of a level by each column of `c` (times, places); see `arrival_times` for what lies between two times."""
    above = c >= level
    up = ~above[:-1] & above[1:]
    crosses = up.any(axis=0) & ~above[0] if len(time) > 1 else np.zeros(c.shape[1], bool)
    k = np.argmax(up, axis=0)[crosses] if len(time) > 1 else np.zeros(0, int)
    out = np.where(above[0], time[0], np.nan)
    width = 4 if len(time) >= 4 else 2
    first = np.clip(k - (1 if width == 4 else 0), 0, len(time) - width)
    stencil = first + np.arange(width)[:, None]
    t, y = time[stencil], c[stencil, np.flatnonzero(crosses)] - level
    low, high = time[k], time[np.minimum(k + 1, len(time) - 1)]
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        reached = _interpolated(t, y, middle) >= 0
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    out[crosses] = 0.5 * (low + high)
    return out


def _interpolated(x: Floats, y: Floats, at: Floats) -> Floats:
    """Lagrange polynomial through the columns of (x, y), evaluated at one place per column."""
    out = np.zeros_like(at)
    for i in range(len(x)):
        term = y[i].copy()
        for j in range(len(x)):
            if j != i:
                term *= (at - x[j]) / (x[i] - x[j])
        out += term
    return out


def wave_path(ds: xr.Dataset, threshold: Any = THRESHOLD, species: str = "ca", region: str = "cytosol") -> Path:
    """The path from the node that the wave reaches first to the farthest one that it reaches.

    Raises
    ------
    InputError
        If the threshold is never crossed.
    """
    arrival = arrival_times(ds, threshold, species, region)
    nodes, there = arrival["node_index"].values, np.isfinite(arrival.values)
    if not there.any():
        raise InputError("threshold", f"'{species}' never crosses {micromolar(threshold):g} uM in '{region}': no wave to follow")
    return travel(ds, int(nodes[np.nanargmin(arrival.values)]), None, region, nodes[there])


def wave_speed(
    ds: xr.Dataset,
    between: Sequence[Any] | None = None,
    threshold: Any = THRESHOLD,
    species: str = "ca",
    region: str = "cytosol",
    path: Any = None,
) -> float:
    """Speed of the wave [um/ms].

    The wave is followed along a path through the mesh, from the node that it reaches first to the node farthest from there; on a mesh
    that is no tree or cable, along the coordinate ``distance``. Without `between`, the speed is that of a robust line (median of all
    pairwise slopes, Theil-Sen) through the arrivals in the middle of the path, from 20 % to 80 % of its length.

    Parameters
    ----------
    ds : result of a run.
    between : two positions [um] or lengths: the mean speed between them instead. Positions are the coordinate ``distance`` on a path
        that runs straight to or from the root, path length from the wave's start on any other.
    threshold, species, region : as in `arrival_times`.
    path : (start node, end node) or a list of nodes, instead of the path above.

    Returns
    -------
    float
        NaN, with a warning that says how far it came, when the wave does not pass the part that is asked for.
    """
    arrival = arrival_times(ds, threshold, species, region)
    if not np.isfinite(arrival.values).any():
        return _no_wave(f"'{species}' never crosses {micromolar(threshold):g} uM in '{region}'")
    position, time = _course(ds, arrival, region, path)
    if between is None:
        low, high = (position.min() + f * np.ptp(position) for f in (0.2, 0.8))
        chosen = (position >= low - 1e-9) & (position <= high + 1e-9)
        if np.isnan(time[chosen]).any() or chosen.sum() < 2:
            return _no_wave(_how_far(position, time, low, high))
        return _resolved(ds, species, region, position, _theil_sen(time[chosen], position[chosen]))
    low, high = sorted(float(b) if isinstance(b, (int, float)) else value(b, "um", "between") for b in between)
    if low == high or low < position.min() - 1e-9 or high > position.max() + 1e-9:
        raise InputError(
            "between", f"({low:g}, {high:g}) um must be two places on the path from {position.min():g} to {position.max():g} um"
        )
    passed = _at(position, time, np.array([low, high]))
    if not np.isfinite(passed).all():
        return _no_wave(_how_far(position, time, low, high))
    return _resolved(ds, species, region, position, float(abs(high - low) / abs(passed[1] - passed[0])))


def _resolved(ds: xr.Dataset, species: str, region: str, position: Floats, speed: float) -> float:
    """The speed, with a warning where the mesh is coarser than a quarter of the front's width D/v."""
    diffusion = ds[species].attrs.get(f"diffusion_{region}")
    spacing = float(np.median(np.diff(position))) if len(position) > 1 else 0.0
    if diffusion and spacing > diffusion / (4.0 * speed):
        warnings.warn(
            f"the spacing of {spacing:.3g} um is coarse for a front of {diffusion / speed:.2g} um, take {0.25 * diffusion / speed:.2g} um",
            stacklevel=3,
        )
    return speed


def _course(ds: xr.Dataset, arrival: xr.DataArray, region: str, path: Any) -> tuple[Floats, Floats]:
    """Position along the path [um], ascending, and arrival there [ms]."""
    nodes = arrival["node_index"].values
    if path is None and not graph(ds, nodes)[1]:
        return _by_distance(arrival)
    way: Path = choose(ds, path, region) if path is not None else travel(ds, int(nodes[np.nanargmin(arrival.values)]), None, region)
    order = np.argsort(way.position, kind="stable")
    return way.position[order], arrival.values[np.searchsorted(nodes, way.nodes)][order]


def _by_distance(arrival: xr.DataArray) -> tuple[Floats, Floats]:
    """One arrival per distinct ``distance``: the median over the nodes of a slice (or the node itself on unstructured meshes)."""
    distance = np.round(arrival["distance"].values, 9)
    places, group = np.unique(distance, return_inverse=True)
    if len(places) == len(distance):
        return places, arrival.values[np.argsort(distance, kind="stable")]
    cut = np.split(arrival.values[np.argsort(group, kind="stable")], np.cumsum(np.bincount(group))[:-1])
    return places, np.array([np.median(part) for part in cut])


def _at(position: Floats, time: Floats, places: Floats) -> Floats:
    """Arrival at any place of the path: the cubic through the four nearest nodes."""
    width = min(4, len(position))
    first = np.clip(np.searchsorted(position, places) - width // 2, 0, len(position) - width)
    stencil = first + np.arange(width)[:, None]
    return _interpolated(position[stencil], time[stencil], places)


def _theil_sen(time: Floats, position: Floats) -> float:
    keep = np.unique(np.linspace(0, len(time) - 1, min(len(time), _FIT_POINTS)).astype(int))
    t, x = time[keep], position[keep]
    i, j = np.triu_indices(len(keep), 1)
    slowness = float(np.median((t[j] - t[i]) / np.where(x[j] > x[i], x[j] - x[i], np.inf)))
    return abs(1.0 / slowness) if slowness else float("inf")


def _how_far(position: Floats, time: Floats, low: float, high: float) -> str:
    there = position[np.isfinite(time)]
    seen = f"the wave was seen from {there.min():.4g} to {there.max():.4g} um" if len(there) else "no wave was seen on the path"
    return f"{seen}, but not everywhere from {low:.4g} to {high:.4g} um (run longer, or give path= or between=)"


def _no_wave(message: str) -> float:
    warnings.warn(f"no wave speed: {message}", stacklevel=3)
    return float("nan")


def total_calcium(ds: xr.Dataset, species: str = "ca") -> xr.DataArray:
    """Amount of a species in the whole cell, free and bound to buffers, over all regions.

    Returns
    -------
    xarray.DataArray
        Shape (times,) [uM um^3 = 1e-21 mol].
    """
    import xarray as xr

    if species not in ds:
        raise InputError("species", f"the result has no '{species}'{nearest(species, map(str, ds.data_vars))}")
    volume = ds["volume"].values
    total = np.nansum(ds[species].values * volume, axis=1)
    for buffer in ds.data_vars.values():
        if buffer.attrs.get("binds") == species:
            total = total + np.nansum((buffer.attrs["total"] - buffer.values) * volume, axis=1)
    told = {"units": "umol L-1 um3", "long_name": f"total {species}, free and bound"}
    return xr.DataArray(total, dims="time", coords={"time": ds["time"]}, name=f"total_{species}", attrs=told)


def undershoot(ds: xr.Dataset) -> dict[str, float]:
    """How far below zero each species and buffer went, as a fraction of its largest value; 0.0 where it never did."""
    fields = {str(k): v.values for k, v in ds.data_vars.items() if v.dims == ("time", "node")}
    lowest = {k: (float(np.nanmin(v)), float(np.nanmax(np.abs(v)))) for k, v in fields.items()}
    return {k: max(0.0, -low / size) if size > 0 else 0.0 for k, (low, size) in lowest.items()}


def cite(ds: xr.Dataset) -> list[str]:
    """The sources that the channels of a result name, one line per channel."""
    from .registry import get_channel

    out = []
    for name in json.loads(ds.attrs.get("channels", "{}")):
        try:
            source = get_channel(name).source
        except CalciumSimError:
            source = "(not installed here)"
        out.append(f"{name}: {source or 'no source given'}")
    return out
