"""Files of columns that a model file names: a time and what there is at that time, in units that stand beside the name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, nearest, regular_file, shown
from ..model.tables import FILES
from ..units import value

LARGEST = 8 * 1024 * 1024


@dataclass(frozen=True)
class Columns:
    """What a file holds: the unit that each column is converted to, by its name, and the key that it stands for in messages.

    >>> Columns("voltage", {"time": "ms", "potential": "mV"}).form("v.csv")
    'voltage = { file = "v.csv", time = "ms", potential = "mV" }'
    """

    key: str
    units: Mapping[str, str]

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the table that names a file."""
        return "file", *self.units

    def form(self, file: str) -> str:
        """How it is written."""
        return f'{self.key} = {{ file = "{file}", {", ".join(f"{name} = {chr(34)}{unit}{chr(34)}" for name, unit in self.units.items())} }}'

    def words(self) -> str:
        """The names of its columns."""
        return " and ".join(self.units)

    def number(self) -> str:
        """How many columns there are, in words."""
        return {1: "one column", 2: "two columns"}[len(self.units)]


def is_file(given: Any) -> bool:
    """Whether a value is the name of a file of columns."""
    return isinstance(given, str) and Path(given.strip()).suffix.lower() in FILES


def refuse_name(given: Any, columns: Columns, where: str) -> None:
    """Refuse the bare name of a file: its units have to stand beside it."""
    if is_file(given):
        raise InputError(where, f"{shown(given)} is the name of a file (write {columns.form(given.strip())}, with its units)")


def from_file(given: Mapping[str, Any], folder: Path, columns: Columns, where: str, least: int = 2) -> list[tuple[float, ...]]:
    """Rows of a file of columns, converted; times must not decrease.

    Raises
    ------
    InputError
        If keys are missing or unknown, the file cannot be read, or it holds anything else than numbers.
    """
    for key in given:
        if key not in columns.keys:
            raise InputError(f"{where}.{key}", f"unknown key{nearest(key, columns.keys)}; there are {', '.join(columns.keys)}")
    for key in columns.keys:
        if not (isinstance(given.get(key), str) and given[key].strip()):
            found = f"{shown(given[key])} is no text" if key in given else "is missing"
            raise InputError(f"{where}.{key}", f"{found} (write {columns.form(f'{columns.key[0]}.csv')})")
    scales = [_scale(given[key], unit, f"{where}.{key}") for key, unit in columns.units.items()]
    name, file = given["file"], f"{where}.file"
    rows, before = [], -math.inf
    for number, numbers in _rows(_text(folder / name, name, columns, file), name, columns, file):
        row = tuple(x * scale for x, scale in zip(numbers, scales, strict=True))
        if row[0] < before:
            raise InputError(file, f"{name}, line {number}: {row[0]:g} ms comes after {before:g} ms, times must not decrease")
        rows.append(row)
        before = row[0]
    if len(rows) < least:
        told = "at least two" if least == 2 else "at least one"
        raise InputError(file, f"{name}: has {len(rows)} lines of numbers, expected {told} ({', '.join(columns.units)})")
    return rows


def _scale(unit: str, target: str, where: str) -> float:
    """How much of `target` one of a unit is."""
    found: float = value(f"1 {unit.strip()}", target, where)
    return found


def _text(path: Path, name: str, columns: Columns, where: str) -> str:
    """The text of a file, its size checked before it is read."""
    kind = f"a text of {columns.number()}, {columns.words()}"
    try:
        if not path.exists():
            there = sorted(p.name for p in path.parent.iterdir() if p.suffix.lower() in FILES) if path.parent.is_dir() else []
            raise InputError(where, f"{name}: no such file in {path.parent.resolve()}{nearest(path.name, there)}")
        with regular_file(path, f"{where}: {name}", kind).open("rb") as stream:
            raw = stream.read(LARGEST + 1)
    except InputError:
        raise
    except (OSError, ValueError) as error:  # a name that is too long, or holds a zero
        told = getattr(error, "strerror", None) or error
        raise InputError(where, f"{shown(name)}: cannot be read: {told}") from None
    if len(raw) > LARGEST:
        raise InputError(where, f"{name}: is larger than {LARGEST // 1024**2} MiB (leave out points that lie on a line)")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(where, f"{name}, line {line}: is no UTF-8 text, expected {kind}") from None


def _rows(text: str, name: str, columns: Columns, where: str) -> Iterator[tuple[int, Sequence[float]]]:
    """Line number and numbers of each line; comments (#) and empty lines are skipped, and one heading before the first numbers."""
    heading, wanted = True, len(columns.units)
    for number, line in enumerate(text.splitlines(), 1):
        cells = re.split(r"\s*[,;\t]\s*|\s+", line.partition("#")[0].strip().rstrip(",;"))
        if cells == [""]:
            continue
        found = [_number(cell) for cell in cells]
        if heading and not any(isinstance(x, float) for x in found):
            heading = False
            continue
        heading = False
        if len(cells) != wanted:
            hint = " (a number has a decimal point and no comma)" if ";" in line and "," in line else ""
            expected = f"expected {columns.number().split()[0]}: {columns.words()}{hint}"
            raise InputError(where, f"{name}, line {number}: has {len(cells)} columns, {expected}")
        for cell, x in zip(cells, found, strict=True):
            if x is None or not math.isfinite(x):
                raise InputError(where, f"{name}, line {number}: {shown(cell, 40)} is no finite number")
        yield number, [x for x in found if x is not None]


def _number(cell: str) -> float | None:
    """A number of a file, None where it is none."""
    try:
        return float(cell) if len(cell) < 100 and "_" not in cell else None
    except ValueError:
        return None
