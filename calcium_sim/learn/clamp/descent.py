"""Levenberg-Marquardt for the parameters of gates, with robust residuals and a normal prior; all in units of what is expected.

The cost is ``sum_k w_k (sqrt(1 + r_k^2) - 1) / T + 1/2 sum_i q_i (p_i - p0_i)^2``, r the difference of the currents over its expected size:
large ones pull as they are, not as their squares, for what no gate can follow must not decide. T is over how many samples differences stay
alike: a prior speaks against independent ones.

Reference: D. W. Marquardt (1963), doi 10.1137/0111030.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...mesh import Floats
from .current import Drive, current, current_slopes
from .curves import Layout

RATE = (1e-8, 1e-2, 1e10)
"""Smallest, first and largest damping."""
LONGEST = 1.0
"""Longest step of a parameter."""


@dataclass(frozen=True)
class Target:
    """What is fitted: drives, currents [nA] and weights of their samples, and how large differences are expected.

    Attributes
    ----------
    drives : of the recordings, in one layout.
    currents, weights : of their samples; weights are 0 where there is no current.
    scale : size of differences [nA].
    alike : over how many samples they stay alike.
    """

    drives: tuple[Drive, ...]
    currents: tuple[Floats, ...]
    weights: tuple[Floats, ...]
    scale: float
    alike: float = 1.0

    def cost(self, layout: Layout, p: Floats) -> float:
        """Of the differences alone."""
        total = 0.0
        for drive, i, w in zip(self.drives, self.currents, self.weights, strict=True):
            r = (current(layout, p, drive) - i) / self.scale
            total += float((w * r**2 / (np.sqrt(1.0 + r**2) + 1.0)).sum())
        return total / self.alike if np.isfinite(total) else np.inf

    def normal(self, layout: Layout, p: Floats) -> tuple[Floats, Floats, float]:
        """Normal matrix, gradient and cost of the differences."""
        size = layout.size
        matrix, slope, total = np.zeros((size, size)), np.zeros(size), 0.0
        for drive, i, w in zip(self.drives, self.currents, self.weights, strict=True):
            found, by = current_slopes(layout, p, drive)
            r = (found - i) / self.scale
            root = np.sqrt(1.0 + r**2)
            by *= (np.sqrt(w / root) / self.scale)[:, None]
            matrix += by.T @ by
            slope += by.T @ (np.sqrt(w / root) * r)
            total += float((w * r**2 / (root + 1.0)).sum())
        return matrix / self.alike, slope / self.alike, total / self.alike


@dataclass(frozen=True)
class Prior:
    """Parameters are expected about `mean`, with these inverse variances."""

    mean: Floats
    precision: Floats

    def cost(self, p: Floats) -> float:
        """Of a deviation."""
        return 0.5 * float((self.precision * (p - self.mean) ** 2).sum())


@dataclass(frozen=True)
class Descent:
    """Where a descent ended: parameters, cost, and the normal matrix of differences and prior there."""

    p: Floats
    cost: float
    matrix: Floats


def descend(layout: Layout, target: Target, prior: Prior, start: Floats, *, most: int = 60, enough: float = 1e-5) -> Descent:
    """Lower the cost from a start, until a step gains less than a part `enough` of it, in at most so many steps."""
    p, damping = start.copy(), RATE[1]
    matrix, slope, cost = target.normal(layout, p)
    cost += prior.cost(p)
    for _ in range(most):
        whole = matrix + np.diag(prior.precision)
        downhill = slope + prior.precision * (p - prior.mean)
        gained = 0.0
        while damping < RATE[2]:
            tried = p - _step(whole, downhill, damping)
            other = target.cost(layout, tried) + prior.cost(tried)
            if other < cost:
                gained = cost - other
                break
            damping *= 4.0
        if not gained:
            break
        p, damping = tried, max(0.3 * damping, RATE[0])
        matrix, slope, cost = target.normal(layout, p)
        cost += prior.cost(p)
        if gained < enough * cost:
            break
    return Descent(p, cost, matrix + np.diag(prior.precision))


def _step(matrix: Floats, downhill: Floats, damping: float) -> Floats:
    damped = matrix + np.diag(damping * (np.diag(matrix) + 1e-9))
    try:
        step = np.linalg.solve(damped, downhill)
    except np.linalg.LinAlgError:
        step = downhill / np.diag(damped)
    return np.clip(np.where(np.isfinite(step), step, 0.0), -LONGEST, LONGEST)
