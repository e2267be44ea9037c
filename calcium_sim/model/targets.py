"""What a probe means in a model: nodes of a field, pairs of a channel, or the potential."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..description.names import number_labels
from ..errors import InputError, nearest
from ..mesh import Floats
from ..mesh.places import place_name
from ..plugin import Channel
from .electrics import POTENTIAL, Cable, charged
from .model import Model, nodes_of
from .placed import VoltageMap
from .probes import Probe

Ints = NDArray[np.int64]
_LISTED = 100
"""Nodes that are listed by number in the attributes of a probe."""


@dataclass(frozen=True)
class Target:
    """What a probe looks at.

    Attributes
    ----------
    kind : "field", "po", "flux" or "v".
    key : (species or buffer, region), or (membrane, label of the channel on it).
    index : numbers of the nodes, or of the pairs of the membrane; share : their weights in the mean.
    nodes : numbers of nodes that lie there.
    """

    kind: str
    key: tuple[str, str]
    index: Ints
    share: Floats
    nodes: Ints

    def mean(self, values: Floats) -> float:
        """The mean; the value itself where it is one place."""
        return float(values[0]) if len(values) == 1 else float(np.dot(values, self.share))


def targeted(model: Model, probe: Probe, where: str) -> Target:
    """Find what a probe means.

    Raises
    ------
    InputError
        If the model has nothing of that name, or nothing lies at that place.
    """
    mesh, none = model.mesh, np.zeros(0, np.int64)
    kind, _, rest = probe.what.partition("@")
    if probe.what == "v":
        if model.voltage is None:
            raise InputError(where, "the model has no potential to record (give it one: voltage = '-70 mV')")
        if isinstance(model.voltage, VoltageMap):
            raise InputError(where, "the potential is that of a map, which has it (VoltageMap.at)")
        if not isinstance(model.voltage, Cable):
            return Target("v", ("", ""), none, np.zeros(0), none)
        there = charged(mesh, model.voltage)
        at = np.flatnonzero(mesh.select(probe.at, there.nodes, f"{where}.at"))
        nodes = there.nodes[at].astype(np.int64)
        return Target("v", (POTENTIAL, there.region), nodes, _shares(there.area[at]), nodes)
    if kind in ("po", "flux"):  # no species is called so
        key = _channel(model, kind, rest, where)
        m = mesh.membranes[key[0]]
        pairs = np.flatnonzero(mesh.select(probe.at, m.inside, f"{where}.at", m.outside))
        return Target(kind, key, pairs, _shares(m.area[pairs]), m.inside[pairs].astype(np.int64))
    name, region = _field(model, kind, rest, where)
    every = nodes_of(mesh, region)
    nodes = every[mesh.select(probe.at, every, f"{where}.at")].astype(np.int64)
    return Target("field", (name, region), nodes, _shares(mesh.volume[nodes]), nodes)


def _shares(sizes: Floats) -> Floats:
    return np.asarray(sizes / sizes.sum())


def _field(model: Model, name: str, region: str, where: str) -> tuple[str, str]:
    fields = [(s.name, r) for s in model.species for r in model.mesh.regions if r in s.diffusion]
    fields += [(b.name, b.region) for b in model.buffers]
    own = [f for f in fields if f[0] == name]
    found = [f for f in own if f[1] == region] if region else [f for f in own if f[1] == "cytosol"] or own
    if len(found) == 1:
        return found[0]
    known = [f"{n}@{r}" for n, r in fields] + [f"flux@{label}" for _, label, _ in _channels(model)]
    known += [f"po@{label}" for _, label, c in _channels(model) if c.open_probability is not None] + (
        ["v"] if model.voltage is not None else []
    )
    given = f"{name}@{region}" if region else name
    raise InputError(where, f"unknown '{given}'{nearest(given, known)}; there are {', '.join(dict.fromkeys(known))}")


def _channels(model: Model) -> list[tuple[str, str, Channel]]:
    """Membrane, label on it and channel."""
    return [
        (membrane, label, c)
        for membrane, channels in model.membranes.items()
        for label, c in zip(number_labels([c.called() for c in channels]), channels, strict=True)
    ]


def _channel(model: Model, kind: str, name: str, where: str) -> tuple[str, str]:
    """The channel of a name: its label on the membrane, or the end of its variables in the result."""
    ends = model.names.channels
    found = [(m, label, c) for m, label, c in _channels(model) if name in (label, ends[m, label])]
    if len(found) > 1:
        raise InputError(
            where, f"several channels are called '{name}', expected one of {', '.join(ends[m, label] for m, label, _ in found)}"
        )
    if not found:
        known = list(dict.fromkeys(label for _, label, _ in _channels(model)))
        raise InputError(
            where, f"unknown channel '{name}'{nearest(name, known)}; there are {', '.join(known) or 'none'} (write {kind}@NAME)"
        )
    if kind == "po" and found[0][2].open_probability is None:
        raise InputError(where, f"'{name}' declares no open probability (flux@{name} can be recorded)")
    return found[0][:2]


def placed(model: Model, probe: Probe, target: Target) -> dict[str, Any]:
    """Where a probe is, as attributes of its variables."""
    mesh, nodes = model.mesh, target.nodes
    if target.kind == "v" and not len(nodes):
        return {"place": "plasma membrane"}
    out: dict[str, Any] = {"place": "everywhere" if probe.at is None else place_name(probe.at), "node_count": len(nodes)}
    out["region"] = target.key[1] if target.kind in ("field", "v") else mesh.membranes[target.key[0]].sides[0]
    if len(nodes) <= _LISTED:
        out["nodes"] = nodes.astype(np.int32) if len(nodes) > 1 else np.int32(nodes[0])
    centre = np.average(mesh.position[nodes], axis=0, weights=target.share)
    out |= {axis: float(at) for axis, at in zip("xyz", centre, strict=True)}
    return out | {"distance_from": float(mesh.distance[nodes].min()), "distance_to": float(mesh.distance[nodes].max())}
