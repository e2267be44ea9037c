"""Threshold radius of the ER in the section-averaged (1-D) equations, by bisection: how far the reduction is from (z, r). A few minutes."""

import numpy as np
from studies import cable, write

import calcium_sim as cs

# R, rho, published 2-D threshold (Breit & Queisser 2018), bracket of an independent 1-D solver (None where there is none)
CASES = [
    (0.1, 1.0, 0.034, None, (0.028, 0.044)),
    (0.2, 1.0, 0.085, (0.0893, 0.0903), (0.08, 0.1)),
    (0.2, 2.5, 0.055, None, (0.05, 0.08)),
    (0.4, 1.0, 0.204, None, (0.2, 0.26)),
    (0.5, 1.0, 0.265, (0.2964, 0.2971), (0.27, 0.33)),
]
WIDTH = 0.0002


def travels(radius, density, er_radius):
    """Whether the far end of 50 um passes 0.2 uM within 1 s, and the mean speed; given up when all calcium is below 0.1 uM."""
    sim = cs.Simulation(cable(spacing=0.1, length=50.0, radius=radius, er_radius=er_radius, density=density))
    for t in np.arange(1.0, 1001.0, 1.0):
        sim.advance(float(t))
        c = sim.concentration("ca")
        if c[-1] > 0.2:
            return True, float(50.0 / t)
        if t > 2.0 and c.max() < 0.1:
            break
    return False, 0.0


def threshold(radius, density, low, high):
    """Bracket of the threshold and the speed just above it."""
    pace = 0.0
    while high - low > WIDTH:
        middle = 0.5 * (low + high)
        wave, speed = travels(radius, density, middle)
        low, high, pace = (low, middle, speed) if wave else (middle, high, pace)
    return low, high, pace


def main():
    rows = []
    for radius, density, published, known, bracket in CASES:
        low, high, pace = threshold(radius, density, *bracket)
        told = f"{known[0]}-{known[1]}" if known else ""
        rows.append((radius, density, f"{low:.4f}-{high:.4f}", told, published, 100 * (0.5 * (low + high) / published - 1), pace))
        print(rows[-1], flush=True)
    text = (
        "L = 50 um, spacing 0.1 um, B 160, default tolerance. A wave is calcium above 0.2 uM at the far end within 1 s. The cable needs "
        "a wider ER than the cell resolved in (z, r): calcium that stays near the ER opens receptors there before it spreads. "
        "Use dims=2 for neurites thicker than 0.2 um. The speed is that of the last wave of the bisection, within 0.2 nm of the threshold: it "
        "depends on how close that was."
    )
    names = [
        "R (um)",
        "rho (1/um^2)",
        "1-D threshold r* (um)",
        "independent 1-D",
        "published 2-D",
        "1-D above 2-D by %",
        "speed just above (um/ms)",
    ]
    write("thresholds_1d", "Thresholds of the section-averaged cable", [("Bisection", text, names, rows)])


if __name__ == "__main__":
    main()
