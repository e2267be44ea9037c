"""Learned gates that could not be lowered: one batched torch call per evaluation, with the same updates as the generated code."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from ..compile.continued import SLOW, STEEPEST, follows, memory
from ..compile.lanes import GAMMA
from ..compile.learned import FLOOR
from ..kernels.relax import relax_arrays, settle_arrays
from ..mesh import Floats
from ..networks.channel import LearnedGate
from ..networks.inputs import Columns
from ..networks.prepared import RATED, RELAXING, arguments, gate_of, limits, ranges, reach
from ..networks.watches import Watches, note
from ..plan.lower import Gauge, Plan
from ..plan.memory import Memory
from ..plan.observe import Seen, pair_view
from ..plan.state import State


class TorchGates:
    """Advances the states of every channel whose network runs in torch; `counts` notes what leaves its range, see `watches`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.gauges = [(g, gate) for g in plan.gauges if (gate := gate_of(type(g.channel))) is not None and gate.program is None]
        self.watches = Watches()
        for _, gate in self.gauges:
            for kind, k in ranges(gate):
                self.watches.input(gate, kind, k)
            for o in range(len(limits(gate))):
                self.watches.output(gate, o)
            for j in range(len(gate.states) if gate.kind in RATED else 0):
                self.watches.state(gate, j)
        self.counts = self.watches.counts(1)

    def move(self, g: Gauge, gate: LearnedGate, start: State, state: State, ports: dict[str, Floats], h: float) -> None:
        """Take the states of a gate from those of `start` over h [ms], at ports that stand still, into `state`."""
        if gate.at_once:
            self.value(g, gate, state, ports)
            return
        inputs = self._ports(g, gate, SimpleNamespace(**ports))
        inner = _inner(gate, SimpleNamespace(**{n: start.y[s] for n, s in zip(g.channel.states, g.states, strict=True)}))
        new = _update(gate, lambda values: self._evaluate(gate, values, inputs, h), inner, h)
        for j, (values, bound) in enumerate(zip(new, reach(gate), strict=True) if gate.kind in RATED else ()):
            note(self.counts[0, self.watches.state(gate, j)], values, bound.low - bound.slack, bound.high + bound.slack)
            np.clip(values, bound.low, bound.high, out=values)
        targets = dict(zip(g.channel.states, g.states, strict=True))
        for n, values in zip(gate.outputs[: len(gate.states)], new, strict=True):
            state.y[targets[n]] = values

    def value(self, g: Gauge, gate: LearnedGate, state: State, ports: dict[str, Floats]) -> None:
        """Set what a network returns at once, at the states and ports as they are."""
        targets = dict(zip(g.channel.states, g.states, strict=True))
        inner = _inner(gate, SimpleNamespace(**{n: state.y[s] for n, s in targets.items()}))
        state.y[targets[gate.outputs[-1]]] = self._evaluate(gate, inner, self._ports(g, gate, SimpleNamespace(**ports)), 0.0)[0]

    def renew(self, state: State, elapsed: float, seen: Seen) -> None:
        """On (z, r) grids: evaluate the networks of relaxing gates now and lay the lines anew, as `compile.continued.renewed` does."""
        for g, gate in self.relaxing():
            rows, kept = self.memory(g, state)
            y, x = self._view(g, state, seen)
            out = self._evaluate(gate, _inner(gate, y), self._ports(g, gate, x), 0.0)
            walls = [seen[g.spec.membrane, f] for f in rows.fields]
            _lay(gate, rows, kept, _roots(gate, out), [(u - kept[rows.wall(j)], u) for j, u in enumerate(walls)], elapsed)
            for j, u in enumerate(walls):
                kept[rows.wall(j)] = u

    def midpoint(self, state: State, start: State, h: float) -> None:
        """On cables: evaluate the networks in the middle of a step from `start`, advance their gates: see `compile.continued.midpoint`."""
        elapsed = 0.5 * (start.before + h)
        for g, gate in self.relaxing():
            rows, kept = self.memory(g, state)
            (y, x), (y0, x0) = self._view(g, replace(state, t=start.t + 0.5 * h), None), self._view(g, start, None)
            named = {p.index: name for name, p in zip(g.channel.reads, g.spec.ports, strict=True) if p.kind == "field"}
            changes, reacted = [], [getattr(x, named[f]) - getattr(x0, named[f]) for f in rows.fields]
            for j, f in enumerate(rows.fields):
                middle = 0.5 * (getattr(x0, named[f]) + getattr(x, named[f]))
                changes.append((middle - kept[rows.wall(j)], middle))
                d = changes[j][0] / elapsed
                slope = (d - kept[rows.node(j)]) * elapsed / (elapsed + start.before)
                setattr(x, named[f], middle)
                setattr(x, f"d_{named[f]}", d + np.minimum(np.maximum(slope, -abs(d)), abs(d)))
                kept[rows.node(j)], kept[rows.wall(j)] = d, middle
            out = self._evaluate(gate, _inner(gate, y), self._ports(g, gate, x), h)
            _lay(gate, rows, kept, _roots(gate, out), changes, elapsed)
            halves = np.zeros(out.shape)
            for o in range(rows.outputs):
                for r, change in zip(rows.output(o)[2:], reacted, strict=True):
                    halves[o] += 0.5 * kept[r] * change
            for name, values in zip(gate.outputs, _relaxed(gate, _mean(gate, out, halves), _inner(gate, y0), h), strict=False):
                getattr(y, name)[:] = values

    def relaxing(self) -> list[tuple[Gauge, LearnedGate]]:
        """Gates of which the step continues the network's outputs."""
        return [(g, gate) for g, gate in self.gauges if follows(g.spec)]

    def memory(self, g: Gauge, state: State) -> tuple[Memory, Floats]:
        """What is kept of a network: row numbers, and the rows."""
        rows = replace(memory(g.spec), first=0)
        whole = state.y[self.plan.blocks[g.membrane][0]].reshape(-1, len(g.area))
        return rows, whole[g.spec.memory : g.spec.memory + rows.size]

    def _view(self, g: Gauge, state: State, seen: Seen | None) -> tuple[SimpleNamespace, SimpleNamespace]:
        y, x, _ = pair_view(self.plan, g, state, seen)
        return y, x

    def _ports(self, g: Gauge, gate: LearnedGate, x: SimpleNamespace) -> dict[str, Floats]:
        known, columns = ranges(gate), {"x": [], "dx": []}  # type: ignore[var-annotated]
        for kind, k in arguments(gate):
            if kind not in columns:
                continue
            values = getattr(x, gate.inputs[k] if kind == "x" else f"d_{gate.inputs[k]}")
            if (kind, k) in known:
                low, high = known[kind, k]
                note(self.counts[0, self.watches.input(gate, kind, k)], values, low, high)
                values = np.clip(values, low, high) if gate.out_of_range == "clamp" else values
            columns[kind].append(values)
        return {kind: np.array(rows) for kind, rows in columns.items()}

    def _evaluate(self, gate: LearnedGate, states: Floats, ports: dict[str, Floats], h: float) -> Floats:
        """What the network returns, (columns, pairs), within its bounds."""
        dtype = gate.card.dtype
        s, x, dx = (np.ascontiguousarray(a.T, dtype) if kind in gate.args else None for kind, a in (("s", states), *ports.items()))
        assert x is not None
        given = gate.evaluate(Columns(s, x, dx, h if "dt" in gate.args else None))
        out = np.concatenate([np.asarray(o, float) for o in given], axis=1).T
        known = ~np.isnan(np.concatenate([states, *(a for a in ports.values() if a.size)])).any(axis=0)
        for o, (values, bound) in enumerate(zip(out, limits(gate), strict=True)):
            row = self.counts[0, self.watches.output(gate, o)]
            row[4] += (np.isnan(values) & known).sum()
            note(row, values, bound.low - bound.slack, bound.high + bound.slack)
            np.clip(values, bound.low, bound.high, out=values)
        return out


