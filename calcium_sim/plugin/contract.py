"""What a channel class declares, read and checked: rows of its tables, ports, and its functions with their arguments and results.

`plugin` is what an author imports; this is what reads it. Every complaint names the channel, the table and the row.
"""

from __future__ import annotations

import inspect
import keyword
import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from .. import units
from ..errors import InputError, nearest, shown
from .ieee import called
from .ions import CURRENT, MOLAR, charge_moved

FUNCTIONS = {
    "flux": ("y", "x", "p"), "rates": ("y", "x", "p"), "steady": ("x", "p"), "open_probability": ("y", "x", "p"), "edges": ("p",),
    "opening": ("y", "x", "p"), "closing": ("y", "x", "p"), "gains": ("y", "x", "p"), "losses": ("y", "x", "p"),
    "current": ("y", "x", "p"), "event": ("p",),
}  # fmt: skip
"""Arguments of the functions of a channel."""

PER_STATE = ("rates", "steady", "gains", "losses", "event")
"""Functions that return one number per state."""

TAKEN = {
    **dict.fromkeys(("at", "scale", "initial", "name", "self"), "an argument of every channel"),
    **dict.fromkeys(("old", "new"), "an argument of Model.swap"),
    "channel": "a key of every channel in a file",
}
"""Names that a parameter cannot have, for it could not be given."""

MOST_EDGES = 10_000_000
"""Times that `edges` may return: at each a step ends."""


MULTIPLIED, UNSEEN, BETWEEN, MULTIPLE = 12, 200, 3, 1e-9
"""Random places at which a parameter is tried that may multiply the flux, so many where there is none, sizes between, and rounding."""


class Parameter(NamedTuple):
    """One row of a channel's parameter table; `default` None means that the user has to give it."""

    default: float | None
    unit: str
    low: float
    high: float


class State(NamedTuple):
    """One state column: the declared start value and its bounds."""

    start: float
    low: float
    high: float


class Port(NamedTuple):
    """A parsed port: kind is "concentration", "rate" (of change), "v" or "t"."""

    kind: str
    species: str
    side: str


def parse_port(port: str, where: str = "port") -> Port:
    """Parse ``"ca@cytosol"``, ``"d(ca@cytosol)"``, ``"v"``, ``"t"``.

    >>> parse_port("d(ca@er)")
    Port(kind='rate', species='ca', side='er')
    """
    if not isinstance(port, str):
        raise InputError(where, f"{shown(port)} is not a port, expected 'ca@cytosol', 'd(ca@cytosol)', 'v' or 't'")
    if port in ("v", "t"):
        return Port(port, "", "")
    kind, inner = ("rate", port[2:-1]) if port.startswith("d(") and port.endswith(")") else ("concentration", port)
    species, at, side = inner.partition("@")
    if not (species and at and side) or any(c in species + side for c in "@()"):
        raise InputError(where, f"'{port}' is not a port, expected 'ca@cytosol', 'd(ca@cytosol)', 'v' or 't'")
    return Port(kind, species, side)


def parameter(row: Any, where: str) -> Parameter:
    """A row ``(default, unit)`` or ``(default, unit, (low, high))``; numbers are in that unit, quantities are converted to it."""
    if not isinstance(row, (tuple, list)) or len(row) not in (2, 3) or not isinstance(row[1], str):
        raise InputError(where, f"{shown(row)} is no row (default, unit) or (default, unit, (low, high)), such as (0.05, 'um/ms', (0, 1))")
    unit = row[1]
    units.check_unit(unit, where)
    default = None if row[0] is None else units.number_in(row[0], unit, where)
    low, high = _range(row[2], unit, where) if len(row) == 3 else (-math.inf, math.inf)
    if default is not None and not low <= default <= high:
        raise InputError(where, f"default {default:g} is outside its range [{low:g}, {high:g}] {unit}")
    return Parameter(default, unit, low, high)


def _range(given: Any, unit: str, where: str) -> tuple[float, float]:
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise InputError(where, f"{shown(given)} is no range, expected (low, high)")
    low, high = (_end(end, unit, where) for end in given)
    if low > high:
        raise InputError(where, f"its range [{low:g}, {high:g}] {unit} is the wrong way round, expected (low, high)")
    return low, high


def _end(given: Any, unit: str, where: str) -> float:
    """One end of a range: a number, a quantity, or infinite."""
    return float(given) if isinstance(given, float) and math.isinf(given) else units.number_in(given, unit, where)


def state(row: Any, where: str) -> State:
    """A start between 0 and 1, or ``(start, low, high)``."""
    several = isinstance(row, (tuple, list))
    if several and len(row) != 3:
        raise InputError(where, f"{shown(row)} is no state, expected a start between 0 and 1, or (start, low, high)")
    parts = tuple(row) if several else (row, 0.0, 1.0)
    if not all(units.is_number(part) for part in parts):
        raise InputError(where, f"{shown(row)} is no state, expected a start between 0 and 1, or (start, low, high), of plain numbers")
    start, low, high = (units.to_float(part) for part in parts)
    if not low < high:
        raise InputError(where, f"its bounds [{low:g}, {high:g}] are the wrong way round or no numbers, expected (start, low, high)")
    if not (math.isfinite(start) and low <= start <= high):
        raise InputError(where, f"starts at {start:g}, outside its bounds [{low:g}, {high:g}] (write (start, low, high))")
    return State(start, low, high)


