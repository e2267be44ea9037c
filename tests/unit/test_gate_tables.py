"""Gates of one port run from a table: the same wave of calcium as the network itself, within the table's tolerance."""

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.gates import gate_of, network_at
from calcium_sim.meshes import neurite

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
