"""The resting state: ports, gates and fluxes, in plain Python, once for all pairs of a membrane that start alike."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, ModelWarning, shown, warn
from ..mesh import Floats
from ..mesh.profiles import Profile, over
from ..model import Model, Species, direction, nodes_of, resolve_side
from ..model.electrics import Cable
from ..model.placed import VoltageMap
from ..model.tables import Table
from ..networks.channel import resolve
from ..plugin import Channel
from ..plugin.contract import evaluate, parse_port, told
from ..units import value
from .equilibrium import many_states, steady_states
from .placed import over as over_map

Ints = NDArray[np.int64]
MANY = 2000
"""Equilibria that are found one by one without a word."""

SLACK = 1e-6
"""How far an open probability may lie beyond 0 and 1 by rounding."""


def voltage_at(model: Model, t: float) -> float:
    """Membrane potential [mV] at time t, of a map the mean; 0 where the model gives none.

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
    if isinstance(given, Cable):  # where it starts; what becomes of it is in the state
        return float(given.initial)
    if isinstance(given, Table):
        return given.at(t)
    if isinstance(given, VoltageMap):
        return float(given.at(t).mean())
    return float(given)


def level(model: Model, name: str, region: str) -> float:
    """Start value [uM] of a species in a region or outside; its mean over the volume where it differs from place to place."""
    given = _species(model, name).initial[region]
    if not isinstance(given, Profile):
        return float(given)
    return float(np.average(levels(model, name, region), weights=model.mesh.volume[model.mesh.span(region)]))


def levels(model: Model, name: str, region: str) -> Floats:
    """Start values [uM] of a species at the nodes of a region."""
    given, mesh = _species(model, name).initial[region], model.mesh
    return over(given, mesh, nodes_of(mesh, region), f"species.{name}.initial.{region}")


def _species(model: Model, name: str) -> Species:
    return next(s for s in model.species if s.name == name)


def resting_ports(model: Model, membrane: str, channel: Channel) -> SimpleNamespace:
    """Ports of a channel at rest, as an object with one attribute per name; of a start that differs from place to place the mean."""
    way = direction(model.mesh, membrane, channel)
    found: dict[str, float] = {}
    for name, text in channel.reads.items():
        port = parse_port(text)
        if port.kind == "concentration":
            found[name] = level(model, port.species, resolve_side(port.side, way))
        else:
            found[name] = voltage_at(model, 0.0) if port.kind == "v" else 0.0
    return SimpleNamespace(**found)


class Places(NamedTuple):
    """The pairs of a membrane by how a channel starts there: kinds of places, and the kind of each pair.

    `ports` and `channels` (with start values as numbers) are of the kinds; `kind` has one number per pair.
    """

    ports: list[SimpleNamespace]
    channels: list[Channel]
    kind: Ints

    def spread(self, values: Floats) -> Floats:
        """Values of the kinds, one per pair."""
        return values[self.kind]


def places(model: Model, membrane: str, channel: Channel) -> Places:
    """Where on a membrane a channel starts alike."""
    pairs, way = len(model.mesh.membranes[membrane].area), direction(model.mesh, membrane, channel)
    ports = resting_ports(model, membrane, channel)
    rows: dict[tuple[str, str], Floats] = {}
    for name, text in channel.reads.items():
        port = parse_port(text)
        side = resolve_side(port.side, way) if port.kind == "concentration" else ""
        if side and isinstance(_species(model, port.species).initial[side], Profile):
            at = model.mesh.pair_nodes(membrane, side).astype(np.int64) - model.mesh.span(side).start
            rows["port", name] = levels(model, port.species, side)[at]
        if port.kind == "v" and isinstance(model.voltage, VoltageMap):
            rows["port", name] = over_map(model.voltage, model.mesh, membrane, 0.0)
    where, inside = f"membranes.{membrane}.{channel.called()}.initial", model.mesh.membranes[membrane].inside
    for name, start in channel.initial.items():
        if isinstance(start, Profile):
            rows["state", name] = start.over(model.mesh, inside, f"{where}.{name}")
    if not rows:
        return Places([ports], [channel], np.zeros(pairs, np.int64))
    kinds, kind = np.unique(np.stack(list(rows.values()), axis=1), axis=0, return_inverse=True)
    found = Places([], [], kind.reshape(-1))
    for row in kinds.tolist():
        given = dict(zip(rows, row, strict=True))
        found.ports.append(SimpleNamespace(**{**vars(ports), **{n: v for (what, n), v in given.items() if what == "port"}}))
        initial = {**channel.initial, **{n: v for (what, n), v in given.items() if what == "state"}}
        found.channels.append(as_it_runs(channel, initial=initial))
    return found


def as_it_runs(channel: Channel, **changed: Any) -> Channel:
    """A channel with other values or start values, which are not checked."""
    running = type(channel).__new__(type(channel))
    running.__dict__.update(channel.__dict__, **changed)
    return running


def parameters(channel: Channel, **changed: float) -> SimpleNamespace:
    """Parameters of a channel as an object; `changed` replaces values (BALANCE among them)."""
    return SimpleNamespace(**{**channel.values, **changed})


