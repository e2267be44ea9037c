"""Fitted gates as a torch module: the networks of several gates side by side, as layers of blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ...mesh import Floats
from . import networks


class Gates(torch.nn.Module):
    """``forward(x)`` with the potential [mV] in column 0 returns steady values and time constants [ms], (rows, gates) each.

    Parameters
    ----------
    parameters : of the networks, one row per gate.
    steady, logs : lowest value and range of the steady values, mean and scale of the logarithms of time constants, per gate.
    span : potentials of the tables [mV].
    """

    low: torch.Tensor
    wide: torch.Tensor
    middle: torch.Tensor
    spread: torch.Tensor

    def __init__(self, parameters: Floats, steady: tuple[Floats, Floats], logs: tuple[Floats, Floats], span: tuple[float, float]) -> None:
        super().__init__()
        w1, b1, w2, b2, w3, b3 = networks.parts(parameters)
        n, wide = len(parameters), networks.WIDTH
        self.first = _linear(w1.reshape(n * wide, 1), b1.reshape(-1))
        self.second = _linear(_blocks(w2), b2.reshape(-1))
        self.steady = _linear(_blocks(w3[:, :1]), b3[:, 0])
        self.slow = _linear(_blocks(w3[:, 1:]), b3[:, 1])
        for name, values in zip(("low", "wide", "middle", "spread"), (*steady, *logs), strict=True):
            self.register_buffer(name, torch.tensor(values))
        self.centre, self.scale = 0.5 * (span[0] + span[1]), 1.0 / (networks.REACH * (span[1] - span[0]))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Steady values and time constants."""
        hidden = torch.tanh(self.second(torch.tanh(self.first((x - self.centre) * self.scale))))
        return self.low + self.wide * torch.sigmoid(self.steady(hidden)), torch.exp(self.middle + self.spread * self.slow(hidden))


def _blocks(weights: Any) -> Any:
    """Matrices of shape (gates, rows, columns) along the diagonal of one."""
    n, rows, columns = weights.shape
    out = np.zeros((n, rows, n, columns))
    out[np.arange(n), :, np.arange(n), :] = weights
    return out.reshape(n * rows, n * columns)


def _linear(weight: Any, bias: Any) -> torch.nn.Linear:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
    return layer
