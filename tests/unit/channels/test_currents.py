"""Currents of neurons against the formulas of their papers, written out here as these have them, and against closed forms."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import calcium_sim as cs

VOLTS = [-154.9, -120.0, -82.0, -65.0, -50.0, -23.0, 0.0, 41.3]
WARMED = ["na/traub-miles", "k/traub-miles", "kca/sk", "kca/sk-hirschberg", "kca/bk", "kca/bk-hippocampal", "h/magee", "h/kole"]


def parts(name, **given):
    """A class, and its parameters as a run has them."""
    channel = cs.get_channel(name)(**given)
    return type(channel), SimpleNamespace(**channel.values)


def named(cls, values):
    return SimpleNamespace(**dict(zip(cls.states, values, strict=True)))


def removable(x, k):
    """x/(exp(x/k) - 1) as the papers write it, with its limit."""
    return k if x == 0 else x / (math.exp(x / k) - 1)


@pytest.mark.parametrize("v", VOLTS)
def test_traub_and_miles_as_brette_et_al_write_them(v):
    u = v + 63.0
    a = {"m": 0.32 * removable(13 - u, 4), "h": 0.128 * math.exp((17 - u) / 18), "n": 0.032 * removable(15 - u, 5)}
    b = {"m": 0.28 * removable(u - 40, 5), "h": 4 / (1 + math.exp((40 - u) / 5)), "n": 0.5 * math.exp((10 - u) / 40)}
    for name, g, e, power in (("na/traub-miles", 0.1, 50.0, lambda y: y.m**3 * y.h), ("k/traub-miles", 0.03, -90.0, lambda y: y.n**4)):
        cls, p = parts(name)
        x, y = SimpleNamespace(v=v), named(cls, (0.3, 0.8)[: len(cls.states)])
        expected = [a[s] * (1 - getattr(y, s)) - b[s] * getattr(y, s) for s in cls.states]
        np.testing.assert_allclose(cls.rates(y, x, p), expected, rtol=1e-12)
        np.testing.assert_allclose(cls.steady(x, p), [a[s] / (a[s] + b[s]) for s in cls.states], rtol=1e-12)
        assert cls.flux(y, x, p) == pytest.approx(g * power(y) * (v - e), rel=1e-12)


@pytest.mark.parametrize("name", ["na", "k"])
def test_the_pospischil_set_has_the_same_rates(name):
    ours, _ = parts(f"{name}/traub-miles")
    theirs, p = parts(f"{name}/pospischil")
    assert issubclass(theirs, ours)
    assert ours.rates is theirs.rates
    assert p.threshold == -60.0


def test_sk_is_a_hill_law():
    cls, p = parts("kca/sk")
    for c, z in ((0.0, 0.0), (0.43, 0.5), (0.43 * 9 ** (1 / 4.8), 0.9), (100.0, 1 / (1 + (0.43 / 100) ** 4.8))):
        x = SimpleNamespace(ca=c, v=-50.0)
        assert cls.steady(x, p)[0] == pytest.approx(z, rel=1e-12, abs=1e-30)
        assert cls.rates(SimpleNamespace(z=0.3), x, p)[0] == pytest.approx(z - 0.3, rel=1e-12)
    assert cls.flux(SimpleNamespace(z=0.5), SimpleNamespace(ca=1.0, v=-50.0), p) == pytest.approx(1e-4 * 0.5 * 40.0, rel=1e-12)


def hirschberg(c):
    """Transition rates [1/ms] between c1, c2, c3, c4, o1, o2 at a calcium [uM], from the figure of the paper [1/s, 1/uM/s]."""
    rates = {(0, 1): 200 * c, (1, 2): 160 * c, (2, 3): 80 * c, (1, 0): 80, (2, 1): 80, (3, 2): 200}
    rates |= {(2, 4): 160, (4, 2): 1000, (3, 5): 1200, (5, 3): 100}
    matrix = np.zeros((6, 6))
    for (start, end), rate in rates.items():
        matrix[end, start] += rate / 1000
        matrix[start, start] -= rate / 1000
    return matrix


@pytest.mark.parametrize("c", [0.0, 0.05, 0.55, 3.0, 200.0])
def test_sk_by_six_states(c):
    cls, p = parts("kca/sk-hirschberg")
    x, matrix = SimpleNamespace(ca=c, v=0.0), hirschberg(c)
    y = np.array([0.3, 0.1, 0.15, 0.2, 0.05, 0.2])
    np.testing.assert_allclose(cls.rates(named(cls, y[1:]), x, p), (matrix @ y)[1:], rtol=1e-12, atol=1e-15)
    values, vectors = np.linalg.eig(matrix)
    rest = np.real(vectors[:, np.argmin(abs(values))])
    np.testing.assert_allclose(cls.steady(x, p), (rest / rest.sum())[1:], rtol=1e-9, atol=1e-14)
    if c == 0.55:
        assert sum(cls.steady(x, p)[3:]) == pytest.approx(0.5, abs=2e-3)


@pytest.mark.parametrize(("name", "numbers"), [("kca/bk", (180, 11, 0.48, 0.28)), ("kca/bk-hippocampal", (0.48, 0.13e-3, 0.28, 0.48))])
@pytest.mark.parametrize("v", [-65.0, 0.0, 40.0])
def test_bk_by_the_scheme_of_the_paper(name, numbers, v):
    """c <-> c ca <-> o ca <-> o ca2, the two bindings at equilibrium: alpha and beta as the paper has them."""
    k1, k2, opening, closing = numbers
    cls, p = parts(name)
    thermal = 8.314 * 293.15 / 96485.0 * 1000.0
    first, second = k1 * math.exp(-2 * 0.84 * v / thermal), k2 * math.exp(-2 * 1.0 * v / thermal)
    for c in (0.0, 0.05, 1.0, 30.0):
        a = opening / (1 + first / c) if c else 0.0
        b = closing / (1 + c / second)
        x = SimpleNamespace(ca=c, v=v)
        assert cls.steady(x, p)[0] == pytest.approx(a / (a + b), rel=1e-12)
        assert cls.rates(SimpleNamespace(o=0.25), x, p)[0] == pytest.approx(0.75 * a - 0.25 * b, rel=1e-12)


def test_bk_opens_where_its_table_says():
    """Half open at 1.75 uM at +40 mV, and shut at rest."""
    cls, p = parts("kca/bk")
    assert cls.steady(SimpleNamespace(ca=1.7506, v=40.0), p)[0] == pytest.approx(0.5, abs=1e-4)
    assert cls.steady(SimpleNamespace(ca=0.05, v=-65.0), p)[0] < 1e-5


@pytest.mark.parametrize("v", VOLTS)
def test_h_currents(v):
    x = SimpleNamespace(v=v)
    cls, p = parts("h/magee")
    w = 0.0378 * 2.2 * (v + 75)
    tau, steady = math.exp(0.4 * w) / (0.011 * (1 + math.exp(w))), 1 / (1 + math.exp((v + 82) / 8))
    assert cls.rates(SimpleNamespace(l=0.2), x, p)[0] == pytest.approx((steady - 0.2) / tau, rel=1e-12)
    assert cls.steady(x, p)[0] == pytest.approx(steady, rel=1e-12)
    assert cls.flux(SimpleNamespace(l=0.2), x, p) == pytest.approx(1e-4 * 0.2 * (v + 30), rel=1e-12)
    cls, p = parts("h/kole")
    a, b = 0.001 * 6.43 * removable(v + 154.9, 11.9), 0.001 * 193 * math.exp(v / 33.1)
    assert cls.rates(SimpleNamespace(m=0.2), x, p)[0] == pytest.approx(0.8 * a - 0.2 * b, rel=1e-12)
    assert cls.steady(x, p)[0] == pytest.approx(a / (a + b), rel=1e-12)
    assert cls.flux(SimpleNamespace(m=0.2), x, p) == pytest.approx(1e-4 * 0.2 * (v + 45), rel=1e-12)


@pytest.mark.parametrize("name", WARMED)
def test_ten_degrees_more_are_a_factor_q10(name):
    """But for the charge that moves in the field, of which BK's constants make F/RT."""
    cls, p = parts(name)
    warm = SimpleNamespace(**{**vars(p), "temperature": p.temperature + 10.0, "q10": 2.5})
    x = SimpleNamespace(v=0.0 if "bk" in name else -60.0, ca=0.7)
    y = named(cls, [0.5 / len(cls.states)] * len(cls.states))
    np.testing.assert_allclose(cls.rates(y, x, warm), 2.5 * np.array(cls.rates(y, x, p)), rtol=1e-12)
    np.testing.assert_allclose(cls.steady(x, warm), cls.steady(x, p), rtol=1e-12)


@pytest.mark.parametrize("kind", ["l", "n", "t"])
def test_gates_of_borg_graham_take_a_q10_that_is_1_unless_given(kind):
    """Without it the rates are those of the time constants alone, at any temperature, to the last bit; with it quicker by q10 per 10 K."""
    cls, p = parts(f"vgcc/borg-graham-{kind}")
    assert (p.q10, p.temperature) == (1.0, 310.0)
    x, y = SimpleNamespace(v=-30.0, ca=0.1, ca_out=2000.0), named(cls, (0.2, 0.7)[: len(cls.states)])
    for temperature in (295.0, 310.0):
        p.temperature = temperature
        plain = [(s - getattr(y, n)) / getattr(p, f"{n}_tau") for n, s in zip(cls.states, cls.steady(x, p), strict=True)]
        assert list(cls.rates(y, x, p)) == plain
    cold = SimpleNamespace(**{**vars(p), "temperature": 300.0, "q10": 3.0})
    slow = [(s - getattr(y, n)) / getattr(p, f"{n}_tau") / 3.0 for n, s in zip(cls.states, cls.steady(x, cold), strict=True)]
    np.testing.assert_allclose(cls.rates(y, x, cold), slow, rtol=1e-12)
