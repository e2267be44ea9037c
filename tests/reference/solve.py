"""Integration of the reference by scipy: LSODA with a banded Jacobian where the band is narrow, BDF with a sparse one elsewhere.

What is integrated is the deviation from rest (`unknowns`), so that the relative tolerance of scipy's solvers is one of the change itself:
a signal of nanomolars is as accurate as a wave. Stretches end at every edge of a stimulus, of a channel and of the potential; amounts moved
are integrated by Simpson's rule over the steps of the solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.integrate import solve_ivp

from calcium_sim.model.stimuli import Set

from .system import System
from .unknowns import Unknowns

BAND = 40
"""Half band width up to which LSODA is used."""

LOGARITHM = 1e-1
"""Tolerance where logarithms are among the unknowns, beside that elsewhere: one may be 20, and its error is a part of the state itself."""

LONGEST = 5e-3
"""Longest step beside the whole run where a channel reads the time: at rest the solver would step over a smooth pulse."""

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


def solve(model, times, kinks=(), rtol=1e-6, method=None) -> Solution:
    """Integrate a model to the given times [ms], from rest."""
    system, times = System(model), np.asarray(times, float)
    unknowns = Unknowns(system)
    if method is None:
        method = "LSODA" if unknowns.band <= BAND else "BDF"
    banded = method == "LSODA"
    rtol = rtol * (LOGARITHM if unknowns.logarithm.any() else 1.0)
    options = {"rtol": rtol, "atol": 1e-3 * rtol * unknowns.scale} | ({"lband": unknowns.band, "uband": unknowns.band} if banded else {})
    if any(p.kind == "t" for c in system.parts.currents for p in c.ports.values()):
        options["max_step"] = LONGEST * float(times[-1])
    recorder = _Recorder(system, times)
    stops = [0.0, *(t for t in system.edges(kinks) if t < times[-1]), float(times[-1])]
    z = _sets(system, system.z0.copy(), 0.0, recorder)
    recorder.keep(0.0, z)
    for begin, end in pairwise(stops):
        margin = 1e-9 * (end - begin)

        def inside(t, low=begin + margin, high=end - margin):  # at its ends the courses jump
            return min(max(t, low), high)

        def rhs(t, d, inside=inside):
            return unknowns.rate(inside(t), d)

        def jacobian(t, d, inside=inside):
            return unknowns.jacobian(inside(t), d, banded)

        with np.errstate(all="ignore"):
            found = solve_ivp(rhs, (begin, end), unknowns.of(z), method, jac=jacobian, dense_output=True, **options)
            if not found.success:
                raise ArithmeticError(f"the reference stopped at t={found.t[-1]:g} ms: {found.message}")
            recorder.stretch(found, inside, unknowns)
        z = _sets(system, unknowns.values(found.y[:, -1]), end, recorder)
        recorder.keep(end, z)
    return recorder.solution()


def _sets(system, z, t, recorder):
    """Carry out every `Set` of time t and book what it adds."""
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
    return z


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
            found = solve_ivp(rates, (0.0, JUMP), z[n:][rows], "LSODA", rtol=1e-8, atol=1e-22)
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

    def stretch(self, found, inside, unknowns) -> None:
        def at(t):
            return unknowns.values(found.sol(t))

        first = self._rate(inside(found.t[0]), at(found.t[0]))
        for a, b in pairwise(found.t):
            for k in np.flatnonzero((self.times > a) & (self.times < b)):
                t = self.times[k]
                middle, last = (self._rate(inside(s), at(s)) for s in (0.5 * (a + t), t))
                self.z[k], self.moved[k] = at(t), self.total + (t - a) / 6 * (first + 4 * middle + last)
            middle, last = (self._rate(inside(s), at(s)) for s in (0.5 * (a + b), b))
            self.total = self.total + (b - a) / 6 * (first + 4 * middle + last)
            first = last

    def solution(self) -> Solution:
        system, n = self.system, len(self.keys)
        moved = dict(zip(self.keys, self.moved[:, :n].T, strict=True))
        decayed = {(f.name, f.region): m for (_, _, f), m in zip(system.decays, self.moved[:, n:].T, strict=True)}
        added = {s: np.array([sum(a for when, a in rows if when <= t) for t in self.times]) for s, rows in self.added.items()}
        return Solution(system, self.times, self.z[:, : system.n], self.z[:, system.n :], moved, decayed, added)
