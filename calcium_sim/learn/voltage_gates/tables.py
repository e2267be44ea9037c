"""Tables of gates from files: columns of text, or arrays."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError, regular_file, shown
from ...mesh import Floats

LARGEST = 64 * 1024 * 1024
ENDS = "_inf", "_tau"
FORM = "v,n_inf,n_tau"


@dataclass(frozen=True)
class Tables:
    """Steady values and time constants [ms] of named gates, (gates, potentials), at potentials [mV]."""

    names: tuple[str, ...]
    v: Floats
    xinf: Floats
    tau: Floats


def read_tables(path: str | Path) -> Tables:
    """Read tables of gates.

    Parameters
    ----------
    path : text with the columns ``v`` [mV], and ``NAME_inf`` and ``NAME_tau`` [ms] of every gate; or ``.npz`` with arrays ``v``, ``xinf``
        and ``tau`` of `fit_gates`, and ``names`` (g0, g1, ... without them).

    Raises
    ------
    InputError
        If the file is not there, too large or none of these.
    """
    source = regular_file(Path(path), str(path), "a table of gates (.csv or .npz)")
    if not source.exists():
        raise InputError(str(path), "no such file")
    if source.stat().st_size > LARGEST:
        raise InputError(str(path), f"is larger than {LARGEST // 1024**2} MiB, no table of gates is")
    return _arrays(source) if source.suffix == ".npz" else _text(source)


def _arrays(source: Path) -> Tables:
    try:
        with zipfile.ZipFile(source) as packed:
            size = sum(member.file_size for member in packed.infolist())
        if size <= LARGEST:
            with np.load(source, allow_pickle=False) as held:
                found = {name.lower(): held[name] for name in held.files if name.lower() in ("v", "xinf", "tau", "names")}
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(str(source), f"cannot be read: {shown(str(error))}") from None
    if size > LARGEST:
        raise InputError(str(source), f"unpacks to more than {LARGEST // 1024**2} MiB, no table of gates does")
    for name in ("v", "xinf", "tau"):
        if name not in found or found[name].dtype.kind not in "biuf":
            raise InputError(str(source), f"has no numbers '{name}', expected v [mV], xinf and tau [ms] (gates, potentials)")
    v, x, t = (np.asarray(found[name], float) for name in ("v", "xinf", "tau"))
    x, t = np.atleast_2d(x), np.atleast_2d(t)
    names = tuple(map(str, found["names"].tolist())) if "names" in found else tuple(f"g{k}" for k in range(len(x)))
    if len(names) != len(x) or len(set(names)) != len(names):
        raise InputError(str(source), f"has {len(set(names))} names for {len(x)} gates, expected a different one for each")
    return Tables(names, v, x, t)


def _text(source: Path) -> Tables:
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(str(source), f"is no UTF-8 text, expected columns ({FORM})") from None
    kept = [(k, line) for k, line in enumerate(text.splitlines(), 1) if line.strip() and not line.lstrip().startswith("#")]
    if not kept:
        raise InputError(str(source), f"is empty, expected columns ({FORM})")
    mark = next((m for m in ",;\t" if m in kept[0][1]), ",")
    rows = list(csv.reader(io.StringIO("\n".join(line for _, line in kept)), delimiter=mark))
    head = [name.strip() for name in rows[0]]
    names = tuple(name[: -len(ENDS[0])] for name in head if name.endswith(ENDS[0]))
    wanted = ["v", *(name + end for name in names for end in ENDS)]
    if not names or sorted(map(str.lower, head)) != sorted(map(str.lower, wanted)):
        raise InputError(str(source), f"has the columns {shown(', '.join(head))}, expected v [mV], NAME_inf and NAME_tau [ms] ({FORM})")
    numbers = np.empty((len(rows) - 1, len(head)))
    for (line, _), row, out in zip(kept[1:], rows[1:], numbers, strict=True):
        if len(row) != len(head):
            raise InputError(str(source), f"line {line} has {len(row)} columns, the first has {len(head)}")
        for k, cell in enumerate(row):
            try:
                out[k] = float(cell)
            except ValueError:
                raise InputError(str(source), f"line {line}: {shown(cell)} is no number") from None
    columns = {name.lower(): numbers[:, k] for k, name in enumerate(head)}
    x, t = (np.array([columns[(name + end).lower()] for name in names]) for end in ENDS)
    return Tables(names, columns["v"], x, t)
