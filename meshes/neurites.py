"""A straight neurite: coaxial cylinders of cytosol and ER, along the axis (dims=1) or rotationally symmetric (dims=2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from ..errors import InputError, shown
from ..mesh import OUTSIDE, Floats, Mesh
from ..units import value
from .columns import columns_mesh
from .inputs import cells
from .inputs import length as _positive_length


@dataclass(frozen=True)
class _Section:
    """Cross-section of a neurite [um, um^2, um]; no ER when er_area is 0."""

    radius: float
    er_radius: float
    cytosol_area: float
    er_area: float
    er_perimeter: float


def neurite(
    length: Any,
    radius: Any,
    er_radius: Any = None,
    spacing: Any = "0.05 um",
    dims: int = 1,
    *,
    er_fraction: Any = None,
    er_area_per_length: Any = None,
    radial_spacing: Any = None,
) -> Mesh:
    """Build a straight neurite with an optional coaxial ER; both ends are closed.

    The axis is x, from the left end at 0 to the right end at `length`; it is cut into ``round(length / spacing)`` equal cells with the
    nodes in the middle. Regions "cytosol" and "er"; membranes "er" (er to cytosol) and "plasma" (cytosol to outside); faces "left" and
    "right" (cytosol), "left-er" and "right-er"; labels "left" and "right" (end cells of all regions).

    Parameters
    ----------
    length, radius : of the neurite.
    er_radius : radius of the coaxial ER cylinder; None for no ER.
    spacing : length of a cell along the axis (adjusted to a whole number of cells).
    dims : 1 (each region averaged over the cross-section) or 2 (resolved also in the distance s from the axis; ``position = (z, s, 0)``).
    er_fraction : instead of `er_radius`: fraction of the cross-section taken by the ER, e.g. 0.17.
    er_area_per_length : with `er_fraction` and dims=1: membrane area of the ER per length, e.g. "1 um^2/um"; that of a cylinder by default.
    radial_spacing : largest radial cell (dims=2); by default a quarter of each region's width, at most 0.05 um.

    Returns
    -------
    Mesh
        With the `Columns` (dims=1) or `Axisymmetric` (dims=2) structure.

    Raises
    ------
    InputError
        For lengths that are not positive, an ER that is wider than the neurite, or arguments that contradict each other.
    """
    section = _section(radius, er_radius, er_fraction, er_area_per_length, dims)
    extent = _positive_length(length, "neurite.length")
    step = _positive_length(spacing, "neurite.spacing")
    slices = cells(extent, step, "neurite.spacing")
    if dims == 2:
        from .axisymmetric import axisymmetric_mesh

        widest = None if radial_spacing is None else _positive_length(radial_spacing, "neurite.radial_spacing")
        return axisymmetric_mesh(section.radius, section.er_radius, extent, slices, widest)
    if radial_spacing is not None:
        raise InputError("neurite.radial_spacing", "has a meaning only with dims=2 (leave it out, or set dims=2)")
    return _cable(section, extent, slices)


def _section(radius: Any, er_radius: Any, er_fraction: Any, er_area_per_length: Any, dims: int) -> _Section:
    """Areas of the cross-section; the lengths enter only as products, so that power-of-two scaling is exact."""
    if isinstance(dims, bool) or not isinstance(dims, Integral) or dims not in (1, 2):
        raise InputError("neurite.dims", f"{shown(dims)} is not supported, expected 1 (along the axis) or 2 (rotationally symmetric)")
    outer = _positive_length(radius, "neurite.radius")
    whole = math.pi * outer * outer
    if er_radius is not None and er_fraction is not None:
        raise InputError("neurite.er_fraction", "give er_radius or er_fraction, not both")
    if er_area_per_length is not None and (er_fraction is None or dims == 2):
        raise InputError("neurite.er_area_per_length", "goes with er_fraction and dims=1 only (give er_radius for a coaxial cylinder)")
    if er_fraction is not None:
        fraction = value(er_fraction, "1", "neurite.er_fraction")
        if not 0 < fraction < 1:
            raise InputError("neurite.er_fraction", f"{fraction:g} must lie between 0 and 1 (part of the cross-section)")
        inner = outer * math.sqrt(fraction)
        perimeter = 2 * math.pi * inner
        if er_area_per_length is not None:
            perimeter = _positive_length(er_area_per_length, "neurite.er_area_per_length")
        return _Section(outer, inner, (1 - fraction) * whole, fraction * whole, perimeter)
    if er_radius is None:
        return _Section(outer, 0.0, whole, 0.0, 0.0)
    inner = _positive_length(er_radius, "neurite.er_radius")
    if inner >= outer:
        raise InputError("neurite.er_radius", f"{inner:g} um must be smaller than the radius {outer:g} um")
    return _Section(outer, inner, math.pi * (outer * outer - inner * inner), math.pi * inner * inner, 2 * math.pi * inner)


def _cable(section: _Section, extent: float, slices: int) -> Mesh:
    dx = extent / slices
    regions = {"cytosol": section.cytosol_area} | ({"er": section.er_area} if section.er_area else {})
    area = np.array(list(regions.values()))[:, None]
    index = np.arange(slices)
    conductance = np.tile(area / dx, slices)
    conductance[:, 0] = 0.0
    ones = np.ones(slices)
    membranes = {"plasma": (("cytosol", OUTSIDE), 2 * math.pi * section.radius * dx * ones)}
    if section.er_area:
        membranes["er"] = (("er", "cytosol"), section.er_perimeter * dx * ones)
    ends = {}
    for side, at in [("left", 0), ("right", slices - 1)]:
        for region, size in regions.items():
            ends[side if region == "cytosol" else f"{side}-{region}"] = (region, np.array([at]), np.array([size]))
    x: Floats = (index.astype(float) + 0.5) * dx
    return columns_mesh(
        tuple(regions),
        parent=np.maximum(index - 1, 0),
        volume=np.tile(area * dx, slices),
        conductance=conductance,
        position=np.stack([x, 0 * x, 0 * x], axis=1),
        distance=x,
        membranes=membranes,
        ends=ends,
        labels={"left": index == 0, "right": index == slices - 1},
        notes=(f"Straight neurite of {slices} cells of {dx:.6g} um, concentrations averaged over the cross-section.",),
    )
