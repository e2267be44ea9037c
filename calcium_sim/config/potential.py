"""The potential as a model file gives it: a quantity, pairs of time and potential, or a file of two columns."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError, nearest, regular_file, shown
from ..model.electrics import Cable
from ..model.placed import VoltageMap
from ..model.tables import FILES, Table
from ..model.voltage import checked
from ..results.reading import open as open_result
from ..units import value
from .schema import FILE_KEYS as KEYS
from .schema import RESULT, solved

LARGEST = 8 * 1024 * 1024
FORM = 'voltage = {{ file = "{}", time = "ms", potential = "mV" }}'
EXPECTED = f'expected "-70 mV", pairs [["0 ms", "-70 mV"], ["5 ms", "0 mV"]], or a file of two columns ({FORM.format("v.csv")[10:]})'


def potential_of(given: Any, folder: Path) -> Any:
    """The potential of a file, checked: None, a number in mV, a table or a map; a file that it names is read, relative to `folder`.

    Raises
    ------
    InputError
        If it is none of these, or the file cannot be read.
    """
    if isinstance(given, str) and Path(given.strip()).suffix.lower() in FILES:
        raise InputError("voltage", f"{shown(given)} is the name of a file (write {FORM.format(given.strip())}, with its units)")
    if isinstance(given, Mapping) and RESULT in given:
        return _result(given, folder)
    if isinstance(given, Mapping):
        return _cable(given) if solved(given) else _from_file(given, folder, "voltage")
    return checked(given, EXPECTED)


def _result(given: Mapping[str, Any], folder: Path) -> VoltageMap:
    """The potential of another run: ``voltage = { result = "cable.nc" }``."""
    name = given[RESULT]
    if len(given) > 1 or not (isinstance(name, str) and name.strip()):
        raise InputError("voltage", f'{shown(dict(given))} is no result of another run (write voltage = {{ result = "cable.nc" }})')
    with open_result(folder / name) as ds:
        return VoltageMap.of(ds)


def _cable(given: Mapping[str, Any]) -> Cable:
    known = list(Cable.__dataclass_fields__)
    for key in given:
        if key not in known:
            raise InputError(f"voltage.{key}", f"unknown key{nearest(key, [*known, *KEYS])}; there are {', '.join(known)}")
    return Cable(**given)


def protocol_of(given: Any, folder: Path) -> Any:
    """The potentials of an electrode: as `potential_of`, a quantity, pairs, or a file of two columns."""
    if isinstance(given, Mapping):
        return _from_file(given, folder, "stimuli.voltage_clamp.protocol")
    if isinstance(given, str) and Path(given.strip()).suffix.lower() in FILES:
        form = FORM.format(given.strip()).replace("voltage", "protocol", 1)
        raise InputError("stimuli.voltage_clamp.protocol", f"{shown(given)} is the name of a file (write {form}, with its units)")
    return given


def _from_file(given: Mapping[str, Any], folder: Path, where: str) -> Table:
    for key in given:
        if key not in KEYS:
            raise InputError(f"{where}.{key}", f"unknown key{nearest(key, KEYS)}; there are {', '.join(KEYS)}")
    for key in KEYS:
        if not (isinstance(given.get(key), str) and given[key].strip()):
            found = f"{shown(given[key])} is no text" if key in given else "is missing"
            raise InputError(f"{where}.{key}", f"{found} (write {FORM.format('v.csv')})")
    scales = [_scale(given[key], unit, f"{where}.{key}") for key, unit in (("time", "ms"), ("potential", "mV"))]
    name = given["file"]
    rows, before = [], -math.inf
    for number, t, v in _rows(_text(folder / name, name), name):
        time, potential = t * scales[0], v * scales[1]
        if time < before:
            raise InputError(f"{where}.file", f"{name}, line {number}: {time:g} ms comes after {before:g} ms, times must not decrease")
        rows.append((time, potential))
        before = time
    if len(rows) < 2:
        raise InputError(f"{where}.file", f"{name}: has {len(rows)} lines of numbers, expected at least two (time, potential)")
    return Table(rows)


def _scale(unit: str, target: str, where: str) -> float:
    """How much of `target` one of a unit is."""
    found: float = value(f"1 {unit.strip()}", target, where)
    return found


def _text(path: Path, name: str) -> str:
    """The text of a file of two columns, its size checked before it is read."""
    kind = "a text of two columns, time and potential"
    try:
        if not path.exists():
            there = sorted(p.name for p in path.parent.iterdir() if p.suffix.lower() in FILES) if path.parent.is_dir() else []
            raise InputError("voltage.file", f"{name}: no such file in {path.parent.resolve()}{nearest(path.name, there)}")
        with regular_file(path, f"voltage.file: {name}", kind).open("rb") as stream:
            raw = stream.read(LARGEST + 1)
    except InputError:
        raise
    except (OSError, ValueError) as error:  # a name that is too long, or holds a zero
        told = getattr(error, "strerror", None) or error
        raise InputError("voltage.file", f"{shown(name)}: cannot be read: {told}") from None
    if len(raw) > LARGEST:
        raise InputError("voltage.file", f"{name}: is larger than {LARGEST // 1024**2} MiB (leave out points that lie on a line)")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError("voltage.file", f"{name}, line {line}: is no UTF-8 text, expected {kind}") from None


def _rows(text: str, name: str) -> Iterator[tuple[int, float, float]]:
    """Line number and two numbers of each line; comments (#) and empty lines are skipped, and one heading before the first numbers."""
    heading = True
    for number, line in enumerate(text.splitlines(), 1):
        cells = re.split(r"\s*[,;\t]\s*|\s+", line.partition("#")[0].strip().rstrip(",;"))
        if cells == [""]:
            continue
        found = [_number(cell) for cell in cells]
        if heading and not any(isinstance(x, float) for x in found):
            heading = False
            continue
        heading = False
        if len(cells) != 2:
            hint = " (a number has a decimal point and no comma)" if ";" in line and "," in line else ""
            raise InputError("voltage.file", f"{name}, line {number}: has {len(cells)} columns, expected two: time and potential{hint}")
        t, v = (math.nan if x is None else x for x in found)
        if not (math.isfinite(t) and math.isfinite(v)):
            wrong = cells[0] if not math.isfinite(t) else cells[1]
            raise InputError("voltage.file", f"{name}, line {number}: {shown(wrong, 40)} is no finite number")
        yield number, t, v


def _number(cell: str) -> float | None:
    """A number of a file, None where it is none."""
    try:
        return float(cell) if len(cell) < 100 and "_" not in cell else None
    except ValueError:
        return None
