"""The step of general graphs, Strang: gates h/2 | reactions h/2 | diffusion and membrane fluxes h by RKL2 | reactions h/2 | gates h/2.

Gates of neighbouring steps are merged. Unlike a pointwise exchange, a flux inside the stages of RKL2 stays accurate where the direction
normal to the membrane is resolved. With w_j = Y_j - Y_0 and G the membrane fluxes, a stage is ``w_j = mu w_{j-1} + nu w_{j-2} +
m h L w_{j-1} + (m + g) h (L Y_0 + G_0) + m h (G(Y_{j-1}) - G_0)``; what each channel moved obeys the same recurrence.

What happens at the nodes is generated (`schemes.graph.source`) and called through its address. Arguments are tuples over regions and over
membranes:

* regions: values x (nodes, fields), rows of the graph (indptr, indices, weight, inverse volume), diffusion, work (3 or 5, nodes, fields);
* membranes: states y, work (4, channels, pairs), amounts moved, weights, ratios, nodes (inside, outside), and their `Rows` as arrays.

Of the work of a region row 0 is what the whole step adds per stage, rows 1 and 2 are increments of the last two stages, 3 and 4 the shares
of limited edges and what diffusion did at the start; of a membrane 0 and 1 are fluxes now and at the start, 2 and 3 amounts.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from . import graph
from .compiled import njit
from .lanes import LANES, book, gather, gather_sum, largest, load, load_column, scatter, store, store_column
from .machine import run
from .stimulus import fill_sources, table_value

OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}, "nogil": True}
U64 = np.uint64
I64 = np.int64  # a literal argument would make a specialisation of its own
APPLY, FIRST, STAGE, FINISH, SHARES, APPLY_LIMITED, STAGE_LIMITED = map(I64, range(7))
"""What is done with the rows of a region."""


@njit(**OPTIONS)
def part(what, x, work, last, rows, rate, c, a, z):
    """One of the parts of RKL2 on the rows a to z; `last` is the row of work with the increment of the last stage."""
    indptr, indices, weight, inverse = rows
    start, previous, new = work[0], work[last], work[3 - last]
    if what == APPLY:
        graph.apply(x, indptr, indices, weight, inverse, rate, start, a, z)
    elif what == FIRST:
        graph.first(start, c[3], previous, new, a, z)
    elif what == STAGE:
        graph.stage(previous, new, start, indptr, indices, weight, inverse, rate, c, a, z)
    elif what == FINISH:
        graph.finish(previous, x, a, z)
    elif what == SHARES:
        graph.shares(x, previous, indptr, indices, weight, work[3], a, z)
    elif what == APPLY_LIMITED:
        graph.apply_limited(x, previous, work[3], indptr, indices, weight, inverse, rate, start, a, z)
    else:
        graph.stage_limited(previous, new, start, x, work[3], work[4], indptr, indices, weight, inverse, rate, c, a, z)


@njit(**OPTIONS)
def serial(what, x, work, last, rows, rate, c):
    """`part` on all rows."""
    part(what, x, work, last, rows, rate, c, U64(0), U64(x.shape[0]))


@njit(parallel=True, **OPTIONS)
def parallel(what, x, work, last, rows, rate, c):
    """The same by all threads, and the same bits: rows know nothing of each other."""
    n = x.shape[0]
    for k in prange(graph.BLOCKS):
        part(what, x, work, last, rows, rate, c, U64(k * n // graph.BLOCKS), U64((k + 1) * n // graph.BLOCKS))


@njit(**OPTIONS)
def move_gates(site, b, xs, y, rows, nodes, parameters, nets, counts, t, v, h):
    """The states of a membrane over h."""
    reads, states = rows[0], rows[1]
    for lo in range(0, nodes[0].size, LANES):
        size = min(LANES, nodes[0].size - lo)
        for q in range(reads.shape[0]):
            gather(b, reads[q, 0], xs[reads[q, 1]], reads[q, 2], nodes[reads[q, 3]], lo, size)
        load(b, states[:, 0], y, states[:, 2], lo, size, LANES)
        run(site, (b, parameters, v, t, h, nets, counts, size))
        store(b, states[:, 1], y, states[:, 2], lo, size)


@njit(**OPTIONS)
def evaluate(site, b, regions, last, y, work, weights, rows, nodes, parameters, t, v):
    """The fluxes through a membrane at the values with their increments."""
    xs, works = regions[0], regions[3]
    reads, states, weighted, fluxes = rows[0], rows[1], rows[2], rows[3]
    for lo in range(0, nodes[0].size, LANES):
        size = min(LANES, nodes[0].size - lo)
        for q in range(reads.shape[0]):
            r = reads[q, 1]
            gather_sum(b, reads[q, 0], xs[r], works[r][last], reads[q, 2], nodes[reads[q, 3]], lo, size)
        load(b, states[:, 0], y, states[:, 2], lo, size, LANES)
        load(b, weighted[:, 0], weights, weighted[:, 1], lo, size, LANES)
        run(site, (b, parameters, v, t))
        store(b, fluxes[:, 0], work[0], fluxes[:, 1], lo, size)


@njit(**OPTIONS)
def steepness(site, b, xs, y, weights, ratios, rows, nodes, parameters, t, v):
    """How fast the fluxes of a pair can move what lies beside it [1/ms]: the largest sum of slopes over a row of their Jacobian.

    Times the most pairs at one node, summed over membranes, this bounds the spectrum by Gershgorin's theorem (see `needed`).
    """
    most, reads, states, weighted, share, speeds = 0.0, rows[0], rows[1], rows[2], rows[4], rows[5]
    for lo in range(0, nodes[0].size, LANES):
        size = min(LANES, nodes[0].size - lo)
        for q in range(reads.shape[0]):
            gather(b, reads[q, 0], xs[reads[q, 1]], reads[q, 2], nodes[reads[q, 3]], lo, size)
        load(b, states[:, 0], y, states[:, 2], lo, size, LANES)
        load(b, weighted[:, 0], weights, weighted[:, 1], lo, size, LANES)
        load(b, share[:, 0], ratios, share[:, 1], lo, size, LANES)
        run(site, (b, parameters, v, t))
        for q in range(speeds.shape[0]):
            most = max(most, largest(b, speeds[q, 0]))
    return most


@njit(**OPTIONS)
def spread(works, target, work, ratios, feeds, counts, nodes, factor, base):
    """Let the fluxes through a membrane, less those of row `base` of its work, into row `target` of the work of its regions."""
    for q in range(feeds.shape[0]):
        j, side = feeds[q, 0], feeds[q, 3]
        w = works[feeds[q, 1]][target]
        scatter(w, feeds[q, 2], nodes[side], ratios[feeds[q, 4]], counts[q] * factor, work[0, j], work[base, j])


@njit(**OPTIONS)
def react(site, b, x, columns, decays, decayed, parameters, h):
    """Buffers and decays of a region over h."""
    n = x.shape[0]
    for lo in range(0, n, LANES):
        size = min(LANES, n - lo)
        for q in range(columns.shape[0]):
            load_column(b, columns[q, 0], x, columns[q, 2], lo, size)
        run(site, (b, parameters, 0.0, 0.0, h))
        for q in range(columns.shape[0]):
            store_column(b, columns[q, 1], x, columns[q, 2], lo, size)
        book(b, decays[:, 0], decayed, decays[:, 1], lo, size)


@njit(**OPTIONS)
def put(target, factor, source):
    """``target = factor * source`` for arrays of two dimensions, which numba takes long to compile."""
    for j in range(target.shape[0]):
        for i in range(target.shape[1]):
            target[j, i] = factor * source[j, i]


@njit(**OPTIONS)
def add(target, source):
    """``target += source``."""
    for j in range(target.shape[0]):
        for i in range(target.shape[1]):
            target[j, i] += source[j, i]


@njit(**OPTIONS)
def recur(work, now, c, h):
    """The next amounts moved, from those of the last two stages."""
    for j in range(work.shape[1]):
        for i in range(work.shape[2]):
            fresh = h * (c[2] * work[0, j, i] + (c[3] - c[2]) * work[1, j, i])
            work[5 - now, j, i] = c[0] * work[now, j, i] + c[1] * work[5 - now, j, i] + fresh


@njit(**OPTIONS)
def needed(h, bound, slope, shared, b, xs, membranes, parameters, t, v):
    """Stages that diffusion and the fluxes as they are need."""
    ys, _, _, weights, ratios, nodes, rows, _ = membranes
    steep = 0.0
    for k in range(len(slope)):
        steep += shared[k] * steepness(slope[k], b, xs, ys[k], weights[k], ratios[k], rows[k], nodes[k], parameters, t, v)
    return graph.stages_for(h, bound, steep)


@njit(**OPTIONS)
def all_gates(gates, b, xs, membranes, parameters, nets, counts, t, v, h):
    """The states of all membranes over h."""
    ys, nodes, rows = membranes[0], membranes[5], membranes[6]
    for k in range(len(gates)):
        if gates[k] != 0:
            move_gates(gates[k], b, xs, ys[k], rows[k], nodes[k], parameters, nets, counts, t, v, h)


@njit(**OPTIONS)
def all_reactions(sites, b, xs, reacting, decayed, parameters, h):
    """Buffers and decays of all regions over h."""
    for r in range(len(xs)):
        if sites[r] != 0:
            react(sites[r], b, xs[r], reacting[0][r], reacting[1][r], decayed[r], parameters, h)


def _made(whole):
    """Make `advance`; `whole` does one of the parts of RKL2 on all rows of a region: `serial` or `parallel`."""

    @njit(**OPTIONS)
    def everywhere(what, regions, last, h, c):
        """`part` on every region."""
        xs, rows, diffusion, works = regions
        for r in range(len(xs)):
            whole(what, xs[r], works[r], last, rows[r], h * diffusion[r], c)

    @njit(**OPTIONS)
    def transport(limited, flux, b, regions, membranes, entering, where, parameters, t, v, h, s):
        """RKL2 over all regions with `s` stages and the membrane fluxes in every stage; `entering` goes in at `where` (region, column)."""
        xs, _, _, works = regions
        ys, scratch, moved, weights, ratios, nodes, rows, counts = membranes
        c = graph.coefficients(s)
        last, now = I64(2), I64(2)  # at the start the increment is zero
        for r in range(len(xs)):
            put(works[r][last], 0.0, xs[r])
        if limited:
            everywhere(SHARES, regions, last, h, c[1])
            everywhere(APPLY_LIMITED, regions, last, h, c[1])
            for r in range(len(xs)):
                put(works[r][4], 1.0, works[r][0])
        else:
            everywhere(APPLY, regions, last, h, c[1])
        for k in range(len(flux)):
            work = scratch[k]
            evaluate(flux[k], b, regions, last, ys[k], work, weights[k], rows[k], nodes[k], parameters, t, v)
            put(work[1], 1.0, work[0])
            put(work[2], 0.0, work[0])
            spread(works, I64(0), work, ratios[k], rows[k][6], counts[k], nodes[k], h, I64(2))  # less nothing: row 2 is still empty
        for q in range(where.shape[0]):
            start, column = works[where[q, 0]][0], where[q, 1]
            for i in range(start.shape[0]):
                start[i, column] += h * entering[q, i]
        last = I64(1)
        everywhere(FIRST, regions, last, h, c[1])
        for k in range(len(flux)):
            put(scratch[k][now], c[1, 3] * h, scratch[k][1])
            put(scratch[k][5 - now], 0.0, scratch[k][1])
        for j in range(2, s + 1):
            for k in range(len(flux)):
                evaluate(flux[k], b, regions, last, ys[k], scratch[k], weights[k], rows[k], nodes[k], parameters, t, v)
            if limited:
                everywhere(SHARES, regions, last, h, c[j])
                everywhere(STAGE_LIMITED, regions, last, h, c[j])
            else:
                everywhere(STAGE, regions, last, h, c[j])
            for k in range(len(flux)):
                spread(works, 3 - last, scratch[k], ratios[k], rows[k][6], counts[k], nodes[k], c[j, 2] * h, I64(1))
                recur(scratch[k], now, c[j], h)
            last, now = 3 - last, 5 - now
        everywhere(FINISH, regions, last, h, c[1])
        for k in range(len(flux)):
            add(moved[k], scratch[k][now])

    @njit(cache=True, **OPTIONS)
    def advance(sites, scratch, limited, regions, membranes, reacting, decayed, parameters, nets, counts,
                entering, where, course, target, start, node, rate, vt, vv, t, h, steps, s, bound, shared):  # fmt: skip
        """Steps with s stages, or with as many as diffusion and fluxes need at the start (s = 0); returns s and what they need at the end.

        `sites` are addresses: of gates, fluxes and slopes of the membranes, and of the reactions of the regions.
        """
        gates, flux, slope, reactions = sites
        xs, b = regions[0], np.zeros(scratch)
        stages = s if s else needed(h, bound, slope, shared, b, xs, membranes, parameters, t, table_value(vt, vv, t))
        for k in range(steps):
            t0 = t + k * h
            early = 0.25 * h if k == 0 else 0.0
            v = table_value(vt, vv, t0 + early)
            all_gates(gates, b, xs, membranes, parameters, nets, counts, t0 + early, v, 0.5 * h if k == 0 else h)
            all_reactions(reactions, b, xs, reacting, decayed, parameters, 0.5 * h)
            fill_sources(entering, course, target, start, node, rate, t0, h)
            v = table_value(vt, vv, t0 + 0.5 * h)
            transport(limited, flux, b, regions, membranes, entering, where, parameters, t0 + 0.5 * h, v, h, stages)
            all_reactions(reactions, b, xs, reacting, decayed, parameters, 0.5 * h)
        late = t + (steps - 0.25) * h
        all_gates(gates, b, xs, membranes, parameters, nets, counts, late, table_value(vt, vv, late), 0.5 * h)
        end = t + steps * h
        return stages, needed(h, bound, slope, shared, b, xs, membranes, parameters, end, table_value(vt, vv, end))

    return advance


advance, advance_parallel = _made(serial), _made(parallel)
