"""Cell bodies drawn as outlines become a sphere of the enclosed area; others stay what they are, with a word where they hold little.

Right values are closed forms: a polygon of n points on an ellipse of half axes a and b encloses n/2 sin(2 pi/n) a b.
"""

import math
import warnings

import numpy as np
import pytest

from calcium_sim.meshes import from_swc

PEN = 0.1
A, B, N = 7.0, 5.0, 20
AREA = N / 2 * math.sin(2 * math.pi / N) * A * B


def ellipse(count=N, a=A, b=B, z=0.0, start=0.0):
    t = start + 2 * np.pi * np.arange(count) / count
    return np.stack([a * np.cos(t), b * np.sin(t), np.full(count, z)], axis=1)


def turned(xyz, seed=3):
    """In any plane: a rotation by chance, and away from the origin."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return xyz @ q.T + np.array([100.0, -30.0, 12.0])


def chain(xyz, parents=None, radius=PEN):
    """Rows of soma points, each on the one before it."""
    parents = range(len(xyz)) if parents is None else parents
    radius = np.broadcast_to(radius, len(xyz))
    return [
        f"{k + 1} 1 {x:.9f} {y:.9f} {z:.9f} {r:g} {p or -1}" for k, ((x, y, z), p, r) in enumerate(zip(xyz, parents, radius, strict=True))
    ]


def neurites(rows, xyz, places=(0, 2)):
    """Straight neurites of 30 um and radius 0.5 um, outwards from points of the body, the first 1 um away from it."""
    middle = xyz.mean(axis=0)
    for k in places:
        way = (xyz[k] - middle) / np.linalg.norm(xyz[k] - middle)
        for far in (1.0, 31.0):
            x, y, z = xyz[k] + far * way
            parent = k + 1 if far == 1.0 else len(rows)
            rows = [*rows, f"{len(rows) + 1} 3 {x:.9f} {y:.9f} {z:.9f} 0.5 {parent}"]
    return rows


def read(folder, rows):
    path = folder / "cell.swc"
    path.write_text("\n".join(rows) + "\n")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        mesh = from_swc(path, "1 um", None)
    return mesh, [str(w.message) for w in told]


def radius_of(mesh):
    """From the membrane of a body of one node, 4 pi R^2."""
    soma = mesh.labels["soma"]
    assert soma.sum() == 1, f"{soma.sum()} nodes of the soma"
    return math.sqrt(mesh.membranes["plasma"].area[soma].item() / (4 * math.pi))


def stack(levels, widths):
    return [ellipse(a=w * A, b=w * B, z=z) for z, w in zip(levels, widths, strict=True)]


def closed(xyz):
    return np.concatenate([xyz, xyz[:1]])


def shapes():
    """Name: points, parents (None: each on the one before), area of the largest outline, relative tolerance of the radius."""
    ring = ellipse()
    yield "open by one step", ring, None, AREA, 1e-8
    yield "closed exactly", closed(ring), None, AREA, 1e-8
    yield "closed nearly", np.concatenate([ring, ring[:1] + np.array([0.0, 0.05, 0.02])]), None, AREA, 1e-2
    yield "two points too far", np.concatenate([ring, ring[:2] * 1.01]), None, AREA, 1e-2
    # three of twenty points left out: a segment of four steps, n = 20, less by 4 sin(h) / 2 - sin(4 h) / 2 of a b
    h = 2 * math.pi / N
    yield "open by four steps", ring[:-3], None, AREA - (2 * math.sin(h) - math.sin(4 * h) / 2) * A * B, 1e-8
    yield "four points", ellipse(4), None, 2 * A * B, 1e-8
    yield "three points, closed", closed(ellipse(3)), None, 1.5 * math.sin(2 * math.pi / 3) * A * B, 1e-8
    yield "the other way round", ring[::-1], None, AREA, 1e-8
    yield "two halves that meet", np.concatenate([ring[:11], ring[:10:-1]]), [*range(11), 1, *range(12, N)], AREA, 1e-8
    yield "a spur of soma", np.concatenate([ring, ring[5:6] * 1.2, ring[5:6] * 1.4]), [*range(N), 6, N + 1], AREA, 1e-8
    yield "on a point in the middle", np.concatenate([ring[:1] * 0, ring]), None, AREA, 1e-8
    # a rectangle 20 x 3 begun in the middle of a long side: half way round the line passes 3 um from its start
    sides = [(x, 0.0) for x in range(10)] + [(10.0, y) for y in (0.0, 1.5)] + [(x, 3.0) for x in range(10, -10, -1)]
    sides += [(-10.0, y) for y in (3.0, 1.5)] + [(x, 0.0) for x in range(-10, 0)]
    flat = np.array([(x, y, 0.0) for x, y in sides])
    yield "long and narrow", flat, None, 60.0, 1e-8
    bay = np.array([(0, 0, 0), (6, 0, 0), (12, 0, 0), (12, 9, 0), (8, 9, 0), (8, 3, 0), (4, 3, 0), (4, 9, 0), (0, 9, 0)], float)
    yield "with a deep bay", bay, None, 12 * 9 - 4 * 6.0, 1e-8
    levels, widths = (-4, -2, 0, 2, 4), (0.5, 0.8, 1.0, 0.9, 0.4)
    outlines = stack(levels, widths)
    yield "stack", np.concatenate(outlines), None, AREA, 1e-8
    yield "stack, closed", np.concatenate([closed(o) for o in outlines]), None, AREA, 1e-8
    yield "stack, close together", np.concatenate(stack(np.array(levels) / 8, widths)), None, AREA, 1e-8
    yield "stack, back and forth", np.concatenate([o[:: (-1) ** k] for k, o in enumerate(outlines)]), None, AREA, 1e-8
    on_first = [p for k in range(5) for p in [int(k > 0), *range(k * N + 1, (k + 1) * N)]]
    yield "stack on the first point", np.concatenate(outlines), on_first, AREA, 1e-8
    yield "stack of long and narrow ones", np.concatenate([flat + np.array([0, 0, z]) for z in (0.0, 1.0, 2.0)]), None, 60.0, 1e-8


@pytest.mark.parametrize("plane", ["xy", "any"])
@pytest.mark.parametrize(("xyz", "parents", "area", "tolerance"), [pytest.param(*s[1:], id=s[0]) for s in shapes()])
def test_an_outline_is_a_body_of_its_area(tmp_path, xyz, parents, area, tolerance, plane):
    """Radius sqrt(area / pi), said with the place and the number of points; neurites begin at its surface, through its cross-section."""
    xyz = turned(xyz) if plane == "any" else xyz
    mesh, told = read(tmp_path, neurites(chain(xyz, parents), xyz))
    right = math.sqrt(area / math.pi)
    r = radius_of(mesh)
    assert r == pytest.approx(right, rel=tolerance), told
    assert mesh.volume[mesh.labels["soma"]].item() == pytest.approx(2 * math.pi * r**3, rel=1e-12)
    assert len(told) == 1, told
    for part in ("cell.swc: line 1, node 1: ", "outline", f"{len(xyz)} points", f"{r:.4g} um"):
        assert part in told[0], (part, told[0])
    starts = np.flatnonzero(mesh.structure.parent[1:] == 0) + 1
    assert len(starts) == 2
    assert mesh.structure.conductance[0, starts] == pytest.approx(math.pi * r, rel=1e-12)
    assert mesh.distance[starts] == pytest.approx([r, r], rel=1e-12)


def test_stacks_of_any_smooth_shape(tmp_path):
    """Forty bodies by chance: 1 to 5 outlines of 8 to 80 points, closed or not, each begun and turned anyhow, in any plane."""
    for seed in range(40):
        r = np.random.default_rng(seed)
        count, levels = int(r.integers(8, 80)), int(r.integers(1, 6))
        t = 2 * np.pi * np.arange(count) / count
        far = 6 + sum(1.5 * r.random() / m * np.cos(m * t + 6 * r.random()) for m in (2, 3, 4))
        ring = np.stack([1.3 * far * np.cos(t), far * np.sin(t), 0 * t], axis=1)
        body, largest = [], 0.0
        for z in r.uniform(0.3, 2.5) * np.arange(levels):
            size = r.uniform(0.7, 1.0)
            largest = max(largest, size**2)
            outline = np.roll(ring * size, int(r.integers(count)), axis=0)[:: int(r.choice([-1, 1]))] + np.array([0.0, 0.0, z])
            body.append(closed(outline) if seed % 3 == 0 else outline)
        area = largest * 0.5 * abs((ring * np.roll(ring, -1, axis=0)[:, [1, 0, 2]] @ [1.0, -1.0, 0.0]).sum())
        xyz = turned(np.concatenate(body), seed)
        rows = chain(xyz)
        far_away = [f"{len(rows) + 1} 3 {xyz[0, 0] + 50} 0 0 0.5 1", f"{len(rows) + 2} 3 {xyz[0, 0] + 90} 0 0 0.5 {len(rows) + 1}"]
        mesh, told = read(tmp_path, [*rows, *far_away])
        assert radius_of(mesh) == pytest.approx(math.sqrt(area / math.pi), rel=1e-6), (seed, told)


def test_the_body_lies_in_the_middle_of_the_area(tmp_path):
    """Half of an ellipse: the middle of its area, not of its points (which crowd on the straight side here)."""
    straight = np.linspace(0, 1, 50)[:-1, None] * [2.0, 0, 0] + [-1.0, 0, 0]
    xyz = np.concatenate([6 * straight, [[6.0, 0, 0], [6.0, 4.0, 0], [-6.0, 4.0, 0]]])
    mesh, _ = read(tmp_path, neurites(chain(xyz), xyz, (49,)))
    assert mesh.position[0] == pytest.approx([0.0, 2.0, 0.0], abs=1e-8)
    assert radius_of(mesh) == pytest.approx(math.sqrt(48 / math.pi), rel=1e-8)


def test_neurites_reach_back_to_the_surface(tmp_path):
    """A circle of 6 um with a neurite 1 um outside, 30 um long: a cylinder joins it to the sphere of the circle's polygon."""
    xyz = ellipse(60, 6.0, 6.0)
    mesh, _ = read(tmp_path, neurites(chain(xyz), xyz, (0,)))
    length = 37.0 - math.sqrt(60 / 2 * math.sin(2 * math.pi / 60) * 36 / math.pi)
    assert mesh.volume[~mesh.labels["soma"]].sum() == pytest.approx(math.pi * 0.25 * length, rel=1e-8)


