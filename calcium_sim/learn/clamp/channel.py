"""A channel with gates as curves: what a fit finds, and what predicts currents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InputError
from ...mesh import Floats
from .current import Drive, current
from .curves import Curve, Layout
from .gates import slow_name


@dataclass(frozen=True, eq=False)
class ClampChannel:
    """Gates, a conductance and a reversal potential; call it with potentials [mV] for steady values and time constants [ms].

    Attributes
    ----------
    layout, p : of the gates' curves, and their parameters.
    e_rev : reversal potential [mV].
    """

    layout: Layout
    p: Floats
    e_rev: float

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the gates, and after them those of their slow parts."""
        return (*(g.name for g in self.layout.gates), *(slow_name(g) for g in self.layout.gates if g.slow))

    @property
    def shares(self) -> dict[str, float]:
        """Share of the channels with the slow part, of each gate that has one."""
        known = enumerate(self.layout.gates)
        return {g.name: self.layout.share(self.p[self.layout.part(k)], k) for k, g in known if g.slow}

    @property
    def conductance(self) -> float:
        """Of all channels of the recorded cell together [nS]."""
        return 1000.0 * float(np.exp(self.p[-1]))

    def __call__(self, v: ArrayLike) -> tuple[Floats, Floats]:
        """Steady values and time constants [ms] of every state at potentials [mV], both (states, potentials)."""
        rows = [curve for _, curve in self.curves(v)]
        return np.array([c.steady for c in rows]), np.array([c.tau for c in rows])

    def curves(self, v: ArrayLike, p: Floats | None = None) -> list[tuple[int, Curve]]:
        """The gate and the curve of every state, with derivatives by the parameters of the gate."""
        f, p = self.layout.features(np.atleast_1d(np.asarray(v, float))), self.p if p is None else p
        each = [self.layout.curves(p[self.layout.part(k)], k, f) for k in range(len(self.layout.gates))]
        return [(k, c[0]) for k, c in enumerate(each)] + [(k, c[1]) for k, c in enumerate(each) if len(c) == 2]

    def predict(self, t: ArrayLike, v: ArrayLike, rest: float | None = None) -> Floats:
        """Current [nA] under a potential.

        Parameters
        ----------
        t, v : times [ms], ascending, and potentials [mV]; each holds from the middle before it to the middle behind it.
        rest : potential [mV] at whose equilibrium the gates begin; that of the first sample by default.

        Raises
        ------
        InputError
            If lengths differ, times do not ascend, or a value is not finite.
        """
        time, command = np.atleast_1d(np.asarray(t, float)), np.atleast_1d(np.asarray(v, float))
        if time.ndim != 1 or time.shape != command.shape or not len(time):
            raise InputError("predict", f"times of shape {time.shape} and potentials of shape {command.shape}, expected as many of each")
        if not (np.isfinite(time).all() and np.isfinite(command).all() and (np.diff(time) > 0).all()):
            raise InputError("predict", "expected finite potentials [mV] at finite times [ms] that ascend")
        return current(self.layout, self.p, Drive.of(self.layout, time, command, self.e_rev, rest))
