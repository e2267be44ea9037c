"""What a model file may contain: tables and keys, checked strictly by pydantic, told in one line per problem."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from ..errors import InputError, nearest, shown
from .text import SEVERAL

Quantity = Any
"""A string with a unit; checked when it is converted, which knows the dimension that is expected."""
Profiled = Any
"""A quantity, a table of them by label, or points along the distance; checked when it is converted."""
Where = str | int | list[Any] | dict[str, list[Any]] | None
"""A place or several: a name, the number of a node, a span of the distance, a box, the node nearest to a point."""


class Problems(InputError):
    """All that is wrong with a file, one InputError each."""

    def __init__(self, problems: list[InputError]) -> None:
        self.problems = problems
        Exception.__init__(self, "\n".join(str(p) for p in problems))
        self.where, self.message = problems[0].where, problems[0].message

    def __reduce__(self) -> tuple[Any, ...]:
        return Problems, (self.problems,)


class Table(BaseModel):
    """A table whose keys are known."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class OpenTable(BaseModel):
    """A table whose other keys are checked later: parameters of a channel or of a mesh builder."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class MeshTable(OpenTable):
    """``[mesh]``: the kind, and the arguments of its builder."""

    kind: str


class SpeciesTable(Table):
    """``[[species]]``."""

    name: str
    diffusion: dict[str, Quantity]
    initial: dict[str, Quantity]
    decay: Quantity = None
    rest: dict[str, Quantity] | None = None


class BufferTable(Table):
    """``[[buffers]]``."""

    name: str
    binds: str
    region: str
    total: Quantity
    kon: Quantity
    koff: Quantity
    diffusion: Quantity = None


class ChannelTable(OpenTable):
    """``[[membranes.NAME]]``: a channel by its registry name, and its parameters."""

    channel: str
    name: str | None = None
    at: Where = None
    scale: Profiled = None
    initial: dict[str, Profiled] | None = None


class PulseTable(Table):
    """What pulses have in common."""

    duration: Quantity
    at: Where = None
    shape: str | None = None
    start: Quantity = None
    period: Quantity = None
    count: int | None = None


class InfluxTable(PulseTable):
    """``[[stimuli]]`` with a flux."""

    species: str
    flux: Quantity
    through: str | None = None
    region: str | None = None


class SetTable(Table):
    """``[[stimuli]]`` with a value."""

    species: str
    value: Quantity
    at: Where = None
    time: Quantity = None
    region: str | None = None


class CurrentTable(PulseTable):
    """``[[stimuli]]`` with a current."""

    current: Quantity
    duration: Quantity = None


class HoldTable(Table):
    """``[[stimuli]]`` with a protocol of potentials."""

    protocol: Quantity
    at: Where = None
    resistance: Quantity = None


class SpikeTable(Table):
    """``[[stimuli]]`` with a channel: spikes at synapses."""

    channel: str
    times: list[Quantity] | dict[str, Any]
    at: Where = None
    weight: float | list[float] | None = None
    conductance: Quantity = None


StimulusTable = InfluxTable | SetTable | CurrentTable | HoldTable | SpikeTable
STIMULI: dict[str, type[StimulusTable]] = {
    "flux": InfluxTable,
    "value": SetTable,
    "current": CurrentTable,
    "protocol": HoldTable,
    "channel": SpikeTable,
}
"""Kinds of stimuli by the key that only they have."""
_KIND_OF = (
    'flux = "2500 uM*um/s" (an influx), value = "2.5 uM" (set at one time), current = "0.1 nA" or protocol = '
    '[["0 ms", "-70 mV"], ["5 ms", "0 mV"]] (electrodes), or channel = "ampa/exp2" (spikes)'
)


class RunTable(Table):
    """``[run]``."""

    until: Quantity
    every: Quantity = None
    tolerance: float | None = None
    dt: Quantity = None
    record: list[Any] | dict[str, Any] | None = None
    threshold: Quantity = None
    threads: int | None = None


class FileTable(Table):
    """The whole file."""

    mesh: MeshTable
    species: list[SpeciesTable] = []
    buffers: list[BufferTable] = []
    membranes: dict[str, list[ChannelTable]] = {}
    stimuli: list[dict[str, Any]] = []
    voltage: Quantity = None
    channel_folders: list[str] = []
    run: RunTable


_TABLES: dict[str, type[BaseModel]] = {
    "mesh": MeshTable, "species": SpeciesTable, "buffers": BufferTable, "membranes": ChannelTable, "run": RunTable,
}  # fmt: skip
_EXAMPLES = {
    "mesh": '[mesh] with kind = "neurite"',
    "kind": 'kind = "neurite"',
    "species": '[[species]] with name = "ca"',
    "run": '[run] with until = "100 ms"',
    "name": 'name = "ca"',
    "diffusion": 'diffusion = { cytosol = "220 um^2/s" }',
    "initial": 'initial = { cytosol = "0.05 uM" }',
    "binds": 'binds = "ca"',
    "region": 'region = "cytosol"',
    "total": 'total = "160 uM"',
    "kon": 'kon = "27 /uM/s"',
    "koff": 'koff = "19 /s"',
    "channel": 'channel = "ryr/keizer-levine"',
    "flux": 'flux = "2500 uM*um/s"',
    "duration": 'duration = "1 ms"',
    "until": 'until = "100 ms"',
    "value": 'value = "2.5 uM"',
    "times": 'times = ["5 ms", "12.5 ms"]',
}
_KINDS = {
    "string_type": "a string", "list_type": "an array", "dict_type": "a table", "model_type": "a table", "int_type": "a whole number",
    "float_type": "a number", "model_attributes_type": "a table",
}  # fmt: skip


def read_tables(data: Mapping[str, Any]) -> tuple[FileTable, list[StimulusTable]]:
    """Check the structure of a parsed file.

    Raises
    ------
    Problems
        Every unknown or missing key and every value of the wrong kind.
    """
    problems = [InputError(dotted(where), told) for where, told in _no_numbers(data, ())]
    if any("digits" in p.message for p in problems):
        raise Problems(problems)
    stimuli: list[StimulusTable] = []
    found: FileTable | None = None
    if "species" not in data and not solved(data.get("voltage")):
        problems.append(InputError("species", f"is missing (add {_EXAMPLES['species']})"))
    try:
        found = FileTable.model_validate(dict(data))
    except ValidationError as error:
        problems += _told(error, data)
    rows = data.get("stimuli", [])
    for k, row in enumerate(rows if isinstance(rows, list) else []):
        if not isinstance(row, Mapping):
            continue
        kinds = [key for key in STIMULI if key in row]
        if len(kinds) != 1:
            told = f"has {' and '.join(kinds)}, expected one of them" if kinds else f"has none of {', '.join(STIMULI)}"
            problems.append(InputError(f"stimuli[{k}]", f"{told}; give {_KIND_OF}"))
            continue
        table = STIMULI[kinds[0]]
        try:
            stimuli.append(table.model_validate(row))
        except ValidationError as error:
            problems += _told(error, data, ("stimuli", k), table)
    if problems or found is None:
        raise Problems(list({p.where: p for p in reversed(problems)}.values())[::-1])
    return found, stimuli


FILE_KEYS = ("file", "time", "potential")
"""Keys of a potential that stands in another file."""
RESULT = "result"
"""Key of a potential that is that of another run."""


def solved(voltage: Any) -> bool:
    """Whether a potential is given as a table of its own, which is one that is solved for, and not as a file."""
    return isinstance(voltage, Mapping) and not voltage.keys() & {*FILE_KEYS, RESULT}


def dotted(parts: tuple[int | str, ...]) -> str:
    """Write a location as in TOML: ``membranes.er[0].density``."""
    out = ""
    for part in parts:
        name = part if isinstance(part, int) or re.fullmatch(r"[\w-]+", part) else json.dumps(part, ensure_ascii=False)
        out += f"[{part}]" if isinstance(part, int) else f".{name}" if out else str(name)
    return out


def unknown_key(loc: tuple[int | str, ...], known: list[str], told: str = "") -> InputError:
    """The line for a key that its table does not have; one that belongs to another table is told so, with the table that it fell into.

    Parameters
    ----------
    loc : of the key, such as ``("membranes", "er", 0, "voltage")``.
    known : keys that the table has.
    told : what comes before their list, "there are" by default.
    """
    key, table, run = str(loc[-1]), _header(loc[:-1]), list(RunTable.model_fields)
    fell = f"here it fell into {table}" if len(loc) > 1 else "here it stands before any table"
    if key in FileTable.model_fields and len(loc) > 1:
        return InputError(dotted(loc), f"belongs to the top of the file, {fell} (move it above the first [table])")
    if key == "record" and len(loc) == 1:
        return InputError(key, "belongs to [run]: write record = [...] below the line [run], or [run.record] for a table of probes")
    if key in run and key not in known and loc[0] != "run":
        return InputError(dotted(loc), f"belongs to [run], {fell} (move it below the line [run])")
    return InputError(dotted(loc), f"unknown key{nearest(key, known)}; {told or 'there are'} {', '.join(known)}")


def _header(loc: tuple[int | str, ...]) -> str:
    """The line in brackets that begins the table at a location."""
    names = [str(p) for p in loc[: 2 if loc and loc[0] == "membranes" else 1] if isinstance(p, str)]
    return f"[[{'.'.join(names)}]]" if names and names[0] in SEVERAL else f"[{'.'.join(names)}]"


def _told(
    error: ValidationError, data: Mapping[str, Any], prefix: tuple[int | str, ...] = (), table: type[BaseModel] | None = None
) -> list[InputError]:
    """One line per place that pydantic complains of, in the words of the file."""
    out: dict[str, InputError] = {}
    for e in error.errors(include_url=False):
        loc = _place(data, (*prefix, *e["loc"]), e["type"] == "missing")
        problem = _problem(e, loc, table)
        out.setdefault(problem.where, problem)
    return list(out.values())


def _place(data: Any, loc: tuple[int | str, ...], missing: bool) -> tuple[int | str, ...]:
    """The parts of pydantic's location that are places of the file: it names alternatives as well."""
    out: list[int | str] = []
    for k, part in enumerate(loc):
        there = (isinstance(data, Mapping) and part in data) or (isinstance(data, list) and isinstance(part, int) and part < len(data))
        if there:
            data = data[part]
        if there or (missing and k == len(loc) - 1):
            out.append(part)
    return tuple(out)


