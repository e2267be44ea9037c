"""The stepper of rotationally symmetric (z, r) grids: packs a plan for the generated kernels of `source`."""

from __future__ import annotations

from dataclasses import fields as dataclass_fields
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compile import cache
from ...compile.continued import follows
from ...compile.kinetics import LocalKinetics
from ...compile.lanes import GAMMA
from ...errors import InputError
from ...kernels import axisymmetric, grid_step, lines
from ...kernels.lines import SLICES
from ...kernels.stimulus import fill_excess, table_value
from ...mesh import Axisymmetric, Floats, Membrane, Mesh
from ...plan.lower import Plan
from ...plan.specs import ChannelSpec, Wants
from ...plan.state import Clock, State, beside, pack_sources
from ..base import PARALLEL_FROM, Scheme
from ..pacing import Walls
from .between import Follow
from .newton import AxisymmetricSpec, Point, Unknown
from .source import Layout, Source, gated, read, source, table

Factors = tuple[Floats, tuple[Any, ...], Floats, Floats]


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
        ("buffers and decays, stimuli and diffusion along z over the other half", "kernels/grid_step.py"),
    )
    hint = ", or the cells at the membrane are too wide for so steep a flux (lower radial_spacing=)"
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
        self.spec = self._spec()
        made = source(self.spec)
        self.shown = replace(self.spec, shown=True).watched()
        super().__init__(plan, parallel=parallel, networks=made.module.networks, look=self._walls)
        if any(follows(g.spec) for g in plan.gauges):
            self.scheme += " | networks of rates once per step, outputs continued"
        self.index = np.array([self._entries(p) for p in self.spec.points], np.int64).reshape(-1, self.grid.slices)
        self.near = np.array([self._wall(self.spec.points[q], j) for q, j in self.spec.coupling()])
        text = made.module.text()
        self.generated = (cache.file_of(text),)
        known = dict(zip((k.name for k in made.module.kernels), cache.sites(text, made.module.kernels), strict=True))
        self.sites = tuple(known.get(name, 0) for name in ("begin", "newton", "middle", "finish", "meet", "look"))
        self.reactions = tuple(known.get(f"react{n}", 0) for n in range(max(1, len(self.spec.interior))))
        self.scratch = np.empty(made.module.scratch())
        self.met, self.looked = ((x.points, x.followed, x.kept, x.weighted) for x in (made.met, made.looked))
        self.sources = pack_sources(plan, 0)
        self.entering = self._entering()
        weights = [g.weight for g in plan.gauges if g.weight is not None]
        self.weights = np.array(weights).reshape(-1, self.grid.slices)
        self.factors: dict[float, Factors] = {}
        self.layout = self._layout(made)
        tiles = grid_step.tiles(self.grid.slices) if parallel else 1  # without threads one stays in the cache
        self.tiles = np.zeros((tiles, self.sizes[-1])), np.zeros((tiles, made.lanes.size))
        s = self.sources
        self.stimuli = (self.layout[0][list(s.fields)], s.course, s.target, s.start, s.node, s.rate, *self.entering)
        self.beside = self.index, *(np.zeros(self.index.shape) for _ in range(4))
        self.work = axisymmetric.workspace(self.grid.slices, 1)
        self.learned = self.nets, self.counts.reshape(len(self.counts), -1)

    def _spec(self) -> AxisymmetricSpec:
        plan = self.plan
        weighted = [m for m, g in enumerate(plan.gauges) if g.weight is not None]
        channels = tuple(
            replace(g.spec.raised(plan.first_row(g.membrane)), weight=weighted.index(m) if m in weighted else -1)
            for m, g in enumerate(plan.gauges)
        )
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
            follow=self._follow(points, channels),
            weights=tuple((m, k) for k, m in enumerate(weighted)),
            fed=self._fed(points),
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
            rates = [p.index for p in g.spec.ports if p.kind == "rate"]
            read += [t.field for t in self.plan.tracked if t.membrane == g.membrane and t.rate() in rates]
            for f in read:
                key = (g.spec.membrane, f)
                if key not in found:
                    found[key] = Point(*key, self._last(g.membrane, self.plan.fields[f].region))
        return tuple(found.values())

    def _unknowns(self) -> tuple[Unknown, ...]:
        """One flux per membrane and species moved, positive from the inside out."""
        out: dict[tuple[str, str], tuple[dict[int, int], dict[int, float]]] = {}
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
                flux = s.rate * f.capacity[s.index] / mesh.membranes[str(s.through)].area[slices]
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
        out = []
        for t in self.plan.tracked:
            row = t.row + self.plan.first_row(t.membrane)
            readers = {c.membrane for c in channels for p in c.ports if follows(c) and p.kind == "rate" and p.index == row + 1}
            place = [q for q, p in enumerate(points) if p.field == t.field and p.membrane in readers]
            if not place:
                continue
            out.append(Follow(place[0], row, row + 1))
        return tuple(out)

    def _layout(self, made: Source) -> tuple[Any, ...]:
        """Where things lie, see `source.Layout`."""
        plan, spec, lanes, cells = self.plan, self.spec, made.lanes, self.grid.cells
        decays = [d for _, k in spec.interior for d in k.decays]
        tiles = [*range(len(plan.fields)), *spec.lines, *(d.field for d in decays)]
        self.sizes = np.cumsum([0, *(SLICES * cells[self.region[f]] for f in tiles)])
        moved = {d.field: s for d, s in zip(plan.decays, plan.decay_moved, strict=True)}
        first = len(plan.fields) + len(spec.lines)
        mobile = [f for f, field in enumerate(plan.fields) if field.diffusion > 0]
        points = [
            (lanes.row(f"c{q}"), lanes.row(f"p{q}"), p.field, int(p.last), self._line(p.field), int(q in spec.fed))
            for q, p in enumerate(spec.points)
        ]
        none = [table([], 3)], [table([], 2)]
        fields, booked = (list(t) for t in zip(*made.inner, strict=True)) if made.inner else none
        whole = Layout(
            start=table([f.span.start for f in plan.fields]),
            at=table(tuple(self.sizes)),
            region=table(tuple(self.region)),
            cells=table(tuple(cells)),
            lines=table(spec.lines),
            read=table([(lanes.row(f"yn{r}"), r) for r in read(spec)], 2),
            weighted=table([(lanes.row(f"weight{m}"), row) for m, row in spec.weights], 2),
            points=table(points, 6),
            inner=table([region for region, _ in spec.interior] or [0]),
            fields=tuple(fields),
            decays=tuple(booked),
            rows=tuple(table([lanes.row(f"J{j}") for j in spec.responses(f)]) for f in spec.lines) or (table([]),),
            gated=table([(lanes.row(f"ys{r}"), r) for r in gated(spec)], 2),
            carried=table([(lanes.row(f"A{m}"), g.moved.start) for m, g in enumerate(plan.gauges)], 2),
            decayed=table([(first + k, moved[d.field].start, self.region[d.field]) for k, d in enumerate(decays)], 3),
            mobile=table(mobile),
        )
        self.many = whole.fields, whole.decays, whole.rows
        return tuple(a for f in dataclass_fields(Layout) if isinstance(a := getattr(whole, f.name), np.ndarray))

    def _line(self, field: int) -> int:
        """Number of the radial line of a field, or how many there are."""
        lines = self.spec.lines
        return lines.index(field) if field in lines else len(lines)

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
        diffusion = [f.diffusion for f in plan.fields if f.diffusion > 0]
        numbers = np.array([0.5 * h * d / grid.spacing**2 for d in diffusion])
        halves = np.array([lines.half_factor(grid.slices, d, grid.spacing, h) for d in diffusion]).reshape(-1, 4, grid.slices)
        nothing = (np.zeros((4, 1)),), (np.zeros((0, 1)),)
        self.factors[h] = np.array(coupling), (*((across, responses) if across else nothing), *self.many), numbers, halves
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
            if k == 0 and state.behind == 0.0 and not self._as_seen(state):
                self.torch.renew(state, 0.0, self._walls(state, clock, beside(state.t, h)))
            elapsed = state.behind + h
            self._advance(state, h, 1, clock)
            if state.behind == 0.0:
                self.torch.renew(state, elapsed, self._walls(state, clock, beside(state.t, h)))
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

    def _walls(self, state: State, clock: Clock, away: float) -> Walls:
        """Concentrations on the membranes by (membrane, field), so long after the time of a state, or before it [ms].

        What enters through a membrane may begin or end at that time, or within round-off of it: without a side it would be chance on which
        of the two one looks.
        """
        t = state.t + away
        return self._seen_at(state, t, float(table_value(clock.times, clock.potential, t)))

    def walls(self, state: State, v: float) -> Walls:
        """The same at a potential [mV], of all membranes with networks or channels that show an open probability."""
        return self._seen_at(state, state.t, v)

    def _seen_at(self, state: State, t: float, v: float) -> Walls:
        entering = np.zeros(self.index.shape)
        fill_excess(entering, self.sources.course, *self.entering, t)
        if not self.shown:
            return {}
        given = self.weights, self.plan.parameters, self.near, self.near
        rows = [state.y[p.part].copy() for p in self.plan.placed]
        self.place(state, t)
        wall = grid_step.look(self.sites[5], self.scratch, self._state(state), given, self.looked, self.index, entering, t, v)
        for p, row in zip(self.plan.placed, rows, strict=True):
            state.y[p.part] = row
        return {(self.spec.points[q].membrane, self.spec.points[q].field): wall[q] for q in self.shown}

    def _state(self, state: State) -> tuple[Floats, Floats, Floats]:
        return state.u, state.y.reshape(-1, self.grid.slices), state.moved

    def _advance(self, state: State, h: float, steps: int, clock: Clock) -> None:
        coupling, solve, numbers, halves = self._factor(h)
        self.beside[2][:] = 0.0
        given = self._state(state), (self.weights, self.plan.parameters, coupling, self.near)
        advance = grid_step.advance_parallel if self.parallel else grid_step.advance
        state.behind, state.seen = advance(
            self.sites, self.reactions, *given, self.layout, self.met, solve, self.beside, self.stimuli, numbers, halves,
            self.tiles, self.scratch, self.work, *self.learned, clock.times, clock.potential, state.t, h, (state.behind, state.seen), steps,
        )  # fmt: skip
        state.t += steps * h
        state.before = h
