"""The channel registry: names come from entry points and are known before any plugin code is imported."""

from __future__ import annotations

import warnings
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from .errors import InputError, nearest
from .plugin import LOCAL, Channel

GROUP = "calcium_sim.channels"


@cache
def installed() -> dict[str, tuple[EntryPoint, ...]]:
    """Entry points by channel name; a name that two distributions claim keeps both."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=GROUP):
        others = [p for p in found.get(point.name, ()) if p.value != point.value]
        found[point.name] = (*others, point)
    return found


def list_channels() -> list[str]:
    """Names of all channels: installed ones and those registered in this process. Imports no plugin."""
    return sorted({*installed(), *LOCAL})


def get_channel(name: str) -> type[Channel]:
    """Return the channel class registered under `name`; call it with parameters to get a channel.

    Raises
    ------
    InputError
        If the name is unknown (the nearest names are given), claimed twice, or its package cannot be imported.
    """
    if name in LOCAL:
        return LOCAL[name]
    points = installed().get(name, ())
    if not points:
        raise InputError("channel", f"unknown channel '{name}'{nearest(name, list_channels())}; list them with `calcium-sim channels list`")
    if len(points) > 1:
        owners = " and ".join(_owner(p) for p in points)
        raise InputError("channel", f"'{name}' is registered by {owners}; uninstall one")
    point = points[0]
    try:
        cls = point.load()
    except Exception as error:
        last = str(error).splitlines()[-1] if str(error) else type(error).__name__
        raise InputError("channel", f"'{name}' of {_owner(point)} cannot be imported: {type(error).__name__}: {last}") from error
    if not (isinstance(cls, type) and issubclass(cls, Channel)):
        raise InputError("channel", f"'{name}' of {_owner(point)} is {cls!r}, expected a subclass of calcium_sim.Channel")
    if cls.name != name:
        warnings.warn(f"channel '{name}' of {_owner(point)} calls itself '{cls.name}'", stacklevel=2)
    return cls


def owner(name: str) -> str:
    """Distribution that provides a channel ("this process" for one registered by the decorator)."""
    points = installed().get(name, ())
    return _owner(points[0]) if points else "this process"


def _owner(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
