"""When a wave arrives: read from what the run noted at every step, or found between outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest
from ..model.electrics import POTENTIAL
from ..units import number_in
from .paths import region_nodes

if TYPE_CHECKING:
    import xarray as xr

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
THRESHOLD = "0.2 uM"
EXPECTED = ("time", "node")
_FOOT = 1e-6
"""Part of (level - rest) above rest below which a course is taken to have been at rest: an exponential never starts at 0."""


def key_of(ds: xr.Dataset, species: str) -> str:
    """The variable of a species or buffer, which may be given by its name in the model, too."""
    if not isinstance(species, str):
        raise InputError("species", f"{species!r} is no name of a species, expected text (e.g. 'ca')")
    if species in ds:
        return species
    return next((v.attrs.get("of", str(k)) for k, v in ds.data_vars.items() if v.attrs.get("model_name") == species), species)


def noted_of(ds: xr.Dataset, key: str) -> dict[str, xr.DataArray]:
    """What the run noted of a species at every node, by kind: ``arrival``, ``peak``, ``peak_time``."""
    return {v.attrs["noted"]: v for v in ds.data_vars.values() if v.attrs.get("of") == key and "noted" in v.attrs}


def check_result(ds: Any) -> None:
    """Refuse what is no result."""
    if not hasattr(ds, "data_vars") or "region" not in ds.coords:
        raise InputError("ds", f"{type(ds).__name__} is no result, expected the xarray.Dataset of a run (cs.simulate, cs.open)")
    if ds["region"].dtype.kind not in "UO":
        raise InputError("region", "the coordinate of the result holds no names, expected the region of each node (e.g. 'cytosol')")
    if not ds.sizes.get("node", 1):
        raise InputError("node", "the result has no nodes, expected one or more")


def times_of(ds: xr.Dataset) -> Floats:
    """Times of a result [ms], ascending; refused where there are none: a crossing upwards would be one downwards."""
    found = ds["time"] if "time" in ds.variables else None
    if found is None or found.dtype.kind not in "fiu" or found.ndim > 1 or not found.size or not np.isfinite(found.values).all():
        told = "is missing" if found is None else "is empty" if not found.size else "is no row of finite numbers"
        raise InputError("time", f"the coordinate of the result {told}, expected the times of its outputs in ms")
    time = np.asarray(found.values, float).reshape(-1)
    for k in np.flatnonzero(~(np.diff(time) >= 0))[:1]:
        raise InputError("time", f"{time[k + 1]:g} ms comes after {time[k]:g} ms, expected ascending times (ds.sortby('time'))")
    return time


def concentration(ds: xr.Dataset, species: str, region: str) -> tuple[Ints, Floats]:
    """Places along ``node`` of a region and the values of a species there, shape (times, nodes).

    Raises
    ------
    InputError
        With the nearest name, or with the dimensions that were found and expected.
    """
    check_result(ds)
    key = key_of(ds, species)
    if key not in ds.data_vars:
        known = [str(k) for k, v in ds.data_vars.items() if v.dims == EXPECTED]
        has = f"it has {', '.join(known)}" if known else "no variable in it has the dimensions (time, node)"
        raise InputError("species", f"the result has no '{species}'{nearest(species, known)}; {has}")
    check_dimensions(ds, key)
    nodes = region_nodes(ds, region)
    times_of(ds)
    if ds[key].dtype.kind not in "fiu":
        raise InputError(key, f"holds no numbers ({ds[key].dtype}), expected values over (time, node)")
    values = np.asarray(ds[key].values[:, nodes], float)
    if np.isnan(values).all():
        raise InputError("region", f"'{species}' does not live in '{region}'")
    _check_whole(key, np.isnan(values))
    if not np.isfinite(values).all():
        raise InputError(key, f"{100 * np.isinf(values).mean():.3g} % of its values are infinite, expected finite numbers")
    return nodes, values


def _check_whole(key: str, missing: NDArray[np.bool_]) -> None:
    """Refuse values of which some are missing: nobody can tell whether a wave was there."""
    if missing.any():
        share = f"{100 * missing.mean():.3g} % of its values"
        raise InputError(key, f"{share} are missing (NaN), expected numbers (where() masks; take nodes by ds.sel(node=...), ds.isel(...))")


def check_dimensions(ds: xr.Dataset, key: str) -> None:
    """Refuse a variable that is not over (time, node)."""
    dims = ds[key].dims
    if dims == EXPECTED:
        return
    more = [d for d in dims if d not in EXPECTED]
    if more:
        fix = f"pick one: ds.isel({more[0]}=0)"
    elif "time" not in dims:
        fix = "keep the times: ds.isel(time=[-1])"
    elif "node" not in dims:
        fix = "keep the nodes: ds.isel(node=[0])"
    else:
        fix = "ds.transpose('time', 'node', ...)"
    raise InputError(key, f"has the dimensions ({', '.join(map(str, dims))}), expected ({', '.join(EXPECTED)}) ({fix})")


def micromolar(threshold: Any) -> float:
    """A threshold as a float in uM: a quantity, a string, or a bare number of uM."""
    level = number_in(threshold, "uM", "threshold")
    if not level > 0:
        raise InputError("threshold", f"{level} must be a positive finite number")
    return level


def level_of(ds: xr.Dataset, species: str, threshold: Any = None) -> float:
    """The threshold that is meant [uM]: by default the one that the run noted crossings of, or 0.2 uM; of a potential [mV] 0 mV."""
    if isinstance(species, str) and species == POTENTIAL:
        return number_in(0.0 if threshold is None else threshold, "mV", "threshold")
    if threshold is not None:
        return micromolar(threshold)
    noted = noted_of(ds, key_of(ds, species)).get("arrival")
    return micromolar(THRESHOLD if noted is None else noted.attrs.get("threshold", THRESHOLD))


def arrival_times(ds: xr.Dataset, threshold: Any = None, species: str = "ca", region: str = "cytosol") -> xr.DataArray:
    """When the wave reaches each node: the first upward crossing of a threshold.

    The run itself notes the crossings of one threshold (``simulate(..., threshold=)``) every few steps, good to some microseconds whatever
    the interval of the outputs; they are what is returned for this threshold. For any other one the crossing is sought between outputs,
    where the course is taken to grow exponentially above its first value: on a wave of 1.65 um/ms with outputs every 0.1, 0.3, 0.5 and 1 ms
    this was wrong by 0.2, 2, 18 and 115 us (rms) at 0.2 uM, and by 4, 35, 85 and 250 us at 2 uM.

    Parameters
    ----------
    ds : result of a run.
    threshold : concentration; a bare number is in uM. By default the one of the run.
    species, region : which concentration; ``"v"`` is the potential, whose threshold is in mV, 0 by default.

    Returns
    -------
    xarray.DataArray
        Shape (nodes of the region,) [ms]; NaN where the threshold is never crossed, the first time where the node starts above it.
    """
    import xarray as xr

    nodes, out = arrivals(ds, threshold, species, region)
    level = level_of(ds, species, threshold)
    coords = {k: ("node", ds[k].values[nodes]) for k in ("region", "x", "y", "z", "distance", "node_index") if k in ds}
    coords.setdefault("node_index", ("node", nodes))
    told = {"units": "ms", "long_name": f"arrival of the {species} wave", "threshold": level}
    return xr.DataArray(out, dims="node", coords=coords, name="arrival", attrs=told)


def arrivals(ds: xr.Dataset, threshold: Any, species: str, region: str) -> tuple[Ints, Floats]:
    """Places along ``node`` of a region, and the arrival there; see `arrival_times`."""
    check_result(ds)
    level, key = level_of(ds, species, threshold), key_of(ds, species)
    nodes, time = region_nodes(ds, region), times_of(ds)
    noted = _noted(ds, key, level, nodes)
    if noted is None:
        nodes, values = concentration(ds, species, region)
        return nodes, first_crossing(time, values, level)
    if key in ds.data_vars:
        check_dimensions(ds, key)
    out, until = noted
    again = (out < time[0]) | (np.isnan(out) & (time[-1] > until * (1 + 1e-12)))
    if again.any():  # the result was cut in time, or joined with a later one
        seen = first_crossing(time, concentration(ds, species, region)[1], level) if key in ds.data_vars else np.full(len(nodes), time[0])
        out[again] = seen[again]
    out[out > time[-1]] = np.nan
    return nodes, out


def _noted(ds: xr.Dataset, key: str, level: float, nodes: Ints) -> tuple[Floats, float] | None:
    """Crossings that the run noted, and the time up to which it looked; None where it noted none of this level here."""
    arrival, peak = (noted_of(ds, key).get(what) for what in ("arrival", "peak"))
    if arrival is None or peak is None or arrival.dims != ("node",) or peak.dims != ("node",):
        return None
    if arrival.dtype.kind != "f" or peak.dtype.kind != "f":
        raise InputError(str(arrival.name), "holds no numbers, expected first crossings in ms (drop_vars leaves those between outputs)")
    if not _same(arrival, level) or np.isnan(peak.values[nodes]).all():
        return None
    _check_whole(str(peak.name), np.isnan(peak.values[nodes]))
    return np.array(arrival.values[nodes], float), float(arrival.attrs.get("seen_until", np.inf))


def _same(arrival: xr.DataArray, level: float) -> bool:
    return bool(abs(arrival.attrs.get("threshold", np.nan) - level) <= 1e-9 * level)


def is_noted(ds: xr.Dataset, species: str, threshold: Any) -> bool:
    """Whether arrivals at a threshold were noted by the run itself, and not sought between outputs."""
    arrival = noted_of(ds, key_of(ds, species)).get("arrival")
    return arrival is not None and _same(arrival, level_of(ds, species, threshold))


def first_crossing(time: Floats, c: Floats, level: float) -> Floats:
    """First upward crossing of a level by each column of `c` (times, places), as an exponential above the first value of the column.

    A front grows exponentially at its foot, so this is right there even where it rises by decades between two times; a polynomial through
    more times would overshoot before a steep front.
    """
    above = c >= level
    up = ~above[:-1] & above[1:]
    crosses = up.any(axis=0) & ~above[0] if len(time) > 1 else np.zeros(c.shape[1], bool)
    k = np.argmax(up, axis=0)[crosses] if len(time) > 1 else np.zeros(0, int)
    out = np.where(above[0], time[0], np.nan)
    columns = np.flatnonzero(crosses)
    before, after, rest = c[k, columns], c[np.minimum(k + 1, len(time) - 1), columns], c[0, columns]
    low = np.log(np.maximum((before - rest) / (level - rest), _FOOT))
    part = -low / (np.log((after - rest) / (level - rest)) - low)
    out[crosses] = time[k] + part * (time[np.minimum(k + 1, len(time) - 1)] - time[k])
    return out
