"""Places as a user says them: names, numbers of nodes, spans, functions, or several of these; what functions ask for, and return."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, shown
from ..units import value

COORDINATES = ("x", "y", "z")
Single = str | int | Callable[..., NDArray[np.bool_]]
Place = Single | tuple[Single, ...] | None
KINDS = "expected a label, the number of a node, a function of distance or of x, y, z (in um, with & and |), or a list of these"
_FILLED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Within:
    """The places between two path distances [um] from the root."""

    low: float
    high: float

    def __call__(self, distance: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of some path distances lie within."""
        return (distance >= self.low) & (distance <= self.high)

    def __repr__(self) -> str:
        return f'cs.within("{self.low:.15g} um", "{self.high:.15g} um")'

    def __str__(self) -> str:
        return f"distance {self.low:g} to {self.high:g} um"


@dataclass(frozen=True)
class Box:
    """The places between two coordinates [um] of each axis."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    def __call__(self, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of some points lie within."""
        inside = [(at >= low) & (at <= high) for at, low, high in zip((x, y, z), self.low, self.high, strict=True)]
        return inside[0] & inside[1] & inside[2]

    def __str__(self) -> str:
        spans = zip("xyz", self.low, self.high, strict=True)
        return " and ".join(f"{axis} {low:g} to {high:g} um" for axis, low, high in spans if (low, high) != (-np.inf, np.inf))


@dataclass(frozen=True)
class Nearest:
    """The node that is nearest to a point [um]: of those that are asked about."""

    point: tuple[float, float, float]

    def __call__(self, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of some nodes it is."""
        away = sum((at - v) ** 2 for at, v in zip((x, y, z), self.point, strict=True))
        return np.arange(len(x)) == np.argmin(away)

    def __str__(self) -> str:
        return f"nearest to {', '.join(f'{v:g}' for v in self.point)} um"


class Several(tuple[Any, ...]):
    """Places that have been checked, all of them together."""


def checked(given: Any, where: str) -> Place:
    """A place as it is kept: None (everywhere), a name, a number of a node, a function, or a tuple of these (all of them together).

    Raises
    ------
    InputError
        If it is anything else.
    """
    if given is None or isinstance(given, str) or callable(given):
        return given
    if isinstance(given, (int, np.integer)) and not isinstance(given, (bool, np.bool_)):
        return int(given)
    if isinstance(given, np.ndarray) and given.ndim == 1 and given.dtype == bool:
        raise InputError(
            where, "is an array of bools, expected numbers of nodes (np.flatnonzero(mask), with a mask over all nodes of the mesh)"
        )
    if isinstance(given, Several):
        return given
    if _is_point(given):
        point = ", ".join(f"{v:g}" for v in given)
        fix = f"for the node nearest to a point write mesh.nearest({point}), for three nodes a list of different whole numbers"
        raise InputError(where, f"{shown(given)} is three numbers, and no place ({fix})")
    if isinstance(given, (list, tuple, set, frozenset)) or (isinstance(given, np.ndarray) and given.ndim == 1):
        parts = [checked(part, f"{where}[{k}]") for k, part in enumerate(given)]
        if not parts:
            raise InputError(where, "is an empty list: nothing lies there (leave it out for everywhere)")
        if any(part is None or isinstance(part, tuple) for part in parts):
            raise InputError(where, f"{shown(given)} is no place, {KINDS}")
        return Several(parts)
    raise InputError(where, f"{shown(given)} is no place, {KINDS}")


def _is_point(given: Any) -> bool:
    """Whether it looks like coordinates: three numbers that are no list of different whole numbers."""
    if not isinstance(given, (list, tuple)) or len(given) != 3 or not all(isinstance(v, (int, float)) for v in given):
        return False
    return isinstance(given, tuple) or any(isinstance(v, float) for v in given) or len(set(given)) < 3


def asked(function: Callable[..., Any], where: str) -> tuple[str, ...]:
    """What to call a function with: ``("distance",)``, or x, y and z in the order in which it names them.

    What has a default does not count, so that a place can be made in a loop: ``lambda distance, lo=10, hi=40: ...``. A function whose
    arguments cannot be seen is given x, y and z.

    Raises
    ------
    InputError
        If it asks for anything else.

    >>> asked(lambda distance, lo=10.0: distance > lo, "at"), asked(lambda z, y, x: z > 0, "at"), asked(lambda a, b, c: a > 0, "at")
    (('distance',), ('z', 'y', 'x'), ('x', 'y', 'z'))
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return COORDINATES
    needed = [p for p in parameters if p.default is p.empty and p.kind not in _FILLED]
    names = tuple(p.name for p in needed)
    filled = any(p.kind == p.VAR_POSITIONAL for p in parameters)
    if all(p.kind != p.KEYWORD_ONLY for p in needed):
        if names == ("distance",) or set(names) == set(COORDINATES):
            return names
        if (len(names) == 3 and "distance" not in names) or (filled and not names):
            return COORDINATES
    told = f"asks for {', '.join(names)}" if names else "asks for nothing" if not parameters else "has a default for every argument"
    raise InputError(where, f"the function {told}, expected one of distance or of x, y, z (in um; further arguments with a default)")


def called(function: Callable[..., Any], given: Sequence[NDArray[np.float64]], where: str, unit: str = "1") -> NDArray[Any]:
    """What a user's function returns at arrays of coordinates, or of path distances; a quantity becomes numbers in `unit`.

    Raises
    ------
    InputError
        If it fails, such as one that was written for single numbers, or returns something with a unit or a mask.
    """
    try:
        found = function(*given)
        if unit != "1" and hasattr(found, "units"):
            found = np.asarray(found.magnitude, float) * value(1.0 * found.units, unit, where)
        array = found if hasattr(found, "units") or np.ma.isMaskedArray(found) else np.asarray(found)
    except InputError:
        raise
    except Exception as error:
        told = " ".join(str(error).split())
        raise InputError(
            where, f"the function fails on arrays of coordinates: {type(error).__name__}: {told} (use & and |, and np.where in place of if)"
        ) from error
    if type(array) is not np.ndarray:
        kind = "masked values" if np.ma.isMaskedArray(found) else f"a quantity in {found.units}"
        raise InputError(where, f"the function returned {kind}, expected plain numbers or bools, one per node")
    return array


def place_name(place: Any) -> str:
    """A place in words, for messages: a name, or what a function says of itself."""
    if isinstance(place, tuple):
        return ", ".join(map(place_name, place))
    if isinstance(place, str):
        return repr(place)
    if isinstance(place, int):
        return f"node {place}"
    name = function_name(place)
    return f"a function ({name})" if name and "<" not in name else "a function" if callable(place) else repr(place)


def function_name(function: Any) -> str:
    """What a function is called: a span of lengths by what it says, others by their name in the source."""
    return str(function) if isinstance(function, (Within, Box, Nearest)) else getattr(function, "__qualname__", "")
