"""Read Neurolucida ASC and HDF5 morphologies by morphio."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from ..description.sizes import check_declared
from ..errors import InputError
from ..mesh import Floats
from .points import SOMA, Points
from .soma import outline_of
from .swc_text import read_bytes


def read_morphio(path: Path) -> Points:
    """Read the points of a file that morphio knows; an outline of the soma becomes one point, on which all neurites hang.

    Returns
    -------
    Points
        The soma first, then section by section; a branch that begins with a radius of its own repeats the branch point.

    Raises
    ------
    InputError
        If morphio cannot read it; its reason is told.
    """
    read_bytes(path, "a morphology")
    import morphio

    if path.suffix.lower() == ".h5":
        with contextlib.suppress(OSError):  # what netCDF cannot open either
            check_declared(path)
    try:
        cell = morphio.Morphology(str(path), warning_handler=morphio.WarningHandlerCollector())
    except (morphio.MorphioError, RuntimeError, ValueError) as error:
        raise _told(path.name, str(error)) from None
    try:
        return _points(path.name, cell)
    except IndexError:  # morphio takes such files and fails where it is asked for the points
        raise InputError(path.name, "morphio: a section has no points, or a parent that is not in the file") from None


def _told(file: str, error: str) -> InputError:
    """What morphio says, without its colours and the path."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", error)
    line = re.search(r":(\d+):error", plain)
    said = " ".join(part for part in plain.split("\n") if part.strip() and not part.strip().endswith(":error"))
    said = re.sub(r"\s+", " ", re.sub(r":?\s*/\S*", "", said)).strip() or "cannot be read"
    fix = " (one cell body per file; several outlines of one are read from SWC)" if "soma is already defined" in said else ""
    return InputError(f"{file}: line {line[1]}" if line else file, f"morphio: {said}{fix}")


def _points(file: str, cell: Any) -> Points:
    position, radius, kind, parent, told = _soma(file, cell.soma)
    root, last = len(parent) - 1, dict[int, int]()
    for section in cell.iter():
        xyz, r = section.points.astype(float), section.diameters.astype(float) / 2
        top = root if section.is_root else last[section.parent.id]
        again = not section.is_root and (xyz[0] == position[top]).all() and r[0] == radius[top]
        for k in range(int(again), len(r)):
            position.append(xyz[k])
            radius.append(float(r[k]))
            kind.append(int(section.type))
            parent.append(top)
            top = len(parent) - 1
        last[section.id] = top
    count = len(parent)
    zeros = np.zeros(count, np.int64)
    return Points(
        file, zeros, np.arange(1, count + 1), np.array(kind, np.int64), np.array(position, float).reshape(-1, 3), np.array(radius, float),
        np.array(parent, np.int64), np.zeros(count, bool), tuple(told),
    )  # fmt: skip


def _soma(file: str, soma: Any) -> tuple[list[Floats], list[float], list[int], list[int], list[str]]:
    """The one point of the soma, as lists that go on with the neurites, and what to tell of it; all empty without a soma."""
    xyz, r = soma.points.astype(float), soma.diameters.astype(float) / 2
    if not len(r):
        return [], [], [], [], []
    if len(r) == 1:
        return [xyz[0]], [float(r[0])], [SOMA], [-1], []
    if len(r) == 2:
        centre, size, what = xyz.mean(axis=0), float(np.sqrt(((xyz[1] - xyz[0]) ** 2).sum())) / 2, "two points, taken as the ends of a body"
    else:
        body = outline_of(xyz)
        centre, size, what = body.centre, body.radius, f"an outline of {len(r)} points, taken as a body"
    return [centre], [size], [SOMA], [-1], [f"{file}: the soma is {what} of radius {size:.4g} um"]
