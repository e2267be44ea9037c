"""The node of a mesh that is nearest to a point, or to a path distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, ModelWarning, warn
from ..units import number_in
from .places import Place, place_name

FAR = 0.1
"""A node farther away than this part of the size of the cell earns a warning."""

Coordinates = Mapping[str, NDArray[np.float64]]


def wanted_point(given: Mapping[str, Any]) -> dict[str, float]:
    """Coordinates, or a distance, as numbers [um]."""
    point = {name: number_in(v, "um", f"nearest.{name}") for name, v in given.items() if v is not None}
    if not point or ("distance" in point and len(point) > 1):
        raise InputError(
            "nearest", "expected x, y, z, or distance= (e.g. mesh.nearest(10, 20, 0) or mesh.nearest(distance='100 um', at='apical'))"
        )
    return point


def nearest_row(point: Mapping[str, float], known: Coordinates, whole: Coordinates, at: Place) -> int:
    """The row of `known`, coordinates by name, that is nearest; `whole` are those of the cell, whose size tells what is far."""
    away = np.sqrt(sum((known[name] - v) ** 2 for name, v in point.items()))
    found = int(np.argmin(away))
    size = float(np.linalg.norm([np.ptp(whole[name]) for name in point]))
    if away[found] > FAR * size and len(away) > 1:
        asked = ", ".join(f"{name}={v:g}" for name, v in point.items())
        spans = ", ".join(f"{name} from {known[name].min():.4g} to {known[name].max():.4g}" for name in point)
        there = "" if at is None else f" of {place_name(at)}"
        told = f"{asked} um lies {away[found]:.4g} um from the nearest node{there}, where {spans} um"
        warn(f"nearest: {told} (check the coordinates)", ModelWarning)
    return found
