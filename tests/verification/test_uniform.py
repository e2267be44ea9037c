"""A cell that is the same everywhere has no space: every position carries the same numbers, to the last bit, whatever its channels do.

A position that differs has seen another one's memory, so this finds names that mean two things in generated code, blocks that are loaded
wrongly, and threads that step on each other. Sizes are above two blocks of 64, and no multiple of them.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.mesh import OUTSIDE, Columns
from calcium_sim.meshes import neurite
from calcium_sim.meshes.columns import columns_mesh
from calcium_sim.model.registry import get_channel, installed
from calcium_sim.plan.lower import lower
from calcium_sim.plugin import parse_port
from calcium_sim.plugin.ions import MOLAR
from calcium_sim.run.loop import Control, Loop
from calcium_sim.testing import check_class

POSITIONS = 150
REGIONS = ("cytosol", "er", "mitochondria")
LEVELS = {"cytosol": 0.1, "er": 250.0, "mitochondria": 0.3, OUTSIDE: 1500.0}
SIDES = {"er": ("er", "cytosol"), "mitochondria": ("mitochondria", "cytosol"), "plasma": ("cytosol", OUTSIDE)}
SPIKE = [("0 ms", "-65 mV"), ("0.3 ms", "-65 mV"), ("0.6 ms", "20 mV"), ("1.2 ms", "-65 mV")]


def cable():
    """150 equal positions with three regions."""
    n = POSITIONS
    volume = np.array([[0.05], [0.01], [0.005]]) * np.ones(n)
    conductance = np.array([[0.5], [0.1], [0.05]]) * np.concatenate([[0.0], np.ones(n - 1)])
    position = np.outer(0.1 * np.arange(n), [1.0, 0.0, 0.0])
    areas = {name: (sides, np.full(n, area)) for (name, sides), area in zip(SIDES.items(), (0.09, 0.05, 0.25), strict=True)}
    parent = np.maximum(np.arange(n) - 1, 0)
    given = {"parent": parent, "volume": volume, "conductance": conductance, "position": position, "distance": position[:, 0]}
    return columns_mesh(REGIONS, **given, membranes=areas)


MESHES = {
    "cable": cable,
    "grid": lambda: neurite(f"{0.1 * POSITIONS} um", "0.4 um", "0.15 um", "0.1 um", dims=2),
    "graph": lambda: replace(cable(), structure=None),
}


def model(mesh, names):
    """All these channels at once, weakly, each where it belongs; calcium in the cytosol jumps at 0.2 ms, the potential spikes."""
    membranes = {name: [] for name in mesh.membranes}
    for name in names:
        cls = get_channel(name)
        home = next(m for m, sides in SIDES.items() if set(cls.across) in ({"from", "to"}, set(sides)))
        if home in membranes:
            membranes[home].append(cls(**weak(cls)))
    present = [c for channels in membranes.values() for c in channels]
    known = {"ca", *(parse_port(p).species for c in present for p in c.reads.values())}
    inside = [r for r in REGIONS if r in mesh.regions]
    initial = {r: f"{LEVELS[r]} uM" for r in (*inside, OUTSIDE)}
    species = [cs.Species(s, dict.fromkeys(inside, "100 um^2/s"), initial) for s in sorted(known - {None, ""})]
    buffers = [cs.Buffer("dye", "ca", "cytosol", "50 uM", "100 1/uM/s", "50 1/s", diffusion="30 um^2/s")]
    return cs.Model(mesh, species, membranes, buffers, [cs.Set("ca", "0.6 uM", time="0.2 ms")], SPIKE)


SIZES = {"density": 0.05, "permeability": 1e-4, "vmax": 1e-3, "rate": 1e-3, "imax": 1e-3}


def weak(cls):
    """Every parameter that has no default, and a small size, so that dozens of channels together stay in range."""
    table = cls.parameter_table()
    given = {name: f"{SIZES.get(name, 1.0)} {row.unit}" for name, row in table.items() if row.default is None}
    sized = next((name for name in SIZES if name in table), None)
    return given if sized is None or given.keys() & SIZES.keys() else given | {sized: f"{SIZES[sized]} {table[sized].unit}"}


def suited(name, mesh):
    """Whether a channel can stand on a mesh: its regions are there, and it reads no third region where nodes are not paired."""
    cls = get_channel(name)
    check_class(cls)
    own = set(cls.across) - {"from", "to"}
    read = {parse_port(p).side for p in cls.reads.values()} - {None, "", "from", "to"}
    paired = isinstance(mesh.structure, Columns) or not own or read <= own
    return own | read <= {*mesh.regions, OUTSIDE} and paired


def spread(simulation):
    """The largest difference between positions, over fields and gates; on grids between slices."""
    plan, state, mesh = simulation.plan, simulation.state, simulation.model.mesh
    worst = {}
    for f in plan.fields:
        values = state.u[f.span].reshape(POSITIONS, -1)
        worst[f"{f.name}@{f.region}"] = float(np.abs(values - values[0]).max())
    for g in plan.gauges:
        for name, part in zip(g.channel.states, g.states, strict=True):
            worst[f"{g.label}.{name}"] = float(np.ptp(state.y[part]))
        worst[f"{g.label} moved"] = float(np.ptp(state.moved[g.moved]))
    assert mesh.nodes >= 2 * POSITIONS
    return {name: value for name, value in worst.items() if value != 0.0}


def changed(simulation):
    """Names of channels whose states have not moved from rest though they have some."""
    plan = simulation.plan
    return {g.label for g in plan.gauges if any(abs(simulation.state.y[p][0] - plan.y0[p.start]) > 1e-12 for p in g.states)}


def everything(kind):
    """A short run of all channels together; what differs between positions, which states have moved, how many channels there were."""
    mesh = MESHES[kind]()
    names = [n for n in sorted(installed()) if suited(n, mesh)]
    names = [n for n in names if get_channel(n).rates is not None or not get_channel(n).states]
    names = [n for n in names if get_channel(n).flux_unit == MOLAR]  # currents: test_potential.py
    simulation = cs.Simulation(model(mesh, names), dt="0.05 ms")
    simulation.run("0.6 ms")
    finite = bool(np.isfinite(simulation.state.u).all() and np.isfinite(simulation.state.y).all())
    return {"spread": spread(simulation), "moved": sorted(changed(simulation)), "channels": len(names), "finite": finite}


@pytest.mark.parametrize("kind", MESHES)
def test_every_channel_in_a_uniform_cell(kind):
    """The generated step of all classic channels in plain Python: compiling it takes a minute, and names are the same."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-W", "ignore", __file__, kind], env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["spread"] == {}
    assert found["finite"]
    assert found["channels"] >= {"cable": 28, "grid": 24, "graph": 27}[kind]
    assert {"vgcc/borg-graham-n", "vgcc/borg-graham-t", "ryr/keizer-levine", "ryr/scalar-law"} <= set(found["moved"])


