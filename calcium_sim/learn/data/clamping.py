"""Rolls out a channel's own equations under clamped ports: the truth that a network is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...compile import cache
from ...compile.embed import embed
from ...compile.module import Module, bundle
from ...errors import InputError
from ...mesh import Floats
from ...plugin import Channel, parse_port
from .gatings import Gating
from .transients import rate_of_change

RESTING_PORTS = {"ca@er": 250.0, "ca@outside": 1000.0, "ip3@cytosol": 0.04, "ca@cytosol": 0.05}
"""Values [uM] of ports that the caller does not clamp."""

SUBSTEP = 0.0025
"""Longest implicit sub-step [ms]: 20 per 0.05 ms. Opening rates of ryanodine receptors reach 1e3 to 1e4 /ms."""


@dataclass(frozen=True)
class Clamped:
    """A channel's response to clamped ports.

    Attributes
    ----------
    time : (samples,) [ms]
    ports : port -> (traces, samples), those that were given
    states : state -> (traces, samples)
    open_probability : (traces, samples)
    opening, closing : (traces, samples) [1/ms], fluxes into and out of the open states; their difference is dP/dt
    gains, losses : state -> (traces, samples) [1/ms], the same for the states; empty unless the channel declares them
    exact : whether the channel declares opening and closing, or dP/dt was split (see `split`)
    """

    channel: str
    time: Floats
    ports: dict[str, Floats]
    states: dict[str, Floats]
    open_probability: Floats
    opening: Floats
    closing: Floats
    gains: dict[str, Floats]
    losses: dict[str, Floats]
    exact: bool

    @property
    def dt(self) -> float:
        """Interval of the samples [ms]."""
        return float(self.time[1] - self.time[0])


def clamp(
    channel: Channel,
    time: Floats,
    ports: Mapping[str, Any],
    *,
    rest: Mapping[str, float] | None = None,
    substep: float = SUBSTEP,
    gating: Gating | None = None,
) -> Clamped:
    """Integrate a channel from equilibrium, with ports linear between samples.

    The gates are advanced by the package's own implicit scheme (ROS2, and linearly implicit Euler where a state would leave its bounds)
    in sub-steps of at most `substep`.

    Parameters
    ----------
    channel : any channel whose class has `open_probability`, e.g. ``get_channel("ryr/keizer-levine")()``.
    time : (samples,) [ms], evenly spaced.
    ports : port -> (traces, samples) or number; concentrations [uM], ``v`` [mV]. Ports that are not given rest (`RESTING_PORTS`); rates
        of change are taken by backward differences.
    rest : port -> value at which the channel is in equilibrium when the traces begin; the first samples by default.
    substep : longest step [ms].
    gating : record these gates instead of the channel's states.

    Raises
    ------
    InputError
        If the channel has no open probability, is itself a network, or a port is missing or of the wrong shape.
    """
    cls = type(channel)
    if cls.open_probability is None or (cls.states and cls.rates is None):
        raise InputError(cls.label(), "needs open_probability(y, x, p), and rates(y, x, p) for its states, to be clamped")
    given = _shape_ports(cls.label(), time, ports)
    dt = float(time[1] - time[0])
    inputs = np.stack([_port(cls.label(), text, given, dt, time) for text in cls.reads.values()])
    held = np.ascontiguousarray(inputs[:, :, 0])
    for k, text in enumerate(cls.reads.values()):
        if rest is not None and text in rest:
            held[k] = rest[text]
    traces, samples = inputs.shape[1:]
    told = tuple(gating.powers) if gating is not None else tuple(cls.states)
    states, fluxes = np.zeros((len(told), traces, samples)), np.zeros((3, traces, samples))
    gains = np.zeros((2, len(told) if gating is not None or cls.gains is not None else 0, traces, samples))
    module = cache.load(_source(cls, gating))
    start = np.array([s.start for s in cls.state_table().values()])
    parameters = np.array([float(v) for v in channel.values.values()])
    module.roll(inputs, held, parameters, start, states, fluxes, gains, dt, max(1, int(np.ceil(dt / substep - 1e-9))))
    if not (np.isfinite(fluxes).all() and np.isfinite(states).all()):
        raise InputError(cls.label(), "values are not finite under these ports (check their ranges)")
    declared = cls.opening is not None and cls.closing is not None
    p = np.clip(fluxes[0], 0.0, 1.0)
    opening, closing = (np.maximum(fluxes[1], 0.0), np.maximum(fluxes[2], 0.0)) if declared else split(p, fluxes[1])
    names = told if gains.shape[1] else ()
    return Clamped(
        cls.label(), time, given, dict(zip(told, states, strict=True)), p, opening, closing,
        dict(zip(names, gains[0], strict=True)), dict(zip(names, gains[1], strict=True)), declared,
    )  # fmt: skip


def split(p: Floats, slope: Floats, exchange: float = 1e-3) -> tuple[Floats, Floats]:
    """Split dP/dt into an opening and a closing flux where a channel does not tell them apart.

    The positive part opens, the negative part closes, and both carry ``exchange P (1 - P)`` [1/ms], so that neither rate vanishes. The
    difference is dP/dt; the rates themselves mean nothing, and a network fitted to them extrapolates worse than one fitted to true rates.
    """
    common = exchange * np.clip(p, 1e-6, 1.0) * np.clip(1.0 - p, 1e-6, 1.0)
    return np.maximum(slope, 0.0) + common, np.maximum(-slope, 0.0) + common


def _shape_ports(label: str, time: Floats, ports: Mapping[str, Any]) -> dict[str, Floats]:
    if np.ndim(time) != 1 or len(time) < 2 or not np.allclose(np.diff(time), time[1] - time[0], rtol=1e-6):
        raise InputError(f"{label}: time", "expected evenly spaced samples (e.g. those of transients)")
    given = {port: np.asarray(values, float) for port, values in ports.items()}
    rows = max((v.shape[0] for v in given.values() if v.ndim == 2), default=1)
    for port, values in given.items():
        if values.ndim and values.shape != (rows, len(time)):
            raise InputError(f"{label}: {port}", f"shape {values.shape}, expected ({rows}, {len(time)}): (traces, samples)")
    return {port: np.ascontiguousarray(np.broadcast_to(values, (rows, len(time)))) for port, values in given.items()}


def _port(label: str, text: str, given: Mapping[str, Floats], dt: float, time: Floats) -> Floats:
    port = parse_port(text)
    rows = next(iter(given.values())).shape[0] if given else 1
    if text in given:
        return given[text]
    if port.kind == "rate" and text[2:-1] in given:
        return rate_of_change(given[text[2:-1]], dt)
    if port.kind == "rate":
        return np.zeros((rows, len(time)))
    if port.kind == "t":
        return np.broadcast_to(time, (rows, len(time)))
    if text not in RESTING_PORTS:
        raise InputError(label, f"port '{text}' is not clamped (give ports={{'{text}': ...}})")
    return np.full((rows, len(time)), RESTING_PORTS[text])


def _source(cls: type[Channel], gating: Gating | None) -> str:
    """Text of a module with `roll`: one trace after the other, all its steps in compiled code."""
    module = Module()
    key, n = module.key(cls), len(cls.states)
    ys = [f"y{i}" for i in range(n)]
    y = bundle("Y", key, ys)
    point = f"{y}, x, q"
    lines = [f"q = {bundle('Q', key, [f'Q[{i}]' for i in range(len(cls.params))])}", "for r in range(U.shape[1]):"]
    held = bundle("X", key, [f"H[{i}, r]" for i in range(len(cls.reads))])
    lines += ["    " + line for line in [f"x = {held}", *_start(module, cls, key)]]
    lines += ["    for k in range(U.shape[2]):", "        if k > 0:"]
    lines += ["            " + line for line in (_advance(cls, key) if n else ["pass"])]
    body = ["w = 1.0", _ports(cls, key, "r"), f"O[0, r, k] = {embed_call(module, cls, 'open_probability', point)}"]
    if cls.opening is not None and cls.closing is not None:
        body += [f"O[{i}, r, k] = {embed_call(module, cls, name, point)}" for i, name in ((1, "opening"), (2, "closing"))]
    else:
        body += _slope(module, cls, key)
    tables: list[tuple[str, Any]] = [("G[0", cls.gains), ("G[1", cls.losses)]
    if gating is not None:
        tables = [("S[", gating.values), ("G[0", gating.gains), ("G[1", gating.losses)]
    else:
        body += [f"S[{i}, r, k] = y{i}" for i in range(n)]
    for number, (array, function) in enumerate((a, f) for a, f in tables if f is not None):
        count = n if gating is None else len(gating.powers)
        body.append(f"f{number} = {embed(function, module.sources, cls.label())}({point})")
        body += [f"{array}{'' if array == 'S[' else ', '}{i}, r, k] = f{number}[{i}]" for i in range(count)]
    lines += ["        " + line for line in body]
    text = "\n".join("    " + line for line in lines)
    return f"{module.text()}\n\n@njit(cache=True, **OPTIONS)\ndef roll(U, H, Q, start, S, O, G, dt, sub):\n{text}\n"


def embed_call(module: Module, cls: type[Channel], name: str, arguments: str) -> str:
    """Expression that calls one of a channel's optional functions; embeds it on first use."""
    return f"{embed(getattr(cls, name), module.sources, cls.label())}({arguments})"


