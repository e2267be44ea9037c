"""The Keizer-Levine scheme and its reductions against independently computed tables and against each other."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from calcium_sim.model.registry import get_channel

TABLE = {
    0.1: (4.768971403e-03, 0.005201, 0.916866, (0.10286, 30.56872, 387.52842)),
    0.3: (5.267855161e-02, 0.317942, 0.165686, (0.58669, 39.02088, 429.59244)),
    1.0: (2.181098792e-01, 0.996087, 0.218967, (0.45636, 1433.49776, 1982.59588)),
    5.0: (9.653036841e-01, 1.000000, 0.965304, (0.10359, 187880.443, 937536.003)),
}
"""Calcium [uM]: open probability, plateau, 1 - c2 at equilibrium, relaxation rates [1/s] (computed from the four-state matrix)."""


def ryr(name, ca=0.05, dca=0.0):
    cls = get_channel(f"ryr/{name}")
    ports = {"ca": ca, "ca_er": 250.0, "dca": dca}
    return cls, SimpleNamespace(**{k: ports[k] for k in cls.reads}), SimpleNamespace(**cls().values)


def states(cls, values):
    return SimpleNamespace(**dict(zip(cls.states, values, strict=True)))


def at_rest(name, ca):
    cls, x, p = ryr(name, ca)
    return cls, states(cls, cls.steady(x, p) if cls.states else ()), x, p


def four_states(c):
    """Rates [1/ms] among c1, o1, o2, c2, written as a matrix from the published constants [1/s]."""
    m = np.zeros((4, 4))
    for a, b, rate in ((0, 1, 1500 * c**4), (1, 0, 28.8), (1, 2, 1500 * c**3), (2, 1, 385.9), (1, 3, 1.75), (3, 1, 0.1)):
        m[b, a] += rate / 1000
        m[a, a] -= rate / 1000
    return m


@pytest.mark.parametrize("c", TABLE)
@pytest.mark.parametrize("name", ["keizer-levine", "keizer-levine-stationary", "keizer-levine-reduced", "two-variable", "scalar-law"])
def test_open_probability_at_equilibrium(name, c):
    cls, y, x, p = at_rest(name, c)
    found = cls.open_probability(y, x, p)
    assert found == pytest.approx(TABLE[c][0], rel=1e-9), f"{name}: {found:.12g}"


@pytest.mark.parametrize("c", TABLE)
def test_equilibrium_is_the_null_vector(c):
    _, y, _, _ = at_rest("keizer-levine", c)
    values, vectors = np.linalg.eig(four_states(c))
    null = vectors[:, np.argmin(np.abs(values))]
    c1, _, o2, c2 = null / null.sum()
    assert (y.c1, y.o2, y.c2) == pytest.approx((c1, o2, c2), rel=1e-9)
    assert y.c2 == pytest.approx(1 - TABLE[c][2], abs=5e-7)


@pytest.mark.parametrize("c", TABLE)
def test_relaxation_rates(c):
    """The rates are linear in the states: their matrix is read off exactly and has the published eigenvalues."""
    cls, x, p = ryr("keizer-levine", c)
    zero = np.array(cls.rates(states(cls, (0, 0, 0)), x, p))
    matrix = np.stack([np.array(cls.rates(states(cls, e), x, p)) - zero for e in np.eye(3)], axis=1)
    found = np.sort(-1000 * np.linalg.eigvals(matrix).real)
    independent = np.sort(-1000 * np.linalg.eigvals(four_states(c)).real)[1:]
    assert found == pytest.approx(independent, rel=1e-9), found
    assert found == pytest.approx(np.array(TABLE[c][3]), rel=5e-5), found


def test_plateau_and_slow_state_of_the_reduction():
    for c, (_, plateau, available, _) in TABLE.items():
        cls, y, x, p = at_rest("keizer-levine-reduced", c)
        assert y.w == pytest.approx(available, abs=5e-7)
        assert cls.open_probability(SimpleNamespace(w=1.0), x, p) == pytest.approx(plateau, abs=5e-7)


def test_step_of_calcium():
    """From equilibrium at 0.05 uM, calcium clamped to 1 uM; open probability after 0.5, 1, 2, 5 ms."""
    cls, y, _, _ = at_rest("keizer-levine", 0.05)
    _, x, p = ryr("keizer-levine", 1.0)
    out = solve_ivp(
        lambda t, s: cls.rates(states(cls, s), x, p), (0, 5), list(vars(y).values()), rtol=1e-10, atol=1e-12, t_eval=(0.5, 1, 2, 5)
    )
    found = [cls.open_probability(states(cls, s), x, p) for s in out.y.T]
    assert found == pytest.approx([0.522035, 0.766949, 0.937994, 0.987530], abs=5e-7), found
    start = np.array([y.c1, 1 - y.c1 - y.o2 - y.c2, y.o2, y.c2])
    exact = [float((expm(four_states(1.0) * t) @ start)[1:3].sum()) for t in (0.5, 1, 2, 5)]
    assert found == pytest.approx(exact, abs=1e-8)


def test_scalar_law_is_the_reduction_in_another_variable():
    """P = w phi(u): dP/dt from the scalar law equals phi dw/dt + w phi' u' of the reduced model, phi' from the polynomial phi/(1 - phi)."""
    law, _, p = ryr("scalar-law")
    reduced, _, _ = ryr("keizer-levine-reduced")
    ratio = np.polynomial.Polynomial([0, 0, 0, 0, p.ka_on / p.ka_off]) * np.polynomial.Polynomial([1, 0, 0, p.kb_on / p.kb_off])
    random = np.random.default_rng(3)
    for _ in range(50):
        u, w, du = float(np.exp(random.uniform(-4, 3))), float(random.uniform(0, 1)), float(random.uniform(-5, 5))
        phi, phi_prime = ratio(u) / (1 + ratio(u)), ratio.deriv()(u) / (1 + ratio(u)) ** 2
        x = SimpleNamespace(ca=u, ca_er=250.0, dca=du)
        dw = reduced.rates(SimpleNamespace(w=w), x, p)[0]
        expected = phi * dw + w * phi_prime * du
        found = law.rates(SimpleNamespace(po=w * phi), x, p)[0]
        assert found == pytest.approx(expected, rel=1e-11, abs=1e-16), (u, w, du)


