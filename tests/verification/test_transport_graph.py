"""RKL2 on graphs: closed forms on grids and tetrahedra, a matrix exponential, bounds of the spectrum, conservation."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import eigs, expm_multiply

from calcium_sim.kernels import graph

U = np.uint64


def random_graph(n, seed, negative=False):
    """A ring with random chords; some conductances slightly negative, as on tetrahedra."""
    rng = np.random.default_rng(seed)
    ring = np.stack([np.arange(n), (np.arange(n) + 1) % n], 1)
    chords = rng.integers(0, n, (3 * n, 2))
    edges = np.unique(np.sort(np.concatenate([ring, chords[chords[:, 0] != chords[:, 1]]]), axis=1), axis=0).astype(np.uint32)
    conductance = rng.uniform(0.5, 2, len(edges))
    if negative:
        conductance[rng.random(len(edges)) < 0.2] = -0.05
    return edges, conductance, rng.uniform(0.2, 3, n)


def matrix(edges, conductance, volume):
    """L = V^-1 (off-diagonals minus their sums)."""
    a, b = edges.astype(int).T
    off = coo_array((conductance, (a, b)), shape=(len(volume), len(volume))).tocsr()
    off = off + off.T
    return (diags_array(1 / volume) @ (off - diags_array(np.asarray(off.sum(1)).ravel()))).tocsr()


def rkl2(x, indptr, indices, weight, inverse, diffusion, h, s):
    """One step of the scheme from its parts, as the generated step calls them, in place."""
    n, c = len(x), graph.coefficients(s)
    start, old, new = np.full((3, *x.shape), np.nan)
    graph.apply(x, indptr, indices, weight, inverse, h * diffusion, start, U(0), U(n))
    graph.first(start, c[1, 3], old, new, U(0), U(n))
    for j in range(2, s + 1):
        graph.stage(old, new, start, indptr, indices, weight, inverse, h * diffusion, c[j], U(0), U(n))
        old, new = new, old
    graph.finish(old, x, U(0), U(n))


def advance(x, rows, diffusion, h, steps=1, s=None):
    x, diffusion = x.copy(), np.asarray(diffusion, float)
    s = s or graph.stages(h, graph.spectral_bound(*rows) * diffusion.max())
    for _ in range(steps):
        rkl2(x, *rows, diffusion, h, s)
    return x


def order(sizes, errors):
    return np.polyfit(np.log(sizes), np.log(errors), 1)[0]


def box(cells, length=1.0):
    """Cube of cells^3 voxels: edges, conductance, volume, centres."""
    number = np.arange(cells**3).reshape([cells] * 3)
    dx = length / cells
    pairs = [np.stack([number.take(range(cells - 1), a).ravel(), number.take(range(1, cells), a).ravel()], 1) for a in range(3)]
    edges = np.concatenate(pairs).astype(np.uint32)
    centre = (np.stack(np.unravel_index(np.arange(cells**3), [cells] * 3), 1) + 0.5) * dx
    return edges, np.full(len(edges), dx), np.full(cells**3, dx**3), centre


def test_rows_hold_both_directions_of_every_edge():
    """A triangle with a tail, 0-1-2-0 and 2-3."""
    edges = np.array([[2, 0], [0, 1], [2, 1], [3, 2]], np.uint32)
    indptr, indices, weight, inverse = graph.gather_rows(edges, np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 4.0, 8.0]))
    assert indptr.dtype == indices.dtype == np.uint32
    assert indptr.tolist() == [0, 2, 4, 7, 8]
    assert indices.tolist() == [1, 2, 0, 2, 0, 1, 3, 2]
    assert weight.tolist() == [2, 1, 2, 3, 1, 3, 4, 4]
    assert inverse.tolist() == [1, 0.5, 0.25, 0.125]


@pytest.mark.parametrize("negative", [False, True])
def test_spectral_bound_is_tight_and_safe(negative):
    """Between the largest eigenvalue (ARPACK) and 6 % above; Gershgorin is far above."""
    case = random_graph(400, 1, negative)
    rows = graph.gather_rows(*case)
    largest = -eigs(matrix(*case), k=1, which="LM", return_eigenvectors=False)[0].real
    bound = graph.spectral_bound(*rows)
    assert largest <= bound <= 1.06 * largest, (largest, bound)
    assert bound < graph.gershgorin(*rows)


def test_stages_are_odd_and_just_enough():
    for load in (1e-3, 4.9, 5.1, 14.0, 30.0, 1e3, 1e5):
        s = graph.stages(0.5, 2 * load)
        assert s % 2 == 1
        assert load <= (s * s + s - 2) / 2
        assert s == 3 or load > ((s - 2) ** 2 + (s - 2) - 2) / 2


@pytest.mark.parametrize("s", [3, 5, 9, 21])
def test_stability_polynomial(s):
    """One cell pair with eigenvalue -z/h: the amplification is a_s + b_s P_s(w(z)) of the paper, |.| <= 1 up to the limit."""
    b = (s * s + s - 2) / (2 * s * (s + 1))
    for z in np.linspace(0, (s * s + s - 2) / 2, 13):
        rows = graph.gather_rows(np.array([[0, 1]], np.uint32), np.array([z / 2]), np.ones(2))
        x = advance(np.array([[1.0], [-1.0]]), rows, [1.0], 1.0, s=s)
        expected = 1 - b + b * np.polynomial.legendre.legval(1 - 4 * z / (s * s + s - 2), [0] * s + [1])
        assert x[0, 0] == pytest.approx(expected, abs=1e-12)
        assert abs(x[0, 0]) <= 1 + 1e-12


@pytest.mark.parametrize("fields", [1, 2, 3, 4, 8, 11])
def test_second_order_against_the_matrix_exponential(fields):
    """Random graph, volumes and fields with their own D (the first 0: keeps its bits); scipy's expm_multiply is exact."""
    case = random_graph(200, 2)
    rows, diffusion = graph.gather_rows(*case), np.linspace(0, 1, fields) if fields > 1 else np.ones(1)
    x = np.random.default_rng(3).uniform(0, 1, (200, fields))
    exact = np.stack([expm_multiply(matrix(*case) * diffusion[f] * 0.2, x[:, f]) for f in range(fields)], 1)
    steps = np.array([40, 80, 160])
    results = [advance(x, rows, diffusion, 0.2 / m, m, s=5) for m in steps]
    errors = [np.abs(r - exact).max() for r in results]
    assert order(1 / steps, errors) > 1.9, errors
    if fields > 1:
        assert np.array_equal(results[0][:, 0], x[:, 0])


