"""The node of a mesh that is nearest to a point, or to a path distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError, ModelWarning, warn
from .places import Place, place_name
from .places import checked as checked_place
from .units import number_in

if TYPE_CHECKING:
    from .mesh import Mesh

FAR = 0.1
"""A node farther away than this part of the size of the cell earns a warning."""


def nearest_node(mesh: Mesh, wanted: Mapping[str, Any], at: Place, region: str | None) -> int:
    """See `mesh.Mesh.nearest`."""
    given = {name: number_in(v, "um", f"nearest.{name}") for name, v in wanted.items() if v is not None}
    if not given or ("distance" in given and len(given) > 1):
        raise InputError(
            "nearest", "expected x, y, z, or distance= (e.g. mesh.nearest(10, 20, 0) or mesh.nearest(distance='100 um', at='apical'))"
        )
    r = mesh.region(region if region is not None else "cytosol" if "cytosol" in mesh.regions else mesh.regions[0], "nearest.region")
    nodes = np.arange(mesh.start[r], mesh.start[r + 1], dtype=np.uint32)
    nodes = nodes[mesh.select(checked_place(at, "nearest.at"), nodes, "nearest.at")]
    known = {**dict(zip("xyz", mesh.position[nodes].T, strict=True)), "distance": mesh.distance[nodes]}
    away = np.sqrt(sum((known[name] - v) ** 2 for name, v in given.items()))
    found = int(np.argmin(away))
    whole = {**dict(zip("xyz", mesh.position.T, strict=True)), "distance": mesh.distance}
    size = float(np.linalg.norm([np.ptp(whole[name]) for name in given]))
    if away[found] > FAR * size and len(nodes) > 1:
        asked = ", ".join(f"{name}={v:g}" for name, v in given.items())
        spans = ", ".join(f"{name} from {known[name].min():.4g} to {known[name].max():.4g}" for name in given)
        there = "" if at is None else f" of {place_name(at)}"
        told = f"{asked} um lies {away[found]:.4g} um from the nearest node{there}, where {spans} um"
        warn(f"nearest: {told} (check the coordinates)", ModelWarning)
    return int(nodes[found])
