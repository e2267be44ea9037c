"""Several waves in one cell, and none: the speed of one of them, where they meet, and what is no wave."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

import calcium_sim as cs
from calcium_sim.meshes import neurite
from calcium_sim.meshes.simplices import from_simplices
from calcium_sim.plot import arrival_map, kymograph
from calcium_sim.presets import breit_queisser
from calcium_sim.results.dataset import Frames, assemble
from calcium_sim.results.diagnostics import read_wave

SPEED = 0.5


def cell(arrival_of, length=40.0, spacing=0.2, until=200.0, diffusion="220 um^2/s"):
    """A cable whose arrivals, as a run notes them, are a function of the position."""
    mesh = neurite(f"{length} um", "0.2 um", "0.1 um", spacing=f"{spacing} um")
    return noted(mesh, np.asarray(arrival_of(mesh.distance[mesh.span("cytosol")])), until, diffusion)


def noted(mesh, arrival, until=200.0, diffusion="220 um^2/s"):
    ca = cs.Species("ca", dict.fromkeys(mesh.regions, diffusion), dict.fromkeys(mesh.regions, "0.05 uM"))
    time = np.array([0.0, 0.5 * until, until])
    c = np.where(time[:, None] >= np.where(np.isnan(arrival), np.inf, arrival), 2.0, 0.05)
    ds = assemble(cs.Model(mesh, [ca]), Frames(time, {("ca", "cytosol"): c}))
    whole = np.full(mesh.nodes, np.nan)
    whole[mesh.span("cytosol")] = arrival
    told = {"of": "ca", "model_name": "ca", "threshold": 0.2, "seen_from": 0.0, "seen_until": until}
    told["diffusion_cytosol"] = ds["ca"].attrs["diffusion_cytosol"]
    ds["ca_arrival"] = ("node", whole, told | {"noted": "arrival"})
    ds["ca_peak"] = ("node", 0 * np.nan_to_num(whole) + 2.0, told | {"noted": "peak"})
    return ds


def from_places(*starts):
    """Arrivals of waves of `SPEED` that start at (place, time)."""
    return lambda x: np.min([t + np.abs(x - at) / SPEED for at, t in starts], axis=0)


def said(ds, **options):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        speed = cs.wave_speed(ds, **options)
    return speed, [str(w.message) for w in seen if "coarse" not in str(w.message)]


@pytest.mark.parametrize(
    ("starts", "meets", "way"),
    [
        (((0, 1), (40, 1)), 20.0, (20.0, 0.1)),
        (((0, 1), (40, 6)), 21.25, (0.1, 21.25)),
        (((0, 1), (40, 41)), 30.0, (0.1, 30.0)),
        (((40, 1), (0, 26)), 13.75, (39.9, 13.75)),
        (((5, 1), (25, 2)), 15.25, (25.0, 39.9)),
        (((5, 1), (25, 9)), 17.0, (25.0, 39.9)),
    ],
)
@pytest.mark.parametrize("looped", [False, True])
def test_where_two_waves_meet_the_speed_is_that_of_one(starts, meets, way, looped):
    """Both run at 0.5 um/ms. On the way of the first to the farthest place arrivals fall again behind the meeting: 5.8 um/ms were read."""
    ds = cell(from_places(*starts))
    if looped:  # no tree: followed along `distance`
        nodes = np.concatenate([ds.edge_nodes.values, [[0, 2]]])
        ds = ds.drop_vars("edge_nodes").assign(edge_nodes=(("edge", "two"), nodes))
    speed, lines = said(ds)
    assert speed == pytest.approx(SPEED, rel=1e-9)
    assert len(lines) == 1, lines
    assert "meet at" in lines[0]
    place = float(lines[0].split("meet at ")[1].split(" um")[0])
    assert place == pytest.approx(meets, abs=0.31)
    first, last = (float(v) for v in lines[0].split("wave from ")[1].removesuffix(" um").split(" to "))
    length = abs(way[1] - way[0])
    assert abs(last - first) == pytest.approx(length, abs=0.5), lines
    assert abs(first - way[0]) < 0.5 or starts[0][1] == starts[1][1], lines  # of two of equal length either
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert kymograph(ds, ax=Figure().add_subplot()).get_title(loc="left") == "Ca²⁺ wave, 0.5 µm/ms"


def test_between_two_places_with_a_meeting_there_is_no_speed():
    ds = cell(from_places((0, 1), (40, 6)))
    assert said(ds, between=(3, 18))[0] == pytest.approx(SPEED, rel=1e-9)
    assert said(ds, between=(25, 35))[0] == pytest.approx(SPEED, rel=1e-9)
    for span in ((10, 30), (20, 23), (2, 38)):
        speed, lines = said(ds, between=span)
        assert np.isnan(speed)
        assert "waves meet at 21.3 um, between" in lines[0] or "waves meet at 21.1 um, between" in lines[0], lines
    speed, lines = said(cell(from_places((20, 1))), between=(10, 25), path=(0, 199))
    assert np.isnan(speed)
    assert "a wave starts to both sides at 19.9" in lines[0] or "a wave starts to both sides at 20.1" in lines[0], lines


def test_a_wave_that_jumps_over_hot_spots_is_one_wave():
    """Hot spots every 5 um fire 1 um ahead and spread back: ten small reversals, one wave of 0.5 um/ms on the whole."""

    def arrival(x):
        spot = 5.0 * np.round(x / 5.0)
        return 2.0 + spot / SPEED + np.abs(x - spot) / SPEED * np.where(x < spot, 0.5, 1.5)

    speed, lines = said(cell(arrival, length=100.0, until=300.0))
    assert not lines
    assert speed == pytest.approx(SPEED, rel=0.01)


def test_a_second_wave_that_runs_back_by_little_shifts_the_speed_by_little():
    """In the middle of 60 um, where it does the most harm: what is told is exact, what is not is within 4 % (1 % of the time)."""
    for back in np.arange(0.2, 6.0, 0.4):
        speed, lines = said(cell(from_places((0, 1), (30, 1 + (30 - 2 * back) / SPEED)), length=60.0))
        assert speed == pytest.approx(SPEED, rel=1e-9 if lines else 0.04), (back, speed, lines)
        assert lines or back < 1.0


def test_waves_that_ended_before_they_met_are_told_apart():
    """From 5 and 35 um, 12 um far to each side within the cell; between 17 and 23 um nothing came."""

    def arrival(x):
        t = from_places((5, 1), (35, 3))(x)
        return np.where(t > 27.0, np.nan, t)

    speed, lines = said(cell(arrival))
    assert speed == pytest.approx(SPEED, rel=1e-9)
    assert "has ended: it came only" in lines[0], lines
    assert "meet" not in lines[0]


def test_waves_that_meet_among_tetrahedra_of_scattered_places():
    """Every node has its own distance: medians over slabs of two edges tell that arrivals turn, not single nodes."""
    points = np.random.default_rng(3).uniform((0, 0, 0), (20, 1, 1), (3000, 3))
    from scipy.spatial import Delaunay

    tets = Delaunay(points).simplices
    mesh = from_simplices(points, tets, np.zeros(len(tets), int), {0: "cytosol"})
    x = mesh.distance - mesh.distance.min()
    speed, lines = said(noted(mesh, from_places((0, 1), (20, 5))(x)))
    assert speed == pytest.approx(SPEED, rel=1e-6)
    assert "meet at 11" in lines[0] or "meet at 10." in lines[0], lines
    speed, lines = said(noted(mesh, from_places((0, 1))(x)))
    assert speed == pytest.approx(SPEED, rel=1e-6)
    assert not lines


@pytest.mark.parametrize("dims", [1, 2])
def test_a_run_with_stimuli_at_both_ends_has_the_speed_of_one(dims):
    """Within 3 %: the stretch of 4 um is shorter than the way after which the front is steady."""
    mesh = neurite("8 um", "0.2 um", "0.1 um", spacing="0.1 um", dims=dims)
    ends = [
        cs.Influx("ca", at=at, flux="2500 uM*um/s", shape="ramp-down", duration="1 ms", start=f"{t} ms")
        for at, t in (("left", 0), ("right", 1))
    ]
    speeds = []
    for stimuli in (ends[:1], ends):
        ds = cs.simulate(breit_queisser(mesh, stimulus=stimuli), until="12 ms", every="4 ms", record=["ca"])
        speed, lines = said(ds)
        assert ("meet at" in " ".join(lines)) == (len(stimuli) == 2)
        speeds.append(speed)
    assert speeds[1] == pytest.approx(speeds[0], rel=0.03), speeds


def test_what_diffusion_alone_brings_is_no_wave():
    """0.65 um at 1.34 um/ms is x^2 = 4 D t of D = 0.22 um^2/ms: it was a wave in the headline."""
    model = breit_queisser(neurite("20 um", "0.2 um", "0.1 um", spacing="0.1 um"), ryr_density="0 /um^2")
    ds = cs.simulate(model, until="20 ms", every="1 ms", record=["ca"])
    reached = np.isfinite(cs.arrival_times(ds).values)
    assert 5 <= reached.sum() < 20
    speed, lines = said(ds)
    assert np.isnan(speed)
    assert lines[0].startswith("no wave: a rise above the threshold was seen from 0.05 to "), lines
    for picture in (kymograph, arrival_map):
        ax = picture(ds, ax=Figure().add_subplot())
        assert "no wave" in ax.get_title(loc="left") + ax.get_title(loc="center")


def test_a_short_way_that_may_go_on_is_told_as_short():
    ds = cell(lambda x: np.where(x < 2.0, 1.0 + x / 1.0, np.nan), until=3.2)
    speed, lines = said(ds)
    assert speed == pytest.approx(1.0, rel=1e-6)
    assert "so far no farther than diffusion alone brings a stimulus" in lines[0], lines


def test_what_starts_above_the_threshold_says_so(cable):
    for options, told in (
        ({"region": "er"}, r"no wave: 'ca' in 'er' is above 0.2 uM when the result begins, at 0 ms (no upward crossing tells a wave"),
        ({"threshold": "0.01 uM"}, "no wave: 'ca' in 'cytosol' is above 0.01 uM when the result begins, at 0 ms ("),
        ({"species": "calbindin"}, "no wave: 'calbindin' in 'cytosol' is above 0.2 uM when the result begins, at 0 ms ("),
        ({"region": "er", "threshold": "250 uM"}, "no wave: 'ca' in 'er' is above 250 uM when the result begins, at 0 ms"),
    ):
        speed, lines = said(cable, **options)
        assert np.isnan(speed)
        assert lines[0].startswith(told), lines
    some = cell(lambda x: np.where(x < 2.0, 0.0, np.nan))
    assert "at 10 of 200 places, and crosses it nowhere else" in said(some)[1][0]


def test_a_result_that_begins_within_the_wave_has_the_speed_of_what_came_later(cable):
    """From 40 ms on: the wave is at 19 um. The places that it had passed have no arrival, and took part in the line as if they had one."""
    speed, _ = said(cable.isel(time=slice(80, None)))
    assert speed == pytest.approx(0.5, rel=2e-3)


@pytest.mark.parametrize("spread", [0.0, 1e-4, 0.05])
def test_a_cell_that_fires_as_a_whole_carries_no_wave(spread):
    """All places within 50 us: 800 um/ms over a spacing of 0.2 um, where diffusion carries 1 um/ms."""
    speed, lines = said(cell(lambda x: 7.0 + spread * x / 40.0))
    assert np.isnan(speed)
    assert lines[0].startswith("no wave: all places cross the threshold "), lines
    assert "the cell fires as a whole (not at rest at the start, or stimulated everywhere)" in lines[0]
    assert not read_wave(cell(lambda x: 7.0 + 0 * x)).wave


def test_totals_of_a_run_that_kept_calcium_only_count_the_buffer():
    """The ledger of the file has what is bound; 29 % were lost."""
    mesh = neurite("3 um", "0.2 um", "0.1 um", spacing="0.1 um")
    whole, *others = (
        cs.simulate(breit_queisser(mesh), until="3 ms", every="1 ms", record=record)
        for record in (["ca", "calbindin"], "ca", ["calbindin"], [])
    )
    free = np.nansum(whole.ca.values * whole.volume.values, axis=1)
    bound = np.nansum((whole.calbindin.attrs["total"] - whole.calbindin.values) * whole.volume.values, axis=1)
    assert (bound / free).max() > 0.05
    for ds in (whole, *others):
        np.testing.assert_allclose(cs.total_calcium(ds).values, free + bound, rtol=1e-12)
    parts = [whole.sel(region=r) for r in ("cytosol", "er")]
    np.testing.assert_allclose(sum(cs.total_calcium(p).values for p in parts), free + bound, rtol=1e-12)
    assert cs.total_calcium(parts[0]).attrs["long_name"].endswith("in a part of the cell: 30 of 60 nodes (cytosol)")
    assert "part" not in cs.total_calcium(whole).attrs["long_name"]
    few = [whole.isel(node=slice(0, 20)), whole.isel(node=slice(20, None))]
    np.testing.assert_allclose(sum(cs.total_calcium(p).values for p in few), free + bound, rtol=1e-12)
    with pytest.raises(cs.InputError, match=r"'calbindin' binds 'ca' and was not recorded.* 30 of 60 nodes \(cytosol\) \(record it"):
        cs.total_calcium(others[0].sel(region="cytosol"))
    er = cs.total_calcium(others[0].sel(region="er")).values
    np.testing.assert_allclose(er, np.nansum(parts[1].ca.values * parts[1].volume.values, axis=1), rtol=1e-12)
    with pytest.raises(cs.InputError, match=r"missing \(NaN\), so there is no total"):
        cs.total_calcium(whole.where(whole.distance < 1.0))


DAMAGES = {
    **{f"no {name}": lambda ds, name=name: ds.drop_vars(name) for name in ("x", "y", "z", "distance", "volume", "time", "edge_nodes")},
    "regions by number": lambda ds: ds.drop_vars("region").assign_coords(region=("node", np.arange(ds.sizes["node"]))),
    "no outputs": lambda ds: ds.isel(time=slice(0, 0)),
    "times in words": lambda ds: ds.assign_coords(time=[str(t) for t in ds.time.values]),
    "times missing": lambda ds: ds.assign_coords(time=ds.time * np.nan),
    "infinite": lambda ds: ds.assign(ca=ds.ca + np.inf),
    "words": lambda ds: ds.assign(ca=(ds.ca.dims, ds.ca.values.astype(str))),
    "model a list": lambda ds: ds.assign_attrs(model="[1, 2]", channels="[3]"),
    "model half": lambda ds: ds.assign_attrs(model="{", channels="{"),
    "model a number": lambda ds: ds.assign_attrs(model=3, channels=4.0),
    "edges far": lambda ds: ds.assign(edge_nodes=ds.edge_nodes + 10**6),
    "edges below": lambda ds: ds.assign(edge_nodes=ds.edge_nodes * 0 - 5),
    "edges in words": lambda ds: ds.assign(edge_nodes=(ds.edge_nodes.dims, ds.edge_nodes.values.astype(str))),
    "distance missing": lambda ds: ds.assign_coords(distance=ds.distance * np.nan),
    "places beyond counting": lambda ds: ds.assign_coords(node_index=ds.node_index.astype(np.int64) + 10**15),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_is_told_in_one_line(cable, damage):
    """Each use gives its answer or one line; some damage concerns only some of them."""
    ds, lines = DAMAGES[damage](cable.copy(deep=True)), []
    for use in (cs.wave_speed, cs.arrival_times, cs.total_calcium, cs.cite, kymograph, arrival_map, traces_of):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                use(ds, **({"ax": Figure().add_subplot()} if use in (kymograph, arrival_map) else {}))
            except cs.CalciumSimError as error:
                lines.append(str(error))
    assert lines
    assert all("\n" not in line and len(line) < 300 for line in lines), lines


def traces_of(ds):
    from calcium_sim.plot import traces

    traces(ds, ax=Figure().add_subplot())


@pytest.mark.parametrize("given", [[], {}, set(), 3, None, np.array([1.0, 2.0]), ["ca"], 5 * cs.units.um])
def test_names_that_are_none_are_told(cable, given):
    for use in (cs.wave_speed, cs.arrival_times, lambda ds, **k: kymograph(ds, ax=Figure().add_subplot(), **k)):
        with pytest.raises(cs.InputError, match=r"species: .* is no name of a species"):
            use(cable, species=given)
        with pytest.raises(cs.InputError, match=r"region: .* is no name of a region"):
            use(cable, region=given)
    with pytest.raises(cs.InputError, match=r"ax: .* is no matplotlib axes"):
        kymograph(cable, ax=given if given is not None else "axes")


def test_a_file_that_declares_more_than_it_holds_is_not_read(tmp_path):
    """8 kB that declare 80 GB: refused before a value is read."""
    import netCDF4

    path = tmp_path / "bomb.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("node", 10**6)
        file.createDimension("time", 10**4)
        file.createVariable("region", "S1", ("node",), zlib=True)
        file.createVariable("ca", "f8", ("time", "node"), zlib=True, chunksizes=(1, 10**6), fill_value=0.0)
    with pytest.raises(cs.StorageError, match=r"declares 80 GB of values in a file of .* kB: damaged"):
        cs.open(path)


def test_names_of_files_and_long_words_are_told_in_a_short_line(cable):
    for name in ("a" * 5000, "\ud800", "a\0b"):
        with pytest.raises(cs.InputError, match="cannot be the name of a file here") as seen:
            cs.open(name)
        assert len(str(seen.value)) < 300
    word = "a" * 5000
    for options in ({"species": word}, {"region": word}, {"path": word}, {"threshold": 10**400}):
        with pytest.raises(cs.InputError) as seen:
            cs.wave_speed(cable, **options)
        assert len(str(seen.value)) < 400


@pytest.mark.parametrize("covered", [0.1, 0.3, 0.5, 0.7])
def test_what_a_stimulus_covers_is_no_wave(covered):
    """The first part of the cell at once, then a wave: its speed was up to twice as large, or none."""
    ds = cell(lambda x: 1.0 + np.maximum(x - 40.0 * covered, 0.0) / SPEED)
    assert said(ds)[0] == pytest.approx(SPEED, rel=0.01)


def test_places_that_a_wave_leaves_out_do_not_hide_it():
    """Three of 200 places unreached."""
    speed, told = said(cell(lambda x: np.where(abs(x - 20.0) < 0.3, np.nan, 1.0 + x / SPEED)))
    assert (speed, told) == (pytest.approx(SPEED, rel=1e-6), [])


@pytest.mark.parametrize("late", ["a node", "a half", "a slow end", "an exponential"])
def test_a_wave_is_not_taken_for_a_stimulus(late):
    """However late the rest is reached: the part that ran was left out once it took less than a twentieth of the whole time."""
    arrivals = {
        "a node": lambda x: np.where(x > 39.8, 5000.0, 1.0 + x / SPEED),
        "a half": lambda x: np.where(x > 34.0, 5000.0, 1.0 + x / SPEED),
        "a slow end": lambda x: 1.0 + x / SPEED + np.maximum(x - 36.0, 0.0) * 600.0,
        "an exponential": lambda x: 20.0 * np.exp(x / 25.0),
    }
    ds = cell(arrivals[late], until=6000.0)
    x = np.linspace(8.0, 32.0, 200)
    line = 1.0 / np.polyfit(x, arrivals[late](x), 1)[0]
    assert said(ds)[0] == pytest.approx(line, rel=0.1)