def _update(gate: LearnedGate, network, y: Floats, h: float) -> Floats:  # type: ignore[no-untyped-def]
    """New states."""
    out, n = network(y), len(y)
    if gate.kind == "step":
        return np.asarray(out[:n])
    if gate.kind in RELAXING:
        return _relaxed(gate, network(_relaxed(gate, out, y, 0.5 * h)) if "s" in gate.args else out, y, h)
    return _ros2(gate, network, y, out[-n:], h)


def _relaxed(gate: LearnedGate, out: Floats, y: Floats, h: float) -> Floats:
    n = len(y)
    return np.asarray((relax_arrays if gate.kind == "rates" else settle_arrays)(y, out[:n], out[n:], h))


def _roots(gate: LearnedGate, out: Floats) -> Floats:
    """What is continued of a network's outputs: fourth roots of rates, steady values as they are."""
    n = len(gate.states)
    steady = gate.kind == "hh_gates"
    return np.concatenate([out[:n] if steady else out[:n] ** 0.25, (1.0 / out[n:] if steady else out[n:]) ** 0.25])


def _lay(gate: LearnedGate, rows: Memory, kept: Floats, new: Floats, changes: list[tuple[Floats, Floats]], elapsed: float) -> None:
    """Values and slopes of the outputs, from the last values and the changes of concentrations (and where they are now) since."""
    scale = [1.0 / (abs(u) + FLOOR) for _, u in changes]
    moved = [change * s for (change, _), s in zip(changes, scale, strict=True)]
    norm = SLOW**2 + sum(m * m for m in moved)
    share = kept[rows.known] / norm if elapsed > 0 else 0.0 * norm
    for o, values in enumerate(new):
        value, late, *slopes = rows.output(o)
        change = (values - kept[value]) * share
        kept[late] = change * SLOW**2 / elapsed if elapsed > 0 else 0.0
        most = STEEPEST * values if gate.kind == "rates" or o >= len(gate.states) else np.inf
        for r, m, s in zip(slopes, moved, scale, strict=True):
            kept[r] = np.minimum(np.maximum(change * m, -most), most) * s
        kept[value] = values
    kept[rows.known] = 1.0


def _mean(gate: LearnedGate, out: Floats, half: Floats) -> Floats:
    """Outputs over a step, with roots that change by `half` to either side of the middle."""
    n, mean = len(gate.states), _roots(gate, out)
    roots = slice(0, None) if gate.kind == "rates" else slice(n, None)
    mean[roots] = mean[roots] ** 4 + 6 * mean[roots] ** 2 * half[roots] ** 2 + half[roots] ** 4
    return mean if gate.kind == "rates" else np.concatenate([mean[:n], 1.0 / mean[n:]])


def _inner(gate: LearnedGate, y: SimpleNamespace) -> Floats:
    """The network's own states, (states, pairs): none for kinds that return a value at once."""
    pairs = len(next(iter(vars(y).values())))
    return np.array([getattr(y, n) for n in gate.outputs[: len(gate.states)]]).reshape(len(gate.states), pairs)


def _ros2(gate: LearnedGate, network, y: Floats, rates: Floats, h: float) -> Floats:  # type: ignore[no-untyped-def]
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
        new = np.where(outside, y + h * solve(h, rates), new)
    return np.asarray(new)
