"""What stimuli bring, as indices: influxes and currents, electrodes that hold the potential, events of synapses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..mesh import Floats
from ..model import Model
from ..model.electrics import CurrentClamp, VoltageClamp, charged, electrode
from ..model.spikes import SpikeTimes
from ..model.stimuli import Influx, stimulus_target
from ..model.tables import Table
from ..plugin.contract import evaluate
from .rest import parameters
from .specs import Arrivals, Field, Gauge, Holder, Source

COURSES = {"square": 0, "ramp-down": 1, "triangle": 2}
NO_COURSE = (0.0, 0.0, 0.0, 1.0, 0.0)
"""Of a current that is given as a table."""


def sources(model: Model, fields: Sequence[Field]) -> tuple[Source, ...]:
    """Influxes, and after them currents."""
    influxes = tuple(_influx(model, fields, k, s) for k, s in enumerate(model.stimuli) if isinstance(s, Influx))
    return influxes + tuple(_injected(model, fields, k, s) for k, s in enumerate(model.stimuli) if isinstance(s, CurrentClamp))


def _influx(model: Model, fields: Sequence[Field], k: int, s: Influx) -> Source:
    nodes, area, flux = stimulus_target(model.mesh, s)
    index = next(i for i, f in enumerate(fields) if (f.name, f.region) == (s.species, s.region))
    f = fields[index]
    local = nodes.astype(np.int64) - f.nodes.start
    return Source(k, index, local, flux * area / f.capacity[local], float((flux * area).sum()), _course(s), s.through)


def _injected(model: Model, fields: Sequence[Field], k: int, s: CurrentClamp) -> Source:
    """The current of an electrode, spread over the positions at which it sits."""
    f = fields[-1]
    where, share = electrode(model.mesh, charged(model.mesh, model.voltage), s)
    if isinstance(s.current, Table):
        return Source(k, len(fields) - 1, where, share / f.capacity[where], 1.0, NO_COURSE, table=s.current)
    return Source(k, len(fields) - 1, where, s.current * share / f.capacity[where], float(s.current), _course(s))


def _course(s: Influx | CurrentClamp) -> tuple[float, float, float, float, float]:
    """Shape, start, length of a pulse, period and number; the period of one pulse is of no consequence, but time is divided by it."""
    return float(COURSES[s.shape]), s.start, s.duration, s.period or max(s.duration, 1e-300), float(s.count)


def holders(model: Model, k: int, s: VoltageClamp, moved: int) -> Iterator[Holder]:
    """What an electrode holds, one for each of its positions; `moved` is where the row of its amounts begins."""
    where, share = electrode(model.mesh, charged(model.mesh, model.voltage), s)
    for i, part in zip(where, share, strict=True):
        yield Holder(k, int(i), 1e3 * part / s.resistance, s.protocol, moved + int(i))


def arrivals(model: Model, gauges: Sequence[Gauge]) -> tuple[Arrivals, ...]:
    """Events of synapses, one for each channel that they reach."""
    own = [g for g in gauges if not g.beside]
    spikes = [(k, s) for k, s in enumerate(model.stimuli) if isinstance(s, SpikeTimes)]
    return tuple(_arrivals(model, k, s, g, pairs) for k, s in spikes for g in own for pairs in _reached(model, s, g))


def _reached(model: Model, s: SpikeTimes, g: Gauge) -> Iterator[np.ndarray]:
    """The pairs of a channel that events reach, once; nothing where they are meant for another one."""
    if s.channel in (g.channel.called(), g.channel.label()):
        pairs = s.pairs(model.mesh, g.membrane, g.weight)
        if len(pairs):
            yield pairs


def _arrivals(model: Model, k: int, s: SpikeTimes, g: Gauge, pairs: np.ndarray) -> Arrivals:
    p = parameters(g.channel)
    added = evaluate(type(g.channel), "event", p)
    factor = 1.0 if s.conductance is None else s.conductance / _conductance(g, pairs)
    entries = np.concatenate([part.start + pairs for part in g.states])
    amounts = np.repeat(np.array(added, float), len(pairs))
    order = np.argsort(s.times, kind="stable")
    weights = np.broadcast_to(np.array(s.weight, float), len(s.times))
    return Arrivals(k, np.array(s.times, float)[order], factor * weights[order], entries, amounts)


def _conductance(g: Gauge, pairs: np.ndarray) -> float:
    """Conductance [nS] of a channel at some pairs, all open."""
    weight: Floats = np.ones(len(g.area)) if g.weight is None else g.weight
    return float(g.channel.values["g"]) * 1e1 * float((g.area * weight)[pairs].sum())
