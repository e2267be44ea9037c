"""The course of a wave along a path: arrivals at places, the stretches that single waves run, and speeds along one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .paths import Ints, Path, choose, graph, of_nodes, spacing, travel

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]
RESOLVED = 5e-3
"""What arrivals can be told apart by [ms]: crossings are noted to some microseconds."""
_PIECES, _COVERED, _AT_ONCE = 50, 0.15, 0.1
"""Pieces of a way that are compared; part of it that a stimulus has to cover to be left out, and of the usual time of a piece."""
_FIT_POINTS = 400
_REVERSAL = 0.01
"""Part of the time of a wave by which arrivals have to turn back before two waves are told from one."""
_MANY = 4
"""More turns of that size are one wave that jumps from hot spot to hot spot."""
_COARSE = 0.05
"""Part of its time by which arrivals of such a wave have to turn back; of a piece of a path, the part of its own time."""


@dataclass(frozen=True)
class Course:
    """Positions along a path [um], ascending, arrivals there [ms] (NaN: none), and the nodes that the path runs through, as it runs."""

    position: Floats
    time: Floats
    nodes: Ints

    def where(self, chosen: Any) -> Course:
        """The course at some of its places."""
        return Course(self.position[chosen], self.time[chosen], self.nodes)

    def seen(self) -> Ints:
        """Places with an arrival."""
        return np.flatnonzero(np.isfinite(self.time))

    def way(self) -> float:
        """Length between the outermost places that were reached [um]."""
        return float(np.ptp(self.position[self.seen()])) if len(self.seen()) else 0.0

    def forth(self) -> bool:
        """Whether the wave runs towards larger positions."""
        t = self.time[self.seen()]
        return bool(len(t) and t[-1] >= t[0])


@dataclass(frozen=True)
class Stretch:
    """What one wave runs of a course, and how it ends: at the end of the course, where it ``met`` another wave, or before a ``gap``."""

    course: Course
    end: str = ""


@dataclass(frozen=True)
class Meeting:
    """Where two waves meet, and the places that they came from [um]."""

    place: float
    starts: tuple[float, float]

    def __str__(self) -> str:
        return f"the waves from {self.starts[0]:.4g} and {self.starts[1]:.4g} um meet at {self.place:.4g} um"


def follow(ds: xr.Dataset, nodes: Ints, arrival: Floats, region: str, path: Any, span: tuple[float, float] | None) -> Course:
    """The course from the place that is reached first to the farthest one that is reached, or along a path."""
    if path is None and not graph(ds, nodes)[1]:
        return Course(*_by_distance(of_nodes(ds, "distance")[nodes], arrival), nodes)
    first = int(nodes[np.nanargmin(arrival)])
    way: Path = choose(ds, path, region) if path is not None else travel(ds, first, None, region, nodes[np.isfinite(arrival)])
    if path is None and span is not None and (span[0] < way.position.min() - 1e-9 or span[1] > way.position.max() + 1e-9):
        way = travel(ds, first, None, region)  # as far as it goes, so that the answer says how far the wave came
    order = np.argsort(way.position, kind="stable")
    return Course(way.position[order], arrival[np.searchsorted(nodes, way.nodes)][order], way.nodes)


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


def window(ds: xr.Dataset, course: Course) -> int:
    """Places of a course whose median tells an arrival: three on a cable, a slab of two edges where each node has a place of its own."""
    extent = float(np.ptp(course.position)) if len(course.position) else 0.0
    per_edge = len(course.position) * spacing(ds, course.nodes) / extent if extent else 1.0
    return 1 + 2 * max(1, round(per_edge))


def stretches(course: Course, size: int) -> tuple[list[Stretch], list[Meeting]]:
    """The stretches of a course that are run by one wave each, in order of position, and the places where two meet.

    A single one is the whole course; of several each is what was reached of it.
    """
    seen = course.seen()
    if len(seen) < 3:
        return [Stretch(course)], []
    x, t = course.position[seen], _smoothed(course.time[seen], size)
    early, late = np.quantile(t, [0.2, 0.8])
    usual = float(late - early) / 0.6
    turns = _turns(t, max(_REVERSAL * usual, RESOLVED))
    turns = turns if len(turns) <= _MANY else _turns(t, max(_COARSE * usual, RESOLVED))
    if not turns:
        return [Stretch(course)], []
    stops = [0, *turns, len(t) - 1]
    out, meetings, first, after = [], [], 0, ""
    for k, turn in enumerate(stops[1:], 1):
        last, end = _stop(seen, turn) if turn in turns and t[turn] > t[stops[k - 1]] else ((turn, turn), "")
        piece = course.where(slice(seen[first], seen[last[0]] + 1))
        out.append(Stretch(piece, end if t[turn] >= t[stops[k - 1]] else after))
        if end == "met":
            meetings.append(Meeting(float(x[turn]), (float(x[stops[k - 1]]), float(x[stops[k + 1]]))))
        first, after = last[1], end
    return out, meetings


def _stop(seen: Ints, turn: int) -> tuple[tuple[int, int], str]:
    """Last place of one wave and first of the next around a latest arrival, and whether they met: not where places between were missed."""
    near = np.arange(max(turn - 2, 0), min(turn + 2, len(seen) - 1))
    gap = near[seen[near + 1] > seen[near] + 1]
    return ((int(gap[0]), int(gap[0]) + 1), "gap") if len(gap) else ((turn, turn), "met")


def beyond_start(course: Course) -> Course:
    """A stretch without the part that a stimulus covers, which is crossed at once; the whole where there is none.

    Pieces of equal length are compared with the usual one that takes time at all. The stimulus covers those at the beginning that take less
    than `_AT_ONCE` of it, if they are `_COVERED` of the way.
    """
    seen = course.seen()
    if len(seen) < _PIECES // 2:
        return course
    x, t = course.position[seen], course.time[seen]
    edges = np.linspace(x[0], x[-1], min(_PIECES, len(seen)) + 1)
    took = np.abs(np.diff(np.interp(edges, x, t)))
    if not (took > RESOLVED).any():
        return course
    slow = took > _AT_ONCE * np.median(took[took > RESOLVED])
    slow = slow if course.forth() else slow[::-1]
    pieces = int(np.argmax(slow))
    if pieces < _COVERED * len(slow):
        return course
    return course.where(course.position > edges[pieces] if course.forth() else course.position < edges[-1 - pieces])


def turn_between(course: Course, low: float, high: float, size: int) -> tuple[float, bool] | None:
    """The first place between two positions where arrivals turn, and whether waves meet there (or start); None where they do not turn."""
    seen = course.seen()
    x, t = course.position[seen], course.time[seen]
    inside = (x >= low - 1e-9) & (x <= high + 1e-9)
    if inside.sum() < 3:
        return None
    part = _smoothed(t[inside], size)
    turns = _turns(part, max(_COARSE * float(np.ptp(part)), _REVERSAL * float(np.ptp(t)), RESOLVED))
    return (float(x[inside][turns[0]]), bool(part[turns[0]] > part[0])) if turns else None


def _smoothed(time: Floats, size: int) -> Floats:
    """Medians of some neighbours: a single place that fires by itself makes no wave."""
    from scipy.ndimage import median_filter

    out: Floats = median_filter(time, size=min(size, len(time) - 1 + len(time) % 2), mode="mirror")
    return out


def _turns(time: Floats, height: float) -> list[int]:
    """Latest and earliest places, in turn, between which arrivals differ by more than a height; the ends of the course are none."""
    found: list[int] = []
    low, high, rising = 0, 0, None
    for k, t in enumerate(time.tolist()):
        high, low = k if t > time[high] else high, k if t < time[low] else low
        if rising is not True and t - time[low] > height:
            found += [low] if rising is False else []
            rising, high = True, k
        elif rising is not False and time[high] - t > height:
            found += [high] if rising else []
            rising, low = False, k
    return found


def at(course: Course, places: Floats) -> Floats:
    """Arrival at any place of the path: the cubic through the four nearest nodes."""
    position, time = course.position, course.time
    width = min(4, len(position))
    first = np.clip(np.searchsorted(position, places) - width // 2, 0, len(position) - width)
    stencil = first + np.arange(width)[:, None]
    x, t = position[stencil], time[stencil]
    weights = [np.prod([(places - x[j]) / (x[i] - x[j]) for j in range(width) if j != i], axis=0) for i in range(width)]
    return np.sum([w * t[i] for i, w in enumerate(weights)], axis=0)


def steady_speed(course: Course) -> float:
    """Speed of the line through the arrivals that has the median of all pairwise slopes (Theil-Sen) [um/ms]; infinite without a slope."""
    keep = np.unique(np.linspace(0, len(course.time) - 1, min(len(course.time), _FIT_POINTS)).astype(int))
    t, x = course.time[keep], course.position[keep]
    i, j = np.triu_indices(len(keep), 1)
    slowness = float(np.median((t[j] - t[i]) / np.where(x[j] > x[i], x[j] - x[i], np.inf)))
    return abs(1.0 / slowness) if slowness else float("inf")
