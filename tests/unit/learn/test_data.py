"""Training data: transients, channels under clamped calcium, designs, and the rates that a network is taught."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from calcium_sim.errors import InputError
from calcium_sim.learn.data.clamping import clamp, split
from calcium_sim.learn.data.samples import digest, make_traces
from calcium_sim.learn.data.transients import rate_of_change, transients
from calcium_sim.learn.open_probability.designs import Design, keizer_levine_design
from calcium_sim.model.registry import get_channel


def ryr():
    return get_channel("ryr/keizer-levine")()


def test_transients_depend_on_the_seed_alone_and_stay_in_range():
    time, first = transients(30, 7)
    again, other = transients(30, 7)[1], transients(30, 8)[1]
    assert time[1] == pytest.approx(0.05)
    assert time[-1] == pytest.approx(200.0)
    assert (first == again).all()
    assert (first != other).any()
    assert first.min() >= 0.05
    assert 5.0 < first.max() <= 14.0, f"largest {first.max():g}"


def test_a_transient_starts_with_an_exponential_foot():
    """One pulse with tr = 0.5 ms: far before its middle calcium above rest grows by e every 0.5 ms."""
    time, u = transients(1, 3, pulses=1, rise=(0.5, 0.5), decay=(1e9, 1e9), amplitude=(2.0, 2.0), duration=40.0, dt=0.01)
    above = u[0] - 0.05
    foot = (above > 1e-4) & (above < 1e-2)
    slope = np.polyfit(time[foot], np.log(above[foot]), 1)[0]
    assert slope == pytest.approx(2.0, rel=0.01), f"grows by exp({slope:.3f} t)"


def test_clamped_step_agrees_with_the_published_table():
    """From equilibrium at 0.05 uM, 1 uM: open probability 0.522035, 0.766949, 0.937994, 0.987530 after 0.5, 1, 2, 5 ms."""
    time = np.arange(101) * 0.05
    found = clamp(ryr(), time, {"ca@cytosol": 1.0}, rest={"ca@cytosol": 0.05}).open_probability[0, [10, 20, 40, 100]]
    assert found == pytest.approx([0.522035, 0.766949, 0.937994, 0.987530], abs=2e-6), found


def test_clamped_trace_agrees_with_another_solver():
    """The four states by LSODA, calcium linear between the same samples, up to 14 uM."""
    time, traces = transients(3, 5, duration=60.0)
    found = clamp(ryr(), time, {"ca@cytosol": traces}, rest={"ca@cytosol": 0.05})
    for trace, p, c1, o2, c2 in zip(traces, found.open_probability, *found.states.values(), strict=True):

        def slope(t, y, trace=trace):
            u, o1 = np.interp(t, time, trace), 1.0 - y.sum()
            return 0.0288 * o1 - 1.5 * u**4 * y[0], 1.5 * u**3 * o1 - 0.3859 * y[1], 0.00175 * o1 - 1e-4 * y[2]

        # from the same state one sample later: the channel was at rest at 0.05 uM before
        true = solve_ivp(slope, time[[0, -1]], [c1[0], o2[0], c2[0]], "LSODA", time, rtol=1e-9, atol=1e-12, max_step=0.05).y
        worst = np.abs(1.0 - true[0] - true[2] - p).max()
        assert worst < 2e-5, f"{worst:.2g}"


def test_opening_minus_closing_is_the_change_of_the_open_probability():
    """Over every 0.05 ms of a smooth trace the trapezoidal rule of the fluxes gives the change of P; also for three subunits."""
    time, u = transients(4, 1, duration=50.0, rise=(1.0, 2.0), amplitude=(0.2, 0.5))
    for channel, ports in ((ryr(), {"ca@cytosol": u}), (get_channel("ip3r/de-young-keizer")(), {"ca@cytosol": u, "ip3@cytosol": 1.0})):
        r = clamp(channel, time, ports)
        net = r.opening - r.closing
        left = np.diff(r.open_probability, axis=1) - 0.025 * (net[:, 1:] + net[:, :-1])
        assert r.exact
        assert np.abs(left).max() < 3e-6, f"{channel}: {np.abs(left).max():.2g}"


def test_gains_minus_losses_are_the_rates():
    from types import SimpleNamespace

    cls, p = type(ryr()), SimpleNamespace(**ryr().values)
    y, x = SimpleNamespace(c1=0.3, o2=0.2, c2=0.1), SimpleNamespace(ca=0.7, ca_er=250.0)
    net = np.subtract(cls.gains(y, x, p), cls.losses(y, x, p))
    assert net == pytest.approx(cls.rates(y, x, p), rel=1e-13)


def test_channels_that_do_not_tell_their_fluxes_are_split():
    time, u = transients(3, 2, duration=50.0, rise=(1.0, 2.0))
    r = clamp(get_channel("ip3r/li-rinzel")(), time, {"ca@cytosol": u, "ip3@cytosol": 0.5})
    slope = np.gradient(r.open_probability, time, axis=1)
    assert not r.exact
    assert (r.opening > 0).all()
    assert (r.closing > 0).all()
    assert np.abs(r.opening - r.closing - slope).mean() < 0.03 * np.abs(slope).mean()
    opening, closing = split(np.array([0.3]), np.array([-0.2]))
    assert opening[0] - closing[0] == pytest.approx(-0.2, rel=1e-12)


def test_rates_taught_reproduce_the_derivative():
    """alpha (1 - y) - beta y = dy/dt for P = gate^3 and for the latent state."""
    time, u = transients(5, 4, duration=50.0)
    r = clamp(ryr(), time, {"ca@cytosol": u})
    for power in (1, 3):
        t = make_traces(r, power=power, latent=("c2",))
        gate = t.states[..., 0]
        slope = power * gate ** (power - 1) * t.slope()[..., 0]
        assert np.abs(slope - (r.opening - r.closing)).max() < 1e-6 * np.abs(slope).max()
        c2 = t.states[..., 1]
        found = np.exp(t.log_alpha[..., 1]) * (1 - c2) - np.exp(t.log_beta[..., 1]) * c2
        assert found == pytest.approx(r.gains["c2"] - r.losses["c2"], rel=1e-6, abs=1e-9)
    assert t.columns().shape == (5 * 1001, 4)
    assert digest([t]) == digest([make_traces(r, power=3, latent=("c2",))]) != digest([make_traces(r, latent=("c2",))])


def test_a_design_does_what_it_says():
    """Steps of calcium: P approaches the plateau with the opening time, and falls with the closing time."""
    design = Design(plateau=lambda u: np.where(u > 0.5, 0.8, 0.0), open_time=2.0, close_time=5.0)
    time = np.arange(1201) * 0.05
    u = np.where((time >= 10.0) & (time < 30.0), 1.0 + 1e-2 * time * 10, 0.05 - 1e-5 * time)[None]
    p = design.respond(time, u).open_probability[0]
    assert p[240] == pytest.approx(0.8 * (1 - np.exp(-(240 - 199) * 0.05 / 2.0)), rel=1e-2)
    ratio = np.log(p[700] / p[900]) / 10.0
    assert 1.0 / ratio == pytest.approx(5.0, rel=0.05), f"closing time {1 / ratio:g} ms"


@pytest.mark.parametrize(("closing", "expected"), [(1, 0.56), (4, 0.15), (16, 0.01)])
def test_faster_closing_cures_the_slow_one(closing, expected):
    """1 uM stepped down to 0.05: the ODE is still at 0.56 after 20 ms; a design with a faster closing is not."""
    time = np.arange(801) * 0.05
    u = np.where(time < 20.0, 1.0, 0.05)[None]
    p = keizer_levine_design(closing=closing).respond(time, u - 1e-6 * time).open_probability[0, -1]
    assert p == pytest.approx(0.56, abs=0.02) if closing == 1 else p < expected, f"{p:.3g}"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: transients(0), "count 0"),
        (lambda: transients(1, amplitude=(1.0, 0.1)), "amplitude"),
        (lambda: clamp(get_channel("serca/er-inhibited")(), np.arange(3.0), {}), "open_probability"),
        (lambda: clamp(get_channel("vgcc/borg-graham-n")(), np.arange(3.0), {"ca@cytosol": 0.1}), "port 'v'"),
        (lambda: clamp(ryr(), np.arange(3.0), {"ca@cytosol": np.ones((2, 4))}), "shape"),
        (lambda: clamp(ryr(), np.array([0.0, 1.0, 3.0]), {"ca@cytosol": 1.0}), "evenly"),
        (lambda: Design(2.0, 1.0, 1.0).rates(np.ones(1), np.ones(1)), "plateau"),
        (lambda: make_traces(clamp(ryr(), np.arange(3.0), {"ca@cytosol": 1.0}), latent=("x",)), "'x'"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_rate_of_change_is_the_backward_difference():
    assert rate_of_change(np.array([[1.0, 2.0, 4.0]]), 0.5).tolist() == [[0.0, 2.0, 4.0]]


def test_gates_of_the_ip3_receptor_are_exact():
    """(n m h)^3 is the open probability of the eight states, and each gate changes by its gains less its losses."""
    from calcium_sim.learn.data.gatings import DE_YOUNG_KEIZER

    time = np.arange(4001) * 0.1
    u = 0.05 + 0.8 / (1 + np.exp(-(time - 100.0) / 10.0))[None]
    p = 0.04 + 2.0 / (1 + np.exp(-(time - 80.0) / 20.0))[None]
    channel = get_channel("ip3r/de-young-keizer")()
    r = clamp(channel, time, {"ca@cytosol": u, "ip3@cytosol": p}, substep=0.05, gating=DE_YOUNG_KEIZER)
    t = make_traces(r, gating=DE_YOUNG_KEIZER)
    assert t.open_probability == pytest.approx(r.open_probability, rel=1e-6)
    for i, name in enumerate(DE_YOUNG_KEIZER.powers):
        net = t.slope()[0, :, i]
        left = np.diff(r.states[name][0]) - 0.05 * (net[1:] + net[:-1])
        assert np.abs(left).max() < 1e-6, f"{name}: {np.abs(left).max():.2g}"


def test_gates_of_the_ryanodine_receptor_are_exact():
    """m h is the open probability of the four states; each gate changes by its gains less its losses; h recovers at kc- alone."""
    from calcium_sim.learn.data.gatings import KEIZER_LEVINE

    time = np.arange(16001) * 0.025
    u = 0.12 + 2.0 / (1 + np.exp(-(time - 60.0) / 2.0))[None] * np.exp(-np.maximum(time - 90.0, 0.0) / 40.0)
    r = clamp(ryr(), time, {"ca@cytosol": u}, gating=KEIZER_LEVINE)
    t = make_traces(r, gating=KEIZER_LEVINE)
    assert r.states["h"].min() < 0.8, "receptors have been inactivated, from 0.84"
    assert t.open_probability == pytest.approx(r.open_probability, rel=1e-6)
    for i, name in enumerate(KEIZER_LEVINE.powers):
        net = t.slope()[0, :, i]
        left = np.diff(r.states[name][0]) - 0.0125 * (net[1:] + net[:-1])
        # what the trapezoidal rule leaves: 7.7e-7 for m, an eighth of it at half the interval
        assert np.abs(left).max() < 1e-6, f"{name}: {np.abs(left).max():.2g}"
    assert np.exp(t.log_alpha[..., 1]) == pytest.approx(1e-4, rel=1e-6)
