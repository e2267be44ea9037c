"""Pictures of fits: truth and network over fresh traces."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class Drawn(Protocol):
    """What is drawn of a fit (`result.FitResult`)."""

    @property
    def name(self) -> str:
        """Of the network."""

    @property
    def check(self) -> Any:
        """Fresh traces, see `result.Check`."""


def draw_fits(results: Sequence[Drawn], path: str | os.PathLike[str] | None = None) -> Any:
    """Draw, one row per network, three fresh traces (median, 90 %, worst) and the errors of all of them.

    Parameters
    ----------
    results : of `fit_open_probability`.
    path : picture to write; none by default.

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.0, 2.7 * len(results) + 0.4), layout="constrained")
    rows = figure.subplots(len(results), 4, squeeze=False)
    for row, result in zip(rows, results, strict=True):
        check = result.check
        order = np.argsort(check.errors, kind="stable")
        places = (order[len(order) // 2], order[(9 * len(order)) // 10], order[-1])
        for ax, which, label in zip(row, places, ("median", "90 %", "worst"), strict=False):
            _trace(ax, check, which, f"{result.name}, {label}: RMSE {check.errors[which]:.2g}")
        _distribution(row[3], check.errors)
    rows[0, 0].legend(fontsize=8, loc="upper right")
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure


def _trace(ax: Any, check: Any, which: int, title: str) -> None:
    ax.plot(check.time, check.true[which], color="black", lw=2.5, alpha=0.45, label="equations")
    ax.plot(check.time, check.found[which], color="tab:red", lw=1.2, ls="--", label="network, fed back")
    ax.set_ylim(-0.03, 1.05)
    ax.set_title(title, fontsize=9)
    ax.set_xlabel("time [ms]", fontsize=8)
    ax.set_ylabel("open probability", fontsize=8)
    other = ax.twinx()
    other.plot(check.time, check.input[which], color="tab:blue", lw=0.8, alpha=0.6)
    other.set_yscale("log")
    other.set_ylabel(f"{check.port} [uM]", color="tab:blue", fontsize=8)
    for a in (ax, other):
        a.tick_params(which="both", labelsize=7)


def _distribution(ax: Any, errors: Any) -> None:
    ordered = np.sort(errors)
    ax.plot(ordered, np.arange(1, len(ordered) + 1) / len(ordered), drawstyle="steps-post", color="tab:red")
    ax.set_xscale("log")
    ax.xaxis.set_minor_formatter("")  # over less than a decade they would overlap
    ax.set_xlabel("RMSE of the open probability", fontsize=8)
    ax.set_ylabel("fraction of fresh traces", fontsize=8)
    ax.set_title(f"median {np.median(errors):.2g}, largest {errors.max():.2g}", fontsize=9)
    ax.tick_params(labelsize=7)
