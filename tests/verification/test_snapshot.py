"""A simulation that was copied, sent, or saved and loaded goes on as if nothing had been: the same bits."""

import copy
import pickle
import sys
import warnings
from hashlib import sha256

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.meshes import from_simplices, neurite
from calcium_sim.model.plainly import packed, unpacked
from calcium_sim.run.snapshot import _KEPT, MAGIC, kept

CA = cs.Species("ca", {"cytosol": "220 um^2/s", "er": "220 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM", "outside": "1 mM"})


def tetrahedra():
    """A column of cubes, six tetrahedra each; the upper half of each row of cubes is the store."""
    corners = [[0, 1, 3, 7], [0, 1, 5, 7], [0, 2, 3, 7], [0, 2, 6, 7], [0, 4, 5, 7], [0, 4, 6, 7]]
    points = [[x * 0.5, y * 0.5, z * 0.5] for x in range(9) for y in (0, 1) for z in (0, 1)]
    order = np.array([0, 4, 2, 6, 1, 5, 3, 7])  # corner (dx, dy, dz) of a cube as a number in `points`
    cells = [[4 * cube + order[c] for c in row] for cube in range(8) for row in corners]
    return from_simplices(points, cells, ["er" if k >= 24 else "cytosol" for k in range(len(cells))])


def channels(membrane, *more):
    names = {"er": ["ryr/keizer-levine", "serca/er-inhibited", "leak/linear"], "plasma": ["pmca/hill2", "leak/linear"]}[membrane]
    given = {"leak/linear": {"permeability": cs.BALANCE}, "pmca/hill2": {"density": "500 1/um^2"}}
    return [*(cs.get_channel(n)(**given.get(n, {})) for n in names), *more]


def spikes(t):
    return -70.0 + 60.0 * np.exp(-(((t % 4.0) - 2.0) ** 2) / 0.1)


def models():
    cable = neurite("12 um", "0.2 um", "0.1 um", spacing="0.08 um")
    grid = neurite("4 um", "0.3 um", "0.15 um", spacing="0.1 um", dims=2)
    stimuli = [cs.Influx("ca", "left", "800 uM*um/s", "0.5 ms", period="1 ms", count=4), cs.Set("ca", "1 uM", at="left", time="2.5 ms")]
    dnn, gate = cs.get_channel("ryr/dnn")(density="2 1/um^2"), cs.get_channel("vgcc/borg-graham-n")()
    law = cs.get_channel("ryr/scalar-law")()
    return {
        "cable": cs.Model(cable, CA, {"er": channels("er", dnn), "plasma": channels("plasma", gate)}, stimuli=stimuli, voltage=spikes),
        "cable with du/dt": cs.Model(cable, CA, {"er": [law, *channels("er")[1:]]}, stimuli=stimuli),
        "grid": cs.Model(grid, CA, {"er": channels("er")}, stimuli=stimuli),
        "tetrahedra": cs.Model(tetrahedra(), CA, {"er": channels("er")}, stimuli=[cs.Set("ca", "3 uM", lambda x, y, z: x < 1, "0.5 ms")]),
    }


def compared(simulation):
    """Everything that a run leaves, but for the time that it took."""
    ds = simulation.observe()
    ds.attrs.pop("phase_seconds")
    rest = kept(simulation)
    rest[""].pop("seconds")
    return ds, rest


def assert_same(a, b):
    ds, rest = compared(a)
    other, theirs = compared(b)
    assert ds.identical(other)
    np.testing.assert_equal(rest, theirs)


