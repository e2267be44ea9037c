"""Spikes that let calcium in, which opens potassium channels, on a tree: against scipy, with and without SK."""

import warnings

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.sparse import csr_matrix

import calcium_sim as cs
from calcium_sim.meshes.columns import columns_mesh

N, DX, RADIUS = 136, 8.0, 1.0
CA = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "2 mM"})
TIMES = np.linspace(0.0, 15.0, 31)
FRT = 2 * 96485.0 / (8314.0 * 310.0)
UNIT = 2 * 96485e-6
SK, VMAX, KM = 1e-3, 0.05, 0.5
"""S/cm^2; uM um/ms and uM of the pump."""


def tree():
    parent = np.maximum(np.arange(N) - 1, 0)
    parent[100] = 50
    volume, area = np.full(N, np.pi * RADIUS**2 * DX), np.full(N, 2 * np.pi * RADIUS * DX)
    conductance = np.concatenate([[0.0], np.full(N - 1, np.pi * RADIUS**2 / DX)])
    position = np.outer(DX * np.arange(N), [1.0, 0.0, 0.0])
    given = {"parent": parent, "volume": volume[None], "conductance": conductance[None], "position": position, "distance": position[:, 0]}
    return columns_mesh(("cytosol",), **given, membranes={"plasma": (("cytosol", "outside"), area)})


def removable(x, k):
    near = np.abs(x) < 1e-8
    return np.where(near, k, x / np.expm1(np.where(near, 1.0, x) / k))


def rates(v):
    """m and h of sodium, n of potassium, by Traub and Miles; threshold -63 mV."""
    u = v + 63
    opening = 0.32 * removable(13 - u, 4), 0.128 * np.exp((17 - u) / 18), 0.032 * removable(15 - u, 5)
    return opening, (0.28 * removable(u - 40, 5), 4 / (1 + np.exp((40 - u) / 5)), 0.5 * np.exp((10 - u) / 40))


def calcium_gates(v):
    return [1 / (1 + np.exp(-z * (v - half) * FRT / 2)) for z, half in ((3.4, -21.0), (-2.0, -40.0))]


def hill(c):
    return c**4.8 / (c**4.8 + 0.43**4.8)


def solution(mesh, sk):
    """Potential, calcium and gates at every position by Radau IIA at 1e-7, a current into position 0 from 1 to 3 ms."""
    area, volume, parent = mesh.membranes["plasma"].area, mesh.volume, mesh.structure.parent.astype(int)
    shape = mesh.structure.conductance.sum(axis=0)
    capacity, axial, diffusion = 0.01 * area, shape * 1e5 / 100.0, 0.22 * shape

    def flow(coupling, z, net):
        j = coupling[1:] * (z[parent[1:]] - z[1:])
        net[1:] += j
        np.subtract.at(net, parent[1:], j)
        return net

    def rate(t, z, now):
        v, c, m, h, n, p, q, s = z.reshape(8, N)
        a, b = rates(v)
        ohmic = 100 * m**3 * h * (v - 50) + (30 * n**4 + 1e3 * sk * s) * (v + 90) + 0.1 * (v + 65)
        xi = FRT * v
        xi = np.where(np.abs(xi) < 1e-9, 1e-9, xi)
        entry = 2.0 * 3.8e-4 * p**2 * q * xi * (2000.0 - c * np.exp(xi)) / np.expm1(xi)
        pump = VMAX * c / (KM + c) - VMAX * 0.05 / (KM + 0.05)
        into = area * (-0.01 * ohmic + UNIT * (entry - pump))
        into[0] += now
        dp, dq = calcium_gates(v)
        gates = [x * (1 - y) - w * y for x, w, y in zip(a, b, (m, h, n), strict=True)]
        return np.concatenate(
            [flow(axial, v, into) / capacity, flow(diffusion, c, area * (entry - pump)) / volume, *gates,
             (dp - p) / 1.5, (dq - q) / 75.0, hill(c) - s]
        )  # fmt: skip

    linked = np.eye(N, dtype=int)
    linked[np.arange(1, N), parent[1:]] = linked[parent[1:], np.arange(1, N)] = 1
    pattern = csr_matrix(np.kron(np.ones((8, 8), int), np.eye(N, dtype=int)) + np.kron(np.eye(8, dtype=int), linked))
    a, b = rates(np.array(-65.0))
    start = [-65.0, 0.05, *(x / (x + y) for x, y in zip(a, b, strict=True)), *calcium_gates(-65.0), hill(0.05)]
    z, out = np.repeat(np.array(start, float), N), []
    for begin, end, now in ((0.0, 1.0, 0.0), (1.0, 3.0, 3000.0), (3.0, TIMES[-1], 0.0)):
        seen = TIMES[(begin <= TIMES) & (end > TIMES) | (end == TIMES) & (end == TIMES[-1])]
        at = [*seen, *([] if end in seen else [end])]
        found = solve_ivp(rate, (begin, end), z, "Radau", args=(now,), t_eval=at, rtol=1e-7, atol=1e-9, jac_sparsity=pattern)
        out += list(found.y.T[: len(seen)])
        z = found.y[:, -1]
    return np.array(out).reshape(len(TIMES), 8, N)


