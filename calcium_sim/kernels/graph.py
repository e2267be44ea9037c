"""Diffusion on any graph of control volumes: the parts of RKL2, a stabilised explicit method without solver or global reduction.

The loop over the stages stands in the generated step (`schemes.graph.source`), for membrane fluxes are evaluated in every stage.
`gather_rows` packs a mesh, `spectral_bound` and `stages` give the number of stages, `coefficients` those of the stages; `apply`, `first`,
`stage` and `finish` work on a range of rows. Arrays of values have the shape (nodes, fields), fields interleaved; `rate` is h times the
diffusion coefficient of every field [um^2], and one of D = 0 keeps every bit.

The method is the second order Runge-Kutta-Legendre scheme of Meyer, Balsara & Aslam (doi 10.1016/j.jcp.2013.08.021), here for the
increments w_j = Y_j - Y_0, so that a constant field keeps every bit. A row gathers weight * (u_j - u_i) over its edges and divides by its
volume at the end; both ends of an edge see the same number with opposite signs, so sum(V u) changes only by the round-off of the
increments. Rows are independent: the result does not depend on the number of threads.

Obtuse cells of simplices have edges of negative conductance, which carry from low to high. They belong to the second order, but beside a
sharp source they can empty a node below zero. With `shares` what a node gives along such edges is scaled down to what its other neighbours
hand to it: an empty node then gives no more than it gets, what leaves one end of an edge still enters the other, and nothing changes where
the solution is resolved.
"""

from __future__ import annotations

import math

import numpy as np

from .compiled import njit
from .tree import ONE, OPTIONS, Floats, Indices, U
from .vector import fma, load, mul, splat, store, sub

Index = np.uint64
LANES, HALF = Index(8), Index(4)
BLOCKS = 64
ITERATIONS = 100
SAFETY = 1.05
MARGIN = 1.2
"""Stages are chosen for this much more than the spectrum of diffusion, so that their number does not follow every change of the fluxes."""
HIGHEST = 1e12
"""No more stages than for this rate [1/ms]."""


def gather_rows(edges: Indices, conductance: Floats, volume: Floats) -> tuple[Indices, Indices, Floats, Floats]:
    """Both directions of every edge in compressed rows, neighbours in ascending order.

    Parameters
    ----------
    edges : uint32, shape (edges, 2); conductance : shape (edges,) [um], may be negative; volume : shape (nodes,) [um^3].

    Returns
    -------
    indptr uint32 (nodes + 1,), indices uint32 (2 edges,), weight (2 edges,), inverse volume (nodes,).
    """
    rows = np.concatenate([edges[:, 0], edges[:, 1]])
    columns = np.concatenate([edges[:, 1], edges[:, 0]])
    order = np.lexsort((columns, rows))
    indptr = np.zeros(len(volume) + 1, np.uint32)
    indptr[1:] = np.cumsum(np.bincount(rows, minlength=len(volume)))
    return indptr, columns[order].astype(np.uint32), np.concatenate([conductance, conductance])[order].astype(float), 1.0 / volume


@njit(**OPTIONS)
def gershgorin(indptr: Indices, indices: Indices, weight: Floats, inverse_volume: Floats) -> float:
    """Bound of the spectrum of -L at D = 1 by the sums of the rows [um^-2]."""
    bound = 0.0
    for i in range(U(len(inverse_volume))):
        total = 0.0
        for k in range(U(indptr[i]), U(indptr[i + ONE])):
            total += weight[k] + abs(weight[k])
        bound = max(bound, total * inverse_volume[i])
    return bound


@njit(**OPTIONS)
def spectral_bound(indptr: Indices, indices: Indices, weight: Floats, inverse_volume: Floats) -> float:
    """Largest eigenvalue of -L at D = 1 [um^-2]: power iteration with a margin of 5 %, never above `gershgorin`.

    The Rayleigh quotient (in the inner product weighted by the volumes) approaches the eigenvalue from below.
    """
    n = U(len(inverse_volume))
    x, y = np.empty((n, 1)), np.empty((n, 1))
    for i in range(n):  # fixed start, rough so that the fastest modes are present
        x[i, 0] = math.cos(2.399963229728653 * float(i) * float(i + ONE))
    one = np.ones(1)
    quotient = 0.0
    for _ in range(ITERATIONS):
        apply(x, indptr, indices, weight, inverse_volume, one, y, U(0), n)
        xx, xy, yy = 0.0, 0.0, 0.0
        for i in range(n):
            xx += x[i, 0] * x[i, 0] / inverse_volume[i]
            xy -= x[i, 0] * y[i, 0] / inverse_volume[i]
            yy += y[i, 0] * y[i, 0] / inverse_volume[i]
        if yy == 0.0:
            break
        quotient = max(quotient, xy / xx)
        for i in range(n):
            x[i, 0] = y[i, 0] / math.sqrt(yy)
    return min(SAFETY * quotient, gershgorin(indptr, indices, weight, inverse_volume))


