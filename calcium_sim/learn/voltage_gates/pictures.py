"""Pictures of fitted gates: curves over the points of the tables, and what is left."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...mesh import Floats
from .fit import GateTables
from .tables import Tables

MOST = 8
"""Gates that are drawn; of more the worst."""


def draw_gates(fitted: GateTables, tables: Tables, names: Sequence[str] = (), path: str | os.PathLike[str] | None = None) -> Any:
    """Draw, one row per gate, steady value, time constant and their residuals.

    Parameters
    ----------
    fitted, tables : the fit, and what it was fitted to.
    names : gates to draw; by default the worst `MOST`.
    path : picture to write; none by default.

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.figure import Figure

    worst = np.argsort(-np.maximum(fitted.xinf_error / 0.01, fitted.tau_error / 0.05), kind="stable")
    chosen = [tables.names.index(n) for n in names][:MOST] if names else worst[:MOST].tolist()
    v = np.linspace(tables.v[0], tables.v[-1], 400)
    fine, known = fitted(v), fitted(tables.v)
    figure = Figure(figsize=(13.0, 2.6 * len(chosen) + 0.4), layout="constrained")
    for row, k in zip(figure.subplots(len(chosen), 4, squeeze=False), chosen, strict=True):
        name = tables.names[k]
        _curve(row[0], v, fine[0][k], tables.v, tables.xinf[k], f"{name}: steady value, off by {fitted.xinf_error[k]:.2g} (rms)")
        _curve(row[1], v, fine[1][k], tables.v, tables.tau[k], f"{name}: time constant [ms], off by {100 * fitted.tau_error[k]:.2g} %")
        row[1].set_yscale("log")
        _left(row[2], tables.v, known[0][k] - tables.xinf[k], "steady value: fit less table")
        _left(row[3], tables.v, known[1][k] - tables.tau[k], "time constant [ms]: fit less table")
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure


def _curve(ax: Any, v: Floats, found: Floats, at: Floats, table: Floats, title: str) -> None:
    ax.plot(at, table, "o", ms=3.5, color="black", alpha=0.5, label="table")
    ax.plot(v, found, color="tab:red", lw=1.2, label="network")
    ax.set_title(title, fontsize=9)
    ax.legend(fontsize=7)
    _axes(ax)


def _left(ax: Any, at: Floats, values: Floats, title: str) -> None:
    ax.axhline(0.0, color="0.7", lw=0.8)
    ax.plot(at, values, ".-", ms=4, lw=0.8, color="tab:red")
    ax.set_title(title, fontsize=9)
    _axes(ax)


def _axes(ax: Any) -> None:
    ax.set_xlabel("potential [mV]", fontsize=8)
    ax.tick_params(which="both", labelsize=7)
