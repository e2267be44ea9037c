"""Straight neurites and points: volumes, areas and conductances against the closed forms of cylinders."""

import math

import numpy as np
import pytest

from calcium_sim import units as u
from calcium_sim.errors import InputError
from calcium_sim.mesh import Columns, path_to, within
from calcium_sim.meshes import neurite, well_mixed


def stiffness(mesh):
    """Dense matrix K of the edges: (K u)_i = sum over edges of conductance (u_i - u_j)."""
    k = np.zeros((mesh.nodes, mesh.nodes))
    for (a, b), c in zip(mesh.edges, mesh.conductance, strict=True):
        k[[a, b], [a, b]] += c
        k[[a, b], [b, a]] -= c
    return k


def test_well_mixed_has_one_node_per_region():
    mesh = well_mixed(
        {"cytosol": "1 um^3", "er": 0.2 * u.um3, "mito": "0.05 um^3"},
        {"er": (("er", "cytosol"), "2 um^2"), "mito": (("mito", "cytosol"), "0.7 um^2"), "plasma": (("cytosol", "outside"), "3 um^2")},
    )
    assert mesh.regions == ("cytosol", "er", "mito")
    assert mesh.volume.tolist() == [1.0, 0.2, 0.05]
    assert mesh.edges.shape == (0, 2)
    assert isinstance(mesh.structure, Columns)
    assert mesh.structure.conductance.tolist() == [[0.0], [0.0], [0.0]]
    er, plasma = mesh.membranes["er"], mesh.membranes["plasma"]
    assert (er.inside.tolist(), er.outside.tolist(), er.area.tolist()) == ([1], [0], [2.0])
    assert (plasma.inside.tolist(), plasma.outside.tolist(), plasma.area.tolist()) == ([0], [], [3.0])


@pytest.mark.parametrize(
    ("volumes", "membranes", "named"),
    [
        ({}, {}, "volumes"),
        ({"cytosol": "0 um^3"}, {}, "must be > 0"),
        ({"cytosol": "1 um"}, {}, "length"),
        ({"cytosol": "1 um^3"}, {"er": (("er", "cytosol"), "2 um^2")}, "unknown region 'er'"),
        ({"cytosol": "1 um^3"}, {"pm": (("outside", "cytosol"), "2 um^2")}, "the outside comes second"),
        ({"cytosol": "1 um^3"}, {"pm": (("cytosol", "cytosol"), "2 um^2")}, "both sides"),
        ({"cytosol": "1 um^3"}, {"pm": (("cytosol", "outside"), "-2 um^2")}, "must be > 0"),
        ({"cytosol": "1 um^3"}, {"pm": "2 um^2"}, "is not ((inside, outside), area)"),
    ],
)
def test_well_mixed_refuses(volumes, membranes, named):
    with pytest.raises(InputError) as error:
        well_mixed(volumes, membranes)
    assert named in str(error.value), str(error.value)


@pytest.mark.parametrize("dims", [1, 2])
def test_volumes_and_areas_are_those_of_cylinders(dims):
    mesh = neurite("50 um", "0.4 um", "0.15 um", "0.05 um", dims)
    er, cytosol = mesh.volume[mesh.span("er")].sum(), mesh.volume[mesh.span("cytosol")].sum()
    assert er == pytest.approx(math.pi * 0.15**2 * 50, rel=1e-13)
    assert cytosol == pytest.approx(math.pi * (0.4**2 - 0.15**2) * 50, rel=1e-13)
    assert mesh.membranes["er"].area.sum() == pytest.approx(2 * math.pi * 0.15 * 50, rel=1e-13)
    assert mesh.membranes["plasma"].area.sum() == pytest.approx(2 * math.pi * 0.4 * 50, rel=1e-13)
    for side in ("left", "right"):
        assert mesh.faces[side].area.sum() == pytest.approx(math.pi * (0.4**2 - 0.15**2), rel=1e-13)
        assert mesh.faces[f"{side}-er"].area.sum() == pytest.approx(math.pi * 0.15**2, rel=1e-13)
        assert mesh.faces[side].region == "cytosol"
        assert set(mesh.faces[side].nodes) <= set(np.flatnonzero(mesh.labels[side]))


