"""How far a cell is from rest when a run begins: rates of change of its concentrations, before any stimulus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..mesh import OUTSIDE, Floats
from ..plan.lower import Field, Gauge, Plan
from ..plan.observe import flux_density
from ..plan.state import State

AT_REST = 1e-6
"""Rate of change [1/ms], relative to rest, up to which a cell counts as at rest: 0.1 % in a second."""


@dataclass(frozen=True)
class Drift:
    """The largest rate of change of a concentration at the start [uM/ms], and its resting value [uM]."""

    name: str
    region: str
    rate: float
    rest: float

    @property
    def moves(self) -> bool:
        """Whether the concentration is not at rest."""
        return abs(self.rate) > AT_REST * self.rest

    def __str__(self) -> str:
        where = f"{self.name} in {self.region}"
        if not self.moves:
            return f"{where} at rest ({self.rest:.4g} uM)"
        share = f"{100 * self.rate / self.rest:+.3g} %/ms of " if self.rest else f"{self.rate:+.3g} uM/ms at "
        return f"{where} {share}{self.rest:.4g} uM"


def drifts(plan: Plan) -> list[Drift]:
    """The drift of each species in each region where it lives; buffers start in equilibrium with what they bind."""
    fields, state = [f for f in plan.fields if not f.buffer], State.start(plan)
    rates = {(f.name, f.region): _diffused(plan, f) for f in fields}
    for g in plan.gauges:
        _add_fluxes(plan, g, state, rates)
    for f, rate in zip(fields, rates.values(), strict=True):
        rate /= f.volume
        rate += _decayed(plan, f)
    worst = [int(np.argmax(np.abs(r))) for r in rates.values()]
    return [Drift(f.name, f.region, float(r[k]), float(plan.u0[f.span][k])) for f, r, k in zip(fields, rates.values(), worst, strict=True)]


def _diffused(plan: Plan, f: Field) -> Floats:
    """Amounts per ms that diffusion brings to each node [uM um^3/ms]: none where a species starts the same everywhere."""
    mesh, start, out = plan.model.mesh, plan.u0[f.span], np.zeros(len(f.volume))
    if not (start == start[0]).all():
        edges = mesh.edges.astype(np.int64) - f.nodes.start
        inside = ((edges >= 0) & (edges < len(start))).all(axis=1)
        (a, b), flow = edges[inside].T, f.diffusion * mesh.conductance[inside]
        np.add.at(out, a, flow * (start[b] - start[a]))
        np.add.at(out, b, flow * (start[a] - start[b]))
    return out


def _add_fluxes(plan: Plan, g: Gauge, state: State, rates: dict[tuple[str, str], Floats]) -> None:
    """Amounts per ms that a channel brings to each node [uM um^3/ms]."""
    amount, mesh = flux_density(plan, g, state) * g.area, plan.model.mesh
    for species, count in g.channel.moves.items():
        for region, sign in ((g.way[1], 1.0), (g.way[0], -1.0)):
            if region != OUTSIDE and (species, region) in rates:
                at = mesh.pair_nodes(g.membrane, region).astype(np.int64) - mesh.span(region).start
                np.add.at(rates[species, region], at, sign * count * amount)


def _decayed(plan: Plan, f: Field) -> Floats:
    species = next(s for s in plan.model.species if s.name == f.name)
    return -species.decay * (plan.u0[f.span] - (species.rest or {}).get(f.region, f.rest))
