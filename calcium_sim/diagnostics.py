"""Numbers read off a result: when the wave arrives, how fast it runs, how much calcium there is, whether anything went negative."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .arrivals import THRESHOLD as THRESHOLD
from .arrivals import arrival_times as arrival_times
from .arrivals import arrivals, check_dimensions, check_result, is_noted, key_of, level_of, noted_of
from .arrivals import first_crossing as first_crossing
from .arrivals import micromolar as micromolar
from .errors import CalciumSimError, InputError, nearest
from .names import variable
from .paths import Ints, Path, choose, graph, spacing, travel
from .units import numbers_in

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]
_FIT_POINTS = 400
_FEWEST = 5
"""A path of fewer nodes carries no wave."""
_ROUNDED = 1.06
"""A spacing is coarse above so many times the advice, which is rounded to two digits."""
_SPREAD = 20.0
"""What only diffuses, x^2 = 4 D t, has a speed times way of 4 D; a wave that deserves the name a multiple of it."""
_DYING = 2.0
"""A wave that ended and took so many times longer for the last third of its middle part than for the first one was never steady."""
_PATIENCE = 4.0
"""A wave that is so many times slower in the end than in the middle of its way has ended."""


def wave_path(ds: xr.Dataset, threshold: Any = None, species: str = "ca", region: str = "cytosol") -> Path:
    """The path from the node that the wave reaches first to the farthest one that it reaches.

    Raises
    ------
    InputError
        If the threshold is never crossed.
    """
    nodes, arrival = arrivals(ds, threshold, species, region)
    return _way(ds, nodes, arrival, species, region, level_of(ds, species, threshold))


def _way(ds: xr.Dataset, nodes: Ints, arrival: Floats, species: str, region: str, level: float) -> Path:
    there = np.isfinite(arrival)
    if not there.any():
        raise InputError("threshold", f"'{species}' never crosses {level:g} uM in '{region}': no wave to follow")
    return travel(ds, int(nodes[np.nanargmin(arrival)]), None, region, nodes[there])


def wave_speed(
    ds: xr.Dataset,
    between: Sequence[Any] | None = None,
    threshold: Any = None,
    species: str = "ca",
    region: str = "cytosol",
    path: Any = None,
) -> float:
    """Speed of the wave [um/ms].

    The wave is followed along a path through the mesh, from the node that it reaches first to the farthest one that it reaches; on a mesh
    that is no tree or cable, along the coordinate ``distance``. Without `between`, the speed is that of a robust line (median of all
    pairwise slopes, Theil-Sen) through the arrivals in the middle of the path, from 20 % to 80 % of its length.

    Parameters
    ----------
    ds : result of a run.
    between : two positions [um] or lengths: the mean speed between them instead. Positions are the coordinate ``distance`` on a path
        that runs straight to or from the root, path length from the wave's start on any other.
    threshold, species, region : as in `arrival_times`; with the default threshold the speed does not depend on how often was recorded.
    path : (start node, end node) or a list of nodes, instead of the path above.

    Returns
    -------
    float
        NaN, with a warning that says how far it came, when the wave does not pass the part that is asked for, or when it died: it came
        to its end before that of the cell, and was slower and slower on its way. A wave that ended after a steady run, or was still on its
        way when the result ends, has the speed of the part that it passed, and a warning says which of the two it is.
    """
    speed, doubts = measured_speed(ds, between, threshold, species, region, path)
    for line in doubts:
        if line not in str(ds.attrs.get("notes", "")):  # the run has said so
            warnings.warn(line, stacklevel=2)
    return speed


def measured_speed(
    ds: xr.Dataset,
    between: Sequence[Any] | None = None,
    threshold: Any = None,
    species: str = "ca",
    region: str = "cytosol",
    path: Any = None,
) -> tuple[float, list[str]]:
    """`wave_speed`, and what there is to say about it."""
    speed, doubts, on, far = _measured(ds, between, threshold, species, region, path)
    return speed, [*doubts, *_coarse(ds, species, region, on, speed, far)]


def coarse_front(ds: xr.Dataset, species: str, region: str = "cytosol") -> list[str]:
    """A line where the mesh is coarse for the wave of a species that ran in a result."""
    if not np.isfinite(arrivals(ds, None, species, region)[1]).any():
        return []
    speed, _, on, far = _measured(ds, None, None, species, region, None)
    return _coarse(ds, species, region, on, speed, far)


def _measured(ds: xr.Dataset, between: Any, threshold: Any, species: str, region: str, path: Any) -> tuple[float, list[str], Ints, float]:
    """Speed, doubts about it, the nodes that the wave was followed through (none without a speed), and how far it was seen [um]."""
    nodes, arrival = arrivals(ds, threshold, species, region)
    if not np.isfinite(arrival).any():
        return _no_wave(f"'{species}' never crosses {level_of(ds, species, threshold):g} uM in '{region}'")
    span = None if between is None else _span(between)
    position, time, on = _course(ds, nodes, arrival, region, path, span)
    ended = _ended(ds, position, time, species, threshold)
    doubts = []
    if span is None:
        if np.isfinite(time).sum() < _FEWEST:
            return _no_wave(f"the wave was seen at {np.isfinite(time).sum()} places only")
        low, high = (position.min() + f * np.ptp(position) for f in (0.2, 0.8))
        chosen = (position >= low - 1e-9) & (position <= high + 1e-9)
        if np.isnan(time[chosen]).any() or chosen.sum() < 2:
            return _no_wave(_how_far(position, time, low, high, ended))
        goes_on = path is None and _goes_on(ds, nodes, arrival, on)
        if goes_on and ended and _slower(time[chosen]):
            return _no_wave(f"{_seen(position, time)}, slower and slower, and {ended}")
        speed = _theil_sen(time[chosen], position[chosen])
        if goes_on:
            told = (
                f"and {ended}; the speed is that until there" if ended else "and not beyond, the speed is that of this part (run longer?)"
            )
            doubts.append(f"{_seen(position, time)} {told}")
    else:
        low, high = span
        if low == high or low < position.min() - 1e-9 or high > position.max() + 1e-9:
            raise InputError(
                "between", f"({low:g}, {high:g}) um must be two places on the path from {position.min():g} to {position.max():g} um"
            )
        passed = _at(position, time, np.array([low, high]))
        if not np.isfinite(passed).all():
            return _no_wave(_how_far(position, time, low, high, ended))
        speed = float(abs(high - low) / abs(passed[1] - passed[0])) if passed[1] != passed[0] else float("inf")
    if not np.isfinite(speed):
        return _no_wave("all places have the same arrival (the result starts after the wave, or has one time only)")
    return speed, doubts, on, float(np.ptp(position[np.isfinite(time)]))


def _ended(ds: xr.Dataset, position: Floats, time: Floats, species: str, threshold: Any) -> str:
    """Words for a wave that came hardly farther in the end; empty for one that the end of the result cut off.

    What it took from the last tenth of its way to the end of the result, per length, is compared with the middle of the way.
    """
    there = np.isfinite(time)
    x, t = position[there], time[there]
    if len(t) < _FEWEST:
        return ""
    x, t = (x, t) if t[-1] >= t[0] else (x[::-1], t[::-1])
    middle = slice(len(t) // 5, 1 + (4 * len(t)) // 5)
    usual = np.median(np.abs(np.diff(t[middle]) / np.diff(x[middle])))
    k = 1 + max(2, len(t) // 10)
    outputs = np.asarray(ds["time"].values, float).reshape(-1)
    between = 0.0 if is_noted(ds, species, threshold) or len(outputs) < 2 else float(np.median(np.diff(outputs)))
    last, way = float(outputs[-1] - t[-k]), float(abs(x[-1] - x[-k]))
    if last - between <= _PATIENCE * usual * way:
        return ""
    return f"has ended: it came only {way:.3g} um farther in the last {last:.3g} ms"


def _slower(time: Floats) -> bool:
    """Whether a wave slows down in the middle of its way: its last third takes more than twice the time of its first."""
    third = max(1, (len(time) - 1) // 3)
    ends = abs(time[third] - time[0]), abs(time[-1] - time[-1 - third])
    first, last = ends if time[-1] >= time[0] else ends[::-1]
    return bool(last > _DYING * first)


def _goes_on(ds: xr.Dataset, nodes: Ints, arrival: Floats, on: Ints) -> bool:
    """Whether the cell goes on where the wave was seen last: that is no tip of a tree, or not the farthest place of another mesh."""
    edges, tree = graph(ds, nodes)
    if not tree:
        distance = ds["distance"].values[nodes]
        return bool(np.isnan(arrival[distance >= distance.max() - 1e-9]).all() and np.isfinite(arrival).any())
    joined, last = edges.tocoo(), int(np.searchsorted(nodes, on[-1]))
    return int(np.sum(joined.row == last) + np.sum(joined.col == last)) > 1


def _span(between: Sequence[Any]) -> tuple[float, float]:
    places = sorted(numbers_in(between, "um", "between"))
    if len(places) != 2:
        raise InputError("between", f"{between!r} must be two places on the path (e.g. ('10 um', '40 um'))")
    return places[0], places[1]


def _coarse(ds: xr.Dataset, species: str, region: str, on: Ints, speed: float, far: float) -> list[str]:
    """A line where the mesh is coarser than a quarter of the front's width D/v, and a wave came farther than a stimulus spreads alone."""
    key, name = key_of(ds, species), f"diffusion_{variable(region)}"
    known = [*([ds[key]] if key in ds else []), *noted_of(ds, key).values()]
    diffusion = next((d for v in known if (d := v.attrs.get(name))), None)
    if not len(on):
        return []
    length = spacing(ds, on)
    if not diffusion or far * speed < _SPREAD * diffusion or length <= _ROUNDED * diffusion / (4.0 * speed):
        return []
    front = diffusion / speed
    return [f"the spacing of {length:.3g} um is coarse for a front of {front:.2g} um, take {0.25 * front:.2g} um"]


