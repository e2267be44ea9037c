"""Lines of rotationally symmetric (z, r) grids: factors of their diffusion, and 8 x 8 blocks turned in registers; see `lines`.

`z_factor` and `radial_factor` return the factors of one line by the scheme of `tree` (SDIRK2 in increments), shape (4, cells): `radii` [um]
are the cells + 1 edges of a region, `diffusion` [um^2/ms], `spacing` [um]. No flux crosses the ends of a line.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import njit
from .tree import OPTIONS, Floats, U, factor
from .vector import load, store, transpose

Index = np.uint64
WIDTH = Index(8)
BLOCKS = 16


def _line_factor(conductance: Floats, volume: Floats, diffusion: float, h: float) -> Floats:
    parent = np.maximum(np.arange(len(volume)) - 1, 0).astype(np.uint32)
    return factor(parent, conductance.reshape(1, -1), volume.reshape(1, -1), np.full(1, diffusion), h)[0]


def z_factor(slices: int, diffusion: float, spacing: float, h: float) -> Floats:
    """Factors of a line along z, per unit volume: shape (4, slices)."""
    return _line_factor(np.full(slices, 1.0 / (spacing * spacing)), np.ones(slices), diffusion, h)


def radial_factor(radii: Floats, diffusion: float, h: float) -> Floats:
    """Factors of a line along r, per radian and unit length: volume (r2^2 - r1^2)/2, conductance r over the distance of the centres."""
    volume = 0.5 * (radii[1:] - radii[:-1]) * (radii[1:] + radii[:-1])
    conductance = np.zeros(len(volume))
    conductance[1:] = radii[1:-1] / (0.5 * (radii[2:] - radii[:-2]))
    return _line_factor(conductance, volume, diffusion, h)


def workspace(slices: int, cells: int) -> Floats:
    """Scratch memory of the half steps along z, a part for each of `BLOCKS` groups of lines."""
    return np.zeros((BLOCKS, 8 * max(2 * slices, 3 * cells)))


@njit(**OPTIONS)
def _block(source: Floats, at: Index, stride: Index, rows: Index, columns: Index) -> Any:
    """The columns of up to 8 x 8 values, rows `stride` apart, filled up with zeros."""
    return transpose(
        (
            load(source, at, columns),
            load(source, at + stride, columns if rows > U(1) else U(0)),
            load(source, at + U(2) * stride, columns if rows > U(2) else U(0)),
            load(source, at + U(3) * stride, columns if rows > U(3) else U(0)),
            load(source, at + U(4) * stride, columns if rows > U(4) else U(0)),
            load(source, at + U(5) * stride, columns if rows > U(5) else U(0)),
            load(source, at + U(6) * stride, columns if rows > U(6) else U(0)),
            load(source, at + U(7) * stride, columns if rows > U(7) else U(0)),
        )
    )


@njit(**OPTIONS)
def _turn(source: Floats, at: Index, stride: Index, rows: Index, columns: Index, target: Floats, to: Index, step: Index) -> None:
    """Write the columns of a block of `source` as rows of `target`, `step` apart."""
    t = _block(source, at, stride, rows, columns)
    for k in range(columns):
        store(target, to + step * k, t[k], rows)
