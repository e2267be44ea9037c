"""The step of rotationally symmetric (z, r) grids: gates, membrane fluxes and radial diffusion are solved jointly.

One step h: half a step along z and half of the stimuli | buffers and decays h/2 | joint radial step h | buffers and decays h/2 | half of
the stimuli and half a step along z (see `lines`; the halves of neighbouring steps are one solve). Between two steps `meet` follows the
concentrations on the membranes, for networks and rates of change.

The joint step is SDIRK2 (Alexander 1977, doi 10.1137/0714068), g = 1 - 1/sqrt(2), in increments: stage i with base u_i solves ``(I - g h
L) d = g h (L u_i + s J)``, where u_2 is u + (1 - g)/g d_1 and the new value u_2 + d_2. The solve without flux is done first; the
concentrations on the membranes then depend linearly on the fluxes J, through the response of the line to a unit flux, and Newton's method
finds the J that the channels carry there, each gate being advanced implicitly to them. One flux per membrane and species is unknown, so
that the systems stay tiny. What each channel moved is taken from the last linearisation: their sum is what was applied, to round-off.
Where a state leaves its bounds, it is advanced by backward Euler.

What happens at the membranes and in the cells is generated (`schemes.grid.source`) and called through its address. Arguments in common:

* ``layout``: see `schemes.grid.source.Layout`, as a tuple of arrays in its order, but for those of which there are many;
* ``sites``: addresses (begin, newton, middle, finish, meet, look), and of the reactions of each entry of the interior;
* ``state``: u, y as rows over slices, amounts moved; ``given``: weights, parameters, couplings K, near (those of half a cell);
* ``solve``: factors and responses of every radial line, and what there are many of in a layout: fields, decays, rows;
* ``walls``: index (entries of the points in u), what was at the nodes, excess on the membranes, what enters there at two times;
* ``seen``: the tables of `schemes.grid.meeting.Seen`; ``nets``, ``counts``: networks, and what is noted of them;
* ``stimuli``: first value of each fed field, and the tables of `lines.inject` and `stimulus.fill_excess`;
* ``numbers``, ``halves``: of the explicit and the implicit half step along z, for every field of `mobile`.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from .compiled import njit
from .lanes import GAMMA, LANES, gather_flat, load, store
from .lines import (
    SLICES,
    add_part,
    add_row,
    book,
    book_tile,
    combine,
    explicit_half,
    give,
    implicit_half,
    implicit_half_parallel,
    increments,
    inject,
    load_tile,
    move,
    move_sum,
    store_tile,
    take,
)
from .machine import run
from .stimulus import fill_excess, table_value

OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}, "nogil": True}
U64, I64 = np.uint64, np.int64  # a literal argument would make a specialisation of its own
LAST = 0.9999999
"""The second stage lies at the end of the step, before what begins there."""
SHORT = 1e-3
"""Networks do not run after a step that is shorter than this part of the time over which they know rates of change."""


@njit(**OPTIONS)
def tiles(slices):
    """How many tiles there are."""
    return (slices + SLICES - 1) // SLICES


@njit(forceinline=True, **OPTIONS)
def react(sites, a, b, parameters, layout, fields, decays, h):
    """Buffers and decays of all regions over h, cell by cell."""
    at, cells, inner = layout[1], layout[3], layout[8]
    for n in range(len(sites)):
        moved, booked = fields[n], decays[n]
        for cell in range(cells[inner[n]] if sites[n] != 0 else U64(0)):
            here = U64(SLICES) * U64(cell)
            for q in range(moved.shape[0]):
                move(a, at[moved[q, 2]] + here, b, moved[q, 0])
            run(sites[n], (b, parameters, 0.0, 0.0, h))
            for q in range(moved.shape[0]):
                move(b, moved[q, 1], a, at[moved[q, 2]] + here)
            for q in range(booked.shape[0]):
                add_row(b, booked[q, 0], a, at[booked[q, 1]] + here)


@njit(forceinline=True, **OPTIONS)
def stage(newton, a, b, parameters, coupling, layout, factors, entering, lo, size, v, t, g, late):
    """One stage of the joint step: the solve without flux, then Newton's method for the fluxes."""
    at, region, cells, lines, points = layout[1], layout[2], layout[3], layout[4], layout[7]
    fields = U64(region.size)
    for n in range(lines.size):
        f = lines[n]
        increments(a, at[f], at[fields + U64(n)], cells[region[f]], factors[n])
    for q in range(points.shape[0]):
        cell = points[q, 3] * U64(SLICES) * (cells[region[points[q, 2]]] - U64(1))
        place = at[points[q, 2]] + cell
        if points[q, 4] < U64(lines.size):
            move_sum(a, place, at[fields + points[q, 4]] + cell, b, points[q, 1])
        else:
            move(a, place, b, points[q, 1])
        if points[q, 5] > U64(0):
            add_part(b, points[q, 1], entering, U64(q), lo, size)
    run(newton, (b, parameters, coupling, v, t, g, late))


