"""Accuracy of the solver on triangles and tetrahedra: closed forms on discs and balls meshed by gmsh, two regions, order in time."""

import warnings
from dataclasses import replace

import numpy as np
from accuracy_2d import RADIAL, passage, speed, wave
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import jn_zeros, jv
from studies import write

import calcium_sim as cs
from calcium_sim.app.bench import cpu_seconds
from calcium_sim.meshes import from_simplices
from calcium_sim.presets import breit_queisser

D, WALL = 0.22, 0.5
SPEED = f"{1000 * D} um^2/s"
WALLS = {"er": ("er", "cytosol"), "plasma": ("cytosol", "outside")}


class Inward(cs.Channel):
    """A constant flux into the cytosol."""

    across = ("outside", "cytosol")
    params = {"density": (0.0, "uM um/ms")}

    @staticmethod
    def flux(y, x, p):
        return p.density


def ball(h, inner=None, dims=3):
    """A ball (disc) of radius 1 with cells of size h and, if asked for, a concentric ball of ER."""
    import gmsh

    gmsh.initialize(interruptible=False)
    try:
        for key, v in {"General.Terminal": 0, "General.NumThreads": 1, "Mesh.MeshSizeMin": h, "Mesh.MeshSizeMax": h}.items():
            gmsh.option.setNumber(key, v)
        occ = gmsh.model.occ
        shape = [(dims, occ.addSphere(0, 0, 0, r) if dims == 3 else occ.addDisk(0, 0, 0, r, r)) for r in (1, inner) if r]
        if inner:
            occ.fragment(shape[:1], shape[1:])
        occ.synchronize()
        gmsh.model.mesh.generate(dims)
        tags, xyz, _ = gmsh.model.mesh.getNodes()
        corners = gmsh.model.mesh.getElementsByType(4 if dims == 3 else 2)[1]
    finally:
        gmsh.finalize()
    number = np.zeros(int(tags.max()) + 1, int)
    number[tags.astype(int)] = np.arange(len(tags))
    points, cells = xyz.reshape(-1, 3)[:, :dims], number[corners.astype(int)].reshape(-1, dims + 1)
    labels = np.where(np.linalg.norm(points[cells].mean(axis=1), axis=1) < 0.999 * (inner or 0.0), "er", "cytosol")
    names = {r: r for r in ("er", "cytosol") if inner or r == "cytosol"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gmsh leaves points that no cell uses
        return from_simplices(points, cells, labels, names=names, membranes={k: v for k, v in WALLS.items() if inner or k == "plasma"})


def in_sphere(q, reached):
    """Constant flux into a sphere, units of J a/D; q = radius/a, reached = D t/a^2."""
    b = np.array([brentq(lambda x: np.sin(x) - x * np.cos(x), n * np.pi + 1e-9, (n + 0.5) * np.pi) for n in range(1, 150)])
    q = np.maximum(q, 1e-9)
    waves = np.sin(np.outer(q, b)) / q[:, None] / (b**2 * np.sin(b)) * np.exp(-(b**2) * reached)
    return 3 * reached + (5 * q**2 - 3) / 10 - 2 * waves.sum(axis=1)


def in_disc(q, reached):
    """The same for a disc (cylinder)."""
    g = jn_zeros(1, 200)
    return 2 * reached + q**2 / 2 - 0.25 - 2 * (jv(0, np.outer(q, g)) / (g**2 * jv(0, g)) * np.exp(-(g**2) * reached)).sum(axis=1)


def shells(permeability, er, cytosol, cells=400):
    """Radial finite volumes of a leak between an ER ball and the cytosol around it, exact in time; good to 2e-6."""
    edges = np.concatenate([np.linspace(0, WALL, cells + 1), np.linspace(WALL, 1, cells + 1)[1:]])
    volume, middle = (edges[1:] ** 3 - edges[:-1] ** 3) / 3, (edges[1:] + edges[:-1]) / 2
    resistance = np.diff(middle) / D + np.where(np.arange(2 * cells - 1) == cells - 1, 1 / permeability, 0.0)
    link = edges[1:-1] ** 2 / resistance
    matrix = np.diag(np.append(link, 0) + np.append(0, link)) - np.diag(link, 1) - np.diag(link, -1)
    root = np.sqrt(volume)
    rates, modes = np.linalg.eigh(matrix / np.outer(root, root))
    start = modes.T @ (root * np.repeat([er, cytosol], cells))

    def at(t, q, inside):
        u = modes @ (np.exp(-rates * t) * start) / root
        part = slice(0, cells) if inside else slice(cells, None)
        return CubicSpline(middle[part], u[part])(q)

    return at


def study(sizes, build, times):
    """Errors (L2, largest) at two times, drift of the ledger, steps of CPU time; orders between successive sizes."""
    rows = []
    for h in sizes:
        model, exact = build(h)
        volume, sim, row = model.mesh.volume, cs.Simulation(model, dt="0.01 ms"), []
        sim.advance(1e-3)
        began = cpu_seconds()
        for t in times:
            sim.advance(t)
            off = sim.state.u - exact(t)
            row += [float(np.sqrt(off**2 @ volume / volume.sum())), float(np.abs(off).max())]
        cpu = cpu_seconds() - began
        sim.frame()
        order = [float(np.log(rows[-1][2 + k] / row[k]) / np.log(rows[-1][0] / h)) if rows else "" for k in (0, 2)]
        rows.append((h, len(volume), *row, *order, sim.ledger.drift(sim.state), cpu))
        print(rows[-1], flush=True)
    return rows


def filled(dims):
    """Builder of the ball or disc with a constant flux through its surface; errors in units of J a/D."""
    series = in_sphere if dims == 3 else in_disc

    def build(h):
        mesh = ball(h, dims=dims)
        species = cs.Species("ca", {"cytosol": SPEED}, {"cytosol": "1 uM", "outside": "1000 uM"})
        q = np.linalg.norm(mesh.position, axis=1)
        return cs.Model(mesh, [species], {"plasma": [Inward(density=f"{D} uM um/ms")]}), lambda t: 1.0 + series(q, t * D)

    return build


def leaking(h):
    """Builder of the ball of ER within a ball of cytosol."""
    mesh, radial = ball(h, inner=WALL), shells(0.5, 10.0, 1.0)
    species = cs.Species("ca", {"cytosol": SPEED, "er": SPEED}, {"cytosol": "1 uM", "er": "10 uM"})
    q, er, cytosol = np.linalg.norm(mesh.position, axis=1), mesh.span("er"), mesh.span("cytosol")
    model = cs.Model(mesh, [species], {"er": [cs.get_channel("leak/linear")(permeability="500 um/s")]})
    return model, lambda t: np.concatenate([radial(t, q[er], True), radial(t, q[cytosol], False)])


def cell(h, flux=2500):
    """All channels on two balls, with a local pulse through the plasma membrane."""
    pulse = cs.Influx("ca", at=lambda x, y, z: x > 0.6, through="plasma", flux=f"{flux} uM um/s", duration="1 ms", shape="ramp-down")
    return breit_queisser(ball(h, inner=WALL), stimulus=pulse)


def time():
    """Largest errors at 3 ms against steps of 0.5 us."""
    model = cell(0.4)

    def solution(dt):
        sim = cs.Simulation(model, dt=f"{dt} ms")
        for t in (1.0, 3.0):
            sim.advance(t)
        fields = {f"{f.name}@{f.region}": sim.state.u[f.span].copy() for f in sim.plan.fields}
        return fields | {"gates": sim.state.y.copy()}

    exact, rows, last = solution(0.0005), [], None
    for dt in (0.04, 0.02, 0.01, 0.005, 0.0025):
        now = {k: float(np.abs(v - exact[k]).max()) for k, v in solution(dt).items()}
        rows.append((dt, *now.values(), *("" if last is None else float(np.log2(last[k] / now[k])) for k in now)))
        last = now
    return rows, list(exact)


def release():
    """Calcium release from the ER set off by a strong local pulse, with fixed and chosen steps: where it is after 3 ms."""
    model, rows = cell(0.2, 20000), []

    def run(**options):
        sim = cs.Simulation(model, **options)
        sim.advance(1e-3)
        began = cpu_seconds()
        sim.advance(3.0)
        spent = cpu_seconds() - began
        sim.frame()
        return sim, spent

    exact = run(dt="0.0005 ms")[0]
    er = exact.concentration("ca", "er")
    for name, options in (("default tolerance", {}), *((f"{s:g} us", {"dt": f"{s} us"}) for s in (50, 25, 12.5, 6.25, 3.125))):
        sim, spent = run(**options)
        released = 100 * np.abs(sim.concentration("ca", "er") - er).max() / (250.0 - er.min())
        off = 100 * np.abs(sim.concentration("ca") - exact.concentration("ca")).max() / exact.concentration("ca").max()
        rows.append((name, float(off), float(released), sim.control.steps, sim.control.rejected, sim.ledger.drift(sim.state), spent))
        print(rows[-1], flush=True)
    return rows


def waves():
    """Error of the speed of waves on the cells of a (z, r) grid, solved as a general graph."""
    rows = []
    for name, given in {"rho 3": {}, "rho 3, B 40": {"total": 40.0}, "rho 6": {"density": 6.0, "spacing": 0.025}}.items():
        times = passage(wave(length=9.0, **given), first=2.0, last=6.0)
        for radial in RADIAL[:2]:
            model = wave(radial, length=9.0, **given)
            model = replace(model, mesh=replace(model.mesh, structure=None))
            exact = speed(model, times, dt="0.0005 ms")[0]
            fixed = [100 * (speed(model, times, dt=f"{s} ms")[0] / exact - 1) for s in (0.0125, 0.00625, 0.003125)]
            own, sim, cpu = speed(model, times)
            rows.append((name, radial, exact, *fixed, 100 * (own / exact - 1), 1000 * sim.t / sim.control.steps, cpu))
            print(rows[-1], flush=True)
    return rows


def figure(studies):
    """Errors over the cell size."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, len(studies), figsize=(13, 4))
    for axis, (name, rows) in zip(axes, studies.items(), strict=True):
        h = np.array([r[0] for r in rows])
        for column, label, mark in ((2, "L2, early", "o-"), (4, "L2, late", "s-"), (3, "largest, early", "o:"), (5, "largest, late", "s:")):
            axis.loglog(h, [r[column] for r in rows], mark, label=label)
        axis.loglog(h, rows[-1][4] * (h / h[-1]) ** 2 * 0.7, "k--", label="order 2")
        axis.set(title=name, xlabel="cell size (um)", ylabel="error")
        axis.set_xticks(h, [f"{v:g}" for v in h])
        axis.minorticks_off()
        axis.legend(frameon=False, fontsize=8)
    fig.tight_layout()
    return fig


def main():
    balls = study((0.4, 0.3, 0.2, 0.14, 0.1, 0.07), filled(3), (0.05 / D, 0.3 / D))
    discs = study((0.2, 0.1, 0.05, 0.025), filled(2), (0.05 / D, 0.3 / D))
    pairs = study((0.2, 0.14, 0.1, 0.07, 0.05), leaking, (0.2, 1.0))
    courses, fields = time()
    names = [
        "cell size (um)",
        "nodes",
        "L2, early",
        "largest, early",
        "L2, late",
        "largest, late",
        "order early",
        "order late",
        "ledger drift",
        "CPU s",
    ]
    write(
        "accuracy_tets",
        "Accuracy on triangles and tetrahedra",
        [
            (
                "Ball with constant flux through its surface",
                "Errors over J a/D at D t/a^2 = 0.05 and 0.3 against the series, at the nodes of the polyhedron; steps of 10 us.",
                names,
                balls,
            ),
            ("Disc with constant flux through its rim", "The same on triangles.", names, discs),
            (
                "Ball of ER in a ball of cytosol, leak between them",
                "Errors (uM) at 0.2 and 1 ms against radial shells; 10 uM in the ER and 1 uM outside at the start.",
                names,
                pairs,
            ),
            (
                "Time, all channels",
                "Two balls of 159 nodes, local pulse: largest error (uM) of every field and of the gates at 3 ms, and observed orders.",
                ["dt (ms)", *fields, *(f"order {f}" for f in fields)],
                courses,
            ),
            (
                "Release set off by a strong local pulse",
                "Two balls, cells of 0.2 um, 3 ms: largest error in the cytosol over the largest concentration there, and in the ER"
                " over the largest loss.",
                ["steps of", "cytosol %", "ER %", "steps", "rejected", "ledger drift", "CPU s"],
                release(),
            ),
            (
                "Waves on the cells of a (z, r) grid",
                "The general-graph solver on the same cells as in `accuracy_2d.md`: error of the speed (%) against steps of 0.5 us."
                " Unlike that of the (z, r) solver it grows with refinement across the membrane at a fixed step; chosen steps hold it."
                " The speeds themselves are lower, because channels on a graph read the node, half a cell from the wall, where the"
                " (z, r) solver reads the wall; the nodes of simplices lie on the membrane.",
                ["wave", "dr (um)", "speed (um/ms)", "12.5 us", "6.25 us", "3.125 us", "default tolerance", "its step (us)", "CPU s"],
                waves(),
            ),
        ],
        figure({"ball": balls, "disc": discs, "ball in a ball": pairs}),
    )


if __name__ == "__main__":
    main()
