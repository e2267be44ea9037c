"""Arrival, speed, totals: numbers read off waves of known course."""

import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import calcium_sim as cs
from calcium_sim.meshes import neurite
from calcium_sim.meshes.simplices import from_simplices
from calcium_sim.presets import breit_queisser
from calcium_sim.results.dataset import Frames, assemble
from calcium_sim.results.diagnostics import cite, coarse_front, first_crossing, wave_path
from calcium_sim.results.paths import region_nodes, spacing, travel
from calcium_sim.results.totals import undershoot


def test_arrival_is_the_crossing_of_the_threshold(cable):
    """The synthetic pulse passes 0.2 uM at 2 ms + distance / 0.5 um/ms; outputs every 0.5 ms, rise time 0.5 ms."""
    arrival = cs.arrival_times(cable)
    exact = 2.0 + arrival["distance"].values / 0.5
    error = np.abs(arrival.values - exact).max()
    assert error < 0.005, f"largest error {error} ms"


def test_an_exponential_above_the_first_value_is_crossed_exactly():
    """0.05 + 0.01 exp(t) passes 0.2 at log(15), however far apart the outputs are; a column that falls back or starts above is not lost."""
    t = np.array([0.0, 1.0, 2.0, 5.0, 9.0])
    c = np.stack([0.05 + 0.01 * np.exp(t) * (t > 0), [0.05, 0.3, 0.05, 0.3, 0.4], [0.3, 0.1, 0.1, 0.1, 0.1], np.full(5, 0.05)], axis=1)
    found = first_crossing(t, c, 0.2)
    np.testing.assert_allclose(found[[0, 2]], [np.log(15), 0.0], rtol=1e-14)
    assert 0.0 < found[1] < 1.0
    assert np.isnan(found[3])


def test_no_crossing_is_nan_and_a_start_above_is_the_first_time(cable):
    assert np.isnan(cs.arrival_times(cable, threshold="50 uM").values).all()
    assert (cs.arrival_times(cable, threshold=0.01).values == 0.0).all()


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_few_outputs_fall_back_to_straight_lines(cable, frames):
    arrival = cs.arrival_times(cable.isel(time=[0, 100, 200][:frames]))
    assert np.isfinite(arrival.values).any() == (frames > 1)


def test_wave_speed_of_a_cable(cable):
    assert cs.wave_speed(cable) == pytest.approx(0.5, rel=1e-3)
    assert cs.wave_speed(cable, between=(8, 16)) == pytest.approx(0.5, rel=1e-3)
    assert cs.wave_speed(cable, between=("16 um", "8 um")) == pytest.approx(0.5, rel=1e-3)


def test_wave_speed_is_robust_against_a_few_wrong_arrivals(cable):
    broken = cable.copy(deep=True)
    broken.ca.values[:, 100] = 5.0
    assert cs.wave_speed(broken) == pytest.approx(0.5, rel=5e-3)


def test_wave_speed_on_a_tree_follows_the_path_of_the_wave(fork):
    """The wave starts at the tip of the right arm (20 cells) and runs to the end of the left one: away from the root on one side only."""
    assert cs.wave_speed(fork) == pytest.approx(0.8, rel=2e-3)
    path = wave_path(fork)
    assert path.nodes[0] == 99
    assert path.nodes[-1] in (0, 79)
    assert path.position[-1] == pytest.approx(0.5 * (20 + (40 if path.nodes[-1] == 79 else 39)))


def test_a_wave_into_the_root_has_a_positive_speed(fork):
    assert cs.wave_speed(fork, path=(39, 0)) == pytest.approx(0.8, rel=2e-3)
    assert cs.wave_speed(fork, path=(0, 39), between=(5, 15)) == pytest.approx(0.8, rel=2e-3)


