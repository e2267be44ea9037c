"""What recordings leave open: how far curves may move within what was seen, and how far they do when a part is left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...mesh import Floats
from .channel import ClampChannel

SURE = 0.05, 0.2
"""Standard deviations of a steady value, and of the logarithm of a time constant, above which it counts as open."""


@dataclass(frozen=True, eq=False)
class Determined:
    """What recordings tell of the states of a channel at potentials; arrays are (states, potentials).

    Attributes
    ----------
    v : potentials [mV].
    xinf_std, tau_std : standard deviations of the steady value, and of the logarithm of the time constant.
    xinf, tau : whether they are determined: small there, at a potential that was recorded.
    """

    v: Floats
    xinf_std: Floats
    tau_std: Floats
    xinf: NDArray[np.bool_]
    tau: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Spread:
    """How uncertain parameters are.

    Attributes
    ----------
    covariance : of the parameters, by the derivatives of the currents and what was expected of corrections.
    others : parameters of fits that did not see a part of the recordings, one row per fit.
    """

    covariance: Floats
    others: Floats

    def at(self, channel: ClampChannel, v: ArrayLike) -> Determined:
        """Standard deviations at potentials [mV]: the linear ones, and those among the fits that left out a part, by the jackknife."""
        at = np.atleast_1d(np.asarray(v, float))
        rows = channel.curves(at)
        x, t = [], []
        for k, curve in rows:
            part = channel.layout.part(k)
            block = self.covariance[part, part]
            x.append(_deviation(curve.by_steady, block))
            t.append(_deviation(curve.by_tau, block))
        found = [channel.curves(at, p) for p in self.others]
        if len(found) > 1:
            for row in range(len(rows)):
                x[row] = np.hypot(x[row], _jackknife([f[row][1].steady for f in found]))
                t[row] = np.hypot(t[row], _jackknife([np.log(f[row][1].tau) for f in found]))
        xinf_std, tau_std = np.array(x), np.array(t)
        low, high = channel.layout.span
        seen = (at >= low - 1e-9) & (at <= high + 1e-9)
        return Determined(at, xinf_std, tau_std, (xinf_std < SURE[0]) & seen, (tau_std < SURE[1]) & seen)


def ranges(open_at: NDArray[np.bool_], v: Floats) -> str:
    """Where something is open, in words: ``-120 to -95 and 40 to 57 mV``, or nothing."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], open_at, [False]]).astype(int)))
    told = [f"{v[a]:.0f} to {v[b - 1]:.0f}" for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return f"{' and '.join(told)} mV" if told else ""


def _deviation(by: Floats, covariance: Floats) -> Floats:
    return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", by, covariance, by), 0.0))


def _jackknife(values: list[Floats]) -> Floats:
    n, rows = len(values), np.array(values)
    return np.sqrt((n - 1) / n * ((rows - rows.mean(axis=0)) ** 2).sum(axis=0))
