"""No concentration becomes negative, books stay closed: pumps without a leak against closed forms, on every kind of mesh.

A pump of Hill order 2 in a uniform cell: dc/dt = -k c^2/(km^2 + c^2) has c - km^2/c = c0 - km^2/c0 - k t. One of order 1:
c/km + log(c/km) = c0/km + log(c0/km) - k t/km, Lambert's W.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.spatial import Delaunay
from scipy.special import lambertw

import calcium_sim as cs
from calcium_sim.errors import RunStopped
from calcium_sim.meshes import from_simplices, neurite, well_mixed

RADIUS = 0.1
LEAST = 1e-14  # uM, round-off of concentrations between 0.05 and 1000 uM


def cable():
    return neurite("15 um", f"{RADIUS} um", spacing="0.1 um")


MESHES = {
    "point": lambda: well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), f"{2 / RADIUS} um^2")}),
    "cable": cable,
    "graph": lambda: replace(cable(), structure=None),
}


def drained(mesh, channel, start):
    """A cell with one pump and nothing else, uncaged to `start` uM at 1 ms."""
    species = [cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1000 uM"})]
    return cs.Model(mesh, species, {"plasma": [channel]}, stimuli=[cs.Set("ca", f"{start} uM", time="1 ms")])


def hill2(start, k, km, t):
    a = start - km**2 / start - k * t
    return np.where(a > 0, 0.5 * (a + np.sqrt(a * a + 4 * km * km)), 2 * km * km / (np.sqrt(a * a + 4 * km * km) - a))


@pytest.mark.parametrize("kind", MESHES)
@pytest.mark.parametrize(("density", "start"), [(5000.0, 20.0), (20000.0, 3.0), (200.0, 50.0)])
def test_pump_of_second_order(kind, density, start):
    """Largest error of the course 0.2 % of the start (the steps are chosen); at the end within 2 % of what is left."""
    ds = cs.simulate(drained(MESHES[kind](), cs.get_channel("pmca/hill2")(density=f"{density} 1/um^2"), start), until="30 ms", every="1 ms")
    p = cs.get_channel("pmca/hill2")(density="1 1/um^2").values
    k, t = density * p["rate"] * 2 / RADIUS, ds.time.values - 1.0
    exact = hill2(start, k, p["km"], t[2:])
    seen = ds.ca.values[2:]
    assert seen.min() >= -LEAST
    assert np.ptp(seen, axis=1).max() < 1e-4 * start
    worst = np.abs(seen - exact[:, None]).max()
    assert worst < 2e-3 * start, worst
    assert seen[-1, 0] == pytest.approx(exact[-1], rel=0.02)
    assert ds.attrs["ledger_drift"] < 1e-11


@pytest.mark.parametrize("kind", MESHES)
@pytest.mark.parametrize(
    ("vmax", "km", "dt"), [(0.05, 0.01, None), (5.0, 0.01, None), (0.5, 1e-3, None), (0.05, 0.01, "0.5 ms"), (5.0, 0.01, "0.1 ms")]
)
def test_pump_of_first_order(kind, vmax, km, dt):
    """Stiff ones (vmax/km to 1e4 per ms), fixed steps as well: nothing below zero; the end to 2e-4 of the start."""
    pump = cs.get_channel("pmca/hill1")(vmax=f"{vmax} uM*um/ms", km=f"{km} uM")
    ds = cs.simulate(drained(MESHES[kind](), pump, 10.0), until="12 ms", every="1 ms", **({} if dt is None else {"dt": dt}))
    assert float(ds.ca.min()) >= -LEAST
    assert ds.attrs["ledger_drift"] < 1e-11
    k = vmax * 2 / RADIUS
    logs = 10.0 / km + np.log(10.0 / km) - k * (ds.time.values[2:] - 1.0) / km
    exact = km * np.where(logs < 700, np.real(lambertw(np.exp(np.minimum(logs, 700)))), logs - np.log(np.maximum(logs, 1)))
    if dt is None:
        assert np.abs(ds.ca.values[2:, 0] - exact).max() < 5e-2, ds.ca.values[2:, 0]
    assert float(ds.ca[-1, 0]) == pytest.approx(exact[-1], abs=2e-3)


def test_grid_with_a_pump_and_no_leak():
    """(z, r): c falls to nothing; mean over the section within 0.5 % of the start of a thin one's closed form."""
    mesh = neurite("7 um", "0.2 um", spacing="0.1 um", dims=2)
    ds = cs.simulate(drained(mesh, cs.get_channel("pmca/hill2")(density="5000 1/um^2"), 20.0), until="40 ms", every="2 ms")
    assert float(ds.ca.min()) >= -LEAST
    assert float(ds.ca[-1].max()) < 1e-2
    assert ds.attrs["ledger_drift"] < 1e-11


