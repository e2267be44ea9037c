"""Generates the update of learned gates: the network over lanes of 64 nodes, then the step of its kind.

`rates` and `hh_gates` relax exponentially to the network's equilibrium (stable at any step, bounded by construction); `rhs` and `current`
take the ROS2 step of classic gates; `open_prob` and `step` take over what the network returns. Networks come as data: row k of ``nets``
is network k (see `kernels.network`), whatever it consists of; row ``block`` of ``C`` notes inputs outside the trained range and outputs
out of bounds (`watches`), which are held to them. Scratch memory of networks are the elements of ``b`` from ``WORK`` on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ..kernels.machine import COMPILED
from ..kernels.network import NET, prepared, tabulated
from ..networks.channel import LearnedGate
from ..networks.inputs import Bound
from ..networks.prepared import RELAXING, arguments, limits, ranges, reach
from ..networks.program import evaluate
from ..networks.watches import Watches
from ..plugin import Channel
from .lanes import GAMMA, LANES, Lanes, lu_factor, lu_solve

IMPORTS = """
from calcium_sim.kernels.network import network
from calcium_sim.kernels.noted import bounded, drifted, remember
from calcium_sim.kernels.relax import approach, relax, settle
"""

FLOOR = 0.05
FLOORS = {"dx": 0.5}
"""An input counts as moved when it changes by `active` times (its size + a floor): of rates of change 0.5 uM/ms, else 0.05, about rest."""


@dataclass
class Networks:
    """The networks that a generated module calls, one per channel class.

    With `active` above 0, a network of opening and closing rates runs only in blocks of nodes where an input has moved by this fraction
    since it ran last; the generated code then finds `kept` numbers per block in the array called ``K``.
    """

    gates: list[LearnedGate] = field(default_factory=list)
    watches: Watches = field(default_factory=Watches)
    active: float = 0.0
    kept: int = 0
    held: list[Any] = field(default_factory=list)

    def index(self, cls: type[Channel]) -> int:
        """Number of a channel class's network."""
        gate: LearnedGate = cls.gate  # type: ignore[attr-defined]
        for k, known in enumerate(self.gates):
            if known is gate:
                return k
        self.gates.append(gate)
        return len(self.gates) - 1

    def packed(self, blocks: int) -> tuple[Any, Any]:
        """Rows of numbers that tell where every network lies, and those in which a run notes what leaves its range."""
        return self.rows(), self.watches.counts(blocks)

    def rows(self) -> Any:
        """What generated code is given as ``nets``; without JIT functions of arrays."""
        if not COMPILED:
            return [partial(evaluate, g.program) for g in self.gates]
        rows = [self._table(g) if g.cache.get("table") is not None else self._program(g) for g in self.gates]
        return np.array(rows or [(0,) * len(NET)], np.int64)

    def _program(self, gate: LearnedGate) -> tuple[int, ...]:
        p, code = gate.program, gate.program.code
        self.held += [code, p.weights]  # only their addresses are known to what runs
        start = prepared(p.weights.dtype.name), code.ctypes.data, len(code), p.weights.ctypes.data, p.weights.size
        return (*start, p.work, p.columns)

    def _table(self, gate: LearnedGate) -> tuple[int, ...]:
        table = gate.cache["table"]
        values = np.concatenate([[table.start, table.factor], table.values.reshape(-1)])
        self.held.append(values)
        return (tabulated(), values.ctypes.data, len(table.values), values.ctypes.data, values.size, LANES, int(table.logarithmic))

    def room(self) -> int:
        """Doubles of scratch memory that the largest network needs."""
        return max((-(-g.program.work * g.program.weights.itemsize // 8) for g in self.gates), default=0)


@dataclass(frozen=True)
class Learned:
    """One learned channel in a generated module: names of its state columns in order, and expressions of its ports by name."""

    cls: type[Channel]
    states: dict[str, str]
    ports: dict[str, str]
    tag: str


def gate_lines(networks: Networks, lanes: Lanes, c: Learned, step: str) -> list[str]:
    """Statements that advance a learned channel's states over `step`; rows of the states keep their places."""
    k = networks.index(c.cls)
    gate = networks.gates[k]
    inner = [c.states[n] for n in gate.outputs[: len(gate.states)]]
    lines, rows = _inputs(networks, lanes, c, k, step)
    call = _caller(networks, lanes, k, rows)
    n = len(inner)
    outputs = _outputs(c, gate)
    if gate.at_once:
        return [*lines, *call([c.states[gate.outputs[-1]]], {})]
    lines += call(outputs, {})
    if gate.kind == "step":
        return lines + lanes.loop([f"{y} = {o}" for y, o in zip(inner, outputs, strict=True)], inner)
    if gate.kind in RELAXING:
        moved = "relax" if gate.kind == "rates" else "settle"

        def relaxed(targets: list[str], over: str) -> list[str]:
            pairs = enumerate(zip(targets, inner, strict=True))
            return lanes.loop([f"{z} = {moved}({y}, {outputs[i]}, {outputs[n + i]}, {over})" for i, (z, y) in pairs], targets)

        if any(kind == "s" for kind, _ in rows):  # rates that depend on the states: those of the middle
            half = [f"half{c.tag}_{i}" for i in range(n)]
            lines += relaxed(half, f"0.5 * {step}") + call(outputs, dict(zip(inner, half, strict=True)))
        return lines + relaxed(inner, step)
    return lines + _ros2(networks, lanes, c, gate, call, outputs, step)


def value_lines(networks: Networks, lanes: Lanes, c: Learned) -> list[str]:
    """Statements that set the value that a network of kind `current` returns at once, at the states and ports as they are."""
    k = networks.index(c.cls)
    gate = networks.gates[k]
    lines, rows = _inputs(networks, lanes, c, k, "0.0")
    outputs, value = _outputs(c, gate), c.states[gate.outputs[-1]]
    return lines + _caller(networks, lanes, k, rows)(outputs, {}) + lanes.loop([f"{value} = {outputs[0]}"], [value])


def evaluate_lines(networks: Networks, lanes: Lanes, c: Learned, step: str) -> tuple[list[str], list[str], list[str]]:
    """Statements that prepare a network's inputs, the test whether it has to run (`active`; else empty) and its call; rows of its outputs.

    What follows the call belongs under the test, too.
    """
    k = networks.index(c.cls)
    gate = networks.gates[k]
    lines, rows = _inputs(networks, lanes, c, k, step)
    call = _caller(networks, lanes, k, rows)(_outputs(c, gate), {})
    if networks.active > 0:
        start = networks.kept
        networks.kept += LANES * len(rows)
        drifts, keeps = [], []
        for n, ((kind, _), name) in enumerate(rows.items()):
            at = f"b, I64({lanes.row(name)}), K, block, I64({start + LANES * n})"
            drifts.append(f"drifted({at}, {networks.active!r}, {FLOORS.get(kind, FLOOR)!r})")
            keeps.append(f"    remember({at})")
        lines += [f"count = {' + '.join(drifts)}", "if count > 0:", *keeps]
    return lines, call, _outputs(c, gate)


def _outputs(c: Learned, gate: LearnedGate) -> list[str]:
    return [f"o{c.tag}_{i}" for i in range(gate.program.outputs)]


def _inputs(networks: Networks, lanes: Lanes, c: Learned, k: int, step: str) -> tuple[list[str], dict[tuple[str, int], str]]:
    """Rows of the network's inputs: states as they are, ports clamped (or only counted) against the trained range."""
    gate = networks.gates[k]
    known, rows, lines, body, fresh = ranges(gate), {}, [], [], []
    for kind, j in arguments(gate):
        if kind == "s":
            rows[kind, j] = c.states[gate.outputs[j]]
            continue
        name = f"i{c.tag}_{kind}{j}"
        rows[kind, j] = name
        port = step if kind == "dt" else c.ports[gate.inputs[j] if kind == "x" else f"d_{gate.inputs[j]}"]
        body.append(f"{name} = {port}")
        fresh.append(name)
    lines += lanes.loop(body, fresh) if body else []
    for (kind, j), name in rows.items():
        low, high = known.get((kind, j), (-math.inf, math.inf))
        if kind in ("x", "dx") and math.isfinite(low):
            target = name if gate.out_of_range == "clamp" else f"spare{c.tag}"
            lines.append(_bounded(lanes, name, target, Bound("", low, high), networks.watches.input(gate, kind, j)))
    return lines, rows


def _bounded(lanes: Lanes, name: str, target: str, bound: Bound, item: int) -> str:
    """A call that holds a row within bounds, and notes under an item where it is not."""
    rows = f"b, I64({lanes.row(name)}), I64({lanes.row(target)})"
    return f"bounded({rows}, {bound.low!r}, {bound.high!r}, {bound.slack!r}, size, C, block, I64({item}))"


Call = Callable[[list[str], dict[str, str]], list[str]]


def _caller(networks: Networks, lanes: Lanes, k: int, rows: dict[tuple[str, int], str]) -> Call:
    """What writes a call of the network, its outputs held within their bounds."""

    def call(outputs: list[str], changed: dict[str, str]) -> list[str]:
        gate = networks.gates[k]
        items = [networks.watches.output(gate, o) for o in range(len(outputs))]
        given = [lanes.row(changed.get(r, r)) for r in rows.values()], [lanes.row(o) for o in outputs], items
        places = ", ".join("(" + "".join(f"I64({n}), " for n in numbers) + ")" for numbers in given)
        lines = [f"network(b, {places}, nets, I64({k}), C, block, size, I64(WORK))"]
        return lines + [_bounded(lanes, o, o, bound, item) for o, bound, item in zip(outputs, limits(gate), items, strict=True)]

    return call


def _ros2(networks: Networks, lanes: Lanes, c: Learned, gate: LearnedGate, call: Call, outputs: list[str], step: str) -> list[str]:
    """ROS2 as for a classic gate, the Jacobian by differences that suit the precision; linearly implicit Euler outside the bounds.

    The value that the network returns at once (`current`) is set by `value_lines`.
    """
    inner = [c.states[n] for n in gate.outputs[: len(gate.states)]]
    n, rates = len(inner), outputs[-len(gate.states) :]
    delta = 2.0**-20 if gate.card.dtype == "float64" else 2.0**-10
    names = {kind: [f"{kind}{c.tag}_{i}" for i in range(n)] for kind in ("r", "t", "k", "z")}
    lines = lanes.loop([f"{r} = {o}" for r, o in zip(names["r"], rates, strict=True)], names["r"])
    for j, y in enumerate(inner):
        lines += lanes.loop([f"{names['t'][j]} = {y} + {delta!r}"], [names["t"][j]]) + call(outputs, {y: names["t"][j]})
        slopes = [f"a{c.tag}_{i}_{j}" for i in range(n)]
        lines += lanes.loop([f"{a} = ({o} - {r}) / {delta!r}" for a, o, r in zip(slopes, rates, names["r"], strict=True)], slopes)

    def solve(factor: str, right: list[str]) -> list[str]:
        pattern = {(i, j) for i in range(n) for j in range(n)}
        body = [f"w{i}_{j} = {'1.0' if i == j else '0.0'} - {factor} * a{c.tag}_{i}_{j}" for i, j in sorted(pattern)]
        eliminate, filled = lu_factor(n, pattern, "w")
        return [*body, *eliminate, *(f"x{i} = {r}" for i, r in enumerate(right)), *lu_solve(n, filled, "w", "x")]

    gamma = f"({GAMMA!r} * {step})"
    body = solve(gamma, names["r"])
    for i in range(n):
        body += [f"{names['k'][i]} = x{i}", f"{names['t'][i]} = {inner[i]} + {step} * x{i}"]
    lines += lanes.loop(body, [*names["k"], *names["t"]]) + call(outputs, dict(zip(inner, names["t"], strict=True)))
    body = solve(gamma, [f"{o} - 2.0 * {k}" for o, k in zip(rates, names["k"], strict=True)])
    body += [f"{names['z'][i]} = {inner[i]} + {step} * (1.5 * {names['k'][i]} + 0.5 * x{i})" for i in range(n)]
    bounds = [f"({z} < {s.low!r})" for z, s in zip(names["z"], gate.states, strict=True) if math.isfinite(s.low)]
    bounds += [f"({z} > {s.high!r})" for z, s in zip(names["z"], gate.states, strict=True) if math.isfinite(s.high)]
    outside = " | ".join(bounds) or "False"
    lines += ["count = 0", *lanes.loop([*body, f"count += 1 if {outside} else 0"], names["z"]), "if count > 0:"]
    redo = solve(step, names["r"]) + [f"{z} = {y} + {step} * x{i}" for i, (z, y) in enumerate(zip(names["z"], inner, strict=True))]
    lines += ["    " + t for t in lanes.loop([f"if {outside}:", *("    " + t for t in redo)], names["z"])]
    for j, (z, bound) in enumerate(zip(names["z"], reach(gate), strict=True)):
        lines.append(_bounded(lanes, z, z, bound, networks.watches.state(gate, j)))
    return lines + lanes.loop([f"{y} = {z}" for y, z in zip(inner, names["z"], strict=True)], inner)