def test_a_wave_that_stops_has_the_speed_of_its_way_and_says_how_far_it_came(cable):
    part = cable.isel(time=slice(0, 50))
    with pytest.warns(UserWarning, match=r"seen from 0.1 to 11.1 um and not beyond"):
        assert cs.wave_speed(part) == pytest.approx(0.5, rel=1e-3)
    with pytest.warns(UserWarning, match=r"seen from 0.1 to 11.1 um, but not everywhere from 8 to 16 um"):
        assert np.isnan(cs.wave_speed(part, between=(8, 16)))
    with pytest.warns(UserWarning, match=r"never crosses 50 uM"):
        assert np.isnan(cs.wave_speed(cable, threshold=50))
    with pytest.warns(UserWarning, match=r"seen at 1 places only"):
        assert np.isnan(cs.wave_speed(cable.isel(time=slice(0, 6))))


def test_a_wave_that_ended_is_told_from_one_that_is_on_its_way(cable):
    """The front of the cable stands still at 20 um, where it is at 42 ms: at 100 ms it has ended, at 42 ms it may go on."""
    dead = cable.copy(deep=True)
    dead.ca.values[:, 100:200] = 0.05
    seen = r"seen from 0\.1 to 19\.9 um and has ended: it came only 2 um farther in the last 62\.2 ms; the speed is that until there"
    with pytest.warns(UserWarning, match=seen):
        assert cs.wave_speed(dead) == pytest.approx(0.5, rel=1e-3)
    with pytest.warns(UserWarning, match=r"and not beyond.*\(run longer\?\)"):
        assert cs.wave_speed(dead.isel(time=slice(0, 85))) == pytest.approx(0.5, rel=1e-3)
    with pytest.warns(UserWarning, match=r"but not everywhere from 16 to 30 um, and has ended: it came"):
        assert np.isnan(cs.wave_speed(dead, between=(16, 30)))


def test_a_wave_that_dies_has_no_speed():
    """ER of 0.08 um in 0.2 um of cell, 1 receptor per um^2, 160 uM of buffer: 0.2 uM creep 5 um far, 0.1 um in 0.2 to 10 ms."""
    model = breit_queisser(neurite("10 um", "0.2 um", "0.08 um", spacing="0.1 um"), ryr_density="1 /um^2", buffer="160 uM")
    ds = cs.simulate(model, until="100 ms", every="1 ms", record=[])
    reached = np.isfinite(cs.arrival_times(ds).values)
    assert 40 <= reached.sum() < 70
    with pytest.warns(UserWarning, match="slower and slower, and has ended: it came only"):
        assert np.isnan(cs.wave_speed(ds))


def test_masked_results_and_reversed_times_are_told_in_one_line(cable, noted):
    ds, exact = noted
    masked = ds.where(ds.distance < 20)
    for told in (masked, masked.drop_vars("ca_arrival")):
        with pytest.raises(cs.InputError, match=r"50 % of its values are missing \(NaN\), expected numbers \(where\(\) masks"):
            cs.wave_speed(told)
    for part in (ds.where(ds.region == "cytosol", drop=True), ds.where(ds.region == "cytosol")):
        with pytest.raises(
            cs.InputError, match=r"edge_nodes: has the dimensions \(edge, two, node\) and .* expected numbers over \(edge, two\)"
        ):
            cs.wave_speed(part)
    for back in (cable, ds):
        with pytest.raises(cs.InputError, match=r"time: 99.5 ms comes after 100 ms, expected ascending times \(ds.sortby"):
            cs.arrival_times(back.isel(time=slice(None, None, -1)))
    np.testing.assert_array_equal(cs.arrival_times(ds.isel(time=slice(None, None, -1)).sortby("time")).values, exact[:200])


def test_a_branch_that_no_wave_reached_does_not_hide_the_speed(fork):
    """The left arm, the farthest from the start, stays at rest: the way of the wave is that to the end of the stem."""
    quiet = fork.copy(deep=True)
    quiet.ca.values[:, 41:80] = 0.05
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the wave was seen")
        assert cs.wave_speed(quiet) == pytest.approx(0.8, rel=2e-3)
    assert wave_path(quiet).nodes[[0, -1]].tolist() == [99, 0]


