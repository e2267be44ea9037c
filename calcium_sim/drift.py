"""How far a cell is from rest when a run begins: rates of change of its concentrations, before any stimulus."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from .ieee import called
from .lowering import Field, Gauge, Plan
from .mesh import OUTSIDE, Floats
from .rest import resting_ports

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
    fields = [f for f in plan.fields if not f.buffer]
    rates = {(f.name, f.region): np.zeros(len(f.volume)) for f in fields}
    for g in plan.gauges:
        _add_fluxes(plan, g, rates)
    for f, rate in zip(fields, rates.values(), strict=True):
        rate /= f.volume
        rate += _decayed(plan, f)
    return [Drift(f.name, f.region, float(r[np.argmax(np.abs(r))]), f.rest) for f, r in zip(fields, rates.values(), strict=True)]


def _add_fluxes(plan: Plan, g: Gauge, rates: dict[tuple[str, str], Floats]) -> None:
    """Amounts per ms that a channel brings to each node [uM um^3/ms]."""
    x, p = resting_ports(plan.model, g.membrane, g.channel), SimpleNamespace(**g.channel.values)
    y = SimpleNamespace(**{name: float(plan.y0[part][0]) for name, part in zip(g.channel.states, g.states, strict=True)})
    amount = float(called(g.channel.flux, y, x, p)) * g.area * (1.0 if g.weight is None else g.weight)
    membrane = plan.model.mesh.membranes[g.membrane]
    for species, count in g.channel.moves.items():
        for region, sign in ((g.way[1], 1.0), (g.way[0], -1.0)):
            if region != OUTSIDE and (species, region) in rates:
                nodes = membrane.inside if membrane.sides[0] == region else membrane.outside
                np.add.at(rates[species, region], np.asarray(nodes, np.int64) - plan.model.mesh.span(region).start, sign * count * amount)


def _decayed(plan: Plan, f: Field) -> float:
    species = next(s for s in plan.model.species if s.name == f.name)
    return -species.decay * (f.rest - (species.rest or {}).get(f.region, f.rest))
