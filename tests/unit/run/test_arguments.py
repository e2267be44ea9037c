"""What is passed to public functions: help names what they take, and something of another kind is told in one line."""

import inspect
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

import calcium_sim as cs
from calcium_sim import meshes, plot, presets
from calcium_sim import units as u
from calcium_sim.app.inspection import check_file
from calcium_sim.app.template import template
from calcium_sim.meshes import example, from_swc, neurite, well_mixed
from calcium_sim.presets import breit_queisser
from calcium_sim.run.limits import result_bytes

PUBLIC = [(place.__name__, name) for place in (cs, meshes, plot, presets) for name in dir(place) if name[0] != "_"]


@pytest.mark.parametrize(("place", "name"), PUBLIC)
def test_help_names_parameters_that_exist(place, name):
    """`Model` was said to take a temperature."""
    import importlib

    thing = getattr(importlib.import_module(place), name)
    found = re.search(r"Parameters\n-+\n(.*?)(?:\n\n\w+\n-+|\Z)", inspect.getdoc(thing) or "", re.S)
    if not found or (isinstance(thing, type) and issubclass(thing, Exception)) or not (inspect.isfunction(thing) or inspect.isclass(thing)):
        return
    rows = [line.split(":")[0] for line in found[1].splitlines() if re.match(r"[*\w]+(, [*\w]+)* :", line)]
    told = {word.strip("* ") for row in rows for word in row.split(",")}
    assert rows
    assert told <= set(inspect.signature(thing).parameters)


