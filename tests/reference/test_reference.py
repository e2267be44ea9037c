"""The reference against closed forms, and against itself where two descriptions mean one equation."""

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.meshes import neurite, well_mixed

from .channels import Follower, Pulse
from .solve import solve
from .system import System
from .unknowns import Unknowns

REST = {"cytosol": "0.05 uM", "er": "250 uM", "outside": "1000 uM"}
BOTH = {"cytosol": "220 um^2/s", "er": "220 um^2/s"}


def model(mesh, er, plasma=(), diffusion=BOTH, **given):
    return cs.Model(mesh, [cs.Species("ca", diffusion, REST)], membranes={"er": er, "plasma": list(plasma)}, **given)


def point():
    areas = {"er": (("er", "cytosol"), "2 um^2"), "plasma": (("cytosol", "outside"), "6 um^2")}
    return well_mixed({"cytosol": "1 um^3", "er": "0.2 um^3"}, areas)


def test_leak_between_two_compartments():
    """e - c decays with P A (1/Vc + 1/Ve); the amount moved is the change of the ER."""
    found = solve(model(point(), [cs.get_channel("leak/linear")(permeability="0.01 um/ms")]), [0.0, 3.0, 20.0])
    expected = 249.95 * np.exp(-0.01 * 2 * (1 + 5) * found.times)
    c, e = found.u.T
    assert np.allclose(e - c, expected, rtol=0, atol=2e-4), (e - c, expected)
    assert np.allclose(found.moved["er", "leak/linear"], 0.2 * (250 - e), rtol=1e-5), found.moved


def test_cosine_on_a_cable():
    """The slowest mode of the discrete operator decays with (4 D/dx^2) sin^2(pi/(2 n)); started by a `Set` on half of the cable."""
    n, dx = 130, 0.1
    cable = neurite(f"{n * dx} um", "0.3 um", "0.1 um", f"{dx} um")
    found = solve(model(cable, [], stimuli=[cs.Set("ca", "1 uM", at=lambda x, y, z: x < 6.5)]), [0.0, 40.0, 60.0])
    mode = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    amount = found.u[:, :n] @ mode
    decay = 4 * 0.22 / dx**2 * np.sin(np.pi / (2 * n)) ** 2
    assert np.allclose(amount, amount[0] * np.exp(-decay * found.times), rtol=2e-5), amount
    assert found.added["ca"][0] == pytest.approx(0.95 * 6.5 * np.pi * 0.08, rel=1e-12)


def test_influx_brings_what_it_should():
    """Three triangles through the left end: area x flux x duration/2 each."""
    train = cs.Influx("ca", "left", "1000 uM um/s", "0.8 ms", "triangle", start="0.3 ms", period="1.1 ms", count=3)
    cable = neurite("13 um", "0.3 um", "0.1 um", "0.1 um")
    found = solve(model(cable, [], stimuli=[train]), [0.0, 10.0])
    gained = cable.volume[:130] @ (found.u[-1, :130] - 0.05)
    assert gained == pytest.approx(3 * np.pi * 0.08 * 1.0 * 0.4, rel=1e-5)


def test_a_smooth_pulse_is_not_stepped_over():
    """A cell that rests until a narrow pulse in time: peak x width x sqrt(pi) x area."""
    pulse = Pulse(peak="0.05 uM*um/ms", when="3.1 ms", width="0.08 ms")
    found = solve(model(point(), [], [pulse]), [0.0, 8.0])
    assert found.moved["plasma", "Pulse"][-1] == pytest.approx(0.05 * 0.08 * np.sqrt(np.pi) * 6.0, rel=1e-5)


def test_wall_of_a_grid():
    """With a linear leak J = P (e - c) of wall values, J = P (e' - c')/(1 + P (he/De + hc/Dc)) of node values, h half a cell."""
    mesh = neurite("0.5 um", "0.4 um", "0.2 um", "0.1 um", dims=2)
    leak = cs.get_channel("leak/linear")(permeability="5 um/ms")
    slow = {"cytosol": "220 um^2/s", "er": "50 um^2/s"}
    system = System(model(mesh, [leak], diffusion=slow))
    system(0.0, system.z0)
    half = [0.5 * (r[1] - r[0]) for r in mesh.structure.radii]
    cytosol, er = (mesh.regions.index(n) for n in ("cytosol", "er"))
    assert np.allclose(system.flux, 5 * 249.95 / (1 + 5 * (half[er] / 0.05 + half[cytosol] / 0.22)), rtol=1e-10)


