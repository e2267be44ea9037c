"""The training loop: Adam with a one-cycle rate on weighted batches, early stopping on the rolled-out open probability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...mesh import Floats
from ..data.samples import Traces
from .rollout import rollout_errors

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int, float], None]
"""Called with (step, steps, roll-out error of the validation traces) at every check."""

HUBER = 0.5
FLOOR = 0.05
"""Least weight of a rate that carries little flux: it will matter elsewhere on the wave."""

SLACK = 1.1
"""The last weights within this factor of the best roll-out are kept: late steps settle the rates at the wave's front, which hardly weigh
in the error of the open probability but decide whether a wave runs."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Parameters
    ----------
    steps : steps of Adam at most.
    batch : samples per step; a quarter of them is drawn evenly, the others where the open probability moves.
    rate : peak of the one-cycle learning rate.
    checks : how often the validation traces are rolled out.
    patience : checks in a row, all worse than the best by the factor `SLACK`, after which training stops.
    """

    steps: int = 10_000
    batch: int = 2048
    rate: float = 8e-3
    checks: int = 10
    patience: int = 6


@dataclass(frozen=True)
class History:
    """Validation error at every check, and the step whose weights were kept."""

    steps: tuple[int, ...]
    errors: tuple[float, ...]
    best: int
    loss: tuple[float, ...]


def prepare(module: Any, traces: Traces, gain: list[float]) -> None:
    """Set the network's scaling to the training inputs and its output bias to the mean target."""
    import torch

    with torch.no_grad():
        module.gain.copy_(torch.tensor(gain))
        columns = torch.from_numpy(traces.columns()[::7].astype(np.float32))
        raw = module.scaled(columns)
        module.mean.copy_(raw.mean(0))
        module.scale.copy_(torch.clamp(raw.std(0), min=1e-3))
        targets = np.concatenate([traces.log_alpha, traces.log_beta], axis=2).reshape(-1, 2 * traces.states.shape[2])
        if targets.shape[1] == module.linears[-1].bias.shape[0]:
            module.linears[-1].bias.copy_(torch.from_numpy(targets.mean(0)))


def train(
    module: Any, data: list[Traces], shares: list[float], check: Traces, seed: int, schedule: Schedule, progress: Progress | None
) -> History:
    """Train in place and leave the last weights whose roll-out was as good as the best (within `SLACK`).

    Parameters
    ----------
    module : `networks.RateNetwork` or `networks.SlopeNetwork`, prepared.
    data, shares : training traces in several sets, and the fraction of the weighted draws that each set gets.
    check : validation traces.
    """
    import torch

    columns, targets, weights, draw = _tensors(module, data, shares)
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.Adam(module.parameters(), lr=schedule.rate, fused=True)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=schedule.rate, total_steps=schedule.steps)
    every = max(1, schedule.steps // schedule.checks)
    steps, errors, losses, best, kept = [], [], [], np.inf, None
    running = 0.0
    for step in range(1, schedule.steps + 1):
        drawn = np.searchsorted(draw, rng.random(schedule.batch - schedule.batch // 4) * draw[-1])
        index = torch.from_numpy(np.concatenate([drawn, rng.integers(0, len(draw), schedule.batch // 4)]))
        found = module.outputs(module.scaled(columns[index]))
        loss = _loss(found, targets[index], weights[index])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        cycle.step()
        running += (float(loss.detach()) - running) / min(step, 200)
        if step % every == 0 or step == schedule.steps:
            error = float(rollout_errors(module, check)[1].mean())
            module.train()
            steps.append(step)
            errors.append(error)
            losses.append(running)
            if progress is not None:
                progress(step, schedule.steps, error)
            best = min(best, error)
            if error <= SLACK * best:
                kept = (step, {k: v.detach().clone() for k, v in module.state_dict().items()})
            elif kept is not None and (step - kept[0]) // every >= schedule.patience:
                break
    assert kept is not None
    module.load_state_dict(kept[1])
    module.eval()
    return History(tuple(steps), tuple(errors), kept[0], tuple(losses))


def _loss(found: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    from torch.nn.functional import huber_loss

    return (weights * huber_loss(found, targets, delta=HUBER, reduction="none")).sum(1).mean()


def _tensors(module: Any, data: list[Traces], shares: list[float]) -> tuple[Any, Any, Any, Floats]:
    """Inputs, targets and weights of all samples, and the running sum of their weights in a draw."""
    import torch

    columns = np.concatenate([t.columns() for t in data])
    if type(module).__name__ == "SlopeNetwork":
        targets = np.concatenate([t.slope()[..., :1].reshape(-1, 1) for t in data])
        weights = np.ones_like(targets)
    else:
        k = 2 * data[0].states.shape[2]
        targets = np.concatenate([np.concatenate([t.log_alpha, t.log_beta], axis=2).reshape(-1, k) for t in data])
        weights = np.concatenate([np.concatenate([t.share, 1.0 - t.share], axis=2).reshape(-1, k) for t in data]) + FLOOR
    weighted = [t.draw_weights() for t in data]
    draw = np.cumsum(np.concatenate([share / w.sum() * w for share, w in zip(shares, weighted, strict=True)]))
    made = [torch.from_numpy(a.astype(np.float32)) for a in (columns, targets, weights)]
    return made[0], made[1], made[2], draw
