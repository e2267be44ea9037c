"""Names that installed packages register: read from entry points, before any code of a package is imported.

Where two packages claim a name, ours wins, and a warning says so: a package that is installed for something else cannot disable or change
models. ``<distribution>:<name>`` names one explicitly.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from ..errors import InputError, warn

GROUP = "calcium_sim.channels"
OURS = "calcium-sim"


@cache
def registered(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Entry points of a group by name; of a name that several distributions claim, ours first, then by the distribution's name."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in sorted(entry_points(group=group), key=_order):
        found.setdefault(point.name, {}).setdefault(point.value, point)
    return {name: tuple(points.values()) for name, points in found.items()}


def installed() -> dict[str, tuple[EntryPoint, ...]]:
    """Entry points of channels, see `registered`."""
    return registered(GROUP)


def _order(point: EntryPoint) -> tuple[bool, str]:
    return distribution(point) != OURS, distribution(point)


def distribution(point: EntryPoint) -> str:
    """Normal form of the name of the distribution that an entry point comes from."""
    return _normal(point.dist.name) if point.dist else ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def provider(point: EntryPoint) -> str:
    """The distribution of an entry point, with its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def full_name(point: EntryPoint) -> str:
    """``<distribution>:<name>``."""
    return f"{distribution(point)}:{point.name}"


def claimed(name: str, group: str = GROUP) -> tuple[EntryPoint, ...]:
    """Entry points of a name or of ``<distribution>:<name>``, the one that is meant first."""
    owner, _, bare = name.rpartition(":")
    points = registered(group).get(bare, ())
    return tuple(p for p in points if distribution(p) == _normal(owner)) if owner else points


def find(name: str, group: str, where: str) -> EntryPoint | None:
    """The entry point of a name, or None.

    Raises
    ------
    InputError
        If several packages claim it and none of them is this one.

    Warns
    -----
    UserWarning
        If another package claims a name of ours.
    """
    points = claimed(name, group)
    if len(points) < 2:
        return points[0] if points else None
    if distribution(points[0]) != OURS:
        owners, names = (" and ".join(map(f, points)) for f in (provider, lambda p: repr(full_name(p))))
        raise InputError(where, f"'{name}' is registered by {owners}; name one: {names}")
    others = " and ".join(map(provider, points[1:]))
    fix = f"write '{full_name(points[1])}' for the other"
    warn(f"'{name}' is registered by {others} too; that of {OURS} is used ({fix})")
    return points[0]


def listed(group: str = GROUP) -> list[str]:
    """All names of a group; those that lose against another, or that nobody wins, with their distribution."""
    names = []
    for name, points in registered(group).items():
        names += [name, *(full_name(p) for p in (points[1:] if distribution(points[0]) == OURS else points) if len(points) > 1)]
    return sorted(names)
