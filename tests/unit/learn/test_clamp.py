"""Channels from voltage-clamp currents: a known one from a noisy recording, where it was not recorded too; what is no recording."""

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.errors import InputError

REVERSAL, LARGEST, NOISE = -88.0, 0.04, 0.005


def steady(v):
    return 1.0 / (1.0 + np.exp(-(v + 10.0) / 9.0))


def slow(v):
    return 20.0 + 180.0 / (1.0 + np.exp((v + 10.0) / 12.0))


def current(time, v):
    """Of one gate, by exact steps of 0.5 ms at the command [nA]."""
    y, out = steady(v[0]), []
    for a in v:
        y = steady(a) + (y - steady(a)) * np.exp(-0.5 / slow(a))
        out.append(LARGEST * y * (a - REVERSAL))
    return np.array(out)


def commands():
    """A sum of three sines to fit, and steps to predict."""
    time = 0.5 * np.arange(8000)
    sines = -30.0 + sum(a * np.sin(w * time) for a, w in ((54.0, 0.007), (26.0, 0.037), (10.0, 0.19)))
    steps = np.where(time % 1000 < 500, -80.0, -40.0 + 20.0 * (time // 1000))
    return time, sines, steps


def test_one_gate_is_found_from_a_noisy_recording_and_predicts_steps():
    time, sines, steps = commands()
    recorded = current(time, sines) + NOISE * np.random.default_rng(3).standard_normal(len(time))
    fit = cs.learn.fit_clamp((time, sines, recorded), [cs.learn.ClampGate("n")], e_rev=REVERSAL, rng=0)
    right = current(time, sines)
    assert np.abs(fit.predict(time, sines) - right).mean() < 0.01 * np.abs(right).mean()
    predicted, right = fit.predict(time, steps), current(time, steps)
    assert np.sqrt(np.mean((predicted - right) ** 2)) < 0.03 * np.sqrt(np.mean(right**2))


def test_what_is_no_recording_is_told():
    time, sines, _ = commands()
    with pytest.raises(InputError):
        cs.learn.fit_clamp((time, sines, sines[:-1]), e_rev=REVERSAL)
    with pytest.raises(InputError):
        cs.learn.fit_clamp((time[::-1], sines, sines), e_rev=REVERSAL)
    with pytest.raises(InputError):
        cs.learn.fit_clamp("nothing.nc", e_rev=REVERSAL)
