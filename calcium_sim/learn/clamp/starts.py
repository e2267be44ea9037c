"""Where the first fit begins: many channels drawn at random, of which those that come nearest to the currents are kept."""

from __future__ import annotations

import numpy as np

from ...mesh import Floats
from .current import current
from .curves import FEW, SCALE, SLOW, Layout
from .descent import Target

DRAWN, KEPT = 400, 8
STEEP = (4.0, 25.0)
"""mV over which a steady value changes by a factor of e."""


def starts(layout: Layout, target: Target, span: tuple[float, float], random: np.random.Generator) -> list[Floats]:
    """The best of random parameters of exponentials.

    Parameters
    ----------
    layout : of exponentials without slow parts.
    target : what is fitted.
    span : shortest and longest time [ms] that the recordings resolve.
    random : draws.
    """
    drawn = []
    for _ in range(DRAWN):
        p = _drawn(layout, span, random)
        p[-1] = _conductance(layout, p, target)
        drawn.append((target.cost(layout, p), p))
    drawn.sort(key=lambda row: row[0])
    return [p for _, p in drawn[:KEPT]]


def slow_starts() -> list[tuple[float, float, float]]:
    """Slow parts from which a gate with one begins: ln of (ratio of time constants - 1), its slope, and logit of the share."""
    return [(1.5, 0.0, -1.5), (2.5, 0.0, -1.5), (1.0, 0.0, 0.0)]


def _drawn(layout: Layout, span: tuple[float, float], random: np.random.Generator) -> Floats:
    p = np.zeros(layout.size)
    low, high = layout.span
    for k in range(len(layout.gates)):
        half = random.uniform(low, high)
        steep = np.exp(random.uniform(*np.log(STEEP)))
        a = layout.starts[k]
        p[a + 1] = np.log(SCALE / steep)
        p[a] = -(half - layout.middle) / steep
        p[a + 2] = random.uniform(*np.log(span))
        p[a + 3] = 0.5 * random.normal()
    return p


def _conductance(layout: Layout, p: Floats, target: Target) -> float:
    """Logarithm of the conductance [uS] that fits best, by least squares."""
    above, below = 0.0, 1e-300
    for drive, i, w in zip(target.drives, target.currents, target.weights, strict=True):
        unit = current(layout, p, drive)
        above += float((w * unit * i).sum())
        below += float((w * unit**2).sum())
    return float(np.log(np.clip(above / below, 1e-9, 1e6)))


def weak(layout: Layout, start: Floats) -> tuple[Floats, Floats]:
    """Mean and inverse variances of the parameters of exponentials and slow parts: nearly free, about where a descent begins."""
    mean, precision = start.copy(), np.full(layout.size, FREE**-2)
    for k, gate in enumerate(layout.gates):
        for part in layout.weights(k):
            mean[part] = 0.0
        if gate.slow:
            first = layout.starts[k] + FEW
            mean[first : first + SLOW], precision[first : first + SLOW] = EXPECTED, np.array(LIKELY) ** -2
    return mean, precision


FREE = 10.0
"""Standard deviation of the parameters of exponentials: they may go anywhere."""
EXPECTED, LIKELY = (1.5, 0.0, -1.5), (1.5, 0.5, 1.5)
"""A slow part: mean and standard deviations of ln of (ratio - 1), its slope, and logit of the share."""
