"""What is known of a channel apart from its kinetics, asked of its functions: powers, conductance, reversal potential."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from ...errors import InputError
from ...mesh import Floats
from ...plugin.contract import evaluate
from .cell import Part

HIGHEST = 8
"""Largest power of a gate that is tried."""
CLOSE = 1e-9
"""How far a current may lie off g P (v - e), relative to the largest."""
SEEN = (-83.0, -51.0, -17.0, 23.0)
"""Potentials [mV] at which this is asked."""


@dataclass(frozen=True)
class Ohmic:
    """``g`` [mS/cm^2] times the product of the gates to their `powers`, times v less ``e`` [mV]."""

    g: float
    e: float
    powers: tuple[int, ...]


def ohmic(part: Part) -> Ohmic:
    """The law of a channel's current.

    Raises
    ------
    InputError
        If its current is not a conductance times powers of its gates times a driving force.
    """

    def current(y: Sequence[float], v: float) -> float:
        return _asked(part, "flux", y, v)[0] * part.outward

    ones = [1.0] * len(part.states)
    slope, offset = np.polyfit(SEEN, [current(ones, v) for v in SEEN], 1)
    told = f"the current of '{part.name}' is not g times powers of its gates times (v - e)"
    wrong = InputError("export", f"{told} (write a Channel of your own, with its flux and a TorchGate)")
    if slope <= 0.0:
        raise wrong
    g, e, powers = 100.0 * slope, -offset / slope, []
    for k in range(len(ones)):
        half = current([0.5 if i == k else 1.0 for i in range(len(ones))], SEEN[0]) / current(ones, SEEN[0])
        powers.append(round(-np.log2(half)) if 0.5**HIGHEST <= half <= 1.0 else -1)
    random = np.random.default_rng(0)
    for v in SEEN:
        y = random.uniform(0.1, 0.9, len(ones))
        made = slope * float(np.prod(y ** np.array(powers))) * (v - e)
        if min(powers) < 0 or abs(current(y.tolist(), v) - made) > CLOSE * slope * 200.0:
            raise wrong
    return Ohmic(float(f"{g:.12g}"), float(f"{e:.12g}"), tuple(powers))


def gates_of(part: Part, v: Floats) -> tuple[Floats, Floats]:
    """Steady values and time constants [ms] of a channel's states by its own functions, (states, potentials).

    Raises
    ------
    InputError
        If its states do not each relax by themselves.
    """
    n, random = len(part.states), np.random.default_rng(0)
    steady, slow = np.zeros((n, len(v))), np.zeros((n, len(v)))
    for i, at in enumerate(v):
        low, high = np.array(_asked(part, "rates", [0.0] * n, at)), np.array(_asked(part, "rates", [1.0] * n, at))
        some = random.uniform(0.0, 1.0, n)
        found = np.array(_asked(part, "rates", some.tolist(), at))
        alone = np.abs(found - low - (high - low) * some).max() <= 1e-9 * np.abs(high - low).max()
        if not alone or not (high < low).all():
            raise InputError("gates", f"the states of '{part.name}' do not each relax by themselves at {at:g} mV")
        slow[:, i] = 1.0 / (low - high)
        steady[:, i] = low * slow[:, i]
    return steady, slow


def _asked(part: Part, which: str, y: Sequence[float], v: float) -> tuple[float, ...]:
    """What a function of a channel returns at these states and this potential."""
    cls, channel = part.gauge.spec.cls, part.gauge.channel
    states, parameters = SimpleNamespace(**dict(zip(part.states, y, strict=True))), SimpleNamespace(**channel.values)
    ports = SimpleNamespace(**{n: v if p is None else part.constants[p] for n, p in zip(cls.reads, part.ports, strict=True)})
    found = evaluate(cls, which, states, ports, parameters)
    return tuple(found) if isinstance(found, (tuple, list)) else (float(found),)