@njit(forceinline=True, **OPTIONS)
def apply(a, b, layout, responses, rows, scale):
    """Let the increments with the fluxes into the fields."""
    at, region, cells, lines = layout[1], layout[2], layout[3], layout[4]
    for n in range(lines.size):
        f = lines[n]
        combine(a, at[f], at[U64(region.size) + U64(n)], cells[region[f]], scale, responses[n], b, rows[n])


@njit(forceinline=True, **OPTIONS)
def tile(block, sites, reactions, state, given, layout, factors, responses, fields, decays, rows, entering, scratch, t0, h, v1, v2):
    """Everything of a step but the z direction and the stimuli, for one tile of slices."""
    u, y, moved = state
    weights, parameters, coupling = given[0], given[1], given[2]
    start, at, region, cells, _, read, weighted, points = layout[:8]
    gated, carried, decayed = layout[9], layout[10], layout[11]
    own = min(I64(block), scratch[0].shape[0] - 1)  # one for every tile, or one for all where they come after each other
    a, b = scratch[0][own], scratch[1][own]
    lo = U64(SLICES) * U64(block)
    size = min(U64(SLICES), U64(y.shape[1]) - lo)
    for f in range(region.size):
        load_tile(u, start[f], lo, size, cells[region[f]], a, at[f])
    for q in range(read.shape[0]):
        take(b, read[q, 0], y, read[q, 1], lo, size)
    for q in range(weighted.shape[0]):
        take(b, weighted[q, 0], weights, weighted[q, 1], lo, size)
    react(reactions, a, b, parameters, layout, fields, decays, 0.5 * h)
    for q in range(points.shape[0]):
        move(a, at[points[q, 2]] + points[q, 3] * U64(SLICES) * (cells[region[points[q, 2]]] - U64(1)), b, points[q, 0])
    g = GAMMA * h
    t1, t2 = t0 + g, t0 + LAST * h
    run(sites[0], (b, parameters, v1, t1))
    stage(sites[1], a, b, parameters, coupling, layout, factors, entering[0], lo, size, v1, t1, g, t1 - t0)
    run(sites[2], (b,))
    apply(a, b, layout, responses, rows, (1.0 - GAMMA) / GAMMA)
    stage(sites[1], a, b, parameters, coupling, layout, factors, entering[1], lo, size, v2, t2, g, t2 - t0)
    apply(a, b, layout, responses, rows, 1.0)
    run(sites[3], (b, parameters, v2, t2, h))
    react(reactions, a, b, parameters, layout, fields, decays, 0.5 * h)
    for f in range(region.size):
        store_tile(a, at[f], u, start[f], lo, size, cells[region[f]])
    for q in range(gated.shape[0]):
        give(b, gated[q, 0], y, gated[q, 1], lo, size)
    for q in range(carried.shape[0]):
        book(b, carried[q, 0], moved, carried[q, 1] + lo, size)
    for q in range(decayed.shape[0]):
        place, count = at[decayed[q, 0]], cells[decayed[q, 2]]
        book_tile(a, place, moved, decayed[q, 1], lo, size, count)
        for k in range(U64(SLICES) * count):
            a[place + k] = 0.0


