"""Numbers read off a result: when the wave arrives, how fast it runs, how much calcium there is, whether anything went negative."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..description.names import variable
from ..errors import CalciumSimError, InputError, warn
from ..units import numbers_in
from .arrivals import THRESHOLD as THRESHOLD
from .arrivals import arrival_times as arrival_times
from .arrivals import arrivals, check_result, is_noted, key_of, level_of, noted_of, times_of
from .arrivals import first_crossing as first_crossing
from .arrivals import micromolar as micromolar
from .course import RESOLVED, Course, Meeting, Stretch, at, beyond_start, follow, steady_speed, stretches, turn_between, window
from .paths import Ints, Path, graph, of_nodes, region_nodes, spacing, travel

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]
_FEWEST = 5
"""A path of fewer nodes carries no wave."""
_ROUNDED = 1.06
"""A spacing is coarse above so many times the advice, which is rounded to two digits."""
_SPREAD = 20.0
"""What only diffuses, x^2 = 4 D t, has a speed times way of 4 D; a wave that deserves the name a multiple of it."""
_CARRIED = 20.0
"""Speeds above so many times D/spacing are none of a wave: nothing that one place releases is at the next one by then."""
_ALONE = "no farther than diffusion alone brings a stimulus"
_TOLD = 3
"""Meetings of waves that a line names."""
_DYING = 2.0
"""A wave that ended and took so many times longer for the last third of its middle part than for the first one was never steady."""
_MISSED = 0.03
"""A wave may leave out this part of the places in the middle of its way."""
_PATIENCE = 4.0
"""A wave that is so many times slower in the end than in the middle of its way has ended."""


@dataclass(frozen=True)
class Reading:
    """What was read off a wave: its speed [um/ms], what there is to say about it, whether it is one, and the course that was followed."""

    speed: float
    told: tuple[str, ...]
    wave: bool = True
    course: Course | None = None


def wave_path(ds: xr.Dataset, threshold: Any = None, species: str = "ca", region: str = "cytosol") -> Path:
    """The path from the node that the wave reaches first to the farthest one that it reaches.

    Raises
    ------
    InputError
        If the threshold is never crossed.
    """
    nodes, arrival = arrivals(ds, threshold, species, region)
    there = np.isfinite(arrival)
    if not there.any():
        level = level_of(ds, species, threshold)
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
    that is no tree or cable, along the coordinate ``distance``. Where several waves run on this path, the longest stretch that one of them
    runs is taken, and a warning says where they meet. Without `between`, the speed is that of a robust line (median of all pairwise
    slopes, Theil-Sen) through the arrivals in the middle of the stretch, from 20 % to 80 % of its length.

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
        to its end before that of the cell, and was slower and slower on its way, or came no farther than diffusion alone brings a
        stimulus. NaN as well where two waves meet between the places of `between`, where the cell starts above the threshold, and where it
        fires as a whole. A wave that ended after a steady run, or was still on its way when the result ends, has the speed of the
        part that it passed, and a warning says which of the two it is.
    """
    found = read_wave(ds, between, threshold, species, region, path)
    for line in found.told:
        if line not in str(ds.attrs.get("notes", "")):  # the run has said so
            warn(line)
    return found.speed


def read_wave(
    ds: xr.Dataset,
    between: Sequence[Any] | None = None,
    threshold: Any = None,
    species: str = "ca",
    region: str = "cytosol",
    path: Any = None,
) -> Reading:
    """`wave_speed`, and what there is to say about it."""
    found = _measured(ds, between, threshold, species, region, path)
    return replace(found, told=(*found.told, *_coarse(ds, species, region, found)))


def coarse_front(ds: xr.Dataset, species: str, region: str = "cytosol") -> list[str]:
    """A line where the mesh is coarse for the wave of a species that ran in a result."""
    return _coarse(ds, species, region, _measured(ds, None, None, species, region, None))


