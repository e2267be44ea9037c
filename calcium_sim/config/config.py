"""A model as a TOML file: read, checked as a whole before anything runs, every problem told with its key and the fix."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError, nearest
from ..mesh import Mesh
from ..mesh.profiles import value_over
from ..model import Buffer, Model, Species
from ..model.channel_files import executed
from ..model.electrics import Cable, CurrentClamp, VoltageClamp
from ..model.probes import Recorded
from ..model.registry import add_channel_folder, get_channel
from ..model.spikes import SpikeTimes
from ..model.stimuli import Influx, Set, Stimulus
from ..plugin import Channel, is_balance
from ..plugin.entries import find, listed
from ..run.arguments import checked_record
from ..run.limits import check_length
from ..units import text, value
from .places import place_of, record_of
from .potential import current_of, potential_of, protocol_of, times_of
from .schema import (
    ChannelTable,
    CurrentTable,
    FileTable,
    HoldTable,
    InfluxTable,
    MeshTable,
    Problems,
    RunTable,
    SpikeTable,
    StimulusTable,
    dotted,
    read_tables,
    unknown_key,
)
from .text import parse as parse
from .text import read_text as read_text

GROUP = "calcium_sim.meshes"


@dataclass(frozen=True)
class RunOptions:
    """How long to run and what to keep, in ms; what is None is left to `simulate`."""

    until: float
    every: float | None = None
    tolerance: float | None = None
    dt: float | None = None
    record: tuple[str, ...] | Recorded | None = None
    threads: int | None = None
    threshold: float | None = None
    text: str = ""
    """The file, as it was read."""

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for `simulate`."""
        out: dict[str, Any] = {k: getattr(self, k) for k in ("tolerance", "record", "threads") if getattr(self, k) is not None}
        for name in ("until", "every", "dt"):
            if (number := getattr(self, name)) is not None:
                out[name] = text(number, "ms")
        return out if self.threshold is None else out | {"threshold": self.threshold}


Tell = Callable[[str], None]
"""Called with a line for the user before a file is executed."""


def load(path: str | Path, tell: Tell | None = None) -> tuple[Model, RunOptions]:
    """Read a model file; `tell` hears of Python files before they are executed.

    Raises
    ------
    InputError
        If the file cannot be read or parsed; `Problems`, an InputError with all that is wrong, if its content cannot be used.
    """
    source = Path(path)
    try:
        text = read_text(source)
        model, options = build(parse(text), source.parent, tell)
        return model, replace(options, text=text)
    except Problems as error:
        raise Problems([_in_file(p, str(path)) for p in error.problems]) from None
    except InputError as error:
        raise _in_file(error, str(path)) from error.__cause__


def _in_file(error: InputError, file: str) -> InputError:
    return InputError(f"{file}: {error.where}" if error.where else file, error.message)


def build(data: Mapping[str, Any], folder: Path = Path(), tell: Tell | None = None) -> tuple[Model, RunOptions]:
    """Build the model from parsed TOML; paths in it are relative to `folder`."""
    tables, stimuli = read_tables(data)
    problems: list[InputError] = []
    with _collect(problems):
        options = _run_options(tables.run)
    mesh: Mesh | None = None
    with _collect(problems):
        mesh = _mesh(tables.mesh, folder)
    species = [s for s in (_species(t.model_dump(exclude_none=True), problems) for t in tables.species) if s]
    buffers = [b for b in (_buffer(t.model_dump(exclude_none=True), problems) for t in tables.buffers) if b]
    for place in tables.channel_folders:
        with _collect(problems):
            add_channel_folder(folder / place)
    for line in dict.fromkeys(executed(t.channel, folder) for rows in tables.membranes.values() for t in rows):
        if line and tell is not None:
            tell(line)
    channels = {
        name: [_channel(t, ("membranes", name, k), folder, problems) for k, t in enumerate(rows)] for name, rows in tables.membranes.items()
    }
    told = [_stimulus(t, f"stimuli[{k}]", folder, problems) for k, t in enumerate(stimuli)]
    voltage: Any = "-70 mV"  # in place of one that is refused, so that it hides nothing else
    with _collect(problems):
        voltage = potential_of(tables.voltage, folder)
    if mesh is not None and len(species) == len(tables.species):
        _check_parts(tables, mesh, species, buffers, channels, told, voltage, problems)
    if problems:
        raise Problems(problems)
    assert mesh is not None
    membranes = {name: [c for c in row if c] for name, row in channels.items()}
    model = Model(mesh, species, membranes, buffers, [s for s in told if s], voltage)
    checked_record(model, options.record, "run.record")
    return model, options


