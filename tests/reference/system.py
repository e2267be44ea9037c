"""The right-hand side of the method of lines: diffusion, buffers, decays, stimuli, gates and membrane fluxes, in numpy.

Three things are solved inside the right-hand side, each as it is defined and without any notion of a time step:

* **(z, r) grids**: channels see the concentration on the wall, half a cell from the node, where the flux through the wall makes it
  differ by J (half a cell)/D (docs/design.md). J is the sum of what stimuli bring through the membrane and of what all its channels
  carry at these very concentrations: Newton's method, one unknown per membrane, species and slice, kept where concentrations on the wall
  are above zero (below, c/(k + c) has solutions that mean nothing). Node values are used where D = 0 or where nothing crosses.
* **Ports d(ca@...)**: the rate of change is the right-hand side itself at that node (on (z, r) grids that of the wall concentration,
  by a central difference along the flow). Gates read it; where a flux depends on it, it is implicit, and solved by Steffensen's method
  (not on (z, r) grids: there such a flux would be a differential equation of its own).
* **Stimuli**: an influx adds flux x course(t) x area/volume; a `Set` is carried out between two stretches of the integration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import FunctionType, SimpleNamespace

import numpy as np

from calcium_sim.mesh import Axisymmetric
from calcium_sim.model.stimuli import Influx

from .parts import Parts

ALONG = 3e-5
"""Half width [ms] of the central difference that gives the rate of change of a wall concentration."""


def course(s: Influx, t: float) -> float:
    """Height of a train of unit pulses at time t; at an edge that of the pulse that begins."""
    since = t - s.start
    if since < 0:
        return 0.0
    if s.period is not None:
        since -= s.period * min(int(since // s.period), s.count - 1)
    if since >= s.duration:
        return 0.0
    part = since / s.duration
    return {"square": 1.0, "ramp-down": 1.0 - part, "triangle": 2.0 * min(part, 1.0 - part)}[s.shape]


def injected(s: Influx) -> float:
    """Integral of the whole train of unit pulses [ms]."""
    return s.count * s.duration * (1.0 if s.shape == "square" else 0.5)


def _power(x, n):
    return np.where(x > 0, np.abs(x) ** n, 0.0)


def _hill(x, k, n):
    up = _power(x / k, n)
    return up / (1.0 + up)


ON_ARRAYS = {"math": np, "power": _power, "hill": _hill}
"""What takes the place of these names in a channel's function, so that it runs on arrays."""


def on_arrays(function):
    """A channel's own function with the names of `ON_ARRAYS` exchanged, called as ``f(n, y, x, p)``; pair by pair where that fails."""
    f = FunctionType(function.__code__, {**function.__globals__, **ON_ARRAYS}, closure=function.__closure__)
    scalar = False

    def call(n, *spaces):
        nonlocal scalar
        if not scalar:
            try:
                return f(*spaces)
            except (TypeError, ValueError):  # branches on an array
                scalar = True
        rows = [
            function(*(SimpleNamespace(**{m: float(v[k]) if np.ndim(v) else v for m, v in vars(s).items()}) for s in spaces))
            for k in range(n)
        ]
        return tuple(np.array(c) for c in zip(*rows, strict=True)) if isinstance(rows[0], tuple) else np.array(rows)

    return call


@dataclass
class Wall:
    """A species that crosses a membrane: the flux toward the membrane's first side and what it does to concentrations on the wall.

    `reach` is half a cell over D per field, with the sign of the side; `carriers` are (current, amount per unit flux toward that side).
    """

    reach: dict[int, float]
    carriers: list[tuple[int, float]]

    @property
    def furthest(self) -> float:
        """The larger reach of the two sides."""
        return max(abs(r) for r in self.reach.values())


