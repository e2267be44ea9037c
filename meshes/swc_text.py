"""Read SWC files in the dialects that programs write; every fault is named by file, line and node id.

The text is read here, not by a library: readers let cycles, two roots, radii <= 0 and 1e300 pass, and keep 32-bit coordinates.
"""

from __future__ import annotations

import codecs
import math
import re
from pathlib import Path

import numpy as np

from ..errors import InputError, regular_file
from .points import Points

LARGEST_FILE = 256 * 2**20
LONGEST_LINE = 1000
COLUMNS = "id type x y z radius parent"

Row = tuple[int, int, int, float, float, float, float, int]


def read_swc(path: Path) -> Points:
    """Read the points of an SWC file.

    Blanks, tabs, commas or semicolons separate the columns; ids may be written as floats, numbers with a decimal comma; columns after the
    seventh are left out. A parent below 0 makes a root, and so does 0 where no point has this id.

    Returns
    -------
    Points
        In the order of the file, 64-bit, in the file's unit.

    Raises
    ------
    InputError
        For a file that is missing, empty, no text or too large; a line without seven numbers, or with another number of columns than the
        first; an id given twice; an unknown parent.
    """
    rows, told = _rows(path)
    return _resolve(path.name, rows, told)


def read_bytes(path: Path, kind: str) -> bytes:
    """The content of a regular file of at most `LARGEST_FILE` bytes."""
    try:
        with regular_file(path, str(path), kind).open("rb") as stream:
            raw = stream.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > LARGEST_FILE:
        raise InputError(path.name, f"is too large (at most {LARGEST_FILE // 2**20} MiB are read)")
    return raw


def _rows(path: Path) -> tuple[list[Row], list[str]]:
    where = path.name or str(path)
    raw = read_bytes(path, "an SWC file")
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in raw and not wide:
        raise InputError(where, f"is not text, expected SWC: {COLUMNS}")
    # comments may be in any encoding; a broken character in a data line fails as a number
    lines = raw.decode("utf-16" if wide else "utf-8-sig", errors="replace").splitlines()
    rows: list[Row] = []
    columns, told = 0, dict[str, str]()
    for number, line in enumerate(lines, 1):
        place = f"{where}: line {number}"
        words, decimal = _words(line, place)
        if not words:
            continue
        if not rows:
            columns = _first(words, place)
        if len(words) != columns or columns < 7:
            expected = f"7: {COLUMNS}" if columns <= 7 else f"{columns} as in the line of the first point"
            raise InputError(place, f"{len(words)} columns, expected {expected}")
        rows.append(_row(words, place, number))
        if decimal:
            told.setdefault("decimal", f"{place}: numbers with a comma are read as decimals ({decimal} as {decimal.replace(',', '.')})")
    if columns > 7:
        told["columns"] = f"{where}: columns {'8' if columns == 8 else f'8 to {columns}'} are not used"
    return rows, list(told.values())


def _words(line: str, where: str) -> tuple[list[str], str]:
    """The columns of a line, and the first of them that had a decimal comma; none in a comment or an empty line."""
    text = line.split("#", 1)[0].strip().strip(",;")
    if len(text) > LONGEST_LINE:
        raise InputError(where, f"a line of {len(text)} characters, expected 7 columns: {COLUMNS}")
    if ";" in text:
        words = [w.strip() for w in text.split(";")]
    else:
        words = [w for w in (part.strip(",") for part in text.split()) if w]
        if "," in text and len(words) < 7:
            words = re.split(r"\s*,\s*|\s+", text)
    decimal = next((w for w in words if re.fullmatch(r"[+-]?\d*,\d+(e[+-]?\d+)?", w, re.IGNORECASE | re.ASCII)), "")
    return ([w.replace(",", ".") if w.count(",") == 1 and "." not in w else w for w in words] if decimal else words), decimal


def _first(words: list[str], where: str) -> int:
    """Number of columns, from the first line that is no comment."""
    if len(words) > 1 and all(w[0].isalpha() or w[0] in "\"'<_" for w in words if w):
        raise InputError(where, f"looks like a heading (put # before it; the columns are {COLUMNS})")
    return len(words)


def _row(words: list[str], where: str, number: int) -> Row:
    whole = [_whole(words[k], name, where) for k, name in [(0, "id"), (1, "type"), (6, "parent")]]
    node = f"{where}, node {whole[0]}"
    x, y, z, radius = (_number(word, name, node) for word, name in zip(words[2:6], ["x", "y", "z", "radius"], strict=True))
    if whole[0] < 0 or whole[1] < 0:
        raise InputError(node, "id and type must not be negative")
    return number, whole[0], whole[1], x, y, z, radius, whole[2]


def _whole(word: str, name: str, where: str) -> int:
    try:
        number = int(word)
    except ValueError:
        number = int(real) if (real := _real(word)).is_integer() and abs(real) < 2**53 else 2**63
    if abs(number) >= 2**62 or "_" in word:
        raise InputError(where, f"{name} {word[:20]!r} is not a whole number")
    return number


def _real(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def _number(word: str, name: str, where: str) -> float:
    number = _real(word)
    if not math.isfinite(number) or "_" in word:
        raise InputError(where, f"{name} {word[:20]!r} is not a finite number")
    if abs(number) > 1e12:
        raise InputError(where, f"{name} {number:g} cannot be a length of a cell in any unit")
    return number


def _resolve(file: str, rows: list[Row], told: list[str]) -> Points:
    index: dict[int, int] = {}
    for k, row in enumerate(rows):
        if row[1] in index:
            raise InputError(f"{file}: line {row[0]}, node {row[1]}", f"this id was given before, in line {rows[index[row[1]]][0]}")
        index[row[1]] = k
    parent = np.empty(len(rows), np.int64)
    for k, row in enumerate(rows):
        where = f"{file}: line {row[0]}, node {row[1]}"
        if row[7] > 0 and row[7] not in index:
            raise InputError(where, f"parent {row[7]} is not in the file (the root has parent -1)")
        if row[7] == row[1]:
            raise InputError(where, "is its own parent: a cycle (the root has parent -1)")
        parent[k] = index.get(row[7], -1)
    odd = [row for k, row in enumerate(rows) if parent[k] < 0 and row[7] != -1]
    if odd:
        more = f" (and {len(odd) - 1} like it)" if len(odd) > 1 else ""
        told = [*told, f"{file}: line {odd[0][0]}, node {odd[0][1]}: parent {odd[0][7]} is no point, taken as a root (parent -1){more}"]
    number = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3)
    real = np.array([row[3:7] for row in rows], float).reshape(-1, 4)
    return Points(file, number[:, 0], number[:, 1], number[:, 2], real[:, :3], real[:, 3], parent, np.zeros(len(rows), bool), tuple(told))