@pytest.mark.parametrize("dims", [1, 2])
def test_a_linear_field_along_the_axis_is_in_balance(dims):
    """K z = 0 at nodes that are not at an end; rows of K sum to zero."""
    mesh = neurite("4 um", "0.5 um", "0.2 um", "0.25 um", dims)
    k = stiffness(mesh)
    inner = ~(mesh.labels["left"] | mesh.labels["right"])
    scale = np.abs(k).max() * 4
    assert np.abs(k.sum(axis=1)).max() < 1e-13 * scale
    residual = np.abs(k @ mesh.position[:, 0])[inner].max() / scale
    assert residual < 1e-13, f"{residual:.2e}"
    assert np.abs(k - k.T).max() == 0


def test_a_parabola_in_the_radius_has_laplacian_four():
    """(K s^2) = -4 V at every node but those at a wall, since rings conduct 2 pi s dx / ds."""
    mesh = neurite("1 um", "0.5 um", "0.2 um", "0.25 um", 2, radial_spacing="0.02 um")
    k = stiffness(mesh)
    walls = np.zeros(mesh.nodes, bool)
    for membrane in mesh.membranes.values():
        walls[membrane.inside] = True
        walls[membrane.outside] = True
    s = mesh.position[:, 1]
    laplacian = -(k @ s**2) / mesh.volume
    assert laplacian[~walls] == pytest.approx(4.0, rel=1e-10)


def test_doubling_all_along_the_axis_is_exact():
    """Power-of-two scaling changes no digit: volumes and areas double, conductances halve, bit for bit."""
    for dims in (1, 2):
        one = neurite("50.3 um", "0.4 um", "0.15 um", "0.07 um", dims)
        two = neurite("100.6 um", "0.4 um", "0.15 um", "0.14 um", dims)
        assert one.nodes == two.nodes
        assert (two.volume == 2 * one.volume).all()
        assert (two.position[:, 0] == 2 * one.position[:, 0]).all()
        for name in ("er", "plasma"):
            assert (two.membranes[name].area == 2 * one.membranes[name].area).all()
    one, two = neurite("50.3 um", "0.4 um", spacing="0.07 um"), neurite("100.6 um", "0.4 um", spacing="0.14 um")
    assert (one.conductance == 2 * two.conductance).all()


def test_columns_are_ordered_from_left_to_right():
    mesh = neurite("10 um", "0.4 um", "0.15 um", "0.1 um")
    columns = mesh.structure
    assert columns.parent.tolist() == [0, *range(99)]
    assert columns.conductance[:, 0].tolist() == [0, 0]
    for r, region in enumerate(mesh.regions):
        inside = (mesh.edges >= mesh.start[r]).all(axis=1) & (mesh.edges < mesh.start[r + 1]).all(axis=1)
        assert mesh.conductance[inside] == pytest.approx(columns.conductance[r, 1:]), region
    assert mesh.position[:3, 0] == pytest.approx([0.05, 0.15, 0.25])
    assert path_to(mesh, 103).tolist() == [100, 101, 102, 103]
    near = mesh.select(within("0 um", "1 um"), np.arange(mesh.nodes, dtype=np.uint32))
    assert near.sum() == 20


