"""Pictures of a result: kymograph, traces, and the cell coloured by the arrival of the wave. matplotlib is imported when one is drawn."""

from __future__ import annotations

from pathlib import Path as File
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, StorageError, file_path, nearest
from ..kernels.files import uninterrupted
from ..mesh import Mesh
from ..results.arrivals import arrivals, concentration, key_of, level_of
from ..results.dataset import CONCENTRATION
from ..results.described import FLUX
from ..results.diagnostics import read_wave, wave_path
from ..results.paths import Path, choose, graph, of_nodes, places
from ..units import numbers_in
from .colours import resting, scale, thinned
from .drawing import GHOST, INK, axes, bar_beside, frame, palette, points_per_um, scale_bar, tidy

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_CELLS_PER_INCH = 100
"""A cell of a picture is larger than a dot of it, or what only one cell shows would be lost when it is drawn."""
_BINS = 200
_FEWEST = 5
"""Places that have to be reached before one speaks of a wave."""


def kymograph(
    ds: xr.Dataset,
    path: Any = None,
    ax: Any = None,
    species: str = "ca",
    region: str = "cytosol",
    threshold: Any = None,
) -> Any:
    """Draw concentration against time (across) and position (up), with the front of the wave as a line.

    Colours are black at rest, bright above it and blue below it. Where there are more places or times than the picture can show, each of
    its cells shows the value that is farthest from rest, so that a spot of one place stays.

    Parameters
    ----------
    ds : result of a run.
    path : (start node, end node) or a list of nodes; by default the way of the wave, from the node that it reaches first to the farthest
        that it reaches, or from the root to the farthest tip where fewer than five places are reached. On a mesh that is no tree or cable
        the position is ``distance`` and the concentration its mean over the cross-section.
    ax : matplotlib axes; a new figure by default.
    species : species, buffer, or any variable over (time, node).
    threshold : the front is where the concentration first passes it, as in `arrival_times`.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes(ax, (7.2, 4.2))
    position, values, label, nodes, place = _profile(ds, path, species, region, threshold)
    time = np.asarray(ds["time"].values, float)
    rest = resting(values.T)
    width, height = (int(_CELLS_PER_INCH * inches) for inches in ax.figure.get_size_inches())
    shown, rows = thinned(values.T, height, rest)
    shown, columns = thinned(shown.T, width, rest)
    colours = scale(shown.T)
    across, up = _edges(time)[columns], _edges(position)[rows]
    picture = ax.pcolormesh(across, up, shown.T, cmap=colours.tones, norm=colours.norm, rasterized=True, linewidth=0)
    bar = ax.figure.colorbar(picture, ax=ax, pad=0.02, aspect=28, extend=colours.extend, ticks=colours.ticks)
    bar.set_label(_axis_label(ds, species, region), color=INK)
    bar.formatter = _plain_number
    bar.minorticks_off()
    tidy(bar.ax)
    bar.outline.set_visible(False)
    ax.set(xlabel="time [ms]", ylabel=label, xlim=(time[0], time[-1]), ylim=(up[0], up[-1]))
    name = _pretty(ds, species)
    units = ds[key_of(ds, species)].attrs.get("units", CONCENTRATION)
    if (threshold is None and units != CONCENTRATION) or rest >= level_of(ds, species, threshold):
        ax.set_title(name, loc="left", color=INK, fontsize=11, pad=8)  # what rests above the level, or is no concentration, has no front
    else:
        first = _front(ds, nodes, place, species, region, threshold)
        if np.isfinite(first).sum() >= min(_FEWEST, len(first)):
            ax.plot(first, position, color="white", lw=1.1, ls=(0, (4, 2.5)), alpha=0.9)
            found, level = read_wave(ds, threshold=threshold, species=species, region=region, path=path), level_of(ds, species, threshold)
            told = f"{name} above {level:g} µM" if found.wave else f"{name}: no wave (threshold {level:g} µM)"
            head = f"{name} wave, {found.speed:.3g} µm/ms" if np.isfinite(found.speed) else told
        else:
            head = f"{name}: no wave on this path (threshold {level_of(ds, species, threshold):g} µM)"
        ax.set_title(head, loc="left", color=INK, fontsize=11, pad=8)
    tidy(ax)
    return ax


def _front(ds: xr.Dataset, picked: Ints, place: Ints, species: str, region: str, threshold: Any) -> Floats:
    """Arrival at each place of a profile: the median over its nodes, none where some were not reached."""
    nodes, arrival = arrivals(ds, threshold, species, region)
    when = arrival[np.searchsorted(nodes, picked)][np.argsort(place, kind="stable")]
    return np.array([np.median(part) for part in np.split(when, np.cumsum(np.bincount(place))[:-1])])


def traces(
    ds: xr.Dataset,
    at: Any = None,
    path: Any = None,
    ax: Any = None,
    species: str = "ca",
    region: str = "cytosol",
) -> Any:
    """Draw concentration against time at some places of a path.

    Parameters
    ----------
    at : positions along the path, or one, lengths or um; five evenly spaced ones by default.
    path, ax, species, region : as in `kymograph`.
    """
    ax = axes(ax, (7.2, 3.6))
    position, values, label, *_ = _profile(ds, path, species, region)
    inner = np.linspace(position.min(), position.max(), 7)[1:-1]
    wanted = inner if at is None else np.array(numbers_in(at, "um", "at"))
    if not len(wanted) or (wanted < _edges(position)[0] - 1e-9).any() or (wanted > _edges(position)[-1] + 1e-9).any():
        raise InputError("at", f"{wanted.tolist()} um must lie on the path, from {position.min():g} to {position.max():g} um")
    chosen = dict.fromkeys(int(np.argmin(np.abs(position - p))) for p in wanted)
    for k, node in enumerate(chosen):
        tone = palette()["viridis"](0.05 + 0.8 * k / max(len(chosen) - 1, 1))
        ax.plot(ds["time"].values, values[:, node], color=tone, lw=1.6, label=f"{position[node]:.4g}")
    key = ax.legend(
        title=label.replace(" [", "\n["), frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9, title_fontsize=9
    )
    key._legend_box.align = "left"
    times = ds["time"].values
    ax.set(xlabel="time [ms]", ylabel=_axis_label(ds, species, region), xlim=(times[0], times[-1]))
    ax.set_ylim(bottom=min(0.0, float(np.nanmin(values))))
    tidy(ax)
    return ax


def arrival_map(ds: xr.Dataset, ax: Any = None, species: str = "ca", region: str = "cytosol", threshold: Any = None) -> Any:
    """Draw the cell in the plane in which it is widest, coloured by the arrival of the wave; grey where it never came.

    Lines are as wide as the dendrite, but never thinner than a hair; the ring marks where the wave was seen first.
    """
    from matplotlib.collections import LineCollection

    ax = axes(ax, (6.0, 6.0))
    nodes, when_there = arrivals(ds, threshold, species, region)
    joined = graph(ds, nodes)[0].tocoo()
    if not len(joined.row):
        raise InputError("arrival_map", "the mesh has no edges to draw (it is a single point)")
    across, up = _widest(ds, nodes)
    at = np.stack([of_nodes(ds, across)[nodes], of_nodes(ds, up)[nodes]], axis=1)
    when = 0.5 * (when_there[joined.row] + when_there[joined.col])
    order = np.argsort(np.where(np.isnan(when), -np.inf, -when))
    ends = np.stack([at[joined.row], at[joined.col]], axis=1)[order]
    frame(ax, at)
    tones = palette()["plasma"].with_extremes(bad=GHOST)
    lines = LineCollection(list(ends), cmap=tones, capstyle="round")
    lines.set_array(np.ma.masked_invalid(when[order]))
    ax.add_collection(lines)
    name, level = _pretty(ds, species), f"{level_of(ds, species, threshold):g} µM"
    if np.isfinite(when).any():
        bar = bar_beside(ax, lines)
        wave = read_wave(ds, threshold=threshold, species=species, region=region).wave
        bar.set_label(f"arrival of the {name} wave [ms]" if wave else f"first above {level} [ms]", color=INK)
        if not wave:
            ax.set_title(f"{name}: no wave (threshold {level})", loc="center", color=INK, fontsize=10)
        bar.outline.set_visible(False)
        tidy(bar.ax)
        ax.plot(*at[int(np.nanargmin(when_there))], "o", ms=11, mfc="none", mec=INK, mew=1.4)
    else:
        told = f"no wave: {name} in the {region} stays below {level}"
        ax.set_title(told, loc="center", color=INK, fontsize=10)
    scale_bar(ax, at)
    ax.figure.draw_without_rendering()  # the layout has to be final before um can be told in points
    lines.set_linewidth(np.maximum(_radius(ds, nodes)[joined.col[order]] * 2 * points_per_um(ax), 1.3))
    return ax


def probes(ds: xr.Dataset, names: Any = None, ax: Any = None) -> Any:
    """Draw what probes have taken down against time: a row of axes per unit, a dot at a peak, a line at the first crossing.

    Parameters
    ----------
    ds : result of a run.
    names : which probes, a name or a list of names; all of them by default.
    ax : matplotlib axes in whose place they are drawn; a new figure by default.

    Returns
    -------
    list of matplotlib.axes.Axes

    Raises
    ------
    InputError
        If the result has no such probe.
    """
    rows = _by_unit(ds, names)
    first = axes(ax, (7.2, 1.2 + 2.4 * len(rows)))
    spec = first.get_subplotspec()
    if len(rows) == 1 or spec is None:
        if len(rows) > 1:
            raise InputError("ax", f"has no place in a grid for {len(rows)} rows, one per unit (take plt.subplots()[1], or names= of one)")
        panels = [first]
    else:
        first.remove()
        panels = list(spec.subgridspec(len(rows), 1).subplots(sharex=True))
    for panel, (unit, found) in zip(panels, rows.items(), strict=True):
        _panel(panel, ds, unit, found)
    panels[-1].set_xlabel("time [ms]")
    return panels


def _by_unit(ds: xr.Dataset, names: Any) -> dict[str, list[str]]:
    """Names of probes by their unit."""
    known = [str(v.attrs["probe"]) for v in ds.data_vars.values() if "probe" in v.attrs and v.ndim == 1]
    if not known:
        raise InputError("probes", "the result has none (simulate(..., record={'soma': ('ca@cytosol', 'soma')}) takes them down)")
    wanted = known if names is None else [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in known:
            raise InputError("names", f"the result has no probe '{name}'{nearest(str(name), known)}; it has {', '.join(known)}")
    rows: dict[str, list[str]] = {}
    for v in ds.data_vars.values():
        if v.ndim == 1 and v.attrs.get("probe") in wanted:
            rows.setdefault(str(v.attrs.get("units", "")), []).append(str(v.name))
    return rows


def _panel(ax: Any, ds: xr.Dataset, unit: str, found: list[str]) -> None:
    for k, key in enumerate(found):
        course, tone = ds[key], palette()["viridis"](0.05 + 0.8 * k / max(len(found) - 1, 1))
        time = ds[str(course.dims[0])].values
        ax.plot(time, course.values, color=tone, lw=1.6, label=str(course.attrs["probe"]))
        if f"{key}_peak" in ds:
            ax.plot(float(ds[f"{key}_peak_time"]), float(ds[f"{key}_peak"]), "o", ms=4, color=tone)
        if f"{key}_arrival" in ds:
            ax.axvline(float(ds[f"{key}_arrival"]), color=tone, lw=0.8, ls=(0, (4, 2.5)), alpha=0.8)
    told = {
        CONCENTRATION: "concentration [µM]",
        "mV": "potential [mV]",
        "1": "open probability",
        FLUX: "flux density [µM µm/ms]",
    }.get(unit, unit)
    ax.set_ylabel(told, color=INK)
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
    ax.margins(x=0)
    tidy(ax)


def draw(kind: Any, ds: xr.Dataset | Mesh, file: str | File, size: tuple[float, float] = (7.2, 4.2), **options: Any) -> File:
    """Draw a picture (one of those above, or `cellmap.cell_map` of a mesh) into a file, without pyplot; empty margins are cut off."""
    from matplotlib.backend_bases import FigureCanvasBase
    from matplotlib.figure import Figure

    target = file_path(file, "file")
    known = sorted(FigureCanvasBase.get_supported_filetypes())
    if target.suffix[1:].lower() not in known:
        raise InputError(str(target), f"'{target.suffix}' is no format of a picture; there are {', '.join(known)}")
    figure = Figure(figsize=size, layout="constrained")
    kind(ds, ax=figure.add_subplot(), **options)
    try:
        with uninterrupted():
            figure.savefig(target, dpi=160, bbox_inches="tight", pad_inches=0.08)
    except OSError as error:
        raise StorageError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target


def _profile(ds: xr.Dataset, path: Any, species: str, region: str, threshold: Any = None) -> tuple[Floats, Floats, str, Ints, Ints]:
    """Position (ascending), concentration (times, positions), label of the axis; the nodes, and the position that each belongs to."""
    nodes, values = concentration(ds, species, region)
    if path is None and not graph(ds, nodes)[1]:
        position, group, means = _section_means(ds, nodes, values)
        return position, means, "distance [µm]", nodes, group
    way: Path = choose(ds, path, region) if path is not None else _default_path(ds, species, region, threshold)
    order = np.argsort(way.position, kind="stable")
    picked = way.nodes[order]
    label = "distance [µm]" if np.array_equal(way.position, of_nodes(ds, "distance")[way.nodes]) else "path length [µm]"
    return way.position[order], values[:, np.searchsorted(nodes, picked)], label, picked, np.arange(len(picked))


def _default_path(ds: xr.Dataset, species: str, region: str, threshold: Any) -> Path:
    """The way of the wave; the root to the farthest tip where there is none."""
    try:
        way = wave_path(ds, threshold, species, region)
    except InputError:
        return choose(ds, None, region)
    return way if len(way.nodes) >= _FEWEST else choose(ds, None, region)


def _plain_number(number: float, _: Any = None) -> str:
    return f"{number:g}"


def _section_means(ds: xr.Dataset, nodes: Ints, values: Floats) -> tuple[Floats, Ints, Floats]:
    """Positions, the one of each node, and means over nodes of equal ``distance`` by volume; equal bins where there are many distances."""
    distance, volume = np.round(of_nodes(ds, "distance")[nodes], 9), of_nodes(ds, "volume")[nodes]
    places, group = np.unique(distance, return_inverse=True)
    if len(places) > max(_BINS, len(nodes) // 2):
        group = np.minimum((_BINS * (distance - distance.min()) / max(np.ptp(distance), 1e-12)).astype(int), _BINS - 1)
        places, group = np.unique(group, return_inverse=True)
        places = distance.min() + (places + 0.5) * np.ptp(distance) / _BINS
    weight = np.bincount(group, volume)
    return places.astype(float), group, np.stack([np.bincount(group, volume * row) / weight for row in values])


def _edges(centres: Floats) -> Floats:
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = 0.5 * (centres[1:] + centres[:-1])
    return np.concatenate([[1.5 * centres[0] - 0.5 * centres[1]], middle, [1.5 * centres[-1] - 0.5 * centres[-2]]])


def _widest(ds: xr.Dataset, nodes: Ints) -> tuple[str, str]:
    extent = {k: float(np.ptp(of_nodes(ds, k)[nodes])) for k in "xyz"}
    least = "z" if extent["z"] <= max(min(extent["x"], extent["y"]), 1e-12) else min(extent, key=lambda k: extent[k])
    across, up = (k for k in "xyz" if k != least)
    return across, up


def _radius(ds: xr.Dataset, nodes: Ints) -> Floats:
    """Radius of the dendrite at each node [um], from volume (with the ER inside) and membrane area; 0 where there is no plasma membrane."""
    volume = of_nodes(ds, "volume").copy()
    for inner, outer in [(f"node_inside_{m}", f"node_outside_{m}") for m in _membranes(ds)]:
        if (ds[outer].values >= 0).all():
            mine, theirs = places(ds, ds[outer].values), places(ds, ds[inner].values)
            both = (mine >= 0) & (theirs >= 0)
            np.add.at(volume, mine[both], of_nodes(ds, "volume")[theirs[both]])
    area = np.zeros(len(volume))
    for m in _membranes(ds):
        if (ds[f"node_outside_{m}"].values < 0).all():
            mine = places(ds, ds[f"node_inside_{m}"].values)
            np.add.at(area, mine[mine >= 0], ds[f"area_{m}"].values[mine >= 0])
    return np.where(area > 0, 2 * volume / np.where(area > 0, area, 1.0), 0.0)[nodes]


def _membranes(ds: xr.Dataset) -> list[str]:
    return [str(d)[5:] for d in ds.sizes if str(d).startswith("pair_")]


def _pretty(ds: xr.Dataset, species: str) -> str:
    name = ds[key_of(ds, species)].attrs.get("model_name", species) if key_of(ds, species) in ds else species
    return {"ca": "Ca²⁺", "ip3": "IP₃"}.get(name, name)


def _axis_label(ds: xr.Dataset, species: str, region: str) -> str:
    units = ds[key_of(ds, species)].attrs.get("units", "")
    told = {CONCENTRATION: " [µM]", "1": "", "": ""}.get(units, f" [{units}]")
    return f"{_pretty(ds, species)} in the {region}{told}"
