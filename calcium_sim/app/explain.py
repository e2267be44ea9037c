"""What a model solves, in words: the balance of every field, what drives it, the phases of a step, and where the generated text stands.

All of it is read off the plan that runs, so that it cannot differ from what runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..mesh import OUTSIDE
from ..mesh.places import place_name
from ..model import Model
from ..model.electrics import Cable
from ..model.spikes import SpikeTimes
from ..model.stimuli import Set
from ..plan.lower import Field, Gauge, Plan
from ..plan.observe import flux_density
from ..plan.state import State
from ..plugin.ions import MOLAR
from ..schemes.base import Scheme
from ..schemes.choice import choose_stepper

PER_UM = "um^2/ms"


def explain_lines(model: Model) -> Iterator[str]:
    """What `calcium-sim explain` prints."""
    stepper = choose_stepper(model)
    plan, mesh = stepper.plan, model.mesh
    nodes = ", ".join(f"{n} in {r}" for r, n in zip(mesh.regions, np.diff(mesh.start).tolist(), strict=True))
    yield f"mesh       {mesh.nodes} nodes: {nodes}; membranes {', '.join(mesh.membranes) or 'none'}"
    yield ""
    yield "Each field changes by the sum of (in brackets: mean over its nodes at the start [uM/ms; mV/ms])"
    for f in plan.fields:
        yield ""
        yield f"d {_name(f)} / dt ="
        yield from (f"    {line}" for line in _balance(plan, f))
    yield ""
    yield from _carriers(plan)
    yield from _held(model)
    yield from _step(stepper)


def _name(f: Field) -> str:
    return f"{f.name}@{f.region}"


def _balance(plan: Plan, f: Field) -> Iterator[str]:
    """The terms of a field, one a line."""
    index = plan.index(f.name, f.region)
    if f.potential:
        yield f"+ axial current/C, C = {f.capacity.sum():.4g} pF in all"
    if f.diffusion > 0:
        yield f"+ div({f.diffusion:.4g} {PER_UM} grad {_name(f)})"
    state = State.start(plan)
    for g in plan.gauges:
        for target, count, ratio in g.spec.gains:
            if target == index:
                times = f"{abs(count):g} " if abs(count) != 1 else ""
                membrane, place = plan.ratios[ratio]
                share = f"A({membrane})/{'C' if f.potential else f'V({place})'}"
                term = f"{'+' if count > 0 else '-'} {times}{share} J[{_label(plan, g)}]"
                yield f"{term}  ({_mean(plan, f, g, state, count):+.3g})"
    for b in plan.bindings:
        if index in (b.free, b.ligand):
            free, ligand = plan.fields[b.free], plan.fields[b.ligand]
            on, off, total = plan.parameters[b.param : b.param + 3]
            yield f"- {on:.4g} {_name(ligand)} {_name(free)} + {off:.4g} ({total:.4g} - {_name(free)})  binding [/uM/ms, /ms, uM]"
    for d in plan.decays:
        if d.field == index:
            rate, rest = plan.parameters[d.param : d.param + 2]
            yield f"- {rate:.4g} ({_name(f)} - {rest:.4g})  decay [/ms, uM]"
    for s in plan.sources:
        if s.field == index:
            through = f" through {s.through}" if s.through is not None else ""
            what = f"current of {s.amount:g} pA" if f.potential else f"influx{through}"
            if s.table is not None:
                yield f"+ current of a table of {len(s.table)} points, up to {s.table.largest():g} pA, into {len(s.index)} nodes"
                continue
            yield f"+ {what} into {len(s.index)} nodes, {_when(plan.model.stimuli[s.number])}"
    for h in plan.holders if f.potential else ():
        yield f"+ {h.conductance:g} nS (table of {len(h.protocol)} potentials - v) at position {h.position}"
    for k, text in _sets(plan.model):
        if k == (f.name, f.region):
            yield text


def _when(s: Any) -> str:
    pulses = "" if s.period is None else f", every {s.period:g} ms" + (f", {s.count} times" if s.count else "")
    return f"from {s.start:g} ms for {s.duration:g} ms{pulses}"


def _sets(model: Model) -> Iterator[tuple[tuple[str, str], str]]:
    """Values that are set, by field."""
    for s in model.stimuli:
        if isinstance(s, Set):
            level = f"{float(s.value):g} uM" if isinstance(s.value, int | float) else "values that differ from place to place"
            yield (s.species, s.region), f"is set to {level} at {s.time:g} ms" + ("" if s.at is None else f", at {place_name(s.at)}")


def _read(plan: Plan, g: Gauge) -> Iterator[str]:
    """What a channel reads, by the names of this model."""
    for text, port in zip(g.channel.reads.values(), g.spec.ports, strict=True):
        if port.kind == "field":
            yield _name(plan.fields[port.index])
        elif port.kind == "value":
            yield f"{text} = {plan.parameters[port.index]:g}"
        else:
            yield text


def _label(plan: Plan, g: Gauge) -> str:
    """The name of a flux: with its membrane where there are several of the channel."""
    return g.label if sum(other.label == g.label for other in plan.gauges) == 1 else f"{g.label} on {g.membrane}"


def _mean(plan: Plan, f: Field, g: Gauge, state: State, count: float) -> float:
    """What a channel brings to a field at rest, over all of its nodes [uM/ms]."""
    return count * float((flux_density(plan, g, state) * g.area).sum() / f.capacity.sum())


def _carriers(plan: Plan) -> Iterator[str]:
    """What each flux J depends on."""
    if plan.gauges:
        yield "Fluxes J [uM um/ms, or as they say] through membranes, positive from the first side to the second"
    for s in plan.model.stimuli:
        if isinstance(s, SpikeTimes):
            count = "1 spike reaches" if len(s.times) == 1 else f"{len(s.times)} spikes reach"
            yield f"    {count} {s.channel}" + ("" if s.at is None else f", at {place_name(s.at)}")
    width = max((len(_label(plan, g)) for g in plan.gauges), default=0)
    for g in plan.gauges:
        reads = ", ".join(dict.fromkeys(_read(plan, g))) or "nothing"
        states = f"; states {', '.join(g.channel.states)}" if g.channel.states else ""
        label, unit = _label(plan, g), "" if g.channel.flux_unit == MOLAR else f" [{g.channel.flux_unit}]"
        yield f"    J[{label}]{' ' * (width - len(label))}  {g.way[0]} -> {g.way[1]}{unit}, reads {reads}{states}"
    if plan.gauges:
        yield ""


def _held(model: Model) -> Iterator[str]:
    """What does not change, or changes as it is told."""
    for s in model.species:
        for region, level in s.initial.items():
            if region == OUTSIDE or region not in model.mesh.regions:
                told = f": {float(level):g} uM" if isinstance(level, int | float) else ""
                yield f"held       {s.name}@{region}{told}"
    volts = model.voltage
    if isinstance(volts, Cable):
        yield f"potential  v: solved for, from {volts.initial:g} mV on"
    elif volts is not None:
        if isinstance(volts, int | float):
            told = f"{float(volts):g} mV"
        else:
            told = "a function of time" if callable(volts) else f"a table of {len(volts)} times, straight lines between them"
        yield f"potential  v: {told}"


def _step(stepper: Scheme) -> Iterator[str]:
    """The phases of a step and the generated files."""
    yield f"scheme     {stepper.name}: {stepper.scheme}"
    for k, (what, where) in enumerate(stepper.phases, 1):
        yield f"  {k}. {what}  [{where}]"
    if stepper.pacing.groups:
        why = "channels that read a rate of change, or return a value at once, have to know what a step makes of it"
        yield f"  Every step is taken twice: {why}  [schemes/pacing.py]"
    yield "accepted   where two steps agree with one of twice their length, as looked at now and then  [run/loop.py]"
    for path in stepper.generated:
        yield f"generated  {path}"
