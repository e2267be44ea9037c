"""Gates of one port run from a table: the same wave of calcium as the network itself, within the table's tolerance."""

from dataclasses import replace

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.meshes import neurite
from calcium_sim.networks import prepared as gates
from calcium_sim.networks.prepared import gate_of, network_at
from calcium_sim.networks.program import evaluate
from calcium_sim.networks.table import kinks, looked_at
from calcium_sim.networks.walk import lower_graph

torch = pytest.importorskip("torch")


class Receptor(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(1, 2)
        self.net.weight.data = torch.tensor([[4.0], [0.0]])
        self.net.bias.data = torch.log(torch.tensor([1.5, 0.03]))

    def forward(self, x: torch.Tensor):
        rates = torch.exp(self.net(torch.log(x)))
        return rates[:, 0:1], rates[:, 1:2]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("gate") / "receptor.pt"
    inputs = {"ca@cytosol": ("uM", 0.01, 50)}
    cs.export_channel(Receptor(), path, kind="rates", states={"P": "steady"}, inputs=inputs, licence="MIT")
    return path


def run(channel):
    model = cs.presets.breit_queisser(neurite("8 um", "0.4 um", "0.15 um", "0.1 um"))
    sim = cs.Simulation(model.swap("ryr/keizer-levine", channel(density="3 1/um^2")), dt="0.02 ms")
    sim.advance(6.0)
    return sim.concentration("ca")


def test_network_of_one_port_becomes_a_table(file):
    """Opening rate 1.5 c^4 and closing rate 0.03 per ms, to 1e-5 relative between the points."""
    gate = gate_of(cs.load_channel(file))
    assert gate.cache["table"] is not None
    for c in (0.013, 0.3, 2.7, 40.0):
        alpha, beta = network_at(gate, [0.0], {"ca_cytosol": c}, 0.01)
        assert (alpha, beta) == pytest.approx((1.5 * c**4, 0.03), rel=2e-5), c


def test_table_and_network_carry_the_same_calcium(file):
    table, network = cs.load_channel(file), cs.load_channel(file)
    gate_of(network).cache["table"] = None
    a, b = run(table), run(network)
    assert b.max() > 0.2, b.max()
    assert a == pytest.approx(b, rel=1e-3), np.abs(a / b - 1).max()


class Window(torch.nn.Module):
    """Open between two concentrations, by switches of a given steepness."""

    def __init__(self, low, high, slope):
        super().__init__()
        self.low, self.high, self.slope = low, high, slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.slope * (x - self.low)) * torch.sigmoid(self.slope * (self.high - x))


class Hump(torch.nn.Module):
    """A Gaussian about `middle`."""

    def __init__(self, middle, width):
        super().__init__()
        self.middle, self.width = middle, width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(-(((x - self.middle) / self.width) ** 2))


class Spike(torch.nn.Module):
    """A triangle of height 1 made of three kinks as a trained layer would, of parts that are 1e7 times as large."""

    def __init__(self, half, centre=377.123):
        super().__init__()
        self.first, self.last = torch.nn.Linear(1, 3), torch.nn.Linear(3, 1)
        self.double()
        self.first.weight.data[:] = 1 / half
        self.first.bias.data[:] = -torch.tensor([centre - half, centre, centre + half], dtype=torch.float64) / half
        self.last.weight.data[:], self.last.bias.data[:] = torch.tensor([[1.0, -2.0, 1.0]]), 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.first(x))).clamp(0.0, 1.0)


NARROW = {
    "window": (Window(0.2, 0.8, 100.0), (0.0, 1000.0), 0.5),
    "thin window": (Window(0.4999, 0.5001, 1e6), (0.0, 1000.0), 0.5),
    "hump": (Hump(0.5, 1e-3), (0.0, 1000.0), 0.5),
    "hump by decades": (Hump(0.0123456, 1e-7), (1e-3, 1000.0), 0.0123456),
    "spike": (Spike(1e-4), (0.0, 1000.0), 377.123),
}


@pytest.mark.parametrize("name", NARROW)
def test_narrow_features_survive(name, tmp_path):
    """Peaks of 1 as narrow as 1e-10 of the range, which no even spacing shows: at the peak the gate gives what the network gives."""
    module, (low, high), peak = NARROW[name]
    path = tmp_path / "narrow.pt"
    cs.export_channel(module, path, kind="open_prob", inputs={"ca@cytosol": ("uM", low, high)}, licence="MIT", dtype="float64")
    gate = gate_of(cs.load_channel(path))
    table = gate.cache["table"]
    found = network_at(gate, [], {"ca_cytosol": peak}, 0.01)[0]
    print(name, "no table" if table is None else len(table.values), found)
    assert found == pytest.approx(1.0, abs=1e-5)


def lowered(module):
    traced = torch.jit.script(module.double().eval())
    return lower_graph(traced, [1], "float64")


