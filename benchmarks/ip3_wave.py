"""IP3 wave of Neymotin et al. (2015) on a dendrite of 1000 um: rest, and speed under refinement of space and tolerance. Seconds."""

import numpy as np
from studies import followed, write

from calcium_sim import presets
from calcium_sim.meshes import neurite
from calcium_sim.results.diagnostics import first_crossing

PARTS = [(550, 650), (600, 800), (650, 750)]
PUBLISHED = {520.5: 279.2, 550.5: 602.6, 600.5: 1249.1, 650.5: 1966.8}  # um: ms after the stimulus, an independent port at 1 um


def dendrite(spacing, **options):
    mesh = neurite("1000 um", "0.5 um", er_fraction=0.17, er_area_per_length="1 um^2/um", spacing=f"{spacing} um")
    return presets.neymotin(mesh, **options)


def published():
    """Arrivals of the published wave; spacing and tolerance in turn."""
    rows = []
    for dx, tolerance in ((1.0, 2e-3), (1.0, 4e-5), (0.5, 2e-3), (0.25, 2e-3)):
        t, x, c, _, _ = followed(dendrite(dx), 4500.0, every=2.0, tolerance=tolerance)
        passed = np.interp(list(PUBLISHED), x, first_crossing(t, c, 0.5)) - 2000.0
        rows.append((dx, tolerance, *(f"{p:.1f}" for p in passed)))
    return [*rows, (1.0, "independent port", *(f"{p:.1f}" for p in PUBLISHED.values()))]


def main():
    rows, kept = [], None
    for dx, tolerance in ((2.0, 2e-3), (1.0, 2e-3), (0.5, 2e-3), (0.25, 2e-3), (1.0, 4e-5)):
        t, x, c, sim, cpu = followed(dendrite(dx, ip3="2.5 uM", hot_spots=False), 7000.0, every=10.0, tolerance=tolerance)
        passed = first_crossing(t, c, 0.5)
        n = len(x)
        rest = np.searchsorted(t, 1999.0)
        pace = [float((b - a) / (np.interp(b, x, passed) - np.interp(a, x, passed))) for a, b in PARTS]
        rows.append((dx, tolerance, float(c[rest, n // 2]), *pace, float(c.max()), sim.control.steps, cpu))
        kept = (t, x, c) if dx == 1.0 and tolerance == 2e-3 else kept
    speeds = [f"speed {a}-{b} um" for a, b in PARTS]
    names = ["spacing (um)", "tolerance", "rest (uM)", *speeds, "largest c (uM)", "steps", "CPU s"]
    first = (
        "IP3 is set to the published 1.25 uM within 2 um of the middle at 2 s; hot spots (1.25 times the receptors within 5 um) in the middle "
        "and every 20 um on both sides, as in the published code. Arrival of 0.5 uM in ms after that. Without the hot spot in the middle "
        "1.25 uM starts no wave. The last line is an independent port of the published code, solved at its spacing of 1 um."
    )
    text = (
        "Without hot spots, where it takes 2.5 uM of IP3; arrival at 0.5 uM; speeds in um/ms. The wave slows down outwards because IP3 "
        "spreads thin. Rest by NEURON's reaction-diffusion module: 0.03439 uM."
    )
    arrivals = ("Published wave", first, ["spacing (um)", "tolerance", *(f"{p} um" for p in PUBLISHED)], published())
    write("ip3_wave", "IP3 wave of Neymotin et al. 2015", [arrivals, ("Refinement", text, names, rows)], figure(*kept))


def figure(t, x, c):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6, 4))
    image = ax.imshow(c.T, origin="lower", aspect="auto", extent=(0, t[-1] / 1000, 0, x[-1]), cmap="magma")
    ax.set(xlabel="time (s)", ylabel="x (um)")
    fig.colorbar(image, label="calcium (uM)")
    return fig


if __name__ == "__main__":
    main()
