"""Description of a cell: species, buffers, channels on membranes, stimuli. Frozen data with units; nothing is computed here."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from .errors import InputError, nearest
from .fixed import Fixed, several
from .mesh import OUTSIDE, Columns, Floats, Mesh, Place
from .names import ResultNames, assign
from .plugin import Channel, parse_port
from .swapping import replacement
from .units import text, value

SHAPES = ("ramp-down", "square", "triangle")


def _positive(number: float, where: str, unit: str, *, zero: bool = False) -> float:
    if number < 0 or (number == 0 and not zero):
        raise InputError(where, f"{number:g} {unit} must be {'>= 0' if zero else '> 0'}")
    return number


@dataclass(frozen=True)
class Species:
    """A diffusing species.

    Parameters
    ----------
    name : such as "ca" or "ip3".
    diffusion : {region: um^2/s}: the regions in which it lives; 0 for immobile.
    initial : {region: uM}: resting value per region, and ``"outside"`` for the fixed extracellular concentration.
    decay : first-order rate [1/s] towards `rest` (IP3 degradation).
    rest : {region: uM}: value that `decay` relaxes to; the initial value by default.
    """

    name: str
    diffusion: Mapping[str, Any]
    initial: Mapping[str, Any]
    decay: Any = 0.0
    rest: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        where = f"species.{self.name}"
        for attribute, unit in [("diffusion", "um^2/ms"), ("initial", "uM"), ("rest", "uM")]:
            given = getattr(self, attribute)
            if given is None:
                object.__setattr__(self, attribute, Fixed(self.initial))
                continue
            if not isinstance(given, Mapping):
                raise InputError(
                    f"{where}.{attribute}", f"{given!r} is not a table, expected one value per region (e.g. {{'cytosol': ...}})"
                )
            table = {
                r: _positive(value(v, unit, f"{where}.{attribute}.{r}"), f"{where}.{attribute}.{r}", unit, zero=True)
                for r, v in given.items()
            }
            object.__setattr__(self, attribute, Fixed(table))
        decay = value(self.decay, "1/ms", f"{where}.decay", zero=True)
        object.__setattr__(self, "decay", _positive(decay, f"{where}.decay", "1/ms", zero=True))
        for region in self.diffusion:
            if region not in self.initial:
                raise InputError(f"{where}.initial", f"no value for region '{region}' (add initial.{region} = '0.05 uM')")


@dataclass(frozen=True)
class Buffer:
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
        where = f"buffers.{self.name}"
        rows = [("total", "uM", False), ("kon", "1/uM/ms", False), ("koff", "1/ms", False), ("diffusion", "um^2/ms", True)]
        for attribute, unit, zero in rows:
            number = value(getattr(self, attribute), unit, f"{where}.{attribute}", zero=zero)
            object.__setattr__(self, attribute, _positive(number, f"{where}.{attribute}", unit, zero=zero))


@dataclass(frozen=True)
class Influx:
    """A flux density [uM um/ms] of a species into a region during a pulse or a train of pulses.

    Parameters
    ----------
    species : name.
    at : a face of the mesh ("left"), a label, or a function of coordinates.
    flux : peak flux density, uM um/s.
    duration : length of one pulse.
    shape : "ramp-down" (peak, then linearly to 0), "square" or "triangle" (0, peak at half, 0).
    start, period, count : time of the first pulse, and the train.
    through : membrane through which it enters; by default the face named by `at`.
    region : region that receives it.
    """

    species: str
    at: Place
    flux: Any
    duration: Any
    shape: str = "square"
    start: Any = 0.0
    period: Any = None
    count: int = 1
    through: str | None = None
    region: str = "cytosol"

    def __post_init__(self) -> None:
        where = f"stimuli.{self.species}"
        if self.shape not in SHAPES:
            raise InputError(f"{where}.shape", f"unknown shape '{self.shape}'{nearest(self.shape, SHAPES)}; there are {', '.join(SHAPES)}")
        object.__setattr__(self, "flux", value(self.flux, "uM*um/ms", f"{where}.flux"))
        object.__setattr__(self, "duration", _positive(value(self.duration, "ms", f"{where}.duration"), f"{where}.duration", "ms"))
        start = 0.0 if self.start == 0.0 else value(self.start, "ms", f"{where}.start")
        object.__setattr__(self, "start", _positive(start, f"{where}.start", "ms", zero=True))
        if self.period is not None:
            period = value(self.period, "ms", f"{where}.period")
            if period < self.duration:
                raise InputError(f"{where}.period", f"{period:g} ms is shorter than one pulse ({self.duration:g} ms)")
            object.__setattr__(self, "period", period)
        if not (isinstance(self.count, int) and self.count >= 1) or (self.count > 1 and self.period is None):
            raise InputError(f"{where}.count", f"{self.count} pulses need a whole number >= 1 and a period")


@dataclass(frozen=True)
class Set:
    """Set a species to a value [uM] at a place at one time (uncaging, a step of IP3). The amount added enters the ledger."""

    species: str
    value: Any
    at: Place = None
    time: Any = 0.0
    region: str = "cytosol"

    def __post_init__(self) -> None:
        where = f"stimuli.{self.species}"
        object.__setattr__(self, "value", _positive(value(self.value, "uM", f"{where}.value"), f"{where}.value", "uM", zero=True))
        time = 0.0 if self.time == 0.0 else value(self.time, "ms", f"{where}.time")
        object.__setattr__(self, "time", _positive(time, f"{where}.time", "ms", zero=True))


Stimulus = Influx | Set
Voltage = float | Callable[[float], float] | Sequence[tuple[Any, Any]]


@dataclass(frozen=True)
class Model:
    """A cell: a mesh with species, buffers, channels on each membrane, and stimuli.

    Parameters
    ----------
    mesh : Mesh.
    species : Species, at least one.
    membranes : {membrane of the mesh: channels}; a membrane without channels carries no flux.
    buffers, stimuli : sequences.
    voltage : membrane potential (inside - outside) of the plasma membrane for channels that read ``v``: a quantity, a table of
        (time, potential) pairs joined by straight lines, or a function of the time in ms that returns mV.

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
        object.__setattr__(self, "species", several(self.species, (Species,), "species"))
        object.__setattr__(self, "buffers", several(self.buffers, (Buffer,), "buffers"))
        object.__setattr__(self, "stimuli", several(self.stimuli, (Influx, Set), "stimuli"))
        if not isinstance(self.membranes, Mapping):
            raise InputError("membranes", f"{self.membranes!r} is not a table, expected {{membrane: [channels]}}")
        membranes = {name: several(channels, (Channel,), f"membranes.{name}") for name, channels in self.membranes.items()}
        object.__setattr__(self, "membranes", Fixed(membranes))
        object.__setattr__(self, "voltage", _voltage(self.voltage))
        _validate(self)

    @cached_property
    def voltage_table(self) -> tuple[Floats, Floats]:
        """Times [ms] and potentials [mV] of a table; it is asked for at every observation."""
        times, potentials = np.array(self.voltage, float).T
        return times, potentials

    @property
    def names(self) -> ResultNames:
        """What the parts of the model are called in a result."""
        channels = {name: [c.label() for c in self.membranes.get(name, ())] for name in self.mesh.membranes}
        return assign([s.name for s in self.species], [b.name for b in self.buffers], self.mesh.regions, channels)

    def swap(self, old: str, new: str | type[Channel] | Channel, **values: Any) -> Model:
        """Return the model with every channel named `old` replaced by `new` (a name, a class, or a channel), nothing else changed.

        Parameters that both channels have (same name and unit) keep their values, and so do place, scale and start values of states;
        `values` override them. A channel comes with its own. What was set on the old one and has no place in the new one is named in a
        warning.

        Raises
        ------
        InputError
            If no membrane has a channel named `old`, or `new` is unknown or no channel.
        """
        present = [c.label() for channels in self.membranes.values() for c in channels]
        if old not in present:
            raise InputError("swap", f"the model has no channel '{old}'{nearest(old, present)}; it has {', '.join(present)}")
        found = {
            name: [replacement(c, new, values) if c.label() == old else (c, []) for c in channels]
            for name, channels in self.membranes.items()
        }
        for lost in dict.fromkeys(tuple(lost) for pairs in found.values() for _, lost in pairs if lost):
            warnings.warn(f"swap: {', '.join(lost)} of '{old}' has no place in the new channel and is dropped", stacklevel=2)
        membranes = {name: tuple(c for c, _ in pairs) for name, pairs in found.items()}
        return replace(self, membranes=membranes, voltage=_written(self.voltage))


