"""A calcium wave over whole reconstructed neurons, refined four times: arrival times, map, kymograph. Half an hour of CPU for CA1.

``python benchmarks/trees.py [granule] [ca1]``; the CA1 cell needs its SWC file: ``--ca1 path/to/ca1_n120.swc``.
"""

import argparse

import numpy as np
from studies import REST, write

import calcium_sim as cs
from calcium_sim.app.bench import cpu_seconds
from calcium_sim.meshes import example, from_swc

ER_PER_CYTOSOL = 2.2
"""Least ER membrane per volume of cytosol [1/um]: that of the reference neurite (R = 0.4, r = 0.15 um)."""

ASSUMPTIONS = (
    "ER: a coaxial tube of 17 % of every cross-section (radius 0.41 of the neurite's), continuous through branch points and soma; where it "
    f"gives less than {ER_PER_CYTOSOL} um^2 of ER membrane per um^3 of cytosol (radius above 0.45 um, soma), the flux "
    "densities of the ER are multiplied up to it, since a real ER folds into sheets there. Channels: 3 RyR (Keizer-Levine) per um^2, leak "
    "0.038 um/s, SERCA by balance, PMCA 500, NCX 15 per um^2, leak by balance, 40 uM calbindin sites (with 160 uM the wave dies in the "
    "dendrite). Start: 5 uM um/ms through the plasma membrane within 3 um of one tip for 1 ms. Arrival: first crossing of 0.2 uM."
)

REMAINS = (
    "Places reached later than 20 ms. The error left is that of space, largest where the front is thinnest: on a straight cable with these "
    "channels the speed is 1.62, 1.69, 1.753, 1.785, 1.798 um/ms at 0.6, 0.3, 0.15, 0.075, 0.0375 um where the radius is 0.24 um, and 1.27, "
    "1.34, 1.388, 1.408, 1.413 um/ms where it is 0.4 um; second order shows below 0.15 um. With a radius of 0.05 um it is 3.37, 3.45, 3.48 "
    "um/ms at 0.1, 0.05, 0.025 um. A tenth of the tolerance moves the arrivals by 0.1 %, at most 0.4 %. The wave waits at the soma until that "
    "has been loaded with calcium."
)


def model(path, spacing, tip):
    """The wave on the tree of an SWC file, started at one of its tips."""
    mesh = from_swc(path, f"{spacing} um")
    n = mesh.nodes // 2
    factor = np.maximum(1.0, ER_PER_CYTOSOL / (mesh.membranes["er"].area / mesh.volume[:n]))
    start = mesh.position[mesh.faces[f"tip-{tip}"].nodes[0]]
    get = cs.get_channel

    def folded(x, y, z):
        return factor

    def near(x, y, z):
        return (x - start[0]) ** 2 + (y - start[1]) ** 2 + (z - start[2]) ** 2 < 9.0

    return cs.Model(
        mesh,
        species=[cs.Species("ca", {"cytosol": "220 um^2/s", "er": "220 um^2/s"}, REST)],
        buffers=[cs.Buffer("calbindin", "ca", "cytosol", "40 uM", "27 /uM/s", "19 /s", "20 um^2/s")],
        membranes={
            "er": [
                get("ryr/keizer-levine")(density="3 /um^2", scale=folded),
                get("leak/linear")(permeability="0.038 um/s", scale=folded),
                get("serca/er-inhibited")(density=cs.BALANCE),
            ],
            "plasma": [get("pmca/hill2")(), get("ncx/hill1")(), get("leak/linear")(permeability=cs.BALANCE)],
        },
        stimuli=[cs.Influx("ca", at=near, flux="5 uM um/ms", duration="1 ms", through="plasma")],
    )


def spread(m, until, every=0.25, keep=2.0):
    """Arrival at every node (logarithmic in c between observations), frames every `keep` ms, the simulation, CPU seconds."""
    sim = cs.Simulation(m)
    cs.Simulation(m).advance(1e-3)
    began = cpu_seconds()
    last = sim.concentration("ca")
    arrival, frames = np.full(len(last), np.nan), [last.astype(np.float32)]
    for k in range(1, round(until / every) + 1):
        sim.advance(k * every)
        c = sim.concentration("ca")
        new = (c >= 0.2) & np.isnan(arrival)
        arrival[new] = sim.t - every * np.log(c[new] / 0.2) / np.log(c[new] / last[new])
        last = c
        if k % round(keep / every) == 0:
            frames.append(c.astype(np.float32))
        if np.isfinite(arrival).all() and sim.t > np.nanmax(arrival) + 20:
            break
    return arrival, np.array(frames), sim, cpu_seconds() - began


