"""Names what went wrong when a value is not finite: time, node, position, species and channel."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..kernels.control import all_finite
from ..plan.lower import Gauge, Plan
from ..plan.observe import one_pair, pair_view, port_entries
from ..plan.state import State
from .ranges import Ranges, broken

Step = Callable[[State, float], None]
"""Advances a state by one step of a length, in place."""

HALVINGS = 24


def finite(state: State) -> bool:
    """Whether every concentration and gate is a finite number."""
    return bool(all_finite(state.u, state.y))


def describe(plan: Plan, hint: str, saved: State, advance: Step, h: float, count: int, taken: int, ranges: Ranges) -> str:
    """One line about steps that failed: `count` steps of h from the finite state `saved`, after `taken` good steps.

    A network that returns no number for numbers is to blame; `ranges` notes that.

    Diffusion carries a value that is not finite over the whole mesh within the same step, so the state after the failure says little. The
    failure is approached with ever shorter steps instead; from the last two finite states the concentrations are continued in a straight
    line until the flux or rates of some channel are no numbers.
    """
    before, last, failed, short = _approach(saved, advance, h, count)
    ranges.clear()
    advance(last.copy(), short)
    if name := ranges.faulty():
        return f"run stopped at step {taken + int((last.t - saved.t) / h)}, t={last.t:.6g} ms: {broken(name)}"
    found = _first_channel(plan, before, last)
    what, node = _state_at_fault(plan, failed) if found is None else _place(plan, *found)
    cause = f"in no channel by itself: the step is too large (lower dt= or tolerance=){hint}"
    if found is not None:
        cause = f"first seen in channel '{found[0].label}'"
    where = ", ".join(f"{x:.4g}" for x in plan.model.mesh.position[node])
    step = taken + int((last.t - saved.t) / h)
    return f"run stopped at step {step}, t={last.t:.6g} ms: {what} is not finite at node {node} ({where}) um, {cause}"


def _approach(saved: State, advance: Step, h: float, count: int) -> tuple[State, State, State, float]:
    """The last two finite states, the first one that is not, and the step that leads there."""
    before, last, failed = saved.copy(), saved.copy(), saved.copy()
    for _ in range(count + 2):
        failed = last.copy()
        advance(failed, h)
        if not finite(failed):
            break
        before, last = last, failed
    short = h
    for _ in range(HALVINGS):
        h *= 0.5
        trial = last.copy()
        advance(trial, h)
        if finite(trial):
            before, last = last, trial
        else:
            failed, short = trial, h
    return before, last, failed, short


def _first_channel(plan: Plan, before: State, last: State) -> tuple[Gauge, int] | None:
    """The channel and pair whose flux or rates fail first on the straight line through two states."""
    for far in (0.0, *(2.0**k for k in range(HALVINGS + 4))):
        ahead = last.copy()
        ahead.u += far * (last.u - before.u)
        ahead.y += far * (last.y - before.y)
        for gauge in plan.gauges:
            pair = _bad_pair(plan, gauge, ahead)
            if pair >= 0:
                return gauge, pair
    return None


def _bad_pair(plan: Plan, g: Gauge, state: State) -> int:
    """First pair where a channel's flux or rates are not finite though its states and ports are, or -1."""
    y, x, p = pair_view(plan, g, state)
    for k in range(len(g.area)):
        yk, xk, _ = one_pair(y, x, p, k)
        if not all(math.isfinite(v) for v in (*vars(yk).values(), *vars(xk).values())):
            continue
        try:
            values = [g.channel.flux(yk, xk, p), *(g.channel.rates(yk, xk, p) if g.channel.rates is not None else ())]
        except (ArithmeticError, ValueError):
            return k
        if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
            return k
    return -1


def _place(plan: Plan, g: Gauge, pair: int) -> tuple[str, int]:
    """What a channel changes first, a species or the potential, and its node."""
    k = g.spec.gains[0][0] if g.spec.gains else 0
    f = plan.fields[k]
    return f"{f.name}@{f.region}", int(port_entries(plan, g, k)[pair]) - f.span.start + f.nodes.start


def place(plan: Plan, entry: int) -> str:
    """Field, node and position of an entry of u, as words."""
    f = next(f for f in plan.fields if f.span.start <= entry < f.span.stop)
    node = f.nodes.start + entry - f.span.start
    where = ", ".join(f"{x:.4g}" for x in plan.model.mesh.position[node])
    return f"{f.name}@{f.region} at node {node} ({where}) um"


def _state_at_fault(plan: Plan, failed: State) -> tuple[str, int]:
    """The first value of a state that is not finite: what it is, and its node."""
    bad = np.flatnonzero(~np.isfinite(failed.u))
    if len(bad):
        f = next(f for f in plan.fields if f.span.start <= bad[0] < f.span.stop)
        return f"{f.name}@{f.region}", f.nodes.start + int(bad[0]) - f.span.start
    gates = np.flatnonzero(~np.isfinite(failed.y))
    if len(gates):
        entry = int(gates[0])
        for g in plan.gauges:
            for s in g.states:
                if s.start <= entry < s.stop:
                    return f"a state of '{g.label}'", int(plan.model.mesh.membranes[g.membrane].inside[entry - s.start])
    return "a value", 0
