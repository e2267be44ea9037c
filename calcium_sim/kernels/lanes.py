"""Copies between state arrays and the scratch rows of the generated local kernels."""

from __future__ import annotations

from numba import njit

LANES = 64
OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "nsz"}, "nogil": True}


@njit(**OPTIONS)
def load(b, row, source, start, size):
    """Copy `size` values into a row; a short row is filled up with its last value, so that every lane holds a valid node."""
    for i in range(size):
        b[row + i] = source[start + i]
    for i in range(size, LANES):
        b[row + i] = source[start + size - 1]


@njit(**OPTIONS)
def store(b, row, target, start, size):
    """Copy `size` values of a row back."""
    for i in range(size):
        target[start + i] = b[row + i]


@njit(**OPTIONS)
def book(b, row, target, start, size):
    """Add `size` values of a row."""
    for i in range(size):
        target[start + i] += b[row + i]