def test_an_outline_that_is_not_at_the_root_becomes_it(tmp_path):
    """The file begins at the tip of a dendrite, and ends with another one."""
    ring = ellipse()
    rows = ["1 3 37 0 0 0.5 -1", "2 3 9 0 0 0.5 1"]
    rows += [f"{k + 3} 1 {x:.9f} {y:.9f} {z:.9f} {PEN} {k + 2}" for k, (x, y, z) in enumerate(ring)]
    rows += [f"{N + 3} 3 0 7 0 0.5 {5 + 3}", f"{N + 4} 3 0 40 0 0.5 {N + 3}"]
    mesh, told = read(tmp_path, rows)
    r = radius_of(mesh)
    assert r == pytest.approx(math.sqrt(AREA / math.pi), rel=1e-8)
    assert mesh.labels["soma"][0]
    assert mesh.volume[mesh.labels["basal"]].sum() == pytest.approx(math.pi * 0.25 * (37 - r + 40 - r), rel=1e-8)
    assert len(told) == 1, told
    assert sorted(mesh.faces) == ["tip-0", "tip-1"]


def bodies():
    """Bodies that are no outlines, and their volume as cones (of one point: as a cylinder)."""
    yield "stacked cylinders", chain([(0, y, 0) for y in (-6, -2, 2, 6)], radius=[3, 5, 5, 3])
    bow = 6 * np.stack([np.cos(t := np.linspace(0, 1.6 * np.pi, 9)), np.sin(t), 0 * t], axis=1)
    yield "a bent body of big radius", chain(bow, radius=2.0)
    yield "a thin straight line", chain([(x, 0, 0) for x in range(20)])
    yield "there and back", chain([(x, 0, 0) for x in range(10)] + [(x, 0.05, 0) for x in range(9, -1, -1)])
    hairpin = [(0, 0, 0), (0, 8, 0), (0.5, 8, 0), (0.5, 0, 0)]
    yield "a hairpin", chain(hairpin, radius=0.4)
    yield "a square of thick cones", chain([(0, 0, 0), (4, 0, 0), (4, 4, 0), (0, 4, 0)], radius=2.5)
    yield "a banana", chain([(0, -6, 0), (2, -3, 0), (2.5, 0, 0), (2, 3, 0), (0, 6, 0)], radius=[1.0, 1.4, 1.6, 1.4, 1.0])
    for count in (5, 8, 12):
        rim = ellipse(count, 6, 6)
        star = np.concatenate([np.zeros((1, 3)), rim / 2, rim])
        parents = [0, *[1] * count, *range(2, count + 2)]
        yield f"a star of {count} thin spokes", chain(star, parents, [5.0, *[0.1] * (2 * count)])
        yield f"a star of {count} short spokes", chain(star[: count + 1], parents[: count + 1], [5.0, *[1.0] * count])


