"""Exponentials and logarithms of compiled loops, against numpy in extended precision."""

import re

import numpy as np
import pytest
from numba import njit

from calcium_sim.kernels import elementary, formulas
from calcium_sim.kernels.simd_plain import Plain

RNG = np.random.default_rng(1)
WIDE = np.concatenate(
    [RNG.uniform(-700, 700, 20000), RNG.normal(size=20000), RNG.choice([-1, 1], 20000) * 10.0 ** RNG.uniform(-12, 2, 20000)]
)
POSITIVE = np.concatenate([np.abs(WIDE), 10.0 ** RNG.uniform(-300, 300, 20000), 1 + 1e-3 * RNG.normal(size=20000)])
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-310, 1e308, -1e308, 1e-300, 705.0, -705.0, -2000.0, 2000.0])


def _softplus(x):
    return np.logaddexp(x, x.dtype.type(0))


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


CASES = {
    "exp": (np.exp, WIDE, 3e-16),
    "expm1": (np.expm1, WIDE, 4e-16),
    "log": (np.log, POSITIVE, 3e-16),
    "log10": (np.log10, POSITIVE, 5e-16),
    "log1p": (np.log1p, np.concatenate([POSITIVE, -RNG.random(20000)]), 4e-16),
    "tanh": (np.tanh, WIDE, 6e-16),
    "asinh": (np.arcsinh, WIDE, 5e-16),
    "sigmoid": (_sigmoid, WIDE, 5e-16),
    "softplus": (_softplus, WIDE, 5e-16),
}


def _loop(name):
    function = getattr(elementary, name)

    @njit(error_model="numpy", fastmath={"contract", "nsz"})
    def run(x):
        out = np.empty_like(x)
        for i in range(x.size):
            out[i] = function(x[i])
        return out

    return run


@pytest.mark.parametrize("name", CASES)
def test_doubles_are_good_to_a_few_units_in_the_last_place(name):
    """Against numpy's functions of long doubles; special values as numpy has them."""
    reference, x, bound = CASES[name]
    run = _loop(name)
    with np.errstate(all="ignore"):
        want, got = reference(x.astype(np.longdouble)), run(x)
        error = np.abs((got - want) / np.where(want == 0, 1, want))
        expected = reference(SPECIAL)
    worst = int(np.argmax(error))
    print(f"{name}: {float(error[worst]):.2e} at {x[worst]!r}")
    assert error[worst] < bound
    np.testing.assert_allclose(run(SPECIAL), expected, rtol=1e-14, atol=1e-307)


@pytest.mark.parametrize("name", ["exp", "log", "tanh"])
def test_loops_are_vectorised(name):
    """The machine-independent code of a loop contains products of several doubles at once, and no call of libm."""
    run = _loop(name)
    run(np.ones(3))
    text = next(iter(run.inspect_llvm().values()))
    assert re.search(r"llvm\.fma\.v\d+f64", text)
    assert not re.search(rf"call double @{name}\(", text)


def test_power():
    """x^p against numpy in extended precision."""

    @njit
    def run(x, p):
        return elementary.power(x, p)

    for x, p in ((2.0, 0.5), (10.0, -3.3), (0.3, 7.7)):
        want = np.longdouble(x) ** np.longdouble(p)
        assert abs(float(run(x, p) / want - 1)) < 1e-14


def test_formulas_without_compilation():
    """The same formulas on numpy arrays, as they run with NUMBA_DISABLE_JIT=1."""
    x = np.linspace(-30, 30, 601)
    np.testing.assert_allclose(formulas.exp(Plain(), x), np.exp(x), rtol=1e-15)
    np.testing.assert_allclose(formulas.tanh(Plain(), x), np.tanh(x), rtol=1e-15)
    np.testing.assert_allclose(formulas.log(Plain(), np.exp(x)), x, rtol=1e-14, atol=1e-15)