def check_class(cls: Any) -> None:
    """Raise InputError where a channel class breaks the contract (tables, ports, functions and their arguments)."""
    label = cls.label()
    for table in ("reads", "states", "params"):
        _check_names(getattr(cls, table), f"{label}.{table}")
    _check_across(cls.across, f"{label}.across")
    _check_flux_unit(cls, label)
    _check_moves(cls.moves, f"{label}.moves", empty=cls.flux_unit != MOLAR)
    for name, port in cls.reads.items():
        parse_port(port, f"{label}.reads.{name}")
    for name, row in cls.states.items():
        state(row, f"{label}.states.{name}")
    for name, row in cls.params.items():
        if parameter(row, f"{label}.params.{name}").default is None and name in TAKEN:
            raise InputError(f"{label}.params.{name}", f"'{name}' is {TAKEN[name]}, so that it cannot be given; choose another name")
    if not callable(getattr(cls, "flux", None)):
        raise InputError(label, "has no flux(y, x, p)")
    if cls.states and cls.rates is None and not hasattr(cls, "gate"):
        raise InputError(label, "has states but no rates(y, x, p)")
    for name, arguments in FUNCTIONS.items():
        _check_function(cls, name, arguments)


def _check_names(table: Any, where: str) -> None:
    """Names are attributes in the functions of the channel and fields of a named tuple, in Python and compiled."""
    if not isinstance(table, Mapping):
        raise InputError(where, f"{shown(table)} is no table, expected {{name: ...}}")
    for name in table:
        plain = isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
        if not plain or unicodedata.normalize("NFKC", name) != name:
            raise InputError(
                where, f"{shown(name)} is no name that a function can read (letters, digits and _, a letter first, no word of Python)"
            )


def _check_across(across: Any, where: str) -> None:
    pair = isinstance(across, (tuple, list)) and len(across) == 2 and all(isinstance(side, str) and side for side in across)
    if not pair or across[0] == across[1]:
        raise InputError(where, f"{shown(across)} is no pair of two regions, expected (from, to), such as ('er', 'cytosol')")


def _check_flux_unit(cls: Any, label: str) -> None:
    unit = cls.flux_unit
    if unit == MOLAR:
        return
    told = f"expected '{MOLAR}' (moles) or a current density such as 'uA/cm^2'"
    try:
        units.value(f"1 {unit}", CURRENT, label)
    except InputError:
        raise InputError(f"{label}.flux_unit", f"{shown(unit)} is no unit of a flux, {told}") from None
    if cls.moves and charge_moved(cls.moves) == 0.0:
        raise InputError(f"{label}.moves", f"{shown(dict(cls.moves))} carries no charge, of which the flux is a current (leave it empty)")


def _check_moves(moves: Any, where: str, empty: bool = False) -> None:
    if not isinstance(moves, Mapping) or not (moves or empty):
        raise InputError(where, f"{shown(moves)} is no table, expected {{species: count}}, such as {{'ca': 1}}")
    for species, count in moves.items():
        if not isinstance(species, str) or not species:
            raise InputError(where, f"{shown(species)} is no name of a species")
        if not (units.is_number(count) and math.isfinite(units.to_float(count)) and count != 0):
            raise InputError(f"{where}.{species}", f"{shown(count)} is no count, expected a number that is not 0 (negative: the other way)")


def _check_function(cls: Any, name: str, arguments: tuple[str, ...]) -> None:
    function, label, told = getattr(cls, name, None), cls.label(), ", ".join(arguments)
    if function is None:
        return
    if not callable(function):
        raise InputError(label, f"{name} is {shown(function)}, expected a function {name}({told})")
    if not isinstance(inspect.getattr_static(cls, name), staticmethod):
        raise InputError(label, f"{name} has no @staticmethod (write it above def {name}({told}))")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # compiled: its call says what is wrong
    try:
        signature.bind(*arguments)
    except TypeError:
        raise InputError(label, f"{name} takes ({', '.join(signature.parameters)}), expected ({told})") from None


def evaluate(cls: Any, name: str, *given: SimpleNamespace) -> Any:
    """Call a function of a channel in plain Python: a finite float, or a tuple of as many as there are states.

    Raises
    ------
    InputError
        If it fails, or returns something else; names, ports and parameters are told.
    """
    out = _outcome(cls, name, given)
    if name in PER_STATE:
        count = len(cls.states)
        if not isinstance(out, (tuple, list)) or len(out) != count or not all(map(_real, out)):
            raise InputError(cls.label(), f"{name} returned {shown(out)}, expected a tuple of {count} numbers, one per state")
        found = tuple(units.to_float(v) for v in out)
    else:
        if not _real(out):
            raise InputError(cls.label(), f"{name} returned {shown(out)}, expected one number")
        found = (units.to_float(out),)
    if not all(map(math.isfinite, found)):
        raise InputError(cls.label(), f"{name} = {shown(out)} is not finite{_place(given)}")
    return found if name in PER_STATE else found[0]


