"""What networks are given and return, held within bounds, and what a run notes of it; inputs that were there before."""

from __future__ import annotations

from numba import uint64

from .compiled import njit
from .lanes import LANES

OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "nsz"}, "nogil": True}
NOTED = 5
"""What is noted of an item, an input or output of a network (see `bounded`): evaluations, how many of them outside, the lowest and the
highest of these, how many no numbers made of numbers."""


@njit(**OPTIONS)
def faulty(values, place, inputs, outputs, noted, used):
    """Note nodes for which a network made no number (NaN) of numbers."""
    for c in range(outputs):
        count, row = 0, uint64(place[inputs + c])
        for i in range(uint64(LANES)):
            x = values[row + i]
            count += 1 if (x != x) & (i < uint64(used)) else 0
        if count > 0:
            for i in range(uint64(used)):
                known = values[row + i] == values[row + i]
                for k in range(inputs):
                    x = values[uint64(place[k]) + i]
                    known = known | (x != x)
                count -= 1 if known & (values[row + i] != values[row + i]) else 0
            noted[NOTED * place[inputs + outputs + c] + 4] += count


@njit(**OPTIONS)
def bounded(b, source, target, low, high, slack, size, counts, block, item):
    """Clamp a row into [low, high]; a value that is no number stays one. Returns how many of all 64 were farther outside than `slack`.

    The numbers of an item in row `block` of `counts` note the first `size` values: how many there were, how many lay farther outside than
    `slack`, the lowest and highest of these.
    """
    count, row, to, at = 0, uint64(source), uint64(target), NOTED * item
    least, most = low - slack, high + slack
    for i in range(uint64(LANES)):
        x = b[row + i]
        count += 0 if (x >= least) & (x <= most) else 1
    counts[block, at] += size
    if count > 0:
        for i in range(uint64(size)):
            x = b[row + i]
            if (x < least) | (x > most):
                counts[block, at + 1] += 1
                counts[block, at + 2] = min(counts[block, at + 2], x)
                counts[block, at + 3] = max(counts[block, at + 3], x)
    if (count > 0) | (slack > 0.0) | (to != row):
        for i in range(uint64(LANES)):
            x = b[row + i]
            y = low if x < low else x
            b[to + i] = high if y > high else y
    return count


@njit(**OPTIONS)
def drifted(b, row, kept, block, start, tolerance, floor):
    """Nodes of the block of which a row has left its value in `kept` by more than ``tolerance * (abs(value) + floor)``.

    Blocks are fixed, so that the decision does not depend on threads. NaN in `kept` counts.
    """
    count, now = 0, uint64(row)
    for i in range(uint64(LANES)):
        old = kept[block, start + i]
        count += 0 if abs(b[now + i] - old) <= tolerance * (abs(old) + floor) else 1
    return count


@njit(**OPTIONS)
def remember(b, row, kept, block, start):
    """Let `kept` take over a row; returns a whole number, as all that is compiled on its own."""
    now = uint64(row)
    for i in range(uint64(LANES)):
        kept[block, start + i] = b[now + i]
    return 0
