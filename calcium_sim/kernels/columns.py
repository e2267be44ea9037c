"""The step of cables, trees and points, Strang: diffusion h/2 | the kinetics of every block of lanes over h | diffusion h/2.

What happens at the positions of a block is generated (`schemes.columns.source`) and called through its address.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from .compiled import njit
from .lanes import LANES
from .machine import run
from .stimulus import fill_sources, table_value
from .tree import diffuse

OPTIONS = {"error_model": "numpy", "nogil": True}


@njit(cache=True, **OPTIONS)
def local(site, scratch, given, times, volts):
    """The kinetics of all columns: `given` are u, y, moved, ratio, weights, sources, parameters, networks; `times` t, h, the last step."""
    n = given[0].shape[1]
    b = np.empty(scratch)
    for block in range((n + LANES - 1) // LANES):
        run(site, (b,) + given + (n, block) + times + volts)  # noqa: RUF005 (numba does not compile the starred form)


@njit(cache=True, parallel=True, **OPTIONS)
def local_parallel(site, scratch, given, times, volts):
    """The same by all threads, and the same bits: blocks know nothing of each other."""
    n = given[0].shape[1]
    for block in prange((n + LANES - 1) // LANES):
        b = np.empty(scratch)
        run(site, (b,) + given + (n, block) + times + volts)  # noqa: RUF005


@njit(cache=True, **OPTIONS)
def advance(site, scratch, given, course, target, start, node, rate, vt, vv, rows, runs, half, full, work, t, h, before, steps):
    """`steps` steps of length h from time t; diffusion of neighbouring steps is merged."""
    u, sources = given[0], given[5]
    diffuse(u, rows, runs, half, work)
    for k in range(steps):
        t0 = t + k * h
        fill_sources(sources, course, target, start, node, rate, t0, h)
        volts = (table_value(vt, vv, t0 + 0.25 * h), table_value(vt, vv, t0 + 0.5 * h), table_value(vt, vv, t0 + 0.75 * h))
        local(site, scratch, given, (t0, h, before if k == 0 else h), volts)
        if k < steps - 1:
            diffuse(u, rows, runs, full, work)
        else:
            diffuse(u, rows, runs, half, work)
