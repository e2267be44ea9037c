"""Reading of strict JSON, one field at a time, each with its own message."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError, nearest

MAX_CARD = 256 * 1024
"""Largest card [bytes]."""

_MISSING = object()


def strict_json(data: bytes, where: str) -> Any:
    """Parse JSON without duplicate keys, without numbers that are not finite, and without control characters in strings.

    Raises
    ------
    InputError
        If the text is too long, not UTF-8, not JSON, or breaks one of these rules.
    """
    if len(data) > MAX_CARD:
        raise InputError(where, f"{len(data)} bytes, expected at most {MAX_CARD}")
    try:
        document = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer
        )
        _check_strings(document)
    except UnicodeDecodeError:
        raise InputError(where, "is not UTF-8 text") from None
    except RecursionError:
        raise InputError(where, "is nested too deeply") from None
    except ValueError as error:
        raise InputError(where, f"is not strict JSON: {shown(str(error))}") from None
    return document


def shown(value: Any, limit: int = 100) -> str:
    """Printable ASCII on one line, shortened: for text that a stranger wrote."""
    text = str(value).encode("ascii", "backslashreplace").decode()
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ValueError(f"key '{key}' is given twice")
        seen[key] = value
    return seen


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is not finite")
    return value


def _integer(text: str) -> int:
    if len(text) > 18:
        raise ValueError(f"whole number {text[:20]}... is too large")
    return int(text)


def _check_strings(value: Any) -> None:
    if isinstance(value, str):
        value.encode("utf-8")
        if not value.replace("\n", " ").isprintable():
            raise ValueError("a string contains a control character")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_strings(key)
            _check_strings(item)
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)


class Reader:
    """Fields of one JSON object; `finish` refuses the keys that nobody asked for."""

    def __init__(self, document: Any, where: str) -> None:
        if not isinstance(document, dict):
            raise InputError(where, f"{kind_of(document)}, expected an object {{...}}")
        self.document, self.where, self.asked = document, where, {"": None}

    def has(self, key: str) -> bool:
        """Whether an optional key is there."""
        self.asked[key] = None
        return key in self.document

    def get(self, key: str) -> Any:
        """The value of a required key."""
        if not self.has(key):
            raise InputError(f"{self.where}: {key}", "is missing")
        return self.document[key]

    def finish(self) -> None:
        """Refuse unknown keys."""
        for key in self.document:
            if key not in self.asked:
                raise InputError(f"{self.where}: {shown(key, 40)}", f"unknown key{nearest(key, self.asked)}")

    def _wrong(self, key: str, value: Any, expected: str) -> InputError:
        return InputError(f"{self.where}: {key}", f"{shown(repr(value), 60)} is {kind_of(value)}, expected {expected}")

    def text(self, key: str, value: Any = _MISSING) -> str:
        """A string on one line, not empty, at most 500 characters."""
        value = self.get(key) if value is _MISSING else value
        if not isinstance(value, str) or not value.strip() or len(value) > 500 or "\n" in value:
            raise self._wrong(key, value, "one line of text")
        return str(value)

    def matching(self, key: str, pattern: re.Pattern[str], expected: str) -> str:
        """A short string of a given form."""
        value = self.text(key)
        if len(value) > 100 or not pattern.fullmatch(value):
            raise InputError(f"{self.where}: {key}", f"'{shown(value, 60)}', expected {expected}")
        return value

    def choice(self, key: str, known: Sequence[str], value: Any = _MISSING) -> str:
        """One of the known words."""
        word = self.text(key, value)
        if word not in known:
            raise InputError(f"{self.where}: {key}", f"'{shown(word, 60)}', expected one of {', '.join(known)}{nearest(word, known)}")
        return word

    def number(self, key: str, value: Any = _MISSING) -> float:
        """A finite number, not a truth value."""
        value = self.get(key) if value is _MISSING else value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise self._wrong(key, value, "a finite number")
        return float(value)

    def bound(self, key: str, default: float) -> float:
        """A number, or null for none."""
        return default if self.get(key) is None else self.number(key)

    def integer(self, key: str, low: int, high: int, value: Any = _MISSING) -> int:
        """A whole number within bounds."""
        value = self.get(key) if value is _MISSING else value
        if type(value) is not int or not low <= value <= high:
            raise self._wrong(key, value, f"a whole number from {low} to {high}")
        return value

    def boolean(self, key: str) -> bool:
        """True or false."""
        value = self.get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def mapping(self, key: str) -> Mapping[str, Any]:
        """An object."""
        value = self.get(key)
        if not isinstance(value, dict):
            raise self._wrong(key, value, "an object {...}")
        return value

    def items(self, key: str, most: int = 64, count: int | None = None) -> list[Any]:
        """A list of at most `most` entries, or exactly `count`."""
        value = self.get(key)
        if not isinstance(value, list):
            raise self._wrong(key, value, "a list [...]")
        if len(value) > most or (count is not None and len(value) != count):
            raise InputError(f"{self.where}: {key}", f"{len(value)} entries, expected {count if count is not None else f'at most {most}'}")
        return value

    def each_text(self, key: str, most: int) -> list[str]:
        """A list of strings."""
        return [self.text(f"{key}[{i}]", v) for i, v in enumerate(self.items(key, most))]

    def each_integer(self, key: str, low: int, high: int, count: int | None = None) -> list[int]:
        """A list of whole numbers."""
        return [self.integer(f"{key}[{i}]", low, high, v) for i, v in enumerate(self.items(key, count=count))]

    def each_number(self, key: str, count: int) -> list[float]:
        """A list of finite numbers."""
        return [self.number(f"{key}[{i}]", v) for i, v in enumerate(self.items(key, count=count))]

    def each_choice(self, key: str, known: Sequence[str], count: int) -> list[str]:
        """A list of known words."""
        return [self.choice(f"{key}[{i}]", known, v) for i, v in enumerate(self.items(key, 4096, count))]


def kind_of(value: Any) -> str:
    """The JSON name of a value's type."""
    names: dict[type, str] = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "a truth value",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return names.get(type(value), type(value).__name__)
