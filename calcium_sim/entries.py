"""Names of channels in installed packages: read from entry points, before any code of a package is imported."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

GROUP = "calcium_sim.channels"


@cache
def installed() -> dict[str, tuple[EntryPoint, ...]]:
    """Entry points by channel name; a name that two distributions claim keeps both."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=GROUP):
        others = [p for p in found.get(point.name, ()) if p.value != point.value]
        found[point.name] = (*others, point)
    return found


def provider(point: EntryPoint) -> str:
    """The distribution of an entry point, with its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