def multiplies(cls: Any, name: str, values: Mapping[str, Any], sizes: Sequence[float]) -> bool:
    """Whether a parameter does nothing but multiply the flux: tried at random states and ports, with 0, some sizes, and in between."""
    random, tried = np.random.default_rng(0), 0
    ends = sorted({float(s) for s in sizes if s})
    factors = [0.0, *ends, *random.uniform(ends[0], ends[-1], BETWEEN)] if ends else [0.0]
    kinds = {port: parse_port(text).kind for port, text in cls.reads.items()}
    bounds = [
        (s.low, s.high) if math.isfinite(s.high - s.low) else (s.start - 1.0, s.start + 1.0)
        for s in (state(row, name) for row in cls.states.values())
    ]
    for k in range(UNSEEN):
        if tried and k >= MULTIPLIED:
            break
        y = SimpleNamespace(**{n: float(random.uniform(*ends)) for n, ends in zip(cls.states, bounds, strict=True)})
        x = SimpleNamespace(**{n: _drawn(kind, random) for n, kind in kinds.items()})
        found = []
        for factor in factors:
            p = SimpleNamespace(**{**values, name: factor})
            found.append(
                {which: _tried(cls, which, [{"y": y, "x": x, "p": p}[part] for part in parts]) for which, parts in FUNCTIONS.items()}
            )
        fluxes, currents = ([row.pop(which) for row in found] for which in ("flux", "current"))
        if any(row != found[0] for row in found[1:]):
            return False
        if any(flux is None for flux in fluxes):
            continue
        if not all(_proportional(column, factors) for column in (fluxes, currents) if None not in column):
            return False
        tried += any(flux != 0.0 for flux in fluxes)
    return True


def _proportional(found: Sequence[float], factors: Sequence[float]) -> bool:
    """Whether numbers are one number times each factor, but for rounding."""
    largest, factor = max(zip(found, factors, strict=True), key=lambda row: abs(row[0]))
    slope = largest / factor if factor else 0.0
    return not any(abs(other - slope * size) > MULTIPLE * abs(largest) for other, size in zip(found, factors, strict=True))


def _drawn(kind: str, random: np.random.Generator) -> float:
    if kind == "v":
        return float(random.uniform(-90.0, 40.0))
    if kind == "rate":
        return float(random.normal())
    if kind == "t" and random.random() < 0.5:
        return float(random.uniform(0.0, 1000.0))
    return float(np.exp(random.normal() * 2.0))


def _tried(cls: Any, name: str, given: list[SimpleNamespace]) -> Any:
    """What a function returns, None where it fails there or is not declared."""
    function = getattr(cls, name, None)
    if function is None:
        return None
    try:
        return function(*given)
    except AttributeError:  # a name that no table declares
        return _outcome(cls, name, tuple(given))
    except (ArithmeticError, ValueError, TypeError):
        return None


def edges_of(cls: Any, p: SimpleNamespace) -> tuple[float, ...]:
    """Times [ms] at which the flux of a channel jumps."""
    if cls.edges is None:
        return ()
    out = _outcome(cls, "edges", (p,))
    try:
        times = tuple(out)
    except TypeError:
        times = (None,)
    if len(times) > MOST_EDGES:
        raise InputError(cls.label(), f"edges returned {len(times)} times, expected at most {MOST_EDGES} (a step ends at each)")
    if not all(_real(t) and math.isfinite(units.to_float(t)) for t in times):
        raise InputError(cls.label(), f"edges returned {shown(out)}, expected a tuple of finite times in ms, such as (p.onset,)")
    return tuple(float(t) for t in times)


def _outcome(cls: Any, name: str, given: tuple[SimpleNamespace, ...]) -> Any:
    function: Callable[..., Any] = getattr(cls, name)
    try:
        return called(function, *given)
    except AttributeError as error:
        known = vars(error.obj) if isinstance(error.obj, SimpleNamespace) else ()
        told = f"{name} uses a name that no table declares: {error}{nearest(error.name or '', known)} (add it to reads, states or params)"
        raise InputError(cls.label(), told) from error
    except Exception as error:
        said = " ".join(str(error).split())
        raise InputError(cls.label(), f"{name} fails with {type(error).__name__} ({said}){_place(given)}") from error


def _real(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_)) or units.is_number(value)


def _place(given: tuple[SimpleNamespace, ...]) -> str:
    """Ports and parameters of a call."""
    parts = [told(part) for part in given[-2:] if vars(part)]
    return f" at {'; '.join(parts)}" if parts else ""


def told(namespace: SimpleNamespace) -> str:
    """Names and values in one line."""
    return ", ".join(f"{n}={v:.6g}" if units.is_number(v) else f"{n}={v}" for n, v in vars(namespace).items()) or "no ports"
