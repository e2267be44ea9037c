"""What scipy integrates, and its Jacobian: deviations from rest, in an order of a narrow band.

States of channels that read rates of change are integrated as logarithms: such a law multiplies its state, which may fall by ten orders of
magnitude and come back, and is right to a part of itself that way. The Jacobian is taken by differences of all entries at once that no
common row depends on, with steps of the size of the values (of the deviations they would be lost in round-off).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix
from scipy.sparse.csgraph import reverse_cuthill_mckee

from .system import System

NUDGE = 1e-7
"""Step of the differences, as a part of a value."""


def pattern(system: System) -> csr_matrix:
    """Which entry of z may depend on which, as a boolean matrix (more than needed, never less)."""
    parts, size = system.parts, len(system.z0)
    rows, columns, groups = [], [], 0

    def add(*entries) -> None:  # entries that meet at a node or a pair
        nonlocal groups
        for e in entries:
            rows.append(groups + np.arange(len(e)))
            columns.append(np.asarray(e))
        groups += len(entries[0])

    for name in system.model.membranes:
        here = [(k, c) for k, c in enumerate(parts.currents) if c.membrane == name]
        fields = {f for k, _ in here for f in system.entries[k]}
        fields |= {parts.find(s, region) for _, c in here for s in c.moves for region in c.way} - {-1}
        states = [np.arange(p.start, p.stop) + system.n for _, c in here for p in c.states.values()]
        if here:
            add(*(parts.entries(name, f) for f in sorted(fields)), *states)
    for _, free, ligand in system.buffers:
        add(np.arange(free.start, free.stop), np.arange(ligand.start, ligand.stop))
    add(np.arange(size))
    meet = csr_matrix((np.ones(sum(map(len, rows))), (np.concatenate(rows), np.concatenate(columns))), (groups, size))
    spread = parts.diffusion.copy()
    spread.resize((size, size))
    whole = ((meet.T @ meet) != 0).astype(float) + (spread != 0).astype(float)
    return ((whole @ whole if parts.rates else whole) != 0).astype(float).tocsr()


def groups(structure) -> np.ndarray:
    """A number for every column, so that columns of one number have no row in common: the first that is free, from left to right."""
    meet, group = ((structure.T @ structure) != 0).tocsc(), np.full(structure.shape[1], -1)
    for column in range(len(group)):
        taken = set(group[meet.indices[meet.indptr[column] : meet.indptr[column + 1]]])
        group[column] = next(g for g in range(len(group)) if g not in taken)
    return group


class Unknowns:
    """Between z, the values of a system, and d, what the solver sees."""

    def __init__(self, system: System) -> None:
        self.system, parts = system, system.parts
        structure = pattern(system)
        self.order = reverse_cuthill_mckee(structure, symmetric_mode=False)
        self.back = np.argsort(self.order)
        self.inner = structure[self.order][:, self.order].tocsc()
        self.group = groups(self.inner)
        self.columns = np.repeat(np.arange(len(self.order)), np.diff(self.inner.indptr))
        self.band = int(np.abs(self.inner.indices - self.columns).max(initial=0))
        logarithm, scale = np.zeros(len(self.order), bool), np.ones(len(self.order))
        for f in parts.fields:
            scale[f.at] = max(f.rest, 0.05)
        for c in parts.currents:
            for part in c.states.values() if any(p.kind == "rate" for p in c.ports.values()) else ():
                logarithm[system.n + part.start : system.n + part.stop] = True
        self.logarithm, self.scale, self.rest = logarithm[self.order], scale[self.order], system.z0[self.order]

    def of(self, z):
        """What the solver sees of z."""
        z = z[self.order]
        return np.where(self.logarithm, np.log(np.where(self.logarithm, z / self.rest, 1.0)), z - self.rest)

    def values(self, d):
        """z of what the solver sees."""
        return np.where(self.logarithm, self.rest * np.exp(np.where(self.logarithm, d, 0.0)), self.rest + d)[self.back]

    def rate(self, t: float, d):
        """dd/dt."""
        z = self.values(d)
        rate = self.system(t, z)[self.order]
        return np.where(self.logarithm, rate / z[self.order], rate)

    def jacobian(self, t: float, d, banded: bool):
        """d rate/d d, as a sparse matrix or packed by diagonals."""
        here = self.rate(t, d)
        step = NUDGE * np.where(self.logarithm, 1.0, np.maximum(np.abs(self.rest + d), 1e-3 * self.scale))
        step = (d + step) - d
        moved = np.array([self.rate(t, d + np.where(self.group == g, step, 0.0)) for g in range(self.group.max() + 1)]) - here
        rows = self.inner.indices
        slope = moved[self.group[self.columns], rows] / step[self.columns]
        if not banded:
            return csc_matrix((slope, rows, self.inner.indptr), self.inner.shape)
        packed = np.zeros((2 * self.band + 1, len(d)))
        packed[rows - self.columns + self.band, self.columns] = slope
        return packed
