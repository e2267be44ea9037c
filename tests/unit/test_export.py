"""What `export_channel` takes: modules, scripted and traced ones, with their gradients on or off, and leaves them as they are."""

import pytest

import calcium_sim as cs
from calcium_sim.gates import gate_of, network_at

torch = pytest.importorskip("torch")


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
