"""Look-up tables of one input, linear between the points."""

from __future__ import annotations

from .compiled import njit
from .elementary import log

OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "nsz"}, "nogil": True}


@njit(cache=True, **OPTIONS)
def table_sweep(x, out, values, low, factor, logarithmic):
    """A table at any number of nodes, (nodes,) -> (outputs, nodes); constant beyond its ends.

    `values` (points, outputs) belong to evenly spaced arguments: x or, where `logarithmic`, log x; the first is `low`, the spacing
    1 / `factor`.
    """
    last = values.shape[0] - 2
    for i in range(x.size):
        s = ((log(x[i]) if logarithmic else x[i]) - low) * factor
        s = min(max(s, 0.0), last + 1.0)
        k = min(int(s), last)
        share = s - k
        for c in range(values.shape[1]):
            y = values[k, c]
            out[c, i] = y + share * (values[k + 1, c] - y)
