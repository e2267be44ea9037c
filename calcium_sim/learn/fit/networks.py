"""The networks as plain torch modules that TorchScript accepts. Imported only by functions that train, never at start."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn


class Perceptron(nn.Module):
    """Multilayer perceptron (tanh) with a linear skip from input to output, on inputs transformed and scaled inside.

    The skip carries power laws: the logarithm of a rate is often nearly linear in the logarithm of a concentration.
    """

    if TYPE_CHECKING:  # TorchScript would try to resolve them
        transforms: list[str]
        gain: Tensor
        mean: Tensor
        scale: Tensor

    def __init__(self, transforms: list[str], layers: list[int], skip: bool) -> None:
        super().__init__()
        self.transforms = transforms
        self.register_buffer("gain", torch.ones(layers[0]))
        self.register_buffer("mean", torch.zeros(layers[0]))
        self.register_buffer("scale", torch.ones(layers[0]))
        self.linears = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(layers)])
        self.skip = nn.Linear(layers[0], layers[-1], bias=False) if skip else None
        if self.skip is not None:
            nn.init.zeros_(self.skip.weight)
        with torch.no_grad():
            for weights in self.linears[-1].parameters():
                weights.mul_(0.3)

    def scaled(self, columns: Tensor) -> Tensor:
        """Transformed, z-scored inputs."""
        columns = columns * self.gain
        parts: list[Tensor] = []
        for i, kind in enumerate(self.transforms):
            c = columns[:, i : i + 1]
            if kind == "log10":
                c = torch.log10(c)
            elif kind == "asinh":
                c = torch.asinh(c)
            parts.append(c)
        return (torch.cat(parts, 1) - self.mean) / self.scale

    def outputs(self, z: Tensor) -> Tensor:
        """What the layers make of scaled inputs."""
        h = z
        last = len(self.linears) - 1
        for i, linear in enumerate(self.linears):
            h = linear(h)
            if i < last:
                h = torch.tanh(h)
        if self.skip is not None:
            h = h + self.skip(z)
        return h

    def arrays(self) -> dict[str, Any]:
        """Weights under the names of a weights file."""
        found = {name: getattr(self, name) for name in ("gain", "mean", "scale")}
        for i, linear in enumerate(self.linears):
            found[f"weight{i}"], found[f"bias{i}"] = linear.weight, linear.bias
        if self.skip is not None:
            found["skip"] = self.skip.weight
        return {name: t.detach().numpy().copy() for name, t in found.items()}


class RateNetwork(Perceptron):
    """Kind ``rates``: states, ports and their rates of change in; opening and closing rates [1/ms] of every state out."""

    def forward(self, s: Tensor, x: Tensor, dx: Tensor) -> tuple[Tensor, Tensor]:
        """Return alpha and beta, each [N, states]."""
        z = self.outputs(self.scaled(torch.cat([s, x, dx], 1)))
        rates = torch.exp(torch.clamp(z, -20.0, 10.0))
        k = s.shape[1]
        return rates[:, :k], rates[:, k:]


class SlopeNetwork(Perceptron):
    """Kind ``rhs``, the scalar law as published: (P, u, du/dt) in, dP/dt [1/ms] out."""

    def forward(self, s: Tensor, x: Tensor, dx: Tensor) -> Tensor:
        """Return ds/dt, [N, 1]."""
        return self.outputs(self.scaled(torch.cat([s, x, dx], 1)))


class PortNetwork(Perceptron):
    """Kind ``rates`` of ports alone: exact for a gate with two states, whose rates do not depend on the gate."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return alpha and beta, each [N, 1]."""
        rates = torch.exp(torch.clamp(self.outputs(self.scaled(x)), -20.0, 10.0))
        return rates[:, :1], rates[:, 1:]
