"""Spike times as a description: what may be given, what is refused, and the same from a file."""

import pickle

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim import units as u
from calcium_sim.config import load
from calcium_sim.meshes import neurite, well_mixed


def cell(*spikes, **synapse):
    channels = [cs.get_channel("ampa/exp2")(**synapse), cs.get_channel("leak/ohmic")(g="0.1 mS/cm^2", e="-65 mV")]
    return cs.Model(neurite("30 um", "0.5 um", spacing="1 um"), [], {"plasma": channels}, stimuli=spikes, voltage=cs.Cable())


def test_times_are_a_list_an_array_or_a_train():
    given = [
        ["5 ms", "0.025 s", 45 * u.ms],
        np.array([5.0, 25.0, 45.0]) * u.ms,
        {"start": "5 ms", "period": "20 ms", "count": 3},
    ]
    described = [cs.SpikeTimes("ampa/exp2", times) for times in given]
    assert all(s.times == (5.0, 25.0, 45.0) for s in described)
    assert described[0] == described[1] == described[2]
    assert pickle.loads(pickle.dumps(described[0])) == described[0]
    assert repr(cs.SpikeTimes("ampa/exp2", [])) == 'SpikeTimes("ampa/exp2", 0 times)'


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"times": "5 ms"}, r"spike_times\.times: '5 ms' is no list of times, expected times"),
        ({"times": [5.0]}, r"spike_times\.times: 5\.0 has no unit"),
        ({"times": np.array([5.0])}, r"times have no unit"),
        ({"times": ["-1 ms"]}, r"-1 ms lies before the start of the run"),
        ({"times": {"start": "5 ms", "period": "1 ms"}}, r"times\.count: is missing"),
        ({"times": {"start": "5 ms", "period": "0 ms", "count": 2}}, r"times\.period: 0 ms must be > 0"),
        ({"times": {"start": "5 ms", "period": "1 ms", "count": 2.5}}, r"times\.count: 2\.5 events"),
        ({"times": {"start": "5 ms", "period": "1 ms", "count": 2, "n": 1}}, r"times\.n: unknown key"),
        ({"times": ["1 ms"], "weight": [1.0, 2.0]}, r"weight: 2 weights for 1 times"),
        ({"times": ["1 ms"], "weight": -1.0}, r"weight: -1 must be >= 0"),
        ({"times": ["1 ms"], "conductance": "1 mS/cm^2"}, r"conductance"),
        ({"times": ["1 ms"], "channel": 3}, r"channel: 3 is no name"),
    ],
)
def test_what_is_no_spike_is_told(given, told):
    with pytest.raises(cs.InputError, match=told):
        cs.SpikeTimes(**{"channel": "ampa/exp2"} | given)


@pytest.mark.parametrize(
    ("spikes", "told"),
    [
        ({"channel": "nmda/exp2"}, r"channel: the model has no channel 'nmda/exp2'.*that take events: ampa/exp2"),
        ({"channel": "leak/ohmic"}, r"'leak/ohmic' takes no events \(ampa/exp2 does\)"),
        ({"at": 20}, r"spike_times\.at: 'ampa/exp2' is not at .*20"),
        ({"at": "some"}, r"spike_times\.at: unknown place 'some'"),
    ],
)
def test_spikes_that_reach_nothing_are_refused(spikes, told):
    with pytest.raises(cs.InputError, match=told):
        cell(cs.SpikeTimes(**{"channel": "ampa/exp2", "times": ["1 ms"]} | spikes), at=cs.within("0 um", "10 um"))
    with pytest.raises(cs.InputError, match="no conductance g above 0"):
        cell(cs.SpikeTimes("ampa/exp2", ["1 ms"], conductance="1 nS"), g="0 S/cm^2")


def test_a_channel_goes_by_its_own_name_or_that_of_its_kind():
    """Both names reach it, the time of the peak and its height are those of the closed form; spikes after the end are told."""
    mesh = well_mixed({"cytosol": "500 um^3"}, {"plasma": (("cytosol", "outside"), "400 um^2")})
    channel = cs.get_channel("ampa/exp2")(name="mossy", tau_rise="2 ms", tau_decay="2 ms")
    spikes = [cs.SpikeTimes("mossy", ["1 ms"], weight=3.0), cs.SpikeTimes("ampa/exp2", ["1 ms"], weight=0.5)]
    simulation = cs.Simulation(cs.Model(mesh, [], {"plasma": [channel]}, stimuli=spikes, voltage=cs.Cable()), dt="0.01 ms")
    simulation.run("3 ms")
    assert simulation.state.y[1] == pytest.approx(3.5, rel=1e-5)  # an alpha function peaks at its time constant
    late = cs.SpikeTimes("mossy", ["50 ms"])
    with pytest.warns(UserWarning, match="begins at 50 ms, but the run ends at 2 ms"):
        cs.simulate(cs.Model(mesh, [], {"plasma": [channel]}, stimuli=[late], voltage=cs.Cable()), "2 ms")


