"""One thread unless more are asked for; what is asked for ends with the run; forked children run on one."""

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.meshes import neurite

SIZES = ("columns", "graph", "grid")
two = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads (NUMBA_NUM_THREADS)")


def model(mesh):
    species = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1000 uM"})
    start = cs.Influx("ca", at="left", flux="1 uM um/ms", duration="1 ms")
    channels = [cs.get_channel("pmca/hill2")(), cs.get_channel("leak/linear")(permeability=cs.BALANCE)]
    return cs.Model(mesh, [species], {"plasma": channels}, stimuli=[start])


def meshes():
    """A cable, the same as a general graph, and a (z, r) grid."""
    cable = neurite("8 um", "0.2 um", spacing="0.1 um")
    return {"columns": cable, "graph": replace(cable, structure=None), "grid": neurite("3 um", "0.2 um", spacing="0.1 um", dims=2)}


@pytest.fixture
def every_mesh_is_large(monkeypatch):
    for name in SIZES:
        monkeypatch.setattr(f"calcium_sim.schemes.{name}.stepper.PARALLEL_FROM", 1)


@pytest.mark.usefixtures("every_mesh_is_large")
@pytest.mark.parametrize("kind", SIZES)
def test_threads_only_where_they_are_asked_for(kind, monkeypatch):
    """A parallel step on a busy machine takes up to fifty times as long as a serial one; nobody gets it unasked."""
    cell = model(meshes()[kind])
    monkeypatch.delenv("CALCIUM_SIM_THREADS", raising=False)
    assert not cs.Simulation(cell).stepper.parallel
    assert not cs.Simulation(cell, threads=1).stepper.parallel
    if numba.config.NUMBA_NUM_THREADS > 1:
        assert cs.Simulation(cell, threads=2).stepper.parallel
        monkeypatch.setenv("CALCIUM_SIM_THREADS", "2")
        assert cs.Simulation(cell).stepper.parallel
        assert not cs.Simulation(cell, threads=1).stepper.parallel


@pytest.mark.parametrize("given", [0, -1, True, 1.0, "2", [2]])
def test_refused_numbers(given):
    with pytest.raises(cs.InputError, match=r"threads: .* is not a number of threads, expected 1, 2, \.\.\."):
        cs.Simulation(model(meshes()["columns"]), threads=given)


@pytest.mark.parametrize("given", ["0", "two", "1.5", "-1"])
def test_refused_variable(given, monkeypatch):
    monkeypatch.setenv("CALCIUM_SIM_THREADS", given)
    with pytest.raises(cs.InputError, match=f"CALCIUM_SIM_THREADS: '{given}' is not a number of threads"):
        cs.Simulation(model(meshes()["columns"]))


@pytest.mark.usefixtures("every_mesh_is_large")
@pytest.mark.parametrize("given", [8, 200, "200"])
def test_more_threads_than_cores_are_what_there_is(given, monkeypatch):
    """A script from a larger machine runs, with one warning."""
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 2)
    if given == "200":
        monkeypatch.setenv("CALCIUM_SIM_THREADS", given)
    with pytest.warns(UserWarning, match=rf"(threads|CALCIUM_SIM_THREADS): {given} were asked for, this machine has 2 cores") as told:
        sim = cs.Simulation(model(meshes()["columns"]), threads=None if given == "200" else given)
    assert len(told) == 1
    assert sim.threads == 2


@two
@pytest.mark.usefixtures("every_mesh_is_large")
def test_threads_end_with_the_run(monkeypatch):
    """Two simulations in turn each run on their own number, and what was set outside comes back, after a failure too."""
    cell, seen = model(meshes()["columns"]), []
    sims = [cs.Simulation(cell, threads=n) for n in (2, 1)]

    def note(state, stop, clock):
        seen.append(numba.get_num_threads())
        state.t = stop

    for sim in sims:
        monkeypatch.setattr(sim.loop, "advance", note)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        for sim, end in ((sims[0], 0.5), (sims[1], 0.5), (sims[0], 1.0)):
            sim.advance(end)
            assert numba.get_num_threads() == 1

        def fail(*_):
            raise RuntimeError

        monkeypatch.setattr(sims[0].loop, "advance", fail)
        with pytest.raises(RuntimeError):
            sims[0].advance(2.0)
        assert numba.get_num_threads() == 1
    finally:
        numba.set_num_threads(before)
    assert seen == [2, 1, 2]


@two
@pytest.mark.usefixtures("every_mesh_is_large")
@pytest.mark.parametrize("kind", SIZES)
def test_threads_change_no_bit(kind):
    """Blocks are fixed and every node gathers: concentrations and gates are those of one thread (1.5 ms with chosen steps)."""
    cell = model(meshes()[kind])
    one, more = (cs.Simulation(cell, threads=n) for n in (1, 2))
    for sim in (one, more):
        sim.advance(1.5)
    assert more.stepper.parallel
    assert one.control.steps == more.control.steps > 10
    assert np.array_equal(one.state.u, more.state.u)
    assert np.array_equal(one.state.y, more.state.y)
    np.testing.assert_allclose(more.state.moved, one.state.moved, rtol=1e-12)
    assert one.state.u.max() > 0.06


