"""Read and check SWC files: every fault is named by file, line and node id before anything is built.

The text is read here, not by a library: readers let cycles, two roots, radii <= 0 and 1e300 pass, and keep 32-bit coordinates.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calcium_sim.errors import InputError, file_path, regular_file
from calcium_sim.mesh import Floats

Ints = NDArray[np.int64]
SOMA = 1
LARGEST_FILE = 256 * 2**20
LONGEST_LINE = 1000
LARGEST = 1e4  # um, 1 cm
SMALLEST = 1e-6  # um


@dataclass(frozen=True)
class Points:
    """The points of a tree, in the order of the file; `parent` is an index into them, -1 at the root."""

    file: str
    line: Ints
    id: Ints
    type: Ints
    position: Floats
    radius: Floats
    parent: Ints

    def at(self, k: int) -> str:
        """Name a point for an error: file, line and node id."""
        return f"{self.file}: line {self.line[k]}, node {self.id[k]}"


def read_swc(path: str | Path) -> Points:
    """Read an SWC file and check that it is one tree of positive radii.

    Returns
    -------
    Points
        In the order of the file, 64-bit, lengths in um.

    Raises
    ------
    InputError
        For a file that is missing, empty, no text or too large; a line without seven numbers; an id given twice; an unknown parent; no
        root, two roots, a cycle; a radius that is not positive; a segment without length; sizes above 1 cm; fewer than two points.

    Warns
    -----
    UserWarning
        If there is no soma, or sizes suggest that the file is not in um.
    """
    source = file_path(path, "from_swc.path")
    points = _resolve(source.name, _rows(source))
    _check_tree(points)
    _check_sizes(points)
    _warn(points)
    return points


Row = tuple[int, int, int, float, float, float, float, int]


def _rows(path: Path) -> list[Row]:
    where = path.name or str(path)
    try:
        with regular_file(path, str(path), "an SWC file").open("rb") as stream:
            raw = stream.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            raise InputError(where, f"is too large (at most {LARGEST_FILE // 2**20} MiB are read)")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if b"\0" in raw:
        raise InputError(where, "is not text, expected SWC: id type x y z radius parent")
    # comments may be in any encoding; a broken character in a data line fails as a number
    lines = raw.decode("utf-8-sig", errors="replace").splitlines()
    rows = [row for number, line in enumerate(lines, 1) if (row := _row(line, f"{where}: line {number}", number))]
    if len(rows) < 2:
        raise InputError(where, f"has {len(rows) or 'no'} point{'s' if not rows else ''}, a morphology needs at least 2")
    return rows


def _row(line: str, where: str, number: int) -> Row | None:
    text = line.split("#", 1)[0]
    if not text.strip():
        return None
    words = text.split() if len(text) <= LONGEST_LINE else []
    if len(words) != 7:
        found = f"{len(words)} columns" if words else f"a line of {len(text)} characters"
        raise InputError(where, f"{found}, expected 7: id type x y z radius parent")
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
        number = 2**63
    if abs(number) >= 2**62 or "_" in word:
        raise InputError(where, f"{name} {word[:20]!r} is not a whole number")
    return number


def _number(word: str, name: str, where: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or "_" in word:
        raise InputError(where, f"{name} {word[:20]!r} is not a finite number")
    if abs(number) > 1e9:
        raise InputError(where, f"{name} {number:g} um cannot be (SWC files are in um)")
    return number


def _resolve(file: str, rows: list[Row]) -> Points:
    index: dict[int, int] = {}
    for k, row in enumerate(rows):
        if row[1] in index:
            raise InputError(f"{file}: line {row[0]}, node {row[1]}", f"this id was given before, in line {rows[index[row[1]]][0]}")
        index[row[1]] = k
    parent = np.empty(len(rows), np.int64)
    for k, row in enumerate(rows):
        where = f"{file}: line {row[0]}, node {row[1]}"
        if row[7] != -1 and row[7] not in index:
            raise InputError(where, f"parent {row[7]} is not in the file (the root has parent -1)")
        if row[7] == row[1]:
            raise InputError(where, "is its own parent: a cycle (the root has parent -1)")
        parent[k] = index.get(row[7], -1)
    number = np.array([row[:3] for row in rows], np.int64)
    real = np.array([row[3:7] for row in rows], float)
    return Points(file, number[:, 0], number[:, 1], number[:, 2], real[:, :3], real[:, 3], parent)


def _check_tree(points: Points) -> None:
    roots = np.flatnonzero(points.parent < 0)
    if len(roots) > 1:
        raise InputError(points.at(int(roots[1])), f"is a second root after node {points.id[roots[0]]} (join the trees or split the file)")
    if not len(roots):
        raise InputError(points.at(0), "the file has no root (parent -1): its nodes form a cycle")
    kids = children(points.parent)
    reached = np.zeros(len(points.id), bool)
    todo = [int(roots[0])]
    while todo:
        k = todo.pop()
        reached[k] = True
        todo += kids[k]
    if not reached.all():
        lost = np.flatnonzero(~reached)
        raise InputError(points.at(int(lost[0])), f"does not lead to the root: {len(lost)} nodes hang on a cycle (correct a parent)")


def children(parent: Ints) -> list[list[int]]:
    """Return the children of every point, in the order of the file."""
    kids: list[list[int]] = [[] for _ in parent]
    for k, p in enumerate(parent):
        if p >= 0:
            kids[p].append(k)
    return kids


def _check_sizes(points: Points) -> None:
    root = int(np.flatnonzero(points.parent < 0)[0])
    for k, r in enumerate(points.radius):
        if not r > 0:
            raise InputError(points.at(k), f"radius {r:g} um must be > 0")
        if not SMALLEST <= r <= LARGEST:
            raise InputError(points.at(k), f"radius {r:g} um cannot be (SWC files are in um)")
    length = segment_lengths(points)
    zero = np.flatnonzero((length < SMALLEST) & (points.parent >= 0))
    if len(zero):
        k = int(zero[0])
        raise InputError(points.at(k), f"has zero length: it lies on its parent (remove one; {len(zero)} in all)")
    away = np.sqrt(((points.position - points.position[root]) ** 2).sum(axis=1))
    if away.max() > LARGEST:
        k = int(np.argmax(away))
        raise InputError(points.at(k), f"lies {away[k]:g} um from the root, more than 1 cm (SWC files are in um)")


def segment_lengths(points: Points) -> Floats:
    """Return the distance of every point from its parent [um]; 0 at the root."""
    step = points.position - points.position[np.maximum(points.parent, 0)]
    step[points.parent < 0] = 0.0
    length: Floats = np.sqrt((step**2).sum(axis=1))
    return length


def _warn(points: Points) -> None:
    soma = points.type == SOMA
    if not soma.any():
        warnings.warn(f"{points.file}: no soma (type 1); the root is node {points.id[np.argmin(points.parent)]}", stacklevel=4)
    total, radius = segment_lengths(points).sum(), np.median(points.radius)
    if total < 5 or radius < 0.01 or radius > 25:
        warnings.warn(
            f"{points.file}: {total:.3g} um of neurite with a median radius of {radius:.3g} um; is the file in um?",
            stacklevel=4,
        )
