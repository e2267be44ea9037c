"""A wave in a reconstructed granule cell: it runs along dendrites and through branch points, and its arrivals converge."""

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.meshes import example, from_swc


@pytest.fixture(scope="module")
def waves(bq, run):
    """The first 70 ms of a wave from tip 0 on two spacings; the ER is a coaxial tube of 17 % of the cross-section, 40 uM calbindin."""
    runs = {}
    for dx in (0.5, 0.25):
        mesh = from_swc(example("granule-cell"), f"{dx} um")
        start = mesh.position[mesh.faces["tip-0"].nodes[0]]
        push = cs.Influx(
            "ca", at=lambda x, y, z, s=start: (x - s[0]) ** 2 + (y - s[1]) ** 2 + (z - s[2]) ** 2 < 9.0,
            flux="5 uM um/ms", duration="1 ms", shape="ramp-down", through="plasma",
        )  # fmt: skip
        runs[dx] = run(bq(mesh=mesh, total=40.0, stimuli=[push]), 70.0, 0.5)
    return runs


def first(got):
    """Arrival at every node, NaN where the wave has not been."""
    from calcium_sim.diagnostics import first_crossing

    return first_crossing(got.t, got.c, 0.2)


def test_every_reached_place_is_reached_from_its_neighbour(waves):
    """Away from the start the wave comes along the tree: no place before all of its neighbours."""
    got = waves[0.25]
    arrival, parent = first(got), got.simulation.model.mesh.structure.parent
    n = len(arrival)
    before = np.full(n, np.inf)
    known = np.where(np.isnan(arrival), np.inf, arrival)
    np.minimum.at(before, np.arange(1, n), known[parent[1:]])
    np.minimum.at(before, parent[1:], known[1:])
    reached = np.isfinite(known) & (known > 3.0)
    assert reached.sum() > 100, reached.sum()
    assert (before[reached] < known[reached] + 1e-3).mean() > 0.99
    assert known[0] == np.inf  # the soma is still far away


def test_arrivals_converge(waves):
    """Halving the spacing moves the arrival at the same places by a few percent."""
    coarse, fine = waves[0.5], waves[0.25]
    positions = [got.simulation.model.mesh.position[: len(got.x)] for got in (coarse, fine)]
    times = [first(got) for got in (coarse, fine)]
    reached = np.flatnonzero(times[0] > 15.0)
    nearest = [int(np.argmin(((positions[1] - positions[0][k]) ** 2).sum(axis=1))) for k in reached]
    change = times[1][nearest] / times[0][reached] - 1
    assert len(reached) > 30
    assert np.isfinite(change).all()
    assert np.abs(change).max() < 0.1, change


def test_books_close_on_a_tree(waves):
    sim = waves[0.25].simulation
    sim.frame()
    assert sim.ledger.drift(sim.state) < 1e-13
