"""Tables and lists of a description, which cannot be changed: a result tells what ran, so that what ran must not change under it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from .errors import InputError, shown

FIX = "is fixed once it is made, for what ran is what a result tells; make a new one (channels in a model: Model.swap)"


class Fixed(dict[Any, Any]):
    """A dictionary that refuses changes.

    >>> table = Fixed({"cytosol": 1.0})
    >>> dict(table, er=2.0)
    {'cytosol': 1.0, 'er': 2.0}
    """

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise InputError("description", f"the table of {', '.join(map(str, self)) or 'nothing'} {FIX}")

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return Fixed, (dict(self),)


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
        raise InputError(where, f"{shown(given)} is no list of {names}{_called(given, kinds)}")
    parts = tuple(given)
    for k, part in enumerate(parts):
        if not isinstance(part, kinds):
            raise InputError(f"{where}[{k}]", f"{shown(part)} is no {names}{_called(part, kinds)}")
    return parts


def _called(part: Any, kinds: tuple[type, ...]) -> str:
    if isinstance(part, str) and any(kind.__name__ == "Channel" for kind in kinds):
        return f" (write cs.get_channel({shown(part)})(...))"
    return " (call the class: get_channel('...')())" if isinstance(part, type) else ""
