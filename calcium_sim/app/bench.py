"""Benchmarks: a table of cases and a runner that reports CPU seconds, nanoseconds per node-step by phase, and the machine.

CPU seconds are user plus system time of this process and its finished children. Figures of two machines, or of two days, must not be
compared: measure both sides in one run.
"""

from __future__ import annotations

import json
import os
import platform
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import InputError, ModelWarning, nearest
from ..mesh import Columns, within
from ..meshes import neurite
from ..model import Model
from ..model.stimuli import Influx
from ..presets import calcsim_cable
from ..run.simulation import Simulation, simulate

CONVERGED_SPEED = 1.654
"""Wave speed of P1 at spacing 0.1 um, converged in time [um/ms]; BDF and CVode solutions of the same equations agree within 0.03 %."""


@dataclass(frozen=True)
class Case:
    """A benchmark: what it is, the model, and how long it runs [ms]."""

    about: str
    model: Callable[[], Model]
    until: float
    every: float


def coaxial(length: float, spacing: float, dims: int = 1, receptor: str = "ryr/keizer-levine") -> Model:
    """P1: a calcium wave on a neurite of radius 0.4 um with an ER of radius 0.2 um, started by 2 uM um/ms over the first 2 um for 1 ms.

    Parameters are those of the preset `calcsim_cable`: 3 receptors, 2390 SERCA, 500 PMCA and 15 NCX per um^2, 40 uM calbindin, leaks that
    balance.
    The leak through the plasma membrane is P (c_out - c) with c_out = 1000 uM; a constant leak, as other tools state it, is the same at
    rest and 3 % larger at the peak, where this term is small.

    Parameters
    ----------
    length, spacing : um.
    dims : 1, or 2 for (z, r).
    receptor : channel that takes the place of the Keizer-Levine receptor.
    """
    mesh = neurite(length=f"{length} um", radius="0.4 um", er_radius="0.2 um", spacing=f"{spacing} um", dims=dims)
    push = Influx("ca", at=within("0 um", "2 um"), flux="2 uM*um/ms", duration="1 ms", through="plasma")
    return calcsim_cable(mesh, ryr=receptor, stimulus=push)


REPEAT = 20

CASES = {
    "p1": Case("wave on a coaxial neurite, 500 positions, six unknowns each", lambda: coaxial(50.0, 0.1), 50.0, 0.5),
    "cable": Case("the same on 5000 positions", lambda: coaxial(500.0, 0.1), 20.0, 0.5),
    "rz": Case("the same in (z, r), 25 um", lambda: coaxial(25.0, 0.1, dims=2), 10.0, 0.5),
}


def cpu_seconds() -> float:
    """User and system seconds of this process and its finished children."""
    try:
        import resource
    except ImportError:  # Windows, where no child's time is known
        return time.process_time()
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def machine() -> dict[str, Any]:
    """Processor, cores, system, and versions of what was measured."""
    names = ("calcium-sim", "numba", "numpy", "scipy", "xarray")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in names},
    }


def _processor() -> str:
    try:
        rows = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((row.partition(":")[2].strip() for row in rows if row.startswith("model name")), platform.machine())


def measure(name: str, **options: Any) -> dict[str, Any]:
    """Run one case twice, because the first run compiles or reads compiled code, and return the figures of the second.

    Parameters
    ----------
    name : key of `CASES`.
    options : `dt`, `tolerance`, `threads` as in `simulate`.

    Raises
    ------
    InputError
        If the case is unknown.
    """
    if name not in CASES:
        raise InputError("bench", f"unknown case '{name}'{nearest(name, CASES)}; there are {', '.join(CASES)}")
    case = CASES[name]
    start = cpu_seconds()
    model = case.model()
    until, every = f"{case.until} ms", f"{case.every} ms"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)  # P1 is thick in one dimension, as in the other simulators
        simulate(model, until, every, **options)
        ready, wall = cpu_seconds(), time.perf_counter()
        ds = simulate(model, until, every, **options)
    cpu, wall = cpu_seconds() - ready, time.perf_counter() - wall
    nodes, steps = ds.sizes["node"], int(ds.attrs["steps"])
    phases = json.loads(ds.attrs["phase_seconds"])
    positions = nodes / len(model.mesh.regions) if isinstance(model.mesh.structure, Columns) else nodes
    return {
        "case": name,
        "about": case.about,
        "nodes": nodes,
        "steps": steps,
        "rejected": int(ds.attrs["rejected"]),
        "scheme": ds.attrs["scheme"],
        "first_run_cpu_s": ready - start,
        "cpu_s": cpu,
        "wall_s": wall,
        "cpu_s_per_ms": cpu / case.until,
        "seconds": phases,
        "ns_per_node_step": {"whole step": 1e9 * phases["steps"] / (positions * steps), **phase_costs(model, positions)},
        "ledger_drift": float(ds.attrs["ledger_drift"]),
    }


def phase_costs(model: Model, positions: float, rounds: int = 10) -> dict[str, float]:
    """CPU nanoseconds per position of each phase of a step, the smallest of some rounds of calls on the state after 1 ms.

    Schemes whose step is one fused kernel have no phases to time apart.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        simulation = Simulation(model, dt="0.02 ms")
    simulation.advance(1.0)
    out = {}
    for name, phase in simulation.stepper.timed(simulation.state, 0.02).items():
        best = float("inf")
        for _ in range(rounds):
            began = time.process_time()
            for _ in range(REPEAT):
                phase()
            best = min(best, (time.process_time() - began) / REPEAT)
        out[name] = 1e9 * best / positions
    return out


def bench(names: Sequence[str] = (), json_path: str | Path | None = None, **options: Any) -> dict[str, Any]:
    """Measure cases (all by default) and return, or also write, one JSON document with the machine and the figures of each."""
    report = {"machine": machine(), "options": options, "cases": [measure(name, **options) for name in names or CASES]}
    if json_path is not None:
        Path(json_path).write_text(json.dumps(report, indent=1) + "\n")
    return report


def table(report: dict[str, Any]) -> str:
    """The figures of a report as lines of text."""
    rows = [f"{'case':8} {'nodes':>7} {'steps':>7} {'CPU s':>8} {'CPU s/ms':>9} {'first s':>8}  ns per node-step by phase"]
    for c in report["cases"]:
        phases = ", ".join(f"{phase} {ns:.1f}" for phase, ns in c["ns_per_node_step"].items())
        cost = f"{c['cpu_s']:8.3f} {c['cpu_s_per_ms']:9.5f} {c['first_run_cpu_s']:8.2f}"
        rows.append(f"{c['case']:8} {c['nodes']:7d} {c['steps']:7d} {cost}  {phases}")
    return "\n".join(rows)
