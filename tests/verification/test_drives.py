"""What reads the time: amounts of short pulses, late signals after larger ones, trains; formulas whose exponentials overflow, and what is
called from Python. Right values are closed forms, or scipy at 1e-9."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import calcium_sim as cs
from calcium_sim.meshes import neurite, well_mixed
from calcium_sim.plugin.ieee import called

POINT = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "5 um^2")})
GRID = neurite("1 um", "0.4 um", spacing="0.1 um", dims=2)
CA = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.1 uM", "outside": "1 mM"})


class Pulse(cs.Channel):
    """Two bumps in time: one at t0, one of the part s at t1, which acts only above a concentration."""

    across, reads = ("outside", "cytosol"), {"ca": "ca@cytosol", "t": "t"}
    params = {
        "a": (0.5, "uM*um/ms"), "t0": (50.0, "ms"), "w": (0.02, "ms"), "s": (0.0, "1"), "t1": (500.3, "ms"), "w1": (0.1, "ms"),
        "least": (-1.0, "uM"),
    }  # fmt: skip

    @staticmethod
    def flux(y, x, p):
        late = p.s / math.cosh((x.t - p.t1) / p.w1) if x.ca > p.least else 0.0
        return p.a * (1.0 / math.cosh((x.t - p.t0) / p.w) + late)


class Pump(cs.Channel):
    """Back to 0.1 uM."""

    across, reads, params = ("cytosol", "outside"), {"ca": "ca@cytosol"}, {"v": (5e-3, "um/ms")}

    @staticmethod
    def flux(y, x, p):
        return p.v * (x.ca - 0.1)


def brought(mesh, **options):
    """What two runs of 100 ms bring, over the closed form a pi w A/V, for pulses at times that steps happen to meet or not."""
    area, volume = mesh.membranes["plasma"].area.sum(), mesh.volume.sum()
    for w, t0 in ((0.02, 83.68375), (0.02, 50.013), (0.03, 45.4567), (0.1, 51.17), (1.0, 57.3)):
        pulse = Pulse(t0=f"{t0} ms", w=f"{w} ms")
        ds = cs.simulate(cs.Model(mesh, [CA], {"plasma": [pulse]}), "100 ms", record="ca", **options)
        amount = float((ds.ca.values[-1] - 0.1) @ mesh.volume) / volume
        yield amount / (0.5 * math.pi * w * area / volume)


@pytest.mark.parametrize("every", ["50 ms", "1.7 ms"])
@pytest.mark.parametrize("mesh", [POINT, GRID], ids=["point", "grid"])
def test_short_pulses_bring_their_amount(mesh, every):
    """Ends of steps on the flank of a pulse once brought up to 7 % too much; 2e-5 is the most now."""
    np.testing.assert_allclose(list(brought(mesh, every=every)), 1.0, atol=5e-5)


@pytest.mark.parametrize("every", ["0.7 ms", "56 ms"])
@pytest.mark.parametrize("part", [0.01, 0.04])
def test_a_late_signal_counts_after_a_larger_one(part, every):
    """Half a second after a large pulse, and after the cell is back at rest: c = 0.1 + sum of both, each decaying with 25 /s."""
    pulse = Pulse(t0="3 ms", w="0.5 ms", s=part, a="0.02 uM*um/ms")
    ds = cs.simulate(cs.Model(POINT, [CA], {"plasma": [pulse, Pump()]}), "560 ms", every, record="ca")
    k, amount = 5 * 5e-3, 5 * 0.02 * math.pi * part * 0.1
    late = ds.ca.sel(time=slice(503.0, None))[:, 0]
    assert len(late) >= 1
    shape = np.pi * k * 0.1 / 2.0  # the integral of sech(s/w) exp(k s) over its own is 1/cos(pi k w/2)
    right = amount / math.cos(shape) * np.exp(-k * (late.time.values - 500.3))
    early = 5 * 0.02 * math.pi * 0.5 / math.cos(np.pi * k * 0.5 / 2.0) * np.exp(-k * (late.time.values - 3.0))
    np.testing.assert_allclose(late.values - 0.1 - early, right, rtol=1e-4)


@pytest.mark.parametrize("every", ["1 ms", "7 ms", "40 ms"])
def test_a_signal_behind_a_threshold_is_seen(every):
    """The second bump acts above 1 uM only, ten times what the cell rests at. Against scipy at 1e-9."""
    pulse = Pulse(t0="3 ms", w="1 ms", a="0.6 uM*um/ms", s=1.0, t1="20.37 ms", w1="0.05 ms", least="1 uM")
    ds = cs.simulate(cs.Model(POINT, [CA], {"plasma": [pulse, Pump()]}), "40 ms", every, record="ca")

    def rhs(t, c):
        late = 1.0 / math.cosh((t - 20.37) / 0.05) if c[0] > 1.0 and abs(t - 20.37) < 30 else 0.0
        return [5 * (0.6 * (1.0 / math.cosh((t - 3.0) / 1.0) + late) - 5e-3 * (c[0] - 0.1))]

    edges, value = [0.0, 19.0, 22.0, 40.0], [0.1]
    for a, b in pairwise(edges):
        value = solve_ivp(rhs, (a, b), value, "DOP853", rtol=1e-9, atol=1e-12, max_step=0.01 if a == 19.0 else 0.1).y[:, -1]
    assert ds.ca.values[-1, 0] == pytest.approx(value[0], rel=1e-4)


def overflowing(y, x, p):
    return 1.0 / (1.0 + math.exp(-(x.t - 400.0) / 0.5)) + helped(x.t) + math.sqrt(p.k - 2.0)


def helped(t):
    return 0.0 * math.cosh(t) if t < 0 else 1.0 / math.cosh(1000.0 - t)


def test_python_sees_what_compiled_code_sees():
    from types import SimpleNamespace as Space

    assert called(overflowing, Space(), Space(t=0.0), Space(k=6.0)) == 2.0
    assert math.isnan(called(overflowing, Space(), Space(t=0.0), Space(k=1.0)))
    with pytest.raises(TypeError):
        called(lambda y: y + "a", 1.0)


def even(n, a):
    return math.exp(800.0 * a) if n == 0 else odd(n - 1, a)


def odd(n, a):
    return 1.0 / even(n - 1, a)


def test_functions_that_call_each_other_are_seen_too():
    """1/exp(800) is 0, whose own reciprocal is infinite."""
    assert (called(odd, 1, 1.0), called(odd, 3, 1.0)) == (0.0, math.inf)


class Late(cs.Channel):
    """A step in time of the usual form, whose exponential overflows at t = 0, on a leak with a root that ends not far from rest."""

    across, reads = ("outside", "cytosol"), {"ca": "ca@cytosol", "t": "t"}
    params = {"a": (0.1, "uM*um/ms"), "t0": (400.0, "ms"), "w": (0.5, "ms")}
    states = {"g": (1.0, 0.0, 1.0)}

    @staticmethod
    def rates(y, x, p):
        return (0.0 * x.t * y.g,)

    @staticmethod
    def flux(y, x, p):
        return p.a * y.g * math.sqrt(20.0 - x.ca) / (1.0 + math.exp(-(x.t - p.t0) / p.w))


def test_exponentials_may_overflow():
    """Up to t0 nothing, then sqrt(20 - c) falls by A/V a/2 per ms; t0 may be late enough that Python's exp fails at the start."""
    ds = cs.simulate(cs.Model(POINT, [CA], {"plasma": [Late()]}), "403 ms", "1 ms")
    root = np.sqrt(19.9) - 0.5 * 5 * 0.1 * 0.5 * np.logaddexp(0.0, (ds.time.values - 400.0) / 0.5)
    np.testing.assert_allclose(ds.ca.values[:, 0], 20.0 - root**2, rtol=2e-5)


