"""First crossings and peaks are those of the run, not of its outputs."""

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.app.bench import coaxial
from calcium_sim.kernels import watch
from calcium_sim.meshes import neurite, well_mixed
from calcium_sim.meshes.columns import columns_mesh
from calcium_sim.presets import breit_queisser
from calcium_sim.results.arrivals import first_crossing

TOLERANCE = 2e-4


def fork():
    """A stem of 8 um that splits into arms of 8 and 4 um, spacing 0.2 um, the ER half as wide."""
    stem, left, right = 40, 40, 20
    parent = np.concatenate([[0], np.arange(stem + left - 1), [stem - 1], np.arange(stem + left, stem + left + right - 1)])
    n, dx, areas = len(parent), 0.2, np.pi * np.array([[0.4**2 - 0.2**2], [0.2**2]])
    distance = np.zeros(n)
    for i in range(1, n):
        distance[i] = distance[parent[i]] + dx
    conductance = np.tile(areas / dx, n)
    conductance[:, 0] = 0.0
    sheets = {"plasma": (("cytosol", "outside"), 2 * np.pi * 0.4), "er": (("er", "cytosol"), 2 * np.pi * 0.2)}
    return columns_mesh(
        ("cytosol", "er"), parent=parent, volume=np.tile(areas * dx, n), conductance=conductance,
        position=np.stack([distance, np.where(np.arange(n) < stem + left, 0.0, 1.0), 0 * distance], axis=1), distance=distance,
        membranes={name: (sides, ring * dx * np.ones(n)) for name, (sides, ring) in sheets.items()},
        ends={"left": ("cytosol", np.array([0]), areas[0])}, notes=(),
    )  # fmt: skip


def cells():
    return {
        "cable": (coaxial(12.0, 0.1), 8.0),
        "tree": (breit_queisser(fork()), 20.0),
        "grid": (coaxial(4.0, 0.1, dims=2), 4.0),
    }


@pytest.mark.parametrize("name", ["cable", "tree", "grid"])
def test_arrivals_do_not_depend_on_the_outputs(name):
    """Outputs every 0.25 to 5 ms give the arrivals and peaks of outputs every 0.01 ms, at the same tolerance of the steps.

    Measured: arrivals differ by 2, 4 and 1 us (rms; cable, tree, grid), at most 8 us, of which steps of other lengths make the most; peaks
    by 0.5, 1.1 and 0.004 %. From outputs every 2 ms alone, arrivals were 0.9 ms wrong.
    """
    model, until = cells()[name]
    fine = cs.simulate(model, f"{until} ms", "0.01 ms", tolerance=TOLERANCE, threads=1, record=["ca"])
    here = fine.region.values == "cytosol"
    time, course = fine.time.values, fine.ca.values[:, here]
    sought = first_crossing(time, course, 0.2)
    assert np.isfinite(sought).mean() > 0.5
    for every in (0.25, 0.5, 1, 2, 5):
        ds = cs.simulate(model, f"{until} ms", f"{min(every, until)} ms", tolerance=TOLERANCE, threads=1, record=[])
        found = cs.arrival_times(ds).values
        np.testing.assert_array_equal(np.isnan(found), np.isnan(sought))
        error = found - sought
        assert np.sqrt(np.nanmean(error**2)) < 0.008, f"{every} ms: rms {np.sqrt(np.nanmean(error**2))} ms"
        assert np.nanmax(np.abs(error)) < 0.02, f"{every} ms: {np.nanmax(np.abs(error))} ms"
        peak = ds.ca_peak.values[here]
        np.testing.assert_allclose(peak, course.max(axis=0), rtol=0.02)
        steep = peak > 1.0
        late = ds.ca_peak_time.values[here] - time[course.argmax(axis=0)]
        assert np.median(np.abs(late[steep])) < 0.03, f"{every} ms: peaks {np.median(np.abs(late[steep]))} ms apart"


@pytest.mark.parametrize("ends", [("left",), ("left", "right")], ids=["tip", "collision"])
def test_peaks_where_waves_end_and_meet(ends):
    """Peaks at every node of 15 um of cable, tips and the place of a collision among them, against steps of 2 us with outputs every 10 us.

    Measured: within 0.37 %, with chosen steps. With looks 10 to 28 steps apart peaks were up to 12.7 % too high.
    """
    mesh = neurite(length="15 um", radius="0.2 um", er_radius="0.1 um", spacing="0.05 um")
    flux = [cs.Influx("ca", at=end, flux="2.5 uM*um/ms", shape="ramp-down", duration="1 ms") for end in ends]
    model = breit_queisser(mesh, stimulus=flux)
    here = np.arange(300)
    exact = cs.simulate(model, "14 ms", "0.01 ms", dt="0.002 ms", record=["ca"]).ca.values[:, here].max(axis=0)
    for every in (0.05, 0.25, 1.0, 3.0, 14.0, 60.0):
        found = cs.simulate(model, f"{max(every, 14.0)} ms", f"{every} ms", record=[]).ca_peak.values[here]
        error = found / exact - 1
        print(f"{ends}, every {every} ms: {error.min():+.3%} to {error.max():+.3%}")
        np.testing.assert_allclose(found, exact, rtol=0.005, err_msg=f"outputs every {every} ms")


