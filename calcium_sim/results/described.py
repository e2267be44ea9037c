"""A model as plain data, as a result keeps it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compile.embed import digest
from ..description.fixed import held
from ..mesh.places import function_name
from ..mesh.profiles import Profile, plain
from ..model import Model, Species
from ..model.electrics import Cable
from ..model.placed import VoltageMap
from ..model.stimuli import Stimulus
from ..plugin import BALANCE, Channel
from ..plugin.ions import MOLAR

FLUX = "umol L-1 um ms-1"


def describe(model: Model) -> dict[str, Any]:
    """The model as plain data for JSON, in um, ms, uM, mV; functions (places, scales) by their name."""
    mesh = model.mesh
    return {
        "mesh": {"nodes": dict(zip(mesh.regions, np.diff(mesh.start).tolist(), strict=True)), "structure": type(mesh.structure).__name__},
        "species": [_species(s) for s in model.species],
        "buffers": [{k: getattr(b, k) for k in ("name", "binds", "region", "total", "kon", "koff", "diffusion")} for b in model.buffers],
        "membranes": {name: [_channel(c) for c in channels] for name, channels in model.membranes.items()},
        "stimuli": [{"kind": type(s).__name__.lower()} | {k: _plain(getattr(s, k)) for k in _stimulus_fields(s)} for s in model.stimuli],
        "voltage": _plain(model.voltage),
    }


def _species(s: Species) -> dict[str, Any]:
    told = {k: getattr(s, k) for k in ("name", "diffusion", "initial", "decay", "rest")}
    return told | {"initial": {region: plain(v) for region, v in s.initial.items()}}


def _stimulus_fields(stimulus: Stimulus) -> tuple[str, ...]:
    return tuple(type(stimulus).__dataclass_fields__)


def _channel(c: Channel) -> dict[str, Any]:
    values = {k: "balance" if v is BALANCE else plain(v) for k, v in c.values.items()}
    initial = {k: plain(v) for k, v in c.initial.items()}
    called = {} if c.named is None else {"name": c.named}
    return {"channel": c.label()} | called | {"at": _plain(c.at), "scale": _plain(c.scale), "initial": initial, "values": values}


def _plain(given: Any) -> Any:
    if isinstance(given, tuple):
        return [_plain(part) for part in given]
    if isinstance(given, (Profile, VoltageMap)):
        return given.plain()
    if isinstance(given, Cable):
        return {"kind": "cable"} | {name: _plain(part) for name, part in held(given).items()}
    return (function_name(given) or type(given).__name__) if callable(given) else given


def sources(model: Model) -> dict[str, str]:
    """Registry name of each channel with what identifies its code; see `embed.digest`."""
    classes = {c.label(): type(c) for channels in model.membranes.values() for c in channels}
    return {label: digest(cls) for label, cls in sorted(classes.items())}


def flux_units(cls: type[Channel]) -> str:
    """Units of a channel's flux as CF writes them: moles, or a current density."""
    return FLUX if cls.flux_unit == MOLAR else cls.flux_unit.replace("/", " ").replace("^", "-")