def _voltage(given: Any) -> Any:
    """None, a float [mV], a tuple of (ms, mV) pairs, or a function."""
    if given is None or callable(given):
        return given
    if isinstance(given, (list, tuple)):
        table = tuple((value(t, "ms", "voltage"), value(v, "mV", "voltage")) for t, v in given)
        if len(table) < 2 or any(b[0] < a[0] for a, b in pairwise(table)):
            raise InputError("voltage", "needs at least two (time, potential) pairs with times that do not decrease")
        return table
    return value(given, "mV", "voltage")


def _written(voltage: Any) -> Any:
    """A converted potential with its units again, so that a copy of the model converts to the same floats."""
    if isinstance(voltage, tuple):
        return [(text(t, "ms"), text(v, "mV")) for t, v in voltage]
    return text(voltage, "mV") if isinstance(voltage, float) else voltage


def _unique(names: Sequence[str], where: str) -> None:
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise InputError(where, f"'{sorted(twice)[0]}' is given twice; names must differ")


def _validate(model: Model) -> None:
    mesh = model.mesh
    species = {s.name: s for s in model.species}
    if not species:
        raise InputError("species", "the model has none; give at least one Species")
    _unique([*(s.name for s in model.species), *(b.name for b in model.buffers)], "species")
    for s in model.species:
        for region in s.diffusion:
            mesh.region(region, f"species.{s.name}.diffusion")
    empty = [r for r in mesh.regions if not any(r in s.diffusion for s in model.species)]
    if empty:
        raise InputError("species", f"region '{empty[0]}' of the mesh has no species (give one a diffusion and an initial value there)")
    for b in model.buffers:
        mesh.region(b.region, f"buffers.{b.name}.region")
        if b.binds not in species:
            raise InputError(f"buffers.{b.name}.binds", f"unknown species '{b.binds}'{nearest(b.binds, species)}")
        if b.region not in species[b.binds].diffusion:
            raise InputError(f"buffers.{b.name}.region", f"'{b.binds}' does not live in '{b.region}' (give it a diffusion there)")
    for name, channels in model.membranes.items():
        if name not in mesh.membranes:
            raise InputError(
                f"membranes.{name}", f"unknown membrane{nearest(name, mesh.membranes)}; the mesh has {', '.join(mesh.membranes)}"
            )
        for c in channels:
            _validate_channel(model, name, c, species)
    for stimulus in model.stimuli:
        _validate_stimulus(model, stimulus, species)
    _ = model.names


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
            f"'{channel.label()}' moves {' -> '.join(channel.across)}, but this membrane joins {' and '.join(sides)}",
        )
    return channel.across


