"""What stimuli bring: influxes between two times, and every `Set` that has come due."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np

from ..mesh import Floats
from ..mesh.profiles import over
from ..model import nodes_of
from ..model.electrics import CHARGE
from ..model.stimuli import Set
from ..plan.lower import Plan
from ..plan.specs import Arrivals, Holder

QUICK = 1e-3
"""An electrode whose resistance times the capacitance of its position is less [ms] charges it at once where its potential jumps."""


class Events:
    """The stimuli of a plan in time."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.quiet_from = max((s.end() for s in plan.sources), default=0.0)
        self.sets = sorted(((k, s) for k, s in enumerate(plan.model.stimuli) if isinstance(s, Set)), key=lambda row: row[1].time)
        quick = [(h, ((0.0, h.protocol.at(0.0)), *h.protocol.jumps())) for h in plan.holders if self._at_once(h)]
        steps = [(t, h, v) for h, row in quick for k, (t, v) in enumerate(row) if k == 0 or t > 0.0]
        self.jumps = sorted(steps, key=lambda row: row[0])
        self.spikes = _in_order(plan.arrivals)

    def _at_once(self, h: Holder) -> bool:
        """Whether an electrode charges its position so quickly that no step need follow it."""
        assert self.plan.potential is not None
        return float(self.plan.potential.capacity[h.position]) < QUICK * h.conductance

    def injected(self, start: float, end: float) -> list[tuple[str, str, float]]:
        """What influxes bring between two times: account, species, amount."""
        if start >= self.quiet_from:
            return []
        start = max(start, 0.0)  # a table of currents may begin before the run
        out = []
        for s in self.plan.sources:
            if amount := s.amount * s.between(start, end):
                f = self.plan.fields[s.field]
                name = CHARGE if f.potential else f.name
                out.append((f"stimulus:{s.number}:{name}", name, amount))
        return out

    def due(self, after: float, now: float) -> list[tuple[str, str, np.ndarray, Floats, Floats]]:
        """Every Set with a time in (after, now]: account, species, entries of u, their volumes, values."""
        first, last = (bisect_right(self.sets, t, key=lambda row: row[1].time) for t in (after, now)) if self.sets else (0, 0)
        return [self.of(k, s) for k, s in self.sets[first:last]] + [self.charged(h, v) for t, h, v in self.jumps if after < t <= now]

    def arrived(self, after: float, now: float) -> Iterator[tuple[np.ndarray, Floats]]:
        """Every spike with a time in (after, now]: entries of y, and what is added to each."""
        times, which, weights = self.spikes
        for k in range(*np.searchsorted(times, (after, now), side="right").tolist()):
            a = self.plan.arrivals[which[k]]
            yield a.entries, weights[k] * a.amounts

    def charged(self, h: Holder, v: float) -> tuple[str, str, np.ndarray, Floats, Floats]:
        """What a step of the potential of an electrode does, as `due` gives it."""
        f, here = self.plan.potential, np.array([h.position])
        assert f is not None
        return f"stimulus:{h.number}:{CHARGE}", CHARGE, f.span.start + here, f.capacity[here], np.array([v])

    def of(self, k: int, s: Set) -> tuple[str, str, np.ndarray, Floats, Floats]:
        """What a Set does, as `due` gives it."""
        f = self.plan.fields[self.plan.index(s.species, s.region)]
        mesh, where = self.plan.model.mesh, f"stimuli.{s.species}"
        nodes = nodes_of(mesh, s.region)
        chosen = mesh.select(s.at, nodes, f"{where}.at")
        level = over(s.value, mesh, nodes, f"{where}.value", chosen=chosen)
        return f"stimulus:{k}:{s.species}", s.species, f.span.start + np.flatnonzero(chosen), f.capacity[chosen], level


def _in_order(arrivals: Sequence[Arrivals]) -> tuple[Floats, np.ndarray, Floats]:
    """Times of all spikes, ascending, the number of the arrivals that each belongs to, and its weight."""
    times, weights = (np.concatenate([np.zeros(0), *(getattr(a, name) for a in arrivals)]) for name in ("times", "weights"))
    which = np.repeat(np.arange(len(arrivals)), [len(a.times) for a in arrivals])
    order = np.argsort(times, kind="stable")
    return times[order], which[order], weights[order]
