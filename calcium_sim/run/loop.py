"""The loop: advance a state to the next stop with steps chosen by error control, or of fixed length.

Adaptive steps lie on a power-of-two ladder of the stretch between two stops (an observation, an edge of a stimulus), so that few step
lengths occur and every stop is hit exactly. After at most a window of steps, a pair of steps is compared with one of twice the length;
where the error is too large, all steps since the last check or stop are repeated with half the length. A check that passes grants the
next steps, over stops too. Where stops are so close that one step is enough for a stretch, the check is made with a pair of half its
length. No clock is read: the same model gives the same steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ..errors import InputError, RunStopped, shown, warn
from ..kernels.control import below_zero, changes, livelier, pair_error, sound
from ..mesh import Floats
from ..plan.state import Clock, State
from ..plan.stops import RESOLUTION
from ..schemes.base import Scheme
from .fixed_step import FixedStep
from .hidden import HiddenStates
from .postmortem import describe, finite, place
from .ranges import Ranges
from .watch import Observer

FINITE, NEGATIVE = "not finite", "negative"
"""What can be wrong with a state."""

COARSE = 5.0
"""With fixed steps: a driving quantity that moves so many times as far as a chosen step would let it earns a warning."""

MOST_PARTS = 1 << 12
"""A fixed step is divided into no more parts than this where a concentration would become negative."""

LARGEST = 1.0
"""Longest step [ms] that is chosen."""

INSTANT = 1e-5
"""In shorter steps [ms] the error of a potential does not count: where a current sets in at a place, the potential rises with the root of
the time, and any step has the same relative error until it resolves how one control volume is charged."""

WINDOW, SPIKING = 16, 4
"""Most steps that a check grants, and most where the potential is solved for: near threshold it runs away from what was checked, and times
of spikes drift. Twelve spikes of a cortical cell with outputs from 0.125 to 5 ms: 0.25 to 0.64 mV (root mean square) in 2550 steps with 4,
0.7 to 2.1 in 2460 with 8, 0.6 to 4.4 in 2690 with 16."""

PROVEN = 4.0
"""A check grants steps that are no longer than so many times the one that was checked."""

RUNGS = 60
"""Depth of the ladder: steps from the whole stretch down to 2^-60 of it."""

STRETCH = 6
"""Most steps that are taken before observers see the state: a peak is as sharp as some steps are long (see `watch`)."""

GAP = 0.1
"""The two sweeps of a step with a law in du/dt may differ by this part of what the step changes. The equation for du/dt has one solution as
long as they draw together; in longer steps it has a second one, on which both sides of a check may land."""

FOLLOWED = "saw a concentration multiplied by more than ten", "which it does not follow"
AGREED = "and the concentration that it changes differ", "in what they make of each other"
"""What is said of a law in du/dt for which a fixed step is too long."""

LARGEST_MEASURE = 0.01
"""Above this value of the measure the error of the speed is no longer proportional to it (seen on (z, r) grids)."""


@dataclass
class Control:
    """Step-size control and its memory.

    Parameters
    ----------
    tolerance : largest relative error of the change of any field over a pair of steps: about the relative error of a wave's speed.
    dt : fixed step [ms]; None for adaptive steps.
    first, smallest, largest : step after an event and bounds [ms].
    step, run, credit, proven : memory: step length, steps granted by the last check, how many of them are left, the step that was checked.
    """

    tolerance: float = 2e-3
    dt: float | None = None
    first: float = 0.005
    smallest: float = 1e-7
    largest: float = LARGEST
    step: float = 0.005
    run: int = 0
    credit: int = 0
    proven: float = 0.0
    steps: int = 0
    rejected: int = 0

    def restart(self) -> None:
        """Forget the step length: something has just happened."""
        self.step = min(self.step, self.first)
        self.run = self.credit = 0


class Loop:
    """Advances one state with one stepper."""

    def __init__(self, stepper: Scheme, control: Control) -> None:
        self.stepper, self.control = stepper, control
        fields = stepper.plan.fields
        self.start = np.array([f.span.start for f in fields] + [fields[-1].span.stop], np.int64)
        self.capacity = np.concatenate([f.capacity for f in fields])
        self.rest = np.array([np.inf if f.potential else f.rest for f in fields])  # typical sizes; that of what may be negative
        self.bounded = sum(f.span.stop - f.span.start for f in fields if not f.potential)
        self.given = (self.capacity, self.start[:-1].copy(), self.start[1:].copy(), stepper.plan.u0)
        slow = sum(not f.potential for f in fields)
        self.parts = tuple(
            (self.capacity, b, e, stepper.plan.u0) for b, e in zip(*(np.split(g, [slow]) for g in self.given[1:3]), strict=True)
        )
        self.hidden = HiddenStates(stepper.plan)
        self.scratch: list[State] = []
        self.undo: State | None = None
        self.warned, self.capped, self.fixed = False, False, FixedStep(len(fields))
        self.ranges = Ranges(
            [
                (stepper.networks.watches, stepper.counts),
                (stepper.torch.watches, stepper.torch.counts),
                *((g.networks.watches, g.counts) for g in stepper.pacing.groups),
            ]
        )
        self.observers: list[Observer] = []
        self.window = WINDOW if stepper.plan.potential is None else SPIKING
        self.rate = np.zeros(len(fields))
        self.tolerance = min(control.tolerance * stepper.calibration, LARGEST_MEASURE)

    def served(self) -> float:
        """The tolerance that steps are chosen for: that of the control, unless it is too large."""
        return self.tolerance / self.stepper.calibration

    def advance(self, state: State, stop: float, clock: Clock) -> None:
        """Advance to `stop` exactly.

        Raises
        ------
        RunStopped
            If a value is not finite, or no step is small enough.

        Whatever is raised on the way, `recover` brings back the state before the steps that were under way.
        """
        self.recover(state)
        if stop <= state.t:
            return
        if stop - state.t <= RESOLUTION * abs(stop):  # no step, but what stimuli bring in this time
            for s in self.stepper.plan.sources:
                f = self.stepper.plan.fields[s.field]
                np.add.at(state.u, f.span.start + s.index, s.rate * s.between(state.t, stop))
            state.t = stop
        elif self.control.dt is not None:
            self._fixed(state, stop, clock, self.control.dt)
        else:
            self._adaptive(state, stop, clock)

    def recover(self, state: State) -> None:
        """After an exception (Ctrl-C, a function of the user that fails): back to the last state that was whole."""
        if self.undo is not None:
            state.assign(self.undo)
            self.undo = None

    def _fixed(self, state: State, stop: float, clock: Clock, dt: float) -> None:
        begin, stretch = state.t, stop - state.t
        steps = max(1, math.ceil(stretch / dt - 1e-9))
        h, done = stretch / steps, 0
        saved = self._saved(state)[0]
        if clock.smooth_steps(begin, h, steps, COARSE) < steps and not self.warned:
            self.warned = True
            told = "the potential moves by more than 10 mV, or what channels read off the time by a quarter of its largest value,"
            warn(f"dt: {told} within a fixed step of {h:.3g} ms (take a smaller dt=)")
        while done < steps:
            count = min(STRETCH, steps - done)
            count -= count % 2 if count > 1 else 0  # steps of twice the length are compared with them
            saved.assign(state)
            self.undo = saved
            pacing = self.stepper.pacing
            pacing.capped, pacing.gap = False, 0.0  # steps of twice the length, which are looked at, say nothing of these
            parts = self._in_parts(state, saved, h, count, clock)
            if (pacing.capped or pacing.gap > GAP) and not self.capped:
                self.capped = True
                seen, fault = FOLLOWED if pacing.capped else AGREED
                told = f"a law in du/dt {seen} within a step of {h / parts:.3g} ms after t={saved.t:.6g} ms"
                warn(f"dt: {told}, {fault} (take a smaller dt=)")
            self.fixed.since += count
            moved = changes(state.u, saved.u, self.start) / count
            if self.fixed.due(moved):
                self._look(saved, state, h / parts, count * parts, moved, clock)
            done += count
            state.t = stop if done == steps else begin + stretch * (done / steps)
            self.undo = None
            for observer in self.observers:
                observer.see(saved, state)

    def _look(self, saved: State, state: State, h: float, count: int, moved: Floats, clock: Clock) -> None:
        """See what steps of twice the length make of the same stretch (two halves, of one step), and warn where this differs much."""
        _, fine, coarse = self._saved(state)
        if count > 1:
            coarse.assign(saved)
            self.stepper.advance(coarse, 2 * h, count // 2, clock)
            fine.assign(state)
        else:
            fine.assign(saved)
            self.stepper.advance(fine, 0.5 * h, 2, clock)
            coarse.assign(state)
        states, rows = (fine.u, coarse.u, saved.u, self.capacity), [slice(f, f + 2) for f in range(len(self.rest))]
        measures = np.array([pair_error(*states, self.start[r][:-1], self.start[r][1:], self.given[-1], 1.0) for r in rows])
        self.fixed.note(measures if count > 1 else 4.0 * measures, moved, state.t + h * count)
        if told := self.fixed.doubt():
            warn(told)

    def conclude(self) -> None:
        """At the end of a run: warn of a fixed step that was too long."""
        if self.control.dt is not None and (told := self.fixed.doubt(ended=True)):
            warn(told)

    def _in_parts(self, state: State, saved: State, h: float, count: int, clock: Clock) -> int:
        """`count` steps of h, or of a half, a quarter ... where a concentration would become negative; returns into how many parts."""
        parts = 1
        while True:
            self.stepper.advance(state, h / parts, count * parts, clock)
            fault = self._fault(state)
            if fault is None:
                self.control.steps += count * parts
                return parts
            if fault == NEGATIVE and self._limit(saved, state):
                self.control.rejected += count * parts
                continue
            if fault == FINITE or 0.5 * h / parts < self.control.smallest or parts >= MOST_PARTS:
                self._refuse(saved, state, h / parts, count * parts, clock, fault)
            state.assign(saved)
            self.control.rejected += count * parts
            parts *= 2

    def _adaptive(self, state: State, stop: float, clock: Clock) -> None:
        control, begin, stretch = self.control, state.t, stop - state.t
        saved = self._saved(state)[0]
        rung = max(0, math.ceil(math.log2(stretch / min(control.step, control.largest)) - 1e-9))
        done, total, strikes = 0, 1 << RUNGS, 0
        while done < total:
            if stretch / (1 << rung) > PROVEN * control.proven:  # what was checked was a step between two times that lie close together
                control.credit = 0
            rung = rung if control.credit else max(rung, 1)  # a check takes a pair of steps
            unit = 1 << (RUNGS - rung)
            h = stretch / (1 << rung)
            left = (total - done) // unit
            checked = left > control.credit  # else the stretch ends before the next check is due
            count = min(control.credit + 2, left) if checked else left
            if count > STRETCH and control.credit >= STRETCH:
                checked, count = False, STRETCH
            smooth = count if clock.travel is None else clock.smooth_steps(state.t, h, count)
            if smooth < count:  # further on, what drives the cell moves too far within one step of this length
                checked, count = checked and smooth > 1, smooth
                if count == 0 or (not checked and count > control.credit):
                    rung, control.step = self._shorter(stretch, rung)
                    continue
            saved.assign(state)
            self.undo = saved
            error, fault = self._taken(state, h, count, clock, checked)
            if fault == NEGATIVE and self._limit(saved, state):
                control.rejected += count
                continue
            if not checked and fault is None and livelier(state.u, saved.u, *self.given[1:], self.rate, h * count):
                control.credit, control.run = 0, 0  # something sets in that the last check has not seen
                state.assign(saved)
                control.rejected += count
                continue
            if fault is not None or not error <= 1.0:
                strikes = strikes + 1 if fault == FINITE else 0
                if strikes > 8 or 0.5 * h < control.smallest or rung >= RUNGS - 2:
                    self._refuse(saved, state, h, count, clock, fault)
                state.assign(saved)
                control.rejected += count
                rung, control.step = self._shorter(stretch, rung)
                continue
            done += count * unit
            control.steps += count
            state.t = stop if done == total else begin + stretch * (done / total)
            self.undo = None
            for observer in self.observers:
                observer.see(saved, state)
            if not checked:
                control.credit -= count
                continue
            control.run = min(2 * control.run + 2, self.window)
            control.credit, control.proven = control.run, h
            if error >= 0.16:
                control.step = min(control.step, h)
            elif 2 * h <= control.largest:
                control.step = max(control.step, 2 * h)
                if rung > 1 and done % (4 * unit) == 0:
                    rung -= 1

    def _shorter(self, stretch: float, rung: int) -> tuple[int, float]:
        """The next rung and its step; nothing is granted any more."""
        self.control.credit, self.control.run = 0, 0
        return rung + 1, stretch / (1 << (rung + 1))

    def _taken(self, state: State, h: float, count: int, clock: Clock, checked: bool) -> tuple[float, str | None]:
        """Take `count` steps; the error of the last two over the tolerance if `checked`, and what is wrong with the result."""
        error, self.stepper.pacing.gap, self.stepper.pacing.capped = 0.0, 0.0, False
        if checked:
            error = self._checked(state, h, count, clock)
            if math.isnan(error):  # the check's long step may fail where the short ones do not
                return error, FINITE
        else:
            self.stepper.advance(state, h, count, clock)
        error = max(error, self.stepper.pacing.gap / GAP)
        return error, self._fault(state)

    def _limit(self, saved: State, state: State) -> bool:
        """Where a scheme can keep edges of negative conductance from emptying a node: have it do so from now on, and say so."""
        if state.limited or not getattr(self.stepper, "can_limit", False):
            return False
        where = place(self.stepper.plan, int(below_zero(state.u, self.start, self.rest)))
        warn(
            f"diffusion between obtuse cells would have taken {where} below zero after t={saved.t:.4g} ms: what they exchange is limited "
            "from here on, which costs accuracy there (the mesh is coarse or flat for so sharp a source: refine it, avoid slivers)"
        )
        saved.limited = True
        state.assign(saved)
        return True

    def _fault(self, state: State) -> str | None:
        """What a state must not hold: a number that is not finite, a concentration below zero."""
        if sound(state.u, state.y, self.bounded):
            return None
        if not finite(state):
            return FINITE
        return NEGATIVE if below_zero(state.u, self.start, self.rest) >= 0 else None

    def _checked(self, state: State, h: float, count: int, clock: Clock) -> float:
        """Take `count` steps and return the error of the last two over the tolerance."""
        _, pair, coarse = self._saved(state)
        if count > 2:
            self.stepper.advance(state, h, count - 2, clock)
        pair.assign(state)
        coarse.assign(state)
        self.stepper.advance(state, h, 2, clock)
        self.stepper.advance(coarse, 2 * h, 1, clock)
        self.rate[:] = changes(state.u, pair.u, self.start) / (2.0 * h)
        concentrations, potential = self.parts
        error = float(pair_error(state.u, coarse.u, pair.u, *concentrations, self.tolerance))
        if h >= INSTANT:
            error = max(error, float(pair_error(state.u, coarse.u, pair.u, *potential, self.tolerance)))
        if self.hidden.any:  # what a channel makes of its states shows in the concentrations only later, when it opens
            error = max(error, self.hidden.error(state.y, coarse.y, pair.y, self.tolerance))
        return error

    def _saved(self, state: State) -> list[State]:
        if not self.scratch:
            self.scratch = [state.copy() for _ in range(3)]
        return self.scratch

    def _refuse(self, saved: State, state: State, h: float, count: int, clock: Clock, fault: str | None) -> NoReturn:
        """Stop the run: say what no step could mend."""
        if fault == FINITE:
            self._diagnose(saved, 2 * h, count, clock)  # the check's long step is the one that failed first
        if fault == NEGATIVE:
            entry = int(below_zero(state.u, self.start, self.rest))
            raise RunStopped(
                f"run stopped at t={saved.t:.6g} ms: {place(self.stepper.plan, entry)} becomes negative with every step down to {h:.2g} "
                "ms: more is taken out than there is (a negative flux, a channel that carries calcium away at concentration 0, or with dt= "
                "a rate that is too fast for it)"
            )
        fix, plan, pacing = f"raise tolerance={self.stepper.hint}", self.stepper.plan, self.stepper.pacing
        if any((saved.u[plan.fields[f].span] == 0.0).any() for f in {t.field for t in plan.tracked}):
            fix = "a law that reads a rate of change may have no value at the concentration 0 that is there: start or set it above 1e-4 uM"
        elif pacing.capped:
            fix = "a law in du/dt cannot follow a concentration over so many orders of magnitude: start or set it above 1e-4 uM"
        raise RunStopped(f"run stopped at t={saved.t:.6g} ms: no step above {h:.2g} ms meets tolerance {self.control.tolerance:g} ({fix})")

    def _diagnose(self, saved: State, h: float, count: int, clock: Clock) -> NoReturn:
        """Say where and in which channel the first value that is not finite appears."""

        def step(state: State, length: float) -> None:
            self.stepper.advance(state, length, 1, clock)

        raise RunStopped(describe(self.stepper.plan, self.stepper.hint, saved, step, h, count, self.control.steps, self.ranges))


def check_step(value: Any, what: str) -> float:
    """Refuse a step, tolerance or time that is not a positive finite number."""
    try:
        if isinstance(value, bool):
            raise TypeError
        value = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(what, f"{shown(value)} must be a positive finite number") from None
    if not (math.isfinite(value) and value > 0):
        raise InputError(what, f"{value} must be a positive finite number")
    return value
