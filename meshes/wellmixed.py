"""A cell without space: one node per region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InputError, nearest, shown
from ..mesh import OUTSIDE, Mesh
from .columns import columns_mesh
from .inputs import positive

Sides = tuple[str, str]


def well_mixed(volumes: Mapping[str, Any], membranes: Mapping[str, tuple[Sides, Any]] | None = None) -> Mesh:
    """Build a 0-D mesh: every region is one well-stirred node.

    Parameters
    ----------
    volumes : {region: volume}, e.g. ``{"cytosol": "1 um^3", "er": "0.2 um^3"}``; any number of regions.
    membranes : {name: ((inside, outside), area)}, e.g. ``{"er": (("er", "cytosol"), "2 um^2")}``; the second side may be "outside".

    Raises
    ------
    InputError
        For a volume or area that is not a positive quantity, or a membrane between regions that do not exist.
    """
    if not isinstance(volumes, Mapping) or not volumes:
        raise InputError("well_mixed.volumes", "expected a table with one volume per region (e.g. {'cytosol': '1 um^3'})")
    if not (membranes is None or isinstance(membranes, Mapping)):
        told = "is not a table, expected {name: ((inside, outside), area)} (e.g. {'er': (('er', 'cytosol'), '2 um^2')})"
        raise InputError("well_mixed.membranes", f"{shown(membranes)} {told}")
    regions = tuple(volumes)
    volume = np.array([[positive(v, "um^3", f"well_mixed.volumes.{name}")] for name, v in volumes.items()])
    areas = {}
    for name, entry in (membranes or {}).items():
        where = f"well_mixed.membranes.{name}"
        sides, area = _entry(entry, where)
        _check_sides(sides, regions, where)
        areas[name] = (sides, np.array([positive(area, "um^2", where)]))
    return columns_mesh(
        regions,
        parent=np.zeros(1, np.int64),
        volume=volume,
        conductance=np.zeros((len(regions), 1)),
        position=np.zeros((1, 3)),
        distance=np.zeros(1),
        membranes=areas,
        notes=("One well-mixed node per region: no diffusion.",),
    )


def _entry(entry: Any, where: str) -> tuple[Sides, Any]:
    try:
        (inside, outside), area = entry
    except (TypeError, ValueError):
        raise InputError(where, f"{shown(entry)} is not ((inside, outside), area) (e.g. (('er', 'cytosol'), '2 um^2'))") from None
    return (inside, outside), area


def _check_sides(sides: Sides, regions: tuple[str, ...], where: str) -> None:
    for k, side in enumerate(sides):
        if side not in regions and not (k == 1 and side == OUTSIDE):
            fix = "the outside comes second" if side == OUTSIDE else f"there are {', '.join(regions)}"
            raise InputError(where, f"unknown region {side!r}{nearest(str(side), regions)}; {fix}")
    if sides[0] == sides[1]:
        raise InputError(where, f"both sides are '{sides[0]}', a membrane parts two regions")
