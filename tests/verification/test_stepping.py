"""The loop: threads, pieces, repeatability, failures that name their cause, and gates at any concentration."""

import math
import re
import warnings
from dataclasses import replace

import numba
import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim import presets
from calcium_sim.app.bench import coaxial
from calcium_sim.errors import ModelWarning, RunStopped
from calcium_sim.kernels import tree
from calcium_sim.meshes import neurite, well_mixed


class Relay(cs.Channel):
    """Lets calcium in while calcium is high, through a gate: a cheap wave, quick to compile for threads."""

    across = ("outside", "cytosol")
    reads = {"ca": "ca@cytosol"}
    states = {"s": 0.9}
    params = {"rate": (0.1, "uM*um/ms"), "out": (0.02, "um/ms")}

    @staticmethod
    def rates(y, x, p):
        return (0.1 * (1.0 / (1.0 + x.ca * x.ca) - y.s),)

    @staticmethod
    def flux(y, x, p):
        return p.rate * y.s * x.ca * x.ca / (0.01 + x.ca * x.ca) - p.out * x.ca


def relay(length):
    species = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0 uM", "outside": "1000 uM"})
    start = cs.Influx("ca", at="left", flux="1 uM um/ms", duration="1 ms")
    return cs.Model(neurite(f"{length} um", "0.2 um", spacing="0.05 um"), [species], {"plasma": [Relay()]}, stimuli=[start])


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads (NUMBA_NUM_THREADS)")
def test_threads_do_not_change_a_bit(monkeypatch):
    """A cable of 6400 positions with a wave in it, on the parallel kernel where two threads are asked for."""
    monkeypatch.setattr("calcium_sim.schemes.columns.stepper.PARALLEL_FROM", 6000)
    states = []
    for threads in (1, 2):
        sim = cs.Simulation(relay(320.0), threads=threads)
        sim.advance(0.5)
        sim.advance(20.0)
        states.append(sim.state)
        assert sim.stepper.parallel == (threads == 2)
    assert (states[0].u == states[1].u).all()
    assert (states[0].y == states[1].y).all()
    assert (states[0].moved == states[1].moved).all()
    assert states[0].u[100] > 1.0, states[0].u[:200]  # 5 um from the end


def test_parallel_kernel_agrees_with_the_serial_one():
    """The same 200 positions through both."""
    from calcium_sim.run.loop import Control, Loop
    from calcium_sim.schemes.columns.stepper import ColumnStepper

    ends = []
    for parallel in (False, True):
        sim = cs.Simulation(relay(10.0))
        sim.stepper = ColumnStepper(sim.plan, parallel=parallel)
        sim.loop = Loop(sim.stepper, Control())
        sim.advance(10.0)
        ends.append(sim.state.u)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-12)


def test_a_run_in_pieces_is_the_run_in_one(bq):
    """10 ms and then 10 more, against 20: chosen steps agree to the tolerance of the wave's position, fixed steps to round-off."""
    ends = {}
    for name, options in (("chosen", {}), ("fixed", {"dt": "0.0125 ms"})):
        for stops in ((10.0, 20.0), (20.0,)):
            sim = cs.Simulation(bq(spacing=0.1), **options)
            for t in stops:
                sim.run(f"{t} ms")
            assert sim.t == 20.0
            ends[name, len(stops)] = sim.concentration("ca")
    fixed, chosen = (np.abs(ends[n, 2] - ends[n, 1]).max() for n in ("fixed", "chosen"))
    assert fixed < 1e-4, fixed  # a stop cuts one diffusion step in two halves, which changes its error of third order
    # the front is steep: a shift by 0.02 % of 10 um changes values by dc/dx dx
    steepest = np.abs(np.diff(ends["chosen", 1])).max() / 0.1
    assert chosen < steepest * 2e-3 * 10.0, (chosen, steepest)


@pytest.mark.parametrize("options", [{}, {"dt": "0.03 ms"}])
def test_the_same_call_gives_the_same_bits(bq, options):
    runs = []
    for _ in range(2):
        sim = cs.Simulation(bq(spacing=0.1, length=8.0), **options)
        for t in np.arange(1, 30) * 0.3:
            sim.advance(float(t))
        runs.append(sim.state.u)
    assert (runs[0] == runs[1]).all()


def test_simulate_and_simulation_agree(bq):
    ds = cs.simulate(bq(spacing=0.1, length=8.0), until="6 ms", every="0.5 ms")
    sim = cs.Simulation(bq(spacing=0.1, length=8.0))
    for k in range(1, 13):
        sim.advance(k * 0.5)
    np.testing.assert_array_equal(ds["ca"].values[-1, :80], sim.concentration("ca"))
    assert ds.sizes["time"] == 13


