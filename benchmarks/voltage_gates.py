"""Networks for tables of gates beside formulas: errors over all gates of a file of tables, and the CPU time.

    OMP_NUM_THREADS=1 python benchmarks/voltage_gates.py TABLES.npz [--write]

The file holds ``V`` [mV], ``xinf`` and ``tau`` [ms] (gates, potentials), and, where it has them, the parameters of published formulas
``sm<k>_ss`` and ``sm<k>_tau`` (the omnimodels of the Ion Channel Genealogy, Podlaski et al. 2017, doi 10.7554/eLife.22152).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import calcium_sim as cs

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "voltage_gates.md"
GOOD = 0.01, 0.05


def formulas(data: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Errors of the published formulas, by name."""
    v, out = data["V"].astype(float), {}
    for k in range(1, 6):
        if f"sm{k}_ss" not in data:
            continue
        steady, slow = data[f"sm{k}_ss"], data[f"sm{k}_tau"]
        with np.errstate(all="ignore"):
            x = 1.0 / (1.0 + np.exp(-steady[:, :1] * v + steady[:, 1:2]))
            x = x if steady.shape[1] == 2 else steady[:, 2:3] * x + steady[:, 3:4]
            y, n = v - slow[:, :1], (slow.shape[1] - 2) // 2
            powers = np.stack([y**j for j in range(1, n + 1)], axis=2)
            first, second = ((powers * slow[:, None, 2 + part * n : 2 + (part + 1) * n]).sum(axis=2) for part in (0, 1))
            t = slow[:, 1:2] / (np.exp(-first) + np.exp(second))
        out[f"formula SM{k}"] = errors(x, t, data)
    return out


def errors(x: np.ndarray, t: np.ndarray, data: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square error of the steady values, and relative L2 error of the time constants, per gate."""
    with np.errstate(all="ignore"):
        return np.sqrt(((x - data["xinf"]) ** 2).mean(axis=1)), np.sqrt(
            ((t - data["tau"]) ** 2).sum(axis=1) / (data["tau"] ** 2).sum(axis=1)
        )


def row(name: str, x: np.ndarray, t: np.ndarray, cpu: str) -> str:
    """One row of the page."""
    x, t = (np.where(np.isfinite(e), e, np.inf) for e in (x, t))
    good = 100 * np.mean((x < GOOD[0]) & (t < GOOD[1]))
    parts = [f"{np.quantile(e, q):.2g}" for e in (x, t) for q in (0.9, 0.95)]
    return f"| {name} | {' | '.join(parts)} | {good:.2f} % | {cpu} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("tables")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    with np.load(given.tables) as file:
        data = {name: file[name] for name in file.files}
    fit = cs.learn.fit_gates(data["V"], data["xinf"], data["tau"])
    gates, curves = len(fit.curve), len(fit.parameters)
    lines = ["# Networks for tables of gates", "", " ".join(__doc__.split("\n\n")[2].split()), ""]
    lines += [
        f"`OMP_NUM_THREADS=1 python benchmarks/voltage_gates.py {Path(given.tables).name} --write`; the tables are 60 % of the distinct",
        "curves of the Ion Channel Genealogy, with all gates that share them.",
        "",
    ]
    lines.append(f"{gates} gates, {curves} distinct curves, {len(data['V'])} potentials. `fit_gates` as it comes, one thread.")
    lines += ["", "| | x_inf rms 90 % | 95 % | tau relative 90 % | 95 % | below 0.01 and 0.05 | CPU |", "|---|---|---|---|---|---|---|"]
    cpu = f"{1000 * fit.seconds / gates:.1f} ms per gate, {1000 * fit.seconds / curves:.0f} ms per curve"
    lines.append(row("networks", fit.xinf_error, fit.tau_error, cpu))
    lines += [row(name, *found, "") for name, found in formulas(data).items()]
    lines += ["", "What the networks miss are time constants of 0 to 0.2 ms in tables that are rounded to 0.01 ms."]
    print("\n".join(lines))
    if given.write:
        PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
