"""The stepper of general graphs: packs a plan for the generated kernels of `source`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...compile import cache
from ...compile.kinetics import LocalKinetics
from ...compile.module import Module
from ...errors import InputError
from ...kernels import graph, graph_step
from ...mesh import OUTSIDE, Membrane, Mesh
from ...plan.lower import Plan
from ...plan.state import Clock, State, pack_sources
from ..base import PARALLEL_FROM, Scheme
from . import source

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
        ("buffers and decays, then gates over the other half", "kernels/graph_step.py"),
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
        self.sources = pack_sources(plan, max(len(f.capacity) for f in plan.fields))
        parallel = mesh.nodes > PARALLEL_FROM if parallel is None else parallel
        self.can_limit = bool((mesh.conductance < 0).any())
        module, rows, reacting = source.source(self._regions(), tuple(self._membrane_spec(name) for name in plan.blocks))
        super().__init__(plan, parallel=parallel, networks=module.networks)
        text = module.text()
        self.generated, self.scratch = (cache.file_of(text),), module.scratch()
        self.sites = _sites(module, cache.sites(text, module.kernels), len(plan.blocks), len(self.regions))
        self.bound = 0.0
        self.region_args = _turned([self._region_arrays(r) for r in self.regions])
        self.values = self.region_args[0]
        self.shared = np.array([_most_at_one_node(mesh.membranes[name]) for name in plan.blocks] or [0], float)
        self.kept: list[Any] = []
        self.membrane_args = [(*self._membrane_arrays(name), *_arrays(r)) for name, r in zip(plan.blocks, rows, strict=True)]
        self.reacting = _turned(reacting)
        self.nothing = [] if plan.blocks else [_nothing()]
        place = {f: (r, self.fields[name].index(f)) for r, name in enumerate(self.regions) for f in self.fields[name]}
        self.where = np.array([place[f] for f in self.sources.fields], np.int64).reshape(-1, 2)

    def _region_arrays(self, name: str) -> tuple[Any, ...]:
        mesh, plan = self.plan.model.mesh, self.plan
        span, index = mesh.span(name), self.fields[name]
        own = (mesh.edges[:, 0] >= span.start) & (mesh.edges[:, 0] < span.stop)
        rows = graph.gather_rows((mesh.edges[own] - np.uint32(span.start)).astype(np.uint32), mesh.conductance[own], mesh.volume[span])
        diffusion = np.array([plan.fields[i].diffusion for i in index])
        self.bound = max(self.bound, graph.spectral_bound(*rows) * diffusion.max())
        n = span.stop - span.start
        return np.zeros((n, len(index))), rows, diffusion, np.zeros((5 if self.can_limit else 3, n, len(index)))

    def _keep(self, state: State) -> None:
        """Remember where the steps begin, in arrays made once."""
        now = [*self.values, state.y, state.moved]
        if not self.kept:
            self.kept = [np.empty_like(x) for x in now]
        for kept, x in zip(self.kept, now, strict=True):
            kept[:] = x

    def _restore(self, state: State, decayed: tuple[Any, ...]) -> None:
        for kept, x in zip(self.kept, [*self.values, state.y, state.moved], strict=True):
            x[:] = kept
        for rows, r in zip(decayed, self.regions, strict=True):
            rows[:] = np.array(self._decays(state, r)).reshape(rows.shape)

    def _decays(self, state: State, region: str) -> list[Any]:
        """What decays have moved, the rows of a region."""
        pairs = zip(self.plan.decays, self.plan.decay_moved, strict=True)
        return [state.moved[part] for d, part in pairs if d.field in self.fields[region]]

    def _membrane_arrays(self, name: str) -> tuple[Any, ...]:
        """Work, weights, ratios and nodes of a membrane."""
        mesh, plan = self.plan.model.mesh, self.plan
        m = mesh.membranes[name]
        pairs, channels = len(m.area), sum(g.membrane == name for g in plan.gauges)
        inside = (m.inside - np.uint32(mesh.span(m.sides[0]).start)).astype(np.uint32)
        outside = inside if m.sides[1] == OUTSIDE else (m.outside - np.uint32(mesh.span(m.sides[1]).start)).astype(np.uint32)
        weights = [g.weight for g in plan.gauges if g.membrane == name and g.weight is not None]
        ratios = [m.area / mesh.volume[mesh.span(r)][inside if r == m.sides[0] else outside] for k, r in plan.ratios if k == name]
        work = np.zeros((4, channels, pairs))
        return work, np.array(weights).reshape(-1, pairs), np.array(ratios).reshape(-1, pairs), (inside, outside)

    def _regions(self) -> tuple[source.Region, ...]:
        plan = self.plan
        return tuple(
            source.Region(
                tuple(self.fields[r]),
                tuple(b for b in plan.bindings if b.free in self.fields[r]),
                tuple(d for d in plan.decays if d.field in self.fields[r]),
            )
            for r in self.regions
        )

    def _membrane_spec(self, name: str) -> source.Membrane:
        plan, m = self.plan, self.plan.model.mesh.membranes[name]
        gauges = [g for g in plan.gauges if g.membrane == name]
        block, pairs = plan.blocks[name][0], len(m.area)

        ratios = [key for key in plan.ratios if key[0] == name]
        weighted = [k for k, g in enumerate(gauges) if g.weight is not None]
        channels = []
        for k, g in enumerate(gauges):
            gains = tuple((f, count, ratios.index(plan.ratios[r])) for f, count, r in g.spec.gains)
            weight = weighted.index(k) if k in weighted else -1
            channels.append(replace(g.spec, gains=gains, weight=weight))
        used = {f for c in channels for f, _, _ in c.gains} | {p.index for c in channels for p in c.ports if p.kind == "field"}
        sides = {}
        for f in sorted(used):
            region = plan.fields[f].region
            if region not in m.sides:
                told = f"a channel reads '{plan.fields[f].name}' of '{region}', which the membrane does not touch"
                raise InputError(f"membranes.{name}", f"{told}: scheme 'graph' cannot, expected 'columns' on this mesh (leave scheme= out)")
            sides[f] = (self.regions.index(region), self.fields[region].index(f), region == m.sides[0])
        kinetics = LocalKinetics((), tuple(channels), (), (), ())
        return source.Membrane(kinetics, (block.stop - block.start) // pairs, sides, tuple((k, i) for i, k in enumerate(weighted)))

    def take(self, state: State, h: float, steps: int, clock: Clock) -> None:
        """Take `steps` steps of length h [ms], in place."""
        plan, s = self.plan, self.sources
        for x, r in zip(self.values, self.regions, strict=True):
            for column, f in enumerate(self.fields[r]):
                x[:, column] = state.u[plan.fields[f].span]
        membranes = list(self.nothing)
        for (block, moved), (work, *rest) in zip(plan.blocks.values(), self.membrane_args, strict=True):
            y, amounts = (a.reshape(-1, work.shape[2]) for a in (state.y[block], state.moved[moved]))
            membranes.append((y, work, amounts, *rest))
        decays = [self._decays(state, r) for r in self.regions]
        decayed = tuple(np.array(rows).reshape(-1, len(x)) for rows, x in zip(decays, self.values, strict=True))
        self._keep(state)
        stages, advance = 0, graph_step.advance_parallel if self.parallel else graph_step.advance
        for _ in range(RETRIES):
            used, needed = advance(
                self.sites, self.scratch, state.limited, self.region_args, _turned(membranes), self.reacting, decayed,
                plan.parameters, self.nets, self.counts.reshape(len(self.counts), -1), s.buffer, self.where,
                s.course, s.target, s.start, s.node, s.rate,
                clock.times, clock.potential, state.t, h, steps, stages, self.bound, self.shared,
            )  # fmt: skip
            if needed <= used:
                break
            stages = needed
            self._restore(state, decayed)
        for rows, new in zip(decays, decayed, strict=True):
            for row, values in zip(rows, new, strict=True):
                row[:] = values
        for x, r in zip(self.values, self.regions, strict=True):
            for column, f in enumerate(self.fields[r]):
                state.u[plan.fields[f].span] = x[:, column]
        state.t += steps * h
        state.before = h


def _most_at_one_node(m: Membrane) -> int:
    """The largest number of pairs of a membrane that share a node."""
    sides = [m.inside] if m.sides[1] == OUTSIDE else [m.inside, m.outside]
    return max(int(np.bincount(nodes.astype(np.int64)).max()) if len(nodes) else 0 for nodes in sides)


def _turned(rows: Sequence[tuple[Any, ...]]) -> tuple[tuple[Any, ...], ...]:
    """Tuples over members instead of members with tuples."""
    return tuple(zip(*rows, strict=True))


def _nothing() -> tuple[Any, ...]:
    """A membrane without pairs: tuples of a compiled function need a member that tells their type."""
    none, nodes = np.zeros((0, 0)), np.zeros(0, np.uint32)
    return none, np.zeros((4, 0, 0)), none, none, none, (nodes, nodes), (np.zeros((0, 5), np.int64),) * 7, np.zeros(0)


def _arrays(rows: source.Rows) -> tuple[Any, Any]:
    """The rows of a membrane as the step takes them."""
    return (rows.reads, rows.states, rows.weights, rows.fluxes, rows.ratios, rows.speeds, rows.feeds), rows.counts


def _sites(module: Module, sites: Sequence[Any], membranes: int, regions: int) -> tuple[tuple[Any, ...], ...]:
    """Addresses of gates, fluxes and slopes by membrane, and of reactions by region; 0 where there is nothing to do."""
    known = {kernel.name: site for kernel, site in zip(module.kernels, sites, strict=True)}
    counts = {"gates": membranes, "flux": membranes, "slope": membranes, "react": regions}
    return tuple(tuple(known.get(f"{name}{k}", 0) for k in range(max(n, 1))) for name, n in counts.items())