@pytest.mark.parametrize("kind", ["cable", "cable with du/dt", "grid", "tetrahedra"])
@pytest.mark.parametrize("options", [{}, {"dt": "0.02 ms"}], ids=["chosen", "fixed"])
@pytest.mark.filterwarnings("ignore")
def test_goes_on_with_the_same_bits(kind, options, tmp_path):
    """In the middle of a stimulus, after outputs; against the one that was not touched."""
    model = models()[kind]
    whole = cs.Simulation(model, **options, threshold={"ca": 0.3})
    for t in (0.3, 1.1, 2.2):
        whole.run(f"{t} ms")
        whole.observe()
    whole.run("2.3 ms")
    file = whole.save(tmp_path / "half.sim")
    others = [copy.deepcopy(whole), cs.Simulation.load(file, model)]
    if kind not in ("cable", "tetrahedra"):  # these hold functions of this file
        others += [pickle.loads(pickle.dumps(whole)), cs.Simulation.load(file)]
    for other in others:
        np.testing.assert_equal(kept(other), kept(whole))
    for simulation in (whole, *others):
        simulation.run("3.7 ms")
    first = compared(whole)
    for other in others:
        ds, rest = compared(other)
        assert ds.identical(first[0])
        np.testing.assert_equal(rest, first[1])


def small(**changes):
    model = cs.Model(neurite("2 um", "0.2 um", "0.1 um", spacing="0.5 um"), CA, {"er": [cs.get_channel("leak/linear")()]})
    return model.replace(changes) if changes else model


def test_values_over_places_are_saved(tmp_path):
    """Labels, points, arrays, nodes and names of channels; a function is asked for with its model."""
    mesh = neurite("2 um", "0.2 um", "0.1 um", spacing="0.5 um")
    leak, start = cs.get_channel("leak/linear"), {"cytosol": np.array([0.05, 0.1, 0.2, 0.1]) * cs.units.uM, "er": "250 uM"}
    channels = [
        leak(permeability={"left": "1 um/s", "*": "2 um/s"}, name="one"),
        leak(scale=[["0 um", 1.0], ["2 um", 3.0]], at=["left", 2]),
    ]
    model = cs.Model(mesh, [cs.Species("ca", {"cytosol": "220 um^2/s", "er": "0 um^2/s"}, start)], {"er": channels})
    simulation = cs.Simulation(model)
    simulation.run("0.5 ms")
    other = cs.Simulation.load(simulation.save(tmp_path / "s.sim"))
    assert other.model == model == pickle.loads(pickle.dumps(model))
    for each in (simulation, other):
        each.run("1 ms")
    np.testing.assert_array_equal(simulation.state.u, other.state.u)
    assert model.replace("membranes.er.one.permeability.left", "3 um/s") != model


def test_a_branch_does_not_touch_what_it_came_from():
    trunk = cs.Simulation(small(), dt="0.1 ms")
    trunk.run("1 ms")
    before = kept(trunk)
    branch = copy.deepcopy(trunk)
    branch.run("2 ms")
    np.testing.assert_equal(kept(trunk), before)
    assert branch.t == 2.0


CACHES = ("work", "scratch", "factors", "sources.buffer", "region_args", "membrane_args", "kept", "undo", "pacing.gap", "rows", "_fixed")
"""What is made anew in every step or for every length of step, by the end of its path."""


def leaves(thing, path, out, seen):
    """Everything that can change in what is reachable from an object of ours: arrays, numbers, texts."""
    if id(thing) in seen or isinstance(thing, (cs.Model, type)) or callable(thing):
        return
    if isinstance(thing, np.ndarray):
        out[path] = thing.tobytes()
    elif isinstance(thing, (int, float, str, bytes, type(None))):
        out[path] = thing
    elif isinstance(thing, dict):
        seen.add(id(thing))
        for key, value in list(thing.items()):
            leaves(value, f"{path}.{key}", out, seen)
    elif isinstance(thing, (list, tuple)):
        seen.add(id(thing))
        out[f"{path}.len"] = len(thing)
        for k, value in enumerate(thing):
            leaves(value, f"{path}[{k}]", out, seen)
    elif type(thing).__module__.startswith("calcium_sim"):
        seen.add(id(thing))
        for name in [*getattr(thing, "__dict__", ())]:
            leaves(getattr(thing, name), f"{path}.{name}", out, seen)


