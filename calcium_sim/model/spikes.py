"""Events of synapses: times at which the states of a channel jump, a list or a regular train, with weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..description.fixed import Described, told
from ..errors import InputError, nearest, shown
from ..mesh import Floats, Mesh
from ..mesh.given import named, positive
from ..mesh.places import Place, checked, place_name
from ..plugin import Channel
from ..units import Canonical, value
from .tables import column

TRAIN = ("start", "period", "count")
EXPECTED = "expected times (['5 ms', '12.5 ms'], or times * u.ms), or a train {'start': '5 ms', 'period': '10 ms', 'count': 20}"
MOST = 1_000_000
"""Events of one stimulus: a step ends at each."""


@dataclass(frozen=True, eq=False, repr=False)
class SpikeTimes(Described):
    """Spikes that arrive at synapses: at each of these times the states of a channel jump by what its `event` says, and steps end there.

    Jumps add up, of one spike after the other and of several stimuli. The channel (``ampa/exp2``, ``nmda/exp2``, ``gaba-a/exp2``, or one of
    yours) may lie on the whole membrane: spikes reach the part of it that `at` names, and elsewhere it stays shut.

    Parameters
    ----------
    channel : name of the channel, its own or that of its kind.
    times : quantities, an array with a unit, or a regular train ``{"start": ..., "period": ..., "count": ...}``.
    at : where, as in `Influx`; every place of the channel by default.
    weight : peak of one event relative to the channel's conductance (or flux); a number, or one for each time.
    conductance : peak of one event in nS, all places together, instead of what the channel's conductance per area makes of it; weights
        multiply it.

    Raises
    ------
    InputError
        If these are no times, or a weight is negative.

    Examples
    --------
    >>> SpikeTimes("ampa/exp2", {"start": "5 ms", "period": "20 ms", "count": 3}, at=7, conductance="0.5 nS")
    SpikeTimes("ampa/exp2", 3 times, 5 to 45 ms, at=node 7, conductance="0.5 nS")
    """

    channel: str
    times: Any
    at: Place = None
    weight: Any = 1.0
    conductance: Any = None

    def __post_init__(self) -> None:
        where = self.where
        named(self.channel, f"{where}.channel", "ampa/exp2")
        object.__setattr__(self, "times", _times(self.times, f"{where}.times"))
        object.__setattr__(self, "at", checked(self.at, f"{where}.at"))
        object.__setattr__(self, "weight", _weights(self.weight, len(self.times), f"{where}.weight"))
        if self.conductance is not None:
            object.__setattr__(self, "conductance", positive(self.conductance, f"{where}.conductance", "nS"))

    def __repr__(self) -> str:
        span = f", {min(self.times):g} to {max(self.times):g} ms" if self.times else ""
        parts = [told(self.channel), f"{len(self.times)} times{span}"]
        parts += [] if self.at is None else [f"at={place_name(self.at)}"]
        parts += [] if self.weight == 1.0 else [f"weight={self.weight if isinstance(self.weight, float) else 'one each'}"]
        return f"SpikeTimes({', '.join(parts + ([] if self.conductance is None else [f'conductance={told(self.conductance)}']))})"

    @property
    def where(self) -> str:
        """How errors name it."""
        return "stimuli.spike_times"

    def pairs(self, mesh: Mesh, membrane: str, weight: Floats | None) -> NDArray[np.int64]:
        """Pairs of a membrane that the spikes reach, of a channel whose strength over the pairs is `weight` (None: 1)."""
        m = mesh.membranes[membrane]
        chosen = mesh.select(self.at, m.inside, f"{self.where}.at", m.outside)
        return np.flatnonzero(chosen if weight is None else chosen & (weight > 0.0))


def _times(given: Any, where: str) -> tuple[Canonical, ...]:
    if isinstance(given, Mapping):
        numbers = _train(given, where)
    elif isinstance(given, (list, tuple, np.ndarray)) or int(getattr(given, "ndim", 0)) == 1:
        numbers = column(given, "ms", where, "times", EXPECTED)
    else:
        raise InputError(where, f"{shown(given)} is no list of times, {EXPECTED}")
    if numbers.ndim != 1 or len(numbers) > MOST:
        raise InputError(where, f"{numbers.size} times of shape {numbers.shape}, expected a list of at most {MOST}")
    if (numbers < 0).any():
        raise InputError(where, f"{numbers.min():g} ms lies before the start of the run")
    return tuple(Canonical(t, "ms") for t in numbers.tolist())


def _train(given: Mapping[str, Any], where: str) -> Floats:
    for key in given:
        if key not in TRAIN:
            raise InputError(f"{where}.{key}", f"unknown key{nearest(key, TRAIN)}; there are {', '.join(TRAIN)}")
    for key in TRAIN:
        if key not in given:
            raise InputError(f"{where}.{key}", f"is missing ({EXPECTED})")
    count = given["count"]
    if not (isinstance(count, Integral) and not isinstance(count, bool) and 1 <= int(count) <= MOST):
        raise InputError(f"{where}.count", f"{shown(count)} events, expected a whole number from 1 to {MOST}")
    start = positive(given["start"], f"{where}.start", "ms", zero=True)
    return np.asarray(start + positive(given["period"], f"{where}.period", "ms") * np.arange(int(count)), float)


def _weights(given: Any, count: int, where: str) -> float | tuple[float, ...]:
    if not isinstance(given, (list, tuple, np.ndarray)):
        return _weight(given, where)
    found = tuple(_weight(w, where) for w in given)
    if len(found) != count:
        raise InputError(where, f"{len(found)} weights for {count} times, expected one for each, or one number")
    return found


def _weight(given: Any, where: str) -> float:
    number = value(given, "1", where)
    if number < 0:
        raise InputError(where, f"{number:g} must be >= 0")
    return number


def check_reached(mesh: Mesh, membranes: Mapping[str, Sequence[tuple[Channel, Floats | None]]], s: SpikeTimes) -> None:
    """Refuse spikes that reach no channel that takes events; channels come with their strength over the pairs (None: 1).

    Raises
    ------
    InputError
        If there is no such channel, it takes no events, or has no part at this place or no conductance.
    """
    where = s.where
    present = [(name, c, w) for name, row in membranes.items() for c, w in row]
    takers = list(dict.fromkeys(c.called() for _, c, _ in present if type(c).event is not None))
    meant = [(name, c, w) for name, c, w in present if s.channel in (c.called(), c.label())]
    if not meant:
        known = f"channels that take events: {', '.join(takers) or 'none'}"
        raise InputError(f"{where}.channel", f"the model has no channel '{s.channel}'{nearest(s.channel, takers)} ({known})")
    for _, c, _ in meant:
        if type(c).event is None:
            raise InputError(f"{where}.channel", f"'{s.channel}' takes no events ({', '.join(takers) or 'no channel of the model'} does)")
        g = c.values.get("g")
        if s.conductance is not None and not (isinstance(g, float) and g > 0 and type(c).parameter_table()["g"].unit == "S/cm^2"):
            raise InputError(f"{where}.conductance", f"'{s.channel}' has no conductance g above 0 in S/cm^2 that this could stand for")
    if not any(len(s.pairs(mesh, name, w)) for name, _, w in meant):
        raise InputError(f"{where}.at", f"'{s.channel}' is not at {place_name(s.at)} (its own at= or scale= leaves this place out)")
