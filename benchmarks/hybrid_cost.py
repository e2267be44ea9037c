"""What a network at every membrane node and every step costs: CPU time of hybrid over ODE receptor, same mesh, same fixed steps, one run.

Every simulation is brought to 3 ms, when the wave runs; then each in turn repeats the same stretch from the same state, and the smallest
CPU time counts. One thread. Writes hybrid_cost.json and hybrid_cost.md into docs/benchmarks.

    NUMBA_NUM_THREADS=1 python benchmarks/hybrid_cost.py
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from studies import cable, write

import calcium_sim as cs
from calcium_sim.meshes import neurite
from calcium_sim.results.diagnostics import first_crossing

ODE, DT = "ryr/keizer-levine", 0.0125
GRIDS = ((64.0, 0.1, 0.02), (40.0, 0.1, 0.01), (20.0, 0.1, 0.005))
"""Length, spacing along and across [um]."""
ACTIVE = (0.02, 0.05, 0.1)


class Gate(torch.nn.Module):
    """Two-state receptor plus a random 3-20-20-20-2 tanh network times 1e-12: what counts is that it is evaluated."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        linear, tanh = torch.nn.Linear, torch.nn.Tanh
        self.net = torch.nn.Sequential(linear(3, 20), tanh(), linear(20, 20), tanh(), linear(20, 20), tanh(), linear(20, 2))

    def forward(self, s: torch.Tensor, x: torch.Tensor, dx: torch.Tensor):
        z = self.net(torch.cat([s, x, dx], dim=1)) * 1e-12
        power = x * x * x * x
        return 1.5 * power + torch.exp(z[:, 0:1]) * 1e-6, 0.03 * torch.exp(z[:, 1:2])


def tanh_20(density):
    """The channel of `Gate`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tanh-20.pt"
        inputs = {"ca@cytosol": ("uM", 0.001, 100.0, 1000.0)}
        cs.export_channel(Gate(), path, name="ryr/tanh-20", kind="rates", inputs=inputs, states={"P": "steady"}, licence="Apache-2.0")
        channel = cs.load_channel(path)
        made = channel(density=density)
        channel.gate.module()  # while the file is there
    return made


def fastest(runs, stretch, rounds):
    """Smallest CPU seconds over a stretch [ms] of every (model, options), alternating."""
    sims = [cs.Simulation(model, dt=f"{DT} ms", threads=1, **options) for model, options in runs]
    for sim in sims:
        sim.advance(3.0)
    saved = [sim.state.copy() for sim in sims]
    best = [np.inf] * len(sims)
    for _ in range(rounds):
        for k, (sim, state) in enumerate(zip(sims, saved, strict=True)):
            sim.state.assign(state)
            begin = time.process_time()
            sim.advance(3.0 + stretch)
            best[k] = min(best[k], time.process_time() - begin)
    return best


def speed(model, until, **options):
    """Speed of the wave on a cable [um/ms]."""
    sim, t, c = cs.Simulation(model, dt=f"{DT} ms", **options), [], []
    for k in range(1, round(until / 0.1) + 1):
        sim.advance(0.1 * k)
        t.append(sim.t)
        c.append(sim.concentration("ca"))
    x = model.mesh.distance[model.mesh.span("cytosol")]
    inside = (x > 0.3 * x.max()) & (x < 0.8 * x.max())
    return 1 / np.polyfit(x[inside], first_crossing(np.array(t), np.array(c), 0.2)[inside], 1)[0]


def on_cables(rounds, net):
    """Rows: buffer, length, receptor, active, ns per position and step, ratio, change of the wave's speed by `active`."""
    rows = []
    for total, length, until in ((40.0, 20.0, 16.0), (40.0, 50.0, 40.0), (160.0, 20.0, 36.0), (160.0, 50.0, 90.0)):
        model = cable(0.05, length, total=total)
        dnn, other = model.swap(ODE, "ryr/dnn"), model.swap(ODE, net)
        runs = [(model, {}), (dnn, {}), (other, {}), *((dnn, {"active": a}) for a in ACTIVE)]
        names = [ODE, "ryr/dnn (3-32-32-2)", "3-20-20-20-2", *["ryr/dnn (3-32-32-2)"] * len(ACTIVE)]
        stretch = length / 5
        seconds, reference = fastest(runs, stretch, rounds), speed(dnn, until)
        for name, (m, options), s in zip(names, runs, seconds, strict=True):
            change = f"{100 * (speed(m, until, **options) / reference - 1):+.3f} %" if options else ""
            cost = s / (stretch / DT) / (length / 0.05) * 1e9
            rows.append([total, length, name, options.get("active", "off"), cost, s / seconds[0], change])
            print(rows[-1], flush=True)
    return rows


def on_grids(rounds, net):
    """Rows: nodes, share of nodes with a network, ns per slice and step, ratios."""
    rows = []
    for length, along, across in GRIDS:
        mesh = neurite(f"{length} um", "0.4 um", "0.15 um", f"{along} um", dims=2, radial_spacing=f"{across * 1.001} um")
        model = replace(cable(length=length, total=40.0), mesh=mesh)
        seconds = fastest([(model, {}), (model.swap(ODE, "ryr/dnn"), {}), (model.swap(ODE, net), {})], 0.5, rounds)
        slices = len(mesh.membranes["er"].area)
        cost = [s / (0.5 / DT) / slices * 1e9 for s in seconds]
        rows.append([mesh.nodes, f"{100 * slices / mesh.nodes:.2f} %", *cost, cost[1] / cost[0], cost[2] / cost[0]])
        print(rows[-1], flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    net = tanh_20("3 /um^2")
    grids, cables = on_grids(rounds, net), on_cables(rounds, net)
    head = ["nodes", "of them with a network", "ODE ns per slice", "ryr/dnn (3-32-32-2)", "3-20-20-20-2"]
    head += ["ratio 3-32-32-2", "ratio 3-20-20-20-2"]
    text = """\
Rotationally symmetric neurite, 40 uM buffer, steps of 12.5 us: 21, 40 and 80 cells across, of which one sees the
receptors. Networks run once per step. Nanoseconds per slice and step."""
    other = """\
A cable with a network at every position (0.05 um), which runs once per step. `active=a` (off by default) runs it
only in groups of 64 positions where one of its inputs has moved by the fraction a since it ran last; the last column
says what that does to the wave's speed. What it saves depends on how much of the cable the wave fills."""
    columns = ["buffer uM", "length um", "receptor", "active", "ns per position", "ratio to ODE", "change of speed"]
    sections = [("2-D", text, head, grids), ("1-D", other, columns, cables)]
    write("hybrid_cost", "Cost of networks in place of the ryanodine receptor", sections)


if __name__ == "__main__":
    main()