def test_a_drained_grid_keeps_its_books():
    """Strong pumps and an influx through their membrane: what pumps take and what is left are what came in, on walls near zero as well."""
    mesh = neurite("0.8 um", "0.4 um", "0.2 um", "0.1 um", dims=2)
    pump = cs.get_channel("pmca/hill1")(vmax="2 uM*um/ms", km="0.02 uM")
    stimuli = [
        cs.Set("ca", "8 uM", time="0.1 ms"),
        cs.Influx("ca", None, "200 uM um/s", "0.3 ms", "ramp-down", start="0.6 ms", through="plasma"),
    ]
    found = solve(model(mesh, [], [pump], stimuli=stimuli), [0.0, 0.5, 0.7, 1.0])
    cytosol = next(f for f in found.system.parts.fields if f.region == "cytosol")
    left = found.u[:, cytosol.at] @ mesh.volume[cytosol.nodes]
    entered = 0.2 * mesh.membranes["plasma"].area.sum() * np.array([0.0, 0.0, 0.1 - 0.1**2 / 0.6, 0.15])
    assert np.allclose(left - left[0] + found.moved["plasma", "pmca/hill1"], found.added["ca"] + entered, rtol=0, atol=1e-5 * left.max())


@pytest.mark.parametrize("dims", [1, 2])
def test_rate_of_change_as_a_port(dims):
    """`ryr/scalar-law` eliminates the state of `ryr/keizer-levine-reduced` with du/dt: both give the same cell, also at the walls."""
    mesh = neurite("0.6 um", "0.3 um", "0.12 um", "0.05 um", dims=dims)
    rest = [cs.get_channel("leak/linear")(permeability="0.038 um/s"), cs.get_channel("serca/er-inhibited")(density=cs.BALANCE)]
    pulse = [cs.Influx("ca", "left", "1000 uM um/s", "1 ms", "triangle")]
    both = [
        solve(model(mesh, [cs.get_channel(f"ryr/{name}")(density="0.1 /um^2"), *rest], stimuli=pulse), [0.0, 0.6, 1.2])
        for name in ("keizer-levine-reduced", "scalar-law")
    ]
    change = np.abs(both[0].u - both[0].u[0]).max()
    assert np.abs(both[1].u - both[0].u).max() < 1e-4 * change, np.abs(both[1].u - both[0].u).max() / change


def test_flux_that_reads_a_rate_of_change():
    """The rate that the flux reads is the rate that the flux makes: d = (J(d) A/V, solved by hand as a cubic)."""
    system = System(model(point(), [Follower(permeability="0.01 um/ms", gain=0.4)]))
    system(0.0, system.z0)
    slope = 2.0 * 0.01 * 0.2 * 249.95  # A/V P s (e - c)
    roots = np.roots([1.0, -slope, 1.0 - 0.4 * slope, -slope])  # d (1 + d^2) = slope (1 + d^2 + gain d)
    real = roots[np.abs(roots.imag) < 1e-12].real
    assert np.abs(real - system.change[0][0]).min() < 1e-9, (real, system.change)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("release", ["ryr/keizer-levine", "ryr/scalar-law"])
def test_jacobian(dims, release):
    """Columns taken together are those of single central differences, packed or not."""
    mesh = neurite("0.5 um", "0.3 um", "0.12 um", "0.1 um", dims=dims)
    er = [cs.get_channel(release)(density="0.3 /um^2"), cs.get_channel("serca/er-inhibited")(density="300 /um^2")]
    unknowns = Unknowns(System(model(mesh, er, [cs.get_channel("pmca/hill2")(density="500 /um^2")])))
    d = 0.02 * unknowns.scale * np.sin(np.arange(len(unknowns.scale)))
    step = 1e-5 * np.where(unknowns.logarithm, 1.0, np.maximum(np.abs(unknowns.rest), 1e-2))
    single = np.array([(unknowns.rate(0.0, d + e) - unknowns.rate(0.0, d - e)) / (2 * e.max()) for e in np.diag(step)]).T
    unknowns.jacobian(0.0, d, False)  # walls and rates of change are solved for from where they were: now to the last digit
    sparse, packed, band = unknowns.jacobian(0.0, d, False).toarray(), unknowns.jacobian(0.0, d, True), unknowns.band
    assert unknowns.logarithm.any() == (release == "ryr/scalar-law")
    assert unknowns.group.max() + 1 < len(d)
    assert np.allclose(sparse, single, rtol=2e-4, atol=1e-5 * np.abs(single).max(axis=1, keepdims=True))
    for n, row in enumerate(packed):
        diagonal = row[max(0, band - n) : len(d) + min(0, band - n)]
        assert np.allclose(diagonal, np.diag(sparse, band - n), rtol=1e-9)
