"""How much slower waves are in section-averaged (1-D) neurites than in resolved (z, r) ones: by radius, receptors, buffer. Two minutes."""

import warnings

import numpy as np
from studies import write

import calcium_sim as cs
from calcium_sim.meshes import neurite
from calcium_sim.presets import breit_queisser

# R, radius of the ER (um), receptors per um^2, total buffer (uM)
CASES = [
    *[(0.1, 0.05, rho, total) for rho, total in ((3, 160), (3, 40))],
    *[(0.2, er, rho, total) for er in (0.08, 0.1, 0.12) for rho, total in ((1, 40), (1, 80), (1, 160), (3, 40), (3, 160), (5, 160))],
    *[(0.3, 0.15, rho, total) for rho, total in ((1, 40), (3, 160))],
    *[(0.4, er, rho, total) for er, rho, total in ((0.15, 3, 160), (0.15, 3, 40), (0.2, 3, 160))],
]


def speed(radius, er, density, total, **options):
    """Steady speed on 30 um [um/ms], or None where no wave reaches the other end."""
    mesh = neurite("30 um", f"{radius} um", f"{er} um", **options)
    model = breit_queisser(mesh, ryr_density=f"{density} /um^2", buffer=f"{total} uM")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 1-D on purpose
        ds = cs.simulate(model, until="100 ms", every="0.25 ms", record=["ca"])
        return cs.wave_speed(ds) if np.isfinite(cs.arrival_times(ds)).all() else None


def main():
    rows = []
    for case in CASES:
        averaged, resolved = (speed(*case, spacing="0.025 um", dims=dims) for dims in (1, 2))
        off = "-" if resolved is None else "no wave in 1-D" if averaged is None else f"{100 * (averaged / resolved - 1):+.1f}"
        rows.append((*case, *("none" if s is None else s for s in (averaged, resolved)), off))
        print(rows[-1], flush=True)
    text = (
        "Wave of `presets.breit_queisser` on 30 um, spacing 0.025 um, default tolerance and radial cells. The 1-D neurite is always the "
        "slower one: what is released spreads over the whole section before it opens the next receptors."
    )
    names = ["R (um)", "ER radius (um)", "receptors (1/um^2)", "buffer (uM)", "1-D (um/ms)", "(z, r) (um/ms)", "1-D off by %"]
    write("one_dimension", "One dimension against the resolved cross-section", [("Speeds", text, names, rows)])


if __name__ == "__main__":
    main()
