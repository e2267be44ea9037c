"""What a file says about the cell body, made one point: the three-point convention, and outlines as tracing programs draw them.

An outline is a thin line of soma points that comes back to where it began; a body may have several of them, one above the other. It says
where the surface is, not how thick something is: taken as a chain of cones it would hold a thousandth of the body's calcium.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..mesh import Floats
from .points import SMALLEST, SOMA, Ints, Points, children

FEWEST = 4
"""Points of an outline; one of three is closed by a fourth on the first."""

OPEN = 0.3
"""Gap of an outline that was not closed, as a part of its length with the gap: 1/4 of four points, 0.29 of two thirds of a circle."""

THIN = 0.25
"""Radius of the points of an outline, at most, as a part of the radius that it gives: cones of a real body are as thick as it is."""

THICK = 0.5
"""The same for outlines that are told of without being taken."""

HOLLOW, RING = 0.2, 0.6
"""Volume of the cones of a soma as a part of that of a body as wide as its points; less is told of, of a closed ring less than the second.
Bodies that are meant as cones reach 0.29 (a centre with thin spokes) and more, a ring with a pen of a third of its radius 0.35."""

BETTER = 1.005
"""Factor by which another way to cut the points must enclose more to be taken: lines that change from one plane to the next gain less."""


def one_point_soma(points: Points) -> Points:
    """Replace a soma in the three-point convention, one that was drawn as outlines, or one whose points lie on one place, by one point.

    Outlines give a point at the centre of the largest, with the radius of the circle of the same area (Newell's formula, in any plane).
    What hangs on the points that go moves to that one, which becomes the root. The points tell of a soma that was drawn as outlines (where,
    how many points, the radius made), and of a chain of cones that hold far less than a body as wide as its points (an outline of which a
    part is missing, spokes, a thick line).
    """
    made = _outlined(_three_points(_on_one_place(points)))
    return made.warned(*_hollow(made))


def _on_one_place(points: Points) -> Points:
    """A soma whose points repeat one place is the largest of them."""
    for group in _groups(points):
        away = np.sqrt(((points.position[group] - points.position[group[0]]) ** 2).sum(axis=1))
        if len(group) > 1 and away.max() < SMALLEST:
            radius = points.radius.copy()
            radius[group[0]] = radius[group].max()
            return _on_one_place(_merged(replace(points, radius=radius), group[0], np.array(group[1:])))
    return points


def _three_points(points: Points) -> Points:
    soma = np.flatnonzero(points.type == SOMA)
    root = int(np.flatnonzero(points.parent < 0)[0])
    if len(soma) != 3 or root not in soma:
        return points
    others = soma[soma != root]
    r = points.radius[root]
    away = np.sqrt(((points.position[others] - points.position[root]) ** 2).sum(axis=1))
    # one percent: the files are rounded to a few digits
    alike = np.abs(np.concatenate([away, points.radius[others]]) - r) <= 0.01 * r
    if not (alike.all() and (points.parent[others] == root).all()):
        return points
    return _merged(points, root, others)


def _merged(points: Points, top: int, others: Ints) -> Points:
    """Drop points; what hangs on them moves to `top`."""
    keep = ~np.isin(np.arange(len(points.id)), others)
    return points.kept(keep, np.where(np.isin(points.parent, others), top, points.parent))


@dataclass(frozen=True)
class Outline:
    """A closed line through points (indices in order): the area that it encloses, and that area's centre."""

    points: tuple[int, ...]
    area: float
    centre: Floats

    @property
    def radius(self) -> float:
        """Radius of the circle of the same area."""
        return math.sqrt(self.area / math.pi)


def _outlined(points: Points) -> Points:
    found = [(group, outlines) for group in _groups(points) if (outlines := _outlines(points, group))]
    if not found:
        return points
    group, outlines = max(found, key=lambda each: each[1][0].area)
    top, largest = group[0], outlines[0]
    what, which = ("an outline", "it") if len(outlines) == 1 else (f"{len(outlines)} outlines", "the largest")
    pen = points.radius[group].max()
    told = (
        f"{points.at(top)}: the soma is drawn as {what} of {len(group)} points with radii up to {pen:.3g} um; taken as a body of radius "
        f"{largest.radius:.4g} um, from the area within {which}, {largest.area:.4g} um^2 (give one soma point for another)"
    )
    return _body(points, group, largest).warned(told)


def _body(points: Points, group: list[int], outline: Outline) -> Points:
    """Put one point, the root, in the place of a soma's."""
    top, position, radius = group[0], points.position.copy(), points.radius.copy()
    position[top], radius[top] = outline.centre, outline.radius
    return _merged(replace(points, position=position, radius=radius, parent=_rooted(points.parent, top)), top, np.array(group[1:]))


def _rooted(parent: Ints, top: int) -> Ints:
    """Turn the links between `top` and the root, so that `top` is the root."""
    turned = parent.copy()
    below, k = -1, top
    while k >= 0:
        turned[k], below, k = below, k, int(parent[k])
    return turned


def _hollow(points: Points) -> Iterator[str]:
    """Tell of soma points that spread in a plane and whose cones hold little: lines drawn around a body, or across it."""
    for group in _groups(points):
        if len(group) < 3:
            continue
        xyz, r = points.position[group], points.radius
        inner = np.array(group[1:])
        outer = points.parent[inner]
        long = np.sqrt(((points.position[inner] - points.position[outer]) ** 2).sum(axis=1))
        cones = float((np.pi / 3 * long * (r[inner] ** 2 + r[inner] * r[outer] + r[outer] ** 2)).sum())
        axes = np.linalg.svd(xyz - xyz.mean(axis=0), full_matrices=False)[2]
        half = np.ptp(xyz @ axes.T, axis=0) / 2
        body = 2 * math.pi * float(half[0] * half[1]) ** 1.5
        ring = cones < RING * body and any(_shut(points.position[list(o.points)]) for o in _outlines(points, group, THICK))
        if ring or cones < HOLLOW * body:
            yield (
                f"{points.at(group[0])}: the soma's {len(group)} points are taken as cones, which hold {cones:.3g} um^3; a body as wide as "
                f"they lie would hold about {body:.3g} um^3 (if they draw one, give one soma point of its radius)"
            )
            return


def _shut(line: Floats) -> bool:
    """Whether a line comes back to its first point within half a step more than its longest."""
    steps = np.sqrt(((line - np.roll(line, 1, axis=0)) ** 2).sum(axis=1))
    return bool(steps[0] <= 1.5 * steps[1:].max())


def _groups(points: Points) -> Iterator[list[int]]:
    """Connected soma points, the one next to the root first, parents before children."""
    kids = children(points.parent)
    soma = points.type == SOMA
    for k in np.flatnonzero(soma):
        if points.parent[k] < 0 or not soma[points.parent[k]]:
            group = [int(k)]
            for q in group:
                group += [c for c in kids[q] if soma[c]]
            yield group


def _outlines(points: Points, group: list[int], thin: float = THIN) -> list[Outline]:
    """The outlines that most of the soma points belong to, the largest first; none where the soma is something else."""
    xyz = points.position
    found: list[Outline] = []
    for ways in _ways(points, group):
        found += _best([_cut(xyz, way) for way in ways])
    apart: list[Outline] = []
    used: set[int] = set()
    for outline in sorted(found, key=lambda o: -o.area):
        if used.isdisjoint(outline.points) and points.radius[list(outline.points)].max() <= thin * outline.radius:
            used.update(outline.points)
            apart.append(outline)
    return apart if 2 * len(used) > len(group) else []


def _ways(points: Points, group: list[int]) -> Iterator[list[list[int]]]:
    """Lines through the points without branches: the longest from the top, then each branch, also with the line that it leaves."""
    kids: dict[int, list[int]] = {k: [] for k in group}
    depth = dict.fromkeys(group, 1)
    for k in reversed(group[1:]):
        q = int(points.parent[k])
        kids[q].append(k)
        depth[q] = max(depth[q], depth[k] + 1)
    todo: list[tuple[int, list[int]]] = [(group[0], [])]
    while todo:
        first, left = todo.pop()
        way = [first]
        while kids[way[-1]]:
            way.append(max(kids[way[-1]], key=depth.__getitem__))
        for place, k in enumerate(way[:-1]):
            todo += [(c, way[place:]) for c in kids[k] if c != way[place + 1]]
        yield [way, left[:1] + way, way[::-1] + left] if left else [way]


def _best(cuts: list[list[Outline]]) -> list[Outline]:
    best = cuts[0]
    for cut in cuts[1:]:
        if _largest(cut) > BETTER * _largest(best):
            best = cut
    return best


def _largest(outlines: list[Outline]) -> float:
    return max((o.area for o in outlines), default=0.0)


def _cut(xyz: Floats, way: list[int]) -> list[Outline]:
    """Outlines along a line of points: one after the other, from the first or second point on, or the line as a whole."""
    parts = _one_after_the_other(xyz, way)
    whole = [_outline(xyz, way)] if len(way) >= FEWEST and _closed(xyz[way])[-1] and _turns(xyz[way]) == 1 else []
    if _largest(whole) < 0.8 * sum(o.area for o in parts):  # parts of one outline lie beside each other, those of a stack above
        whole = []
    return _best([parts, whole, _one_after_the_other(xyz, way[1:])])


def _one_after_the_other(xyz: Floats, way: list[int]) -> list[Outline]:
    found = []
    while len(way) >= FEWEST:
        end = _end(xyz[way])
        if end:
            found.append(_outline(xyz, way[:end]))
        way = way[end or 1 :]
    return found


def _end(line: Floats) -> int:
    """Number of points from the first on that make an outline, or 0: up to the closest return within its plane."""
    closed = _closed(line)
    if not closed.any():
        return 0
    first = int(np.argmax(closed))
    normal, middle = _vector_area(line[: first + 1]), line[: first + 1].mean(axis=0)
    size = np.sqrt(normal @ normal)
    if size == 0:
        return 0
    off = np.abs((line - middle) @ normal) / size
    leaves = off > 3 * off[: first + 1].max() + 1e-6 * np.sqrt(size)
    stop = int(np.argmax(leaves)) if leaves.any() else len(line)
    gap = np.sqrt(((line[first:stop] - line[0]) ** 2).sum(axis=1))
    return first + int(np.argmin(gap)) + 1


def _closed(line: Floats) -> NDArray[np.bool_]:
    """At which points the line has come back to its first, up to a gap."""
    along = np.concatenate([[0.0], np.cumsum(np.sqrt((np.diff(line, axis=0) ** 2).sum(axis=1)))])
    gap = np.sqrt(((line - line[0]) ** 2).sum(axis=1))
    closed: NDArray[np.bool_] = gap <= OPEN * (along + gap)
    closed[: FEWEST - 1] = False
    return closed


def _vector_area(line: Floats) -> Floats:
    """Newell's formula: half the sum of the products of neighbours, along the normal and as long as the area."""
    p = line - line.mean(axis=0)
    area: Floats = 0.5 * np.cross(p, np.roll(p, -1, axis=0)).sum(axis=0)
    return area


def _outline(xyz: Floats, way: list[int]) -> Outline:
    middle = xyz[way].mean(axis=0)
    p = xyz[way] - middle
    q = np.roll(p, -1, axis=0)
    triangles = 0.5 * np.cross(p, q)
    normal = triangles.sum(axis=0)
    area = math.sqrt(normal @ normal)
    parts = triangles @ normal / area if area > 0 else np.zeros(len(way))
    return Outline(tuple(way), area, middle + (parts[:, None] * (p + q)).sum(axis=0) / (3 * area) if area > 0 else middle)


def outline_of(line: Floats) -> Outline:
    """The outline that points make in their order, shape (points, 3)."""
    return _outline(line, list(range(len(line))))


def _turns(line: Floats) -> int:
    """How often the closed line turns about itself, seen along its normal: once for every outline that does not cross itself."""
    normal = _vector_area(line)
    size = math.sqrt(normal @ normal)
    if size == 0:
        return 0
    normal = normal / size
    way = np.roll(line, -1, axis=0) - line
    way = way - (way @ normal)[:, None] * normal
    way = way[(way**2).sum(axis=1) > 1e-12 * size]
    ahead = np.roll(way, -1, axis=0)
    return round(abs(np.arctan2(np.cross(way, ahead) @ normal, (way * ahead).sum(axis=1)).sum()) / (2 * math.pi))