def point(*stimuli, decay="0 1/s"):
    mesh = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "1 um^2")})
    ca = cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1 uM"}, decay=decay)
    return cs.Model(mesh, [ca], stimuli=list(stimuli))


def test_a_jump_is_a_crossing_and_a_peak():
    """Set to 3 uM at 7.3 ms, decaying with 100 /s from there: crosses any level and has its peak at 7.3 ms; outputs are 5 ms apart."""
    model = point(cs.Set("ca", "3 uM", time="7.3 ms"), decay="100 1/s")
    ds = cs.simulate(model, "20 ms", "5 ms", threshold="1 uM")
    assert ds.ca_arrival.item() == pytest.approx(7.3, rel=1e-14)
    assert ds.ca_peak.item() == 3.0
    assert ds.ca_peak_time.item() == pytest.approx(7.3, rel=1e-14)


def test_a_linear_rise_and_a_pulse_between_outputs():
    """0.5 uM/ms for 2 ms from 31 ms on: c = 0.05 + 0.5 (t - 31) passes 0.2 uM at 31.3 ms and ends at 1.05 uM at 33 ms.

    No front grows so; between two looks, 0.05 ms apart here, a straight course is taken for an exponential (measured: 6 us late).
    """
    model = point(cs.Influx("ca", at=None, through="plasma", flux="0.5 uM*um/ms", duration="2 ms", start="31 ms"))
    ds = cs.simulate(model, "50 ms", "50 ms")
    assert ds.ca_arrival.item() == pytest.approx(31.3, abs=8e-3)
    assert ds.ca_peak.item() == pytest.approx(1.05, rel=1e-9)


def test_rest_and_a_start_above():
    still = cs.simulate(point(), "5 ms", "1 ms")
    assert np.isnan(still.ca_arrival.item())
    assert (still.ca_peak.item(), still.ca_peak_time.item()) == (0.05, 0.0)
    above = cs.simulate(point(cs.Set("ca", "2 uM")), "5 ms", "1 ms")
    assert (above.ca_arrival.item(), above.ca_peak.item(), above.ca_peak_time.item()) == (0.0, 2.0, 0.0)


def test_thresholds_per_species_and_their_errors():
    ds = cs.simulate(point(cs.Set("ca", "2 uM", time="1 ms")), "5 ms", "1 ms", threshold={"ca": "1.5 uM"})
    assert ds.ca_arrival.attrs["threshold"] == 1.5
    with pytest.raises(cs.InputError, match=r"threshold: unknown species 'cal' \(did you mean 'ca'"):
        cs.Simulation(point(), threshold={"cal": "1 uM"})
    with pytest.raises(cs.InputError, match=r"threshold: -1\.0 must be a positive"):
        cs.Simulation(point(), threshold=-1)


def test_vertex_of_a_parabola_at_unequal_times():
    """3 - (t - 1.4)^2 at 0, 1 and 3."""
    y = [3 - (t - 1.4) ** 2 for t in (0.0, 1.0, 3.0)]
    assert watch.vertex(0.0, 1.0, 3.0, *y) == pytest.approx((1.4, 3.0), rel=1e-14)


def test_the_top_of_uneven_samples_stays_near_them():
    """0, 10, 10 at 0, 1 and 5: the parabola would rise to 18; a quarter of the range is 2.5."""
    assert watch.vertex(0.0, 1.0, 5.0, 0.0, 10.0, 10.0) == pytest.approx((3.0, 12.5), rel=1e-14)


def test_an_exponential_is_crossed_exactly_and_a_sudden_rise_as_a_line():
    before, after = 0.05 + 0.01, 0.05 + 0.01 * np.e**3
    assert watch.crossing(before, after, 0.2, 0.05) == pytest.approx(np.log(15) / 3, rel=1e-14)
    assert watch.crossing(0.05, 0.35, 0.2, 0.05) == pytest.approx(0.5, rel=1e-14)
    assert watch.crossing(0.1, 0.4, 0.2, 0.3) == pytest.approx(1 / 3, rel=1e-14)


def test_watching_changes_no_bit():
    """The watcher only reads: with chosen steps the state is the same to the last bit without it."""
    model, _ = cells()["cable"]
    with_it, without = cs.Simulation(model, threads=1), cs.Simulation(model, threads=1)
    without.loop.observers.clear()
    for sim in (with_it, without):
        sim.advance(3.0)
    np.testing.assert_array_equal(with_it.state.u, without.state.u)
    assert with_it.control.steps == without.control.steps


def test_no_output_lies_above_the_peak_that_is_noted():
    """A rise that ends at an edge and turns into a slow decay, with outputs that see its top: within 0.1 % whatever `every` is."""
    influx = cs.Influx("ca", at=None, through="plasma", flux="0.5 uM*um/ms", duration="2 ms", start="31 ms", shape="triangle")
    model = point(influx, decay="50 1/s")
    peaks = []
    for every in (0.05, 0.5, 7.0, 50.0):
        ds = cs.simulate(model, "50 ms", f"{every} ms")
        assert ds.ca_peak.item() >= float(ds.ca.max())
        peaks.append(ds.ca_peak.item())
    np.testing.assert_allclose(peaks, peaks[0], rtol=1e-3)
