"""What a state shows: values at membrane pairs, open probabilities, mean fluxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..mesh import Floats
from ..plugin.ieee import called
from .lower import Gauge, Plan
from .rest import voltage_at
from .specs import PortRef
from .state import State

Pairs = NDArray[np.int64]
Seen = Mapping[tuple[int, int], Floats]
"""Concentrations at the membranes, where they are not those of the nodes: by (membrane, field), over the pairs."""


def pair_view(
    plan: Plan, g: Gauge, state: State, seen: Seen | None = None, pairs: Pairs | None = None
) -> tuple[SimpleNamespace, SimpleNamespace, SimpleNamespace]:
    """States, ports and parameters of a channel, each an array over the pairs, or some of them (parameters: floats) under its name."""
    cut = slice(None) if pairs is None else pairs
    y = SimpleNamespace(**{n: state.y[s][cut] for n, s in zip(g.channel.states, g.states, strict=True)})
    size, rows = len(g.area), plan.blocks[g.membrane][0]
    ports: dict[str, Floats] = {}
    for name, port in zip(g.channel.reads, g.spec.ports, strict=True):
        if port.kind == "field":
            wall = (seen or {}).get((g.spec.membrane, port.index))
            ports[name] = state.u[port_entries(plan, g, port.index, cut)] if wall is None else wall[cut]
        elif port.kind == "place":
            at = next(p for p in plan.placed if p.membrane == g.membrane)
            ports[name] = at.over(plan.model.voltage.at(state.t))[cut]
        elif port.kind == "rate":
            ports[name] = state.y[rows].reshape(-1, size)[port.index][cut]
        else:
            ports[name] = np.full(size if pairs is None else len(pairs), _uniform(plan, port, state))
    return y, SimpleNamespace(**ports), SimpleNamespace(**g.channel.values)


def _uniform(plan: Plan, port: PortRef, state: State) -> float:
    if port.kind == "value":
        return float(plan.parameters[port.index])
    return state.t if port.kind == "t" else voltage_at(plan.model, state.t)


def port_entries(plan: Plan, g: Gauge, index: int, pairs: slice | Pairs = slice(None)) -> Pairs:
    """Entries of u that hold a field at the pairs of a channel's membrane; a third region has the same positions as the membrane."""
    f = plan.fields[index]
    return plan.model.mesh.pair_nodes(g.membrane, f.region)[pairs].astype(np.int64) - f.nodes.start + f.span.start


def one_pair(
    y: SimpleNamespace, x: SimpleNamespace, p: SimpleNamespace, k: int
) -> tuple[SimpleNamespace, SimpleNamespace, SimpleNamespace]:
    """The view of a single pair, with floats."""
    first, second = (SimpleNamespace(**{n: float(v[k]) for n, v in vars(space).items()}) for space in (y, x))
    return first, second, p


def open_probability(plan: Plan, g: Gauge, state: State, seen: Seen | None = None) -> Floats | None:
    """Open probability at every pair, at the concentrations that the channel sees, or None for a channel that declares none."""
    function = g.channel.open_probability
    if function is None:
        return None
    return at_pairs(function, *pair_view(plan, g, state, seen), len(g.area))


def flux_density(plan: Plan, g: Gauge, state: State, seen: Seen | None = None, pairs: Pairs | None = None) -> Floats:
    """Flux density [uM um/ms] at every pair (or some) in a state, with place, scale and profiles."""
    found = at_pairs(g.channel.flux, *pair_view(plan, g, state, seen, pairs), len(g.area) if pairs is None else len(pairs))
    return found if g.weight is None else found * (g.weight if pairs is None else g.weight[pairs])


def state_rates(plan: Plan, g: Gauge, state: State, seen: Seen | None = None) -> list[Floats]:
    """Rates of change of a channel's states [1/ms] at every pair; none where it has no equations for them."""
    if g.channel.rates is None:
        return []
    rates, view = g.channel.rates, pair_view(plan, g, state, seen)
    return [at_pairs(lambda y, x, p, k=k: rates(y, x, p)[k], *view, len(g.area)) for k in range(len(g.states))]


def at_pairs(function: Callable[..., Any], y: SimpleNamespace, x: SimpleNamespace, p: SimpleNamespace, count: int) -> Floats:
    """A function of a channel at all pairs of a view."""
    try:
        return np.broadcast_to(np.asarray(function(y, x, p), float), count).copy()
    except (TypeError, ValueError, ArithmeticError):  # written for scalars: math functions or branches
        return np.array([called(function, *one_pair(y, x, p, k)) for k in range(count)], float)
