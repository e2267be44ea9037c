"""Learned gates made ready to run: the network lowered and compared with its original, and its equilibrium."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..errors import InputError, warn
from ..kernels.relax import LEAST, relax_arrays, settle_arrays
from ..mesh import Floats
from ..plugin import Channel
from .builder import mlp_program
from .channel import LearnedGate, resolve
from .inputs import HUGE, Bound, Columns, check_values, output_bounds, sample
from .program import TOLERANCE, Program, evaluate, run
from .sheets import Unsupported
from .table import Table, looked_at, tabulate
from .torchscript import widths
from .walk import lower_graph

POINTS = 4096
"""Random points on which lowered and original network are compared: the largest rounding errors of both have to be met."""
FEWEST, WORK = 256, 500_000_000
"""Of a very large network so few, so that comparing takes seconds."""
SHAKEN, ROUNDING = 8, 16.0
"""How often weights and inputs are changed in their last places, and how many times the largest of the changes rounding may be (4.1 at most
on the shipped networks)."""
RELAXING = ("rates", "hh_gates")
"""Kinds whose states relax exponentially with what the network returns."""
RATED = ("rhs", "current")
"""Kinds whose states move by rates of change, which can carry them out of their bounds."""
TABULATED = {"open_prob": ((1e-5, 0.0),), "hh_gates": ((1e-5, 0.0), (0.0, 1e-4)), "rates": ((1e-12, 1e-5),)}
"""Kinds of which a network of one port becomes a table, with the (absolute, relative) error allowed to its outputs."""
OVERSHOOT = 0.01
"""By so much of its range may a step of given rates carry a state out of its bounds without being told: errors of an honest law do that."""
RELAXATION = (0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
"""Steps [ms] with which the states of a network are taken to their equilibrium, many times each."""


def gate_of(cls: type[Channel]) -> LearnedGate | None:
    """The gate of a channel class with its network lowered, or None for a classic channel.

    Raises
    ------
    InputError
        If lowered network and original disagree. A network with an operation that cannot be lowered keeps ``program`` None: a warning
        says so, and torch is called at every step.
    """
    gate = resolve(cls)
    if gate is None or gate.program is not None or "unsupported" in gate.cache:
        return gate
    try:
        program = _lowered(gate)
    except Unsupported as error:
        gate.cache["unsupported"] = str(error)
        warn(f"{cls.label()}: {error}; torch is called at every step, which is slow")
        return gate
    _compare(gate, program)
    _try_bends(gate, program)
    gate.cache["table"] = _table(gate, program)  # before the program: another thread takes that as the sign that all is there
    gate.set_program(program)
    return gate


def _lowered(gate: LearnedGate) -> Program:
    card = gate.card
    if gate.weights is not None:
        fast = gate.weights.fast
        return mlp_program(fast.layers, fast.act, fast.skip, fast.out, gate.weights.arrays, fast.inputs, fast.clip, card.dtype)
    return lower_graph(gate.module(), list(widths(card).values()), card.dtype)


def arguments(gate: LearnedGate) -> tuple[tuple[str, int], ...]:
    """The network's input columns in order: ("s", state), ("x", port), ("dx", port) or ("dt", 0)."""
    counts = {"s": len(gate.states), "x": len(gate.ports), "dx": len(gate.ports), "dt": 1}
    return tuple((kind, k) for kind in gate.args for k in range(counts[kind]))


def ranges(gate: LearnedGate) -> dict[tuple[str, int], tuple[float, float]]:
    """Trained range of every port column."""
    out = {("x", k): (c.low, c.high) for k, c in enumerate(gate.ports)}
    return out | {("dx", k): (-c.dx_max, c.dx_max) for k, c in enumerate(gate.ports) if c.dx_max is not None}


