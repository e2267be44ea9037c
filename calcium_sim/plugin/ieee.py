"""A channel's function as compiled code sees it, called from Python: infinite or NaN where Python would raise.

Where Python's ``math`` and division raise (``exp(800)``, ``1/0``, ``sqrt(-1)``), compiled code goes on with what IEEE 754 says, and often
to a number: ``1/(1 + exp(800))`` is 0. So a function that raises is called once more, as a twin: the same code, with numpy in place of
``math`` and numpy's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from .imported import plain_function

_NUMPY = {
    "exp": np.exp, "expm1": np.expm1, "exp2": np.exp2, "log": np.log, "log1p": np.log1p, "log10": np.log10, "log2": np.log2,
    "sqrt": np.sqrt,
    "pow": np.power, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "hypot": np.hypot, "fabs": np.abs,
}  # fmt: skip
_MATH = SimpleNamespace(**({name: getattr(math, name) for name in dir(math) if not name.startswith("_")} | _NUMPY))


def called(function: Callable[..., Any], *given: Any) -> Any:
    """What a function returns for namespaces of floats, as compiled code would have it."""
    try:
        return function(*given)
    except (ArithmeticError, ValueError):
        plain = plain_function(function)
        if plain is None:
            raise
        with np.errstate(all="ignore"):
            found = _twin_of(plain)(*map(_numbers, given))
        return tuple(map(_plain, found)) if isinstance(found, (tuple, list)) else _plain(found)


def _plain(number: Any) -> Any:
    return float(number) if isinstance(number, np.floating) else number


def _numbers(given: Any) -> Any:
    if not isinstance(given, SimpleNamespace):
        return given
    return SimpleNamespace(**{name: np.float64(v) if isinstance(v, (int, float)) else v for name, v in vars(given).items()})


@lru_cache(maxsize=256)
def _twin_of(function: FunctionType) -> Callable[..., Any]:
    return _twin(function, {})


def _twin(function: FunctionType, made: dict[FunctionType, Callable[..., Any]]) -> Callable[..., Any]:
    """The same code with numpy in place of ``math``, in the functions that it calls, too; `made` are those that are at hand already."""
    scope = dict(function.__globals__)
    twin = made[function] = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    twin.__kwdefaults__ = function.__kwdefaults__
    for name in function.__code__.co_names:
        value = scope.get(name)
        if value is math:
            scope[name] = _MATH
        elif value is not None and getattr(value, "__module__", None) == "math":
            scope[name] = getattr(_MATH, value.__name__)
        elif (plain := plain_function(value)) is not None:
            scope[name] = made[plain] if plain in made else _twin(plain, made)
    return twin
