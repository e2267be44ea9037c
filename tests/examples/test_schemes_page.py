"""docs/schemes.md: its scheme runs as it stands there, is of second order, keeps the ledger, and agrees with the three that come along."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.meshes import neurite

PAGE = (Path(__file__).parents[2] / "docs" / "schemes.md").read_text()


@pytest.fixture(scope="module")
def heun():
    scope = {"__name__": "page"}
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, scope)
    return scope["Heun"]


def model(mesh):
    """Every kind of term: diffusion, channels with and without gates, a buffer, a decay, an influx."""
    ca = cs.Species(
        "ca", {"cytosol": "20 um^2/s", "er": "20 um^2/s"}, {"cytosol": "0.1 uM", "er": "200 uM", "outside": "1 mM"}, decay="20 1/s"
    )
    buffer = cs.Buffer("dye", "ca", "cytosol", "20 uM", "10 1/uM/s", "20 1/s", diffusion="10 um^2/s")
    er = [cs.get_channel("ryr/keizer-levine")(density="0.5 1/um^2"), cs.get_channel("serca/hill2")(vmax="0.02 uM*um/ms", km="0.2 uM")]
    plasma = [cs.get_channel("vgcc/borg-graham-n")(density="0.2 1/um^2"), cs.get_channel("pmca/hill2")(density="500 1/um^2")]
    push = cs.Influx("ca", "left", flux="0.05 uM*um/ms", duration="1 ms", through="plasma", shape="triangle")
    return cs.Model(mesh, [ca], {"er": er, "plasma": plasma}, [buffer], [push], voltage="-45 mV")


def calcium(scheme, mesh, **options):
    ds = cs.simulate(model(mesh), "2 ms", "1 ms", scheme=scheme, **options)
    assert float(ds.attrs["ledger_drift"]) < 1e-12
    return ds.ca.values[-1]


CABLE = neurite("2 um", "0.2 um", "0.1 um", "0.25 um")


def test_it_is_of_second_order_and_agrees_with_the_others(heun):
    right = calcium("columns", CABLE, dt="0.0005 ms")
    errors = [abs(calcium(heun, CABLE, dt=f"{dt} ms") - right).max() for dt in (0.02, 0.01)]
    assert 3.5 < errors[0] / errors[1] < 4.6, errors
    np.testing.assert_allclose(calcium("graph", CABLE, tolerance=1e-5), right, rtol=2e-5)
    np.testing.assert_allclose(calcium(heun, CABLE, tolerance=1e-4), right, rtol=2e-4)


def test_it_runs_on_every_mesh_that_has_nodes_and_edges(heun):
    graph = replace(CABLE, structure=None)
    np.testing.assert_allclose(calcium(heun, graph, dt="0.01 ms"), calcium(heun, CABLE, dt="0.01 ms"), rtol=1e-12)


def test_a_scheme_that_does_not_fit_is_refused(heun):
    grid = neurite("2 um", "0.2 um", "0.1 um", "0.25 um", dims=2)
    for scheme, told in (
        ("columns", r"scheme: 'columns' is not for this mesh, expected grid, graph"),
        ("rk4", r"scheme: unknown 'rk4'; there are columns, grid, graph"),
        (dict, r"scheme: .* is no scheme, expected columns, grid, graph, or a class made of schemes\.base\.Scheme"),
    ):
        with pytest.raises(cs.InputError, match=told):
            cs.Simulation(model(grid), scheme=scheme)
    assert "heun" not in cs.Simulation(model(grid)).stepper.name


def test_a_graph_says_which_channels_it_cannot_have():
    """A channel of the plasma membrane that reads calcium of the reticulum does on a cable, where every position has both."""
    ca = cs.Species("ca", {"cytosol": "220 um^2/s", "er": "220 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM", "outside": "2 mM"})
    entry = cs.Model(neurite("2 um", "0.3 um", "0.1 um", "0.1 um"), [ca], {"plasma": [cs.get_channel("soce/hill")(vmax="1e-3 uM*um/ms")]})
    assert cs.Simulation(entry, scheme="columns").t == 0.0
    told = r"membranes\.plasma: a channel reads 'ca' of 'er', which the membrane does not touch: scheme 'graph' cannot, expected 'columns'"
    with pytest.raises(cs.InputError, match=told):
        cs.Simulation(entry, scheme="graph")


def test_a_simulation_keeps_its_scheme(tmp_path, heun):
    """Saved and loaded it goes on by the same scheme; one that is a class goes to no file, which is told."""
    simulation = cs.Simulation(model(CABLE), scheme="graph")
    simulation.run("0.5 ms")
    again = cs.Simulation.load(simulation.save(tmp_path / "a.sim"))
    assert again.stepper.name == "graph"
    for s in (simulation, again):
        s.run("1 ms")
    np.testing.assert_array_equal(simulation.state.u, again.state.u)
    own = cs.Simulation(model(CABLE), scheme=heun)
    with pytest.raises(
        cs.InputError, match=r"save: the scheme Heun is a class, which no file can hold \(those of the package go by name\)"
    ):
        own.save(tmp_path / "b.sim")
    assert not (tmp_path / "b.sim").exists()
