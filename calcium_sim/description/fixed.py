"""Parts, tables and lists of a description, which are values: they cannot be changed, and are equal when what they hold is.

A result tells what ran, so that what ran must not change under it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, NoReturn, Self

import numpy as np

from ..errors import InputError, shown

FIX = "is fixed once it is made, for what ran is what a result tells; make a new one (Model.replace, Model.swap, dataclasses.replace)"


class Fixed(dict[Any, Any]):
    """A dictionary that refuses changes.

    >>> table = Fixed({"cytosol": 1.0})
    >>> dict(table, er=2.0)
    {'cytosol': 1.0, 'er': 2.0}
    """

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise InputError("description", f"the table of {', '.join(map(str, self)) or 'nothing'} {FIX}")

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset((key, hashed(value)) for key, value in self.items()))

    def __eq__(self, other: object) -> bool:
        return same(dict(self), other)

    def __reduce__(self) -> tuple[Any, ...]:
        return Fixed, (dict(self),)


@dataclass(frozen=True, eq=False, repr=False)
class Described:
    """Base of the frozen dataclasses of a description (``eq=False``): equality of what they hold, arrays too; made anew where they go."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self is other or all(same(a, getattr(other, name)) for name, a in held(self).items())

    def __hash__(self) -> int:
        return hash((type(self), *(hashed(value) for value in held(self).values())))

    def __reduce__(self) -> tuple[Any, ...]:
        for name, value in held(self).items():
            check_portable(value, f"{type(self).__name__}.{name}")
        return made, (type(self), held(self))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __repr__(self) -> str:
        """As it could be written: what is at its default is left out."""
        given = [f for f in fields(self) if f.default is MISSING or not same(getattr(self, f.name), f.default)]
        return f"{type(self).__name__}({', '.join(f'{f.name}={told(getattr(self, f.name))}' for f in given)})"


def own(array: Any) -> Any:
    """An array that nobody else can change: itself, read-only, or a copy of what is a view of another one."""
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if root is not array and root.flags.writeable:
        array = array.copy()
    array.setflags(write=False)
    return array


def own_arrays(part: Any) -> None:
    """Make the arrays of a part of a description, also in its rows and tables, its own."""
    for name, value in held(part).items():
        if isinstance(value, np.ndarray):
            object.__setattr__(part, name, own(value))
        elif isinstance(value, tuple) and any(isinstance(v, np.ndarray) for v in value):
            object.__setattr__(part, name, tuple(own(v) if isinstance(v, np.ndarray) else v for v in value))
        elif isinstance(value, dict):
            object.__setattr__(part, name, Fixed({k: own(v) if isinstance(v, np.ndarray) else v for k, v in value.items()}))


def check_portable(value: Any, where: str) -> None:
    """Refuse a function that no other process can find.

    Raises
    ------
    InputError
        If it is a lambda, or a function within a function.
    """
    if not inspect.isfunction(value):
        return
    if "<" in value.__qualname__ or inspect.getmodule(value) is None:
        kind = "a lambda" if value.__name__ == "<lambda>" else f"{value.__qualname__}, a function within a function"
        raise InputError(
            where, f"{kind} cannot go to a file or another process (use a label, cs.within, or a function at the top of a module)"
        )


def told(value: Any) -> str:
    """A value of a description as one would write it: ``"40 uM"``, ``{"cytosol": "0.05 uM"}``, ``distance 0 to 5 um``."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{told(key)}: {told(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, float):
        number = f"{value:.15g}" if float(f"{value:.15g}") == value else repr(float(value))
        unit = getattr(value, "unit", "1")
        return number if unit == "1" else f'"{number} {unit}"'
    return f'"{value}"' if isinstance(value, str) else repr(value)


def held(part: Any) -> dict[str, Any]:
    """What a part of a description is made of, by argument."""
    return {f.name: getattr(part, f.name) for f in fields(part)}


def made(kind: type[Any], arguments: Mapping[str, Any]) -> Any:
    """A part of a description, checked as any other."""
    return kind(**arguments)


def same(a: Any, b: Any) -> bool:
    """Whether two values of a description are equal: numbers, names, tables, arrays; functions only if they are one and the same."""
    if a is b:
        return True
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        both = isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype.kind == b.dtype.kind
        return both and np.array_equal(a, b)
    if isinstance(a, Mapping) and isinstance(b, Mapping) and (type(a) is not type(b) or isinstance(a, dict)):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def hashed(value: Any) -> Any:
    """Something with a hash that is the same for values that are the same."""
    if isinstance(value, np.ndarray):
        return value.shape
    if isinstance(value, Mapping):
        return frozenset(value)
    return tuple(map(hashed, value)) if isinstance(value, (tuple, list)) else value


def several(given: Any, kinds: tuple[type, ...], where: str) -> tuple[Any, ...]:
    """The parts of a model that a list names; one part may stand without a list.

    Raises
    ------
    InputError
        If there is something else in the list, or it is none.
    """
    if isinstance(given, kinds):
        return (given,)
    names = " or ".join(f"cs.{kind.__name__}" for kind in kinds)
    if isinstance(given, (str, bytes, type)) or not isinstance(given, Iterable):
        raise InputError(
            where, f"{shown(given)} is no list of {names}{' (leave it out for none)' if given is None else _called(given, kinds)}"
        )
    parts = tuple(given)
    for k, part in enumerate(parts):
        if not isinstance(part, kinds):
            raise InputError(f"{where}[{k}]", f"{shown(part)} is no {names}{_called(part, kinds)}")
    return parts


def _called(part: Any, kinds: tuple[type, ...]) -> str:
    if isinstance(part, str) and any(kind.__name__ == "Channel" for kind in kinds):
        return f" (write cs.get_channel({shown(part)})(...))"
    return " (call the class: get_channel('...')())" if isinstance(part, type) else ""
