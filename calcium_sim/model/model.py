"""Description of a cell: species, buffers, channels on membranes, stimuli. Frozen data with units; nothing is computed here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_fields
from typing import Any

import numpy as np

from ..description.fixed import Described, Fixed, held, several, told
from ..description.names import ResultNames, assign, placed
from ..errors import InputError, nearest, shown, warn
from ..mesh import OUTSIDE, Columns, Mesh, Nodes
from ..mesh.given import by_region, named, positive
from ..mesh.profiles import Profile, levels, over
from ..plugin import Channel, parse_port
from ..plugin.ions import CHARGES, MOLAR, charge_moved
from .editing import changed_in
from .electrics import CHARGE, Cable, CurrentClamp, VoltageClamp, charged, electrode
from .placed import VoltageMap
from .spikes import SpikeTimes, check_reached
from .stimuli import Electrode, Influx, Set, Stimulus, stimulus_target
from .strength import strength
from .swapping import followed, label_of, replacement
from .voltage import checked as checked_voltage
from .voltage import potential_name


@dataclass(frozen=True, eq=False, repr=False)
class Species(Described):
    """A diffusing species.

    Parameters
    ----------
    name : such as "ca" or "ip3".
    diffusion : {region: um^2/s}: the regions in which it lives; 0 for immobile.
    initial : {region: uM}: resting value per region, and ``"outside"`` for the fixed extracellular concentration. Within a region it may
        differ from place to place: an array, a table of labels, points along the distance or a function (see `profiles`).
    decay : first-order rate [1/s] towards `rest` (IP3 degradation).
    rest : {region: uM}: value that `decay` relaxes to; the initial value where it is not given.
    """

    name: str
    diffusion: Mapping[str, Any]
    initial: Mapping[str, Any]
    decay: Any = 0.0
    rest: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        where = f"species.{named(self.name, 'species.name', 'ca')}"
        object.__setattr__(self, "diffusion", Fixed(by_region(self.diffusion, f"{where}.diffusion", "um^2/ms")))
        object.__setattr__(self, "initial", Fixed(levels(self.initial, f"{where}.initial")))
        if self.rest is not None:
            object.__setattr__(self, "rest", Fixed(by_region(self.rest, f"{where}.rest", "uM")))
        object.__setattr__(self, "decay", positive(self.decay, f"{where}.decay", "1/ms", zero=True))
        for region in self.diffusion:
            if self.decay and isinstance(self.initial.get(region), Profile) and region not in (self.rest or {}):
                fix = f"give rest={{'{region}': '0.1 uM'}}"
                raise InputError(
                    f"{where}.rest", f"starts differently from place to place in '{region}', so that it needs one value to decay to ({fix})"
                )
        for region in self.diffusion:
            if region not in self.initial:
                raise InputError(f"{where}.initial", self._lacking(region))

    def _lacking(self, region: str) -> str:
        """What to say of a region without a start value; a name that was written like it comes first."""
        told = f"no value for region '{region}' (add initial.{region} = '0.05 uM')"
        for wrong in (name for name in self.initial if name not in (*self.diffusion, OUTSIDE)):
            if like := nearest(wrong, [name for name in self.diffusion if name not in self.initial]):
                return f"'{wrong}' stands in no entry of diffusion{like}; {told}"
        return told


@dataclass(frozen=True, eq=False, repr=False)
class Buffer(Described):
    """A buffer or dye that binds one species one to one; the field in a result is the FREE buffer [uM].

    Parameters
    ----------
    name, binds, region : names.
    total : uM of binding sites.
    kon, koff : binding [1/(uM s)] and unbinding [1/s] rates.
    diffusion : um^2/s, 0 (default) for an immobile buffer.
    """

    name: str
    binds: str
    region: str
    total: Any
    kon: Any
    koff: Any
    diffusion: Any = 0.0

    def __post_init__(self) -> None:
        where = f"buffers.{named(self.name, 'buffers.name', 'calbindin')}"
        named(self.binds, f"{where}.binds", "ca")
        named(self.region, f"{where}.region", "cytosol")
        rows = [("total", "uM", False), ("kon", "1/uM/ms", False), ("koff", "1/ms", False), ("diffusion", "um^2/ms", True)]
        for attribute, unit, zero in rows:
            object.__setattr__(self, attribute, positive(getattr(self, attribute), f"{where}.{attribute}", unit, zero=zero))


@dataclass(frozen=True, eq=False, repr=False)
class Model(Described):
    """A cell: a mesh with species, buffers, channels on each membrane, and stimuli.

    Parameters
    ----------
    mesh : Mesh.
    species : Species, at least one; none is needed where the potential is solved for.
    membranes : {membrane of the mesh: channels}; a membrane without channels carries no flux.
    buffers, stimuli : sequences.
    voltage : membrane potential (inside - outside) of the plasma membrane for channels that read ``v``: a quantity, a table of
        (time, potential) pairs joined by straight lines, two arrays with units for the same, or a function of the time in ms that
        returns mV. With a `Cable` it is solved for; a `VoltageMap` gives every place its own.

    Raises
    ------
    InputError
        If names do not fit together: unknown region, species or membrane, a channel whose ports the model lacks.
    """

    mesh: Mesh
    species: Sequence[Species]
    membranes: Mapping[str, Sequence[Channel]] = field(default_factory=dict)
    buffers: Sequence[Buffer] = ()
    stimuli: Sequence[Stimulus] = ()
    voltage: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.mesh, Mesh):
            fix = "cs.meshes.neurite(...), from_swc(path, ...), well_mixed(...)"
            raise InputError("mesh", f"{shown(self.mesh)} is no Mesh (make one: {fix})")
        object.__setattr__(self, "species", several(self.species, (Species,), "species"))
        object.__setattr__(self, "buffers", several(self.buffers, (Buffer,), "buffers"))
        object.__setattr__(self, "stimuli", several(self.stimuli, (Influx, Set, CurrentClamp, VoltageClamp, SpikeTimes), "stimuli"))
        if not isinstance(self.membranes, Mapping):
            raise InputError("membranes", f"{shown(self.membranes)} is not a table, expected {{membrane: [channels]}}")
        membranes = {name: several(channels, (Channel,), f"membranes.{name}") for name, channels in self.membranes.items()}
        object.__setattr__(self, "membranes", Fixed(membranes))
        if not isinstance(self.voltage, (Cable, VoltageMap)):
            object.__setattr__(self, "voltage", checked_voltage(self.voltage))
        _validate(self)

    def __repr__(self) -> str:
        rows = [("species", f"{s.name} in {', '.join(s.diffusion)}") for s in self.species]
        rows += [("buffers", f"{b.name} ({told(b.total)}) of {b.binds} in {b.region}") for b in self.buffers]
        rows += [(name, ", ".join(map(repr, channels))) for name, channels in self.membranes.items() if channels]
        rows += [("stimuli", repr(s)) for s in self.stimuli]
        rows += [] if self.voltage is None else [("voltage", potential_name(self.voltage))]
        return "\n".join([f"Model of {self.mesh}", *(f"  {name:<9} {text}" for name, text in rows)])

    @property
    def names(self) -> ResultNames:
        """What the parts of the model are called in a result."""
        channels = {name: [c.called() for c in self.membranes.get(name, ())] for name in self.mesh.membranes}
        return assign([s.name for s in self.species], [b.name for b in self.buffers], self.mesh.regions, channels, placed(self.mesh.labels))

    def swap(self, old: str, new: str | os.PathLike[str] | type[Channel] | Channel, **values: Any) -> Model:
        """Return the model with every channel of the kind or name `old` replaced by `new` (a kind or file, a class, or a channel).

        Parameters that both channels have (same name and unit) keep their values, and so do name, place, scale and start values of states;
        `values` override them. A channel comes with its own. What was set on the old one and has no place in the new one is named in a
        warning.

        Raises
        ------
        InputError
            If no membrane has a channel named `old`, or `new` is unknown or no channel.
        """
        present = list(dict.fromkeys(n for channels in self.membranes.values() for c in channels for n in (c.called(), c.label())))
        old = label_of(old, present)
        if old not in present:
            raise InputError("swap", f"the model has no channel '{old}'{nearest(old, present)}; it has {', '.join(present) or 'none'}")
        found = {
            name: [replacement(c, new, values) if old in (c.label(), c.called()) else (c, []) for c in channels]
            for name, channels in self.membranes.items()
        }
        for lost in dict.fromkeys(tuple(lost) for pairs in found.values() for _, lost in pairs if lost):
            warn(f"swap: {', '.join(lost)} of '{old}' has no place in the new channel and is dropped")
        membranes = {name: tuple(c for c, _ in pairs) for name, pairs in found.items()}
        pairs = [(c, new) for name, channels in self.membranes.items() for c, new in zip(channels, membranes[name], strict=True)]
        return with_fields(self, membranes=membranes, stimuli=followed(self.stimuli, pairs))

    def replace(self, path: str | Mapping[str, Any], value: Any = None) -> Model:
        """Return the model with one thing changed (or several at once: a table of paths), all else the same.

        Parameters
        ----------
        path : where it stands: ``"buffers.calbindin.total"``, ``"species.ca.initial.er"``, ``"membranes.er.ryr/keizer-levine.density"``,
            ``"stimuli[0].flux"``, ``"voltage"``, ``"mesh"``. Several of one kind are told apart by their number.
        value : what is to stand there: a quantity, or a part (`None` is a value, too).

        Raises
        ------
        InputError
            If the path leads nowhere, or the value does not fit.
        """
        if not isinstance(path, (str, Mapping)) or (isinstance(path, Mapping) and value is not None):
            fix = "a path and a value, or a table {path: value}, e.g. ('buffers.calbindin.total', '40 uM')"
            raise InputError("replace", f"{shown(path)}{'' if value is None else ' with a value beside it'}: expected {fix}")
        changes = path if isinstance(path, Mapping) else {path: value}
        parts = held(self)
        for at, given in changes.items():
            if not isinstance(at, str):
                raise InputError("replace", f"{shown(at)} is no path (e.g. 'buffers.calbindin.total')")
            changed_in(parts, at, given)
        return Model(**parts)


def _unique(names: Sequence[str], where: str) -> None:
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise InputError(where, f"'{sorted(twice)[0]}' is given twice; names must differ")


def _validate(model: Model) -> None:
    mesh = model.mesh
    species = {s.name: s for s in model.species}
    cable = model.voltage if isinstance(model.voltage, Cable) else None
    if not species and cable is None:
        raise InputError("species", "the model has none; give at least one Species")
    if cable is not None:
        _check_charges(model, charged(mesh, cable).membrane)
    _unique([*(s.name for s in model.species), *(b.name for b in model.buffers)], "species")
    for s in model.species:
        for region in s.diffusion:
            mesh.region(region, f"species.{s.name}.diffusion")
        for table in ("initial", "rest"):
            _check_regions(mesh, getattr(s, table) or {}, f"species.{s.name}.{table}")
        for region, given in s.initial.items():
            if isinstance(given, Profile):
                over(given, mesh, nodes_of(mesh, region), f"species.{s.name}.initial.{region}")
    empty = [r for r in mesh.regions if not any(r in s.diffusion for s in model.species)]
    if empty and species:
        raise InputError("species", f"region '{empty[0]}' of the mesh has no species (give one a diffusion and an initial value there)")
    for b in model.buffers:
        mesh.region(b.region, f"buffers.{b.name}.region")
        if b.binds not in species:
            raise InputError(f"buffers.{b.name}.binds", _unknown_species(b.binds, species))
        if b.region not in species[b.binds].diffusion:
            raise InputError(f"buffers.{b.name}.region", f"'{b.binds}' does not live in '{b.region}' (give it a diffusion there)")
    for name, channels in model.membranes.items():
        if name not in mesh.membranes:
            raise InputError(
                f"membranes.{name}", f"unknown membrane{nearest(name, mesh.membranes)}; the mesh has {', '.join(mesh.membranes)}"
            )
        for c in channels:
            _validate_channel(model, name, c, species)
        _unique([c.named for c in channels if c.named], f"membranes.{name}")
    for stimulus in model.stimuli:
        _validate_stimulus(model, stimulus, species)
    _ = model.names


def _unknown_species(name: str, species: Iterable[str]) -> str:
    known = list(species)
    return f"unknown species '{name}'{nearest(name, known)}; the model has {', '.join(known)}"


def nodes_of(mesh: Mesh, region: str) -> Nodes:
    """The nodes of a region, by number."""
    span = mesh.span(region)
    return np.arange(span.start, span.stop, dtype=np.uint32)


def _check_regions(mesh: Mesh, table: Mapping[str, float], where: str) -> None:
    """Refuse a value for a region that the mesh lacks."""
    known = [*mesh.regions, OUTSIDE]
    for region in table:
        if region not in known:
            raise InputError(where, f"unknown region '{region}'{nearest(region, known)}; the mesh has {', '.join(known)}")


def direction(mesh: Mesh, membrane: str, channel: Channel) -> tuple[str, str]:
    """The regions (from, to) of a channel on a membrane; generic channels point into the cytosol.

    Raises
    ------
    InputError
        If the channel joins other regions than the membrane does.
    """
    sides = mesh.membranes[membrane].sides
    if tuple(channel.across) == ("from", "to"):
        return (sides[1], sides[0]) if sides[0] == "cytosol" else (sides[0], sides[1])
    if set(channel.across) != set(sides):
        raise InputError(
            f"membranes.{membrane}",
            f"'{channel.called()}' moves {' -> '.join(channel.across)}, but this membrane joins {' and '.join(sides)}",
        )
    return channel.across


def resolve_side(side: str, way: tuple[str, str]) -> str:
    """Replace the generic sides ``from`` and ``to`` by the regions of a channel's direction."""
    return way[0] if side == "from" else way[1] if side == "to" else side