def test_parts_of_a_result_are_analysed_or_their_dimensions_told(cable):
    """A region and a piece of the cell give the speed of the whole; what has other dimensions is told in one line with the fix."""
    for part in (cable.sel(region="cytosol"), cable.isel(node=slice(50, 150)), cable.isel(node=slice(0, None, 2))):
        assert cs.wave_speed(part) == pytest.approx(0.5, rel=2e-3)
    er = cable.sel(region="er")
    with pytest.raises(cs.InputError, match=r"unknown region 'cytosol'; the result has er"):
        cs.wave_speed(er)
    with pytest.raises(
        cs.InputError, match=r"ca: has the dimensions \(run, time, node\), expected \(time, node\) \(pick one: ds.isel\(run=0\)"
    ):
        cs.wave_speed(xr.concat([cable, cable], "run"))
    with pytest.raises(cs.InputError, match=r"ca: has the dimensions \(node\), expected \(time, node\) \(keep the times"):
        cs.wave_speed(cable.isel(time=-1))
    with pytest.raises(cs.InputError, match=r"expected \(time, node\) \(ds.transpose"):
        cs.total_calcium(cable.transpose())
    with pytest.warns(UserWarning, match="'ca' in 'cytosol' is above 0.2 uM when the result begins, at 100 ms"):
        assert np.isnan(cs.wave_speed(cable.isel(time=[-1])))


def test_nodes_of_a_path_keep_their_numbers_in_a_part(fork):
    part = fork.isel(node=slice(30, 100))
    np.testing.assert_array_equal(cs.arrival_times(part)["node_index"].values, np.arange(30, 100))
    with pytest.warns(UserWarning, match="coarse"):
        assert cs.wave_speed(part, path=(99, 79)) == pytest.approx(0.8, rel=2e-3)
    with pytest.raises(cs.InputError, match=r"path\[1\]: node 5 is not in the result"):
        cs.wave_speed(part, path=(99, 5))


def test_two_runs_one_after_the_other(noted):
    """Arrivals that the first run noted, then those seen in the outputs of the second; cut results forget what lies outside of them."""
    ds, exact = noted
    first, second = ds.isel(time=slice(0, 81)).copy(deep=True), ds.isel(time=slice(81, None))
    first["ca_arrival"].attrs["seen_until"] = 40.0
    first["ca_arrival"].values[exact > 40.0] = np.nan
    joined = xr.concat([first, second], "time", data_vars="minimal", coords="minimal", compat="override")
    np.testing.assert_allclose(cs.arrival_times(joined).values, exact[:200], atol=0.02)
    early = cs.arrival_times(ds.isel(time=slice(0, 50))).values
    np.testing.assert_array_equal(np.isnan(early), exact[:200] > 24.5)
    late = cs.arrival_times(ds.isel(time=slice(60, None))).values
    assert (late[exact[:200] < 30.0] == 30.0).all()
    np.testing.assert_array_equal(late[exact[:200] > 30.0], exact[:200][exact[:200] > 30.0])


def test_noted_crossings_are_taken_for_their_threshold_and_no_other(noted):
    ds, exact = noted
    np.testing.assert_array_equal(cs.arrival_times(ds).values, exact[:200])
    np.testing.assert_array_equal(cs.arrival_times(ds, threshold="0.2 uM").values, exact[:200])
    other = cs.arrival_times(ds, threshold="0.3 uM")
    assert (other.values > exact[:200]).all()
    assert other.attrs["threshold"] == 0.3
    assert cs.wave_speed(ds.drop_vars("ca")) == pytest.approx(0.5, rel=1e-12)


@pytest.fixture
def noted(cable):
    """The cable with exact arrivals as a run notes them."""
    ds = cable.copy(deep=True)
    exact = np.where(ds.region.values == "cytosol", 2.0 + ds.distance.values / 0.5, np.nan)
    told = {"of": "ca", "model_name": "ca", "threshold": 0.2, "seen_until": 100.0, "diffusion_cytosol": 0.22}
    ds["ca_arrival"] = ("node", exact.copy(), told | {"noted": "arrival"})
    ds["ca_peak"] = ("node", np.where(ds.region.values == "cytosol", 2.9, np.nan), told | {"noted": "peak"})
    return ds, exact


