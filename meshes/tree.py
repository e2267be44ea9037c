"""Lay the nodes of a tree of cones, section by section, and put them together as a mesh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..mesh import OUTSIDE, Floats, Mesh
from .columns import Bools, columns_mesh
from .frusta import Slices, cut
from .gaps import INSIDE
from .points import SMALLEST, SOMA, Ints, Points, children, downward, segment_lengths

TYPES = {0: "undefined", 1: "soma", 2: "axon", 3: "basal", 4: "apical"}


def without_idle(points: Points) -> Points:
    """Leave out what adds no length: branches that end where they begin, neurites of one point inside the soma."""
    own, soma = segment_lengths(points), points.type == SOMA
    leaves = soma[np.maximum(points.parent, 0)] & ~soma & (points.parent >= 0)
    surface = points.radius[np.maximum(points.parent, 0)]
    total = np.where(leaves, np.where(own <= surface * INSIDE, 0.0, own), own)
    alone = np.bincount(points.parent[points.parent >= 0], minlength=len(own))[points.parent] == 1  # else a branch with a radius of its own
    repeated = int(((own < SMALLEST) & (points.parent >= 0) & ~leaves & ~soma & ~points.apart & alone).sum())
    for k in reversed(downward(points.parent)):
        if points.parent[k] >= 0:
            total[points.parent[k]] += total[k]
    idle = np.flatnonzero((total < SMALLEST) & ~soma & (points.parent >= 0))
    if len(idle):
        what = f"{len(idle)} point{'s add' if len(idle) > 1 else ' adds'} no length"
        told = f"{what} (a tip on its parent, or a neurite of one point inside the soma), left out"
        keep = ~np.isin(np.arange(len(points.id)), idle)
        return without_idle(points.kept(keep, points.parent).warned(f"{points.at(int(idle[0]))}: {told}"))
    if not repeated:
        return points
    told = f"{repeated} point{'s lie' if repeated > 1 else ' lies'} on the parent: a step of the radius, without length or volume"
    return points.warned(f"{points.file}: {told}")


@dataclass
class Tree:
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
        if p.type[p.parent[first]] == SOMA != p.type[first]:
            node = self._leave_soma(int(p.parent[first]), node, xyz[0], int(p.type[first]))
        step = np.sqrt((np.diff(xyz, axis=0) ** 2).sum(axis=1))
        arc = np.concatenate([[0.0], np.cumsum(np.where(p.apart[chain[len(chain) - len(step) :]], 0.0, step))])
        if arc[-1] < SMALLEST:  # a branch point written twice, or one inside the soma
            return chain[-1], node
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
            if p.apart[chain[0]] or away <= p.radius[q] * INSIDE:
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

    def mesh(self) -> Mesh:
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
        what = f"Tree of cones from {self.points.file}: {self.sections} sections"
        what += "" if self.er is None else " with a coaxial ER tube in neurites and soma (an assumption: the file has no ER)"
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
            notes=(f"{what}; a soma of one point is a cylinder as long as wide.", *self.points.notes),
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