def flux_at(channel: Channel, ports: SimpleNamespace, **changed: float) -> float:
    """Flux density [uM um/ms] of a channel at rest, without its `scale` or `at`; `changed` replaces values of parameters."""
    p = parameters(channel, **changed)
    y = SimpleNamespace(**dict(zip(channel.states, steady_states(channel, ports, p), strict=True)))
    return float(evaluate(type(channel), "flux", y, ports, p))


def resting_flux(model: Model, membrane: str, channel: Channel, **changed: float) -> Floats:
    """Flux density [uM um/ms] of a channel at rest at each pair (one value where all are alike), without its `scale` or `at`."""
    return fluxes(places(model, membrane, channel), **changed)


def fluxes(there: Places, **changed: Any) -> Floats:
    """`flux_at` at each pair; one value where all are alike."""
    if len(there.ports) == 1:
        return np.array([flux_at(there.channels[0], there.ports[0], **changed)])
    channel, x, p = there.channels[0], _stacked(there.ports), parameters(there.channels[0], **changed)
    found = None if channel.initial else _at_once(channel, x, p, "flux")
    if found is None:
        found = np.array([flux_at(c, x, **changed) for c, x in zip(there.channels, there.ports, strict=True)])
    return there.spread(found)


def _stacked(rows: list[SimpleNamespace]) -> SimpleNamespace:
    return SimpleNamespace(**{n: np.array([getattr(row, n) for row in rows]) for n in vars(rows[0])})


def _at_once(channel: Channel, x: SimpleNamespace, p: SimpleNamespace, name: str) -> Floats | None:
    """A function of a channel at the equilibria that belong to ports that are arrays; None where that needs one call each."""
    y = many_states(channel, x, p)
    return None if y is None else _evaluated(channel, y, x, p, name)


def _evaluated(channel: Channel, y: Any, x: SimpleNamespace, p: SimpleNamespace, name: str) -> Floats | None:
    size = max((np.size(v) for v in vars(x).values()), default=1)
    try:
        out = getattr(type(channel), name)(SimpleNamespace(**dict(zip(channel.states, y, strict=True))), x, p)
        found = np.broadcast_to(np.asarray(out, float), size)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return found if np.isfinite(found).all() else None


def starting_states(model: Model, membrane: str, channel: Channel) -> list[Floats]:
    """States at the start of a run at each pair: as `initial` says, others at the equilibrium of that place; the functions are tried there.

    Raises
    ------
    InputError
        If there is no equilibrium, or a function fails or returns what the contract does not allow.
    """
    there = places(model, membrane, channel)
    if set(channel.initial) != set(channel.states):
        for x in there.ports:
            if check_rest(channel, x):
                break
    _start(there.channels[0], there.ports[0])
    x, p = _stacked(there.ports), parameters(channel)
    together = None if channel.initial or len(there.ports) == 1 else many_states(channel, x, p)
    if together is not None and _evaluated(channel, together, x, p, "flux") is not None:
        return [there.spread(column) for column in together]
    if len(there.ports) > MANY and channel.states:
        told = (
            f"starts from {len(there.ports)} different equilibria, each found by itself, which takes long (give the channel steady(x, p))"
        )
        warn(f"membranes.{membrane}.{channel.called()}: {told}", ModelWarning)
    found = [_start(c, x) for c, x in zip(there.channels, there.ports, strict=True)]
    return [there.spread(np.array(column)) for column in zip(*found, strict=True)]


def _start(channel: Channel, x: SimpleNamespace) -> tuple[float, ...]:
    p, table = parameters(channel), channel.state_table()
    y = tuple(s.start for s in table.values()) if set(channel.initial) == set(table) else steady_states(channel, x, p)
    y = tuple(float(channel.initial.get(n, v)) for n, v in zip(channel.states, y, strict=True))
    at, cls = SimpleNamespace(**dict(zip(table, y, strict=True))), type(channel)
    for name in ("flux", "rates", "open_probability", "current"):
        found = None if getattr(cls, name) is None else evaluate(cls, name, at, x, p)
        if name == "open_probability" and found is not None and not -SLACK <= found <= 1 + SLACK:
            raise InputError(channel.label(), f"open_probability = {found:.6g} at rest ({told(x)}), expected 0 to 1")
    return y


def check_rest(channel: Channel, ports: SimpleNamespace) -> bool:
    """Warn, and tell, where a network starts from a level that it was not trained from: on that hangs what its inputs do not show."""
    gate = resolve(type(channel))
    for name, row in zip(gate.inputs, gate.ports, strict=True) if gate is not None else ():
        level = getattr(ports, name)
        if row.rest is not None and not 0.98 * row.rest[0] <= level <= 1.02 * row.rest[1]:
            warn(
                f"{channel.label()}: {row.port} rests at {level:.4g} {row.unit}, the network is trained for {row.rest[0]:g} to "
                f"{row.rest[1]:g} {row.unit} at rest: compare with the channel that it stands for"
            )
            return True
    return False
