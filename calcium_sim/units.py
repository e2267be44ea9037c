"""Units: the only module that converts. Canonical are um, ms, uM, mV (and pA, nS, K).

People write ``50 * u.um`` or ``"50 um"``; everything inside the package is a float in canonical units. pint is imported when
the first unit is used, so that importing the package stays quick. pint's own reader evaluates what it is given, so a string never
reaches it: the grammar below takes a number and a product of unit names, and pint only looks up single names.
"""

from __future__ import annotations

import math
import re
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from .errors import InputError, shown

NAMES = {
    "nm": "nm", "um": "um", "mm": "mm", "cm": "cm", "m": "m", "um2": "um^2", "um3": "um^3", "cm2": "cm^2", "m2": "m^2", "m3": "m^3",
    "us": "us", "ms": "ms", "s": "s", "min": "min", "nM": "nM", "uM": "uM", "mM": "mM", "M": "M", "fmol": "fmol", "mol": "mol",
    "mV": "mV", "V": "V", "pA": "pA", "nA": "nA", "uA": "uA", "pS": "pS", "nS": "nS", "mS": "mS", "S": "S", "K": "K", "Hz": "Hz",
}  # fmt: skip

_LONGEST = 80
_ASCII = str.maketrans(
    {"\u00b5": "u", "\u03bc": "u", "\u00b2": "^2", "\u00b3": "^3", "\u00b7": "*", "\u22c5": "*", "\u207b": "^-", "\u00b9": "^1"}
    | dict.fromkeys("\u2212\u2013", "-")  # minus and dash, as word processors put them
    | dict.fromkeys("\u00a0\u202f\u2009\u2007", " ")  # spaces that do not break
)
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*(.*?)\s*", re.ASCII)
_FACTOR = re.compile(r"(1)(?![0-9])|([A-Za-z]{1,20}|%)(?:\s*(?:\^|\*\*)?\s*(\(?)([+-]?[1-9])(?![0-9])(\)?))?", re.ASCII)


class Canonical(float):
    """A number in the unit that everything inside is in; it remembers the unit, so that a description can be made anew of its own values.

    >>> Canonical(40.0, "uM"), value(Canonical(40.0, "uM"), "uM", "total")
    (40.0, 40.0)
    """

    __slots__ = ("unit",)
    unit: str

    def __new__(cls, number: float, unit: str) -> Canonical:
        """A number that is in `unit` already."""
        self = super().__new__(cls, number)
        self.unit = unit
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Canonical, (float(self), self.unit)


_LOCK = threading.RLock()
_made: list[Any] = []


def registry() -> Any:
    """Return the one pint registry (made on first use, once: units of two registries do not go together)."""
    with _LOCK:
        if not _made:
            import pint

            _made.append(pint.UnitRegistry(cache_folder=None))
        return _made[0]


if TYPE_CHECKING:  # what the function below makes, so that a misspelt unit is told
    nm = um = mm = cm = m = um2 = um3 = cm2 = m2 = m3 = us = ms = s = min = nM = uM = mM = M = fmol = mol = cast(Any, 1)  # noqa: N816
    mV = V = pA = nA = uA = pS = nS = mS = S = K = Hz = cast(Any, 1)  # noqa: N816
else:

    def __getattr__(name: str) -> Any:
        if name in NAMES:
            return 1.0 * _unit(NAMES[name])
        raise AttributeError(f"module 'calcium_sim.units' has no unit '{name}' (there are: {', '.join(NAMES)})")


def __dir__() -> list[str]:
    return sorted([*globals(), *NAMES])


@lru_cache(maxsize=512)
def _unit(text: str) -> Any:
    """Read a product of unit names (``um^2/s``, ``1/uM/s``, ``/um^2``, ``1/(uM s)``); ValueError where it is none."""
    with _LOCK:  # pint adds to its tables as it meets names
        unit = registry().Unit("")
        for name, exponent in _factors(text):
            unit = unit * registry().Unit(_lookup(name)) ** exponent
        return unit


@lru_cache(maxsize=512)
def _lookup(name: str) -> str:
    """The full pint name of one unit that only scales (no offset such as degrees Celsius)."""
    full = "percent" if name == "%" else registry().get_name(name)
    if not full or not registry().Quantity(1.0, full)._is_multiplicative:
        raise ValueError(f"unknown unit {name}")
    return str(full)


