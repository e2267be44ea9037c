"""Numbers of the channels against published and independently computed values: at rest, at equilibrium, at reversal."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from calcium_sim.channels.ghk import FARADAY, GAS, bernoulli, ghk, reduced_voltage
from calcium_sim.channels.mitochondria import asymmetry
from calcium_sim.model.registry import get_channel

MOL_PER_S = 1e-18
"""1 uM um^3/ms in mol/s."""

REST = {"ca": 0.05, "ca_er": 250.0, "ca_out": 1000.0, "ip3": 0.04, "v": -70.0, "t": 0.0, "dca": 0.0}


def setup(name, states=None, *, ports=None, **values):
    """Class, states at equilibrium (or given), ports at rest (or changed), and parameters with their defaults."""
    cls = get_channel(name)
    p = SimpleNamespace(**cls(**values).values)
    x = SimpleNamespace(**{k: {**REST, **(ports or {})}[k] for k in cls.reads})
    if states is None:
        states = dict(zip(cls.states, cls.steady(x, p), strict=True)) if cls.states else {}
    return cls, SimpleNamespace(**states), x, p


def flux(name, states=None, *, ports=None, **values):
    cls, y, x, p = setup(name, states, ports=ports, **values)
    return cls.flux(y, x, p)


ONE = {"density": "1 1/um^2"}


@pytest.mark.parametrize(
    ("name", "expected", "digits"),
    [
        ("ryr/keizer-levine", 1.1201015633466695e-21, 1e-10),
        ("ryr/keizer-levine-stationary", 1.1201015633466695e-21, 1e-10),
        ("ryr/keizer-levine-reduced", 1.1201015633466695e-21, 1e-10),
        ("ryr/two-variable", 1.1201015633466695e-21, 1e-10),
        ("ryr/scalar-law", 1.1201015633466695e-21, 1e-10),
        ("ip3r/de-young-keizer-stationary", 3.7606194166520605e-23, 1e-10),
        ("pmca/hill2", 6.9672131147540994e-24, 1e-10),
        ("ncx/hill1", 6.7567567567567566e-23, 1e-10),
        ("vgcc/borg-graham-l", 1.435114751437757e-28, 1e-10),
        ("vgcc/borg-graham-n", 6.900772069e-24, 1e-9),
        ("vgcc/borg-graham-t", 2.755935448e-22, 1e-9),
    ],
)
def test_flux_of_one_channel_at_rest(name, expected, digits):
    """At 0.05, 250 and 1000 uM of calcium, 0.04 uM IP3 and -70 mV; mol/s as in the public scripts of Breit & Queisser (2018)."""
    found = flux(name, **ONE) * MOL_PER_S
    assert found == pytest.approx(expected, rel=digits), f"{name}: {found:.17g}"


def test_single_channel_constant_is_not_rounded():
    assert get_channel("ryr/keizer-levine").params["rate"][0] * MOL_PER_S == pytest.approx(3.4606854e-18, rel=1e-8)
    assert get_channel("ip3r/de-young-keizer").params["rate"][0] * MOL_PER_S == pytest.approx(1.1074e-19, rel=2e-5)


def test_balances_of_the_two_presets():
    """v_lp, rho_s and v_le computed from the fluxes at rest, with 3 ryanodine receptors, 500 PMCA and 15 NCX per um^2."""
    v_lp = (flux("pmca/hill2") + flux("ncx/hill1")) / (1000 - 0.05)
    assert v_lp * 1e3 == pytest.approx(0.00449734494, rel=1e-9), f"{v_lp * 1e3:.12g} um/s"
    release = flux("ryr/keizer-levine", density="3 1/um^2") + 3.8e-5 * (250 - 0.05)
    rho_s = release / flux("serca/er-inhibited", **ONE)
    assert rho_s == pytest.approx(2274.9485, abs=5e-5), f"{rho_s:.9g} /um^2"
    release = flux("ryr/keizer-levine", density="3 1/um^2", rate="3.5e-18 mol/s")
    v_le = (flux("serca/er-inhibited", density="2390 1/um^2") - release) / (250 - 0.05)
    assert v_le * 1e3 == pytest.approx(0.0404489568, rel=1e-9), f"{v_le * 1e3:.12g} um/s"


@pytest.mark.parametrize(
    ("name", "m", "h"), [("vgcc/borg-graham-n", 0.00195225, 0.90431818), ("vgcc/borg-graham-t", 0.02148965, 0.59612217)]
)
def test_borg_graham_gates_at_minus_70(name, m, h):
    _, y, _, _ = setup(name)
    assert y.m == pytest.approx(m, abs=5e-9), y
    assert y.h == pytest.approx(h, abs=5e-9), y


def test_borg_graham_permeabilities_follow_from_one_conductance():
    """p_T = 5.5 pS RT/(4 F^2 Ca_o) at 2 mM, p_N = 2 p_T, p_L = 3 p_T (two digits were published)."""
    p_t = 5.5e-12 * GAS * 310 / (4 * FARADAY**2 * 2.0) * 1e15
    for letter, factor in (("t", 1), ("n", 2), ("l", 3)):
        assert get_channel(f"vgcc/borg-graham-{letter}").params["permeability"][0] == pytest.approx(factor * p_t, rel=2e-3)


def test_ghk_limits():
    """c_from - c_to without potential, with its published slope; nothing at the Nernst potential, 132.273 mV (1000, 0.05 uM, 310 K)."""
    assert ghk(1000.0, 0.05, 0.0) == 1000.0 - 0.05
    xi = 1e-4
    slope = (ghk(1000.0, 0.05, xi) - ghk(1000.0, 0.05, 0.0)) / xi
    assert slope == pytest.approx(-0.5 * (1000 + 0.05), rel=1e-4), slope
    potential = brentq(lambda v: ghk(1000.0, 0.05, reduced_voltage(2.0, v, 310.0)), 50.0, 200.0, xtol=1e-12)
    assert potential == pytest.approx(132.273, abs=1e-3), potential
    xi = reduced_voltage(2.0, -70.0, 310.0)
    direct = -xi * (1000.0 - 0.05 * math.exp(xi)) / (1 - math.exp(xi))
    assert ghk(1000.0, 0.05, xi) == pytest.approx(direct, rel=1e-13)


def test_bernoulli_is_smooth_at_the_switch_and_does_not_overflow():
    for x in (1e-5, -1e-5):
        assert bernoulli(x * (1 - 1e-9)) == pytest.approx(bernoulli(x * (1 + 1e-9)), rel=1e-13)
    assert bernoulli(0.3) == pytest.approx(0.3 / (math.exp(0.3) - 1), rel=1e-14)
    assert bernoulli(-0.3) == pytest.approx(bernoulli(0.3) + 0.3, rel=1e-14)
    assert 0.0 <= bernoulli(1e4) < 1e-300
    assert bernoulli(-1e4) == 1e4


def test_ghk_leak_equals_the_channel_flux_and_the_linear_leak_without_potential():
    ports = {"v": 0.0}
    assert flux("leak/ghk", permeability="1 um/s", ports=ports) == pytest.approx(1e-3 * (1000 - 0.05), rel=1e-14)
    assert flux("leak/ghk", permeability="1 um/s") == pytest.approx(1e-3 * ghk(1000.0, 0.05, reduced_voltage(2.0, -70.0, 310.0)), rel=1e-14)


def test_luo_rudy_reversal_and_current():
    """Reversal at 3 E_Na - 2 E_Ca; outward calcium flux is minus the outward current over F (one net charge per calcium)."""
    thermal = 1000 * GAS * 310 / FARADAY
    e_na, e_ca = thermal * math.log(14), thermal / 2 * math.log(1000 / 0.05)
    root = brentq(lambda v: flux("ncx/luo-rudy", ports={"v": v}), -100.0, 100.0, xtol=1e-11)
    assert root == pytest.approx(3 * e_na - 2 * e_ca, abs=1e-8), root
    assert flux("ncx/luo-rudy", ports={"v": root - 20}) > 0, "below its reversal the exchanger takes calcium out"
    u = FARADAY * -0.08 / (GAS * 310)
    e1, e2 = math.exp(0.35 * u), math.exp(-0.65 * u)
    per_litre = (87.5**3 + 140.0**3) * (1.38 + 1.8) * (1 + 0.1 * e2)
    current = 2000e-6 * (e1 * 10.0**3 * 1.8 - e2 * 140.0**3 * 1e-4) / per_litre  # A/cm^2, concentrations in mM
    expected = -current / FARADAY * 1e-8 * 1e21 * 1e-3  # mol/cm^2/s -> uM um/ms
    found = flux("ncx/luo-rudy", ports={"v": -80.0, "ca": 0.1, "ca_out": 1800.0})
    assert found == pytest.approx(expected, rel=1e-12), found


def test_li_rinzel_gate():
    """h_inf = Q/(Q + c) and tau = 1/(a2 (Q + c)) with Q = d2 (p + d1)/(p + d3)."""
    cls, _, x, p = setup("ip3r/li-rinzel", ports={"ca": 0.2, "ip3": 0.5})
    q = 1.049 * (0.5 + 0.13) / (0.5 + 0.9434)
    assert cls.steady(x, p) == pytest.approx((q / (q + 0.2),), rel=1e-14)
    zero, one = (cls.rates(SimpleNamespace(h=h), x, p)[0] for h in (0.0, 1.0))
    assert 1 / (zero - one) == pytest.approx(1 / (2e-4 * (q + 0.2)), rel=1e-12)
    assert zero / (zero - one) == pytest.approx(q / (q + 0.2), rel=1e-12)
    volumetric = 0.185 * 6 * 1e-3
    assert p.permeability * (2 * 0.15) / (0.4**2 - 0.15**2) == pytest.approx(volumetric, rel=1e-14)


def test_de_young_keizer_rests_where_the_closed_form_says():
    """The eight states against Po = [c p d2/((c p + p d2 + d1 d2 + c d3)(c + d5))]^3; 3.3965e-4 at rest with the stationary parameters."""
    cls, y, x, p = setup("ip3r/de-young-keizer-stationary")
    assert cls.open_probability(y, x, p) == pytest.approx(3.3965e-4, rel=2e-5)
    for ca, ip3 in ((0.05, 0.04), (0.3, 0.5), (5.0, 2.0), (50.0, 10.0)):
        full, states, x, q = setup("ip3r/de-young-keizer", ports={"ca": ca, "ip3": ip3})
        d = SimpleNamespace(d1=q.d1, d2=q.d2, d3=q.d3, d5=q.d5)
        assert full.open_probability(states, x, q) == pytest.approx(cls.open_probability(None, x, d), rel=1e-12)
        assert np.abs(full.rates(states, x, q)).max() < 1e-15, (ca, ip3)


def test_de_young_keizer_subunit_is_a_closed_scheme():
    """Long after a step of calcium and IP3 the integrated states reach the equilibrium of detailed balance."""
    cls, y, _, p = setup("ip3r/de-young-keizer")
    x = SimpleNamespace(ca=0.4, ca_er=250.0, ip3=0.3)
    names = list(cls.states)
    out = solve_ivp(
        lambda t, s: cls.rates(SimpleNamespace(**dict(zip(names, s, strict=True))), x, p), (0, 1e6), list(vars(y).values()),
        method="LSODA", rtol=1e-10, atol=1e-13,
    )  # fmt: skip
    assert out.y[:, -1] == pytest.approx(np.array(cls.steady(x, p)), abs=1e-8)


def test_neymotin_model_reaches_the_published_rest():
    """c = 0.03439, e = 9.8321 uM, h = 0.9200 at 2 s (also found with NEURON's reaction-diffusion module), from c 0.1, mean 1.7, h 0.8."""
    receptor, _, _, p = setup("ip3r/neymotin", {"h": 0.8}, ports={})
    leak, pump = 18.06 / 602214, get_channel("serca/hill2")
    section = math.pi / 4
    q = SimpleNamespace(**pump().values)
    assert p.permeability * 1e3 == pytest.approx(159.94, abs=5e-3)
    assert q.vmax * 1e3 == pytest.approx(3.2488, abs=5e-5)

    def rates(t, u):
        c, e, h = u
        x, y = SimpleNamespace(ca=c, ca_er=e, ip3=0.1), SimpleNamespace(h=h)
        j = receptor.flux(y, x, p) + leak * (e - c) - pump.flux(None, x, q)
        return j / (0.83 * section), -j / (0.17 * section), receptor.rates(y, x, p)[0]

    end = solve_ivp(rates, (0, 2000), [0.1, (1.7 - 0.083) / 0.17, 0.8], method="LSODA", rtol=1e-10, atol=1e-12).y[:, -1]
    assert end[0] == pytest.approx(0.03439, abs=5e-6), end
    assert end[1] == pytest.approx(9.8321, abs=5e-5), end
    assert end[2] == pytest.approx(0.9200, abs=5e-5), end


def test_shannon_pump_stops_at_its_gradient():
    assert flux("serca/shannon", vmax="1 uM*um/ms", ports={"ca": 0.246 / 4, "ca_er": 1700.0 / 4}) == pytest.approx(0.0, abs=1e-15)
    assert flux("serca/shannon", vmax="1 uM*um/ms", ports={"ca": 0.5, "ca_er": 500.0}) > 0
    assert flux("serca/shannon", vmax="1 uM*um/ms", ports={"ca": -1e-9, "ca_er": 500.0}) < 0, "a slight undershoot stays finite"


def test_pumps_without_defaults_demand_them():
    for name in ("serca/hill2-er", "pmca/hill1", "serca/shannon", "soce/hill", "mcu/magnus-keizer", "leak/ghk"):
        with pytest.raises(ValueError, match="has no default, give it"):
            get_channel(name)()


def test_half_values():
    assert flux("pmca/hill1", vmax="2 uM*um/ms", km="0.3 uM", ports={"ca": 0.3}) == pytest.approx(1.0)
    assert flux("serca/hill2-er", vmax="500 uM^2*um/ms", km="0.3 uM", ports={"ca": 0.3}) == pytest.approx(1.0)
    assert flux("soce/hill", vmax="2 uM*um/ms", ports={"ca_er": 187.0}) == pytest.approx(1.0)
    assert flux("soce/hill", vmax="2 uM*um/ms", ports={"ca_er": 0.0}) == 2.0


def test_asymmetry_of_the_uniporter_near_zero_and_far_out():
    """ln(x/sinh x)/x: -x/6 at first, the series meets the closed form, no overflow at any potential."""
    assert asymmetry(0.0) == 0.0
    for x in (0.0099999, -0.0099999, 0.0100001, 0.5, -3.0, 20.0):
        assert asymmetry(x) == pytest.approx(math.log(x / math.sinh(x)) / x, rel=1e-11), x
    assert asymmetry(1e4) == pytest.approx(-1.0, abs=2e-3)


def test_uniporter_written_out():
    """Pradhan et al. (2011) with all ligands, the formula typed a second time from its own constants."""
    c, m, gc, gm, pi, psi = 1.3, 0.2, 400.0, 700.0, 900.0, 150.0
    phi = 2 * FARADAY * psi / (1000 * GAS * 310)
    skew = 2.65 / phi * math.log((phi / 2.65) / math.sinh(phi / 2.65))
    be, bx = 0.5 * (1 + skew), 0.5 * (1 - skew)
    ki, ko = math.exp(2 * be * phi), math.exp(-2 * bx * phi)
    k, q = 3.965 * (1 + pi / (200 + pi)), 655 / (1 + pi / (200 + pi))
    d = 1 + (c / k) ** 2 + (m / k) ** 2 + (gc / q) ** 2 + (gm / q) ** 2 + ((c * gc) ** 2 + (m * gm) ** 2) / (3.9**4 * k**2 * q**2)
    volumetric = 1.27e-3 * 1000 / 1000 * (ki * (c / k) ** 2 - ko * (m / k) ** 2) / d  # nmol/(mg s) -> uM/s -> uM/ms
    found = flux(
        "mcu/pradhan", ports={"ca": c, "ca_mit": m}, psi="150 mV", mg="400 uM", mg_mit="700 uM", phosphate="900 uM", depth="0.2 um"
    )  # fmt: skip
    assert found == pytest.approx(0.2 * volumetric, rel=1e-12), found


def test_nmda_after_its_onset():
    """exp(-(t - onset)/tau) times the Goldman-Hodgkin-Katz flux; closed up to and at the onset."""
    full = 55 * 7.61e-6 * ghk(1000.0, 0.05, reduced_voltage(2.0, -70.0, 310.0))
    for t, share in ((0.0, 0.0), (10.0, 0.0), (10.0 + 1e-9, 1.0), (160.0, math.exp(-1))):
        assert flux("nmda/exp-ghk", onset="10 ms", ports={"t": t}) == pytest.approx(full * share, rel=1e-9), t
    cls, _, _, p = setup("nmda/exp-ghk", onset="10 ms")
    assert cls.edges(p) == (10.0,)


def test_jahr_stevens_block_and_binding():
    """Half blocked where e^(0.062 V) = mg/3.57 mM; r rises with alpha T + beta and falls with beta."""
    v = math.log(1 / 3.57) / 0.062
    cls, y, x, p = setup("nmda/jahr-stevens", {"r": 0.6}, ports={"v": v, "t": 0.5})
    assert cls.open_probability(y, x, p) == pytest.approx(0.3, rel=1e-12)
    assert cls.rates(y, x, p) == pytest.approx((4.0 * 0.4 - 0.0067 * 0.6,), rel=1e-12)
    x.t = 1.5
    assert cls.rates(y, x, p) == pytest.approx((-0.0067 * 0.6,), rel=1e-12)
    assert cls.edges(p) == (0.0, 1.0)
