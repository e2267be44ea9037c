"""What is noted of every watched concentration during a run: the first crossing of a level, the peak and its time."""

from __future__ import annotations

import math

import numpy as np

from .compiled import njit

PREVIOUS, LAST, ARRIVAL, PEAK, PEAK_TIME, REST = range(6)
ROWS = 6
BLOCK = np.uint64(64)
FOOT = 1e-3
"""A course that rises by more than this in one interval did not grow like a front: something else set in, and a line is closer."""


@njit(cache=True, error_model="numpy")
def crossing(before, after, level, rest):
    """Part of an interval after which a course crosses `level` upwards; a front grows exponentially above rest at its foot."""
    if before - rest > FOOT * (level - rest) and level > rest:
        low = math.log(before - rest)
        return (math.log(level - rest) - low) / (math.log(after - rest) - low)
    return (level - before) / (after - before)


@njit(cache=True, error_model="numpy")
def vertex(t0, t1, t2, y0, y1, y2):
    """Time and value of the top of the parabola through three samples of which the middle one is the highest.

    Between unequal intervals it may rise far above them: the top stands out by a quarter of their range at most (an eighth where equal).
    """
    if not t0 < t1 < t2:
        return t1, y1
    left, right = (y1 - y0) / (t1 - t0), (y2 - y1) / (t2 - t1)
    bend = (right - left) / (t2 - t0)
    if not bend < 0.0:
        return t1, y1
    t = min(max(0.5 * (t0 + t1) - 0.5 * left / bend, t0), t2)
    return t, y1 + min((t - t1) * (left + bend * (t - t0)), 0.25 * (y1 - min(y0, y2)))


@njit(cache=True, error_model="numpy")
def look(u, spans, levels, memory, times, t):
    """Compare the state at `t` with the last two that were seen, and keep it.

    `spans` (fields, 3): start and stop in u, start in memory; `levels` (fields,); `memory` (ROWS, entries); `times`: of the last two
    states. Blocks in which nothing crosses and nothing turns are only copied.
    """
    for f in range(spans.shape[0]):
        level = levels[f]
        start, first, n = np.uint64(spans[f, 0]), np.uint64(spans[f, 2]), np.uint64(spans[f, 1] - spans[f, 0])
        lo = np.uint64(0)  # indices without a sign: see the design notes
        while lo < n:
            hi = min(lo + BLOCK, n)
            found = 0
            for i in range(lo, hi):
                p, b, a = memory[PREVIOUS, first + i], memory[LAST, first + i], u[start + i]
                found |= ((b < level) & (a >= level)) | ((b >= p) & (b > a) & (b > memory[PEAK, first + i]))
            if found:
                for i in range(lo, hi):
                    _note(u[start + i], level, memory, first + i, times, t)
            for i in range(lo, hi):
                memory[PREVIOUS, first + i] = memory[LAST, first + i]
                memory[LAST, first + i] = u[start + i]
            lo = hi
    times[0], times[1] = times[1], t


@njit(cache=True, error_model="numpy")
def _note(a, level, rows, i, times, t):
    """Take down what entry i did in the last two intervals, at whose end it is `a`."""
    p, b = rows[PREVIOUS, i], rows[LAST, i]
    if b < level and a >= level and np.isnan(rows[ARRIVAL, i]):
        rows[ARRIVAL, i] = times[1] + (t - times[1]) * crossing(b, a, level, rows[REST, i])
    if b >= p and b > a and b > rows[PEAK, i]:
        rows[PEAK_TIME, i], rows[PEAK, i] = vertex(times[0], times[1], t, p, b, a)
