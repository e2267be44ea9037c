"""Error norm of step-size control."""

from __future__ import annotations

from numba import njit


@njit(cache=True, error_model="numpy")
def pair_error(fine, coarse, before, start, floor, relative):
    """Largest over the fields of |fine - coarse|/3 over relative (|fine - before| + floor), each a maximum over the nodes.

    `fine` is the result of two steps, `coarse` of one step of twice the length, both from `before`; the difference over three is the
    error of the fine one for a scheme of second order. NaN where a value is not finite.
    """
    worst = 0.0
    for f in range(start.size - 1):
        error, change, finite = 0.0, 0.0, 0.0
        for i in range(start[f], start[f + 1]):
            e, c = abs(fine[i] - coarse[i]), abs(fine[i] - before[i])
            finite += 0.0 * (fine[i] + coarse[i])
            error = max(error, e)
            change = max(change, c)
        worst = max(worst, error / (3.0 * relative * (change + floor[f])))
        if not finite == 0.0:
            return finite
    return worst
