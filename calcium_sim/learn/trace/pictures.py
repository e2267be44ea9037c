"""Pictures of a fitted recording: the potential, residuals, and the gates with what the recording leaves open."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ...plugin import Channel

GREY = "0.85"


def draw_trace(fit: Any, path: str | os.PathLike[str] | None = None, true: Channel | None = None) -> Any:
    """Draw a fit: recorded and fitted potential, their difference, and per gate both curves with two standard deviations.

    Where the recording does not determine a curve it is drawn thin on grey.

    Parameters
    ----------
    fit : `TraceFit`, of `fit_trace`.
    path : picture to write; none by default.
    true : a channel whose gates of the same names are drawn beside them.

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.figure import Figure

    gates = len(fit.gates)
    figure = Figure(figsize=(11.0, 4.2 + 2.6 * gates), layout="constrained")
    grid = figure.add_gridspec(2 + gates, 2, height_ratios=[1.6, 0.8, *[1.6] * gates])
    _potential(figure.add_subplot(grid[0, :]), fit)
    _residuals(figure.add_subplot(grid[1, :]), fit)
    v = np.linspace(fit.span[0], fit.span[1], 321)
    steady, slow = fit(v)
    known = fit.determined(v)
    beside = {} if true is None else fit.true_gates(true, v)
    for k, (channel, state) in enumerate(fit.gates):
        ends = beside.get(state, (None, None))
        first, second = figure.add_subplot(grid[2 + k, 0]), figure.add_subplot(grid[2 + k, 1])
        _curve(first, known, known.xinf[k], steady[k], ends[0])
        _band(first, v, steady[k] - 2 * known.xinf_std[k], np.minimum(steady[k] + 2 * known.xinf_std[k], 1.0))
        _curve(second, known, known.tau[k], slow[k], ends[1])
        _band(second, v, slow[k] * np.exp(-2 * known.tau_std[k]), slow[k] * np.exp(2 * known.tau_std[k]))
        first.set_ylim(-0.05, 1.05)
        second.set_yscale("log")
        within = slow[k][known.tau[k]] if known.tau[k].any() else slow[k]
        second.set_ylim(0.3 * within.min(), 3.0 * within.max())
        first.set_ylabel(f"{state}: steady value")
        second.set_ylabel(f"{state}: time constant [ms]")
        first.set_title(f"{channel}, {state}", fontsize=9)
        for ax in (first, second):
            ax.set_xlabel("potential [mV]")
    figure.axes[2].legend(fontsize=8, loc="best")
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure


def _potential(ax: Any, fit: Any) -> None:
    time = fit.recording.time
    ax.plot(time, fit.recording.voltage, color="black", lw=2.0, alpha=0.4, label="recorded")
    ax.plot(time, fit.voltage, color="tab:red", lw=1.0, label="with the fitted gates")
    ax.set_ylabel("potential [mV]")
    ax.legend(fontsize=8, loc="upper right")
    ax.set_title(f"error {fit.error:.3g} mV, noise about {fit.noise:.2g} mV", fontsize=9)


def _residuals(ax: Any, fit: Any) -> None:
    ax.plot(fit.recording.time, fit.voltage - fit.recording.voltage, color="tab:red", lw=0.8)
    ax.axhline(0.0, color="black", lw=0.5)
    ax.set_ylabel("difference [mV]")
    ax.set_xlabel("time [ms]")


def _curve(ax: Any, known: Any, sure: Any, values: Any, true: Any) -> None:
    """A curve, thick where it is determined; grey behind it elsewhere."""
    if true is not None:
        ax.plot(known.v, true, color="black", ls="--", lw=1.2, label="true")
    ax.plot(known.v, values, color="tab:red", lw=0.7)
    ax.plot(known.v, np.where(sure, values, np.nan), color="tab:red", lw=2.0, label="recovered")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~sure, [False]]).astype(int)))
    for k, (begin, end) in enumerate(zip(edges[::2], edges[1::2], strict=True)):
        label = "not determined" if k == 0 else None
        ax.axvspan(known.v[begin], known.v[end - 1], color=GREY, lw=0, zorder=0, label=label)


def _band(ax: Any, v: Any, low: Any, high: Any) -> None:
    ax.fill_between(v, np.maximum(low, 0.0), high, color="tab:red", alpha=0.2, lw=0)


def draw_reduction(reduction: Any, path: str | os.PathLike[str] | None = None) -> Any:
    """Draw the potential of a neuron and of the compartment that stands for it, and their difference."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 5.0), layout="constrained")
    first, second = figure.subplots(2, 1, height_ratios=[1.8, 1.0], sharex=True)
    time = reduction.target.time
    first.plot(time, reduction.target.voltage, color="black", lw=2.0, alpha=0.4, label=f"neuron, {reduction.positions} positions")
    first.plot(time, reduction.voltage, color="tab:red", lw=1.0, label="one compartment")
    first.set_ylabel("potential [mV]")
    first.legend(fontsize=8, loc="upper right")
    first.set_title(f"error {reduction.error:.3g} mV", fontsize=9)
    second.plot(time, reduction.voltage - reduction.target.voltage, color="tab:red", lw=0.8)
    second.axhline(0.0, color="black", lw=0.5)
    second.set_ylabel("difference [mV]")
    second.set_xlabel("time [ms]")
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure
