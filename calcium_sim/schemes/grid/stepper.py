"""The stepper of rotationally symmetric (z, r) grids: packs a plan for the generated kernels of `source`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compile import cache
from ...compile.continued import follows
from ...compile.kinetics import LocalKinetics
from ...compile.lanes import GAMMA
from ...errors import InputError
from ...kernels import axisymmetric, lines
from ...kernels.stimulus import fill_excess, table_value
from ...mesh import Axisymmetric, Floats, Membrane, Mesh
from ...plan.lower import Plan
from ...plan.specs import ChannelSpec, PortRef, Wants
from ...plan.state import Clock, State, pack_sources
from ..base import Scheme
from ..pacing import Walls
from .between import Follow
from .newton import AxisymmetricSpec, Point, Unknown
from .source import source

PARALLEL_FROM = 20000
"""Nodes from which a step is spread over threads, if more than one is asked for."""

Factors = tuple[Floats, tuple[Floats, ...], tuple[Floats, ...], Floats, Floats]


class GridStepper(Scheme):
    """Advances a state of a (z, r) grid: gates, membrane fluxes and radial diffusion jointly, the z direction and reactions split off.

    Raises
    ------
    InputError
        If a membrane does not lie at the first or last cell of every slice.
    """

    name = "grid"
    wants = Wants(continued=True, joint=True)
    calibration = 2.2
    phases = (
        ("diffusion along z over half a step (Peaceman-Rachford), and half of what stimuli bring", "kernels/lines.py"),
        ("buffers and decays over half a step (ROS2)", "compile/kinetics.py, in the generated file"),
        (
            "gates, membrane fluxes and radial diffusion together (SDIRK2), by Newton's method",
            "schemes/grid/newton.py, in the generated file",
        ),
        ("buffers and decays, stimuli and diffusion along z over the other half", "schemes/grid/source.py"),
    )
    hint = ", or the cells at the membrane are too wide for so steep a flux (lower dt=, tolerance= or radial_spacing=)"
    scheme = "Peaceman-Rachford along z | reactions ROS2 h/2 | SDIRK2 of gates, membrane fluxes and radial diffusion | reactions ROS2 h/2"

    @staticmethod
    def fits(mesh: Mesh) -> bool:
        """Coaxial regions on a uniform grid along the axis."""
        return isinstance(mesh.structure, Axisymmetric)

    def __init__(self, plan: Plan, *, parallel: bool | None = None) -> None:
        mesh = plan.model.mesh
        assert isinstance(mesh.structure, Axisymmetric)
        self.plan, self.grid = plan, mesh.structure
        self.region = [mesh.regions.index(f.region) for f in plan.fields]
        parallel = mesh.nodes >= PARALLEL_FROM if parallel is None else parallel
        self.spec = self._spec(parallel)
        made = source(self.spec)
        self.rows = made.rows
        self.shown = replace(self.spec, shown=True).watched()
        super().__init__(plan, parallel=parallel, networks=made.module.networks, look=self._walls)
        if any(follows(g.spec) for g in plan.gauges):
            self.scheme += " | networks of rates once per step, outputs continued"
        self.index = np.array([self._entries(p) for p in self.spec.points], np.int64).reshape(-1, self.grid.slices)
        self.near = np.array([self._wall(self.spec.points[q], j) for q, j in self.spec.coupling()])
        self.module, self.look = cache.load(made.step), cache.load(made.look).look
        self.sites = cache.sites(made.module.text(), made.module.kernels)
        self.generated = (cache.file_of(made.module.text()), cache.file_of(made.step))
        self.sources = pack_sources(plan, 0)
        self.entering = self._entering()
        weights = [g.weight for g in plan.gauges if g.weight is not None]
        self.weights = np.array(weights).reshape(-1, self.grid.slices)
        self.factors: dict[float, Factors] = {}
        self.layout = self._layout()

    def _spec(self, parallel: bool) -> AxisymmetricSpec:
        plan, n = self.plan, self.grid.slices
        weighted = [m for m, g in enumerate(plan.gauges) if g.weight is not None]
        channels = tuple(_rows(g.spec, n, weighted.index(m) if m in weighted else -1) for m, g in enumerate(plan.gauges))
        points = self._points()
        unknowns = self._unknowns()
        moved = {f for u in unknowns for f, _ in u.feeds}
        kept = tuple(f for f, field in enumerate(plan.fields) if field.diffusion > 0 or f in moved)
        return AxisymmetricSpec(
            region=tuple(self.region),
            lines=kept,
            channels=channels,
            points=points,
            unknowns=unknowns,
            interior=self._interior(),
            states=len(plan.y0) // n,
            follow=self._follow(points, channels),
            weights=tuple((m, k) for k, m in enumerate(weighted)),
            fed=self._fed(points),
            parallel=parallel,
        )

    def _entries(self, p: Point) -> NDArray[np.int64]:
        """Entries of u at the nodes of a point, one per slice."""
        cells = self.grid.cells[self.region[p.field]]
        return self.plan.fields[p.field].span.start + np.arange(self.grid.slices) * cells + (cells - 1 if p.last else 0)

    def _last(self, membrane: str, region: str) -> bool:
        """Whether a membrane lies at the last cell of a region (or else at the first)."""
        mesh, grid = self.plan.model.mesh, self.grid
        m: Membrane = mesh.membranes[membrane]
        r = mesh.regions.index(region)
        nodes = (m.inside if m.sides[0] == region else m.outside).astype(np.int64)
        first = mesh.start[r] + grid.cells[r] * np.arange(grid.slices)
        for last, expected in ((True, first + grid.cells[r] - 1), (False, first)):
            if np.array_equal(nodes, expected):
                return last
        raise InputError(f"mesh.membranes.{membrane}", f"on a (z, r) grid, pair k must be the first or last cell of '{region}' in slice k")

    def _points(self) -> tuple[Point, ...]:
        """Every field that a channel reads or moves, at its membrane."""
        found: dict[tuple[int, int], Point] = {}
        for g in self.plan.gauges:
            read = [p.index for p in g.spec.ports if p.kind == "field"] + [f for f, _, _ in g.spec.gains]
            read += [f for f, _, rate in self.plan.tracked for p in g.spec.ports if p.kind == "rate" and p.index == rate.start]
            for f in read:
                key = (g.spec.membrane, f)
                if key not in found:
                    found[key] = Point(*key, self._last(g.membrane, self.plan.fields[f].region))
        return tuple(found.values())

    def _unknowns(self) -> tuple[Unknown, ...]:
        """One flux per membrane and species moved, positive from the inside out."""
        out: dict[tuple[str, str], tuple[dict[int, int], dict[int, int]]] = {}
        fields = self.plan.fields
        for m, g in enumerate(self.plan.gauges):
            inside = self.plan.model.mesh.membranes[g.membrane].sides[0]
            for f, count, _ in g.spec.gains:
                sign = -1 if fields[f].region == inside else 1
                feeds, carriers = out.setdefault((g.membrane, fields[f].name), ({}, {}))
                feeds[f], carriers[m] = sign, sign * count
        return tuple(Unknown(tuple(feeds.items()), tuple(carriers.items())) for feeds, carriers in out.values())

    def _fed(self, points: tuple[Point, ...]) -> tuple[int, ...]:
        """Points on membranes through which a stimulus enters."""
        entered = {(s.through, s.field) for s in self.plan.sources}
        return tuple(q for q, p in enumerate(points) if self._at(p) in entered and self.plan.fields[p.field].diffusion > 0)

    def _entering(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Floats]:
        """What each stimulus adds to the concentration on the membrane through which it enters: see `kernels.stimulus.fill_excess`."""
        mesh, first = self.plan.model.mesh, [0]
        rows: list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]] = []
        for s in self.plan.sources:
            place = [q for q in self.spec.fed if s.through is not None and self._at(self.spec.points[q]) == (s.through, s.field)]
            f = self.plan.fields[s.field]
            slices = (s.index // self.grid.cells[self.region[s.field]]).astype(np.int64)
            for q in place:
                flux = s.rate * f.volume[s.index] / mesh.membranes[str(s.through)].area[slices]
                rows.append((np.full(len(slices), q), slices, flux * self._half_cell(self.spec.points[q])))
            first.append(first[-1] + len(slices) * len(place))
        point, slices, value = (np.concatenate([row[k] for row in rows]) if rows else np.zeros(0, np.int64) for k in range(3))
        return np.array(first, np.int64), point.astype(np.int64), slices.astype(np.int64), value.astype(float)

    def _at(self, p: Point) -> tuple[str, int]:
        """Membrane and field of a point."""
        return list(self.plan.model.membranes)[p.membrane], p.field

    def _interior(self) -> tuple[tuple[int, LocalKinetics], ...]:
        plan, out = self.plan, []
        for r in range(len(self.grid.cells)):
            bindings = tuple(b for b in plan.bindings if self.region[b.free] == r)
            decays = tuple(d for d in plan.decays if self.region[d.field] == r)
            fields = sorted({f for b in bindings for f in (b.free, b.ligand)} | {d.field for d in decays})
            if fields:
                out.append((r, LocalKinetics(tuple(fields), (), bindings, decays, ())))
        return tuple(out)

    def _follow(self, points: tuple[Point, ...], channels: tuple[ChannelSpec, ...]) -> tuple[Follow, ...]:
        n, out = self.grid.slices, []
        for f, last, rate in self.plan.tracked:
            readers = {c.membrane for c in channels for p in c.ports if follows(c) and p.kind == "rate" and p.index == rate.start // n}
            place = [q for q, p in enumerate(points) if p.field == f and p.membrane in readers]
            if not place:
                continue
            out.append(Follow(place[0], last.start // n, rate.start // n))
        return tuple(out)

    def _layout(self) -> tuple[Any, ...]:
        """Where things lie: fields in u, cells per region, tiles in the scratch array, amounts, tiles of each region's reactions."""
        plan, spec, cells = self.plan, self.spec, self.grid.cells
        decays = [d.field for _, k in spec.interior for d in k.decays]
        tiles = [*range(len(plan.fields)), *spec.lines, *decays]
        sizes = [lines.SLICES * cells[self.region[f]] for f in tiles]
        at = np.concatenate([[0], np.cumsum(sizes)]).astype(np.uint64)
        base, inner = len(plan.fields) + len(spec.lines), []
        for _, k in spec.interior:
            where = [*k.fields, *(base + decays.index(d.field) for d in k.decays)]
            inner.append(at[where].copy())
        moved = {d.field: s for d, s in zip(plan.decays, plan.decay_moved, strict=True)}
        booked = [g.moved.start for g in plan.gauges] + [moved[f].start for f in decays]
        start = np.array([f.span.start for f in plan.fields], np.uint64)
        mobile = [f for f, field in enumerate(plan.fields) if field.diffusion > 0]
        fed = start[list(self.sources.fields)]
        return (
            start, at, np.array(cells, np.uint64), np.array(booked, np.uint64), tuple(inner), int(at[-1]),
            start[mobile], np.array([cells[self.region[f]] for f in mobile], np.uint64), fed, mobile,
        )  # fmt: skip

    def _factor(self, h: float) -> Factors:
        """Everything that depends on the step: couplings K, line factors, responses, numbers and factors of the half steps along z."""
        if h in self.factors:
            return self.factors[h]
        if len(self.factors) > 64:
            self.factors.clear()
        plan, spec, grid = self.plan, self.spec, self.grid
        across = tuple(lines.line_factor(grid.radii[self.region[f]], plan.fields[f].diffusion, h) for f in spec.lines)
        responses = tuple(self._responses(f, across[n], h) for n, f in enumerate(spec.lines))
        coupling = []
        for q, j in spec.coupling():
            p = spec.points[q]
            row = spec.responses(p.field).index(j)
            coupling.append(responses[spec.lines.index(p.field)][row, -1 if p.last else 0] + self._wall(p, j))
        diffusion = [plan.fields[f].diffusion for f in self.layout[-1]]
        numbers = np.array([0.5 * h * d / grid.spacing**2 for d in diffusion])
        halves = np.array([lines.half_factor(grid.slices, d, grid.spacing, h) for d in diffusion]).reshape(-1, 4, grid.slices)
        self.factors[h] = (np.array(coupling), across, responses, numbers, halves)
        return self.factors[h]

    def _wall(self, p: Point, j: int) -> float:
        """What a unit flux adds to the concentration on the membrane itself, half a cell away from the node.

        Channels see the concentration at the membrane: with that of the node, a wave converges in the radial spacing at first order only.
        """
        spec, diffusion = self.spec, self.plan.fields[p.field].diffusion
        if diffusion == 0 or spec.channels[spec.unknowns[j].carriers[0][0]].membrane != p.membrane:
            return 0.0
        return float(dict(spec.unknowns[j].feeds)[p.field] * self._half_cell(p))

    def _half_cell(self, p: Point) -> float:
        """Difference between membrane and node that a unit flux [uM um/ms] into the field makes [ms/um]."""
        radii = self.grid.radii[self.region[p.field]]
        width = radii[-1] - radii[-2] if p.last else radii[1] - radii[0]
        return float(0.5 * width / self.plan.fields[p.field].diffusion)

    def _responses(self, f: int, factors: Floats, h: float) -> Floats:
        """Change of a line of field f by each unit flux that feeds it."""
        spec, out = self.spec, []
        radii = self.grid.radii[self.region[f]]
        for j in spec.responses(f):
            membranes = {spec.channels[m].membrane for m, _ in spec.unknowns[j].carriers}
            last = spec.points[spec.point(membranes.pop(), f)].last
            amount = GAMMA * h * dict(spec.unknowns[j].feeds)[f] * radii[-1 if last else 0]
            out.append(lines.line_response(factors, len(radii) - 2 if last else 0, amount))
        return np.array(out).reshape(-1, len(radii) - 1)

    def take(self, state: State, h: float, steps: int, clock: Clock) -> None:
        """Take `steps` steps of length h [ms], in place."""
        if not self.torch.relaxing():
            self._advance(state, h, steps, clock)
            return
        for k in range(steps):
            if k == 0 and not self._as_seen(state):
                self.torch.renew(state, 0.0, self._walls(state, clock))
            self._advance(state, h, 1, clock)
            self.torch.renew(state, h, self._walls(state, clock))
            self._as_seen(state)

    def _as_seen(self, state: State) -> bool:
        """Whether the nodes are as they were when the networks that run in torch were evaluated; they are taken down."""
        same = True
        for g, _ in self.torch.relaxing():
            rows, kept = self.torch.memory(g, state)
            same &= bool((kept[rows.known] > 0).all())
            for j, f in enumerate(rows.fields):
                now = state.u[self.index[self.spec.point(g.spec.membrane, f)]]
                same &= bool((kept[rows.node(j)] == now).all())
                kept[rows.node(j)] = now
        return same

    def _walls(self, state: State, clock: Clock) -> Walls:
        """Concentrations on the membranes by (membrane, field)."""
        return self.walls(state, float(table_value(clock.times, clock.potential, state.t)))

    def walls(self, state: State, v: float) -> Walls:
        """The same at a potential [mV], of all membranes with networks or channels that show an open probability."""
        entering = np.zeros(self.index.shape)
        fill_excess(entering, self.sources.course, *self.entering, state.t)
        given = (state.u, state.y.reshape(-1, self.grid.slices), self.plan.parameters, self.weights, self.near, self.index, entering)
        wall = self.look(*given, state.t, v)
        return {(self.spec.points[q].membrane, self.spec.points[q].field): wall[q] for q in self.shown}

    def _advance(self, state: State, h: float, steps: int, clock: Clock) -> None:
        s, n = self.sources, self.grid.slices
        start, at, cells, booked, inner, size, mobile, mobile_cells, fed, _ = self.layout
        coupling, across, responses, numbers, halves = self._factor(h)
        rows = tuple(np.array(r, np.uint64) for r in self.rows)
        work = axisymmetric.workspace(n, 1)
        self.module.advance(
            self.sites, state.u,
            state.y.reshape(-1, n), state.moved, self.weights, self.plan.parameters, coupling, start, at, cells, booked,
            across, responses, rows, inner, np.uint64(n), size, mobile, mobile_cells, numbers, halves, work,
            self.nets, self.counts, self.index, self.near, fed, s.course, s.target,
            s.start, s.node, s.rate, self.entering, clock.times, clock.potential, state.t, h, state.before, steps,
        )  # fmt: skip
        state.t += steps * h
        state.before = h


def _rows(c: ChannelSpec, n: int, weight: int) -> ChannelSpec:
    """Offsets into the flat state array become rows of its (rows, n) view."""
    ports = tuple(PortRef(p.kind, p.index // n) if p.kind == "rate" else p for p in c.ports)
    return replace(c, state=c.state // n, ports=ports, weight=weight, memory=c.memory // n)
