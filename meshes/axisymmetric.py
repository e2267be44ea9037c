"""A straight neurite resolved in (z, r): z along the axis, s the distance from it."""

from __future__ import annotations

import math

import numpy as np

from ..mesh import OUTSIDE, Axisymmetric, Face, Floats, Membrane, Mesh, Nodes
from .inputs import refuse_huge

LARGEST_DEFAULT = 0.05


def axisymmetric_mesh(radius: float, er_radius: float, extent: float, slices: int, radial_spacing: float | None = None) -> Mesh:
    """Build the (z, r) grid of a cylinder with an optional coaxial ER cylinder (lengths in um).

    Cells are rings; nodes lie in the middle of each ring's (z, r) rectangle, so ``position = (z, s, 0)``. Regions come from the axis
    outwards: ("er", "cytosol"), or ("cytosol",) without ER. Node ``start[r] + k * cells[r] + j`` is ring j, from the axis outwards, of
    slice k. Pair k of either membrane belongs to slice k. Radial cells are equal within a region.

    Parameters
    ----------
    radius, er_radius : of the neurite and its ER; 0 for no ER.
    extent, slices : length and number of cells along the axis.
    radial_spacing : largest radial cell; by default a quarter of the region's width, at most 0.05 um. The cytosol has at least 2 cells.
    """
    dx = extent / slices
    walls = {"er": (0.0, er_radius), "cytosol": (er_radius, radius)} if er_radius else {"cytosol": (0.0, radius)}
    radii = tuple(_edges(*wall, radial_spacing, 1 if name == "er" else 2) for name, wall in walls.items())
    cells = tuple(len(r) - 1 for r in radii)
    refuse_huge(float(slices) * sum(cells), "neurite.radial_spacing")
    start = np.concatenate([[0], np.cumsum([slices * n for n in cells])]).astype(np.int64)
    z: Floats = (np.arange(slices, dtype=float) + 0.5) * dx
    parts = [_region(r, z, dx, int(first)) for r, first in zip(radii, start, strict=False)]
    position = np.concatenate([p[1] for p in parts])
    regions = tuple(walls)
    slice_of = np.concatenate([np.repeat(np.arange(slices), n) for n in cells])
    return Mesh(
        regions=regions,
        start=start,
        volume=np.concatenate([p[0] for p in parts]),
        position=position,
        distance=position[:, 0].copy(),
        edges=np.concatenate([p[2] for p in parts]).astype(np.uint32),
        conductance=np.concatenate([p[3] for p in parts]),
        membranes=_membranes(regions, start, cells, slices, dx, radius, er_radius),
        faces=_faces(regions, start, cells, radii, slices),
        labels={"left": slice_of == 0, "right": slice_of == slices - 1},
        structure=Axisymmetric(slices, cells, dx, radii),
        notes=(
            f"Rotationally symmetric neurite: {slices} slices of {dx:.6g} um, radial cells "
            + ", ".join(f"{name} {n} x {r[1] - r[0]:.4g} um" for name, n, r in zip(regions, cells, radii, strict=True))
            + ".",
        ),
    )


def _edges(inner: float, outer: float, spacing: float | None, least: int) -> Floats:
    """Edges of equal radial cells; the last edge is the wall itself, bit for bit."""
    width = outer - inner
    largest = min(width / 4, LARGEST_DEFAULT) if spacing is None else spacing
    refuse_huge(width / largest, "neurite.radial_spacing")
    # the tolerance keeps 0.25 / 0.05 from becoming six cells
    count = max(least, math.ceil(width / largest * (1 - 1e-12)))
    edges: Floats = inner + np.arange(count + 1, dtype=float) * (width / count)
    edges[-1] = outer
    return edges


def _rings(edges: Floats) -> Floats:
    """Areas of the rings; the difference of squares as a product loses no digits in thin rings."""
    rings: Floats = math.pi * (edges[1:] - edges[:-1]) * (edges[1:] + edges[:-1])
    return rings


def _region(edges: Floats, z: Floats, dx: float, first: int) -> tuple[Floats, Floats, Nodes, Floats]:
    """Volumes, positions, edges and conductances of one region whose nodes start at `first`."""
    slices, cells = len(z), len(edges) - 1
    centre = (edges[1:] + edges[:-1]) / 2
    ring = _rings(edges)
    node = first + np.arange(slices * cells).reshape(slices, cells)
    along = np.stack([node[:-1].ravel(), node[1:].ravel()], axis=1)
    across = np.stack([node[:, :-1].ravel(), node[:, 1:].ravel()], axis=1)
    radial = 2 * math.pi * edges[1:-1] * dx / (centre[1:] - centre[:-1])
    position = np.zeros((slices * cells, 3))
    position[:, 0] = np.repeat(z, cells)
    position[:, 1] = np.tile(centre, slices)
    conductance = np.concatenate([np.tile(ring / dx, slices - 1), np.tile(radial, slices)])
    return np.tile(ring * dx, slices), position, np.concatenate([along, across]).astype(np.uint32), conductance


def _membranes(
    regions: tuple[str, ...], start: np.ndarray, cells: tuple[int, ...], slices: int, dx: float, radius: float, er_radius: float
) -> dict[str, Membrane]:
    k = np.arange(slices)
    c = regions.index("cytosol")
    outermost = (start[c] + k * cells[c] + cells[c] - 1).astype(np.uint32)
    lateral = np.full(slices, 2 * math.pi * radius * dx)
    membranes = {"plasma": Membrane("plasma", ("cytosol", OUTSIDE), outermost, np.empty(0, np.uint32), lateral)}
    if er_radius:
        e = regions.index("er")
        inside = (start[e] + k * cells[e] + cells[e] - 1).astype(np.uint32)
        outside = (start[c] + k * cells[c]).astype(np.uint32)
        membranes["er"] = Membrane("er", ("er", "cytosol"), inside, outside, np.full(slices, 2 * math.pi * er_radius * dx))
    return membranes


def _faces(regions: tuple[str, ...], start: np.ndarray, cells: tuple[int, ...], radii: tuple[Floats, ...], slices: int) -> dict[str, Face]:
    faces = {}
    for side, k in [("left", 0), ("right", slices - 1)]:
        for r, region in enumerate(regions):
            nodes = (start[r] + k * cells[r] + np.arange(cells[r])).astype(np.uint32)
            faces[side if region == "cytosol" else f"{side}-{region}"] = Face(region, nodes, _rings(radii[r]))
    return faces