def point():
    mesh = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "1 um^2")})
    return cs.Model(mesh, [cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1 uM"})])


def figure():
    return Figure().add_subplot()


WRONG = {
    "model": (lambda ds, to: cs.simulate("model.toml", "1 ms"), r"model: 'model.toml' is a file name and no .*load\('model.toml'\)"),
    "simulation": (lambda ds, to: cs.Simulation(None), "model: None is no calcium_sim.Model"),
    "tolerance": (lambda ds, to: cs.simulate(point(), "1 ms", tolerance="fine"), "tolerance: 'fine' must be a positive"),
    "active": (lambda ds, to: cs.simulate(point(), "1 ms", active=[1]), r"active: \[1\] must be a positive"),
    "record": (lambda ds, to: cs.simulate(point(), "1 ms", record=3), "record: unknown '3'; there are ca, flux, po"),
    "letters": (lambda ds, to: cs.simulate(point(), "1 ms", record="c"), r"record: unknown 'c' \(did you mean 'ca'\?\)"),
    "advance": (lambda ds, to: cs.Simulation(point()).advance(None), r"until: 'None' is not a quantity, expected \[time\]"),
    "forever": (lambda ds, to: cs.Simulation(point()).advance(float("inf")), "until: inf is not finite, expected a number"),
    "at": (lambda ds, to: plot.traces(ds, at="here", ax=figure()), "at: 'here' is not a quantity"),
    "nowhere": (lambda ds, to: plot.traces(ds, at=[], ax=figure()), r"at: \[\] um must lie on the path"),
    "nan": (lambda ds, to: plot.traces(ds, at=float("nan"), ax=figure()), "at: nan is not finite"),
    "format": (lambda ds, to: plot.draw(plot.kymograph, ds, to / "k.foo"), r"k.foo: '.foo' is no format of a picture; there are .*png"),
    "no format": (lambda ds, to: plot.draw(plot.kymograph, ds, to / "k"), "'' is no format of a picture"),
    "picture": (lambda ds, to: plot.draw(plot.kymograph, ds, 3), "file: 3 is no file name"),
    "result": (lambda ds, to: plot.kymograph(ds.ca, ax=figure()), "ds: DataArray is no result"),
    "speed": (lambda ds, to: cs.wave_speed("out/wave.nc"), "ds: str is no result"),
    "total": (lambda ds, to: cs.total_calcium(3), "ds: int is no result"),
    "cite": (lambda ds, to: cs.cite(None), "ds: NoneType is no result"),
    "between": (lambda ds, to: cs.wave_speed(ds, between=5), r"between: 5 must be two places"),
    "between text": (lambda ds, to: cs.wave_speed(ds, between="8 um"), r"between: '8 um' must be two places"),
    "path": (lambda ds, to: cs.wave_speed(ds, path=("a", "b")), r"path: \('a', 'b'\) is no path"),
    "threshold": (lambda ds, to: cs.arrival_times(ds, threshold=float("nan")), "threshold: nan is not finite"),
    "below": (lambda ds, to: cs.arrival_times(ds, threshold=-1), r"threshold: -1\.0 must be a positive"),
    "species": (lambda ds, to: cs.arrival_times(ds, species=None), "species: None is no name of a species, expected text"),
    "save": (lambda ds, to: cs.save(3, to / "x.nc"), "save: int is no result"),
    "save to": (lambda ds, to: cs.save(ds, 3), "save: 3 is no file name"),
    "open": (lambda ds, to: cs.open(3), "open: 3 is no file name"),
    "module": (lambda ds, to: cs.export_channel(3, to / "x.pt", kind="rates", inputs={}, licence="MIT"), "module: 3 is no network"),
    "load": (lambda ds, to: cs.load_channel(3), "path: 3 is no file name"),
    "get": (lambda ds, to: cs.get_channel(3), "channel: 3 is no name of a channel"),
    "check": (lambda ds, to: cs.check_channel(3), "channel: 3 is no channel"),
    "within": (lambda ds, to: cs.within(1, 2), r"within: 1 has no unit, expected \[length\]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_argument_of_another_kind_is_told_in_one_line(name, cable, tmp_path):
    call, told = WRONG[name]
    with pytest.raises(cs.InputError, match=told) as error:
        call(cable, tmp_path)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_one_is_as_good_as_a_list_of_one(cable):
    for at in (10, 10.0, np.int64(10), "10 um", 0.01 * u.mm, [10], np.array([10])):
        plot.traces(cable, at=at, ax=(ax := figure()))
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), cable.ca.values[:, 49])
    assert list(cs.simulate(point(), "1 ms", record="ca").data_vars) == list(cs.simulate(point(), "1 ms", record=["ca"]).data_vars)
    sim = cs.Simulation(point())
    for end in (1, 2.0, 3 * u.ms, "4 ms"):
        sim.advance(end)
    assert sim.t == 4.0


def test_a_step_above_the_interval_of_the_outputs_is_told():
    """dt of 5 ms, 200 outputs in 20 ms: steps of 0.1 ms. With outputs every 5 ms there is nothing to tell, and four steps."""
    with pytest.warns(cs.ModelWarning, match=r"dt: 5 ms is longer than the 0.1 ms between two observations: steps are of 0.1 ms"):
        assert cs.simulate(point(), "20 ms", dt="5 ms").attrs["steps"] == 200
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cs.simulate(point(), "20 ms", "5 ms", dt="5 ms").attrs["steps"] == 4


def test_outputs_farther_apart_than_the_run_is_long_are_told():
    with pytest.warns(cs.ModelWarning, match="every: 10 ms is longer than the run of 4 ms: the result has its start and its end only"):
        assert list(cs.simulate(point(), "4 ms", "10 ms").time.values) == [0.0, 4.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cs.simulate(point(), "4 ms", "4 ms")


def test_a_tolerance_that_no_step_is_chosen_for_is_told():
    """The measure of a step's error is cut at 0.01: above it the error of a speed no longer follows."""
    for wrong in (1, 2.0, 200):
        with pytest.raises(cs.InputError, match=f"tolerance: {wrong:g} is no relative error of a speed, expected below 1"):
            cs.Simulation(point(), tolerance=wrong)
    with pytest.warns(cs.ModelWarning, match="tolerance: 0.5 is more than steps can be chosen for, 0.01 on this mesh is what they are"):
        loose = cs.simulate(cells()["cable"], "1 ms", tolerance=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cs.simulate(cells()["cable"], "1 ms", tolerance=0.0099).attrs["steps"] >= loose.attrs["steps"]


@pytest.mark.parametrize("kind", ["point", "cable", "grid", "tree", "graph"])
@pytest.mark.parametrize("record", [None, ("ca",), ("flux",), ("po", "calbindin")])
def test_the_estimated_size_is_that_of_the_result(kind, record):
    """What `calcium-sim check` says and what the Dataset takes, within 3 % (measured: 1.5 %); open probabilities of pumps counted, too."""
    model = replace(cells()[kind], stimuli=())
    ds = cs.simulate(model, "1 ms", "0.01 ms", record=record)
    assert any(str(k).startswith("flux_") for k in ds) == (record is None or "flux" in record)
    assert result_bytes(model, 1.0, 0.01, record) == pytest.approx(ds.nbytes, rel=0.03, abs=4000)


@pytest.mark.parametrize("kind", ["point", "cable", "grid", "tree", "graph"])
def test_a_mesh_is_printed_in_a_few_lines(kind):
    model = cells()[kind]
    mesh = model.mesh
    parts = [mesh, mesh.structure, *mesh.membranes.values(), *mesh.faces.values()]
    for text in map(repr, parts):
        assert "array" not in text
        assert len(text) < 600
    assert f"{mesh.start[1]} nodes in cytosol" in repr(mesh)
    assert all(name in repr(mesh) for name in mesh.membranes)
    assert "array" not in repr(model)


def cells():
    """One model per kind of mesh."""
    cable, grid = neurite("10 um", "0.2 um", "0.1 um", "0.1 um"), neurite("2 um", "0.2 um", "0.1 um", "0.1 um", dims=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = from_swc(example("granule-cell"), "5 um", er_fraction=0.25)
    volumes = {"cytosol": "1 um^3", "er": "0.2 um^3"}
    spot = well_mixed(volumes, {"er": (("er", "cytosol"), "1 um^2"), "plasma": (("cytosol", "outside"), "6 um^2")})
    meshes = {"point": spot, "cable": cable, "grid": grid, "tree": tree, "graph": replace(cable, structure=None)}
    return {k: breit_queisser(mesh, stimulus=()) for k, mesh in meshes.items()}


def test_a_stimulus_after_the_end_is_told(tmp_path):
    """By the run and by `check`; one that begins before the end, and a Set at the end, are not."""
    pulse = cs.Influx("ca", None, "1 uM*um/ms", "1 ms", start="20 ms", through="plasma")
    jump = cs.Set("ca", "1 uM", time="20.5 ms")
    model = replace(point(), stimuli=(pulse, jump))
    with pytest.warns(cs.ModelWarning) as told:
        cs.simulate(model, "20 ms", "20 ms")
    assert [str(w.message).split(",")[0] for w in told] == ["stimuli.ca: begins at 20 ms", "stimuli.ca: begins at 20.5 ms"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cs.simulate(replace(model, stimuli=(pulse, cs.Set("ca", "1 uM", time="21 ms"))), "21 ms", "21 ms")
    file = tmp_path / "late.toml"
    file.write_text(template().replace('duration = "1 ms"', 'duration = "1 ms"\nstart = "1000 ms"'))
    assert any(re.match(r"warning +stimuli\.ca: begins at 1000 ms, but the run ends", line) for line in check_file(file))
