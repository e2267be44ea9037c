"""Gates recovered from one current-clamp recording: seeds, noise, other gates, other currents, and a cell that was really recorded.

    OMP_NUM_THREADS=1 python benchmarks/learn_trace.py [--seeds 10] [--recording RECORDING.nc] [--write]

A squid axon (leak 0.3 mS/cm^2 at -70 mV, E_K -75 mV, a cylinder of 1 by 10 um), 15 pA from 5 to 45 ms, 50 ms, every 0.1 ms; noise is normal
and a fraction of the largest absolute potential. A recording is 17o05028_ic_steps of swharden/pyABF (MIT) as netCDF.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import calcium_sim as cs
from calcium_sim.meshes import well_mixed

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "learn_trace.md"
V = np.linspace(-75.0, 40.0, 116)
FIGURE = PAGE.parent / "learn_trace.png"


def squid(current: float = 15.0, duration: float = 40.0) -> cs.Model:
    mesh = well_mixed({"cytosol": f"{np.pi * 10} um^3"}, {"plasma": (("cytosol", "outside"), f"{np.pi * 20} um^2")})
    channels = [
        cs.get_channel("na/hodgkin-huxley")(),
        cs.get_channel("k/hodgkin-huxley")(e="-75 mV"),
        cs.get_channel("leak/ohmic")(g="0.3 mS/cm^2", e="-70 mV"),
    ]
    clamp = cs.CurrentClamp(0, f"{current} pA", f"{duration} ms", start="5 ms")
    return cs.Model(mesh, [], {"plasma": channels}, stimuli=[clamp], voltage=cs.Cable(initial="-70 mV"))


def cortex(current: float = 60.0, duration: float = 240.0) -> cs.Model:
    """A cortical cell that adapts: the slow potassium current is what is looked for."""
    mesh = well_mixed({"cytosol": "1000 um^3"}, {"plasma": (("cytosol", "outside"), "5000 um^2")})
    channels = [
        cs.get_channel("na/pospischil")(),
        cs.get_channel("k/pospischil")(),
        cs.get_channel("km/pospischil")(tau_max="300 ms", g="0.1 mS/cm^2"),
        cs.get_channel("leak/ohmic")(g="0.02 mS/cm^2", e="-70 mV"),
    ]
    clamp = cs.CurrentClamp(0, f"{current} pA", f"{duration} ms", start="5 ms")
    return cs.Model(mesh, [], {"plasma": channels}, stimuli=[clamp], voltage=cs.Cable(initial="-70 mV"))


def trace(model: cs.Model, until: float, tolerance: float = 1e-6) -> tuple[np.ndarray, np.ndarray]:
    ds = cs.simulate(model, f"{until} ms", "0.1 ms", tolerance=tolerance, record=[])
    return ds.time.values, ds.v.values[:, 0]


def spikes(model: cs.Model, until: float) -> np.ndarray:
    t, v = trace(model, until, 1e-5)
    k = np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0))
    return t[k] - v[k] / (v[k + 1] - v[k]) * (t[k + 1] - t[k])


def elsewhere(fit: cs.learn.TraceFit, cell, currents: tuple[float, ...], until: float, duration: float) -> tuple[int, float]:
    """In how many of these currents the number of spikes is right, and the largest error of their times there [ms]."""
    model, right, worst = fit.model(), 0, 0.0
    for current in currents:
        true, found = spikes(cell(current, duration), until), spikes(replace(model, stimuli=cell(current, duration).stimuli), until)
        if len(true) == len(found):
            right, worst = right + 1, max(worst, float(np.abs(true - found).max(initial=0.0)))
    return right, worst


def study(label: str, cell, unknown: str, gates: list[str] | None, noise: float, seeds: int) -> str:
    """One row: fits of so many seeds."""
    long = cell is cortex
    t, true = trace(cell(), 250.0 if long else 50.0)
    currents, until, duration = ((48.0, 60.0, 72.0), 300.0, 280.0) if long else ((12.0, 15.0, 18.0), 100.0, 90.0)
    rows = []
    for seed in range(seeds):
        noisy = true + noise * np.abs(true).max() * np.random.default_rng(1000 + seed).normal(size=len(true))
        fit = cs.learn.fit_trace(cell(), (t, noisy), unknown, gates=gates, rng=seed)
        channel = next(c for c in cell().membranes["plasma"] if c.label() == unknown)
        x, tau = fit(V)
        known, formulas = fit.determined(V), fit.true_gates(channel, V)
        wrong = [(np.abs(x[k] - formulas[s][0]), np.abs(np.log(tau[k] / formulas[s][1]))) for k, (_, s) in enumerate(fit.gates)]
        right, worst = elsewhere(fit, cell, currents, until, duration)
        rows.append(
            (
                np.sqrt(np.mean((fit.voltage - true) ** 2)),
                max(np.sqrt(np.mean(a**2)) for a, _ in wrong),
                max(np.sqrt(np.mean(b**2)) for _, b in wrong),
                right,
                worst,
                fit.seconds,
                np.mean([known.xinf.mean(), known.tau.mean()]),
                np.mean(
                    [(a < 2 * s)[m].mean() for (a, _), s, m in zip(wrong, known.xinf_std, known.xinf, strict=True) if m.any()] or [1.0]
                ),
            )
        )
        print(label, noise, seed, " ".join(f"{x:.4g}" for x in rows[-1]), flush=True)
    r = np.array(rows)
    good = int((r[:, 0] < 2.0).sum())
    cells = [
        f"{good} of {seeds}",
        f"{np.median(r[:, 0]):.2g} ({r[:, 0].min():.2g} to {r[:, 0].max():.2g})",
        f"{np.median(r[:, 1]):.2g}",
        f"{np.median(r[:, 2]):.2g}",
        f"{int(r[:, 3].sum())} of {3 * seeds}",
        f"{r[:, 4].max():.2g}",
        f"{100 * np.median(r[:, 6]):.0f} %",
        f"{100 * r[:, 7].mean():.0f} %",
        f"{np.median(r[:, 5]):.1f}",
    ]
    return f"| {label} | {100 * noise:g} % | {' | '.join(cells)} |"


def recorded(path: str) -> list[str]:
    """A real cell: capacitance and leak from its answer to -50 pA, then m, h and n at once from 60 ms with a step to 100 pA."""
    from scipy.optimize import curve_fit

    whole = cs.learn.read_recording(path, 15)
    step = whole.part(1147.5, 1300.0)
    (rest, _, tau), _ = curve_fit(lambda t, a, b, tau: a + b * np.exp(-(t - 1147.5) / tau), step.time, step.voltage, (-100.0, 40.0, 50.0))
    before = float(np.median(whole.part(1000.0, 1146.0).voltage))
    resistance = (before - rest) / 50.0
    capacity, area = tau / resistance, tau / resistance / 0.01
    mesh = well_mixed({"cytosol": "5000 um^3"}, {"plasma": (("cytosol", "outside"), f"{area} um^2")})
    part = whole.part(1640.0, 1700.0)
    channels = [
        cs.get_channel("na/pospischil")(g="50 mS/cm^2", threshold="-50 mV"),
        cs.get_channel("k/pospischil")(g="5 mS/cm^2", threshold="-50 mV"),
        cs.get_channel("leak/ohmic")(g=f"{100.0 / resistance / area} mS/cm^2", e=f"{before} mV"),
    ]
    model = cs.Model(mesh, [], {"plasma": channels}, voltage=cs.Cable(initial=f"{np.median(part.voltage[:20])} mV"))
    started = time.process_time()
    options = {"start": "model", "restarts": 0, "noise": 2.0, "evaluations": 2.0}
    fit = cs.learn.fit_trace(model, part, ["na/pospischil", "k/pospischil"], **options)
    fit.plot(FIGURE)
    print(fit, time.process_time() - started, flush=True)
    return [
        "",
        f"A cell that was recorded (sweep 15, 1640 to 1700 ms, a step from -50 to 100 pA): {capacity:.0f} pF and {resistance:.2f} GOhm from its answer",
        "to -50 pA; all three gates of sodium and potassium unknown at once, their conductances (50 and 5 mS/cm^2) and the first weights those of",
        'Pospischil\'s model (`start="model", noise=2, evaluations=2`):',
        "",
        "```",
        str(fit),
        "```",
        "",
        f"![Recorded and fitted potential, and the gates]({FIGURE.name})",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--recording")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    heads = ["gate", "noise", "below 2 mV", "error to the true trace, mV", "xinf rms", "ln tau rms", "spike counts right", "times off, ms"]
    heads += ["determined", "of these within 2 sd", "CPU s"]
    lines = ["# Gates from one recording", "", " ".join(__doc__.split("\n\n")[2].split()), ""]
    lines += [f"`OMP_NUM_THREADS=1 python benchmarks/learn_trace.py --seeds {given.seeds} --recording 17o05028_ic_steps.nc --write`", ""]
    lines += [
        "Medians over seeds of weights and noise (smallest and largest in brackets). Spikes: 100 ms (M current: 300 ms) at 80, 100 and 120 % of"
    ]
    lines += ["the current, with the channel file in the program's own solver. Gates are compared from -75 to 40 mV.", ""]
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for noise in (0.0, 0.01, 0.05):
        lines.append(study("K: n", squid, "k/hodgkin-huxley", None, noise, given.seeds))
    few = max(1, given.seeds // 2)
    for label, gates in (("Na: m", ["m"]), ("Na: h", ["h"]), ("Na: m and h", None)):
        for noise in (0.0, 0.05):
            lines.append(study(label, squid, "na/hodgkin-huxley", gates, noise, few))
    for noise in (0.0, 0.05):
        lines.append(study("M current: p", cortex, "km/pospischil", None, noise, few))
    lines += ["", "m and h are known only as m^3 h: a recording of 50 ms with four spikes leaves them open, and the result says so."]
    lines += recorded(given.recording) if given.recording else []
    print("\n".join(lines))
    if given.write:
        PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
