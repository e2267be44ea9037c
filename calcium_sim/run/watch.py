"""Watches a run: when each concentration first crossed a level, its peak and the time of the peak, whatever is recorded how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..kernels import watch
from ..mesh import Floats
from ..plan.lower import Field, Plan
from ..plan.state import State

STRIDE = 4
"""Steps between two looks, or a few more: a peak where waves end or meet is some ten steps wide."""


class Observer(Protocol):
    """What the loop calls after every stretch that it has accepted, of a few steps."""

    def see(self, before: State, after: State) -> None:
        """The states at the ends of the stretch, both only lent; of equal time where a value was set."""


@dataclass(frozen=True)
class Watched:
    """What was noted of one field: its level [uM], and per node the first crossing [ms] (NaN: none), the peak [uM], its time [ms]."""

    name: str
    region: str
    level: float
    arrival: Floats
    peak: Floats
    peak_time: Floats


class Watcher:
    """Notes first crossings and peaks of species: in the cytosol, and where they rest below their level.

    Parameters
    ----------
    plan, state : of the run, at its start.
    levels : level per species [uM].
    """

    def __init__(self, plan: Plan, state: State, levels: Mapping[str, float]) -> None:
        self.fields = [f for f in plan.fields if f.kind == "species" and (f.region == "cytosol" or f.rest < levels[f.name])]
        sizes = [len(f.capacity) for f in self.fields]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.spans = np.array([[f.span.start, f.span.stop, k] for f, k in zip(self.fields, starts, strict=False)], np.int64).reshape(-1, 3)
        self.levels = np.array([levels[f.name] for f in self.fields], float)
        self.memory = np.empty((watch.ROWS, starts[-1]))
        self.times = np.full(2, state.t)
        self.begin, self.due, self.short = state.t, state.t, 0.0
        self.others: list[Callable[[State], None]] = []
        self._start(state, plan.u0)

    def _start(self, state: State, rest: Floats) -> None:
        m = self.memory
        for f, (start, stop, k), level in zip(self.fields, self.spans, self.levels, strict=True):
            there = slice(k, k + len(f.capacity))
            m[:, there] = state.u[start:stop]
            m[watch.REST, there] = rest[start:stop]
            m[watch.ARRIVAL, there] = np.where(state.u[start:stop] >= level, state.t, np.nan)
        m[watch.PEAK_TIME] = state.t

    def see(self, before: State, after: State) -> None:
        """Look every few steps, and at both sides of a jump and of whatever makes steps short."""
        t, step = after.t, after.before
        if before.t < t < self.due and step >= self.short:
            return
        if before.t > self.times[1] and (before.t == t or step < self.short):
            self.look(before)
        self.look(after)
        self.due, self.short = t + STRIDE * step, 0.5 * step

    def look(self, state: State) -> None:
        """Take note of a state; `others` are shown the same states."""
        for other in self.others:
            other(state)
        watch.look(state.u, self.spans, self.levels, self.memory, self.times, state.t)

    def be_sure(self, state: State) -> None:
        """Take note of a state that has not been seen yet: an output, which no noted peak may lie below, or an edge."""
        if state.t > self.times[1]:
            self.look(state)

    def noted(self, state: State) -> list[Watched]:
        """What was noted, up to a state."""
        self.be_sure(state)
        return [self._watched(f, int(k), level) for f, k, level in zip(self.fields, self.spans[:, 2], self.levels, strict=True)]

    def _watched(self, f: Field, k: int, level: float) -> Watched:
        _, last, arrival, peak, peak_time, _ = self.memory[:, k : k + len(f.capacity)]
        rising = last > peak
        return Watched(
            f.name, f.region, float(level), arrival.copy(), np.where(rising, last, peak), np.where(rising, self.times[1], peak_time)
        )
