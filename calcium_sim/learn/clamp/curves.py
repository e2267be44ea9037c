"""Curves of gates over the potential: Hodgkin-Huxley rates that are exponentials, and a network that corrects them.

With u = (V - middle) / 25 mV and sigma the logistic function, a gate has::

    x_inf = sigma(+-D),  D = d + e^s u + sum_i e^s (e^(z_i) - 1) r_i(V)        steady value, + where depolarisation opens it
    ln tau = m + n u - ln(2 cosh(D / 2)) + sum_i c_i b_i(V) + ln 2             time constant [ms]
    ln tau_slow = ln tau + ln(1 + e^(p + q u))                                 of a share sigma(w) of the channels

Without the sums these are the rates ``exp(a + b V)`` of Hodgkin & Huxley (1952), opening and closing. The network has one hidden layer with
fixed places: b_i are differences of neighbouring sigmoids, bumps that end where the recorded potentials end, and r_i their integrals. The
slope of D lies between those of e^s u and e^(s + z_i) u, so that x_inf is monotone whatever the weights; beyond the recorded potentials the
correction of tau vanishes, and the slope of D is that of the exponentials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...mesh import Floats
from .gates import ClampGate

SCALE = 25.0
"""mV of one u."""
SPACING = 15.0
"""mV between bumps."""
MOST = 16
"""Bumps of a gate."""
SOFT = 0.5
"""Width of the sigmoids, in distances between them."""
LOGS = (-8.0, 16.0)
"""Logarithms of time constants [ms] are kept within these."""
FEW, SLOW = 4, 3
"""Parameters of the exponentials of a gate, and of its slow part."""


@dataclass(frozen=True)
class Curve:
    """One curve of a gate at potentials, with derivatives by the gate's parameters, (potentials, parameters)."""

    steady: Floats
    tau: Floats
    by_steady: Floats
    by_tau: Floats
    """Of ln tau."""


@dataclass(frozen=True)
class Features:
    """What the network and the exponentials see of potentials."""

    u: Floats
    bumps: Floats
    ramps: Floats


@dataclass(frozen=True)
class Layout:
    """Where the parameters of a channel lie in one vector: gate after gate, and at the end the logarithm of the conductance [uS].

    Parameters
    ----------
    gates : of the channel.
    span : lowest and highest recorded potential [mV].
    bumps : of the correction; 0 leaves the exponentials.
    """

    gates: tuple[ClampGate, ...]
    span: tuple[float, float]
    bumps: int = 0

    @property
    def middle(self) -> float:
        """Potential [mV] at which u is 0."""
        return 0.5 * (self.span[0] + self.span[1])

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First parameter of each gate, and at the end the place of the conductance."""
        sizes = [FEW + SLOW * g.slow + 2 * self.bumps for g in self.gates]
        return tuple(np.cumsum([0, *sizes]).tolist())

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.starts[-1] + 1

    def part(self, k: int) -> slice:
        """Parameters of a gate."""
        return slice(self.starts[k], self.starts[k + 1])

    def weights(self, k: int) -> tuple[slice, slice]:
        """Those of the correction of a gate: of its slope, and of its time constant."""
        first = self.starts[k] + FEW + SLOW * self.gates[k].slow
        return slice(first, first + self.bumps), slice(first + self.bumps, first + 2 * self.bumps)

    @cached_property
    def edges(self) -> Floats:
        """Places of the sigmoids [mV]."""
        return np.linspace(*self.span, self.bumps + 1)

    def features(self, v: Floats) -> Features:
        """Features of potentials [mV]."""
        u = (v - self.middle) / SCALE
        if not self.bumps:
            return Features(u, np.zeros((len(v), 0)), np.zeros((len(v), 0)))
        width = SOFT * (self.edges[1] - self.edges[0])
        z, zero = (v[:, None] - self.edges) / width, (self.middle - self.edges) / width
        steps, ramps = sigmoid(z), (np.logaddexp(0.0, z) - np.logaddexp(0.0, zero)) * (width / SCALE)
        return Features(u, steps[:, :-1] - steps[:, 1:], ramps[:, :-1] - ramps[:, 1:])

    def curves(self, p: Floats, k: int, f: Features) -> list[Curve]:
        """Curves of a gate: one, and that of its slow part, where it has one; `p` are the parameters of the gate alone."""
        gate, n, b = self.gates[k], len(f.u), self.bumps
        first = FEW + SLOW * gate.slow
        sign, slope, more = (1.0 if gate.opens else -1.0), np.exp(p[1]), np.exp(p[first : first + b])
        rise = slope * (f.u + f.ramps @ (more - 1.0))
        d = sign * (p[0] + rise)
        by_d = np.zeros((n, len(p)))
        by_d[:, 0], by_d[:, 1], by_d[:, first : first + b] = sign, sign * rise, sign * slope * f.ramps * more
        logs = p[2] + p[3] * f.u + f.bumps @ p[first + b :] - np.logaddexp(0.5 * d, -0.5 * d) + np.log(2.0)
        by_logs = -0.5 * np.tanh(0.5 * d)[:, None] * by_d
        by_logs[:, 2] += 1.0
        by_logs[:, 3] += f.u
        by_logs[:, first + b :] += f.bumps
        x = sigmoid(d)
        by_x = (x * (1.0 - x))[:, None] * by_d
        out = [_curve(x, logs, by_x, by_logs)]
        if gate.slow:
            z = p[4] + p[5] * f.u
            by_later = by_logs.copy()
            by_later[:, 4] += sigmoid(z)
            by_later[:, 5] += sigmoid(z) * f.u
            out.append(_curve(x, logs + np.logaddexp(0.0, z), by_x, by_later))
        return out

    def share(self, p: Floats, k: int) -> float:
        """Share of the channels with the slow part of a gate; 0 where it has none."""
        return float(sigmoid(p[6])) if self.gates[k].slow else 0.0


def _curve(x: Floats, logs: Floats, by_x: Floats, by_logs: Floats) -> Curve:
    beyond = (logs < LOGS[0]) | (logs > LOGS[1])
    by = np.where(beyond[:, None], 0.0, by_logs) if beyond.any() else by_logs
    return Curve(x, np.exp(np.clip(logs, *LOGS)), by_x, by)


def sigmoid(z: NDArray[np.float64] | float) -> Floats:
    """The logistic function, without overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * np.asarray(z, float)))


def count(span: tuple[float, float]) -> int:
    """Bumps for a range of potentials [mV]."""
    return int(np.clip(round((span[1] - span[0]) / SPACING), 2, MOST))


def moved(p: Floats, old: Layout, new: Layout, fresh: Sequence[float]) -> Floats:
    """Parameters in another layout of the same gates: what is new is 0, or `fresh` for slow parts."""
    out = np.zeros(new.size)
    for k, (before, after) in enumerate(zip(old.gates, new.gates, strict=True)):
        a, b = old.starts[k], new.starts[k]
        out[b : b + FEW] = p[a : a + FEW]
        if after.slow:
            out[b + FEW : b + FEW + SLOW] = p[a + FEW : a + FEW + SLOW] if before.slow else fresh
        if old.bumps == new.bumps:
            for was, now in zip(old.weights(k), new.weights(k), strict=True):
                out[now] = p[was]
    out[-1] = p[-1]
    return out
