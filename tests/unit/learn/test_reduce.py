"""A neuron reduced to one compartment: derivatives, the fit, the model and its files, wrong input."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.learn.trace import compartment
from calcium_sim.learn.trace.axial import Axial
from calcium_sim.learn.trace.cell import point_cell
from calcium_sim.meshes import from_swc, neurite, well_mixed

CA1 = Path(__file__).parents[4] / "shared" / "data" / "morphologies" / "ca1_n120.swc"
POINT = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "5 um^2")})
TREE = "1 1 0 0 0 8 -1\n2 3 8 0 0 1.5 1\n3 3 158 0 0 1 2\n4 3 258 60 0 0.6 3\n5 3 258 -60 0 0.6 3\n"


def neuron(mesh, current=300.0, duration=20.0):
    channels = [
        cs.get_channel("na/pospischil")(g={"soma": "0.05 S/cm^2", "*": "0.02 S/cm^2"}),
        cs.get_channel("k/pospischil")(),
        cs.get_channel("leak/ohmic")(g="0.1 mS/cm^2", e="-70 mV"),
    ]
    clamp = cs.CurrentClamp("soma", f"{current} pA", f"{duration} ms", start="3 ms")
    return cs.Model(mesh, [], {"plasma": channels}, voltage=cs.Cable(initial="-70 mV"), stimuli=[clamp])


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    path = tmp_path_factory.mktemp("cell") / "cell.swc"
    path.write_text(TREE)
    return neuron(from_swc(path, "25 um", er_fraction=None))


@pytest.fixture(scope="module")
def reduced(forked):
    return cs.learn.reduce(forked, rng=1)


def test_sensitivities_are_the_derivatives_of_the_simulation(forked):
    there, where = compartment._checked(forked, "soma")
    point, form = compartment._point(forked, there, where), Axial(3, 5)
    times = np.linspace(0.0, 12.0, 121)
    target = cs.learn.Recording(times, -70.0 + 5.0 * np.sin(times))
    run, w = compartment._shooting(form, point_cell(point, (), None), target), form.start(np.random.default_rng(1))
    w += 0.1 * np.random.default_rng(2).normal(size=len(w))
    v, by = run.sensitive(w, 0.3)
    np.testing.assert_array_equal(v, run.voltage(w, 0.3))
    for k in [*range(0, form.network, 7), *range(form.network, form.size)]:
        step = np.zeros(len(w))
        step[k] = 1e-5
        change = (run.voltage(w + step, 0.3) - run.voltage(w - step, 0.3)) / 2e-5
        np.testing.assert_allclose(by[:, k], change, atol=1e-6 * max(1.0, np.abs(change).max()))


def test_the_place_has_its_own_channels(forked):
    """Sodium is denser at the soma than on average, and the compartment has that of the soma."""
    there, where = compartment._checked(forked, "soma")
    point = compartment._point(forked, there, where)
    assert point.mesh.membranes["plasma"].area[0] == pytest.approx(4 * np.pi * 8.0**2)  # a cylinder as long as wide
    sodium = point.membranes["plasma"][0]
    assert sodium.values["g"] * (sodium.scale or 1.0) == pytest.approx(0.05)


def test_the_end_of_a_current_that_is_a_table(forked):
    """As that of the pulse that it describes."""
    table = cs.CurrentClamp("soma", [("3 ms", "300 pA"), ("23 ms", "300 pA")])
    assert compartment._end(replace(forked, stimuli=[table])) == pytest.approx(compartment._end(forked))


def test_a_forked_neuron_as_one_compartment(reduced):
    """0.1 to 0.4 mV over five seeds; at least two spikes."""
    assert np.count_nonzero(np.diff((reduced.target.voltage > -10.0).astype(int)) == 1) >= 2
    assert reduced.error < 1.0
    assert "positions reduced to one with 2 latent states and 136 weights" in str(reduced)


def test_the_compartment_is_a_model_like_any_other(reduced, tmp_path):
    """In the program's solver with small steps it does what the fit says (0.02 mV measured): by class, by a Python file, by a network."""
    whole = float(reduced.target.time[-1])
    for file, until, bound in ((None, whole, 0.1), (tmp_path / "axial.py", whole, 0.1), (tmp_path / "axial.pt", 6.0, 0.3)):
        if file is not None:
            reduced.export(file)
        model = reduced.model(file)
        assert model.mesh.nodes == 1
        ds = cs.simulate(model, f"{until} ms", "0.1 ms", tolerance=1e-5, record=[])
        v = ds.v.values[:, 0]
        assert np.sqrt(np.mean((v - reduced.voltage[: len(v)]) ** 2)) < bound
        assert ds.attrs["ledger_drift"] < 1e-10
    again = cs.get_channel(f"{tmp_path / 'axial.py'}:Axial")()
    assert set(type(again).states) == {"z1", "z2"}