def _measured(ds: xr.Dataset, between: Any, threshold: Any, species: str, region: str, path: Any) -> Reading:
    nodes, arrival = arrivals(ds, threshold, species, region)
    level = f"{level_of(ds, species, threshold):g} uM"
    if not np.isfinite(arrival).any():
        return _no_wave(f"'{species}' never crosses {level} in '{region}'")
    begin = float(times_of(ds)[0])
    if (arrival[np.isfinite(arrival)] == begin).all():
        return _no_wave(_starts_above(arrival, begin, f"'{species}' in '{region}'", level))
    asked = _Asked(ds, species, threshold, path, None if between is None else _span(between), _diffusion(ds, species, region))
    course = follow(ds, nodes, arrival, region, path, asked.span)
    crossed = course.time != begin  # where it was above from the start, nobody knows when it came
    course = course.where(crossed) if np.isfinite(course.time[crossed]).any() else course
    time = course.time[course.seen()]
    every = float(np.max(np.diff(times_of(ds)), initial=0.0))
    if len(time) > 1 and np.ptp(time) < _OUTPUTS * every and not is_noted(ds, species, threshold):
        fix = "run with this threshold=, or take a smaller every="
        return _no_wave(f"all places cross the threshold within outputs {every:.4g} ms apart, too far to tell a speed ({fix})", wave=True)
    if len(time) > 1 and np.ptp(time) <= RESOLVED:
        return _no_wave(_as_a_whole(course))
    size = window(ds, course)
    parts, meetings = stretches(course, size)
    part = max(parts, key=lambda p: p.course.way())
    if asked.span is not None:
        found = _read_between(asked, course, parts, asked.span, size)
    else:
        found = _read_stretch(asked, part, nodes, arrival)
        if meetings and np.isfinite(found.speed):
            found = replace(found, told=(_met(meetings, part.course), *found.told))
    return _no_wave(_as_a_whole(found.course)) if found.course is not None and _instant(asked, found) else found


@dataclass(frozen=True)
class _Asked:
    """What is asked of a result: as in `wave_speed`; `diffusion` [um^2/ms] where the result tells it."""

    ds: xr.Dataset
    species: str
    threshold: Any
    path: Any
    span: tuple[float, float] | None
    diffusion: float | None


def _read_stretch(asked: _Asked, part: Stretch, nodes: Ints, arrival: Floats) -> Reading:
    """The steady speed in the middle of the stretch that one wave runs."""
    course = beyond_start(part.course)
    position, time = course.position, course.time
    if np.isfinite(time).sum() < _FEWEST:
        return _no_wave(f"the threshold was crossed, seen at {np.isfinite(time).sum()} places only")
    ended = "" if part.end == "met" else _ended(asked, course)
    low, high = (position.min() + f * np.ptp(position) for f in (0.2, 0.8))
    middle = course.where((position >= low - 1e-9) & (position <= high + 1e-9))
    missed = float(np.isnan(middle.time).mean()) if len(middle.time) else 1.0
    middle = middle.where(np.isfinite(middle.time))
    if missed > _MISSED or len(middle.time) < 2:
        return _no_wave(_how_far(course, low, high, ended), wave=True)
    goes_on = part.end == "gap" or (not part.end and asked.path is None and _goes_on(asked.ds, nodes, arrival, course))
    speed, slower = steady_speed(middle), _slower(middle.time)
    small = _small(asked.diffusion, course, speed)
    if goes_on and ended and slower:
        return _no_wave(f"{_seen(course, not small)}, slower and slower, and {ended}", wave=not small)
    if small and ((goes_on and ended) or slower):
        return _no_wave(f"{_seen(course, False)}{f' and {ended}' if ended else ''}, {_ALONE}")
    if not goes_on:
        return Reading(speed, (), True, course)
    part_of_it = f"the speed is that of this part{f' (so far {_ALONE})' if small else ''}"
    told = f"and {ended}; the speed is that until there" if ended else f"and not beyond, {part_of_it} (run longer?)"
    return Reading(speed, (f"{_seen(course)} {told}",), True, course)


