"""How good a fixed step is: what a step of twice the length does differently, looked at now and then, and a warning where it is much."""

from __future__ import annotations

import math

ALLOWED = 0.008
"""Mean error of a fixed step, relative to what changes in it, above which a run warns: waves are then off by 1.7 % and more."""

RAREST = 64
"""Most steps between two looks: they cost three steps each, 5 % of the run."""

FEWEST, FEWEST_AT_ALL = 5, 3
"""Looks at moments when something happens, before anything is said while a run goes on, and at its end."""

STILL = 0.01
"""Where no field changes by more than this part of its distance from rest within two steps, nothing happens."""


class FixedStep:
    """Mean of the error measures of a run with fixed steps, weighted by the steps that each stands for.

    The worst of them is left out, for the first moment after a jump may look bad with any step; so are quiet times, which would hide a
    short event in a long run.
    Looks come after 2, 4, 8, ... steps, then after every `RAREST`, and begin again after an edge of a stimulus.
    """

    def __init__(self) -> None:
        self.wait, self.since, self.looks = 2, 2, 0
        self.total = self.weight = self.worst = self.where = 0.0
        self.outlier = 0.0, 0.0
        self.told = False

    def restart(self) -> None:
        """Something has just happened: look at once, and more often."""
        self.wait = self.since = 2

    def due(self) -> bool:
        """Whether to look before the next steps."""
        return not self.told and self.since >= self.wait

    def note(self, measure: float, moved: float, t: float) -> None:
        """Take a measure (NaN: the long step failed) at time t [ms]; `moved` is how far fields went, see `STILL`."""
        measure = min(measure, 1.0) if math.isfinite(measure) else 1.0
        if measure > self.worst:
            self.worst, self.where = measure, t
        if moved > STILL or not math.isfinite(moved):
            self.outlier = max(self.outlier, (measure * self.since, self.since))
            self.total += measure * self.since
            self.weight += self.since
            self.looks += 1
        self.since, self.wait = 0, min(2 * self.wait, RAREST)

    def doubt(self, fewest: int = FEWEST) -> str | None:
        """What to warn of, once."""
        if self.told or self.looks < fewest:
            return None
        mean = (self.total - self.outlier[0]) / (self.weight - self.outlier[1])
        if not mean > ALLOWED:
            return None
        self.told = True
        return (
            f"dt: a fixed step errs by {100 * mean:.3g} % of what changes in it, {100 * self.worst:.3g} % at "
            f"t={self.where:.4g} ms (take a smaller dt=, or none: steps are then chosen)"
        )
