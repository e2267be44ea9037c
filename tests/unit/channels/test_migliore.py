"""Calcium currents of Migliore et al. (1995) against the model's formulas, written out here as its tables give them."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import calcium_sim as cs

FARTHEST = [-90.0, -61.7, -14.0, 0.0, 19.88, 33.3]


def expected(name, v):
    """Steady values and time constants at 25 C."""
    tau = lambda a0, z, half, g: math.exp(0.0378 * z * g * (v - half)) / (a0 * (1 + math.exp(0.0378 * z * (v - half))))  # noqa: E731
    over = lambda w: 10.0 if w == 0 else w / math.expm1(w / 10)  # noqa: E731
    if name == "l":
        a, b = 15.69 * over(81.5 - v), 0.29 * math.exp(-v / 10.86)
        return [a / (a + b)], [max(tau(0.1, 2, 4, 0.1), 0.2)]
    if name == "n":
        a, b, c, d = 0.1967 * over(19.88 - v), 0.046 * math.exp(-v / 20.73), 1.6e-4 * math.exp(-v / 48.4), 1 / (math.exp((39 - v) / 10) + 1)
        return [a / (a + b), c / (c + d)], [tau(0.03, 2, -14, 0.1), 80.0]
    a, b, c, d = 0.2 * over(19.26 - v), 0.009 * math.exp(-v / 22.03), 1e-6 * math.exp(-v / 16.26), 1 / (math.exp((29.79 - v) / 10) + 1)
    return [a / (a + b), c / (c + d)], [max(tau(0.04, 2, -28, 0.1), 0.2), max(tau(0.015, 3.5, -75, 0.6), 10.0)]


@pytest.mark.parametrize("v", FARTHEST)
@pytest.mark.parametrize("name", ["l", "n", "t"])
def test_gates_and_current(name, v):
    cls = cs.get_channel(f"vgcc/migliore-{name}")
    p = SimpleNamespace(**{n: row.default for n, row in cls.parameter_table().items()})
    x = SimpleNamespace(v=v, ca=0.3, ca_out=2000.0)
    steady, slow = expected(name, v)
    np.testing.assert_allclose(cls.steady(x, p), steady, rtol=1e-12)
    y = SimpleNamespace(**dict(zip(cls.states, (0.4, 0.7), strict=False)))
    found = cls.rates(y, x, p)
    np.testing.assert_allclose(found, [(s - z) / t for s, z, t in zip(steady, (0.4, 0.7), slow, strict=False)], rtol=1e-12)
    f = 0.5 * 25 / 293.15 * 298.15
    e = v / f
    force = -f * (1 - 0.3 / 2000 * math.exp(e)) * (e / math.expm1(e) if e else 1.0)
    gates = 0.4**2 * (1.0 if name == "l" else 0.7) * (1.0 if name == "t" else 1 / 1.3)
    assert cls.flux(y, x, p) == pytest.approx({"l": 0.003, "n": 0.0003, "t": 0.003}[name] * gates * force, rel=1e-12)
