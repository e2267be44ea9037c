"""Fitted gates as a torch module: exponentials, one hidden layer of fixed places for the corrections, and slow parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ...mesh import Floats
from .curves import FEW, LOGS, SCALE, SOFT, Layout, moved


class Gates(torch.nn.Module):
    """``forward(x)``, or ``forward(s, x)`` where a gate has a slow part, returns steady values and time constants [ms].

    A gate with a slow part s, whose share is w, is the state y = (1 - w) fast + w slow. It obeys ``tau dy/dt = goal - y`` with the fast
    time constant and ``goal = x_inf (1 - w k) + w k s``, where ``k = 1 - tau / tau_slow``: between 0 and 1, whatever s is.
    """

    places: torch.Tensor
    bias: torch.Tensor
    slope: torch.Tensor
    share: torch.Tensor

    def __init__(self, layout: Layout, p: Floats) -> None:
        super().__init__()
        if not layout.bumps:
            layout, p = replace(layout, bumps=2), moved(p, layout, replace(layout, bumps=2), ())
        gates, edges = layout.gates, layout.edges
        self.centre, self.scale, self.width = layout.middle, 1.0 / SCALE, float(SOFT * (edges[1] - edges[0]))
        self.low, self.high = LOGS
        zero = np.logaddexp(0.0, (layout.middle - edges) / self.width)
        rise, drop, bias, slope, share = [], [], [], [], []
        for k, gate in enumerate(gates):
            q, (steep, slow) = p[layout.part(k)], layout.weights(k)
            sign, more = (1.0 if gate.opens else -1.0), np.exp(q[1])
            ramps = _differences(sign * more * np.expm1(p[steep])) * self.width / SCALE
            rise.append(ramps)
            drop.append(_differences(p[slow]))
            later = q[FEW : FEW + 2] if gate.slow else np.zeros(2)
            bias.append([sign * q[0] - ramps @ zero, q[2] + np.log(2.0), later[0]])
            slope.append([sign * more, q[3], later[1]])
            share.append(layout.share(q, k))
        self.register_buffer("places", torch.tensor(edges))
        for name, rows in (("bias", np.transpose(bias)), ("slope", np.transpose(slope)), ("share", np.array(share))):
            self.register_buffer(name, torch.tensor(rows))
        self.rise, self.drop = _linear(np.array(rise)), _linear(np.array(drop))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Steady values and time constants."""
        steady, logs, _ = self._curves(x)
        return steady, torch.exp(torch.clamp(logs, self.low, self.high))

    def _curves(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        u, z = (x - self.centre) * self.scale, (x - self.places) / self.width
        d = self.bias[0] + self.slope[0] * u + self.rise(torch.nn.functional.softplus(z))
        logs = self.bias[1] + self.slope[1] * u + self.drop(torch.sigmoid(z))
        logs = logs - 0.5 * d - torch.nn.functional.softplus(-d)
        return torch.sigmoid(d), logs, self.bias[2] + self.slope[2] * u


class Slow(Gates):
    """The same where a gate has a slow part."""

    def __init__(self, layout: Layout, p: Floats) -> None:
        super().__init__(layout, p)
        gates = layout.gates
        chosen = np.eye(len(gates))[[k for k, g in enumerate(gates) if g.slow]]
        self.pick = _linear(chosen)
        self.place = _linear(np.concatenate([np.zeros((len(gates), len(gates))), chosen.T], axis=1))

    def forward(self, s: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        """Steady values and time constants."""
        steady, logs, later = self._curves(x)
        part = self.share * torch.sigmoid(later)
        goal = steady * (1.0 - part) + part * self.place(s)
        slow = logs + torch.nn.functional.softplus(later)
        both = torch.cat((logs, self.pick(slow)), dim=1)
        return torch.cat((goal, self.pick(steady)), dim=1), torch.exp(torch.clamp(both, self.low, self.high))


def module_of(layout: Layout, p: Floats) -> Gates:
    """The module of gates with parameters, with states among its arguments only where a gate needs them."""
    return Slow(layout, p) if any(g.slow for g in layout.gates) else Gates(layout, p)


def _differences(values: Floats) -> Floats:
    """Weights of features whose neighbours' differences have these weights."""
    return np.append(values, 0.0) - np.append(0.0, values)


def _linear(weight: Floats) -> torch.nn.Linear:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
    layer.weight.data = torch.tensor(weight)
    return layer
