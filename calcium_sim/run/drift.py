"""How far a cell is from rest when a run begins: rates of change of its concentrations and its potential, before any stimulus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..plan.lower import Plan
from ..plan.rates import RightSide
from ..plan.state import State

AT_REST = 1e-6
"""Rate of change [1/ms], relative to rest, up to which a cell counts as at rest: 0.1 % in a second."""


@dataclass(frozen=True)
class Drift:
    """The largest rate of change of a concentration at the start [uM/ms], and its resting value [uM]; or of the potential [mV/ms, mV]."""

    name: str
    region: str
    rate: float
    rest: float
    potential: bool = False

    @property
    def moves(self) -> bool:
        """Whether the concentration is not at rest; a potential goes there by itself, and is only told."""
        return not self.potential and abs(self.rate) > AT_REST * self.rest

    def __str__(self) -> str:
        if self.potential:
            return f"{self.name} {self.rest:.4g} mV, {self.rate:+.3g} mV/ms at first"
        where = f"{self.name} in {self.region}"
        if not self.moves:
            return f"{where} at rest ({self.rest:.4g} uM)"
        share = f"{100 * self.rate / self.rest:+.3g} %/ms of " if self.rest else f"{self.rate:+.3g} uM/ms at "
        return f"{where} {share}{self.rest:.4g} uM"


def drifts(plan: Plan) -> list[Drift]:
    """The drift of each species in each region where it lives, and of the potential that is solved for.

    Buffers start in equilibrium with what they bind.
    """
    rates, _, _ = RightSide(plan)(State.start(plan))
    out = []
    for f in plan.fields:
        if f.kind != "buffer":
            worst = int(np.argmax(np.abs(rates[f.span])))
            out.append(Drift(f.name, f.region, float(rates[f.span][worst]), float(plan.u0[f.span][worst]), f.potential))
    return out
