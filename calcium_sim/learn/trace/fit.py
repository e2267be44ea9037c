"""Gates that nobody has measured, from one recording of the potential: networks within the equation of the cell, fitted through it.

Their weights are moved by Levenberg-Marquardt with the sensitivities of the simulation; the recording holds the simulation at first and is
then withdrawn (`nudging`). After Beck et al. (2026), arXiv:2606.16693, who train by gradient descent.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import InputError, shown, warn
from ...mesh import Floats
from ...model import Model
from ..voltage_gates import networks
from .cell import PointCell, point_cell, step_times
from .equations import SCRATCH, Equations, constants, equations
from .nudging import STAGES, Shooting, held_course, withdraw
from .recording import Recording, recording_of
from .result import TraceFit, own_weights, scaled, sigmoid

LONGEST = 0.025
"""Longest step of the simulation [ms]; of order 4, it is off by 0.001 mV at a spike."""
FLOOR = 0.3
"""Unit of residuals [mV] where there is less noise than that."""
GOOD = 0.1, 1.15
"""Another fit is as good as the best where its error is below this many mV, or this many times the noise or the error of the best."""
SLOWER = 0.0, 3.0, -1.5
"""Starts begin with time constants of about e, 55 and 0.6 ms, in turn: this much is added to the logarithm."""
BESIDE = 15.0
"""mV by which networks reach beyond the recorded potentials, at least to -100 and 60 mV."""
DOUBT = 5.0
"""mV by which the model may start off the recording without a word."""

Progress = Callable[[int, int, float], None]
"""Told the stage, the number of stages of all starts, and the error [mV]."""


def fit_trace(
    model: Model,
    recording: Any,
    unknown: str | Sequence[str],
    *,
    gates: Sequence[str] | None = None,
    start: str = "random",
    rng: int | np.random.Generator = 0,
    noise: float | None = None,
    restarts: int = 2,
    evaluations: float = 1.0,
    progress: Progress | None = None,
) -> TraceFit:
    """Recover gates of a channel from one current-clamp recording of the potential.

    Parameters
    ----------
    model : a cell without space whose potential is solved for (`Cable`), with all its channels: of the unknown one the conductance, the
        reversal potential and the powers of its gates are taken as they are, its kinetics are not looked at. Its electrodes inject what
        was injected. It starts at ``initial`` of the `Cable`, with gates at their equilibria there.
    recording : (times [ms], potentials [mV]), or with a third column of currents [pA] that takes the place of the electrodes; or a table,
        a result of `simulate`, a `Recording`. Times are those of the model.
    unknown : name or kind of the channel whose gates are looked for, or several.
    gates : names of its states that are; all by default.
    start : "random" weights, or those of the gates that the channel of the "model" has, for gates that are not quite right.
    rng : seed of the first weights, or a generator.
    noise : standard deviation of the noise [mV]; estimated from the recording by default. With a larger one the fit is content earlier:
        some mV for a real cell, of which the rest of the model is not exact.
    restarts : how many fits begin anew from other weights; the best is kept, and where others that are as good differ from it, the
        recording does not determine a gate.
    evaluations : factor on the number of simulations.
    progress : called with the stage, the number of stages and the error [mV].

    Returns
    -------
    TraceFit
        Call it with potentials for steady values and time constants; it tells where they are determined, draws, and writes channel files.

    Raises
    ------
    InputError
        If the model has space or no potential, the channel is not there or has no gates, or the recording is none.
    """
    begun = clock.process_time()
    names = (unknown,) if isinstance(unknown, str) else tuple(unknown)
    if not names:
        raise InputError("unknown", "is empty, expected the name of a channel of the model")
    cell, traced = point_cell(model, names, gates), recording_of(recording)
    sigma = traced.noise() if noise is None else _positive(noise, "noise", zero=True)
    many = _positive(evaluations, "evaluations")
    if not isinstance(restarts, int) or restarts < 0:
        raise InputError("restarts", f"{shown(restarts)}, expected a whole number of 0 or more")
    _check_start(cell, traced, sigma)
    if start not in ("random", "model"):
        raise InputError("start", f"{shown(start)}, expected 'random' or 'model'")
    span = min(-100.0, traced.voltage.min() - BESIDE), max(60.0, traced.voltage.max() + BESIDE)
    written = equations(cell.parts)
    shooting = _shooting(cell, written, traced, sigma, span)
    random, tries = np.random.default_rng(rng), []
    stages = tuple(replace(s, evaluations=max(2, round(many * s.evaluations))) for s in STAGES)
    whole = (1 + restarts) * len(stages)
    for k in range(1 + restarts):
        first = networks.starts(len(written.gates), random)
        first[:, -1] = SLOWER[k % len(SLOWER)]
        if k == 0 and start == "model":
            first = own_weights(cell.parts, span)
        found = withdraw(
            shooting, first.reshape(-1), floor=FLOOR, noise=sigma, stages=stages, told=_counted(progress, k * len(stages), whole)
        )
        tries.append(found)
    ended = [t for t in tries if t is not None]
    if not ended:
        raise InputError("model", "its potential leaves all bounds with every start (check units of conductances, capacitance and current)")
    best = min(ended, key=lambda t: t.descent.cost)
    voltage = shooting.voltage(best.descent.weights)
    assert voltage is not None
    count = sum(t.evaluations for t in ended)
    good = max(GOOD[0], GOOD[1] * sigma, GOOD[1] * best.errors[-1])
    others = np.array([t.descent.weights for t in ended if t is not best and t.errors[-1] <= good])
    finer = _shooting(cell, written, traced, sigma, span, 0.5 * LONGEST).voltage(best.descent.weights)
    off = np.inf if finer is None else float(np.sqrt(np.mean((finer - voltage) ** 2)))
    made = TraceFit.made(model, cell.parts, written, traced, best, voltage, span, sigma, others)
    return replace(made, step_error=off, evaluations=count, starts=len(tries), seconds=clock.process_time() - begun)


def _counted(progress: Progress | None, before: int, whole: int) -> Progress | None:
    """Progress over all starts."""
    return None if progress is None else lambda k, _, error: progress(before + k, whole, error)


@dataclass(frozen=True)
class _Begin:
    """Unknowns at the start: known states as the model starts, gates that are looked for at their equilibria."""

    base: Floats
    written: Equations
    u: Floats

    def __call__(self, weights: Floats) -> tuple[Floats, Floats]:
        start, moved, size = self.base.copy(), np.zeros((len(self.base), len(weights))), networks.SIZE
        for key, number in self.written.gates.items():
            row, part = self.written.rows[key], slice(number * size, (number + 1) * size)
            p = weights[None, part]
            y, first, second = networks.outputs(p, self.u)
            start[row] = x = float(sigmoid(y[0, 0, 0]))
            moved[row, part] = networks.jacobian(p, self.u, first, second, np.array([[[x * (1.0 - x), 1.0]]]))[0, 0]
        return start, moved


def _shooting(
    cell: PointCell, written: Equations, traced: Recording, sigma: float, span: tuple[float, float], longest: float = LONGEST
) -> Shooting:
    every, times = step_times(traced, longest)
    halves = np.linspace(times[0], times[-1], 2 * len(times) - 1)
    base = np.array([cell.start, *(x for part in cell.parts for x in part.start)])
    current = None if traced.current is None else (traced.time, traced.current)
    return Shooting(
        written.march,
        written.shoot,
        constants(cell.parts, span),
        SCRATCH,
        _Begin(base, written, scaled(np.array([cell.start]), span)),
        cell.drive(times, current),
        held_course(traced, sigma, halves),
        float(times[-1] - times[0]) / (len(times) - 1),
        every,
        traced.voltage,
    )


def _positive(given: Any, where: str, *, zero: bool = False) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = np.nan
    if not (number > 0.0 or (zero and number == 0.0)) or not np.isfinite(number):
        raise InputError(where, f"{shown(given)}, expected a number {'of 0 or more' if zero else 'above 0'}")
    return number


def _check_start(cell: PointCell, traced: Recording, sigma: float) -> None:
    first = float(np.median(traced.voltage[:5]))
    if abs(first - cell.start) > DOUBT + 3.0 * sigma:
        warn(f"recording: begins at {first:.4g} mV and the model at {cell.start:g} mV (give its Cable another initial=)")
