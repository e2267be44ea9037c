"""Takes down probes while a run goes on: values at their times, and first crossings and peaks every few steps in between."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..kernels.watch import crossing, vertex
from ..model.probes import Probe
from ..model.targets import Target, targeted
from ..plan.lower import Gauge, Plan
from ..plan.observe import Seen, at_pairs, flux_density, pair_view
from ..plan.rest import voltage_at
from ..plan.state import State
from ..units import number_in

Walls = Callable[[State, float], Seen]
UNITS = {"field": "uM", "po": "1", "flux": "uM*um/ms", "v": "mV"}


@dataclass
class Track:
    """One probe in time: values at its times, and what was noted between them.

    `before` and `last` are the last two looks, (time, value); `moved` and `since` count what flows since the last of its times.
    """

    probe: Probe
    target: Target
    level: float
    gauge: Gauge | None
    entries: NDArray[np.int64]
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    arrival: float = math.nan
    peak: tuple[float, float] = (math.nan, -math.inf)
    before: tuple[float, float] = (-math.inf, math.nan)
    last: tuple[float, float] = (-math.inf, math.nan)
    rest: float = math.nan
    moved: float = 0.0
    taken: float = 0.0

    def look(self, t: float, value: float) -> None:
        """Take note of a value on the way, in the order of time."""
        (t0, y0), (t1, y1) = self.before, self.last
        if math.isnan(y1):
            self.rest, self.peak = value, (t, value)
            self.arrival = t if value >= self.level else math.nan
            self.before, self.last = (t, value), (t, value)
            return
        if math.isnan(self.arrival) and y1 < self.level <= value:
            self.arrival = t1 + (t - t1) * crossing(y1, value, self.level, self.rest)
        if y1 >= y0 and y1 > value and y1 > self.peak[1]:
            self.peak = vertex(t0, t1, t, y0, y1, value)
        self.before, self.last = self.last, (t, value)

    def highest(self) -> tuple[float, float]:
        """Time and value of the peak, that of a course which still rises among them."""
        return self.last if self.last[1] > self.peak[1] else self.peak


class Recorder:
    """The probes of a run.

    Parameters
    ----------
    plan, state : at the start of the run.
    probes : what to take down.
    levels : threshold of each species [uM].
    walls : concentrations at membranes where they are not those of the nodes (on (z, r) grids), else None.
    """

    def __init__(
        self, plan: Plan, state: State, probes: tuple[Probe, ...], levels: Mapping[str, float], walls: Walls | None = None
    ) -> None:
        self.plan, self.walls = plan, walls
        self.tracks = [self._track(p, levels) for p in probes]
        self.look(state)

    def _track(self, probe: Probe, levels: Mapping[str, float]) -> Track:
        where, entries = f"record.{probe.name}", np.zeros(0, np.int64)
        target = targeted(self.plan.model, probe, where)
        level = math.inf
        if target.kind in ("field", "v") and len(target.index):
            f = self.plan.fields[self.plan.index(*target.key)]
            entries = target.index - f.nodes.start + f.span.start
        if target.kind == "field":
            passed = levels.get(f.name, math.inf)
            level = passed if f.rest < passed else math.inf  # none where it rests above that of its species, as in the ER
        if probe.threshold is not None:
            level = number_in(probe.threshold, UNITS[target.kind], f"{where}.threshold")
        gauge = next((g for g in self.plan.gauges if (g.membrane, g.label) == target.key), None) if target.kind in ("po", "flux") else None
        return Track(probe, target, level, gauge, entries)

    def look(self, state: State) -> None:
        """Take note of a state on the way."""
        seen = self._seen(state)
        for track in self.tracks:
            track.look(state.t, self._now(track, state, seen))

    def sample(self, track: Track, state: State) -> None:
        """Take down the value of a probe; of a flux its mean since the last of its times."""
        if track.target.kind == "flux":
            passed, elapsed = track.moved + self._passed(track, state), state.t - (track.times[-1] if track.times else state.t)
            track.values.append((passed - track.taken) / elapsed if elapsed > 0 else math.nan)
            track.taken = passed
        else:
            track.values.append(self._now(track, state, self._seen(state)))
        track.times.append(state.t)

    def closing(self, state: State) -> None:
        """Before the books of what has moved are closed: keep count of it."""
        for track in self.tracks:
            if track.target.kind == "flux":
                track.moved += self._passed(track, state)

    def _passed(self, track: Track, state: State) -> float:
        assert track.gauge is not None
        return track.target.mean(state.moved[track.gauge.moved][track.target.index])

    def _seen(self, state: State) -> Seen:
        if self.walls is None or not any(track.gauge for track in self.tracks):
            return {}
        return self.walls(state, voltage_at(self.plan.model, state.t))

    def _now(self, track: Track, state: State, seen: Seen) -> float:
        target, g = track.target, track.gauge
        if target.kind == "v" and not len(track.entries):
            return voltage_at(self.plan.model, state.t)
        if g is None:
            return target.mean(state.u[track.entries])
        if target.kind == "flux":
            return target.mean(flux_density(self.plan, g, state, seen, target.index))
        assert g.channel.open_probability is not None
        return target.mean(at_pairs(g.channel.open_probability, *pair_view(self.plan, g, state, seen, target.index), len(target.index)))
