"""Names what went wrong when a value is not finite: time, node, position, species and channel."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from .lowering import Gauge, Plan
from .rest import voltage_at
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
        bad = np.flatnonzero(~np.isfinite(after.y))
        g = next((g for g in plan.gauges for s in g.states if s.start <= bad[0] < s.stop), plan.gauges[0])
        pair = int(bad[0]) - next(s.start for s in g.states if s.start <= bad[0] < s.stop)
        node = int(mesh.membranes[g.membrane].inside[pair])
        what = f"a state of '{g.label}' is {after.y[bad[0]]}"
    where = ", ".join(f"{x:.4g}" for x in mesh.position[node])
    culprit = _first_bad_channel(plan, before)
    cause = f"first seen in channel '{culprit}'" if culprit else "not from a channel alone: the step may be too large (lower dt= or tolerance=)"
    return f"run stopped at step {step}, t={after.t:.6g} ms: {what} at node {node} ({where}) um, {cause}"


def _first_bad_channel(plan: Plan, state: State) -> str | None:
    """The first channel whose flux or rates are not finite at the state before the step."""
    for g in plan.gauges:
        for pair in range(len(g.area)):
            y, x, p = local_view(plan, g, state, pair)
            try:
                values = [g.channel.flux(y, x, p), *(g.channel.rates(y, x, p) if g.channel.rates is not None else ())]
            except (ArithmeticError, ValueError):
                return g.label
            if not all(math.isfinite(v) for v in values):
                return g.label
    return None


def local_view(plan: Plan, g: Gauge, state: State, pair: int) -> tuple[Any, Any, Any]:
    """States, ports and parameters of a channel at one pair, as objects with one attribute per name."""
    mesh = plan.model.mesh
    y = SimpleNamespace(**{n: float(state.y[s.start + pair]) for n, s in zip(g.channel.states, g.states, strict=True)})
    ports = {}
    membrane = mesh.membranes[g.membrane]
    for name, port in zip(g.channel.reads, g.spec.ports, strict=True):
        if port.kind == "field":
            f = plan.fields[port.index]
            side = membrane.inside if membrane.sides[0] == f.region else membrane.outside
            local = int(side[pair]) - f.nodes.start if f.region in membrane.sides else pair
            ports[name] = float(state.u[f.span.start + local])
        elif port.kind == "value":
            ports[name] = float(plan.parameters[port.index])
        elif port.kind == "rate":
            ports[name] = float(state.y[port.index + pair])
        else:
            ports[name] = state.t if port.kind == "t" else voltage_at(plan.model, state.t)
    return y, SimpleNamespace(**ports), SimpleNamespace(**g.channel.values)
