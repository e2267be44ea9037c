"""Results read back: what is small at once, fields when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from ..description.attributes import check_attributes
from ..description.sizes import check_declared
from ..errors import InputError, StorageError, file_path, regular_file
from .dataset import indexed

READ_THROUGH = 2**26
"""Bytes of fields up to which a file is read through when it is opened, so that damage shows at once; else it shows when they are used."""


def open(path: str | Path) -> xr.Dataset:
    """Read a result that `save` wrote (or any file with its names); ``region`` can be selected by name again.

    Coordinates and what has one dimension are read at once. Fields stay in the file until they are used, so that a result may be larger
    than the memory: select from them first (``cs.at(ds, "soma").ca``, ``ds.ca.isel(time=-1)``). ``ds.load()`` reads all, ``ds.close()`` or
    ``with cs.open(path) as ds:`` closes the file. `save` may write over a file that is open: what was opened stays what it was.

    Raises
    ------
    InputError
        If the file is missing or no result of calcium-sim.
    StorageError
        If it is damaged, or declares more than it can hold, or what is read does not fit into memory. Damage to a field of a large file
        shows where it is first used.
    """
    source = regular_file(file_path(path, "open"), str(path), "a netCDF file (e.g. out/wave.nc)")
    if not source.exists():
        raise InputError(str(path), "no such file")
    raw = None
    try:
        with _told(source):
            check_declared(source)
            raw = xr.open_dataset(source, engine="netcdf4", cache=False)
            ds = _held(raw, source)
            for attributes in (ds.attrs, *(v.attrs for v in ds.variables.values())):
                check_attributes(attributes, str(source))
    except StorageError:
        if raw is not None:
            raw.close()
        with source.open("rb") as f:
            if f.read(4) != b"\x89HDF":
                raise InputError(str(path), "is not a netCDF-4 file") from None
        raise
    if "region" not in ds.coords or "node" not in ds.dims:
        raw.close()
        raise InputError(str(path), "is no result of calcium-sim (it has no coordinate 'region' over 'node')")
    for name in ("region", "account"):
        if name in ds.coords and ds[name].dtype.kind == "O":
            ds = ds.assign_coords({name: ds[name].astype(str)})
    ds = indexed(ds)
    ds.set_close(raw.close)
    return ds


@contextmanager
def _told(source: Path) -> Iterator[None]:
    """What goes wrong with a file, in one line."""
    try:
        yield
    except StorageError:
        raise
    except MemoryError as error:
        raise StorageError(
            f"{source}: does not fit into the memory of this machine (select a part of it first, or take one with more)"
        ) from error
    except (OSError, RuntimeError, ValueError, AttributeError, TypeError, LookupError) as error:
        raise StorageError(f"{source}: damaged or cut short: {(str(error) or type(error).__name__).splitlines()[0]}") from error


def _held(raw: xr.Dataset, source: Path) -> xr.Dataset:
    """A dataset whose coordinates are in memory, and whose fields are read, and their checksums checked, when they are used."""
    fields = {name: v.variable for name, v in raw.data_vars.items() if v.ndim > 1}
    small = raw.drop_vars(list(fields)).load()
    if sum(v.nbytes for v in fields.values()) <= READ_THROUGH:
        for v in fields.values():
            v[...].values  # noqa: B018
    late = {name: xr.Variable(v.dims, _when_used(v, source), v.attrs, v.encoding) for name, v in fields.items()}
    return xr.Dataset({name: late.get(name, small.get(name)) for name in raw.data_vars}, small.coords, raw.attrs)


class _Late(BackendArray):
    """The values of a variable in a file, read where they are used."""

    def __init__(self, variable: xr.Variable, source: Path) -> None:
        self.variable, self.source = variable, source
        self.shape, self.dtype = variable.shape, variable.dtype

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: Any) -> Any:
        with _told(self.source):
            return self.variable[key].values


def _when_used(variable: xr.Variable, source: Path) -> Any:
    """The values of a variable, read where they are used, and kept then."""
    return indexing.MemoryCachedArray(indexing.LazilyIndexedArray(_Late(variable, source)))
