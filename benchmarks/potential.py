"""Spiking cells against NEURON and Jaxley: spike times and potentials of the converged solutions, and the cost at equal error.

    python benchmarks/potential.py --neuron-python PYTHON [--jaxley-python PYTHON] [--swc CELL.swc] [--write]

PYTHON is an interpreter that has NEURON (``pip install neuron``), this one by default, or Jaxley, which is left out otherwise; ``--write``
makes docs/benchmarks/potential.md.

Three cells with the currents of the squid axon: an axon of 1 mm, a forked ball and stick, and (with ``--swc``) a reconstructed tree. NEURON
runs with tables of rates off, as it comes (implicit Euler), and with ``secondorder = 2``; Jaxley forward (no gradients), in double
precision, as it comes (implicit Euler) and with Crank-Nicolson. CPU seconds are those of the loop over steps, one thread, best of three, the
programs in turn. The error is the root mean square of the potential at the soma (or the near end) against the same program's run in steps of
0.5 us with its second-order method.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "potential.md"
END, START = 30.0, 1.0
FINE = 0.0005
STEPS = (0.05, 0.025, 0.0125)
EULER = (0.025, 0.005, 0.001)
TIMES = np.arange(0.0, END + 1e-9, 0.05)
BALL = """1 1 0 0 0 10 -1
2 3 10 0 0 1.5 1
3 3 160 0 0 1.5 2
4 3 300 100 0 0.8 3
5 3 300 -60 0 1.0 3
"""
CELLS = {
    "axon": {"spacing": 10.0, "current": 0.3},
    "ball and stick": {"spacing": 5.0, "current": 0.35},
    "tree": {"spacing": 20.0, "current": 2.5},
}
REPEATS = 3

NEURON = r"""
import json, sys, time
import numpy as np
from neuron import h
job = json.loads(sys.argv[1])
h.load_file("stdrun.hoc"); h.load_file("import3d.hoc")
if job["swc"]:
    reader = h.Import3d_SWC_read(); reader.input(job["swc"]); h.Import3d_GUI(reader, 0).instantiate(None)
    sections = list(h.allsec()); soma = [s for s in sections if "soma" in s.name()][0]; place = 0.5
else:
    soma = h.Section(name="axon"); soma.L, soma.diam = 1000.0, 2.0; sections = [soma]
for s in sections:
    s.nseg = max(1, round(s.L / job["spacing"])) if s is not soma or not job["swc"] else 1
    s.Ra, s.cm = 100.0, 1.0
    s.insert(job["mechanism"])
    for seg in s:
        if job["mechanism"] == "hh":
            seg.hh.el = -54.4
if not job["swc"]:
    place = 0.5 / soma.nseg
h.celsius = 6.3
if job["mechanism"] == "hh":
    h.usetable_hh = 0
clamp = h.IClamp(soma(place)); clamp.delay, clamp.dur, clamp.amp = job["start"], 1e3, job["current"]
t, v = h.Vector().record(h._ref_t), h.Vector().record(soma(place)._ref_v)
out = []
for second, dt in job["runs"]:
    h.secondorder, h.dt, h.steps_per_ms, h.v_init = second, dt, 1.0 / dt, -65.0
    best = 1e9
    for _ in range(job["repeats"] if dt > 0.0006 else 1):
        h.stdinit()
        begin = time.process_time(); h.continuerun(job["end"]); best = min(best, time.process_time() - begin)
    cpu = best
    out.append((np.interp(job["times"], np.array(t), np.array(v)).tolist(), best))
