"""Pictures of a result: kymograph, traces, and the cell coloured by the arrival of the wave. matplotlib is imported when one is drawn."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path as File
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .diagnostics import THRESHOLD, arrival_times, concentration, first_crossing, micromolar, wave_speed
from .errors import InputError, StorageError
from .paths import Path, choose, graph
from .units import value

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]
INK, QUIET, GHOST = "#22252b", "#70757d", "#d5d8dc"
_MOST_CELLS = 1500
_BINS = 200
_DECADES = 100


def kymograph(
    ds: xr.Dataset,
    path: Any = None,
    ax: Any = None,
    species: str = "ca",
    region: str = "cytosol",
    threshold: Any = THRESHOLD,
) -> Any:
    """Draw concentration against time (across) and position (up), with the front of the wave as a line.

    Parameters
    ----------
    ds : result of a run.
    path : (start node, end node) or a list of nodes; by default from the root to the farthest tip. On a mesh that is no tree or cable
        the position is ``distance`` and the concentration its mean over the cross-section.
    ax : matplotlib axes; a new figure by default.
    threshold : the front is where the concentration first passes it.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(ax, (7.2, 4.2))
    position, values, label = _profile(ds, path, species, region)
    time = np.asarray(ds["time"].values, float)
    rows, columns = (np.unique(np.linspace(0, n - 1, min(n, _MOST_CELLS)).astype(int)) for n in (len(position), len(time)))
    shown = values[np.ix_(columns, rows)].T
    norm, extend = _scale(shown)
    picture = ax.pcolormesh(_edges(time[columns]), _edges(position[rows]), shown, cmap="magma", norm=norm, rasterized=True, linewidth=0)
    bar = ax.figure.colorbar(picture, ax=ax, pad=0.02, aspect=28, extend=extend)
    bar.set_label(f"{_pretty(species)} in the {region} [µM]", color=INK)
    bar.formatter = _plain_number
    bar.minorticks_off()
    _tidy(bar.ax)
    bar.outline.set_visible(False)
    first = first_crossing(time, values, micromolar(threshold))
    if np.isfinite(first).sum() > 1:
        ax.plot(first, position, color="white", lw=1.1, ls=(0, (4, 2.5)), alpha=0.9)
    ax.set(xlabel="time [ms]", ylabel=label, xlim=(time[0], time[-1]), ylim=(_edges(position)[0], _edges(position)[-1]))
    speed = _quiet_speed(ds, threshold, species, region, path)
    head = f"{_pretty(species)} wave" + (f", {speed:.3g} µm/ms" if np.isfinite(speed) else "")
    ax.set_title(head, loc="left", color=INK, fontsize=11, pad=8)
    _tidy(ax)
    return ax


def traces(
    ds: xr.Dataset,
    at: Sequence[Any] | None = None,
    path: Any = None,
    ax: Any = None,
    species: str = "ca",
    region: str = "cytosol",
) -> Any:
    """Draw concentration against time at some places of a path.

    Parameters
    ----------
    at : positions along the path, lengths or um; five evenly spaced ones by default.
    path, ax, species, region : as in `kymograph`.
    """
    ax = _axes(ax, (7.2, 3.6))
    position, values, label = _profile(ds, path, species, region)
    inner = np.linspace(position.min(), position.max(), 7)[1:-1]
    places = inner if at is None else np.array([float(a) if isinstance(a, (int, float)) else value(a, "um", "at") for a in at])
    if (places < _edges(position)[0] - 1e-9).any() or (places > _edges(position)[-1] + 1e-9).any():
        raise InputError("at", f"{places.tolist()} um must lie on the path, from {position.min():g} to {position.max():g} um")
    chosen = dict.fromkeys(int(np.argmin(np.abs(position - p))) for p in places)
    for k, node in enumerate(chosen):
        tone = _colours()["viridis"](0.05 + 0.8 * k / max(len(chosen) - 1, 1))
        ax.plot(ds["time"].values, values[:, node], color=tone, lw=1.6, label=f"{position[node]:.4g}")
    key = ax.legend(
        title=label.replace(" [", "\n["), frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9, title_fontsize=9
    )
    key._legend_box.align = "left"
    times = ds["time"].values
    ax.set(xlabel="time [ms]", ylabel=f"{_pretty(species)} in the {region} [µM]", xlim=(times[0], times[-1]))
    ax.set_ylim(bottom=min(0.0, float(np.nanmin(values))))
    _tidy(ax)
    return ax