@njit(**OPTIONS)
def stages(h: float, rate: float) -> int:
    """Smallest odd number of stages, 3 or more, that is stable for a step h [ms] and rates up to `rate` [1/ms].

    The condition is ``h * rate <= (s^2 + s - 2) / 2``.
    """
    s = math.ceil(0.5 * (math.sqrt(9.0 + 8.0 * h * rate) - 1.0))
    return max(3, s + 1 - s % 2)


@njit(**OPTIONS)
def stages_for(h: float, bound: float, fluxes: float) -> int:
    """Stages for diffusion with rates up to `bound` and membrane fluxes with rates up to `fluxes` [1/ms]; 0 if these are no number."""
    if math.isnan(fluxes):
        return 0
    return stages(h, min(max(MARGIN * bound, bound + fluxes), HIGHEST))


@njit(**OPTIONS)
def coefficients(s: int) -> Floats:
    """Columns mu, nu, mu~, mu~ + gamma~ of the stages 1 to s (row 0 is not used), shape (s + 1, 4)."""
    out = np.zeros((s + 1, 4))
    b = np.full(s + 1, 1.0 / 3.0)
    for j in range(3, s + 1):
        b[j] = (j * j + j - 2.0) / (2.0 * j * (j + 1.0))
    w = 4.0 / (s * s + s - 2.0)
    out[1, 3] = b[1] * w
    for j in range(2, s + 1):
        mu = (2.0 * j - 1.0) / j * b[j] / b[j - 1]
        out[j, 0] = mu
        out[j, 1] = -(j - 1.0) / j * b[j] / b[j - 2]
        out[j, 2] = mu * w
        out[j, 3] = mu * w * b[j - 1]  # mu~ + gamma~ with gamma~ = -(1 - b[j - 1]) mu~
    return out


@njit(**OPTIONS)
def apply(x, indptr, indices, weight, inverse_volume, rate, out, begin, end):
    """``out = rate * L x`` on the rows begin:end, `rate` being one number per field."""
    fields = U(x.shape[1])
    if fields == ONE:
        for i in range(begin, end):
            out[i, 0] = rate[0] * inverse_volume[i] * _gather(x, indptr, indices, weight, i)
        return
    for f in range(U(0), fields, LANES):
        count = min(LANES, fields - f)
        speed = load(rate, f, count)
        for i in range(begin, end):
            total = _gather_lanes(x, load(x, i * fields + f, count), f, count, indptr, indices, weight, i)
            store(out, i * fields + f, mul(mul(speed, splat(inverse_volume[i])), total), count)


@njit(**OPTIONS)
def first(start, c, previous, new, begin, end):
    """Stage 1: the increment is c * start; the increment of stage 0 is zero."""
    for i in range(begin, end):
        for f in range(start.shape[1]):
            previous[i, f] = c * start[i, f]
            new[i, f] = 0.0


@njit(**OPTIONS)
def stage(previous, new, start, indptr, indices, weight, inverse_volume, rate, c, begin, end):
    """``new = mu * previous + nu * new + mu~ * rate * L previous + (mu~ + gamma~) * start`` on the rows begin:end."""
    fields = U(new.shape[1])
    if fields == ONE:
        for i in range(begin, end):
            held = c[0] * previous[i, 0] + (c[1] * new[i, 0] + c[3] * start[i, 0])
            new[i, 0] = c[2] * rate[0] * inverse_volume[i] * _gather(previous, indptr, indices, weight, i) + held
        return
    for f in range(U(0), fields, LANES):
        left = fields - f
        if left >= LANES:  # a constant number of lanes lets the compiler drop the masks
            _stage_group(f, LANES, previous, new, start, indptr, indices, weight, inverse_volume, rate, c, begin, end)
        elif left == HALF:
            _stage_group(f, HALF, previous, new, start, indptr, indices, weight, inverse_volume, rate, c, begin, end)
        else:
            _stage_group(f, left, previous, new, start, indptr, indices, weight, inverse_volume, rate, c, begin, end)


