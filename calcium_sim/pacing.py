"""Channels that need the whole step to be known: those that read a rate of change, and those whose value follows at once.

A rate of change du/dt in a step is what the step makes of u, and u depends on the channel. So the step is taken twice: with the states
of these channels where the last rates of change lead by the middle of the step; then with those that the first result gives. The second
result gives the states at the end. Both times the states move at the concentrations in between, by the same update as those of any other
channel, so that the whole is of second order, and a check of the step compares steps that know nothing of each other.

*Paced* in this way (see `lowering`) are channels with a port ``d(...)``, networks that return a value at once (`open_prob`, `current`),
networks that run in torch, and on (z, r) grids every network whose states do not move within the joint step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from . import generated
from .codegen_paced import PacedSpec, source
from .fallback import TorchGates
from .gates import RELAXING, gate_of
from .kernels.stimulus import table_value
from .lowering import Gauge, Plan
from .mesh import Floats
from .observe import port_entries
from .specs import PortRef
from .state import Clock, State, pack_networks

SWEEPS = 2
"""How often a step is taken."""

SETTLING, SETTLED = 20, 1e-6
"""On grids what a network returns at once and the concentration at the wall make each other: how often they are asked in turn, and the
relative change at which they agree. Otherwise the error of the guess stays, which is of first order in the step."""

_NOTHING = 1e-6
"""Changes of a concentration by less than this part of it say nothing about the sweeps."""

PARTS = 4
"""Parts in which states move over half a step or a whole one: a law in du/dt may multiply a state by ten where u only doubles."""

Walls = dict[tuple[int, int], Floats]
"""Concentrations that channels see, by (membrane, field)."""

Take = Callable[[State, float, int, Clock], None]
Look = Callable[[State, Clock], Walls]


class Pacing:
    """Advances the states of the paced channels of a plan around the steps of a scheme.

    Parameters
    ----------
    plan : Plan.
    torch : the gates that run in torch.
    look : what channels see of a state, where that is not the concentration at their nodes.
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
        self.gap = 0.0

    def advance(self, take: Take, state: State, h: float, steps: int, clock: Clock) -> None:
        """Take `steps` steps of length h [ms], in place; `take` advances a state with the paced states held."""
        for _ in range(steps):
            self._step(take, state, h, clock)

    def _step(self, take: Take, state: State, h: float, clock: Clock) -> None:
        start, before = state.copy(), state.before
        first = self._seen(start, clock)
        ahead = self._ahead(start, first, h, before)
        for g in self.groups:
            g.move(start, state, first, ahead, clock, h, 0.5)
        for sweep in range(SWEEPS):
            take(state, h, 1, clock)
            last = self._last(start, state, first, ahead, clock, h)
            if sweep:
                self.gap = max(self.gap, self._gap(first, ahead, last))
            if sweep < SWEEPS - 1:
                state.assign(start)
            for g in self.groups:
                g.move(start, state, first, last, clock, h, 0.5 if sweep < SWEEPS - 1 else 1.0)
            ahead = last
        for row, values in self._rates(first, last, h):
            state.y[row.stop : row.stop + len(values)] = start.y[row]
            state.y[row] = values

    def _gap(self, first: Walls, before: Walls, last: Walls) -> float:
        """How far two sweeps differ in what they make of a concentration whose rate of change is read, relative to its change."""
        gap = 0.0
        for key, _ in self._tracked():
            change = np.abs(last[key] - first[key]).max() + _NOTHING * np.abs(first[key]).max()
            gap = max(gap, float(np.abs(last[key] - before[key]).max() / change) if change > 0.0 else 0.0)
        return gap

    def _seen(self, state: State, clock: Clock) -> Walls:
        if self.look is not None:
            return self.look(state, clock)
        return {g.key(f): state.u[e] for g in self.groups for f, e in g.entries.items()}

    def _last(self, start: State, state: State, first: Walls, ahead: Walls, clock: Clock, h: float) -> Walls:
        """What channels see at the end of the step; where their fluxes enter into that, with the states that they reach."""
        if self.look is None:
            return self._seen(state, clock)
        reached = state.copy()
        for _ in range(SETTLING if any(g.at_once for g in self.groups) else 1):
            for g in self.groups:
                g.move(start, reached, first, ahead, clock, h, 1.0)
            last, ahead = ahead, self._seen(reached, clock)
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
        self.tracked = [(f, rate) for f, _, rate in plan.tracked if rate.start in rows]
        read = {p.index for g in gauges for p in g.spec.ports if p.kind == "field"} | {f for f, _ in self.tracked}
        self.fields = sorted(read)
        self.entries = {f: port_entries(plan, gauges[0], f) for f in self.fields}
        self.slow = [(g, gate) for g in gauges if (gate := gate_of(type(g.channel))) is not None and gate.program is None]
        slow = {id(g) for g, _ in self.slow}
        text, self.networks = source(self._spec([g for g in gauges if id(g) not in slow]))
        self.module = generated.load(text)
        self.parts = 1 if at_once or all(_slow(g) for g in gauges) else PARTS
        self.nets, self.counts = pack_networks(self.networks, 1)

    def key(self, field: int) -> tuple[int, int]:
        """Under what a field is seen."""
        return self.membrane, field

    def _spec(self, gauges: Sequence[Gauge]) -> PacedSpec:
        def row(offset: int) -> int:
            return int(offset - self.block.start) // self.pairs

        def port(p: PortRef) -> PortRef:
            index = {"field": lambda: self.fields.index(p.index), "rate": lambda: row(p.index)}.get(p.kind, lambda: p.index)()
            return PortRef(p.kind, index)

        specs = [replace(g.spec, state=row(g.spec.state), ports=tuple(map(port, g.spec.ports)), gains=(), weight=-1) for g in gauges]
        rates = tuple((self.fields.index(f), row(rate.start)) for f, rate in self.tracked)
        return PacedSpec(tuple(s for s in specs if s.cls.states), len(self.fields), rates)

    def move(self, start: State, state: State, first: Walls, last: Walls, clock: Clock, h: float, share: float) -> None:
        """Move the states from `start` over `share` h, and set rates of change, while what is seen goes from `first` to `last`."""
        volts = [float(table_value(clock.times, clock.potential, start.t + k * h)) for k in (0.0, 1.0)]
        ends = [np.array([seen[self.key(f)] for f in self.fields]).reshape(-1, self.pairs) for seen in (first, last)]
        y0, y = (s.y[self.block].reshape(-1, self.pairs) for s in (start, state))
        given = self.plan.parameters, self.nets, self.counts[0]
        self.module.pace(*ends, y0, y, *given, start.t, *volts, h, share, self.parts, self.at_once)
        for g, gate in self.slow:
            for part in range(self.parts):
                place = (part + (1.0 if self.at_once else 0.5)) * share / self.parts
                ports = self._ports(g, ends, place, start.t + place * h, volts[0] + place * (volts[1] - volts[0]), h)
                self.torch.move(g, gate, start if part == 0 else state, state, ports, share * h / self.parts)
            if gate.kind == "current" and gate.states:  # what a network returns at once is that of the end
                ports = self._ports(g, ends, share, start.t + share * h, volts[0] + share * (volts[1] - volts[0]), h)
                self.torch.value(g, gate, state, ports)

    def _ports(self, g: Gauge, ends: Sequence[Floats], place: float, t: float, v: float, h: float) -> dict[str, Any]:
        """Ports of a channel as arrays over the pairs."""
        rows, out = {rate.start: f for f, rate in self.tracked}, {}
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