def _ports(cls: type[Channel], key: str, trace: str) -> str:
    """Statement that sets `x` to the ports between samples k - 1 and k, at fraction w."""
    values = [f"U[{i}, {trace}, max(k - 1, 0)] * (1.0 - w) + U[{i}, {trace}, k] * w" for i in range(len(cls.reads))]
    return f"x = {bundle('X', key, values)}"


def _start(module: Module, cls: type[Channel], key: str) -> list[str]:
    """Statements that put the states at equilibrium: the closed form, or implicit Euler with steps that grow to 1e9 ms."""
    n = len(cls.states)
    if not n:
        return []
    unpack = ", ".join(f"y{i}" for i in range(n)) + ("," if n == 1 else "")
    if cls.steady is not None:
        return [f"{unpack} = {embed_call(module, cls, 'steady', 'x, q')}"]
    lines = [f"y{i} = start[{i}]" for i in range(n)]
    arguments = ", ".join(f"y{i}" for i in range(n))
    return [*lines, "h = 1e-3", "for _ in range(80):", f"    {unpack} = safe_{key}({arguments}, x, q, h)", "    h = min(1.5 * h, 1e9)"]


def _advance(cls: type[Channel], key: str) -> list[str]:
    n = len(cls.states)
    ys, zs = ", ".join(f"y{i}" for i in range(n)), ", ".join(f"z{i}" for i in range(n))
    comma = "," if n == 1 else ""
    return [
        "for j in range(sub):",
        "    w = (j + 0.5) / sub",
        f"    {_ports(cls, key, 'r')}",
        f"    {zs}{comma} = gate_{key}({ys}, x, q, dt / sub)",
        f"    if outside_{key}({zs}):",
        f"        {zs}{comma} = safe_{key}({ys}, x, q, dt / sub)",
        f"    {ys}{comma} = {zs}{comma}",
    ]


def _slope(module: Module, cls: type[Channel], key: str) -> list[str]:
    """Statements that put dP/dt into O[1]: P along the rates of the states and of the ports, by central differences."""
    n = len(cls.states)
    lines = [f"rate = rates_{key}({bundle('Y', key, [f'y{i}' for i in range(n)])}, x, q)"] if n else []
    lines += ["tiny = 1e-6 * dt", "slope = 0.0"]
    for sign in ("+", "-"):
        ys = bundle("Y", key, [f"y{i} {sign} tiny * rate[{i}]" for i in range(n)])
        xs = [f"U[{i}, r, k] {sign} 1e-6 * (U[{i}, r, k] - U[{i}, r, max(k - 1, 0)])" for i in range(len(cls.reads))]
        there = f"{ys}, {bundle('X', key, xs)}, q"
        lines.append(f"slope = slope {sign} {embed_call(module, cls, 'open_probability', there)} / (2.0 * tiny)")
    return [*lines, "O[1, r, k] = slope"]
