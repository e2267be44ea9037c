"""The functions of `simd` on numpy arrays, for NUMBA_DISABLE_JIT=1 (`fma` rounds twice)."""

from __future__ import annotations

from typing import Any

import numpy as np

LANES = 64

add, sub, mul, div = np.add, np.subtract, np.multiply, np.divide
sqrt, magnitude, copysign = np.sqrt, np.abs, np.copysign


def fma(a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``."""
    return a * b + c


def choose(a: Any, b: Any, c: Any, d: Any) -> Any:
    """``c if a < b else d``."""
    return np.where(np.less(a, b), c, d).astype(np.result_type(np.asarray(d), np.asarray(c)))


def _single(value: Any) -> bool:
    return np.asarray(value).dtype == np.float32


def scaled(a: Any, b: Any) -> Any:
    """``a * 2**(n - 1)``."""
    magic = 1.5 * 2.0 ** (23 if _single(b) else 52)
    return np.ldexp(a, (np.asarray(b) - magic).astype(np.int32) - 1)


def exponent(a: Any) -> Any:
    """k of ``a = m 2**k`` with m in [sqrt(1/2), sqrt(2))."""
    part, power = np.frexp(a)
    return (power - (part < np.sqrt(0.5))).astype(np.asarray(a).dtype)


def mantissa(a: Any) -> Any:
    """m of ``a = m 2**k``."""
    return np.ldexp(a, -exponent(a).astype(np.int32))


def _lanes(array: Any) -> int:
    return 64 // array.dtype.itemsize


def load(array: Any, offset: Any) -> Any:
    """One vector."""
    return array.reshape(-1)[int(offset) : int(offset) + _lanes(array)].copy()


def store(array: Any, offset: Any, value: Any) -> None:
    """Put one vector."""
    array.reshape(-1)[int(offset) : int(offset) + _lanes(array)] = value


def spread(array: Any, offset: Any) -> Any:
    """One element in every lane."""
    return np.full(_lanes(array), array.reshape(-1)[int(offset)])


def misaligned(array: Any) -> int:
    """Nothing to gain here."""
    return 0


def _panel(rows: int) -> Any:
    def panel(weights: Any, at: Any, work: Any, source: Any, inner: Any, target: Any) -> None:
        at, source, inner, target = int(at), int(source), int(inner), int(target)
        bias = weights[at : at + rows]
        matrix = weights[at + rows : at + rows * (inner + 1)].reshape(inner, rows).T
        x = work[source : source + inner * LANES].reshape(inner, LANES)
        work[target : target + rows * LANES] = (matrix @ x + bias[:, None]).reshape(-1)

    return panel


panel1, panel2, panel3, panel4 = (_panel(rows) for rows in (1, 2, 3, 4))

__all__ = [
    "add",
    "choose",
    "copysign",
    "div",
    "exponent",
    "fma",
    "load",
    "magnitude",
    "mantissa",
    "misaligned",
    "mul",
    "panel1",
    "panel2",
    "panel3",
    "panel4",
    "scaled",
    "spread",
    "sqrt",
    "store",
    "sub",
]
