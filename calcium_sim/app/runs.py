"""One run from a model to files: checks before anything is written, then the simulation, the data and the pictures."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import RunOptions
from ..description.sizes import readable
from ..errors import InputError, StorageError
from ..model import Model
from ..run.limits import check_run, result_bytes

if TYPE_CHECKING:
    import xarray as xr

Progress = Callable[[float, float], None]
WORTH_TELLING = 0.5
"""Seconds of compiling from which they are told."""


@dataclass(frozen=True)
class Outcome:
    """Files that a run left, and what it says about itself in one line each."""

    data: Path
    pictures: tuple[Path, ...]
    lines: tuple[str, ...]


def check_room(model: Model, options: RunOptions, folder: Path) -> None:
    """Refuse a result that fits neither into memory nor onto the disk."""
    given = model, options.until, options.every or options.until / 200, options.record
    check_run(*given)
    size = result_bytes(*given)
    fix = "(larger run.every, coarser mesh.spacing, or less in run.record)"
    if size > (free := shutil.disk_usage(_existing(folder)).free):
        raise InputError("run", f"the result takes up to {readable(size)}, but {folder} has {readable(free)} free {fix}")


def check_folder(folder: Path, stem: str, force: bool) -> None:
    """Refuse a folder that is none, cannot be written, or already holds this result."""
    if folder.exists() and not folder.is_dir():
        raise InputError(str(folder), "is a file, expected a folder (give another with -o)")
    if (folder / f"{stem}.nc").exists() and not force:
        raise InputError(str(folder), f"already has {stem}.nc, results are not overwritten (give --force, or another folder with -o)")
    if not os.access(_existing(folder), os.W_OK | os.X_OK):
        raise StorageError(f"{folder}: no permission to write there (give another folder with -o)")


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def execute(
    model: Model,
    options: RunOptions,
    folder: Path,
    stem: str,
    toml: str,
    *,
    picture: bool = True,
    force: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Run a model and leave ``STEM.nc`` and pictures in a folder.

    Raises
    ------
    InputError, RunStopped
        Before anything is written.
    StorageError
        If a file cannot be written.
    """
    from ..results.dataset import save
    from ..run.simulation import simulate

    check_folder(folder, stem, force)
    check_room(model, options, folder)
    began = time.perf_counter()
    with _compiling() as compiled:
        ds = simulate(model, **options.arguments(), progress=progress)
    seconds = time.perf_counter() - began
    ds.attrs["config"] = toml
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be made: {error.strerror or error}") from error
    data = save(ds, folder / f"{stem}.nc")
    pictures = _pictures(ds, folder, stem) if picture else ()
    took = _took(seconds, sum(compiled))
    steps = f"{ds.attrs['steps']} steps ({ds.attrs['rejected']} repeated) {took}, ledger closed to {ds.attrs['ledger_drift']:.1g}"
    unseen = ("no picture: whole fields were not recorded",) if picture and not pictures and _cells(ds) > 2 else ()
    return Outcome(data, pictures, (*_wave_lines(ds), *unseen, steps))


@contextmanager
def _compiling() -> Iterator[list[float]]:
    """Seconds that numba compiles inside, as one number when it ends; what it finds in its cache costs none."""
    from numba.core import event

    seconds: list[float] = []
    with event.install_timer("numba:compile", seconds.append):
        yield seconds


def _took(seconds: float, compiled: float) -> str:
    """How long a run took, and apart from it what was compiled."""
    if compiled < WORTH_TELLING:
        return f"in {seconds:.1f} s"
    return f"in {seconds - compiled:.1f} s (and {compiled:.2g} s of compiling, once)"


def _cells(ds: xr.Dataset) -> int:
    """Places of the largest region."""
    return int(np.unique(ds.region.values, return_counts=True)[1].max())


def _pictures(ds: xr.Dataset, folder: Path, stem: str) -> tuple[Path, ...]:
    """A kymograph along the way of the wave; on trees the cell coloured by arrival too (neither for a single point); probes."""
    from ..plot import arrival_map, draw, kymograph, probes
    from ..results.paths import graph, region_nodes

    region = "cytosol" if "cytosol" in ds.region.values else str(ds.region.values[0])
    fields = [str(k) for k, v in ds.data_vars.items() if v.dims == ("time", "node")]
    noted = [str(v.attrs["of"]) for v in ds.data_vars.values() if v.attrs.get("noted") == "arrival"]
    species = next((name for name in ("ca", *fields, *noted) if name in fields or name in noted), "")
    nodes, out = region_nodes(ds, region), []
    if species and len(nodes) >= 3:
        edges, tree = graph(ds, nodes)
        if species in fields:
            out.append(draw(kymograph, ds, folder / f"{stem}.png", species=species, region=region))
        if tree and _branches(edges):
            out.append(draw(arrival_map, ds, folder / f"{stem}-arrival.png", (7.0, 6.0), species=species, region=region))
    if any("probe" in v.attrs for v in ds.data_vars.values()):
        out.append(draw(probes, ds, folder / f"{stem}-probes.png", (7.2, 4.2)))
    return tuple(out)


def _branches(edges: Any) -> bool:
    joined = edges.tocoo()
    return bool(np.bincount(np.concatenate([joined.row, joined.col])).max() > 2)


def _wave_lines(ds: xr.Dataset) -> Iterator[str]:
    """What there is to say of a calcium wave, and what casts doubt on its speed."""
    from ..results.arrivals import arrival_times, level_of
    from ..results.diagnostics import read_wave
    from ..results.paths import region_nodes

    if "cytosol" not in ds.region.values or not any(v.attrs.get("model_name") == "ca" for v in ds.data_vars.values()):
        return
    try:
        arrival = arrival_times(ds)
    except InputError:
        return
    if not np.isfinite(arrival.values).any():
        yield f"no wave: calcium in the cytosol stays below {level_of(ds, 'ca'):g} uM"
        return
    if len(region_nodes(ds, "cytosol")) < 5:
        return
    found = read_wave(ds)
    told = f"wave at {found.speed:.3g} um/ms" if np.isfinite(found.speed) else "wave"
    if found.wave:
        yield f"{told}, reached {100 * np.isfinite(arrival.values).mean():.0f} % of the nodes by {float(ds.time[-1]):g} ms"
    doubts = found.told if found.wave else found.told[1:]
    yield from found.told[: len(found.told) - len(doubts)]
    yield from (f"warning: {doubt}" for doubt in doubts if doubt not in str(ds.attrs["notes"]))