def arrival_map(ds: xr.Dataset, ax: Any = None, species: str = "ca", region: str = "cytosol", threshold: Any = THRESHOLD) -> Any:
    """Draw the cell in the plane in which it is widest, coloured by the arrival of the wave; grey where it never came.

    Lines are as wide as the dendrite, but never thinner than a hair; the ring marks where the wave was seen first.
    """
    from matplotlib.collections import LineCollection

    ax = _axes(ax, (6.0, 6.0))
    arrival = arrival_times(ds, threshold, species, region)
    nodes = arrival["node_index"].values
    joined = graph(ds, nodes)[0].tocoo()
    if not len(joined.row):
        raise InputError("arrival_map", "the mesh has no edges to draw (it is a single point)")
    across, up = _widest(arrival)
    at = np.stack([arrival[across].values, arrival[up].values], axis=1)
    when = 0.5 * (arrival.values[joined.row] + arrival.values[joined.col])
    order = np.argsort(np.where(np.isnan(when), -np.inf, -when))
    ends = np.stack([at[joined.row], at[joined.col]], axis=1)[order]
    _frame(ax, at)
    tones = _colours()["plasma"].with_extremes(bad=GHOST)
    lines = LineCollection(list(ends), cmap=tones, capstyle="round")
    lines.set_array(np.ma.masked_invalid(when[order]))
    ax.add_collection(lines)
    if np.isfinite(when).any():
        bar = ax.figure.colorbar(lines, ax=ax, pad=0.02, aspect=28, shrink=0.8)
        bar.set_label(f"arrival of the {_pretty(species)} wave [ms]", color=INK)
        bar.outline.set_visible(False)
        _tidy(bar.ax)
        ax.plot(*at[int(np.nanargmin(arrival.values))], "o", ms=11, mfc="none", mec=INK, mew=1.4)
    _scale_bar(ax, at)
    ax.figure.draw_without_rendering()  # the layout has to be final before um can be told in points
    lines.set_linewidth(np.maximum(_radius(ds, nodes)[joined.col[order]] * 2 * _points_per_um(ax), 1.3))
    return ax


