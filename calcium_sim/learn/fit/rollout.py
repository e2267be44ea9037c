"""Rolls out a network with its own states fed back, as a running simulation does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...kernels.relax import formulas
from ...mesh import Floats
from ..data.samples import Traces

if TYPE_CHECKING:
    import torch

SUBSTEPS = 8
"""Explicit sub-steps per sample of a network that returns dP/dt."""


def roll_out(module: torch.nn.Module, traces: Traces) -> Floats:
    """States of a network over traces, (traces, samples, states), from the true states at the first sample.

    A network of rates is advanced exactly for rates frozen over a sample; one that returns dP/dt by `SUBSTEPS` explicit steps that are
    cut off at 0 and 1.
    """
    import torch

    inputs, rates = (torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in (traces.inputs, traces.rates))
    out = np.empty_like(traces.states)
    s = torch.from_numpy(np.ascontiguousarray(traces.states[:, 0], np.float32))
    out[:, 0] = traces.states[:, 0]
    module.eval()
    with torch.inference_mode():
        for k in range(1, out.shape[1]):
            s = _step(module, s, inputs[:, k].contiguous(), rates[:, k].contiguous(), traces.dt)
            out[:, k] = s.numpy()
    return out


def _step(module: torch.nn.Module, s: Any, x: Any, dx: Any, dt: float) -> Any:
    import torch

    answer = module(s, x, dx)
    if isinstance(answer, tuple):
        relax = formulas(torch.expm1, lambda x, low: torch.clamp(x, min=low))[1]
        return relax(s, answer[0], answer[1], dt)
    for j in range(SUBSTEPS):
        if j:
            answer = module(s, x, dx)
        s = torch.clamp(s + dt / SUBSTEPS * answer, 0.0, 1.0)
    return s


def rollout_errors(module: torch.nn.Module, traces: Traces) -> tuple[Floats, Floats]:
    """Open probability rolled out (traces, samples), and its root-mean-square error over each trace (traces,)."""
    p = traces.product(roll_out(module, traces))
    return p, np.sqrt(np.mean((p - traces.open_probability) ** 2, axis=1))


def summary(p: Floats, errors: Floats) -> dict[str, float]:
    """The figures of a card: error of the rolled-out open probability (median, 90 % and largest over traces), and its range."""
    return {
        "rollout_rmse_median": float(f"{np.median(errors):.3g}"),
        "rollout_rmse_90": float(f"{np.quantile(errors, 0.9):.3g}"),
        "rollout_rmse_max": float(f"{errors.max():.3g}"),
        "lowest": float(f"{p.min():.3g}"),
        "highest": float(f"{p.max():.3g}"),
    }
