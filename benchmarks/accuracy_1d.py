"""Accuracy of the cable solver: the reference wave refined in space and time, and what step control costs and leaves. About a minute."""

import numpy as np
from studies import arrivals, cable, followed, write

PLACES = np.array([2.0, 4.0, 8.0, 12.0, 16.0])
CONVERGED = np.array([2.337279, 5.714989, 13.23556, 21.08693, 29.03763])
SPEED = 0.5062615
WAVES = {
    "reference: R 0.4, r 0.15, rho 3, B 160": {},
    "B 40": {"total": 40.0},
    "B 40, rho 6": {"total": 40.0, "density": 6.0},
    "rho 6": {"density": 6.0},
    "rho 1, r 0.22": {"density": 1.0, "er_radius": 0.22, "until": 140.0},
    "R 0.2, r 0.1, rho 1": {"radius": 0.2, "er_radius": 0.1, "density": 1.0},
    "R 0.2, r 0.091, rho 1 (threshold)": {"radius": 0.2, "er_radius": 0.091, "density": 1.0, "until": 100.0},
    "R 0.5, r 0.3, rho 1 (threshold)": {"radius": 0.5, "er_radius": 0.3, "density": 1.0, "until": 140.0},
    "B 40, D/4": {"total": 40.0, "diffusion": 55.0},
    "rho 6, D/4": {"density": 6.0, "diffusion": 55.0},
}


def speed(t, x, c):
    """Between 8 and 16 um [um/ms]."""
    first, last = arrivals(t, x, c, [8.0, 16.0])
    return float(8.0 / (last - first))


def space():
    """Errors against the converged wave on four grids with the default tolerance."""
    rows, errors, spacing = [], [], [0.1, 0.05, 0.025, 0.0125]
    for dx in spacing:
        t, x, c, sim, cpu = followed(cable(spacing=dx), 40.0)
        seen = arrivals(t, x, c, PLACES)
        errors.append(np.abs(seen / CONVERGED - 1))
        rows.append((dx, *(float(v) for v in seen), speed(t, x, c), 100 * (speed(t, x, c) / SPEED - 1), sim.control.steps, cpu))
    orders = [float(np.polyfit(np.log(spacing[:3]), np.log([e[k] for e in errors[:3]]), 1)[0]) for k in range(len(PLACES))]
    rows.append(("order (first three)", *orders, "", "", "", ""))
    return rows, spacing, errors


def time():
    """Errors of fixed steps and of tolerances against 1/400 of the default tolerance, at 0.05 um."""
    exact = speed(*followed(cable(), 40.0, tolerance=5e-6)[:3])
    fixed, chosen = [], []
    for dt in (0.1, 0.05, 0.025, 0.0125, 0.00625):
        t, x, c, sim, cpu = followed(cable(), 60.0, dt=f"{dt} ms")
        fixed.append((dt, 100 * (speed(t, x, c) / exact - 1), sim.control.steps, cpu))
    for tolerance in (2e-2, 6e-3, 2e-3, 6e-4, 2e-4, 4e-5):
        t, x, c, sim, cpu = followed(cable(), 40.0, tolerance=tolerance)
        chosen.append((tolerance, 100 * (speed(t, x, c) / exact - 1), sim.control.steps, sim.control.rejected, cpu))
    return fixed, chosen


def waves():
    """Speed with the default tolerance against a fiftieth of it."""
    rows = []
    for name, given in WAVES.items():
        options = dict(given)
        until = options.pop("until", 60.0)
        pair = [followed(cable(**options), until, tolerance=tolerance) for tolerance in (2e-3, 4e-5)]
        a, b = (speed(*p[:3]) for p in pair)
        rows.append((name, a, b, 100 * (a / b - 1), *(p[3].control.steps for p in pair)))
    return rows


def quiet():
    """Steps in the phases of 2 s: the wave, refilling, and the slow front of closing receptors that follows."""
    rows, last = [], 0
    sim = followed(cable(), 1.0, every=1.0)[3]
    last = sim.control.steps
    for begin, end in ((1, 40), (40, 100), (100, 200), (200, 400), (400, 800), (800, 1400), (1400, 2000)):
        sim.advance(float(end))
        taken = sim.control.steps - last
        rows.append((f"{begin}-{end}", taken, 1000.0 * (end - begin) / taken))
        last = sim.control.steps
    return rows


def figure(spacing, errors, fixed, chosen):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4))
    for k, place in enumerate(PLACES):
        left.loglog(spacing, [e[k] * 100 for e in errors], "o-", label=f"{place:g} um")
    left.loglog(spacing, 300 * np.array(spacing) ** 2, "k--", label="order 2")
    left.set(xlabel="spacing (um)", ylabel="error of the arrival (%)")
    left.legend(frameon=False)
    dt, off = np.array([r[:2] for r in fixed]).T
    middle.loglog(1000 * dt, np.abs(off), "o-")
    middle.loglog(1000 * dt, np.abs(off[-1]) * (dt / dt[-1]) ** 2, "k--", label="order 2")
    middle.set(xlabel="fixed step (us)", ylabel="time error of the speed (%)")
    middle.legend(frameon=False)
    right.loglog([r[2] for r in chosen], np.abs([r[1] for r in chosen]), "o-", label="chosen steps")
    right.loglog([r[2] for r in fixed], np.abs([r[1] for r in fixed]), "s-", label="fixed steps")
    right.set(xlabel="steps", ylabel="time error of the speed (%)")
    right.legend(frameon=False)
    fig.tight_layout()
    return fig


def main():
    grids, spacing, errors = space()
    fixed, chosen = time()
    names = ["spacing (um)", *(f"arrival {p:g} um (ms)" for p in PLACES), "speed 8-16 (um/ms)", "speed error %", "steps", "CPU s"]
    known = f"Default tolerance; converged arrivals {', '.join(map(str, CONVERGED))} ms, speed {SPEED} um/ms."
    against = "Speed between 8 and 16 um on the grid of 0.05 um, against a tolerance of 5e-6."
    pairs = ["wave", "speed (um/ms)", "converged in time", "error %", "steps", "steps of the fine run"]
    slow = "Steps of the default tolerance by phase; a slow front of 0.005 um/ms is under way from 200 ms on."
    sections = [
        ("Space", known, names, grids),
        ("Time, fixed steps", against, ["dt (ms)", "speed error %", "steps", "CPU s"], fixed),
        ("Time, chosen steps", "The same.", ["tolerance", "speed error %", "steps", "rejected", "CPU s"], chosen),
        ("Other waves", "Default tolerance against a fiftieth of it, 0.05 um.", pairs, waves()),
        ("Two seconds", slow, ["phase (ms)", "steps", "mean step (us)"], quiet()),
    ]
    write("accuracy_1d", "Accuracy of the cable solver on the reference wave", sections, figure(spacing, errors, fixed, chosen))


if __name__ == "__main__":
    main()
