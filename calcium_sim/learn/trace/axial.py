"""The current that a cell draws from its soma, as a network with latent states: dendritic potentials, as it were.

With x = (v - rest)/50 mV, latents z and outputs y of a network of (x, z), dv/dt = ... - sum_k 50 g_k (x - z_k) - 10 y_0 and
dz_k/dt = (x - z_k)/tau_k + 0.2 y_k; g, tau and the share of the injected current that charges the compartment are fitted, too. In the
manner of Beck et al. (2026), arXiv:2606.16693, whose network has no passive part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...mesh import Floats
from ...plugin.ions import PER_MOLE
from .equations import Added

UNIT, CURRENT, SLOPE = 50.0, 10.0, 0.2
"""mV of the potentials, mV/ms of the current, 1/ms of the latents, per unit of the network."""
SHARE, CONDUCTANCE, SLOW = 0.3, (1.0, 0.2, 0.05, 0.01), (0.5, 8.0, 30.0, 100.0)
"""First share of the injected current; first conductances [1/ms] and time constants [ms] of the latents."""
FASTEST = 0.3
"""ms that every time constant is longer than: what is faster is part of the capacitance, and would want shorter steps."""
LAST = 0.02
"""Standard deviation of the first weights of the last layer, over what is usual."""


@dataclass(frozen=True)
class Axial:
    """The form of the network: latent states, width of its two layers, and where its weights stand among all.

    Behind those of the network come the logarithms of g, of tau, and of the share.
    """

    latents: int
    hidden: int

    @property
    def network(self) -> int:
        """Weights of the network."""
        inputs = outputs = 1 + self.latents
        return self.hidden * (inputs + 1) + self.hidden * (self.hidden + 1) + outputs * (self.hidden + 1)

    @property
    def size(self) -> int:
        """All weights."""
        return self.network + 2 * self.latents + 1

    @property
    def share(self) -> int:
        """Place of the logarithm of the share."""
        return self.size - 1

    def start(self, random: np.random.Generator) -> Floats:
        """First weights."""
        inputs = outputs = 1 + self.latents
        h = self.hidden
        scales = np.repeat(
            [1.0 / np.sqrt(inputs), 0.5, 1.0 / np.sqrt(h), 0.5, LAST / np.sqrt(h), 0.0],
            [h * inputs, h, h * h, h, outputs * h, outputs],
        )
        passive = [*np.log(CONDUCTANCE[: self.latents]), *np.log(SLOW[: self.latents]), np.log(SHARE)]
        return np.concatenate([random.normal(size=self.network) * scales, passive])

    def added(self, first: int, rest: int, memory: int) -> Added:
        """Lines of the equations: its states are from row `first` on; `rest` is the constant that is the resting potential."""
        n, h, at = 1 + self.latents, self.hidden, self.network
        cuts = [("afirst", h), ("asecond", h), ("adeep", h), ("aback", h), ("ax", n), ("ay", n), ("adx", n * n), ("adw", n * self.network)]
        head = []
        for name, length in cuts:
            head.append(f"{name} = b[{memory}:{memory + length}]")
            memory += length
        head.append(f"ax[0] = (s[0] - q[{rest}]) * {1.0 / UNIT!r}")
        head += [f"ax[{k + 1}] = s[{first + k}]" for k in range(self.latents)]
        head.append("outputs(w, 0, ax, afirst, asecond, ay)")
        lines = [f"f[0] -= {CURRENT!r} * ay[0]"]
        deep = [
            f"dx2, dw2 = adx.reshape({n}, {n}), adw.reshape({n}, {self.network})",
            f"slopes(w, 0, ax, afirst, asecond, {n}, adeep, aback, dx2, dw2)",
            f"j[0, 0] -= {CURRENT / UNIT!r} * dx2[0, 0]",
            f"for k in range({self.network}):",
            f"    g[0, k] = {-CURRENT!r} * dw2[0, k]",
        ]
        for k in range(self.latents):
            row, g, tau = first + k, at + k, at + self.latents + k
            lines += [
                f"flow{k} = exp(w[{g}]) * (ax[0] - ax[{k + 1}])",
                f"rate{k} = 1.0 / ({FASTEST!r} + exp(w[{tau}]))",
                f"f[0] -= {UNIT!r} * flow{k}",
            ]
            lines.append(f"f[{row}] = (ax[0] - ax[{k + 1}]) * rate{k} + {SLOPE!r} * ay[{k + 1}]")
            deep += [
                f"j[0, 0] -= exp(w[{g}])",
                f"j[0, {row}] = {UNIT!r} * exp(w[{g}]) - {CURRENT!r} * dx2[0, {k + 1}]",
                f"g[0, {g}] = {-UNIT!r} * flow{k}",
                f"j[{row}, 0] = (rate{k} + {SLOPE!r} * dx2[{k + 1}, 0]) * {1.0 / UNIT!r}",
                f"g[{row}, {tau}] = -(ax[0] - ax[{k + 1}]) * rate{k} * rate{k} * exp(w[{tau}])",
                f"for k in range({self.network}):",
                f"    g[{row}, k] = {SLOPE!r} * dw2[{k + 1}, k]",
            ]
            for other in range(self.latents):
                own = f" - rate{k}" if other == k else ""
                deep.append(f"j[{row}, {first + other}] = {SLOPE!r} * dx2[{k + 1}, {other + 1}]{own}")
        states = tuple(f"z{k + 1}" for k in range(self.latents))
        return Added(states, (*head, *lines), (*head, *lines, *deep))

    @property
    def scratch(self) -> int:
        """Numbers of scratch memory."""
        n = 1 + self.latents
        return 4 * self.hidden + 2 * n + n * n + n * self.network

    def module(self, weights: Floats, rest: float, capacitance: float) -> Any:
        """The network as a torch module of kind ``current``: flux [uM um/ms] of single charges outward, and slopes of the latents."""
        import torch

        from .axial_module import AxialCurrent

        parts, g, tau = self.taken(weights)
        return AxialCurrent([torch.tensor(p) for p in parts], torch.tensor(g), torch.tensor(tau), rest, capacitance / PER_MOLE)

    def taken(self, weights: Floats) -> tuple[list[Floats], Floats, Floats]:
        """Weights and biases of the three layers, conductances [1/ms] and time constants [ms] of the latents."""
        n, h, k, parts, at = 1 + self.latents, self.hidden, self.latents, [], 0
        for shape in ((h, n), (h,), (h, h), (h,), (n, h), (n,)):
            count = int(np.prod(shape))
            parts.append(weights[at : at + count].reshape(shape).copy())
            at += count
        return parts, np.exp(weights[at : at + k]), FASTEST + np.exp(weights[at + k : at + 2 * k])

    def text(self, weights: Floats, rest: float, capacitance: float, name: str, about: str) -> str:
        """The network as a channel class in Python: its current [pA/um^2] outward, and the slopes of the latents."""
        (w1, b1, w2, b2, w3, b3), g, tau = self.taken(weights)
        inputs = ["u", *(f"y.z{k + 1}" for k in range(self.latents))]
        first, second = ([f"{letter}{i}" for i in range(self.hidden)] for letter in "ab")
        body = [f"u = (x.v - {rest!r}) / {UNIT!r}"]
        body += [f"{a} = math.tanh({_line(b1[i], w1[i], inputs)})" for i, a in enumerate(first)]
        body += [f"{b} = math.tanh({_line(b2[i], w2[i], first)})" for i, b in enumerate(second)]
        slopes = [
            f"(u - y.z{k + 1}) / {float(tau[k])!r} + {SLOPE!r} * ({_line(b3[k + 1], w3[k + 1], second)})" for k in range(self.latents)
        ]
        flows = "".join(f"{float(UNIT * g[k])!r} * (u - y.z{k + 1}) + " for k in range(self.latents))
        current = f"{capacitance!r} * ({flows}{CURRENT!r} * ({_line(b3[0], w3[0], second)}))"
        states = ", ".join(f'"z{k + 1}": (0.0, {-WIDE!r}, {WIDE!r})' for k in range(self.latents))
        returned = f"return ({', '.join(slopes)},)", f"return {current}"
        rates, flux = ("".join(f"        {line}\n" for line in (*body, last)) for last in returned)
        return TEXT.format(name=name, about=about, states=states, rates=rates, flux=flux)


def _line(bias: float, weights: Floats, names: list[str]) -> str:
    return " + ".join([repr(float(bias)), *(f"{float(w)!r} * {n}" for w, n in zip(weights, names, strict=True))])


WIDE = 100.0
"""Bounds of the latents, in units of `UNIT`."""

TEXT = '''"""{about}"""

import math

import calcium_sim as cs


class {name}(cs.Channel):
    """The current that a cell draws from its soma: a network with latent states."""

    across, reads, moves, flux_unit = ("cytosol", "outside"), {{"v": "v"}}, {{}}, "pA/um^2"
    states = {{{states}}}
    source = "fitted by calcium_sim.learn.reduce"

    @staticmethod
    def rates(y, x, p):
{rates}
    @staticmethod
    def flux(y, x, p):
{flux}'''
