"""Pictures: they are drawn, show the wave, and need no display."""

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

import calcium_sim as cs
from calcium_sim.app.runs import _pictures
from calcium_sim.plot import arrival_map, draw, kymograph, traces
from calcium_sim.plot.colours import scale, thinned
from calcium_sim.plot.pictures import _radius

mpl.use("Agg")


@pytest.fixture
def ax():
    return Figure(layout="constrained").add_subplot()


def test_kymograph_shows_front_speed_and_units(cable, ax):
    assert kymograph(cable, ax=ax) is ax
    assert "0.5 µm/ms" in ax.get_title(loc="left")
    front = ax.lines[0]
    position, time = front.get_ydata(), front.get_xdata()
    np.testing.assert_allclose(time, 2 + position / 0.5, atol=0.005)
    assert "µM" in ax.figure.axes[1].get_ylabel()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time [ms]", "distance [µm]")


def test_kymograph_follows_the_wave_or_says_that_there_is_none(fork, ax):
    """From the tip where it starts; with the far arm at rest, to the end that it reached."""
    kymograph(fork, ax=ax)
    assert ax.get_ylabel() == "path length [µm]"
    assert len(ax.lines) == 1
    quiet = fork.copy(deep=True)
    quiet.ca.values[:, 41:80] = 0.05
    other = Figure().add_subplot()
    kymograph(quiet, ax=other)
    assert "0.8 µm/ms" in other.get_title(loc="left")
    still = Figure().add_subplot()
    kymograph(fork, ax=still, threshold=50)
    assert still.get_title(loc="left") == "Ca²⁺: no wave on this path (threshold 50 µM)"
    assert not still.lines


def test_a_short_way_of_a_wave_is_drawn_and_not_the_quiet_rest(cable, ax):
    """A wave that came 10 um far on 40 um of cable: 50 places of 0.2 um. It was a picture of the whole, and "no wave on this path"."""
    short = cable.copy(deep=True)
    short.ca.values[:, 50:200] = 0.05
    kymograph(short, ax=ax)
    assert ax.get_ylim()[1] == pytest.approx(10.0)
    assert len(ax.lines) == 1
    assert ax.get_title(loc="left") == "Ca²⁺ wave, 0.5 µm/ms"
    traces(short, ax=(other := Figure().add_subplot()))
    assert max(line.get_ydata().max() for line in other.lines) > 2.0


def test_the_front_of_a_section_is_that_of_the_noted_arrivals(cable, ax):
    """Two layers of nodes that are no tree, outputs every 10 ms: the front has 1 % of an output interval, as noted, and not 2 ms."""
    exact = np.where(cable.region.values == "cytosol", 2.0 + cable.distance.values / 0.5, np.nan)
    told = {"of": "ca", "model_name": "ca", "threshold": 0.2, "seen_until": 100.0}
    noted = cable.assign(
        ca_arrival=("node", exact, told | {"noted": "arrival"}), ca_peak=("node", 0 * exact + 2.9, told | {"noted": "peak"})
    ).sel(region="cytosol")
    pairs = cable.edge_nodes.values[:199]
    looped = noted.drop_vars("edge_nodes").assign(edge_nodes=(("edge", "two"), np.concatenate([pairs, [[0, 5]]])))
    kymograph(looped.isel(time=slice(0, None, 20)), ax=ax)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), exact[:200], rtol=1e-12)


def test_a_cell_at_rest_has_a_scale_and_no_front(cable, ax):
    flat = cable.copy(deep=True)
    flat.ca.values[:, :200] = 0.05
    kymograph(flat, ax=ax)
    assert "no wave on this path" in ax.get_title(loc="left")
    norm, tones = ax.collections[0].norm, ax.collections[0].cmap
    assert (norm.vmin, norm.vmax) == pytest.approx((0.05, 0.1))
    assert max(tones(float(norm(0.05)))[:3]) < 0.02, "rest is black"


