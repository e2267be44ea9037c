"""A model in time: its state, and all that changes with it, from one time to a later one."""

from __future__ import annotations

import time
from itertools import chain
from typing import Any

import numpy as np

from ..compile.compilable import NumbaError, explained
from ..errors import InputError, RunStopped
from ..model import Model
from ..model.pulses import check_resolved, last_start
from ..model.stimuli import Pulsed
from ..plan.rest import voltage_at
from ..plan.state import Clock, State
from ..plan.validity import remarks
from ..results.described import sources
from ..schemes.choice import choose_stepper
from ..units import Canonical, number_in, value
from .arguments import check_model, levels
from .drive import STRETCH, Drive
from .events import Events
from .ledger import Ledger
from .limits import check_length
from .loop import Control, Loop, check_step
from .threads import chosen, running
from .watch import Watcher


class Integration:
    """All that a run has in hand, and how it goes on; what a user sees of it is `simulation.Simulation`."""

    def begin(
        self, model: Model, tolerance: float | None, dt: Any, threads: int | None, active: float | None, threshold: Any, scheme: Any = None
    ) -> None:
        """Set everything up; what is to be said of the model is in `told`."""
        began = time.perf_counter()
        check_model(model)
        self.control = Control()
        if tolerance is not None and dt is not None:
            raise InputError("dt", "give tolerance= or dt=, not both")
        if tolerance is not None:
            self.control.tolerance = check_step(tolerance, "tolerance")
            if self.control.tolerance >= 1.0:
                raise InputError(
                    "tolerance", f"{self.control.tolerance:g} is no relative error of a speed, expected below 1 (0.002 by default)"
                )
        if dt is not None:
            self.control.dt = check_step(value(dt, "ms", "dt"), "dt")
        self._model, count = model, chosen(threads)
        try:
            self.stepper = choose_stepper(model, 0.0 if active is None else check_step(active, "active"), count, scheme)
        except NumbaError as error:  # what is not translated is compiled when it is loaded
            raise explained(error, dict.fromkeys(type(c) for channels in model.membranes.values() for c in channels)) from error
        self.threads = count if self.stepper.parallel else 1
        self.plan = self.stepper.plan
        self.sources = sources(model)
        self.remarks = remarks(self.plan)
        self.told = list(self.remarks)
        self.loop = Loop(self.stepper, self.control)
        if tolerance is not None and (served := self.loop.served()) < self.control.tolerance:
            more = f"{self.control.tolerance:g} is more than steps can be chosen for, {served:.2g} on this mesh is what they are chosen for"
            self.told.append(f"tolerance: {more} (leave it out for 0.002)")
        self.ranges = self.loop.ranges
        self.state = State.start(self.plan)
        noticed = levels(model, threshold)
        step = None if self.control.dt is None else Canonical(self.control.dt, "ms")
        self.options = {"tolerance": tolerance, "dt": step, "threads": threads, "active": active, "threshold": noticed, "scheme": scheme}
        self.ledger = Ledger(self.plan)
        self.ledger.open(self.state)
        self.observed = 0.0
        self.events = Events(self.plan)
        self.drive = Drive(self.plan)
        self.trains = [s for s in model.stimuli if isinstance(s, Pulsed) and s.period is not None]
        self.seconds = {"setup": time.perf_counter() - began, "steps": 0.0, "observe": 0.0}
        self.settled, self.torn, self.remarked = -1.0, False, list[str]()
        self.upcoming = -1.0
        self._settle()
        self.watch = Watcher(self.plan, self.state, noticed)
        self.loop.observers.append(self.watch)

    @property
    def model(self) -> Model:
        """What runs; another model needs another simulation."""
        return self._model

    @property
    def t(self) -> float:
        """Time reached [ms]."""
        return self.state.t

    def advance(self, end: Any) -> None:
        """`run` without its conclusion about trained ranges, for many short stretches; a bare number is in ms."""
        began = time.perf_counter()
        if not (isinstance(end, float) and end < np.inf):
            end = float(number_in(end, "ms", "until"))
        if self.torn or self.loop.undo is not None or self.state.t != self.settled:  # after an exception
            self._settle()
        if not end >= self.state.t:
            raise InputError("until", f"{end:g} ms lies before the {self.t:g} ms that the run has reached; a run goes forward only")
        check_length(end - self.state.t, dt=self.control.dt)
        for s in self.trains:  # a late pulse may be too short for the digits of its time
            check_resolved(s, last_start(s, end))
        try:
            while self.state.t < end:
                self._stretch(min(end, self.t + STRETCH) if self.drive.sampled else end)
        except BaseException as error:
            if not self.torn:
                self._settle()
                self.watch.be_sure(self.state)
            if isinstance(error, NumbaError):  # what is run first is compiled then
                raise explained(error, dict.fromkeys(type(g.channel) for g in self.plan.gauges)) from error
            raise
        finally:
            self.seconds["steps"] += time.perf_counter() - began
        self.ranges.check(end)

    def _stretch(self, end: float) -> None:
        """Advance to `end`; stops on the way are hit exactly."""
        clock = self.drive.clock(self.state.t, end)
        for stop in (end,) if self.upcoming > end else chain(self.plan.stops.between(self.state.t, end), [end]):
            if stop <= self.state.t:
                continue
            if self.threads == 1:
                self.loop.advance(self.state, stop, clock)
            else:
                with running(self.threads):
                    self.loop.advance(self.state, stop, clock)
            self._settle()

    def _settle(self) -> None:
        """Bring all else to the time that the state has reached: influxes booked, every Set carried out, steps begun anew after a stop.

        After an exception, whenever it came, this makes the simulation whole again. Only where it came while amounts were changed in more
        than one place, for some microseconds, nobody can tell how far that got.

        Raises
        ------
        RunStopped
            In that case.
        """
        if self.torn:
            raise RunStopped(f"simulation: was interrupted in the middle of its books at t={self.t:.6g} ms (make a new one)")
        self.loop.recover(self.state)
        since, now = self.settled, self.state.t
        if now == since:
            return
        jumps = self.upcoming <= now and self.stepper.pacing.jumps
        if self.upcoming <= now:
            self.upcoming = self.plan.stops.next(now)
            if since >= 0.0:
                self.control.restart()
                self.loop.fixed.restart()
                self.watch.be_sure(self.state)
        injected, due, spikes = self.events.injected(since, now), self.events.due(since, now), list(self.events.arrived(since, now))
        if not injected and not due and not jumps and not spikes:
            self.settled = now
            return
        before = after = self.state
        if due or jumps or spikes:  # all that takes time is done on copies
            before, after = before.copy(), before.copy()
            for entries, added in spikes:
                after.y[entries] += added
            for name, species, entries, volume, level in due:
                injected.append((name, species, float((volume * (level - after.u[entries])).sum())))
                after.u[entries] = level
            if due or jumps:
                self.stepper.pacing.jump(before, after, Clock.at(voltage_at(self.model, now)), begin=since < 0.0)
        self.torn = True
        for name, species, amount in injected:
            self.ledger.inject(name, species, amount)
        self.state.u[:], self.state.y[:] = after.u, after.y
        self.state.behind *= not due  # networks have to look again
        self.settled = now
        self.torn = False
        for observer in self.loop.observers if due else ():
            observer.see(before, self.state)

    def out_of_range(self) -> dict[str, dict[str, dict[str, Any]]]:
        """What lay outside so far, by learned channel and input or output: see `ranges.Ranges.attribute`."""
        return self.ranges.attribute()
