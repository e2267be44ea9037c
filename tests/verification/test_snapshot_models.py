"""A saved simulation goes on with its own model only, and says where that is missing."""

from dataclasses import replace

import pytest

import calcium_sim as cs
from calcium_sim.meshes import neurite

CA = cs.Species("ca", {"cytosol": "220 um^2/s", "er": "220 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM", "outside": "1 mM"})


def small(**changes):
    model = cs.Model(neurite("2 um", "0.2 um", "0.1 um", spacing="0.5 um"), CA, {"er": [cs.get_channel("leak/linear")()]})
    return model.replace(changes) if changes else model


def test_another_model_is_refused(tmp_path):
    file = cs.Simulation(small()).save(tmp_path / "s.sim")
    with pytest.raises(cs.InputError, match="was saved with another model: species"):
        cs.Simulation.load(file, small(**{"species.ca.initial.er": "300 uM"}))
    with pytest.raises(cs.InputError, match="was saved with another model: mesh"):
        cs.Simulation.load(file, small(mesh=neurite("3 um", "0.2 um", "0.1 um", spacing="0.5 um")))


CHANGES = {
    "species.ca.diffusion.cytosol": "100 um^2/s",
    "species.ca.initial.outside": "2 mM",
    "species.ca.decay": "3 /s",
    "buffers.dye.total": "60 uM",
    "buffers.dye.kon": "11 1/uM/s",
    "buffers.dye.koff": "4 1/s",
    "buffers.dye.diffusion": "1 um^2/s",
    "membranes.er[0].permeability": "2 um/s",
    "membranes.er[0].at": "left",
    "membranes.er[0].scale": 2.0,
    "membranes.er[0].name": "other",
    "membranes.er": (),
    "stimuli[0].flux": "2 uM um/ms",
    "stimuli[0].duration": "2 ms",
    "stimuli[0].start": "4 ms",
    "stimuli[0].shape": "triangle",
    "stimuli[0].through": "er",
    "stimuli[0].at": "right",
    "stimuli[1].value": "5 uM",
    "stimuli[1].time": "2.5 ms",
    "stimuli[1].at": "right",
    "stimuli[1].region": "er",
    "stimuli": (),
    "voltage": "-60 mV",
}


@pytest.mark.filterwarnings("ignore")
def test_a_model_that_differs_in_one_thing_is_refused(tmp_path):
    """Whatever it is, be it still to come."""
    dye = cs.Buffer("dye", "ca", "cytosol", "50 uM", "10 1/uM/s", "5 1/s", "20 um^2/s")
    stimuli = [cs.Influx("ca", "left", "1 uM um/ms", "1 ms", start="2 ms", through="plasma"), cs.Set("ca", "1 uM", at="left", time="3 ms")]
    model = small(buffers=dye, stimuli=stimuli, voltage="-70 mV")
    simulation = cs.Simulation(model)
    simulation.run("0.5 ms")
    file = simulation.save(tmp_path / "s.sim")
    assert cs.Simulation.load(file, model).t == 0.5
    for path, value in CHANGES.items():
        with pytest.raises(cs.InputError, match=r"was saved with another model|does not fit to the model"):
            cs.Simulation.load(file, model.replace(path, value))


TABLE = [("0 ms", "-70 mV"), ("9 ms", "-70 mV")]


def test_another_array_label_or_function_is_refused(tmp_path):
    """What no description can show whole, the lowered numbers tell."""
    mesh = neurite("2 um", "0.2 um", "0.1 um", spacing="0.5 um")
    other = replace(mesh, labels={**mesh.labels, "left": mesh.labels["right"]})
    cases = [
        ({"membranes.er[0].scale": lambda distance: 1.0 + distance}, {"membranes.er[0].scale": lambda distance: 1.0 + 2.0 * distance}),
        ({"membranes.er[0].scale": {"left": 2.0, "*": 1.0}}, {"mesh": other, "membranes.er[0].scale": {"left": 2.0, "*": 1.0}}),
        ({"voltage": lambda t: -70.0}, {"voltage": lambda t: -70.0 + 0.1 * t}),
        ({"voltage": TABLE}, {"voltage": [*TABLE[:1], ("0.101 ms", "-70 mV"), ("0.102 ms", "20 mV"), ("0.103 ms", "-70 mV"), *TABLE[1:]]}),
        ({}, {"mesh": replace(mesh, structure=replace(mesh.structure, conductance=1.5 * mesh.structure.conductance))}),
    ]
    for before, after in cases:
        simulation = cs.Simulation(small(**before))
        simulation.run("0.5 ms")
        file = simulation.save(tmp_path / "s.sim")
        with pytest.raises(cs.InputError, match="was saved with another model"):
            cs.Simulation.load(file, small(**after))
        assert cs.Simulation.load(file, small(**before)).t == 0.5


def test_the_order_of_labels_that_overlap_tells_tables_apart():
    one, other = (
        cs.get_channel("leak/linear")(permeability=dict(rows))
        for rows in ([("a", "1 um/s"), ("b", "2 um/s")], [("b", "2 um/s"), ("a", "1 um/s")])
    )
    assert one != other
    assert one == one.replace()


def test_a_model_with_functions_is_asked_for(tmp_path):
    model = small(voltage=lambda t: -70.0)
    simulation = cs.Simulation(model)
    with pytest.warns(UserWarning, match=r"save: .*s\.sim holds no model: Model\.voltage: a lambda .*load\(path, model=\.\.\.\)"):
        file = simulation.save(tmp_path / "s.sim")
    with pytest.raises(cs.InputError, match=r"holds no model: Model\.voltage: a lambda .* \(give it: Simulation.load"):
        cs.Simulation.load(file)
    assert cs.Simulation.load(file, model).t == 0.0