print("RESULT" + json.dumps({"runs": out, "segments": sum(s.nseg for s in sections), "area": sum(g.area() for s in sections for g in s)}))
"""


SOLVERS = {2: "crank_nicolson", 0: "bwd_euler"}


def jaxley(python: str, swc: str | None, cell: dict, runs: list[tuple[int, float]]) -> dict:
    """The same of Jaxley."""
    told = [(SOLVERS[order], dt) for order, dt in runs]
    job = cell | {"swc": swc, "runs": told, "start": START, "end": END, "repeats": REPEATS, "times": TIMES.tolist()}
    script = Path(__file__).with_name("potential_jaxley.py")
    one = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
    done = subprocess.run([python, str(script), json.dumps(job)], capture_output=True, text=True, check=True, env={**os.environ, **one})
    return json.loads(done.stdout[done.stdout.index("RESULT") + 6 :])


def neuron(python: str, swc: str | None, cell: dict, runs: list[tuple[int, float]]) -> dict:
    """Runs of NEURON: potentials at `TIMES` and CPU seconds of each."""
    job = cell | {"swc": swc, "runs": runs, "start": START, "end": END, "repeats": REPEATS, "times": TIMES.tolist(), "mechanism": "hh"}
    done = subprocess.run([python, "-c", NEURON, json.dumps(job)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout[done.stdout.index("RESULT") + 6 :])


def ours(swc: str | None, cell: dict, options: list[dict]) -> dict:
    """The same of calcium-sim."""
    import calcium_sim as cs

    if swc:
        mesh = cs.meshes.from_swc(swc, f"{cell['spacing']} um", None, gaps="nothing")
    else:
        mesh = cs.meshes.neurite("1000 um", "1 um", spacing=f"{cell['spacing']} um")
    channels = [cs.get_channel(f"{ion}/hodgkin-huxley")() for ion in ("na", "k", "leak")]
    clamp = cs.CurrentClamp(0, f"{cell['current']} nA", "1 s", start=f"{START} ms")
    model = cs.Model(mesh, [], {"plasma": channels}, stimuli=[clamp], voltage=cs.Cable())
    out = []
    for given in options:
        cs.Simulation(model, **given).advance(0.1)
        cpu = np.inf
        for _ in range(1 if given.get("dt") == f"{FINE} ms" else REPEATS):
            simulation = cs.Simulation(model, **given)
            begin = time.process_time()
            simulation.advance(END)
            cpu = min(cpu, time.process_time() - begin)
        ds = cs.simulate(model, f"{END} ms", "0.05 ms", **given, record=[])
        out.append((ds.v.values[:, 0].tolist(), cpu, simulation.control.steps))
    return {"runs": out, "segments": mesh.nodes, "area": float(mesh.membranes["plasma"].area.sum())}


def spikes(v: np.ndarray) -> np.ndarray:
    """Times at which a course passes 0 mV upwards."""
    k = np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0))
    return TIMES[k] - v[k] / (v[k + 1] - v[k]) * (TIMES[k + 1] - TIMES[k])


def compared(name: str, python: str, other: str | None, swc: str | None) -> list[str]:
    """Lines of the page for one cell."""
    cell = CELLS[name]
    runs = [(2, FINE), *((2, dt) for dt in STEPS), *((0, dt) for dt in EULER)]
    theirs = neuron(python, swc, cell, runs)
    third = jaxley(other, swc, cell, runs) if other else None
    own = ours(swc, cell, [{"dt": f"{FINE} ms"}, *({"dt": f"{dt} ms"} for dt in STEPS), {}, {"tolerance": 2e-4}])
    right, exact = np.array(theirs["runs"][0][0]), np.array(own["runs"][0][0])
    late = np.abs(spikes(right) - spikes(exact)).max() if len(spikes(right)) == len(spikes(exact)) else np.nan
    lines = [f"## {name}", ""]
    lines.append(
        f"NEURON {theirs['segments']} segments, {theirs['area']:.1f} um^2; calcium-sim {own['segments']} positions, {own['area']:.1f} um^2. "
        f"Converged: {len(spikes(right))} spikes, the same within {1000 * late:.2g} us; potentials within "
        f"{np.sqrt(np.mean((right - exact) ** 2)):.2g} mV rms."
    )
    if third:
        lines[-1] += f" Jaxley {third['segments']} compartments, {third['area']:.1f} um^2."
    lines += ["", "| | steps | rms error [mV] | latest spike off by [us] | CPU [s] |", "|---|---|---|---|---|"]
    lines += _rows("NEURON", "second order", theirs["runs"])
    lines += _rows("Jaxley", "Crank-Nicolson", third["runs"]) if third else []
    labels = [*(f"calcium-sim, {dt * 1000:g} us" for dt in STEPS), "calcium-sim, chosen steps", "calcium-sim, chosen steps, 2e-4"]
    for told, (v, cpu, steps) in zip(labels, own["runs"][1:], strict=True):
        lines.append(_row(told, steps, np.array(v), cpu, exact))
    return [*lines, ""]


def _rows(program: str, method: str, runs: list) -> list[str]:
    """Rows of another program: the first of its runs is what it converges to, then the second-order method, then implicit Euler."""
    told = [*((method, dt) for dt in STEPS), *(("as it comes", dt) for dt in EULER)]
    right = np.array(runs[0][0])
    return [
        _row(f"{program}, {how}, {dt * 1000:g} us", round(END / dt), np.array(v), cpu, right)
        for (how, dt), (v, cpu) in zip(told, runs[1:], strict=True)
    ]


def _row(told: str, steps: int, v: np.ndarray, cpu: float, right: np.ndarray) -> str:
    late = 1000 * (spikes(v)[-1] - spikes(right)[-1]) if len(spikes(v)) == len(spikes(right)) else np.nan
    return f"| {told} | {steps} | {np.sqrt(np.mean((v - right) ** 2)):.3g} | {late:+.2g} | {cpu:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--neuron-python", default=sys.executable)
    parser.add_argument("--jaxley-python")
    parser.add_argument("--swc", help="a reconstructed cell")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    told = subprocess.run(
        [given.neuron_python, "-c", "import neuron; print(neuron.__version__)"], capture_output=True, text=True, check=True
    )
    tree = f"; the tree is {Path(given.swc).name}" if given.swc else ""
    command = "python benchmarks/potential.py --neuron-python PYTHON" + " --jaxley-python PYTHON" * bool(given.jaxley_python)
    command += f"{' --swc ' + Path(given.swc).name if given.swc else ''} --write"
    version = ""
    if given.jaxley_python:
        asked = [given.jaxley_python, "-c", "import jaxley; print(jaxley.__version__)"]
        version = ", Jaxley " + subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()[-1]
    lines = ["# Spiking cells against NEURON and Jaxley", "", " ".join((__doc__ or "").split("\n\n")[3].split()), ""]
    lines += [
        f"`{command}` on {platform.processor() or platform.machine()}, {os.cpu_count()} cores, NEURON {told.stdout.split()[-1]}{version}{tree}.",
        "",
    ]
    with tempfile.TemporaryDirectory() as folder:
        ball = Path(folder) / "ball.swc"
        ball.write_text(BALL)
        lines += compared("axon", given.neuron_python, given.jaxley_python, None)
        lines += compared("ball and stick", given.neuron_python, given.jaxley_python, str(ball))
        if given.swc:
            lines += compared("tree", given.neuron_python, given.jaxley_python, given.swc)
    print("\n".join(lines))
    if given.write:
        PAGE.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
