"""What descriptions are given: something of another kind is told in one line that names the place and the fix."""

import os
import threading
from dataclasses import replace

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim import units as u
from calcium_sim.app.template import template
from calcium_sim.config import build_mesh, load
from calcium_sim.errors import CalciumSimError, InputError
from calcium_sim.meshes import example, from_swc, neurite, well_mixed

MESH = neurite("3 um", "0.2 um", er_radius="0.1 um", spacing="0.5 um")
CA = cs.Species("ca", {"cytosol": "220 um^2/s", "er": "220 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM", "outside": "1000 uM"})


def species(**given):
    return cs.Species(**{"name": "ca", "diffusion": {"cytosol": "1 um^2/s"}, "initial": {"cytosol": "1 uM"}} | given)


def buffer(**given):
    row = {"name": "b", "binds": "ca", "region": "cytosol", "total": "1 uM", "kon": "1 /uM/s", "koff": "1 /s"}
    return cs.Model(MESH, CA, buffers=cs.Buffer(**row | given))


def influx(**given):
    row = {"species": "ca", "at": "left", "flux": "1 uM um/s", "duration": "1 ms"}
    return cs.Model(MESH, CA, stimuli=cs.Influx(**row | given))


def jump(**given):
    return cs.Model(MESH, CA, stimuli=cs.Set(**{"species": "ca", "value": "1 uM"} | given))


def model(**given):
    return cs.Model(**{"mesh": MESH, "species": CA} | given)


def point(**given):
    return well_mixed(**{"volumes": {"cytosol": "1 um^3"}} | given)


def swc(**given):
    return from_swc(**{"path": example("granule-cell"), "spacing": "20 um"} | given)


def run(**given):
    return cs.simulate(**{"model": model(), "until": "1 ms"} | given)


ODD = [
    None, True, "", "abc", "nan um", "1e400 uM", float("nan"), float("inf"), -1.0, [], {}, (1, 2), b"x", object(), 1j,
    np.array([1.0, 2.0]), np.ma.masked, "a" * 5000, np.array([1, 2]) * u.um, np.ones((30, 30)), {1: 2}, ["ca"], set(), cs.BALANCE,
    lambda *a: 1 / 0,
]  # fmt: skip
MADE = {
    species: ("name", "diffusion", "initial", "decay", "rest"),
    buffer: ("name", "binds", "region", "total", "kon", "koff", "diffusion"),
    influx: ("species", "at", "flux", "duration", "shape", "start", "period", "count", "through", "region"),
    jump: ("species", "value", "at", "time", "region"),
    model: ("mesh", "voltage"),
    point: ("volumes", "membranes"),
    swc: ("path", "spacing", "er_fraction", "er_radius"),
    run: ("until", "every", "tolerance", "dt", "record", "threads", "active", "progress"),
}


def told(make, name, given):
    """The line with which it is refused; none if it is taken, or if the function that was given failed in its own way."""
    try:
        make(**{name: given})
    except CalciumSimError as error:
        return str(error)
    except ZeroDivisionError:
        if make is not run or not callable(given):
            raise
        return ""
    return ""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", MADE, ids=lambda f: f.__name__)
def test_no_traceback_for_anything(make):
    """Every argument of every part of a description, given 25 odd things: one line of the package, or taken."""
    lines = [told(make, name, given) for name in MADE[make] for given in ODD]
    assert sum(map(bool, lines)) > len(lines) / 2
    assert not any("\n" in line for line in lines)
    assert max(map(len, lines)) < 900  # what was given is cut, be it of 5000 letters (measured: 854)