def test_the_same_seed_gives_the_same_numbers(forked, reduced):
    assert np.array_equal(cs.learn.reduce(forked, rng=1).weights, reduced.weights)


def test_pictures(reduced, tmp_path):
    assert len(reduced.plot(tmp_path / "r.png").axes) == 2
    assert (tmp_path / "r.png").stat().st_size > 10_000


@pytest.mark.skipif(not CA1.exists(), reason="shared/data/morphologies/ca1_n120.swc is not here")
def test_a_pyramidal_cell_of_the_hippocampus():
    """157 positions; 0.15 to 0.3 mV over five seeds (benchmarks/learn_reduce.py)."""
    mesh = from_swc(CA1, "1000 um", er_fraction=None)
    channels = [
        cs.get_channel("na/pospischil")(),
        cs.get_channel("k/pospischil")(),
        cs.get_channel("km/pospischil")(g="0.004 mS/cm^2", tau_max="4000 ms"),
        cs.get_channel("leak/ohmic")(g="0.1 mS/cm^2", e="-70 mV"),
    ]
    clamp = cs.CurrentClamp("soma", "0.65 nA", "40 ms", start="10 ms")
    model = cs.Model(mesh, [], {"plasma": channels}, voltage=cs.Cable(initial="-70 mV"), stimuli=[clamp])
    assert cs.learn.reduce(model, rng=3).error < 1.0


def changed(model, **parts):
    return replace(model, **parts)


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        (lambda m: None, {}, "model: None is no model"),
        (lambda m: changed(m, stimuli=[]), {}, "stimuli: there are none"),
        (lambda m: changed(m, stimuli=[cs.CurrentClamp("tips", "1 pA", "1 ms")]), {}, r"stimuli\[0\]\.at: is not where the compartment is"),
        (lambda m: changed(m, stimuli=[cs.VoltageClamp("soma", "-70 mV")]), {}, r"stimuli\[0\]: is no CurrentClamp"),
        (lambda m: m, {"at": "axon"}, "axon"),
        (lambda m: m, {"latents": 0}, "latents: 0, expected a whole number from 1 to 4"),
        (lambda m: m, {"hidden": 4.5}, "hidden: 4.5, expected a whole number"),
        (lambda m: m, {"until": "5 mV"}, "until"),
        (lambda m: cs.Model(POINT, [], voltage=cs.Cable()), {"at": 0},
         "has one position, expected a cable or tree"),
        (lambda m: cs.Model(neurite("50 um", "1 um", spacing="10 um"), [cs.Species("ca", {"cytosol": "1 um^2/s"}, {"cytosol": "0.1 uM"})],
                            voltage=cs.Cable()), {"at": 0}, "has ca, expected an electrical neuron"),
    ],
)  # fmt: skip
def test_wrong_input_is_told_in_one_line(forked, change, options, told):
    model = change(forked)
    with pytest.raises(cs.InputError, match=told) as error:
        cs.learn.reduce(model, **options)
    assert "\n" not in str(error.value)
