"""What a model is made of: parts in lists or alone, parameters by name, and nothing that changes once it is made."""

import copy
import json
import pickle
import warnings
from dataclasses import asdict, replace

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.description.fixed import Fixed
from calcium_sim.meshes import neurite, well_mixed
from calcium_sim.plugin import LOCAL


def point():
    return well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "6 um^2")})


def calcium(name="ca"):
    return cs.Species(name, diffusion={"cytosol": "0 um^2/s"}, initial={"cytosol": "0.05 uM", "outside": "1 uM"})


def leak(**given):
    return cs.get_channel("leak/linear")(**{"permeability": "0.01 um/ms", **given})


def refused(call):
    """The message of the InputError; one line."""
    with pytest.raises(cs.InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assign(table, key):
    table[key] = 5.0


EDITS = {
    "a value of a channel": lambda m: assign(m.membranes["plasma"][0].values, "permeability"),
    "all values of a channel": lambda m: setattr(m.membranes["plasma"][0], "values", {"permeability": 5.0}),
    "update": lambda m: m.membranes["plasma"][0].values.update(permeability=5.0),
    "pop": lambda m: m.membranes["plasma"][0].values.pop("permeability"),
    "or": lambda m: m.membranes["plasma"][0].values.__ior__({"permeability": 5.0}),
    "the place of a channel": lambda m: setattr(m.membranes["plasma"][0], "at", "left"),
    "the scale of a channel": lambda m: setattr(m.membranes["plasma"][0], "scale", lambda x, y, z: 2.0 + x),
    "a start value": lambda m: assign(m.membranes["plasma"][0].initial, "h"),
    "channels of a membrane": lambda m: assign(m.membranes, "plasma"),
    "a resting value": lambda m: assign(m.species[0].initial, "cytosol"),
    "a diffusion": lambda m: m.species[0].diffusion.clear(),
    "a level of decay": lambda m: replace(m.species[0], rest={"cytosol": "0.1 uM"}).rest.setdefault("er", 1.0),
    "faces of the mesh": lambda m: assign(m.mesh.faces, "here"),
    "membranes of the mesh": lambda m: m.mesh.membranes.popitem(),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_is_made_cannot_be_edited(edit):
    model = cs.Model(point(), calcium(), {"plasma": leak()})
    assert "is fixed once it is made" in refused(lambda: EDITS[edit](model))


@pytest.mark.parametrize("dims", [1, 2])
def test_arrays_of_a_mesh_cannot_be_edited(dims):
    mesh = neurite("2 um", "0.4 um", "0.2 um", "0.5 um", dims=dims)
    parts = [mesh, *mesh.membranes.values(), *mesh.faces.values(), mesh.structure]
    held = [v for part in parts for v in vars(part).values()]
    labels = mesh.labels.values() if isinstance(mesh.labels, dict) else ()  # others are made when they are asked for
    arrays = [a for v in [*held, *labels] for a in (v if isinstance(v, tuple) else (v,)) if isinstance(a, np.ndarray)]
    assert len(arrays) > 12
    assert not any(a.flags.writeable for a in arrays)


def test_a_result_tells_what_ran():
    """1 um^3 behind 6 um^2: c = 1 - 0.95 exp(-6 P t), P = 0.01 um/ms, whatever was tried after the run was made."""
    model = cs.Model(point(), [calcium()], {"plasma": [leak()]})
    run = cs.Simulation(model, dt="0.01 ms")
    refused(lambda: EDITS["a value of a channel"](model))
    run.run("1 ms")
    told = json.loads(run.observe().attrs["model"])["membranes"]["plasma"][0]["values"]
    assert told == {"permeability": 0.01}
    assert run.concentration("ca")[0] == pytest.approx(1.0 - 0.95 * np.exp(-0.06), rel=1e-8)


def test_a_fixed_table_is_a_table():
    table = Fixed({"a": 1.0})
    for same in (copy.deepcopy(table), copy.copy(table), pickle.loads(pickle.dumps(table)), json.loads(json.dumps(table)), table | {}):
        assert same == {"a": 1.0}
    assert asdict(calcium())["initial"] == {"cytosol": 0.05, "outside": 1.0}
    model = cs.Model(point(), calcium(), {"plasma": leak()})
    assert replace(model, stimuli=[]).membranes == model.membranes
    assert pickle.loads(pickle.dumps(model.membranes["plasma"][0])).values == {"permeability": 0.01}


def test_one_part_needs_no_list():
    stimulus = cs.Set("ca", "1 uM", time="1 ms")
    buffer = cs.Buffer("b", binds="ca", region="cytosol", total="1 uM", kon="1 1/uM/s", koff="1 1/s")
    one, lists = calcium(), leak()
    alone = cs.Model(point(), one, {"plasma": lists}, buffer, stimulus)
    assert (alone.species, alone.buffers, alone.stimuli, dict(alone.membranes)) == ((one,), (buffer,), (stimulus,), {"plasma": (lists,)})
    assert cs.Model(point(), (s for s in [one])).species == (one,)


WRONG = {
    "a number": (lambda: cs.Model(point(), 3), "species: 3 is no list of cs.Species"),
    "a name": (lambda: cs.Model(point(), "ca"), "species: 'ca' is no list of cs.Species"),
    "names": (lambda: cs.Model(point(), ["ca"]), "species[0]: 'ca' is no cs.Species"),
    "none": (lambda: cs.Model(point(), calcium(), stimuli=None), "stimuli: None is no list of cs.Influx or cs.Set"),
    "a class": (lambda: cs.Model(point(), calcium(), {"plasma": cs.get_channel("leak/linear")}), "(call the class: get_channel('...')())"),
    "classes": (lambda: cs.Model(point(), calcium(), {"plasma": [cs.get_channel("leak/linear")]}), "membranes.plasma[0]: <class"),
    "membranes": (lambda: cs.Model(point(), calcium(), [leak()]), "is not a table, expected {membrane: [channels]}"),
    "a position": (
        lambda: cs.get_channel("leak/linear")("0.01 um/ms"),
        "leak/linear: '0.01 um/ms' is given without a name (write permeability='0.01 um/ms')",
    ),
    "places": (lambda: leak(at=[["basal"], "soma"]), "leak/linear.at: [['basal'], 'soma'] is no place, expected a label, the number of"),
    "places of a stimulus": (
        lambda: cs.Model(point(), calcium(), stimuli=cs.Set("ca", "1 uM", at=["a", 0.5])),
        "stimuli.ca.at[1]: 0.5 is no place",
    ),
    "a factor": (lambda: leak(scale=-1.0), "leak/linear.scale: -1 must be >= 0"),
    "start values": (lambda: leak(initial={"h": "a"}), "leak/linear.initial.h: 'a' is no finite number"),
    "a start value": (lambda: leak(initial=0.5), "leak/linear.initial: 0.5 is not a table"),
    "a long species": (lambda: cs.Model(point(), calcium("a" * 300)), "is written with 300 letters, expected at most 100"),
    "a long Greek species": (lambda: cs.Model(point(), calcium("ε" * 60)), "is written with 420 letters, expected at most 100"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused_when_it_is_made(case):
    call, message = WRONG[case]
    told = refused(call)
    assert message in told
    assert len(told) < 300


SCALES = {
    "for single numbers": (lambda x, y, z: 1.0 if x > 1.0 else 0.5, "fails on arrays of coordinates: ValueError"),
    "with a fault": (lambda x, y, z: x[1000], "fails on arrays of coordinates: IndexError"),
    "of too few": (
        lambda x: x,
        "the function asks for x, expected one of distance or of x, y, z (in um; further arguments with a default)",
    ),
    "of another shape": (lambda x, y, z: x[:2], "returned float64 of shape (2,), expected one number per place, shape (4,)"),
    "of a column": (lambda x, y, z: x[:, None], "of shape (4, 1), expected one number per place"),
    "of texts": (lambda x, y, z: "half", "expected one number per place"),
    "that is negative": (lambda x, y, z: -1.0 - x, "must return finite numbers >= 0"),
}


@pytest.mark.parametrize("case", SCALES)
def test_functions_of_coordinates_are_tried(case):
    scale, message = SCALES[case]
    mesh = neurite("2 um", "0.4 um", "0.2 um", "0.5 um")
    ca = cs.Species("ca", {"cytosol": "0 um^2/s", "er": "0 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM", "outside": "1 uM"})
    told = refused(lambda: cs.Simulation(cs.Model(mesh, ca, {"plasma": leak(scale=scale)})))
    assert told.startswith("membranes.plasma.leak/linear.scale: ")
    assert message in told


def test_places_for_single_numbers_are_told():
    mesh = neurite("2 um", "0.4 um", "0.2 um", "0.5 um")
    told = refused(lambda: mesh.select(lambda x, y, z: x > 1.0 and x < 2.0, np.arange(4, dtype=np.uint32), "at"))
    assert "at: the function fails on arrays of coordinates: ValueError" in told
    assert "use & and |" in told


def test_the_longest_names_are_written(tmp_path):
    """100 letters in every name of a description are 206 in a variable (a channel on two membranes); netCDF takes 256."""
    long = {k: k * 100 for k in "abcdefg"}
    mesh = well_mixed({long["a"]: "1 um^3"}, {long[k]: ((long["a"], "outside"), "6 um^2") for k in "bf"})
    species = cs.Species(long["c"], diffusion={long["a"]: "0 um^2/s"}, initial={long["a"]: "1 uM", "outside": "1 uM"})

    def channel(name):
        class Leak(cs.Channel):
            """One name on two membranes."""

            across, reads, moves = ("outside", long["a"]), {"c": f"{long['c']}@{long['a']}"}, {long["c"]: 1}
            params = {"k": (0.001, "um/ms")}

            @staticmethod
            def flux(y, x, p):
                return p.k * x.c

        Leak.name = name
        return Leak()

    buffer = cs.Buffer(long["d"], binds=long["c"], region=long["a"], total="1 uM", kon="1 1/uM/s", koff="1 1/s")
    model = cs.Model(mesh, species, {long[k]: channel(long["e"]) for k in "bf"}, buffer)
    ds = cs.simulate(model, until="1 ms", every="1 ms")
    ds.to_netcdf(tmp_path / "long.nc")
    assert max(len(str(v)) for v in ds.variables) > 200
    assert "is written with 101 letters" in refused(lambda: cs.Model(mesh, species, {long["b"]: channel("e" * 101)}))


SOURCE = '''
@channel("{name}")
class {cls}(Channel):
    """A flux."""

    across = ("outside", "cytosol")
    source = "none"

    @staticmethod
    def flux(y, x, p):
        return 0.0
'''


def test_the_name_of_an_installed_channel_is_taken():
    before = cs.get_channel("leak/linear")
    scope = {"Channel": cs.Channel, "channel": cs.channel, "__name__": "__main__"}
    told = refused(lambda: exec(SOURCE.format(name="leak/linear", cls="Mine"), scope))
    assert told.startswith("@channel('leak/linear'): is the name of a channel of calcium-sim ")
    assert cs.get_channel("leak/linear") is before


def test_a_name_given_twice_is_told():
    """By two classes; a class that is defined again, as in a notebook, takes its own name without a word."""
    scope = {"Channel": cs.Channel, "channel": cs.channel, "__name__": "__main__"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(SOURCE.format(name="test/twice", cls="One"), scope)
            exec(SOURCE.format(name="test/twice", cls="One"), scope)
        with pytest.warns(UserWarning, match=r"@channel\('test/twice'\): names __main__.One and __main__.Two; the second is used"):
            exec(SOURCE.format(name="test/twice", cls="Two"), scope)
    finally:
        LOCAL.pop("test/twice", None)


@pytest.mark.parametrize("name", ["", "my bad name", "a//b", "/", None])
def test_a_channel_has_a_name(name):
    """It stands in results, files and messages."""
    with pytest.raises(cs.InputError, match=r"is no name of a channel"):
        cs.channel(name)


def test_a_potential_that_fails_is_named():
    """With the time at which it does, and why."""
    mesh = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "1 um^2")})
    ca = cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "1 uM", "outside": "1 uM"})
    model = cs.Model(mesh, [ca], {"plasma": [cs.get_channel("leak/linear")(permeability="1 um/s")]}, voltage=lambda t: 1 / (t - t))
    with pytest.raises(cs.InputError, match=r"voltage: the function fails at t=0 ms: ZeroDivisionError: "):
        cs.simulate(model, until="1 ms")
