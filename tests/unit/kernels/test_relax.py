"""Relaxation of a gate: the exact solution for constant rates, its limits, and one formula for every kind of number."""

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
import torch
from numba import njit

from calcium_sim.kernels import relax as kernel

RNG = np.random.default_rng(3)


@njit
def compiled(y, a, b, h, out, how):
    for i in range(y.size):
        if how == 0:
            out[i] = kernel.relax(y[i], a[i], b[i], h)
        elif how == 1:
            out[i] = kernel.settle(y[i], a[i], b[i], h)
        else:
            out[i] = kernel.approach(y[i], a[i], h * b[i])


def exact(y, a, b, h):
    """y exp(-x) + a h (1 - exp(-x))/x, x = (a + b) h, in 60 digits."""
    getcontext().prec = 60
    y, a, b, h = (Decimal(float(v)) for v in (y, a, b, h))
    x = (a + b) * h
    return float(y * (-x).exp() + (a * h * (1 - (-x).exp()) / x if x else a * h))


def test_constant_rates_are_solved_exactly():
    """Rates and steps over 16 decades, against 60 digits: 4e-16 at most, and never outside [0, 1]."""
    n = 400
    y, a, b = RNG.random(n), 10.0 ** RNG.uniform(-12, 4, n), 10.0 ** RNG.uniform(-12, 4, n)
    y[:4], a[:2], b[1:3] = [0.0, 1.0, 0.0, 1.0], 0.0, 0.0
    worst = 0.0
    for h in (1e-6, 1e-3, 1.0, 1e5):
        true = np.array([exact(*row, h) for row in zip(y, a, b, strict=True)])
        out = np.empty(n)
        compiled(y, a, b, h, out, 0)
        found = out, kernel.relax_arrays(y, a, b, h)
        worst = max(worst, *(float(np.abs(f - true).max()) for f in found))
        assert all((f >= 0).all() and (f <= 1).all() for f in found)
    print(worst)
    assert worst < 4e-16


def test_without_rates_a_gate_stays():
    """To the last bit, however long the step: compiled, in arrays, in tensors."""
    y = np.array([0.0, 0.3, 1.0])
    zero, out = np.zeros(3), np.empty(3)
    compiled(y, zero, zero, 1e9, out, 0)
    tensors = kernel.formulas(torch.expm1, lambda x, low: torch.clamp(x, min=low))[1](*(torch.from_numpy(v) for v in (y, zero, zero)), 1e9)
    for found in (out, kernel.relax_arrays(y, zero, zero, 1e9), tensors.numpy()):
        assert found.tolist() == y.tolist()


def test_steady_value_and_time_constant_are_the_same_formula():
    """A gate with rates a, b and one with a/(a + b), 1/(a + b)."""
    n = 200
    y, a, b, out = RNG.random(n), 10.0 ** RNG.uniform(-6, 3, n), 10.0 ** RNG.uniform(-6, 3, n), np.empty(n)
    expected = kernel.relax_arrays(y, a, b, 0.1)
    for how, first, second in ((1, a / (a + b), 1 / (a + b)), (2, a / (a + b), a + b)):
        compiled(y, first, second, 0.1, out, how)
        assert out == pytest.approx(expected, rel=1e-14, abs=1e-16)
    assert kernel.settle_arrays(0.2, 1.0, math.inf, 1.0) == 0.2