class Fragile(cs.Channel):
    """Lets calcium in; its flux stops being a number above a limit."""

    across = ("outside", "cytosol")
    reads = {"ca": "ca@cytosol"}
    params = {"rate": (0.02, "uM*um/ms"), "limit": (1.0, "uM")}

    @staticmethod
    def flux(y, x, p):
        return p.rate * math.sqrt(p.limit - x.ca) + p.rate


@pytest.mark.parametrize("stops", [[60.0], list(np.arange(1, 61) * 1.0), list(np.arange(1, 601) * 0.1)], ids=["one", "1 ms", "0.1 ms"])
@pytest.mark.parametrize("options", [{}, {"dt": "0.05 ms"}], ids=["chosen", "fixed"])
def test_a_value_that_is_not_finite_stops_the_run(stops, options):
    """The message names the time, node, position, species and channel, whatever the observations."""
    species = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1000 uM"})
    place = lambda x, y, z: (x > 3.0) & (x < 3.5)  # noqa: E731
    model = cs.Model(neurite("10 um", "0.4 um", spacing="0.5 um"), [species], {"plasma": [Fragile(at=place, rate="0.2 uM um/ms")]})
    sim = cs.Simulation(model, **options)

    def go():
        for t in stops:
            sim.advance(t)

    with pytest.raises(RunStopped) as stopped:
        go()
    told = str(stopped.value)
    found = re.search(r"step (\d+), t=([\d.]+) ms: ca@cytosol is not finite at node (\d+) \(([\d.]+), 0, 0\) um, .*channel 'Fragile'", told)
    assert found, told
    assert found[3] == "6", told
    assert found[4] == "3.25", told
    assert 0.5 < float(found[2]) < 60.0, told
    assert sim.state.t <= float(found[2]) + 1.0, (sim.state.t, told)


def test_no_result_holds_values_that_are_not_finite():
    """Ending the run anywhere near the failure gives finite numbers or a stop, never nan in a result."""
    species = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1000 uM"})
    place = lambda x, y, z: (x > 3.0) & (x < 3.5)  # noqa: E731
    model = cs.Model(neurite("10 um", "0.4 um", spacing="0.5 um"), [species], {"plasma": [Fragile(at=place, rate="0.2 uM um/ms")]})
    for every in np.geomspace(0.05, 3.0, 23):
        sim = cs.Simulation(model)
        try:
            for k in range(1, int(60 / every)):
                sim.advance(k * every)
                assert np.isfinite(sim.state.u).all(), (every, sim.t)
        except RunStopped:
            continue
        pytest.fail(f"a run observed every {every} ms never stopped")


def test_gates_stay_in_range_at_any_concentration(bq):
    """Keizer-Levine at 1e-3 to 1e3 uM, clamped (no flux, slow buffer), with steps from 1 us to 1 ms, from rest."""
    quiet = bq(spacing=0.1, length=6.0).membranes
    ryr = cs.get_channel("ryr/keizer-levine")(density="0 /um^2")
    still = {"er": [ryr, cs.get_channel("leak/linear")(permeability="0 um/s"), cs.get_channel("serca/er-inhibited")(density="0 /um^2")]}
    closed = [cs.get_channel("pmca/hill2")(density="0 /um^2"), cs.get_channel("ncx/hill1")(density="0 /um^2"), quiet["plasma"][2]]
    level = np.geomspace(1e-3, 1e3, 61)[:60]
    for dt in (0.001, 0.01, 0.1, 1.0):
        sim = cs.Simulation(bq(spacing=0.1, length=6.0, membranes=still | {"plasma": closed}, total=1e-9), dt=f"{dt} ms")
        sim.stepper.diffusion[:] = 0.0
        sim.stepper.rows = tree.mobile(sim.stepper.diffusion)
        sim.state.u[:60] = level
        for _ in range(40):
            sim.advance(sim.t + dt)
            y = sim.state.y.reshape(3, -1)
            assert np.isfinite(y).all(), dt
            assert y.min() >= 0, (dt, sim.t, y.min(), np.unravel_index(y.argmin(), y.shape))
            assert y.max() <= 1, (dt, sim.t, y.max())
            assert y.sum(axis=0).max() <= 1 + 1e-9, (dt, sim.t, y.sum(axis=0).max())


@pytest.mark.slow
def test_receptor_of_seven_states_stays_in_range():
    """De Young-Keizer IP3 receptors in a well-mixed cell with calcium set from 1e-3 to 1e3 uM at once, steps of 1 ms."""
    mesh = well_mixed({"cytosol": "1 um^3", "er": "0.2 um^3"}, {"er": (("er", "cytosol"), "1 um^2")})
    receptor = cs.get_channel("ip3r/de-young-keizer")(density="0 /um^2")
    calcium = cs.Species("ca", {"cytosol": "0 um^2/s", "er": "0 um^2/s"}, {"cytosol": "0.1 uM", "er": "10 uM"})
    ip3 = cs.Species("ip3", {"cytosol": "0 um^2/s"}, {"cytosol": "5 uM"})
    for level in (1e-3, 1.0, 30.0, 1e3):
        sim = cs.Simulation(cs.Model(mesh, [calcium, ip3], {"er": [receptor]}, stimuli=[cs.Set("ca", f"{level} uM")]), dt="1 ms")
        for t in range(1, 40):
            sim.advance(float(t))
            y = sim.state.y
            assert ((y >= 0) & (y <= 1)).all(), (level, t, y)
            assert y.sum() <= 1 + 1e-9, (level, t, y)


