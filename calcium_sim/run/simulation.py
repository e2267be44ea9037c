"""Run a model: `simulate` returns a Dataset, `Simulation` can be stepped, observed and continued."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, ModelWarning, nearest, warn
from ..model import Model
from ..model.probes import Recorded
from ..plan.validity import held, late, released, volts
from ..results.dataset import assemble, release
from ..results.diagnostics import THRESHOLD, coarse_front
from ..units import value
from .arguments import check_progress, checked_record, checked_times
from .integration import Integration
from .limits import check_length, check_run
from .recording import EVERYTHING, follow, frames_of, schedule, taken
from .snapshot import check_same, kept, put_back, read, reading, write

if TYPE_CHECKING:
    import xarray as xr


class Simulation(Integration):
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
    scheme : how the model is advanced: "columns", "grid" or "graph" where it fits the mesh, the fastest that does by default; or a class of
        your own (docs/schemes.md).
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
        scheme: Any = None,
    ) -> None:
        self.begin(model, tolerance, dt, threads, active, threshold, scheme)
        for line in self.told:
            warn(line, ModelWarning)

    def __getstate__(self) -> dict[str, Any]:
        self._settle()
        return {"model": self.model, "options": self.options, "memory": kept(self)}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.begin(kept["model"], **kept["options"])
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
            simulation.begin(found, **content["options"])
            check_same(content, simulation)
            put_back(simulation, content["memory"])
        if content["version"] != release():
            warn(f"{path}: was saved by version {content['version']}; the next steps may differ in the last digits")
        return simulation

    def __repr__(self) -> str:
        steps = f"{self.control.steps} steps" + ("" if self.control.dt is None else f" of {self.control.dt:g} ms")
        return f"Simulation at t = {self.t:.6g} ms after {steps}\n  {self.stepper.scheme}\n{self.model!r}"

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
    scheme: Any = None,
    progress: Callable[[float, float], None] | None = None,
) -> xr.Dataset:
    """Run a model from rest and return what happened.

    Parameters
    ----------
    model : Model.
    until, every : end of the run and interval between observations (quantities; 200 observations by default).
    tolerance, dt, threads, active, threshold, scheme : see `Simulation`.
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
    simulation = Simulation(model, tolerance=tolerance, dt=dt, threads=threads, active=active, threshold=threshold, scheme=scheme)
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