def _compare(gate: LearnedGate, program: Program) -> None:
    """Compare the lowered network with its original on random points of the trained range.

    Both are rounded, and a network may multiply rounding: by an exponential at its end, or by parts that cancel. So at every point they may
    differ by a few times what changes where its weights and inputs change in their last places.
    """
    points = sample(gate.card, max(FEWEST, min(POINTS, WORK // max(1, program.weights.size))))
    given = _stacked(points)
    original = np.concatenate([np.asarray(o, float) for o in gate.evaluate(points)], axis=1).T
    exact = replace(program, weights=program.weights.astype(float))
    values, random, spread = evaluate(exact, given), np.random.default_rng(0), np.zeros(())
    for _ in range(SHAKEN):
        shaken = [a * (1.0 + np.finfo(gate.card.dtype).eps * random.uniform(-1.0, 1.0, a.shape)) for a in (exact.weights, given)]
        spread = np.maximum(spread, np.abs(evaluate(replace(exact, weights=shaken[0]), shaken[1]) - values))
    limit, off = TOLERANCE[gate.card.dtype], np.abs(run(program, given) - original)
    allowed = limit * np.maximum(1.0, np.abs(values)) + ROUNDING * spread
    if not (off <= allowed).all():
        worst = np.nanmax(off / allowed) * limit if np.isfinite(off).any() else np.nan
        raise InputError(gate.file, f"lowered and original network differ by {worst:.2g} on random points, expected <= {limit:g}")


def _try_bends(gate: LearnedGate, program: Program) -> None:
    """A network of one port, tried where it bends: values out of bounds in a band that random points do not meet are refused."""
    port = gate.ports[0]
    if [kind for kind, _ in arguments(gate)] != ["x"] or not np.isfinite(port.high - port.low):
        return
    places = looked_at(program, port.low, port.high)
    if places is not None:
        points = Columns(None, places[:, None].astype(gate.card.dtype), None, None)
        out = np.split(run(program, points.x.T).T, np.cumsum(gate.card.returns)[:-1], axis=1)
        check_values(gate.card, tuple(out), points, gate.file)


def _stacked(points: Columns) -> Floats:
    n = len(points.x)
    return np.concatenate([np.full((n, 1), a) if isinstance(a, float) else a for a in points.arguments()], axis=1).T.astype(float)


def _table(gate: LearnedGate, program: Program) -> Table | None:
    """A look-up table in place of a network of one port, clamped to its range; None where that does not apply."""
    if [kind for kind, _ in arguments(gate)] != ["x"] or gate.kind not in TABULATED or gate.out_of_range != "clamp":
        return None
    port = gate.ports[0]
    if not (np.isfinite(port.low) and np.isfinite(port.high)):
        return None
    tolerance = [TABULATED[gate.kind][0]] * len(gate.states) + [TABULATED[gate.kind][-1]] * max(1, len(gate.states))
    return tabulate(program, port.low, port.high, tolerance, logarithmic=port.low > 0 and port.high > 100 * port.low)


def limits(gate: LearnedGate) -> list[Bound]:
    """Bounds of the network's output columns, which hold at run time whatever the network returns."""
    return [bound for output in output_bounds(gate.card) for bound in output]


def reach(gate: LearnedGate) -> list[Bound]:
    """Bounds of a network's states, in which they are kept; a step may reach beyond them a little before that is told."""
    return [
        Bound(
            f"state {s.name}", max(s.low, -HUGE), min(s.high, HUGE), OVERSHOOT * (s.high - s.low) if math.isfinite(s.high - s.low) else 0.0
        )
        for s in gate.states
    ]


def network_at(gate: LearnedGate, states: Any, ports: Mapping[str, float], h: float) -> Floats:
    """`network_over` at one point."""
    given = np.array([[float(v)] for v in states]), {name: np.array([v], float) for name, v in ports.items()}
    return network_over(gate, *given, h)[:, 0]


def network_over(gate: LearnedGate, states: Floats, ports: Mapping[str, Floats], h: float) -> Floats:
    """Outputs of the network at points, within their bounds, by the same compiled code as in a run; ports are clamped to their range.

    Parameters
    ----------
    states : shape (states, points); ports : arrays over the points.

    Raises
    ------
    InputError
        If the network returns no number somewhere.
    """
    out = _outputs_over(gate, states, ports, h)
    wrong = np.argwhere(~np.isfinite(out))
    if len(wrong):
        row, k = wrong[0]
        told = ", ".join(f"{port.port} = {ports[name][k]:.6g} {port.unit}" for name, port in zip(gate.inputs, gate.ports, strict=True))
        raise InputError(gate.card.name, f"the network returns {out[row, k]} at {told} (it is faulty there)")
    low, high = (np.array([getattr(b, side) for b in limits(gate)])[:, None] for side in ("low", "high"))
    return np.asarray(np.clip(out, low, high))


def _outputs_over(gate: LearnedGate, states: Floats, ports: Mapping[str, Floats], h: float) -> Floats:
    known, columns = ranges(gate), []
    size = len(next(iter(ports.values()))) if ports else states.shape[1]
    for kind, k in arguments(gate):
        if kind == "s":
            columns.append(states[k])
            continue
        given = np.full(size, h) if kind == "dt" else ports[gate.inputs[k]] if kind == "x" else np.zeros(size)
        columns.append(np.clip(given, *known.get((kind, k), (-np.inf, np.inf))))
    if gate.cache.get("table") is not None:
        return np.asarray(gate.cache["table"](columns[0]), float)
    if gate.program is not None:
        return run(gate.program, np.stack(columns))
    parts = {kind: [c for (a, _), c in zip(arguments(gate), columns, strict=True) if a == kind] for kind in ("s", "x", "dx")}
    s, x, dx = (np.stack(v, axis=1).astype(gate.card.dtype) if kind in gate.args else None for kind, v in parts.items())
    assert x is not None
    return np.concatenate(gate.evaluate(Columns(s, x, dx, h if "dt" in gate.args else None)), axis=1).T.astype(float)


def steady(channel: Channel, x: SimpleNamespace) -> tuple[float, ...]:
    """Equilibrium of a learned channel's states at constant ports: relaxed with the channel's own update until nothing changes."""
    ports = SimpleNamespace(**{name: np.array([v], float) for name, v in vars(x).items()})
    return tuple(float(v[0]) for v in steady_over(channel, ports))


def steady_over(channel: Channel, x: SimpleNamespace) -> list[Floats]:
    """`steady` for ports that are arrays over places."""
    gate = gate_of(type(channel))
    assert gate is not None
    table, ports = channel.state_table(), vars(x)
    size = len(next(iter(ports.values())))
    start = {n: np.full(size, float(channel.initial.get(n, table[n].start))) for n in channel.states}
    inner = list(gate.outputs[: len(gate.states)])
    y = np.stack([start[n] for n in inner]) if inner else np.zeros((0, size))
    low, high = (np.array([getattr(table[n], side) for n in inner])[:, None] for side in ("low", "high"))
    if inner and gate.kind in RATED:
        each = [{name: float(v[k]) for name, v in ports.items()} for k in range(size)]
        y = np.stack([_newton(gate, y[:, k], given, low[:, 0], high[:, 0]) for k, given in enumerate(each)], axis=1)
    elif inner:
        y = _relax(gate, y, ports, low, high)
    if gate.kind == "rates":
        _undetermined(gate, channel, network_over(gate, y, ports, 0.01))
    fixed = {n: s.init for n, s in zip(inner, gate.states, strict=True) if s.init != "steady"}
    y = np.array([np.full(size, fixed[n]) if n in fixed else v for n, v in zip(inner, y, strict=True)], float).reshape(len(inner), size)
    values = dict(zip(inner, y, strict=True))
    if gate.kind in ("open_prob", "current"):
        values[gate.outputs[-1]] = network_over(gate, y, ports, 0.01)[0]
    return [values.get(n, start[n]) for n in channel.states]


def _undetermined(gate: LearnedGate, channel: Channel, out: Floats) -> None:
    """Warn of states that should start at an equilibrium which their rates, both 0, do not determine."""
    for k, state in enumerate(gate.states):
        name = gate.outputs[k]
        if state.init == "steady" and name not in channel.initial and (out[k] + out[k + len(gate.states)] < LEAST).any():
            where = f"{channel.label()}: opening and closing rates of {name} are 0 at rest"
            warn(f"{where}, so that it starts at {channel.state_table()[name].start:g} (give initial={{'{name}': ...}})")


def _relax(gate: LearnedGate, y: Floats, ports: Mapping[str, Floats], low: Floats, high: Floats) -> Floats:
    """Repeat the channel's own update with growing steps until nothing changes; places that stand still are left out.

    A model asks for the same more than once, and networks in single precision may never stand still: the last answer is kept.
    """
    asked = repr((y.tolist(), [(name, v.tolist()) for name, v in sorted(ports.items())], low.tolist(), high.tolist()))
    if gate.cache.get("relaxed", ("",))[0] != asked:
        gate.cache["relaxed"] = asked, _moved(gate, y.copy(), ports, low, high)
    return np.array(gate.cache["relaxed"][1])


def _moved(gate: LearnedGate, y: Floats, ports: Mapping[str, Floats], low: Floats, high: Floats) -> Floats:
    for h in (0.05,) if gate.kind == "step" else RELAXATION:
        moving = np.arange(y.shape[1])
        for _ in range(2000):
            new = np.clip(_relaxed(gate, y[:, moving], {name: v[moving] for name, v in ports.items()}, h), low, high)
            still = (np.abs(new - y[:, moving]) <= np.maximum(1e-16, 2 * np.spacing(np.abs(new)))).all(axis=0)
            y[:, moving] = new
            moving = moving[~still]
            if not len(moving):
                break
    return y


def _newton(gate: LearnedGate, y: Floats, ports: Mapping[str, float], low: Floats, high: Floats) -> Floats:
    """Newton's method on the rates, which a network may give no equilibrium at all: then the last iterate within the bounds."""
    n, delta = len(y), 2.0**-20 if gate.card.dtype == "float64" else 2.0**-10
    for _ in range(60):
        rates = network_at(gate, y, ports, 0.01)[-n:]
        slopes = [
            (network_at(gate, y + delta * e, ports, 0.01)[-n:] - network_at(gate, y - delta * e, ports, 0.01)[-n:]) for e in np.eye(n)
        ]
        change = np.linalg.lstsq(np.stack(slopes, axis=1) / (2 * delta), rates, rcond=None)[0]
        new = np.clip(y - change, low, high)
        if np.abs(new - y).max() <= 1e-16:
            break
        y = new
    return y


def _relaxed(gate: LearnedGate, y: Floats, ports: Mapping[str, Floats], h: float) -> Floats:
    out, n = network_over(gate, y, ports, h), len(y)
    if gate.kind in RELAXING:
        return np.asarray((relax_arrays if gate.kind == "rates" else settle_arrays)(y, out[:n], out[n:], h))
    return out[:n]
