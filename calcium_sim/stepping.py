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
from typing import Any, NoReturn, Protocol

import numpy as np

from .codegen_learned import Networks
from .errors import InputError, RunStopped
from .fallback import TorchGates
from .kernels.control import pair_error
from .lowering import Plan
from .mesh import Floats
from .postmortem import describe, finite
from .state import Clock, State
from .watch import Observer

RUNGS = 40
"""Depth of the ladder: steps from the whole stretch down to 2^-40 of it."""


STRETCH = 16
"""Most steps of a fixed length that are taken before observers see the state."""

LARGEST_MEASURE = 0.01
"""Above this value of the measure the error of the speed is no longer proportional to it (seen on (z, s) grids)."""


class Stepper(Protocol):
    """What the loop asks of a scheme.

    `calibration` is the error measure of `pair_error` over the error of a wave's speed, measured on waves between 0.5 and 1.3 um/ms: part
    of the measure is a constant displacement by the splitting, which does not accumulate.
    """

    scheme: str
    plan: Plan
    calibration: float
    networks: Networks
    counts: Any
    torch: TorchGates

    def advance(self, state: State, h: float, steps: int, clock: Clock) -> None:
        """Take `steps` steps of length h [ms], in place."""


@dataclass
class Control:
    """Step-size control and its memory.

    Parameters
    ----------
    tolerance : largest relative error of the change of any field over a pair of steps: about the relative error of a wave's speed.
    dt : fixed step [ms]; None for adaptive steps.
    first, smallest, largest : step after an event and bounds [ms].
    window : most steps between two error checks.
    step, run, credit : memory: step length, steps granted by the last check, and how many of them are left.
    """

    tolerance: float = 2e-3
    dt: float | None = None
    first: float = 0.005
    smallest: float = 1e-7
    largest: float = 1.0
    window: int = 16
    step: float = 0.005
    run: int = 0
    credit: int = 0
    steps: int = 0
    rejected: int = 0

    def restart(self) -> None:
        """Forget the step length: something has just happened."""
        self.step = min(self.step, self.first)
        self.run = self.credit = 0


class Loop:
    """Advances one state with one stepper."""

    def __init__(self, stepper: Stepper, control: Control) -> None:
        self.stepper, self.control = stepper, control
        fields = stepper.plan.fields
        self.start = np.array([f.span.start for f in fields] + [fields[-1].span.stop], np.int64)
        self.volume = np.concatenate([f.volume for f in fields])
        self.floor = np.array([0.02 * f.rest + 0.02 for f in fields])
        self.scratch: list[State] = []
        self.observers: list[Observer] = []
        self.tolerance = min(control.tolerance * stepper.calibration, LARGEST_MEASURE)

    def advance(self, state: State, stop: float, clock: Clock) -> None:
        """Advance to `stop` exactly.

        Raises
        ------
        RunStopped
            If a value is not finite, or no step is small enough.
        """
        if stop <= state.t:
            return
        if self.control.dt is not None:
            self._fixed(state, stop, clock, self.control.dt)
        else:
            self._adaptive(state, stop, clock)
        state.t = stop

    def _fixed(self, state: State, stop: float, clock: Clock, dt: float) -> None:
        begin, stretch = state.t, stop - state.t
        steps = max(1, math.ceil(stretch / dt - 1e-9))
        h, done = stretch / steps, 0
        saved = self._saved(state)[0]
        while done < steps:
            count = min(STRETCH if self.observers else 256, steps - done)
            saved.assign(state)
            self.stepper.advance(state, h, count, clock)
            if not finite(state):
                state.assign(saved)
                self._diagnose(saved, h, count, clock)
            done += count
            state.t = begin + stretch * (done / steps)
            self.control.steps += count
            for observer in self.observers:
                observer.see(saved, state)

    def _adaptive(self, state: State, stop: float, clock: Clock) -> None:
        control, begin, stretch = self.control, state.t, stop - state.t
        saved, pair, coarse = self._saved(state)
        rung = max(0, math.ceil(math.log2(stretch / min(control.step, control.largest)) - 1e-9))
        done, total, strikes = 0, 1 << RUNGS, 0
        while done < total:
            rung = rung if control.credit else max(rung, 1)  # a check takes a pair of steps
            unit = 1 << (RUNGS - rung)
            h = stretch / (1 << rung)
            left = (total - done) // unit
            if left <= control.credit:  # the stretch ends before the next check is due
                saved.assign(state)
                self.stepper.advance(state, h, left, clock)
                if finite(state):
                    control.credit -= left
                    control.steps += left
                    state.t = begin + stretch
                    for observer in self.observers:
                        observer.see(saved, state)
                    return
                state.assign(saved)
                control.rejected += left
                control.credit, control.run, rung = 0, 0, rung + 1
                continue
            count = min(control.credit + 2, left)
            saved.assign(state)
            error = self._checked(state, pair, coarse, h, count, clock)
            if not error <= 1.0:
                state.assign(saved)
                strikes = strikes + 1 if math.isnan(error) else 0
                if strikes > 8 or 0.5 * h < control.smallest or rung >= RUNGS - 2:
                    self._refuse(saved, h, count, clock, error)
                control.rejected += count
                control.credit, control.run, rung = 0, 0, rung + 1
                control.step = stretch / (1 << rung)
                continue
            done += count * unit
            control.steps += count
            control.run = min(2 * control.run + 2, control.window)
            control.credit = control.run
            state.t = begin + stretch * (done / total)
            for observer in self.observers:
                observer.see(saved, state)
            if error >= 0.16:
                control.step = min(control.step, h)
            elif 2 * h <= control.largest:
                control.step = max(control.step, 2 * h)
                if rung > 1 and done % (4 * unit) == 0:
                    rung -= 1

    def _checked(self, state: State, pair: State, coarse: State, h: float, count: int, clock: Clock) -> float:
        """Take `count` steps and return the error of the last two over the tolerance."""
        if count > 2:
            self.stepper.advance(state, h, count - 2, clock)
        pair.assign(state)
        coarse.assign(state)
        self.stepper.advance(state, h, 2, clock)
        self.stepper.advance(coarse, 2 * h, 1, clock)
        return float(pair_error(state.u, coarse.u, pair.u, self.volume, self.start, self.floor, self.tolerance))

    def _saved(self, state: State) -> list[State]:
        if not self.scratch:
            self.scratch = [state.copy() for _ in range(3)]
        return self.scratch

    def _refuse(self, saved: State, h: float, count: int, clock: Clock, error: float) -> None:
        if not math.isfinite(error):
            self._diagnose(saved, 2 * h, count, clock)  # the check's long step is the one that failed first
        raise RunStopped(
            f"run stopped at t={saved.t:.6g} ms: no step above {h:.2g} ms meets tolerance {self.control.tolerance:g} (raise tolerance=)"
        )

    def _diagnose(self, saved: State, h: float, count: int, clock: Clock) -> NoReturn:
        """Say where and in which channel the first value that is not finite appears."""

        def step(state: State, length: float) -> None:
            self.stepper.advance(state, length, 1, clock)

        raise RunStopped(describe(self.stepper.plan, saved, step, h, count, self.control.steps))


def check_step(value: float, what: str) -> float:
    """Refuse a step, tolerance or time that is not a positive finite number."""
    if not (math.isfinite(value) and value > 0):
        raise InputError(what, f"{value} must be a positive finite number")
    return value


__all__ = ["Control", "Floats", "Loop", "Stepper", "check_step"]
