"""Copies between state arrays and the scratch rows of the generated local kernels.

Indices are unsigned inside: for a signed one numba looks whether it counts from the end, which keeps a copy from being vectorised
(57 instead of 6 ns per 64 values). Rows are copied several at a time, straight from the matrix: a call costs as much as a copy, and a row
taken as an array of its own more.
"""

from __future__ import annotations

import math

import numpy as np

from .compiled import njit

LANES = 64
GAMMA = 1.0 - 1.0 / math.sqrt(2.0)
"""Of ROS2 and SDIRK2: both are L-stable with it."""
OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "nsz"}, "nogil": True}
U64 = np.uint64


@njit(**OPTIONS)
def load(b, places, source, rows, start, size, width):
    """Copy ``source[rows[k], start : start + size]`` to ``b[places[k]:]`` for every k.

    Rows of `b` have the length `width`; a short one is filled up with its last value, so that every lane holds a valid node.
    """
    start, size, width = U64(start), U64(size), U64(width)
    for k in range(len(places)):
        place, row = U64(places[k]), U64(rows[k])
        for i in range(size):
            b[place + i] = source[row, start + i]
        for i in range(size, width):
            b[place + i] = source[row, start + size - U64(1)]


@njit(**OPTIONS)
def multiplied(b, first, last):
    """The largest difference between two rows, relative to the smaller of the two values."""
    first, last, most = U64(first), U64(last), 0.0
    for i in range(U64(LANES)):
        x, y = b[first + i], b[last + i]
        most = max(most, abs(y - x) / (min(x, y) + 1e-300))
    return most


@njit(**OPTIONS)
def store(b, places, target, rows, start, size):
    """Copy rows of `b` back."""
    start, size = U64(start), U64(size)
    for k in range(len(places)):
        place, row = U64(places[k]), U64(rows[k])
        for i in range(size):
            target[row, start + i] = b[place + i]


@njit(**OPTIONS)
def book(b, places, target, rows, start, size):
    """Add rows of `b`."""
    start, size = U64(start), U64(size)
    for k in range(len(places)):
        place, row = U64(places[k]), U64(rows[k])
        for i in range(size):
            target[row, start + i] += b[place + i]


@njit(**OPTIONS)
def gather(b, row, x, column, nodes, start, size):
    """Values of one interleaved field at `size` pairs."""
    row, column, start, size = U64(row), U64(column), U64(start), U64(size)
    for i in range(size):
        b[row + i] = x[nodes[start + i], column]
    for i in range(size, U64(LANES)):
        b[row + i] = x[nodes[start + size - U64(1)], column]


@njit(**OPTIONS)
def gather_sum(b, row, x, w, column, nodes, start, size):
    """The same for the sum of a field and its increment."""
    row, column, start, size = U64(row), U64(column), U64(start), U64(size)
    for i in range(size):
        b[row + i] = x[nodes[start + i], column] + w[nodes[start + i], column]
    for i in range(size, U64(LANES)):
        b[row + i] = b[row + size - U64(1)]


@njit(**OPTIONS)
def load_column(b, row, x, column, start, size):
    """Values of one interleaved field at `size` nodes."""
    row, column, start, size = U64(row), U64(column), U64(start), U64(size)
    for i in range(size):
        b[row + i] = x[start + i, column]
    for i in range(size, U64(LANES)):
        b[row + i] = x[start + size - U64(1), column]


@njit(**OPTIONS)
def store_column(b, row, x, column, start, size):
    """Copy `size` values of a row back to one interleaved field."""
    row, column, start, size = U64(row), U64(column), U64(start), U64(size)
    for i in range(size):
        x[start + i, column] = b[row + i]


@njit(**OPTIONS)
def scatter(w, column, nodes, ratio, factor, flux, base):
    """Add ``factor * ratio * (flux - base)`` of every pair to its node, in the order of the pairs."""
    for i in range(nodes.size):
        w[nodes[i], column] += factor * ratio[i] * (flux[i] - base[i])


@njit(**OPTIONS)
def gather_flat(b, places, u, entries, rows, start, size):
    """Values at the `size` entries ``entries[rows[k], start:]`` of the state vector, for every k."""
    start, size = U64(start), U64(size)
    for k in range(len(places)):
        place, row = U64(places[k]), U64(rows[k])
        for i in range(size):
            b[place + i] = u[entries[row, start + i]]
        for i in range(size, U64(LANES)):
            b[place + i] = b[place + size - U64(1)]


@njit(**OPTIONS)
def largest(b, row):
    """The largest value of a row."""
    row, most = U64(row), 0.0
    for i in range(U64(LANES)):
        most = max(most, b[row + i])
    return most