@contextmanager
def _collect(problems: list[InputError], where: str = "", drop: str = "") -> Iterator[None]:
    """Keep an InputError for the list; with `where`, put that in place of the leading `drop` of its own place."""
    try:
        yield
    except Problems as error:
        problems += error.problems
    except InputError as error:
        rest = error.where.removeprefix(drop) if drop and error.where.startswith(drop) else ""
        problems.append(InputError(where + rest, error.message) if where else error)


def _check_parts(
    tables: FileTable,
    mesh: Mesh,
    species: list[Species],
    buffers: list[Buffer],
    channels: Mapping[str, list[Channel | None]],
    stimuli: list[Stimulus | None],
    voltage: Any,
    problems: list[InputError],
) -> None:
    """Fit each part to the mesh and the species on its own, so that one misfit does not hide the next."""
    before = len(problems)
    cable = voltage if isinstance(voltage, Cable) else None
    with _collect(problems):
        Model(mesh, species, voltage=cable)
    if len(problems) > before:
        return
    for b in buffers:
        with _collect(problems):
            Model(mesh, species, buffers=[b], voltage=cable)
    for name, row in channels.items():
        if name not in mesh.membranes:
            with _collect(problems):
                Model(mesh, species, {name: []}, voltage=cable)
            continue
        for k, c in enumerate(row):
            if c is not None:
                with _collect(problems, f"membranes.{name}[{k}]", f"membranes.{name}.{c.called()}"):
                    Model(mesh, species, {name: [c]}, voltage=voltage)
    for k, s in enumerate(stimuli):
        if s is not None:
            with _collect(problems, f"stimuli[{k}]", s.where):
                if not isinstance(s, SpikeTimes):
                    Model(mesh, species, stimuli=[s], voltage=cable)
                elif len(problems) == before:  # else what is wrong with the channel comes first
                    Model(mesh, species, {name: [c for c in row if c] for name, row in channels.items()}, stimuli=[s], voltage=voltage)
    if len(problems) == before:
        with _collect(problems):
            Model(mesh, species, buffers=buffers, voltage=cable)


def _species(table: dict[str, Any], problems: list[InputError]) -> Species | None:
    with _collect(problems):
        return Species(**table)
    return None


def _buffer(table: dict[str, Any], problems: list[InputError]) -> Buffer | None:
    with _collect(problems):
        return Buffer(**table)
    return None


def _channel(table: ChannelTable, loc: tuple[str | int, ...], folder: Path, problems: list[InputError]) -> Channel | None:
    where = dotted(loc)
    with _collect(problems, f"{where}.channel"):
        cls = get_channel(table.channel, folder)
        values = dict(table.model_extra or {})
        wrong = list(_wrong_values(cls, values, loc))
        problems += wrong
        if not wrong:
            with _collect(problems, where, cls.label()):
                return cls(at=place_of(table.at, f"{cls.label()}.at"), scale=table.scale, initial=table.initial, name=table.name, **values)
    return None


def _wrong_values(cls: type[Channel], values: Mapping[str, Any], loc: tuple[str | int, ...]) -> Iterator[InputError]:
    known = cls.parameter_table()
    for name, given in values.items():
        where = dotted((*loc, name))
        if name not in known:
            yield unknown_key((*loc, name), ["at", "initial", "name", "scale", *known], f"'{cls.label()}' has")
        elif not is_balance(given):
            try:
                value_over(given, known[name].unit, where)
            except InputError as error:
                yield error


def _stimulus(table: StimulusTable, where: str, folder: Path, problems: list[InputError]) -> Stimulus | None:
    row = table.model_dump(exclude_none=True)
    if isinstance(table, CurrentTable | HoldTable):
        kind = CurrentClamp if isinstance(table, CurrentTable) else VoltageClamp
        with _collect(problems, where, f"stimuli.{'current' if kind is CurrentClamp else 'voltage'}_clamp"):
            if "protocol" in row:
                row["protocol"] = protocol_of(row["protocol"], folder)
            else:
                row["current"] = current_of(row["current"], folder)
            return kind(**row | {"at": place_of(table.at, f"{where}.at")})
        return None
    if isinstance(table, SpikeTable):
        with _collect(problems, where, "stimuli.spike_times"):
            if isinstance(table.times, dict):
                row["times"] = times_of(table.times, folder)
            return SpikeTimes(**row | {"at": place_of(table.at, f"{where}.at")})
        return None
    with _collect(problems, where, f"stimuli.{table.species}"):
        row["at"] = place_of(table.at, f"stimuli.{table.species}.at")
        if isinstance(table, InfluxTable) and table.through is None and not isinstance(table.at, (str, list)):
            raise InputError(
                f"stimuli.{table.species}.at", 'name a face (at = "left"), or the membrane that the flux crosses (through = "plasma")'
            )
        return Influx(**row) if isinstance(table, InfluxTable) else Set(**row)
    return None


