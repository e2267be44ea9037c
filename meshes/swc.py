"""Reconstructed neurons: a tree of cones with a coaxial ER, from an SWC file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from calcium_sim.errors import InputError, nearest, shown
from calcium_sim.mesh import OUTSIDE, Floats, Mesh
from calcium_sim.units import number_in, value

from .columns import Bools, columns_mesh
from .frusta import Slices, cut
from .inputs import length as positive_length
from .inputs import refuse_huge
from .soma import one_point_soma
from .swc_file import SOMA, Ints, Points, children, read_swc, segment_lengths

TYPES = {0: "undefined", 1: "soma", 2: "axon", 3: "basal", 4: "apical"}
EXAMPLES = {"granule-cell": "granule_cell_gc2.swc"}


def swc_files() -> tuple[str, ...]:
    """Return the names of the morphologies that come with the package, for `example`."""
    return tuple(EXAMPLES)


def example(name: str) -> Path:
    """Return the path of a morphology that comes with the package, e.g. ``example("granule-cell")``."""
    if not (isinstance(name, str) and name in EXAMPLES):
        raise InputError("example", f"unknown morphology {shown(name)}{nearest(name, EXAMPLES)}; there are {', '.join(EXAMPLES)}")
    return Path(__file__).parent / "data" / EXAMPLES[name]


def from_swc(
    path: str | Path,
    spacing: Any,
    er_fraction: Any = 0.17,
    *,
    er_radius: Callable[[float], float] | None = None,
) -> Mesh:
    """Build the mesh of a neuron from an SWC file.

    Every segment is a cone between two points. The nodes are the root, branch points, ends, changes of type, and points at equal
    distances in between, about `spacing` apart; a control volume reaches half way to its neighbours. Volumes, membrane areas and
    conductances are integrated exactly through all points of the file, so that total volume and area do not depend on `spacing`.

    The ER is a coaxial tube in every neurite and in the soma (SWC files say nothing about it): by default 17 % of the cross-section
    everywhere, a radius of 0.41 of the neurite's.

    A soma of one point is a cylinder as long as wide (its lateral area is that of the sphere) and one node; the three-point convention
    of NeuroMorpho.Org (two more points at a distance of one radius) means the same. A soma that is drawn as an outline, or as several in
    a stack (thin lines of soma points that come back to their start, exactly or nearly, in any plane), becomes such a point as well, and
    the root: at the centre of the largest outline, with the radius of the circle of the same area; a warning says so. Any other soma of
    several points is a chain of cones. A neurite whose first point is a child of a soma point starts at that point, or, if the point lies
    outside of the soma's radius R, with a cylinder that reaches back to the surface; it is joined to the soma's node through a length R of
    the soma's cross-section.

    Parameters
    ----------
    path : SWC file, in um.
    spacing : distance of nodes along an unbranched section (adjusted to a whole number of pieces).
    er_fraction : part of the cross-section taken by the ER; None for no ER.
    er_radius : instead of `er_fraction`: function of the neurite's radius [um] that returns the ER's [um]; linear between the points.

    Returns
    -------
    Mesh
        Regions "cytosol" and "er"; membranes "plasma" and "er"; `Columns` structure in Hines order; ``distance`` is the path length from
        the root. Labels (in both regions): "soma", "axon", "basal", "apical", "dendrite" (basal or apical), "type-<n>" for other types,
        "tips", and "section-<k>" for the unbranched sections in depth-first order. Faces: "tip-<k>", the cytosol's cross-section at
        the ends, in the order of the nodes.

    Raises
    ------
    InputError
        If the file is not one tree with positive radii (see `read_swc`), or the ER does not fit into the neurite.

    Warns
    -----
    UserWarning
        If the soma is drawn as outlines, stays a chain of cones that hold far less than a body as wide as its points, is not at the root,
        or is missing, or the file seems not to be in um.
    """
    step = positive_length(spacing, "from_swc.spacing")
    points = one_point_soma(read_swc(path))
    _warn_of_root(points)
    inner = _er_radii(points, er_fraction, er_radius)
    refuse_huge(segment_lengths(points).sum() / step, "from_swc.spacing")
    tree = _Tree(points, inner, step)
    tree.build()
    return tree.mesh(points.file)


def _warn_of_root(points: Points) -> None:
    soma = points.type == SOMA
    if soma.any() and not soma[points.parent < 0].all():
        warnings.warn(f"{points.file}: the root is not part of the soma, so the soma is taken as cones like a neurite", stacklevel=3)


def _er_radii(points: Points, fraction: Any, function: Callable[[float], float] | None) -> Floats | None:
    if function is None:
        if fraction is None:
            return None
        part = value(fraction, "1", "from_swc.er_fraction")
        if not 0 < part < 1:
            raise InputError("from_swc.er_fraction", f"{part:g} must lie between 0 and 1 (part of the cross-section), or be None for no ER")
        return points.radius * np.sqrt(part)
    if not callable(function):
        raise InputError("from_swc.er_radius", f"{shown(function)} is not a function of the neurite's radius in um (e.g. lambda r: r / 2)")
    inner = np.array([_inner_radius(function, float(r)) for r in points.radius])
    wrong = np.flatnonzero(~((inner > 0) & (inner < points.radius)))
    if len(wrong):
        k = int(wrong[0])
        raise InputError(
            "from_swc.er_radius",
            f"gives {inner[k]:g} um for a radius of {points.radius[k]:g} um ({points.at(k)}); it must lie between 0 and that",
        )
    return inner


def _inner_radius(function: Callable[[float], float], radius: float) -> float:
    where = "from_swc.er_radius"
    try:
        found = function(radius)
    except Exception as error:
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(where, f"the function fails at a radius of {radius:g} um: {told}") from error
    return number_in(found, "um", where)


@dataclass
class _Tree:
    """Nodes of a tree while it is built, section by section; every list holds one array per section (or point soma)."""

    points: Points
    er: Floats | None
    step: float
    kids: list[list[int]] = field(default_factory=list)
    count: int = 0
    sections: int = 0
    parent: list[Ints] = field(default_factory=list)
    conductance: list[Floats] = field(default_factory=list)
    position: list[Floats] = field(default_factory=list)
    distance: list[Floats] = field(default_factory=list)
    kind: list[Ints] = field(default_factory=list)
    section: list[Ints] = field(default_factory=list)
    shares: list[tuple[Ints, Floats]] = field(default_factory=list)
    tips: list[tuple[int, float]] = field(default_factory=list)
    reach: dict[int, float] = field(default_factory=dict)  # path length of the nodes on which a section may hang

    def build(self) -> None:
        """Walk the tree depth first and lay the nodes."""
        p = self.points
        self.kids = children(p.parent)
        root = int(np.flatnonzero(p.parent < 0)[0])
        lone_soma = p.type[root] == SOMA and not any(p.type[k] == SOMA for k in self.kids[root])
        self._add_node(0, np.zeros((self._regions, 1)), p.position[root], 0.0, int(p.type[root]))
        if lone_soma:
            self._add_soma(root)
        elif len(self.kids[root]) == 1 and p.type[root] != SOMA:
            self.tips.append((0, self._cross_section(root)))
        todo = [(k, 0) for k in reversed(self.kids[root])]
        while todo:
            first, node = todo.pop()
            last, end = self._lay(first, node)
            todo += [(k, end) for k in reversed(self.kids[last])]

    @property
    def _regions(self) -> int:
        return 1 if self.er is None else 2

    def _cross_section(self, k: int, region: int = 0) -> float:
        inner = 0.0 if self.er is None else float(self.er[k])
        r = float(self.points.radius[k])
        return float(np.pi * ((r - inner) * (r + inner) if region == 0 else inner * inner))

    def _add_node(self, parent: int, conductance: Floats, position: Floats, distance: float, kind: int) -> int:
        self._add_nodes(np.array([parent]), conductance, position[None], np.array([distance]), kind)
        return self.count - 1

    def _add_nodes(self, parent: Ints, conductance: Floats, position: Floats, distance: Floats, kind: int) -> None:
        """Append nodes to the section that is being laid."""
        self.count += len(parent)
        self.parent.append(parent)
        self.conductance.append(conductance)
        self.position.append(position)
        self.distance.append(distance)
        self.kind.append(np.full(len(parent), kind))
        self.section.append(np.full(len(parent), self.sections))
        self.reach[self.count - 1] = float(distance[-1])

    def _add_soma(self, root: int) -> None:
        """Give node 0 a cylinder whose length is the diameter."""
        r = self.points.radius[root]
        inner = None if self.er is None else np.full(2, self.er[root])
        whole = cut(np.array([0.0, 2 * r]), np.full(2, r), inner, 1)
        self.shares.append((np.zeros(1, np.int64), _rows(whole)))

    def _lay(self, first: int, node: int) -> tuple[int, int]:
        """Lay the nodes of the section that starts with point `first` at `node`; return its last point and node."""
        p = self.points
        chain = [first]
        while len(self.kids[chain[-1]]) == 1 and p.type[self.kids[chain[-1]][0]] == p.type[first]:
            chain.append(self.kids[chain[-1]][0])
        xyz, r, inner = self._polyline(chain)
        if len(r) == 1:
            warnings.warn(f"{p.at(first)}: a neurite of one point inside the soma is left out", stacklevel=5)
            return chain[-1], node
        if p.type[p.parent[first]] == SOMA != p.type[first]:
            node = self._leave_soma(int(p.parent[first]), node, xyz[0], int(p.type[first]))
        arc = np.concatenate([[0.0], np.cumsum(np.sqrt((np.diff(xyz, axis=0) ** 2).sum(axis=1)))])
        pieces = max(1, round(arc[-1] / self.step))
        slices = cut(arc, r, inner, 2 * pieces)
        grid = arc[-1] * (np.arange(1, pieces + 1) / pieces)
        new = self.count + np.arange(pieces)
        self._add_nodes(
            np.concatenate([[node], new[:-1]]),
            1 / (slices.resistance[:, 0::2] + slices.resistance[:, 1::2]),
            np.stack([np.interp(grid, arc, x) for x in xyz.T], axis=1),
            self.reach[node] + grid,
            int(p.type[first]),
        )
        self.sections += 1
        ends = np.concatenate([[node], new])
        self.shares.append((np.repeat(ends, 2)[1:-1], _rows(slices)))
        if not self.kids[chain[-1]]:
            self.tips.append((int(new[-1]), self._cross_section(chain[-1])))
        return chain[-1], int(new[-1])

    def _polyline(self, chain: list[int]) -> tuple[Floats, Floats, Floats | None]:
        """Points of a section with where it starts: the point it hangs on, or the surface of the soma."""
        p = self.points
        q = int(p.parent[chain[0]])
        start = p.position[q], p.radius[q], None if self.er is None else self.er[q]
        if p.type[q] == SOMA != p.type[chain[0]]:
            way = p.position[chain[0]] - p.position[q]
            away = np.sqrt((way**2).sum())
            if away <= p.radius[q] * (1 + 1e-9):
                return p.position[chain], p.radius[chain], None if self.er is None else self.er[chain]
            k = chain[0]
            start = p.position[q] + way * (p.radius[q] / away), p.radius[k], None if self.er is None else self.er[k]
        inner = None if self.er is None else np.concatenate([[start[2]], self.er[chain]])
        return np.concatenate([start[0][None], p.position[chain]]), np.concatenate([[start[1]], p.radius[chain]]), inner

    def _leave_soma(self, soma: int, node: int, position: Floats, kind: int) -> int:
        """Add the first node of a neurite: joined to the soma's node through one radius of the soma's cross-section."""
        r = float(self.points.radius[soma])
        conductance = np.array([[self._cross_section(soma, region) / r] for region in range(self._regions)])
        return self._add_node(node, conductance, position, self.reach[node] + r, kind)

    def mesh(self, file: str) -> Mesh:
        """Put the sections together."""
        kind = np.concatenate(self.kind)
        total = np.zeros((self._regions + 2, self.count))
        for nodes, rows in self.shares:
            for sums, row in zip(total, rows, strict=True):
                np.add.at(sums, nodes, row)
        membranes: dict[str, tuple[tuple[str, str], Floats]] = {"plasma": (("cytosol", OUTSIDE), total[-2])}
        if self.er is not None:
            membranes["er"] = (("er", "cytosol"), total[-1])
        tips = sorted(self.tips)
        er = "" if self.er is None else " with a coaxial ER tube in neurites and soma (an assumption: the file has no ER)"
        return columns_mesh(
            ("cytosol", "er")[: self._regions],
            parent=np.concatenate(self.parent),
            volume=total[: self._regions],
            conductance=np.concatenate(self.conductance, axis=1),
            position=np.concatenate(self.position),
            distance=np.concatenate(self.distance),
            membranes=membranes,
            ends={f"tip-{k}": ("cytosol", np.array([node]), np.array([area])) for k, (node, area) in enumerate(tips)},
            labels=dict(_labels(kind, [node for node, _ in tips])),
            sections=np.concatenate(self.section),
            notes=(f"Tree of cones from {file}: {self.sections} sections{er}; a soma of one point is a cylinder as long as wide.",),
        )


def _rows(slices: Slices) -> Floats:
    return np.concatenate([slices.volume, slices.plasma[None], slices.er[None]])


def _labels(kind: Ints, tips: list[int]) -> Iterator[tuple[str, Bools]]:
    for number in np.unique(kind):
        yield TYPES.get(int(number), f"type-{number}"), kind == number
    dendrite = np.isin(kind, (3, 4))
    if dendrite.any():
        yield "dendrite", dendrite
    yield "tips", np.isin(np.arange(len(kind)), tips)
