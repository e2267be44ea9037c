"""Generates what networks of relaxing gates know of rates of change between two steps of a (z, r) grid.

A rate of change is known half a step ago, as a difference over the last step; it is continued by its change since the difference before,
by no more than itself, so that what follows a jump keeps its sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...compile.lanes import Lanes


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
