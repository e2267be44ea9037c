"""The stepper of general graphs: packs a plan for the generated kernels of `source`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...compile import cache
from ...compile.kinetics import LocalKinetics
from ...kernels import graph
from ...mesh import OUTSIDE, Membrane, Mesh
from ...plan.lower import Plan
from ...plan.specs import PortRef
from ...plan.state import Clock, State, pack_sources
from ..base import Scheme
from . import source

PARALLEL_FROM = 30000
RETRIES = 8
"""How often steps are taken with more stages because fluxes have become steeper on the way."""


class GraphStepper(Scheme):
    """Advances a state on any mesh: RKL2 with the membrane fluxes in its stages, gates and reactions by Strang splitting."""

    name = "graph"
    calibration = 0.75
    phases = (
        ("gates of every channel over half a step (ROS2), 64 pairs at a time", "compile/module.py, in the generated file"),
        ("buffers and decays over half a step (ROS2)", "compile/kinetics.py, in the generated file"),
        ("diffusion and membrane fluxes over the step, in as many explicit stages as are stable (RKL2)", "kernels/graph.py"),
        ("buffers and decays, then gates over the other half", "schemes/graph/source.py"),
    )
    scheme = "Strang: gates ROS2 | reactions ROS2 | RKL2 diffusion with membrane fluxes in every stage"

    @staticmethod
    def fits(mesh: Mesh) -> bool:
        """Any mesh."""
        return True

    def __init__(self, plan: Plan, *, parallel: bool | None = None) -> None:
        mesh, self.plan = plan.model.mesh, plan
        self.regions = [r for r in mesh.regions if any(f.region == r for f in plan.fields)]
        self.fields = {r: [i for i, f in enumerate(plan.fields) if f.region == r] for r in self.regions}
        self.sources = pack_sources(plan, max(len(f.volume) for f in plan.fields))
        parallel = mesh.nodes > PARALLEL_FROM if parallel is None else parallel
        self.can_limit = bool((mesh.conductance < 0).any())
        text, site = source.source(self._spec(parallel))
        super().__init__(plan, parallel=parallel, networks=site.networks)
        self.module, self.sites = cache.load(text), cache.sites(site.text(), site.kernels)
        self.generated = (cache.file_of(site.text()), cache.file_of(text))
        self.bound = 0.0
        self.region_args = {r: self._region_arrays(r) for r in self.regions}
        self.shared = np.array([_most_at_one_node(mesh.membranes[name]) for name in plan.blocks], float)
        self.kept: list[Any] = []
        self.membrane_args = {name: self._membrane_arrays(name) for name in plan.blocks}

    def _region_arrays(self, name: str) -> list[Any]:
        mesh, plan = self.plan.model.mesh, self.plan
        span, index = mesh.span(name), self.fields[name]
        own = (mesh.edges[:, 0] >= span.start) & (mesh.edges[:, 0] < span.stop)
        rows = graph.gather_rows((mesh.edges[own] - np.uint32(span.start)).astype(np.uint32), mesh.conductance[own], mesh.volume[span])
        diffusion = np.array([plan.fields[i].diffusion for i in index])
        self.bound = max(self.bound, graph.spectral_bound(*rows) * diffusion.max())
        n = span.stop - span.start
        return [
            np.zeros((n, len(index))),
            *rows,
            diffusion,
            np.zeros((5 if self.can_limit else 3, n, len(index))),
            np.zeros((len(index), n)),
        ]

    def _keep(self, state: State) -> None:
        """Remember where the steps begin, in arrays made once."""
        now = [*(self.region_args[r][0] for r in self.regions), state.y, state.moved]
        if not self.kept:
            self.kept = [np.empty_like(x) for x in now]
        for kept, x in zip(self.kept, now, strict=True):
            kept[:] = x

    def _restore(self, state: State, decayed: list[Any]) -> None:
        for kept, x in zip(self.kept, [*(self.region_args[r][0] for r in self.regions), state.y, state.moved], strict=True):
            x[:] = kept
        for rows, r in zip(decayed, self.regions, strict=True):
            rows[:] = np.array(self._decays(state, r)).reshape(rows.shape)

    def _decays(self, state: State, region: str) -> list[Any]:
        """What decays have moved, the rows of a region."""
        pairs = zip(self.plan.decays, self.plan.decay_moved, strict=True)
        return [state.moved[part] for d, part in pairs if d.field in self.fields[region]]

    def _membrane_arrays(self, name: str) -> list[Any]:
        mesh, plan = self.plan.model.mesh, self.plan
        m = mesh.membranes[name]
        pairs, channels = len(m.area), sum(g.membrane == name for g in plan.gauges)
        inside = (m.inside - np.uint32(mesh.span(m.sides[0]).start)).astype(np.uint32)
        outside = inside if m.sides[1] == OUTSIDE else (m.outside - np.uint32(mesh.span(m.sides[1]).start)).astype(np.uint32)
        weights = [g.weight for g in plan.gauges if g.membrane == name and g.weight is not None]
        ratios = [m.area / mesh.volume[mesh.span(r)][inside if r == m.sides[0] else outside] for k, r in plan.ratios if k == name]
        scratch = [np.zeros((channels, pairs)) for _ in range(4)]
        return [*scratch, np.array(weights).reshape(-1, pairs), np.array(ratios).reshape(-1, pairs), inside, outside]

    def _spec(self, parallel: bool) -> source.GraphSpec:
        plan = self.plan
        regions = tuple(
            source.Region(
                tuple(self.fields[r]),
                tuple(b for b in plan.bindings if b.free in self.fields[r]),
                tuple(d for d in plan.decays if d.field in self.fields[r]),
                tuple(f for f in self.sources.fields if f in self.fields[r]),
            )
            for r in self.regions
        )
        return source.GraphSpec(
            regions, tuple(self._membrane_spec(name) for name in plan.blocks), len(plan.decays), parallel, self.can_limit
        )

    def _membrane_spec(self, name: str) -> source.Membrane:
        plan, m = self.plan, self.plan.model.mesh.membranes[name]
        gauges = [g for g in plan.gauges if g.membrane == name]
        block, pairs = plan.blocks[name][0], len(m.area)

        def row(offset: int) -> int:
            return int(offset - block.start) // pairs

        ratios = [key for key in plan.ratios if key[0] == name]
        weighted = [k for k, g in enumerate(gauges) if g.weight is not None]
        channels = []
        for k, g in enumerate(gauges):
            ports = tuple(PortRef(p.kind, row(p.index)) if p.kind == "rate" else p for p in g.spec.ports)
            gains = tuple((f, count, ratios.index(plan.ratios[r])) for f, count, r in g.spec.gains)
            weight = weighted.index(k) if k in weighted else -1
            channels.append(replace(g.spec, state=row(g.spec.state) if g.states else 0, ports=ports, gains=gains, weight=weight))
        used = {f for c in channels for f, _, _ in c.gains} | {p.index for c in channels for p in c.ports if p.kind == "field"}
        sides = {}
        for f in sorted(used):
            region = plan.fields[f].region
            if region not in m.sides:
                raise NotImplementedError(f"membrane '{name}' reads region '{region}', which it does not touch")
            sides[f] = (self.regions.index(region), self.fields[region].index(f), region == m.sides[0])
        kinetics = LocalKinetics((), tuple(channels), (), (), ())
        return source.Membrane(kinetics, (block.stop - block.start) // pairs, sides, tuple((k, i) for i, k in enumerate(weighted)))

    def take(self, state: State, h: float, steps: int, clock: Clock) -> None:
        """Take `steps` steps of length h [ms], in place."""
        plan, s = self.plan, self.sources
        arguments: list[Any] = []
        for r in self.regions:
            x = self.region_args[r][0]
            for column, f in enumerate(self.fields[r]):
                x[:, column] = state.u[plan.fields[f].span]
            arguments += self.region_args[r]
        for name, (block, moved) in plan.blocks.items():
            scratch = self.membrane_args[name]
            pairs = scratch[0].shape[1]
            y = state.y[block].reshape(-1, pairs)
            arguments += [y, *scratch[:4], state.moved[moved].reshape(-1, pairs), *scratch[4:]]
        decays = [self._decays(state, r) for r in self.regions]
        decayed = [np.array(rows).reshape(-1, self.region_args[r][0].shape[0]) for rows, r in zip(decays, self.regions, strict=True)]
        self._keep(state)
        stages = 0
        for _ in range(RETRIES):
            used, needed = self.module.advance(
                self.sites, *arguments, *decayed, plan.parameters, self.nets, self.counts, s.buffer,
                s.course, s.target, s.start, s.node, s.rate,
                clock.times, clock.potential, state.t, h, steps, stages, state.limited, self.bound, self.shared,
            )  # fmt: skip
            if needed <= used:
                break
            stages = needed
            self._restore(state, decayed)
        for rows, new in zip(decays, decayed, strict=True):
            for row, values in zip(rows, new, strict=True):
                row[:] = values
        for r in self.regions:
            for column, f in enumerate(self.fields[r]):
                state.u[plan.fields[f].span] = self.region_args[r][0][:, column]
        state.t += steps * h
        state.before = h


def _most_at_one_node(m: Membrane) -> int:
    """The largest number of pairs of a membrane that share a node."""
    sides = [m.inside] if m.sides[1] == OUTSIDE else [m.inside, m.outside]
    return max(int(np.bincount(nodes.astype(np.int64)).max()) if len(nodes) else 0 for nodes in sides)
