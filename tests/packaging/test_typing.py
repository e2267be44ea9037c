"""Type checkers see what a user's script does wrong, and nothing wrong in a channel of one's own."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import calcium_sim as cs

ROOT = Path(__file__).parents[2]
WRONG = """\
import calcium_sim as cs

print(cs.simulat)
print(cs.units.umm)
print(cs.meshes.neurit)
print(cs.Species("ca", {}, {}, typo=1))
"""
USER = '''\
"""A user's script."""

import math
from typing import Any, ClassVar

import calcium_sim as cs
from calcium_sim.meshes import from_morphology, neurite


@cs.channel("mine/static")
class Static(cs.Channel):
    """Plain tables, static functions."""

    across = ("er", "cytosol")
    reads = {"c": "ca@cytosol", "e": "ca@er"}
    states = {"h": 0.9, "m": (0.1, 0.0, 1.0)}
    params = {"density": (1.0, "1/um^2", (0.0, 10.0)), "perm": (0.5, "um^3/ms"), "tau": (None, "ms")}
    moves = {"ca": 1}
    source = "made up"
    note = "for tests"

    @staticmethod
    def rates(y: Any, x: Any, p: Any) -> tuple[float, float]:
        return (1 - y.h) / p.tau, x.c - y.m

    @staticmethod
    def steady(x: Any, p: Any) -> tuple[float, float]:
        return 1.0, x.c

    @staticmethod
    def open_probability(y: Any, x: Any, p: Any) -> float:
        return float(y.h * y.m)

    @staticmethod
    def edges(p: Any) -> tuple[float, ...]:
        return (p.tau,)

    @staticmethod
    def gains(y: Any, x: Any, p: Any) -> tuple[float, float]:
        return 1.0, 1.0

    @staticmethod
    def opening(y: Any, x: Any, p: Any) -> float:
        return 1.0

    @staticmethod
    def flux(y: Any, x: Any, p: Any) -> float:
        return float(p.density * p.perm * y.h * math.exp(-x.c) * (x.e - x.c))


def pump(y: Any, x: Any, p: Any) -> float:
    """A plain function."""
    return float(p.rate * x.c)


class Plain(cs.Channel):
    """Functions from outside."""

    reads: ClassVar[dict[str, str]] = {"c": "ca@from"}
    params: ClassVar[dict[str, tuple[float, str]]] = {"rate": (1.0, "um/ms")}
    flux = staticmethod(pump)


class Heir(Static):
    """A subclass with another table."""

    params = {**Static.params, "more": (1.0, "1")}


mesh = neurite("10 um", "0.2 um", spacing="0.1 um")
cell = from_morphology("cell.swc", "1 um", unit="nm", min_radius="0.1 um", trees="soma")
ca = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1000 uM"})
model = cs.Model(mesh, [ca], {"plasma": [Plain(rate="1 um/ms"), cs.get_channel("leak/linear")(permeability=cs.BALANCE)]})
result = cs.simulate(model.swap("leak/linear", Plain, rate=3 * cs.units.um), until="1 ms", every="0.5 ms")
print(result.ca.max(), cs.arrival_times(result), cs.__version__)
'''
BASED = Path(sys.executable).parent / "basedpyright"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("typing")
    (folder / "user.py").write_text(USER)
    (folder / "wrong.py").write_text(WRONG)
    return folder


def by_mypy(folder):
    """{file: lines with an error}."""
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports", "silent", "--config-file", os.devnull]
    command += ["--cache-dir", str(folder / "cache"), "user.py", "wrong.py"]
    environment = os.environ | {"MYPYPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return re.findall(r"^(\w+\.py):(\d+): error: (.*)", done.stdout, re.MULTILINE)


def by_pyright(folder):
    if not BASED.exists() and shutil.which("pyright") is None:
        pytest.skip("basedpyright is not installed (pip install -e '.[test]')")
    settings = {"typeCheckingMode": "strict", "include": ["."], "exclude": ["cache"], "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    checker = str(BASED) if BASED.exists() else "pyright"
    done = subprocess.run(
        [checker, "--outputjson", "--pythonpath", sys.executable], cwd=folder, capture_output=True, text=True, check=False
    )
    told = done.stdout[max(0, done.stdout.find("{")) :]
    return [
        (Path(e["file"]).name, str(e["range"]["start"]["line"] + 1), e["message"])
        for e in json.loads(told)["generalDiagnostics"]
        if e["severity"] == "error"
    ]


@pytest.mark.parametrize("checker", [by_mypy, by_pyright])
def test_a_channel_of_ones_own_is_clean_and_a_misspelt_name_is_not(scripts, checker):
    found = checker(scripts)
    assert [row for row in found if row[0] == "user.py"] == []
    assert {line for file, line, _ in found if file == "wrong.py"} == {"3", "4", "5", "6"}, found


def test_units_that_checkers_see():
    """The names in the block for type checkers are those that there are."""
    text = Path(cs.units.__file__).read_text().partition("if TYPE_CHECKING")[2].partition("else:")[0]
    seen = [name for row in re.findall(r"^    (\w+(?: = \w+)*) = cast", text, re.MULTILINE) for name in row.split(" = ")]
    assert sorted(seen) == sorted(cs.units.NAMES)