@pytest.mark.parametrize(
    ("rest", "above", "below"), [(0.05, 0, 0), (0.05, 4e-4, 4e-4), (0, 0, 0), (250, 0, 20), (0.05, 8, 0.03), (0.05, 0.01, 0)]
)
def test_rest_is_black_and_every_tick_on_the_scale(rest, above, below):
    """Quiet cells, stores that empty, waves: rest within 0.02 of black in each channel, ticks between the ends."""
    values = np.full((100, 50), float(rest))
    values[30:60, 10:] += above
    values[70:80, 10:] -= below
    seen = scale(values)
    assert max(seen.tones(float(seen.norm(rest)))[:3]) < 0.02
    assert ((seen.ticks >= seen.norm.vmin * (1 - 1e-9)) & (seen.ticks <= seen.norm.vmax * (1 + 1e-9))).all()
    assert seen.norm.vmax - seen.norm.vmin > 0.04 * rest
    assert len(seen.ticks) > 2


def test_what_is_below_rest_does_not_look_like_rest():
    """0.02 uM behind a wave of 10 uM: blue where rest (0.05) is black; the scale is one-to-one and its ticks hold rest."""
    values = np.full((50, 40), 0.05)
    values[:, 10:] = 10.0
    values[20:30, 30:] = 0.02
    seen = scale(values)
    rest, low, high = (np.array(seen.tones(float(seen.norm(c)))[:3]) for c in (0.05, 0.02, 10.0))
    assert rest.max() < 0.1
    assert low.max() > 0.4
    assert low[2] > low[0]
    assert high.min() > 0.7
    c = np.geomspace(0.02, 10, 50)
    np.testing.assert_allclose(seen.norm.inverse(seen.norm(c)), c, rtol=1e-9)
    assert 0.05 in seen.ticks


def test_a_spot_of_one_place_and_one_time_survives():
    """One value of 6.7 uM among 6000 x 900: in the picture at its place; a dip, too, where nothing is higher."""
    values = np.full((6000, 900), 0.05)
    values[3333, 77], values[100, 5] = 6.7, 0.01
    rows, starts = thinned(values, 420, 0.05)
    both, columns = thinned(rows.T, 720, 0.05)
    assert both.shape == (720, 420)
    for place, t, c in ((3333, 77, 6.7), (100, 5, 0.01)):
        cell = np.searchsorted(columns, t, side="right") - 1, np.searchsorted(starts, place, side="right") - 1
        assert both[cell] == c
    assert np.count_nonzero(both != 0.05) == 2
    few, starts = thinned(values[:10], 420, 0.05)
    assert len(few) == 10
    assert starts.tolist() == list(range(11))


def test_a_local_event_does_not_saturate_and_a_stimulus_does():
    """One place of a hundred at 6.7 uM, the others at rest: the scale goes to 6.7. With a wave of 3 uM everywhere it goes to the wave."""
    values = np.full((100, 30), 0.05)
    values[40, 5:] = 6.7
    assert scale(values).norm.vmax == 6.7
    assert scale(values).extend == "neither"
    values[:, 10] = np.maximum(values[:, 10], 3.0)
    assert scale(values).norm.vmax == pytest.approx(3.0)
    assert scale(values).extend == "max"


def test_units_are_those_of_the_variable(cable, ax):
    """F/F0 has none, its level is no concentration: no front, no speed."""
    cable = cable.copy()
    cable["f_f0"] = cable.ca / 0.05
    cable["f_f0"].attrs = {"units": "1"}
    kymograph(cable, ax=ax, species="f_f0")
    assert ax.figure.axes[1].get_ylabel() == "f_f0 in the cytosol"
    assert ax.get_title(loc="left") == "f_f0"
    assert not ax.lines
    cable["f_f0"].attrs["units"] = "counts"
    traces(cable, ax=(other := Figure().add_subplot()), species="f_f0")
    assert other.get_ylabel() == "f_f0 in the cytosol [counts]"


def test_stores_that_empty_are_shown_below_rest(cable, ax):
    kymograph(cable, ax=ax, region="er")
    assert ax.get_title(loc="left") == "Ca²⁺"
    assert not ax.lines, "the store starts above the threshold, which is no front"


