"""A pyramidal cell of the hippocampus reduced to one compartment: error over seeds, other currents, and CPU time beside the whole tree.

    OMP_NUM_THREADS=1 python benchmarks/learn_reduce.py ca1_n120.swc [--seeds 5] [--write]

One position per unbranched section (157), Pospischil's channels everywhere (Na 50, K 5, M 0.004 with 4 s, leak 0.1 mS/cm^2 at -70 mV), 0.65 nA into
the soma from 10 to 50 ms. CPU times are of runs of 2 s with the current every 70 ms and no output in between, the second of two.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

import calcium_sim as cs
from calcium_sim.meshes import from_swc

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "learn_reduce.md"
FIGURE = PAGE.parent / "learn_reduce.png"


def tree(path: str) -> cs.Model:
    channels = [
        cs.get_channel("na/pospischil")(),
        cs.get_channel("k/pospischil")(),
        cs.get_channel("km/pospischil")(g="0.004 mS/cm^2", tau_max="4000 ms"),
        cs.get_channel("leak/ohmic")(g="0.1 mS/cm^2", e="-70 mV"),
    ]
    mesh = from_swc(path, "1000 um", er_fraction=None)
    clamp = cs.CurrentClamp("soma", "0.65 nA", "40 ms", start="10 ms")
    return cs.Model(mesh, [], {"plasma": channels}, voltage=cs.Cable(initial="-70 mV"), stimuli=[clamp])


def at_soma(model: cs.Model, until: float, **options) -> np.ndarray:
    ds = cs.simulate(model, f"{until} ms", "0.1 ms", record=[], **options)
    return ds.v.values[:, 0]


def crossings(v: np.ndarray) -> np.ndarray:
    """Times [ms] at which -10 mV is crossed upward."""
    k = np.flatnonzero((v[:-1] < -10) & (v[1:] >= -10))
    return 0.1 * (k + (-10 - v[k]) / (v[k + 1] - v[k]))


def cpu(model: cs.Model, **options) -> float:
    """Seconds of CPU of 2 s, with everything compiled."""
    long = replace(model, stimuli=[replace(s, period="70 ms", count=28) for s in model.stimuli])
    for _ in range(2):
        begun = time.process_time()
        cs.simulate(long, "2 s", "2 s", record=[], **options)
        seconds = time.process_time() - begun
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("swc")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    model, found = tree(given.swc), []
    lines = ["# A neuron as one compartment", "", " ".join(__doc__.split("\n\n")[2].split()), ""]
    lines += [f"`OMP_NUM_THREADS=1 python benchmarks/learn_reduce.py ca1_n120.swc --seeds {given.seeds} --write`", ""]
    lines += [
        "| seed | error, mV | CPU s of the fit | 80 ms of current: spikes, largest error of their times, ms | +20 % | -20 % |",
        "|---|---|---|---|---|---|",
    ]
    other = {"long": ("0.65 nA", 80.0, 100.0), "more": ("0.78 nA", 40.0, 70.0), "less": ("0.52 nA", 40.0, 70.0)}
    clamps = {name: cs.CurrentClamp("soma", current, f"{length} ms", start="10 ms") for name, (current, length, _) in other.items()}
    true = {name: crossings(at_soma(replace(model, stimuli=[clamps[name]]), other[name][2], tolerance=1e-4)) for name in other}
    for seed in range(given.seeds):
        r = cs.learn.reduce(model, rng=seed)
        found.append(r)
        cells = []
        for name in other:
            one = replace(r.model(), stimuli=[replace(clamps[name], at=0)])
            times = crossings(at_soma(one, other[name][2], tolerance=1e-4))
            same = len(times) == len(true[name])
            cells.append(
                f"{len(times)} of {len(true[name])}" + (f", {np.abs(times - true[name]).max():.2g}" if same and len(times) else "")
            )
        lines.append(f"| {seed} | {r.error:.2g} | {r.seconds:.1f} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    best = min(found, key=lambda r: r.error)
    best.plot(FIGURE)
    small, exact = best.model(), best.target.voltage
    lines += [
        "",
        "| steps | CPU s, tree | CPU s, compartment | ratio | error of the tree, mV | of the compartment |",
        "|---|---|---|---|---|---|",
    ]
    for name, options in (
        ("25 us", {"dt": "0.025 ms"}),
        ("12.5 us", {"dt": "0.0125 ms"}),
        ("as they come", {}),
        ("tolerance 1e-4", {"tolerance": 1e-4}),
    ):
        a, b = cpu(model, **options), cpu(small, **options)
        errors = [np.sqrt(np.mean((at_soma(m, 70.0, **options) - exact) ** 2)) for m in (model, small)]
        lines.append(f"| {name} | {a:.2f} | {b:.2f} | {a / b:.1f} | {errors[0]:.2g} | {errors[1]:.2g} |")
        print(lines[-1], flush=True)
    lines += ["", "Errors are to the tree at a tolerance of 1e-5, discretisation included."]
    lines += ["", f"![Potential at the soma of the tree, and of the compartment]({FIGURE.name})"]
    print("\n".join(lines))
    if given.write:
        PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