def _problem(e: ErrorDetails, loc: tuple[int | str, ...], table: type[BaseModel] | None) -> InputError:
    if e["type"] == "missing":
        fix = _EXAMPLES.get(str(loc[-1]), "")
        return InputError(dotted(loc), "is missing" + (f" (add {fix})" if fix else ""))
    if e["type"] == "extra_forbidden":
        return _extra(loc, e["input"], table)
    if loc and loc[0] in FileTable.model_fields and len(loc) <= (2 if loc[0] == "membranes" else 1):
        return _brackets(loc, e["input"])
    kind = _KINDS.get(e["type"])
    if e["type"] == "list_type" and isinstance(e["input"], str):
        return InputError(dotted(loc), f"{shown(e['input'], 40)} is not an array (write {loc[-1]} = [{json.dumps(e['input'])[:40]}])")
    said = f"is not {kind}" if kind else f"{e['msg'][0].lower()}{e['msg'][1:]}"
    return InputError(dotted(loc), f"{shown(e['input'], 40)}{' ' if kind else ': '}{said}")


def _extra(loc: tuple[int | str, ...], given: Any, table: type[BaseModel] | None) -> InputError:
    rows = given if isinstance(given, list) else [given]
    if len(loc) == 1 and any(isinstance(row, Mapping) and "channel" in row for row in rows):
        return InputError(dotted(loc), f"channels belong to a membrane (write [[membranes.{dotted(loc)}]])")
    own = table or (FileTable if len(loc) == 1 else _TABLES.get(str(loc[0]), FileTable))
    return unknown_key(loc, list(own.model_fields))


