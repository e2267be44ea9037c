"""Training samples: what the network sees at each sample of a trace, and the rates that it should return."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...mesh import Floats
from .clamping import Clamped
from .gatings import Gating
from .transients import rate_of_change

LOWEST, HIGHEST = -20.0, 10.0
"""Bounds of ln(rate in 1/ms): from once in days to far below any step."""


@dataclass(frozen=True)
class Traces:
    """Responses in the form of a gate's inputs and truths, each (traces, samples) or (traces, samples, columns).

    Attributes
    ----------
    time : (samples,) [ms]
    states : gate values; P is the product of gate^power
    inputs, rates : ports and their rates of change
    log_alpha, log_beta : logarithms of the rates [1/ms] of every gate
    share : for every gate, the opening flux as a fraction of opening + closing
    """

    time: Floats
    states: Floats
    inputs: Floats
    rates: Floats
    log_alpha: Floats
    log_beta: Floats
    share: Floats
    powers: tuple[int, ...]

    @property
    def pace(self) -> float:
        """Samples per 0.05 ms turned around: makes weights of slow channels, sampled coarsely, comparable with those of fast ones."""
        return float(self.dt / 0.05)

    @property
    def dt(self) -> float:
        """Interval of the samples [ms]."""
        return float(self.time[1] - self.time[0])

    @property
    def open_probability(self) -> Floats:
        """(traces, samples)."""
        return self.product(self.states)

    def product(self, states: Floats) -> Floats:
        """Open probability of gates (..., gates)."""
        found: Floats = np.ones(states.shape[:-1])
        for i, power in enumerate(self.powers):
            found = found * states[..., i] ** power
        return found

    def columns(self) -> Floats:
        """All samples as rows (samples, columns) in the order of the network's arguments: states, inputs, rates of change."""
        whole = np.concatenate([self.states, self.inputs, self.rates], axis=2)
        return np.asarray(whole.reshape(-1, whole.shape[2]))

    def slope(self) -> Floats:
        """Time derivatives of the gates [1/ms], (traces, samples, gates)."""
        return np.asarray(np.exp(self.log_alpha) * (1.0 - self.states) - np.exp(self.log_beta) * self.states)

    def draw_weights(self) -> Floats:
        """Weight of every sample in the draw of a batch: relative change per ms, so that the brief openings are not drowned by rest."""
        opening = [i for i, power in enumerate(self.powers) if power]
        relative = np.abs(self.slope()) / (self.states + 0.01)
        return np.asarray(np.minimum(relative[..., opening].max(axis=2).ravel() * self.pace, 2.0) + 0.01)


def digest(data: Sequence[Traces]) -> str:
    """sha256 of the inputs and truths of several sets."""
    arrays = (a for t in data for a in (t.time, t.states, t.inputs, t.log_alpha, t.log_beta))
    return hashlib.sha256(b"".join(np.ascontiguousarray(a, "<f8").tobytes() for a in arrays)).hexdigest()


def make_traces(response: Clamped, *, power: int = 1, latent: Sequence[str] = (), gating: Gating | None = None) -> Traces:
    """Turn a channel's response into inputs and truths of a gate.

    Parameters
    ----------
    response : of `clamp` or `Design.respond`.
    power : P = gate^power; 3 for a channel of three like subunits, whose gate spans fewer decades than P.
    latent : states of the channel that become further states of the network; the channel has to declare `gains` and `losses`.
    gating : gates that the response was recorded with, instead of `power` and `latent`.

    Raises
    ------
    InputError
        If a latent state is unknown or not told apart into gains and losses.
    """
    for name in latent:
        if name not in response.gains:
            known = ", ".join(response.gains) or "none: the channel declares no gains(y, x, p) and losses(y, x, p)"
            raise InputError("latent", f"'{name}' cannot be a latent state of a network on {response.channel}; possible are {known}")
    if gating is not None:
        powers = tuple(gating.powers.values())
        values = [np.clip(response.states[n], 1e-9, 1.0 - 1e-9) for n in gating.powers]
        gains, losses = list(response.gains.values()), list(response.losses.values())
    else:
        powers = (power, *(0 for _ in latent))
        gate = np.clip(response.open_probability, 1e-9, 1.0 - 1e-9) ** (1.0 / power)
        scale = power * gate ** (power - 1)
        values = [gate, *(np.clip(response.states[n], 1e-9, 1.0 - 1e-9) for n in latent)]
        gains = [response.opening / scale, *(response.gains[n] for n in latent)]
        losses = [response.closing / scale, *(response.losses[n] for n in latent)]
    states, gain, loss = (np.stack(list(a), axis=2) for a in (values, gains, losses))
    inputs = np.stack(list(response.ports.values()), axis=2)
    rates = np.stack([rate_of_change(u, response.dt) for u in response.ports.values()], axis=2)
    lowest = np.exp(LOWEST)
    log_alpha = np.clip(np.log(np.maximum(gain / (1.0 - states), lowest)), LOWEST, HIGHEST)
    log_beta = np.clip(np.log(np.maximum(loss / states, lowest)), LOWEST, HIGHEST)
    share = np.clip(gain / np.maximum(gain + loss, 1e-300), 0.0, 1.0)
    return Traces(response.time, states, inputs, rates, log_alpha, log_beta, share, powers)
