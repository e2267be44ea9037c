"""One channel in the place of another: what is taken over, and what is lost."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..errors import InputError, shown
from ..mesh.profiles import Profile
from ..plugin import BALANCE, Channel
from .channel_files import names_file
from .registry import get_channel
from .spikes import SpikeTimes

TAKEN_OVER = {"at": "at", "scale": "scale", "name": "named"}
"""Arguments of every channel that a channel of another kind takes over, and the attributes that hold them."""


def label_of(name: str, present: Iterable[str]) -> str:
    """The label that a channel goes by in a model, also where its package or its file is named."""
    if name in present or not isinstance(name, str) or not (":" in name or names_file(name)):
        return name
    try:
        return get_channel(name).label()
    except InputError:
        return name


def replacement(
    old: Channel, new: str | os.PathLike[str] | type[Channel] | Channel, values: Mapping[str, Any]
) -> tuple[Channel, list[str]]:
    """The channel that takes the place of `old` (see `Model.swap`), and what was set on `old` and is lost, as texts."""
    if isinstance(new, Channel):
        if values:
            raise InputError("swap", f"'{new.label()}' has its parameters already (give {', '.join(values)} where it is made)")
        places = [f"{name}=" for name, key in TAKEN_OVER.items() if getattr(old, key) is not None and getattr(new, key) is None]
        return new, [
            *_lost(old, type(new), ()),
            *places,
            *(f"initial {s} = {_number(v)}" for s, v in old.initial.items() if not new.initial),
        ]
    new = os.fspath(new) if isinstance(new, os.PathLike) else new
    if not isinstance(new, str) and not (isinstance(new, type) and issubclass(new, Channel)):
        raise InputError("swap", f"{shown(new)} is no channel (give a name, a class, or a channel)")
    cls = get_channel(new) if isinstance(new, str) else new
    theirs, mine = old.parameter_table(), cls.parameter_table()
    shared = {k: v for k, v in old.values.items() if k in mine and mine[k].unit == theirs[k].unit and k not in values}
    kept = {k: v for k, v in shared.items() if k == "density" or theirs[k].default != v}
    lost = _lost(old, cls, values) + [f"initial {s} = {_number(v)}" for s, v in old.initial.items() if s not in cls.states]
    initial = {s: v for s, v in old.initial.items() if s in cls.states}
    return cls(**{"at": old.at, "scale": old.scale, "initial": initial, "name": old.named, **kept, **values}), lost


def followed(stimuli: Iterable[Any], pairs: Iterable[tuple[Channel, Channel]]) -> tuple[Any, ...]:
    """Stimuli with spikes that go on to the channel that has taken the place of theirs; `pairs` are channels before and after."""
    names: dict[str, str] = {}
    for old, new in pairs:
        if old is not new:
            names |= {old.label(): new.label(), old.called(): new.called()}
    return tuple(replace(s, channel=names[s.channel]) if isinstance(s, SpikeTimes) and s.channel in names else s for s in stimuli)


def _lost(old: Channel, cls: type[Channel], given: Iterable[str]) -> list[str]:
    """Parameters of `old` that are not at their defaults and that a class does not have (or in another unit)."""
    theirs, mine = old.parameter_table(), cls.parameter_table()
    changed = [k for k, v in old.values.items() if v != theirs[k].default and k not in given]
    lost = [k for k in changed if k not in mine or mine[k].unit != theirs[k].unit]
    return [
        f"{k} = {old.values[k]!r}" + ("" if old.values[k] is BALANCE or isinstance(old.values[k], Profile) else f" {theirs[k].unit}")
        for k in lost
    ]


def _number(given: float | Profile) -> str:
    return repr(given) if isinstance(given, Profile) else f"{given:g}"
