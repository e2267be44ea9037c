"""What happens behind the wave: growth of spots in the emptied tail, from the equations alone (numpy and scipy, nothing of calcium-sim).

The equations of the demo on a coaxial cable: Keizer-Levine receptors, SERCA, PMCA, NCX, leaks that balance, 160 uM calbindin. First the tail
without space: all of the cell is opened at once and the six unknowns are followed. At each time the equations are linearised there, a
perturbation cos(2 pi x/L) is put on, and the largest real part of the eigenvalues of J - (2 pi/L)^2 D is its rate of growth. Then the
cable itself, a thin neurite that widens once as the demo's does, solved by lines with LSODA. Both with ER diffusion as it is (220 um^2/s) and
as slow as buffered calcium (22 um^2/s).
"""

import numpy as np
import studies
from scipy.integrate import solve_ivp

REST_C, REST_E, OUTSIDE = 0.05, 250.0, 1000.0  # uM
D_C, D_B = 0.22, 0.02  # um^2/ms
ER_DIFFUSION = (0.22, 0.022)
TOTAL, KON, KOFF = 160.0, 0.027, 0.019  # uM, 1/uM/ms, 1/ms
RYR, SERCA_KM, PERM_ER = 5.0, 0.18, 3.8e-5  # 1/um^2, uM, um/ms
KA_ON, KA_OFF, KB_ON, KB_OFF, KC_ON, KC_OFF = 1.5, 0.0288, 1.5, 0.3859, 0.00175, 0.0001
SINGLE = 1e18 * 8.314 * 310.0 / (4.0 * 96485.0**2) * 5e-11  # uM um^3/ms of an open receptor at 250 uM
TIMES = (25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 250.0)
RADII = (0.09, 0.15)
LENGTHS = np.geomspace(0.5, 20.0, 160)


def gates_at_rest(c):
    a, n = KA_ON / KA_OFF * c**4, 1.0 + KB_ON / KB_OFF * c**3
    whole = 1.0 + a * (n + KC_ON / KC_OFF)
    return 1.0 / whole, a * (n - 1.0) / whole, a * KC_ON / KC_OFF / whole


def release(c, e, c1, c2):
    return RYR * SINGLE * (1.0 - c1 - c2) * (e - c) / 250.0


def pumped(c):
    """Net flux out through the plasma membrane without its leak."""
    return 500.0 * 1.7e-5 * c**2 / (0.06**2 + c**2) + 15.0 * 2.5e-3 * c / (1.8 + c)


_c1, _o2, _c2 = gates_at_rest(REST_C)
SERCA = (release(REST_C, REST_E, _c1, _c2) + PERM_ER * (REST_E - REST_C)) * (SERCA_KM + REST_C) * REST_E / REST_C
PERM_PM = pumped(REST_C) / (OUTSIDE - REST_C)
REST = np.array([REST_C, REST_E, TOTAL * KOFF / (KOFF + KON * REST_C), _c1, _o2, _c2])


def local(u, er_to_cytosol, er_to_er, plasma):
    """Right-hand side without diffusion of u = (c, e, b, c1, o2, c2); areas over volumes in 1/um."""
    c, e, b, c1, o2, c2 = u
    o1 = 1.0 - c1 - o2 - c2
    out = release(c, e, c1, c2) + PERM_ER * (e - c) - SERCA * c / ((SERCA_KM + c) * e)
    binding = KOFF * (TOTAL - b) - KON * b * c
    return np.array([
        er_to_cytosol * out + plasma * (PERM_PM * (OUTSIDE - c) - pumped(c)) + binding, -er_to_er * out, binding,
        KA_OFF * o1 - KA_ON * c**4 * c1, KB_ON * c**3 * o1 - KB_OFF * o2, KC_ON * o1 - KC_OFF * c2,
    ])  # fmt: skip


