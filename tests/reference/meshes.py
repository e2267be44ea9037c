"""Meshes of every kind, larger than two blocks of 64 positions (a point apart)."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from calcium_sim.mesh import Mesh
from calcium_sim.meshes import from_simplices, from_swc, neurite, well_mixed


def mesh_of(kind: str, rng: np.random.Generator, mitochondria: bool = False) -> Mesh:
    """A random mesh of a kind with regions cytosol and er, membranes er and plasma; a point may have mitochondria as well."""
    if kind == "point":
        return _point(rng, mitochondria)
    return {"cable": _cable, "grid": _grid, "tree": _tree, "triangles": _triangles, "tetrahedra": _tets, "graph": _graph}[kind](rng)


def _point(rng, mitochondria: bool) -> Mesh:
    volumes = {"cytosol": "1 um^3", "er": f"{rng.uniform(0.1, 0.3)} um^3"}
    areas = {"er": (("er", "cytosol"), f"{rng.uniform(1, 4)} um^2"), "plasma": (("cytosol", "outside"), f"{rng.uniform(3, 10)} um^2")}
    if mitochondria:
        volumes["mitochondria"] = f"{rng.uniform(0.05, 0.2)} um^3"
        areas["mito"] = (("cytosol", "mitochondria"), f"{rng.uniform(0.5, 2)} um^2")
    return well_mixed(volumes, areas)


def _cable(rng) -> Mesh:
    positions, spacing = int(rng.integers(130, 200)), rng.choice([0.1, 0.25, 0.5])
    radius = rng.uniform(0.2, 0.5)
    return neurite(f"{positions * spacing} um", f"{radius} um", f"{radius * rng.uniform(0.3, 0.6)} um", f"{spacing} um")


def _grid(rng) -> Mesh:
    slices, spacing, radius = int(rng.integers(66, 90)), rng.choice([0.05, 0.1, 0.2]), rng.uniform(0.2, 0.4)
    return neurite(f"{slices * spacing} um", f"{radius} um", f"{radius * rng.uniform(0.3, 0.6)} um", f"{spacing} um", dims=2)


def _tree(rng) -> Mesh:
    """A soma of one point and three branched dendrites of random lengths and radii."""
    rows, number = ["1 1 0 0 0 3 -1"], 1
    for angle in rng.uniform(0, 2, 3) + 2 * np.arange(3):
        parent, place, heading, r = 1, np.zeros(2), angle, rng.uniform(0.3, 0.7)
        forks = []
        for branch in range(3):
            if branch:
                parent, place, heading, r = forks[0][0], forks[0][1], angle + (0.6 if branch == 1 else -0.6), 0.6 * r
            for _ in range(3):
                number += 1
                first = parent == 1
                place = place + (3.5 if first else rng.uniform(2, 4)) * np.array([np.cos(heading), np.sin(heading)])
                rows.append(f"{number} 3 {place[0]:.6f} {place[1]:.6f} 0 {r:.6f} {parent}")
                parent, r, heading = number, r * rng.uniform(0.85, 1.0), heading + rng.uniform(-0.1, 0.1)
            if not branch:
                forks.append((parent, place))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tree.swc"
        path.write_text("\n".join(rows) + "\n")
        return from_swc(path, f"{rng.uniform(0.4, 0.5)} um")


def _band(rng, columns: int, rows: int, spacing: float):
    """Points (jittered inside) and triangles of a strip whose middle third is ER."""
    x, y = np.meshgrid(np.arange(columns + 1) * spacing, np.arange(rows + 1) * 0.1, indexing="ij")
    jitter = rng.uniform(-0.015, 0.015, (2, *x.shape)) * (np.arange(rows + 1) % rows != 0)
    x[1:-1], y[1:-1] = (x + jitter[0])[1:-1], (y + jitter[1])[1:-1]
    index = np.arange(x.size).reshape(x.shape)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    cells = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], axis=2).reshape(-1, 3)
    row = np.broadcast_to(np.arange(rows)[None, :, None], (columns, rows, 2)).reshape(-1)
    inside = (row >= rows // 3) & (row < 2 * rows // 3)
    return np.stack([x.ravel(), y.ravel()], axis=1), cells, np.where(inside, "er", "cytosol")


def _triangles(rng) -> Mesh:
    points, cells, regions = _band(rng, 67 + int(rng.integers(0, 8)), 6, rng.choice([0.1, 0.15]))
    closed = np.asarray(regions) == "er"
    closed &= (points[cells][:, :, 0].max(axis=1) < points[:, 0].max()) & (points[cells][:, :, 0].min(axis=1) > 0)
    return from_simplices(points, cells, np.where(closed, "er", "cytosol"), {"cytosol": "cytosol", "er": "er"})


CORNERS = ((0, 1, 3, 7), (0, 1, 5, 7), (0, 2, 3, 7), (0, 2, 6, 7), (0, 4, 5, 7), (0, 4, 6, 7))
"""Six tetrahedra that fill a cube whose corner k is at the bits of k."""


def _tets(rng) -> Mesh:
    """A box of cubes, each cut into six tetrahedra, with an ER of one cube across that ends before the ends of the box."""
    length, across, spacing = 34 + int(rng.integers(0, 4)), 3, 0.12
    shape = (length + 1, across + 1, across + 1)
    points = np.stack(np.meshgrid(*(np.arange(n) * spacing for n in shape), indexing="ij"), -1)
    inner = np.zeros(shape, bool)
    inner[1:-1, 1:-1, 1:-1] = True
    points[inner] += rng.uniform(-0.01, 0.01, (int(inner.sum()), 3))
    cube = np.stack(np.meshgrid(*(np.arange(n - 1) for n in shape), indexing="ij"), -1).reshape(-1, 3)
    bits = np.array([[k >> 2 & 1, k >> 1 & 1, k & 1] for k in range(8)])
    corner = np.ravel_multi_index(tuple((cube[:, None] + bits).transpose(2, 0, 1)), shape)
    cells = corner[:, np.array(CORNERS)].reshape(-1, 4)
    middle = (cube[:, 1:] == 1).all(axis=1) & (cube[:, 0] > 0) & (cube[:, 0] < length - 1)
    return from_simplices(points.reshape(-1, 3), cells, np.repeat(np.where(middle, "er", "cytosol"), 6), {"cytosol": "cytosol", "er": "er"})


def _graph(rng) -> Mesh:
    """A cable without its hint, with additional edges that close loops."""
    cable = _cable(rng)
    new = []
    for r in range(len(cable.regions)):
        pairs = rng.integers(cable.start[r], cable.start[r + 1], (20, 2))
        near = (pairs[:, 0] != pairs[:, 1]) & (np.abs(pairs[:, 0] - pairs[:, 1]) < 12)
        new.append(pairs[near])
    loops = np.concatenate(new).astype(np.uint32)
    strength = rng.uniform(0.05, 0.3, len(loops)) * float(cable.conductance.min())
    return replace(
        cable, structure=None, edges=np.concatenate([cable.edges, loops]), conductance=np.concatenate([cable.conductance, strength])
    )