def _validate_channel(model: Model, membrane: str, channel: Channel, species: Mapping[str, Species]) -> None:
    """Check names and ports. A port may name a region that the membrane does not touch where every position has one node per region."""
    where = f"membranes.{membrane}.{channel.called()}"
    way = direction(model.mesh, membrane, channel)
    strength(model.mesh, membrane, channel)
    for state, start in channel.initial.items():
        over(start, model.mesh, model.mesh.membranes[membrane].inside, f"{where}.initial.{state}")
    present = [m for m in channel.moves if m in species]
    moves = present if _needs_no_species(model, membrane, channel, present) else list(channel.moves)
    for moved in moves:
        if moved not in species:
            raise InputError(where, f"moves '{moved}', which is no species of the model{nearest(moved, species)} (add a species '{moved}')")
    wanted = [parse_port(p) for p in channel.reads.values()]
    wanted += [parse_port(f"{m}@{side}") for m in moves for side in way]
    for port in wanted:
        if port.kind == "v" and model.voltage is None:
            raise InputError(where, "reads the potential, which the model lacks (give it one: voltage = '-70 mV')")
        if port.kind in ("v", "t"):
            continue
        side = resolve_side(port.side, way)
        if port.species not in species:
            raise InputError(
                where,
                f"reads '{port.species}@{side}', but the model has no species '{port.species}' (add a species '{port.species}')",
            )
        known = species[port.species].initial
        if side not in known or (side != OUTSIDE and side not in species[port.species].diffusion):
            raise InputError(where, f"reads '{port.species}@{side}', which the model lacks (give '{port.species}' a value in '{side}')")
        if side not in way and not (isinstance(model.mesh.structure, Columns) and side in model.mesh.regions):
            raise InputError(
                where,
                f"reads '{port.species}@{side}', but this membrane joins {' and '.join(way)}, and only meshes whose regions share their "
                "positions (well-mixed, cable, tree) pair it with a third region (use dims=1, or another channel)",
            )


