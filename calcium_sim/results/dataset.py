"""Results: plain arrays of a run become one xarray.Dataset with CF and UGRID names, saved without loss and read back.

Names and units of the variables are part of the public contract; `assemble` is the only place that gives them.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..description.names import ResultNames, number_labels
from ..errors import InputError, StorageError, file_path
from ..kernels.files import uninterrupted
from ..mesh import OUTSIDE, Floats, Mesh
from ..mesh.labels import Labels
from ..model import Model, Species
from ..model.electrics import CHARGE, POTENTIAL
from ..plugin import Channel
from .described import FLUX, describe, flux_units, sources

if TYPE_CHECKING:
    import xarray as xr

CONCENTRATION, AMOUNT = "umol L-1", "umol L-1 um3"
FORMAT = 1
POTENTIAL_TOLD = {"units": "mV", "long_name": "membrane potential, inside - outside"}


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
class ProbeRecord:
    """What a probe took down: values at its times, first crossing of its level (None: it has none), peak and time of the peak.

    Parameters
    ----------
    stem, name, what : how variables call it, its name, what it is of.
    kind : "field", "po", "flux" or "v".
    place : attributes that tell where it is.
    units : of the values, where they are not those of their kind.
    """

    stem: str
    name: str
    what: str
    kind: str
    time: Floats
    values: Floats
    level: float | None
    arrival: float
    peak: float
    peak_time: float
    place: Mapping[str, Any]
    units: str = ""


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
    probes : values at single places at their own times.
    """

    time: Floats
    fields: Mapping[tuple[str, str], Floats]
    channels: Sequence[ChannelRecord] = ()
    ledger: Mapping[str, Mapping[str, Floats]] = field(default_factory=dict)
    voltage: Floats | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    noted: Sequence[Noted] = ()
    span: tuple[float, float] = (0.0, 0.0)
    probes: Sequence[ProbeRecord] = ()


def assemble(model: Model, frames: Frames) -> xr.Dataset:
    """Build the Dataset of a run.

    Returns
    -------
    xarray.Dataset
        Dims ``time`` [ms] and ``node`` (all nodes, region by region; ``ds.ca.sel(region="cytosol")`` picks a region), one dim
        ``pair_<membrane>`` per membrane. Species and free buffers are NaN where they do not live.
    """
    import xarray as xr

    mesh, names, classes = model.mesh, model.names, dict(_classes(model))
    coords = {"time": ("time", np.asarray(frames.time, float), {"units": "ms", "long_name": "time since the start of the run"})}
    ds = xr.Dataset(coords=coords | _node_coordinates(mesh, names) | _pair_coordinates(mesh, names))
    for name in dict.fromkeys(name for name, _ in frames.fields):
        told = POTENTIAL_TOLD | {"mesh": "mesh", "location": "node"} if name == POTENTIAL else _field_attributes(model, name)
        ds[names.fields.get(name, name)] = (("time", "node"), _whole(mesh, frames, name), told)
    for key in frames.channels:
        dims, suffix = ("time", f"pair_{names.membranes[key.membrane]}"), names.channels[key.membrane, key.label]
        cls = classes[key.membrane, key.label]
        told = {"channel": cls.label(), "model_name": key.label, "membrane": key.membrane}
        if key.flux is not None:
            ds[f"flux_{suffix}"] = (
                dims,
                np.asarray(key.flux, float),
                {"units": flux_units(cls), "long_name": f"mean flux density of {key.label} on {key.membrane}"} | told,
            )
        if key.open_probability is not None:
            known = {"units": "1", "long_name": f"open probability of {key.label} on {key.membrane}"} | told
            ds[f"po_{suffix}"] = (dims, np.asarray(key.open_probability, float), known)
    if frames.voltage is not None:
        ds[POTENTIAL] = ("time", np.asarray(frames.voltage, float), POTENTIAL_TOLD)
    for probe in frames.probes:
        _add_probe(ds, probe)
    _add_noted(ds, model, frames)
    _add_ledger(ds, frames, names)
    _add_topology(ds, mesh)
    ds.attrs = _attributes(model, frames)
    return indexed(ds)


def _classes(model: Model) -> Iterator[tuple[tuple[str, str], type[Channel]]]:
    """The class of each channel, by its membrane and its label there."""
    for membrane, channels in model.membranes.items():
        for label, c in zip(number_labels([c.called() for c in channels]), channels, strict=True):
            yield (membrane, label), type(c)


def indexed(ds: xr.Dataset) -> xr.Dataset:
    """Let ``region`` be selected by name."""
    from .region import RegionIndex

    return ds if "region" in ds.xindexes else ds.set_xindex("region", RegionIndex)