def _course(
    ds: xr.Dataset, nodes: Ints, arrival: Floats, region: str, path: Any, span: tuple[float, float] | None
) -> tuple[Floats, Floats, Ints]:
    """Position along the path [um], ascending, arrival there [ms], and the nodes that it runs through."""
    if path is None and not graph(ds, nodes)[1]:
        return *_by_distance(ds["distance"].values[nodes], arrival), nodes
    first = int(nodes[np.nanargmin(arrival)])
    way: Path = choose(ds, path, region) if path is not None else travel(ds, first, None, region, nodes[np.isfinite(arrival)])
    if path is None and span is not None and (span[0] < way.position.min() - 1e-9 or span[1] > way.position.max() + 1e-9):
        way = travel(ds, first, None, region)  # as far as it goes, so that the answer says how far the wave came
    order = np.argsort(way.position, kind="stable")
    return way.position[order], arrival[np.searchsorted(nodes, way.nodes)][order], way.nodes


def _by_distance(distance: Floats, arrival: Floats) -> tuple[Floats, Floats]:
    """One arrival per distinct ``distance`` from the first to the last place reached: the median over the nodes of a slice, or the node."""
    places, group = np.unique(np.round(distance, 9), return_inverse=True)
    if len(places) == len(distance):
        time = arrival[np.argsort(group, kind="stable")]
    else:
        cut = np.split(arrival[np.argsort(group, kind="stable")], np.cumsum(np.bincount(group))[:-1])
        time = np.array([np.median(part) for part in cut])
    there = np.flatnonzero(np.isfinite(time))
    reached = slice(there[0], there[-1] + 1) if len(there) else slice(None)
    return places[reached], time[reached]


