"""Times at which a step has to end, made as a run comes to them: a train of any number of pulses costs nothing until then."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import takewhile


@dataclass(frozen=True)
class Train:
    """Pulses at `start`, `start + period`, ..., `count` of them; `offsets` are the kinks within one. All in ms."""

    start: float
    period: float
    count: int
    offsets: tuple[float, ...]

    def after(self, time: float, offset: float) -> Iterator[float]:
        """The times of one kink after `time`, ascending."""
        k = max(0, math.floor((time - self.start - offset) / self.period) - 1)
        while k < self.count:
            t = self.start + k * self.period + offset
            if t > time:
                yield t
            k += 1


@dataclass(frozen=True)
class Stops:
    """Times [ms] of single events, ascending, and of trains."""

    single: Sequence[float] = ()
    trains: tuple[Train, ...] = ()

    def between(self, start: float, end: float) -> Iterator[float]:
        """Times after `start`, up to `end`, ascending, each once."""
        single = self.single[bisect_right(self.single, start) : bisect_right(self.single, end)]
        last = start
        for t in merge(single, *(takewhile(lambda t: t <= end, train.after(start, o)) for train in self.trains for o in train.offsets)):
            if t > last:
                last = t
                yield t

    def any(self, start: float, end: float) -> bool:
        """Whether there is one after `start`, up to `end`."""
        return next(self.between(start, end), None) is not None
