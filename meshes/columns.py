"""Assemble a mesh in which every region has the same positions, joined as one tree: points, cables, SWC trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..mesh import OUTSIDE, Columns, Face, Floats, Membrane, Mesh
from ..mesh.labels import Labels

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def columns_mesh(
    regions: Sequence[str],
    *,
    parent: Ints,
    volume: Floats,
    conductance: Floats,
    position: Floats,
    distance: Floats,
    membranes: Mapping[str, tuple[tuple[str, str], Floats]],
    ends: Mapping[str, tuple[str, Ints, Floats]] | None = None,
    labels: Mapping[str, Bools] | None = None,
    sections: Ints | None = None,
    notes: Sequence[str] = (),
) -> Mesh:
    """Build a mesh with the `Columns` structure from arrays over positions.

    Parameters
    ----------
    regions : names; node i of region r is ``r * positions + i``.
    parent : shape (positions,); ``parent[i] < i``, the root is its own parent.
    volume, conductance : shape (regions, positions), um^3 and um; ``conductance[r, i]`` joins i to its parent, 0 at the root.
    position : shape (positions, 3); distance : shape (positions,), um.
    membranes : {name: (sides, area over positions)}.
    ends : {face: (region, positions, areas)}.
    labels : {name: boolean over positions}; a label holds in every region.
    sections : number of the section of each position, for labels ``section-<k>``.
    notes : what the geometry assumes.
    """
    count = len(parent)
    first = {name: r * count for r, name in enumerate(regions)}
    every = np.arange(count, dtype=np.uint32)
    below = np.flatnonzero(parent != np.arange(count))
    edges = [np.stack([parent[below], below], axis=1) + r * count for r in range(len(regions))]

    def membrane(name: str, sides: tuple[str, str], area: Floats) -> Membrane:
        outside = np.empty(0, np.uint32) if sides[1] == OUTSIDE else every + np.uint32(first[sides[1]])
        return Membrane(name, sides, every + np.uint32(first[sides[0]]), outside, np.array(area, float))

    faces = {name: Face(region, (at + first[region]).astype(np.uint32), area) for name, (region, at, area) in (ends or {}).items()}
    return Mesh(
        regions=tuple(regions),
        start=np.arange(len(regions) + 1, dtype=np.int64) * count,
        volume=np.ravel(volume),
        position=np.tile(position, (len(regions), 1)),
        distance=np.tile(distance, len(regions)),
        edges=np.concatenate(edges).astype(np.uint32).reshape(-1, 2),
        conductance=np.ravel(conductance[:, below]),
        membranes={name: membrane(name, sides, area) for name, (sides, area) in membranes.items()},
        faces=faces,
        labels=Labels(labels or {}, sections, len(regions)),
        structure=Columns(parent.astype(np.uint32), np.array(conductance, float)),
        notes=tuple(notes),
    )
