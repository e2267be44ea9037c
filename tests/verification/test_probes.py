"""Probes: single places at their own times, equal to what the whole fields say, with crossings and peaks of all steps."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import calcium_sim as cs
from calcium_sim.app.runs import _pictures
from calcium_sim.config import build, parse
from calcium_sim.meshes import neurite
from calcium_sim.plot import probes
from calcium_sim.presets import breit_queisser
from calcium_sim.run.limits import result_bytes

MESH = neurite("10 um", "0.2 um", er_radius="0.1 um", spacing="0.2 um")
MODEL = breit_queisser(MESH, voltage="-70 mV")
RYR = "ryr/keizer-levine"
MIDDLE = MESH.nearest(5, 0, 0)
PROBES = {
    "left": ("ca@cytosol", "left"),
    "far": cs.Probe("ca", at=cs.within("6 um", "9 um"), every="0.1 ms", threshold="0.3 uM"),
    "two": ("ca@cytosol", [3, "right"]),
    "store": ("ca@er", None, "0.7 ms"),
    "dye": ("calbindin", MIDDLE),
    "open": (f"po@{RYR}", MIDDLE),
    "flow": (f"flux@{RYR}", ["left", MIDDLE], "1 ms"),
    "v": "v",
}


@pytest.fixture(scope="module")
def run():
    return cs.simulate(MODEL, "14 ms", "0.5 ms", record=["ca", "calbindin", "po", "flux", PROBES])


@pytest.fixture(scope="module")
def alone():
    return cs.simulate(MODEL, "14 ms", "0.5 ms", record=PROBES)


def mean(ds, nodes):
    volume = MESH.volume[nodes]
    return (ds.ca.values[:, nodes] * volume).sum(axis=1) / volume.sum()


def test_values_are_those_of_the_fields(run):
    far = np.flatnonzero((MESH.distance >= 6) & (MESH.distance <= 9) & (np.arange(100) < 50))
    np.testing.assert_array_equal(run.probe_left, run.ca[:, 0])
    np.testing.assert_allclose(run.probe_far[::5], mean(run, far), rtol=1e-13)
    np.testing.assert_allclose(run.probe_two, mean(run, np.array([3, 49])), rtol=1e-13)
    np.testing.assert_allclose(run.probe_store[-1], mean(run, np.arange(50, 100))[-1], rtol=1e-13)
    np.testing.assert_array_equal(run.probe_dye, run.calbindin[:, MIDDLE])
    np.testing.assert_allclose(run.probe_open, run.po_ryr_keizer_levine[:, MIDDLE], rtol=1e-13)
    np.testing.assert_array_equal(run.probe_v, -70.0)


def test_a_flux_is_the_mean_since_the_time_before(run):
    area = MESH.membranes["er"].area[[0, MIDDLE]]
    both = (run.flux_ryr_keizer_levine.values[:, [0, MIDDLE]] * area).sum(axis=1) / area.sum()
    np.testing.assert_allclose(run.probe_flow[1:], 0.5 * (both[1::2] + both[2::2]), rtol=1e-12)
    assert np.isnan(run.probe_flow[0])


def test_times_are_exact(run):
    np.testing.assert_allclose(run.time_far, 0.1 * np.arange(141), atol=1e-12)
    np.testing.assert_allclose(run.time_store, 0.7 * np.arange(21), atol=1e-12)
    np.testing.assert_array_equal(run.time_left, run.time)


def test_crossings_and_peaks_are_those_of_all_steps(run):
    """Of one node they are the numbers that the run notes for every node; of several they are those of the mean, seen at every time."""
    assert float(run.probe_left_arrival) == float(run.ca_arrival[0])
    assert float(run.probe_left_peak) == float(run.ca_peak[0])
    assert float(run.probe_left_peak_time) == float(run.ca_peak_time[0])
    values, times = run.probe_far.values, run.time_far.values
    k = int(np.argmax(values >= 0.3))
    assert times[k - 1] <= float(run.probe_far_arrival) <= times[k]
    assert values.max() <= float(run.probe_far_peak) <= 1.01 * values.max()
    assert float(run.probe_open_peak) >= run.probe_open.values.max()
    assert run.probe_far_arrival.attrs["threshold"] == 0.3
    assert "probe_left_arrival" in run
    assert "probe_store_arrival" not in run, "the ER rests above the threshold of its species"
    assert "probe_dye_arrival" not in run


def test_the_run_stays_within_its_tolerance(run, alone):
    """Steps end at the times of probes as at outputs: arrivals move by less than 0.01 ms; what is recorded changes nothing."""
    plain = cs.simulate(MODEL, "14 ms", "0.5 ms", record=[])
    reached = np.isfinite(plain.ca_arrival.values)
    assert reached.sum() >= 50
    assert np.abs(run.ca_arrival - plain.ca_arrival).values[reached].max() < 0.01
    for name in ("probe_far", "probe_flow", "ca_peak", "ledger_ca"):
        np.testing.assert_array_equal(alone[name], run[name])
    assert alone.attrs["ledger_drift"] < 1e-12


def test_nothing_else_is_kept(alone):
    assert not [name for name, v in alone.data_vars.items() if v.dims[:1] == ("time",) and "node" in v.dims]
    assert result_bytes(MODEL, 14.0, 0.5, PROBES) == pytest.approx(alone.nbytes, rel=0.05, abs=4000)


def test_pictures_show_all_probes(run, alone, tmp_path):
    """A row per unit, each course at its own times, a dot at its peak; `calcium-sim run` draws them where no whole field was kept."""
    panels = probes(alone, ax=Figure().add_subplot())
    drawn = {text.get_text() for ax in panels for text in ax.get_legend().get_texts()}
    assert [ax.get_ylabel() for ax in panels] == [
        "concentration [µM]",
        "open probability",
        "flux density [µM µm/ms]",
        "potential [mV]",
    ]
    assert drawn == set(PROBES)
    far = next(line for line in panels[0].get_lines() if line.get_label() == "far")
    np.testing.assert_array_equal(far.get_xdata(), alone.time_far)
    np.testing.assert_array_equal(far.get_ydata(), alone.probe_far)
    dots = {(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in panels[0].get_lines() if line.get_marker() == "o"}
    assert (float(alone.probe_far_peak_time), float(alone.probe_far_peak)) in dots
    assert len(probes(alone, names=["left", "far"], ax=Figure().add_subplot())) == 1
    with pytest.raises(cs.InputError, match=r"names: the result has no probe 'lefd' \(did you mean 'left'\?\); it has left, far"):
        probes(alone, names="lefd")
    with pytest.raises(cs.InputError, match=r"probes: the result has none"):
        probes(alone.drop_vars([name for name in alone.data_vars if "probe" in name]))
    assert [file.name for file in _pictures(alone, tmp_path, "a")] == ["a-probes.png"]
    assert [file.name for file in _pictures(run, tmp_path, "r")] == ["r.png", "r-probes.png"]


def test_where_a_probe_is(run, tmp_path):
    told = run.probe_dye.attrs
    assert (told["place"], told["region"], told["nodes"], told["node_count"]) == (f"node {MIDDLE}", "cytosol", MIDDLE, 1)
    assert told["distance_from"] == told["distance_to"] == pytest.approx(MESH.distance[MIDDLE])
    assert run.probe_two.attrs["place"] == "node 3, 'right'"
    back = cs.open(cs.save(run, tmp_path / "run.nc"))
    assert back.equals(run)
    np.testing.assert_array_equal(back.probe_two.attrs["nodes"], [3, 49])


WRONG = {
    "a species": ({"a": ("cal", "left")}, r"record\.a: unknown 'cal' \(did you mean 'ca"),
    "a region": ({"a": ("ca@cytosl", "left")}, r"record\.a: unknown 'ca@cytosl' \(did you mean 'ca@cytosol'\?\)"),
    "a place": ({"a": ("ca", "lft")}, r"record\.a\.at: unknown place 'lft' \(did you mean 'left'\?\)"),
    "a node of the ER": ({"a": ("ca", 77)}, r"record\.a\.at: node 77 lies elsewhere \(mesh\.nearest"),
    "a channel": ({"a": ("po@ryr", 3)}, r"record\.a: unknown channel 'ryr'.*write po@NAME"),
    "no open probability": ({"a": ("po@serca/er-inhibited", 3)}, r"record\.a: 'serca/er-inhibited' declares no open probability"),
    "several channels": ({"a": "flux@leak/linear"}, r"several channels are called 'leak/linear', expected one of leak_linear_"),
    "a number": ({"a": 3}, r"record\.a: 3 is no probe, expected \(what, where\)"),
    "a name": ({"a@b": "ca"}, r"record\.a@b: 'a@b' is no name"),
    "two names": ({"a b": "ca", "a_b": "ca"}, r"record\.a_?b?.*two probes would be called 'probe_a_b'"),
    "a name of another's peak": ({"a": "ca", "a_peak": "ca"}, r"record\.a_peak: .*'probe_a_peak'"),
    "a name of another's time": ({"a": "ca", "a_peak_time": "ca"}, r"record\.a_peak_time: .*'probe_a_peak_time'"),
    "no name": ([cs.Probe("ca")], "record: the probe of 'ca' has no name"),
    "an interval": ({"a": ("ca", "left", "3 uM")}, r"record\.a\.every: '3 uM' has dimension \[concentration\]"),
    "no interval": ({"a": ("ca", "left", "0 ms")}, r"record\.a\.every: 0 ms must be > 0"),
    "a bare interval": ({"a": ("ca", "left", 0.05)}, r"record\.a\.every: 0\.05 has no unit"),
    "an interval that is no number": ({"a": ("ca", "left", float("nan"))}, r"record\.a\.every: nan has no unit"),
    "a point": ({"a": ("ca", (2, 5, 0))}, r"record\.a\.at: \(2, 5, 0\) is three numbers.*write mesh\.nearest\(2, 5, 0\)"),
    "a point of fractions": ({"a": ("ca", [2.0, 5.0, 0.5])}, r"record\.a\.at: .* is three numbers.*mesh\.nearest\(2, 5, 0\.5\)"),
    "a node twice": ({"a": ("ca", [0, 5, 0])}, r"record\.a\.at: .* is three numbers.*three nodes a list of different whole numbers"),
    "a threshold": ({"a": cs.Probe("ca", threshold="1 ms")}, r"record\.a\.threshold: '1 ms' has dimension \[time\]"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_recorded_is_refused(case):
    record, told = WRONG[case]
    with pytest.raises(cs.InputError, match=told) as seen:
        cs.simulate(MODEL, "1 ms", record=record)
    assert "\n" not in str(seen.value)


FILE = """
[mesh]
kind = "neurite"
length = "2 um"
radius = "0.2 um"
spacing = "0.5 um"
[[species]]
name = "ca"
diffusion = { cytosol = "220 um^2/s" }
initial = { cytosol = { left = "1 uM", "*" = "0.1 uM" } }
[run]
until = "1 ms"
every = "0.5 ms"
"""


def test_probes_in_a_file():
    model, options = build(
        parse(
            f"""{FILE}
            [run.record]
            left = ["ca@cytosol", "left"]
            all = "ca"
            mid = {{ what = "ca@cytosol", at = {{ nearest = ["1.3 um", "0 um", "0 um"] }}, every = "0.25 ms", threshold = "0.2 uM" }}
            """
        )
    )
    ds = cs.simulate(model, **options.arguments())
    assert set(map(str, ds.data_vars)) >= {"probe_left", "probe_all", "probe_mid", "probe_mid_arrival"}
    assert ds.probe_mid.attrs["nodes"] == 2
    np.testing.assert_allclose(ds.time_mid, [0, 0.25, 0.5, 0.75, 1.0])
    assert float(ds.probe_all[-1]) == pytest.approx(float(ds.probe_all[0]), rel=1e-12)
    for text, told in [
        ('a = ["ca@cytosl"]', r"run\.record\.a: unknown 'ca@cytosl'"),
        ('a = ["ca", "lft"]', r"run\.record\.a\.at: unknown place 'lft'"),
        ('a = { wat = "ca" }', r"run\.record\.a: .* is no probe"),
        ('a = { what = "ca", evry = "1 ms" }', r"run\.record\.a\.evry: unknown key \(did you mean 'every'\?\)"),
        ('a = { what = "ca", every = "1 um" }', r"run\.record\.a\.every: '1 um' has dimension \[length\]"),
    ]:
        with pytest.raises(cs.InputError, match=told):
            build(parse(f"{FILE}\n[run.record]\n{text}\n"))
