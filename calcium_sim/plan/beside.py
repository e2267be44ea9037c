"""The current that other ions carry through a channel beside its flux: a second flux, of charge, from the same states.

It matters only where the potential is solved for. In a plan it stands behind its channel, under its name and ``:current``, with the rows of
states of that channel, which it reads and does not move.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ..plugin import Channel

UNIT = "mA/cm^2"
"""What `current` of a channel returns."""


def current_of(cls: type[Channel]) -> type[Channel] | None:
    """A channel class whose flux is the `current` of another one, with its states, ports and parameters; None where there is none."""
    key: Any = cls
    return None if cls.current is None else _made(key)


@cache
def _made(cls: Any) -> type[Channel]:
    body: dict[str, Any] = {name: getattr(cls, name) for name in ("across", "reads", "states", "params", "name", "source", "__doc__")}
    return type(f"{cls.__name__}Current", (Channel,), {**body, "moves": {}, "flux_unit": UNIT, "flux": staticmethod(cls.current)})
