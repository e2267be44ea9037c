"""Pieces of the joint radial step on rotationally symmetric (z, r) grids: tiles of slices, radial solves, half steps along z.

A *tile* is a group of `SLICES` neighbouring slices. Its fields are copied into a flat scratch array ``a``, cell by cell: the value of
cell i in slice k of the tile is ``a[at + SLICES * i + k]``, so that every operation on a radial line is one on vectors over the slices.
What lives on the membranes is held in rows of `SLICES` values of a second scratch array ``b``.

Along z the step is that of Peaceman and Rachford (1955, doi 10.1137/0103003): explicit over h/2, everything else over h, implicit over h/2.
Between two steps both halves together are a Crank-Nicolson step, one solve. The error of this splitting and that of Crank-Nicolson have
opposite signs on a travelling front.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from .axisymmetric import BLOCKS, WIDTH, Index, radial_factor, z_factor
from .axisymmetric import _turn as turn
from .compiled import njit
from .stimulus import mean_course
from .tree import COUPLING, GAMMA, INVERSE, ONE, OPTIONS, VOLUME, WEIGHT, Floats, Indices, U
from .vector import add, fma, load, mul, splat, store, sub

SLICES = 32
TILE = Index(SLICES)


def line_factor(radii: Floats, diffusion: float, h: float) -> Floats:
    """Factors of `increments`, shape (4, cells): as `radial_factor`, and the trivial ones where nothing diffuses."""
    if diffusion > 0.0:
        return radial_factor(radii, diffusion, h)
    factors = np.zeros((4, len(radii) - 1))
    factors[VOLUME] = 0.5 * (radii[1:] - radii[:-1]) * (radii[1:] + radii[:-1])
    factors[INVERSE] = 1.0 / factors[VOLUME]
    return factors


def line_response(factors: Floats, cell: int, amount: float) -> Floats:
    """Solve (V - g h C) x = amount at one cell: the change of a line by an amount per radian and unit length, shape (cells,)."""
    n = factors.shape[1]
    x = np.zeros(n)
    x[cell] = amount
    for i in range(n - 1, 0, -1):
        x[i - 1] += factors[WEIGHT, i] * x[i]
    x[0] *= factors[INVERSE, 0]
    for i in range(1, n):
        x[i] = factors[WEIGHT, i] * x[i - 1] + factors[INVERSE, i] * x[i]
    return x


def half_factor(slices: int, diffusion: float, spacing: float, h: float) -> Floats:
    """Factors of `implicit_half` for a step h."""
    return z_factor(slices, diffusion, spacing, 0.5 * h / GAMMA)


@njit(**OPTIONS)
def load_tile(u: Floats, start: Index, lo: Index, size: Index, cells: Index, a: Floats, at: Index) -> None:
    """Copy slices lo ... lo + size of the field at ``u[start]`` into a tile; lanes that are left over hold the last slice."""
    for k in range(U(0), size, WIDTH):
        for j in range(U(0), cells, WIDTH):
            turn(u, start + (lo + k) * cells + j, cells, min(WIDTH, size - k), min(WIDTH, cells - j), a, at + TILE * j + k, TILE)
    if size < TILE:
        for j in range(cells):
            for k in range(size, TILE):
                a[at + TILE * j + k] = a[at + TILE * j + size - ONE]


@njit(**OPTIONS)
def store_tile(a: Floats, at: Index, u: Floats, start: Index, lo: Index, size: Index, cells: Index) -> None:
    """Copy a tile back."""
    for k in range(U(0), size, WIDTH):
        for j in range(U(0), cells, WIDTH):
            turn(a, at + TILE * j + k, TILE, min(WIDTH, cells - j), min(WIDTH, size - k), u, start + (lo + k) * cells + j, cells)


@njit(**OPTIONS)
def book_tile(a: Floats, at: Index, m: Floats, start: Index, lo: Index, size: Index, cells: Index) -> None:
    """Add a tile to the amounts ``m[start:]`` of all nodes."""
    for k in range(size):
        for j in range(cells):
            m[start + (lo + k) * cells + j] += a[at + TILE * j + k]


@njit(**OPTIONS)
def take(b: Floats, to: Index, source: Floats, row: Index, start: Index, size: Index) -> None:
    """Copy `size` values of a row of a matrix; lanes that are left over hold the last one."""
    for k in range(size):
        b[to + k] = source[row, start + k]
    for k in range(size, TILE):
        b[to + k] = source[row, start + size - ONE]


@njit(**OPTIONS)
def give(b: Floats, at: Index, target: Floats, row: Index, start: Index, size: Index) -> None:
    """Copy values to a row of a matrix."""
    for k in range(size):
        target[row, start + k] = b[at + k]


@njit(**OPTIONS)
def book(b: Floats, row: Index, target: Floats, start: Index, size: Index) -> None:
    """Add a row."""
    for k in range(size):
        target[start + k] += b[row + k]


@njit(**OPTIONS)
def move(source: Floats, at: Index, target: Floats, to: Index) -> None:
    """Copy one row between scratch arrays."""
    for k in range(U(0), TILE, WIDTH):
        store(target, to + k, load(source, at + k, WIDTH), WIDTH)


@njit(**OPTIONS)
def add_row(source: Floats, at: Index, target: Floats, to: Index) -> None:
    """Add one row to a row of another scratch array."""
    for k in range(U(0), TILE, WIDTH):
        store(target, to + k, add(load(source, at + k, WIDTH), load(target, to + k, WIDTH)), WIDTH)


@njit(**OPTIONS)
def move_sum(source: Floats, at: Index, other: Index, target: Floats, to: Index) -> None:
    """Copy the sum of two rows."""
    for k in range(U(0), TILE, WIDTH):
        store(target, to + k, add(load(source, at + k, WIDTH), load(source, other + k, WIDTH)), WIDTH)


@njit(**OPTIONS)
def increments(a: Floats, u: Index, d: Index, cells: Index, factors: Floats) -> None:
    """Stage of the radial solve without membrane flux: d = (I - g h L)^-1 (g h L u) in every slice of a tile."""
    last = cells - ONE
    zero = splat(0.0)
    for lane in range(U(0), TILE, WIDTH):
        r, w, flux, x = zero, zero, zero, load(a, u + TILE * last + lane, WIDTH)
        for k in range(last):
            i = last - k
            y = load(a, u + TILE * (i - ONE) + lane, WIDTH)
            f = mul(splat(factors[COUPLING, i]), sub(y, x))
            r = fma(w, r, sub(f, flux))
            store(a, d + TILE * i + lane, r, WIDTH)
            w, flux, x = splat(factors[WEIGHT, i]), f, y
        x = mul(splat(factors[INVERSE, U(0)]), fma(w, r, sub(zero, flux)))
        store(a, d + lane, x, WIDTH)
        for i in range(ONE, cells):
            x = fma(splat(factors[WEIGHT, i]), x, mul(splat(factors[INVERSE, i]), load(a, d + TILE * i + lane, WIDTH)))
            store(a, d + TILE * i + lane, x, WIDTH)


@njit(**OPTIONS)
def combine(a: Floats, u: Index, d: Index, cells: Index, scale: float, responses: Floats, b: Floats, rows: Indices) -> None:
    """u += scale (d + sum_j response_j J_j): the increment with the membrane fluxes J_j in the rows ``b[rows[j]]``."""
    s = splat(scale)
    for lane in range(U(0), TILE, WIDTH):
        for i in range(cells):
            x = load(a, d + TILE * i + lane, WIDTH)
            for j in range(U(len(rows))):
                x = fma(splat(responses[j, i]), load(b, rows[j] + lane, WIDTH), x)
            at = u + TILE * i + lane
            store(a, at, fma(s, x, load(a, at, WIDTH)), WIDTH)


@njit(**OPTIONS)
def add_part(b: Floats, to: Index, source: Floats, row: Index, start: Index, size: Index) -> None:
    """Add a part of a row of `source` to a row of the scratch array."""
    for k in range(size):
        b[to + k] += source[row, start + k]


@njit(**OPTIONS)
def inject(
    u: Floats, start: Indices, course: Floats, target: Indices, first: Indices, node: Indices, rate: Floats, t: float, h: float
) -> None:
    """Add half of what the stimuli supply over [t, t + h]; `start` is the first value of each fed field, the rest as in `fill_sources`."""
    for k in range(target.size):
        c = course[k]
        amount = 0.5 * h * mean_course(c[0], c[1], c[2], c[3], c[4], t, h)
        if amount != 0.0:
            for j in range(first[k], first[k + 1]):
                u[start[target[k]] + U(node[j])] += amount * rate[j]


@njit(**OPTIONS)
def explicit_half(u: Floats, start: Index, slices: Index, cells: Index, number: float) -> None:
    """u += number (u[k - 1] - 2 u[k] + u[k + 1]) along z, closed at the ends; number = h D / (2 dz^2)."""
    if slices < U(2):
        return
    c = splat(number)
    for begin in range(U(0), cells, WIDTH):
        count = min(WIDTH, cells - begin)
        base = start + begin
        x = load(u, base, count)
        flux = splat(0.0)
        for k in range(ONE, slices):
            y = load(u, base + cells * k, count)
            f = mul(c, sub(y, x))
            store(u, base + cells * (k - ONE), add(x, sub(f, flux)), count)
            x, flux = y, f
        store(u, base + cells * (slices - ONE), sub(x, flux), count)


@njit(**OPTIONS)
def implicit_half(u: Floats, start: Index, cells: Index, factors: Floats, scale: float, work: Floats) -> None:
    """u += scale d with (I - h/2 D d2/dz2) d = h/2 D d2u/dz2; scale 1: implicit half step, 2: Crank-Nicolson over h."""
    if factors.shape[1] > 1:
        _half_tiles(u, start, cells, U(0), (cells + WIDTH - ONE) // WIDTH, factors, scale, work[0])


@njit(parallel=True, **OPTIONS)
def implicit_half_parallel(u: Floats, start: Index, cells: Index, factors: Floats, scale: float, work: Floats) -> None:
    """`implicit_half` on threads, over fixed groups of cells."""
    tiles = (cells + WIDTH - ONE) // WIDTH
    if factors.shape[1] > 1:
        for block in prange(BLOCKS):
            _half_tiles(u, start, cells, U(block) * tiles // U(BLOCKS), U(block + 1) * tiles // U(BLOCKS), factors, scale, work[block])


@njit(**OPTIONS)
def _half_tiles(u: Floats, start: Index, cells: Index, first: Index, stop: Index, factors: Floats, scale: float, work: Floats) -> None:
    for tile in range(first, stop):
        begin = WIDTH * tile
        _half_line(u, start + begin, cells, min(WIDTH, cells - begin), factors, scale, work)


@njit(**OPTIONS)
def _half_line(u: Floats, base: Index, stride: Index, count: Index, factors: Floats, scale: float, work: Floats) -> None:
    last = U(factors.shape[1]) - ONE
    zero, s = splat(0.0), splat(scale)
    r, w, flux, x = zero, zero, zero, load(u, base + stride * last, count)
    for k in range(last):
        i = last - k
        y = load(u, base + stride * (i - ONE), count)
        f = mul(splat(factors[COUPLING, i]), sub(y, x))
        r = fma(w, r, sub(f, flux))
        store(work, WIDTH * i, r, WIDTH)
        w, flux, x = splat(factors[WEIGHT, i]), f, y
    d = mul(splat(factors[INVERSE, U(0)]), fma(w, r, sub(zero, flux)))
    store(u, base, fma(s, d, x), count)
    for i in range(ONE, last + ONE):
        d = fma(splat(factors[WEIGHT, i]), d, mul(splat(factors[INVERSE, i]), load(work, WIDTH * i, WIDTH)))
        at = base + stride * i
        store(u, at, fma(s, d, load(u, at, count)), count)
