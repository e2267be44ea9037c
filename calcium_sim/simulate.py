"""Run a model: `simulate` returns a Dataset, `Simulation` can be stepped, observed and continued."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import check_model, check_progress, checked_record, checked_times, levels
from .compilable import NumbaError, explained
from .described import sources
from .diagnostics import THRESHOLD, coarse_front
from .drive import STRETCH, Drive
from .errors import InputError, ModelWarning, RunStopped, nearest, warn
from .events import Events
from .ledger import Ledger
from .limits import check_length, check_run
from .model import Model
from .probes import Recorded
from .recording import EVERYTHING, follow, frames_of, schedule, taken
from .rest import voltage_at
from .results import assemble, release
from .schemes import choose_stepper
from .snapshot import check_same, kept, put_back, read, reading, write
from .state import Clock, State
from .stepping import Control, Loop, check_step
from .stimuli import Influx, check_resolved
from .threads import chosen, running
from .units import Canonical, number_in, value
from .validity import held, late, released, remarks, volts
from .watch import Watcher

if TYPE_CHECKING:
    import xarray as xr


class Simulation:
    """A model in time: run on, observe, continue.

    Parameters
    ----------
    model : Model.
    tolerance : relative error of a wave's speed that steps are chosen for (0.002 by default).
    dt : fixed step instead. Observations and stimulus edges are hit exactly, so the stretch to the next of them is divided into equal
        steps of at most `dt`: one above the interval of the observations is as long as that, and `simulate` says so.
    threads : number of threads for large meshes, one by default (or CALCIUM_SIM_THREADS); results are the same bits for any number.
    active : on cables, trees and points: a network of opening and closing rates runs only in groups of 64 positions in which one of its
        inputs has moved by this fraction (try 0.05) since it ran last. Off by default: the result then depends on it a little.
    threshold : concentration whose first crossing is noted at every node (``ca_arrival``), for all species or {species: threshold}.

    Raises
    ------
    InputError
        If the model cannot be lowered, or a step or tolerance is no positive number.
    """

    def __init__(
        self,
        model: Model,
        *,
        tolerance: float | None = None,
        dt: Any = None,
        threads: int | None = None,
        active: float | None = None,
        threshold: Any = THRESHOLD,
    ) -> None:
        self._begin(model, tolerance, dt, threads, active, threshold)
        for line in self.told:
            warn(line, ModelWarning)

    def _begin(self, model: Model, tolerance: float | None, dt: Any, threads: int | None, active: float | None, threshold: Any) -> None:
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
        self.stepper = choose_stepper(model, 0.0 if active is None else check_step(active, "active"), count)
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
        self.options = {"tolerance": tolerance, "dt": step, "threads": threads, "active": active, "threshold": noticed}
        self.ledger = Ledger(self.plan)
        self.ledger.open(self.state)
        self.observed = 0.0
        self.events = Events(self.plan)
        self.drive = Drive(self.plan)
        self.trains = [s for s in model.stimuli if isinstance(s, Influx) and s.period is not None]
        self.seconds = {"setup": time.perf_counter() - began, "steps": 0.0, "observe": 0.0}
        self.settled, self.torn, self.remarked = -1.0, False, list[str]()
        self.upcoming = -1.0
        self._settle()
        self.watch = Watcher(self.plan, self.state, noticed)
        self.loop.observers.append(self.watch)

    def __getstate__(self) -> dict[str, Any]:
        self._settle()
        return {"model": self.model, "options": self.options, "memory": kept(self)}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self._begin(kept["model"], **kept["options"])
        put_back(self, kept["memory"])

    def save(self, path: str | Path) -> Path:
        """Write the simulation as it stands to a file, whole or not at all: model, options, all that the next step depends on.

        A model with functions (lambdas) or channels of a file is needed again: ``load(path, model=...)``; a warning says so.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        self._settle()
        return write(self, path)

    @classmethod
    def load(cls, path: str | Path, model: Model | None = None) -> Simulation:
        """Read a simulation that was saved, to go on as if nothing had been: the same bits, in the same version of this package.

        Nothing in the file is run: it holds numbers and parts of descriptions, which are checked. Channels of your own are found in modules
        that are imported already.

        Parameters
        ----------
        path : the file.
        model : the model that was saved, where it holds functions of your own (a potential, a place), which no file can hold.

        Raises
        ------
        InputError, StorageError
            If it is no such file, of another model, damaged, or if the code of a channel has changed.
        """
        found, content = read(path, model)
        simulation = cls.__new__(cls)
        with reading(path):
            simulation._begin(found, **content["options"])
            check_same(content, simulation)
            put_back(simulation, content["memory"])
        if content["version"] != release():
            warn(f"{path}: was saved by version {content['version']}; the next steps may differ in the last digits")
        return simulation

    def __repr__(self) -> str:
        steps = f"{self.control.steps} steps" + ("" if self.control.dt is None else f" of {self.control.dt:g} ms")
        return f"Simulation at t = {self.t:.6g} ms after {steps}\n  {self.stepper.scheme}\n{self.model!r}"

    @property
    def model(self) -> Model:
        """What runs; another model needs another simulation."""
        return self._model

    @property
    def t(self) -> float:
        """Time reached [ms]."""
        return self.state.t

    def run(self, until: Any) -> None:
        """Advance to a time (a quantity); stimulus edges on the way are hit exactly.

        Raises
        ------
        RunStopped
            If a value stops being finite.
        """
        end = float(value(until, "ms", "until"))
        self._remark(end)
        self.advance(end)
        self._conclude()

    def _remark(self, end: float) -> None:
        """Say once what shows in the description when the end of the run [ms] is known."""
        for find in (volts, held):
            lines = [] if find.__name__ in self.remarked else find(self.model, end)
            if lines or find is volts:
                self.remarked.append(find.__name__)
            for line in lines:
                warn(line, ModelWarning)

    def _conclude(self) -> None:
        """Say what shows only when a run is over."""
        self.ranges.conclude()
        self.loop.conclude()

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
            check_resolved(s, s.last_start(end))
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
        if self.upcoming <= now:
            self.upcoming = self.plan.stops.next(now)
            if since >= 0.0:
                self.control.restart()
                self.loop.fixed.restart()
                self.watch.be_sure(self.state)
        injected, due = self.events.injected(since, now), self.events.due(since, now)
        if not injected and not due:
            self.settled = now
            return
        before = after = self.state
        if due:  # all that takes time is done on copies
            before, after = before.copy(), before.copy()
            for name, species, entries, volume, level in due:
                injected.append((name, species, float((volume * (level - after.u[entries])).sum())))
                after.u[entries] = level
            self.stepper.pacing.jump(before, after, Clock.at(voltage_at(self.model, now)))
        self.torn = True
        for name, species, amount in injected:
            self.ledger.inject(name, species, amount)
        self.state.u[:], self.state.y[:] = after.u, after.y
        self.settled = now
        self.torn = False
        for observer in self.loop.observers if due else ():
            observer.see(before, self.state)

    def out_of_range(self) -> dict[str, dict[str, dict[str, Any]]]:
        """What lay outside so far, by learned channel and input or output: see `ranges.Ranges.attribute`."""
        return self.ranges.attribute()

    def step(self, duration: Any) -> None:
        """Advance by a duration (a quantity)."""
        length = value(duration, "ms", "duration")
        if length < 0:
            raise InputError("duration", f"{length:g} ms must be >= 0; a run goes forward only")
        self.advance(self.t + length)

    def concentration(self, name: str, region: str = "cytosol") -> np.ndarray:
        """Current concentration [uM] of a species or free buffer at the nodes of a region (a copy)."""
        known = [f"{f.name}@{f.region}" for f in self.plan.fields]
        if f"{name}@{region}" not in known:
            raise InputError(
                "concentration", f"unknown '{name}@{region}'{nearest(f'{name}@{region}', known)}; there are {', '.join(known)}"
            )
        self._settle()
        return self.state.u[self.plan.fields[self.plan.index(name, region)].span].copy()

    def observe(self) -> xr.Dataset:
        """The current state as a Dataset with one time; fluxes are means since the last observation."""
        frame = self.frame()
        return assemble(self.model, frames_of(self, [frame], EVERYTHING))

    def frame(self, record: Recorded = EVERYTHING) -> dict[str, Any]:
        """Record the current state, or what is asked for of it, as plain arrays and close the ledger's books."""
        began = time.perf_counter()
        self._settle()
        state = self.state
        self.watch.be_sure(state)
        out = taken(self, record)
        amounts = self.ledger.amounts(state)
        self.torn = True
        self.ledger.close(amounts, state)
        self.observed = state.t
        self.torn = False
        self.ledger.drift(state)
        out["ledger"] = {s: dict(rows) for s, rows in self.ledger.accounts(state).items()}
        self.seconds["observe"] += time.perf_counter() - began
        return out


