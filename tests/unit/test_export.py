"""What `export_channel` takes: modules, scripted and traced ones, with their gradients on or off, and leaves them as they are."""

import math

import pytest

import calcium_sim as cs
from calcium_sim.gates import gate_of, network_at

torch = pytest.importorskip("torch")


class RateLaw(torch.nn.Module):
    """What every rate law has: quotients, squares, exponentials less one."""

    def forward(self, x: torch.Tensor):
        return 1.0 / x + 1 / (0.03 / x + torch.square(x)) + torch.reciprocal(1.0 + x), torch.expm1(0.1 * x)


def test_quotients_and_squares_are_permitted_and_compiled(tmp_path):
    """To 1e-5, what the table that a network of one port becomes is made to (measured: 3e-6)."""
    cs.export_channel(
        RateLaw(), tmp_path / "law.pt", kind="rates", states={"P": "steady"}, dtype="float64", inputs={"ca@cytosol": ("uM", 0.1, 50)}
    )
    gate = gate_of(cs.load_channel(tmp_path / "law.pt"))
    assert gate.program is not None
    for c in (0.1, 0.7, 30.0):
        exact = [1 / c + 1 / (0.03 / c + c * c) + 1 / (1 + c), math.expm1(0.1 * c)]
        assert network_at(gate, [0.5], {"ca_cytosol": c}, 0.01) == pytest.approx(exact, rel=1.1e-5), c


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("how", ["plain", "traced", "scripted"])
def test_however_a_module_is_given(how, gradients, tmp_path):
    """The gate of the file gives what the module gives, to single precision."""
    torch.manual_seed(2)
    net = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1), torch.nn.Sigmoid()).requires_grad_(gradients)
    made = {"plain": lambda m: m, "traced": lambda m: torch.jit.trace(m, torch.zeros(8, 1)), "scripted": torch.jit.script}
    given = made[how](net)
    card = {"kind": "open_prob", "inputs": {"ca@cytosol": ("uM", 0.01, 50)}, "licence": "MIT", "args": ["x"]}
    cs.export_channel(given, tmp_path / "net.pt", **card)
    gate = gate_of(cs.load_channel(tmp_path / "net.pt"))
    for c in (0.02, 0.7, 30.0):
        expected = float(net(torch.tensor([[c]])))
        assert network_at(gate, [], {"ca_cytosol": c}, 0.01)[0] == pytest.approx(expected, abs=2e-5), c
    assert all(p.requires_grad == gradients for p in given.parameters())
