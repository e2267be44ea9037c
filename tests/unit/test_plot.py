"""Pictures: they are drawn, show the wave, and need no display."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import calcium_sim as cs
from calcium_sim.plot import _radius, arrival_map, draw, kymograph, traces

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


def test_a_tree_that_no_wave_reached_is_grey(fork, ax):
    arrival_map(fork, ax=ax, threshold=100)
    assert len(ax.figure.axes) == 1, "a colour bar without colours"


def test_files_are_written_without_pyplot(cable, tmp_path):
    path = draw(kymograph, cable, tmp_path / "wave.png")
    assert path.read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(cs.StorageError, match="cannot be written"):
        draw(kymograph, cable, tmp_path / "missing" / "wave.png")
