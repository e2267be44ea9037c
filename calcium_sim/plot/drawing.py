"""What all pictures share: axes, colours, limits, a bar of length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Floats = NDArray[np.float64]
INK, QUIET, GHOST = "#22252b", "#70757d", "#d5d8dc"


def frame(ax: Any, at: Floats) -> None:
    """Limits around points of a plane, without axes."""
    middle, half = 0.5 * (at.min(axis=0) + at.max(axis=0)), 0.55 * np.maximum(np.ptp(at, axis=0), 0.15 * np.ptp(at, axis=0).max())
    ax.set(xlim=(middle[0] - half[0], middle[0] + half[0]), ylim=(middle[1] - 1.1 * half[1], middle[1] + half[1]), aspect="equal")
    ax.set_axis_off()


def points_per_um(ax: Any) -> float:
    """How many points of a picture 1 um is long."""
    box = ax.get_window_extent()
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    return float(min(box.width / (x1 - x0), box.height / (y1 - y0)) * 72 / ax.figure.dpi)


def scale_bar(ax: Any, at: Floats) -> None:
    """A bar of a round length in the corner below."""
    aim = 0.22 * max(np.ptp(at[:, 0]), 0.3 * np.ptp(at[:, 1]))
    power = 10.0 ** np.floor(np.log10(aim))
    length = power * max(f for f in (1, 2, 5) if f * power <= aim)
    x, y = ax.get_xlim()[0] + 0.02 * np.ptp(ax.get_xlim()), ax.get_ylim()[0] + 0.03 * np.ptp(ax.get_ylim())
    ax.plot([x, x + length], [y, y], color=INK, lw=2, solid_capstyle="butt")
    ax.annotate(f"{length:g} µm", (x + length / 2, y), (0, 4), textcoords="offset points", ha="center", color=INK, fontsize=9)


def axes(ax: Any, size: tuple[float, float]) -> Any:
    """The axes that were given, or those of a new figure."""
    from matplotlib.axes import Axes

    if isinstance(ax, Axes):
        return ax
    if ax is not None:
        raise InputError("ax", f"{ax!r} is no matplotlib axes (e.g. plt.subplots()[1]; None makes a new figure)")
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def palette() -> Any:
    """The colour maps of matplotlib."""
    import matplotlib

    return matplotlib.colormaps


def tidy(ax: Any) -> None:
    """Two thin spines, quiet ticks."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(QUIET)
    ax.tick_params(colors=QUIET, labelcolor=INK, length=3, labelsize=9)
    ax.xaxis.label.set_color(INK)
    ax.yaxis.label.set_color(INK)


def bar_beside(ax: Any, lines: Any) -> Any:
    """A colour bar that keeps to the cell, which fills only a part of its axes: to its right, or below a flat one."""
    shape = float(np.ptp(ax.get_ylim()) / np.ptp(ax.get_xlim()))
    if shape < 0.5:
        return ax.figure.colorbar(lines, cax=ax.inset_axes((0.3, -0.06 / shape, 0.4, 0.02 / shape)), orientation="horizontal")
    return ax.figure.colorbar(lines, cax=ax.inset_axes((1 + 0.02 * max(1.0, shape), 0.1, 0.03 * max(1.0, shape), 0.8)))