def draw(kind: Any, ds: xr.Dataset, file: str | File, size: tuple[float, float] = (7.2, 4.2), **options: Any) -> File:
    """Draw one of the pictures above into a file, without touching pyplot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    kind(ds, ax=figure.add_subplot(), **options)
    target = File(file)
    try:
        figure.savefig(target, dpi=160)
    except OSError as error:
        raise StorageError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target


def _profile(ds: xr.Dataset, path: Any, species: str, region: str) -> tuple[Floats, Floats, str]:
    """Position (ascending), concentration of shape (times, positions), and the label of the axis."""
    nodes, values = concentration(ds, species, region)
    tree = graph(ds, nodes)[1]
    if path is None and not tree:
        return *_section_means(ds, nodes, values), "distance [µm]"
    way: Path = choose(ds, path, region)
    order = np.argsort(way.position, kind="stable")
    picked = way.nodes[order]
    along = np.array_equal(way.position, ds["distance"].values[way.nodes])
    return way.position[order], values[:, np.searchsorted(nodes, picked)], "distance [µm]" if along else "path length [µm]"


def _plain_number(number: float, _: Any = None) -> str:
    return f"{number:g}"


def _section_means(ds: xr.Dataset, nodes: NDArray[np.int64], values: Floats) -> tuple[Floats, Floats]:
    """Means over nodes of equal ``distance``, weighted by volume; over equal bins where there are too many distances."""
    distance, volume = np.round(ds["distance"].values[nodes], 9), ds["volume"].values[nodes]
    places, group = np.unique(distance, return_inverse=True)
    if len(places) > max(_BINS, len(nodes) // 2):
        group = np.minimum((_BINS * (distance - distance.min()) / max(np.ptp(distance), 1e-12)).astype(int), _BINS - 1)
        places, group = np.unique(group, return_inverse=True)
        places = distance.min() + (places + 0.5) * np.ptp(distance) / _BINS
    weight = np.bincount(group, volume)
    return places.astype(float), np.stack([np.bincount(group, volume * row) / weight for row in values])


def _quiet_speed(ds: xr.Dataset, threshold: Any, species: str, region: str, path: Any) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return wave_speed(ds, threshold=threshold, species=species, region=region, path=path)


def _scale(shown: Floats) -> tuple[Any, str]:
    """Colours for an array (places, times): up to the peak at nearly every place, so that a stimulus does not darken the wave.

    Logarithmic where the wave spans decades, so that its tail stays visible behind a narrow front.
    """
    from matplotlib.colors import LogNorm, Normalize

    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    wave = float(np.nanpercentile(np.nanmax(shown, axis=1), 95))
    top, extend = (wave, "max") if high > 1.25 * wave > 0 else (high, "neither")
    rest = float(np.nanmedian(shown[:, 0]))
    if 0 < _DECADES * rest < top:
        return LogNorm(rest, top), extend
    return Normalize(low, top), extend


def _edges(centres: Floats) -> Floats:
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = 0.5 * (centres[1:] + centres[:-1])
    return np.concatenate([[1.5 * centres[0] - 0.5 * centres[1]], middle, [1.5 * centres[-1] - 0.5 * centres[-2]]])


def _widest(arrival: xr.DataArray) -> tuple[str, str]:
    extent = {k: float(np.ptp(arrival[k].values)) for k in "xyz"}
    least = "z" if extent["z"] <= max(min(extent["x"], extent["y"]), 1e-12) else min(extent, key=lambda k: extent[k])
    across, up = (k for k in "xyz" if k != least)
    return across, up


def _radius(ds: xr.Dataset, nodes: NDArray[np.int64]) -> Floats:
    """Radius of the dendrite at each node [um], from volume (with the ER inside) and membrane area; 0 where there is no plasma membrane."""
    volume = np.array(ds["volume"].values, float)
    for inner, outer in [(f"node_inside_{m}", f"node_outside_{m}") for m in _membranes(ds)]:
        if (ds[outer].values >= 0).all():
            np.add.at(volume, ds[outer].values, ds["volume"].values[ds[inner].values])
    area = np.zeros(len(volume))
    for m in _membranes(ds):
        if (ds[f"node_outside_{m}"].values < 0).all():
            np.add.at(area, ds[f"node_inside_{m}"].values, ds[f"area_{m}"].values)
    return np.where(area > 0, 2 * volume / np.where(area > 0, area, 1.0), 0.0)[nodes]


def _membranes(ds: xr.Dataset) -> list[str]:
    return [str(d)[5:] for d in ds.sizes if str(d).startswith("pair_")]


def _frame(ax: Any, at: Floats) -> None:
    middle, half = 0.5 * (at.min(axis=0) + at.max(axis=0)), 0.55 * np.maximum(np.ptp(at, axis=0), 0.15 * np.ptp(at, axis=0).max())
    ax.set(xlim=(middle[0] - half[0], middle[0] + half[0]), ylim=(middle[1] - 1.1 * half[1], middle[1] + half[1]), aspect="equal")
    ax.set_axis_off()


def _points_per_um(ax: Any) -> float:
    box = ax.get_window_extent()
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    return float(min(box.width / (x1 - x0), box.height / (y1 - y0)) * 72 / ax.figure.dpi)


def _scale_bar(ax: Any, at: Floats) -> None:
    aim = 0.22 * max(np.ptp(at[:, 0]), 0.3 * np.ptp(at[:, 1]))
    power = 10.0 ** np.floor(np.log10(aim))
    length = power * max(f for f in (1, 2, 5) if f * power <= aim)
    x, y = ax.get_xlim()[0] + 0.02 * np.ptp(ax.get_xlim()), ax.get_ylim()[0] + 0.03 * np.ptp(ax.get_ylim())
    ax.plot([x, x + length], [y, y], color=INK, lw=2, solid_capstyle="butt")
    ax.annotate(f"{length:g} µm", (x + length / 2, y), (0, 4), textcoords="offset points", ha="center", color=INK, fontsize=9)


def _axes(ax: Any, size: tuple[float, float]) -> Any:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def _colours() -> Any:
    import matplotlib

    return matplotlib.colormaps


def _tidy(ax: Any) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(QUIET)
    ax.tick_params(colors=QUIET, labelcolor=INK, length=3, labelsize=9)
    ax.xaxis.label.set_color(INK)
    ax.yaxis.label.set_color(INK)


def _pretty(species: str) -> str:
    return {"ca": "Ca²⁺", "ip3": "IP₃"}.get(species, species)