def ratios(radius):
    """Areas over volumes of a neurite whose ER is a tube half as wide."""
    inner = 0.5 * radius
    return 2 * inner / (radius**2 - inner**2), 2 / inner, 2 * radius / (radius**2 - inner**2)


def tail(radius):
    """The cell without space after calcium was raised to 5 uM at once: states at `TIMES`."""
    start = REST.copy()
    start[0] = 5.0
    found = solve_ivp(lambda t, u: local(u, *ratios(radius)), (0.0, TIMES[-1]), start, "LSODA", TIMES, rtol=1e-10, atol=1e-12)
    return found.y.T


def jacobian(u, radius):
    """Central differences in complex arithmetic: exact to round-off."""
    columns = []
    for k in range(6):
        v = u.astype(complex)
        v[k] += 1e-30j
        columns.append(local(v, *ratios(radius)).imag / 1e-30)
    return np.array(columns).T


def growth(u, radius, er_diffusion):
    """Rate of growth [1/ms] at every wavelength of `LENGTHS`, and without space."""
    j, d = jacobian(u, radius), np.diag([D_C, er_diffusion, D_B, 0.0, 0.0, 0.0])
    rates = [np.linalg.eigvals(j - (2 * np.pi / length) ** 2 * d).real.max() for length in LENGTHS]
    return np.array(rates), float(np.linalg.eigvals(j).real.max())


def cable(er_diffusion, spacing=0.1, length=70.0, until=300.0):
    """Positions, times, calcium (times, positions) on a cable of R = 0.09 um that widens to 0.15 um from 30 to 33.7 um."""
    edges = np.arange(round(length / spacing) + 1) * spacing
    x = 0.5 * (edges[1:] + edges[:-1])
    n = len(x)

    def radius(at):
        return np.interp(at, (30.0, 33.7), RADII)

    inner, outer = 0.5 * radius(x), radius(x)
    areas = np.array([np.pi * (outer**2 - inner**2), np.pi * inner**2])
    across = np.array([1.0, 1.0])[:, None] * np.pi * radius(edges[1:-1]) ** 2 * np.array([0.75, 0.25])[:, None] / spacing
    three = 2 * np.pi * inner / areas[0], 2 * np.pi * inner / areas[1], 2 * np.pi * outer / areas[0]

    def rhs(t, flat):
        u = flat.reshape(n, 6).T
        du = local(u, *three)
        for row, region, d in ((0, 0, D_C), (1, 1, er_diffusion), (2, 0, D_B)):
            flow = d * across[region] * np.diff(u[row])
            du[row, :-1] += flow / (areas[region, :-1] * spacing)
            du[row, 1:] -= flow / (areas[region, 1:] * spacing)
        if t < 1.0:
            du[0, 0] += 2.5 * (1.0 - t) / spacing
        return du.T.ravel()

    start, times, parts = np.tile(REST, n), np.arange(0.0, until + 0.5, 1.0), []
    for lo, hi in ((0.0, 1.0), (1.0, until)):
        inside = times[(times >= lo) & (times <= hi)]
        found = solve_ivp(rhs, (lo, hi), start, "LSODA", inside, rtol=1e-6, atol=1e-9, lband=6, uband=6, max_step=1.0)
        start = found.y[:, -1]
        parts.append(found.y[::6][:, 0 if lo == 0.0 else 1 :])
    return x, times, np.concatenate(parts, axis=1).T


def spots(x, c, low=30.0 - 3.0, high=33.7 + 6.0):
    """Maxima above 0.3 uM with less than half of it within 1.5 um on either side, in the taper and beyond it: position and value."""
    out = []
    for k in range(1, len(x) - 1):
        near = np.abs(x - x[k]) < 1.5
        left, right = c[near & (x < x[k])], c[near & (x > x[k])]
        if low < x[k] < high and c[k] > max(c[k - 1], c[k + 1]) and c[k] > 0.3 and max(left.min(), right.min()) < 0.5 * c[k]:
            out.append((float(x[k]), float(c[k])))
    return out