def hollow():
    """Lines around a body or across it that are no closed thin outline: they hold 0.0005 to 0.35 of what they go round."""
    ring = ellipse(32)
    for share in (0.5, 0.6, 0.7):
        yield f"{share} of an outline", chain(ring[: int(32 * share)])
    yield "a triangle", chain(ellipse(3))
    yield "three thin points", chain([(0, 0, 0), (4, 0, 0), (2, 3, 0)])
    for pen in (1.6, 2.0, 2.5):
        yield f"an outline by a pen of {pen} um", chain(ring, radius=pen)
    for count in (3, 5, 16):
        rim = ellipse(count)
        yield f"{count} spokes", chain(np.concatenate([rim[:1] * 0, rim]), [0, *[1] * count])
        star = np.concatenate([np.zeros((1, 3)), rim / 2, rim])
        yield f"{count} spokes of two pieces", chain(star, [0, *[1] * count, *range(2, count + 2)])
    yield "an open outline with one thick point", chain(ring[:20], radius=[*[PEN] * 9, 2.0, *[PEN] * 10])
    yield "a zigzag", chain([(x, 2.0 * (x % 2), 0) for x in range(20)])


def read_with_a_neurite(folder, rows):
    """The mesh with a neurite on the last point, what was told, and the volume of the soma's segments as cones, in plain Python."""
    points = {k: (np.array([x, y, z], float), float(r), p) for k, x, y, z, r, p in ((w[0], *w[2:]) for w in map(str.split, rows))}
    right = 0.0
    for xyz, r, parent in points.values():
        if parent in points:
            other, s, _ = points[parent]
            right += math.pi / 3 * np.linalg.norm(xyz - other) * (r * r + r * s + s * s)
    away = len(rows) + 1
    return *read(folder, [*rows, f"{away} 3 50 50 50 0.5 1", f"{away + 1} 3 80 50 50 0.5 {away}"]), right


@pytest.mark.parametrize("rows", [pytest.param(rows, id=name) for name, rows in bodies()])
def test_other_bodies_stay_chains_of_cones(tmp_path, rows):
    """The volume of all segments as cones, and no word."""
    mesh, told, right = read_with_a_neurite(tmp_path, rows)
    assert told == []
    assert mesh.volume[mesh.labels["soma"]].sum() == pytest.approx(right, rel=1e-9)


@pytest.mark.parametrize("rows", [pytest.param(rows, id=name) for name, rows in hollow()])
def test_cones_that_hold_no_body_are_told(tmp_path, rows):
    """They stay cones, with their volume in one warning that names the place and the fix."""
    mesh, told, right = read_with_a_neurite(tmp_path, rows)
    assert mesh.volume[mesh.labels["soma"]].sum() == pytest.approx(right, rel=1e-9)
    assert len(told) == 1, told
    for part in ("cell.swc: line 1, node 1: the soma's", f"{len(rows)} points", f"hold {right:.3g} um^3", "give one soma point"):
        assert part in told[0], (part, told[0])
