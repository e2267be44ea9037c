"""The functions of a channel compiled alone: to compare them with plain Python, and to say which of them cannot be compiled, and why."""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numba
from numba.core import types
from numba.core.errors import NumbaError

from ..errors import InputError
from ..plugin import Channel
from .embed import embed
from .module import HEADER


def compiled(cls: type[Channel], names: Sequence[str]) -> dict[str, Any]:
    """Functions of a channel from their embedded sources, compiled with the options of a run."""
    sources: dict[str, str] = {}
    entry = {name: embed(getattr(cls, name), sources, cls.label()) for name in names}
    text = "\n".join([HEADER, *(f"@njit(**OPTIONS)\n{source}\n" for source in sources.values())])
    space: dict[str, Any] = {}
    exec(compile(text, f"<{cls.label()}>", "exec"), space)
    return {name: space[inner] for name, inner in entry.items()}


@cache
def row_type(names: tuple[str, ...]) -> Any:
    """A named tuple with these names, which compiled code can read; one type per set of names, so that compiled code is reused."""
    return namedtuple("row_type", names)


def explained(error: NumbaError, classes: Iterable[type[Channel]]) -> Exception:
    """An InputError that says which function of these channels cannot be compiled and why; numba's own error where it is none of them."""
    for cls in classes:
        for name in ("flux", "rates", "steady", "open_probability", "current"):
            if getattr(cls, name) is not None and (reason := _reason(cls, name)):
                return InputError(cls.label(), f"{name} {reason}")
    return error


def _reason(cls: type[Channel], name: str) -> str:
    """Why a function of a channel cannot be used by compiled code; empty where it can."""
    function = compiled(cls, [name])[name]
    given = [row_type(tuple(names))(*[0.5] * len(names)) if names else 0.0 for names in (cls.states, cls.reads, cls.params)]
    signature = tuple(numba.typeof(g) for g in (given[1:] if name == "steady" else given))
    try:
        function.compile(signature)
    except NumbaError as error:
        return f"cannot be compiled: {_first(str(error))} (use arithmetic, what numba knows of math, and plain functions)"
    found = function.overloads[signature].signature.return_type
    if name in ("rates", "steady"):
        count = len(cls.states)
        parts: Any = found if isinstance(found, types.BaseTuple) else ()
        expected = len(parts) == count and all(isinstance(t, types.Number) for t in parts)
        return "" if expected else f"returns {found} when compiled, expected a tuple of {count} numbers, one per state"
    return "" if isinstance(found, (types.Number, types.Boolean)) else f"returns {found} when compiled, expected one number"


def _first(message: str) -> str:
    """What went wrong, of numba's pages about it."""
    lines = (line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", message).splitlines())
    told = [line for line in lines if line and not line.startswith("Failed in")]
    short = re.sub(r"<module '(\w+)'[^>]*>", r"\1", told[0]) if told else "numba gives no reason"
    return re.split(r", (?:location:|defined at )", short)[0].rstrip(". :")


__all__ = ["NumbaError", "compiled", "explained", "row_type"]
