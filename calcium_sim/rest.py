"""The resting state: gates at equilibrium and balanced parameters, in plain Python on one representative node per membrane."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from .errors import InputError, shown
from .gates import steady
from .learned import resolve
from .model import Model, direction, resolve_side
from .plugin import BALANCE, Channel, parse_port
from .units import value
from .voltage import Table


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
            potential = value(found, "mV", "voltage") if hasattr(found, "units") else float(found)
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


def steady_states(channel: Channel, x: SimpleNamespace, p: SimpleNamespace) -> tuple[float, ...]:
    """States at which the rates vanish for constant ports: the closed form of the channel, or Newton's method.

    Raises
    ------
    InputError
        If Newton's method does not converge.
    """
    names = list(channel.states)
    if not names:
        return ()
    if channel.rates is None:
        return steady(channel, x)
    if channel.steady is not None:
        return tuple(float(s) for s in channel.steady(x, p))
    y = np.array([s.start for s in channel.state_table().values()])

    def rates(values: np.ndarray) -> np.ndarray:
        assert channel.rates is not None
        return np.array(channel.rates(SimpleNamespace(**dict(zip(names, values, strict=True))), x, p))

    for _ in range(60):
        r = rates(y)
        delta = 2.0**-20
        jacobian = np.stack([(rates(y + delta * e) - rates(y - delta * e)) / (2 * delta) for e in np.eye(len(y))], axis=1)
        step = np.linalg.solve(jacobian, r)
        y = y - step
        if np.abs(step).max() < 1e-15 * max(1.0, np.abs(y).max()):
            return tuple(float(v) for v in y)
    if np.isfinite(y).all() and np.abs(step).max() < 1e-12:
        return tuple(float(v) for v in y)
    raise InputError(channel.label(), "no equilibrium found at rest (give steady(x, p), or initial= and no BALANCE)")


def resting_flux(model: Model, membrane: str, channel: Channel, **changed: float) -> float:
    """Flux density [uM um/ms] of a channel at rest, without its `scale` or `at`."""
    x, p = resting_ports(model, membrane, channel), parameters(channel, **changed)
    y = SimpleNamespace(**dict(zip(channel.states, steady_states(channel, x, p), strict=True)))
    return float(channel.flux(y, x, p))


def balance(model: Model, membrane: str, channels: Sequence[Channel], weights: Callable[[Channel], np.ndarray]) -> Mapping[int, np.ndarray]:
    """Value per pair of each BALANCE parameter on a membrane, so that no species crosses it on net at rest.

    Parameters
    ----------
    weights : gives the array of flux weights over the pairs (places, scale) of a channel.

    Returns
    -------
    {index of the channel: values over the pairs}.

    Raises
    ------
    InputError
        If two channels ask for the balance of the same species, the flux does not depend on the parameter, or the value is negative.
    """
    out: dict[int, np.ndarray] = {}
    chosen = {k: _balanced_parameter(c) for k, c in enumerate(channels) if BALANCE in list(c.values.values())}
    taken: dict[str, str] = {}
    for k, parameter in chosen.items():
        channel = channels[k]
        where = f"membranes.{membrane}.{channel.label()}.{parameter}"
        species = next(iter(channel.moves))
        if species in taken:
            raise InputError(where, f"'{taken[species]}' already balances '{species}' on this membrane; give one of them a value")
        taken[species] = channel.label()
        others = [c for j, c in enumerate(channels) if j != k and species in c.moves and j not in chosen]
        target = _sign(model, membrane, channel, species)
        net = sum((_sign(model, membrane, c, species) * resting_flux(model, membrane, c) * weights(c) for c in others), np.zeros(1))
        zero, one = (resting_flux(model, membrane, channel, **{parameter: v}) for v in (0.0, 1.0))
        if one == zero:
            raise InputError(where, "cannot be balanced: at rest the flux does not depend on it")
        values = (-net / target - zero) / (one - zero)
        if (values < 0).any():
            raise InputError(where, f"balance needs {values.min():.4g}, but it must be >= 0 (the other fluxes have the wrong sign)")
        out[k] = values
    return out


def _balanced_parameter(channel: Channel) -> str:
    names = [n for n, v in channel.values.items() if v is BALANCE]
    if len(names) > 1:
        raise InputError(channel.label(), f"two parameters are BALANCE ({', '.join(names)}); only one can be")
    return names[0]


def _sign(model: Model, membrane: str, channel: Channel, species: str) -> float:
    """Amount of `species` that unit flux brings to the membrane's first side."""
    into = direction(model.mesh, membrane, channel)[1] == model.mesh.membranes[membrane].sides[0]
    return float(channel.moves[species]) * (1.0 if into else -1.0)


def resting_open(model: Model, channel: Channel, membrane: str) -> Any:
    """Open probability at rest, or None."""
    if channel.open_probability is None:
        return None
    x, p = resting_ports(model, membrane, channel), parameters(channel)
    return channel.open_probability(SimpleNamespace(**dict(zip(channel.states, steady_states(channel, x, p), strict=True))), x, p)


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
