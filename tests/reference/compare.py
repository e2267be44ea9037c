"""Run a case with calcium-sim and with the reference, and measure how far apart they are."""

from __future__ import annotations

import math
import time
import warnings
from contextlib import ExitStack
from dataclasses import dataclass, field
from unittest.mock import patch

import numpy as np

import calcium_sim as cs
from calcium_sim.errors import CalciumSimError
from calcium_sim.model.stimuli import Influx

from .models import Case
from .solve import Solution, solve
from .system import injected

MEASURES = ("concentration", "peak", "gate", "moved", "books", "lowest")

FLOOR = 1e-6
"""A field has to change by this part of its resting value (or of 0.05 uM) to count in full."""
GATE = 1e-3
"""A gate has to change by this much to count in full."""
SHARE = 1e-3
"""An amount moved by a channel counts in full from this share of the largest on its membrane on."""


@dataclass
class Ours:
    """What calcium-sim gave: arrays over (times, entries), keyed as the reference keys them."""

    fields: dict[tuple[str, str], np.ndarray]
    gates: dict[tuple[str, str, str], np.ndarray]
    ledger: dict[str, list[dict[str, float]]]
    seconds: float
    steps: int
    rejected: int


@dataclass
class Report:
    """Errors of one case: `concentration`, `gate`: L2 over space and time relative to the own change; `peak`: largest over largest change;
    `moved`: amounts; `books`: closure of the ledger; `lowest`: how far below zero, relative to the largest value; `where` each is worst;
    `released`: part of the calcium in the ER that left it somewhere."""

    seed: int
    kind: str
    label: str
    concentration: float = math.nan
    peak: float = math.nan
    gate: float = math.nan
    moved: float = math.nan
    books: float = math.nan
    lowest: float = math.nan
    released: float = 0.0
    where: dict[str, str] = field(default_factory=dict)
    failure: str = ""
    seconds: tuple[float, float] = (0.0, 0.0)
    steps: int = 0
    tolerance: float = 2e-3


def run_ours(case: Case) -> Ours:
    """Fields, gates and ledger of calcium-sim at the times of a case; parallel kernels where the structure asks for them."""
    parallel = case.structure.parallel
    threads = 2 if parallel and case.structure.scheme != "graph" else 1  # threads that wait at every stage of RKL2 take minutes
    limit = 1 if parallel else 10**9
    began = time.process_time()
    with ExitStack() as stack:
        for module in ("columns", "grid", "graph"):
            stack.enter_context(patch(f"calcium_sim.schemes.{module}.stepper.PARALLEL_FROM", limit))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # a thick cable is as good a model as any here
        sim = cs.Simulation(case.model, tolerance=case.tolerance, threads=threads)
    plan = sim.plan
    fields = {(f.name, f.region): [] for f in plan.fields}
    gates = {(g.membrane, g.label, n): [] for g in plan.gauges for n in g.channel.states}
    ledger: dict[str, list[dict[str, float]]] = {s.name: [] for s in case.model.species}
    for t in (0.0, *case.times):
        if t:
            sim.advance(t)
        frame = sim.frame()
        for k, f in enumerate(plan.fields):
            fields[f.name, f.region].append(frame["fields"][k])
        for g in plan.gauges:
            for n, part in zip(g.channel.states, g.states, strict=False):
                gates[g.membrane, g.label, n].append(sim.state.y[part].copy())
        for s in ledger:
            ledger[s].append(frame["ledger"][s])
    cs_seconds = time.process_time() - began
    as_array = [{k: np.array(v) for k, v in d.items()} for d in (fields, gates)]
    return Ours(as_array[0], as_array[1], ledger, cs_seconds, sim.control.steps, sim.control.rejected)


def compare(case: Case, rtol: float = 1e-6) -> Report:
    """Run both and measure."""
    out = Report(case.seed, case.kind, case.label, tolerance=case.tolerance)
    try:
        ours = run_ours(case)
    except (CalciumSimError, ArithmeticError) as error:  # a stopped run is a finding, not a crash
        out.failure = f"calcium-sim: {error}"
        return out
    began = time.process_time()
    try:
        theirs = solve(case.model, (0.0, *case.times), case.kinks, rtol)
    except ArithmeticError as error:
        out.failure = f"reference: {error}"
        return out
    out.seconds, out.steps = (ours.seconds, time.process_time() - began), ours.steps
    measure(case, ours, theirs, out)
    return out


def _l2(difference, change, weight, floor) -> float:
    size = math.sqrt(float((change**2 @ weight).sum()))
    return math.sqrt(float((difference**2 @ weight).sum())) / max(size, floor * math.sqrt(float(weight.sum()) * len(change)))


