"""The README's code runs as printed: the wave in Python, the same wave as a file, the channel."""

import json
import linecache
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.config import load
from calcium_sim.meshes import neurite

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SCRIPT = str(Path(sys.executable).parent / "calcium-sim")


def blocks(language):
    """Code blocks of one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def wave():
    """Names that the README's first example defines."""
    (code, *_) = [b for b in blocks("python") if "cs.simulate" in b]
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing in it is doubtful, nor does the network leave its range
        exec(compile(code, "README.md", "exec"), names)
    return names


def test_wave_crosses_the_neurite(wave):
    """It crosses, 5 % slower than where the cross-section is resolved (README says so), and the ledger closes to round-off."""
    assert wave["ds"].attrs["ledger_drift"] < 1e-14, wave["ds"].attrs["ledger_drift"]
    mesh = neurite("20 um", "0.2 um", "0.1 um", "0.04 um", dims=2)
    resolved = cs.simulate(replace(wave["model"], mesh=mesh), until="20 ms", every="0.25 ms")
    speeds = cs.wave_speed(wave["ds"]), cs.wave_speed(resolved, between=("5 um", "15 um"))
    assert speeds[0] == pytest.approx(0.947 * speeds[1], rel=0.005), speeds


def test_example_is_within_its_range_and_says_nothing(wave):
    """No warning before the run (the 1-D model holds), none from the speed (the spacing is fine enough)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cs.simulate(wave["model"], until="0.1 ms", every="0.1 ms")
        cs.wave_speed(wave["ds"])


def test_caption_names_the_spots_of_the_picture():
    """Picture and places are written by one script, benchmarks/spots.py; caption and page give them to the um."""
    _, demo = json.loads((ROOT / "docs" / "benchmarks" / "spots.json").read_text())["tables"]
    last = demo["rows"][-1][1]
    places = [float(p) for p in re.findall(r"([\d.]+) um", last)]
    assert len(places) >= 3
    for text in (README, (ROOT / "docs" / "behind_the_wave.md").read_text()):
        (told,) = re.findall(r"\b([\d, ]+ and \d+) [µu]m and at\s+the\s+tip", text)
        named = [float(n) for n in re.findall(r"\d+", told)]
        assert all(min(abs(n - p) for n in named) < 1.0 for p in places), (named, places)
        assert all(min(abs(n - p) for p in places) < 1.0 for n in named), (named, places)


def test_learned_receptor_carries_the_same_wave(wave):
    """Swapped by name, the network that was trained on the receptor gives its wave (measured: -0.02 %), within its trained range."""
    speeds = cs.wave_speed(wave["ds"]), cs.wave_speed(wave["ds2"])
    assert speeds[1] == pytest.approx(speeds[0], rel=1e-3), speeds
    assert wave["ds2"].attrs["out_of_range"] == '{"ryr/dnn": {}}'


def test_own_network_carries_a_wave(wave, tmp_path, monkeypatch):
    """A module written by the reader: exported, loaded, swapped in; the slow closed state hardly matters to the speed."""
    (code,) = [b for b in blocks("python") if "cs.export_channel" in b]
    assert sum(bool(line.strip()) for line in code.splitlines()) < 15
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(code)  # TorchScript reads the source of the module
    names = {**wave, "__name__": "own"}
    exec(compile(code, str(tmp_path / "own.py"), "exec"), names)
    speeds = cs.wave_speed(wave["ds"]), cs.wave_speed(names["ds3"])
    assert speeds[1] == pytest.approx(speeds[0], rel=0.1), speeds
    assert names["ds3"].attrs["ledger_drift"] < 1e-12
    assert "torch" not in names["ds3"].attrs["scheme"]


def test_places_and_probes(wave):
    """The receptor's density grows along the neurite: the wave reaches 40 um sooner, and the probe is where it says."""
    (code,) = [b for b in blocks("python") if "cs.Probe" in b]
    names = dict(wave)
    exec(compile(code.replace("40 * u.ms", "60 * u.ms"), "README.md", "exec"), names)
    far = names["ds4"].probe_far
    assert far.attrs["x"] == pytest.approx(40, abs=0.02)
    assert len(far) == 1201
    assert float(names["ds4"].probe_far_arrival) < 0.99 * float(cs.at(wave["ds"], distance=40).ca_arrival)


def test_result_is_drawn_and_kept(wave, tmp_path, monkeypatch):
    (code,) = [b for b in blocks("python") if "cs.open" in b]
    monkeypatch.chdir(tmp_path)
    names = dict(wave)
    exec(compile(code, "README.md", "exec"), names)
    assert (tmp_path / "wave.png").stat().st_size > 10_000
    np.testing.assert_array_equal(names["ds"].ca, wave["ds"].ca)


def test_change_and_go_on(wave, tmp_path, monkeypatch):
    """The saved half and the run that was not stopped are the same to the last bit."""
    (code,) = [b for b in blocks("python") if "half.sim" in b]
    monkeypatch.chdir(tmp_path)
    names = dict(wave)
    exec(compile(code, "README.md", "exec"), names)
    assert (names["buffered"].buffers[0].total, names["buffered"].stimuli[0].duration) == (160.0, 2.0)
    loaded = cs.Simulation.load("half.sim")
    for simulation in (loaded, names["simulation"]):
        simulation.run("6 ms")
    np.testing.assert_array_equal(loaded.state.u, names["simulation"].state.u)


@pytest.fixture
def file(tmp_path):
    """wave.toml as printed."""
    (text,) = blocks("toml")
    (tmp_path / "wave.toml").write_text(text)
    return tmp_path / "wave.toml"


def test_file_gives_the_same_wave(wave, file):
    """wave.toml is the same model: the same numbers, bit for bit."""
    model, options = load(file)
    again = cs.simulate(model, **options.arguments())
    assert (again["ca"].values == wave["ds"]["ca"].values).all()


def test_file_passes_the_check(file):
    """`calcium-sim check` has nothing against wave.toml."""
    done = subprocess.run([sys.executable, SCRIPT, "check", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "warning" not in done.stdout + done.stderr, done.stdout + done.stderr


def test_channel_passes_the_contract():
    """The README's own channel is accepted and passes the suite that every channel passes."""
    (code,) = [b for b in blocks("python") if "@channel" in b]
    linecache.cache["README.md"] = (len(code), None, code.splitlines(keepends=True), "README.md")  # its source has to be readable
    names = {"__name__": "readme_channel"}
    exec(compile(code, "README.md", "exec"), names)
    cs.check_channel(names["LiRinzel"])
