"""What a model file may contain: tables and keys, checked strictly by pydantic, told in one line per problem."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from .errors import InputError, nearest

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


class InfluxTable(Table):
    """``[[stimuli]]`` with a flux."""

    species: str
    flux: Quantity
    duration: Quantity
    at: Where = None
    shape: str | None = None
    start: Quantity = None
    period: Quantity = None
    count: int | None = None
    through: str | None = None
    region: str | None = None


class SetTable(Table):
    """``[[stimuli]]`` with a value."""

    species: str
    value: Quantity
    at: Where = None
    time: Quantity = None
    region: str | None = None


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
    species: list[SpeciesTable]
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
}
_KINDS = {
    "string_type": "a string", "list_type": "an array", "dict_type": "a table", "model_type": "a table", "int_type": "a whole number",
    "float_type": "a number", "model_attributes_type": "a table",
}  # fmt: skip


def read_tables(data: Mapping[str, Any]) -> tuple[FileTable, list[InfluxTable | SetTable]]:
    """Check the structure of a parsed file.

    Raises
    ------
    Problems
        Every unknown or missing key and every value of the wrong kind.
    """
    problems = [InputError(where, f"{number} is not finite (give a number)") for where, number in _not_finite(data, "")]
    stimuli: list[InfluxTable | SetTable] = []
    found: FileTable | None = None
    try:
        found = FileTable.model_validate(dict(data))
    except ValidationError as error:
        problems += _told(error)
    rows = data.get("stimuli", [])
    for k, row in enumerate(rows if isinstance(rows, list) else []):
        if not isinstance(row, Mapping):
            continue
        if ("flux" in row) == ("value" in row):
            fix = 'give flux = "2500 uM*um/s" (an influx) or value = "2.5 uM" (set at one time)'
            problems.append(InputError(f"stimuli[{k}]", f"has {'both' if 'flux' in row else 'neither'} flux and value; {fix}"))
            continue
        table = InfluxTable if "flux" in row else SetTable
        try:
            stimuli.append(table.model_validate(row))
        except ValidationError as error:
            problems += _told(error, ("stimuli", k), table)
    if problems or found is None:
        raise Problems(problems)
    return found, stimuli


def dotted(parts: tuple[int | str, ...]) -> str:
    """Write a location as in TOML: ``membranes.er[0].density``."""
    out = ""
    for part in parts:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else str(part)
    return out


def _told(error: ValidationError, prefix: tuple[int | str, ...] = (), table: type[BaseModel] | None = None) -> list[InputError]:
    out: dict[str, InputError] = {}
    for e in error.errors(include_url=False):
        loc = tuple(p for p in e["loc"] if not (isinstance(p, str) and ("[" in p or p in ("str", "dict", "int"))))
        where = dotted((*prefix, *loc))
        out.setdefault(where, InputError(where, _message(e, loc, table)))
    return list(out.values())


def _message(e: ErrorDetails, loc: tuple[int | str, ...], table: type[BaseModel] | None) -> str:
    if e["type"] == "missing":
        fix = _EXAMPLES.get(str(loc[-1]), "")
        return "is missing" + (f" (add {fix})" if fix else "")
    if e["type"] == "extra_forbidden":
        known = list((table or (FileTable if len(loc) == 1 else _TABLES.get(str(loc[0]), FileTable))).model_fields)
        return f"unknown key{nearest(str(loc[-1]), known)}; there are {', '.join(known)}"
    seen = repr(e["input"])
    kind = _KINDS.get(e["type"])
    return f"{seen[:40]} is not {kind}" if kind else f"{seen[:40]}: {e['msg'][0].lower()}{e['msg'][1:]}"


def _not_finite(data: Any, where: str) -> Iterator[tuple[str, float]]:
    if isinstance(data, Mapping):
        for key, inner in data.items():
            yield from _not_finite(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(data, list):
        for k, inner in enumerate(data):
            yield from _not_finite(inner, f"{where}[{k}]")
    elif isinstance(data, float) and not math.isfinite(data):
        yield where, data
