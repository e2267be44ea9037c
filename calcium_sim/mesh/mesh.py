"""Mesh: one frozen finite-volume structure for cables, trees, (z, r) grids and simplices.

Nodes are centres of control volumes and belong to one region each; the nodes of a region are contiguous. Edges join nodes of one
region. A membrane is a set of node pairs (inside, outside) with an area; its outside may be the extracellular space.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..description.fixed import Described, own_arrays
from ..description.names import placed
from ..errors import InputError, nearest, shown
from .given import ordered
from .nearest import nearest_row, wanted_point
from .places import KINDS, Place, Within, asked, called
from .places import checked as checked_place

Floats = NDArray[np.float64]
Nodes = NDArray[np.uint32]
OUTSIDE = "outside"
_NAMED = 6
"""So many names of a kind are shown when a mesh is printed."""


@dataclass(frozen=True, eq=False)
class Membrane(Described):
    """Node pairs across a membrane: `area[k]` [um^2] between `inside[k]` and `outside[k]`.

    `sides` names the two regions; when the second is ``"outside"`` (the extracellular space) the array `outside` is empty.
    """

    name: str
    sides: tuple[str, str]
    inside: Nodes
    outside: Nodes
    area: Floats

    def __repr__(self) -> str:
        return f"Membrane({self.name}: {' to '.join(self.sides)}, {len(self.area)} pairs, {self.area.sum():.6g} um^2)"


@dataclass(frozen=True, eq=False)
class Face(Described):
    """A part of the boundary of a region through which a stimulus may enter: nodes and the area [um^2] of each."""

    region: str
    nodes: Nodes
    area: Floats

    def __repr__(self) -> str:
        return f"Face({self.region}: {len(self.nodes)} nodes, {np.sum(self.area):.6g} um^2)"


@dataclass(frozen=True, eq=False)
class Columns(Described):
    """Structure hint: every region has the same positions, joined as one tree (cables, SWC trees, a single point).

    `parent[i] < i` is the neighbour of position i towards the root (position 0 is its own parent). Node i of every region is
    ``start[region] + i``; `conductance[r, i]` [um] joins position i of region r to its parent, 0 at the root.
    Membrane pair i of every membrane is position i.
    """

    parent: Nodes
    conductance: Floats

    def __repr__(self) -> str:
        return f"Columns({len(self.parent)} positions)"


@dataclass(frozen=True, eq=False)
class Axisymmetric(Described):
    """Structure hint: coaxial regions on a uniform (z, r) grid; r is the distance from the axis.

    The nodes of region r are ordered z first: ``start[r] + k * cells[r] + j`` is cell j (from the axis outwards) of slice k.
    `spacing` [um] is the cell length in z; `radii[r]` [um] are the `cells[r] + 1` radial cell edges, innermost region first.
    """

    slices: int
    cells: tuple[int, ...]
    spacing: float
    radii: tuple[Floats, ...]

    def __repr__(self) -> str:
        return f"Axisymmetric({self.slices} slices of {self.spacing:g} um, {' + '.join(map(str, self.cells))} radial cells)"


@dataclass(frozen=True, eq=False)
class Mesh(Described):
    """Control volumes and how they are joined. Lengths in um.

    Parameters
    ----------
    regions : names, in the order of the nodes.
    start : int64, shape (regions + 1,): the nodes of region r are ``start[r]:start[r + 1]``.
    volume : shape (nodes,) [um^3].
    position : shape (nodes, 3) [um].
    distance : shape (nodes,) [um]: path length from the root (left end, soma) to the node.
    edges : uint32, shape (edges, 2); conductance : shape (edges,) [um] = area / distance; may be negative on simplices.
    membranes, faces : by name.
    labels : boolean arrays over the nodes by name ("soma", "apical", ...): places that a stimulus or channel can name.
    structure : hint for a faster solver; None means a general graph.
    notes : what the geometry assumes, in sentences (kept with every result).

    Raises
    ------
    InputError
        If an invariant does not hold (see `check`).
    """

    regions: tuple[str, ...]
    start: NDArray[np.int64]
    volume: Floats
    position: Floats
    distance: Floats
    edges: Nodes
    conductance: Floats
    membranes: Mapping[str, Membrane]
    faces: Mapping[str, Face] = field(default_factory=dict)
    labels: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    structure: Columns | Axisymmetric | None = None
    simplices: Nodes | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        parts = [f"{int(n)} nodes in {r}" for r, n in zip(self.regions, np.diff(self.start), strict=True)]
        for kind in ("membranes", "faces", "labels"):
            names = list(islice(getattr(self, kind), _NAMED))
            more = f" and {len(getattr(self, kind)) - _NAMED} more" if len(getattr(self, kind)) > _NAMED else ""
            parts += [f"{kind} {', '.join(names)}{more}"] if names else []
        shape = "graph" if self.structure is None else repr(self.structure)
        return f"Mesh({'; '.join(parts)}; {len(self.edges)} edges; {shape})"

    def __post_init__(self) -> None:
        check(self)
        for part in [*self.membranes.values(), *self.faces.values(), *([self.structure] if self.structure else []), self]:
            own_arrays(part)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.volume)

    def region(self, name: str, where: str = "region") -> int:
        """Index of a region, or an InputError with the nearest name."""
        if name not in self.regions:
            raise InputError(where, f"unknown region '{name}'{nearest(name, self.regions)}; the mesh has {', '.join(self.regions)}")
        return self.regions.index(name)

    def span(self, name: str) -> slice:
        """The nodes of a region, as a slice."""
        r = self.region(name)
        return slice(int(self.start[r]), int(self.start[r + 1]))

    def pair_nodes(self, membrane: str, region: str) -> Nodes:
        """The node of a region at each pair of a membrane; a third region has the same positions as the membrane (`Columns`)."""
        m = self.membranes[membrane]
        if region == m.sides[0]:
            return m.inside
        if region == m.sides[1]:
            return m.outside
        span = self.span(region)
        return np.arange(span.start, span.stop, dtype=np.uint32)

    def select(self, place: Place, nodes: Nodes, where: str = "at", partners: Nodes | None = None) -> NDArray[np.bool_]:
        """Which of `nodes` lie at a place: None (all), a label or face, the number of a node, a function of x, y, z (in um) -> bool.

        A function may ask for the path distance instead, by naming its only argument ``distance`` (see `places.asked`). A list of places
        means all of them together. `partners` are nodes across a membrane, one per node: by their numbers, too, and by names of places on
        their side only, these can be meant.
        """
        if place is None:
            return np.ones(len(nodes), bool)
        if isinstance(place, (list, tuple)):
            numbers = tuple(p for p in place if isinstance(p, int))
            parts = [self.select(p, nodes, where, partners) for p in place if not isinstance(p, int)]
            parts += [self._numbered(numbers, nodes, where, partners)] if numbers else []
            return np.logical_or.reduce(parts)
        if isinstance(place, (int, np.integer)) and not isinstance(place, bool):
            return self._numbered((int(place),), nodes, where, partners)
        if callable(place):
            chosen = self.evaluate(place, nodes, where)
            if chosen.shape != (len(nodes),) or chosen.dtype != bool:
                raise InputError(
                    where, f"the function returned {chosen.dtype} of shape {chosen.shape}, expected one bool per node (use & and |)"
                )
        elif not isinstance(place, str):
            raise InputError(where, f"{place!r} is no place, {KINDS}")
        elif place in self.labels:
            chosen = self.labels[place][nodes]
        elif place in self.faces:
            chosen = np.isin(nodes, self.faces[place].nodes)
            if not chosen.any() and isinstance(self.structure, Columns):  # a tip is that of all regions
                chosen = np.isin(nodes % len(self.structure.parent), self.faces[place].nodes % len(self.structure.parent))
        else:
            known = list(dict.fromkeys([*self.labels, *self.faces]))
            own = list(dict.fromkeys([*placed(self.labels), *self.faces]))
            listed = ", ".join(own[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
            raise InputError(where, f"unknown place '{place}'{nearest(place, known)}; the mesh has {listed or 'no named places'}")
        if not chosen.any() and partners is not None and len(partners) and isinstance(place, str):
            chosen = self.labels[place][partners] if place in self.labels else np.isin(partners, self.faces[place].nodes)
        if not chosen.any():
            raise InputError(where, "no node of the mesh lies there (check the coordinates: they are in um)")
        return chosen

    def _numbered(self, numbers: tuple[int, ...], nodes: Nodes, where: str, partners: Nodes | None) -> NDArray[np.bool_]:
        beyond = [k for k in numbers if not 0 <= k < self.nodes]
        if beyond:
            raise InputError(where, f"node {beyond[0]} does not exist, the mesh has nodes 0 to {self.nodes - 1}")
        chosen = np.isin(nodes, numbers)
        if partners is not None and len(partners):
            chosen |= np.isin(partners, numbers)
        if not chosen.any():
            told = f"node {numbers[0]}" + (f" and {len(numbers) - 1} more" if len(numbers) > 1 else "")
            raise InputError(where, f"{told} lies elsewhere (mesh.nearest(x, y, z, region=...) gives the node of a region)")
        return chosen

    def nearest(
        self, x: Any = None, y: Any = None, z: Any = None, *, distance: Any = None, at: Place = None, region: str | None = None
    ) -> int:
        """The number of the node that lies nearest to a point, or to a path distance from the root.

        Parameters
        ----------
        x, y, z : lengths (um where they are bare numbers); one that is left out does not count.
        distance : path distance from the root (left end, soma) instead; of several nodes at it the first.
        at : place that the node has to lie at, such as a label: ``mesh.nearest(distance=100, at="apical")``.
        region : region of the node; the cytosol by default, the first region where there is none of that name.

        Raises
        ------
        InputError
            If a coordinate is no length, a name is unknown, or nothing is given.

        Warns
        -----
        ModelWarning
            If the node is farther away than a tenth of the size of the cell: the coordinates may be those of something else.
        """
        point = wanted_point({"x": x, "y": y, "z": z, "distance": distance})
        r = self.region(region if region is not None else "cytosol" if "cytosol" in self.regions else self.regions[0], "nearest.region")
        nodes = np.arange(self.start[r], self.start[r + 1], dtype=np.uint32)
        nodes = nodes[self.select(checked_place(at, "nearest.at"), nodes, "nearest.at")]
        known, whole = (
            {**dict(zip("xyz", x.T, strict=True)), "distance": d}
            for x, d in ((self.position[nodes], self.distance[nodes]), (self.position, self.distance))
        )
        return int(nodes[nearest_row(point, known, whole, at)])

    def evaluate(self, function: Callable[..., Any], nodes: Nodes, where: str, unit: str = "1") -> NDArray[Any]:
        """What a user's function of x, y, z, or of the path distance, returns at some nodes, as numbers in `unit`.

        Raises
        ------
        InputError
            If it asks for anything else, fails, or returns no array of plain numbers.
        """
        known = {**dict(zip("xyz", self.position[nodes].T, strict=True)), "distance": self.distance[nodes]}
        return called(function, [known[name].copy() for name in asked(function, where)], where, unit)


def within(low: Any, high: Any) -> Within:
    """Place: nodes whose path distance from the root (left end, soma) lies between two lengths (quantities, e.g. "10 um")."""
    from ..units import value

    return Within(*ordered(float(value(low, "um", "within")), float(value(high, "um", "within")), "within"))


def path_to(mesh: Mesh, node: int) -> Nodes:
    """Nodes from the root (left end, soma) to a node of the same region, on a mesh whose structure is `Columns`.

    Raises
    ------
    InputError
        If the mesh is no tree or has no such node.
    """
    if not isinstance(mesh.structure, Columns):
        raise InputError("path_to", "the mesh is not a tree, so there is no single path (cables and SWC trees have one)")
    if not 0 <= node < mesh.nodes:
        raise InputError("path_to", f"node {node} does not exist, the mesh has {mesh.nodes} nodes")
    parent = mesh.structure.parent
    first = int(mesh.start[np.searchsorted(mesh.start, node, side="right") - 1])
    way = [node - first]
    while way[-1] != 0:
        way.append(int(parent[way[-1]]))
    return (np.array(way[::-1]) + first).astype(np.uint32)


def check(mesh: Mesh) -> None:
    """Raise InputError where a mesh breaks an invariant: shapes, finite numbers, positive volumes and areas, indices, regions."""
    n = len(mesh.volume)

    def fail(what: str, message: str) -> None:
        raise InputError(f"mesh.{what}", message)

    if len(mesh.start) != len(mesh.regions) + 1 or mesh.start[0] != 0 or mesh.start[-1] != n or (np.diff(mesh.start) <= 0).any():
        fail("regions", f"node ranges {mesh.start.tolist()} do not cut {n} nodes into {len(mesh.regions)} regions that are not empty")
    if len(set(mesh.regions)) != len(mesh.regions) or OUTSIDE in mesh.regions:
        fail("regions", f"names {mesh.regions} must differ and none may be '{OUTSIDE}'")
    for what, array, shape in [
        ("volume", mesh.volume, (n,)),
        ("position", mesh.position, (n, 3)),
        ("distance", mesh.distance, (n,)),
        ("conductance", mesh.conductance, (len(mesh.edges),)),
    ]:
        if array.shape != shape:
            fail(what, f"shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            fail(
                what,
                f"{np.count_nonzero(~np.isfinite(array))} values are not finite, first at {int(np.argmin(np.isfinite(array).ravel()))}",
            )
    if (mesh.volume <= 0).any():
        fail(
            "volume",
            f"{np.count_nonzero(mesh.volume <= 0)} control volumes are not positive, first at node {int(np.argmax(mesh.volume <= 0))}",
        )
    if mesh.edges.dtype != np.uint32 or mesh.edges.shape != (len(mesh.edges), 2):
        fail("edges", f"{mesh.edges.dtype} of shape {mesh.edges.shape}, expected uint32 of shape (edges, 2)")
    if len(mesh.edges):
        if int(mesh.edges.max()) >= n:
            fail("edges", f"node {int(mesh.edges.max())} does not exist, the mesh has {n} nodes")
        region = np.searchsorted(mesh.start, mesh.edges, side="right")
        if (region[:, 0] != region[:, 1]).any():
            fail("edges", "an edge joins two regions; regions meet only through membranes")
    for name, m in mesh.membranes.items():
        _check_membrane(mesh, name, m)
    for name, f in mesh.faces.items():
        mesh.region(f.region, f"mesh.faces.{name}")
        if not (np.isfinite(f.area) & (f.area > 0)).all() or f.area.shape != f.nodes.shape:
            fail(f"faces.{name}", "needs one positive area per node")
        if len(f.nodes) and int(f.nodes.max()) >= n:
            fail(f"faces.{name}", f"node {int(f.nodes.max())} does not exist, the mesh has {n} nodes")
    _check_labels(mesh)
    if isinstance(mesh.structure, Columns):
        _check_columns(mesh, mesh.structure)


def _check_labels(mesh: Mesh) -> None:
    tables = [mesh.membranes, mesh.faces, *([mesh.labels] if isinstance(mesh.labels, dict) else [])]
    names = [*mesh.regions, *(name for table in tables for name in table), *mesh.notes]
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise InputError("mesh", f"{shown(wrong[0])} is no text, expected names and notes")
    for name in islice(mesh.labels, None if isinstance(mesh.labels, dict) else 1):  # all are alike where they are made when asked for
        mask = mesh.labels[name]
        if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != (len(mesh.volume),):
            raise InputError(f"mesh.labels.{name}", f"expected one bool for each of the {len(mesh.volume)} nodes, found {shown(mask)}")


def _check_columns(mesh: Mesh, columns: Columns) -> None:
    where, count = "mesh.structure", len(columns.parent)
    if (np.diff(mesh.start) != count).any() or columns.conductance.shape != (len(mesh.regions), count):
        raise InputError(where, f"columns need {count} nodes in every region and a conductance of shape (regions, {count})")
    if columns.parent[0] != 0 or (columns.parent[1:] >= np.arange(1, count)).any():
        raise InputError(where, "the parent of a position must come before it (and position 0 is its own parent)")
    for name, m in mesh.membranes.items():
        if len(m.area) != count:
            raise InputError(where, f"membrane '{name}' has {len(m.area)} pairs, columns need one per position ({count})")


def _check_membrane(mesh: Mesh, name: str, m: Membrane) -> None:
    where = f"mesh.membranes.{name}"
    columns = [(m.sides[0], m.inside)] if m.sides[1] == OUTSIDE else [(m.sides[0], m.inside), (m.sides[1], m.outside)]
    for side, nodes in columns:
        span = mesh.span(side)
        if nodes.dtype != np.uint32 or nodes.shape != m.area.shape:
            raise InputError(where, f"needs one uint32 node of '{side}' per area, found {nodes.dtype} of shape {nodes.shape}")
        if len(nodes) and not (span.start <= int(nodes.min()) and int(nodes.max()) < span.stop):
            raise InputError(where, f"a node does not belong to region '{side}'")
    if not (np.isfinite(m.area).all() and (m.area > 0).all()):
        raise InputError(where, "areas must be positive and finite")