def test_second_order_in_space():
    """cos(pi x) cos(pi y) in a closed unit cube of voxels decays as exp(-2 D pi^2 t)."""
    cells, errors = np.array([6, 12, 24]), []
    for n in cells:
        edges, conductance, volume, centre = box(n)
        x = np.prod(np.cos(np.pi * centre[:, :2]), axis=1)[:, None]
        new = advance(x, graph.gather_rows(edges, conductance, volume), [1.0], 0.05 / 200, 200)
        errors.append(np.abs(new - x * math.exp(-2 * np.pi**2 * 0.05)).max())
    assert order(1 / cells, errors) == pytest.approx(2.0, abs=0.1), errors


@pytest.mark.parametrize("fields", [1, 2, 5])
def test_a_constant_keeps_every_bit(fields):
    case = random_graph(150, 4, negative=True)
    x = np.tile(0.05 + 0.1 * np.arange(fields), (150, 1))
    assert np.array_equal(advance(x, graph.gather_rows(*case), np.ones(fields), 3.0, 50), x)


def test_a_linear_field_does_not_change_inside():
    """Voxels deeper than s edges below the walls cannot see them."""
    edges, conductance, volume, centre = box(16)
    x = (1.0 + centre @ [1.0, 2.0, -0.5])[:, None]
    new = advance(x, graph.gather_rows(edges, conductance, volume), [1.0], 1e-3, s=3)
    deep = np.abs(centre - 0.5).max(1) < 0.5 - 3.5 / 16
    np.testing.assert_allclose(new[deep], x[deep], rtol=1e-12)
    assert np.abs(new - x).max() > 1e-4


