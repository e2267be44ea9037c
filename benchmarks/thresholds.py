"""Threshold ER radius of calcium waves in a 2-D rotationally symmetric dendrite, against the published table.

Breit & Queisser 2018 (doi 10.1186/s13408-018-0064-x): a dendrite of 50 um and radius R with a coaxial ER tube of radius r; a calcium pulse
enters one end face. A wave has run when the mean calcium of the far cytosolic end face exceeds 0.2 uM within 1 s; a run is given up when
the largest ryanodine receptor flux has fallen below a quarter of its running maximum. r is bisected to 0.001 um; the threshold is the
middle of the last bracket. Every entry is done on two grids, so that the mesh error can be seen.

    python benchmarks/thresholds.py [--entries 0.2:1 0.5:1] [--spacing 0.1 0.05] [--out docs/benchmarks]
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import calcium_sim as cs
from calcium_sim.meshes import neurite

PUBLISHED = {  # (R um, density 1/um^2): threshold r um
    (0.1, 1.0): 0.034, (0.1, 2.5): 0.024, (0.2, 0.25): 0.141, (0.2, 1.0): 0.085, (0.2, 2.5): 0.055, (0.2, 5.0): 0.040,
    (0.4, 1.0): 0.204, (0.4, 2.5): 0.112, (0.4, 4.5): 0.070, (0.5, 1.0): 0.265, (0.5, 2.5): 0.128, (0.5, 3.5): 0.093,
}  # fmt: skip
DEFAULT = [(0.1, 1.0), (0.2, 1.0), (0.2, 2.5), (0.4, 2.5), (0.4, 4.5), (0.5, 2.5), (0.5, 3.5), (0.5, 1.0)]
LENGTH, REST, END, LOOK = 50.0, 0.05, 1000.0, 1.0


def grid(radius, er_radius, spacing):
    """The (z, r) mesh: radial cells no wider than a quarter of the ER radius and an eighth of the cytosol's width."""
    radial = min(er_radius / 4, (radius - er_radius) / 8)
    sizes = {"length": LENGTH, "radius": radius, "er_radius": er_radius, "spacing": spacing, "radial_spacing": radial * spacing / 0.1}
    return neurite(**{name: f"{size!r} um" for name, size in sizes.items()}, dims=2)


def runs_through(radius, er_radius, density, spacing, tolerance=None):
    """Whether a wave reaches the far end, and when it did or was given up [ms]."""
    model = cs.presets.breit_queisser(grid(radius, er_radius, spacing), ryr_density=f"{density} 1/um^2")
    simulation = cs.Simulation(model, tolerance=tolerance)
    mesh = model.mesh
    face = mesh.faces["right"]
    local = face.nodes.astype(int) - mesh.span("cytosol").start
    release = next(g for g in simulation.plan.gauges if g.label == "ryr/keizer-levine")
    strongest = 0.0
    for k in range(1, round(END / LOOK) + 1):
        simulation.state.moved[:] = 0.0
        simulation.advance(k * LOOK)
        if np.average(simulation.concentration("ca")[local], weights=face.area) > 4 * REST:
            return True, simulation.t
        flux = simulation.state.moved[release.moved].max() / LOOK
        strongest = max(strongest, flux)
        if flux < 0.25 * strongest:
            return False, simulation.t
    return False, simulation.t


def threshold(radius, density, spacing, guess, width=0.02):
    """Bisect the ER radius to 0.001 um, from a bracket around a guess that is widened until it holds the threshold."""
    low, high = max(guess - width, 0.008), min(guess + width, 0.9 * radius)
    while runs_through(radius, low, density, spacing)[0]:
        low, high = max(low - 2 * width, 0.004), low
    while not runs_through(radius, high, density, spacing)[0]:
        low, high = high, min(high + 2 * width, 0.95 * radius)
    while high - low > 0.001:
        middle = 0.5 * (low + high)
        if runs_through(radius, middle, density, spacing)[0]:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high)


def table(rows, spacings):
    """The results as a markdown table."""
    heads = ["R [um]", "density [1/um^2]", "published r* [um]", *(f"dz = {s} um" for s in spacings), "difference on the finest grid [um]"]
    lines = [" | ".join(heads), " | ".join(["---"] * len(heads))]
    for row in rows:
        found = [f"{row['found'][str(s)]:.4f}" for s in spacings]
        off = row["found"][str(spacings[-1])] - row["published"]
        lines.append(" | ".join([f"{row['R']}", f"{row['density']}", f"{row['published']:.3f}", *found, f"{off:+.4f}"]))
    return "\n".join(f"| {line} |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", nargs="*", default=[f"{r}:{d}" for r, d in DEFAULT], help="R:density of the table")
    parser.add_argument("--spacing", nargs="*", type=float, default=[0.1, 0.05], help="axial spacings, um; the radial cells go along")
    parser.add_argument("--out", type=Path, help="folder for thresholds.json and thresholds.md")
    a = parser.parse_args()
    rows = []
    for entry in a.entries:
        radius, density = (float(x) for x in entry.split(":"))
        published = PUBLISHED[radius, density]
        row = {"R": radius, "density": density, "published": published, "found": {}, "cpu_s": 0.0}
        guess, width, began = published, 0.02, time.process_time()
        for spacing in a.spacing:
            guess = threshold(radius, density, spacing, guess, width)
            row["found"][str(spacing)] = guess
            width = 0.002
        row["cpu_s"] = round(time.process_time() - began, 1)
        rows.append(row)
        print(json.dumps(row), flush=True)
        if a.out:
            a.out.mkdir(parents=True, exist_ok=True)
            (a.out / "thresholds.json").write_text(json.dumps({"spacings": a.spacing, "rows": rows}, indent=1) + "\n")
            (a.out / "thresholds.md").write_text(__doc__.split("\n\n")[0] + "\n\n" + table(rows, a.spacing) + "\n")


if __name__ == "__main__":
    main()
