"""Diffusion on (z, r) grids as it runs: closed forms along z and across, a constant, conservation, the scaling law."""

import numpy as np
import pytest
from scipy.special import j0, jn_zeros

import calcium_sim as cs
from calcium_sim.meshes import neurite

D = 0.22  # um^2/ms


class Constant(cs.Channel):
    """A constant flux into the cell."""

    source = "test"
    across = ("outside", "cytosol")
    params = {"size": (1.0, "uM*um/ms")}

    @staticmethod
    def flux(y, x, p):
        return p.size


def cylinder(mesh, channels=(), diffusion=D):
    """One species in a cylinder, with channels on its surface."""
    species = [cs.Species("ca", {"cytosol": f"{1e3 * diffusion!r} um^2/s"}, {"cytosol": "1 uM", "outside": "0 uM"})]
    return cs.Model(mesh, species, {"plasma": list(channels)})


def advanced(model, end, steps, start=None):
    """Concentrations (slices, cells) after `steps` equal steps, from a given field or from rest."""
    simulation = cs.Simulation(model, dt=f"{float(end / steps)!r} ms")
    grid = model.mesh.structure
    if start is not None:
        simulation.state.u[:] = np.ravel(start)
    simulation.advance(end)
    return simulation.state.u.reshape(grid.slices, -1).copy()


def order(sizes, errors):
    return np.polyfit(np.log(sizes), np.log(errors), 1)[0]


def along(n):
    """cos(pi z / L) in n slices of a cylinder of 10 um and three rings."""
    mesh = neurite("10 um", "0.3 um", spacing=f"{float(10 / n)!r} um", dims=2, radial_spacing="0.1 um")
    cells = mesh.nodes // n
    return mesh, np.repeat(1.0 + 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n), cells).reshape(n, cells)


def test_z_is_second_order_in_time_and_space():
    """An eigenvector of the cells in time (steps of 0.6 to 5 ms: h D/dz^2 up to 18), exp(-D (pi/L)^2 t) in space."""
    t, n, steps = 40.0, 40, np.array([8, 16, 32, 64])
    mesh, mode = along(n)
    rate = 4 * D * (n / 10) ** 2 * np.sin(np.pi / (2 * n)) ** 2
    errors = [np.abs(advanced(cylinder(mesh), t, m, mode) - 1 - (mode - 1) * np.exp(-rate * t)).max() for m in steps]
    assert order(1 / steps, errors) == pytest.approx(2.0, abs=0.1), errors
    cells, errors = np.array([10, 20, 40, 80]), []
    for k in cells:
        mesh, mode = along(k)
        errors.append(np.abs(advanced(cylinder(mesh), t, 2000, mode) - 1 - (mode - 1) * np.exp(-D * (np.pi / 10) ** 2 * t)).max())
    assert order(1 / cells, errors) == pytest.approx(2.0, abs=0.1), errors


def series(q, time):
    """Cylinder with constant inward flux, V2 of the verification cases (Carslaw & Jaeger), in units J a / D; time = D t / a^2."""
    g = jn_zeros(1, 400)[:, None]
    return 2 * time + q**2 / 2 - 0.25 - 2 * (j0(g * q) / (g**2 * j0(g)) * np.exp(-(g**2) * time)).sum(0)


def filled(rings, time, steps):
    """The same by a run, in those units: distances of the rings from the axis, and concentrations there (all slices are alike)."""
    mesh = neurite("1 um", "1 um", spacing="0.2 um", dims=2, radial_spacing=f"{float(1 / rings)!r} um")
    t = float(time / D)
    flux = cs.channel("test/constant-flux")(Constant)(size=f"{D!r} uM*um/ms")
    u = advanced(cylinder(mesh, [flux]), t, steps)
    assert np.ptp(u, axis=0).max() < 1e-12
    return mesh.position[: u.shape[1], 1], u[0] - 1.0


def test_radial_diffusion_with_constant_flux_is_second_order():
    cells, errors = np.array([10, 20, 40, 80]), []
    for n in cells:
        q, u = filled(n, 0.05, 1000)
        errors.append(np.abs(u - series(q, 0.05)).max())
    assert order(1 / cells, errors) > 1.85, errors


@pytest.mark.parametrize(("time", "surface"), [(0.05, 0.28104279298), (0.3, 0.84833520756)])
def test_surface_value(time, surface):
    """Published to 11 digits; the wall is one half cell beyond the last centre, where the slope is J / D = 1."""
    assert series(np.ones(1), time)[0] == pytest.approx(surface, abs=2e-9)
    n = 200
    _, u = filled(n, time, 2000)
    curvature = (1 - (u[-1] - u[-2]) * n) * n
    assert u[-1] + 0.5 / n - curvature / (8 * n**2) == pytest.approx(surface, abs=2e-5)


def test_a_constant_keeps_every_bit():
    mesh = neurite("15 um", "0.4 um", "0.15 um", "0.1 um", dims=2)
    d = "220 um^2/s"
    species = [cs.Species("ca", {"cytosol": d, "er": d}, {"cytosol": "0.05 uM", "er": "250 uM"})]
    simulation = cs.Simulation(cs.Model(mesh, species), dt="0.1 ms")
    start = simulation.state.u.copy()
    simulation.advance(20.0)
    assert np.array_equal(simulation.state.u, start)


def rough(mesh, seed):
    """A random positive field."""
    return np.random.default_rng(seed).uniform(1.0, 2.0, mesh.nodes)


def test_a_field_that_does_not_diffuse_keeps_every_bit():
    mesh = neurite("3 um", "0.4 um", spacing="0.1 um", dims=2)
    start = rough(mesh, 3)
    assert np.array_equal(advanced(cylinder(mesh, diffusion=0.0), 2.0, 20, start).ravel(), start)


@pytest.mark.parametrize("h", [0.01, 1.0])
def test_the_amount_is_conserved(h):
    """Over 2e4 steps, with h D / dr^2 up to 140 (the drift is the round-off of the fluxes)."""
    mesh = neurite("1.2 um", "0.4 um", spacing="0.1 um", dims=2)
    smooth = 1.0 + 0.5 * np.cos(np.pi * mesh.position[:, 0] / 1.2) * mesh.position[:, 1]
    u = advanced(cylinder(mesh), 20_000 * h, 20_000, smooth).ravel()
    assert abs(mesh.volume @ u / (mesh.volume @ smooth) - 1) < 1e-12


def test_scaling_law():
    """D times 4 and lengths times 2: the same numbers."""
    small = neurite("2 um", "0.4 um", spacing="0.1 um", dims=2, radial_spacing="0.05 um")
    large = neurite("4 um", "0.8 um", spacing="0.2 um", dims=2, radial_spacing="0.1 um")
    start = rough(small, 5)
    one, two = advanced(cylinder(small), 0.6, 300, start), advanced(cylinder(large, diffusion=4 * D), 0.6, 300, start)
    assert np.abs(one - two).max() < 1e-13
