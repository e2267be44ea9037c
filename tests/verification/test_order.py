"""Second order in time, for every scheme, kind of port and kind of channel.

Thirteen channels, one of every kind, carry calcium in one small cell, fast enough that steps of 2.5 to 20 us show their error (one model,
since each costs a compilation; an error of first order in any of them spoils calcium for all). Errors are those of calcium and of every
state at the end, against the same scheme with steps of 0.3 us; that the limit is the right one is what the differential test shows.
"""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

import calcium_sim as cs
from calcium_sim.meshes import neurite

STEPS = (0.02, 0.01, 0.005, 0.0025)
FINE = 0.0003125
SMOOTH, END = 0.4, 0.8


class Base(cs.Channel):
    """Permeability with a gate; subclasses change what the gate or the flux reads."""

    source = "test"
    across = ("er", "cytosol")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er"}
    states = {"p": 0.1}
    params = {"perm": (0.02, "um/ms")}

    @staticmethod
    def flux(y, x, p):
        return p.perm * y.p * (x.ca_er - x.ca)

    @staticmethod
    def open_probability(y, x, p):
        return y.p


class Concentration(Base):
    """A gate that follows calcium."""

    @staticmethod
    def rates(y, x, p):
        return (6.0 * (x.ca / (x.ca + 1.0) - y.p),)


class Rate(Base):
    """A law in du/dt, as that of the paper on hybrids."""

    reads = Base.reads | {"dca": "d(ca@cytosol)"}

    @staticmethod
    def rates(y, x, p):
        return (0.2 * (1.0 - y.p) * x.dca / (1.0 + x.ca) - 0.5 * (y.p - 0.1),)


class FluxRate(Base):
    """A flux that depends on du/dt."""

    reads = Base.reads | {"dca": "d(ca@cytosol)"}
    states = {}
    open_probability = None

    @staticmethod
    def flux(y, x, p):
        return p.perm * (0.3 + 0.01 * math.tanh(x.dca)) * (x.ca_er - x.ca)


class Potential(Base):
    """A gate that follows the potential of the plasma membrane."""

    across = ("outside", "cytosol")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@outside", "v": "v"}

    @staticmethod
    def rates(y, x, p):
        return (8.0 * (1.0 / (1.0 + math.exp(-(x.v + 40.0) / 8.0)) - y.p),)


class Clocked(Base):
    """A flux that depends on time itself."""

    reads = Base.reads | {"t": "t"}

    @staticmethod
    def rates(y, x, p):
        return (4.0 * (0.5 + 0.4 * math.sin(9.0 * x.t) - y.p),)


class Network(torch.nn.Module):
    """A network with fixed weights, whose outputs suit the kind."""

    def __init__(self, columns, kind):
        super().__init__()
        self.kind, self.out = kind, 2 if kind in ("rates", "hh_gates") else 1
        torch.manual_seed(3)
        self.net = torch.nn.Sequential(torch.nn.Linear(columns, 6), torch.nn.Tanh(), torch.nn.Linear(6, self.out)).double()

    def columns(self, parts: list[torch.Tensor]):
        return self.net(0.2 * torch.cat(parts, 1))


class Rates(Network):
    def forward(self, s: torch.Tensor, x: torch.Tensor):
        out = 4.0 * torch.exp(self.columns([s, x]))
        return out[:, 0:1], out[:, 1:2]


class RatesSlope(Network):
    def forward(self, s: torch.Tensor, x: torch.Tensor, dx: torch.Tensor):
        out = 4.0 * torch.exp(self.columns([s, x, 0.1 * dx]))
        return out[:, 0:1], out[:, 1:2]


class Steady(Network):
    def forward(self, x: torch.Tensor):
        out = torch.sigmoid(self.columns([x]))
        return out[:, 0:1], 0.1 + 0.3 * out[:, 1:2]


class Law(Network):
    def forward(self, s: torch.Tensor, x: torch.Tensor, dx: torch.Tensor):
        return 3.0 * (torch.sigmoid(self.columns([s, x, 0.1 * dx])) - s) + 0.02 * dx * (1.0 - s)


class Opening(Network):
    def forward(self, x: torch.Tensor):
        return torch.sigmoid(2.0 * self.columns([x]))


class Current(Network):
    def forward(self, s: torch.Tensor, x: torch.Tensor):
        out = self.columns([s, x])
        return 0.2 * s * torch.sigmoid(out) * 5.0 / (5.0 + x), 4.0 * (torch.sigmoid(out) - s)


class Pump(Network):
    def forward(self, x: torch.Tensor):
        return 0.2 * torch.sigmoid(self.columns([x])) * x / (x + 0.5)