def _at(position: Floats, time: Floats, places: Floats) -> Floats:
    """Arrival at any place of the path: the cubic through the four nearest nodes."""
    width = min(4, len(position))
    first = np.clip(np.searchsorted(position, places) - width // 2, 0, len(position) - width)
    stencil = first + np.arange(width)[:, None]
    x, t = position[stencil], time[stencil]
    weights = [np.prod([(places - x[j]) / (x[i] - x[j]) for j in range(width) if j != i], axis=0) for i in range(width)]
    return np.sum([w * t[i] for i, w in enumerate(weights)], axis=0)


def _theil_sen(time: Floats, position: Floats) -> float:
    keep = np.unique(np.linspace(0, len(time) - 1, min(len(time), _FIT_POINTS)).astype(int))
    t, x = time[keep], position[keep]
    i, j = np.triu_indices(len(keep), 1)
    slowness = float(np.median((t[j] - t[i]) / np.where(x[j] > x[i], x[j] - x[i], np.inf)))
    return abs(1.0 / slowness) if slowness else float("inf")


def _seen(position: Floats, time: Floats) -> str:
    there = position[np.isfinite(time)]
    return f"the wave was seen from {there.min():.4g} to {there.max():.4g} um" if len(there) else "no wave was seen on the path"


def _how_far(position: Floats, time: Floats, low: float, high: float, ended: str) -> str:
    more = f", and {ended} (give path= or between=)" if ended else " (run longer, or give path= or between=)"
    return f"{_seen(position, time)}, but not everywhere from {low:.4g} to {high:.4g} um{more}"


def _no_wave(message: str) -> tuple[float, list[str], Ints, float]:
    return float("nan"), [f"no wave speed: {message}"], np.zeros(0, np.int64), 0.0


def total_calcium(ds: xr.Dataset, species: str = "ca") -> xr.DataArray:
    """Amount of a species in the whole cell, free and bound to buffers, over all regions.

    Returns
    -------
    xarray.DataArray
        Shape (times,) [uM um^3 = 1e-21 mol].
    """
    import xarray as xr

    check_result(ds)
    key = key_of(ds, species)
    if key not in ds:
        raise InputError("species", f"the result has no '{species}'{nearest(species, map(str, ds.data_vars))}")
    check_dimensions(ds, key)
    volume = ds["volume"].values
    total = np.nansum(ds[key].values * volume, axis=1)
    for buffer in ds.data_vars.values():
        if key_of(ds, buffer.attrs.get("binds", "")) == key:
            total = total + np.nansum((buffer.attrs["total"] - buffer.values) * volume, axis=1)
    told = {"units": "umol L-1 um3", "long_name": f"total {species}, free and bound"}
    return xr.DataArray(total, dims="time", coords={"time": ds["time"]}, name=f"total_{key}", attrs=told)


def undershoot(ds: xr.Dataset) -> dict[str, float]:
    """How far below zero each species and buffer went, as a fraction of its largest value; 0.0 where it never did."""
    fields = {str(k): v.values for k, v in ds.data_vars.items() if v.dims == ("time", "node")}
    lowest = {k: (float(np.nanmin(v)), float(np.nanmax(np.abs(v)))) for k, v in fields.items()}
    return {k: max(0.0, -low / size) if size > 0 else 0.0 for k, (low, size) in lowest.items()}


def cite(ds: xr.Dataset) -> list[str]:
    """The sources that the channels of a result name, one line per channel."""
    from .registry import get_channel

    check_result(ds)
    out = []
    for name in json.loads(ds.attrs.get("channels", "{}")):
        try:
            source = get_channel(name).source
        except CalciumSimError:
            source = "(not installed here)"
        out.append(f"{name}: {source or 'no source given'}")
    return out
