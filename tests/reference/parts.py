"""A model as arrays for the reference: fields, diffusion, membranes, channels with their resting states and balanced parameters.

Read from the description alone (`Model`, the arrays of `Mesh`, and the functions of the channel classes, called as Python); nothing of
calcium-sim's own rest, lowering, kernels or steppers is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from scipy.optimize import root
from scipy.sparse import csr_matrix

from calcium_sim.plugin import BALANCE

PORT = re.compile(r"(d\()?(\w+)@(\w+)\)?$")


@dataclass
class Field:
    """A species or free buffer in a region; `at` are its entries of the vector u."""

    name: str
    region: str
    at: slice
    diffusion: float
    rest: float
    nodes: slice


@dataclass
class Port:
    """What a channel reads: kind "v", "t", "fixed" (value), "field" (entries of u, one per pair) or "rate" (number among `rates`)."""

    kind: str
    value: float = 0.0
    field: int = -1
    rate: int = -1


@dataclass
class Current:
    """One channel on one membrane: its pairs are `pairs` of the vector of all fluxes, its states `states[k]` of the vector y."""

    label: str
    membrane: str
    cls: type
    p: SimpleNamespace
    way: tuple[str, str]
    moves: dict
    ports: dict[str, Port]
    weight: np.ndarray
    pairs: slice
    states: dict[str, slice] = field(default_factory=dict)
    start: tuple[float, ...] = ()


@dataclass
class Rate:
    """A rate of change that some channel of a membrane reads: one unknown per pair."""

    membrane: str
    field: int
    entries: np.ndarray


class Parts:
    """Everything that does not depend on the state."""

    def __init__(self, model) -> None:
        self.model, self.mesh = model, model.mesh
        self.species = {s.name: s for s in model.species}
        self.fields = self._fields()
        self.size = self.fields[-1].at.stop
        self.rates: list[Rate] = []
        self.currents: list[Current] = []
        self.states = self.flows = 0
        for name, channels in model.membranes.items():
            self._membrane(name, channels)
        self.diffusion = self._diffusion()
        self.gain = self._gain()
        self.u0 = np.concatenate([np.full(f.at.stop - f.at.start, f.rest) for f in self.fields])
        self.y0 = np.zeros(self.states)
        for c in self.currents:
            for part, value in zip(c.states.values(), c.start, strict=True):
                self.y0[part] = value

    def potential(self, t: float) -> float:
        """Membrane potential [mV]: a constant, straight lines between the points of a table, or a function of time."""
        v = self.model.voltage
        if callable(v):
            return float(v(t))
        if isinstance(v, tuple):
            return float(np.interp(t, *zip(*v, strict=True)))
        return float(v or 0.0)

    def span(self, region: str) -> slice:
        r = self.mesh.regions.index(region)
        return slice(int(self.mesh.start[r]), int(self.mesh.start[r + 1]))

    def find(self, name: str, region: str) -> int:
        """Number of a field, -1 where there is none (the extracellular space)."""
        return next((i for i, f in enumerate(self.fields) if (f.name, f.region) == (name, region)), -1)

    def _fields(self) -> list[Field]:
        rows = [(s.name, r, s.diffusion[r], s.initial[r]) for s in self.model.species for r in self.mesh.regions if r in s.diffusion]
        for b in self.model.buffers:  # free buffer at equilibrium: kon c b = koff (B - b)
            c = self.species[b.binds].initial[b.region]
            rows.append((b.name, b.region, b.diffusion, b.total / (1.0 + b.kon * c / b.koff)))
        out, first = [], 0
        for name, region, diffusion, rest in rows:
            nodes = self.span(region)
            out.append(Field(name, region, slice(first, first + nodes.stop - nodes.start), diffusion, rest, nodes))
            first = out[-1].at.stop
        return out

    def _diffusion(self) -> csr_matrix:
        """du/dt by diffusion: conductance times difference over volume, for every edge of a field's region."""
        rows, columns, values = [], [], []
        a, b = self.mesh.edges.astype(np.int64).T
        for f in self.fields:
            own = (a >= f.nodes.start) & (a < f.nodes.stop)
            i, j, g = a[own] - f.nodes.start, b[own] - f.nodes.start, f.diffusion * self.mesh.conductance[own]
            v = self.mesh.volume[f.nodes]
            for me, other in ((i, j), (j, i)):
                rows += [me, me]
                columns += [other, me]
                values += [g / v[me], -g / v[me]]
            rows, columns = [*rows[:-4], *(r + f.at.start for r in rows[-4:])], [*columns[:-4], *(c + f.at.start for c in columns[-4:])]
        return csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (self.size, self.size))

    def entries(self, membrane: str, i: int) -> np.ndarray:
        """Entries of u that hold field i at the pairs of a membrane; a third region shares the positions of the membrane."""
        m, f = self.mesh.membranes[membrane], self.fields[i]
        if f.region == m.sides[0]:
            nodes = m.inside.astype(np.int64)
        elif f.region == m.sides[1]:
            nodes = m.outside.astype(np.int64)
        else:
            nodes = np.arange(f.nodes.start, f.nodes.stop)
        return nodes - f.nodes.start + f.at.start

    def _gain(self) -> csr_matrix:
        """du/dt per flux density: area over volume, plus where a channel moves to, minus where it comes from."""
        rows, columns, values = [np.zeros(0, int)], [np.zeros(0, int)], [np.zeros(0)]
        for c in self.currents:
            area = self.mesh.membranes[c.membrane].area
            for species, count in c.moves.items():
                for region, sign in ((c.way[0], -count), (c.way[1], count)):
                    i = self.find(species, region)
                    if i >= 0:
                        at = self.entries(c.membrane, i)
                        rows.append(at)
                        columns.append(np.arange(c.pairs.start, c.pairs.stop))
                        values.append(sign * area / self.mesh.volume[at - self.fields[i].at.start + self.fields[i].nodes.start])
        return csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (self.size, self.flows))

    def _membrane(self, name: str, channels) -> None:
        sides = self.mesh.membranes[name].sides
        made = [self._current(name, sides, c) for c in channels]
        labels = [c.label for c in made]
        for k, c in enumerate(made):
            if labels.count(c.label) > 1:
                c.label += f"#{labels[: k + 1].count(labels[k])}"
        for c, channel in zip(made, channels, strict=True):
            unknown = [k for k, v in channel.values.items() if v is BALANCE]
            if unknown:
                self._balance(c, unknown[0], [o for o in made if o is not c], sides)
        for c, channel in zip(made, channels, strict=True):
            rest = self.rest(c)
            c.start = tuple(channel.initial.get(n, v) for n, v in zip(c.cls.states, rest, strict=True))
        self.currents += made

    def _current(self, name: str, sides, channel) -> Current:
        cls, m = type(channel), self.mesh.membranes[name]
        way = tuple(cls.across)
        if way == ("from", "to"):  # generic channels point into the cytosol
            way = (sides[1], sides[0]) if sides[0] == "cytosol" else tuple(sides)
        n = len(m.area)
        weight = np.ones(n)
        place = self.mesh.position[m.inside].T
        if callable(channel.at):
            weight = weight * np.asarray(channel.at(*place), float)
        elif channel.at is not None:
            weight = weight * np.asarray(self.mesh.labels[channel.at], float)[m.inside]
        if channel.scale is not None:
            weight = weight * np.asarray(channel.scale(*place), float)
        ports = {k: self._port(name, text, way) for k, text in cls.reads.items()}
        c = Current(
            cls.name or cls.__name__, name, cls, SimpleNamespace(**channel.values), way, dict(cls.moves), ports, weight, slice(0, 0)
        )
        c.pairs = slice(self.flows, self.flows + n)
        self.flows += n
        for state in cls.states:
            c.states[state] = slice(self.states, self.states + n)
            self.states += n
        return c

    def _port(self, membrane: str, text: str, way) -> Port:
        if text in ("v", "t"):
            return Port(text)
        d, species, side = PORT.match(text).groups()
        region = {"from": way[0], "to": way[1]}.get(side, side)
        i = self.find(species, region)
        if i < 0:
            return Port("fixed", 0.0 if d else self.species[species].initial[region])
        if not d:
            return Port("field", field=i)
        known = [k for k, r in enumerate(self.rates) if (r.membrane, r.field) == (membrane, i)]
        if not known:
            self.rates.append(Rate(membrane, i, self.entries(membrane, i)))
        return Port("rate", field=i, rate=known[0] if known else len(self.rates) - 1)

    def at_rest(self, c: Current) -> SimpleNamespace:
        """The ports of a channel at rest."""
        seen = {"v": self.potential(0.0), "t": 0.0, "rate": 0.0}
        values = {n: seen.get(p.kind, p.value) if p.kind != "field" else self.fields[p.field].rest for n, p in c.ports.items()}
        return SimpleNamespace(**values)

    def rest(self, c: Current) -> tuple[float, ...]:
        """States whose rates vanish at rest, by scipy's root finder from the declared start values."""
        names, x = list(c.cls.states), self.at_rest(c)
        if not names:
            return ()
        start = np.array([s[0] if isinstance(s, tuple) else s for s in c.cls.states.values()], float)

        def rates(values):
            return np.array(c.cls.rates(SimpleNamespace(**dict(zip(names, values, strict=True))), x, c.p), float)

        found = root(rates, start, method="hybr", options={"xtol": 1e-14})
        for _ in range(3):  # Newton's method with central differences polishes the last digits
            step = 1e-6
            slope = np.stack([(rates(found.x + step * e) - rates(found.x - step * e)) / (2 * step) for e in np.eye(len(names))], axis=1)
            found.x = found.x - np.linalg.solve(slope, rates(found.x))
        return tuple(float(v) for v in found.x)

    def resting_flux(self, c: Current) -> float:
        y = SimpleNamespace(**dict(zip(c.cls.states, self.rest(c), strict=True)))
        return float(c.cls.flux(y, self.at_rest(c), c.p))

    def _balance(self, c: Current, name: str, others: list[Current], sides) -> None:
        """Choose a parameter per pair so that the first species that the channel moves does not cross the membrane on net at rest."""
        species = next(iter(c.moves))

        def toward(o: Current) -> float:  # amount that unit flux brings to the first side
            return o.moves.get(species, 0) * (1.0 if o.way[1] == sides[0] else -1.0)

        net = sum((toward(o) * self.resting_flux(o) * o.weight for o in others if species in o.moves), 0.0 * c.weight)

        def flux(value: float) -> float:
            setattr(c.p, name, value)
            return self.resting_flux(c)

        zero, one = flux(0.0), flux(1.0)
        wanted = (-net / toward(c) - zero) / (one - zero)  # fluxes are proportional to densities and permeabilities
        largest = float(wanted.max())
        if largest > 0:
            c.weight = wanted / largest
        setattr(c.p, name, largest)
        assert np.allclose(toward(c) * self.resting_flux(c) * c.weight, -net, rtol=1e-9, atol=1e-300), "not linear in its parameter"
