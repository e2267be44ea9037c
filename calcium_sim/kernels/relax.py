"""Exponential relaxation of a gate over a step with rates held fixed: one formula for compiled code, arrays and tensors.

``y + (goal - y) (1 - exp(-h total))``, written with ``expm1``: exact for constant rates, within the bounds of y and goal to the last bit at
any step, and y itself where no rate moves it (opening and closing rates that are both 0 have no goal).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .compiled import njit
from .elementary import expm1

OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}, "nogil": True}
LEAST = 1e-30
"""Rates below this sum [1/ms] move nothing in the age of the universe."""


def formulas(expm1: Callable[..., Any], larger: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """The functions `approach`, `relax` and `settle` in terms of one kind of number's ``expm1(x)`` and ``larger(x, number)``."""

    def approach(y, goal, x):
        """`y` on its way to `goal`, `x` = step times rate."""
        return y - (goal - y) * expm1(-x)

    def relax(y, alpha, beta, h):
        """A gate with opening rate `alpha` and closing rate `beta` after h."""
        total = alpha + beta
        return y - (alpha / larger(total, LEAST) - y) * expm1(-(h * total))

    def settle(y, steady, tau, h):
        """A gate with a steady value and a time constant after h."""
        return y - (steady - y) * expm1(-(h / tau))

    return approach, relax, settle


approach, relax, settle = (njit(forceinline=True, **OPTIONS)(f) for f in formulas(expm1, max))
"""For compiled code: scalars, in loops that are vectorised."""

relax_arrays, settle_arrays = formulas(np.expm1, np.maximum)[1:]
"""For arrays, and numbers outside compiled code."""
