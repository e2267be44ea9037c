"""Descriptions are values: equal when what they hold is, changed by making a new one, the same in another process."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.config import build, parse
from calcium_sim.meshes import from_simplices, from_swc, neurite, well_mixed
from calcium_sim.meshes.swc import example
from calcium_sim.units import Canonical, value

TOML = """
voltage = "-70 mV"
[mesh]
kind = "neurite"
length = "4 um"
radius = "0.2 um"
er_radius = "0.1 um"
spacing = "0.5 um"
[[species]]
name = "ca"
diffusion = { cytosol = "220 um^2/s", er = "220 um^2/s" }
initial = { cytosol = "0.05 uM", er = "250 uM", outside = "1 mM" }
[[species]]
name = "ip3"
diffusion = { cytosol = "280 um^2/s" }
initial = { cytosol = "0.1 uM" }
[[buffers]]
name = "calbindin"
binds = "ca"
region = "cytosol"
total = "40 uM"
kon = "27 1/uM/s"
koff = "19 1/s"
[[membranes.er]]
channel = "ryr/dnn"
density = "3 1/um^2"
at = { x = ["0 um", "2 um"] }
[[membranes.er]]
channel = "ip3r/li-rinzel"
[[membranes.er]]
channel = "serca/er-inhibited"
density = "2000 1/um^2"
[[membranes.er]]
channel = "leak/linear"
permeability = "balance"
[[membranes.plasma]]
channel = "pmca/hill2"
density = "500 1/um^2"
[[membranes.plasma]]
channel = "leak/linear"
permeability = "balance"
[[stimuli]]
species = "ca"
at = "left"
flux = "2500 uM*um/s"
duration = "1 ms"
[[stimuli]]
species = "ca"
value = "1 uM"
at = { distance = ["0 um", "1 um"] }
time = "2 ms"
[run]
until = "1 ms"
"""


def model():
    return build(parse(TOML))[0]


PATHS = {
    "buffers.calbindin.total": ("160 uM", lambda m: m.buffers[0].total, 160.0),
    "buffers[0].koff": ("20 1/s", lambda m: m.buffers[0].koff, 0.02),
    "species.ca.initial.er": ("300 uM", lambda m: m.species[0].initial["er"], 300.0),
    "species.ip3.decay": ("2 1/s", lambda m: m.species[1].decay, 0.002),
    "species.ip3.rest": ({"cytosol": "0.2 uM"}, lambda m: (m.species[1].rest or {}).get("cytosol"), 0.2),
    "membranes.er.serca/er-inhibited.density": ("1000 1/um^2", lambda m: m.membranes["er"][2].values["density"], 1000.0),
    "membranes.er[0].at": ("left", lambda m: m.membranes["er"][0].at, "left"),
    "membranes.er.ip3r/li-rinzel.initial.h": (0.5, lambda m: m.membranes["er"][1].initial.get("h"), 0.5),
    "membranes.plasma.leak/linear.permeability": ("1 um/s", lambda m: m.membranes["plasma"][1].values["permeability"], 0.001),
    "membranes.plasma": ([], lambda m: m.membranes["plasma"], ()),
    "stimuli[0].flux": ("1 uM*um/ms", lambda m: m.stimuli[0].flux, 1.0),
    "stimuli[1].time": ("3 ms", lambda m: m.stimuli[1].time, 3.0),
    "voltage": ("-60 mV", lambda m: m.voltage, -60.0),
}


@pytest.mark.parametrize("path", PATHS)
def test_one_thing_is_changed(path):
    given, look, right = PATHS[path]
    before = model()
    after = before.replace(path, given)
    assert look(after) == right
    assert after != before
    assert after == model().replace({path: given})
    assert before == model()
    old = look(before)
    if isinstance(old, Canonical):  # and back again, with the number that was there
        assert after.replace(path, old) == before


def test_several_things_are_changed_at_once():
    """A species is renamed with all that names it, which no order of single changes could do."""
    names = {"species.ip3.name": "ip", "species.ca.name": "ca"}
    simple = model().replace({"membranes.er": [], **names})
    assert [s.name for s in simple.species] == ["ca", "ip"]


WRONG = {
    "buffers.calbindn.total": "buffers.calbindn.total: unknown 'calbindn' (did you mean 'calbindin'?); there are calbindin",
    "buffer.calbindin.total": "buffer.calbindin.total: unknown 'buffer' (did you mean 'buffers'?); there are mesh, species",
    "buffers.calbindin.totl": "buffers.calbindin.totl: unknown 'totl' (did you mean 'total'?)",
    "membranes.er.serca/er-inhibited.densty": "membranes.er.serca/er-inhibited.densty: unknown 'densty' (did you mean 'density'?)",
    "membranes.er[4].density": "membranes.er[4]: there are 4, counted from 0",
    "species.ca.initial.es": "species.ca.initial: unknown region 'es'",
    "stimuli.ca.flux": "stimuli.ca: there are 2 of this name (write stimuli[0] or stimuli[1])",
    "mesh.volume": "mesh: is as its builder made it (give another mesh), so that there is no 'volume'",
    "voltage.start": "voltage: is -70.0 and has no parts, so that there is no 'start'",
    "buffers.calbindin.total.x": "buffers.calbindin.total: is 40.0 and has no parts, so that there is no 'x'",
    "": "replace: unknown ''; there are mesh",
    "membranes.er[0].density.": "membranes.er[0].density.: a name is missing in this path",
}


@pytest.mark.parametrize("path", WRONG)
def test_paths_that_lead_nowhere(path):
    with pytest.raises(cs.InputError) as caught:
        model().replace(path, "1 uM")
    assert WRONG[path] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_is_a_text():
    with pytest.raises(cs.InputError, match="replace: 3 with a value beside it: expected a path and a value"):
        model().replace(3, "1 uM")
    for odd in (["a", "b"], {"voltage": None}):
        with pytest.raises(cs.InputError, match=r"replace: .* with a value beside it: expected a path and a value, or a table"):
            model().replace(odd, "1 uM")
    with pytest.raises(cs.InputError, match="stimuli: there are none"):
        model().replace("stimuli", []).replace("stimuli[0].flux", "1 uM*um/s")


def tetrahedron():
    points = [[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
    return from_simplices(points, [[0, 1, 2, 3], [1, 2, 3, 4]], ["er", "cytosol"])


MESHES = {
    "point": lambda: well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "6 um^2")}),
    "cable": lambda: neurite("3 um", "0.2 um", "0.1 um", spacing="0.5 um"),
    "grid": lambda: neurite("3 um", "0.2 um", "0.1 um", spacing="0.5 um", dims=2),
    "tree": lambda: from_swc(example("granule-cell"), spacing="5 um"),
    "tetrahedra": tetrahedron,
}


@pytest.mark.parametrize("kind", MESHES)
def test_meshes_are_values(kind):
    mesh, again = MESHES[kind](), MESHES[kind]()
    assert mesh == again
    assert hash(mesh) == hash(again)
    assert pickle.loads(pickle.dumps(mesh)) == mesh
    assert replace(mesh, volume=2.0 * mesh.volume) != mesh
    assert mesh != "mesh"
    assert len({mesh, again}) == 1


def test_models_are_values():
    one, other = model(), model()
    assert one == other
    assert hash(one) == hash(other)
    for part, twin in zip([*one.species, *one.buffers, *one.stimuli], [*other.species, *other.buffers, *other.stimuli], strict=True):
        assert part == twin == pickle.loads(pickle.dumps(part)) == copy.deepcopy(part) == replace(part)
        assert hash(part) == hash(twin)
    for channels, twins in zip(one.membranes.values(), other.membranes.values(), strict=True):
        assert channels == twins
        assert hash(channels) == hash(twins)
    assert one == pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == replace(one)
    assert one.membranes["er"][0] != one.membranes["er"][0].replace(density="2 1/um^2")
    assert pickle.loads(pickle.dumps(cs.BALANCE)) is cs.BALANCE is copy.deepcopy(cs.BALANCE)


def test_a_potential_is_a_value():
    table = replace(model(), voltage=[("0 ms", "-70 mV"), ("1 ms", "0 mV")])
    assert table == pickle.loads(pickle.dumps(table)) == replace(table)
    assert table != model()


def test_a_number_remembers_its_unit():
    given = value("220 um^2/s", "um^2/ms", "diffusion")
    assert (given, type(given + 1.0), repr(given)) == (0.22, float, "0.22")
    assert value(given, "um^2/ms", "diffusion") is given
    assert pickle.loads(pickle.dumps(given)).unit == copy.copy(given).unit == "um^2/ms"
    with pytest.raises(cs.InputError, match="has dimension \\[diffusion\\], expected \\[concentration\\]"):
        value(given, "uM", "total")
    assert value(Canonical(2.0, "um^2/ms"), "um^2/s", "diffusion") == 2000.0


def test_what_is_relaxed_to_follows_the_start():
    """`rest` that is not given is the initial value, also after that has changed: nothing moves."""
    ip3 = replace(model().species[1], decay="1 1/s", initial={"cytosol": "0.3 uM", "outside": "0 uM"})
    point = MESHES["point"]()
    np.testing.assert_array_equal(cs.simulate(cs.Model(point, ip3), "50 ms", "50 ms").ip3, 0.3)
    low = cs.simulate(cs.Model(point, replace(ip3, rest={"cytosol": "0 uM"})), "50 ms", "50 ms").ip3.values[-1, 0]
    assert low == pytest.approx(0.3 * np.exp(-0.05), rel=1e-5)


def test_descriptions_print_as_one_writes_them():
    m = model()
    assert repr(m.buffers[0]) == (
        'Buffer(name="calbindin", binds="ca", region="cytosol", total="40 uM", kon="0.027 1/uM/ms", koff="0.019 1/ms")'
    )
    names = {"Buffer": cs.Buffer, "Species": cs.Species, "Influx": cs.Influx}
    for part in (m.buffers[0], *m.species, m.stimuli[0]):
        assert eval(repr(part), names) == part
    assert repr(m.membranes["er"][3]) == "leak/linear(permeability=BALANCE)"
    lines = repr(m).splitlines()
    assert lines[0].startswith("Model of Mesh(")
    assert max(map(len, lines)) < 300
    assert '  voltage   "-70 mV"' in lines


def growing(distance):
    return 1.0 + distance


def steady_leak(t):
    return -70.0 + 0.0 * t


class Own(cs.Channel):
    """A leak of one's own."""

    reads = {"c": "ca@cytosol"}
    params = {"k": (0.01, "um/ms")}

    @staticmethod
    def flux(y, x, p):
        return -p.k * x.c