@pytest.mark.parametrize("fields", [1, 5])
def test_the_amount_is_conserved_over_many_steps(fields):
    """1e5 steps of 9 stages each at the limit of stability."""
    case = random_graph(40, 5)
    rows, volume = graph.gather_rows(*case), case[2]
    x = np.random.default_rng(6).uniform(0, 1, (40, fields))
    h = 40 / graph.spectral_bound(*rows)
    new = advance(x, rows, np.ones(fields), h, 100_000)
    drift = volume @ new / (volume @ x) - 1
    assert np.abs(drift).max() < 1e-12, drift


def test_scaling_law_holds_to_the_last_bit():
    """All D times 4 and lengths times 2: conductances times 2, volumes times 8."""
    edges, conductance, volume = random_graph(120, 7)
    x, d = np.random.default_rng(8).uniform(0, 1, (120, 3)), np.array([0.22, 0.02, 0.1])
    small = advance(x, graph.gather_rows(edges, conductance, volume), d, 0.5, 20)
    large = advance(x, graph.gather_rows(edges, 2 * conductance, 8 * volume), 4 * d, 0.5, 20)
    assert np.array_equal(small, large)


def ball(size):
    """Tetrahedra of a unit ball by gmsh, as a mesh."""
    gmsh = pytest.importorskip("gmsh")
    from calcium_sim.meshes import from_simplices

    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.option.setNumber("General.NumThreads", 1)
        gmsh.option.setNumber("Mesh.MeshSizeMin", size)
        gmsh.option.setNumber("Mesh.MeshSizeMax", size)
        gmsh.model.occ.addSphere(0, 0, 0, 1)
        gmsh.model.occ.synchronize()
        gmsh.model.mesh.generate(3)
        tags, points, _ = gmsh.model.mesh.getNodes()
        cells = gmsh.model.mesh.getElementsByType(4)[1].reshape(-1, 4)
    finally:
        gmsh.finalize()
    number = np.zeros(int(tags.max()) + 1, int)
    number[tags] = np.arange(len(tags))
    cells = number[cells]
    used, cells = np.unique(cells, return_inverse=True)
    return from_simplices(points.reshape(-1, 3)[used], cells.reshape(-1, 4), np.full(len(cells), "cytosol"))


def sphere_series(q, time):
    """Sphere with constant inward flux, V1 of the verification cases (Carslaw & Jaeger), in units J a / D; time = D t / a^2."""
    b = np.array([brentq(lambda x, k=k: math.sin(x) - x * math.cos(x), k * np.pi, (k + 0.5) * np.pi) for k in range(1, 60)])[:, None]
    terms = np.sinc(b * q / np.pi) / (b * np.sin(b)) * np.exp(-(b**2) * time)
    return 3 * time + (5 * q**2 - 3) / 10 - 2 * terms.sum(0)


def test_sphere_series_has_the_published_surface_values():
    assert sphere_series(np.ones(1), 0.05)[0] == pytest.approx(0.31216542905, abs=1e-10)
    assert sphere_series(np.ones(1), 0.3)[0] == pytest.approx(1.09976812044, abs=1e-10)


def test_tetrahedral_sphere_with_constant_flux_is_second_order():
    """The flux enters the volumes of the surface nodes by Strang; 400 steps leave the error of the mesh."""
    time, steps, sizes, errors = 0.1, 400, [], []
    for size in (0.4, 0.25, 0.16):
        mesh = ball(size)
        membrane = next(iter(mesh.membranes.values()))
        rows = graph.gather_rows(mesh.edges, mesh.conductance, mesh.volume)
        source = np.zeros((mesh.nodes, 1))
        source[membrane.inside, 0] = membrane.area / mesh.volume[membrane.inside]
        h = time / steps
        s = graph.stages(h, graph.spectral_bound(*rows))
        x = np.zeros((mesh.nodes, 1))
        for _ in range(steps):
            x += h / 2 * source
            rkl2(x, *rows, np.ones(1), h, s)
            x += h / 2 * source
        assert mesh.volume @ x[:, 0] == pytest.approx(time * membrane.area.sum(), rel=1e-12)
        q = np.sqrt((mesh.position**2).sum(1))
        deviation = x[:, 0] - sphere_series(q, time)
        errors.append(math.sqrt(mesh.volume @ deviation**2 / mesh.volume.sum()))
        sizes.append((mesh.volume.sum() / mesh.nodes) ** (1 / 3))
    assert order(sizes, errors) > 1.9, (sizes, errors)
