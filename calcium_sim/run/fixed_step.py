"""How good a fixed step is: what a step of twice the length does differently, looked at now and then, and a warning where it is much."""

from __future__ import annotations

import numpy as np

from ..mesh import Floats

ALLOWED = 0.004
"""Mean error of a fixed step, relative to what it changes, above which a run warns at its end. Waves of 1.3 to 2 um/ms are then off by
1.7 % and more, and by less than 0.5 % where half as much is seen."""

AT_ONCE, AFTER = 25.0, 256
"""So many times as much, so many steps after an edge, is told while the run goes on: the first steps of an event look worse than it is."""

RAREST = 64
"""Most steps between two looks: they cost three steps each, 5 % of the run."""

MORE = 1.25
"""Steps that change a field by so many times what was looked at before are looked at, too."""


class FixedStep:
    """Mean of the error measures of a run with fixed steps, per field, weighted by how much changes in the steps that each stands for.

    So neither the first moment of a stimulus, when nearly nothing has changed yet and any step looks bad, nor long quiet times before a
    short event matter. Looks come after 2, 4, 8, ... steps, then after every `RAREST`, and begin again after an edge of a stimulus; and
    whenever a field changes more than it did before, so that no event between two looks is missed.

    Parameters
    ----------
    fields : their number.
    """

    def __init__(self, fields: int) -> None:
        self.wait, self.since, self.after, self.told = 2, 0, 0, False
        self.errors, self.changes, self.seen, self.largest, self.measure, self.time = np.zeros((6, fields))

    def restart(self) -> None:
        """Something has just happened: look more often."""
        self.wait, self.after = 2, 0

    def due(self, changes: Floats) -> bool:
        """Whether to look at steps in which each field changes by so much per step [uM]."""
        return not self.told and bool(self.since >= self.wait or (changes > MORE * self.seen).any())

    def note(self, measures: Floats, changes: Floats, t: float) -> None:
        """Take the measures of these steps, which end at time t [ms] (NaN: the other steps failed)."""
        measures = np.minimum(np.where(np.isfinite(measures), measures, 1.0), 1.0)
        self.after += self.since
        errors = self.since * measures * changes
        self.errors += errors
        self.changes += self.since * changes
        self.seen = np.maximum(self.seen, changes)
        more = errors > self.largest
        self.largest[more], self.measure[more], self.time[more] = errors[more], measures[more], t
        if self.since >= self.wait:
            self.wait = min(2 * self.wait, RAREST)
        self.since = 0

    def doubt(self, ended: bool = False) -> str | None:
        """What to warn of, once."""
        if self.told or not (ended or self.after >= AFTER):
            return None
        mean = self.errors / np.where(self.changes > 0.0, self.changes, 1.0)
        worst = int(np.argmax(mean))
        if not mean[worst] > ALLOWED * (1.0 if ended else AT_ONCE):
            return None
        self.told = True
        parts = f"{100 * mean[worst]:.3g} % of what it changes, by {100 * self.measure[worst]:.3g} % at t={self.time[worst]:.4g} ms"
        return (
            f"dt: the fixed step is long: on the average a step errs by {parts}, and the errors of many steps add up (take a smaller dt=, "
            "or none: steps are then chosen)"
        )
