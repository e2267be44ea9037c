"""Diffusion on cables and trees: closed forms, a dense matrix exponential, conservation, exact scaling."""

import numpy as np
import pytest
from scipy.linalg import expm

from calcium_sim.kernels import tree

GAMMA, SECOND = 1 - np.sqrt(0.5), 1 + np.sqrt(2)


def chain(n):
    return np.maximum(np.arange(n) - 1, 0).astype(np.uint32)


def random_tree(n, rng, jump=0.3):
    """Hines order; a node's parent is its predecessor or, with probability `jump`, any earlier node."""
    parent = chain(n)
    for i in range(2, n):
        if rng.random() < jump:
            parent[i] = rng.integers(i)
    return parent


def laplacian(parent, conductance, volume):
    matrix = np.zeros((len(parent), len(parent)))
    for i in range(1, len(parent)):
        p = parent[i]
        matrix[i, p] += conductance[i]
        matrix[i, i] -= conductance[i]
        matrix[p, i] += conductance[i]
        matrix[p, p] -= conductance[i]
    return matrix / volume[:, None]


def advance(u, parent, conductance, volume, diffusion, h, steps=1):
    """Copy of u, shape (fields, n), after `steps` steps; the scratch memory starts as NaN because nothing may depend on it."""
    u, diffusion = u.copy(), np.asarray(diffusion, float)
    plan, rows = tree.runs(parent), tree.mobile(diffusion)
    factors, work = tree.factor(parent, conductance, volume, diffusion, h), tree.workspace(u.shape[1])
    work[:] = np.nan
    for _ in range(steps):
        tree.diffuse(u, rows, plan, factors, work)
    return u


def random_case(n, fields, seed):
    rng = np.random.default_rng(seed)
    conductance, volume = rng.uniform(0.5, 2, (fields, n)), rng.uniform(0.2, 3, (fields, n))
    return random_tree(n, rng), conductance, volume, rng.uniform(0.1, 1, fields), rng.uniform(0, 1, (fields, n))


def cosine(n, length=10.0, diffusion=0.22):
    """cos(pi x / L) in n cells between closed ends: field, arguments of `advance`, decay rates of the cells and of the equation."""
    dx = length / n
    u = np.cos(np.pi * (np.arange(n) + 0.5) * dx / length)[None]
    discrete = 4 * diffusion / dx**2 * np.sin(np.pi * dx / (2 * length)) ** 2
    return u, (chain(n), np.full((1, n), 1 / dx), np.full((1, n), dx), [diffusion]), discrete, diffusion * (np.pi / length) ** 2


def order(sizes, errors):
    return np.polyfit(np.log(sizes), np.log(errors), 1)[0]


def test_second_order_in_space():
    """The cosine mode decays as exp(-D (pi/L)^2 t); 2000 steps make the error in time negligible."""
    cells, t, errors = np.array([10, 20, 40, 80]), 40.0, []
    for n in cells:
        u, case, _, rate = cosine(n)
        errors.append(np.abs(advance(u, *case, t / 2000, 2000) - u * np.exp(-rate * t)).max())
    assert order(1 / cells, errors) == pytest.approx(2.0, abs=0.1), errors


def test_second_order_in_time():
    """On 40 cells the mode is an eigenvector, whose exact decay is known to round-off."""
    u, case, rate, _ = cosine(40)
    t, steps = 40.0, np.array([4, 8, 16, 32, 64])
    errors = [np.abs(advance(u, *case, t / m, m) - u * np.exp(-rate * t)).max() for m in steps]
    assert order(1 / steps, errors) == pytest.approx(2.0, abs=0.1), errors


@pytest.mark.parametrize("n", [2, 3, 7, 60])
def test_tree_converges_to_the_matrix_exponential(n):
    """Random trees, volumes, conductances and diffusion coefficients, three fields with their own; scipy.linalg.expm is exact."""
    parent, c, v, d, u = random_case(n, 3, n)
    exact = np.stack([expm(0.5 * d[f] * laplacian(parent, c[f], v[f])) @ u[f] for f in range(3)])
    steps = np.array([32, 64, 128])
    errors = [np.abs(advance(u, parent, c, v, d, 0.5 / m, m) - exact).max() for m in steps]
    assert errors[-1] < 1e-4, errors
    assert order(1 / steps, errors) > 1.9, errors