class System:
    """dz/dt of z = (u, y). After a call, `flux` holds the flux density of every channel and pair [uM um/ms], weights included."""

    def __init__(self, model) -> None:
        self.model, self.parts = model, Parts(model)
        parts = self.parts
        self.n, self.z0 = parts.size, np.concatenate([parts.u0, parts.y0])
        self.flux = np.zeros(parts.flows)
        self.change = [np.zeros(len(r.entries)) for r in parts.rates]
        self.entries = [
            {p.field: parts.entries(c.membrane, p.field) for p in c.ports.values() if p.kind == "field"} for c in parts.currents
        ]
        self.function = [(on_arrays(c.cls.flux), on_arrays(c.cls.rates) if c.states else None) for c in parts.currents]
        self.walls = {name: self._walls(name) for name in model.membranes}
        self.across = {name: np.zeros((len(w), len(parts.mesh.membranes[name].area))) for name, w in self.walls.items()}
        self.slope: dict[str, np.ndarray] = {}
        self.influx = self._influxes()
        self.entering = self._entering()
        self.buffers = [(b, self._at(b.name, b.region), self._at(b.binds, b.region)) for b in model.buffers]
        self.decays = [
            (s.decay, s.rest[f.region] if s.rest and f.region in s.rest else s.initial[f.region], f)
            for s in model.species for f in parts.fields if s.decay > 0 and f.name == s.name
        ]  # fmt: skip

    def _at(self, name: str, region: str) -> slice:
        return self.parts.fields[self.parts.find(name, region)].at

    def _influxes(self):
        """(stimulus, entries of u, uM/ms at unit course, uM um^3/ms at unit course) of every influx."""
        out, mesh = [], self.parts.mesh
        for s in self.model.stimuli:
            if not isinstance(s, Influx):
                continue
            if s.through is None:
                nodes, area = mesh.faces[s.at].nodes.astype(np.int64), mesh.faces[s.at].area
            else:
                m = mesh.membranes[s.through]
                nodes, area = (m.inside if m.sides[0] == s.region else m.outside).astype(np.int64), m.area
                chosen = np.ones(len(nodes), bool) if s.at is None else np.asarray(s.at(*mesh.position[nodes].T), bool)
                nodes, area = nodes[chosen], area[chosen]
            f = self.parts.fields[self.parts.find(s.species, s.region)]
            out.append((s, nodes - f.nodes.start + f.at.start, s.flux * area / mesh.volume[nodes], float(s.flux * area.sum())))
        return out

    def _entering(self):
        """(stimulus, membrane, field, what it adds to the concentration on the wall at each pair, at unit course) on (z, r) grids."""
        out, mesh = [], self.parts.mesh
        for s, entries, rate, _ in self.influx:
            if s.through is None or not isinstance(mesh.structure, Axisymmetric):
                continue
            m, i = mesh.membranes[s.through], self.parts.find(s.species, s.region)
            reach, f = self._reach(i, m.inside if m.sides[0] == s.region else m.outside), self.parts.fields[i]
            at = (m.inside if m.sides[0] == s.region else m.outside).astype(np.int64) - f.nodes.start + f.at.start
            density = np.zeros(len(m.area))
            here = np.isin(at, entries)
            density[here] = rate * mesh.volume[at[here] - f.at.start + f.nodes.start] / m.area[here]
            out.append((s, s.through, i, reach * density))
        return out

    def _reach(self, i: int, nodes) -> float:
        """Half a cell over D of a field at a membrane [ms/um], 0 where it does not diffuse."""
        parts, f = self.parts, self.parts.fields[i]
        if f.diffusion <= 0:
            return 0.0
        radii = parts.mesh.structure.radii[parts.mesh.regions.index(f.region)]
        outer = int(nodes[0]) == parts.span(f.region).start + len(radii) - 2  # the last cell of the first slice
        return 0.5 * (radii[-1] - radii[-2] if outer else radii[1] - radii[0]) / f.diffusion

    def _walls(self, membrane: str) -> list[Wall]:
        parts, grid, out = self.parts, self.parts.mesh.structure, []
        if not isinstance(grid, Axisymmetric):
            return out
        m = parts.mesh.membranes[membrane]
        here = [(k, c) for k, c in enumerate(parts.currents) if c.membrane == membrane]
        for species in dict.fromkeys(s for _, c in here for s in c.moves):
            reach = {}
            for region, nodes, sign in zip(m.sides, (m.inside, m.outside), (1.0, -1.0), strict=True):
                i = parts.find(species, region)
                if i >= 0 and parts.fields[i].diffusion > 0:
                    reach[i] = sign * self._reach(i, nodes)
            carriers = [(k, c.moves[species] * (1.0 if c.way[1] == m.sides[0] else -1.0)) for k, c in here if species in c.moves]
            if reach:
                out.append(Wall(reach, carriers))
        return out

    def _spaces(self, k: int, u, y, t, v, change, across):
        """States, ports and parameters of channel k as namespaces of arrays over its pairs."""
        c, x = self.parts.currents[k], {}
        for name, port in c.ports.items():
            if port.kind == "field":
                x[name] = self._seen(c.membrane, port.field, u[self.entries[k][port.field]], t, across[c.membrane])
            else:
                x[name] = v if port.kind == "v" else t if port.kind == "t" else change[port.rate] if port.kind == "rate" else port.value
        return SimpleNamespace(**{n: y[s] for n, s in c.states.items()}), SimpleNamespace(**x), c.p

    def _seen(self, membrane: str, field: int, value, t, j):
        """What channels see of a field whose nodes hold `value`, at fluxes j on the walls."""
        for wall, flux in zip(self.walls[membrane], j, strict=True):
            if field in wall.reach:
                value = value + wall.reach[field] * flux
        for s, name, number, added in self.entering:
            if (name, number) == (membrane, field):
                value = value + course(s, t) * added
        return value

    def _kept_above_zero(self, membrane: str, u, t, j, step):
        """The part of a step of Newton's method, pair by pair, that takes no concentration on a wall from above zero to below."""
        part = np.ones(j.shape[1])
        for wall, change in zip(self.walls[membrane], step, strict=True):
            for field, reach in wall.reach.items():
                before = self._seen(membrane, field, u[self.parts.entries(membrane, field)], t, j)
                falls = (before > 0) & (before + reach * change < 0)
                part = np.where(falls, np.minimum(part, 0.9 * before / np.where(falls, -reach * change, 1.0)), part)
        return part

    def _carried(self, membrane: str, u, y, t, v, change, across) -> dict[int, np.ndarray]:
        """Flux density of every channel of a membrane at given fluxes across it."""
        out = {}
        for k, c in enumerate(self.parts.currents):
            if c.membrane == membrane:
                out[k] = self.function[k][0](len(c.weight), *self._spaces(k, u, y, t, v, change, across)) * c.weight
        return out

    def _net(self, membrane, j, u, y, t, v, change):
        """Flux of every channel of a membrane and of every species toward its first side, at given fluxes j on the walls."""
        carried = self._carried(membrane, u, y, t, v, change, {membrane: j})
        sums = [sum(count * carried[k] for k, count in w.carriers) for w in self.walls[membrane]]
        return carried, np.array(sums).reshape(j.shape)

    def _slope(self, membrane, j, total, *state):
        """d net/d j, shape (pairs, species, species)."""
        slope = np.zeros((j.shape[1], len(j), len(j)))
        for a, wall in enumerate(self.walls[membrane]):
            step = np.zeros_like(j)
            step[a] = 1e-7 * (np.abs(j[a]) + 1e-2 / wall.furthest)
            slope[:, :, a] = ((self._net(membrane, j + step, *state)[1] - total) / step[a]).T
        return slope

    def _fluxes(self, u, y, t, v, change):
        """All fluxes, with those on walls solved for by Newton's method; a slope serves until it brings no more."""
        flux, across, state = np.zeros(self.parts.flows), {}, (u, y, t, v, change)
        for membrane, walls in self.walls.items():
            j = self.across[membrane] * self._kept_above_zero(membrane, u, t, 0.0 * self.across[membrane], self.across[membrane])
            carried, total = self._net(membrane, j, *state)
            reach, worst = np.array([w.furthest for w in walls])[:, None], math.inf
            for _ in range(120):
                if not walls or (np.abs(total - j) * reach < 1e-13 + 1e-12 * np.abs(j) * reach).all():
                    break
                last, worst = worst, float((np.abs(total - j) * reach).max())
                if membrane not in self.slope or not worst < 0.1 * last < math.inf:
                    self.slope[membrane] = np.linalg.inv(self._slope(membrane, j, total, *state) - np.eye(len(j)))
                step = -(self.slope[membrane] @ (total - j).T[:, :, None])[:, :, 0].T
                j = j + self._kept_above_zero(membrane, u, t, j, step) * step
                carried, total = self._net(membrane, j, *state)
            else:
                raise ArithmeticError(f"no flux through '{membrane}' found at t={t:g} ms: half a cell is too wide for its slope")
            across[membrane] = j
            for k, values in carried.items():
                flux[self.parts.currents[k].pairs] = values
        return flux, across

    def _derivative(self, u, y, t, v, flux, across, change):
        du = self.parts.diffusion @ u + self.parts.gain @ flux
        for b, free, ligand in self.buffers:
            released = b.koff * (b.total - u[free]) - b.kon * u[free] * u[ligand]
            du[free] += released
            du[ligand] += released
        for rate, rest, f in self.decays:
            du[f.at] -= rate * (u[f.at] - rest)
        for s, entries, rate, _ in self.influx:
            du[entries] += course(s, t) * rate
        dy = np.zeros(len(y))
        for k, c in enumerate(self.parts.currents):
            if c.states:
                values = self.function[k][1](len(c.weight), *self._spaces(k, u, y, t, v, change, across))
                for part, value in zip(c.states.values(), values, strict=True):
                    dy[part] = value
        return du, dy

    def __call__(self, t: float, z: np.ndarray) -> np.ndarray:
        """dz/dt."""
        u, y, v = z[: self.n], z[self.n :], self.parts.potential(t)
        du, dy, flux, _, change = self._with_changes(u, y, t, v) if self.change else self._once(u, y, t, v, [])
        self.flux, self.change = flux, change
        return np.concatenate([du, dy])

    def _once(self, u, y, t, v, change):
        flux, across = self._fluxes(u, y, t, v, change)
        self.across = across  # to begin with, next time
        return (*self._derivative(u, y, t, v, flux, across, change), flux, across, change)

    def _with_changes(self, u, y, t, v):
        """Rates of change that are their own right-hand side: a fixed point, by Steffensen's method at every pair."""
        cuts = np.cumsum([len(r.entries) for r in self.parts.rates])[:-1]

        def image(d):
            found = self._once(u, y, t, v, np.split(d, cuts))
            return found, np.concatenate([self._seen_change(r, u, y, t, found) for r in self.parts.rates])

        d, noise = np.concatenate(self.change), 1e-9 if any(self.walls.values()) else 1e-15  # of the difference along the flow
        for _ in range(40):
            _, first = image(d)
            found, second = image(first)
            if (np.abs(second - first) <= 1e-11 * np.abs(first).max() + noise).all():
                return found
            bend = second - 2.0 * first + d
            straight = np.abs(bend) > 1e-13 * np.abs(first)
            d = np.where(straight, d - (first - d) ** 2 / np.where(straight, bend, 1.0), second)
        raise ArithmeticError(f"no rate of change found at t={t:g} ms")

    def _seen_change(self, r, u, y, t, found):
        """Rate of change of what channels see: of the node, or of the concentration on the wall.

        There j = net(j, z, t), so that dj/dt = (1 - d net/d j)^-1 times the change of net along the flow at fixed j.
        """
        du, dy, _, across, change = found
        value, m, h = du[r.entries], r.membrane, ALONG
        if any(r.field in w.reach for w in self.walls[m]):
            ends = [self._net(m, across[m], u + s * du, y + s * dy, t + s, self.parts.potential(t + s), change)[1] for s in (-h, h)]
            slope = self._slope(m, across[m], across[m], u, y, t, self.parts.potential(t), change)
            moving = np.linalg.solve(np.eye(len(ends[0])) - slope, ((ends[1] - ends[0]) / (2 * h)).T[:, :, None])[:, :, 0].T
            value = value + sum(w.reach[r.field] * moving[k] for k, w in enumerate(self.walls[m]) if r.field in w.reach)
        return value

    def edges(self, extra=()) -> list[float]:
        """Times at which the right-hand side or its slope jumps."""
        times = {float(t) for t in extra}
        for s in self.model.stimuli:
            for k in range(getattr(s, "count", 1)):
                begin = s.time if not isinstance(s, Influx) else s.start + k * (s.period or 0.0)
                times |= {begin} if not isinstance(s, Influx) else {begin, begin + s.duration, begin + 0.5 * s.duration}
        for c in self.parts.currents:
            if c.cls.edges is not None:
                times |= {float(t) for t in c.cls.edges(c.p)}
        if isinstance(self.model.voltage, tuple):
            times |= {t for t, _ in self.model.voltage}
        return sorted(t for t in times if t > 0 and math.isfinite(t))
