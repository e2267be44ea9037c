"""P1 (calcium wave on a coaxial neurite) in calcium-sim: prints one JSON line with cost, accuracy and memory.

The wave speed is measured as for the other simulators: a node is reached when calcium crosses 2 uM, and the speed is the slope of the
least-squares line through the arrivals between 20 and 80 % of the length.
"""

import time

START = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402

import numpy as np  # noqa: E402

import calcium_sim as cs  # noqa: E402
from calcium_sim.bench import coaxial, cpu_seconds  # noqa: E402

THRESHOLD = 2.0  # uM


def wave(ds):
    """Speed, arrival and peak in the middle."""
    arrival = cs.arrival_times(ds, threshold=THRESHOLD)
    x, t = arrival["distance"].values, arrival.values
    length = x.max()
    inside = (x > 0.2 * length) & (x < 0.8 * length) & np.isfinite(t)
    middle = int(np.argmin(np.abs(x - length / 2)))
    course = ds["ca"].values[:, arrival["node_index"].values[middle]]
    return {
        "speed_um_ms": float(1 / np.polyfit(x[inside], t[inside], 1)[0]) if inside.sum() > 4 else None,
        "arrive_mid_ms": float(t[middle]) if np.isfinite(t[middle]) else None,
        "peak_mid_uM": float(course.max()),
        "end_mid_uM": float(course[-1]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--length", type=float, default=50.0, help="um")
    parser.add_argument("--tstop", type=float, default=50.0, help="simulated time, ms")
    parser.add_argument("--dx", type=float, default=0.1, help="spacing, um")
    parser.add_argument("--dt", type=float, help="fixed step, ms (default: chosen by the error estimate)")
    parser.add_argument("--tolerance", type=float, help="tolerance of the error estimate")
    parser.add_argument("--save", type=float, default=0.05, help="output interval, ms")
    parser.add_argument("--receptor", default="ryr/keizer-levine", help="channel in place of the Keizer-Levine receptor")
    a = parser.parse_args()

    steps = {"dt": None if a.dt is None else f"{a.dt} ms", "tolerance": a.tolerance, "threads": 1, "every": f"{a.save} ms"}
    model = coaxial(a.length, a.dx, receptor=a.receptor)
    cs.simulate(model, until=f"{a.save} ms", **steps)  # compiles, or reads the compiled code of an earlier run
    ready, ready_cpu = time.perf_counter(), cpu_seconds()
    ds = cs.simulate(model, until=f"{a.tstop} ms", **steps)
    wall, cpu = time.perf_counter() - ready, cpu_seconds() - ready_cpu

    unknowns = 6 * round(a.length / a.dx)
    out = {
        "peer": "calcium-sim", "problem": "P1", "dx": a.dx, "dt": a.dt, "tolerance": a.tolerance, "receptor": a.receptor,
        "setup_s": ready - START, "setup_cpu_s": ready_cpu, "wall_s": wall, "cpu_s": cpu, "cpu_s_per_ms": cpu / a.tstop,
        "dofs": unknowns, "steps": int(ds.attrs["steps"]), "mdof_updates_per_cpu_s": unknowns * int(ds.attrs["steps"]) / cpu / 1e6,
        **wave(ds),
        "ledger_drift": float(ds.attrs["ledger_drift"]),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "total_s": round(time.perf_counter() - START, 3),
    }  # fmt: skip
    print(json.dumps({k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in out.items()}))


if __name__ == "__main__":
    main()
