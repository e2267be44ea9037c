"""The stepper of cables, trees and single points: packs a plan for the generated kernels of `source`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ...compile import cache
from ...compile.continued import follows
from ...compile.joint import JointKinetics
from ...compile.kinetics import LocalKinetics
from ...compile.lanes import LANES
from ...kernels import columns as kernel
from ...kernels import tree
from ...kernels.stimulus import add_tables, fill_sources, table_value
from ...mesh import Columns, Mesh
from ...plan.lower import Plan
from ...plan.specs import Wants
from ...plan.state import Clock, State, pack_sources
from ..base import PARALLEL_FROM, Scheme
from .electric import Electric
from .source import ColumnSpec, source


class ColumnStepper(Scheme):
    """Advances a state of a cable, tree or point: Strang splitting of diffusion and local kinetics."""

    name = "columns"
    wants = Wants(continued=True)
    potential = True
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
        spec = self._spec(plan, active)
        made = source(spec)
        super().__init__(plan, parallel=parallel, networks=made.module.networks, copies=-(-n // LANES))
        self.slow, self.scratch = self.torch.relaxing(), made.scratch
        text = made.module.text()
        sites = cache.sites(text, made.module.kernels)
        self.sites = tuple(sites[made.module.number(part)] for part in made.parts)
        self.generated = (cache.file_of(text),)
        self.electric = None if plan.potential is None else Electric(plan, self.sites, made.scratch, -(-n // LANES), parallel)
        if self.electric:
            self.scheme, self.phases = self.scheme.replace(type(self).scheme, Electric.scheme), Electric.phases
        region = [mesh.regions.index(f.region) for f in plan.fields]
        self.conductance = np.array([mesh.structure.conductance[r] for r in region])  # of the potential nothing: it has its own
        self.capacity = np.array([f.capacity for f in plan.fields])
        self.diffusion = np.array([f.diffusion for f in plan.fields])
        self.ratio = np.array([plan.ratio(*key) for key in plan.ratios]).reshape(-1, n)
        weights = [g.weight for g in plan.gauges if g.weight is not None]
        self.weights = np.array(weights).reshape(-1, n)
        self.runs = tree.runs(self.parent)
        self.rows, self.moving = tree.mobile(self.diffusion), bool(self.diffusion.any())
        self.work = tree.workspace(n)
        self.factors: dict[float, Any] = {}
        rows = len(plan.y0) // n
        self.shapes = (len(plan.fields), n), (rows, n), (plan.moved_size // n, n)

    def _spec(self, plan: Plan, active: float) -> ColumnSpec:
        channels = tuple(g.spec.raised(plan.first_row(g.membrane)) for g in plan.gauges)
        weighted = [m for m, g in enumerate(plan.gauges) if g.weight is not None]
        channels = tuple(replace(c, weight=weighted.index(m) if m in weighted else -1) for m, c in enumerate(channels))
        parts = tuple(range(len(plan.fields))), channels, plan.bindings, plan.decays, self.sources.fields
        kinetics = LocalKinetics(*parts) if plan.potential is None else JointKinetics(*parts, len(plan.fields) - 1)
        weights = tuple((m, k) for k, m in enumerate(weighted))
        return ColumnSpec(kinetics, len(plan.ratios), weights, active, self.n)

    def _factor(self, h: float) -> Any:
        if h not in self.factors:
            if len(self.factors) > 64:
                self.factors.clear()
            self.factors[h] = tree.factor(self.parent, self.conductance, self.capacity, self.diffusion, h)
        return self.factors[h]

    def _nets(self, state: State) -> tuple[Any, ...]:
        """What networks compute with, where they note, and (with `active`) the inputs on which they ran last: these belong to the state."""
        if self.networks.kept and not state.known.size:
            state.known = np.full((len(self.counts), self.networks.kept), np.nan)
        return self.nets, self.counts.reshape(len(self.counts), -1), state.known.reshape(len(self.counts), -1)

    def take(self, state: State, h: float, steps: int, clock: Clock) -> None:
        """Take `steps` steps of length h [ms], in place."""
        if self.slow or (self.parallel and not self.electric):
            self._take_one_by_one(state, h, steps, clock)
            return
        s = self.sources
        supply, sweeps = (s.course, s.target, s.start, s.node, s.rate), (self.rows, self.runs, self._factor(0.5 * h))
        times = self.work, state.t, h, state.before, steps
        if self.electric:
            held = np.zeros(len(self.electric.places))
            self.electric.advance(*self.electric.given(self._given(state)), held, *supply, s.tables, *sweeps, self.moving, *times)
            self.electric.booked(state, held)
        else:
            kernel.advance(
                self.sites[0], self.scratch, self._given(state), *supply, clock.times, clock.potential, *sweeps, self._factor(h), *times
            )
        state.t += steps * h
        state.before = h

    def _given(self, state: State) -> tuple[Any, ...]:
        """What the kinetics read and write."""
        return (*state.shaped(self.shapes), self.ratio, self.weights, self.sources.buffer, self.plan.parameters, *self._nets(state))

    def _local(self, state: State, h: float, before: float, volts: tuple[float, float, float]) -> None:
        """The kinetics of one step."""
        if self.electric:
            held, given = np.zeros(len(self.electric.places)), self.electric.given(self._given(state))
            self.electric.gates(*given[:3], state.t + 0.25 * h, 0.5 * h)
            self.electric.local(*given, held, (state.t, h, before))
            self.electric.gates(*given[:3], state.t + 0.75 * h, 0.5 * h)
            self.electric.booked(state, held)
            return
        local = kernel.local_parallel if self.parallel else kernel.local
        local(self.sites[0], self.scratch, self._given(state), (state.t, h, before), volts)

    def _take_one_by_one(self, state: State, h: float, steps: int, clock: Clock) -> None:
        """The same step by step: by all threads, or with the gates that run in torch after the kinetics."""
        s, (u, *_) = self.sources, state.shaped(self.shapes)
        tree.diffuse(u, self.rows, self.runs, self._factor(0.5 * h), self.work)
        begin = state.t
        for k in range(steps):
            start = state.copy() if self.slow else state
            fill_sources(s.buffer, s.course, s.target, s.start, s.node, s.rate, state.t, h)
            add_tables(s.buffer, s.tables, state.t, h)
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
