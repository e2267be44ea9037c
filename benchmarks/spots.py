"""Spots behind the wave in calcium-sim: on the cable of behind_the_wave.py, by spacing and buffer, and in the demo. One minute.

Writes docs/benchmarks/spots.md and .json, and the pictures of the demo that README shows: docs/figures/kymograph.png and arrival.png.
"""

import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import studies
from behind_the_wave import RADII, spots

import calcium_sim as cs
from calcium_sim.meshes.columns import columns_mesh
from calcium_sim.presets import breit_queisser
from calcium_sim.results.diagnostics import wave_path

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
CASES = [(0.1, 160.0), (0.05, 160.0), (0.025, 160.0), (0.05, 80.0), (0.05, 40.0)]  # spacing [um], buffer [uM]


def widening(spacing, length=70.0):
    """Mesh of a cable of R = 0.09 um that widens to 0.15 um from 30 to 33.7 um, the ER half as wide."""
    n = round(length / spacing)
    x, edges = (np.arange(n) + 0.5) * spacing, np.arange(1, n) * spacing
    radius, between = (np.interp(at, (30.0, 33.7), RADII) for at in (x, edges))
    share = np.array([[0.75], [0.25]])
    conductance = np.concatenate([np.zeros((2, 1)), share * np.pi * between**2 / spacing], axis=1)
    nothing = 0.0 * x
    return columns_mesh(
        ("cytosol", "er"), parent=np.concatenate([[0], np.arange(n - 1)]), volume=share * np.pi * radius**2 * spacing,
        conductance=conductance, position=np.stack([x, nothing, nothing], axis=1), distance=x,
        membranes={
            "plasma": (("cytosol", "outside"), 2 * np.pi * radius * spacing),
            "er": (("er", "cytosol"), np.pi * radius * spacing),
        },
        ends={"left": ("cytosol", np.array([0]), 0.75 * np.pi * radius[:1] ** 2)},
    )  # fmt: skip


def told(found):
    return ", ".join(f"{p:.2f} um {v:.2f} uM" for p, v in found) or "none"


def on_the_cable():
    rows = []
    for spacing, total in CASES:
        model = breit_queisser(widening(spacing), ryr_density="5 /um^2", buffer=f"{total} uM")
        ds = cs.simulate(model, until="300 ms", every="50 ms", record=["ca"])
        c = ds.ca.sel(region="cytosol")
        now = c.values[-1]
        x = c.distance.values
        rows.append([spacing, total, told(spots(x, c.values[4])), told(spots(x, now)), float(now[(x > 20) & (x < 50)].min())])
        print(rows[-1], flush=True)
    return rows


def in_the_demo():
    """Spots along the way of the demo's wave at its end, and its pictures into docs/figures."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "calcium_sim.app.cli", "demo"], cwd=folder, check=True)
        made = Path(folder) / "calcium-sim-demo"
        shutil.copy(made / "granule-cell.png", FIGURES / "kymograph.png")
        shutil.copy(made / "granule-cell-arrival.png", FIGURES / "arrival.png")
        ds = cs.open(made / "granule-cell.nc")
    path = wave_path(ds)
    return [[float(t), told(spots(path.position, ds.ca.sel(time=t).values[path.nodes], 3.0, 230.0))] for t in (200.0, 250.0, 300.0)]


def main():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows, demo = on_the_cable(), in_the_demo()
    text = "Between 27 and 39.7 um, on a cable of 0.09 um that widens to 0.15 um from 30 to 33.7 um; lowest calcium between 20 and 50 um."
    names = ["spacing [um]", "buffer [uM]", "spots at 200 ms", "at 300 ms", "lowest at 300 ms [uM]"]
    sections = [("A cable that widens", text, names, rows)]
    sections += [("The demo", "Places along the way of the wave, those of its ends apart.", ["time [ms]", "spots"], demo)]
    studies.write("spots", "Spots behind the wave, in calcium-sim", sections)


if __name__ == "__main__":
    main()
