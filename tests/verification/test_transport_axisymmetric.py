"""Diffusion on (z, r) grids, one direction at a time: closed forms, the tree solver line by line, conservation, threads."""

import numba
import numpy as np
import pytest
from scipy.special import j0, jn_zeros

from calcium_sim.kernels import axisymmetric as rz
from calcium_sim.kernels import tree

SHAPES = [(1, 5), (5, 1), (2, 2), (9, 10), (17, 23), (64, 40)]


def along_z(u, diffusion, spacing, h, steps=1, run=rz.z_diffuse):
    u, work = u.copy(), rz.workspace(*u.shape)
    work[:] = np.nan
    factors = rz.z_factor(len(u), diffusion, spacing, h)
    for _ in range(steps):
        run(u, factors, work)
    return u


def along_r(u, radii, diffusion, h, steps=1, run=rz.radial_diffuse):
    u, work = u.copy(), rz.workspace(*u.shape)
    work[:] = np.nan
    factors = rz.radial_factor(radii, diffusion, h)
    for _ in range(steps):
        run(u, factors, work)
    return u


def line_by_line(lines, conductance, volume, diffusion, h):
    n = lines.shape[1]
    out = np.array(lines, order="C")
    parent = np.maximum(np.arange(n) - 1, 0).astype(np.uint32)
    factors = tree.factor(parent, conductance[None], volume[None], np.array([diffusion]), h)
    for k in range(len(out)):
        tree.diffuse(out[k : k + 1], tree.mobile(np.ones(1)), tree.runs(parent), factors, tree.workspace(n))
    return out


def rings(radii):
    """Volumes per radian and length, conductances to the inner neighbour."""
    centre = (radii[1:] + radii[:-1]) / 2
    return np.diff(radii**2) / 2, np.concatenate([[0], radii[1:-1] / np.diff(centre)])