def test_presets_run_at_rest_without_cost():
    """At rest the step grows to its bound of 1 ms: 2 s take few steps."""
    model = presets.breit_queisser(
        neurite("2 um", "0.4 um", er_radius="0.15 um", spacing="0.1 um"), stimulus=cs.Influx("ca", "left", "0 uM um/s", "1 ms", "ramp-down")
    )
    sim = cs.Simulation(model)
    sim.advance(2000.0)
    assert sim.control.steps < 6000, sim.control.steps


@pytest.mark.parametrize("graph", [False, True])
def test_a_fixed_step_that_is_far_too_long_is_told(graph):
    """Fast BAPTA: 0.05 ms errs by 35 % (cable) and 68 % (graph) of the peak, says so once, and the look changes no bit of the result."""
    mesh = neurite("10 um", "0.1 um", spacing="0.1 um")
    mesh = replace(mesh, structure=None) if graph else mesh
    species = [cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1000 uM"})]
    bapta = cs.Buffer("bapta", "ca", "cytosol", "2000 uM", "500 1/uM/s", "96 1/s", "95 um^2/s")
    model = cs.Model(mesh, species, {}, [bapta], [cs.Influx("ca", "left", "300 uM*um/ms", "2 ms")])
    with pytest.warns(UserWarning, match=r"dt: the fixed step is long: on the average a step errs by \d.*take a smaller dt=") as caught:
        ds = cs.simulate(model, until="6 ms", every="1 ms", dt="0.05 ms")
    assert len(caught) == 1
    blind = cs.Simulation(model, dt="0.05 ms")
    blind.loop.fixed.told = True
    for t in range(1, 7):
        blind.advance(float(t))
    assert np.array_equal(blind.concentration("ca"), ds.ca.values[-1])


def test_a_fixed_step_that_is_short_enough_is_not():
    """The same wave with 12.5 us: within 0.02 % of its speed."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ModelWarning)
        cs.simulate(coaxial(10.0, 0.1), until="8 ms", every="0.5 ms", dt="0.0125 ms")


@pytest.mark.parametrize(("dt", "until", "start"), [("0.8 ms", 20, 0.0), ("0.2 ms", 100, 80.0)])
def test_few_steps_and_late_events_are_judged_as_well(dt, until, start):
    """A wave of 25 steps, and one after 80 ms in which nothing happened; short steps of the same waves say nothing."""
    mesh = neurite("20 um", "0.2 um", "0.1 um", "0.1 um")
    pulse = cs.Influx("ca", "left", "2500 uM*um/s", "1 ms", "ramp-down", start=f"{start} ms")
    model = presets.breit_queisser(mesh, ryr_density="1 /um^2", buffer="40 uM", stimulus=pulse)
    with pytest.warns(UserWarning, match=r"dt: the fixed step is long"):
        cs.simulate(model, until=f"{until} ms", every="4 ms", dt=dt)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "dt:")
        cs.simulate(model, until=f"{until} ms", every="4 ms", dt="0.0125 ms")


@pytest.mark.parametrize(("dt", "error"), [("10 ms", 0.19), ("0.05 ms", 1e-4)])
def test_a_step_too_long_for_a_point_is_told(dt, error):
    """A leak of 0.6 /ms towards 10 uM, 10 - 9.9 exp(-0.6 t): 20 % off after a step of 10 ms, below 1e-4 with 0.05 ms."""
    mesh = well_mixed({"cytosol": "10 um^3"}, {"plasma": (("cytosol", "outside"), "6 um^2")})
    ca = cs.Species("ca", diffusion={"cytosol": "0 um^2/s"}, initial={"cytosol": "0.1 uM", "outside": "10 uM"})
    model = cs.Model(mesh, [ca], {"plasma": [cs.get_channel("leak/linear")(permeability="1 um/ms")]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ds = cs.simulate(model, until="40 ms", every="10 ms", dt=dt)
    off = np.abs(ds.ca.values[:, 0] - (10.0 - 9.9 * np.exp(-0.6 * ds.time.values))).max() / 10.0
    assert (off > error) == (error > 1e-3), off
    assert [str(w.message)[:26] for w in caught] == ["dt: the fixed step is long"] * (error > 1e-3)
