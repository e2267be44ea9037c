"""Exact volumes, lateral areas and conductances of cones with a coaxial ER: everything is integrated along a polyline of radii.

Between two points the radius of the neurite R and of its ER E change linearly with the arc length s. The cytosol is the ring between them.
Where several points share one place, R and E step from the first to the last of them; the step's ring belongs to the membrane, but not at
the start, where a thin branch leaves a thick one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..mesh import Floats


@dataclass(frozen=True)
class Slices:
    """Consecutive slices of a neurite: shape (regions, slices), cytosol first, for volume and resistance; (slices,) for the areas.

    `resistance` is the integral of ds / A(s) [1/um], `plasma` and `er` are the membrane areas [um^2].
    """

    volume: Floats
    resistance: Floats
    plasma: Floats
    er: Floats


def cut(arc: Floats, radius: Floats, er_radius: Floats | None, slices: int) -> Slices:
    """Cut a polyline into slices of equal arc length and integrate each exactly.

    Parameters
    ----------
    arc : arc length of the points, from 0, never falling [um].
    radius, er_radius : at the points [um]; `er_radius` None for no ER.
    slices : number of slices.
    """
    total = arc[-1]
    grid = total * (np.arange(slices + 1) / slices)
    s = np.unique(np.concatenate([arc, grid]))
    h = np.diff(s)
    owner = np.clip(np.searchsorted(grid, (s[1:] + s[:-1]) / 2, side="right") - 1, 0, slices - 1)
    bare = np.zeros_like(radius) if er_radius is None else er_radius
    outer, inner = _ends(s, arc, radius), _ends(s, arc, bare)

    def per_slice(values: Floats) -> Floats:
        return np.bincount(owner, values, slices).astype(float)

    whole, tube = _volume(h, *outer), _volume(h, *inner)
    ring = [outer[k] - inner[k] for k in (0, 1)], [outer[k] + inner[k] for k in (0, 1)]
    volume, resistance = [per_slice(whole - tube)], [per_slice(h / _mean_area(*ring))]
    if er_radius is not None:
        volume.append(per_slice(tube))
        resistance.append(per_slice(h / _mean_area(inner, inner)))
    areas = [per_slice(_lateral(h, *ends)) for ends in (outer, inner)]
    for area, r in zip(areas, (radius, bare), strict=True):
        _add_steps(area, grid, arc, r)
    return Slices(np.stack(volume), np.stack(resistance), *areas)


Ends = tuple[Floats, Floats]


def _ends(s: Floats, arc: Floats, radius: Floats) -> Ends:
    """Radii at the beginning and at the end of each piece between the places `s`."""
    after = np.interp(s, arc, radius)  # of several points at one place it takes the last
    before = after.copy()
    steps = np.flatnonzero(np.diff(arc) == 0)
    before[np.searchsorted(s, arc[steps])] = radius[np.searchsorted(arc, arc[steps])]
    return after[:-1], before[1:]


def _add_steps(area: Floats, grid: Floats, arc: Floats, radius: Floats) -> None:
    """Add the rings between points at one place."""
    steps = np.flatnonzero((np.diff(arc) == 0) & (arc[1:] > 0))
    at = np.clip(np.searchsorted(grid, arc[steps], side="right") - 1, 0, len(area) - 1)
    np.add.at(area, at, math.pi * np.abs(radius[steps + 1] ** 2 - radius[steps] ** 2))


def _volume(h: Floats, a: Floats, b: Floats) -> Floats:
    volume: Floats = math.pi / 3 * h * (a * a + a * b + b * b)
    return volume


def _lateral(h: Floats, a: Floats, b: Floats) -> Floats:
    area: Floats = math.pi * (a + b) * np.hypot(h, b - a)
    return area


def _mean_area(p: Sequence[Floats], q: Sequence[Floats]) -> Floats:
    """Area A with h / A = integral of ds / (pi p q) over a piece of length h, for p and q linear in s from their first to their second.

    The integral is ``h log(a / b) / (pi (a - b))`` with ``a = p1 q0, b = p0 q1``: A is pi times their logarithmic mean.
    """
    a, b = p[1] * q[0], p[0] * q[1]
    x = a / b - 1
    small = x == 0
    mean: Floats = math.pi * b / np.where(small, 1.0, np.log1p(x) / np.where(small, 1.0, x))
    return mean
