"""Model -> Plan: packed arrays and index tables. Chooses nothing numerical; the steppers build their step from a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..description.names import number_labels
from ..errors import warn
from ..mesh import OUTSIDE, Floats
from ..model import Model, direction, resolve_side
from ..model.electrics import POTENTIAL, Cable, VoltageClamp, charged
from ..model.placed import VoltageMap
from ..model.strength import strength
from ..networks.prepared import RELAXING, gate_of
from ..plugin import Channel
from ..plugin.contract import parse_port
from .balance import balance
from .beside import current_of
from .brought import arrivals, holders, sources
from .carried import carried
from .edges import stops_of
from .memory import memory_of
from .placed import Placed
from .rest import as_it_runs, levels, starting_states
from .specs import NOTHING, Arrivals, Binding, ChannelSpec, Decay, Field, Gauge, Holder, PortRef, Source, Tracked, Wants
from .stops import Stops


@dataclass(frozen=True)
class Plan:
    """A lowered model. `parameters` is the flat array that kernels read; offsets are in the specs.

    `blocks` gives, per membrane, its contiguous parts of the state array y and of `moved`, each (rows, pairs) when reshaped; `tracked`
    lists what ports read the rate of change of, `placed` where a potential is prescribed that differs from place to place.
    """

    model: Model
    fields: tuple[Field, ...]
    gauges: tuple[Gauge, ...]
    bindings: tuple[Binding, ...]
    decays: tuple[Decay, ...]
    decay_moved: tuple[slice, ...]
    sources: tuple[Source, ...]
    parameters: Floats
    u0: Floats
    y0: Floats
    moved_size: int
    ratios: tuple[tuple[str, str], ...]
    tracked: tuple[Tracked, ...]
    blocks: dict[str, tuple[slice, slice]]
    stops: Stops
    holders: tuple[Holder, ...] = ()
    arrivals: tuple[Arrivals, ...] = ()
    placed: tuple[Placed, ...] = ()

    @property
    def potential(self) -> Field | None:
        """The field of the potential, where it is solved for."""
        return self.fields[-1] if self.fields[-1].potential else None

    def ratio(self, membrane: str, place: str) -> Floats:
        """What a flux through a membrane makes of the fields of a region, or of the potential, per pair on meshes that pair positions."""
        mesh = self.model.mesh
        capacity = self.fields[-1].capacity if place == POTENTIAL else mesh.volume[mesh.span(place)]
        return np.asarray(mesh.membranes[membrane].area / capacity)

    def first_row(self, membrane: str) -> int:
        """Row of y where those of a membrane begin, on meshes whose membranes all have as many pairs."""
        block = self.blocks[membrane][0]
        return block.start // len(self.model.mesh.membranes[membrane].area)

    def row(self, membrane: str, row: int) -> slice:
        """Part of y that is a row of a membrane."""
        pairs, block = len(self.model.mesh.membranes[membrane].area), self.blocks[membrane][0]
        return slice(block.start + row * pairs, block.start + (row + 1) * pairs)

    def index(self, name: str, region: str) -> int:
        """Number of the field of a species or buffer in a region."""
        return next(i for i, f in enumerate(self.fields) if (f.name, f.region) == (name, region))


@dataclass
class _Builder:
    model: Model
    wants: Wants
    parameters: list[float] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    u0: list[Floats] = field(default_factory=list)
    gauges: list[Gauge] = field(default_factory=list)
    ratios: list[tuple[str, str]] = field(default_factory=list)
    y0: list[Floats] = field(default_factory=list)
    y_size: int = 0
    moved_size: int = 0
    blocks: dict[str, tuple[slice, slice]] = field(default_factory=dict)
    tracked: dict[tuple[str, int], Tracked] = field(default_factory=dict)
    placed: dict[str, Placed] = field(default_factory=dict)
    first: int = 0

    def number(self, *values: float) -> int:
        self.parameters += values
        return len(self.parameters) - len(values)

    def states(self, values: Floats) -> slice:
        self.y0.append(values)
        self.y_size += len(values)
        return slice(self.y_size - len(values), self.y_size)

    def row(self, membrane: str) -> int:
        """The next row of the membrane under way."""
        return (self.y_size - self.first) // len(self.model.mesh.membranes[membrane].area)

    def amounts(self, size: int) -> slice:
        self.moved_size += size
        return slice(self.moved_size - size, self.moved_size)

    def ratio(self, membrane: str, region: str) -> int:
        if (membrane, region) not in self.ratios:
            self.ratios.append((membrane, region))
        return self.ratios.index((membrane, region))

    def place(self, membrane: str, given: VoltageMap) -> Placed:
        """Where the potential of the membrane under way is kept."""
        if membrane not in self.placed:
            row, mesh = self.row(membrane), self.model.mesh
            lines = given.lines(mesh.position[mesh.membranes[membrane].inside])
            part = self.states(Placed(membrane, row, slice(0), *lines).over(given.at(0.0)))
            self.placed[membrane] = Placed(membrane, row, part, *lines)
        return self.placed[membrane]

    def beside(self, membrane: str, field: int) -> Floats:
        """Start values of a field at the pairs of a membrane."""
        f = self.fields[field]
        return self.u0[field][self.model.mesh.pair_nodes(membrane, f.region).astype(np.int64) - f.nodes.start]

    def find(self, name: str, region: str) -> int | None:
        return next((i for i, f in enumerate(self.fields) if (f.name, f.region) == (name, region)), None)


def lower(model: Model, wants: Wants = NOTHING) -> Plan:
    """Turn a model into a plan: fields, parameters, channels as indices, the resting state, stimuli; with what a scheme wants.

    Raises
    ------
    InputError
        If a balance is impossible.
    """
    b = _Builder(model, wants)
    _add_fields(b)
    for name, channels in model.membranes.items():
        _add_membrane(b, name, channels)
    bindings = tuple(_binding(b, buffer) for buffer in model.buffers)
    decays, decay_moved = _decays(b)
    held = _holders(b)
    return Plan(
        model=model,
        fields=tuple(b.fields),
        gauges=tuple(b.gauges),
        bindings=bindings,
        decays=decays,
        decay_moved=decay_moved,
        sources=sources(model, b.fields),
        parameters=np.array(b.parameters, float),
        u0=np.concatenate(b.u0),
        y0=np.concatenate([*b.y0, np.zeros(0)]),
        moved_size=b.moved_size,
        ratios=tuple(b.ratios),
        tracked=tuple(b.tracked.values()),
        blocks=b.blocks,
        stops=stops_of(model, [g.channel for g in b.gauges]),
        holders=held,
        arrivals=arrivals(model, b.gauges),
        placed=tuple(b.placed.values()),
    )


def _add_fields(b: _Builder) -> None:
    mesh, offset = b.model.mesh, 0
    rows: list[tuple[str, str, float, Floats, str]] = []
    for s in b.model.species:
        rows += [(s.name, r, s.diffusion[r], levels(b.model, s.name, r), "species") for r in mesh.regions if r in s.diffusion]
    for buffer in b.model.buffers:
        c0 = levels(b.model, buffer.binds, buffer.region)
        rows.append((buffer.name, buffer.region, buffer.diffusion, buffer.total * buffer.koff / (buffer.koff + buffer.kon * c0), "buffer"))
    for name, region, diffusion, start, kind in rows:
        nodes, volume = mesh.span(region), mesh.volume[mesh.span(region)]
        rest = float(start[0] if (start == start[0]).all() else np.average(start, weights=volume))
        b.fields.append(Field(name, region, diffusion, slice(offset, offset + len(start)), nodes, volume, rest, kind))
        b.u0.append(start)
        offset += len(start)
    cable = b.model.voltage
    if isinstance(cable, Cable):  # last, so that what may not be negative comes first
        there = charged(mesh, cable)
        start, span = np.full(len(there.area), float(cable.initial)), slice(offset, offset + len(there.area))
        capacity = cable.capacitance * there.area
        b.fields.append(Field(POTENTIAL, there.region, 0.0, span, mesh.span(there.region), capacity, float(cable.initial), "potential"))
        b.u0.append(start)


def _add_membrane(b: _Builder, name: str, channels: Sequence[Channel]) -> None:
    model, membrane = b.model, b.model.mesh.membranes[name]
    pairs = len(membrane.area)
    found = [strength(model.mesh, name, c) for c in channels]
    numbers = [as_it_runs(c, values=s.values) for c, s in zip(channels, found, strict=True)]
    balanced = balance(model, name, numbers, [s.weight for s in found])
    labels = number_labels([c.called() for c in channels])
    b.first, moved = b.y_size, b.moved_size
    for k, (c, (values, w)) in enumerate(zip(channels, found, strict=True)):
        if k in balanced:
            parameter, values[parameter], profile = balanced[k]
            w = None if profile is None else np.broadcast_to(profile, (pairs,)).copy()
        _add_channel(b, name, labels[k], c, values, w)
    b.blocks[name] = slice(b.first, b.y_size), slice(moved, b.moved_size)


def _add_channel(b: _Builder, name: str, label: str, c: Channel, values: dict[str, Any], w: Floats | None) -> None:
    model, membrane = b.model, b.model.mesh.membranes[name]
    pairs = len(membrane.area)
    way = direction(model.mesh, name, c)
    if c.note and pairs > 1:
        warn(f"{c.label()}: {c.note}")
    running = as_it_runs(c, values=values)
    parameter = b.number(*(float(values[n]) for n in c.params))
    ports = tuple(_port(b, text, way, name) for text in c.reads.values())
    row = b.row(name)
    start = starting_states(model, name, running)
    states = tuple(b.states(s) for s in start)
    brings, gains = carried(type(c)), []
    for species, count in brings.moves.items():
        for region, sign in ((way[1], 1), (way[0], -1)):
            target = b.find(species, region)
            if target is not None:
                gains.append((target, sign * count, b.ratio(name, region)))
    if b.fields[-1].potential and brings.charge and name == charged(model.mesh, model.voltage).membrane:
        sign = 1 if way[1] == b.fields[-1].region else -1
        gains.append((len(b.fields) - 1, sign * brings.charge, b.ratio(name, POTENTIAL)))
    paced = _paced(b, name, type(c))
    kept = memory_of(type(c), {n: p.index for n, p in zip(c.reads, ports, strict=True) if p.kind == "field"}, b.row(name))
    if kept is not None and not paced and b.wants.continued:
        rest = np.zeros((kept.size, pairs))
        for j, f in enumerate(kept.fields):
            rest[kept.wall(j) - kept.first] = b.beside(name, f)
        b.states(rest.reshape(-1))
    else:
        kept = None
    number, first = list(model.membranes).index(name), kept.first if kept else -1
    spec = ChannelSpec(type(c), number, parameter, row, ports, tuple(gains), -1, first, paced)
    b.gauges.append(Gauge(label, name, running, way, spec, states, b.amounts(pairs), w, membrane.area, brings))
    if (cls := current_of(type(c))) is not None and b.fields[-1].potential and name == charged(model.mesh, model.voltage).membrane:
        brings, sign = carried(cls), 1 if way[1] == b.fields[-1].region else -1
        spec = replace(spec, cls=cls, gains=((len(b.fields) - 1, sign * brings.charge, b.ratio(name, POTENTIAL)),), memory=-1)
        beside = cls.__new__(cls)
        beside.__dict__.update(running.__dict__)
        b.gauges.append(Gauge(f"{label}:current", name, beside, way, spec, states, b.amounts(pairs), w, membrane.area, brings, True))


def _paced(b: _Builder, membrane: str, cls: type[Channel]) -> bool:
    """Whether a channel has to know the whole step: see `pacing`.

    Networks of rates or steady values are continued on cables and grids instead. On grids this needs the fluxes at the end of a step, which
    are known there only if no other channel of the membrane is paced.
    """
    gate, joint = gate_of(cls), b.wants.joint
    if gate is None or gate.kind not in RELAXING:
        return _by_itself(cls, joint)
    if joint:
        return any(_by_itself(type(c), joint) for c in b.model.membranes[membrane])
    return not b.wants.continued and (gate.program is None or _reads_rate(cls))


def _by_itself(cls: type[Channel], joint: bool) -> bool:
    gate = gate_of(cls)
    if gate is None:
        return _reads_rate(cls)
    if gate.kind in RELAXING:
        return False
    return _reads_rate(cls) or gate.kind in ("open_prob", "current") or gate.program is None or joint


def _reads_rate(cls: type[Channel]) -> bool:
    return any(parse_port(text).kind == "rate" for text in cls.reads.values())


def _port(b: _Builder, text: str, way: tuple[str, str], membrane: str) -> PortRef:
    port = parse_port(text)
    if port.kind == "v" and b.fields[-1].potential:
        return PortRef("field", len(b.fields) - 1)
    if port.kind == "v" and isinstance(b.model.voltage, VoltageMap):
        return PortRef("place", b.place(membrane, b.model.voltage).row)
    if port.kind in ("v", "t"):
        return PortRef(port.kind)
    side = resolve_side(port.side, way)
    index = b.find(port.species, side)
    if index is None:
        species = next(s for s in b.model.species if s.name == port.species)
        return PortRef("value", b.number(species.initial[OUTSIDE]) if port.kind == "concentration" else b.number(0.0))
    if port.kind == "concentration":
        return PortRef("field", index)
    key, pairs = (membrane, index), len(b.model.mesh.membranes[membrane].area)
    if key not in b.tracked:
        b.tracked[key] = Tracked(membrane, index, b.row(membrane))
        for start in (b.beside(membrane, index), np.zeros(pairs), np.zeros(pairs)):
            b.states(start)
    return PortRef("rate", b.tracked[key].rate())


def _binding(b: _Builder, buffer: Any) -> Binding:
    free, ligand = b.find(buffer.name, buffer.region), b.find(buffer.binds, buffer.region)
    assert free is not None
    assert ligand is not None
    return Binding(free, ligand, b.number(buffer.kon, buffer.koff, buffer.total))


def _decays(b: _Builder) -> tuple[tuple[Decay, ...], tuple[slice, ...]]:
    decays, slices = [], []
    for s in b.model.species:
        for i, f in enumerate(b.fields):
            if s.decay > 0 and f.name == s.name:
                rest = (s.rest or {}).get(f.region, s.initial[f.region])
                decays.append(Decay(i, b.number(s.decay, rest)))
                slices.append(b.amounts(len(f.capacity)))
    return tuple(decays), tuple(slices)


def _holders(b: _Builder) -> tuple[Holder, ...]:
    """The electrodes that hold the potential, each with one row of amounts."""
    clamps = [(k, s) for k, s in enumerate(b.model.stimuli) if isinstance(s, VoltageClamp)]
    return tuple(h for k, s in clamps for h in holders(b.model, k, s, b.amounts(len(b.fields[-1].capacity)).start))


__all__ = ["Field", "Gauge", "Plan", "lower"]