def _read_between(asked: _Asked, course: Course, parts: list[Stretch], span: tuple[float, float], size: int) -> Reading:
    """The mean speed between two places."""
    (low, high), position = span, course.position
    if low == high or low < position.min() - 1e-9 or high > position.max() + 1e-9:
        raise InputError(
            "between", f"({low:g}, {high:g}) um must be two places on the path from {position.min():g} to {position.max():g} um"
        )
    turn = turn_between(course, low, high, size)
    if turn is not None:
        what = "waves meet" if turn[1] else "a wave starts to both sides"
        return _no_wave(f"{what} at {turn[0]:.4g} um, between {low:g} and {high:g} um (give two places on one side of it)", wave=True)
    part = next((p.course for p in parts if p.course.position.min() <= low + 1e-9 and p.course.position.max() >= high - 1e-9), course)
    ended = _ended(asked, part)
    passed = at(course, np.array([low, high]))
    if not np.isfinite(passed).all():
        return _no_wave(_how_far(part, low, high, ended), wave=True)
    took = abs(passed[1] - passed[0])
    speed = float(abs(high - low) / took) if took else float("inf")
    if ended and _small(asked.diffusion, part, speed):
        return _no_wave(f"{_seen(part, False)} and {ended}, {_ALONE}")
    return Reading(speed, (), True, part)


def _instant(asked: _Asked, found: Reading) -> bool:
    """Whether places fire faster one after the other than diffusion carries anything from one to the next."""
    if not np.isfinite(found.speed) or found.course is None or not asked.diffusion:
        return not np.isfinite(found.speed)
    return found.speed * spacing(asked.ds, found.course.nodes) > _CARRIED * asked.diffusion


def _met(meetings: list[Meeting], course: Course) -> str:
    ends = course.position[course.seen()][[0, -1]]
    first, last = ends if course.forth() else ends[::-1]
    more = f" and so on ({len(meetings)} meetings)" if len(meetings) > _TOLD else ""
    return f"{'; '.join(map(str, meetings[:_TOLD]))}{more}; the speed is that of the wave from {first:.4g} to {last:.4g} um"


def _starts_above(arrival: Floats, begin: float, what: str, level: str) -> str:
    there = np.isfinite(arrival)
    where = "" if there.all() else f" at {there.sum()} of {len(there)} places, and crosses it nowhere else"
    why = "it starts above, or the wave came before" if begin > 0 else "no upward crossing tells a wave; choose another threshold="
    return f"{what} is above {level} when the result begins, at {begin:g} ms{where} ({why})"


_OUTPUTS = 3.0
"""Arrivals that are sought between outputs have to spread over so many intervals: between two of them their order alone is known."""


def _as_a_whole(course: Course) -> str:
    time = course.time[course.seen()]
    spread = np.ptp(time)
    when = f"at the same time, {np.median(time):.6g} ms" if spread <= RESOLVED else f"within {spread:.3g} ms of {np.median(time):.6g} ms"
    return f"all places cross the threshold {when}: the cell fires as a whole (not at rest at the start, or stimulated everywhere)"