def test_what_no_other_process_can_have_is_told():
    def local(x, y, z):
        return x > 0

    class Inner(Own):
        """Known here only."""

    cases = {
        "membranes.plasma[0].scale": lambda distance: 1.0 + distance,
        "membranes.plasma[0].at": local,
    }
    for path, function in cases.items():
        changed = model().replace(path, function)
        assert copy.deepcopy(changed) == changed
        with pytest.raises(cs.InputError, match=r"pmca/hill2\.(at|scale): .* cannot go to a file or another process \(use a label"):
            pickle.dumps(changed)
    with pytest.raises(cs.InputError, match=r"Inner: its class cannot be found as .*Inner"):
        pickle.dumps(Inner())
    with pytest.raises(cs.InputError, match=r"Model\.voltage: a lambda cannot go to a file"):
        pickle.dumps(replace(model(), voltage=lambda t: -70.0))
    with pytest.raises(cs.InputError, match=r"Set\.at: .*local, a function within a function"):
        pickle.dumps(model().replace("stimuli[1].at", local))
    whole = replace(model(), voltage=steady_leak, membranes={"plasma": Own(scale=growing)})
    assert pickle.loads(pickle.dumps(whole)) == whole


def test_errors_come_back_from_processes():
    error = pickle.loads(pickle.dumps(cs.InputError("buffers.b.total", "0 uM must be > 0")))
    assert (error.where, error.message) == ("buffers.b.total", "0 uM must be > 0")
    with pytest.raises(cs.InputError) as caught:
        build(parse(TOML.replace("40 uM", "-40 uM").replace('"ip3"', '"ca"')))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def last(given):
    return cs.simulate(given, until="0.2 ms", every="0.1 ms").ca.values[-1]


def test_models_go_to_other_processes(monkeypatch):
    """The same numbers come back from a process that was started afresh: BALANCE, an own channel, a place, a stimulus."""
    mesh = MESHES["cable"]()
    ca = cs.Species("ca", {"cytosol": "220 um^2/s", "er": "0 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM", "outside": "1 mM"})
    leak = cs.get_channel("leak/linear")(permeability=cs.BALANCE)
    wave = cs.Model(mesh, ca, {"plasma": [Own(k="1 um/s", at=cs.within("0 um", "1 um")), leak]}, stimuli=cs.Set("ca", "1 uM", at="left"))
    monkeypatch.syspath_prepend(Path(__file__).parents[3])  # the other process imports this module to find Own
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as workers:
        found = workers.submit(last, wave).result()
    np.testing.assert_array_equal(found, last(wave))
