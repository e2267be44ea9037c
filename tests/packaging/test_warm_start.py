"""A second run of the same structure reads its compiled code: it steps after less than two seconds of CPU."""

import os
import subprocess
import sys

import pytest

resource = pytest.importorskip("resource", reason="Windows tells no times of children")

SCRIPT = """
import calcium_sim as cs
from calcium_sim.meshes import neurite
mesh = neurite("10 um", "0.4 um", "0.15 um", "0.1 um")
simulation = cs.Simulation(cs.presets.breit_queisser(mesh))
simulation.advance(0.05)
assert simulation.control.steps > 0
"""


def child_seconds():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, env=os.environ | {"NUMBA_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_second_run_steps_within_two_seconds():
    """The issue's bound, on CPU seconds of the child; the first run may compile, the best of three others counts."""
    child_seconds()
    warm = min(child_seconds() for _ in range(3))
    assert warm < 2.0, f"{warm:.2f} s"
