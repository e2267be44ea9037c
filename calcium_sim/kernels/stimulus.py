"""Stimulus courses and the potential as functions of time, integrated exactly over a step."""

from __future__ import annotations

import math

from .compiled import njit

SQUARE, RAMP_DOWN, TRIANGLE = 0, 1, 2


@njit(cache=True, error_model="numpy")
def pulse_integral(shape, duration, t):
    """Integral from 0 to t [ms] of a pulse of unit peak that starts at 0."""
    t = min(max(t, 0.0), duration)
    if shape == SQUARE:
        return t
    if shape == RAMP_DOWN:
        return t - t * t / (2.0 * duration)
    if t < 0.5 * duration:
        return t * t / duration
    return 0.5 * duration - (duration - t) ** 2 / duration


@njit(cache=True, error_model="numpy")
def train_integral(shape, start, duration, period, count, t):
    """Integral up to t of `count` unit pulses, one every `period` ms from `start` on."""
    if t <= start:
        return 0.0
    done = min(math.floor((t - start) / period), count - 1.0)
    return done * pulse_integral(shape, duration, duration) + pulse_integral(shape, duration, t - start - done * period)


@njit(cache=True, error_model="numpy")
def train_end(shape, start, duration, period, count):
    """Time at which the last pulse of a train ends [ms]."""
    return start + (count - 1.0) * period + duration


@njit(cache=True, error_model="numpy")
def mean_course(shape, start, duration, period, count, t, h):
    """Mean of a pulse train over [t, t + h]; the amount injected over a run is exact for any steps."""
    if t + h <= start or t >= train_end(shape, start, duration, period, count):
        return 0.0
    late = train_integral(shape, start, duration, period, count, t + h)
    return (late - train_integral(shape, start, duration, period, count, t)) / h


@njit(cache=True, error_model="numpy")
def course_value(shape, start, duration, period, count, t):
    """A pulse train at a time; where it jumps, what follows."""
    if t < start or t >= train_end(shape, start, duration, period, count):
        return 0.0
    since = t - start - min(math.floor((t - start) / period), count - 1.0) * period
    if since >= duration:
        return 0.0
    if shape == SQUARE:
        return 1.0
    if shape == RAMP_DOWN:
        return 1.0 - since / duration
    return 1.0 - abs(2.0 * since / duration - 1.0)


@njit(cache=True, error_model="numpy")
def fill_excess(excess, course, first, point, node, value, t):
    """What pulse trains make of concentrations at a time: ``excess[point[j], node[j]]`` is the sum of value[j] times the train.

    Train k has ``course[k]``, as in `fill_sources`, and the entries ``first[k]`` to ``first[k + 1]``.
    """
    excess[:] = 0.0
    for k in range(first.size - 1):
        c = course[k]
        now = course_value(c[0], c[1], c[2], c[3], c[4], t)
        if now != 0.0:
            for j in range(first[k], first[k + 1]):
                excess[point[j], node[j]] += now * value[j]


@njit(cache=True, error_model="numpy")
def table_value(times, values, t):
    """Piecewise-linear table, constant outside."""
    if t <= times[0]:
        return values[0]
    last = times.size - 1
    if t >= times[last]:
        return values[last]
    k, above = 0, last  # times[k] <= t < times[above]; numba takes half a second for numpy's search
    while above - k > 1:
        middle = (k + above) // 2
        if times[middle] <= t:
            k = middle
        else:
            above = middle
    return values[k] + (values[k + 1] - values[k]) * (t - times[k]) / (times[k + 1] - times[k])


@njit(cache=True, error_model="numpy")
def table_integral(times, values, sums, t):
    """Integral up to t of a piecewise-linear table that is 0 outside; `sums` are those up to its times."""
    last = times.size - 1
    if t <= times[0]:
        return 0.0
    if t >= times[last]:
        return sums[last]
    k, above = 0, last  # times[k] <= t < times[above]
    while above - k > 1:
        middle = (k + above) // 2
        if times[middle] <= t:
            k = middle
        else:
            above = middle
    since = t - times[k]
    return sums[k] + since * (values[k] + 0.5 * since * (values[k + 1] - values[k]) / (times[k + 1] - times[k]))


@njit(cache=True, error_model="numpy")
def add_tables(source, tables, t, h):
    """Add means over [t, t + h] of tables to what `fill_sources` has filled in.

    Table k is ``times[first[k]:first[k + 1]]`` and so on; the rest is as there.
    """
    target, first, times, values, sums, start, node, rate = tables
    for k in range(target.size):
        a, b = first[k], first[k + 1]
        late = table_integral(times[a:b], values[a:b], sums[a:b], t + h)
        mean = (late - table_integral(times[a:b], values[a:b], sums[a:b], t)) / h
        for j in range(start[k], start[k + 1]):
            source[target[k], node[j]] += mean * rate[j]


@njit(cache=True, error_model="numpy")
def fill_sources(source, course, target, start, node, rate, t, h):
    """Mean stimulus rates over [t, t + h] into `source[row, node]` [uM/ms].

    Stimulus k has the course ``course[k] = (shape, start, duration, period, count)`` and adds ``rate[start[k]:start[k + 1]]`` at
    ``node[...]`` of row ``target[k]``.
    """
    if source.size == 0:
        return
    for row in range(source.shape[0]):
        for i in range(source.shape[1]):
            source[row, i] = 0.0
    for k in range(target.size):
        c = course[k]
        mean = mean_course(c[0], c[1], c[2], c[3], c[4], t, h)
        if mean != 0.0:
            for j in range(start[k], start[k + 1]):
                source[target[k], node[j]] += mean * rate[j]
