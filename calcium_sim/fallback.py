"""Learned gates that could not be lowered: one batched torch call per evaluation, with the same updates as the generated code."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np

from .gates import arguments, gate_of, ranges
from .learned import LearnedGate
from .lowering import Gauge, Plan
from .mesh import Floats
from .observe import pair_view
from .sampling import Columns
from .state import State
from .unrolled import GAMMA

Seen = Mapping[tuple[int, int], Floats]


class TorchGates:
    """Advances the states of every channel whose network runs in torch; `count` counts inputs outside the trained range."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.gauges = [(g, gate) for g in plan.gauges if (gate := gate_of(type(g.channel))) is not None and gate.program is None]
        self.counts = dict.fromkeys((g.label for g, _ in self.gauges), 0)

    def advance(self, state: State, h: float, seen: Seen | None = None) -> None:
        """Advance over h [ms] at the current concentrations, in place; `seen` replaces those of the nodes, by (membrane, field)."""
        for g, gate in self.gauges:
            y, x, _ = pair_view(self.plan, g, state)
            for name, port in zip(g.channel.reads, g.spec.ports, strict=True):
                if port.kind == "field" and (g.spec.membrane, port.index) in (seen or {}):
                    setattr(x, name, (seen or {})[g.spec.membrane, port.index])
            inner = np.array([getattr(y, n) for n in gate.outputs[: len(gate.states)]]).reshape(len(gate.states), -1)
            ports = self._ports(g, gate, x)

            def network(values: Floats, gate: LearnedGate = gate, ports: dict[str, Floats] = ports) -> Floats:
                return _evaluate(gate, values, ports, h)

            new, at_once = _update(gate, network, inner, h)
            for n, values in zip(gate.outputs[: len(gate.states)], new, strict=True):
                getattr(y, n)[:] = values
            if at_once is not None:
                getattr(y, gate.outputs[-1])[:] = at_once

    def _ports(self, g: Gauge, gate: LearnedGate, x: SimpleNamespace) -> dict[str, Floats]:
        known, columns = ranges(gate), {"x": [], "dx": []}  # type: ignore[var-annotated]
        for kind, k in arguments(gate):
            if kind not in columns:
                continue
            values = getattr(x, gate.inputs[k] if kind == "x" else f"d_{gate.inputs[k]}")
            low, high = known.get((kind, k), (-np.inf, np.inf))
            self.counts[g.label] += int(np.count_nonzero(~((values >= low) & (values <= high))))
            columns[kind].append(np.clip(values, low, high) if gate.out_of_range == "clamp" else values)
        return {kind: np.array(rows) for kind, rows in columns.items()}


def _evaluate(gate: LearnedGate, states: Floats, ports: dict[str, Floats], h: float) -> Floats:
    dtype = gate.card.dtype
    s, x, dx = (np.ascontiguousarray(a.T, dtype) if kind in gate.args else None for kind, a in (("s", states), *ports.items()))
    assert x is not None
    out = gate.evaluate(Columns(s, x, dx, h if "dt" in gate.args else None))
    return np.concatenate([np.asarray(o, float) for o in out], axis=1).T


def _update(gate: LearnedGate, network, y: Floats, h: float) -> tuple[Floats, Floats | None]:  # type: ignore[no-untyped-def]
    """New states, and what the network returns at once."""
    out, n = network(y), len(y)
    if gate.kind == "open_prob":
        return y, out[0]
    if gate.kind == "step":
        return out[:n], None
    if gate.kind == "rates":
        total = out[:n] + out[n:]
        return out[:n] / total + (y - out[:n] / total) * np.exp(-h * total), None
    if gate.kind == "hh_gates":
        return out[:n] + (y - out[:n]) * np.exp(-h / out[n:]), None
    return _ros2(gate, network, y, out[-n:], h)


def _ros2(gate: LearnedGate, network, y: Floats, rates: Floats, h: float) -> tuple[Floats, Floats | None]:  # type: ignore[no-untyped-def]
    n, delta = len(y), 2.0**-20 if gate.card.dtype == "float64" else 2.0**-10
    jacobian = np.empty((y.shape[1], n, n))
    for j in range(n):
        shifted = y.copy()
        shifted[j] += delta
        jacobian[:, :, j] = ((network(shifted)[-n:] - rates) / delta).T

    def solve(factor: float, right: Floats) -> Floats:
        return np.asarray(np.linalg.solve(np.eye(n) - factor * jacobian, right.T[:, :, None])[:, :, 0].T)

    k = solve(GAMMA * h, rates)
    out = network(y + h * k)
    new = y + h * (1.5 * k + 0.5 * solve(GAMMA * h, out[-n:] - 2.0 * k))
    low, high = (np.array([[getattr(s, side)] for s in gate.states]) for side in ("low", "high"))
    outside = ((new < low) | (new > high)).any(axis=0)
    if outside.any():
        new = np.where(outside, np.clip(y + h * solve(h, rates), low, high), new)
    return new, out[0] if gate.kind == "current" else None