def test_spacing_advice_counts_edges_on_unstructured_meshes():
    """Tetrahedra with edges of 0.2 to 0.35 um and a front of 0.22/1.342 = 0.16 um: a fourth of that is 0.041 um. All nodes lie at their own
    distance, 1e-3 um apart in the median, which says nothing of the mesh."""
    mesh = _bar(0.2)
    assert np.median(np.diff(np.sort(mesh.distance))) < 0.02
    ca = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM"})
    time = np.arange(0.0, 8.0, 0.05)
    rise = np.exp((time[:, None] - 1.0 - mesh.distance / 1.342) * 8.0)
    c = 0.05 + 0.15 * rise / (1 + 0.05 * rise)
    ds = assemble(cs.Model(mesh, [ca]), Frames(time, {("ca", "cytosol"): c}))
    with pytest.warns(UserWarning, match=r"the spacing of 0\.[23]\d* um is coarse for a front of 0.16 um, take 0.041 um$"):
        assert cs.wave_speed(ds) == pytest.approx(1.342, rel=5e-3)


def test_spacing_advice_on_a_grid_is_the_spacing_along_the_wave():
    """(z, r) cells of 0.1 um by 0.02 um: what counts is 0.1."""
    mesh = neurite("2 um", "0.4 um", er_radius="0.2 um", spacing="0.1 um", dims=2, radial_spacing="0.02 um")
    ca = cs.Species("ca", dict.fromkeys(mesh.regions, "220 um^2/s"), dict.fromkeys(mesh.regions, "0.05 uM"))
    ds = assemble(cs.Model(mesh, [ca]), Frames(np.zeros(1), {("ca", "cytosol"): np.ones((1, mesh.start[1]))}))
    assert spacing(ds, region_nodes(ds, "cytosol")) == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_coarse_spacing_is_told_when_the_run_ends_and_the_advice_is_not_coarse(dims):
    """A wave of 1.3 um/ms has a front of 0.17 um, and a quarter of that is 0.04 um: told by the run, in its notes, and not again."""
    mesh = neurite("5 um", "0.2 um", "0.1 um", spacing="0.2 um", dims=min(dims, 2))
    model = breit_queisser(replace(mesh, structure=None) if dims == 3 else mesh)
    many = r" \(about 1[56]0 positions\)" if dims == 1 else ""  # 5 um of them, 0.032 um apart
    with pytest.warns(cs.ModelWarning, match=rf"the spacing of 0\.2 um is coarse for a front of 0\.\d+ um, take 0\.0\d+ um{many}$"):
        ds = cs.simulate(model, until="8 ms", every="1 ms", record=["ca"])
    assert "is coarse for a front" in ds.attrs["notes"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        speed = cs.wave_speed(ds)
    for rounded in (f"{0.25 * 0.22 / speed:.2g}", f"{1.01 * 0.25 * 0.22 / speed:.6g}"):
        assert not _coarse_line(speed, float(rounded))
    assert _coarse_line(speed, 1.1 * 0.25 * 0.22 / speed)


def _coarse_line(speed, spacing):
    """What a synthetic wave of a speed is told on a cable of a spacing."""
    mesh = neurite(f"{100 * spacing} um", "0.2 um", "0.1 um", spacing=f"{spacing} um")
    ca = cs.Species("ca", dict.fromkeys(mesh.regions, "220 um^2/s"), dict.fromkeys(mesh.regions, "0.05 uM"))
    ds = assemble(cs.Model(mesh, [ca]), Frames(np.array([0.0, 1e3]), {("ca", "cytosol"): np.ones((2, 100))}))
    exact = np.where(ds.region.values == "cytosol", 1.0 + ds.distance.values / speed, np.nan)
    told = {"of": "ca", "model_name": "ca", "threshold": 0.2, "seen_until": 1e3, "diffusion_cytosol": 0.22}
    ds["ca_arrival"] = ("node", exact, told | {"noted": "arrival"})
    ds["ca_peak"] = ("node", 0 * exact + 2.0, told | {"noted": "peak"})
    return coarse_front(ds, "ca")


def _bar(size):
    """A bar of 6 x 0.6 x 0.6 um of tetrahedra, six to a cube, whose inner points are moved a little."""
    counts = (30, 3, 3)
    points = np.stack(np.meshgrid(*(np.arange(n + 1) for n in counts), indexing="ij"), axis=-1).reshape(-1, 3) * size
    points += 0.05 * size * np.random.default_rng(1).uniform(-1, 1, points.shape)
    number = np.arange(len(points)).reshape([n + 1 for n in counts])
    tets = []
    for i, j, k in np.ndindex(*counts):
        for order in itertools.permutations(range(3)):
            corner, way = [i, j, k], [number[i, j, k]]
            for axis in order:
                corner[axis] += 1
                way.append(number[tuple(corner)])
            tets.append(way)
    return from_simplices(points, np.array(tets), np.zeros(len(tets), int), {0: "cytosol"})


def test_wave_speed_across_a_section(cable):
    """On a mesh that is no tree the arrival is taken over the coordinate `distance`."""
    extra = np.array([[0, 2]], np.int32)
    nodes = xr.DataArray(np.concatenate([cable.edge_nodes.values, extra]), dims=("edge", "two"))
    looped = cable.drop_vars("edge_nodes").assign(edge_nodes=nodes)
    assert cs.wave_speed(looped) == pytest.approx(0.5, rel=1e-3)


def test_bad_places_are_refused(cable, fork):
    with pytest.raises(cs.InputError, match="must be two places on the path"):
        cs.wave_speed(cable, between=(8, 100))
    with pytest.raises(cs.InputError, match=r"unknown region 'cytosl' \(did you mean 'cytosol'"):
        cs.arrival_times(cable, region="cytosl")
    with pytest.raises(cs.InputError, match=r"has no 'cal' \(did you mean"):
        cs.arrival_times(cable, species="cal")
    with pytest.raises(cs.InputError, match="does not live in 'er'"):
        cs.arrival_times(cable, species="calbindin", region="er")
    with pytest.raises(cs.InputError, match="node 150 is not in region 'cytosol'"):
        travel(fork, 0, 150)


def test_total_counts_free_and_bound_in_all_regions(cable):
    volume = cable.volume.values
    free = np.nansum(cable.ca.values * volume, axis=1)
    bound = ((160 - 149.4) * volume[:200]).sum()
    np.testing.assert_allclose(cs.total_calcium(cable).values, free + bound, rtol=1e-14)


def test_undershoot_is_relative_to_the_peak(cable):
    assert undershoot(cable) == {"ca": 0.0, "calbindin": 0.0}
    low = cable.copy(deep=True)
    low.ca.values[3, 7] = -2.5
    assert undershoot(low)["ca"] == pytest.approx(2.5 / np.abs(cable.ca.values).max())


def test_sources_of_channels_that_are_not_installed(cable):
    assert cite(cable) == ["Release: (not installed here)"]


def test_a_coarse_mesh_earns_a_warning(cable):
    """A front is D/v wide; a spacing above a quarter of that is said to be coarse."""
    ds = cable.copy()
    ds["ca"].attrs = ds["ca"].attrs | {"diffusion_cytosol": 0.22}
    with pytest.warns(UserWarning, match="is coarse for a front of"):
        cs.wave_speed(ds)


@pytest.mark.parametrize("outputs", [[0, 160], [0, 60, 120, 200]])
def test_outputs_too_far_apart_tell_no_speed(cable, outputs):
    """A wave that crosses the cable within an interval of the outputs or two has no speed that they tell."""
    with pytest.warns(UserWarning, match="within outputs .* ms apart, too far to tell a speed"):
        assert np.isnan(cs.wave_speed(cable.isel(time=outputs), threshold="0.3 uM"))
