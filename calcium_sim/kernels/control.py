"""Error measure of step-size control."""

from __future__ import annotations

import math

import numpy as np

from .compiled import njit

QUIET = 0.03
ROUNDING = 1e-7
RISEN = 3.0
ROUND_OFF = 1e-12


@njit(cache=True, error_model="numpy", fastmath={"reassoc"})
def all_finite(u, y):
    """Whether every number of two arrays is finite."""
    nothing = 0.0
    for i in range(u.size):
        nothing += 0.0 * u[i]
    for i in range(y.size):
        nothing += 0.0 * y[i]
    return nothing == 0.0


@njit(cache=True, error_model="numpy", fastmath={"reassoc"})
def sound(u, y, bounded):
    """Whether every number of two arrays is finite, and none of the first `bounded` ones negative; it is asked every few steps."""
    nothing, negative = 0.0, 0.0
    for i in range(bounded):
        nothing += 0.0 * u[i]
        negative += 1.0 if u[i] < 0.0 else 0.0
    for i in range(bounded, u.size):
        nothing += 0.0 * u[i]
    for i in range(y.size):
        nothing += 0.0 * y[i]
    return nothing == 0.0 and negative == 0.0


@njit(cache=True, error_model="numpy")
def below_zero(u, start, rest):
    """Index of the lowest value that is negative beyond round-off of its field, or -1; `rest` [uM] is a typical size of each field,
    infinite for what may be negative.
    """
    worst, found = 0.0, -1
    for f in range(start.size - 1):
        low, size, at = 0.0, rest[f], -1
        for i in range(start[f], start[f + 1]):
            size = max(size, abs(u[i]))
            if u[i] < low:
                low, at = u[i], i
        if at >= 0 and low < -ROUND_OFF * size and low / size < worst:
            worst, found = low / size, at
    return found


@njit(cache=True, error_model="numpy")
def pair_error(fine, coarse, before, weight, begin, end, rest, tolerance):
    """Relative error of a pair of steps over `tolerance`, the largest over the fields; NaN where a value is not finite.

    Field f, a concentration or a state of a channel, lies at begin[f]:end[f]; `weight` are the volumes or areas of its
    places, `rest` what they start from.

    `fine` is the result of two steps, `coarse` of one step of twice the length, both from `before`; E = (fine - coarse)/3 is the error
    of the fine one for a scheme of second order, C = fine - before its change. A front that moves too far by the fraction e has E = e C,
    so the measure is the projection |<E, C>|/<C, C> (weighted), which a constant displacement of the front by the splitting does
    not enter; a tenth of ||E||/||C|| is added as a net for errors of other shapes.

    A change counts as long as its largest value is not small beside `QUIET` times the distance of the field from rest, wherever this is
    largest: whatever happens, on the scale of what happens. So neither the unit of a species nor the amount of quiet cell matters. Below
    `ROUNDING` times the field itself nothing counts.
    """
    worst = 0.0
    for f in range(begin.size):
        ec, ee, cc, largest, away, size = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(begin[f], end[f]):
            e, c = (fine[i] - coarse[i]) / 3.0, fine[i] - before[i]
            v = weight[i]
            ec += v * e * c
            ee += v * e * e
            cc += v * c * c
            largest = max(largest, abs(c))
            away = max(away, abs(fine[i] - rest[i]))
            size = max(size, abs(fine[i]), abs(rest[i]))
        if not (math.isfinite(ee) and math.isfinite(cc)):
            return math.nan
        if cc == 0.0:
            continue
        floor = max(QUIET * away, ROUNDING * size) / largest
        scale = cc * (1.0 + floor * floor)
        worst = max(worst, abs(ec) / scale, 0.1 * math.sqrt(ee / scale))
    return worst / tolerance


@njit(cache=True, error_model="numpy")
def largest_part(fine, coarse, begin, end, least):
    """The largest error of any one value, relative to itself or to `least`; NaN where a value is not finite."""
    worst = 0.0
    for f in range(begin.size):
        for i in range(begin[f], end[f]):
            e = abs(fine[i] - coarse[i]) / (3.0 * max(abs(fine[i]), least[f]))
            if not e <= worst:
                worst = e
    return worst


@njit(cache=True, error_model="numpy")
def livelier(after, before, begin, end, rest, rate, h):
    """Whether a field changed over h faster than `RISEN` times `rate` [per ms], the rates while steps were last checked.

    What `pair_error` does not count is not seen here either.
    """
    for f in range(begin.size):
        largest, away, size = 0.0, 0.0, 0.0
        for i in range(begin[f], end[f]):
            largest = max(largest, abs(after[i] - before[i]))
            away = max(away, abs(after[i] - rest[i]))
            size = max(size, abs(after[i]), abs(rest[i]))
        if largest > max(RISEN * h * rate[f], QUIET * away, ROUNDING * size):
            return True
    return False


@njit(cache=True, error_model="numpy")
def changes(after, before, start):
    """The largest change of each field."""
    out = np.zeros(start.size - 1)
    for f in range(start.size - 1):
        for i in range(start[f], start[f + 1]):
            out[f] = max(out[f], abs(after[i] - before[i]))
    return out
