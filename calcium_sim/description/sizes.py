"""Sizes in memory and on disk: what a file declares, what there is, and both in words."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import StorageError

_PACKED = 1100
"""Bytes that one byte of a file can stand for: zlib packs at most 1032 to one."""
_SMALL = 2**26
"""Bytes that are read without a question."""


def check_declared(source: Path) -> None:
    """Refuse a netCDF file that declares more values than it can hold, or more coordinates than the memory takes, before any is read."""
    from netCDF4 import Dataset

    with Dataset(source) as file:
        sizes = [(v.ndim, v.size * getattr(v.dtype, "itemsize", 64)) for v in file.variables.values()]
    size, at_once = sum(bytes_ for _, bytes_ in sizes), sum(bytes_ for ndim, bytes_ in sizes if ndim < 2)
    held, memory = source.stat().st_size, physical_memory()
    if size > _SMALL and size > _PACKED * held:
        raise StorageError(f"{source}: declares {readable(size)} of values in a file of {readable(held)}: damaged, or no result of a run")
    if 2 * at_once > memory:
        raise StorageError(
            f"{source}: holds {readable(at_once)} of coordinates, too much for {readable(memory)} of memory (take a machine with more)"
        )


def physical_memory() -> float:
    """Bytes of memory that this process may use."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 2**63
    try:
        import resource
    except ImportError:  # Windows
        return float(total)
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return float(total if limit == resource.RLIM_INFINITY else min(total, limit))


def readable(size: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
