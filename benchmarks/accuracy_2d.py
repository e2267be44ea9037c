"""Accuracy of the (z, r) solver: speed of a wave at fixed and chosen steps for finer and finer radial cells, orders in space and time."""

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from studies import arrivals, write

import calcium_sim as cs
from calcium_sim.app.bench import cpu_seconds
from calcium_sim.meshes import neurite
from calcium_sim.presets import breit_queisser

RADIAL = (0.05, 0.025, 0.0125)
STEPS = (0.05, 0.025, 0.0125, 0.00625, 0.003125)
REFERENCE = 0.001
CASES = {
    "rho 3": {},
    "rho 3, B 40": {"total": 40.0},
    "rho 6": {"density": 6.0, "spacing": 0.025},
    "rho 1, r 0.22": {"density": 1.0, "er_radius": 0.22},
}
SETS = {
    **CASES,
    "rho 6, B 40": {"density": 6.0, "total": 40.0, "spacing": 0.025},
    "rho 2, r 0.2": {"density": 2.0, "er_radius": 0.2},
    "rho 1.5, B 40, R 0.3, r 0.1": {"density": 1.5, "total": 40.0, "radius": 0.3, "er_radius": 0.1},
    "rho 3, R 0.6, r 0.2": {"radius": 0.6, "er_radius": 0.2},
    "rho 3, R 0.5, r 0.3": {"radius": 0.5, "er_radius": 0.3},
    "rho 1.5, R 0.5, r 0.3": {"density": 1.5, "radius": 0.5, "er_radius": 0.3},
}


def wave(radial=0.05, spacing=0.05, length=14.0, radius=0.4, er_radius=0.15, density=3.0, total=160.0):
    """The preset on a (z, r) grid; the hair of slack lets radial cells fit exactly."""
    given = [f"{v} um" for v in (length, radius, er_radius, spacing)]
    mesh = neurite(*given, dims=2, radial_spacing=f"{radial * (1 + 1e-9):.12f} um")
    return breit_queisser(mesh, ryr_density=f"{density} /um^2", buffer=f"{total} uM")


def profile(sim):
    """Positions, and calcium averaged over the cross-section of the cytosol."""
    mesh = sim.model.mesh
    span = mesh.span("cytosol")
    shape = (len(np.unique(mesh.distance[span])), -1)
    volume = mesh.volume[span].reshape(shape)
    return mesh.distance[span].reshape(shape)[:, 0], (sim.concentration("ca").reshape(shape) * volume).sum(axis=1) / volume.sum(axis=1)


def front(sim, level=0.2):
    """Where the profile falls through a level."""
    x, c = profile(sim)
    k = np.flatnonzero(c >= level)
    if not len(k):
        return 0.0
    near = slice(max(k[-1] - 8, 0), k[-1] + 9)
    return brentq(CubicSpline(x[near], c[near] - level), x[k[-1]], x[k[-1] + 1])


def passage(model, first=4.0, last=10.0, until=60.0):
    """Times at which the front has passed two places."""
    sim, begin = cs.Simulation(model, dt="0.004 ms"), None
    while sim.t < until:
        sim.advance(sim.t + 0.25)
        at = front(sim)
        begin = sim.t if begin is None and at > first else begin
        if at > last:
            return begin, sim.t
    raise RuntimeError(f"no wave: front at {at:.2f} um after {until} ms")


def speed(model, times, every=None, **options):
    """Mean speed between two times; steps are cut by observations only if `every` is given. Also the simulation, and CPU seconds."""
    sim, seen = cs.Simulation(model, **options), []
    sim.advance(1e-3)
    began = cpu_seconds()
    for stop in times:
        while every and sim.t + every < stop - 1e-9:
            sim.advance(every * (np.floor(sim.t / every + 1e-9) + 1))
        sim.advance(stop)
        seen.append(front(sim))
    return (seen[1] - seen[0]) / (times[1] - times[0]), sim, cpu_seconds() - began


def attempt(model, times, exact, **options):
    """Error of the speed in %, or what the run said."""
    try:
        return 100 * (speed(model, times, **options)[0] / exact - 1)
    except cs.errors.RunStopped:
        return "stopped"
    except ValueError:
        return "no front"


def fixed():
    """Error of the speed over steps and radial spacings."""
    rows = []
    for name, given in CASES.items():
        times = passage(wave(**given))
        for radial in RADIAL:
            model = wave(radial, **given)
            exact = speed(model, times, dt=f"{REFERENCE} ms")[0]
            rows.append((name, radial, exact, *(attempt(model, times, exact, dt=f"{dt} ms") for dt in STEPS)))
            print(rows[-1], flush=True)
    return rows


def chosen():
    """Error of the speed with the default tolerance."""
    rows = []
    for name, given in SETS.items():
        times = passage(wave(**given))
        for radial in (0.05, 0.0125):
            model = wave(radial, **given)
            exact = speed(model, times, dt=f"{REFERENCE} ms")[0]
            off = [100 * (speed(model, times, every)[0] / exact - 1) for every in (0.1, 0.37)]
            plain, sim, cpu = speed(model, times)
            plain = 100 * (plain / exact - 1)
            rows.append((name, radial, exact, plain, *off, sim.control.steps, sim.control.rejected, 1000 * sim.t / sim.control.steps, cpu))
            print(rows[-1], flush=True)
    return rows