TOLD = {
    "mesh: None is no Mesh (make one: cs.meshes.neurite": lambda: model(mesh=None),
    "species.ca.initial: None is not a table": lambda: species(initial=None),
    "species.ca.initial: unknown region 'out' (did you mean 'outside'?); the mesh has cytosol, er, outside": lambda: model(
        species=species(diffusion={"cytosol": "1 um^2/s", "er": "1 um^2/s"}, initial={"cytosol": "1 uM", "er": "1 uM", "out": "1 uM"})
    ),
    "species.ca.rest: unknown region 'cytosl' (did you mean 'cytosol'?)": lambda: model(species=replace_rest({"cytosl": "1 uM"})),
    "stimuli.ca.through: unknown membrane 'membrane'; the mesh has plasma, er": lambda: influx(through="membrane"),
    "stimuli.ca.at: a function (distance 0 to 1 um) is not a face of the mesh (left, left-er, right, right-er); name the membrane with "
    "through = 'plasma'": lambda: influx(at=cs.within("0 um", "1 um")),
    "stimuli.ca.at: everywhere is not a face of the mesh": lambda: influx(at=None),
    "stimuli.ca.period: 5 ms without a number of pulses (give count=, or leave period out for one)": lambda: influx(period="5 ms"),
    "stimuli.ca.count: 3 pulses need a whole number >= 1 and a period": lambda: influx(count=3),
    "stimuli.ca.count: 2.0 pulses need": lambda: influx(count=2.0, period="5 ms"),
    "stimuli.ca.count: True pulses need": lambda: influx(count=True, period="5 ms"),
    "stimuli.ca.duration: 1e-14 ms is too short for a pulse at 1000 ms: times have 16 digits, expected at least 1e-07 ms": lambda: influx(
        start="1000 ms", duration="1e-14 ms"
    ),
    "tolerance: 10000": lambda: run(tolerance=10**400),
    "from_swc.path: None is no file name": lambda: swc(path=None),
    "from_swc.er_radius: the function fails at a radius of": lambda: swc(er_radius=lambda r: r / 0),
    "well_mixed.membranes: ['er'] is not a table": lambda: point(membranes=["er"]),
    "voltage: [1, 2] is no table, expected a potential (e.g. '-70 mV'), a function": lambda: model(voltage=(1, 2)),
    "voltage: 3 times and 2 potentials": lambda: model(voltage=(np.arange(3) * u.ms, np.arange(2) * u.mV)),
    "voltage: times have no unit, expected a potential": lambda: model(voltage=(np.arange(3.0), np.arange(3.0))),
    "progress: True is no function, expected one of (time reached, end) in ms": lambda: run(progress=True),
    "until: 1e+300 ms asks for more than 1e+09 steps or outputs": lambda: cs.Simulation(model()).advance(1e300),
    "until: 1e+12 ms asks for more than 1e+09 steps or outputs": lambda: run(until="1e12 ms"),
    "until: 1000 ms asks for more than 1e+09": lambda: run(until="1 s", every="1e-9 ms"),
    "run: the result takes ": lambda: run(until="1 s", every="1e-5 ms"),
}


def replace_rest(rest):
    return species(diffusion={"cytosol": "1 um^2/s", "er": "1 um^2/s"}, initial={"cytosol": "1 uM", "er": "1 uM"}, rest=rest)


@pytest.mark.parametrize("start", TOLD, ids=range(len(TOLD)))
def test_what_is_told(start):
    with pytest.raises(InputError) as error:
        TOLD[start]()
    assert str(error.value).startswith(start), str(error.value)
    assert "\n" not in str(error.value)


def test_one_pulse_and_trains():
    """A count of one with a period is one pulse; whole numbers of numpy are whole."""
    assert influx().stimuli[0].count == 1
    assert influx(period="5 ms", count=1).stimuli[0].count == 1
    assert influx(period="5 ms", count=np.int64(3)).stimuli[0].count == 3


def test_a_file_tells_of_a_period_without_a_count(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text(template().replace('duration = "1 ms"', 'duration = "1 ms"\nperiod = "5 ms"'))
    with pytest.raises(InputError, match=r"stimuli\[0\]\.period: 5 ms without a number of pulses"):
        load(file)


TABLE = [(0.0, -70.0), (1.0, -70.0), (1.5, 20.0), (3.0, -65.0)]
T, V = np.array(TABLE).T
FORMS = {
    "pairs": [(t * u.ms, v * u.mV) for t, v in TABLE],
    "texts": [(f"{t} ms", f"{v} mV") for t, v in TABLE],
    "two arrays": (T * u.ms, V * u.mV),
    "other units": (T / 1000 * u.s, V / 1000 * u.V),
    "a list of two arrays": [T * 1000 * u.us, V * u.mV],
    "lists of quantities": ([t * u.ms for t in T], [v * u.mV for v in V]),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_of_the_potential_in_any_form(form):
    np.testing.assert_allclose(model(voltage=FORMS[form]).voltage, TABLE, rtol=1e-15)


def test_two_arrays_of_two():
    two = (T[:2] * u.ms, V[:2] * u.mV)
    assert model(voltage=two).voltage == tuple(TABLE[:2])
    assert model(voltage=(["0 ms", "1 ms"], ["-70 mV", "-70 mV"])).voltage == tuple(TABLE[:2])
    again = replace(model(voltage=two))
    assert again.voltage == tuple(TABLE[:2])


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs devices")
@pytest.mark.parametrize("kind", ["zero", "link", "pipe", "folder"])
def test_only_files_with_an_end_are_read(kind, tmp_path):
    """Devices and pipes never end, or never begin; a pipe has a writer here, so that a reader would get further."""
    path = tmp_path / "a.swc"
    if kind == "zero":
        path = "/dev/zero"
    elif kind == "link":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    done = []

    def read():
        for call in (lambda: from_swc(path, "1 um"), lambda: build_mesh("swc", path=str(path), spacing="1 um"), lambda: load(path)):
            with pytest.raises(InputError, match=r"is no regular file|is a directory"):
                call()
            done.append(1)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(60)
    assert len(done) == 3
