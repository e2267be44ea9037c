"""The solver on tetrahedra and triangles: closed forms on spheres and discs, two regions, order in time, rest, ledger, a bouton."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import jn_zeros, jv

import calcium_sim as cs
from calcium_sim.meshes import from_simplices

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "meshes"
WALLS = {"er": ("er", "cytosol"), "plasma": ("cytosol", "outside")}
D = 0.22
SPEED = f"{1000 * D} um^2/s"


def opened(gmsh, build):
    """Points, and corners of all cells by name of their physical group, of what `build` leaves in gmsh."""
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.option.setNumber("General.NumThreads", 1)
        return build()
    finally:
        gmsh.finalize()


def ball(h, inner=None, dims=3):
    """A ball (disc) of radius 1 with cells of size h and, if asked for, a concentric ball of ER."""
    gmsh = pytest.importorskip("gmsh")

    def build():
        for key in ("MeshSizeMin", "MeshSizeMax"):
            gmsh.option.setNumber(f"Mesh.{key}", h)
        occ = gmsh.model.occ
        shape = [(dims, occ.addSphere(0, 0, 0, r) if dims == 3 else occ.addDisk(0, 0, 0, r, r)) for r in (1, inner) if r]
        if inner:
            occ.fragment(shape[:1], shape[1:])
        occ.synchronize()
        gmsh.model.mesh.generate(dims)
        tags, xyz, _ = gmsh.model.mesh.getNodes()
        return tags.astype(int), xyz.reshape(-1, 3)[:, :dims], gmsh.model.mesh.getElementsByType(4 if dims == 3 else 2)[1].astype(int)

    tags, points, corners = opened(gmsh, build)
    number = np.zeros(tags.max() + 1, int)
    number[tags] = np.arange(len(tags))
    cells = number[corners].reshape(-1, dims + 1)
    labels = np.where(np.linalg.norm(points[cells].mean(axis=1), axis=1) < 0.999 * (inner or 0.0), "er", "cytosol")
    names = {r: r for r in ("er", "cytosol") if inner or r == "cytosol"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gmsh leaves points that no cell uses
        return from_simplices(points, cells, labels, names=names, membranes={k: v for k, v in WALLS.items() if inner or k == "plasma"})


class Inward(cs.Channel):
    """A constant flux into the cytosol."""

    across = ("outside", "cytosol")
    params = {"density": (0.0, "uM um/ms")}

    @staticmethod
    def flux(y, x, p):
        return p.density


def in_sphere(q, reached):
    """3T + (5q^2-3)/10 - (2/q) sum sin(b q)/(b^2 sin b) e^(-b^2 T), tan b = b, in units of J a/D."""
    b = np.array([brentq(lambda x: np.sin(x) - x * np.cos(x), n * np.pi + 1e-9, (n + 0.5) * np.pi) for n in range(1, 150)])
    q = np.maximum(q, 1e-9)
    waves = np.sin(np.outer(q, b)) / q[:, None] / (b**2 * np.sin(b)) * np.exp(-(b**2) * reached)
    return 3 * reached + (5 * q**2 - 3) / 10 - 2 * waves.sum(axis=1)


def in_disc(q, reached):
    """2T + q^2/2 - 1/4 - 2 sum J0(g q)/(g^2 J0(g)) e^(-g^2 T), J1(g) = 0, in units of J a/D."""
    g = jn_zeros(1, 200)
    return 2 * reached + q**2 / 2 - 0.25 - 2 * (jv(0, np.outer(q, g)) / (g**2 * jv(0, g)) * np.exp(-(g**2) * reached)).sum(axis=1)


def test_the_series_have_their_known_values_at_the_surface():
    one = np.array([1.0])
    assert in_sphere(one, 0.05)[0] == pytest.approx(0.31216542905, abs=2e-9)
    assert in_sphere(one, 0.3)[0] == pytest.approx(1.09976812044, abs=2e-9)
    assert in_disc(one, 0.05)[0] == pytest.approx(0.28104279298, abs=2e-9)
    assert in_disc(one, 0.3)[0] == pytest.approx(0.84833520756, abs=2e-9)


@pytest.mark.parametrize(("dims", "sizes", "exact"), [(3, (0.3, 0.2, 0.1), in_sphere), (2, (0.1, 0.05, 0.025), in_disc)])
def test_constant_flux_into_a_sphere_and_a_disc(order, dims, sizes, exact):
    """Volume-weighted L2 error over the nodes at T = .05 and .3 against the series: order 2 in the cell size; amounts to round-off."""
    errors = []
    for h in sizes:
        mesh = ball(h, dims=dims)
        species = cs.Species("ca", {"cytosol": SPEED}, {"cytosol": "1 uM", "outside": "1000 uM"})
        sim = cs.Simulation(cs.Model(mesh, [species], {"plasma": [Inward(density="0.1 uM um/ms")]}), dt="0.01 ms")
        q, volume, row = np.linalg.norm(mesh.position, axis=1), mesh.volume, []
        for reached in (0.05, 0.3):
            sim.advance(reached / D)
            off = (sim.concentration("ca") - 1.0) * D / 0.1 - exact(q, reached)
            row.append(np.sqrt(off**2 @ volume / volume.sum()))
        errors.append(row)
        given = 0.1 * mesh.membranes["plasma"].area.sum() * sim.t
        assert (sim.concentration("ca") - 1.0) @ volume == pytest.approx(given, rel=1e-12)
        sim.frame()
        assert sim.ledger.drift(sim.state) < 1e-14
    for k in range(2):
        assert order(sizes, [e[k] for e in errors]) >= 1.9, errors
    assert max(errors[-1]) < 0.003, errors


def shells(wall, outer, permeability, er, cytosol, cells=400):
    """Radial finite volumes of a leak between an ER ball and the cytosol around it: a function of time and radius, exact in time."""
    edges = np.concatenate([np.linspace(0, wall, cells + 1), np.linspace(wall, outer, cells + 1)[1:]])
    volume, middle = (edges[1:] ** 3 - edges[:-1] ** 3) / 3, (edges[1:] + edges[:-1]) / 2
    resistance = np.diff(middle) / D + np.where(np.arange(2 * cells - 1) == cells - 1, 1 / permeability, 0.0)
    link = edges[1:-1] ** 2 / resistance
    matrix = np.diag(np.append(link, 0) + np.append(0, link)) - np.diag(link, 1) - np.diag(link, -1)
    root = np.sqrt(volume)
    rates, modes = np.linalg.eigh(matrix / np.outer(root, root))
    start = modes.T @ (root * np.repeat([er, cytosol], cells))

    def at(t, q, inside):
        u = modes @ (np.exp(-rates * t) * start) / root
        part = slice(0, cells) if inside else slice(cells, None)
        return CubicSpline(middle[part], u[part])(q)

    return at


def test_leak_between_an_er_ball_and_the_cytosol_around_it(order):
    """L2 error in both regions against radial shells (400 per region, good to 2e-6): order 2; nothing is lost."""
    exact = shells(0.5, 1.0, 0.5, 10.0, 1.0)
    sizes, errors = (0.2, 0.1, 0.07), []
    for h in sizes:
        mesh = ball(h, inner=0.5)
        species = cs.Species("ca", {"cytosol": SPEED, "er": SPEED}, {"cytosol": "1 uM", "er": "10 uM"})
        sim = cs.Simulation(cs.Model(mesh, [species], {"er": [cs.get_channel("leak/linear")(permeability="500 um/s")]}), dt="0.01 ms")
        q, volume, row = np.linalg.norm(mesh.position, axis=1), mesh.volume, []
        er, cytosol = mesh.span("er"), mesh.span("cytosol")
        total = sim.state.u @ volume
        for t in (0.2, 1.0):
            sim.advance(t)
            off = sim.state.u - np.concatenate([exact(t, q[er], True), exact(t, q[cytosol], False)])
            row.append(np.sqrt(off**2 @ volume / volume.sum()))
        errors.append(row)
        assert sim.state.u @ volume == pytest.approx(total, rel=1e-13)
        sim.frame()
        assert sim.ledger.drift(sim.state) < 1e-14
    for k in range(2):
        assert order(sizes, [e[k] for e in errors]) >= 1.9, errors
    assert max(errors[-1]) < 0.01, errors


@pytest.fixture(scope="module")
def cell():
    """Two concentric balls, 159 nodes."""
    return ball(0.4, inner=0.5)


def pulse(flux, at=lambda x, y, z: x > 0.6):
    """Calcium through a part of the plasma membrane within 1 ms."""
    return cs.Influx("ca", at=at, through="plasma", flux=f"{flux} uM um/s", duration="1 ms", shape="ramp-down")


def test_full_channel_set_is_second_order_in_time(bq, order, cell):
    """Receptors, pumps, leaks, buffer on two balls: all concentrations and gates at 3 ms against steps of 0.5 us."""

    def solution(dt):
        sim = cs.Simulation(bq(mesh=cell, stimuli=[pulse(2500)]), dt=f"{dt} ms")
        sim.advance(1.0)
        sim.advance(3.0)
        return [sim.state.u[f.span].copy() for f in sim.plan.fields] + [sim.state.y.copy()]

    exact, steps = solution(0.0005), (0.02, 0.01, 0.005)
    errors = np.array([[np.abs(a - b).max() for a, b in zip(solution(dt), exact, strict=True)] for dt in steps])
    found = [order(steps, e) for e in errors.T]
    assert min(found) >= 1.9, (found, errors)


def test_full_channel_set_rests_and_answers_a_local_stimulus(bq, cell):
    """Rest moves by round-off only; a strong local pulse empties a part of the ER, calcium stays within bounds, the ledger closes."""
    sim = cs.Simulation(bq(mesh=cell, stimuli=[pulse(0)]))
    u, y = sim.state.u.copy(), sim.state.y.copy()
    sim.advance(100.0)
    np.testing.assert_allclose(sim.state.u, u, rtol=1e-14)
    np.testing.assert_allclose(sim.state.y, y, rtol=0, atol=1e-14)
    sim = cs.Simulation(bq(mesh=cell, stimuli=[pulse(20000)]))
    far = cell.position[cell.span("cytosol"), 0] < -0.6
    sim.advance(1.0)
    near = sim.concentration("ca")
    assert near.max() > 5.0, near.max()
    assert near[far].max() < 0.5, near[far].max()
    assert near.min() > -0.05, near.min()  # obtuse cells undershoot, by less than a percent of the peak
    sim.advance(10.0)
    assert sim.concentration("ca")[far].min() > 0.1
    assert sim.concentration("ca", "er").min() < 100.0
    assert sim.state.y.min() > -1e-12, sim.state.y.min()
    assert sim.state.y.max() < 1.0, sim.state.y.max()
    sim.frame()
    assert sim.ledger.drift(sim.state) < 1e-12


def test_reconstructed_bouton(bq):
    """A presynaptic bouton with ER, 395 tetrahedra by others: rest stays, a stimulus of 1 ms is accounted for to round-off."""
    gmsh = pytest.importorskip("gmsh")
    path = SHARED / "bouton.msh"
    if not path.exists():
        pytest.skip("bouton.msh is not here")

    def build():
        gmsh.open(str(path))
        tags, xyz, _ = gmsh.model.mesh.getNodes()
        number = np.zeros(int(tags.max()) + 1, int)
        number[tags.astype(int)] = np.arange(len(tags))
        cells, labels = [], []
        for _, tag in gmsh.model.getPhysicalGroups(3):
            for entity in gmsh.model.getEntitiesForPhysicalGroup(3, tag):
                found = number[gmsh.model.mesh.getElements(3, entity)[2][0].astype(int)].reshape(-1, 4)
                cells.append(found)
                labels += [gmsh.model.getPhysicalName(3, tag)] * len(found)
        return xyz.reshape(-1, 3), np.concatenate(cells), np.array(labels)

    mesh = from_simplices(*opened(gmsh, build), names={"er": "er", "cyt": "cytosol"}, membranes=WALLS)
    x = mesh.position[mesh.membranes["plasma"].inside.astype(int), 0]
    edge = float(np.quantile(x, 0.8))
    for flux in (0, 2500):
        sim = cs.Simulation(bq(mesh=mesh, stimuli=[pulse(flux, at=lambda x, y, z: x > edge)]))
        u, y = sim.state.u.copy(), sim.state.y.copy()
        sim.advance(1.0)
        sim.frame()
        assert sim.ledger.drift(sim.state) < 1e-13
        if flux == 0:
            np.testing.assert_allclose(sim.state.u, u, rtol=1e-14)
            np.testing.assert_allclose(sim.state.y, y, rtol=0, atol=1e-14)
        else:
            assert sim.concentration("ca").max() > 0.5, sim.concentration("ca").max()
            assert np.isfinite(sim.state.u).all()
            area = mesh.membranes["plasma"].area[x > edge].sum()
            assert sum(sim.ledger.stimuli["ca"].values()) == pytest.approx(area * 2.5 / 2, rel=1e-12)
