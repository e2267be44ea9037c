"""Stimuli: amounts exact for any steps, trains, events, and calcium entry through voltage-gated channels."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import calcium_sim as cs
from calcium_sim.meshes import neurite, well_mixed

MEANS = {"square": 1.0, "ramp-down": 0.5, "triangle": 0.5}


def bare(stimuli):
    """A cable with calcium only: what is injected stays."""
    species = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM"})
    return cs.Model(neurite("4 um", "0.4 um", spacing="0.25 um"), [species], stimuli=stimuli)


def added(sim):
    volume = sim.model.mesh.volume
    return float(volume @ (sim.concentration("ca") - 0.05))


@pytest.mark.parametrize("options", [{"dt": "0.37 ms"}, {"dt": "3.1 ms"}, {}])
@pytest.mark.parametrize("shape", list(MEANS))
def test_injected_amount_is_exact(shape, options):
    """Five pulses of 0.7 ms, one every 2.3 ms from 0.4 ms on, through the left end: area x peak x mean x duration each."""
    influx = cs.Influx("ca", "left", "2500 uM um/s", "0.7 ms", shape, start="0.4 ms", period="2.3 ms", count=5)
    sim = cs.Simulation(bare([influx]), **options)
    one = np.pi * 0.4**2 * 2.5 * MEANS[shape] * 0.7
    for t, pulses in ((0.3, 0), (2.5, 1), (9.4, 4), (30.0, 5)):
        sim.advance(t)
        assert added(sim) == pytest.approx(pulses * one, rel=1e-12, abs=1e-13), (t, pulses)
        sim.frame()
        assert sim.ledger.drift(sim.state) < 1e-12


def test_amount_inside_a_pulse():
    """Half way through a ramp three quarters are in; half way through a triangle one half."""
    for shape, part in (("square", 0.5), ("ramp-down", 0.75), ("triangle", 0.5)):
        sim = cs.Simulation(bare([cs.Influx("ca", "left", "2500 uM um/s", "1 ms", shape)]), dt="0.13 ms")
        sim.advance(0.5)
        assert added(sim) == pytest.approx(part * np.pi * 0.4**2 * 2.5 * MEANS[shape], rel=1e-12), shape


def test_two_influxes_and_a_set():
    """A Set at a time that is no multiple of the step happens then, and its amount is booked."""
    pulse = cs.Influx("ca", "left", "1000 uM um/s", "0.5 ms", start="1.25 ms")
    wall = cs.Influx("ca", None, "-1 uM um/s", "2 ms", through="plasma")
    jump = cs.Set("ca", "3 uM", at=lambda x, y, z: x < 1, time="3.3 ms")
    sim = cs.Simulation(bare([pulse, wall, jump]), dt="0.2 ms")
    sim.advance(3.299999)
    expected = np.pi * 0.4**2 * 1.0 * 0.5 - 2 * np.pi * 0.4 * 4 * 1e-3 * 2
    assert added(sim) == pytest.approx(expected, rel=1e-10)
    before = added(sim)
    sim.advance(3.3)
    assert (sim.concentration("ca")[:4] == 3.0).all()
    gained = added(sim) - before
    sim.advance(10.0)
    sim.frame()
    assert added(sim) - before == pytest.approx(gained, rel=1e-12)
    assert sim.ledger.stimuli["ca"]["stimulus:2:ca"] == pytest.approx(gained, rel=1e-5)
    assert sim.ledger.drift(sim.state) < 1e-12


def spike(t):
    """A potential that the solver has to follow: rest, a triangle of 90 mV from 5 to 7 ms, rest."""
    return -65.0 + 90.0 * max(0.0, 1.0 - abs(t - 6.0))


TABLE = [("0 ms", "-65 mV"), ("5 ms", "-65 mV"), ("6 ms", "25 mV"), ("7 ms", "-65 mV"), ("20 ms", "-65 mV")]


def excitable(voltage):
    """A well-mixed cell with N-type channels and no extrusion: calcium counts what came in."""
    mesh = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "5 um^2")})
    species = cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "0.05 uM", "outside": "2000 uM"})
    return cs.Model(mesh, [species], {"plasma": [cs.get_channel("vgcc/borg-graham-n")(density="2 /um^2")]}, voltage=voltage)


@pytest.mark.parametrize("voltage", [TABLE, spike], ids=["table", "function"])
def test_calcium_entry_through_a_voltage_gated_channel(voltage):
    """N-type channel (m^2 h, GHK) in a well-mixed cell against direct integration of its equations."""
    model = excitable(voltage)
    unit = 96485.0 / (8.314 * 310.0) / 1000.0

    def gate(v, z, half):
        return 1 / (1 + np.exp(-z * (v - half) * unit))

    def rhs(t, s):
        c, m, h = s
        v = spike(t)
        xi = 2 * v * unit
        ghk = 2000 * xi / np.expm1(xi) + c * xi / np.expm1(-xi)
        return [10 * 3.8e-4 * m**2 * h * ghk, (gate(v, 3.4, -21) - m) / 1.5, (gate(v, -2.0, -40) - h) / 75]

    start = [0.05, gate(-65, 3.4, -21), gate(-65, -2.0, -40)]
    exact = solve_ivp(rhs, (0, 20), start, "DOP853", t_eval=[5, 5.7, 6, 6.5, 7, 10, 20], rtol=1e-11, atol=1e-13, max_step=0.02)
    for options, limit in (({"dt": "0.02 ms"}, 1e-3), ({}, 4e-3)):
        sim = cs.Simulation(model, **options)
        for k, t in enumerate(exact.t):
            sim.advance(float(t))
            seen = [*sim.state.u, *sim.state.y]
            np.testing.assert_allclose(seen[0] - 0.05, exact.y[0, k] - 0.05, rtol=limit, atol=1e-3 * np.ptp(exact.y[0]) * limit * 100)
            np.testing.assert_allclose(seen[1:], exact.y[1:, k], atol=limit)


def test_a_late_spike_is_not_stepped_over():
    """A spike of 1.2 ms after 2 s of rest, when steps are long: the same entry wherever it falls between two checks of the error."""
    entries = []
    for at in 2000.0 + np.array([0.0, 3.64, 6.364, 8.182, 10.0]):
        sim = cs.Simulation(excitable(lambda t, at=at: -65.0 + 100.0 * max(0.0, 1.0 - abs(t - at) / 0.6)))
        sim.advance(2100.0)
        sim.advance(2100.0)
        entries.append(sim.concentration("ca")[0] - 0.05)
    np.testing.assert_allclose(entries, entries[0], rtol=2e-3)


@pytest.mark.parametrize("rest", [0.05, 0.0])
def test_the_ledger_tells_the_largest_error_of_the_whole_run(rest):
    """What is made in the middle of a run and gone at its end is seen, relative to the largest amount that was there at an observation.

    The other books are large: 100 times the content has passed, and does not make the error smaller.
    """
    species = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": f"{rest} uM"})
    mesh = neurite("4 um", "0.4 um", spacing="0.25 um")
    pulses = [cs.Influx("ca", "left", f"{flux} uM um/ms", "1 ms") for flux in (40.0, -39.9)]
    sim = cs.Simulation(cs.Model(mesh, [species], stimuli=pulses), dt="0.1 ms")
    volume, made = mesh.volume.sum(), 1e-6
    sim.advance(2.0)
    sim.frame()
    assert sim.ledger.drift(sim.state) < 1e-11
    sim.state.u += made
    sim.advance(3.0)
    sim.frame()
    sim.state.u -= made
    sim.advance(4.0)
    sim.frame()
    whole = rest * volume + 0.1 * np.pi * 0.4**2
    assert sim.ledger.drift(sim.state) == pytest.approx(made * volume / whole, rel=1e-6)


def test_a_train_of_any_length():
    """A thousand million pulses of 0.1 ms every ms: after 100.05 ms a hundred and a half are in, and nothing is made of the others."""
    influx = cs.Influx("ca", "left", "2500 uM um/s", "0.1 ms", period="1 ms", count=10**9)
    sim = cs.Simulation(bare([influx]))
    sim.advance(100.05)
    assert added(sim) == pytest.approx(100.5 * np.pi * 0.4**2 * 2.5 * 0.1, rel=1e-11)


@pytest.mark.parametrize("start", [0.0, 1000.0, 1e5])
def test_the_shortest_pulses_bring_their_amount(start):
    """At the limit, 1e-10 of the time (measured: 4e-7), and 1e-9 ms at the start; shorter ones are refused, also late in a train."""
    duration = max(1.1e-10 * start, 1e-9)
    pulse = cs.Influx("ca", "left", f"{1 / duration!r} uM um/ms", f"{duration!r} ms", start=f"{start} ms")
    sim = cs.Simulation(bare([pulse]))
    sim.advance(start + 1.0)
    assert added(sim) == pytest.approx(np.pi * 0.4**2, rel=2e-6 if start else 1e-12)
    late = cs.Influx("ca", "left", "1 uM um/ms", f"{0.5 * duration!r} ms", period="1 ms", count=10**9)
    for call in (lambda t: cs.Simulation(bare([late])).advance(t), lambda t: cs.simulate(bare([late]), f"{t} ms", f"{t} ms")):
        if start:
            with pytest.raises(cs.InputError, match=r"stimuli.ca.duration: .* ms is too short for a pulse at .* ms: times have 16 digits"):
                call(start + 1.0)


def test_times_that_differ_by_round_off_are_one():
    """0.1 + 0.2 and 3 * 0.1 and 0.3 are not the same number; what is set at them is what was set last, and no step is as short as that."""
    sets = [cs.Set("ca", "1 uM", time="0.3 ms"), cs.Set("ca", "2 uM", time=f"{0.1 + 0.2!r} ms")]
    sim = cs.Simulation(bare(sets))
    steps = []
    sim.loop.observers.append(type("Note", (), {"see": staticmethod(lambda before, after: steps.append(after.t - before.t))}))
    sim.advance(0.3)
    sim.advance(0.1 * 3)
    sim.advance(1.0)
    np.testing.assert_allclose(sim.concentration("ca"), 2.0, rtol=1e-14)
    assert min(step for step in steps if step) > 1e-4


class Clocked(cs.Channel):
    """Lets calcium in, and has a step end every 1e-4 ms."""

    across = ("outside", "cytosol")
    reads = {"t": "t"}
    params = {"rate": (1.0, "uM*um/ms")}

    @staticmethod
    def flux(y, x, p):
        return p.rate

    @staticmethod
    def edges(p):
        return np.arange(1, 10**6 + 1) * 1e-4


def test_a_million_edges():
    """Only those that the run comes to are stops: 20 in 2 us."""
    ca = cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1000 uM"})
    mesh = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "6 um^2")})
    sim = cs.Simulation(cs.Model(mesh, ca, {"plasma": Clocked()}))
    sim.advance(2e-3)
    assert 20 <= sim.control.steps <= 100
    assert sim.concentration("ca")[0] == pytest.approx(0.05 + 6 * 2e-3, rel=1e-12)
