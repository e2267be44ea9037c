"""Channels named by their file, in Python, in TOML and on the command line."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import calcium_sim as cs
from calcium_sim.app.template import template
from calcium_sim.config import build, load, parse
from calcium_sim.errors import InputError

MINE = '''"""My channels."""
from calcium_sim import Channel, channel
from beside import RATE

@channel("mine/entry")
class Entry(Channel):
    """Constant release."""

    across = ("er", "cytosol")
    params = {"k": (0.01, "uM*um/ms")}
    source = "made for tests"

    @staticmethod
    def flux(y, x, p):
        return p.k * RATE

class Other(Channel):
    """Constant release from a store, to be given."""

    across = ("er", "cytosol")
    params = {"k": (None, "uM*um/ms")}

    @staticmethod
    def flux(y, x, p):
        return p.k * 1.0

three = 3
'''
WEIGHTS = {"weight0": [[1.0]], "bias0": [0.0]}
CARD = {
    "kind": "open_prob",
    "fast": {"arch": "mlp", "layers": [1, 1], "act": "tanh", "out": "sigmoid"},
    "inputs": {"ca@cytosol": ("uM", 0.01, 9.8)},
}
FIRST = next(block + "\n" for block in template().split("\n\n") if block.count("\n[[membranes.er]]") and "ryr/keizer-levine" in block)
FIRST = FIRST[FIRST.index("[[membranes.er]]") :]


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "beside.py").write_text("RATE = 2.0\n")
    told = {"data": "my recordings", "error": {"rollout_rmse_median": 0.0036}}
    cs.save_weights(tmp_path / "my.npz", WEIGHTS, **CARD, training=told)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wave(table: str) -> str:
    assert FIRST in template()
    return template().replace(FIRST, "[[membranes.er]]\n" + table + "\n")


@pytest.mark.parametrize(
    ("table", "label"),
    [
        ('channel = "mine.py:Entry"', "mine/entry"),
        ('channel = "mine.py:Other"\nk = "1 uM*um/ms"', "Other"),
        ('channel = "my.npz"\ndensity = "2 /um^2"', "my"),
        ('channel = "./sub/../my.npz"\ndensity = "2 /um^2"', "my"),
    ],
)
def test_paths_in_toml_are_relative_to_its_folder(here, monkeypatch, table, label):
    (here / "sub").mkdir()
    (here / "wave.toml").write_text(wave(table))
    monkeypatch.chdir("/")
    model, _ = load(here / "wave.toml")
    assert model.membranes["er"][0].label() == label


def test_the_same_names_in_python(here):
    assert cs.get_channel("my.npz") is cs.get_channel(Path("my.npz")) is cs.get_channel(str(here / "my.npz"))
    assert cs.get_channel("my.npz").gate.card.training["data"] == "my recordings"
    assert cs.get_channel("mine.py:Entry").label() == "mine/entry"
    model, _ = build(parse(template()))
    swapped = model.swap("ryr/keizer-levine", "my.npz")
    assert swapped.membranes["er"][0].values["density"] == 1.0
    back = swapped.swap("my.npz", "ryr/keizer-levine")
    assert back.membranes["er"][0].label() == "ryr/keizer-levine"
    with pytest.raises(InputError, match=r"swap: the model has no channel 'my'"):
        model.swap("my.npz", "ryr/keizer-levine")


def test_a_file_that_was_edited_is_read_anew_and_what_was_made_of_it_stays(here):
    """An edit within the same second and of the same length, which compiled files beside it would not show."""
    old = cs.get_channel("mine.py:Entry")
    assert cs.get_channel("mine.py:Entry") is old
    (here / "mine.py").write_text(MINE.replace("0.01", "0.02"))
    new = cs.get_channel("mine.py:Entry")
    assert (old().values["k"], new().values["k"]) == (0.01, 0.02)
    assert not list(here.glob("**/mine*.pyc"))
    mesh = cs.meshes.well_mixed({"cytosol": "1 um^3", "er": "1 um^3"}, {"er": (("er", "cytosol"), "1 um^2")})
    ca = cs.Species("ca", {"cytosol": "0 um^2/s", "er": "0 um^2/s"}, {"cytosol": "1 uM", "er": "9 uM"})
    for cls, expected in ((old, 1.02), (new, 1.04)):
        found = float(cs.simulate(cs.Model(mesh, ca, {"er": cls()}), "1 ms", "1 ms").ca[-1, 0])
        assert found == pytest.approx(expected, abs=1e-12)


def test_a_channel_of_a_file_goes_to_another_process_unless_the_file_has_changed(here, monkeypatch):
    sent = pickle.dumps(cs.get_channel("mine.py:Other")(k="3 uM*um/ms"))
    show = f"import pickle; print(pickle.loads({sent!r}))"
    monkeypatch.chdir("/")

    def other():
        return subprocess.run([sys.executable, "-c", show], capture_output=True, text=True)

    assert other().stdout.strip() == 'Other(k="3 uM*um/ms")'
    (here / "mine.py").write_text(MINE.replace("0.01", "0.02"))
    assert other().stderr.splitlines()[-1].endswith("mine.py:Other: the file has changed since (make the model again)")


WRONG = {
    "none.npz": r"none\.npz: no such file in /.*",
    "mine.npz": r"mine\.npz: no such file in .* \(did you mean 'my\.npz'\?\)",
    "nine.py:Entry": r"nine\.py:Entry: no such file in .* \(did you mean 'mine\.py'\?\)",
    "mine.py": r"mine\.py names no class of the file \(write mine\.py:Entry\); there are Entry, Other",
    "mine.py:": r"names no class of the file",
    "empty.py": r"empty\.py names no class of the file; it has none \(a class derived from calcium_sim\.Channel\)",
    "leaves.py": r"leaves\.py names no class of the file; it has none",
    "syntax.py": r"syntax\.py names no class of the file, and is no Python in line 2: SyntaxError: ",
    "mine.py:Entri": r"has no class 'Entri' \(did you mean 'Entry'\?\); there are Entry, Other",
    "mine.py:three": r"three is no channel class; there are Entry, Other",
    "mine.py:Channel": r"Channel is no channel class",
    "empty.py:X": r"has no class 'X'; it has none \(a class derived from calcium_sim\.Channel\)",
    "syntax.py:X": r"fails in line 2: SyntaxError: ",
    "name.py:X": r"fails in line 3: NameError: name 'nothing' is not defined",
    "leaves.py:X": r"fails in line 1: SystemExit: 3",
    "ours.py:X": r"fails in line 5: @channel\('leak/linear'\): is the name of a channel of calcium-sim",
    "itself.py:X": r"fails in line 2: ",
    "folder.py:X": r"is a directory, expected a channel file",
    "text.npz": r"text\.npz: ",
    "text.pt": r"text\.pt: ",
    "text.pt2": r"torch\.export files run pickled code",
    "long.py:X": r"is larger than 4 MiB",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_file_is_told_in_one_line(here, name):
    files = {
        "empty.py": "", "syntax.py": "x = 1\nx = = 2\n", "name.py": "def f():\n    pass\nnothing\n", "leaves.py": "raise SystemExit(3)",
        "ours.py": MINE.replace("mine/entry", "leak/linear"),
        "itself.py": "import calcium_sim as cs\nX = cs.get_channel('itself.py:X')\n", "text.npz": "x", "text.pt": "x", "text.pt2": "x",
        "long.py": "#" * (4 * 1024 * 1024 + 1),
    }  # fmt: skip
    for file, text in files.items():
        (here / file).write_text(text)
    (here / "folder.py").mkdir()
    for ask in (lambda: cs.get_channel(name), lambda: build(parse(wave(f'channel = "{name}"')), here)):
        with pytest.raises(InputError, match=WRONG[name]) as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("membranes.er[0].channel: ")


def test_it_is_said_before_a_file_is_executed(here, capsys, command):
    """One line per class, on the command line; .npz files are read and need none."""
    (here / "mine.py").write_text(MINE + "print('executed')\n")
    (here / "wave.toml").write_text(wave('channel = "mine.py:Entry"\n[[membranes.er]]\nchannel = "my.npz"\ndensity = "1 /um^2"'))
    told = []
    load(here / "wave.toml", lambda line: told.append((line, capsys.readouterr().out)))
    ((line, before),) = told
    assert before == ""
    assert capsys.readouterr().out == "executed\n"
    assert line.startswith("note: mine.py is Python and is executed ('mine.py:Entry'): run files of others only if you trust them")
    for words in (["check", "wave.toml"], ["channels", "show", "mine.py:Entry"], ["check", "mine.py:Entry"]):
        code, _, err = command(*words)
        assert (code, err.count("note: mine.py is Python")) == (0, 1), (words, err)
    for words in (["channels", "show", "my.npz"], ["check", "my.npz"], ["channels", "show", "leak/linear"]):
        code, _, err = command(*words)
        assert (code, err) == (0, ""), words


def test_a_file_without_the_name_of_a_class_is_not_executed(here, capsys, command):
    """Its classes are read off its text: bases that are called Channel or are among them, and what `channel` decorates."""
    text = "import calcium_sim as cs\nprint('executed')\nclass A(cs.Channel): ...\nclass B(A): ...\nclass C: ...\n"
    (here / "script.py").write_text(text + "@cs.channel('mine/d')\nclass D(Base): ...\n")
    (here / "wave.toml").write_text(wave('channel = "script.py"'))
    told = r"script\.py names no class of the file \(write script\.py:A\); there are A, B, D$"
    for words in (["check", "script.py"], ["channels", "show", "script.py"], ["check", "wave.toml"]):
        code, out, err = command(*words)
        assert (code, out) == (2, ""), words
        (line,) = err.splitlines()
        assert re.search(told, line), line
    with pytest.raises(InputError, match=told):
        cs.get_channel("script.py")
    assert capsys.readouterr().out == ""


def test_show_tells_card_errors_range_and_lines_that_work(here, command):
    code, out, _ = command("channels", "show", "my.npz")
    assert code == 0
    for part in (
        "trained on ca@cytosol from 0.01 to 9.8 uM",
        "rollout_rmse_median 0.0036",
        "my recordings",
        "licence unspecified",
        str(here),
    ):
        assert part in out, part
    python = re.search(r"^Python +(.*)$", out, re.M)[1]
    toml = re.search(r"^TOML +(.*)$", out, re.M)[1]
    assert eval(python, {"cs": cs}).values["density"] == 1.0
    assert tomllib.loads(toml) == {"channel": "my.npz"}
    model, _ = build(parse(template().replace('channel = "ryr/keizer-levine"', toml)), here)
    assert model.membranes["er"][0].label() == "my"


def test_check_tries_a_channel(here, command):
    code, out, _ = command("check", "my.npz")
    assert (code, out.splitlines()[-1]) == (0, "ok")
    assert "compiled, as a table, equal to the original" in out
    code, out, _ = command("check", "mine.py:Entry")
    assert (code, out.splitlines()[-1]) == (0, "ok")
    assert "compiled functions equal plain Python" in out
    (here / "mine.py").write_text(MINE.replace("p.k * RATE", "p.q * RATE"))
    code, _, err = command("check", "mine.py:Entry")
    assert code == 2
    assert "p.q" in err or "'q'" in err


def test_a_file_is_executed_once_for_all_threads(tmp_path):
    """Threads that ask for a file while it is executed wait for it and get the same class."""
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(0.2)\n" + MINE.replace("from beside import RATE", "RATE = 2.0"))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cs.get_channel(f"{tmp_path / 'slow.py'}:Other"), range(8)))
    assert set(map(id, found)) == {id(found[0])}


def test_a_file_that_is_interrupted_leaves_what_was_known(tmp_path):
    file = tmp_path / "stops.py"
    file.write_text(MINE.replace("from beside import RATE", "RATE = 2.0"))
    known = cs.get_channel(f"{file}:Other")
    file.write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        cs.get_channel(f"{file}:Other")
    assert sys.modules[known.__module__].Other is known
