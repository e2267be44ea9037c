"""The code of docs/learned.md runs as printed, and what it makes pumps like what it was trained on."""

import re
import warnings
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

import calcium_sim as cs
from calcium_sim.config import build, parse

PAGE = (Path(__file__).parents[2] / "docs" / "learned.md").read_text()
TOML = """
channel_folders = ["."]

[mesh]
kind = "neurite"
length = "1 um"
radius = "0.1 um"
spacing = "0.5 um"

[[species]]
name = "ca"
diffusion = { cytosol = "220 um^2/s" }
initial = { cytosol = "0.1 uM", outside = "1000 uM" }

[[membranes.plasma]]
channel = "pump"

[run]
until = "1 ms"
"""


def code_with(word):
    """The one block of the page in which a word is."""
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL) if word in block]
    return code


def test_a_network_of_a_flux_runs_and_pumps(tmp_path, monkeypatch):
    """Against LSODA with the law that it was trained on: within 0.2 % of the 5 uM (its training error; measured 0.1 %)."""
    code = code_with("Pump(")
    monkeypatch.chdir(tmp_path)
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", cs.ModelWarning)
        exec(compile(code, "learned.md", "exec"), names)
    ds = names["ds"]
    after = ds.time.values > 1.0

    def law(c):
        return 0.008 * c**2 / (0.2**2 + c**2)

    def slope(t, c):
        return 5.0 * (law(0.1) * (1000.0 - c) / (1000.0 - 0.1) - law(c))

    exact = solve_ivp(slope, (1.0, 200.0), [5.0], "LSODA", ds.time.values[after], rtol=1e-9, atol=1e-12).y[0]
    error = np.abs(ds.ca.values[after, 0] - exact).max()
    print(error)
    assert error < 0.01
    assert cs.add_channel_folder(".") == ["pump"]
    model, _ = build(parse(TOML), tmp_path)
    assert [c.label() for c in model.membranes["plasma"]] == ["pump"]


def test_gates_from_tables_become_a_channel(tmp_path, monkeypatch):
    code = code_with("fit_gates(")
    monkeypatch.chdir(tmp_path)
    names = {"np": np, "cs": cs}
    exec(compile(code, "learned.md", "exec"), names)
    v = np.array([-41.0, -33.5])
    np.testing.assert_allclose(names["steady"][0], 1 / (1 + np.exp(-(v + 40) / 6)), atol=1e-4)
    np.testing.assert_allclose(names["slow"][0], 0.5 + 4 * np.exp(-(((v + 45) / 30) ** 2)), rtol=1e-3)
    assert type(names["sodium"]).reads == {"v": "v"}


def test_a_gate_comes_back_from_a_recording(tmp_path, monkeypatch):
    """0.01 mV measured, and the cell with the channel file does the same."""
    code = code_with("fit_trace(")
    monkeypatch.chdir(tmp_path)
    names = {"np": np, "cs": cs, "well_mixed": cs.meshes.well_mixed}
    with warnings.catch_warnings():
        warnings.simplefilter("error", cs.ModelWarning)
        exec(compile(code, "learned.md", "exec"), names)
    assert names["fit"].error < 0.1
    assert (tmp_path / "potassium.pt").exists()
    again = cs.simulate(names["learned"], "20 ms", "0.1 ms", tolerance=1e-5)
    assert np.sqrt(np.mean((again.v.values - names["recorded"].v.values) ** 2)) < 0.2


def test_currents_become_a_channel(tmp_path, monkeypatch):
    """The gate of the page: its steady value within 0.02, measured 0.011."""
    monkeypatch.chdir(tmp_path)
    names = {"np": np, "cs": cs}
    exec(compile(code_with("fit_clamp("), "learned.md", "exec"), names)
    v = np.array([-40.0, 0.0])
    np.testing.assert_allclose(names["steady"][0], 1 / (1 + np.exp(-(v + 20) / 9)), atol=0.02)
    assert type(cs.load_channel("kv.pt")()).reads == {"v": "v"}
