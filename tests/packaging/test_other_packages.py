"""Another package that registers a name of ours neither disables nor changes models; either can be named with its package."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

MODULE = """
import calcium_sim as cs

@cs.channel("leak/linear")
class Theirs(cs.Channel):
    across = ("from", "to")
    reads = {"cin": "ca@from"}
    params = {"permeability": (1.0, "um/ms")}

    @staticmethod
    def flux(y, x, p):
        return p.permeability * x.cin

@cs.channel("only/ofthem")
class Own(Theirs):
    pass

def mesh(length, radius, spacing):
    raise RuntimeError("theirs")
"""
POINTS = """
[calcium_sim.channels]
leak/linear = {0}:Theirs
only/ofthem = {0}:Own

[calcium_sim.meshes]
neurite = {0}:mesh
"""
MODEL = """
[mesh]
kind = "KIND"
length = "4 um"
radius = "0.2 um"
spacing = "1 um"
[[species]]
name = "ca"
diffusion = { cytosol = "220 um^2/s" }
initial = { cytosol = "0.05 uM", outside = "1000 uM" }
[[membranes.plasma]]
channel = "CHANNEL"
[run]
until = "1 ms"
"""


@pytest.fixture
def asked(tmp_path):
    """Function that runs code beside packages that claim our names; `out` is what it gives back."""

    def ask(code, *packages):
        for name in packages:
            module = name.replace("-", "_")
            (tmp_path / f"{module}.py").write_text(MODULE)
            info = tmp_path / f"{module}-1.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(POINTS.format(module))
        head = "import json, warnings\nimport calcium_sim as cs\nout = None\n"
        path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            [sys.executable, "-c", f"{head}{textwrap.dedent(code)}\nprint(json.dumps(out))"],
            capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return ask


def test_ours_wins_and_says_so(asked):
    """Also once the other package has been imported, whose decorator uses the name too."""
    ours, told, again, theirs, full, listed, shown = asked(
        """
        from calcium_sim.model.registry import owner
        with warnings.catch_warnings(record=True) as w:
            warnings.simplefilter("always")
            ours = cs.get_channel("leak/linear")
        theirs = cs.get_channel("a-foreign:leak/linear")
        with warnings.catch_warnings(record=True):
            again = cs.get_channel("leak/linear") is ours
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            full = cs.get_channel("calcium-sim:leak/linear") is ours and cs.get_channel("A_Foreign:leak/linear") is theirs
            full = full and cs.get_channel("only/ofthem").name == "only/ofthem"
        names = [n for n in cs.list_channels() if "leak/linear" in n]
        told = [str(x.message) for x in w]
        out = [ours.__module__, told, again, [theirs.__module__, theirs.name], full, names, [owner(n) for n in names]]
        """,
        "a-foreign",
    )
    assert ours == "calcium_sim.channels.leaks"
    assert told == [
        "'leak/linear' is registered by a-foreign 1.0 too; that of calcium-sim is used (write 'a-foreign:leak/linear' for the other)"
    ]
    assert again
    assert full
    assert theirs == ["a_foreign", "a-foreign:leak/linear"]
    assert listed == ["a-foreign:leak/linear", "leak/linear"]
    assert shown[0] == "a-foreign 1.0"
    assert shown[1].startswith("calcium-sim ")


def test_every_place_that_takes_a_name(asked):
    """Files, swap in both places, kinds of meshes, the command line."""
    labels, swapped, kinds, lines = asked(
        f"""
        from calcium_sim.config import build, parse
        from calcium_sim.app.inspection import show_channel
        warnings.simplefilter("ignore")
        text = {MODEL!r}
        def model(kind, channel):
            return build(parse(text.replace("KIND", kind).replace("CHANNEL", channel)))[0]
        def label(model):
            return model.membranes["plasma"][0].label()
        plain = model("neurite", "leak/linear")
        others = model("calcium-sim:neurite", "calcium-sim:leak/linear"), model("neurite", "foreign:leak/linear")
        labels = [label(m) for m in (plain, *others)]
        there = plain.swap("calcium-sim:leak/linear", "foreign:leak/linear")
        swapped = [label(there), label(there.swap("foreign:leak/linear", "calcium-sim:leak/linear"))]
        kinds = []
        for kind in ("foreign:neurite", "neurit", "nobody:neurite"):
            try:
                model(kind, "leak/linear")
            except (RuntimeError, cs.InputError) as error:
                kinds.append(str(error))
        out = [labels, swapped, kinds, [next(iter(show_channel(n))) for n in ("leak/linear", "foreign:leak/linear")]]
        """,
        "foreign",
    )
    assert labels == ["leak/linear", "leak/linear", "foreign:leak/linear"]
    assert swapped == ["foreign:leak/linear", "leak/linear"]
    assert kinds[0] == "theirs"
    assert "mesh.kind: unknown kind 'neurit' (did you mean 'neurite'?); there are foreign:neurite, " in kinds[1]
    assert "mesh.kind: unknown kind 'nobody:neurite'" in kinds[2]
    assert lines[0].startswith("leak/linear  [calcium-sim ")
    assert lines[1] == "foreign:leak/linear  [foreign 1.0]"


def test_two_others_have_to_be_told_apart(asked):
    both, one, unknown = asked(
        """
        said = []
        for name in ("only/ofthem", "nobody:leak/linear"):
            try:
                cs.get_channel(name)
            except cs.InputError as error:
                said.append(str(error))
        out = [said[0], cs.get_channel("b:only/ofthem").__module__, said[1]]
        """,
        "a",
        "b",
    )
    assert both == "channel: 'only/ofthem' is registered by a 1.0 and b 1.0; name one: 'a:only/ofthem' and 'b:only/ofthem'"
    assert one == "b"
    assert unknown.startswith("channel: unknown channel 'nobody:leak/linear' (did you mean 'calcium-sim:leak/linear'?)")
