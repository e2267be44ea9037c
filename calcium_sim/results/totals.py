"""How much of a species there is in a result, and whether anything went negative."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest
from .arrivals import check_dimensions, check_result, key_of, times_of
from .paths import of_nodes

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]
_HELD = ("region:", "bound:")
"""Accounts of a ledger that hold amounts; all others tell what moved."""


def total_calcium(ds: xr.Dataset, species: str = "ca") -> xr.DataArray:
    """Amount of a species, free and bound to buffers, over all regions.

    The amounts of a whole result are those of its ledger, which counts every buffer, recorded or not. A part of a result (``ds.sel``,
    ``ds.isel``) is summed up over its nodes, and says in ``long_name`` what part of the cell it is.

    Returns
    -------
    xarray.DataArray
        Shape (times,) [uM um^3 = 1e-21 mol].

    Raises
    ------
    InputError
        If the result lacks what has to be summed up: the species, or a buffer that binds it in the nodes of the part.
    """
    import xarray as xr

    check_result(ds)
    key = key_of(ds, species)
    if key in ds:
        check_dimensions(ds, key)
    times_of(ds)
    held, whole = _held(ds, key), _is_whole(ds)
    if whole and held is not None:
        amounts, part = np.nansum(held[1], axis=1), ""
    else:
        amounts, part = _summed(ds, key, species, held), "" if whole else f" in {_part(ds)}"
    told = {"units": "umol L-1 um3", "long_name": f"total {species}, free and bound{part}"}
    return xr.DataArray(amounts, dims="time", coords={"time": ds["time"]}, name=f"total_{key}", attrs=told)


def _held(ds: xr.Dataset, key: str) -> tuple[list[str], Floats] | None:
    """Accounts that hold a species, and their amounts (times, accounts); None without a ledger of it."""
    name = f"ledger_{key}"
    book = next((v for v in ds.data_vars.values() if v.attrs.get("ledger_of") == key), ds[name] if name in ds.data_vars else None)
    if book is None or book.dims != ("time", "account") or "account" not in ds.coords:
        return None
    amounts = np.asarray(book.values, float)
    accounts = [str(a) for a in ds["account"].values]
    chosen = [k for k, a in enumerate(accounts) if a.startswith(_HELD) and not np.isnan(amounts[:, k]).all()]
    if not chosen or np.isnan(amounts[:, chosen]).any():
        return None
    return [accounts[k] for k in chosen], amounts[:, chosen]


def _is_whole(ds: xr.Dataset) -> bool:
    """Whether a result has all nodes of its mesh."""
    return ds.sizes["node"] == _size(ds)


def _size(ds: xr.Dataset) -> int | None:
    """Number of nodes of the mesh that a result was computed on; None where it does not say so."""
    nodes = _described(ds, "mesh", {}).get("nodes", {})
    return sum(nodes.values()) if nodes and all(isinstance(n, int) for n in nodes.values()) else None


def _described(ds: xr.Dataset, part: str, otherwise: Any) -> Any:
    """A part of the description of the model that a result carries."""
    try:
        model = json.loads(ds.attrs.get("model", "{}"))
    except (TypeError, ValueError):
        model = None
    found = model.get(part, otherwise) if isinstance(model, dict) else otherwise
    return found if isinstance(found, type(otherwise)) else otherwise


def _part(ds: xr.Dataset) -> str:
    regions = ", ".join(dict.fromkeys(map(str, ds["region"].values.tolist())))
    size = _size(ds)
    return f"a part of the cell: {ds.sizes['node']}{f' of {size}' if size else ''} nodes ({regions})"


def _summed(ds: xr.Dataset, key: str, species: str, held: tuple[list[str], Floats] | None) -> Floats:
    """Sum over the nodes of a result."""
    if key not in ds:
        raise InputError("species", f"the result has no '{species}'{nearest(species, map(str, ds.data_vars))} (give it in record=)")
    present = {str(v.attrs.get("model_name", k)): v for k, v in ds.data_vars.items() if key_of(ds, str(v.attrs.get("binds", ""))) == key}
    regions = set(map(str, ds["region"].values.tolist()))
    for name, region in _buffers(ds, key, held):
        if name not in present and (region is None or region in regions):
            told = f"'{name}' binds '{species}' and was not recorded, so that what it holds is unknown in {_part(ds)}"
            raise InputError("total_calcium", f"{told} (record it: simulate(record=...), or take the whole result)")
    volume = of_nodes(ds, "volume")
    total = _amount(ds, key, ds[key].values, volume)
    for buffer in present.values():
        check_dimensions(ds, str(buffer.name))
        if "total" not in buffer.attrs:
            raise InputError(str(buffer.name), "does not say how many sites it has (attribute 'total'), so what it holds is unknown")
        total = total + _amount(ds, str(buffer.name), buffer.attrs["total"] - buffer.values, volume)
    return total


def _buffers(ds: xr.Dataset, key: str, held: tuple[list[str], Floats] | None) -> list[tuple[str, str | None]]:
    """Buffers of a species, and the region of each where the result tells it."""
    described = [b for b in _described(ds, "buffers", []) if isinstance(b, dict) and key_of(ds, str(b.get("binds"))) == key]
    if described:
        return [(str(b.get("name")), str(b.get("region"))) for b in described]
    return [(a.removeprefix("bound:").split("@")[0], None) for a in (held[0] if held else []) if a.startswith("bound:")]


def _amount(ds: xr.Dataset, name: str, values: Any, volume: Floats) -> Floats:
    """Sum of a concentration times volume over the nodes where it lives; refused where only a part of a region has it."""
    c, region = np.asarray(values, float), np.asarray(ds["region"].values)
    missing = np.isnan(c)
    for r in dict.fromkeys(region.tolist()):
        part = missing[:, region == r]
        if part.any() and not part.all():
            share = f"{100 * part.mean():.3g} % of its values in '{r}'"
            raise InputError(name, f"{share} are missing (NaN), so there is no total (where() masks; take nodes by ds.sel, ds.isel)")
    total: Floats = np.nansum(c * volume, axis=1)
    return total


def undershoot(ds: xr.Dataset) -> dict[str, float]:
    """How far below zero each species and buffer went, as a fraction of its largest value; 0.0 where it never did."""
    fields = {str(k): v.values for k, v in ds.data_vars.items() if v.dims == ("time", "node")}
    lowest = {k: (float(np.nanmin(v)), float(np.nanmax(np.abs(v)))) for k, v in fields.items()}
    return {k: max(0.0, -low / size) if size > 0 else 0.0 for k, (low, size) in lowest.items()}
