"""Neurites that begin off the point on which they hang: what is put in between, or that nothing is, is told with its size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import InputError, nearest, shown
from ..mesh import Floats
from .points import SMALLEST, SOMA, Points, segment_lengths

INSIDE = 1 + 1e-9
"""Distance from the soma's centre, in its radii, up to which a neurite begins at its first point and not at the surface."""
LITTLE = 1.0
"""Percent of the neurites' length, area or volume up to which cylinders that lead to the soma are not told of."""
FILLINGS = ("cylinders", "nothing")
"""What may lie between the soma and neurites that begin outside of it."""
TOUCHING = 0.01  # um
"""Distance from the soma's surface, or from the parent, that is rounding."""


def reaches(points: Points) -> Floats:
    """Length of the cylinder between each point and the surface of the soma on which it hangs [um]; 0 where there is none."""
    parent = np.maximum(points.parent, 0)
    own, surface = segment_lengths(points), points.radius[parent]
    leaves = (points.parent >= 0) & (points.type[parent] == SOMA) & (points.type != SOMA)
    size: Floats = np.where(leaves & (own > surface * INSIDE), own - surface, 0.0)
    return size


def filled(given: object, builder: str) -> str:
    """What is put between the soma and neurites that begin outside of it, one of `FILLINGS`."""
    if not (isinstance(given, str) and given in FILLINGS):
        raise InputError(f"{builder}.gaps", f"{shown(given)} is no choice{nearest(str(given), FILLINGS)}; there are {', '.join(FILLINGS)}")
    return given


def without_cylinders(points: Points) -> Points:
    """Neurites that begin outside of the soma hang on it with nothing in between, as a note of the mesh says."""
    long = reaches(points) > 0
    if not long.any():
        return points
    told = f"{_segments(int(long.sum()), 'neurite')} outside of the soma, and nothing is put in between (gaps='nothing')"
    return replace(points, apart=points.apart | long, notes=(*points.notes, told))


def told_of_gaps(points: Points) -> Points:
    """Tell of cylinders to the soma with more than `LITTLE` percent of the neurites, and of segments that begin off their parent.

    Where the file itself draws a line from the soma to the neurite (SWC), the cylinders are a note of the mesh; else they are warned of.
    """
    long, parent = reaches(points), np.maximum(points.parent, 0)
    added = _cones(long, points.radius, points.radius)
    between = (points.parent >= 0) & (points.type != SOMA) & (points.type[parent] != SOMA)
    whole = added + _cones(np.where(between, segment_lengths(points), 0), points.radius, points.radius[parent])
    share = 100 * added / np.maximum(whole, 1e-300)
    if share.max() > LITTLE:
        told = (
            f"{_segments(int((long > 0).sum()), 'neurite')} outside of the soma, joined to its surface by cylinders of {added[0]:.4g} um, "
            f"{added[1]:.4g} um^2 and {added[2]:.4g} um^3: {share[0]:.3g}, {share[1]:.3g} and {share[2]:.3g} % of the neurites"
        )
        points = replace(points, notes=(*points.notes, told)) if points.line.any() else points.warned(f"{points.file}: {told}")
    off = np.flatnonzero(points.apart)
    body = (points.type[parent[off]] == SOMA) & (points.type[off] != SOMA)
    step = _norm(points.position - points.position[parent])[off[~body]]
    far = np.array([_from_body(points, int(k)) for k in off[body]])
    for size, where in ((far[far > TOUCHING], "the soma"), (step[step > TOUCHING], "their parent" if len(step) > 1 else "its parent")):
        if len(size):
            part = f"{100 * size.sum() / whole[0]:.2g} % of the neurites' length" if whole[0] > 0 else "of no neurites"
            points = points.warned(
                f"{points.file}: {_segments(len(size), 'segment')} off {where}, {size.sum():.4g} um in all ({part}); nothing is put in "
                "between, no length or volume, as the file has none there (a step of the radius leaves its ring of membrane)"
            )
    return points


def _segments(count: int, what: str) -> str:
    return f"{count} {what}s begin" if count > 1 else f"a {what} begins"


def _cones(h: Floats, a: Floats, b: Floats) -> Floats:
    """Length, area and volume of cones, summed."""
    area, volume = np.pi * (a + b) * np.hypot(h, b - a), np.pi / 3 * h * (a * a + a * b + b * b)
    return np.array([h.sum(), area[h > 0].sum(), volume.sum()])


def _from_body(points: Points, k: int) -> float:
    """Distance of a point from the cones, or the ball, that make the soma; 0 within."""
    soma = np.flatnonzero(points.type == SOMA)
    inner = (points.parent[soma] >= 0) & (points.type[points.parent[soma]] == SOMA)
    if not inner.any():
        return float(max(0.0, _norm(points.position[k] - points.position[soma[0]]) - points.radius[soma[0]]))
    far, near = soma[inner], points.parent[soma[inner]]
    way, at = points.position[far] - points.position[near], points.position[k] - points.position[near]
    h = np.maximum(_norm(way), SMALLEST)
    z = (at * way).sum(axis=1) / h
    s = np.sqrt(np.maximum((at**2).sum(axis=1) - z * z, 0))  # along the axis and away from it
    a, b = points.radius[near], points.radius[far]
    within = (z >= 0) & (z <= h) & (s <= a + (b - a) * z / h)
    zero, beside = 0 * h, np.stack([z, s], axis=1)
    edges = [((zero, zero), (zero, a)), ((zero, a), (h, b)), ((h, b), (h, zero))]
    away = np.min([_from_line(beside, np.stack(p, axis=1), np.stack(q, axis=1)) for p, q in edges], axis=0)
    return float(np.where(within, 0.0, away).min())


def _from_line(place: Floats, p: Floats, q: Floats) -> Floats:
    """Distance from the lines that lead from p to q, shape (lines, dimensions)."""
    t = ((place - p) * (q - p)).sum(axis=1) / np.maximum(((q - p) ** 2).sum(axis=1), SMALLEST**2)
    return _norm(place - p - np.clip(t, 0, 1)[:, None] * (q - p))


def _norm(way: Floats) -> Floats:
    size: Floats = np.sqrt((way**2).sum(axis=-1))
    return size
