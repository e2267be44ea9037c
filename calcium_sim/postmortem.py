"""Names what went wrong when a value is not finite: time, node, position, species and channel."""

from __future__ import annotations

import math

import numpy as np

from .lowering import Gauge, Plan
from .observe import one_pair, pair_view
from .state import State


def describe(plan: Plan, before: State, after: State, step: int) -> str:
    """One line for a state `after` a step that holds a value that is not finite."""
    mesh = plan.model.mesh
    bad = np.flatnonzero(~np.isfinite(after.u))
    if len(bad):
        f = next(f for f in plan.fields if f.span.start <= bad[0] < f.span.stop)
        node = f.nodes.start + int(bad[0]) - f.span.start
        what = f"{f.name}@{f.region} is {after.u[bad[0]]}"
    else:
        entry = int(np.flatnonzero(~np.isfinite(after.y))[0])
        owner, start = next(((g, s.start) for g in plan.gauges for s in g.states if s.start <= entry < s.stop), (plan.gauges[0], entry))
        node = int(mesh.membranes[owner.membrane].inside[entry - start])
        what = f"a state of '{owner.label}' is {after.y[entry]}"
    where = ", ".join(f"{x:.4g}" for x in mesh.position[node])
    culprit = next((g.label for g in plan.gauges if _is_bad(plan, g, before) or _is_bad(plan, g, after)), None)
    cause = f"first seen in channel '{culprit}'" if culprit else "in no channel by itself: the step is too large (lower dt= or tolerance=)"
    return f"run stopped at step {step}, t={after.t:.6g} ms: {what} at node {node} ({where}) um, {cause}"


def _is_bad(plan: Plan, g: Gauge, state: State) -> bool:
    """Whether a channel's flux or rates are not finite at some pair where its states and ports are."""
    y, x, p = pair_view(plan, g, state)
    for k in range(len(g.area)):
        yk, xk, _ = one_pair(y, x, p, k)
        if not all(math.isfinite(v) for v in (*vars(yk).values(), *vars(xk).values())):
            continue
        try:
            values = [g.channel.flux(yk, xk, p), *(g.channel.rates(yk, xk, p) if g.channel.rates is not None else ())]
        except (ArithmeticError, ValueError):
            return True
        if not all(math.isfinite(v) for v in values):
            return True
    return False