def test_kymograph_of_a_path_through_a_tree(fork, ax):
    kymograph(fork, path=(99, 79), ax=ax)
    assert ax.get_ylabel() == "path length [µm]"
    assert ax.get_ylim()[1] == pytest.approx(30.25)


def test_kymograph_of_a_section_takes_means(cable, ax):
    """Two layers of nodes at the same distances: the picture has one row per distance."""
    model_nodes = cable.sel(region="cytosol")
    pairs = cable.edge_nodes.values[:199]
    doubled = model_nodes.drop_vars("edge_nodes").assign(edge_nodes=(("edge", "two"), np.concatenate([pairs, [[0, 5]]])))
    kymograph(doubled, ax=ax)
    assert ax.collections[0].get_array().shape == (200, 201)


def test_traces_at_places(cable, ax):
    traces(cable, at=[10, "20 um"], ax=ax)
    assert len(ax.lines) == 2
    with pytest.raises(cs.InputError, match="must lie on the path"):
        traces(cable, at=[100], ax=ax)


def test_arrival_map_is_as_wide_as_the_dendrite(fork, ax):
    arrival_map(fork, ax=ax)
    lines = ax.collections[0]
    assert len(lines.get_segments()) == 99
    np.testing.assert_allclose(_radius(fork, np.arange(100)), 0.4, rtol=1e-12)
    width = np.asarray(lines.get_linewidths())
    assert (width > 1).all()
    assert np.ptp(width) < 1e-9


def test_a_tree_that_no_wave_reached_is_grey_and_says_so(fork, ax):
    arrival_map(fork, ax=ax, threshold=100)
    assert len(ax.figure.axes) == 1, "a colour bar without colours"
    assert ax.get_title() == "no wave: Ca²⁺ in the cytosol stays below 100 µM"


@pytest.mark.parametrize(("x", "y"), [(0.05, 1.0), (1.0, 0.05)])
def test_the_picture_of_a_narrow_cell_is_as_narrow(fork, x, y, tmp_path):
    """No edge of a fifth of the picture is empty (measured: 6 % and 19 %), nor a third beside the colour bar; it was half."""
    narrow = fork.assign_coords(x=fork.x * x, y=(fork.x if y == 1.0 else fork.y) * y)
    picture = mpl.image.imread(draw(arrival_map, narrow, tmp_path / "cell.png", (7.0, 6.0)))[..., :3]
    inked = (picture < 0.99).any(axis=2)
    for line in (inked.any(axis=0), inked.any(axis=1)):
        at = np.flatnonzero(line)
        assert at[0] < 0.2 * len(line)
        assert at[-1] > 0.8 * len(line)
    gap = np.diff(np.flatnonzero(inked.any(axis=0))).max()
    assert gap < 0.34 * inked.shape[1], f"{gap} of {inked.shape[1]} columns between the cell and its colour bar are empty"


def test_files_are_written_without_pyplot(cable, tmp_path):
    path = draw(kymograph, cable, tmp_path / "wave.png")
    assert path.read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(cs.StorageError, match="cannot be written"):
        draw(kymograph, cable, tmp_path / "missing" / "wave.png")


def test_the_cell_is_coloured_by_arrivals_that_were_noted_where_no_field_was_kept(fork, ax, tmp_path):
    """As after ``record={...}``: the run has noted arrivals at every node."""
    when = cs.arrival_times(fork)
    told = {"of": "ca", "model_name": "ca", "threshold": 0.2, "seen_until": 200.0}
    whole, peak = np.full(fork.sizes["node"], np.nan), np.where(fork.region == "cytosol", 3.0, np.nan)
    whole[: len(when)] = when
    bare = fork.drop_vars("ca").assign(
        ca_arrival=("node", whole, told | {"noted": "arrival"}), ca_peak=("node", peak, told | {"noted": "peak"})
    )
    arrival_map(bare, ax=ax)
    arrival_map(fork, ax=(other := Figure(layout="constrained").add_subplot()))
    np.testing.assert_array_equal(ax.collections[0].get_array(), other.collections[0].get_array())
    assert [file.name for file in _pictures(bare, tmp_path, "a")] == ["a-arrival.png"]
