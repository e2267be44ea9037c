"""The stepper of cables, trees and single points: packs a plan for the generated kernels of `source`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ...compile import cache
from ...compile.continued import follows
from ...compile.kinetics import LocalKinetics
from ...compile.lanes import LANES
from ...kernels import columns as kernel
from ...kernels import tree
from ...kernels.stimulus import fill_sources, table_value
from ...mesh import Columns, Mesh
from ...plan.lower import Plan
from ...plan.specs import ChannelSpec, PortRef, Wants
from ...plan.state import Clock, State, pack_sources
from ..base import Scheme
from .source import ColumnSpec, source

PARALLEL_FROM = 30000


class ColumnStepper(Scheme):
    """Advances a state of a cable, tree or point: Strang splitting of diffusion and local kinetics."""

    name = "columns"
    wants = Wants(continued=True)
    calibration = 1.0
    phases = (
        ("diffusion of every field over half a step, implicit (SDIRK2), from the tips to the soma and back", "kernels/tree.py"),
        ("gates of every channel over half a step (ROS2), 64 positions at a time", "compile/module.py, in the generated file"),
        (
            "fluxes, buffers and decays over the step (ROS2), one small linear system per position",
            "compile/kinetics.py, in the generated file",
        ),
        ("gates over the other half, diffusion over the other half; the halves of two steps are one", "kernels/columns.py"),
    )
    scheme = "Strang: diffusion SDIRK2 | gates ROS2, reactions and fluxes ROS2, gates ROS2"

    @staticmethod
    def fits(mesh: Mesh) -> bool:
        """Regions with the same positions, joined as one tree."""
        return isinstance(mesh.structure, Columns)

    def __init__(self, plan: Plan, *, parallel: bool | None = None, active: float = 0.0) -> None:
        mesh = plan.model.mesh
        assert isinstance(mesh.structure, Columns)
        self.n = n = len(mesh.structure.parent)
        self.parent = mesh.structure.parent
        self.sources = pack_sources(plan, n)
        if any(follows(g.spec) for g in plan.gauges):
            self.scheme += " | networks of rates once per step, outputs continued"
        parallel = n > PARALLEL_FROM if parallel is None else parallel
        spec = self._spec(plan, parallel, active)
        made = source(spec)
        super().__init__(plan, parallel=parallel, networks=made.module.networks, copies=-(-n // LANES))
        self.slow, self.scratch = self.torch.relaxing(), made.scratch
        self.module: Any = cache.load(made.text) if made.text else None
        self.sites = cache.sites(made.module.text(), made.module.kernels)
        self.site = None if made.text else self.sites[made.module.number("site")]
        self.generated = tuple(cache.file_of(text) for text in (made.module.text(), made.text) if text)
        region = [mesh.regions.index(f.region) for f in plan.fields]
        self.conductance = np.array([mesh.structure.conductance[r] for r in region])
        self.volume = np.array([f.volume for f in plan.fields])
        self.diffusion = np.array([f.diffusion for f in plan.fields])
        self.ratio = np.array([mesh.membranes[m].area / mesh.volume[mesh.span(r)] for m, r in plan.ratios]).reshape(-1, n)
        weights = [g.weight for g in plan.gauges if g.weight is not None]
        self.weights = np.array(weights).reshape(-1, n)
        self.runs = tree.runs(self.parent)
        self.rows = tree.mobile(self.diffusion)
        self.work = tree.workspace(n)
        self.factors: dict[float, Any] = {}
        rows = len(plan.y0) // n
        self.shapes = (len(plan.fields), n), (rows, n), (plan.moved_size // n, n)

    def _spec(self, plan: Plan, parallel: bool, active: float) -> ColumnSpec:
        n = self.n
        channels = tuple(_rows(g.spec, n) for g in plan.gauges)
        weighted = [m for m, g in enumerate(plan.gauges) if g.weight is not None]
        channels = tuple(replace(c, weight=weighted.index(m) if m in weighted else -1) for m, c in enumerate(channels))
        kinetics = LocalKinetics(tuple(range(len(plan.fields))), channels, plan.bindings, plan.decays, self.sources.fields)
        weights = tuple((m, k) for k, m in enumerate(weighted))
        return ColumnSpec(kinetics, len(plan.y0) // n, len(plan.ratios), weights, parallel, active)

    def _factor(self, h: float) -> Any:
        if h not in self.factors:
            if len(self.factors) > 64:
                self.factors.clear()
            self.factors[h] = tree.factor(self.parent, self.conductance, self.volume, self.diffusion, h)
        return self.factors[h]

    def _nets(self, state: State) -> tuple[Any, ...]:
        """What networks compute with; with `active`, and the inputs on which they ran last: they belong to the state."""
        if not self.networks.kept:
            return self.nets
        if not state.known.size:
            state.known = np.full((len(self.counts), self.networks.kept), np.nan)
        return (*self.nets, state.known)

    def take(self, state: State, h: float, steps: int, clock: Clock) -> None:
        """Take `steps` steps of length h [ms], in place."""
        if self.slow or (self.parallel and self.module is None):
            self._take_one_by_one(state, h, steps, clock)
            return
        s = self.sources
        tail = (
            s.course, s.target, s.start, s.node, s.rate, clock.times, clock.potential,
            self.rows, self.runs, self._factor(0.5 * h), self._factor(h), self.work,
            state.t, h, state.before, steps,
        )  # fmt: skip
        if self.module:
            self.module.advance(self.sites, *self._given(state), self._nets(state), self.counts, *tail)
        else:
            kernel.advance(self.site, self.scratch, self._given(state), *tail)
        state.t += steps * h
        state.before = h

    def _given(self, state: State) -> tuple[Any, ...]:
        """What the kinetics read and write."""
        return (*state.shaped(self.shapes), self.ratio, self.weights, self.sources.buffer, self.plan.parameters)

    def _local(self, state: State, h: float, before: float, volts: tuple[float, float, float]) -> None:
        """The kinetics of one step."""
        times = (state.t, h, before)
        if self.module:
            self.module.local(self.sites, *self._given(state), self._nets(state), self.counts, *times, *volts)
        else:
            (kernel.local_parallel if self.parallel else kernel.local)(self.site, self.scratch, self._given(state), times, volts)

    def _take_one_by_one(self, state: State, h: float, steps: int, clock: Clock) -> None:
        """The same step by step: by all threads, or with the gates that run in torch after the kinetics."""
        s, (u, *_) = self.sources, state.shaped(self.shapes)
        tree.diffuse(u, self.rows, self.runs, self._factor(0.5 * h), self.work)
        begin = state.t
        for k in range(steps):
            start = state.copy() if self.slow else state
            fill_sources(s.buffer, s.course, s.target, s.start, s.node, s.rate, state.t, h)
            first, second, third = (float(table_value(clock.times, clock.potential, state.t + share * h)) for share in (0.25, 0.5, 0.75))
            self._local(state, h, state.before, (first, second, third))
            if self.slow:
                self.torch.midpoint(state, start, h)
            tree.diffuse(u, self.rows, self.runs, self._factor(h if k < steps - 1 else 0.5 * h), self.work)
            state.t = begin + (k + 1) * h
            state.before = h

    def timed(self, state: State, h: float) -> dict[str, Callable[[], None]]:
        """The phases of one step as separate calls on this state, for timing: a step is one of each."""
        (u, *_), factors = state.shaped(self.shapes), self._factor(h)
        diffusion = partial(tree.diffuse, u, self.rows, self.runs, factors, self.work)
        return {"diffusion": diffusion, "local": partial(self._local, state, h, h, (0.0, 0.0, 0.0))}


def _rows(c: ChannelSpec, n: int) -> ChannelSpec:
    """Offsets into the flat state array become rows of its (rows, n) view."""
    ports = tuple(PortRef(p.kind, p.index // n) if p.kind == "rate" else p for p in c.ports)
    return replace(c, state=c.state // n, ports=ports, memory=c.memory // n)
