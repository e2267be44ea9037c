"""Results: plain arrays of a run become one xarray.Dataset with CF and UGRID names, saved without loss and read back.

Names and units of the variables are part of the public contract; `assemble` is the only place that gives them.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .attributes import check_attributes
from .embed import digest
from .errors import InputError, StorageError, file_path
from .mesh import OUTSIDE, Floats, Mesh
from .model import Model, Species
from .names import ResultNames
from .plugin import BALANCE, Channel
from .sizes import check_declared
from .stimuli import Influx, Set

if TYPE_CHECKING:
    import xarray as xr

CONCENTRATION, FLUX, AMOUNT = "umol L-1", "umol L-1 um ms-1", "umol L-1 um3"
FORMAT = 1


@dataclass(frozen=True)
class ChannelRecord:
    """What one channel on one membrane did: arrays of shape (times, pairs of the membrane).

    Parameters
    ----------
    label, membrane : registry name of the channel, name of the membrane.
    flux : mean flux density over the output interval [uM um/ms], positive from the first to the second region; None where not recorded.
    open_probability : at the output times, None for a channel without one.
    """

    label: str
    membrane: str
    flux: Floats | None
    open_probability: Floats | None = None


@dataclass(frozen=True)
class Noted:
    """What a run noted every few steps of a species in a region; arrays over the nodes of the region.

    Parameters
    ----------
    name, region : species and region.
    level : threshold [uM].
    arrival : first upward crossing of the threshold [ms], NaN where there was none.
    peak, peak_time : largest value [uM] and when it was reached [ms].
    """

    name: str
    region: str
    level: float
    arrival: Floats
    peak: Floats
    peak_time: Floats


@dataclass(frozen=True)
class Frames:
    """What a run recorded, as plain arrays.

    Parameters
    ----------
    time : shape (times,) [ms].
    fields : {(species or buffer, region): array of shape (times, nodes of the region)} [uM]; a buffer is its free part.
    channels : records of fluxes and open probabilities.
    ledger : {species: {account: amount of shape (times,)}} [uM um^3].
    voltage : shape (times,) [mV], or None.
    attributes : of the Dataset (scheme, steps, rejected, phase_seconds, ledger_drift ...); what is no number or string becomes JSON.
    noted : first crossings and peaks, taken every few steps between the times of `span` [ms].
    """

    time: Floats
    fields: Mapping[tuple[str, str], Floats]
    channels: Sequence[ChannelRecord] = ()
    ledger: Mapping[str, Mapping[str, Floats]] = field(default_factory=dict)
    voltage: Floats | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    noted: Sequence[Noted] = ()
    span: tuple[float, float] = (0.0, 0.0)


def assemble(model: Model, frames: Frames) -> xr.Dataset:
    """Build the Dataset of a run.

    Returns
    -------
    xarray.Dataset
        Dims ``time`` [ms] and ``node`` (all nodes, region by region; ``ds.ca.sel(region="cytosol")`` picks a region), one dim
        ``pair_<membrane>`` per membrane. Species and free buffers are NaN where they do not live.
    """
    import xarray as xr

    mesh, names = model.mesh, model.names
    coords = {"time": ("time", np.asarray(frames.time, float), {"units": "ms", "long_name": "time since the start of the run"})}
    ds = xr.Dataset(coords=coords | _node_coordinates(mesh) | _pair_coordinates(mesh, names))
    for name in dict.fromkeys(name for name, _ in frames.fields):
        ds[names.fields[name]] = (("time", "node"), _whole(mesh, frames, name), _field_attributes(model, name))
    for key in frames.channels:
        dims, suffix = ("time", f"pair_{names.membranes[key.membrane]}"), names.channels[key.membrane, key.label]
        attributes = {"units": FLUX, "long_name": f"mean flux density of {key.label} on {key.membrane}", "channel": key.label}
        if key.flux is not None:
            ds[f"flux_{suffix}"] = (dims, np.asarray(key.flux, float), attributes)
        if key.open_probability is not None:
            told = {"units": "1", "long_name": f"open probability of {key.label} on {key.membrane}", "channel": key.label}
            ds[f"po_{suffix}"] = (dims, np.asarray(key.open_probability, float), told)
    if frames.voltage is not None:
        ds["v"] = ("time", np.asarray(frames.voltage, float), {"units": "mV", "long_name": "membrane potential, inside - outside"})
    _add_noted(ds, model, frames)
    _add_ledger(ds, frames, names)
    _add_topology(ds, mesh)
    ds.attrs = _attributes(model, frames)
    return _indexed(ds)


def _indexed(ds: xr.Dataset) -> xr.Dataset:
    from .region_index import RegionIndex

    return ds if "region" in ds.xindexes else ds.set_xindex("region", RegionIndex)


def _node_coordinates(mesh: Mesh) -> dict[str, Any]:
    regions = np.repeat(np.array(mesh.regions), np.diff(mesh.start))
    out: dict[str, Any] = {"region": ("node", regions, {"long_name": "region of the node"})}
    out["node_index"] = ("node", np.arange(mesh.nodes, dtype=np.int32), {"long_name": "number of the node, as edge_nodes counts it"})
    for k, axis in enumerate("xyz"):
        out[axis] = ("node", np.array(mesh.position[:, k]), {"units": "um", "long_name": f"{axis} coordinate of the node"})
    out["distance"] = ("node", np.array(mesh.distance), {"units": "um", "long_name": "path length from the root (left end, soma)"})
    out["volume"] = ("node", np.array(mesh.volume), {"units": "um3", "long_name": "control volume"})
    return out


def _pair_coordinates(mesh: Mesh, names: ResultNames) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, m in mesh.membranes.items():
        outside = m.outside.astype(np.int32) if m.sides[1] != OUTSIDE else np.full(len(m.area), -1, np.int32)
        stem = names.membranes[name]
        dim = f"pair_{stem}"
        out[f"node_inside_{stem}"] = (dim, m.inside.astype(np.int32), {"long_name": f"node in {m.sides[0]}"})
        out[f"node_outside_{stem}"] = (dim, outside, {"long_name": f"node in {m.sides[1]}; -1 is the extracellular space"})
        out[f"area_{stem}"] = (dim, np.array(m.area), {"units": "um2", "long_name": f"membrane area, {m.sides[0]} to {m.sides[1]}"})
    return out


def _whole(mesh: Mesh, frames: Frames, name: str) -> Floats:
    out = np.full((len(frames.time), mesh.nodes), np.nan)
    for (field_name, region), values in frames.fields.items():
        if field_name == name:
            out[:, mesh.span(region)] = values
    return out


def _field_attributes(model: Model, name: str) -> dict[str, Any]:
    out: dict[str, Any] = {"units": CONCENTRATION, "long_name": f"free {name}", "model_name": name, "mesh": "mesh", "location": "node"}
    for s in model.species:
        if s.name == name:
            out |= _diffusion(model, s)
    for b in model.buffers:
        if b.name == name:
            out |= {"binds": b.binds, "total": float(b.total), "long_name": f"free {name} (not bound to {b.binds})"}
    return out


def _diffusion(model: Model, species: Species) -> dict[str, float]:
    return {f"diffusion_{model.names.regions[region]}": float(d) for region, d in species.diffusion.items()}


def _add_noted(ds: xr.Dataset, model: Model, frames: Frames) -> None:
    """First crossings, peaks and their times, NaN where a species is not watched."""
    begin, end = frames.span
    for s in model.species:
        watched = [w for w in frames.noted if w.name == s.name]
        if not watched:
            continue
        known: dict[str, Any] = {"model_name": s.name, "of": model.names.fields[s.name], "mesh": "mesh", "location": "node"}
        known |= {"seen_from": begin, "seen_until": end} | _diffusion(model, s)
        told: dict[str, dict[str, Any]] = {
            "arrival": {"units": "ms", "long_name": f"first upward crossing of the threshold by {s.name}", "threshold": watched[0].level},
            "peak": {"units": CONCENTRATION, "long_name": f"largest concentration of {s.name}"},
            "peak_time": {"units": "ms", "long_name": f"time of the largest concentration of {s.name}"},
        }
        for what, attributes in told.items():
            values = np.full(model.mesh.nodes, np.nan)
            for w in watched:
                values[model.mesh.span(w.region)] = getattr(w, what)
            ds[model.names.derived[s.name][what]] = ("node", values, attributes | known | {"noted": what})


def _add_ledger(ds: xr.Dataset, frames: Frames, names: ResultNames) -> None:
    accounts = list(dict.fromkeys(a for table in frames.ledger.values() for a in table))
    if not accounts:
        return
    ds["account"] = ("account", np.array(accounts), {"long_name": "where the amount is, or what brought it"})
    nothing = np.full(len(frames.time), np.nan)
    for species, table in frames.ledger.items():
        rows = np.stack([np.asarray(table.get(a, nothing), float) for a in accounts], axis=1)
        attributes = {"units": AMOUNT, "long_name": f"ledger of {species}", "comment": "1 uM um3 = 1e-21 mol"}
        attributes["ledger_of"] = names.fields[species]
        ds[names.derived[species]["ledger"]] = (("time", "account"), rows, attributes)


def _add_topology(ds: xr.Dataset, mesh: Mesh) -> None:
    told: dict[str, Any] = {"cf_role": "mesh_topology", "node_coordinates": "x y z", "long_name": "topology of the control volumes"}
    if mesh.simplices is not None and mesh.simplices.shape[1] == 4:
        told |= {"topology_dimension": 3, "volume_node_connectivity": "volume_nodes", "volume_shape_type": "volume_shape"}
        ds["volume_nodes"] = (("volume_element", "four"), mesh.simplices.astype(np.int32), _connectivity("volume_node_connectivity"))
        shape = {"cf_role": "volume_shape_type", "flag_values": 0, "flag_meanings": "tetrahedron"}
        ds["volume_shape"] = ("volume_element", np.zeros(len(mesh.simplices), np.int8), shape)
    elif mesh.simplices is not None and mesh.simplices.shape[1] == 3:
        told |= {"topology_dimension": 2, "face_node_connectivity": "face_nodes"}
        ds["face_nodes"] = (("face", "three"), mesh.simplices.astype(np.int32), _connectivity("face_node_connectivity"))
    else:
        told |= {"topology_dimension": 1, "edge_node_connectivity": "edge_nodes"}
    ds["edge_nodes"] = (("edge", "two"), mesh.edges.astype(np.int32), _connectivity("edge_node_connectivity"))
    ds["mesh"] = ((), np.int32(0), told)


def _connectivity(role: str) -> dict[str, Any]:
    return {"cf_role": role, "start_index": 0}


def _attributes(model: Model, frames: Frames) -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        release = version("calcium-sim")
    except PackageNotFoundError:
        release = "unknown"
    given = {
        "Conventions": "CF-1.11 UGRID-1.0", "calcium_sim_version": release, "calcium_sim_format": FORMAT,
        "model": describe(model), "channels": frames.attributes.get("channels") or sources(model), "notes": "\n".join(model.mesh.notes),
    } | dict(frames.attributes)  # fmt: skip
    return {k: v if isinstance(v, (str, int, float)) and not isinstance(v, bool) else json.dumps(v) for k, v in given.items()}


def describe(model: Model) -> dict[str, Any]:
    """The model as plain data for JSON, in um, ms, uM, mV; functions (places, scales) by their name."""
    mesh = model.mesh
    return {
        "mesh": {"nodes": dict(zip(mesh.regions, np.diff(mesh.start).tolist(), strict=True)), "structure": type(mesh.structure).__name__},
        "species": [{k: getattr(s, k) for k in ("name", "diffusion", "initial", "decay", "rest")} for s in model.species],
        "buffers": [{k: getattr(b, k) for k in ("name", "binds", "region", "total", "kon", "koff", "diffusion")} for b in model.buffers],
        "membranes": {name: [_channel(c) for c in channels] for name, channels in model.membranes.items()},
        "stimuli": [{"kind": type(s).__name__.lower()} | {k: _plain(getattr(s, k)) for k in _stimulus_fields(s)} for s in model.stimuli],
        "voltage": _plain(model.voltage),
    }


def _stimulus_fields(stimulus: Influx | Set) -> tuple[str, ...]:
    return tuple(type(stimulus).__dataclass_fields__)


def _channel(c: Channel) -> dict[str, Any]:
    values = {k: "balance" if v is BALANCE else v for k, v in c.values.items()}
    return {"channel": c.label(), "at": _plain(c.at), "scale": _plain(c.scale), "initial": dict(c.initial), "values": values}


def _plain(given: Any) -> Any:
    return getattr(given, "__qualname__", type(given).__name__) if isinstance(given, Callable) else given  # type: ignore[arg-type]


def sources(model: Model) -> dict[str, str]:
    """Registry name of each channel with what identifies its code; see `embed.digest`."""
    classes = {c.label(): type(c) for channels in model.membranes.values() for c in channels}
    return {label: digest(cls) for label, cls in sorted(classes.items())}


def save(ds: xr.Dataset, path: str | Path) -> Path:
    """Write a Dataset to one netCDF-4 file, without loss and checksummed (zlib, shuffle, Fletcher 32).

    The file appears whole or not at all: it is written under a temporary name in the same folder and then renamed.

    Raises
    ------
    StorageError
        If it cannot be written: folder missing, no permission, no space.
    """
    target = file_path(path, "save")
    if not hasattr(ds, "to_netcdf"):
        raise InputError("save", f"{type(ds).__name__} is no result, expected the xarray.Dataset of a run")
    temporary = None
    try:
        handle, name = tempfile.mkstemp(prefix=".tmp-", suffix=".nc", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        ds.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=_encoding(ds))
        temporary.chmod(0o644)
        _sync(temporary)
        os.replace(temporary, target)
        _sync(target.parent)
    except (OSError, RuntimeError) as error:
        raise StorageError(
            f"{target}: cannot be written: {error.strerror if isinstance(error, OSError) and error.strerror else error}"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return target


def _encoding(ds: xr.Dataset) -> dict[str, dict[str, Any]]:
    packed = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
    out: dict[str, dict[str, Any]] = {}
    for name, v in ds.variables.items():
        if v.dtype.kind in "US":
            out[str(name)] = {"dtype": "S1"}
        else:
            fill = np.nan if v.dtype.kind == "f" and name in ds.data_vars else None
            out[str(name)] = {"_FillValue": fill} | (packed if v.ndim else {})
    return out


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open(path: str | Path) -> xr.Dataset:
    """Read a result that `save` wrote (or any file with its names); ``region`` can be selected by name again.

    Raises
    ------
    InputError
        If the file is missing or no result of calcium-sim.
    StorageError
        If it is damaged, or declares more than it can hold or the memory takes.
    """
    import xarray as xr

    source = file_path(path, "open")
    if not source.is_file():
        raise InputError(str(path), "no such file" if not source.exists() else "is a directory, expected a netCDF file (e.g. out/wave.nc)")
    try:
        check_declared(source)
        ds = xr.load_dataset(source, engine="netcdf4")
    except StorageError:
        raise
    except MemoryError as error:
        raise StorageError(f"{source}: does not fit into the memory of this machine (take one with more)") from error
    except Exception as error:  # damaged names and attributes end in many kinds
        with source.open("rb") as f:
            known = f.read(4) == b"\x89HDF"
        if known:
            raise StorageError(f"{source}: damaged or cut short: {(str(error).splitlines() or [type(error).__name__])[0]}") from error
        raise InputError(str(path), "is not a netCDF-4 file") from error
    if "region" not in ds.coords or "node" not in ds.dims:
        raise InputError(str(path), "is no result of calcium-sim (it has no coordinate 'region' over 'node')")
    for attributes in (ds.attrs, *(v.attrs for v in ds.variables.values())):
        check_attributes(attributes, str(source))
    for name in ("region", "account"):
        if name in ds.coords and ds[name].dtype.kind == "O":
            ds = ds.assign_coords({name: ds[name].astype(str)})
    return _indexed(ds)
