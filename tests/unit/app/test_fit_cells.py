"""`calcium-sim fit trace` and `fit reduce`: what they leave, what they say, and wrong input."""

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.config import load

CELL = """
[mesh]
kind = "well-mixed"
volumes = { cytosol = "31.4 um^3" }
membranes = { plasma = [["cytosol", "outside"], "62.8 um^2"] }

[voltage]
initial = "-70 mV"

[[membranes.plasma]]
channel = "na/hodgkin-huxley"

[[membranes.plasma]]
channel = "k/hodgkin-huxley"
e = "-75 mV"

[[membranes.plasma]]
channel = "leak/ohmic"
g = "0.3 mS/cm^2"
e = "-70 mV"

[[stimuli]]
current = "15 pA"
at = 0
start = "2 ms"
duration = "12 ms"

[run]
until = "16 ms"
every = "0.1 ms"
tolerance = 1e-5
"""
CABLE = 'kind = "neurite"\nlength = "200 um"\nradius = "1 um"\nspacing = "20 um"\n'


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cell.toml").write_text(CELL)
    return tmp_path


def test_a_gate_from_a_recording(here, command):
    model, options = load("cell.toml")
    ds = cs.simulate(model, **options.arguments())
    np.savetxt("trace.csv", np.stack([ds.time.values, ds.v.values[:, 0]], axis=1), delimiter=",")
    given = ("fit", "trace", "cell.toml", "trace.csv", "--unknown", "k/hodgkin-huxley", "--restarts", "0")
    code, out, err = command(*given, "-o", "k.pt", "--true", "k/hodgkin-huxley", "--picture", "k.png")
    assert code == 0, err
    assert "k/hodgkin-huxley n: error 0.0" in out
    assert 'channel = "k.pt"  # below [[membranes.plasma]]' in out
    assert (here / "k.png").exists()
    told = cs.load_channel("k.pt").gate.card.training
    assert told["command"].startswith("calcium-sim fit trace cell.toml trace.csv --unknown k/hodgkin-huxley")
    code, _, err = command(*given, "-o", "k.npz")
    assert code == 2
    assert "k.npz: expected a name that ends in .pt" in err
    code, _, err = command(*given[:5], "k/hodgkin", "-o", "k.pt")
    assert code == 2
    assert "did you mean 'k/hodgkin-huxley'?" in err


def test_a_cable_as_one_compartment(here, command):
    begin, end = CELL.index('kind = "well'), CELL.index("[voltage]")
    (here / "cable.toml").write_text(CELL.replace(CELL[begin:end], CABLE).replace("15 pA", "0.3 nA"))
    code, out, err = command("fit", "reduce", "cable.toml", "--at", "0", "-o", "axial.py", "--picture", "r.png", "--hidden", "3")
    assert code == 0, err
    assert "10 positions reduced to one with 2 latent states" in out
    assert 'channel = "axial.py:Axial"' in out
    assert (here / "r.png").exists()
    assert set(cs.get_channel("axial.py:Axial").states) == {"z1", "z2"}
    code, _, err = command("fit", "reduce", "cell.toml", "--at", "0", "-o", "axial.py")
    assert code == 2
    assert "has one position, expected a cable or tree" in err
