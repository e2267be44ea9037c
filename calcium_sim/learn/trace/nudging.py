"""Nudging: the recorded potential first holds the simulation, ``k (recorded - v)`` in its equation, and is then withdrawn.

At large k every spike stands where it was recorded, so that the first weights have no bad minima; at k = 0 the simulation is free.
The same idea, for parameters of conductance models: Abarbanel et al. (2009) SIAM J Appl Dyn Syst 8:1341, doi 10.1137/090749761.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.signal import savgol_filter

from ...mesh import Floats
from ..fit.levenberg import Descent, Residuals, descend
from .recording import Recording

Start = Callable[[Floats], tuple[Floats, Floats]]
"""Unknowns at the start of the run, and their derivatives by the weights, (unknowns, weights)."""

QUIET = 0.05
"""Noise [mV] below which a recording is followed as it is; above, what holds is smoothed."""
WINDOW, ORDER = 0.8, 3
"""Length [ms] and order of the smoother (Savitzky & Golay 1964, doi 10.1021/ac60214a047). A longer one takes the top off spikes: nine
samples of 0.25 ms held the simulation off by so much that the gate was lost."""


LOOSE = 5.0
"""Residuals are in units of this many mV over 1 + strength while the simulation finds its way, or of the noise or the floor if larger."""


@dataclass(frozen=True)
class Stage:
    """One stage: strength [1/ms], number of evaluations, unit of residuals [mV] over 1 + strength."""

    strength: float
    evaluations: int
    unit: float = LOOSE


STAGES = (
    Stage(30.0, 40),
    Stage(10.0, 20),
    Stage(3.0, 20),
    Stage(1.0, 20),
    Stage(0.3, 20),
    Stage(0.1, 20),
    Stage(0.03, 20),
    Stage(0.0, 60),
    Stage(0.0, 120, 0.0),
)
PRIOR = 1.5
"""Standard deviation of weights before anything is known."""
MEMORY = 0.3
"""ms over which the noise of a smoothed recording lasts: what holds at strength k passes on noise over 1 + k times this."""
RIDGE = 1e-3
"""On the squares of the weights, at least."""


@dataclass(frozen=True)
class Shooting:
    """A compiled simulation between samples, with all that does not change from one evaluation to the next.

    Attributes
    ----------
    march, shoot : see `kernels.shooting`.
    constants : parameters of the channels.
    scratch : numbers of memory that the equations use.
    begin : unknowns at the start, from the weights.
    drive : injected, mV/ms, per step.
    recorded : potentials that hold, at the beginnings, middles and ends of steps.
    step : ms.
    every : steps per sample.
    target : recorded potentials at the samples.
    share : weight whose exponential multiplies the drive, or -1.
    """

    march: Callable[..., bool]
    shoot: Callable[..., bool]
    constants: Floats
    scratch: int
    begin: Start
    drive: Floats
    recorded: Floats
    step: float
    every: int
    target: Floats
    share: int = -1

    def voltage(self, weights: Floats, strength: float = 0.0) -> Floats | None:
        """Potentials at the samples; None where they leave all bounds."""
        out = np.empty(len(self.target))
        start, _ = self.begin(weights)
        fine = self.march(*self._given(start, weights, strength), out)
        return out if fine and np.isfinite(out).all() else None

    def sensitive(self, weights: Floats, strength: float = 0.0) -> tuple[Floats, Floats] | None:
        """The same with derivatives, (samples, weights)."""
        out, by = np.empty(len(self.target)), np.empty((len(self.target), len(weights)))
        start, moved = self.begin(weights)
        first, *rest = self._given(start, weights, strength)
        fine = self.shoot(first, moved, *rest, out, by)
        return (out, by) if fine and np.isfinite(out).all() and np.isfinite(by).all() else None

    def residuals(self, strength: float, scale: float) -> Residuals:
        """What `levenberg.descend` lowers at a strength of nudging: while the recording holds, the distance to what it holds to."""
        target = self.recorded[:: 2 * self.every] if strength > 0.0 else self.target

        def found(weights: Floats, deep: bool) -> tuple[Floats, Floats | None] | None:
            if deep:
                both = self.sensitive(weights, strength)
                return None if both is None else ((both[0] - target) / scale, both[1] / scale)
            v = self.voltage(weights, strength)
            return None if v is None else ((v - target) / scale, None)

        return found

    def _given(self, start: Floats, weights: Floats, strength: float) -> tuple[object, ...]:
        return (
            start,
            weights,
            self.constants,
            np.zeros(self.scratch),
            self.drive,
            self.recorded,
            strength,
            self.step,
            self.every,
            self.share,
        )


def held_course(recording: Recording, noise: float, times: Floats) -> Floats:
    """The recorded potential at times of a simulation: a cubic spline through the samples, smoothed if they are noisy."""
    v = recording.voltage
    samples = 2 * round(0.5 * WINDOW / (recording.time[1] - recording.time[0])) + 1
    if noise > QUIET and ORDER + 2 <= samples < len(v):
        v = savgol_filter(v, samples, ORDER)
    return np.asarray(CubicSpline(recording.time, v)(times))


@dataclass(frozen=True)
class Withdrawn:
    """What came of it: the last descent, its unit of residuals [mV], root mean square errors [mV] after each stage, evaluations of all."""

    descent: Descent
    scale: float
    errors: tuple[float, ...]
    evaluations: int


def withdraw(
    shooting: Shooting,
    start: Floats,
    *,
    floor: float,
    noise: float = 0.0,
    stages: tuple[Stage, ...] = STAGES,
    told: Callable[[int, int, float], None] | None = None,
) -> Withdrawn | None:
    """Fit weights stage by stage; None where the start itself comes to no end.

    Parameters
    ----------
    shooting : the simulation and what it is to follow.
    start : weights.
    floor : smallest unit of residuals [mV] where there is less noise.
    noise : standard deviation [mV]; with it weights are as normally distributed, by `PRIOR`, as the residuals are.
    stages : strengths, each with a number of evaluations.
    told : called after each stage with its number, how many there are, and the error [mV].
    """
    weights, errors, used = start, [], 0
    last: Descent | None = None
    unit = 1.0
    for k, stage in enumerate(stages):
        left = noise / (1.0 + stage.strength * MEMORY)
        scale = max(stage.unit / (1.0 + stage.strength), floor, left)
        ridge = max(RIDGE, (left / scale / PRIOR) ** 2)
        found = descend(shooting.residuals(stage.strength, scale), weights, stage.evaluations, ridge=ridge)
        if found is None:
            if last is None:
                return None
            continue
        last, unit, weights, used = found, scale, found.weights, used + found.evaluations
        errors.append(scale * float(np.sqrt(np.mean(found.residuals**2))))
        if told is not None:
            told(k + 1, len(stages), errors[-1])
    assert last is not None
    return Withdrawn(last, unit, tuple(errors), used)
