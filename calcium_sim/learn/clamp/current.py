"""The current of a channel under recorded potentials, and its derivatives by the parameters of the gates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...kernels.driven_gate import follow, follow_moving
from ...mesh import Floats
from .curves import Curve, Features, Layout


@dataclass(frozen=True)
class Drive:
    """A potential as gates see it.

    Attributes
    ----------
    force : potential less the reversal potential [mV].
    early, late : times [ms] that a sample holds before and behind it.
    features : of the potentials, in the layout that they were made for.
    rest : features of the potential at whose equilibrium gates begin.
    """

    force: Floats
    early: Floats
    late: Floats
    features: Features
    rest: Features

    @classmethod
    def of(cls, layout: Layout, t: Floats, v: Floats, e_rev: float, rest: float | None = None) -> Drive:
        """The drive of samples at times [ms]; gates begin at the equilibrium of the first potential, or of `rest` [mV]."""
        half = 0.5 * np.diff(t)
        begin = np.array([v[0] if rest is None else rest])
        return cls(v - e_rev, np.append(0.0, half), np.append(half, 0.0), layout.features(v), layout.features(begin))


def current(layout: Layout, p: Floats, drive: Drive) -> Floats:
    """Current [nA] at the samples."""
    out = np.exp(p[-1]) * drive.force
    for k, gate in enumerate(layout.gates):
        part, share = p[layout.part(k)], layout.share(p[layout.part(k)], k)
        y = np.zeros(len(drive.force))
        curves = zip(layout.curves(part, k, drive.features), layout.curves(part, k, drive.rest), _shares(share), strict=False)
        for curve, rest, of in curves:
            one = np.empty(len(y))
            follow(curve.steady, curve.tau, drive.early, drive.late, float(rest.steady[0]), one)
            y += of * one
        out = out * y**gate.power
    return out


def current_slopes(layout: Layout, p: Floats, drive: Drive) -> tuple[Floats, Floats]:
    """Current [nA] at the samples, and its derivatives (samples, parameters)."""
    n = len(drive.force)
    ys, js = [], []
    for k in range(len(layout.gates)):
        part = p[layout.part(k)]
        share = layout.share(part, k)
        found = [
            _moving(curve, rest, drive)
            for curve, rest in zip(layout.curves(part, k, drive.features), layout.curves(part, k, drive.rest), strict=True)
        ]
        y, j = found[0]
        if len(found) == 2:
            other, more = found[1]
            y, j, apart = (1.0 - share) * y + share * other, (1.0 - share) * j + share * more, other - y
            j[:, 6] += apart * share * (1.0 - share)
        ys.append(y)
        js.append(j)
    force = np.exp(p[-1]) * drive.force
    powers = [y**g.power for y, g in zip(ys, layout.gates, strict=True)]
    by = np.empty((n, layout.size))
    by[:, -1] = force * np.prod(powers, axis=0)
    for k, gate in enumerate(layout.gates):
        rest_of = force * np.prod([q for m, q in enumerate(powers) if m != k], axis=0)
        by[:, layout.part(k)] = (rest_of * gate.power * ys[k] ** (gate.power - 1))[:, None] * js[k]
    return by[:, -1].copy(), by


def _shares(share: float) -> tuple[float, float]:
    return 1.0 - share, share


def _moving(curve: Curve, rest: Curve, drive: Drive) -> tuple[Floats, Floats]:
    out, by = np.empty(len(curve.steady)), np.empty(curve.by_steady.shape)
    follow_moving(
        curve.steady, curve.tau, curve.by_steady, curve.by_tau, drive.early, drive.late, float(rest.steady[0]), rest.by_steady[0], out, by
    )
    return out, by