def _node_coordinates(mesh: Mesh, names: ResultNames) -> dict[str, Any]:
    regions = np.repeat(np.array(mesh.regions), np.diff(mesh.start))
    out: dict[str, Any] = {"region": ("node", regions, {"long_name": "region of the node"})}
    out["node_index"] = ("node", np.arange(mesh.nodes, dtype=np.int32), {"long_name": "number of the node, as edge_nodes counts it"})
    for k, axis in enumerate("xyz"):
        out[axis] = ("node", np.array(mesh.position[:, k]), {"units": "um", "long_name": f"{axis} coordinate of the node"})
    out["distance"] = ("node", np.array(mesh.distance), {"units": "um", "long_name": "path length from the root (left end, soma)"})
    out["volume"] = ("node", np.array(mesh.volume), {"units": "um3", "long_name": "control volume"})
    return out | _label_coordinates(mesh, names)


def _label_coordinates(mesh: Mesh, names: ResultNames) -> dict[str, Any]:
    """Labels as bools over the nodes; the section of each node as a number, -1 where it has none."""
    out: dict[str, Any] = {}
    for label, end in names.labels.items():
        out[f"label_{end}"] = ("node", np.array(mesh.labels[label]), {"long_name": f"whether the node lies at '{label}'", "label": label})
    sections = [name for name in mesh.labels if name not in names.labels]
    if sections and isinstance(mesh.labels, Labels):
        number = np.tile(np.asarray(mesh.labels.sections, np.int32), mesh.labels.regions)
        out["section"] = ("node", number, {"long_name": "unbranched section of the node (label section-<number>), -1 for none"})
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


def _add_probe(ds: xr.Dataset, p: ProbeRecord) -> None:
    """A probe over its own times, with what was noted of it between them."""
    time, stem = f"time_{p.stem}", f"probe_{p.stem}"
    told = f"{p.what} at {p.place['place']}"
    known = {"what": p.what, "probe": p.name} | dict(p.place)
    units = p.units or {"field": CONCENTRATION, "flux": FLUX, "po": "1", "v": "mV"}[p.kind]
    ds.coords[time] = (time, p.time, {"units": "ms", "long_name": f"times of the probe '{p.name}'"})
    mean = "mean since the time before of " if p.kind == "flux" else ""
    ds[stem] = (time, p.values, {"units": units, "long_name": f"{mean}{told}"} | known)
    if p.level is not None:
        crossed = {"units": "ms", "long_name": f"first upward crossing of the threshold by {told}", "threshold": p.level}
        ds[f"{stem}_arrival"] = ((), p.arrival, crossed | known)
    ds[f"{stem}_peak"] = ((), p.peak, {"units": units, "long_name": f"largest value of {told}, of all steps"} | known)
    ds[f"{stem}_peak_time"] = ((), p.peak_time, {"units": "ms", "long_name": f"time of the largest value of {told}"} | known)


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
        if species == CHARGE and species not in names.derived:
            ds["ledger_charge"] = (("time", "account"), rows, {"units": "fC", "long_name": "ledger of the charge", "ledger_of": "v"})
            continue
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


def release() -> str:
    """The version of this package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("calcium-sim")
    except PackageNotFoundError:
        return "unknown"


def _attributes(model: Model, frames: Frames) -> dict[str, Any]:
    given = {
        "Conventions": "CF-1.11 UGRID-1.0", "calcium_sim_version": release(), "calcium_sim_format": FORMAT,
        "model": describe(model), "channels": frames.attributes.get("channels") or sources(model), "notes": "\n".join(model.mesh.notes),
        "faces": {name: face.nodes.tolist() for name, face in model.mesh.faces.items()},
    } | dict(frames.attributes)  # fmt: skip
    return {k: v if isinstance(v, (str, int, float)) and not isinstance(v, bool) else json.dumps(v) for k, v in given.items()}


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
    try:
        with uninterrupted():
            _written(ds, target)
    except (OSError, RuntimeError) as error:
        raise StorageError(f"{target}: cannot be written: {_reason(error, target)}") from error
    return target


def _written(ds: xr.Dataset, target: Path) -> None:
    handle, name = tempfile.mkstemp(prefix=".tmp-", suffix=".nc", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        ds.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=_encoding(ds))
        temporary.chmod(0o644)
        _sync(temporary)
        os.replace(temporary, target)
        with contextlib.suppress(OSError):  # Windows opens no folders, and some network drives sync none
            _sync(target.parent, os.O_RDONLY)
    except (OSError, RuntimeError) as error:
        if shutil.disk_usage(target.parent).free < ds.nbytes and not (isinstance(error, OSError) and error.errno == errno.ENOSPC):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error  # HDF5 says "permission denied" of a full disk
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _reason(error: Exception, target: Path) -> str:
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return told + (" (is it open in another program?)" if isinstance(error, PermissionError) and target.exists() else "")


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


def _sync(path: Path, flags: int = os.O_RDWR) -> None:
    """Ask for what was written to be on the disk; Windows does that only for descriptors that may write."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
