"""Times at which a step has to end, made as a run comes to them: a train of any number of pulses costs nothing until then.

Edges of several stimuli that are meant to fall together may differ by round-off (0.3, and 0.1 + 0.2): they are one stop.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

RESOLUTION = 1e-12
"""Times that differ by no more than this part of them are one: more than the round-off of a time that many steps add up to."""


@dataclass(frozen=True)
class Train:
    """Pulses at `start`, `start + period`, ..., `count` of them; `offsets` are the kinks within one. All in ms."""

    start: float
    period: float
    count: int
    offsets: tuple[float, ...]

    def next(self, time: float, offset: float) -> float:
        """The first time of a kink after `time`; infinity if there is none."""
        first = self.start + offset
        if first > time:
            return first
        k = max(0, int((time - first) / self.period) - 1)
        while k < self.count:
            if (t := self.start + k * self.period + offset) > time:
                return t
            k += 1
        return math.inf


@dataclass(frozen=True)
class Stops:
    """Times [ms] of single events, ascending, and of trains."""

    single: Sequence[float] = ()
    trains: tuple[Train, ...] = ()

    def next(self, time: float) -> float:
        """The first one after `time`; infinity if there is none. Of those that are one within round-off it is the last."""
        found = self._after(time)
        while found < math.inf and (later := self._after(found)) - found <= RESOLUTION * found:
            found = later
        return found

    def _after(self, time: float) -> float:
        k = bisect_right(self.single, time)
        found = self.single[k] if k < len(self.single) else math.inf
        for train in self.trains:
            for offset in train.offsets:
                found = min(found, train.next(time, offset))
        return found

    def between(self, start: float, end: float) -> Iterator[float]:
        """Times after `start`, up to `end`, ascending, each once."""
        while (start := self.next(start)) <= end:
            yield start
