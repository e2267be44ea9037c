"""The operations of `simd` on numpy doubles, for NUMBA_DISABLE_JIT=1 and for checks of formulas (`fma` rounds twice)."""

from __future__ import annotations

from typing import Any

import numpy as np


class Plain:
    """Operations as methods; see `simd.Emitter`."""

    single = False
    add, sub, mul, div = staticmethod(np.add), staticmethod(np.subtract), staticmethod(np.multiply), staticmethod(np.divide)
    sqrt, magnitude, copysign = staticmethod(np.sqrt), staticmethod(np.abs), staticmethod(np.copysign)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """``a * b + c``."""
        return a * b + c

    def choose(self, a: Any, b: Any, c: Any, d: Any) -> Any:
        """``c if a < b else d``."""
        return np.where(np.less(a, b), c, d)

    def equal(self, a: Any, b: Any, c: Any, d: Any) -> Any:
        """``c if a == b else d``."""
        return np.where(np.equal(a, b), c, d)

    def scaled(self, a: Any, t: Any) -> Any:
        """``a * 2**(n - 1)``."""
        n = np.where(np.isfinite(t), t - 1.5 * 2.0**52, 0.0)
        return np.ldexp(a, n.astype(np.int32) - 1) + 0.0 * t

    def exponent(self, a: Any) -> Any:
        """k of ``a = m 2**k`` with m in [sqrt(1/2), sqrt(2))."""
        part, power = np.frexp(a)
        return (power - (part < np.sqrt(0.5))).astype(float)

    def mantissa(self, a: Any) -> Any:
        """m of ``a = m 2**k``."""
        return np.ldexp(a, -self.exponent(a).astype(np.int32))
