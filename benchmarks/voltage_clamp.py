"""Channels from voltage-clamp currents of real cells, beside Hodgkin-Huxley: fitted to one protocol, compared on others.

    OMP_NUM_THREADS=1 python benchmarks/voltage_clamp.py FOLDER [--seeds 3] [--picture NAME.png] [--write]

The folder holds ``<cell>_<protocol>.nc`` with ``time``, ``V`` and ``I``, e.g. hERG of Beattie et al. (2018, doi 10.1113/JP275733).
Everything is fitted to ``sine_wave`` alone. 5 ms after jumps of the command by more than 10 mV are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from calcium_sim.learn import ClampChannel, ClampFit, fit_clamp, nernst
from calcium_sim.learn.clamp.current import Drive, current, current_slopes
from calcium_sim.learn.clamp.recording import ClampRecording, recording_of

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "voltage_clamp.md"
TRAINED = "sine_wave"
LOSS = 0.1
"""nA of the soft-L1 loss of the plain least squares."""


def least(fit: ClampFit, recording: ClampRecording) -> ClampChannel:
    """Two gates with exponential rates by SciPy's least squares, from where the package has found them."""
    layout, e_rev, used = fit.classic.layout, fit.channel.e_rev, recording.used
    drive = Drive.of(layout, recording.time, recording.voltage, e_rev)

    def left(p: np.ndarray) -> np.ndarray:
        return ((current(layout, p, drive) - recording.current) / LOSS)[used]

    def slopes(p: np.ndarray) -> np.ndarray:
        return (current_slopes(layout, p, drive)[1] / LOSS)[used]

    return ClampChannel(layout, least_squares(left, fit.classic.p, slopes, loss="soft_l1", xtol=1e-10).x, e_rev)


def error(channel: ClampChannel, recording: ClampRecording) -> float:
    """Mean absolute difference [nA]."""
    return float(np.abs(channel.predict(recording.time, recording.voltage) - recording.current)[recording.used].mean())


def row(cell: str, name: str, errors: list[float | None]) -> str:
    return f"| {cell} | {name} | {' | '.join('' if e is None else f'{e:.4f}' for e in errors)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--picture")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    files = {tuple(f.stem.split("_", 1)): f for f in sorted(given.folder.glob("*_*.nc"))}
    cells = sorted({c for c, p in files if p == TRAINED})
    protocols = [TRAINED, *sorted({p for _, p in files} - {TRAINED}, key=lambda p: (p != "ap", p))]
    shown = f" --picture {given.picture}" if given.picture else ""
    lines = ["# Channels from voltage-clamp currents", "", " ".join(__doc__.split("\n\n")[2].split()), ""]
    lines += [
        f"`OMP_NUM_THREADS=1 python benchmarks/voltage_clamp.py FOLDER --seeds {given.seeds}{shown} --write`, `fit_clamp` as it comes.",
        "",
    ]
    lines += ["Mean absolute error, nA; only the first column was fitted.", ""]
    lines += [f"| cell | model | {' | '.join(protocols)} |", f"|---|---|{'---|' * len(protocols)}"]
    notes = []
    for cell in cells:
        recordings = [recording_of(files[cell, p]) if (cell, p) in files else None for p in protocols]
        fits = [fit_clamp(recordings[0], e_rev=nernst("4 mM", "130 mM"), rng=seed) for seed in range(given.seeds)]
        models = {f"Hodgkin-Huxley, soft-L1 at {LOSS:g} nA": least(fits[0], recordings[0]), "Hodgkin-Huxley, first stage": fits[0].classic}
        models["fit_clamp"] = fits[0].channel
        table = {name: [None if r is None else error(m, r) for r in recordings] for name, m in models.items()}
        lines += [row(cell, name, errors) for name, errors in table.items()]
        base, ours = next(iter(table.values())), table["fit_clamp"]
        change = ["" if a is None or b is None else f"{100 * (b / a - 1):+.0f} %" for a, b in zip(base, ours, strict=True)]
        lines.append(f"| {cell} | against the first | {' | '.join(change)} |")
        spread = max(abs(error(f.channel, r) / error(fits[0].channel, r) - 1) for f in fits for r in recordings if r is not None)
        seconds = np.mean([f.seconds for f in fits])
        opened = "; ".join(f"{name} at {text}" for name, text in fits[0].open_ranges().items())
        notes.append(
            f"* {cell}: {fits[0].kind}, {seconds:.1f} s of CPU; other seeds change errors by {100 * spread:.2g} % at most. Open: {opened}."
        )
        if given.picture and cell == cells[0]:
            fits[0].plot(
                PAGE.with_name(given.picture), [r for p, r in zip(protocols, recordings, strict=True) if p == "ap" and r is not None]
            )
    lines += ["", *notes]
    lines += ["", "The expected size of corrections was set while looking at the predictions of cells 1 to 3."]
    if given.picture:
        lines += [
            "",
            f"![Currents and gates of {cells[0]}]({given.picture})",
            "",
            f"*{cells[0]}: fitted and predicted currents; gates, grey where open.*",
        ]
    print("\n".join(lines))
    if given.write:
        PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