@njit(inline="always", **OPTIONS)
def across(sites, reactions, state, given, layout, factors, responses, fields, decays, rows, entering, scratch, t0, h, v1, v2):
    """All tiles."""
    for block in range(tiles(state[1].shape[1])):
        tile(
            block, sites, reactions, state, given, layout, factors, responses, fields, decays, rows, entering, scratch, t0, h, v1, v2
        )  # fmt: skip


@njit(parallel=True, **OPTIONS)
def across_parallel(sites, reactions, state, given, layout, factors, responses, fields, decays, rows, entering, scratch, t0, h, v1, v2):
    """All tiles by all threads; the bits are the same, for tiles know nothing of each other."""
    for block in prange(tiles(state[1].shape[1])):
        tile(
            block, sites, reactions, state, given, layout, factors, responses, fields, decays, rows, entering, scratch, t0, h, v1, v2
        )  # fmt: skip


@njit(**OPTIONS)
def bring(b, state, weights, seen, index, entering, lo, size):
    """What is at the membranes of a block: nodes, what enters, states and weights."""
    points, followed, _, weighted = seen
    gather_flat(b, points[:, 0], state[0], index, points[:, 4], lo, size)
    load(b, points[:, 3], entering, points[:, 4], lo, size, LANES)
    load(b, followed[:, 0], state[1], followed[:, 1], lo, size, LANES)
    load(b, weighted[:, 0], weights, weighted[:, 1], lo, size, LANES)


@njit(**OPTIONS)
def watch(site, b, state, given, seen, walls, entering, merged, elapsed, before, t, v, h, nets, counts):
    """The meeting of two steps at the membranes, 64 slices at a time: what is seen there now, and what networks make of it."""
    y, points, kept = state[1], seen[0], seen[2]
    nodes, excess = walls[1], walls[2]
    for lo in range(0, y.shape[1], LANES):
        size = min(LANES, y.shape[1] - lo)
        bring(b, state, given[0], seen, walls[0], entering, lo, size)
        load(b, points[:, 1], nodes, points[:, 4], lo, size, LANES)
        load(b, points[:, 2], excess, points[:, 4], lo, size, LANES)
        run(site, (b, given[1], given[3], nets, counts, merged, elapsed, before, t, v, h, size))
        store(b, points[:, 2], excess, points[:, 4], lo, size)
        store(b, kept[:, 0], y, kept[:, 1], lo, size)


@njit(cache=True, **OPTIONS)
def look(site, b, state, given, seen, index, entering, t, v):
    """Concentrations on the membranes, (points, slices), of all points of `seen`."""
    y, points, wall = state[1], seen[0], np.zeros(entering.shape)
    for lo in range(0, y.shape[1], LANES):
        size = min(LANES, y.shape[1] - lo)
        bring(b, state, given[0], seen, index, entering, lo, size)
        run(site, (b, given[1], given[3], v, t))
        store(b, points[:, 1], wall, points[:, 4], lo, size)
    return wall


@njit(**OPTIONS)
def enter(excess, stimuli, t):
    """What enters through membranes at a time, as what it adds to the concentrations there."""
    course, first, point, node, value = stimuli[1], stimuli[6], stimuli[7], stimuli[8], stimuli[9]
    fill_excess(excess, course, first, point, node, value, t)


@njit(**OPTIONS)
def stimulate(u, stimuli, t, h):
    """Half of what stimuli supply over a step."""
    inject(u, stimuli[0], stimuli[1], stimuli[2], stimuli[3], stimuli[4], stimuli[5], t, h)


