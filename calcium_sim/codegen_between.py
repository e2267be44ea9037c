"""Generates what happens between two steps: rates of change, and states that are split from the step.

These states live half a step from the concentrations: at the meeting at time t they stand at t - h/2 and go on to t + h/2 with rates that
are taken at t, in the middle, so that one evaluation per step gives second order, as in a leapfrog. A rate of change is known half a step
ago, as a difference over the last step; it is continued by its change since the difference before (`follow_loop`), by no more than itself,
so that what follows a jump keeps its sign. States are continued from their last change (`predicted`), for the fluxes at the meeting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .specs import ChannelSpec
from .unrolled import Lanes


@dataclass(frozen=True)
class Follow:
    """A concentration whose rate of change some channel reads.

    `source` numbers it among the rows ``u<source>``; `last`, `rate` and `rate` + 1 are the rows of Y for its last value, the rate now, and
    the last difference quotient.
    """

    source: int
    last: int
    rate: int

    def rows(self) -> tuple[int, int, int]:
        """Rows of Y."""
        return self.last, self.rate, self.rate + 1


def follow_loop(lanes: Lanes, follow: Sequence[Follow]) -> list[str]:
    """Loop: rates of change now, from the differences over the last step (`elapsed` long) and the one before (`before` long)."""
    body, out = [], []
    for f in follow:
        body += [f"d = (u{f.source} - y{f.last}) / elapsed", f"s = (d - y{f.rate + 1}) * elapsed / (elapsed + before)"]
        body += [f"y{f.rate} = d + min(max(s, -abs(d)), abs(d))", f"y{f.rate + 1} = d", f"y{f.last} = u{f.source}"]
        out += [f"y{r}" for r in f.rows()]
    return lanes.loop(body, out) if body else []


def predicted(lanes: Lanes, channels: Sequence[ChannelSpec]) -> list[str]:
    """Loop: ``yn<row>``, the states at the meeting, continued by `ahead` times their last change; ``w<row>`` keeps those before it."""
    body, out = [], []
    for c in channels:
        for k, bounds in enumerate(c.cls.state_table().values()):
            r = c.state + k
            value = f"y{r} + ahead * (y{r} - w{r})"
            value = f"max({value}, {bounds.low!r})" if math.isfinite(bounds.low) else value
            value = f"min({value}, {bounds.high!r})" if math.isfinite(bounds.high) else value
            body += [f"yn{r} = {value}", f"w{r} = y{r}"]
            out += [f"yn{r}", f"w{r}"]
    return lanes.loop(body, out) if body else []


def own_rows(channels: Sequence[ChannelSpec]) -> list[int]:
    """Rows of Y with the states of channels."""
    return sorted(r for c in channels for r in range(c.state, c.state + len(c.cls.states)))
