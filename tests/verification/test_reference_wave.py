"""The reference wave (Breit & Queisser parameters, 1-D): rest, scaling, conservation, orders, and the converged table."""

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim import presets
from calcium_sim.meshes import neurite

PLACES = np.array([2.0, 4.0, 8.0, 12.0, 16.0])
# Richardson extrapolation of an independent method-of-lines solution (LSODA, relative tolerance 1e-8) at 0.025 and 0.0125 um
ARRIVALS = np.array([2.337279, 5.714989, 13.23556, 21.08693, 29.03763])
SPEED = 0.5062615
PEAKS = np.array([3.07073, 2.841317, 2.720903, 2.688571, 2.678564])


def speed(got):
    first, last = got.arrivals([8.0, 16.0])
    return 8.0 / (last - first)


@pytest.fixture(scope="module")
def refined(bq, run):
    """The wave at three spacings with the default tolerance."""
    return {dx: run(bq(spacing=dx), 40.0, 0.1) for dx in (0.1, 0.05, 0.025)}


def test_arrivals_and_speed_agree_with_the_converged_wave(refined):
    """At 0.025 um every arrival and the speed lie within 0.5 % of the extrapolated values, with the default tolerance."""
    got = refined[0.025]
    seen = got.arrivals(PLACES)
    np.testing.assert_allclose(seen, ARRIVALS, rtol=5e-3)
    assert speed(got) == pytest.approx(SPEED, rel=5e-3)


def test_arrivals_converge_with_second_order_in_space(refined, order):
    spacing = np.array(list(refined))
    for place, exact in zip(PLACES, ARRIVALS, strict=True):
        errors = [got.arrivals([place])[0] / exact - 1 for got in refined.values()]
        assert order(spacing, errors) >= 1.9, (place, errors)


def test_chosen_steps_cost_less_than_three_per_mille_of_the_speed(refined, bq, run):
    """Against a solution of the same grid with 1/50 of the tolerance (independent: LSODA gives 5.7479 and 13.3422 ms at 4 and 8 um)."""
    fine = run(bq(spacing=0.05), 40.0, 0.1, tolerance=4e-5)
    np.testing.assert_allclose(fine.arrivals([4.0, 8.0]), [5.7479, 13.3422], rtol=2e-5)
    assert speed(refined[0.05]) == pytest.approx(speed(fine), rel=3e-3)


def test_table_of_the_converged_wave(bq):
    """Extrema and late values; spacing 0.025 um is itself a few permille from the extrapolated values."""
    ds = cs.simulate(bq(spacing=0.025), until="100 ms", every="0.1 ms")
    cytosol, er = ds.sel(region="cytosol"), ds.sel(region="er")

    def at(variable, place, part):
        x = part["x"].values
        k = np.searchsorted(x, place)
        near = slice(k - 2, k + 2)
        weights = [np.prod([(place - b) / (a - b) for b in x[near] if b != a]) for a in x[near]]
        return variable[:, near] @ weights

    c, e = (lambda x: at(cytosol["ca"].values, x, cytosol)), (lambda x: at(er["ca"].values, x, er))
    np.testing.assert_allclose([c(x).max() for x in PLACES], PEAKS, rtol=3e-3)
    assert at(ds["po_ryr_keizer_levine"].values, 8.0, cytosol).max() == pytest.approx(0.9940649, rel=1e-4)
    assert e(8.0).min() == pytest.approx(16.09793, rel=3e-3)
    assert at(cytosol["calbindin"].values, 8.0, cytosol).min() == pytest.approx(112.46, rel=1e-3)
    assert (c(8.0)[-1], e(8.0)[-1], c(1.0)[-1]) == pytest.approx((0.2246615, 30.65941, 0.2637649), rel=1e-3)
    assert ds.attrs["ledger_drift"] < 1e-12