def resolve_side(side: str, way: tuple[str, str]) -> str:
    """Replace the generic sides ``from`` and ``to`` by the regions of a channel's direction."""
    return way[0] if side == "from" else way[1] if side == "to" else side


def _validate_channel(model: Model, membrane: str, channel: Channel, species: Mapping[str, Species]) -> None:
    """Check names and ports. A port may name a region that the membrane does not touch where every position has one node per region."""
    where = f"membranes.{membrane}.{channel.label()}"
    way = direction(model.mesh, membrane, channel)
    for moved in channel.moves:
        if moved not in species:
            raise InputError(
                where, f"moves '{moved}', which is no species of the model{nearest(moved, species)} (add cs.Species('{moved}', ...))"
            )
    wanted = [parse_port(p) for p in channel.reads.values()]
    wanted += [parse_port(f"{m}@{side}") for m in channel.moves for side in way]
    for port in wanted:
        if port.kind == "v" and model.voltage is None:
            raise InputError(where, "reads the potential, which the model lacks (give voltage=-70 * u.mV)")
        if port.kind in ("v", "t"):
            continue
        side = resolve_side(port.side, way)
        if port.species not in species:
            raise InputError(
                where,
                f"reads '{port.species}@{side}', but the model has no species '{port.species}' (add cs.Species('{port.species}', ...))",
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


def _validate_stimulus(model: Model, stimulus: Stimulus, species: Mapping[str, Species]) -> None:
    where = f"stimuli.{stimulus.species}"
    if stimulus.species not in species:
        raise InputError(where, f"unknown species '{stimulus.species}'{nearest(stimulus.species, species)}")
    span = model.mesh.span(stimulus.region) if stimulus.region in model.mesh.regions else None
    if span is None or stimulus.region not in species[stimulus.species].diffusion:
        raise InputError(f"{where}.region", f"'{stimulus.species}' does not live in '{stimulus.region}'")
    if isinstance(stimulus, Influx):
        stimulus_target(model.mesh, stimulus)
    else:
        model.mesh.select(stimulus.at, np.arange(span.start, span.stop, dtype=np.uint32), f"{where}.at")


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    told = ", ".join(listed[:6]) + (", ..." if len(listed) > 6 else "")
    return f" ({told})" if listed else " (it has none)"


def stimulus_target(mesh: Mesh, stimulus: Influx) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and areas [um^2] through which an influx enters."""
    where = f"stimuli.{stimulus.species}"
    if stimulus.through is None:
        if not isinstance(stimulus.at, str) or stimulus.at not in mesh.faces:
            raise InputError(
                f"{where}.at",
                f"{stimulus.at!r} is not a face of the mesh{_some(mesh.faces)}; name the membrane with through='plasma'",
            )
        face = mesh.faces[stimulus.at]
        if face.region != stimulus.region:
            raise InputError(f"{where}.region", f"face '{stimulus.at}' belongs to '{face.region}'")
        return face.nodes, face.area
    if stimulus.through not in mesh.membranes:
        raise InputError(f"{where}.through", f"unknown membrane '{stimulus.through}'{nearest(stimulus.through, mesh.membranes)}")
    membrane = mesh.membranes[stimulus.through]
    if stimulus.region not in membrane.sides:
        raise InputError(f"{where}.through", f"'{stimulus.through}' does not touch '{stimulus.region}'")
    nodes = membrane.inside if membrane.sides[0] == stimulus.region else membrane.outside
    chosen = mesh.select(stimulus.at, nodes, f"{where}.at")
    return nodes[chosen], membrane.area[chosen]