@pytest.mark.parametrize("half", [1e-2, 1e-4, 1e-6])
def test_no_kink_is_missed(half):
    """Wherever a triangle stands, its three kinks are looked at, to the last bits: those of its weights and of the place itself."""
    for centre in (0.5, 1.23, 50.1, 250.0, 312.5, *np.random.default_rng(5).uniform(0.0, 1000.0, 20)):
        places = looked_at(lowered(Spike(half, float(centre))), 0.0, 1000.0)
        for kink in (centre - half, centre, centre + half):
            assert np.abs(places - kink).min() <= 2 * 2**-52 * (kink + half), (centre, kink)


def test_a_network_of_straight_pieces_is_straight_between_the_kinks():
    """Three layers of random weights: halfway between two places it is the mean of both, to rounding, and kinks of all layers are there."""
    torch.manual_seed(3)
    layers = [torch.nn.Linear(1, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.LeakyReLU(), torch.nn.Linear(16, 8)]
    module = torch.nn.Sequential(*layers, torch.nn.Hardtanh(-0.3, 0.2), torch.nn.Linear(8, 1))
    program = lowered(module)
    grid = np.linspace(-20.0, 20.0, 65)
    x = np.unique(np.concatenate([grid, kinks(program, grid)]))
    ends, middle = (evaluate(program, p[None])[0] for p in (x, 0.5 * (x[1:] + x[:-1])))
    assert np.abs(middle - 0.5 * (ends[1:] + ends[:-1])).max() <= 1e-14
    assert len(x) - len(grid) >= 2 * 20, "two numbers for each kink"
    coarse = evaluate(program, 0.5 * (grid[1:] + grid[:-1])[None])[0] - 0.5 * np.convolve(evaluate(program, grid[None])[0], [1, 1], "valid")
    assert np.abs(coarse).max() > 1e-3, "which the grid alone does not show"


def test_places_are_the_same_at_any_time():
    """But other ones for another network."""
    one, again, other = (looked_at(lowered(Spike(1e-4, c)), 0.0, 1000.0) for c in (377.123, 377.123, 377.124))
    assert np.array_equal(one, again)
    assert len(np.intersect1d(one, other)) < 3 * 2048 < len(one), "the even grids are common, the random points are not"


def test_rates_and_steady_values_survive_too(tmp_path):
    """The same for kinds with two outputs, one of them narrow."""

    class Rates(Window):
        def forward(self, x: torch.Tensor):
            return torch.exp(-(((x - 0.5) / 1e-3) ** 2)) + 1e-6, 0.03 + 0.0 * x

    globals()["Rates"] = Rates
    for kind in ("rates", "hh_gates"):
        path = tmp_path / f"{kind}.pt"
        card = {"inputs": {"ca@cytosol": ("uM", 0, 1000)}, "states": {"P": "steady" if kind == "rates" else (0.0, 0.0, 1.1)}}
        cs.export_channel(Rates(0.0, 0.0, 0.0).double(), path, kind=kind, licence="MIT", dtype="float64", **card)
        out = network_at(gate_of(cs.load_channel(path)), [0.0], {"ca_cytosol": 0.5}, 0.01)
        assert out[:2] == pytest.approx([1.000001, 0.03], rel=1e-5)


@pytest.mark.parametrize(("half", "centre"), [(1e-2, 312.5), (1e-4, 312.5), (1e-4, 50.1), (1e-6, 877.123)])
def test_rounding_of_parts_that_cancel_is_no_reason_for_refusal(half, centre, tmp_path):
    """Parts of 1e3 / half leave a triangle of 1: lowered and original network differ by up to 2e-9, the peak is 1 to their last place."""
    path = tmp_path / "spike.pt"
    cs.export_channel(Spike(half, centre), path, kind="open_prob", inputs={"ca@cytosol": ("uM", 0, 1000)}, licence="MIT", dtype="float64")
    found = network_at(gate_of(cs.load_channel(path)), [], {"ca_cytosol": centre}, 0.01)[0]
    assert found == pytest.approx(1.0, abs=2**-51 * centre / half)


@pytest.mark.parametrize("wrong", [1e-7, 1e-3, np.nan])
def test_a_network_that_is_lowered_wrongly_is_refused(wrong, tmp_path, monkeypatch):
    """One number of it is off by more than rounding makes of it."""
    path = tmp_path / "spike.pt"
    inputs = {"ca@cytosol": ("uM", 0, 1000)}
    cs.export_channel(Spike(1e-2, 312.5), path, kind="open_prob", inputs=inputs, licence="MIT", dtype="float64")
    right = gates._lowered

    def spoilt(gate):
        program = right(gate)
        weights = program.weights.copy()
        weights[np.flatnonzero(weights == -2.0)] += wrong
        return replace(program, weights=weights)

    monkeypatch.setattr(gates, "_lowered", spoilt)
    with pytest.raises(cs.InputError, match="lowered and original network differ by"):
        gate_of(cs.load_channel(path))
