"""What stimuli bring: influxes between two times, and every `Set` that has come due."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from ..kernels.stimulus import train_end, train_integral
from ..mesh import Floats
from ..mesh.profiles import over
from ..model import nodes_of
from ..model.stimuli import Set
from ..plan.lower import Plan


class Events:
    """The stimuli of a plan in time."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.quiet_from = max((train_end(*s.course) for s in plan.sources), default=0.0)
        self.sets = sorted(((k, s) for k, s in enumerate(plan.model.stimuli) if isinstance(s, Set)), key=lambda row: row[1].time)

    def injected(self, start: float, end: float) -> list[tuple[str, str, float]]:
        """What influxes bring between two times: account, species, amount."""
        if start >= self.quiet_from:
            return []
        out = []
        for k, s in enumerate(self.plan.sources):
            amount = s.amount * (train_integral(*s.course, end) - train_integral(*s.course, start))
            if amount:
                name = self.plan.fields[s.field].name
                out.append((f"stimulus:{k}:{name}", name, amount))
        return out

    def due(self, after: float, now: float) -> list[tuple[str, str, np.ndarray, Floats, Floats]]:
        """Every Set with a time in (after, now]: account, species, entries of u, their volumes, values."""
        first, last = (bisect_right(self.sets, t, key=lambda row: row[1].time) for t in (after, now)) if self.sets else (0, 0)
        return [self.of(k, s) for k, s in self.sets[first:last]]

    def of(self, k: int, s: Set) -> tuple[str, str, np.ndarray, Floats, Floats]:
        """What a Set does, as `due` gives it."""
        f = self.plan.fields[self.plan.index(s.species, s.region)]
        mesh, where = self.plan.model.mesh, f"stimuli.{s.species}"
        nodes = nodes_of(mesh, s.region)
        chosen = mesh.select(s.at, nodes, f"{where}.at")
        level = over(s.value, mesh, nodes, f"{where}.value", chosen=chosen)
        return f"stimulus:{k}:{s.species}", s.species, f.span.start + np.flatnonzero(chosen), f.volume[chosen], level
