"""Channels that need the whole step to be known: those that read a rate of change, and those whose value follows at once.

A rate of change du/dt in a step is what the step makes of u, and u depends on the channel. So the step is taken twice: with the states
of these channels where the last rates of change lead by the middle of the step; then with those that the first result gives. The second
result gives the states at the end. Both times the states move at the concentrations in between, by the same update as those of any other
channel, so that the whole is of second order, and a check of the step compares steps that know nothing of each other.

*Paced* in this way (see `plan.lower`) are channels with a port ``d(...)``, networks that return a value at once (`open_prob`, `current`),
networks that run in torch, and on (z, r) grids every network whose states do not move within the joint step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compile import cache
from ..compile.lanes import LANES
from ..compile.paced import MOST as MOST_PARTS
from ..compile.paced import PacedSpec, source
from ..kernels.machine import callable_of
from ..kernels.stimulus import table_value
from ..mesh import Floats
from ..networks.prepared import RELAXING, gate_of
from ..plan.lower import Gauge, Plan
from ..plan.observe import port_entries
from ..plan.specs import PortRef
from ..plan.state import Clock, State, beside
from ..plugin.imported import reads
from .torch_gates import TorchGates

SWEEPS = 2
"""How often a step is taken where states follow laws in du/dt: what they make of it falls with the step."""

MOST, AGREED = 20, 1e-5
"""How often it is taken at most where a flux itself reads du/dt, and changes it in turn by a part that does not fall with the step, and the
part of a change by which two sweeps may then differ. The sweeps are a secant iteration at every node."""

JUMP, PIECES = 1e-6, 400
"""Duration [ms] for which a jump of a concentration stands, and its pieces: laws in du/dt follow it as they follow a short pulse."""

SETTLING, SETTLED = 20, 1e-6
"""On grids what a network returns at once and the concentration at the wall make each other: how often they are asked in turn, and the
relative change at which they agree. Otherwise the error of the guess stays, which is of first order in the step."""

_NOTHING = 1e-4
"""Changes of a concentration by less than this part of it, or of the largest one, say nothing about the sweeps."""

PARTS, FINE = 4, 0.007
"""Parts in which states move over half a step or a whole one: a law in du/dt may multiply a state by ten where u only doubles. So where u
itself is multiplied in a step there are more, so that none changes u by more than FINE of the smaller of its ends. A law in u to the fourth
power then errs by 1e-4 where u doubles."""

RESOLVED = 1e-3
"""Relative change of a state by twice as many parts below which more of them are not missed."""

LEAST = float(np.finfo(float).tiny / np.finfo(float).eps)
"""Numbers below this lose digits: where a state is that small no number of parts gives it another three."""

Walls = dict[tuple[int, int], Floats]
"""Concentrations that channels see, by (membrane, field)."""

Take = Callable[[State, float, int, Clock], None]
Look = Callable[[State, Clock, float], Walls]


class Pacing:
    """Advances the states of the paced channels of a plan around the steps of a scheme.

    Parameters
    ----------
    plan : Plan.
    torch : the gates that run in torch.
    look : what channels see of a state so long after its time (or before it) [ms], where that is not the concentration at their nodes.
    """

    def __init__(self, plan: Plan, torch: TorchGates, look: Look | None = None) -> None:
        paced = [g for g in plan.gauges if g.spec.paced]
        self.groups: list[_Group] = []
        for name in plan.blocks:
            for at_once in (False, True):
                members = [g for g in paced if g.membrane == name and _at_once(g) == at_once]
                if members:
                    self.groups.append(_Group(plan, name, members, torch, at_once))
        self.plan, self.look = plan, look
        self.capped = False
        self.gap, self.most = 0.0, MOST if any(g.by_flux for g in self.groups) else SWEEPS

    def advance(self, take: Take, state: State, h: float, steps: int, clock: Clock) -> None:
        """Take `steps` steps of length h [ms], in place; `take` advances a state with the paced states held."""
        for _ in range(steps):
            self._step(take, state, h, clock)

    def _step(self, take: Take, state: State, h: float, clock: Clock) -> None:
        start, before = state.copy(), state.before
        first = self._seen(start, clock, beside(start.t, h))
        ahead = self._ahead(start, first, h, before)
        for g in self.groups:
            g.move(start, state, first, ahead, clock, h, 0.5)
        known: list[tuple[Walls, Walls]] = []
        for sweep in range(self.most):
            take(state, h, 1, clock)
            last = self._last(start, state, first, ahead, clock, h)
            gap = self._gap(first, ahead, last) if sweep else np.inf
            if sweep == self.most - 1 or (self.most > SWEEPS and gap <= AGREED):
                break
            state.assign(start)
            known = [*known[-1:], (ahead, last)]
            ahead = _secant(*known) if self.most > SWEEPS and sweep else last
            for g in self.groups:
                g.move(start, state, first, ahead, clock, h, 0.5)
        self.gap = max(self.gap, gap)
        capped = [g.move(start, state, first, last, clock, h, 1.0) for g in self.groups]
        if any(capped):  # a concentration was multiplied by more than the parts of a step follow: the step is too long
            self.capped, self.gap = True, 1.0
        for row, values in self._rates(first, last, h):
            state.y[row.stop : row.stop + len(values)] = start.y[row]
            state.y[row] = values

    def _gap(self, first: Walls, before: Walls, last: Walls) -> float:
        """How far two sweeps differ in what they make of a concentration whose rate of change is read, relative to its change there."""
        gap = 0.0
        for key, _ in self._tracked():
            change = np.abs(last[key] - first[key])
            least = _NOTHING * np.maximum(np.abs(first[key]), change.max(initial=0.0))
            differ = np.abs(last[key] - before[key]) / np.maximum(change + least, np.finfo(float).tiny)
            gap = max(gap, float(differ.max(initial=0.0)))
        return gap

    @property
    def jumps(self) -> bool:
        """Whether what laws in du/dt see may jump with no concentration: at walls, with what enters through them."""
        return self.look is not None and any(g.tracked for g in self.groups)

    def jump(self, before: State, state: State, clock: Clock, begin: bool = False) -> None:
        """What laws in du/dt make of what they see jump, because it was set or because something enters from now on: they follow at once.

        On the way u is multiplied by the same in every piece. At walls the flux that they open makes u jump on, until it agrees. At the
        beginning of a run states belong to the concentrations at the nodes, from where what is seen jumps to the walls.
        """
        if not any(g.tracked for g in self.groups):
            return
        start, first = before.copy(), self._at_nodes(before) if begin else self._seen(before, clock, -beside(before.t))
        for _ in range(SETTLING):
            last = self._seen(state, clock, beside(state.t))
            if all(np.allclose(first[key], last[key], rtol=SETTLED, atol=0.0) for key, _ in self._tracked()):
                break
            for k in range(PIECES):
                here, there = ({key: _between(first[key], last[key], (k + more) / PIECES) for key in first} for more in (0, 1))
                for g in self.groups:
                    if g.tracked and not g.at_once:
                        g.move(start, state, here, there, clock, JUMP / PIECES, 1.0)
                start.y[:] = state.y
            first = last
        for _, row in self._tracked():
            state.y[row] = before.y[row]

    def _seen(self, state: State, clock: Clock, away: float) -> Walls:
        return self._at_nodes(state) if self.look is None else self.look(state, clock, away)

    def _at_nodes(self, state: State) -> Walls:
        return {g.key(f): state.u[e] for g in self.groups for f, e in g.entries.items()}

    def _last(self, start: State, state: State, first: Walls, ahead: Walls, clock: Clock, h: float) -> Walls:
        """What channels see at the end of the step; where their fluxes enter into that, with the states that they reach."""
        if self.look is None:
            return self._at_nodes(state)
        reached = state.copy()
        for _ in range(SETTLING if any(g.at_once for g in self.groups) else 1):
            for g in self.groups:
                g.move(start, reached, first, ahead, clock, h, 1.0)
            last, ahead = ahead, self._seen(reached, clock, -beside(reached.t, h))
            if all(np.abs(ahead[key] - last[key]).max() <= SETTLED * np.abs(ahead[key]).max() for key in ahead):
                break
        return ahead

    def _ahead(self, start: State, first: Walls, h: float, before: float) -> Walls:
        """What channels will see at the end of the step, by the last rates of change, and by how these have changed."""
        ahead = {key: values.copy() for key, values in first.items()}
        for key, row in self._tracked():
            rate, last = start.y[row], start.y[row.stop : 2 * row.stop - row.start]
            more = (rate - last) * (0.5 * (h + before) / before)
            ahead[key] += h * (rate + np.clip(more, -abs(rate), abs(rate)))
        return ahead

    def _rates(self, first: Walls, last: Walls, h: float) -> list[tuple[slice, Floats]]:
        return [(row, (last[key] - first[key]) / h) for key, row in self._tracked()]

    def _tracked(self) -> list[tuple[tuple[int, int], slice]]:
        """What is seen of every field whose rate of change is read, and the row of the rate."""
        return [(g.key(f), row) for g in self.groups for f, row in g.tracked]


def _between(first: Floats, last: Floats, place: float) -> Floats:
    """On the way from one value to another: equal factors where both are positive, else a straight line."""
    growing = (first > 0.0) & (last > 0.0)
    ratio = np.where(growing, last, 1.0) / np.where(growing, first, 1.0)
    return np.where(growing, first * ratio**place, first + place * (last - first)) if place < 1.0 else last


def _secant(older: tuple[Walls, Walls], newer: tuple[Walls, Walls]) -> Walls:
    """Where what comes out of a sweep would be what went in, at every node by itself."""
    out = {}
    for key, seen in newer[1].items():
        was, now = older[1][key] - older[0][key], seen - newer[0][key]
        turn = np.where(now == was, 1.0, now - was)
        step = now * (newer[0][key] - older[0][key]) / turn
        out[key] = np.where((now == was) | (np.abs(now) <= 1e-14 * np.abs(seen)), seen, newer[0][key] - step)
    return out


def _by_flux(g: Gauge) -> bool:
    """Whether what a channel carries depends on du/dt directly, and not through states that need time."""
    if _at_once(g):
        return any(p.kind == "rate" for p in g.spec.ports)
    rates = [name for name, p in zip(g.channel.reads, g.spec.ports, strict=True) if p.kind == "rate"]
    return reads(g.channel.flux, 1, rates, g.label)


def _slow(g: Gauge) -> bool:
    """Whether a channel takes a step as a whole: its network was trained to, or returns rates or steady values."""
    gate = gate_of(type(g.channel))
    return gate is not None and gate.kind in ("step", *RELAXING)


def _at_once(g: Gauge) -> bool:
    gate = gate_of(type(g.channel))
    return gate is not None and gate.at_once


class _Group:
    """The paced channels of one membrane that move over the step, or (`at_once`) that have no past."""

    def __init__(self, plan: Plan, membrane: str, gauges: Sequence[Gauge], torch: TorchGates, at_once: bool) -> None:
        self.plan, self.membrane, self.at_once, self.torch = plan, gauges[0].spec.membrane, at_once, torch
        self.block = plan.blocks[membrane][0]
        self.pairs = len(gauges[0].area)
        rows = {p.index for g in gauges for p in g.spec.ports if p.kind == "rate"}
        tracked = [t for t in plan.tracked if t.membrane == membrane and t.rate() in rows]
        self.tracked = [(t.field, plan.row(membrane, t.rate())) for t in tracked]
        self.rates = [(t.field, t.rate()) for t in tracked]
        read = {p.index for g in gauges for p in g.spec.ports if p.kind == "field"} | {f for f, _ in self.tracked}
        self.fields = sorted(read)
        self.entries = {f: port_entries(plan, gauges[0], f) for f in self.fields}
        self.slow = [(g, gate) for g in gauges if (gate := gate_of(type(g.channel))) is not None and gate.program is None]
        slow = {id(g) for g, _ in self.slow}
        module = source(self._spec([g for g in gauges if id(g) not in slow]))
        number = module.number("pace")
        self.pace = callable_of(cache.sites(module.text(), module.kernels)[number], module.kernels[number])
        self.networks, self.scratch = module.networks, np.empty(module.scratch())
        self.by_flux = any(map(_by_flux, gauges))
        self.parts = 1 if at_once or all(_slow(g) for g in gauges) else PARTS
        self.nets, self.counts = self.networks.packed(1)

    def key(self, field: int) -> tuple[int, int]:
        """Under what a field is seen."""
        return self.membrane, field

    def _spec(self, gauges: Sequence[Gauge]) -> PacedSpec:
        def port(p: PortRef) -> PortRef:
            return PortRef(p.kind, self.fields.index(p.index) if p.kind == "field" else p.index)

        specs = [replace(g.spec, ports=tuple(map(port, g.spec.ports)), gains=(), weight=-1) for g in gauges]
        rates = tuple((self.fields.index(f), row) for f, row in self.rates)
        return PacedSpec(tuple(s for s in specs if s.cls.states), len(self.fields), rates)

    def move(self, start: State, state: State, first: Walls, last: Walls, clock: Clock, h: float, share: float) -> bool:
        """Move the states from `start` over `share` h, and set rates of change, while what is seen goes from `first` to `last`.

        Returns whether more parts than there may be would have given something else. A law may be as smooth at the concentration 0, from
        where any step multiplies by infinity, as anywhere: only what half as many parts make of it tells.
        """
        given, least = (first, last, clock, h, share), self.parts
        if self._move(start, state, *given, least, FINE if least > 1 else 0.0) <= MOST_PARTS:
            return False
        other = state.copy()
        self._move(start, other, *given, MOST_PARTS // 2, 0.0)
        new, old, was = (s.y[self.block] for s in (state, other, start))
        return not bool((np.abs(new - old) <= RESOLVED * np.maximum(np.abs(new), np.maximum(1e-12 * np.abs(was), LEAST))).all())

    def _move(
        self, start: State, state: State, first: Walls, last: Walls, clock: Clock, h: float, share: float, least: int, fine: float
    ) -> float:
        """The same in at least so many parts; returns how many `fine` wants."""
        near = beside(start.t + h, h)  # within the step: at its ends the potential may jump
        volts = [float(table_value(clock.times, clock.potential, t)) for t in (start.t + near, start.t + h - near)]
        ends = [np.array([seen[self.key(f)] for f in self.fields]).reshape(-1, self.pairs) for seen in (first, last)]
        y0, y = (s.y[self.block].reshape(-1, self.pairs) for s in (start, state))
        given = self.plan.parameters, self.nets, self.counts.reshape(1, -1)
        size = int(self.at_once), self.pairs, -(-self.pairs // LANES)
        wanted = float(self.pace(self.scratch, *ends, y0, y, *given, start.t, *volts, h, share, fine, least, *size))
        for g, gate in self.slow:
            numbers, most = self._parts(ends, share, least, fine)
            new = [(row, np.empty(self.pairs)) for row in g.states]
            for parts in np.unique(numbers).tolist():
                for part in range(parts):
                    place = (part + (1.0 if self.at_once else 0.5)) * share / parts
                    ports = self._ports(g, ends, place, start.t + place * h, volts[0] + place * (volts[1] - volts[0]), h)
                    self.torch.move(g, gate, start if part == 0 else state, state, ports, share * h / parts)
                for row, values in new:
                    values[numbers == parts] = state.y[row][numbers == parts]
            for row, values in new:
                state.y[row] = values
            if gate.kind == "current" and gate.states:  # what a network returns at once is that of the end
                ports = self._ports(g, ends, share, start.t + share * h, volts[0] + share * (volts[1] - volts[0]), h)
                self.torch.value(g, gate, state, ports)
            wanted = max(wanted, most)
        return wanted

    def _parts(self, ends: Sequence[Floats], share: float, least: int, fine: float) -> tuple[NDArray[np.int64], float]:
        """In how many parts the states of each pair move, as in `compile.paced`, and how many are wanted at most."""
        parts, wanted = np.full(self.pairs, least, np.int64), 0.0
        for f, _ in self.tracked if fine > 0.0 else ():
            first, last = (e[self.fields.index(f)] for e in ends)
            more = np.abs(last - first) / (np.minimum(first, last) + 1e-300)
            most = np.maximum.reduceat(more, np.arange(0, self.pairs, LANES)) * share / fine
            wanted = max(wanted, float(np.nanmax(most, initial=0.0)))
            parts = np.maximum(parts, np.repeat(np.fmin(MOST_PARTS, most).astype(np.int64) + 1, LANES)[: self.pairs])
        return parts, wanted

    def _ports(self, g: Gauge, ends: Sequence[Floats], place: float, t: float, v: float, h: float) -> dict[str, Any]:
        """Ports of a channel as arrays over the pairs."""
        rows, out = {row: f for f, row in self.rates}, {}
        for name, p in zip(g.channel.reads, g.spec.ports, strict=True):
            if p.kind == "field":
                a, b = (e[self.fields.index(p.index)] for e in ends)
                out[name] = a + place * (b - a)
            elif p.kind == "rate":
                a, b = (e[self.fields.index(rows[p.index])] for e in ends)
                out[name] = (b - a) / h
            else:
                out[name] = np.full(self.pairs, v if p.kind == "v" else t if p.kind == "t" else self.plan.parameters[p.index])
        return out
