"""Look-up tables of one input over blocks of 64 nodes, linear between the points."""

from __future__ import annotations

from numba import uint64

from .compiled import njit
from .elementary import log
from .simd import LANES

OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "nsz"}, "nogil": True}


@njit(forceinline=True, **OPTIONS)
def table_lookup(b, source, targets, values, low, factor, logarithmic):
    """Rows `targets` (a tuple of first elements) of `b` from the row at `source`; constant beyond the ends of the table.

    `values` (points, outputs) belong to evenly spaced arguments: x or, where `logarithmic`, log x; the first is `low`, the
    spacing 1 / `factor`. The source must not be one of the targets.
    """
    last, row = values.shape[0] - 2, uint64(targets[0])  # the first target holds the arguments meanwhile
    if logarithmic:
        for i in range(uint64(LANES)):
            b[row + i] = log(b[uint64(source) + i])
    else:
        for i in range(uint64(LANES)):
            b[row + i] = b[uint64(source) + i]
    for i in range(uint64(LANES)):
        s = min(max((b[row + i] - low) * factor, 0.0), last + 1.0)
        k = min(int(s), last)
        share = s - k
        for c in range(len(targets)):
            y = values[k, c]
            b[uint64(targets[c]) + i] = y + share * (values[k + 1, c] - y)


@njit(cache=True, **OPTIONS)
def table_sweep(x, out, values, low, factor, logarithmic):
    """The same for any number of nodes, (nodes,) -> (outputs, nodes)."""
    last = values.shape[0] - 2
    for i in range(x.size):
        s = ((log(x[i]) if logarithmic else x[i]) - low) * factor
        s = min(max(s, 0.0), last + 1.0)
        k = min(int(s), last)
        share = s - k
        for c in range(values.shape[1]):
            y = values[k, c]
            out[c, i] = y + share * (values[k + 1, c] - y)