@pytest.mark.parametrize("preset", [presets.breit_queisser, presets.calcsim_cable])
def test_rest_is_a_fixed_point(preset):
    """Every concentration and every gate moves by less than 1e-11 per ms."""
    model = preset(neurite("2 um", "0.4 um", er_radius="0.15 um", spacing="0.1 um"), stimulus=zero_influx())
    sim = cs.Simulation(model, dt="0.05 ms")
    u, y = sim.state.u.copy(), sim.state.y.copy()
    sim.advance(10.0)
    assert np.abs(sim.state.u - u).max() / 10.0 < 1e-11, np.abs(sim.state.u - u).max()
    assert np.abs(sim.state.y - y).max() / 10.0 < 1e-11, np.abs(sim.state.y - y).max()


def zero_influx():
    """No stimulus, but the same structure as the wave, so that nothing is compiled again."""
    return cs.Influx("ca", at="left", flux="0 uM um/s", duration="1 ms", shape="ramp-down")


def test_speed_scales_exactly_with_the_root_of_diffusion(bq):
    """All D times 4, lengths along the axis and the influx times 2: the same numbers to the last bit."""
    pair = [cs.Simulation(bq(spacing=0.1, length=6.0, scale=s)) for s in (1.0, 2.0)]
    for t in (0.5, 3.0, 9.0):
        for sim in pair:
            sim.advance(t)
        np.testing.assert_array_equal(pair[0].state.u, pair[1].state.u)
        np.testing.assert_array_equal(pair[0].state.y, pair[1].state.y)


def test_calcium_is_conserved_over_1e5_steps(closed):
    """Plasma membrane closed, ER fluxes on: what is there is what was there plus A j0 T/2 = 0.539961 uM um^3."""
    sim = cs.Simulation(closed(spacing=0.1, length=8.0), dt="0.001 ms")
    volume = sim.plan.model.mesh.volume
    n = len(volume) // 2

    def total():
        c, e, b = (sim.state.u[k * n : (k + 1) * n] for k in range(3))
        return volume[:n] @ (c + 160.0 - b) + volume[n:] @ e

    before = total()
    sim.advance(2.0)
    after_pulse = total()
    sim.advance(102.0)
    sim.frame()
    assert sim.control.steps > 1e5
    assert after_pulse - before == pytest.approx(np.pi * (0.4**2 - 0.15**2) * 2.5 / 2, rel=1e-10)
    assert total() == pytest.approx(after_pulse, rel=1e-12)
    assert sim.ledger.drift(sim.state) < 1e-12


@pytest.mark.parametrize("what", ["u", "y"])
def test_splitting_is_second_order_in_time(bq, order, what):
    """The whole wave (membrane fluxes, gates, buffer, diffusion) at 8 ms against steps of 0.39 us, same grid."""

    def solution(dt):
        sim = cs.Simulation(bq(spacing=0.1, length=6.0), dt=f"{dt} ms")
        sim.advance(1.0)
        sim.advance(8.0)
        return getattr(sim.state, what).copy()

    exact = solution(0.000390625)
    steps = np.array([0.0125, 0.00625, 0.003125])
    errors = [np.abs(solution(dt) - exact).max() for dt in steps]
    assert order(steps, errors) >= 1.9, errors


def test_large_steps_do_not_blow_up(bq):
    """Fixed steps of 50, 100 and 200 us: no negative or absurd value, gates between 0 and 1 (the wave itself is then inaccurate)."""
    for dt in (0.05, 0.1, 0.2):
        sim = cs.Simulation(bq(spacing=0.05, length=8.0), dt=f"{dt} ms")
        for t in range(2, 62, 2):
            sim.advance(float(t))
            c, y = sim.concentration("ca"), sim.state.y
            assert c.min() > 0, (dt, t, c.min())
            assert c.max() < 20, (dt, t, c.max())
            assert y.min() >= -1e-12, (dt, t, y.min())
            assert y.reshape(3, -1).sum(axis=0).max() <= 1 + 1e-12, (dt, t)