def space():
    """Arrivals and their observed order for halved radial and axial spacings, steps of 4 us."""
    rows = []
    for which, sizes in (("radial", (0.05, 0.025, 0.0125, 0.00625)), ("axial", (0.1, 0.05, 0.025, 0.0125))):
        seen = []
        for size in sizes:
            sim = cs.Simulation(wave(size, length=5.0) if which == "radial" else wave(0.05, size, length=5.0), dt="0.004 ms")
            x, _ = profile(sim)
            t, c = [0.0], [profile(sim)[1]]
            for k in range(1, 61):
                sim.advance(0.05 * k)
                t.append(sim.t)
                c.append(profile(sim)[1])
            seen.append(arrivals(np.array(t), x, np.array(c), [2.0, 3.0]))
            order = np.log2((seen[-3] - seen[-2]) / (seen[-2] - seen[-1])) if len(seen) > 2 else ["", ""]
            rows.append((which, size, *map(float, seen[-1]), *(float(v) if len(seen) > 2 else v for v in order)))
    return rows


def time():
    """Largest errors of all fields and gates at 3 ms against steps of 0.2 us, and observed orders."""

    def solution(dt):
        sim = cs.Simulation(wave(spacing=0.1, length=5.0), dt=f"{dt} ms")
        for t in (1.0, 3.0):
            sim.advance(t)
        fields = {f"{f.name}@{f.region}": sim.state.u[f.span].copy() for f in sim.plan.fields}
        return fields | {"gates": sim.state.y.copy()}

    exact, rows, last = solution(0.0002), [], None
    for dt in (0.025, 0.0125, 0.00625, 0.003125, 0.0015625):
        now = {k: float(np.abs(v - exact[k]).max()) for k, v in solution(dt).items()}
        rows.append((dt, *now.values(), *("" if last is None else float(np.log2(last[k] / now[k])) for k in now)))
        last = now
    return rows, list(exact)


def figure(steps, tolerances):
    """Errors of the speed over fixed steps, and with the default tolerance."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 3, figsize=(14, 4))
    for axis, name in zip(axes, ("rho 3", "rho 3, B 40"), strict=False):
        for row in (r for r in steps if r[0] == name):
            dt, off = zip(*((s, abs(v)) for s, v in zip(STEPS, row[3:], strict=True) if not isinstance(v, str)), strict=True)
            axis.loglog(1000 * np.array(dt), off, "o-", label=f"radial cells {1000 * row[1]:g} nm")
        axis.axhline(1.0, color="grey", lw=0.8)
        axis.set(title=name, xlabel="fixed step (us)", ylabel="error of the speed (%)", ylim=(1e-3, 20))
        axis.set_xticks([1000 * s for s in STEPS], [f"{1000 * s:.3g}" for s in STEPS], minor=False)
        axis.minorticks_off()
        axis.legend(frameon=False)
    names = list(SETS)
    for k, radial in enumerate((0.05, 0.0125)):
        off = [max(abs(v) for v in r[3:6]) for r in tolerances if r[1] == radial]
        axes[2].barh(np.arange(len(names)) + 0.4 * k - 0.2, off, 0.38, label=f"radial cells {1000 * radial:g} nm")
    axes[2].axvline(0.5, color="grey", lw=0.8)
    axes[2].set_yticks(range(len(names)), names)
    axes[2].set(title="default tolerance", xlabel="error of the speed (%)")
    axes[2].legend(frameon=False)
    fig.tight_layout()
    return fig


def main():
    steps, tolerances = fixed(), chosen()
    courses, fields = time()
    names = ["wave", "radial spacing (um)", "speed (um/ms)", "error %", "every 0.1 ms", "every 0.37 ms"]
    names += ["steps", "rejected", "mean step (us)", "CPU s"]
    write(
        "accuracy_2d",
        "Accuracy of the (z, r) solver on waves",
        [
            (
                "Fixed steps",
                "Error of the speed (%) between about 4 and 10 um against steps of 1 us on the same grid. R 0.4, r 0.15 um, B 160 uM"
                " and axial spacing 0.05 um (0.025 for rho 6) where nothing else is said. A step must stay well below the time D/v^2 in"
                " which the front passes: 130, 73, 32 and 1000 us here. Much longer ones give a wrong wave, and the fluxes at the"
                " membrane may then not converge at all (rho 6 above 12.5 us); chosen steps avoid this.",
                ["wave", "radial spacing (um)", "speed (um/ms)", *(f"{1000 * s:g} us" for s in STEPS)],
                steps,
            ),
            (
                "Chosen steps",
                "Error of the speed (%) with the default tolerance: without observations, and with one every 0.1 or 0.37 ms,"
                " which cut the steps.",
                names,
                tolerances,
            ),
            (
                "Space",
                "Arrivals of 0.2 uM (ms) and order of successive differences; the other spacing is 0.05 um.",
                ["refined", "spacing (um)", "at 2 um", "at 3 um", "order", "order"],
                space(),
            ),
            (
                "Time",
                "Largest error (uM) of every field and of the gates at 3 ms, and observed orders.",
                ["dt (ms)", *fields, *(f"order {f}" for f in fields)],
                courses,
            ),
        ],
        figure(steps, tolerances),
    )


if __name__ == "__main__":
    main()
