"""How well the waves of networks trained with several seeds run, in settings that are neither trained on nor judged in hybrid.py.

    python benchmarks/choose_seed.py ryr/dnn --seeds 0 1 2

Prints a line per seed: the error of the wave's speed (%) in each of `SETTINGS` with chosen steps. A network can follow random transients
more closely than another and carry a worse wave; near the limit of propagation (the first setting) errors show most.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from train_channels import CHANNELS

import calcium_sim as cs
from calcium_sim.diagnostics import first_crossing
from calcium_sim.learn.cli import fit_command
from calcium_sim.meshes import neurite
from calcium_sim.presets import breit_queisser

SETTINGS = (
    (1, 0.4, 0.15, 2.95, 155.0, 90.0),
    (1, 0.36, 0.14, 3.0, 150.0, 80.0),
    (1, 0.45, 0.18, 3.0, 100.0, 50.0),
    (1, 0.4, 0.15, 4.5, 150.0, 50.0),
    (2, 0.4, 0.15, 5.0, 100.0, 10.0),
    (2, 0.42, 0.16, 6.5, 45.0, 8.0),
    (2, 0.4, 0.15, 2.8, 150.0, 14.0),
)
"""Dimensions, radii of neurite and ER [um], receptors per um^2, buffer [uM], duration [ms]."""


def speed(setting, receptor):
    """Speed beside the ER [um/ms]; NaN where no wave arrives."""
    dims, radius, er, density, buffer, until = setting
    length = 40.0 if dims == 1 else 14.0
    across = {"radial_spacing": "0.025 um"} if dims == 2 else {}
    mesh = neurite(f"{length} um", f"{radius} um", er_radius=f"{er} um", spacing="0.05 um", dims=dims, **across)
    model = breit_queisser(mesh, ryr_density=f"{density} 1/um^2", buffer=f"{buffer} uM").swap("ryr/keizer-levine", receptor)
    sim, columns = cs.Simulation(model), len(mesh.membranes["er"].area)
    t, c = [], []
    for k in range(1, round(until / 0.05) + 1):
        sim.advance(0.05 * k)
        t.append(sim.t)
        c.append(sim.concentration("ca").reshape(columns, -1)[:, 0])
    x = mesh.distance[mesh.span("cytosol")].reshape(columns, -1)[:, 0]
    arrival = first_crossing(np.array(t), np.array(c), 0.2)
    inside = (x > 0.3 * length) & (x < 0.8 * length)
    return 1 / np.polyfit(x[inside], arrival[inside], 1)[0] if np.isfinite(arrival[inside]).all() else np.nan


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[n for n, (source, _) in CHANNELS.items() if source == "ryr/keizer-levine"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    a = parser.parse_args()
    source, options = CHANNELS[a.name]
    expected = [speed(s, source) for s in SETTINGS]
    for seed in a.seeds:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "trained.npz"
            fit_command(source, target, name=a.name, **options | {"seed": seed}).save(target.with_suffix(".pt"))
            found = [speed(s, cs.load_channel(target)) for s in SETTINGS]
        print(f"seed {seed}:", *(f"{100 * (f / e - 1):+.2f}" for f, e in zip(found, expected, strict=True)), flush=True)


if __name__ == "__main__":
    main()
