"""How strong a channel is at each pair of a membrane: its place, its scale, and parameters that differ from place to place."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..mesh import Floats, Mesh
from ..mesh.profiles import Profile, over, value_over
from ..plugin import Channel, check_factor


class Strength(NamedTuple):
    """Parameters of a channel as numbers (BALANCE where it stands), and the factor of its flux over the pairs, None where that is 1."""

    values: dict[str, Any]
    weight: Floats | None


def strength(mesh: Mesh, membrane: str, channel: Channel) -> Strength:
    """What a channel's `at`, `scale` and profiles mean on a membrane.

    A parameter that differs from place to place only multiplies the flux (`contract.multiplies`): its largest value becomes the
    parameter, what it is elsewhere relative to that a factor of the flux.

    Raises
    ------
    InputError
        If a place or label is unknown, a function fails, or a value is out of range.
    """
    where, m = f"membranes.{membrane}.{channel.called()}", mesh.membranes[membrane]
    values, weight = dict(channel.values), np.ones(len(m.area))
    if channel.at is not None:
        weight *= mesh.select(channel.at, m.inside, f"{where}.at", m.outside)
    if channel.scale is not None:
        weight *= over(
            value_over(channel.scale, "1", f"{where}.scale", low=0.0), mesh, m.inside, f"{where}.scale", missing=0.0, partners=m.outside
        )
    for name, given in channel.values.items():
        if isinstance(given, Profile):
            found = given.over(mesh, m.inside, f"{where}.{name}", missing=0.0, partners=m.outside)
            if given.sizes() != (ends := (float(found.min()), float(found.max()))):  # of a function they are known here only
                check_factor(type(channel), name, channel.values, ends, f"{where}.{name}")
            values[name] = float(found[np.argmax(np.abs(found))])
            weight *= found / values[name] if values[name] else 1.0
    return Strength(values, None if (weight == 1.0).all() else weight)