def course(name, tau):
    """Open probability [-] every tau/200 during a pulse 0.05 + 2 exp(-((t - 4 tau)/tau)^2) uM of 12 tau."""
    cls, _, p = ryr(name)

    def ports(t):
        s = (t - 4 * tau) / tau
        bump = 2 * math.exp(-s * s)
        return SimpleNamespace(ca=0.05 + bump, ca_er=250.0, dca=-2 * s / tau * bump)

    y0 = cls.steady(ports(0.0), p)
    times = np.arange(0, 12 * tau, tau / 200)
    out = solve_ivp(
        lambda t, s: cls.rates(states(cls, s), ports(t), p), (0, 12 * tau), y0, method="LSODA", rtol=1e-8, atol=1e-11,
        t_eval=times, max_step=tau / 10,
    )  # fmt: skip
    return np.array([cls.open_probability(states(cls, s), ports(t), p) for t, s in zip(out.t, out.y.T, strict=True)])


@pytest.mark.parametrize(("tau", "law", "two"), [(1000.0, 0.055, 0.001), (100.0, 0.35, 0.009), (10.0, 0.84, 0.033), (2.0, 0.97, 0.048)])
def test_errors_of_the_closures(tau, law, two):
    """Largest error of Po for a pulse of 2 uM: the scalar law holds for slow signals only, two variables hold everywhere."""
    full = course("keizer-levine", tau)
    for name, expected in (("scalar-law", law), ("keizer-levine-reduced", law), ("two-variable", two)):
        found = float(np.abs(course(name, tau) - full).max())
        assert found == pytest.approx(expected, rel=0.02, abs=6e-4), f"{name}, tau {tau:g} ms: {found:.4g}"


def test_receptors_share_the_parameters_that_a_swap_keeps():
    names = ["keizer-levine", "keizer-levine-stationary", "keizer-levine-reduced", "two-variable", "scalar-law"]
    tables = [ryr(n)[0].parameter_table() for n in names]
    assert all(t == tables[0] for t in tables)