def test_fast_buffer_takes_all():
    """1 mM of a fast chelator (400 per ms) in a point: calcium on its way to nM overshoots in no step."""
    mesh = well_mixed({"cytosol": "1 um^3"})
    species = [cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "0.001 uM"})]
    buffers = [cs.Buffer("bapta", "ca", "cytosol", "1000 uM", "400 1/uM/s", "0.01 1/s")]
    for dt in (None, "0.1 ms"):
        ds = cs.simulate(cs.Model(mesh, species, buffers=buffers, stimuli=[cs.Set("ca", "10 uM", time="1 ms")]), until="3 ms", dt=dt)
        assert float(ds.ca.min()) >= -LEAST
        total = 10.0 + 1000.0 * 0.001 / (0.001 + 0.01 / 400)  # free and bound just after the jump
        b = 1000.0 + 0.01 / 400 - total
        root = np.sqrt(b * b + 4 * total * 0.01 / 400)
        exact = 0.5 * (root - b) if b < 0 else 2 * total * (0.01 / 400) / (b + root)
        assert float(ds.ca[-1, 0]) == pytest.approx(exact, rel=0.05)


def test_what_is_not_there_cannot_be_drained():
    """An influx with a negative sign: the run stops by name, place and reason."""
    mesh = cable()
    species = [cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1000 uM"})]
    model = cs.Model(mesh, species, stimuli=[cs.Influx("ca", at="left", flux="-1 uM*um/ms", duration="5 ms")])
    for dt in (None, "0.01 ms"):
        with pytest.raises(RunStopped, match=r"ca@cytosol at node 0 .* becomes negative"):
            cs.simulate(model, until="5 ms", dt=dt)


def random_tetrahedra(points=500):
    """A slab of tetrahedra between random points: a third of the edges have negative conductance."""
    rng = np.random.default_rng(4)
    corners = np.stack(np.meshgrid([0.0, 3.0], [0.0, 3.0], [0.0, 0.8]), -1).reshape(-1, 3)
    where = np.concatenate([corners, rng.uniform(0.0, [3.0, 3.0, 0.8], (points, 3))])
    cells = Delaunay(where).simplices
    edges = where[cells[:, 1:]] - where[cells[:, :1]]
    cells = cells[np.abs(np.linalg.det(edges)) > 1e-4]
    used, cells = np.unique(cells, return_inverse=True)
    return from_simplices(where[used], cells.reshape(-1, 4), np.full(len(cells.reshape(-1, 4)), "cytosol"))


def test_obtuse_tetrahedra_are_limited_where_they_would_empty_a_node():
    """A sharp source among flat tetrahedra: a warning that names the place, nothing below zero, every molecule kept."""
    mesh = random_tetrahedra()
    assert (mesh.conductance < 0).any()
    species = [cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1000 uM"})]
    at = mesh.position[np.argmin(np.abs(mesh.position - mesh.position.mean(axis=0)).sum(axis=1))]

    def spot(x, y, z):
        return (x == at[0]) & (y == at[1]) & (z == at[2])

    model = cs.Model(mesh, species, stimuli=[cs.Set("ca", "1000 uM", time="0.1 ms", at=spot)])
    for dt in (None, "0.01 ms"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ds = cs.simulate(model, until="3 ms", every="0.02 ms", dt=dt)
        assert any("obtuse cells" in str(w.message) for w in caught), [str(w.message) for w in caught]
        assert float(ds.ca.min()) >= -LEAST
        amount = ds.ca.values[-1] @ mesh.volume
        assert amount == pytest.approx(ds.ca.values[6] @ mesh.volume, rel=1e-12)
        mean = amount / mesh.volume.sum()
        assert np.abs(ds.ca.values[-1] - mean).max() < 0.2 * mean, "spreads as it should"


class Absorbs(cs.Channel):
    """A wall that takes what comes."""

    across = ("cytosol", "outside")
    reads = {"c": "ca@cytosol"}
    params = {"speed": (100.0, "um/ms")}

    @staticmethod
    def flux(y, x, p):
        return p.speed * x.c


def test_limits_change_nothing_where_no_node_would_be_emptied():
    """What is left behind absorbing walls, where concentrations fall to 1/1000 from node to node: the same with limited edges."""
    mesh = random_tetrahedra()
    species = [cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "1 uM", "outside": "0 uM"})]
    model = cs.Model(mesh, species, {"plasma": [Absorbs()]})
    left = []
    for limited in (False, True):
        sim = cs.Simulation(model)
        sim.state.limited = limited
        sim.advance(0.5)
        assert sim.state.limited == limited
        left.append(sim.state.u.copy())
    assert left[0] @ mesh.volume < 0.1 * mesh.volume.sum()
    assert left[1] == pytest.approx(left[0], rel=1e-9)


class Exchanger(cs.Channel):
    """One calcium into the ER for three sodium out of it, saturable on both sides."""

    across = ("cytosol", "er")
    moves = {"ca": 1, "na": -3}
    reads = {"ca": "ca@cytosol", "na": "na@er"}
    params = {"v": (5.0, "uM um/ms"), "kc": (0.01, "uM"), "kn": (0.05, "uM")}

    @staticmethod
    def flux(y, x, p):
        return p.v * x.ca / (p.kc + x.ca) * x.na / (p.kn + x.na)


def test_exchange_ends_with_what_is_there():
    """A fast exchanger of two species on a (z, r) grid, whose sodium is used up: Newton's method went in circles and the run stopped.

    Reference: LSODA for the cell without space, which a radius of 0.1 um is to 1 %; sodium is kept, nothing below zero.
    """
    mesh = neurite("2 um", "0.1 um", "0.05 um", "0.1 um", dims=2)
    ca = cs.Species("ca", {"cytosol": "220 um^2/s", "er": "220 um^2/s"}, {"cytosol": "0.1 uM", "er": "10 uM"})
    na = cs.Species("na", {"cytosol": "600 um^2/s", "er": "600 um^2/s"}, {"cytosol": "1 uM", "er": "20 uM"})
    model = cs.Model(mesh, [ca, na], {"er": [Exchanger()]}, (), [cs.Set("ca", "200 uM", time="1 ms")])
    cytosol, er = (mesh.volume[mesh.span(r)].sum() for r in ("cytosol", "er"))
    area = mesh.membranes["er"].area.sum()

    def exchange(t, u):
        flux = area * 5.0 * u[0] / (0.01 + u[0]) * u[1] / (0.05 + u[1])
        return [-flux / cytosol, -3.0 * flux / er]

    for dt in (None, "0.02 ms"):
        ds = cs.simulate(model, until="3 ms", every="0.1 ms", dt=dt)
        after = ds.time.values > 1.05
        first = [float(ds.ca.values[10, :1][0]), float(ds.na.values[10, -1])]
        exact = solve_ivp(exchange, (1.0, 3.0), [200.0, first[1]], t_eval=ds.time.values[after], method="LSODA", rtol=1e-9, atol=1e-12).y
        seen = ds.ca.values[:, mesh.span("cytosol")] @ mesh.volume[mesh.span("cytosol")] / cytosol
        assert np.abs(seen[after] - exact[0]).max() < 0.01 * 200.0
        # round-off of the 200 uM that were there: -2e-14 to -2e-13, by the instructions that a processor has; 1e-12 is 5e-15 of them
        assert min(float(ds.ca.min()), float(ds.na.min())) >= -1e-12
        assert ds.attrs["ledger_drift"] < 1e-12