@pytest.mark.parametrize("fields", range(1, 9))
def test_every_number_of_fields_follows_the_scheme(fields):
    """A step equals I + N + (1 + sqrt 2) S N with dense matrices; every third field does not diffuse and keeps its bits."""
    parent, c, v, d, u = random_case(30, fields, fields)
    d[2::3] = 0
    h = 0.7
    new = advance(u, parent, c, v, d, h)
    for f in range(fields):
        matrix = GAMMA * h * d[f] * laplacian(parent, c[f], v[f])
        solve = np.linalg.inv(np.eye(30) - matrix)
        first = solve @ matrix @ u[f]
        np.testing.assert_allclose(new[f], u[f] + first + SECOND * solve @ first, rtol=0, atol=2e-14)
    assert np.array_equal(new[2::3], u[2::3])


@pytest.mark.parametrize("n", [1, 2, 50])
def test_a_constant_keeps_every_bit(n):
    parent, c, v, d, _ = random_case(n, 2, 5)
    u = np.repeat([[0.05], [250.1]], n, axis=1)
    assert np.array_equal(advance(u, parent, c, v, d, 0.3, 100), u)


def test_one_node_is_left_alone():
    u = np.array([[0.3], [7.0]])
    new = advance(u, np.zeros(1, np.uint32), np.ones((2, 1)), np.ones((2, 1)), [1.0, 1.0], 5.0)
    assert np.array_equal(new, u)


def test_a_linear_field_stays_linear_inside():
    """Uniform cable: the ends are closed, but the inside cannot know in a step with h D / dx^2 = 0.01."""
    n, dx = 101, 0.1
    u = (1.0 + 3.0 * dx * np.arange(n))[None]
    new = advance(u, chain(n), np.full((1, n), 1 / dx), np.full((1, n), dx), [1.0], 0.01 * dx**2)
    np.testing.assert_allclose(new[0, 20:-20], u[0, 20:-20], rtol=1e-12)
    assert abs(new[0, 0] - u[0, 0]) > 1e-4


@pytest.mark.parametrize("h", [0.1, 1e3])
def test_the_amount_is_conserved_over_1e5_steps(h):
    parent, c, v, d, u = random_case(60, 3, 11)
    new = advance(u, parent, c, v, d, h, 100_000)
    drift = (v * new).sum(1) / (v * u).sum(1) - 1
    assert np.abs(drift).max() < 1e-12, drift


def test_an_infinite_step_mixes_completely():
    """L-stable: h D / dx^2 = 1e8 leaves the mean in every cell."""
    parent, c, v, d, u = random_case(40, 2, 3)
    new = advance(u, parent, c, v, d, 1e8)
    mean = (v * u).sum(1, keepdims=True) / v.sum(1, keepdims=True)
    np.testing.assert_allclose(new, np.broadcast_to(mean, new.shape), rtol=1e-5)


@pytest.mark.parametrize(("along", "across"), [(2, 1), (2, 2)])
def test_scaling_law_holds_to_the_last_bit(along, across):
    """All D times 4 and lengths times 2 (along the cable only, or in every direction): identical values at identical times."""
    parent, c, v, d, u = random_case(50, 3, 8)
    scaled = advance(u, parent, c * across**2 / along, v * across**2 * along, 4 * d, 0.2, 50)
    assert np.array_equal(scaled, advance(u, parent, c, v, d, 0.2, 50))


def test_runs_end_at_branch_points():
    """0-1-2 with two children of 2: 3-4 and 5; and a last one, 6, of the root."""
    parent = np.array([0, 0, 1, 2, 3, 2, 0], np.uint32)
    plan = tree.runs(parent)
    assert plan[0].tolist() == [0, 1, 3, 5, 6, 7]
    assert plan[1, :-1].tolist() == [0, 0, 1, 1, 0]