def _check_charges(model: Model, charged_one: str) -> None:
    """Refuse what would have no place in the books of a potential that is solved for."""
    for name in (*(s.name for s in model.species), *(b.name for b in model.buffers)):
        if name == CHARGE:
            raise InputError(f"species.{name}", "is the name of the books of the potential that is solved for (choose another)")
    for membrane, row in model.membranes.items():
        if membrane == charged_one or membrane not in model.mesh.membranes or OUTSIDE not in model.mesh.membranes[membrane].sides:
            continue
        for c in row:
            if charge_moved(c.moves) or c.flux_unit != MOLAR or c.current is not None:
                told = f"'{c.called()}' carries charge to the outside, and the potential is that of '{charged_one}' alone"
                raise InputError(f"membranes.{membrane}", f"{told} (one membrane with the outside carries currents)")


def _needs_no_species(model: Model, membrane: str, channel: Channel, known: Sequence[str]) -> bool:
    """Whether the ions that a channel moves beside those of the model count as charge only, or not at all.

    Beside one that the model has, they need no species of their own (the sodium of an exchanger); a current needs none.
    """
    if not all(m in CHARGES for m in channel.moves if m not in known):
        return False
    return bool(known) or (isinstance(model.voltage, Cable) and charged(model.mesh, model.voltage).membrane == membrane)


