"""IP3 wave of Neymotin et al. (2015): rest, and a slow wave whose speed converges; a species that only diffuses beside it."""

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim import presets
from calcium_sim.meshes import neurite
from calcium_sim.results.diagnostics import first_crossing


def dendrite(length, spacing):
    return neurite(f"{length} um", "0.5 um", er_fraction=0.17, er_area_per_length="1 um^2/um", spacing=f"{spacing} um")


def test_rest_after_two_seconds():
    """Reached by NEURON's reaction-diffusion module and an independent solver as well: 0.03439 uM, 9.8321 uM, h 0.9200."""
    sim = cs.Simulation(presets.neymotin(dendrite(20, 1), hot_spots=False, stimulus=False))
    sim.advance(2000.0)
    seen = sim.concentration("ca")[0], sim.concentration("ca", "er")[0], sim.state.y[0]
    assert seen == pytest.approx((0.03439, 9.8321, 0.9200), rel=2e-4)


def test_a_species_that_no_reaction_touches_only_diffuses():
    """IP3 set in the middle keeps its amount and spreads as a Gaussian, x^2 = 2 D t, whatever calcium does."""
    sim = cs.Simulation(presets.neymotin(dendrite(200, 0.5), time="0 ms"))
    sim.frame()
    x, width = sim.model.mesh.distance[:400], {}
    start = sim.concentration("ip3").sum()
    for t in (1.0, 3.0):
        sim.advance(t)
        p = sim.concentration("ip3") - 0.1
        assert sim.concentration("ip3").sum() == pytest.approx(start, rel=1e-12)
        width[t] = (p @ (x - 100.0) ** 2) / p.sum()
    assert (width[3.0] - width[1.0]) / 2.0 == pytest.approx(2 * 1.415, rel=1e-4), width


def test_the_published_wave(run):
    """The preset as it is: 0.5 uM arrives when an independent port of the published code at the same spacing says (told to 0.1 ms)."""
    got = run(presets.neymotin(dendrite(1000, 1)), 4000.0, 2.0)
    first = first_crossing(got.t, got.c, 0.5) - 2000.0
    seen = first[np.searchsorted(got.x, [520.4, 550.4, 600.4, 650.4])]
    assert seen == pytest.approx([279.2, 602.6, 1249.1, 1966.8], abs=0.1)


def test_it_takes_the_hot_spot_in_the_middle(run):
    """The published 1.25 uM starts no wave on receptors that are the same everywhere."""
    got = run(presets.neymotin(dendrite(200, 1), hot_spots=False), 2500.0, 10.0)
    assert got.c.max() < 0.5, got.c.max()


def test_wave_speed_converges(run):
    """Second order in space, without hot spots: 2, 1, 0.5 um between 550 and 650 um.

    The limit of these three is that of 0.5 and 0.25 um (0.07324, 0.07341 um/ms, `benchmarks/ip3_wave.py`), to 1e-4.
    """
    speeds = []
    for dx in (2.0, 1.0, 0.5):
        got = run(presets.neymotin(dendrite(1000, dx), ip3="2.5 uM", hot_spots=False), 4500.0, 1.0)
        first, last = got.arrivals([550.0, 650.0], 0.5)
        speeds.append(100.0 / (last - first))
    steps = np.array(speeds)[1:] - np.array(speeds)[:-1]
    assert 1.8 < np.log2(steps[0] / steps[1]) < 2.3, speeds
    assert speeds[-1] + steps[1] / 3 == pytest.approx(0.07341 + (0.07341 - 0.07324) / 3, rel=1e-4), speeds