def test_one_conductance_whatever_the_mesh_and_the_density():
    """A spike of 0.5 nS is that on fine and coarse meshes, at one place or shared by several, whatever g and scale of the channel are."""
    found = []
    for spacing, options, place in (
        ("1 um", {}, 10),
        ("2 um", {"g": "2 mS/cm^2"}, 5),
        ("1 um", {"scale": 3.0}, cs.within("8 um", "12 um")),
    ):
        mesh = neurite("30 um", "0.5 um", spacing=spacing)
        channel = cs.get_channel("ampa/exp2")(**options)
        spikes = cs.SpikeTimes("ampa/exp2", ["1 ms"], at=place, conductance="0.5 nS")
        model = cs.Model(mesh, [], {"plasma": [channel]}, stimuli=[spikes], voltage=cs.Cable())
        simulation = cs.Simulation(model)
        (a,) = simulation.plan.arrivals
        (g,) = simulation.plan.gauges
        weight = np.ones(len(g.area)) if g.weight is None else g.weight
        pairs = a.entries[: len(a.entries) // 2] - g.states[0].start
        found.append(float(a.weights[0] * 10.0 * g.channel.values["g"] * (weight * g.area)[pairs].sum()))
    np.testing.assert_allclose(found, 0.5, rtol=1e-12)


def test_spikes_go_on_to_a_channel_that_takes_the_place_of_theirs():
    model = cell(cs.SpikeTimes("ampa/exp2", ["1 ms"]))
    assert model.swap("ampa/exp2", "gaba-a/exp2").stimuli[0].channel == "gaba-a/exp2"
    assert model.swap("leak/ohmic", "leak/hodgkin-huxley").stimuli == model.stimuli
    named = cs.Model(model.mesh, [], {"plasma": [cs.get_channel("ampa/exp2")(name="mossy")]}, stimuli=[cs.SpikeTimes("mossy", ["1 ms"])],
                     voltage=cs.Cable())  # fmt: skip
    assert named.swap("mossy", "gaba-a/exp2").stimuli[0].channel == "mossy"
    with pytest.raises(cs.InputError, match="takes no events"):
        model.swap("ampa/exp2", "na/traub-miles")


FILE = """
[mesh]
kind = "neurite"
length = "30 um"
radius = "0.5 um"
spacing = "1 um"

[[membranes.plasma]]
channel = "ampa/exp2"
name = "mossy"

[[membranes.plasma]]
channel = "leak/ohmic"
g = "0.1 mS/cm^2"
e = "-65 mV"

[[stimuli]]
channel = "mossy"
times = ["5 ms", "12.5 ms"]
at = 3
weight = [1.0, 2.0]
conductance = "0.5 nS"

[[stimuli]]
channel = "mossy"
times = { start = "1 ms", period = "3 ms", count = 4 }

[[stimuli]]
channel = "mossy"
times = { file = "spikes.txt", time = "s" }

[voltage]
initial = "-65 mV"

[run]
until = "2 ms"
"""


def test_spikes_in_a_file(tmp_path):
    (tmp_path / "a.toml").write_text(FILE)
    (tmp_path / "spikes.txt").write_text("time\n0.001\n0.0025\n")
    model, _ = load(tmp_path / "a.toml")
    channels = [cs.get_channel("ampa/exp2")(name="mossy"), cs.get_channel("leak/ohmic")(g="0.1 mS/cm^2", e="-65 mV")]
    spikes = [
        cs.SpikeTimes("mossy", ["5 ms", "12.5 ms"], at=3, weight=[1.0, 2.0], conductance="0.5 nS"),
        cs.SpikeTimes("mossy", {"start": "1 ms", "period": "3 ms", "count": 4}),
        cs.SpikeTimes("mossy", ["1 ms", "2.5 ms"]),
    ]
    same = cs.Model(neurite("30 um", "0.5 um", spacing="1 um"), [], {"plasma": channels}, stimuli=spikes, voltage=cs.Cable())
    assert model == same
    assert model.replace("stimuli[0].weight", 2.0).stimuli[0].weight == 2.0
    assert model.replace("voltage.initial", "-70 mV").voltage.initial == -70.0


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'channel = "mossy"\ntimes = ["5',
            'channel = "mosy"\ntimes = ["5',
            r"stimuli\[0\]\.channel: the model has no channel 'mosy'.*mossy",
        ),
        ('times = ["5 ms", "12.5 ms"]\n', "", r"stimuli\[0\]\.times: is missing \(add times = "),
        ("at = 3\n", "at = 99\n", r"stimuli\[0\]\.at: node 99 does not exist"),
        ("count = 4", "count = 0", r"stimuli\[1\]\.times\.count: 0 events"),
        ('time = "s"', 'time = "um"', r"stimuli\[2\]\.times\.time"),
        ('"spikes.txt"', '"spike.txt"', r"stimuli\[2\]\.times\.file: spike\.txt: no such file .*did you mean 'spikes\.txt'"),
    ],
)
def test_what_is_wrong_with_spikes_in_a_file_is_told(tmp_path, old, new, told):
    assert old in FILE
    (tmp_path / "a.toml").write_text(FILE.replace(old, new))
    (tmp_path / "spikes.txt").write_text("0.001\n0.0025\n")
    with pytest.raises(cs.InputError, match=told):
        load(tmp_path / "a.toml")