def _validate_stimulus(model: Model, stimulus: Stimulus, species: Mapping[str, Species]) -> None:
    if isinstance(stimulus, Electrode):
        if not isinstance(model.voltage, Cable):
            raise InputError(stimulus.where, "needs a potential that is solved for (give the model voltage=cs.Cable(...))")
        electrode(model.mesh, charged(model.mesh, model.voltage), stimulus)
        return
    if isinstance(stimulus, SpikeTimes):
        given = {n: [(c, strength(model.mesh, n, c).weight) for c in row] for n, row in model.membranes.items()}
        check_reached(model.mesh, given, stimulus)
        return
    where = f"stimuli.{stimulus.species}"
    if stimulus.species not in species:
        raise InputError(where, _unknown_species(stimulus.species, species))
    span = model.mesh.span(stimulus.region) if stimulus.region in model.mesh.regions else None
    if span is None or stimulus.region not in species[stimulus.species].diffusion:
        raise InputError(f"{where}.region", f"'{stimulus.species}' does not live in '{stimulus.region}'")
    if isinstance(stimulus, Influx):
        stimulus_target(model.mesh, stimulus)
    else:
        nodes = nodes_of(model.mesh, stimulus.region)
        over(stimulus.value, model.mesh, nodes, f"{where}.value", chosen=model.mesh.select(stimulus.at, nodes, f"{where}.at"))
