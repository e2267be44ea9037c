"""Diffusion on cables and trees: a direct solve in one leaf-to-root and one root-to-leaf sweep, several fields at a time.

How to call (all arrays C-contiguous; every function but `runs` may be called from other compiled functions)::

    plan = runs(parent)                       # once per mesh: uint32, shape (2, branches + 1)
    rows = mobile(diffusion)                  # once per model: the fields with D != 0, in groups that are advanced together
    factors = factor(parent, conductance, volume, diffusion, h)        # once per step size h [ms]: shape (mobile fields, 4, n)
    work = workspace(n)                       # once per thread, shape (3, 3, n); its contents need not be kept or cleared
    diffuse(u, rows, plan, factors, work)     # u: shape (fields, n), advanced by h in place; rows not in `rows` are not touched

with `parent` uint32 (n,), ``parent[i] < i``, node 0 its own parent (Hines order, doi 10.1016/0020-7101(84)90008-4); `conductance`
(fields, n) [um], the edge of node i to its parent (entry 0 is ignored); `volume` (fields, n) [um^3]; `diffusion` (fields,) [um^2/ms].

Scheme: with g = 1 - 1/sqrt(2), S = (I - g h L)^-1, d1 = S (g h L u), d2 = S d1, the step is u += d1 + (1 + sqrt(2)) d2: the second
order, L-stable SDIRK method of Alexander (doi 10.1137/0714068) for u' = L u, written in increments, so that a constant field
keeps every bit. Both solves are of the symmetric form (V + g h V L), eliminated without subtractions: the amount sum(V u) changes
only by the round-off of the increments.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import literal_unroll
from numpy.typing import NDArray

from .compiled import njit

GAMMA = 1.0 - np.sqrt(0.5)
SECOND = 1.0 + np.sqrt(2.0)
COUPLING, WEIGHT, INVERSE, VOLUME = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
FIRST, OTHER, BRANCH = np.uint64(0), np.uint64(1), np.uint64(2)
Floats = NDArray[np.float64]
Indices = NDArray[np.uint32]
Group = tuple[float, ...]
Groups = tuple[tuple[tuple[np.uint64, ...], Group], ...]
U = np.uint64
ONE = np.uint64(1)
OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}


def runs(parent: Indices) -> Indices:
    """Cut a tree into unbranched runs of consecutive nodes.

    Returns
    -------
    uint32, shape (2, branches + 1): row 0 the first node of every run, then n; row 1 the run whose last node is the parent of that
    first node (0 for the first run).
    """
    n = len(parent)
    children = np.bincount(parent[1:].astype(np.int64), minlength=n)
    starts = np.ones(n, bool)
    starts[1:] = (parent[1:] != np.arange(n - 1)) | (children[:-1] != 1)
    first = np.flatnonzero(starts)
    plan = np.zeros((2, len(first) + 1), np.uint32)
    plan[0, :-1] = first
    plan[0, -1] = n
    plan[1, :-1] = (np.cumsum(starts) - 1)[parent[first]]
    return plan


def moving(diffusion: Floats) -> Indices:
    """Indices of the fields that diffuse; the first field where none does, for there has to be a group."""
    found = np.flatnonzero(diffusion).astype(np.uint32)
    return found if found.size > 0 else np.zeros(1, np.uint32)


def mobile(diffusion: Floats) -> Groups:
    """Fields that diffuse, in groups of two or three: of each group the indices, and as many zeros.

    The sizes of the groups are part of the type of what is returned, so that only the sweeps which a model needs are compiled.
    """
    fields = [U(f) for f in moving(diffusion)]
    groups = []
    while fields:
        size = 2 if len(fields) == 4 else min(len(fields), 3)
        groups.append((tuple(fields[:size]), (0.0,) * size))
        fields = fields[size:]
    return tuple(groups)


def workspace(n: int) -> Floats:
    """Scratch memory for `diffuse` on n nodes."""
    return np.zeros((3, 3, n))


def factor(parent: Indices, conductance: Floats, volume: Floats, diffusion: Floats, h: float) -> Floats:
    """Factors of `diffuse` for a step h [ms], shape (mobile fields, 4, n): couplings g h D C, elimination weights, pivots, volumes.

    With s_i = V_i + sum over the children k of w_k s_k, the pivot is s_i + c_i and the weight w_i = c_i / (s_i + c_i): all terms are
    positive, so nothing cancels however large h is.
    """
    rows, n = moving(diffusion), len(parent)
    factors = np.zeros((len(rows), 4, n))
    _factor(rows, np.asarray(parent), conductance, volume, diffusion, h, factors, np.empty(n))
    return factors


@njit(**OPTIONS)
def _factor(
    rows: Indices, parent: Indices, conductance: Floats, volume: Floats, diffusion: Floats, h: float, factors: Floats, held: Floats
) -> None:
    n = len(parent)
    for f in range(len(rows)):
        row = rows[f]
        for i in range(n):
            held[i] = volume[row, i]
            factors[f, VOLUME, i] = volume[row, i]
        for k in range(n):
            i = n - 1 - k
            c = GAMMA * h * diffusion[row] * conductance[row, i] if i > 0 else 0.0
            pivot = held[i] + c
            factors[f, COUPLING, i] = c
            factors[f, WEIGHT, i] = c / pivot
            factors[f, INVERSE, i] = 1.0 / pivot
            held[parent[i]] += c / pivot * held[i]


@njit(**OPTIONS)
def diffuse(u: Floats, rows: Groups, plan: Indices, factors: Floats, work: Floats) -> None:
    """Advance the rows `rows` of u, shape (fields, n), by the step of `factors`, in place. See the head of this file."""
    if u.shape[1] < 2:
        return
    k = U(0)
    for group in literal_unroll(rows):
        _step(group[0], group[1], k, u, plan, factors, work)
        k += U(len(group[0]))


# The sweeps below advance two or three fields together: the recurrence along a run waits 4 cycles per node for its multiply-add, and the
# other fields fill the gap (four run out of registers and are slower). What a sweep carries from node to node is one tuple per quantity,
# used as a queue, which the compiler unrolls into registers. In every a * b + c * d the product on the chain of dependence
# stands first: the second is then computed beforehand, and the chain costs one fused multiply-add.


@njit(forceinline=True, **OPTIONS)
def push(queue: Group, new: float) -> Group:
    """Drop the first, append `new`."""
    return queue[1:] + (new,)  # noqa: RUF005 (numba does not compile the starred form)


@njit(inline="always", **OPTIONS)  # one level less to compile: a quarter of the time
def _step(rows: tuple[np.uint64, ...], zero: Group, first: np.uint64, u: Floats, plan: Indices, factors: Floats, work: Floats) -> None:
    for f in range(U(len(zero))):
        for run in range(U(plan.shape[1])):
            work[BRANCH, f, run] = 0.0
    _eliminate_fluxes(rows, zero, first, u, plan, factors, work)
    _substitute(zero, first, plan, factors, work)
    _eliminate_increment(zero, first, plan, factors, work)
    _substitute_and_add(rows, zero, first, u, plan, factors, work)


@njit(**OPTIONS)
def _eliminate_fluxes(
    rows: tuple[np.uint64, ...], zero: Group, first: np.uint64, u: Floats, plan: Indices, factors: Floats, work: Floats
) -> None:
    """Leaves to root: r_i = (net flux into i) + sum over the children k of w_k r_k, in work[FIRST]."""
    m = U(len(zero))
    count = U(plan.shape[1]) - ONE
    for k in range(count):
        run = count - ONE - U(k)
        head, last, above = U(plan[0, run]), U(plan[0, run + ONE]) - ONE, U(plan[1, run])
        foot = U(plan[0, above + ONE]) - ONE
        r, w, flux, x = zero, zero, zero, zero
        for f in range(m):
            x = push(x, u[rows[f], last])
            flux = push(flux, -work[BRANCH, f, run])
            work[BRANCH, f, run] = 0.0
        for j in range(head, last):
            i = last - (j - head)
            for f in range(m):
                y = u[rows[f], i - ONE]
                a = factors[first + f, COUPLING, i] * (y - x[0])
                b = w[0] * r[0] + (a - flux[0])
                work[FIRST, f, i] = b
                r, w, flux, x = push(r, b), push(w, factors[first + f, WEIGHT, i]), push(flux, a), push(x, y)
        for f in range(m):
            a = factors[first + f, COUPLING, head] * (u[rows[f], foot] - x[f])
            b = w[f] * r[f] + (a - flux[f])
            work[FIRST, f, head] = b
            work[BRANCH, f, above] += factors[first + f, WEIGHT, head] * b - a


@njit(**OPTIONS)
def _substitute(zero: Group, first: np.uint64, plan: Indices, factors: Floats, work: Floats) -> None:
    """Root to leaves: the first increment replaces r in work[FIRST]."""
    m = U(len(zero))
    for run in range(U(plan.shape[1]) - ONE):
        head, stop, above = U(plan[0, run]), U(plan[0, run + ONE]), U(plan[1, run])
        foot = U(plan[0, above + ONE]) - ONE
        x = zero
        if run > U(0):
            for f in range(m):
                x = push(x, work[FIRST, f, foot])
        for i in range(head, stop):
            for f in range(m):
                b = factors[first + f, WEIGHT, i] * x[0] + factors[first + f, INVERSE, i] * work[FIRST, f, i]
                work[FIRST, f, i] = b
                x = push(x, b)


@njit(**OPTIONS)
def _eliminate_increment(zero: Group, first: np.uint64, plan: Indices, factors: Floats, work: Floats) -> None:
    """Leaves to root, with V d1 on the right: r in work[OTHER]."""
    m = U(len(zero))
    count = U(plan.shape[1]) - ONE
    for f in range(m):
        for run in range(count + ONE):
            work[BRANCH, f, run] = 0.0
    for k in range(count):
        run = count - ONE - U(k)
        head, last, above = U(plan[0, run]), U(plan[0, run + ONE]) - ONE, U(plan[1, run])
        r, w = zero, zero
        for f in range(m):
            r = push(r, work[BRANCH, f, run])
            w = push(w, 1.0)
        for j in range(head, last + ONE):
            i = last - (j - head)
            for f in range(m):
                b = w[0] * r[0] + factors[first + f, VOLUME, i] * work[FIRST, f, i]
                work[OTHER, f, i] = b
                r, w = push(r, b), push(w, factors[first + f, WEIGHT, i])
        for f in range(m):
            work[BRANCH, f, above] += w[f] * r[f]


@njit(**OPTIONS)
def _substitute_and_add(
    rows: tuple[np.uint64, ...], zero: Group, first: np.uint64, u: Floats, plan: Indices, factors: Floats, work: Floats
) -> None:
    """Root to leaves: the second increment, then u += d1 + (1 + sqrt(2)) d2."""
    m = U(len(zero))
    for run in range(U(plan.shape[1]) - ONE):
        head, stop, above = U(plan[0, run]), U(plan[0, run + ONE]), U(plan[1, run])
        foot = U(plan[0, above + ONE]) - ONE
        x = zero
        if run > U(0):
            for f in range(m):
                x = push(x, work[OTHER, f, foot])
        for i in range(head, stop):
            for f in range(m):
                b = factors[first + f, WEIGHT, i] * x[0] + factors[first + f, INVERSE, i] * work[OTHER, f, i]
                u[rows[f], i] += work[FIRST, f, i] + SECOND * b
                x = push(x, b)
        for f in range(m):
            work[OTHER, f, stop - ONE] = x[f]