def cell(mesh, sk):
    given = {
        "na/traub-miles": {}, "k/traub-miles": {}, "leak/ohmic": {"g": "0.1 mS/cm^2", "e": "-65 mV"},
        "vgcc/borg-graham-n": {"density": "2 1/um^2"}, "kca/sk": {"g": f"{sk} S/cm^2"},
    }  # fmt: skip
    channels = [cs.get_channel(name)(**values) for name, values in given.items()]
    channels += [Pump()]
    clamp = cs.CurrentClamp(0, "3 nA", "2 ms", start="1 ms")
    return cs.Model(mesh, [CA], {"plasma": channels}, stimuli=[clamp], voltage=cs.Cable())


class Pump(cs.Channel):
    """A pump that stands still at 0.05 uM, two charges for a calcium."""

    across, reads = ("cytosol", "outside"), {"ca": "ca@cytosol"}
    source = "made for this test"

    @staticmethod
    def flux(y, x, p):
        return VMAX * x.ca / (KM + x.ca) - VMAX * 0.05 / (KM + 0.05)


def run(model, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cs.simulate(model, "15 ms", "0.5 ms", **options)


def rms(a, b):
    return float(np.sqrt(np.mean((a - b) ** 2)))


@pytest.fixture(scope="module")
def exact():
    return solution(tree(), SK)


def test_a_spike_opens_sk_by_its_calcium(exact):
    """Of second order in the potential; the spike is followed by 14 mV more of hyperpolarisation than without SK; books are closed."""
    mesh, errors = tree(), []
    for dt in (0.025, 0.0125, 0.00625):
        ds = run(cell(mesh, SK), dt=f"{dt} ms")
        errors.append([rms(ds.v.values, exact[:, 0]), rms(ds.ca.sel(region="cytosol").values, exact[:, 1])])
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders[:, 0], 2.0, atol=0.03)
    assert (orders[:, 1] > 1.9).all()
    assert errors[-1][0] < 0.025
    assert errors[-1][1] < 2e-4
    assert exact[:, 0, -1].max() > 20.0
    assert exact[:, 1].max() > 3.0
    assert exact[16:, 0].min() < -88.0
    assert run(cell(mesh, 0.0)).v.values[16:].min() == pytest.approx(-73.8, abs=0.3)
    account = "channel:plasma:vgcc/borg-graham-n"
    charge, moles = (float(book.sel(account=account)[-1]) for book in (ds.ledger_charge, ds.ledger_ca))
    assert charge == pytest.approx(UNIT * moles, rel=1e-14)
    assert ds.attrs["ledger_drift"] < 1e-12


def test_chosen_steps_follow_it(exact):
    """0.011 mV and 1.8e-4 uM with 558 steps."""
    ds = run(cell(tree(), SK))
    assert rms(ds.v.values, exact[:, 0]) < 0.03
    assert rms(ds.ca.sel(region="cytosol").values, exact[:, 1]) < 5e-4
    assert ds.attrs["steps"] < 900
