"""Triangles and tetrahedra: closed forms of cubes and spheres, exactness for linear fields, and every bad mesh refused by name."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import eigsh
from scipy.spatial import Delaunay

from calcium_sim.errors import InputError
from calcium_sim.meshes import from_simplices

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data" / "meshes"


def stiffness(mesh) -> csr_array:
    """Sparse matrix K of the edges: (K u)_i = sum over edges of conductance (u_i - u_j)."""
    a, b = mesh.edges.astype(int).T
    off = coo_array((np.r_[mesh.conductance] * -1, (a, b)), shape=(mesh.nodes, mesh.nodes)).tocsr()
    off = off + off.T
    return (off - diags_array(np.asarray(off.sum(axis=1)).ravel())).tocsr()


def block(cells: int, dims: int, seed: int | None = 1):
    """Unit square or cube of jittered points; cells with a centre in the middle third are ER."""
    axis = np.linspace(0, 1, cells + 1)
    points = np.stack(np.meshgrid(*[axis] * dims, indexing="ij"), axis=-1).reshape(-1, dims)
    if seed is not None:
        wall = (np.abs(points[:, :, None] - [0, 1 / 3, 2 / 3, 1]) < 1e-9).any(axis=2)
        shift = np.random.default_rng(seed).uniform(-0.2, 0.2, points.shape) / cells
        points = points + np.where(wall, 0, shift)
    mesh = Delaunay(points)
    cells_ = mesh.simplices
    side = points[cells_[:, 1:]] - points[cells_[:, :1]]
    cells_ = cells_[np.abs(np.linalg.det(side)) > 1e-9]
    centre = points[cells_].mean(axis=1)
    er = ((centre > 1 / 3) & (centre < 2 / 3)).all(axis=1)
    return points, cells_, np.where(er, "er", "cytosol")


def cut_cube(cells=6):
    """Cube of six tetrahedra per voxel (exact walls) with an ER cube in the middle third; jittered inside the regions."""
    axis = np.arange(cells + 1)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3) / cells
    number = np.arange(len(points)).reshape([cells + 1] * 3)
    tets, steps = [], np.eye(3, dtype=int)
    for order in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]:
        corner = np.cumsum([[0, 0, 0], *steps[list(order)]], axis=0)
        tets.append(np.stack([number[x : cells + x, y : cells + y, z : cells + z].ravel() for x, y, z in corner], axis=1))
    tets = np.concatenate(tets)
    centre = points[tets].mean(axis=1)
    er = ((centre > 1 / 3) & (centre < 2 / 3)).all(axis=1)
    wall = (np.abs(points[:, :, None] - [0, 1 / 3, 2 / 3, 1]) < 1e-9).any(axis=2)
    points = points + np.where(wall, 0, np.random.default_rng(3).uniform(-0.2, 0.2, points.shape) / cells)
    return points, tets, np.where(er, "er", "cytosol")


SHELL = {"er": ("er", "cytosol"), "plasma": ("cytosol", "outside")}


def test_volumes_and_areas_of_a_cube_in_a_cube():
    mesh = from_simplices(*cut_cube(), names={"cytosol": "cytosol", "er": "er"}, membranes=SHELL)
    assert mesh.regions == ("cytosol", "er")
    assert mesh.volume[mesh.span("er")].sum() == pytest.approx(1 / 27, rel=1e-12)
    assert mesh.volume[mesh.span("cytosol")].sum() == pytest.approx(26 / 27, rel=1e-12)
    assert mesh.membranes["er"].area.sum() == pytest.approx(6 / 9, rel=1e-12)
    assert mesh.membranes["plasma"].area.sum() == pytest.approx(6, rel=1e-12)
    er = mesh.membranes["er"]
    assert er.sides == ("er", "cytosol")
    assert (mesh.position[er.inside] == mesh.position[er.outside]).all()
    assert len(np.unique(er.inside)) == len(er.inside) == 26
    # every vertex of the ER is on its wall but one; those 26 are there twice
    assert mesh.nodes == 7**3 + 26


@pytest.mark.parametrize("shape", ["square", "cube"])
def test_linear_fields_are_exact(shape):
    """K u = 0 inside a region for linear u, and u K u = |grad u|^2 V in every region (the walls included), to round-off."""
    mesh = from_simplices(*(cut_cube() if shape == "cube" else block(9, 2)), membranes=SHELL)
    dims = 3 if shape == "cube" else 2
    slope = np.array([0.3, -1.2, 0.7])[:dims]
    u = mesh.position[:, :dims] @ slope + 0.25
    k = stiffness(mesh)
    inner = np.ones(mesh.nodes, bool)
    for membrane in mesh.membranes.values():
        inner[membrane.inside] = False
        inner[membrane.outside] = False
    assert inner.sum() > 20
    scale = np.abs(k).max()
    assert np.abs(k @ u)[inner].max() < 1e-12 * scale
    assert np.abs(k @ np.ones(mesh.nodes)).max() < 1e-12 * scale
    assert np.abs(k - k.T).max() == 0
    for region in mesh.regions:
        span = mesh.span(region)
        energy = u[span] @ (k[span, span] @ u[span])
        assert energy == pytest.approx(slope @ slope * mesh.volume[span].sum(), rel=1e-12), region


def test_the_slowest_mode_of_a_square_converges_with_order_two():
    """Smallest eigenvalue of a closed unit square is pi^2; lumped volumes keep second order."""
    cells = np.array([6, 12, 24])
    errors = []
    for n in cells:
        points, tris, _ = block(int(n), 2)
        mesh = from_simplices(points, tris, ["cytosol"] * len(tris))
        modes = eigsh(stiffness(mesh), 2, diags_array(mesh.volume), sigma=-0.1, return_eigenvectors=False)
        errors.append(abs(modes.max() / math.pi**2 - 1))
    order = -np.polyfit(np.log(cells), np.log(errors), 1)[0]
    assert order == pytest.approx(2, abs=0.25), f"order {order:.2f}, errors {errors}"


def sphere(h):
    """Two concentric spheres of radius 1 and 0.5 by gmsh; regions by position, because fragment renumbers volumes."""
    gmsh = pytest.importorskip("gmsh")
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.model.occ.fragment([(3, gmsh.model.occ.addSphere(0, 0, 0, 1))], [(3, gmsh.model.occ.addSphere(0, 0, 0, 0.5))])
        gmsh.model.occ.synchronize()
        for key in ("MeshSizeMin", "MeshSizeMax"):
            gmsh.option.setNumber(f"Mesh.{key}", h)
        gmsh.model.mesh.generate(3)
        tags, xyz, _ = gmsh.model.mesh.getNodes()
        _, corners = gmsh.model.mesh.getElementsByType(4)
    finally:
        gmsh.finalize()
    number = np.zeros(int(tags.max()) + 1, int)
    number[tags.astype(int)] = np.arange(len(tags))
    points, cells = xyz.reshape(-1, 3), number[corners.astype(int)].reshape(-1, 4)
    inner = np.linalg.norm(points[cells].mean(axis=1), axis=1) < 0.5 * 0.999
    return points, cells, np.where(inner, "er", "cytosol")


def test_spheres_converge_with_order_two():
    """Volumes 4/3 pi r^3 and areas 4 pi r^2 of polyhedra in spheres."""
    sizes, errors = np.array([0.3, 0.15]), []
    exact = np.array([4 / 3 * math.pi / 8, 4 / 3 * math.pi * 7 / 8, math.pi, 4 * math.pi])
    for h in sizes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # gmsh leaves points that no cell uses
            mesh = from_simplices(*sphere(h), membranes=SHELL)
        seen = [mesh.volume[mesh.span(r)].sum() for r in ("er", "cytosol")] + [mesh.membranes[m].area.sum() for m in ("er", "plasma")]
        errors.append(np.abs(seen / exact - 1))
        assert 0.1 < (mesh.conductance < 0).mean() < 0.4
    order = np.log(errors[0] / errors[1]) / np.log(sizes[0] / sizes[1])
    assert (order > 1.5).all(), f"orders {order}, errors {errors}"
    assert np.max(errors[1]) < 0.03


@pytest.mark.parametrize(
    ("name", "volumes", "areas"),
    [
        ("bouton", {}, {}),
        ("neuron_rc19", {"cytosol": 2016.8, "er": 46.0, "nucleus": 156.9}, {"mem_cyt": 2383.7, "mem_er": 575.3, "mem_nuc": 142.9}),
    ],
)
def test_reconstructed_cells_with_zones_on_their_membranes(name, volumes, areas):
    """Volumes and areas as listed with the files; the named parts of each membrane are disjoint and make up the whole."""
    gmsh = pytest.importorskip("gmsh")
    path = SHARED / f"{name}.msh"
    if not path.exists():
        pytest.skip(f"{name}.msh is not here")
    points, cells, labels, facets = read_msh(gmsh, path)
    mesh = from_simplices(points, cells, labels, {"cyt": "cytosol", "er": "er", "nuc": "nucleus"}, facets=facets, distance="edges")
    assert set(mesh.membranes) == set(facets)
    for region, volume in volumes.items():
        assert mesh.volume[mesh.span(region)].sum() == pytest.approx(volume, rel=1e-3)
    for membrane, area in areas.items():
        assert mesh.membranes[membrane].area.sum() == pytest.approx(area, rel=1e-4)
    whole = from_simplices(points, cells, labels, {"cyt": "cytosol", "er": "er", "nuc": "nucleus"}, membranes=SHELL)
    for wall in SHELL:
        parts = sum(m.area.sum() for m in mesh.membranes.values() if m.sides == SHELL[wall])
        assert parts == pytest.approx(whole.membranes[wall].area.sum(), rel=1e-12)


def read_msh(gmsh, path):
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.open(str(path))
        tags, xyz, _ = gmsh.model.mesh.getNodes()
        number = np.zeros(int(tags.max()) + 1, int)
        number[tags.astype(int)] = np.arange(len(tags))
        found = {}
        for dim, tag in gmsh.model.getPhysicalGroups():
            for entity in gmsh.model.getEntitiesForPhysicalGroup(dim, tag):
                for corners in gmsh.model.mesh.getElements(dim, entity)[2]:
                    key = dim, gmsh.model.getPhysicalName(dim, tag)
                    found.setdefault(key, []).append(number[corners.astype(int)].reshape(-1, dim + 1))
    finally:
        gmsh.finalize()
    joined = {key: np.concatenate(parts) for key, parts in found.items()}
    cells = np.concatenate([part for (dim, _), part in joined.items() if dim == 3])
    labels = np.concatenate([np.full(len(part), name) for (dim, name), part in joined.items() if dim == 3])
    return xyz.reshape(-1, 3), cells, labels, {name: part for (dim, name), part in joined.items() if dim == 2}


def test_orientation_numbering_and_motion_do_not_matter():
    points, cells, labels = cut_cube(3)
    mesh = from_simplices(points, cells, labels)
    flipped = cells.copy()
    flipped[::2, [0, 1]] = flipped[::2, [1, 0]]
    other = from_simplices(points, flipped, labels)
    assert (other.edges == mesh.edges).all()
    assert other.conductance == pytest.approx(mesh.conductance, abs=1e-12)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    moved = from_simplices(points @ turn.T + [100, -20, 3], cells, labels)
    assert moved.volume == pytest.approx(mesh.volume, rel=1e-11)
    for name, membrane in mesh.membranes.items():
        assert moved.membranes[name].area == pytest.approx(membrane.area, rel=1e-11)
    assert np.abs(stiffness(moved) - stiffness(mesh)).max() < 1e-11
    shuffle = np.random.default_rng(1).permutation(len(points))
    renumbered = from_simplices(points[shuffle], np.argsort(shuffle)[cells], labels)
    assert np.sort(renumbered.volume) == pytest.approx(np.sort(mesh.volume), rel=1e-11)
    assert len(renumbered.edges) == len(mesh.edges)


def test_simplices_are_kept_in_the_numbers_of_the_nodes():
    points, cells, labels = cut_cube(3)
    mesh = from_simplices(points, cells, labels)
    assert np.sort(mesh.position[mesh.simplices], axis=1) == pytest.approx(np.sort(points[cells], axis=1))
    region = np.searchsorted(mesh.start, mesh.simplices, side="right") - 1
    assert (np.array(mesh.regions)[region] == labels[:, None]).all()


def test_nodes_are_ordered_for_a_small_bandwidth():
    points, cells, labels = cut_cube()
    shuffle = np.random.default_rng(1).permutation(len(points))
    mesh = from_simplices(points[shuffle], np.argsort(shuffle)[cells], labels)
    band = np.abs(np.diff(mesh.edges.astype(int), axis=1)).max()
    assert band < 130, f"bandwidth {band} of {mesh.nodes} nodes"


def test_part_of_an_interface_may_be_a_membrane_of_its_own():
    points, cells, labels = cut_cube()
    top = np.flatnonzero(points[:, 2] == 1)
    faces = [t for k in range(4) for t in np.delete(cells, k, axis=1) if np.isin(t, top).all()]
    mesh = from_simplices(points, cells, labels, membranes=SHELL, facets={"active": np.array(faces)})
    assert mesh.membranes["active"].area.sum() == pytest.approx(1)
    assert mesh.membranes["plasma"].area.sum() == pytest.approx(5)
    assert mesh.membranes["active"].sides == ("cytosol", "outside")
    shared = np.intersect1d(mesh.membranes["active"].inside, mesh.membranes["plasma"].inside)
    assert len(shared) == 24


def test_interfaces_without_a_name_get_one():
    points = np.array([[0, 0], [1, 0], [2, 0], [3, 0], [0, 1], [1, 1], [2, 1], [3, 1]], float)
    cells = [[0, 1, 5], [0, 5, 4], [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6]]
    mesh = from_simplices(points, cells, [7, 7, 1, 1, 2, 2], {1: "er", 2: "mito", 7: "cytosol"})
    assert mesh.regions == ("er", "mito", "cytosol")
    assert {k: m.sides for k, m in mesh.membranes.items()} == {
        "er": ("er", "cytosol"),
        "er-mito": ("er", "mito"),
        "plasma": ("cytosol", "outside"),
        "er-outside": ("er", "outside"),
        "mito-outside": ("mito", "outside"),
    }
    # 1 um thick: areas are lengths
    lengths = {"er": 1, "er-mito": 1, "plasma": 3, "er-outside": 2, "mito-outside": 3}
    assert {k: m.area.sum() for k, m in mesh.membranes.items()} == pytest.approx(lengths)


def test_distance_is_straight_or_along_the_edges():
    """A U-shaped strip: straight across the gap, or around it."""
    points = np.array([[x, y] for y in range(5) for x in range(4)], float)
    quads = [(x, y) for x in range(3) for y in range(4) if x < 1 or y in (0, 3)]
    cells = [t for x, y in quads for a in [4 * y + x] for t in ([a, a + 1, a + 5], [a, a + 5, a + 4])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        straight = from_simplices(points, cells, ["cytosol"] * len(cells), root=3)
        around = from_simplices(points, cells, ["cytosol"] * len(cells), root=3, distance="edges")
    end = np.flatnonzero((straight.position == [3, 4, 0]).all(axis=1))
    assert straight.distance[end] == pytest.approx(4)
    assert 7 < around.distance[end][0] < 9


SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
TWO = [[0, 1, 2], [0, 2, 3]]
ONE = ["cytosol", "cytosol"]
TETS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], float)
BAD = {
    "quadrilaterals": ((SQUARE, [[0, 1, 2, 3]], ["cytosol"]), "1 quadrilaterals"),
    "mixed": ((SQUARE, [[0, 1, 2], [0, 1, 2, 3]], ONE), "1 with 3 points, 1 with 4 points"),
    "second order": ((np.zeros((10, 3)), [list(range(10))], ["cytosol"]), "second-order tetrahedra"),
    "surface": ((TETS, [[0, 1, 2], [0, 1, 3]], ONE), "are a surface"),
    "no volume": ((np.array([[0, 0], [1, 0], [2, 0], [0, 1]], float), [[0, 1, 2], [0, 1, 3]], ONE), "1 have no volume, first [0]"),
    "a corner twice": ((SQUARE, [[0, 1, 1], [0, 2, 3]], ONE), "1 have no volume"),
    "overlap": ((np.array([[0, 0], [1, 0], [0, 1], [0.1, 0.5]], float), [[0, 1, 2], [0, 1, 3]], ONE), "1 overlap a neighbour"),
    "three cells on a facet": ((np.vstack([SQUARE, [[2, 0.5]]]), [[0, 2, 1], [0, 2, 3], [0, 2, 4]], [*ONE, "er"]), "more than two cells"),
    "index too large": ((SQUARE, [[0, 1, 2], [0, 2, 4]], ONE), "cell 1 names point 4, there are 4"),
    "index negative": ((SQUARE, [[0, 1, -1], [0, 2, 3]], ONE), "cell 0 names point -1"),
    "nan": ((np.where(SQUARE == [1, 1], np.nan, SQUARE), TWO, ONE), "3 have coordinates that are not finite, first [1, 2, 3]"),
    "metres": ((SQUARE * 5e6, TWO, ONE), "did you mean um"),
    "nanometres": ((SQUARE * 5e-3, TWO, ONE), "did you mean um"),
    "no cells": ((SQUARE, np.zeros((0, 3), int), []), "there are none"),
    "float cells": ((SQUARE, np.array(TWO, float), ONE), "expected whole numbers"),
    "labels missing": ((SQUARE, TWO, ["cytosol"]), "expected one per cell"),
    "label without a name": ((SQUARE, TWO, [1, 2], {1: "cytosol"}), "label 2 of 1 cells has no name; there are 1: cytosol"),
    "numbers without names": ((SQUARE, TWO, [1, 2]), "expected names"),
    "empty name": ((SQUARE, TWO, ["cytosol", ""]), "has no name"),
    "outside": ((SQUARE, TWO, ["cytosol", "outside"]), "'outside' is reserved"),
    "points": ((["a"], TWO, ONE), "are not numbers"),
    "shape of points": ((np.zeros(4), TWO, ONE), "have shape (4,)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_meshes_are_refused(case):
    arguments, named = BAD[case]
    with pytest.raises(InputError) as error:
        from_simplices(*arguments)
    assert named in str(error.value), str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("keywords", "named"),
    [
        ({"membranes": {"er": ("er", "cytosol")}}, "are not (inside, outside)"),
        ({"membranes": {"pm": ("outside", "cytosol")}}, "the outside comes second"),
        ({"membranes": {"a": ("cytosol", "outside"), "b": ("cytosol", "outside")}}, "are parted by 'a'"),
        ({"facets": {"zone": [[0, 2]]}}, "1 lie on no interface"),
        ({"facets": {"zone": [[0, 1, 2]]}}, "expected point numbers of shape (facets, 2)"),
        ({"facets": {"zone": [[0, 9]]}}, "name points of no cell"),
        ({"facets": {"a": [[0, 1]], "b": [[1, 0]]}}, "belong to 'a' as well"),
        ({"distance": "edge"}, "did you mean 'edges'"),
        ({"root": 7}, "no number of a point"),
    ],
)
def test_arguments_are_checked(keywords, named):
    with pytest.raises(InputError) as error:
        from_simplices(SQUARE, TWO, ONE, **keywords)
    assert named in str(error.value), str(error.value)


def test_unused_and_coincident_points_warn():
    with pytest.warns(UserWarning, match="1 of 5 points belong to no cell"):
        mesh = from_simplices(np.vstack([[9, 9], SQUARE]), np.array(TWO) + 1, ONE)
    assert mesh.nodes == 4
    torn = np.vstack([SQUARE, SQUARE[[0, 2]]])
    with pytest.warns(UserWarning, match="2 points coincide with others and split the mesh: 2 connected pieces"):
        from_simplices(torn, [[0, 1, 2], [4, 5, 3]], ONE)
    with pytest.warns(UserWarning, match="2 connected pieces that share no point"):
        from_simplices(np.vstack([SQUARE, SQUARE + 2]), [*TWO, [4, 5, 6], [4, 6, 7]], ONE * 2)