def _brackets(loc: tuple[int | str, ...], given: Any) -> InputError:
    """A table that is no list of tables, a list that is to be one table, or neither."""
    header = _header(loc)
    if loc[0] not in SEVERAL:
        if loc[0] in ("mesh", "run") and isinstance(given, list):
            return InputError(dotted(loc), f"stands in two brackets (write {header}, there is one)")
        kind = "a table" if loc[0] in ("mesh", "run") else "an array"
        return InputError(dotted(loc), f"{shown(given, 40)} is not {kind} (e.g. {_EXAMPLES.get(str(loc[0]), header)})")
    if loc[0] == "membranes" and (len(loc) == 1 or not isinstance(given, Mapping | list)):
        return InputError("membranes", 'a membrane has a name and channels (write [[membranes.er]] with channel = "leak/linear")')
    found = "stands in one bracket" if isinstance(given, Mapping) else f"{shown(given, 40)} is no table"
    return InputError(dotted(loc), f"{found} (write {header}, in two brackets: there can be several)")


def _no_numbers(data: Any, where: tuple[int | str, ...]) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Numbers that no table takes: not finite, or longer than TOML's whole numbers of 64 bits."""
    rows = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list) else ()
    for key, inner in rows:
        yield from _no_numbers(inner, (*where, key))
    if isinstance(data, float) and not math.isfinite(data):
        yield where, f"{data} is not finite (give a number)"
    if isinstance(data, int) and not -(2**63) <= data < 2**63:
        yield where, "is a whole number of more than 18 digits, expected a smaller one"
