"""Levenberg-Marquardt for the weights of a network within a simulation: few residuals, a ridge on the weights, outliers held back.

Reference: K. Levenberg (1944) Q Appl Math 2:164, doi 10.1090/qam/10666. The damping is one number for all weights, as his: scaled by the
normal equations (Marquardt), the weights that residuals hardly depend on run away, and with them what the network says where it was not
asked.

Residuals r count as 2 (sqrt(1 + r^2) - 1), so that a spike at the wrong time pulls as much as it is far off, not as its square.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ...mesh import Floats

Residuals = Callable[[Floats, bool], tuple[Floats, Floats | None] | None]
"""``f(weights, with derivatives)``: residuals in units of their expected size, their derivatives (residuals, weights) or None; None where
the simulation comes to no end."""

RATE = (1e-6, 100.0, 1e12)
"""Smallest, first and largest damping."""
ENOUGH = 1e-7
"""A relative gain below which a step does not count; after `IDLE` such steps in a row the descent ends."""
IDLE = 5


@dataclass(frozen=True)
class Descent:
    """Where a descent has ended.

    Attributes
    ----------
    weights : found.
    cost : of residuals and ridge.
    residuals, slopes : there, as given (not held back).
    evaluations : of the simulation, most of them without derivatives.
    """

    weights: Floats
    cost: float
    residuals: Floats
    slopes: Floats
    evaluations: int


def descend(function: Residuals, start: Floats, evaluations: int, *, ridge: float = 0.0, damping: float = RATE[1]) -> Descent | None:
    """Lower the cost of residuals and ``ridge |weights|^2`` within so many evaluations; None where the start itself comes to no end."""
    p = start.copy()
    found = function(p, True)
    if found is None:
        return None
    r, j = found
    assert j is not None
    cost, used, idle = _cost(r, p, ridge), 1, 0
    while used < evaluations and idle < IDLE:
        held, scale = _held_back(r)
        scaled = j * scale[:, None]
        normal = scaled.T @ scaled
        normal[np.diag_indices_from(normal)] += ridge
        downhill = -(scaled.T @ held + ridge * p)
        better = False
        while used < evaluations and damping < RATE[2] and not better:
            step = _solved(normal, downhill, damping)
            tried = p + step
            used += 1
            new = None if not np.isfinite(step).all() else function(tried, False)
            other = np.inf if new is None else _cost(new[0], tried, ridge)
            better = bool(other < cost)
            damping = max(0.3 * damping, RATE[0]) if better else 4.0 * damping
        if not better:
            break
        idle = idle + 1 if cost - other < ENOUGH * cost else 0
        p, cost = tried, float(other)
        found = function(p, True)
        if found is None:
            return None
        r, j = found
        assert j is not None
    return Descent(p, float(cost), r, j, used)


def _held_back(r: Floats) -> tuple[Floats, Floats]:
    """Residuals whose squares are the cost, and their derivatives by the given ones."""
    root = np.sqrt(1.0 + r**2)
    held = np.sign(r) * np.sqrt(2.0 * r**2 / (root + 1.0))
    return held, np.sqrt(0.5 * (root + 1.0)) / root


def _cost(r: Floats, p: Floats, ridge: float) -> float:
    if not np.isfinite(r).all():
        return np.inf
    return float((2.0 * r**2 / (np.sqrt(1.0 + r**2) + 1.0)).sum() + ridge * (p @ p))


def _solved(normal: Floats, downhill: Floats, damping: float) -> Floats:
    damped = normal.copy()
    damped[np.diag_indices_from(damped)] += damping
    try:
        return np.asarray(cho_solve(cho_factor(damped, check_finite=False), downhill, check_finite=False))
    except np.linalg.LinAlgError:
        return np.full(len(downhill), np.nan)