def _factors(text: str) -> list[tuple[str, int]]:
    """Cut a unit into (name, exponent); ``/`` counts for the next factor, or for all in a pair of parentheses (not nested)."""
    out: list[tuple[str, int]] = []
    at, sign, open_end = 0, 1, False
    while at < len(text):
        c = text[at]
        if c == " ":
            at += 1
        elif c in "*/" and not open_end and (out or at == 0 or c == "/"):
            sign, open_end, at = (-1 if c == "/" else 1), True, at + 1
        elif c == "(" and ")" in text[at:]:
            end = text.index(")", at)
            out += [(name, sign * e) for name, e in _factors(text[at + 1 : end])]
            sign, open_end, at = 1, False, end + 1
        elif (match := _FACTOR.match(text, at)) and len(match[3] or "") == len(match[5] or ""):
            out += [] if match[1] else [(match[2], sign * int(match[4] or 1))]
            sign, open_end, at = 1, False, match.end()
        else:
            raise ValueError(f"unexpected {c!r}")
    if open_end:
        raise ValueError("ends with an operator")
    return out


def parse(text: str, where: str = "quantity", example: str = "50 um") -> Any:
    """Read ``"220 um^2/s"`` as a pint quantity, without ever evaluating the string.

    Raises
    ------
    InputError
        If it is not a number followed by a unit.
    """
    written = text.translate(_ASCII).replace("^-^", "^-") if len(text) <= _LONGEST else ""
    match = _QUANTITY.fullmatch(written)
    if match is not None:
        try:
            return float(match[1]) * _unit(match[2])
        except Exception:
            pass  # told below
    if fix := _plain_number(written):
        raise InputError(where, f"{_quote(text)}: {fix}")
    if "balance" in text.lower():
        raise InputError(where, f"{_quote(text)} is not a quantity (write 'balance' for what is chosen so that the cell starts at rest)")
    said = "is not a quantity" if match is None else "has no known unit"
    raise InputError(where, f"{_quote(text)} {said}, expected a number and a unit (e.g. '{example}')")


_TENS = {
    **{"nm": ("um", -3), "um": ("um", 0), "mm": ("um", 3), "cm": ("um", 4), "m": ("um", 6)},
    **{"us": ("ms", -3), "ms": ("ms", 0), "s": ("ms", 3), "nM": ("uM", -3), "uM": ("uM", 0), "mM": ("uM", 3), "M": ("uM", 6)},
    **{"mV": ("mV", 0), "V": ("mV", 3), "K": ("K", 0), "pA": ("pA", 0), "nA": ("pA", 3), "nS": ("nS", 0), "pS": ("nS", -3)},
}
"""Common units as powers of ten of the canonical ones: they need no pint, whose import and tables take longer than a small model."""


@lru_cache(maxsize=512)
def _tens(text: str) -> tuple[dict[str, int], int] | None:
    """Exponents of the canonical units in a product of common ones, and its power of ten; None where another unit is among them."""
    found: dict[str, int] = {}
    power = 0
    for name, exponent in _factors(text):
        if name not in _TENS:
            return None
        base, ten = _TENS[name]
        found[base] = found.get(base, 0) + exponent
        power += ten * exponent
    return {base: e for base, e in found.items() if e}, power


def _quick(text: str, unit: str) -> float | None:
    """A quantity of common units in `unit`, rounded once; None for what pint has to look at, such as another dimension."""
    match = _QUANTITY.fullmatch(text.translate(_ASCII).replace("^-^", "^-")) if len(text) <= _LONGEST else None
    try:
        given, wanted = (_tens(match[2]), _tens("" if unit == "1" else unit)) if match else (None, None)
    except ValueError:
        return None
    if match is None or given is None or wanted is None or given[0] != wanted[0] or (not given[0] and match[2]):
        return None
    power = given[1] - wanted[1]
    if abs(power) > 300:
        return None
    return float(match[1]) * 10.0**power if power >= 0 else float(match[1]) / 10.0**-power


