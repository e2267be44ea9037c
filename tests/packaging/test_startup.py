"""Importing the package and asking for help stay quick: nothing heavy is loaded before it is needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BUDGET = 0.3  # CPU seconds, interpreter start included
HEAVY = ("torch", "xarray", "numba", "pint", "netCDF4", "matplotlib", "scipy", "pandas")
SCRIPT = str(Path(sys.executable).parent / "calcium-sim")
COMMANDS = {"import": ["-c", "import calcium_sim"], "help": [SCRIPT, "--help"]}

pytestmark = pytest.mark.packaging


def cpu_seconds(command):
    """User and system seconds of one child process."""
    child = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = child.stderr.read()
    child.stderr.close()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, errors.decode()[-2000:]
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_heavy_is_imported(name):
    command = [sys.executable, "-X", "importtime", *COMMANDS[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert loaded.isdisjoint(HEAVY), f"{name} imports {sorted(loaded & set(HEAVY))}"


@pytest.mark.parametrize("name", COMMANDS)
def test_start_takes_less_than_the_budget(name):
    """Best of three (and the first one compiles the bytecode): CPU seconds, not wall clock, so that a busy machine does not fail it."""
    seen = [cpu_seconds(COMMANDS[name]) for _ in range(4)]
    assert min(seen[1:]) < BUDGET, f"{name} took {seen} CPU seconds"


def test_public_names_resolve():
    """Every name of the lazy table exists in the module that the table says, and the version is the distribution's."""
    import calcium_sim as cs

    for name in dir(cs):
        assert getattr(cs, name) is not None, name
    assert cs.__version__ == __import__("importlib.metadata").metadata.version("calcium-sim")
    with pytest.raises(AttributeError, match="no attribute 'wave_sped'"):
        cs.wave_sped  # noqa: B018


def test_submodule_does_not_hide_the_function():
    """`calcium_sim.run.simulation` is a module and a function; after importing the module the name is still the function."""
    code = "import calcium_sim.run.simulation, calcium_sim as cs; assert callable(cs.simulate), cs.simulate"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_type_checkers_see_the_same_names():
    """The TYPE_CHECKING block of the package and its lazy table name the same things."""
    import ast

    import calcium_sim as cs

    tree = ast.parse(Path(cs.__file__).read_text())
    block = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {alias.asname for n in block.body if isinstance(n, ast.ImportFrom) for alias in n.names} | {"__version__"}
    assert seen == set(dir(cs))
