"""States of channels that live by themselves, while nothing of them shows in the concentrations.

Reference: scipy's LSODA to 1e-10 for the cell without space.
"""

import math
from types import SimpleNamespace as Table

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import calcium_sim as cs
from calcium_sim.meshes import neurite, well_mixed
from calcium_sim.run.hidden import follows_ports

END = 60.0
SPEED, INFLUX, PUMP = 4.0, 0.05, 0.002


class Oscillator(cs.Channel):
    """A relaxation oscillator that lets calcium in for a moment of its period (van der Pol)."""

    source = "test"
    across = ("outside", "cytosol")
    reads = {"ca": "ca@cytosol"}
    states = {"q": (1.5, -4.0, 4.0), "r": (0.0, -4.0, 4.0)}
    params = {"speed": (SPEED, "1/ms"), "influx": (INFLUX, "uM um/ms")}

    @staticmethod
    def rates(y, x, p):
        return p.speed * 3.0 * (y.q - y.q * y.q * y.q / 3.0 - y.r), p.speed * y.q / 3.0

    @staticmethod
    def flux(y, x, p):
        return p.influx / (1.0 + math.exp(-8.0 * (y.q - 1.2)))


class Turning(cs.Channel):
    """Two states that turn about each other: linear rates, no decay."""

    source = "test"
    across = ("outside", "cytosol")
    states = {"q": (1.0, -2.0, 2.0), "r": (0.0, -2.0, 2.0)}

    @staticmethod
    def rates(y, x, p):
        return 5.0 * y.r, -5.0 * y.q

    @staticmethod
    def flux(y, x, p):
        return 0.05 / (1.0 + math.exp(-20.0 * (y.q - 0.9)))


class Pump(cs.Channel):
    source = "test"
    across = ("cytosol", "outside")
    reads = {"ca": "ca@cytosol"}

    @staticmethod
    def flux(y, x, p):
        return 0.002 * (x.ca - 0.05)


def model(mesh, channel):
    ca = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1000 uM"})
    start = {n: s.start for n, s in channel.state_table().items()}
    return cs.Model(mesh, [ca], {"plasma": [channel(initial=start), Pump()]})


def exact(channel, ratio, times):
    """Calcium of a cell without space; `ratio` is area over volume [1/um]."""
    p = Table(**{n: row.default for n, row in channel.parameter_table().items()})

    def slopes(t, u):
        y, x = Table(q=u[1], r=u[2]), Table(ca=u[0])
        return [ratio * (channel.flux(y, x, p) - PUMP * (u[0] - 0.05)), *channel.rates(y, x, p)]

    start = [s.start for s in channel.state_table().values()]
    return solve_ivp(slopes, (0.0, times[-1]), [0.05, *start], "LSODA", times, rtol=1e-10, atol=1e-12).y[0]


MESHES = {
    "point": lambda: well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "5 um^2")}),
    "cable": lambda: neurite("20 um", "0.2 um", None, "0.1 um"),
    "grid": lambda: neurite("4 um", "0.02 um", None, "0.1 um", dims=2),
}

BOUNDS = {Oscillator: dict.fromkeys(MESHES, 2.5e-3), Turning: {"point": 1.6e-2, "cable": 1.9e-2, "grid": 8e-2}}


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("channel", [Oscillator, Turning])
def test_a_hidden_oscillator_keeps_time(mesh, channel):
    """With an eye on concentrations alone, influx came out 13 to 100 % wrong, and by how much hung on the outputs.

    Measured: oscillator 0.07 to 0.19 %; what turns without decay is out of phase by more with every turn, here 48: 0.2 to 6.2 %.
    """
    made = MESHES[mesh]()
    area, volume = made.membranes["plasma"].area.sum(), made.volume.sum()
    for every in (0.5, 20.0):
        ds = cs.simulate(model(made, channel), f"{END} ms", f"{every} ms")
        mean = ds.ca.values[:, made.span("cytosol")] @ made.volume[made.span("cytosol")] / volume
        reference = exact(channel, area / volume, ds.time.values)
        error = np.abs(mean - reference).max() / np.abs(reference - 0.05).max()
        print(mesh, channel.__name__, every, ds.attrs["steps"], f"{error:.2e}")
        assert error < BOUNDS[channel][mesh]


def test_gates_follow_what_they_read():
    """Kinetic schemes and gates do; an oscillator, two states that turn, and a state that grows do not."""
    receptor = cs.get_channel("ryr/keizer-levine")(density="1 1/um^2")
    assert follows_ports(receptor, Table(ca=0.05, ca_er=250.0))
    assert not follows_ports(Oscillator(), Table(ca=0.05))
    assert not follows_ports(Turning(), Table())


class Law(cs.Channel):
    """Release by a law in du/dt, dP/dt = g dc/dt P (1 - P) - (P - P0)/20 ms."""

    source = "test"
    across = ("er", "cytosol")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er", "dca": "d(ca@cytosol)"}
    states = {"P": 1e-3}
    params = {"g": (30.0, "1/uM"), "k": (1e-3, "um/ms")}

    @staticmethod
    def rates(y, x, p):
        return (p.g * x.dca * y.P * (1.0 - y.P) - 0.05 * (y.P - 1e-3),)

    @staticmethod
    def flux(y, x, p):
        return p.k * y.P * (x.ca_er - x.ca)


class Signed(Law):
    """The same with a state that is declared to have a sign."""

    states = {"P": (1e-3, -1.0, 1.0)}


class Unbounded(Law):
    """The same without an upper bound."""

    states = {"P": (1e-3, 0.0, math.inf)}


class Logit(Law):
    """The same for L = log(P / (1 - P))."""

    states = {"P": (math.log(1e-3 / (1.0 - 1e-3)), -50.0, 50.0)}

    @staticmethod
    def rates(y, x, p):
        open_ = 1.0 / (1.0 + math.exp(-y.P))
        return (p.g * x.dca - 0.05 * (open_ - 1e-3) / (open_ * (1.0 - open_)),)

    @staticmethod
    def flux(y, x, p):
        return p.k / (1.0 + math.exp(-y.P)) * (x.ca_er - x.ca)


@pytest.mark.parametrize("law", [Law, Signed, Unbounded, Logit])
@pytest.mark.parametrize("g", [28.0, 30.0, 60.0, 100.0])
def test_a_law_in_du_dt_does_not_leave_its_branch(g, law):
    """Release that fires after tens of ms: chosen steps of 1 ms fell upon a second solution for du/dt, and it never came (1.3 for 22 uM).

    Reference: LSODA to 1e-11, du/dt from the flux itself.
    """
    mesh = well_mixed({"cytosol": "1 um^3", "er": "0.1 um^3"}, {"er": (("er", "cytosol"), "5 um^2")})
    ca = cs.Species("ca", {"cytosol": "220 um^2/s", "er": "220 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM"})

    def slopes(t, u):
        flux = 5.0 * 1e-3 * u[2] * (u[1] - u[0])
        return [flux, -10.0 * flux, g * flux * u[2] * (1.0 - u[2]) - 0.05 * (u[2] - 1e-3)]

    exact = solve_ivp(slopes, (0.0, 100.0), [0.05, 250.0, 1e-3], "LSODA", rtol=1e-11, atol=1e-14).y[0, -1]
    model = cs.Model(mesh, [ca], {"er": [law(g=f"{g} 1/uM", initial={"P": law.state_table()["P"].start})]})
    for every in (0.5, 1.7, 5.0, 25.0):
        found = cs.simulate(model, "100 ms", f"{every} ms").ca.values[-1, mesh.span("cytosol")][0]
        assert found == pytest.approx(exact, rel=5e-4), every