@njit(forceinline=True, **OPTIONS)
def _stage_group(f, count, previous, new, start, indptr, indices, weight, inverse_volume, rate, c, begin, end):
    fields = U(new.shape[1])
    mu, nu, mut, rest = splat(c[0]), splat(c[1]), splat(c[2]), splat(c[3])
    speed = mul(mut, load(rate, f, count))
    for i in range(begin, end):
        at = i * fields + f
        centre = load(previous, at, count)
        total = _gather_lanes(previous, centre, f, count, indptr, indices, weight, i)
        held = fma(mu, centre, fma(nu, load(new, at, count), mul(rest, load(start, at, count))))
        store(new, at, fma(mul(speed, splat(inverse_volume[i])), total, held), count)


@njit(forceinline=True, **OPTIONS)
def _gather(x, indptr, indices, weight, i):
    """Net flux into node i of a single field."""
    total, centre = 0.0, x[i, 0]
    for k in range(U(indptr[i]), U(indptr[i + ONE])):
        total += weight[k] * (x[indices[k], 0] - centre)
    return total


@njit(forceinline=True, **OPTIONS)
def _gather_lanes(x, centre, f, count, indptr, indices, weight, i):
    """Net flux into node i of the fields f to f + count, eight at most."""
    fields = U(x.shape[1])
    total = splat(0.0)
    for k in range(U(indptr[i]), U(indptr[i + ONE])):
        total = fma(splat(weight[k]), sub(load(x, U(indices[k]) * fields + f, count), centre), total)
    return total


@njit(**OPTIONS)
def finish(increment, x, begin, end):
    """Add the increment of the last stage."""
    for i in range(begin, end):
        for f in range(x.shape[1]):
            x[i, f] += increment[i, f]


@njit(**OPTIONS)
def shares(x, increment, indptr, indices, weight, out, begin, end):
    """What part of the sum over its edges of negative conductance each node can give: no more than its other neighbours hand to it."""
    for i in range(begin, end):
        for f in range(U(x.shape[1])):
            given, taken, here = 0.0, 0.0, x[i, f] + increment[i, f]
            for k in range(U(indptr[i]), U(indptr[i + ONE])):
                there = x[indices[k], f] + increment[indices[k], f]
                if weight[k] > 0.0:
                    given += weight[k] * max(there, 0.0)
                elif there > here:
                    taken -= weight[k] * (there - here)
            out[i, f] = given / taken if taken > given else 1.0


@njit(forceinline=True, **OPTIONS)
def _gather_limited(x, increment, share, indptr, indices, weight, i, f):
    """Net flux into node i of the values x + increment; an edge of negative conductance carries the share of its lower end."""
    total, here = 0.0, x[i, f] + increment[i, f]
    for k in range(U(indptr[i]), U(indptr[i + ONE])):
        j = indices[k]
        difference = x[j, f] + increment[j, f] - here
        w = weight[k]
        if w < 0.0:
            w *= share[i, f] if difference > 0.0 else share[j, f]
        total += w * difference
    return total


@njit(**OPTIONS)
def apply_limited(x, increment, share, indptr, indices, weight, inverse_volume, rate, out, begin, end):
    """`apply` on x + increment with limited edges."""
    for i in range(begin, end):
        for f in range(U(x.shape[1])):
            out[i, f] = rate[f] * inverse_volume[i] * _gather_limited(x, increment, share, indptr, indices, weight, i, f)


@njit(**OPTIONS)
def stage_limited(previous, new, start, x, share, flow, indptr, indices, weight, inverse_volume, rate, c, begin, end):
    """`stage` with limited edges; x are the values at the beginning of the step and `flow` what `apply_limited` gave for them."""
    for i in range(begin, end):
        for f in range(U(x.shape[1])):
            change = rate[f] * inverse_volume[i] * _gather_limited(x, previous, share, indptr, indices, weight, i, f) - flow[i, f]
            new[i, f] = c[2] * change + (c[0] * previous[i, f] + (c[1] * new[i, f] + c[3] * start[i, f]))
