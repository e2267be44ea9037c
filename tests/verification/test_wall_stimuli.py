"""What enters through the wall of a (z, r) grid raises the concentration on the wall, which the channels there see."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import calcium_sim as cs
from calcium_sim.meshes import neurite

RADIUS, D, VMAX, KM = 0.4, 0.22, 0.5, 3.0
TRUTH = 13.389976
"""Mean calcium at 4 ms [uM] of `radial` with 400 cells; with 200 cells 13.389972."""


class Cubic(cs.Channel):
    """A pump of Hill exponent 3, which shows how far it is saturated."""

    across, reads = ("cytosol", "outside"), {"ca": "ca@cytosol"}
    params = {"v": (VMAX, "uM*um/ms"), "k": (KM, "uM")}

    @staticmethod
    def flux(y, x, p):
        return p.v * x.ca**3 / (x.ca**3 + p.k**3)

    @staticmethod
    def open_probability(y, x, p):
        return x.ca**3 / (x.ca**3 + p.k**3)


def on_wall(node, entering, half):
    """Concentration on the wall: that of the node, what enters and what the pump takes there, each times half a cell over D."""
    c = node
    for _ in range(40):
        taken, slope = VMAX * c**3 / (c**3 + KM**3), 3 * VMAX * c**2 * KM**3 / (c**3 + KM**3) ** 2
        c = c - (c - node - half / D * (entering - taken)) / (1 + half / D * slope)
    return c


def radial(cells, entering):
    """Times of the outputs, mean calcium and calcium on the wall: finite volumes along the radius, integrated by scipy's BDF."""
    width, edges = RADIUS / cells, np.linspace(0, RADIUS, cells + 1)
    volume, area = np.pi * np.diff(edges**2), 2 * np.pi * edges

    def rate(t, c, now):
        flux = np.zeros(cells + 1)
        flux[1:-1] = -D * area[1:-1] * np.diff(c) / width
        wall = on_wall(c[-1], now, width / 2)
        flux[-1] = -area[-1] * (now - VMAX * wall**3 / (wall**3 + KM**3))
        return -np.diff(flux) / volume

    c, mean, wall = np.full(cells, 0.1), [], []
    for begin, end, now in ((0.0, 1.0, 0.0), (1.0, 2.0, entering), (2.0, 3.0, entering), (3.0, 4.0, 0.0)):
        c = solve_ivp(rate, (begin, end), c, "BDF", rtol=1e-9, atol=1e-11, args=(now,)).y[:, -1]
        mean.append(c @ volume / volume.sum())
        wall.append(on_wall(c[-1], entering if 1.0 <= end < 3.0 else 0.0, width / 2))
    return np.array(mean), np.array(wall)


def run(cells, **options):
    mesh = neurite("0.5 um", f"{RADIUS} um", spacing="0.1 um", radial_spacing=f"{RADIUS / cells} um", dims=2)
    ca = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.1 uM", "outside": "1 mM"})
    enters = cs.Influx("ca", None, "2 uM*um/ms", "2 ms", start="1 ms", through="plasma")
    ds = cs.simulate(cs.Model(mesh, [ca], {"plasma": [Cubic()]}, stimuli=[enters]), "4 ms", "1 ms", **({"tolerance": 2e-4} | options))
    return ds, ds.ca.values[1:] @ mesh.volume / mesh.volume.sum()


@pytest.mark.parametrize("options", [{}, {"tolerance": None, "dt": "0.005 ms"}, {"threads": 2}], ids=["chosen", "fixed", "parallel"])
def test_channels_see_what_enters_beside_them(options):
    """The same equations in scipy: means within 2e-5, open probabilities, which are those on the wall, within 6e-5."""
    ds, mean = run(8, **options)
    right, wall = radial(8, 2.0)
    np.testing.assert_allclose(mean, right, rtol=2e-5)
    np.testing.assert_allclose(
        next(v for n, v in ds.items() if n.startswith("po_")).values[1:].mean(axis=1), wall**3 / (wall**3 + KM**3), rtol=6e-5
    )


def test_the_mean_converges_at_second_order_in_the_radial_spacing():
    """Without what enters the error is 1.3e-2, 7.2e-3, 3.8e-3: of first order."""
    errors = [abs(run(cells)[1][-1] / TRUTH - 1.0) for cells in (2, 4, 8)]
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 2.0, atol=0.1)
    assert errors[0] < 4e-3
