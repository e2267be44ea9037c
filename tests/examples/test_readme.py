"""The README's code runs as printed: the wave in Python, the same wave as a file, the channel."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import calcium_sim as cs

README = (Path(__file__).parents[2] / "README.md").read_text()
SCRIPT = str(Path(sys.executable).parent / "calcium-sim")


def blocks(language):
    """Code blocks of one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def wave():
    """Names that the README's first example defines; the line with a learned receptor runs where one is registered."""
    (code, *_) = [b for b in blocks("python") if "cs.simulate" in b]
    if "ryr/dnn" not in cs.list_channels():
        code = "\n".join(line for line in code.splitlines() if "ryr/dnn" not in line)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_wave_crosses_the_neurite(wave):
    """The example shows a wave: it crosses at a steady speed, and no calcium is lost on the way (ledger closes to round-off)."""
    speed = cs.wave_speed(wave["ds"])
    assert 0.2 < speed < 5.0, f"{speed} um/ms"
    assert wave["ds"].attrs["ledger_drift"] < 1e-12, wave["ds"].attrs["ledger_drift"]


def test_learned_receptor_carries_the_same_wave(wave):
    """Swapped by name, the network that was trained on the receptor gives its wave."""
    if "ds2" not in wave:
        pytest.skip("no channel ryr/dnn is registered")
    speeds = cs.wave_speed(wave["ds"]), cs.wave_speed(wave["ds2"])
    assert speeds[1] == pytest.approx(speeds[0], rel=0.1), speeds


def test_file_gives_the_same_wave(wave, tmp_path):
    """wave.toml, checked and run from the command line, is the same model: the same result to round-off."""
    (text,) = blocks("toml")
    (tmp_path / "wave.toml").write_text(text)
    for command in (["check", "wave.toml"], ["run", "wave.toml", "-o", "out"]):
        done = subprocess.run([sys.executable, SCRIPT, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
    ds = cs.open(tmp_path / "out")
    assert ds["ca"].values == pytest.approx(wave["ds"]["ca"].values, rel=1e-9, nan_ok=True)


def test_channel_passes_the_contract():
    """The README's own channel is accepted and passes the suite that every channel passes."""
    (code,) = [b for b in blocks("python") if "@channel" in b]
    folder = {"__name__": "readme_channel"}
    lines = compile(code, "README.md", "exec")
    import linecache

    linecache.cache["README.md"] = (len(code), None, code.splitlines(keepends=True), "README.md")  # so that its source can be read
    exec(lines, folder)
    cs.check_channel(folder["LiRinzel"])
