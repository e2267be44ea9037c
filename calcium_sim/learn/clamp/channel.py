"""A channel with gates as curves: what a fit finds, and what predicts currents."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...admission.card import Card
from ...errors import InputError
from ...mesh import Floats
from .current import Drive, current
from .curves import Curve, Layout
from .gates import slow_name

BEYOND = 30.0
"""mV beyond the recorded potentials up to which an exported channel runs; there its rates go on as exponentials."""


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

    def export(self, path: str | os.PathLike[str], *, g: float = 1.0, **card: Any) -> Card:
        """Write a channel file, for `load_channel` or by its name in a model.

        Parameters
        ----------
        path : file to write, ``.pt``.
        g : conductance of a membrane [mS/cm^2]; a recording tells that of its cell (`conductance`), not the area.
        card : as in `export_channel` (``moves={"k": 1}``, ``across=("cytosol", "outside")``, ``licence=`` ...).
        """
        from ...networks.export import export_channel
        from .module import module_of

        low, high = self.layout.span
        told: dict[str, Any] = {
            "inputs": {"v": ("mV", low - BEYOND, high + BEYOND)},
            "states": dict.fromkeys(self.states, "steady"),
            "powers": [gate.power for gate in self.layout.gates] + [0] * len(self.shares),
            "flux": "ohmic",
            "g": g,
            "e_rev": self.e_rev,
            "note": f"potentials from {low:g} to {high:g} mV were recorded; beyond, rates go on as exponentials",
        }
        return export_channel(module_of(self.layout, self.p), path, kind="hh_gates", **(told | card))