AGAIN = """
import sys
import calcium_sim as cs, calcium_sim.schemes.graph.stepper
from numba.core import event
sys.path.insert(0, sys.argv[1])
from test_threads import meshes, model

class Count(event.Listener):
    compiled = []
    def on_start(self, e): self.compiled.append(str(e.data["dispatcher"]))
    def on_end(self, e): pass

event.register("numba:compile", Count())
calcium_sim.schemes.graph.stepper.PARALLEL_FROM = 1
sim = cs.Simulation(model(meshes()["graph"]), threads=2)
sim.advance(0.1)
assert sim.stepper.parallel and sim.control.steps
print(len(Count.compiled), *Count.compiled)
"""


@two
def test_a_second_process_compiles_no_parallel_step():
    """Of a general graph, whose step takes a minute to compile; those of the other meshes are kept in the same way."""
    for again in (False, True):
        done = subprocess.run([sys.executable, "-c", AGAIN, str(Path(__file__).parent)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        assert not again or done.stdout.split() == ["0"], done.stdout


FORK = """
import multiprocessing, sys, warnings
import calcium_sim as cs, calcium_sim.schemes.columns.stepper
from calcium_sim.meshes import neurite
calcium_sim.schemes.columns.stepper.PARALLEL_FROM = 1

def make():
    mesh = neurite("8 um", "0.2 um", spacing="0.1 um")
    ca = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1000 uM"})
    start = cs.Influx("ca", at="left", flux="1 uM um/ms", duration="1 ms")
    return cs.Simulation(cs.Model(mesh, [ca], {"plasma": [cs.get_channel("leak/linear")()]}, stimuli=[start]), threads=2)

def total(_):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        sim = make()
    sim.advance(0.5)
    return repr(float(sim.state.u.sum())), sim.threads, [str(w.message) for w in said if "thread" in str(w.message)]

def go_on(_):
    try:
        old.advance(1.0)
    except cs.InputError as error:
        return str(error)

if __name__ == "__main__":
    old = make()
    old.advance(0.5)
    print(repr(float(old.state.u.sum())), old.threads)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for line in pool.map_async(total, range(2)).get(120):
            print(*line, sep=" | ")
        print(pool.map_async(go_on, range(1)).get(120)[0])
"""


@two
@pytest.mark.skipif(sys.platform != "linux", reason="fork after threads")
def test_children_of_a_process_with_threads(tmp_path):
    """OpenMP's threads do not survive a fork, and a child that calls them dies without a word: one thread, the parent's number."""
    script = tmp_path / "fork.py"
    script.write_text(textwrap.dedent(FORK))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    parent, *children, refused = done.stdout.splitlines()
    number, threads = parent.split()
    assert threads == "2"
    for child in children:
        assert child.startswith(f"{number} | 1 | "), (parent, child)
        assert "forked" in child, child
        assert "spawn" in child, child
    assert len(children) == 2
    assert "spawn" in refused, refused


CALLERS = """
import threading, warnings
import numba
import calcium_sim as cs, calcium_sim.schemes.columns.stepper
from calcium_sim.meshes import neurite
calcium_sim.schemes.columns.stepper.PARALLEL_FROM = 1
mesh = neurite("8 um", "0.2 um", spacing="0.1 um")
ca = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1000 uM"})
start = cs.Influx("ca", at="left", flux="1 uM um/ms", duration="1 ms")
cell = cs.Model(mesh, [ca], {"plasma": [cs.get_channel("leak/linear")()]}, stimuli=[start])

def run(found):
    try:
        sim = cs.Simulation(cell, threads=2)
        sim.advance(0.5)
        found.append(repr(float(sim.state.u.sum())))
    except cs.InputError as error:
        found.append(str(error))

found = []
callers = [threading.Thread(target=run, args=(found,)) for _ in range(3)]
for each in callers:
    each.start()
for each in callers:
    each.join()
for line in found:
    print(line)
"""


@two
@pytest.mark.parametrize("layer", ["workqueue", "nonsense"])
def test_layers_of_other_systems(layer):
    """macOS without OpenMP has numba's workqueue, which ends the process when two callers meet; a layer that is not there is told."""
    environment = os.environ | {"NUMBA_THREADING_LAYER": layer}
    done = subprocess.run([sys.executable, "-c", CALLERS], capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    if layer == "workqueue":
        assert len(set(lines)) == 1
        assert float(lines[0]) > 0
    else:
        assert all(line.startswith("threads: numba can start none here, 2 were asked for: ") for line in lines), lines
        assert all("unset NUMBA_THREADING_LAYER" in line for line in lines), lines


def test_a_serial_run_starts_no_threads():
    """So that a pool may be forked after it."""
    code = """
    import sys
    import calcium_sim as cs
    from calcium_sim.meshes import well_mixed
    mesh = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "6 um^2")})
    ca = cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "1 uM", "outside": "1 uM"})
    cs.Simulation(cs.Model(mesh, [ca], {"plasma": [cs.get_channel("leak/linear")()]})).advance(0.1)
    parallel = sys.modules.get("numba.np.ufunc.parallel")
    assert parallel is None or not parallel._is_initialized
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