def figure(curves, runs):
    from matplotlib.figure import Figure

    from calcium_sim.plot.colours import scale

    canvas = Figure(figsize=(11, 6.4), layout="constrained")
    grid = canvas.subplots(2, 2)
    for ax, radius in zip(grid[0], RADII, strict=True):
        for k, t in enumerate((50.0, 100.0, 150.0, 200.0)):
            tone = ["#fcae12", "#e55c30", "#a12c5f", "#3b0f70"][k]
            ax.plot(LENGTHS, curves[radius, ER_DIFFUSION[0], t], color=tone, label=f"{t:g} ms")
            ax.plot(LENGTHS, curves[radius, ER_DIFFUSION[1], t], color=tone, lw=1, ls=":")
        ax.axhline(0.0, color="#70757d", lw=0.8)
        ax.set(xscale="log", xlabel="wavelength [µm]", ylabel="growth [1/ms]", ylim=(-0.01, 0.04), xlim=(LENGTHS[0], LENGTHS[-1]))
        ax.set_xticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
        ax.set_title(f"radius {radius:g} µm (dotted: ER diffusion 22 µm²/s)", loc="left", fontsize=10)
        ax.legend(title="after release", frameon=False, fontsize=8, title_fontsize=8)
    colours = scale(runs[ER_DIFFUSION[0]][2].T)
    for ax, d in zip(grid[1], ER_DIFFUSION, strict=True):
        x, t, c = runs[d]
        picture = ax.pcolormesh(t, x, c.T, cmap=colours.tones, norm=colours.norm, rasterized=True, shading="nearest")
        bar = canvas.colorbar(picture, ax=ax, extend=colours.extend, ticks=colours.ticks, format="%g")
        bar.minorticks_off()
        bar.set_label("Ca²⁺ in the cytosol [µM]")
        ax.set(xlabel="time [ms]", ylabel="position [µm]")
        ax.set_title(f"cable that widens from 30 to 33.7 µm, ER diffusion {1000 * d:g} µm²/s", loc="left", fontsize=10)
    return canvas


def main():
    curves, rows = {}, []
    for radius in RADII:
        for t, u in zip(TIMES, tail(radius), strict=True):
            row = [radius, t, float(u[0]), float(u[1])]
            for d in ER_DIFFUSION:
                curves[radius, d, t], still = growth(u, radius, d)
                best = int(np.argmax(curves[radius, d, t]))
                row += [float(curves[radius, d, t][best]), float(LENGTHS[best])]
            rows.append([*row, still])
    runs = {d: cable(d) for d in ER_DIFFUSION}
    seen = []
    for d, (x, t, c) in runs.items():
        for at in (150.0, 200.0, 250.0, 300.0):
            now = c[int(np.argmin(np.abs(t - at)))]
            told = ", ".join(f"{p:.1f} um {v:.2f} uM" for p, v in spots(x, now)) or "none"
            seen.append([1000 * d, at, told, float(now[(x > 20) & (x < 50)].min())])
    names = ["R [um]", "time [ms]", "c [uM]", "ER [uM]", "fastest growth [1/ms]", "at [um]", "same, ER 22 um^2/s [1/ms]", "at [um]"]
    text = "Fastest growing perturbation of the tail without space, and (last column) of the tail as a whole, without any diffusion."
    told = "Spots between 27 and 39.7 um, and the lowest calcium between 20 and 50 um (rest: 0.05 uM), by LSODA at 0.1 um."
    studies.write(
        "behind_the_wave", "Behind the wave: growth of spots in the emptied tail",
        [("Growth in the tail", text, [*names, "without space [1/ms]"], rows),
         ("A cable that widens", told, ["ER diffusion [um^2/s]", "time [ms]", "spots", "lowest [uM]"], seen)],
        figure(curves, runs),
    )  # fmt: skip


if __name__ == "__main__":
    main()
