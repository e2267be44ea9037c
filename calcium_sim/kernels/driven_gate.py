"""A gate that a recorded potential drives, sample by sample, and how it moves with parameters: exact where the potential stands still.

Between two samples the potential is that of the nearer one, so that a sample holds from the middle before it to the middle behind it.
"""

from __future__ import annotations

from .compiled import njit
from .elementary import exp

OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}, "nogil": True}


@njit(cache=True, **OPTIONS)
def follow(steady, tau, early, late, start, out):
    """The gate at the samples: `steady` and `tau` [ms] of each, `early` and `late` the times [ms] that it holds before and behind it."""
    y = start
    for k in range(steady.size):
        x, rate = steady[k], 1.0 / tau[k]
        y = x + (y - x) * exp(-early[k] * rate)
        out[k] = y
        y = x + (y - x) * exp(-late[k] * rate)


@njit(cache=True, **OPTIONS)
def follow_moving(steady, tau, by_steady, by_tau, early, late, start, moved, out, by):
    """The same with derivatives by parameters, (samples, parameters).

    `by_steady` are those of the steady value, `by_tau` those of the logarithm of the time constant, `moved` those of `start`; `by` gets
    those of the gate.
    """
    y, m, size = start, moved.copy(), moved.size
    for k in range(steady.size):
        x, rate = steady[k], 1.0 / tau[k]
        for half in range(2):
            h = late[k] if half else early[k]
            left = exp(-h * rate)
            slow = (y - x) * left * h * rate
            y = x + (y - x) * left
            for i in range(size):
                m[i] = left * m[i] + (1.0 - left) * by_steady[k, i] + slow * by_tau[k, i]
            if half == 0:
                out[k] = y
                for i in range(size):
                    by[k, i] = m[i]
