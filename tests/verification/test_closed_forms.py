"""Closed forms of reaction and diffusion on a cable, through the public interface, with a channel that a user would write."""

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.meshes import neurite

RADIUS = 0.4


class Kinetics(cs.Channel):
    """Source per volume [uM/ms] as a flux through the wall of a cylinder: cubic, McKean's step, or linear extrusion."""

    across = ("outside", "cytosol")
    reads = {"ca": "ca@cytosol"}
    params = {
        "depth": (RADIUS / 2, "um"),  # volume over area
        "cubic": (0.0, "1/uM^2/ms"),
        "jump": (0.0, "uM/ms"),
        "linear": (0.0, "1/ms"),
        "threshold": (0.2, "uM"),
        "scale": (1.0, "uM"),
        "rest": (0.0, "uM"),
    }

    @staticmethod
    def flux(y, x, p):
        step = 1.0 if x.ca > p.threshold else 0.0
        cubic = p.cubic * x.ca * (p.scale - x.ca) * (x.ca - p.threshold)
        return p.depth * (cubic + p.jump * step - p.linear * (x.ca - p.rest))


def cable(spacing, length, kinetics, stimuli, rest="0 uM"):
    mesh = neurite(f"{length} um", f"{RADIUS} um", spacing=f"{spacing} um")
    species = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": rest, "outside": "1000 uM"})
    return cs.Model(mesh, [species], {"plasma": [kinetics]}, stimuli=stimuli)


def front(spacing, run, dt, **parameters):
    """Speed [um/ms] between 8 and 16 um of a front that starts from 1 uM in the first 4 um."""
    start = cs.Set("ca", "1 uM", at=lambda x, y, z: x < 4)
    model = cable(spacing, 24, Kinetics(**parameters), [start, nothing()])
    got = run(model, 100.0, 0.25, dt=f"{dt} ms")
    first, last = got.arrivals([8.0, 16.0], 0.5)
    return 8.0 / (last - first)


def nothing():
    """An influx of zero: keeps the structure, hence the compiled code, the same in all models of this file."""
    return cs.Influx("ca", at="left", flux="0 uM um/s", duration="1 ms")


def test_bistable_front_runs_at_its_speed_with_second_order(run, order):
    """u_t = D u_xx + k u (1 - u)(u - a): v = sqrt(k D/2) (1 - 2 a)."""
    exact = np.sqrt(1.0 * 0.22 / 2) * (1 - 2 * 0.2)
    spacing = np.array([0.4, 0.2, 0.1])
    speeds = [front(dx, run, 0.02, cubic="1 1/uM^2/ms") for dx in spacing]
    errors = np.abs(np.array(speeds) / exact - 1)
    seen = f"speeds {speeds}, exact {exact}, errors {errors}"
    assert order(spacing, errors) == pytest.approx(2.0, abs=0.15), seen
    assert errors[-1] < 3e-3, seen


def test_bistable_front_with_chosen_steps(run):
    """The default tolerance adds less than 0.3 % to the speed of a front."""
    model = lambda: cable(0.1, 24, Kinetics(cubic="1 1/uM^2/ms"), [cs.Set("ca", "1 uM", at=lambda x, y, z: x < 4), nothing()])  # noqa: E731
    arrivals = [run(model(), 100.0, 0.25, **options).arrivals([8.0, 16.0], 0.5) for options in ({}, {"tolerance": 1e-5})]
    default, exact = (8.0 / (b - a) for a, b in arrivals)
    assert default == pytest.approx(exact, rel=3e-3), (default, exact)


def test_mckean_front(run):
    """u_t = D u_xx - k u + k H(u - a): v = sqrt(k D) (1 - 2 a)/sqrt(a (1 - a)); the source jumps, so the order in space is below 2."""
    exact = np.sqrt(0.5 * 0.22) * (1 - 2 * 0.35) / np.sqrt(0.35 * 0.65)
    errors = [front(dx, run, 0.01, jump="0.5 uM/ms", linear="0.5 1/ms", threshold="0.35 uM") / exact - 1 for dx in (0.1, 0.05, 0.025)]
    assert abs(errors[-1]) < 0.01, errors
    assert abs(errors[1] / errors[0]) < 0.4, errors
    assert abs(errors[2] / errors[1]) < 0.4, errors


def test_steady_end_flux_with_linear_extrusion_is_second_order(order):
    """c - c0 = (j lam/D) cosh((L - x)/lam)/sinh(L/lam), lam = sqrt(D/g)."""
    flux, g, length, spacing = 0.05, 0.02, 10.0, np.array([1.0, 0.5, 0.25])
    lam = np.sqrt(0.22 / g)
    errors = []
    for dx in spacing:
        influx = cs.Influx("ca", at="left", flux=f"{flux} uM um/ms", duration="2000 ms")
        sim = cs.Simulation(cable(dx, length, Kinetics(linear=f"{g} 1/ms", rest="0.1 uM"), [influx], rest="0.1 uM"), dt="0.01 ms")
        sim.advance(1200.0)
        x = sim.model.mesh.distance
        exact = 0.1 + flux * lam / 0.22 * np.cosh((length - x) / lam) / np.sinh(length / lam)
        errors.append(np.abs(sim.concentration("ca") - exact).max())
    assert order(spacing, errors) == pytest.approx(2.0, abs=0.1), errors
    assert errors[-1] < 2e-3, errors


