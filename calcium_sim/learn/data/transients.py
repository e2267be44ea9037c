"""Random calcium transients of physiological shape: what a membrane node may see before, during and after a wave."""

from __future__ import annotations

import numpy as np

from ...errors import InputError
from ...mesh import Floats


def transients(
    count: int,
    seed: int = 0,
    *,
    duration: float = 200.0,
    dt: float = 0.05,
    rest: float = 0.05,
    amplitude: tuple[float, float] = (0.08, 11.2),
    rise: tuple[float, float] = (0.1, 6.3),
    decay: tuple[float, float] = (2.0, 79.0),
    pulses: int = 3,
    ceiling: float = 14.0,
) -> tuple[Floats, Floats]:
    """Draw traces ``rest + sum A exp(-(t - t0)+ / td) / (1 + exp(-(t - t0)/tr))`` of 1 to `pulses` pulses each.

    The exponential foot matters: the front of a wave rises as exp(t/tau), tau = D/v^2 = 0.1 to 1 ms, and a channel opens there first.

    Parameters
    ----------
    count, seed : number of traces, and the seed that fixes them.
    duration, dt : length of a trace and interval of its samples [ms].
    rest, ceiling : concentration between pulses, and the largest one [uM].
    amplitude, rise, decay : ranges of A [uM], tr [ms] and td [ms], log-uniform. t0 is uniform from 2.5 to 70 % of the trace.
    pulses : the most pulses in a trace.

    Returns
    -------
    time : (samples,) [ms]
    traces : (count, samples) [uM]

    Raises
    ------
    InputError
        If a range is empty or not positive.
    """
    for name, (low, high) in {"amplitude": amplitude, "rise": rise, "decay": decay}.items():
        if not 0.0 < low <= high:
            raise InputError(f"transients.{name}", f"({low:g}, {high:g}), expected 0 < low <= high")
    if not (count >= 1 and pulses >= 1 and 0.0 < dt < duration):
        raise InputError(
            "transients", f"count {count}, pulses {pulses}, dt {dt:g}, duration {duration:g}: expected positive, dt < duration"
        )
    rng = np.random.default_rng(seed)
    time: Floats = np.arange(round(duration / dt) + 1, dtype=np.float64) * dt
    traces: Floats = np.full((count, time.size), rest)
    for trace in traces:
        for _ in range(rng.integers(1, pulses + 1)):
            a, tr, td = (np.exp(rng.uniform(*np.log(bounds))) for bounds in (amplitude, rise, decay))
            since = time - rng.uniform(0.025, 0.7) * duration
            foot = np.exp(-np.logaddexp(0.0, -since / tr))
            trace += a * np.exp(-np.maximum(since, 0.0) / td) * foot
    return time, np.minimum(traces, ceiling, out=traces)


def rate_of_change(traces: Floats, dt: float) -> Floats:
    """Backward difference [unit/ms] of (traces, samples), as a running simulation sees it; zero at the first sample."""
    rate = np.zeros_like(traces)
    rate[:, 1:] = np.diff(traces, axis=1) / dt
    return rate