def _ended(asked: _Asked, course: Course) -> str:
    """Words for a wave that came hardly farther in the end; empty for one that the end of the result cut off.

    What it took from the last tenth of its way to the end of the result, per length, is compared with the middle of the way.
    """
    there = course.seen()
    x, t = course.position[there], course.time[there]
    if len(t) < _FEWEST:
        return ""
    x, t = (x, t) if course.forth() else (x[::-1], t[::-1])
    middle = slice(len(t) // 5, 1 + (4 * len(t)) // 5)
    usual = np.median(np.abs(np.diff(t[middle]) / np.diff(x[middle])))
    k = 1 + max(2, len(t) // 10)
    outputs = times_of(asked.ds)
    between = 0.0 if is_noted(asked.ds, asked.species, asked.threshold) or len(outputs) < 2 else float(np.median(np.diff(outputs)))
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


def _goes_on(ds: xr.Dataset, nodes: Ints, arrival: Floats, course: Course) -> bool:
    """Whether the cell goes on where the wave was seen last: that is no tip of a tree, or not the farthest place of another mesh."""
    edges, tree = graph(ds, nodes)
    if not tree:
        distance = of_nodes(ds, "distance")[nodes] * (1.0 if course.forth() else -1.0)
        return bool(np.isnan(arrival[distance >= distance.max() - 1e-9]).all() and np.isfinite(arrival).any())
    joined, last = edges.tocoo(), int(np.searchsorted(nodes, course.nodes[-1]))
    return int(np.sum(joined.row == last) + np.sum(joined.col == last)) > 1


def _span(between: Sequence[Any]) -> tuple[float, float]:
    places = sorted(numbers_in(between, "um", "between"))
    if len(places) != 2:
        raise InputError("between", f"{between!r} must be two places on the path (e.g. ('10 um', '40 um'))")
    return places[0], places[1]


def _diffusion(ds: xr.Dataset, species: str, region: str) -> float | None:
    """Diffusion coefficient of a species in a region [um^2/ms]; None where the result does not tell it."""
    key, name = key_of(ds, species), f"diffusion_{variable(region)}"
    known = [*([ds[key]] if key in ds else []), *noted_of(ds, key).values()]
    found = next((d for v in known if (d := v.attrs.get(name))), None)
    return float(found) if isinstance(found, (int, float, np.number)) else None


def _small(diffusion: float | None, course: Course, speed: float) -> bool:
    """Whether a wave came no farther than a stimulus spreads alone."""
    return bool(diffusion and course.way() * speed < _SPREAD * diffusion)


def _coarse(ds: xr.Dataset, species: str, region: str, found: Reading) -> list[str]:
    """A line where the mesh is coarser than a quarter of the front's width D/v, and a wave came farther than a stimulus spreads alone."""
    diffusion = _diffusion(ds, species, region)
    if found.course is None or not diffusion or _small(diffusion, found.course, found.speed):
        return []
    length, front = spacing(ds, found.course.nodes), diffusion / found.speed
    if length <= _ROUNDED * front / 4.0:
        return []
    nodes = region_nodes(ds, region)
    many = f" (about {float(f'{len(nodes) * 4 * length / front:.2g}'):.0f} positions)" if graph(ds, nodes)[1] else ""
    return [f"the spacing of {length:.3g} um is coarse for a front of {front:.2g} um, take {0.25 * front:.2g} um{many}"]


def _seen(course: Course, wave: bool = True) -> str:
    there = course.position[course.seen()]
    return (
        f"{'the wave' if wave else 'a rise above the threshold'} was seen from {there.min():.4g} to {there.max():.4g} um"
        if len(there)
        else "no wave was seen on the path"
    )


def _how_far(course: Course, low: float, high: float, ended: str) -> str:
    more = f", and {ended} (give path= or between=)" if ended else " (run longer, or give path= or between=)"
    return f"{_seen(course)}, but not everywhere from {low:.4g} to {high:.4g} um{more}"


def _no_wave(message: str, wave: bool = False) -> Reading:
    return Reading(float("nan"), (f"no wave{' speed' if wave else ''}: {message}",), wave)


def cite(ds: xr.Dataset) -> list[str]:
    """The sources that the channels of a result name, one line per channel."""
    from ..model.registry import get_channel

    check_result(ds)
    try:
        names = json.loads(ds.attrs.get("channels", "{}"))
    except (TypeError, ValueError):
        names = None
    if not isinstance(names, dict):
        raise InputError("channels", "the attribute of the result is no JSON table of channels, expected that of a run")
    out = []
    for name in names:
        try:
            source = get_channel(name).source
        except CalciumSimError:
            source = "(not installed here)"
        out.append(f"{name}: {source or 'no source given'}")
    return out
