"""Pictures of a channel from voltage-clamp currents: currents, residuals, and gates with what the recordings leave open."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .recording import ClampRecording

GREY, MOST = "0.88", 4
"""What is open is drawn on grey; so many recordings are drawn."""


def draw_clamp(
    fit: Any,
    path: str | os.PathLike[str] | None = None,
    beside: Sequence[ClampRecording] = (),
    true: Mapping[str, Any] | None = None,
) -> Any:
    """Draw a fit: per recording command, currents and differences; per state both curves with two standard deviations.

    Parameters
    ----------
    fit : `ClampFit`.
    path : picture to write; none by default.
    beside : recordings that were not fitted.
    true : {state: function of the potential [mV] that returns steady value and time constant [ms]}.

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.figure import Figure

    shown = [*((r, "fitted") for r in fit.recordings), *((r, "not fitted") for r in beside)][:MOST]
    rows = 3 * len(shown) + len(fit.states)
    heights = [0.7, 1.3, 0.8] * len(shown) + [1.8] * len(fit.states)
    figure = Figure(figsize=(12.0, 1.15 * sum(heights) + 0.4), layout="constrained")
    grid = figure.add_gridspec(rows, 2, height_ratios=heights)
    for k, (recording, how) in enumerate(shown):
        axes = [figure.add_subplot(grid[3 * k + i, :]) for i in range(3)]
        _recording(axes, fit, recording, how)
    low, high = fit.channel.layout.span
    v = np.linspace(low - 10.0, high + 10.0, 321)
    known, (steady, tau), classic = fit.determined(v), fit(v), fit.classic(v)
    for k, name in enumerate(fit.states):
        first, second = (figure.add_subplot(grid[3 * len(shown) + k, i]) for i in range(2))
        ends = (true or {}).get(name, lambda _: (None, None))(v)
        old = (classic[0][k], classic[1][k]) if k < len(fit.classic.states) else (None, None)
        two = 2.0 * known.xinf_std[k]
        _curve(first, v, steady[k], known.xinf[k], (np.maximum(steady[k] - two, 0.0), np.minimum(steady[k] + two, 1.0)), old[0], ends[0])
        wide = np.exp(np.minimum(2.0 * known.tau_std[k], 10.0))
        _curve(second, v, tau[k], known.tau[k], (tau[k] / wide, tau[k] * wide), old[1], ends[1])
        first.set_ylim(-0.05, 1.05)
        first.set_ylabel(f"{name}: steady value")
        second.set_yscale("log")
        second.set_ylim(0.3 * tau[k].min(), 3.0 * tau[k].max())
        second.set_ylabel(f"{name}: time constant [ms]")
        for ax in (first, second):
            ax.set_xlabel("potential [mV]")
        if k == 0:
            first.legend(fontsize=8)
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure


def _recording(axes: Sequence[Any], fit: Any, recording: ClampRecording, how: str) -> None:
    time, used = recording.time, recording.used
    recorded = np.where(used, recording.current, np.nan)
    both = [(c.predict(time, recording.voltage), colour, name) for c, colour, name in _pair(fit)]
    axes[0].plot(time, recording.voltage, color="black", lw=0.8)
    axes[0].set_ylabel("command\n[mV]")
    axes[0].set_title(f"{recording.name} ({how}): {fit.score(recording).error:.4f} nA mean absolute difference", fontsize=9)
    axes[1].plot(time, recorded, color="black", lw=1.6, alpha=0.4, label="recorded")
    for found, colour, name in both:
        axes[1].plot(time, np.where(used, found, np.nan), color=colour, lw=0.8, label=name)
        axes[2].plot(time, np.where(used, found, np.nan) - recorded, color=colour, lw=0.6)
    axes[1].set_ylabel("current [nA]")
    axes[1].legend(fontsize=8, loc="upper right")
    axes[2].axhline(0.0, color="black", lw=0.5)
    axes[2].set_ylabel("difference\n[nA]")
    axes[2].set_xlabel("time [ms]")
    for ax in axes[:2]:
        ax.tick_params(labelbottom=False)


def _pair(fit: Any) -> list[tuple[Any, str, str]]:
    return [(fit.classic, "tab:blue", "exponentials alone"), (fit.channel, "tab:red", fit.kind)]


def _curve(ax: Any, v: Any, values: Any, sure: Any, band: tuple[Any, Any], old: Any, true: Any) -> None:
    if true is not None:
        ax.plot(v, true, color="black", ls="--", lw=1.4, label="true")
    if old is not None:
        ax.plot(v, old, color="tab:blue", lw=0.8, label="exponentials alone")
    ax.fill_between(v, *band, color="tab:red", alpha=0.2, lw=0)
    ax.plot(v, values, color="tab:red", lw=0.7)
    ax.plot(v, np.where(sure, values, np.nan), color="tab:red", lw=2.0, label="found")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~sure, [False]]).astype(int)))
    for k, (begin, end) in enumerate(zip(edges[::2], edges[1::2], strict=True)):
        ax.axvspan(v[begin], v[end - 1], color=GREY, lw=0, zorder=0, label="open" if k == 0 else None)