_POWER = re.compile(r"\s*([+-]?[0-9.]+)\s*[x\u00d7*]\s*10\s*(?:\^|\*\*|e)?\s*\(?([+-]?[0-9]+)\)?(?![0-9])\s*(.*)", re.S)
_COMMA = re.compile(r"\s*([+-]?[0-9][0-9.,'_\u2019 ]*[0-9])(e[+-]?[0-9]+)?(?![0-9.])\s*(.*)", re.S | re.I)
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?P<mark>[.,'_\u2019 ])[0-9]{3}(?:(?P=mark)[0-9]{3})*")


def _plain_number(text: str) -> str:
    """How a number with a decimal comma, with separators or with a power of ten is to be written; empty where it is none of these."""
    if power := _POWER.match(text):
        return f"a power of ten is written with e (write '{power[1]}e{int(power[2])} {power[3].strip()}')"
    number = _COMMA.match(text)
    if number is None or number[1].replace(".", "", 1).lstrip("+-").isdecimal():
        return ""
    whole, mark, rest = re.fullmatch(r"(.*?)(?:([.,])([0-9]*))?", number[1], re.S).groups()  # type: ignore[union-attr]
    end = f"{number[2] or ''} {number[3].strip()}".rstrip()
    found = []
    if _THOUSANDS.fullmatch(number[1]):
        found.append(re.sub("[^0-9+-]", "", number[1]))
    if rest and mark not in whole and (whole.lstrip("+-").isdecimal() or _THOUSANDS.fullmatch(whole)):
        found.append(f"{re.sub('[^0-9+-]', '', whole)}.{rest}")
    told = " or ".join(f"'{number}{end}'" for number in found)
    return "a number has a decimal point, no comma and no separators" + (f" (write {told})" if told else "")


def check_unit(text: str, where: str) -> None:
    """Raise InputError where a table names a unit that cannot be converted to; pint is asked only about rare ones."""
    try:
        factors = _factors(text)
        for name, _ in factors:
            if NAMES.get(name) != name:
                _lookup(name)
        known = bool(factors) or text == "1"
    except Exception:
        known = False
    if not known:
        raise InputError(where, f"{shown(text)} is no known unit, expected one such as 'um/ms' ('1' for a pure number)")


def _quote(text: str) -> str:
    return repr(text) if len(text) <= 40 else f"{text[:40]!r}..."


_DIMENSION = {
    "um": "length", "ms": "time", "uM": "concentration", "mV": "voltage", "um^2/ms": "diffusion", "um/ms": "permeability",
    "1/um^2": "density", "uM*um/ms": "flux", "1/ms": "rate", "1/uM/ms": "binding rate", "um^3": "volume", "um^2": "area",
    "um^3/ms": "channel permeability", "uM*um^3/ms": "channel flux", "K": "temperature", "1": "pure number",
}  # fmt: skip
_EXAMPLE = {
    "um": "60 um", "ms": "10 ms", "uM": "0.05 uM", "mV": "-70 mV", "um^2/ms": "220 um^2/s", "um/ms": "0.038 um/s", "1/um^2": "3 /um^2",
    "uM*um/ms": "2500 uM*um/s", "1/ms": "19 /s", "1/uM/ms": "27 /uM/s", "K": "310 K", "1": "2",
}  # fmt: skip


def value(quantity: Any, unit: str, where: str, *, zero: bool = False) -> Canonical:
    """Convert a quantity (pint, string, or a bare number where `unit` is "1") to a number in `unit`; with `zero`, 0 needs no unit.

    What a description holds already (`Canonical`) is a quantity, too.

    Raises
    ------
    InputError
        If the dimension is wrong, the unit is missing, or the number is not finite.

    >>> value("220 um^2/s", "um^2/ms", "diffusion")
    0.22
    """
    if isinstance(quantity, Canonical):
        if quantity.unit == unit:
            return quantity
        quantity = text(quantity, quantity.unit)
    expected = f"expected [{_DIMENSION[unit]}]" if unit in _DIMENSION else f"expected a quantity in {unit}"
    example = _EXAMPLE.get(unit, f"1 {unit}")
    expected += f" (e.g. {example})" if unit == "1" else f" (e.g. '{example}')"
    written = _quote(quantity) if isinstance(quantity, str) else ""
    if isinstance(quantity, str) and (quick := _quick(quantity, unit)) is not None and math.isfinite(quick):
        return Canonical(quick, unit)
    if isinstance(quantity, str):
        quantity = parse(quantity, where, example)
    if hasattr(quantity, "units"):
        with _LOCK:
            number = _convert(quantity, unit, where, expected, written or f"'{quantity:~C}'".translate(_ASCII))
    elif is_several(quantity):
        raise InputError(where, f"{_quote(' '.join(str(quantity).split()))} is not a quantity but several, {expected}")
    elif not is_number(quantity):
        raise InputError(where, f"{_quote(' '.join(str(quantity).split()))} is not a quantity, {expected}")
    elif unit != "1" and not (zero and quantity == 0):
        raise InputError(where, f"{shown(quantity)} has no unit, {expected}")
    else:
        number = to_float(quantity)
    if not math.isfinite(number):
        raise InputError(where, f"{number} is not finite, {expected}")
    return Canonical(number, unit)


def number_in(given: Any, unit: str, where: str) -> float:
    """`value`, where a bare number is one in `unit`."""
    if not is_number(given) or isinstance(given, Canonical):
        return value(given, unit, where)
    number = to_float(given)
    if not math.isfinite(number):
        raise InputError(
            where, f"{number} is not finite, expected a number (in {unit}) or a quantity (e.g. '{_EXAMPLE.get(unit, f'1 {unit}')}')"
        )
    return number


def numbers_in(given: Any, unit: str, where: str) -> list[float]:
    """`number_in` of each of several, or of a single one."""
    several = isinstance(given, (list, tuple)) or (getattr(given, "ndim", 0) == 1 and not hasattr(given, "units"))
    if not several and getattr(getattr(given, "magnitude", None), "ndim", 0) == 1:
        several = True
    return [number_in(v, unit, where) for v in (given if several else [given])]


def is_several(quantity: Any) -> bool:
    """Whether it is a list or an array, with a unit or without, where one number is expected."""
    bare = getattr(quantity, "magnitude", quantity)
    return isinstance(bare, (list, tuple)) or getattr(bare, "ndim", 0) > 0


def to_float(number: Any) -> float:
    """A number as a float; infinite where a whole number is larger than any."""
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number > 0 or -1)


