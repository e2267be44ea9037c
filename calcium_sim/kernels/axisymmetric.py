"""Diffusion on rotationally symmetric (z, r) grids, one direction at a time: direct solves of eight lines at once.

How to call (u: one field on one region, shape (slices, cells), C-contiguous, advanced by h [ms] in place)::

    along = z_factor(slices, diffusion, spacing, h)       # shape (4, slices); diffusion [um^2/ms], spacing [um]
    across = radial_factor(radii, diffusion, h)           # shape (4, cells); radii [um]: cells + 1 edges of the region
    work = workspace(slices, cells)                       # scratch for any number of calls; its contents need not be kept
    z_diffuse(u, along, work)
    radial_diffuse(u, across, work)
    z_diffuse_parallel(u, along, work); radial_diffuse_parallel(u, across, work)      # the same bits on several threads

All may be called from other compiled functions. A step in both directions is, by Strang, z(h/2) r(h) z(h/2). The scheme in time is that of
`tree` (SDIRK2 in increments); no flux crosses the ends of a line, a membrane flux is added elsewhere. The lines along z are vectorised
over the cells, which are contiguous; the radial lines of eight slices are transposed in registers on their way to the scratch memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from .compiled import njit
from .tree import COUPLING, INVERSE, ONE, OPTIONS, SECOND, VOLUME, WEIGHT, Floats, U, factor
from .vector import add, fma, load, mul, splat, store, sub, transpose

Index = np.uint64
WIDTH = Index(8)
BLOCKS = 16


@njit(**OPTIONS)
def _line_factor(conductance: Floats, volume: Floats, diffusion: float, h: float) -> Floats:
    n = len(volume)
    parent = np.zeros(n, np.uint32)
    for i in range(1, n):
        parent[i] = i - 1
    factors = factor(parent, conductance.reshape(1, n), volume.reshape(1, n), np.full(1, diffusion), h)
    return factors[0].copy() if len(factors) else np.zeros((0, n))


@njit(**OPTIONS)
def z_factor(slices: int, diffusion: float, spacing: float, h: float) -> Floats:
    """Factors of `z_diffuse`, per unit volume: shape (4, slices), or (0, slices) where nothing diffuses."""
    return _line_factor(np.full(slices, 1.0 / (spacing * spacing)), np.ones(slices), diffusion, h)


@njit(**OPTIONS)
def radial_factor(radii: Floats, diffusion: float, h: float) -> Floats:
    """Factors of `radial_diffuse`, per radian and unit length: volume (r2^2 - r1^2)/2, conductance r over the distance of the centres."""
    cells = len(radii) - 1
    volume = np.empty(cells)
    conductance = np.zeros(cells)
    for j in range(cells):
        volume[j] = 0.5 * (radii[j + 1] - radii[j]) * (radii[j + 1] + radii[j])
        if j > 0:
            conductance[j] = radii[j] / (0.5 * (radii[j + 1] - radii[j - 1]))
    return _line_factor(conductance, volume, diffusion, h)


@njit(**OPTIONS)
def workspace(slices: int, cells: int) -> Floats:
    """Scratch memory of the functions below, a part for each of `BLOCKS` groups of lines."""
    return np.zeros((BLOCKS, 8 * max(2 * slices, 3 * cells)))


@njit(**OPTIONS)
def z_diffuse(u: Floats, factors: Floats, work: Floats) -> None:
    """Diffusion along z."""
    if len(factors) > 0 and u.shape[0] > 1:
        _z_tiles(u, U(0), (U(u.shape[1]) + WIDTH - ONE) // WIDTH, factors, work[0])


@njit(**OPTIONS)
def radial_diffuse(u: Floats, factors: Floats, work: Floats) -> None:
    """Diffusion along r, closed at both ends."""
    if len(factors) > 0 and u.shape[1] > 1:
        _radial_tiles(u, U(0), (U(u.shape[0]) + WIDTH - ONE) // WIDTH, factors, work[0])


@njit(parallel=True, **OPTIONS)
def z_diffuse_parallel(u: Floats, factors: Floats, work: Floats) -> None:
    """`z_diffuse` on threads, over fixed groups of cells."""
    tiles = (u.shape[1] + 7) // 8
    if len(factors) > 0 and u.shape[0] > 1:
        for block in prange(BLOCKS):
            _z_tiles(u, U(block * tiles // BLOCKS), U((block + 1) * tiles // BLOCKS), factors, work[block])


@njit(parallel=True, **OPTIONS)
def radial_diffuse_parallel(u: Floats, factors: Floats, work: Floats) -> None:
    """`radial_diffuse` on threads, over fixed groups of slices."""
    tiles = (u.shape[0] + 7) // 8
    if len(factors) > 0 and u.shape[1] > 1:
        for block in prange(BLOCKS):
            _radial_tiles(u, U(block * tiles // BLOCKS), U((block + 1) * tiles // BLOCKS), factors, work[block])


@njit(**OPTIONS)
def _z_tiles(u: Floats, first: Index, stop: Index, factors: Floats, work: Floats) -> None:
    slices, cells = U(u.shape[0]), U(u.shape[1])
    for tile in range(first, stop):
        begin = WIDTH * tile
        _lines(u, begin, cells, min(WIDTH, cells - begin), factors, work, U(0), WIDTH * slices)


@njit(**OPTIONS)
def _radial_tiles(u: Floats, first: Index, stop: Index, factors: Floats, work: Floats) -> None:
    slices, cells = U(u.shape[0]), U(u.shape[1])
    for tile in range(first, stop):
        begin = WIDTH * tile
        rows = min(WIDTH, slices - begin)
        for j in range(U(0), cells, WIDTH):
            _turn(u, begin * cells + j, cells, rows, min(WIDTH, cells - j), work, WIDTH * j, WIDTH)
        _lines(work, U(0), WIDTH, rows, factors, work, WIDTH * cells, U(2) * WIDTH * cells)
        for j in range(U(0), cells, WIDTH):
            _turn(work, WIDTH * j, WIDTH, min(WIDTH, cells - j), rows, u, begin * cells + j, cells)


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


@njit(**OPTIONS)
def _lines(u: Floats, base: Index, stride: Index, count: Index, factors: Floats, work: Floats, a: Index, b: np.uint64) -> None:
    """Advance `count` lines side by side: value i of a line is ``u.flat[base + stride * i + lane]``; a, b: scratch inside `work`."""
    n = U(factors.shape[1])
    last = n - ONE
    zero = splat(0.0)
    r, w, flux, x = zero, zero, zero, load(u, base + stride * last, count)
    for k in range(last):
        i = last - k
        y = load(u, base + stride * (i - ONE), count)
        f = mul(splat(factors[COUPLING, i]), sub(y, x))
        r = fma(w, r, sub(f, flux))
        store(work, a + WIDTH * i, r, WIDTH)
        w, flux, x = splat(factors[WEIGHT, i]), f, y
    d = mul(splat(factors[INVERSE, U(0)]), fma(w, r, sub(zero, flux)))
    store(work, a, d, WIDTH)
    for j in range(ONE, n):
        d = fma(splat(factors[WEIGHT, j]), d, mul(splat(factors[INVERSE, j]), load(work, a + WIDTH * j, WIDTH)))
        store(work, a + WIDTH * j, d, WIDTH)
    r, w = zero, zero
    for k in range(n):
        i = last - k
        r = fma(w, r, mul(splat(factors[VOLUME, i]), load(work, a + WIDTH * i, WIDTH)))
        store(work, b + WIDTH * i, r, WIDTH)
        w = splat(factors[WEIGHT, i])
    d = zero
    for j in range(n):
        d = fma(splat(factors[WEIGHT, j]), d, mul(splat(factors[INVERSE, j]), load(work, b + WIDTH * j, WIDTH)))
        at = base + stride * j
        store(u, at, add(load(u, at, count), fma(splat(SECOND), d, load(work, a + WIDTH * j, WIDTH))), count)
