"""How well the waves of networks trained with several seeds run, in settings that are neither trained on nor judged in hybrid.py.

    python benchmarks/choose_seed.py ryr/dnn --seeds 0 1 2

Prints a line per seed: the error of the wave's speed (%) in each setting of `learn.settings.CHOICE` with chosen steps. A network can
follow random transients more closely than another and carry a worse wave; near the limit of propagation (the first setting) errors show
most.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from train_channels import CHANNELS

import calcium_sim as cs
from calcium_sim.app.fit import fit_command
from calcium_sim.learn.data.settings import CHOICE
from calcium_sim.learn.data.waves import wave_model
from calcium_sim.meshes import neurite
from calcium_sim.results.diagnostics import first_crossing

ODE = "ryr/keizer-levine"


def speed(setting, receptor):
    """Speed beside the ER [um/ms]; NaN where no wave arrives."""
    dims, s = setting
    length = 60.0 if dims == 1 else 14.0
    across = {"radial_spacing": "0.025 um"} if dims == 2 else {}
    mesh = neurite(f"{length} um", f"{s.radius} um", er_radius=f"{s.er_radius} um", spacing="0.05 um", dims=dims, **across)
    model = wave_model(s, mesh)
    if receptor != ODE:
        model = model.swap(ODE, receptor)
    until = 130.0 if dims == 1 else 14.0
    sim, columns = cs.Simulation(model), len(mesh.membranes["er"].area)
    t, c = [], []
    for k in range(1, round(until / 0.05) + 1):
        sim.advance(0.05 * k)
        t.append(sim.t)
        c.append(sim.concentration("ca").reshape(columns, -1)[:, 0])
        if c[-1][-1] > 1.0:
            break
    x = mesh.distance[mesh.span("cytosol")].reshape(columns, -1)[:, 0]
    arrival = first_crossing(np.array(t), np.array(c), max(0.2, 2.0 * s.rest))
    inside = (x > 0.5 * length) & (x < 0.9 * length)
    return 1 / np.polyfit(x[inside], arrival[inside], 1)[0] if np.isfinite(arrival[inside]).all() else np.nan


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[n for n, (source, _) in CHANNELS.items() if source == "ryr/keizer-levine"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    a = parser.parse_args()
    source, options = CHANNELS[a.name]
    expected = [speed(s, source) for s in CHOICE]
    for seed in a.seeds:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "trained.npz"
            fit_command(source, target, name=a.name, **options | {"seed": seed}).save(target.with_suffix(".pt"))
            found = [speed(s, cs.load_channel(target)(density=f"{s[1].density} 1/um^2")) for s in CHOICE]
        print(f"seed {seed}:", *(f"{100 * (f / e - 1):+.2f}" for f, e in zip(found, expected, strict=True)), flush=True)


if __name__ == "__main__":
    main()
