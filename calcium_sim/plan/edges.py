"""Times at which a step has to end: kinks of stimuli, jumps of fluxes and of potentials."""

from __future__ import annotations

from collections.abc import Iterable

from ..model import Model
from ..model.electrics import CurrentClamp, VoltageClamp
from ..model.spikes import SpikeTimes
from ..model.stimuli import Set
from ..model.tables import Table
from ..plugin import Channel
from ..plugin.contract import edges_of
from .rest import parameters
from .stops import Stops, Train

AT_ONCE = 1000
"""Pulses of a train whose times are listed when a model is lowered, which makes the run quicker; those of longer trains when they come.
A step ends at so many corners of a table of currents; of one that has more, a recording, only where it jumps."""


def stops_of(model: Model, channels: Iterable[Channel]) -> Stops:
    """Times at which a step has to end: kinks of stimuli, jumps of fluxes and of the potential."""
    times: set[float] = set()
    trains: list[Train] = []
    for s in model.stimuli:
        if isinstance(s, Set):
            times.add(s.time)
            continue
        if isinstance(s, SpikeTimes):
            times.update(s.times)
            continue
        if isinstance(s, VoltageClamp):
            times |= {t for t, _ in s.protocol.jumps()}
            continue
        if isinstance(s, CurrentClamp) and isinstance(s.current, Table):
            turns = s.current.kinks()
            times.update(turns.tolist() if len(turns) <= AT_ONCE else (t for t, _ in s.current.jumps()))
            continue
        kinks = (0.0, 0.5 * s.duration, s.duration) if s.shape == "triangle" else (0.0, s.duration)
        if s.count <= AT_ONCE:
            times |= {s.start + k * (s.period or 0.0) + kink for k in range(s.count) for kink in kinks}
        else:
            trains.append(Train(s.start, s.period, s.count, kinks))
    for c in channels:
        times |= set(edges_of(type(c), parameters(c)))
    if isinstance(model.voltage, Table):
        times |= {t for t, _ in model.voltage.jumps()}
    return Stops(tuple(sorted(float(t) for t in times if t > 0)), tuple(trains))
