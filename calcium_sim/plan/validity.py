"""Where a description leaves the range in which its geometry is known to hold."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..mesh import OUTSIDE, Columns, Floats, Mesh
from ..model import Model, resolve_side
from ..model.electrics import Cable
from ..model.placed import VoltageMap
from ..model.spikes import SpikeTimes
from ..model.stimuli import Pulsed, Set
from ..plugin import parse_port
from .lower import Gauge, Plan
from .rest import resting_ports, voltage_at

THICKEST = 0.2
"""Radius [um] up to which a cross-section may be averaged where calcium releases calcium: a wave is then 3 to 19 % too slow
(`benchmarks/one_dimension.py`); at 0.4 um it is 25 to 62 % too slow."""


BEYOND = 1000.0
"""Potential [mV] that no membrane bears."""

LOOKS = 201
"""Times at which a potential given as a function is looked at before a run."""


def remarks(plan: Plan) -> tuple[str, ...]:
    """What to say about a model before it runs, one line each."""
    line = _thick_release(plan)
    return (line,) if line else ()


def late(model: Model, end: float) -> list[str]:
    """A line per stimulus that a run up to `end` [ms] never sees."""
    timed = [s for s in model.stimuli if isinstance(s, Set | Pulsed)]
    begin: list[tuple[Any, float, bool]]
    begin = [(s, s.time, s.time > end) if isinstance(s, Set) else (s, s.start, s.start >= end) for s in timed]
    begin += [(s, min(s.times), min(s.times) > end) for s in model.stimuli if isinstance(s, SpikeTimes) and s.times]
    return [
        f"{s.where}: begins at {t:g} ms, but the run ends at {end:g} ms: nothing happens (run longer, or begin earlier)"
        for s, t, unseen in begin
        if unseen
    ]


def volts(model: Model, end: float) -> list[str]:
    """A line if a potential looks like volts or uV: it is not 0 and stays within 1 mV up to `end` [ms], or goes beyond 1 V."""
    given = model.voltage
    if isinstance(given, Cable):
        return []
    if isinstance(given, VoltageMap):
        values = [float(np.abs(given.potentials).max())]
    elif callable(given):
        values = [abs(voltage_at(model, t)) for t in np.linspace(0.0, end, LOOKS).tolist()]
    else:
        values = [abs(v) for _, v in given] if isinstance(given, tuple) else [abs(given or 0.0)]
    largest = max(values)
    if largest > BEYOND:
        return [f"voltage: goes to {largest:.4g} mV, no membrane bears more than 1 V (is the unit right?)"]
    if not 0.0 < largest < 1.0:
        return []
    kind = "the function must return" if callable(given) else "they are"
    return [f"voltage: stays within {largest:.3g} mV of 0 all the time, as if it were in volts: {kind} mV (take a thousand times as much)"]


def held(model: Model, end: float) -> list[str]:
    """A line if a table of the potential begins after 0 or ends before `end` [ms]."""
    given = model.voltage
    if isinstance(given, VoltageMap):
        kind, first, last, start, stop = "map", given.times[0], given.times[-1], "", ""
    elif isinstance(given, tuple):
        kind, first, last, start, stop = "table", given[0][0], given[-1][0], f" at {given[0][1]:g} mV", f" at {given[-1][1]:g} mV"
    else:
        return []
    said = [f"begins at {first:g} ms, before that it is held{start}"] if first > 0 else []
    said += [f"ends at {last:g} ms, from there to {end:g} ms it is held{stop}"] if last < end * (1 - 1e-9) else []
    return [f"voltage: the {kind} {' and '.join(said)} (give it for the whole run)"] if said else []


def released(plan: Plan) -> list[str]:
    """Species that make waves: what a channel brings from one region into another can open it further."""
    return list(dict.fromkeys(name for g in plan.gauges for name in g.channel.moves if _regenerative(plan.model, g)))


def cell_radius(mesh: Mesh) -> Floats | None:
    """Radius of the cell [um] at each position of a cable or tree: 2 volume/area of a cylinder; None for other meshes and for points."""
    outer = [m.area for m in mesh.membranes.values() if m.sides[1] == OUTSIDE]
    if not isinstance(mesh.structure, Columns) or len(mesh.structure.parent) < 2 or not outer:
        return None
    radius: Floats = 2 * mesh.volume.reshape(len(mesh.regions), -1).sum(axis=0) / np.sum(outer, axis=0)
    return radius


def thick(radius: Floats) -> NDArray[np.bool_]:
    """Where a cross-section is too wide to be averaged."""
    wide: NDArray[np.bool_] = radius > THICKEST * (1 + 1e-6)
    return wide


def _branches(mesh: Mesh) -> bool:
    """Whether a position of a tree has several children."""
    children = mesh.structure.parent[1:] if isinstance(mesh.structure, Columns) else np.zeros(0, int)
    return len(np.unique(children)) < len(children)


def _thick_release(plan: Plan) -> str | None:
    """Say which part of a membrane releases calcium into cross-sections that are too wide."""
    radius = cell_radius(plan.model.mesh)
    if radius is None or not thick(radius).any():
        return None
    for name, membrane in plan.model.mesh.membranes.items():
        there, labels = np.zeros(len(radius), bool), []
        for g in plan.gauges:
            if g.membrane == name and _regenerative(plan.model, g):
                there |= thick(radius) & (g.weight > 0 if g.weight is not None else True)
                labels.append(g.label)
        if there.any():
            share = 100 * membrane.area[there].sum() / membrane.area.sum()
            fix = "restrict them to thin parts with at=, as the demo does"
            fix = fix if _branches(plan.model.mesh) else f"for a neurite take dims=2, else {fix}"
            return (
                f"membranes.{name}: {share:.3g} % of its area has {' and '.join(labels)} where the cell's radius is above {THICKEST:g} um "
                f"(up to {radius[there].max():.3g} um); one dimension averages over the cross-section, and waves there come out too slow "
                f"or fail ({fix})"
            )
    return None


def _regenerative(model: Model, g: Gauge) -> bool:
    """Whether what a channel brings from one region into another can open it further: no leak, no pump, no exchanger.

    Which of the two regions it feeds is told by the sign of its flux, whichever way round it was written.
    """
    if OUTSIDE in g.way or any(g.channel.values.get(name) == 0.0 for name in ("density", "permeability")):
        return False
    ports = {name: parse_port(text) for name, text in g.channel.reads.items()}
    gated = bool(g.channel.states) or g.channel.open_probability is not None
    for species, count in g.channel.moves.items():
        for region, into in ((g.way[1], count), (g.way[0], -count)):
            own = [n for n, p in ports.items() if p.species == species and resolve_side(p.side, g.way) == region]
            if not own or not into:
                continue
            inflow = into * _fluxes(model, g, [n for n in own if ports[n].kind == "concentration"])
            largest = inflow[np.argmax(np.abs(inflow))] or into  # of gates that nothing opens here: as it was written
            rises = inflow.max() > inflow[0] + 1e-9 * abs(inflow[0])
            if largest > 0 if gated else rises:
                return True
    return False


def _fluxes(model: Model, g: Gauge, own: list[str]) -> Floats:
    """Fluxes of a channel with half open gates at rest, and with the concentrations of some ports doubled again and again."""
    x = resting_ports(model, g.membrane, g.channel)
    bounds = g.channel.state_table().items()
    y = SimpleNamespace(**{n: 0.5 * (s.low + s.high) if math.isfinite(s.high - s.low) else s.start for n, s in bounds})
    p, flux = SimpleNamespace(**g.channel.values), []
    for factor in 2.0 ** np.arange(8):
        raised = SimpleNamespace(**{n: v * factor if n in own else v for n, v in vars(x).items()})
        try:
            flux.append(float(g.channel.flux(y, raised, p)))
        except (ArithmeticError, ValueError, TypeError):  # beyond what the formula bears; compiled, it gives no number there
            flux.append(0.0)
    return np.nan_to_num(np.array(flux), nan=0.0)
