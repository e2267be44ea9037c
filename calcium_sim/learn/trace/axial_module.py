"""The axial current of `axial` as a torch module, for channel files."""

from __future__ import annotations

import torch


class AxialCurrent(torch.nn.Module):
    """``forward(s, x)`` with latents `s` and the potential [mV] in column 0 of `x` returns the flux and the slopes of the latents."""

    conductance: torch.Tensor
    tau: torch.Tensor

    def __init__(self, parts: list[torch.Tensor], conductance: torch.Tensor, tau: torch.Tensor, rest: float, factor: float) -> None:
        super().__init__()
        self.first, self.second, self.third = (_linear(parts[k], parts[k + 1]) for k in (0, 2, 4))
        self.register_buffer("conductance", conductance)
        self.register_buffer("tau", tau)
        self.rest, self.factor = rest, factor

    def forward(self, s: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Flux and slopes."""
        u = (x - self.rest) / 50.0
        y = self.third(torch.tanh(self.second(torch.tanh(self.first(torch.cat([u, s], dim=1))))))
        current = torch.sum(50.0 * self.conductance * (u - s), dim=1, keepdim=True) + 10.0 * y[:, :1]
        return self.factor * current, (u - s) / self.tau + 0.2 * y[:, 1:]


def _linear(weight: torch.Tensor, bias: torch.Tensor) -> torch.nn.Linear:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    layer.weight.data, layer.bias.data = weight.clone(), bias.clone()
    return layer
