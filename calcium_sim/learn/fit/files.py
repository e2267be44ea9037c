"""Recordings in files: columns of text, and netCDF whose variables tell their units."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError, file_path, regular_file, shown
from ...mesh import Floats

TEXTS = (".csv", ".txt", ".dat", ".tsv")
LARGEST = 1024**3
"""Bytes of a file."""
UNITS: dict[str, dict[str, float]] = {
    "ms": {"ms": 1.0, "s": 1e3, "us": 1e-3},
    "mV": {"mV": 1.0, "V": 1e3, "uV": 1e-3},
    "nA": {"nA": 1.0, "pA": 1e-3, "uA": 1e3, "A": 1e9},
    "pA": {"pA": 1.0, "nA": 1e3, "uA": 1e6, "A": 1e12},
}
"""What one unit of a file is in each unit of a recording."""


def found(path: str | os.PathLike[str], what: str) -> Path:
    """The path of a file that is there, `what` it is asked for.

    Raises
    ------
    InputError
        If it is not there, no regular file, too large, or neither netCDF nor text by its name.
    """
    where = regular_file(file_path(path, what), str(path), "a recording (.nc or .csv)")
    if not where.exists():
        raise InputError(str(path), "no such file")
    if where.stat().st_size > LARGEST:
        raise InputError(str(path), f"is larger than {LARGEST // 1024**2} MiB, no recording is")
    if where.suffix.lower() not in (".nc", *TEXTS):
        raise InputError(str(path), f"expected a recording in a file that ends in .nc, {', '.join(TEXTS)}")
    return where


def columns(path: Path, counts: tuple[int, ...], expected: str) -> Floats:
    """Rows of numbers of a text, (rows, columns); `expected` says which columns.

    A first line of names is passed over, and so are lines that begin with #.

    Raises
    ------
    InputError
        If rows have another number of columns than one of `counts`, or hold what is no number.
    """
    lines = enumerate(path.read_text(errors="replace").replace(",", " ").replace(";", " ").splitlines(), 1)
    rows = [(k, row) for k, line in lines if (row := line.split()) and not row[0].startswith("#")]
    if rows and not _is_number(rows[0][1][0]):
        rows = rows[1:]
    size = len(rows[0][1]) if rows else 0
    if size not in counts:
        raise InputError(str(path), f"has {size} columns, expected {expected} (a first line of names is passed over)")
    out = np.empty((len(rows), size))
    for (k, row), values in zip(rows, out, strict=True):
        if len(row) != size:
            raise InputError(str(path), f"line {k} has {len(row)} columns, the first has {size}")
        for j, cell in enumerate(row):
            if not _is_number(cell):
                raise InputError(str(path), f"line {k}: {shown(cell)} is no number")
            values[j] = float(cell)
    return out


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def dataset(path: Path) -> Any:
    """All of a netCDF file, as it stands there: times are numbers.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    import xarray as xr

    try:
        with xr.open_dataset(path, engine="netcdf4", decode_times=False) as data:
            return data.load()
    except (OSError, ValueError, RuntimeError, KeyError, MemoryError) as error:
        raise InputError(str(path), f"cannot be read as netCDF: {shown(' '.join(str(error).split()))}") from None


def factor(attributes: Mapping[str, Any], unit: str, default: str, where: str) -> float:
    """What one unit of a variable is in `unit`, by its attribute ``units``; by default it is in `default`.

    Raises
    ------
    InputError
        If it is in none that is known.
    """
    said, known = str(attributes.get("units", default)).split(" since")[0], UNITS[unit]
    if said not in known:
        raise InputError(where, f"is in {shown(said)}, expected one of {', '.join(known)}")
    return known[said]
