"""Exact volumes, lateral areas and conductances of cones with a coaxial ER: everything is integrated along a polyline of radii.

Between two points the radius of the neurite R and of its ER E change linearly with the arc length s. The cytosol is the ring between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from calcium_sim.mesh import Floats


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
    arc : increasing arc length of the points, from 0 [um].
    radius, er_radius : at the points [um]; `er_radius` None for no ER.
    slices : number of slices.
    """
    total = arc[-1]
    grid = total * (np.arange(slices + 1) / slices)
    s = np.unique(np.concatenate([arc, grid]))
    h = np.diff(s)
    owner = np.clip(np.searchsorted(grid, (s[1:] + s[:-1]) / 2, side="right") - 1, 0, slices - 1)
    outer = np.interp(s, arc, radius)
    inner = np.zeros_like(outer) if er_radius is None else np.interp(s, arc, er_radius)

    def per_slice(values: Floats) -> Floats:
        return np.bincount(owner, values, slices).astype(float)

    whole, tube = _volume(h, outer), _volume(h, inner)
    volume, resistance = [per_slice(whole - tube)], [per_slice(h / _mean_area(outer - inner, outer + inner))]
    if er_radius is not None:
        volume.append(per_slice(tube))
        resistance.append(per_slice(h / _mean_area(inner, inner)))
    return Slices(np.stack(volume), np.stack(resistance), per_slice(_lateral(h, outer)), per_slice(_lateral(h, inner)))


def _volume(h: Floats, r: Floats) -> Floats:
    a, b = r[:-1], r[1:]
    volume: Floats = math.pi / 3 * h * (a * a + a * b + b * b)
    return volume


def _lateral(h: Floats, r: Floats) -> Floats:
    area: Floats = math.pi * (r[:-1] + r[1:]) * np.hypot(h, np.diff(r))
    return area


def _mean_area(p: Floats, q: Floats) -> Floats:
    """Area A with h / A = integral of ds / (pi p q) over a piece of length h, for p and q linear in s.

    The integral is ``h log(a / b) / (pi (a - b))`` with ``a = p1 q0, b = p0 q1``: A is pi times their logarithmic mean.
    """
    a, b = p[1:] * q[:-1], p[:-1] * q[1:]
    x = a / b - 1
    small = x == 0
    mean: Floats = math.pi * b / np.where(small, 1.0, np.log1p(x) / np.where(small, 1.0, x))
    return mean