def ends(m):
    """Nodes of the soma and of the tips, the same places on every spacing."""
    return np.array([0, *(int(m.mesh.faces[f].nodes[0]) for f in sorted(m.mesh.faces, key=lambda f: int(f.split("-")[1])))])


def way(m, first, last):
    """Positions from one node to another along the tree."""
    parent = m.mesh.structure.parent
    up = [[int(k)] for k in (first, last)]
    for path in up:
        while path[-1]:
            path.append(int(parent[path[-1]]))
    common = set(up[0]) & set(up[1])
    a, b = ([k for k in path if k not in common] for path in up)
    return np.array([*a, max(common), *b[::-1]])


def figure(m, arrival, frames, keep, name):
    """Arrival map and kymograph along the path from the first place reached to the last."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path = way(m, np.nanargmin(arrival), np.nanargmax(arrival))
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(m.mesh.distance[path])))])
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 5))
    n = len(arrival)
    dots = left.scatter(*m.mesh.position[:n, :2].T, c=arrival, s=3, cmap="viridis")
    left.plot(*m.mesh.position[path, :2].T, color="tab:red", lw=0.6)
    left.set(aspect="equal", xlabel="x (um)", ylabel="y (um)", title=f"{name}: arrival of the wave\n(red: path of the kymograph)")
    fig.colorbar(dots, ax=left, label="ms")
    grid = np.linspace(0, along[-1], 600)
    nearest = path[np.searchsorted(along, grid).clip(0, len(path) - 1)]
    image = right.imshow(
        frames[:, nearest].T, origin="lower", aspect="auto", extent=(0, keep * (len(frames) - 1), 0, along[-1]), cmap="magma", vmax=10
    )
    right.set(xlabel="time (ms)", ylabel="path length from the start (um)", title="calcium along the path")
    fig.colorbar(image, ax=right, label="uM")
    fig.tight_layout()
    return fig


def study(name, path, spacings, tip, until):
    """Refine, compare arrivals at all tips and the soma, write."""
    rows, runs = [], []
    for dx in spacings:
        m = model(path, dx, tip)
        arrival, frames, sim, cpu = spread(m, until)
        runs.append(arrival[ends(m)])
        rows.append(
            (dx, len(arrival), float(np.isfinite(arrival).mean()), float(runs[-1][0]), float(np.nanmax(arrival)), sim.control.steps, cpu)
        )
        print(rows[-1], flush=True)
    changes = []
    for k in range(1, len(runs)):
        relative = np.abs(runs[k] / runs[k - 1] - 1)[runs[k] > 20.0]
        changes.append((f"{spacings[k - 1]} -> {spacings[k]}", float(np.nanmedian(relative) * 100), float(np.nanmax(relative) * 100)))
    sections = [
        ("Runs", ASSUMPTIONS, ["spacing (um)", "positions", "part reached", "soma (ms)", "last place (ms)", "steps", "CPU s"], rows),
        ("Change of the arrivals at soma and tips when the spacing is halved", REMAINS,
         ["spacing (um)", "median %", "largest %"], changes),
    ]  # fmt: skip
    write(f"trees_{name}", f"A wave over a whole neuron: {name}", sections, figure(m, arrival, frames, 2.0, name), script="trees", tip=tip)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ca1", help="SWC file of the CA1 cell; without it the granule cell is run")
    parser.add_argument("--spacings", type=float, nargs="+")
    a = parser.parse_args()
    if a.ca1:
        study("ca1", a.ca1, a.spacings or [0.6, 0.3, 0.15, 0.075, 0.0375], tip=10, until=1500.0)
    else:
        study("granule", example("granule-cell"), a.spacings or [0.4, 0.2, 0.1, 0.05, 0.025], tip=0, until=1200.0)


if __name__ == "__main__":
    main()