def simulate(
    model: Model,
    until: Any,
    every: Any = None,
    *,
    tolerance: float | None = None,
    dt: Any = None,
    record: Any = None,
    threads: int | None = None,
    active: float | None = None,
    threshold: Any = THRESHOLD,
    progress: Callable[[float, float], None] | None = None,
) -> xr.Dataset:
    """Run a model from rest and return what happened.

    Parameters
    ----------
    model : Model.
    until, every : end of the run and interval between observations (quantities; 200 observations by default).
    tolerance, dt, threads, active, threshold : see `Simulation`.
    record : what to keep besides the ledger, arrivals and peaks: names of species and buffers (or one), ``"flux"``, ``"po"``; everything
        by default. A table keeps single places instead, each at its own rate, and no whole fields: ``{"soma": ("ca@cytosol", "soma"),
        "tip": cs.Probe("ca@cytosol", at=mesh.nearest(10, 20, 0), every="0.1 ms")}``; a list may hold names and such tables. See `Probe`.
    progress : called with (time reached, end) [ms] at every observation.

    Returns
    -------
    xarray.Dataset
        Concentrations [uM] over (time, node), fluxes and open probabilities over (time, pair), the ledger, and what was noted every few
        steps: first crossings of `threshold`, peaks and their times over (node,); of a probe ``probe_<name>`` over ``time_<name>``, with
        ``_arrival``, ``_peak`` and ``_peak_time``; see `results.assemble`.

    Raises
    ------
    InputError, RunStopped
    """
    end, interval = checked_times(model, until, every, dt if tolerance is None else None)
    asked = checked_record(model, record)
    if progress is not None:
        check_progress(progress)
    check_run(model, end, interval, asked)
    for p in asked.probes:
        check_length(end, every=p.every, where=f"record.{p.name}.every")
    simulation = Simulation(model, tolerance=tolerance, dt=dt, threads=threads, active=active, threshold=threshold)
    simulation._remark(end)
    for line in late(model, end):
        warn(line, ModelWarning)
    probes = follow(simulation, asked.probes, threshold)
    frames = [simulation.frame(asked)]
    for stop, track in schedule(probes, end, interval):
        simulation.advance(max(stop, simulation.t))
        if track is not None and probes is not None:
            simulation.watch.be_sure(simulation.state)
            probes.sample(track, simulation.state)
            continue
        if probes is not None:
            probes.closing(simulation.state)
        frames.append(simulation.frame(asked))
        if progress is not None:
            progress(stop, end)
    simulation._conclude()
    ds = assemble(model, frames_of(simulation, frames, asked, probes))
    fronts = released(simulation.plan) if "cytosol" in model.mesh.regions and model.mesh.nodes > len(model.mesh.regions) else []
    for line in (line for species in fronts for line in coarse_front(ds, species)):
        warn(line, ModelWarning)
        ds.attrs["notes"] = "\n".join(filter(None, [ds.attrs["notes"], line]))
    return ds
