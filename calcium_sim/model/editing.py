"""One thing of a description changed: paths such as ``buffers.calbindin.total`` and ``membranes.er.ryr/keizer-levine.density``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..description.fixed import Described, held
from ..errors import InputError, nearest, shown
from ..mesh import Mesh
from ..mesh.profiles import Profile
from ..plugin import Channel

_NUMBER = re.compile(r"\[(\d+)\](?:\.|(?=\[)|$)")


def changed_in(parts: dict[str, Any], path: str, given: Any) -> None:
    """Change one thing in the parts of a description, by name; see `changed`."""
    if path.endswith(".") or ".." in path:
        raise InputError(path, "a name is missing in this path")
    name, rest = _named(path, parts)
    if name is None:
        raise InputError(path or "replace", _unknown(path, parts))
    parts[name] = changed(parts[name], rest, given, name)


def changed(part: Any, path: str, given: Any, where: str) -> Any:
    """A part of a description with another value at a path within it.

    Parameters
    ----------
    part : a part (`Described`), a channel, a table, or several parts.
    path : names and numbers of parts, such as ``calbindin.total`` or ``[0].flux``.
    given : what is to stand there.
    where : where the part itself stands, for messages.

    Raises
    ------
    InputError
        If the path leads nowhere.
    """
    if not path:
        return given
    if isinstance(part, tuple) and part and isinstance(part[0], (Described, Channel)):
        k, rest, name = _one_of(part, path, where)
        return (*part[:k], changed(part[k], rest, given, name), *part[k + 1 :])
    if part == ():
        raise InputError(where, f"there are none, so that there is no '{path}'")
    if isinstance(part, Profile) and part.kind == "labels":
        return changed(part.data, path, given, where)
    if isinstance(part, (Mesh, Profile)) or not isinstance(part, (Described, Channel, Mapping)):
        kind = "is as its builder made it (give another mesh)" if isinstance(part, Mesh) else f"is {shown(part)} and has no parts"
        raise InputError(where, f"{kind}, so that there is no '{path}'")
    known = part if isinstance(part, Mapping) else part.arguments() if isinstance(part, Channel) else held(part)
    key, rest = _named(path, known)
    if key is None and isinstance(part, Mapping) and not rest:  # a value for one more region; the model knows which there are
        key = path
    if key is None:
        raise InputError(f"{where}.{path}", _unknown(path, known))
    new = changed(known.get(key), rest, given, f"{where}.{key}")
    if isinstance(part, Mapping):
        return {**part, key: new}
    return part.replace(**{key: new}) if isinstance(part, Channel) else type(part)(**{**known, key: new})


def _one_of(parts: tuple[Any, ...], path: str, where: str) -> tuple[int, str, str]:
    """Number of the part that a path begins with, the rest of the path, and where the part stands."""
    if number := _NUMBER.match(path):
        k = int(number[1])
        if k >= len(parts):
            raise InputError(f"{where}[{k}]", f"there are {len(parts)}, counted from 0")
        return k, path[number.end() :], f"{where}[{k}]"
    names = [_name(p) for p in parts]
    name, rest = _named(path, names)
    if path.startswith("["):
        raise InputError(f"{where}{path}", f"there are {len(parts)}, counted from 0 (write {where}[{len(parts) - 1}] for the last)")
    if name is None:  # a channel with a name of its own, by that of its kind
        kinds = [p.label() if isinstance(p, Channel) else "" for p in parts]
        name, rest = _named(path, kinds)
        names = names if name is None else kinds
    if name is None:
        raise InputError(f"{where}.{path}", _unknown(path, names))
    if names.count(name) > 1:
        numbers = " or ".join(f"{where}[{k}]" for k, n in enumerate(names) if n == name)
        raise InputError(f"{where}.{name}", f"there are {names.count(name)} of this name (write {numbers})")
    return names.index(name), rest, f"{where}.{name}"


def _name(part: Any) -> str:
    """What a part among several is called: a stimulus by its species or channel, an electrode by its kind."""
    if isinstance(part, Channel):
        return part.called()
    return next((str(found) for key in ("name", "species", "channel") if (found := getattr(part, key, None))), type(part).__name__.lower())


def _named(path: str, known: Iterable[str]) -> tuple[str | None, str]:
    """The longest name that a path begins with (names may have dots), and what follows it."""
    for name in sorted(set(known), key=len, reverse=True):
        if path == name:
            return name, ""
        if path.startswith((f"{name}.", f"{name}[")):
            return name, path[len(name) :].removeprefix(".")
    return None, path.partition(".")[2]


def _unknown(path: str, known: Iterable[str]) -> str:
    first = re.split(r"[.\[]", path)[0]
    return f"unknown '{first}'{nearest(first, known)}; there are {', '.join(dict.fromkeys(known)) or 'none'}"
