"""Copies between state arrays and the scratch rows of the generated local kernels.

Indices are unsigned inside: for a signed one numba looks whether it counts from the end, which keeps a copy from being vectorised
(57 instead of 6 ns per 64 values).
"""

from __future__ import annotations

import numpy as np
from numba import njit

LANES = 64
OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "nsz"}, "nogil": True}
U64 = np.uint64


@njit(**OPTIONS)
def load(b, row, source, start, size):
    """Copy `size` values into a row; a short row is filled up with its last value, so that every lane holds a valid node."""
    row, start, size = U64(row), U64(start), U64(size)
    for i in range(size):
        b[row + i] = source[start + i]
    for i in range(size, U64(LANES)):
        b[row + i] = source[start + size - U64(1)]


@njit(**OPTIONS)
def store(b, row, target, start, size):
    """Copy `size` values of a row back."""
    row, start, size = U64(row), U64(start), U64(size)
    for i in range(size):
        target[start + i] = b[row + i]


@njit(**OPTIONS)
def book(b, row, target, start, size):
    """Add `size` values of a row."""
    row, start, size = U64(row), U64(start), U64(size)
    for i in range(size):
        target[start + i] += b[row + i]


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
def gather_flat(b, row, u, entries, start, size):
    """Values at `size` entries of the state vector."""
    row, start, size = U64(row), U64(start), U64(size)
    for i in range(size):
        b[row + i] = u[entries[start + i]]
    for i in range(size, U64(LANES)):
        b[row + i] = b[row + size - U64(1)]
