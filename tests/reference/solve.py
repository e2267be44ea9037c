"""Integration of the reference by scipy: LSODA with a banded Jacobian where the band is narrow, BDF with a sparse one elsewhere.

What is integrated is the deviation from rest, so that the relative tolerance of scipy's solvers is one of the change itself: a signal of
nanomolars is as accurate as a wave. Stretches end at every edge of a stimulus, of a channel and of the potential; amounts moved are
integrated by Simpson's rule over the steps of the solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.integrate import solve_ivp
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import reverse_cuthill_mckee

from calcium_sim.model.stimuli import Set

from .system import System

BAND = 40
"""Half band width up to which LSODA is used."""

SMALL = 1e-10
"""Part of themselves to which states of laws in du/dt are resolved, beside those of other channels."""

JUMP = 1e-6
"""Duration [ms] for which a `Set` stands where states read rates of change."""


@dataclass
class Solution:
    """u and y at the output times (times, entries), amounts moved up to them per channel and decay [uM um^3], and the system."""

    system: System
    times: np.ndarray
    u: np.ndarray
    y: np.ndarray
    moved: dict[tuple[str, str], np.ndarray]
    decayed: dict[tuple[str, str], np.ndarray]
    added: dict[str, np.ndarray]


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


def solve(model, times, kinks=(), rtol=1e-6, method=None) -> Solution:
    """Integrate a model to the given times [ms], from rest."""
    system, times = System(model), np.asarray(times, float)
    structure = pattern(system)
    order = reverse_cuthill_mckee(structure, symmetric_mode=False)
    inner = structure[order][:, order].tocoo()
    band = int(np.abs(inner.row - inner.col).max(initial=0))
    if method is None:
        method = "LSODA" if band <= BAND else "BDF"
    options = {"lband": band, "uband": band} if method == "LSODA" else {"jac_sparsity": inner.tocsc()}
    rest = system.z0[order]
    scale = np.concatenate([np.concatenate([np.full(f.at.stop - f.at.start, max(f.rest, 0.05)) for f in system.parts.fields]),
                            np.ones(len(system.z0) - system.n)])  # fmt: skip
    for c in system.parts.currents:  # a law in du/dt multiplies its state: it may fall by ten orders of magnitude, and come back
        for part in c.states.values() if any(p.kind == "rate" for p in c.ports.values()) else ():
            scale[system.n + part.start : system.n + part.stop] = SMALL
    scale = scale[order]
    back = np.argsort(order)
    recorder = _Recorder(system, times)
    d = np.zeros(len(rest))
    stops = [0.0, *(t for t in system.edges(kinks) if t < times[-1]), float(times[-1])]
    d = _sets(system, d, back, order, 0.0, recorder)
    recorder.keep(0.0, (d + rest)[back])
    for begin, end in pairwise(stops):
        margin = 1e-9 * (end - begin)

        def rhs(t, d, low=begin + margin, high=end - margin):  # inside the stretch: at its ends the courses jump
            return system(min(max(t, low), high), (d + rest)[back])[order]

        with np.errstate(all="ignore"):
            found = solve_ivp(rhs, (begin, end), d, method, rtol=rtol, atol=1e-3 * rtol * scale, dense_output=True, **options)
        if not found.success:
            raise ArithmeticError(f"the reference stopped at t={found.t[-1]:g} ms: {found.message}")
        recorder.stretch(found, lambda t, low=begin + margin, high=end - margin: min(max(t, low), high), rest, back)
        d = _sets(system, found.y[:, -1], back, order, end, recorder)
        recorder.keep(end, (d + rest)[back])
    return recorder.solution()


def _sets(system, d, back, order, t, recorder):
    """Carry out every `Set` of time t and book what it adds."""
    z = d[back] + system.z0
    before = z.copy()
    for s in system.model.stimuli:
        if isinstance(s, Set) and s.time == t:
            f = system.parts.fields[system.parts.find(s.species, s.region)]
            mesh = system.parts.mesh
            chosen = np.ones(f.at.stop - f.at.start, bool)
            if callable(s.at):
                chosen = np.asarray(s.at(*mesh.position[f.nodes].T), bool)
            elif s.at is not None:
                chosen = np.asarray(mesh.labels[s.at])[f.nodes]
            part = z[f.at]
            recorder.added.setdefault(s.species, []).append((t, float((mesh.volume[f.nodes] * (s.value - part))[chosen].sum())))
            part[chosen] = s.value
    if (z != before).any():
        _follow(system, before, z, t)
    return (z - system.z0)[order]


def _follow(system, before, z, t):
    """States that read rates of change go along with what is set, as with a short pulse: in `JUMP` ms, on a straight line."""
    n, v = system.n, system.parts.potential(t)
    moved = (z[:n] - before[:n]) / JUMP
    change = [moved[r.entries] for r in system.parts.rates]
    for k, c in enumerate(system.parts.currents):
        if not c.states or not any(p.kind == "rate" for p in c.ports.values()):
            continue
        rows = np.concatenate([np.arange(s.start, s.stop) for s in c.states.values()])

        def rates(s, values, k=k, c=c, rows=rows):
            y = z[n:].copy()
            y[rows] = values
            given = system._spaces(k, before[:n] + s * moved, y, t, v, change, system.across)
            return np.concatenate([np.broadcast_to(r, len(c.weight)) for r in system.function[k][1](len(c.weight), *given)])

        with np.errstate(all="ignore"):
            found = solve_ivp(rates, (0.0, JUMP), z[n:][rows], "LSODA", rtol=1e-8, atol=1e-12 * SMALL)
        z[n + rows] = found.y[:, -1]


class _Recorder:
    """Values at the output times and running integrals."""

    def __init__(self, system: System, times) -> None:
        self.system, self.times = system, times
        self.z = np.full((len(times), len(system.z0)), np.nan)
        parts = system.parts
        self.keys = [(c.membrane, c.label) for c in parts.currents]
        self.area = [parts.mesh.membranes[c.membrane].area for c in parts.currents]
        self.total = np.zeros(len(self.keys) + len(system.decays))
        self.moved = np.zeros((len(times), len(self.total)))
        self.added: dict[str, list[tuple[float, float]]] = {}

    def keep(self, t, z) -> None:
        for k in np.flatnonzero(self.times == t):
            self.z[k], self.moved[k] = z, self.total

    def _rate(self, t, z):
        system, parts = self.system, self.system.parts
        system(t, z)
        flows = [float(a @ system.flux[c.pairs]) for a, c in zip(self.area, parts.currents, strict=True)]
        lost = [k * float(parts.mesh.volume[f.nodes] @ (z[f.at] - rest)) for k, rest, f in system.decays]
        return np.array([*flows, *lost])

    def stretch(self, found, clamp, rest, back) -> None:
        def at(t):
            return (found.sol(t) + rest)[back]

        with np.errstate(all="ignore"):
            first = self._rate(clamp(found.t[0]), at(found.t[0]))
            for a, b in pairwise(found.t):
                for k in np.flatnonzero((self.times > a) & (self.times < b)):
                    t = self.times[k]
                    middle, last = (self._rate(clamp(s), at(s)) for s in (0.5 * (a + t), t))
                    self.z[k], self.moved[k] = at(t), self.total + (t - a) / 6 * (first + 4 * middle + last)
                middle, last = (self._rate(clamp(s), at(s)) for s in (0.5 * (a + b), b))
                self.total = self.total + (b - a) / 6 * (first + 4 * middle + last)
                first = last

    def solution(self) -> Solution:
        system, n = self.system, len(self.keys)
        moved = dict(zip(self.keys, self.moved[:, :n].T, strict=True))
        decayed = {(f.name, f.region): m for (_, _, f), m in zip(system.decays, self.moved[:, n:].T, strict=True)}
        added = {s: np.array([sum(a for when, a in rows if when <= t) for t in self.times]) for s, rows in self.added.items()}
        return Solution(system, self.times, self.z[:, : system.n], self.z[:, system.n :], moved, decayed, added)