def test_the_grid_has_its_membrane_pairs_slice_by_slice():
    """Documented layout: node start[r] + k cells[r] + j, j from the axis outwards, innermost region first."""
    mesh = neurite("5 um", "0.5 um", "0.2 um", "0.1 um", 2)
    grid = mesh.structure
    assert mesh.regions == ("er", "cytosol")
    k = np.arange(grid.slices)
    n_er, n_cytosol = grid.cells
    assert (mesh.membranes["er"].inside == k * n_er + n_er - 1).all()
    assert (mesh.membranes["er"].outside == mesh.start[1] + k * n_cytosol).all()
    assert (mesh.membranes["plasma"].inside == mesh.start[1] + k * n_cytosol + n_cytosol - 1).all()
    assert grid.radii[0][-1] == grid.radii[1][0] == 0.2
    assert grid.radii[1][-1] == 0.5
    assert np.diff(grid.radii[0]).max() <= 0.05 * (1 + 1e-12)
    centre = (grid.radii[1][1:] + grid.radii[1][:-1]) / 2
    assert mesh.position[mesh.span("cytosol")][:n_cytosol, 1] == pytest.approx(centre)
    ring = math.pi * (grid.radii[1][1:] ** 2 - grid.radii[1][:-1] ** 2) * grid.spacing
    assert mesh.volume[mesh.span("cytosol")][:n_cytosol] == pytest.approx(ring)


def test_radial_spacing_is_an_upper_bound():
    for given, most in [(None, 0.05), ("0.11 um", 0.11), ("0.05 um", 0.05), ("1 um", 1.0)]:
        mesh = neurite("1 um", "0.4 um", "0.15 um", "0.1 um", 2, radial_spacing=given)
        widest = max(np.diff(r).max() for r in mesh.structure.radii)
        assert widest <= most * (1 + 1e-12)
        assert mesh.structure.cells[1] >= 2
    assert neurite("1 um", "0.4 um", "0.15 um", "0.1 um", 2, radial_spacing="0.05 um").structure.cells == (3, 5)


def test_cross_section_may_be_given_by_fractions():
    """Dendrite of a published cable model: diameter 1 um, 17 % ER, 1 um^2 of ER membrane per um."""
    mesh = neurite("1000 um", "0.5 um", spacing="1 um", er_fraction=0.17, er_area_per_length="1 um^2/um")
    whole = math.pi / 4
    assert mesh.volume[mesh.span("cytosol")] == pytest.approx(0.83 * whole)
    assert mesh.volume[mesh.span("er")] == pytest.approx(0.17 * whole)
    assert mesh.membranes["er"].area.tolist() == [1.0] * 1000
    tube = neurite("10 um", "0.5 um", spacing="1 um", er_fraction=0.25)
    assert tube.membranes["er"].area == pytest.approx(2 * math.pi * 0.25)


@pytest.mark.parametrize("dims", [1, 2])
def test_er_may_be_absent(dims):
    mesh = neurite("2 um", "0.4 um", spacing="0.5 um", dims=dims)
    assert mesh.regions == ("cytosol",)
    assert set(mesh.membranes) == {"plasma"}
    assert mesh.volume.sum() == pytest.approx(math.pi * 0.16 * 2)
    assert set(mesh.faces) == {"left", "right"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"length": "60 s"}, "neurite.length"),
        ({"length": 60}, "has no unit"),
        ({"length": "-1 um"}, "must be > 0"),
        ({"radius": "0 um"}, "must be > 0"),
        ({"er_radius": "0.5 um"}, "smaller than the radius"),
        ({"spacing": "80 um"}, "longer than"),
        ({"spacing": "1e-9 um"}, "nodes"),
        ({"dims": 3}, "neurite.dims"),
        ({"er_fraction": 0.2}, "not both"),
        ({"er_radius": None, "er_fraction": 1.2}, "between 0 and 1"),
        ({"er_area_per_length": "1 um^2/um"}, "goes with er_fraction"),
        ({"radial_spacing": "0.1 um"}, "dims=2"),
    ],
)
def test_neurite_refuses(change, named):
    given = {"length": "50 um", "radius": "0.4 um", "er_radius": "0.15 um", "spacing": "0.05 um"} | change
    with pytest.raises(InputError) as error:
        neurite(**given)
    assert named in str(error.value), str(error.value)
    assert "\n" not in str(error.value)