def is_number(quantity: Any) -> bool:
    """Whether it is one real number of Python or numpy."""
    if isinstance(quantity, (bool, str)):
        return False
    import numpy as np

    return isinstance(quantity, (int, float, np.floating, np.integer))


def _convert(quantity: Any, unit: str, where: str, expected: str, told: str) -> float:
    """Convert a pint quantity; one of another pint registry is looked up here by its names."""
    target = _unit("" if unit == "1" else unit)
    if not is_number(quantity.magnitude):
        raise InputError(where, f"{' '.join(told.split())[:60]} is not one number, {expected}")
    found = registry().Unit("")
    try:
        for name, exponent in quantity.unit_items():
            found = found * registry().Unit(_lookup(name) if name.isidentifier() else "") ** exponent
        factor = _factor(found, target)
    except Exception:
        hint = (
            "; 'um' is a length, 'uM' a concentration" if {_dimension(found), _DIMENSION.get(unit)} == {"length", "concentration"} else ""
        )
        hint += _spaced(told, target)
        what = f"dimension [{_dimension(found)}]" if found.dimensionality else "no unit"
        raise InputError(where, f"{told} has {what}, {expected}{hint}") from None
    number = to_float(quantity.magnitude)
    return number * factor if factor >= 1 else number / _factor(target, found)


def _spaced(told: str, target: Any) -> str:
    """How a unit is written whose last factors were to be divided by as well: ``1/uM s`` is ``(1/uM) s``."""
    match = _QUANTITY.fullmatch(told.strip("'").translate(_ASCII))
    if match is None or not (spaced := re.search(r"/ *[A-Za-z0-9^]+(?: *[ *] *[A-Za-z][A-Za-z0-9^]*)+$", match[2])):
        return ""
    parts = re.findall(r"[A-Za-z][A-Za-z0-9^]*", spaced[0])
    front = match[2][: spaced.start()]
    try:
        if _unit(f"{front}/{'/'.join(parts)}").dimensionality != target.dimensionality:
            return ""
    except Exception:
        return ""
    return f"; / counts for the next unit only (write '{match[1]} {front}/{'/'.join(parts)}' or '{match[1]} {front}/({' '.join(parts)})')"


def _dimension(unit: Any) -> str:
    """The everyday name of a dimension, or pint's formula without its brackets."""
    for known, name in _DIMENSION.items():
        if _unit("" if known == "1" else known).dimensionality == unit.dimensionality:
            return name
    return str(unit.dimensionality).replace("[", "").replace("]", "").replace(" ** ", "^").replace(" ", "")


def _factor(unit: Any, target: Any) -> float:
    """Conversion factor, rounded to 15 digits so that powers of ten are exact."""
    return float(f"{(1.0 * unit).to(target).magnitude:.15g}")


def text(number: float, unit: str) -> str:
    """Write a canonical value so that `value` reads back the same float."""
    return repr(float(number)) if unit == "1" else f"{float(number)!r} {unit}"