@pytest.mark.filterwarnings("ignore")
def test_every_part_that_changes_is_kept():
    """All that is reachable from a simulation, before and after a run: what has changed is kept, or a cache."""
    simulation = cs.Simulation(models()["cable"])
    simulation.run("0.3 ms")
    found = []
    for _ in range(2):
        out = {}
        leaves(simulation, "", out, set())
        found.append(out)
        simulation.run("3 ms")
        simulation.observe()
    before, after = found
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    listed = [f".{part}.{name}" if part else f".{name}" for part, names in _KEPT.items() for name in names]
    same_thing = {
        ".loop.ranges.parts": ".ranges.rows",
        ".loop.ranges": ".ranges",
        ".loop.control": ".control",
        ".stepper.counts": ".ranges.rows",
        ".loop.observers[0]": ".watch",
    }

    def known(path):
        for other, part in same_thing.items():
            path = path.replace(other, part, 1) if path.startswith(other) else path
        return any(path.startswith(start) for start in listed) or any(f".{name}" in path for name in CACHES)

    assert len(changed) > 30
    assert not [path for path in changed if not known(path)]


DAMAGE = {
    "nothing": (lambda b: b"", "is no saved simulation"),
    "a text": (lambda b: b"hello", "is no saved simulation"),
    "another version": (lambda b: b.replace(b"simulation 1\n", b"simulation 9\n"), "by another version of calcium-sim"),
    "cut short": (lambda b: b[:-7], "damaged or cut short"),
    "a flipped bit": (lambda b: b[:900] + bytes([b[900] ^ 4]) + b[901:], "damaged or cut short"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_files_are_told(kind, tmp_path):
    damage, message = DAMAGE[kind]
    file = cs.Simulation(small()).save(tmp_path / "s.sim")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises((cs.InputError, cs.StorageError), match=message):
        cs.Simulation.load(file)


def forged(body, find, put):
    """Plain data with a text replaced in its JSON, or nothing where it has no such text."""
    size = int.from_bytes(body[:8], "big")
    text, rest = body[8 : 8 + size], body[8 + size :]
    new = text.replace(find, put, 1)
    return b"" if new == text else len(new).to_bytes(8, "big") + new + rest


def saved(path, find=None, put=None, **changes):
    """A file that is whole by its digest, with texts replaced in its JSON, or with other contents."""
    simulation = cs.Simulation(small())
    simulation.run("0.5 ms")
    body = simulation.save(path).read_bytes()[len(MAGIC) + 32 :]
    if changes:
        content = unpacked(body, "test")
        for name, value in changes.items():
            at = content
            *way, last = name.split("__")
            for part in way:
                at = at[part]
            at[last] = value
        body = packed(content)
    if find is not None:
        content = unpacked(body, "test")
        content["model"] = forged(content["model"], find, put)
        body = packed(content) if content["model"] else forged(body, find, put)
    path.write_bytes(MAGIC + sha256(body).digest() + body)
    return path


FORGED = {
    "a class that is no part": {"find": b'"is": "Species"', "put": b'"is": "Popen"'},
    "a module that is not imported": {"find": b'"calcium_sim.channels.leaks"', "put": b'"antigravity"'},
    "a function in place of a class": {"find": b'"LinearLeak"', "put": b'"linear"'},
    "an array of objects": {"find": b'"float64"', "put": b'"object"'},
    "an array of another type": {"find": b'"dtype": "float64"', "put": b'"dtype": ["f8"]'},
    "an array beyond the file": {"find": b'"shape": [8]', "put": b'"shape": [800000000000]'},
    "an array of many dimensions": {"find": b'"shape": [8]', "put": b'"shape": [1, 1, 8, -1]'},
    "a value that is refused": {"find": b'"name": "ca"', "put": b'"name": 3'},
    "nested": {"find": b'"ca"', "put": b"[" * 3000 + b"]" * 3000},
    "no JSON": {"find": b'{"is"', "put": b"{"},
    "something else": {"model": 3},
    "a text for the model": {"model": "gone"},
    "no options": {"options": {"tolerance": 1e-3}},
    "options of another kind": {"options__threads": (1, 2)},
    "a description that is none": {"description": "[" * 100, "digest": ""},
    "another array": {"memory__state__u": np.zeros(3)},
    "no array": {"memory__state__u": "much"},
    "books of a stranger": {"memory__ledger__channels": {"na": {"a": 1.0}}},
    "times of a stranger": {"memory____seconds": {"setup": 1.0}},
    "a mesh with labels of another length": {"find": b'"regions"', "put": b'"regionz"'},
    "a part that is a list": {"memory__state": [1, 2]},
    "a negative concentration": {"memory__state__u": np.array([-1.0] * 8)},
    "no number": {"memory__state__t": float("nan")},
    "no step": {"memory__control__step": 0.0},
    "a ledger of texts": {"memory__ledger__channels": {"a": 5}},
    "inputs of networks": {"memory__state__known": np.zeros((1, 1))},
    "other code": {"sources": {"leak/linear": "0123"}},
    "another model": {"digest": "0" * 64},
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_files_are_refused_in_one_line(kind, tmp_path):
    file = saved(tmp_path / "s.sim", **FORGED[kind])
    params = dict(cs.get_channel("leak/linear").params)
    with pytest.raises(cs.InputError) as caught:
        cs.Simulation.load(file)
    assert "\n" not in str(caught.value)
    assert "antigravity" not in sys.modules
    assert dict(cs.get_channel("leak/linear").params) == params


def test_numbers_come_back_as_they_were():
    """To the last bit, with their types; NaN and infinities, empty tables, numpy's scalars."""
    value = {
        "a": [1, 1.0, True, None, float("inf"), -0.0, 5e-324, 2**80, "ü"],
        ("x", 1, False): ({1, 2}, frozenset(), b"\x00\xff", np.float64(0.1), np.bool_(True), np.int32(7)),
        "c": np.array([[np.nan, 1.0], [-np.inf, 3.0]]), "d": np.array([], np.int64), "e": np.array([True, False]), "f": {},
    }  # fmt: skip
    back = unpacked(packed(value), "test")
    np.testing.assert_equal(back, value)
    assert [type(v) for v in back["a"]] == [type(v) for v in value["a"]]
    assert [type(v) for v in back[("x", 1, False)]] == [type(v) for v in value[("x", 1, False)]]
    assert np.signbit(back["a"][5])


@pytest.mark.parametrize("place", ["torch:_dynamo.X", "scipy:optimize.X", "calcium_sim:learn.X"])
def test_no_module_is_imported_by_a_file(place, tmp_path):
    """Modules have names that they import when they are asked for."""
    module, name = place.split(":")
    file = saved(tmp_path / "s.sim", find=b'"LinearLeak"', put=f'"{name}"'.encode())
    body = file.read_bytes()[len(MAGIC) + 32 :]
    content = unpacked(body, "test")
    content["model"] = forged(content["model"], b'"calcium_sim.channels.leaks"', f'"{module}"'.encode())
    body = packed(content)
    file.write_bytes(MAGIC + sha256(body).digest() + body)
    __import__(module)
    before = set(sys.modules)
    with pytest.raises(cs.InputError, match="is no channel class"):
        cs.Simulation.load(file)
    assert set(sys.modules) == before


def test_bytes_stand_for_one_array_only():
    """Entries that name the same bytes would be a file of 4 MB for gigabytes of memory."""
    whole = packed([np.zeros(1000), np.zeros(1000)])
    body = forged(whole, b'"at": 8000', b'"at": 0   ')
    for damaged in (body, whole + b"0" * 8, whole[:-8], forged(whole, b'"at": 8000', b'"at": 7000')):
        with pytest.raises(cs.InputError, match=r"an array is cut short, or stands elsewhere|bytes at its end belong to nothing"):
            unpacked(damaged, "test")


def test_what_was_said_is_not_said_again(tmp_path):
    """A coarse cable says so once; loading it says nothing."""
    thick = neurite("4 um", "0.5 um", "0.2 um", spacing="0.5 um")
    model = cs.Model(thick, CA, {"er": channels("er")})
    with pytest.warns(cs.ModelWarning):
        simulation = cs.Simulation(model)
    file = simulation.save(tmp_path / "s.sim")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cs.Simulation.load(file)
        copy.deepcopy(simulation)
