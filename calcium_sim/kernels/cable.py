"""The step of cables, trees and points whose potential is solved for: gates h/2 | diffusion h/2, all else h, diffusion h/2 | gates h/2.

"All else" is one step of ROS2 of the concentrations and the potential of all positions together (`compile.joint`): in each of its two
stages every block eliminates the concentrations of its positions, and one sweep from the tips to the root and back solves for the
potential,

    C (1 - g h dF/dv) k - g h (axial current of k, what electrodes conduct) = C F + axial current of v + current of the electrodes

with g = 1 - 1/sqrt(2), capacitance C [pF] and conductances [nS]. Pivots add up positive terms alone where the slopes of the currents of the
channels do not exceed C/(g h), as in `kernels.tree`.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from .compiled import njit
from .lanes import GAMMA
from .machine import run
from .stimulus import add_tables, fill_sources, table_value
from .tree import diffuse

PIVOT, RIGHT, SOLVED = 0, 1, 2
"""Rows of what a position and the tree hand to each other: the pivot, the right side, the solution."""
WEIGHT, INVERSE, FIRST, SUM = 0, 1, 2, 3
U64 = np.uint64
NO_VOLTS = (0.0, 0.0, 0.0)
"""What is prescribed elsewhere: ports of the potential are those of its field."""
RESOLUTION = 1e-12
"""As `plan.stops.RESOLUTION`."""
OPTIONS = {"error_model": "numpy", "nogil": True}


@njit(**OPTIONS)
def axial(parent, conductance, v, right):
    """Add the axial current into every position [pA]."""
    for k in range(1, v.size):
        i, p = U64(k), U64(parent[k])
        current = conductance[i] * (v[p] - v[i])
        right[i] += current
        right[p] -= current


@njit(**OPTIONS)
def eliminate(parent, conductance, g, held, right, weight, inverse):
    """From the tips to the root: pivots and weights, from the pivot of each position alone [pF], and the right side; both are changed."""
    n = held.size
    for k in range(n - 1):
        i = U64(n - 1 - k)
        p, c = U64(parent[i]), g * conductance[i]
        inverse[i] = 1.0 / (held[i] + c)
        weight[i] = c * inverse[i]
        held[p] += weight[i] * held[i]
        right[p] += weight[i] * right[i]
    inverse[0] = 1.0 / held[0]


@njit(**OPTIONS)
def eliminate_right(parent, right, weight):
    """The same for another right side."""
    n = right.size
    for k in range(n - 1):
        i = U64(n - 1 - k)
        right[U64(parent[i])] += weight[i] * right[i]


@njit(**OPTIONS)
def substitute(parent, right, weight, inverse, out):
    """From the root to the tips."""
    out[0] = right[0] * inverse[0]
    for k in range(1, right.size):
        i = U64(k)
        out[i] = weight[i] * out[U64(parent[i])] + inverse[i] * right[i]


@njit(**OPTIONS)
def held_at(holders, t, h):
    """Potentials [mV] to which each electrode pulls its position in the two stages of a step, (2, electrodes).

    ROS2 for a right side that depends on the time: g h times its slope is added in the first stage and taken off in the second. The ends
    of the step are seen from within, for the protocol may jump there.
    """
    node, _, first, times, values = holders
    out = np.empty((2, node.size))
    near = min(RESOLUTION * t, 0.25 * h)
    for k in range(node.size):
        when, what = times[first[k] : first[k + 1]], values[first[k] : first[k + 1]]
        begin, end = table_value(when, what, t + near), table_value(when, what, t + h - near)
        out[0, k] = begin + GAMMA * (end - begin)
        out[1, k] = end - GAMMA * (end - begin)
    return out


@njit(**OPTIONS)
def solve_first(tree, v, system, memory, holders, target, h):
    """The first stage: `system` holds pivots and right sides per pF, and gets the rate of the potential [mV/ms]."""
    parent, conductance, capacity = tree
    node, hold = holders[0], holders[1]
    for i in range(v.size):
        system[PIVOT, i] *= capacity[i]
        system[RIGHT, i] *= capacity[i]
    for k in range(node.size):
        system[PIVOT, node[k]] += GAMMA * h * hold[k]
        system[RIGHT, node[k]] += hold[k] * (target[k] - v[node[k]])
    axial(parent, conductance, v, system[RIGHT])
    eliminate(parent, conductance, GAMMA * h, system[PIVOT], system[RIGHT], memory[WEIGHT], memory[INVERSE])
    substitute(parent, system[RIGHT], memory[WEIGHT], memory[INVERSE], system[SOLVED])
    memory[FIRST, :] = system[SOLVED]


@njit(**OPTIONS)
def solve_second(tree, v, system, memory, holders, targets, h, moved):
    """The second stage, and the charge that electrodes have brought [fC]."""
    parent, conductance, capacity = tree
    node, hold = holders[0], holders[1]
    stage, first = memory[SUM], memory[FIRST]
    for i in range(v.size):
        stage[i] = v[i] + h * first[i]
        system[RIGHT, i] *= capacity[i]
    for k in range(node.size):
        system[RIGHT, node[k]] += hold[k] * (targets[1, k] - stage[node[k]])
    axial(parent, conductance, stage, system[RIGHT])
    eliminate_right(parent, system[RIGHT], memory[WEIGHT])
    substitute(parent, system[RIGHT], memory[WEIGHT], memory[INVERSE], system[SOLVED])
    for k in range(node.size):
        i = node[k]
        early = hold[k] * (targets[0, k] - v[i] - GAMMA * h * first[i])
        late = hold[k] * (targets[1, k] - stage[i] - GAMMA * h * system[SOLVED, i])
        moved[k] += 0.5 * h * (early + late)


@njit(**OPTIONS)
def serial(site, b, given, n, times, volts):
    """One part of the kinetics of all blocks."""
    for block in range(b.shape[0]):
        run(site, (b[block],) + given + (n, block) + times + volts)  # noqa: RUF005 (numba does not compile the starred form)


@njit(parallel=True, **OPTIONS)
def parallel(site, b, given, n, times, volts):
    """The same by all threads, and the same bits: blocks know nothing of each other."""
    for block in prange(b.shape[0]):
        run(site, (b[block],) + given + (n, block) + times + volts)  # noqa: RUF005


def _made(blocks):
    """The step, with the blocks by one thread or by all."""

    @njit(cache=True, **OPTIONS)
    def local(sites, b, given, tree, memory, holders, moved, times):
        """All but the gates over h; `times` are t, h and the step before."""
        u, system = given[0], given[10]
        n, v, h = u.shape[1], u[u.shape[0] - 1], times[1]
        targets = held_at(holders, times[0], h)
        blocks(sites[1], b, given, n, times, NO_VOLTS)
        solve_first(tree, v, system, memory, holders, targets[0], h)
        blocks(sites[2], b, given, n, times, NO_VOLTS)
        solve_second(tree, v, system, memory, holders, targets, h, moved)
        blocks(sites[3], b, given, n, times, NO_VOLTS)

    @njit(cache=True, **OPTIONS)
    def gates(sites, b, given, t, h):
        """The gates over h, t in its middle."""
        blocks(sites[0], b, given, given[0].shape[1], (t, h, h), NO_VOLTS)

    @njit(cache=True, **OPTIONS)
    def advance(sites, b, given, tree, memory, holders, moved, course, target, start, node, rate, tables, rows, runs, half, moving, work,
                t, h, before, steps):  # fmt: skip
        """`steps` steps of length h from time t; the gates of neighbouring steps are merged."""
        u, sources = given[0], given[5]
        gates(sites, b, given, t + 0.25 * h, 0.5 * h)
        for k in range(steps):
            t0 = t + k * h
            if moving:
                diffuse(u, rows, runs, half, work)
            fill_sources(sources, course, target, start, node, rate, t0, h)
            add_tables(sources, tables, t0, h)
            local(sites, b, given, tree, memory, holders, moved, (t0, h, before if k == 0 else h))
            if moving:
                diffuse(u, rows, runs, half, work)
            late, share = (t0 + h, h) if k < steps - 1 else (t0 + 0.75 * h, 0.5 * h)
            gates(sites, b, given, late, share)

    return gates, local, advance


(gates, local, advance), (gates_parallel, local_parallel, advance_parallel) = _made(serial), _made(parallel)
