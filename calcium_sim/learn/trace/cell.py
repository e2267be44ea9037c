"""A cell without space as its equation of the potential: channels as they run, their constants, and what is injected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InputError, nearest, shown
from ...mesh import Floats
from ...model import Model
from ...model.electrics import Cable, VoltageClamp
from ...networks.prepared import gate_of
from ...plan.lower import Gauge, Plan, lower
from ...plugin.contract import parse_port
from .recording import Recording


@dataclass(frozen=True)
class Part:
    """One channel of a cell without space.

    Attributes
    ----------
    gauge : as it runs.
    gain : what a unit of its flux brings [mV/ms].
    outward : current density [pA/um^2] out of the cell of a unit of its flux, its `scale` left out.
    ports : which of the constants each of its ports is; None of the potential.
    constants : of the plan.
    states, start : names, and values at the start.
    unknown : those of the states whose kinetics are looked for.
    """

    gauge: Gauge
    gain: float
    outward: float
    ports: tuple[int | None, ...]
    constants: Floats
    states: tuple[str, ...]
    start: tuple[float, ...]
    unknown: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the channel."""
        return self.gauge.channel.called()


@dataclass(frozen=True)
class PointCell:
    """A cell whose potential is the same everywhere.

    Attributes
    ----------
    plan : of the model.
    parts : channels that carry charge.
    capacity : pF.
    start : potential at the start [mV].
    """

    plan: Plan
    parts: tuple[Part, ...]
    capacity: float
    start: float

    def drive(self, time: Floats, current: tuple[Floats, Floats] | None) -> Floats:
        """What is injected [mV/ms], the mean of each step between these times: of (times, currents [pA]), or by the model's electrodes."""
        if current is not None:
            fine = np.union1d(time, current[0][(current[0] > time[0]) & (current[0] < time[-1])])
            values = np.interp(fine, *current)
            brought = np.concatenate([[0.0], np.cumsum(np.diff(fine) * 0.5 * (values[1:] + values[:-1]))])
            return np.diff(np.interp(time, fine, brought)) / np.diff(time) / self.capacity
        out = np.zeros(len(time) - 1)
        for source in self.plan.sources:
            if source.field == len(self.plan.fields) - 1:
                steps = zip(time[:-1], np.diff(time), strict=True)
                out += source.rate.sum() * np.array([source.between(t, t + h) / h for t, h in steps])
        return out


def point_cell(model: Model, unknown: Sequence[str], gates: Sequence[str] | None) -> PointCell:
    """Read a model as one equation of the potential.

    Parameters
    ----------
    model : with a `Cable` as its voltage and one node.
    unknown : names or kinds of channels whose gates are looked for.
    gates : which of their states; all by default.

    Raises
    ------
    InputError
        If the model has space, no potential, or a channel that reads more than the potential; or lacks what is unknown.
    """
    if not isinstance(model, Model):
        raise InputError("model", f"{shown(model)} is no model (cs.Model)")
    if not isinstance(model.voltage, Cable):
        raise InputError("model.voltage", "is not solved for, expected a Cable (voltage=cs.Cable(initial='-70 mV'))")
    if model.mesh.nodes != len(model.mesh.regions):
        told = f"{model.mesh.nodes} positions, expected a cell without space (cs.meshes.well_mixed)"
        raise InputError("model.mesh", f"{told}; a cell with space is reduced first (cs.learn.reduce)")
    for s in model.stimuli:
        if isinstance(s, VoltageClamp):
            raise InputError("model.stimuli", "a voltage clamp holds the potential, expected current clamps only")
    plan = lower(model)
    field, number = plan.fields[-1], len(plan.fields) - 1
    named = _named(model, unknown)
    parts = []
    for gauge in plan.gauges:
        inward = sum(count for f, count, _ in gauge.spec.gains if f == number)
        gain = inward * float(plan.ratio(gauge.membrane, "v")[0])
        if gauge.weight is not None:
            gain *= float(np.asarray(gauge.weight)[0])
        chosen = bool({gauge.channel.called(), gauge.channel.label()} & named)
        if gain != 0.0:
            parts.append(_part(plan, gauge, (gain, -inward), _wanted(gauge, gates) if chosen else ()))
        elif chosen:
            raise InputError("unknown", f"'{gauge.channel.called()}' brings no charge to the plasma membrane, expected a channel that does")
    wanted = {name for part in parts for name in part.unknown}
    for name in gates or ():
        if name not in wanted:
            there = [p for p in parts if {p.name, p.gauge.channel.label()} & named]
            states = [s for p in there for s in p.states]
            told = f"{nearest(str(name), states)}; there are {', '.join(states)}"
            raise InputError("gates", f"{shown(name)} is no state of {', '.join(unknown)}{told}")
    return PointCell(plan, tuple(parts), float(field.capacity[0]), float(plan.u0[-1]))


def _named(model: Model, unknown: Sequence[str]) -> set[str]:
    present = list(dict.fromkeys(n for channels in model.membranes.values() for c in channels for n in (c.called(), c.label())))
    for name in unknown:
        if name not in present:
            told = f"the model has no channel {shown(name)}{nearest(str(name), present)}; it has {', '.join(present) or 'none'}"
            raise InputError("unknown", told)
    return set(unknown)


def _wanted(gauge: Gauge, gates: Sequence[str] | None) -> tuple[str, ...]:
    states = tuple(type(gauge.channel).states)
    if not states:
        raise InputError("unknown", f"'{gauge.channel.called()}' has no gates (its conductance and reversal potential are taken as known)")
    return states if gates is None else tuple(s for s in states if s in gates)


def _part(plan: Plan, gauge: Gauge, brings: tuple[float, float], unknown: tuple[str, ...]) -> Part:
    cls, label = gauge.spec.cls, gauge.channel.called()
    ports: list[int | None] = []
    for (name, text), ref in zip(cls.reads.items(), gauge.spec.ports, strict=True):
        if parse_port(text).kind == "v":
            ports.append(None)
        elif ref.kind == "value":
            ports.append(ref.index)
        else:
            raise InputError(f"model: {label}", f"reads {text} ({name}), which moves; expected channels that read the potential only")
    states = tuple(cls.states)
    if gate_of(cls) is not None and set(states) != set(unknown):
        raise InputError(f"model: {label}", "is a network itself, expected channels with formulas (rates) beside the unknown one")
    start = tuple(float(plan.y0[s][0]) for s in gauge.states)
    return Part(gauge, *brings, tuple(ports), plan.parameters, states, start, unknown)


def step_times(recording: Recording, longest: float) -> tuple[int, Floats]:
    """Steps per sample, and the times [ms] at which they begin and end."""
    every = max(1, int(np.ceil(recording.interval / longest - 1e-9)))
    return every, np.linspace(recording.time[0], recording.time[-1], (len(recording.time) - 1) * every + 1)