def builders() -> list[str]:
    """Kinds of meshes that a file can name; nothing is imported."""
    return listed(GROUP)


def build_mesh(kind: str, folder: Path = Path(), **arguments: Any) -> Mesh:
    """Build a mesh by the kind and the keys of a ``[mesh]`` table."""
    return _mesh(MeshTable(kind=kind, **arguments), folder)


def _mesh(table: MeshTable, folder: Path) -> Mesh:
    """Call the builder with the keys of ``[mesh]``; its errors are moved to the keys of the file."""
    point = find(table.kind, GROUP, "mesh.kind")
    if point is None:
        raise InputError("mesh.kind", f"unknown kind '{table.kind}'{nearest(table.kind, builders())}; there are {', '.join(builders())}")
    builder = point.load()
    arguments = dict(table.model_extra or {})
    parameters = inspect.signature(builder).parameters
    if "example" in arguments and "example" not in parameters:
        _example(builder, table.kind, arguments)
    problems = [unknown_key(("mesh", k), list(parameters), f"'{table.kind}' has") for k in arguments if k not in parameters]
    needed = [k for k, p in parameters.items() if p.default is p.empty and k not in arguments]
    problems += [InputError(f"mesh.{k}", f"is missing ('{table.kind}' needs it)") for k in needed]
    if problems:
        raise Problems(problems)
    if "path" in arguments:
        if not isinstance(arguments["path"], str | Path):
            raise InputError("mesh.path", f"{arguments['path']!r} is not a path (a string)")
        arguments["path"] = folder / arguments["path"]
    try:
        mesh: Mesh = builder(**arguments)
    except InputError as error:
        raise _in_mesh_table(error, builder.__name__, "path" in arguments) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError("mesh", f"'{table.kind}' cannot be built from these values: {error}") from error
    return mesh


def _in_mesh_table(error: InputError, builder: str, file: bool) -> InputError:
    """Place an error of a builder at the key of ``[mesh]`` that it is about: an argument, or the file that ``path`` names."""
    own, _, key = error.where.partition(".")
    if own == builder and key:
        return InputError(f"mesh.{key}", error.message)
    return InputError("mesh.path" if file else "mesh", f"{error.where}: {error.message}" if error.where else error.message)


def _example(builder: Callable[..., Any], kind: str, arguments: dict[str, Any]) -> None:
    """Replace ``example = "granule-cell"`` by the path that the builder's module has for it."""
    find = getattr(inspect.getmodule(builder), "example", None)
    if find is None:
        return
    if "path" in arguments:
        raise InputError("mesh.example", "give path or example, not both")
    name = arguments.pop("example")
    try:
        arguments["path"] = find(name if isinstance(name, str) else repr(name))
    except InputError as error:
        raise InputError("mesh.example", error.message) from None


def _run_options(table: RunTable) -> RunOptions:
    problems: list[InputError] = []
    numbers: dict[str, float | None] = {}
    for name in ("until", "every", "dt"):
        with _collect(problems):
            numbers[name] = (
                None
                if getattr(table, name) is None
                else _above_zero(value(getattr(table, name), "ms", f"run.{name}"), f"run.{name}", " ms")
            )
    until, every, dt = (numbers.get(k) for k in ("until", "every", "dt"))
    with _collect(problems):
        if table.threads is not None:
            _above_zero(table.threads, "run.threads", "")
    with _collect(problems):
        if table.tolerance is not None and _above_zero(table.tolerance, "run.tolerance", "") >= 1:
            raise InputError("run.tolerance", f"{table.tolerance:g} is no relative error of a speed, expected below 1 (e.g. 0.002)")
        if table.tolerance is not None and dt is not None:
            raise InputError("run.dt", "give tolerance or dt, not both")
    with _collect(problems):
        if every and until and every > until:
            raise InputError("run.every", f"{every:g} ms is longer than the run of {until:g} ms")
        if until:
            check_length(until, every=every, dt=dt, where="run.until")
    threshold = None
    with _collect(problems):
        if table.threshold is not None:
            threshold = _above_zero(value(table.threshold, "uM", "run.threshold"), "run.threshold", " uM")
    if problems or until is None:
        raise Problems(problems)
    record: Any = None
    with _collect(problems, "run.record", "record"):
        record = record_of(table.record)
    if problems:
        raise Problems(problems)
    return RunOptions(until, every, table.tolerance, dt, record, table.threads, threshold)


def _above_zero(number: float, where: str, unit: str) -> float:
    if not number > 0:
        raise InputError(where, f"{number:g}{unit} must be > 0")
    return number