def stepped(kind):
    """Concentrations of a small cell with a classic receptor and a network, which a jump of calcium has just opened."""
    names = ["ryr/keizer-levine", "ryr/dnn", "serca/shannon"]
    mesh = {"grid": lambda: neurite("1 um", "0.4 um", "0.2 um", "0.25 um", dims=2)}.get(kind, lambda: MESHES[kind]())()
    simulation = cs.Simulation(model(mesh, names), dt="0.0125 ms")
    simulation.run("0.25 ms")
    return simulation.state.u


@pytest.mark.parametrize("kind", MESHES)
def test_networks_run_as_python_too(kind):
    """What one steps through with NUMBA_DISABLE_JIT=1 is what runs: the same numbers within rounding, of a network in single precision."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "stepped", kind], env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    compiled = stepped(kind)
    np.testing.assert_allclose(json.loads(done.stdout), compiled, rtol=1e-8)


@pytest.mark.parametrize("kind", MESHES)
def test_threads_change_no_bit_of_a_uniform_cell(kind):
    """Parallel kernels on channels with every kind of port, against the serial ones."""
    mesh = MESHES[kind]()
    names = [
        "vgcc/borg-graham-n",
        "nmda/jahr-stevens",
        "ncx/luo-rudy",
        "ryr/scalar-law",
        "ip3r/li-rinzel",
        "ryr/dnn",
        "ryr/keizer-levine-closure",
    ]
    names = [n for n in names if suited(n, mesh)]
    described = model(mesh, names)
    simulations = []
    for parallel in (False, True):
        simulation = cs.Simulation(described, tolerance=0.01)
        if parallel:
            scheme = type(simulation.stepper)
            stepper = scheme(lower(described, scheme.wants), parallel=True)
            simulation.control = Control(tolerance=0.01)
            simulation.stepper, simulation.loop = stepper, Loop(stepper, simulation.control)
            simulation.threads = 2
        simulation.run("1 ms")
        assert not spread(simulation)
        simulations.append(simulation)
    one, two = (s.state for s in simulations)
    assert np.array_equal(one.u, two.u)
    assert np.array_equal(one.y, two.y)


if __name__ == "__main__":
    print(json.dumps(everything(sys.argv[1]) if len(sys.argv) == 2 else stepped(sys.argv[2]).tolist()))
