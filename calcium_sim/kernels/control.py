"""Error measure of step-size control."""

from __future__ import annotations

import math

from .compiled import njit

QUIET = 0.25


@njit(cache=True, error_model="numpy", fastmath={"reassoc"})
def all_finite(u, y):
    """Whether every number of two arrays is finite."""
    nothing = 0.0
    for i in range(u.size):
        nothing += 0.0 * u[i]
    for i in range(y.size):
        nothing += 0.0 * y[i]
    return nothing == 0.0


@njit(cache=True, error_model="numpy")
def pair_error(fine, coarse, before, volume, start, floor, tolerance):
    """Relative error of a pair of steps over `tolerance`, the largest over the fields; NaN where a value is not finite.

    `fine` is the result of two steps, `coarse` of one step of twice the length, both from `before`; E = (fine - coarse)/3 is the error
    of the fine one for a scheme of second order, C = fine - before its change. A front that moves too far by the fraction e has E = e C,
    so the measure is the projection |<E, C>|/<C, C> (volume-weighted), which a constant displacement of the front by the splitting does
    not enter; a tenth of ||E||/||C|| is added as a net for errors of other shapes. `floor` [uM] keeps quiet fields from counting: a change
    by half of it in up to 1000 nodes.
    """
    worst = 0.0
    for f in range(start.size - 1):
        ec, ee, cc, mean = 0.0, 0.0, 0.0, 0.0
        for i in range(start[f], start[f + 1]):
            e, c = (fine[i] - coarse[i]) / 3.0, fine[i] - before[i]
            v = volume[i]
            ec += v * e * c
            ee += v * e * e
            cc += v * c * c
            mean += v
        nodes = start[f + 1] - start[f]
        size = cc + floor[f] * floor[f] * max(1.0, QUIET * min(nodes, 1000)) * mean / nodes
        measure = max(abs(ec) / size, 0.1 * math.sqrt(ee / size))
        if not math.isfinite(measure):
            return math.nan
        worst = max(worst, measure)
    return worst / tolerance