def measure(case: Case, ours: Ours, theirs: Solution, out: Report) -> None:
    """Fill a report."""
    parts, mesh = theirs.system.parts, case.model.mesh
    out.concentration = out.peak = out.gate = out.moved = out.books = out.lowest = 0.0

    def note(what: str, value: float, where: str) -> None:
        if not value <= getattr(out, what):  # NaN counts as worst
            setattr(out, what, value)
            out.where[what] = where

    for f in parts.fields:
        mine, reference = ours.fields[f.name, f.region], theirs.u[:, f.at]
        name, floor = f"{f.name}@{f.region}", FLOOR * max(f.rest, 0.05)
        difference, change = mine - reference, reference - f.rest
        note("concentration", _l2(difference, change, mesh.volume[f.nodes], floor), name)
        note("peak", float(np.abs(difference).max() / max(np.abs(change).max(), floor)), name)
        if name == "ca@er":
            out.released = float(-change.min() / f.rest)
        below = min(float(reference.min()), 0.0) - float(mine.min())
        note("lowest", below / max(1.0, float(np.abs(mine).max())), name)
    for c in parts.currents:
        area = mesh.membranes[c.membrane].area
        for (state, part), start in zip(c.states.items(), c.start, strict=True):
            mine, reference = ours.gates[c.membrane, c.label, state], theirs.y[:, part]
            note("gate", _l2(mine - reference, reference - start, area, GATE), f"{c.label}.{state}")
    _amounts(case, ours, theirs, note)
    _books(case, ours, theirs, note)


def _amounts(case: Case, ours: Ours, theirs: Solution, note) -> None:
    """Amounts that each channel moved and each decay took against the integrals of the reference."""
    for c in theirs.system.parts.currents:
        species, count = next(iter(c.moves.items()))
        reference = theirs.moved[c.membrane, c.label]
        mine = np.array([rows.get(f"channel:{c.membrane}:{c.label}", 0.0) for rows in ours.ledger[species]]) / count
        largest = max(np.abs(m).max() for (membrane, _), m in theirs.moved.items() if membrane == c.membrane)
        size = max(np.abs(reference).max(), SHARE * largest, 1e-12)
        note("moved", float(np.abs(mine - reference).max() / size), c.label)
    for (name, region), reference in theirs.decayed.items():
        mine = np.array([rows.get(f"decay:{region}", 0.0) for rows in ours.ledger[name]])
        note("moved", float(np.abs(mine - reference).max() / max(np.abs(reference).max(), 1e-12)), f"decay of {name}")


def _books(case: Case, ours: Ours, theirs: Solution, note) -> None:
    """What is there, summed from the fields, against the start plus what channels, stimuli and decays brought in by the ledger's rows."""
    mesh, model = case.model.mesh, case.model
    for s in model.species:
        span, bound = theirs.system.parts.span, [b for b in model.buffers if b.binds == s.name]
        content = sum(ours.fields[s.name, r] @ mesh.volume[span(r)] for r in s.diffusion)
        content = content + sum((b.total - ours.fields[b.name, b.region]) @ mesh.volume[span(b.region)] for b in bound)
        gained, turnover = np.zeros(len(content)), np.abs(content)
        for c in theirs.system.parts.currents:
            if s.name in c.moves:
                row = np.array([rows.get(f"channel:{c.membrane}:{c.label}", 0.0) for rows in ours.ledger[s.name]])
                turnover = turnover + np.abs(row)
                if "outside" in c.way:
                    gained = gained + row * (1.0 if c.way[0] == "outside" else -1.0)
        for rows_key, sign in (("stimulus:", 1.0), ("decay:", -1.0)):
            for k, rows in enumerate(ours.ledger[s.name]):
                for account, amount in rows.items():
                    if account.startswith(rows_key):
                        gained[k] += sign * amount
                        turnover[k] += abs(amount)
        note("books", float((np.abs(content - content[0] - gained + gained[0]) / turnover).max()), s.name)
    _injected(case, ours, theirs, note)


def _injected(case: Case, ours: Ours, theirs: Solution, note) -> None:
    """Influxes that have ended inject area x flux x integral of the course."""
    for k, s in enumerate(case.model.stimuli):
        if isinstance(s, Influx):
            end = s.start + (s.count - 1) * (s.period or 0.0) + s.duration
            strength = next(total for other, _, _, total in theirs.system.influx if other is s)
            if end <= case.times[-1]:
                booked = ours.ledger[s.species][-1].get(f"stimulus:{k}:{s.species}", 0.0)
                note("books", abs(booked / (strength * injected(s)) - 1.0), f"influx {k}")