@pytest.mark.parametrize("begin", [1.3, 1000.3])
def test_what_enters_in_a_stretch_without_a_step_is_there(begin):
    """Within 1e-12 of an edge no step is taken: 1.6e-9 of what enters was missing, though the ledger had booked it."""
    point = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "5 um^2")})
    enters = cs.Influx("ca", None, "0.2 uM*um/ms", "1 ms", start=f"{begin} ms", through="plasma")
    simulation = cs.Simulation(cs.Model(point, [CA], stimuli=[enters]))
    for end in (begin * (1 + 9e-13), (begin + 1.0) * (1 - 9e-13), begin + 2.0):
        simulation.advance(end)
    assert simulation.concentration("ca")[0] == pytest.approx(1.1, rel=5e-15 * begin + 1e-14)
    assert simulation.ledger.drift(simulation.state) < 1e-14 * begin


def test_a_train_of_many_pulses_ends():
    """More than 1000 pulses, whose times are made as they come: nothing comes after the last."""
    point = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "5 um^2")})
    train = cs.Influx("ca", None, "0.2 uM*um/ms", "0.01 ms", period="0.02 ms", count=1500, through="plasma")
    ds = cs.simulate(cs.Model(point, [CA], stimuli=[train]), "31 ms", "31 ms")
    assert float(ds.ca.sel(region="cytosol")[-1, 0]) == pytest.approx(0.1 + 1500 * 0.01, rel=1e-9)
