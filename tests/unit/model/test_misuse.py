"""What people do without knowing that it is wrong: accepted as meant, or refused in one line with place and fix; never without a word."""

import pathlib
import re

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim import units as u
from calcium_sim.meshes import well_mixed

MESH = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "1 um^2")})
CABLE = cs.meshes.neurite("1 um", "0.2 um", spacing="0.5 um")
CA = cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1 uM"})
LEAK = cs.get_channel("leak/linear")


def model(**given):
    return cs.Model(**{"mesh": MESH, "species": CA} | given)


def run(**given):
    return cs.simulate(**{"model": model(), "until": "1 ms", "every": "1 ms"} | given)


def pulse(**given):
    return cs.Influx(**{"species": "ca", "at": None, "through": "plasma", "flux": "1 uM*um/s", "duration": "1 ms"} | given)


def at_2_ms():
    sim = cs.Simulation(model())
    sim.run("2 ms")
    return sim


def set_to(thing, **given):
    for name, value in given.items():
        setattr(thing, name, value)


def leaky():
    return LEAK(permeability="1 um/s")


REFUSED = {
    "back": (lambda: at_2_ms().run("1 ms"), r"^until: 1 ms lies before the 2 ms that the run has reached; a run goes forward only"),
    "back by advance": (lambda: at_2_ms().advance(1.0), r"^until: 1 ms lies before the 2 ms"),
    "step back": (lambda: at_2_ms().step("-1 ms"), r"^duration: -1 ms must be >= 0; a run goes forward only"),
    "step of True": (lambda: at_2_ms().step(True), r"^duration: 'True' is not a quantity, expected \[time\] \(e\.g\. '10 ms'\)"),
    "until before 0": (lambda: run(until="-1 ms"), r"^until: -1 ms must be > 0 \(e\.g\. '10 ms'\)"),
    "until without a unit": (lambda: run(until=1), r"^until: 1 has no unit, expected \[time\]"),
    "every of 0": (lambda: run(every="0 ms"), r"^every: 0 ms must be > 0"),
    "every of False": (lambda: run(every=False), r"^every: 'False' is not a quantity"),
    "dt below 0": (lambda: run(dt="-1 us"), r"^dt: -0\.001 ms must be > 0"),
    "tolerance of True": (lambda: run(tolerance=True), r"^tolerance: True must be a positive finite number"),
    "active of True": (lambda: run(active=True), r"^active: True must be a positive"),
    "no threads": (lambda: run(threads=0), r"^threads: 0 is not a number of threads, expected 1, 2"),
    "threads of True": (lambda: run(threads=True), r"^threads: True is not a number of threads"),
    "record": (lambda: run(record="cal"), r"^record: unknown 'cal' \(did you mean 'ca'\?\)"),
    "progress": (lambda: run(progress=True), r"^progress: True is no function, expected one of \(time reached, end\) in ms \(e\.g\. print"),
    "progress of one": (lambda: run(progress=lambda t: None), r"^progress: .* is no function, expected one of \(time reached, end\)"),
    "threshold": (lambda: run(threshold=True), r"^threshold: 'True' is not a quantity"),
    "file as model": (lambda: cs.simulate("wave.toml", "1 ms"), r"^model: 'wave\.toml' is a file name .* \(read the file: from .* load"),
    "path as model": (lambda: cs.Simulation(pathlib.Path("wave.toml")), r"^model: 'wave\.toml' is a file name"),
    "class as model": (lambda: cs.simulate(cs.Model, "1 ms"), r"^model: .* is no calcium_sim\.Model \(make one: cs\.Model\("),
    "path as mesh": (lambda: model(mesh=pathlib.Path("cell.swc")), r"^mesh: .*'cell\.swc'\) is no Mesh \(make one: .*from_swc\(path"),
    "position": (lambda: LEAK("0.01 um/ms"), r"^leak/linear: '0\.01 um/ms' is given without a name \(write permeability='0\.01 um/ms'\)"),
    "True": (lambda: LEAK(permeability=True), r"^leak/linear\.permeability: 'True' is not a quantity"),
    "comma": (lambda: LEAK(permeability="0,01 um/ms"), r"^leak/linear\.permeability: '0,01 um/ms': .* \(write '0\.01 um/ms'\)"),
    "table": (lambda: leaky().values.update(permeability=5.0), r"the table of permeability is fixed once it is made.*Model\.swap"),
    "attribute": (lambda: set_to(leaky(), permeability="5 um/s"), r"^leak/linear\.permeability: is fixed once it is made.*Model\.swap"),
    "values": (lambda: set_to(leaky(), values={}), r"^leak/linear\.values: is fixed once it is made"),
    "species": (lambda: CA.initial.update(cytosol=1.0), r"the table of cytosol, outside is fixed once it is made"),
    "membrane": (lambda: model().membranes.update(plasma=[leaky()]), r"is fixed once it is made"),
    "class in a list": (lambda: model(membranes={"plasma": [LEAK]}), r"^membranes\.plasma\[0\]: .* \(call the class"),
    "name in a list": (lambda: model(membranes={"plasma": "leak/linear"}), r"^membranes\.plasma: .* \(write cs\.get_channel\('leak"),
    "membranes": (lambda: model(membranes=[leaky()]), r"^membranes: .* is not a table, expected \{membrane: \[channels\]\}"),
    "None": (lambda: model(stimuli=None), r"^stimuli: None is no list of .* \(leave it out for none\)"),
    "channel class": (lambda: cs.get_channel(LEAK), r"^channel: .* \(it is a channel class: call it with parameters\)"),
    "potential": (lambda: model(voltage=-70), r"^voltage: -70 has no unit, expected \[voltage\] \(e\.g\. '-70 mV'\)"),
    "potential of text": (lambda: model(voltage="-70"), r"^voltage: '-70' has no unit"),
    "potential of True": (lambda: model(voltage=True), r"^voltage: 'True' is not a quantity"),
    "potential of a file": (lambda: model(voltage="v.csv"), r"^voltage: 'v\.csv' is the name of a file \(read it: t, v = numpy\.loadtxt"),
    "potentials": (lambda: model(voltage=np.array([-70.0, 0.0])), r"^voltage: .* is no table, expected .* two arrays with units"),
    "potentials in mV": (lambda: model(voltage=np.array([-70.0, 0.0]) * u.mV), r"^voltage: .* is no table, expected"),
    "function to None": (lambda: run(model=model(voltage=lambda t: None)), r"^voltage: the function returned None at t=0 ms, expec"),
    "function to text": (lambda: run(model=model(voltage=lambda t: "-70 mV")), r"^voltage: the function returned '-70 mV' at t=0 ms"),
    "function to True": (lambda: run(model=model(voltage=lambda t: True)), r"^voltage: the function returned True"),
    "function of nothing": (lambda: run(model=model(voltage=lambda: -70)), r"^voltage: the function fails at t=0 ms: TypeError"),
    "count of 0": (lambda: pulse(count=0), r"^stimuli\.ca\.count: 0 pulses need a whole number >= 1"),
    "count of 2.5": (lambda: pulse(count=2.5, period="2 ms"), r"^stimuli\.ca\.count: 2\.5 pulses need a whole number"),
    "count of True": (lambda: pulse(count=True, period="2 ms"), r"^stimuli\.ca\.count: True pulses"),
    "count of text": (lambda: pulse(count="2", period="2 ms"), r"^stimuli\.ca\.count: '2' pulses"),
    "count alone": (lambda: pulse(count=2), r"^stimuli\.ca\.count: 2 pulses need .* and a period"),
    "period alone": (lambda: pulse(period="2 ms"), r"^stimuli\.ca\.period: 2 ms without a number of pulses \(give count="),
    "period below 0": (lambda: pulse(period="-2 ms", count=3), r"^stimuli\.ca\.period: -2 ms must be > 0"),
    "duration of 0": (lambda: pulse(duration="0 ms"), r"^stimuli\.ca\.duration: 0 ms must be > 0"),
    "start below 0": (lambda: pulse(start="-1 ms"), r"^stimuli\.ca\.start: -1 ms must be >= 0"),
    "value below 0": (lambda: cs.Set("ca", "-1 uM"), r"^stimuli\.ca\.value: -1 uM must be >= 0"),
    "fluxes": (lambda: pulse(flux=np.array([1.0, 2.0])), r"^stimuli\.ca\.flux: 2 numbers have no unit, expected an array in uM\*um/ms"),
    "swapped tables": (lambda: cs.Species("ca", {"er": "1 uM"}, {"er": "1 um^2/s"}), r"^species\.ca\.diffusion\.er: '1 uM' has dimension"),
    "limits": (lambda: cs.within("50 um", "10 um"), r"^within: 50 um to 10 um: the limits are swapped \(the lower one comes first\)$"),
    "label of a face": (lambda: CABLE.select("lft", np.arange(2), "at"), r"^at: unknown place 'lft' .*; the mesh has left, right$"),
    "folder": (lambda: cs.add_channel_folder(3), r"^channel folder: 3 is no file name"),
    "result as file": (lambda: cs.save("x.nc", run()), r"^save: .* is no file name, expected text"),
    "swap of nothing": (lambda: model().swap("a", "b"), r"^swap: the model has no channel 'a'; it has none"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name):
    call, message = REFUSED[name]
    with pytest.raises(cs.InputError) as caught:
        call()
    assert re.search(message, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


def test_one_is_taken_for_a_list_and_numbers_of_numpy_for_numbers():
    bare = model(species=CA, membranes={"plasma": leaky()}, stimuli=pulse())
    listed = model(species=[CA], membranes={"plasma": [leaky()]}, stimuli=[pulse()])
    plain = run(model=listed, record=["ca"], threads=1, tolerance=0.01)
    odd = run(model=bare, record="ca", threads=np.int64(1), tolerance=np.float64(0.01), until=np.float64(1.0) * u.ms)
    np.testing.assert_array_equal(odd.ca, plain.ca)
    assert pulse(count=np.int64(2), period="2 ms").count == 2
    assert LEAK(permeability="BALANCE").values["permeability"] is LEAK(permeability=cs.BALANCE).values["permeability"]


def test_what_runs_is_read_only():
    sim = cs.Simulation(model())
    with pytest.raises(AttributeError, match="model"):
        sim.model = model()


def test_an_influx_may_be_negative_until_nothing_is_left():
    """Drained by 1e-3 uM per ms: 0.05 - 0.01 uM after 10 ms; by 1 uM per ms the run stops where nothing is left, at 0.05 ms."""
    drained = run(model=model(stimuli=pulse(flux="-1 uM*um/s", duration="10 ms")), until="10 ms")
    assert float(drained.ca[-1, 0]) == pytest.approx(0.04, abs=1e-15)
    with pytest.raises(cs.RunStopped, match=r"t=0\.05 ms: ca@cytosol .* becomes negative .* \(a negative flux,") as caught:
        run(model=model(stimuli=pulse(flux="-1 uM*um/ms", duration="10 ms")), until="10 ms")
    assert "\n" not in str(caught.value)