@njit(**OPTIONS)
def open_steps(sites, state, given, layout, seen, walls, stimuli, numbers, b, nets, counts, t, v, known, h):
    """What comes before the first step: networks that have not run yet, and the explicit half along z. For `known` see `close_step`."""
    u, y, _ = state
    start, region, cells, mobile = layout[0], layout[2], layout[3], layout[12]
    enter(walls[3], stimuli, t)
    if sites[4] != 0 and known[0] == 0.0:
        watch(sites[4], b, state, given, seen, walls, walls[3], I64(0), 0.0, known[1], t, v, 0.5 * h, nets, counts)
    for n in range(mobile.size):
        f = mobile[n]
        explicit_half(u, start[f], U64(y.shape[1]), cells[region[f]], numbers[n])


@njit(**OPTIONS)
def begin_step(state, walls, stimuli, t, h):
    """Before the joint step: what enters at its two stages, and half of the stimuli."""
    enter(walls[3], stimuli, t + GAMMA * h)
    enter(walls[4], stimuli, t + LAST * h)
    stimulate(state[0], stimuli, t, h)


@njit(**OPTIONS)
def end_step(state, walls, stimuli, t, h):
    """After it: the other half of the stimuli, and how the nodes at the membranes are before the step along z."""
    u, index, nodes = state[0], walls[0], walls[1]
    stimulate(u, stimuli, t, h)
    for q in range(index.shape[0]):
        for k in range(index.shape[1]):
            nodes[q, k] = u[index[q, k]]


@njit(**OPTIONS)
def close_step(sites, state, given, seen, walls, stimuli, b, nets, counts, t, v, known, h, between):
    """At the end of a step: the meeting with the next one, which is `between`, or with whatever comes.

    `known` are the time since networks last ran, and that over which they then knew rates of change; returns them as they are now. After a
    step that is much shorter, networks are left as they are: its difference quotients would be those of round-off, and what follows, which
    may be much longer, would go on with them.
    """
    behind, last = known
    elapsed = behind + h
    if elapsed < SHORT * last:
        return elapsed, last
    if sites[4] != 0:
        enter(walls[3], stimuli, t)
        on = h if between else 0.5 * h
        watch(sites[4], b, state, given, seen, walls, walls[3], I64(1 if between else 0), elapsed, last, t, v, on, nets, counts)
    return 0.0, elapsed


def _made(all_tiles, half):
    """Make `advance`, with what takes long on one thread or on all: `across` and `lines.implicit_half`."""

    @njit(cache=True, **OPTIONS)
    def advance(sites, reactions, state, given, layout, seen, solve, walls, stimuli, numbers, halves, scratch, b, work, nets, counts,
                vt, vv, t, h, known, steps):  # fmt: skip
        """`steps` steps of length h from time t; half steps along z of neighbouring steps are merged. For `known` see `close_step`."""
        factors, responses, fields, decays, rows = solve
        u, start, region, cells, mobile = state[0], layout[0], layout[2], layout[3], layout[12]
        open_steps(sites, state, given, layout, seen, walls, stimuli, numbers, b, nets, counts, t, table_value(vt, vv, t), known, h)
        for k in range(steps):
            t0, between = t + k * h, k < steps - 1
            v1, v2 = table_value(vt, vv, t0 + GAMMA * h), table_value(vt, vv, t0 + LAST * h)
            begin_step(state, walls, stimuli, t0, h)
            entering = walls[3], walls[4]
            all_tiles(
                sites, reactions, state, given, layout, factors, responses, fields, decays, rows, entering, scratch, t0, h, v1, v2
            )  # fmt: skip
            end_step(state, walls, stimuli, t0, h)
            for n in range(mobile.size):
                f = mobile[n]
                half(u, start[f], cells[region[f]], halves[n], 2.0 if between else 1.0, work)
            known = close_step(sites, state, given, seen, walls, stimuli, b, nets, counts, t0 + h, v2, known, h, between)
        return known

    return advance


advance, advance_parallel = _made(across, implicit_half), _made(across_parallel, implicit_half_parallel)
