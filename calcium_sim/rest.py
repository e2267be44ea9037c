"""The resting state: ports, gates and fluxes, in plain Python on one representative node per membrane."""

from __future__ import annotations

import math
import warnings
from types import SimpleNamespace

from .contract import evaluate, parse_port, told
from .equilibrium import steady_states
from .errors import InputError, shown
from .learned import resolve
from .model import Model, direction, resolve_side
from .plugin import Channel
from .units import value
from .voltage import Table

SLACK = 1e-6
"""How far an open probability may lie beyond 0 and 1 by rounding."""


def voltage_at(model: Model, t: float) -> float:
    """Membrane potential [mV] at time t; 0 where the model gives none.

    Raises
    ------
    InputError
        If a function fails, or returns anything but a finite number.
    """
    given = model.voltage
    if given is None:
        return 0.0
    if callable(given):
        try:
            found = given(t)
        except Exception as error:
            raise InputError(
                "voltage", f"the function fails at t={t:g} ms: {type(error).__name__}: {' '.join(str(error).split())}"
            ) from error
        try:
            potential = value(found, "mV", "voltage") if hasattr(found, "units") else math.nan if isinstance(found, bool) else float(found)
        except (TypeError, ValueError):
            potential = math.nan
        if not math.isfinite(potential):
            raise InputError("voltage", f"the function returned {shown(found)} at t={t:g} ms, expected a finite number in mV")
        return potential
    if isinstance(given, Table):
        return given.at(t)
    return float(given)


def resting_ports(model: Model, membrane: str, channel: Channel) -> SimpleNamespace:
    """Ports of a channel at rest, as an object with one attribute per name."""
    way = direction(model.mesh, membrane, channel)
    species = {s.name: s for s in model.species}
    found: dict[str, float] = {}
    for name, text in channel.reads.items():
        port = parse_port(text)
        if port.kind == "concentration":
            found[name] = species[port.species].initial[resolve_side(port.side, way)]
        else:
            found[name] = voltage_at(model, 0.0) if port.kind == "v" else 0.0
    return SimpleNamespace(**found)


def parameters(channel: Channel, **changed: float) -> SimpleNamespace:
    """Parameters of a channel as an object; `changed` replaces values (BALANCE among them)."""
    return SimpleNamespace(**{**channel.values, **changed})


def resting_flux(model: Model, membrane: str, channel: Channel, **changed: float) -> float:
    """Flux density [uM um/ms] of a channel at rest, without its `scale` or `at`."""
    x, p = resting_ports(model, membrane, channel), parameters(channel, **changed)
    y = SimpleNamespace(**dict(zip(channel.states, steady_states(channel, x, p), strict=True)))
    return float(evaluate(type(channel), "flux", y, x, p))


def starting_states(model: Model, membrane: str, channel: Channel) -> tuple[float, ...]:
    """States at the start of a run: as `initial` says, others at the equilibrium at rest; the functions are tried there.

    Raises
    ------
    InputError
        If there is no equilibrium, or a function fails or returns what the contract does not allow.
    """
    x, p, table = resting_ports(model, membrane, channel), parameters(channel), channel.state_table()
    if set(channel.initial) != set(channel.states):
        check_rest(channel, x)
        y = steady_states(channel, x, p)
    else:
        y = tuple(s.start for s in table.values())
    y = tuple(float(channel.initial.get(n, v)) for n, v in zip(channel.states, y, strict=True))
    at, cls = SimpleNamespace(**dict(zip(table, y, strict=True))), type(channel)
    for name in ("flux", "rates", "open_probability"):
        found = None if getattr(cls, name) is None else evaluate(cls, name, at, x, p)
        if name == "open_probability" and found is not None and not -SLACK <= found <= 1 + SLACK:
            raise InputError(channel.label(), f"open_probability = {found:.6g} at rest ({told(x)}), expected 0 to 1")
    return y


def check_rest(channel: Channel, ports: SimpleNamespace) -> None:
    """Warn where a network starts from a resting level that it was not trained from, on which hangs what its inputs do not show."""
    gate = resolve(type(channel))
    for name, row in zip(gate.inputs, gate.ports, strict=True) if gate is not None else ():
        level = getattr(ports, name)
        if row.rest is not None and not 0.98 * row.rest[0] <= level <= 1.02 * row.rest[1]:
            warnings.warn(
                f"{channel.label()}: {row.port} rests at {level:.4g} {row.unit}, the network is trained for {row.rest[0]:g} to "
                f"{row.rest[1]:g} {row.unit} at rest: compare with the channel that it stands for",
                stacklevel=2,
            )