class Step(Network):
    def forward(self, s: torch.Tensor, x: torch.Tensor, dt: float):
        return s + (torch.sigmoid(self.columns([x])) - s) * (1.0 - math.exp(-3.0 * dt))


KINDS = {"rates": (Rates, 2), "rates-slope": (RatesSlope, 3), "hh_gates": (Steady, 1), "rhs": (Law, 3), "open_prob": (Opening, 1)}
KINDS |= {"current": (Current, 2), "current-pump": (Pump, 1), "step": (Step, 1)}
CLASSIC = {c.__name__: c for c in (Concentration, Rate, FluxRate, Potential, Clocked)}


@pytest.fixture(scope="module")
def channels(tmp_path_factory):
    """Every kind of channel by name."""
    folder, out = tmp_path_factory.mktemp("networks"), {}
    for name, cls in CLASSIC.items():
        out[name] = cs.channel(f"test/order-{name.lower()}")(cls)()
    for name, (cls, columns) in KINDS.items():
        kind, path = name.partition("-")[0], folder / f"{name}.pt"
        options = {"dtype": "float64"} if cls in (Opening, Pump) else {"dtype": "float64", "states": {"P": "steady"}}
        options |= {} if kind == "current" else {"k": 0.02}
        inputs = {"ca@cytosol": ("uM", 0.0, 100.0)}
        if "dx" in cls.forward.__code__.co_varnames:
            inputs = {"ca@cytosol": ("uM", 0.0, 100.0, 1000.0)}
        cs.export_channel(cls(columns, kind), path, kind=kind, inputs=inputs, **options)
        out[name] = path
    return out


MESHES = {
    "cable": lambda: neurite("7 um", "0.3 um", "0.12 um", "0.05 um"),
    "grid": lambda: neurite("3.5 um", "0.3 um", "0.12 um", "0.05 um", dims=2),
    "graph": lambda: replace(neurite("7 um", "0.3 um", "0.12 um", "0.05 um"), structure=None),
}


def along(x, y, z):
    """Density of every channel: smooth, so that nothing but the step makes an error (a stimulus at a point is of order 1.5 by itself)."""
    return 1.0 + 0.8 * np.cos(np.pi * x / 3.5)


def cell(mesh, channels):
    """A cell with all of them, calbindin, and a potential that ramps."""
    membranes = {"er": [], "plasma": [cs.get_channel("pmca/hill2")(density="500 1/um^2")]}
    for name, channel in channels.items():
        cls = type(channel) if isinstance(channel, cs.Channel) else cs.load_channel(channel)
        given = {"density": "1 1/um^2"} if "density" in cls.params and cls.params["density"][0] is None else {}
        found = cls(scale=along, **given)
        membranes["plasma" if name == "Potential" else "er"].append(found)
    species = [
        cs.Species(
            "ca",
            {"cytosol": "220 um^2/s", "er": "220 um^2/s"},
            {"cytosol": "0.5 uM", "er": "100 uM", "outside": "1000 uM"},
        )
    ]
    buffers = [cs.Buffer("b", "ca", "cytosol", "40 uM", "27 1/uM/s", "19 1/s", "20 um^2/s")]
    return cs.Model(mesh, species, membranes, buffers, (), [("0 ms", "-70 mV"), ("1.2 ms", "10 mV")])


def outcome(model, dt):
    """Calcium in the cytosol, and the states of every channel, at the end."""
    simulation = cs.Simulation(model, dt=f"{FINE!r} ms")
    simulation.run(f"{SMOOTH} ms")  # what begins at once beside a membrane is of order 1.5 by itself
    simulation.control.dt = dt
    simulation.run(f"{SMOOTH + END} ms")
    pairs = [(g, n, part) for g in simulation.plan.gauges for n, part in zip(g.channel.states, g.states, strict=True)]
    states = {f"{g.label}.{n}": simulation.state.y[part].copy() for g, n, part in pairs}
    return {"ca": simulation.concentration("ca"), **states}


@pytest.mark.parametrize("mesh", MESHES)
def test_second_order(mesh, channels):
    model = cell(MESHES[mesh](), channels)
    exact = outcome(model, FINE)
    errors = {name: [] for name in exact}
    for dt in STEPS:
        for name, values in outcome(model, dt).items():
            errors[name].append(float(np.abs(values - exact[name]).max()))
    told = []
    for name, found in errors.items():
        orders = [math.log2(a / b) if b > 1e-13 else math.inf for a, b in pairwise(found)]
        told.append(f"{name}: errors {', '.join(f'{e:.2e}' for e in found)}; orders {', '.join(f'{o:.2f}' for o in orders)}")
        if not orders[-1] > 1.75:
            told[-1] += " <- below 1.75"
    print("\n".join(told))
    assert not any("<-" in line for line in told), "\n".join(told)
