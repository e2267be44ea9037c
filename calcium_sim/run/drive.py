"""What drives a cell from outside as time goes on: the membrane potential, and channels that read the time.

Steps are chosen by the error of the concentrations, which knows nothing of a spike that has not begun. So no step may be longer than a
driving quantity allows: `POTENTIAL` mV of the potential; the fraction `FRACTION` of a flux or rate that depends on time, and an error of
`AMOUNT` of what it brings, if it is integrated by straight lines over the step. Both are taken relative to the largest value and the amount
of some `NEAR` ms around, so that a signal counts as much after a larger one that is over. How far each has moved is tabulated ahead of the
run (`Clock.travel`), and the loop asks before every step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..mesh import Floats
from ..plan.lower import Gauge, Plan
from ..plan.rest import resting_ports, voltage_at
from ..plan.state import Clock
from ..plugin import Channel, State, parse_port
from ..plugin.ieee import called

POTENTIAL = 2.0
"""How far the potential [mV] may move within one step."""

SWING = 0.25
"""How far a current that is given as a table may move within one step, relative to its largest value."""

FRACTION = 0.05
"""How far a flux or rate that depends on time may move within one step, relative to the largest value near."""

AMOUNT = 1e-4
"""Error of what a flux or rate brings in a step, relative to what it brings near. A step may end on the flank of a pulse that is much
shorter than the step, where its flux is 5 % of its top: the straight line up to there brings more than the flank does."""

NEAR = 10.0
"""What is so far away [ms] counts by a factor e less."""

SMALL = 1e-6
"""Changes per ms below which nothing that depends on time is followed, such as the far flank of a pulse."""

SAMPLING = 0.01
"""Interval [ms] at which functions of time are sampled; straight lines in between."""

BEND = 0.02
"""Where a potential given as a function differs by more than this [mV] from these lines, it is sampled more closely."""

HALVINGS = 10
"""How often an interval between samples is halved for that."""

STRETCH = 1000.0
"""Longest time [ms] for which functions are sampled at once."""


class Drive:
    """Tabulates what depends on time alone, stretch by stretch.

    Parameters
    ----------
    plan : Plan. Its potential is None, a number, a table or a function; its channels may read ``t``.
    """

    def __init__(self, plan: Plan) -> None:
        self.model = plan.model
        self.given = plan.model.voltage
        timed = [t for g in plan.gauges for t in _timed(plan, g)]
        self.timed, self.stops = timed, plan.stops
        self.tables = [(h.protocol, POTENTIAL) for h in plan.holders]
        self.tables += [(s.table, SWING * largest) for s in plan.sources if s.table is not None and (largest := s.table.largest())]
        self.past = np.zeros((len(timed), 2))
        self.sampled = callable(self.given) or bool(self.timed)
        self._fixed = self._table() if isinstance(self.given, tuple) else self._map() if plan.placed else self._constant()

    def clock(self, start: float, end: float) -> Clock:
        """What happens from `start` to `end` [ms].

        Raises
        ------
        InputError
            If the potential is no finite number somewhere.
        """
        if not self.sampled:
            return self._fixed
        count = max(2, int(np.ceil((end - start) / SAMPLING)) + 1)
        times = np.union1d(np.linspace(start, end, count), self._around_edges(start, end))
        base = self._fixed
        follow = callable(self.given)
        times, potential = self._bent(times) if follow else (times, np.interp(times, base.times, base.potential))
        travel = np.abs(np.diff(potential)) / POTENTIAL if follow else np.zeros(len(times) - 1)
        for k, (function, least) in enumerate(self.timed):
            values = np.array([function(t) for t in times])
            moved, self.past[k] = _moved(times, np.where(np.isfinite(values), values, 0.0), least, *self.past[k])
            travel += moved
        if base.marks is not None and base.travel is not None and not follow:
            travel = travel + np.diff(np.interp(times, base.marks, base.travel))
        travel[np.diff(times) < 2 * _BESIDE] = 0.0  # a jump: the run stops there anyway
        travel = np.concatenate([[0.0], np.cumsum(travel)])
        return Clock(times, potential, times, travel) if follow else Clock(base.times, base.potential, times, travel)

    def _bent(self, times: Floats) -> tuple[Floats, Floats]:
        """A potential given as a function at these times, and at more where straight lines between them miss it by `BEND`."""
        potential = np.array([voltage_at(self.model, t) for t in times])
        slope = np.diff(potential) / np.diff(times)
        kink = np.concatenate([[0.0], np.abs(np.diff(slope)) * np.minimum(np.diff(times)[1:], np.diff(times)[:-1]), [0.0]])
        doubtful = np.maximum(kink[1:], kink[:-1]) > BEND
        for _ in range(HALVINGS):
            if not doubtful.any():
                break
            middle = 0.5 * (times[1:] + times[:-1])[doubtful]
            found = np.array([voltage_at(self.model, t) for t in middle])
            missed = np.abs(found - 0.5 * (potential[1:] + potential[:-1])[doubtful]) > BEND
            at = np.flatnonzero(doubtful) + 1
            halves = np.zeros(len(doubtful), bool)
            halves[np.flatnonzero(doubtful)[missed]] = True
            times, potential = np.insert(times, at, middle), np.insert(potential, at, found)
            doubtful = np.repeat(halves, np.where(doubtful, 2, 1))
        return times, potential

    def _around_edges(self, start: float, end: float) -> Floats:
        known = np.array([t for t in self.stops.between(start, end) if t < end])
        return np.concatenate([known - _BESIDE, known])

    def _table(self) -> Clock:
        table = np.array(self.given, float)
        times, potential = table[:, 0].copy(), table[:, 1].copy()
        travel = np.where(np.diff(times) > 0, np.abs(np.diff(potential)) / POTENTIAL, 0.0)
        return Clock(times, potential, times, np.concatenate([[0.0], np.cumsum(travel)]))

    def _map(self) -> Clock:
        """Of a potential that differs from place to place how far it moves where it moves most; channels see it otherwise."""
        travel = np.abs(np.diff(self.given.potentials, axis=0)).max(axis=1) / POTENTIAL
        base = Clock.at(0.0)
        return Clock(base.times, base.potential, self.given.times, np.concatenate([[0.0], np.cumsum(travel)]))

    def _constant(self) -> Clock:
        base = Clock.at(0.0 if callable(self.given) else voltage_at(self.model, 0.0))
        if not self.tables:
            return base
        marks = np.unique(np.concatenate([table.columns()[0] for table, _ in self.tables]))
        far = np.zeros(len(marks))
        for table, most in self.tables:
            times, values = table.columns()
            moved = np.where(np.diff(times) > 0, np.abs(np.diff(values)) / most, 0.0)  # where it jumps, a step ends
            far = far + np.interp(marks, times, np.concatenate([[0.0], np.cumsum(moved)]))
        return Clock(base.times, base.potential, marks, far)


_BESIDE = 1e-9
"""A time just before an edge [ms]."""


def _moved(times: Floats, values: Floats, least: float, largest: float, amount: float) -> tuple[Floats, tuple[float, float]]:
    """How far a flux or rate moves from each time to the next, in units of what one step may see.

    `least` is a value that is small; `largest` and `amount` are those of the past, and come back as those of the past of what follows.
    """
    h, size = np.diff(times), np.abs(values)
    fade = (times - times[0]) / NEAR
    with np.errstate(divide="ignore"):
        logs = np.log(size)
    start = np.log(largest) if largest > 0.0 else -np.inf
    before = np.exp(np.maximum.accumulate(np.concatenate([[max(start, logs[0])], (logs + fade)[1:]])) - fade)
    after = np.exp(np.maximum.accumulate((logs - fade)[::-1])[::-1] + fade)
    brought = 0.5 * h * (size[1:] + size[:-1])
    gone = np.concatenate([[0.0], np.cumsum(brought * np.exp(fade[1:]))])
    past = (amount + gone) * np.exp(-fade)
    coming = np.cumsum((brought * np.exp(-fade[1:]))[::-1])[::-1] * np.exp(fade[1:])
    near = np.maximum(np.maximum(before, after), least)
    around = np.maximum(past[1:] + coming, least * NEAR)
    slope = np.diff(values) / h
    bend = 2.0 * np.abs(np.diff(slope)) / (h[1:] + h[:-1])
    bend[(h[1:] < 2 * _BESIDE) | (h[:-1] < 2 * _BESIDE)] = 0.0  # at an edge, where steps end anyway
    bend = np.maximum(np.concatenate([[0.0], bend]), np.concatenate([bend, [0.0]]))
    moved = np.abs(np.diff(values)) / (FRACTION * np.minimum(near[1:], near[:-1])) + h * np.cbrt(bend / (12.0 * AMOUNT * around))
    return moved, (float(before[-1]), float(past[-1]))


def _timed(plan: Plan, g: Gauge) -> Iterable[tuple[Callable[[float], float], float]]:
    """Fluxes and rates of a channel as functions of time: at rest, with its states moved away from rest, and with all else moved, too.

    A flux that is shut at rest, by a state or by what it reads, would else seem not to depend on time. With each comes a value that is
    small for it: of a flux what moves the concentration beside it by `SMALL` uM/ms, of a rate `SMALL` per ms.
    """
    clocks = [name for name, text in g.channel.reads.items() if parse_port(text).kind == "t"]
    if not clocks or g.channel.flux is None:
        return
    p = SimpleNamespace(**g.channel.values)
    mesh = plan.model.mesh
    volumes = [mesh.volume[mesh.span(side)].sum() for side in g.way if side in mesh.regions]
    thickness = float(min(volumes) / mesh.membranes[g.membrane].area.sum())
    rest = vars(resting_ports(plan.model, g.membrane, g.channel))
    moved = [{name: v + far * (abs(v) + 1.0) for name, v in rest.items()} for far in (0.5, 20.0)]
    states = _states(plan, g)
    away = SimpleNamespace(**{n: _away(getattr(states, n), s) for n, s in g.channel.state_table().items()})
    for y, x in ((states, rest), *([(away, rest)] if g.channel.states else []), *((away, ports) for ports in moved)):
        yield from ((_course(f, k, y, x, clocks, p), SMALL * (thickness if k is None else 1.0)) for f, k in _functions(g.channel))


def _states(plan: Plan, g: Gauge) -> SimpleNamespace:
    return SimpleNamespace(**{name: float(np.median(plan.y0[part])) for name, part in zip(g.channel.states, g.states, strict=True)})


def _away(value: float, s: State) -> float:
    """A state half-way to the middle of its bounds, or moved as ports are where it has none."""
    return 0.5 * value + 0.25 * (s.low + s.high) if math.isfinite(s.high - s.low) else value + 0.5 * (abs(value) + 1.0)


def _functions(channel: Channel) -> list[tuple[Callable[..., Any], int | None]]:
    rates = [] if channel.rates is None else [(channel.rates, k) for k in range(len(channel.states))]
    return [(channel.flux, None), *rates]


def _course(
    function: Callable[..., Any], index: int | None, y: SimpleNamespace, x: dict[str, float], clocks: list[str], p: SimpleNamespace
) -> Callable[[float], float]:
    def at(t: float) -> float:
        found = called(function, y, SimpleNamespace(**{**x, **dict.fromkeys(clocks, t)}), p)
        return float(found if index is None else found[index])

    return at
