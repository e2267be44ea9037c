"""The network of a gate, many at once: two tanh layers of 8 from the potential to a steady value and the logarithm of a time constant.

All functions take parameters of shape (gates, `SIZE`), one row per gate: w1, b1, W2, b2, W3, b3, one behind the other.
"""

from __future__ import annotations

import numpy as np

from ...mesh import Floats

WIDTH = 8
REACH = 0.35
"""Distance from the middle of the potentials, as a part of their range, that is an input of 1: tables reach from -1.4 to 1.4."""
SIZE = WIDTH + WIDTH + WIDTH * WIDTH + WIDTH + 2 * WIDTH + 2
_CUTS = np.cumsum([WIDTH, WIDTH, WIDTH * WIDTH, WIDTH, 2 * WIDTH])


def starts(gates: int, random: np.random.Generator) -> Floats:
    """Random parameters from which fits begin: steep enough for the steps of channels, spread over the range."""
    scales = (2.5, 1.5, 1.2 / np.sqrt(WIDTH), 0.3, 0.5 / np.sqrt(WIDTH), 0.0)
    sizes = np.diff([0, *_CUTS, SIZE])
    return random.normal(size=(gates, SIZE)) * np.repeat(scales, sizes)


def parts(p: Floats) -> tuple[Floats, ...]:
    """Weights and biases of the three layers: (gates, 8), (gates, 8), (gates, 8, 8), (gates, 8), (gates, 2, 8), (gates, 2)."""
    w1, b1, w2, b2, w3, b3 = np.split(p, _CUTS, axis=1)
    return w1, b1, w2.reshape(-1, WIDTH, WIDTH), b2, w3.reshape(-1, 2, WIDTH), b3


def outputs(p: Floats, u: Floats) -> tuple[Floats, Floats, Floats]:
    """Outputs (gates, points, 2) at the inputs u (points,), and both hidden layers (gates, points, 8)."""
    w1, b1, w2, b2, w3, b3 = parts(p)
    first = np.tanh(u[None, :, None] * w1[:, None, :] + b1[:, None, :])
    second = np.tanh(first @ w2.transpose(0, 2, 1) + b2[:, None, :])
    return second @ w3.transpose(0, 2, 1) + b3[:, None, :], first, second


def jacobian(p: Floats, u: Floats, first: Floats, second: Floats, scale: Floats) -> Floats:
    """Derivatives (gates, 2 points, `SIZE`) of the scaled outputs, all points of one output behind those of the other.

    `scale` (gates, points, 2) is what the residuals make of a change of the outputs.
    """
    _, _, w2, _, w3, _ = parts(p)
    gates, points = first.shape[:2]
    out = np.zeros((gates, 2, points, SIZE))
    at = [0, *_CUTS, SIZE]
    for k in range(2):
        s = scale[:, :, k, None]
        back = w3[:, None, k, :] * (1.0 - second**2) * s
        deep = (back @ w2) * (1.0 - first**2)
        row = out[:, k]
        row[:, :, at[0] : at[1]] = deep * u[None, :, None]
        row[:, :, at[1] : at[2]] = deep
        row[:, :, at[2] : at[3]] = (back[:, :, :, None] * first[:, :, None, :]).reshape(gates, points, -1)
        row[:, :, at[3] : at[4]] = back
        row[:, :, at[4] + k * WIDTH : at[4] + (k + 1) * WIDTH] = second * s
        row[:, :, at[5] + k] = s[:, :, 0]
    return out.reshape(gates, 2 * points, SIZE)