def test_rapid_buffer_slows_the_cosine_mode():
    """Calcium with calbindin (160 uM): the slowest mode decays at 0.5182230776 /s on 20 um, a tenth of a permille off D_eff q^2.

    The rate is the smaller eigenvalue of the linearised pair; on a grid q^2 becomes (2 - 2 cos(q dx))/dx^2.
    """
    kon, koff, total, c0, d, db, length, dx = 0.027, 0.019, 160.0, 0.05, 0.22, 0.02, 20.0, 0.5
    free = total * koff / (koff + kon * c0)

    def rate(q2):
        matrix = np.array([[-d * q2 - kon * free, -koff - kon * c0], [-kon * free, -db * q2 - koff - kon * c0]])
        return -np.linalg.eigvals(matrix).max()

    assert 1000 * rate((np.pi / length) ** 2) == pytest.approx(0.5182230776, rel=1e-9)
    q = np.pi / length
    start = [
        cs.Set("ca", f"{c0 + 0.02 * np.cos(q * x)} uM", at=(lambda at: lambda x, y, z: np.abs(x - at) < 0.1)(x))
        for x in (np.arange(40) + 0.5) * dx
    ]
    model = cs.Model(
        neurite("20 um", "0.4 um", spacing="0.5 um"), [cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM"})],
        buffers=[cs.Buffer("calbindin", "ca", "cytosol", "160 uM", "27 /uM/s", "19 /s", "20 um^2/s")], stimuli=start,
    )  # fmt: skip
    sim = cs.Simulation(model, dt="0.1 ms")
    amplitude = []
    for t in (200.0, 1200.0):
        sim.advance(t)
        amplitude.append(sim.concentration("ca") @ np.cos(q * model.mesh.distance))
    seen = np.log(amplitude[0] / amplitude[1]) / 1000.0
    assert seen == pytest.approx(rate((2 - 2 * np.cos(q * dx)) / dx**2), rel=2e-5), seen


def test_two_compartments_equalise(order):
    """A leak P between ER and cytosol: e - c decays at P (2 r/(R^2 - r^2) + 2/r) = 77.57575758 /s; the total is kept."""
    model = cs.Model(
        neurite("1 um", "0.4 um", er_radius="0.15 um", spacing="0.5 um"),
        [cs.Species("ca", {"cytosol": "220 um^2/s", "er": "220 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM"})],
        {"er": [cs.get_channel("leak/linear")(permeability="5 um/s")]},
    )
    volume, steps, errors = model.mesh.volume, np.array([2.0, 1.0, 0.5]), []
    for dt in steps:
        sim = cs.Simulation(model, dt=f"{dt} ms")
        sim.advance(20.0)
        c, e = sim.concentration("ca"), sim.concentration("ca", "er")
        errors.append(abs((e - c)[0] / (249.95 * np.exp(-0.07757575757575758 * 20.0)) - 1))
        total = np.concatenate([c, e]) @ volume
        assert total == pytest.approx(np.repeat([0.05, 250.0], 2) @ volume, rel=1e-14)
    assert order(steps, errors) == pytest.approx(2.0, abs=0.15), errors
    sim.advance(2000.0)
    mean = np.repeat([0.05, 250.0], 2) @ volume / volume.sum()
    np.testing.assert_allclose(sim.state.u, mean, rtol=1e-12)


def test_constant_and_linear_fields():
    """A constant stays, and so does a straight line away from the ends, both to 1e-12."""
    flat = cs.Simulation(cable(0.5, 10, Kinetics(), [nothing()], rest="1 uM"), dt="1 ms")
    flat.advance(200.0)
    np.testing.assert_allclose(flat.concentration("ca"), 1.0, rtol=1e-12)
    line = [cs.Set("ca", f"{1 + 0.1 * x} uM", at=(lambda at: lambda x, y, z: np.abs(x - at) < 0.1)(x)) for x in (np.arange(60) + 0.5) * 0.5]
    sim = cs.Simulation(cable(0.5, 30, Kinetics(), [*line, nothing()], rest="1 uM"), dt="0.05 ms")
    sim.advance(1.0)
    inner = slice(20, 40)
    np.testing.assert_allclose(sim.concentration("ca")[inner], 1 + 0.1 * sim.model.mesh.distance[inner], rtol=1e-12)