def order(sizes, errors):
    return np.polyfit(np.log(sizes), np.log(errors), 1)[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_lines_along_z_equal_the_tree_solver(shape):
    u = np.random.default_rng(0).uniform(0, 1, shape)
    expected = line_by_line(u.T, np.full(shape[0], 100.0), np.ones(shape[0]), 0.2, 0.05).T
    np.testing.assert_allclose(along_z(u, 0.2, 0.1, 0.05), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
def test_radial_lines_equal_the_tree_solver(shape):
    u = np.random.default_rng(1).uniform(0, 1, shape)
    radii = np.cumsum(np.random.default_rng(2).uniform(0.02, 0.05, shape[1] + 1))
    volume, conductance = rings(radii)
    expected = line_by_line(u, conductance, volume, 0.2, 0.05)
    np.testing.assert_allclose(along_r(u, radii, 0.2, 0.05), expected, rtol=0, atol=1e-14)


def test_z_is_second_order_in_time_and_space():
    """cos(pi z / L) between closed ends: an eigenvector of the cells in time, exp(-D (pi/L)^2 t) in space."""
    length, diffusion, t = 10.0, 0.22, 40.0

    def mode(n):
        return np.cos(np.pi * (np.arange(n) + 0.5) / n)[:, None] * np.ones((1, 11))

    n, steps = 40, np.array([8, 16, 32, 64])
    rate = 4 * diffusion * (n / length) ** 2 * np.sin(np.pi / (2 * n)) ** 2
    errors = [np.abs(along_z(mode(n), diffusion, length / n, t / m, m) - mode(n) * np.exp(-rate * t)).max() for m in steps]
    assert order(1 / steps, errors) == pytest.approx(2.0, abs=0.1), errors
    cells, exact = np.array([10, 20, 40, 80]), np.exp(-diffusion * (np.pi / length) ** 2 * t)
    errors = [np.abs(along_z(mode(n), diffusion, length / n, t / 2000, 2000) - mode(n) * exact).max() for n in cells]
    assert order(1 / cells, errors) == pytest.approx(2.0, abs=0.1), errors


def cylinder_series(q, time):
    """Cylinder with constant inward flux, V2 of the verification cases (Carslaw & Jaeger), in units J a / D; time = D t / a^2."""
    g = jn_zeros(1, 400)[:, None]
    return 2 * time + q**2 / 2 - 0.25 - 2 * (j0(g * q) / (g**2 * j0(g)) * np.exp(-(g**2) * time)).sum(0)


def cylinder_cells(n, time, steps):
    """The same by the radial solver, cell values.

    The constant source s at the wall is taken out exactly: with L p + s = mean(s), the field u - p - mean(s) t diffuses freely.
    """
    radii = np.linspace(0, 1, n + 1)
    volume, conductance = rings(radii)
    matrix = np.diag(conductance[1:], 1) + np.diag(conductance[1:], -1)
    matrix = (matrix - np.diag(matrix.sum(1))) / volume[:, None]
    source = np.zeros(n)
    source[-1] = 1.0 / volume[-1]
    mean = (source * volume).sum() / volume.sum()
    p = np.linalg.lstsq(matrix, mean - source, rcond=None)[0]
    free = along_r(np.tile(-p, (3, 1)), radii, 1.0, time / steps, steps)
    assert (free == free[0]).all()
    return (radii[1:] + radii[:-1]) / 2, free[0] + p + mean * time


def test_cylinder_with_constant_flux_is_second_order():
    cells, errors = np.array([10, 20, 40, 80]), []
    for n in cells:
        q, u = cylinder_cells(n, 0.05, 1000)
        errors.append(np.abs(u - cylinder_series(q, 0.05)).max())
    assert order(1 / cells, errors) > 1.9, errors
    steps = np.array([20, 40, 80, 160])
    exact = cylinder_cells(80, 0.05, 20_000)[1]
    errors = [np.abs(cylinder_cells(80, 0.05, m)[1] - exact).max() for m in steps]
    assert order(1 / steps, errors) > 1.9, errors


@pytest.mark.parametrize(("time", "surface"), [(0.05, 0.28104279298), (0.3, 0.84833520756)])
def test_cylinder_surface_value(time, surface):
    """Published to 11 digits; the wall is one half cell beyond the last centre, where the slope is J / D = 1."""
    assert cylinder_series(np.ones(1), time)[0] == pytest.approx(surface, abs=2e-9)
    n = 400
    _, u = cylinder_cells(n, time, 2000)
    curvature = (1 - (u[-1] - u[-2]) * n) * n
    assert u[-1] + 0.5 / n - curvature / (8 * n**2) == pytest.approx(surface, abs=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_constant_keeps_every_bit(shape):
    u, radii = np.full(shape, 0.05), np.linspace(0.1, 0.4, shape[1] + 1)
    assert np.array_equal(along_z(u, 0.2, 0.05, 0.1, 20), u)
    assert np.array_equal(along_r(u, radii, 0.2, 0.1, 20), u)


def test_a_field_that_does_not_diffuse_keeps_every_bit():
    u = np.random.default_rng(3).uniform(0, 1, (9, 9))
    assert np.array_equal(along_z(u, 0.0, 0.05, 0.1), u)
    assert np.array_equal(along_r(u, np.linspace(0, 1, 10), 0.0, 0.1), u)


@pytest.mark.parametrize("h", [0.01, 1.0])
def test_the_amount_is_conserved_over_1e5_steps(h):
    """In total and line by line, with h D / dr^2 up to 430 (the drift is the round-off of the fluxes, so it grows with that number)."""
    u, radii = np.random.default_rng(4).uniform(0, 1, (12, 11)), np.linspace(0.15, 0.4, 12)
    volume = rings(radii)[0]
    z, r = along_z(u, 0.22, 0.05, h, 100_000), along_r(u, radii, 0.22, h, 100_000)
    assert abs((z * volume).sum() / (u * volume).sum() - 1) < 1e-12
    assert abs((r * volume).sum() / (u * volume).sum() - 1) < 1e-12
    assert np.abs(z.sum(0) / u.sum(0) - 1).max() < 1e-12
    assert np.abs((r * volume).sum(1) / (u * volume).sum(1) - 1).max() < 1e-12


def test_scaling_law_holds_to_the_last_bit():
    """D times 4 and lengths times 2."""
    u, radii = np.random.default_rng(5).uniform(0, 1, (20, 13)), np.linspace(0.15, 0.4, 14)
    assert np.array_equal(along_z(u, 0.88, 0.1, 0.02, 30), along_z(u, 0.22, 0.05, 0.02, 30))
    assert np.array_equal(along_r(u, 2 * radii, 0.88, 0.02, 30), along_r(u, radii, 0.22, 0.02, 30))


@pytest.mark.parametrize("shape", [*SHAPES, (300, 200)])
def test_threads_do_not_change_a_bit(shape):
    u, radii = np.random.default_rng(6).uniform(0, 1, shape), np.linspace(0.1, 0.4, shape[1] + 1)
    z, r = along_z(u, 0.2, 0.05, 0.1), along_r(u, radii, 0.2, 0.1)
    before = numba.get_num_threads()
    try:
        for threads in range(1, min(2, numba.config.NUMBA_NUM_THREADS) + 1):
            numba.set_num_threads(threads)
            assert np.array_equal(along_z(u, 0.2, 0.05, 0.1, run=rz.z_diffuse_parallel), z), threads
            assert np.array_equal(along_r(u, radii, 0.2, 0.1, run=rz.radial_diffuse_parallel), r), threads
    finally:
        numba.set_num_threads(before)
