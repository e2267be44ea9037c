"""A neuron with space as one compartment: its soma with its channels, and a network with latent states for what the dendrites draw.

The target is the potential at the soma of the whole neuron, simulated here; the fit is that of `fit_trace`: sensitivities, and the target
holds the compartment at first and is then withdrawn.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import replace as with_fields
from typing import Any

import numpy as np

from ... import units as u
from ...errors import InputError, shown
from ...mesh import Columns, Floats
from ...meshes.wellmixed import well_mixed
from ...model import Model
from ...model.electrics import Cable, Charged, CurrentClamp, charged, electrode
from ...model.strength import strength
from ...model.tables import Table
from ...plugin import Channel
from ...run.simulation import simulate
from ...units import value
from .axial import Axial
from .cell import PointCell, point_cell, step_times
from .equations import SCRATCH, constants, equations
from .nudging import Shooting, Stage, held_course, withdraw
from .recording import Recording
from .reduction import Reduction

SAMPLE, LONGEST = 0.1, 0.025
"""Interval of the target, longest step of the compartment [ms]."""
TOLERANCE = 1e-5
"""Of the simulation of the whole neuron."""
AFTER = 20.0
"""ms after the end of the last stimulus that are simulated by default."""
FLOOR, GOOD = 0.2, 1.0
"""Smallest unit of residuals, and the error below which no other start is tried [mV]."""
STAGES = (*(Stage(k, 20) for k in (30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03)), Stage(0.0, 60), Stage(0.0, 60, 0.0))

Progress = Callable[[int, int, float], None]


def reduce(
    model: Model,
    at: Any = "soma",
    *,
    until: Any = None,
    latents: int = 2,
    hidden: int = 8,
    rng: int | np.random.Generator = 0,
    restarts: int = 2,
    progress: Progress | None = None,
) -> Reduction:
    """Reduce a neuron to one compartment with a learned axial current.

    Parameters
    ----------
    model : a purely electrical neuron on a cable or tree with a `Cable` as its voltage, whose electrodes inject currents at `at`.
    at : where the compartment is: a place, as of an electrode.
    until : end of the simulation that is learned from; 20 ms after the last stimulus by default.
    latents : states of the axial current (1 to 4).
    hidden : width of the two layers of its network.
    rng : seed of the first weights, or a generator.
    restarts : how often a fit with an error above 1 mV begins anew.
    progress : called with the stage, the number of stages and the error [mV].

    Returns
    -------
    Reduction
        Its `model()` is a model like any other; it draws and writes a channel file.

    Raises
    ------
    InputError
        If the model is no neuron with space and a potential, has species, or a stimulus elsewhere.
    """
    begun = clock.process_time()
    there, where = _checked(model, at)
    for name, given, low, high in (("latents", latents, 1, 4), ("hidden", hidden, 1, 64), ("restarts", restarts, 0, 1000)):
        if not isinstance(given, int) or isinstance(given, bool) or not low <= given <= high:
            raise InputError(name, f"{shown(given)}, expected a whole number from {low} to {high}")
    end = _end(model) if until is None else value(until, "ms", "until")
    target = _simulated(model, there, where, end)
    point = _point(model, there, where)
    form, cell = Axial(latents, hidden), point_cell(point, (), None)
    shooting = _shooting(form, cell, target)
    random, tries = np.random.default_rng(rng), []
    for _ in range(1 + restarts):
        found = withdraw(shooting, form.start(random), floor=FLOOR, stages=STAGES, told=progress)
        if found is not None:
            tries.append(found)
            if found.errors[-1] < GOOD:
                break
    if not tries:
        raise InputError("model", "the compartment leaves all bounds with every start (check conductances, capacitance and current)")
    best = min(tries, key=lambda t: t.errors[-1])
    weights = best.descent.weights
    voltage = shooting.voltage(weights)
    assert voltage is not None
    error = float(np.sqrt(np.mean((voltage - target.voltage) ** 2)))
    seconds = clock.process_time() - begun
    return Reduction(form, weights, point, cell.start, target, voltage, error, best.errors, len(tries), seconds, len(there.area))


def _checked(model: Model, at: Any) -> tuple[Charged, Floats]:
    """The charged membrane, and the share of the place among its positions."""
    if not isinstance(model, Model):
        raise InputError("model", f"{shown(model)} is no model (cs.Model)")
    if not isinstance(model.voltage, Cable):
        raise InputError("model.voltage", "is not solved for, expected a Cable (voltage=cs.Cable(initial='-70 mV'))")
    if model.species:
        raise InputError("model.species", f"has {', '.join(s.name for s in model.species)}, expected an electrical neuron (species=[])")
    there = charged(model.mesh, model.voltage)
    if not isinstance(model.mesh.structure, Columns) or len(there.area) < 2:
        raise InputError("model.mesh", "has one position, expected a cable or tree (neurite, from_swc)")
    probe = CurrentClamp(at, "1 pA", "1 ms")
    chosen, share = electrode(model.mesh, there, probe)
    where = np.zeros(len(there.area))
    where[chosen] = share
    for k, s in enumerate(model.stimuli):
        if not isinstance(s, CurrentClamp):
            raise InputError(f"stimuli[{k}]", "is no CurrentClamp, and nothing else can be reduced")
        sits, _ = electrode(model.mesh, there, s)
        if set(sits.tolist()) != set(chosen.tolist()):
            raise InputError(f"stimuli[{k}].at", "is not where the compartment is (at=), and nowhere else is there one")
    if not model.stimuli:
        raise InputError("stimuli", "there are none, expected a CurrentClamp that the neuron answers to")
    return there, where


def _end(model: Model) -> float:
    """Some time after the last current."""
    return max(_ended(s) for s in model.stimuli if isinstance(s, CurrentClamp)) + AFTER


def _ended(s: CurrentClamp) -> float:
    """When an electrode injects nothing any more [ms]."""
    if isinstance(s.current, Table):
        return s.current[-1][0]
    return float(s.start + (s.count - 1) * (s.period or 0.0) + s.duration)


def _simulated(model: Model, there: Charged, where: Floats, end: float) -> Recording:
    """The potential at the place in the whole neuron."""
    ds = simulate(model, end * u.ms, SAMPLE * u.ms, tolerance=TOLERANCE, record=[])
    here = np.flatnonzero(ds.region.values == there.region)
    return Recording(ds.time.values, ds.v.values[:, here] @ where)


def _point(model: Model, there: Charged, where: Floats) -> Model:
    """The place alone: its area, volume and channels as they are there."""
    area = float(there.area[where > 0].sum())
    volume = float(model.mesh.volume[there.nodes][where > 0].sum())
    mesh = well_mixed({there.region: f"{volume!r} um^3"}, {there.membrane: ((there.region, "outside"), f"{area!r} um^2")})
    channels = [c for given in model.membranes.get(there.membrane, ()) if (c := _here(model, there, where, given)) is not None]
    stimuli = [with_fields(s, at=0) for s in model.stimuli if isinstance(s, CurrentClamp)]
    return Model(mesh, (), {there.membrane: channels}, stimuli=stimuli, voltage=model.voltage)


def _here(model: Model, there: Charged, where: Floats, given: Channel) -> Channel | None:
    """A channel as it is at the place; None where it is not."""
    numbers, weight = strength(model.mesh, there.membrane, given)
    factor = 1.0 if weight is None else float(weight @ where)
    if factor == 0.0:
        return None
    table = given.parameter_table()
    changed = {n: f"{v!r} {table[n].unit}" for n, v in numbers.items() if v is not given.values[n] and v != given.values[n]}
    return given.replace(at=None, scale=None if factor == 1.0 else factor, **changed)


def _shooting(form: Axial, cell: PointCell, target: Recording) -> Shooting:
    every, times = step_times(target, LONGEST)
    numbers = np.append(constants(cell.parts, (-1.0, 1.0)), cell.start)
    known = np.array([cell.start, *(x for part in cell.parts for x in part.start)])
    written = equations(cell.parts, form.added(len(known), len(numbers) - 1, SCRATCH))
    base, nothing = np.append(known, np.zeros(form.latents)), np.zeros((len(known) + form.latents, form.size))
    return Shooting(
        written.march,
        written.shoot,
        numbers,
        SCRATCH + form.scratch,
        lambda weights: (base, nothing),
        cell.drive(times, None),
        held_course(target, 0.0, np.linspace(times[0], times[-1], 2 * len(times) - 1)),
        float(times[-1] - times[0]) / (len(times) - 1),
        every,
        target.voltage,
        form.share,
    )
