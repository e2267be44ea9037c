"""P1 (calcium wave on a coaxial neurite) in calcium-sim: prints one JSON line with cost, accuracy and memory.

By default only the calcium of the cytosol is kept, as the scripts of the other simulators do; --dataset runs `simulate` instead, which
keeps all concentrations, fluxes, open probabilities and the ledger and returns a Dataset.

A node is reached when calcium crosses 2 uM, and the speed is the slope of the least-squares line through the arrivals between 20 and 80 %
of the length, as in the other scripts.
"""

import time

START = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
from contextlib import suppress  # noqa: E402

import numpy as np  # noqa: E402

import calcium_sim as cs  # noqa: E402
from calcium_sim.app.bench import coaxial, cpu_seconds  # noqa: E402
from calcium_sim.results.diagnostics import first_crossing  # noqa: E402

THRESHOLD = 2.0  # uM


def stepped(simulation, until, every):
    """Times [ms], calcium [times, nodes] and what the run says of itself."""
    times, calcium = [0.0], [simulation.concentration("ca")]
    for k in range(1, round(until / every) + 1):
        simulation.advance(k * every)
        times.append(simulation.t)
        calcium.append(simulation.concentration("ca"))
    return np.array(times), np.array(calcium), {"steps": simulation.control.steps, "rejected": simulation.control.rejected}


def recorded(model, until, every, **options):
    """The same through `simulate` and its Dataset, lowering included."""
    ds = cs.simulate(model, until=f"{until} ms", every=f"{every} ms", **options)
    told = {name: ds.attrs[name] for name in ("steps", "rejected", "ledger_drift")}
    return ds["time"].values, ds["ca"].values[:, ds["region"].values == "cytosol"], told


def wave(x, times, calcium):
    """Speed, arrival and peak in the middle."""
    t = first_crossing(times, calcium, THRESHOLD)
    length = x.max()
    inside = (x > 0.2 * length) & (x < 0.8 * length) & np.isfinite(t)
    middle = int(np.argmin(np.abs(x - length / 2)))
    return {
        "speed_um_ms": float(1 / np.polyfit(x[inside], t[inside], 1)[0]) if inside.sum() > 4 else None,
        "arrive_mid_ms": float(t[middle]) if np.isfinite(t[middle]) else None,
        "peak_mid_uM": float(calcium[:, middle].max()),
        "end_mid_uM": float(calcium[-1, middle]),
    }


def options():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=float, default=50.0, help="um (50)")
    parser.add_argument("--tstop", type=float, default=50.0, help="simulated time, ms (50)")
    parser.add_argument("--dx", type=float, default=0.1, help="spacing, um (0.1)")
    parser.add_argument("--dt", type=float, help="fixed step, ms (default: chosen by the error estimate)")
    parser.add_argument("--tolerance", type=float, help="tolerance of the error estimate")
    parser.add_argument("--save", type=float, default=0.05, help="output interval, ms (0.05)")
    parser.add_argument("--receptor", default="ryr/keizer-levine", help="channel in place of the Keizer-Levine receptor")
    parser.add_argument("--dataset", action="store_true", help="run `simulate`: everything recorded")
    return parser.parse_args()


def main():
    a = options()
    steps = {"dt": None if a.dt is None else f"{a.dt} ms", "tolerance": a.tolerance, "threads": 1}
    model = coaxial(a.length, a.dx, receptor=a.receptor)

    def ready_to_run():
        """All that comes before the loop, which is all of `simulate` for a Dataset."""
        if a.dataset:
            return lambda until: recorded(model, until, a.save, **steps)
        simulation = cs.Simulation(model, **steps)
        return lambda until: stepped(simulation, until, a.save)

    ready_to_run()(2.0)  # past the stimulus' end: compiles all paths, or reads the compiled code of an earlier run
    run = ready_to_run()
    ready, ready_cpu = time.perf_counter(), cpu_seconds()
    times, calcium, told = run(a.tstop)
    wall, cpu = time.perf_counter() - ready, cpu_seconds() - ready_cpu

    unknowns, count = 6 * round(a.length / a.dx), int(told["steps"])
    out = {
        "peer": "calcium-sim", "problem": "P1", "dx": a.dx, "dt": a.dt, "tolerance": a.tolerance,
        "receptor": a.receptor, "dataset": a.dataset,
        "setup_s": ready - START, "setup_cpu_s": ready_cpu, "wall_s": wall, "cpu_s": cpu, "cpu_s_per_ms": cpu / a.tstop,
        "dofs": unknowns, "mdof_updates_per_cpu_s": unknowns * count / cpu / 1e6, **told,
        **wave(model.mesh.distance[model.mesh.span("cytosol")], times, calcium),
        "total_s": round(time.perf_counter() - START, 3),
    }  # fmt: skip
    with suppress(ImportError):  # Windows has no such module
        import resource

        out["rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    print(json.dumps({k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in out.items()}, default=float))


if __name__ == "__main__":
    main()
