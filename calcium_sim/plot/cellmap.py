"""A tree by its places: tables of tips and labels, and a picture of the cell with the numbers of its tips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..description.names import placed
from ..errors import InputError
from ..mesh import Columns, Mesh
from ..plan.validity import cell_radius
from .drawing import INK, QUIET, axes, frame, points_per_um, scale_bar

Bools = NDArray[np.bool_]
COLOURS = {"soma": "#3d405b", "axon": "#e07a5f", "basal": "#3a86b7", "apical": "#7a4fa3"}
OTHER = "#6a994e"
_NO_KIND = ("tips", "dendrite")
"""Labels that lie across those of the kind of a branch."""


def _kinds(mesh: Mesh, count: int) -> dict[str, Bools]:
    """Labels of kinds of branches over the positions."""
    return {name: mesh.labels[name][:count] for name in placed(mesh.labels) if name not in _NO_KIND}


def _positions(mesh: Mesh) -> int:
    if not isinstance(mesh.structure, Columns):
        raise InputError("mesh", "is no tree, expected a cable or a cell from an SWC file")
    return len(mesh.structure.parent)


def tip_lines(mesh: Mesh) -> Iterator[str]:
    """A table of the tips: face, label, path distance, coordinates."""
    kinds = _kinds(mesh, _positions(mesh))
    rows: list[tuple[str, ...]] = [("tip", "label", "distance [um]", "x [um]", "y [um]", "z [um]")]
    for name, node in tips(mesh):
        label = next((kind for kind, there in kinds.items() if there[node]), "")
        rows.append((name, label, *(f"{v:.1f}" for v in (mesh.distance[node], *mesh.position[node]))))
    yield from table(rows)


def tips(mesh: Mesh) -> list[tuple[str, int]]:
    """Faces at the ends of branches of the cytosol, each of one node, and its position."""
    count = _positions(mesh)
    return [(name, int(f.nodes[0])) for name, f in mesh.faces.items() if len(f.nodes) == 1 and f.nodes[0] < count]


def label_lines(mesh: Mesh) -> Iterator[str]:
    """A table of the labels: nodes, length of the branches, membrane area, span of the path distance."""
    count = _positions(mesh)
    assert isinstance(mesh.structure, Columns)
    length = mesh.distance[:count] - mesh.distance[mesh.structure.parent]
    rows: list[tuple[str, ...]] = [("label", "nodes", "length [um]", "area [um^2]", "distance [um]")]
    for name in placed(mesh.labels):
        there = mesh.labels[name][:count]
        if there.any():
            far = mesh.distance[:count][there]
            area = mesh.membranes["plasma"].area[there].sum() if "plasma" in mesh.membranes else np.nan
            rows.append((name, f"{there.sum()}", f"{length[there].sum():.1f}", f"{area:.1f}", f"{far.min():.1f} to {far.max():.1f}"))
    yield from table(rows)


def table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Lines of cells under each other: names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = [any(map(str.isdigit, cell)) and k > 0 for k, cell in enumerate(rows[-1])]
    for row in rows:
        cells = (f"{c:>{w}}" if right else f"{c:{w}}" for c, w, right in zip(row, widths, numbers, strict=True))
        yield "  ".join(cells).rstrip()


def cell_map(mesh: Mesh, ax: Any = None) -> Any:
    """Draw a tree in the plane in which it is widest, coloured by its labels, with the numbers of its tips.

    Parameters
    ----------
    mesh : of a cable or an SWC file.
    ax : matplotlib axes; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    count = _positions(mesh)
    assert isinstance(mesh.structure, Columns)
    parent, kinds = mesh.structure.parent.astype(np.int64), _kinds(mesh, count)
    at, names = _plane(mesh, count)
    ax = axes(ax, (8.0, 8.0))
    frame(ax, at)
    ax.figure.draw_without_rendering()  # the layout has to be final before um can be told in points
    radius = cell_radius(mesh)
    width = np.maximum((np.zeros(count) if radius is None else radius) * 2 * points_per_um(ax), 1.3)
    colour = np.full(count, OTHER, object)
    for name, there in kinds.items():
        colour[there] = COLOURS.get(name, OTHER)
    lines = LineCollection(list(np.stack([at[parent], at], axis=1)[1:]), colors=list(colour[1:]), linewidths=width[1:], capstyle="round")
    ax.add_collection(lines)
    ax.plot(*at[0], "o", ms=max(float(width[0]), 6.0), color=colour[0])
    for name, node in tips(mesh):
        out = at[node] - at[parent[node]] if parent[node] != node else at[node] - at[min(1, count - 1)]
        out = 9.0 * out / max(float(np.hypot(*out)), 1e-12)
        told = name.removeprefix("tip-")
        ax.annotate(told, at[node], tuple(out), textcoords="offset points", ha="center", va="center", fontsize=7, color=INK)
    scale_bar(ax, at)
    shown = [Line2D([], [], color=COLOURS.get(name, OTHER), lw=3, label=name) for name, there in kinds.items() if there.any()]
    if shown:
        ax.legend(handles=shown, frameon=False, fontsize=8, loc="upper right")
    ax.set_title(f"tips by number (face tip-<number>), {names[0]} to the right and {names[1]} up", loc="left", fontsize=9, color=QUIET)
    return ax


def _plane(mesh: Mesh, count: int) -> tuple[NDArray[np.float64], tuple[str, str]]:
    """Positions in the plane of the two widest axes, and what these are called."""
    extent = np.ptp(mesh.position[:count], axis=0)
    least = 2 if extent[2] <= max(float(extent[:2].min()), 1e-12) else int(np.argmin(extent))
    first, second = (k for k in range(3) if k != least)
    return mesh.position[:count][:, [first, second]], ("xyz"[first], "xyz"[second])
