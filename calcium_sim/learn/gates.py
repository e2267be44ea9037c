"""Fits the rates of a gate with two states, such as those of Na, K and Ca channels, to the precision of single numbers.

With two states the open fraction obeys dy/dt = alpha (1 - y) - beta y exactly, so the architecture of the open-probability networks (tanh
layers and a linear skip to the logarithms of the rates) has only two functions of one port to learn. Levenberg-Marquardt in double
precision finds them to a few units of the last place of a float32.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import InputError
from ..mesh import Floats

Rates = Callable[[Floats], tuple[Floats, Floats]]
"""Function of the potential [mV] (or another port) that returns opening and closing rate [1/ms]."""


@dataclass(frozen=True)
class GateFit:
    """A fitted gate.

    Attributes
    ----------
    module : torch module, ``forward(x) -> alpha, beta``, float64.
    low, high : trained range of the port.
    errors : on points between the trained ones: ``xinf`` largest absolute, ``tau`` largest relative error, ``rollout`` largest error of the
        gate over a random course of the port.
    evaluations : of the network and its derivatives.
    seconds : CPU time.
    """

    module: Any
    low: float
    high: float
    errors: dict[str, float]
    evaluations: int
    seconds: float


def fit_gate(
    rates: Rates,
    low: float = -100.0,
    high: float = 60.0,
    *,
    hidden: Sequence[int] = (16, 16),
    points: int = 240,
    seed: int = 0,
    evaluations: int = 1500,
    goal: float = 2e-8,
) -> GateFit:
    """Fit a network to the rates of a two-state gate.

    Parameters
    ----------
    rates : opening and closing rate [1/ms] as functions of the port, arrays in and out; positive and finite on the whole range.
    low, high : range of the port (mV for a potential).
    hidden : widths of the tanh layers.
    points : number of Chebyshev points fitted.
    seed : of the first weights.
    evaluations : the most that are spent.
    goal : root-mean-square error of the logarithms of the rates at which the fit stops.

    Returns
    -------
    GateFit

    Raises
    ------
    InputError
        If the range is empty or a rate is not positive and finite there.
    """
    if not low < high:
        raise InputError("fit_gate", f"range {low:g} to {high:g} is empty")
    began = clock.process_time()
    x = 0.5 * (low + high) - 0.5 * (high - low) * np.cos(np.pi * (np.arange(points) + 0.5) / points)
    targets = np.log(np.stack(_checked(rates, x), axis=1))
    mean, scale = 0.5 * (low + high), (high - low) / 4.0
    z = ((x - mean) / scale)[:, None]
    net = _Net([1, *hidden, 2])
    w = net.start(seed, z, targets)
    w, used = _levenberg(net, w, z, targets, evaluations, goal)
    module = _module(net, w, mean, scale)
    errors = _errors(module, rates, low, high, seed)
    return GateFit(module, low, high, errors, used, clock.process_time() - began)


def _checked(rates: Rates, x: Floats) -> tuple[Floats, Floats]:
    alpha, beta = (np.broadcast_to(np.asarray(r, float), x.shape) for r in rates(x))
    for name, r in (("opening", alpha), ("closing", beta)):
        if not (np.isfinite(r).all() and (r > 0.0).all()):
            bad = x[~(np.isfinite(r) & (r > 0.0))][0]
            raise InputError("fit_gate", f"the {name} rate is not positive and finite at {bad:g} (narrow the range)")
    return alpha, beta


class _Net:
    """tanh layers with a linear skip, on one flat vector of weights, with derivatives by back-propagation."""

    def __init__(self, layers: list[int]) -> None:
        self.layers = layers
        self.shapes = [(b, a) for a, b in pairwise(layers)]
        self.size = sum(b * a + b for b, a in self.shapes) + layers[-1] * layers[0]

    def unpack(self, w: Floats) -> tuple[list[tuple[Floats, Floats]], Floats]:
        """Weights and biases of the layers, and the skip."""
        pairs, at = [], 0
        for b, a in self.shapes:
            pairs.append((w[at : at + b * a].reshape(b, a), w[at + b * a : at + b * a + b]))
            at += b * a + b
        return pairs, w[at:].reshape(self.layers[-1], self.layers[0])

    def start(self, seed: int, z: Floats, targets: Floats) -> Floats:
        """Random layers; output bias and skip by linear regression of the targets."""
        rng = np.random.default_rng(seed)
        w = np.zeros(self.size)
        pairs, skip = self.unpack(w)
        for k, (weight, bias) in enumerate(pairs):
            last = k == len(pairs) - 1
            weight[:] = rng.normal(0.0, (0.3 if last else 1.0) / np.sqrt(weight.shape[1]), weight.shape)
            bias[:] = 0.0 if last else rng.uniform(-1.5, 1.5, bias.shape)
        line = np.linalg.lstsq(np.c_[np.ones(len(z)), z], targets, rcond=None)[0]
        pairs[-1][1][:], skip[:] = line[0], line[1:].T
        return w

    def evaluate(self, w: Floats, z: Floats) -> tuple[Floats, list[Floats]]:
        """Outputs (points, outputs), and the activations of every layer."""
        pairs, skip = self.unpack(w)
        layers = [z]
        for weight, bias in pairs[:-1]:
            layers.append(np.tanh(layers[-1] @ weight.T + bias))
        return layers[-1] @ pairs[-1][0].T + pairs[-1][1] + z @ skip.T, layers

    def jacobian(self, w: Floats, layers: list[Floats]) -> Floats:
        """Derivatives of the outputs by all weights, (points x outputs, weights)."""
        pairs, _ = self.unpack(w)
        n, outputs = len(layers[0]), self.layers[-1]
        j = np.zeros((n, outputs, self.size))
        for o in range(outputs):
            back = np.zeros((n, outputs))
            back[:, o] = 1.0
            at = self.size - outputs * self.layers[0]
            j[:, o, at:] = (back[:, :, None] * layers[0][:, None, :]).reshape(n, -1)
            for k in range(len(pairs) - 1, -1, -1):
                b, a = self.shapes[k]
                at -= b * a + b
                j[:, o, at : at + b * a] = (back[:, :, None] * layers[k][:, None, :]).reshape(n, -1)
                j[:, o, at + b * a : at + b * a + b] = back
                if k:
                    back = (back @ pairs[k][0]) * (1.0 - layers[k] ** 2)
        return j.reshape(n * outputs, self.size)


def _levenberg(net: _Net, w: Floats, z: Floats, targets: Floats, evaluations: int, goal: float) -> tuple[Floats, int]:
    """Levenberg-Marquardt on the residuals; the damped equations are solved by least squares, not by the squared matrix."""
    found, layers = net.evaluate(w, z)
    r = (found - targets).ravel()
    damping, used = 1e-2, 0
    while used < evaluations and np.sqrt(np.mean(r**2)) > goal and damping < 1e8:
        u, s, vt = np.linalg.svd(net.jacobian(w, layers), full_matrices=False)
        projected = u.T @ r
        while used < evaluations and damping < 1e8:
            used += 1
            new = w - vt.T @ (s / (s**2 + damping**2 * s[0] ** 2 * 1e-4) * projected)
            found, trial = net.evaluate(new, z)
            after = (found - targets).ravel()
            if after @ after < r @ r:
                w, r, layers, damping = new, after, trial, max(0.4 * damping, 1e-13)
                break
            damping *= 2.5
    return w, used


def _module(net: _Net, w: Floats, mean: float, scale: float) -> Any:
    import torch

    from .fit.networks import PortNetwork

    module: Any = PortNetwork(["identity"], net.layers, True).double()
    pairs, skip = net.unpack(w)
    with torch.no_grad():
        module.mean.fill_(mean)
        module.scale.fill_(scale)
        for linear, (weight, bias) in zip(module.linears, pairs, strict=True):
            linear.weight.copy_(torch.from_numpy(weight.copy()))
            linear.bias.copy_(torch.from_numpy(bias.copy()))
        module.skip.weight.copy_(torch.from_numpy(skip.copy()))
    return module.eval()


def _errors(module: Any, rates: Rates, low: float, high: float, seed: int) -> dict[str, float]:
    import torch

    def learned(x: Floats) -> tuple[Floats, Floats]:
        with torch.inference_mode():
            alpha, beta = module(torch.from_numpy(np.ascontiguousarray(x))[:, None])
        return alpha.numpy()[:, 0], beta.numpy()[:, 0]

    x = np.linspace(low, high, 2001)
    (a, b), (la, lb) = _checked(rates, x), learned(x)
    # a course of the port with jumps every millisecond, 2 s long, the gate advanced exactly on each piece
    course = np.random.default_rng(seed + 1).uniform(low, high, 2000)
    (ca, cb), (da, db) = _checked(rates, course), learned(course)
    y, w, worst = ca[0] / (ca[0] + cb[0]), ca[0] / (ca[0] + cb[0]), 0.0
    for k in range(len(course)):
        y = ca[k] / (ca[k] + cb[k]) + (y - ca[k] / (ca[k] + cb[k])) * np.exp(-(ca[k] + cb[k]))
        w = da[k] / (da[k] + db[k]) + (w - da[k] / (da[k] + db[k])) * np.exp(-(da[k] + db[k]))
        worst = max(worst, abs(w - y))
    return {
        "xinf": float(np.abs(la / (la + lb) - a / (a + b)).max()),
        "tau": float(np.abs((a + b) / (la + lb) - 1.0).max()),
        "rollout": float(worst),
    }


def hodgkin_huxley_rates(gate: str) -> Rates:
    """Rates of m, h (Na) and n (K) of Hodgkin & Huxley (1952, doi:10.1113/jphysiol.1952.sp004764) with rest at -65 mV, V in mV.

    Raises
    ------
    InputError
        If the gate is unknown.
    """

    def ratio(x: Floats, k: float) -> Floats:
        y = np.where(np.abs(x) < 1e-9, 1e-9, x)
        return y / -np.expm1(-y / k)

    table: dict[str, Rates] = {
        "m": lambda v: (0.1 * ratio(v + 40.0, 10.0), 4.0 * np.exp(-(v + 65.0) / 18.0)),
        "h": lambda v: (0.07 * np.exp(-(v + 65.0) / 20.0), 1.0 / (1.0 + np.exp(-(v + 35.0) / 10.0))),
        "n": lambda v: (0.01 * ratio(v + 55.0, 10.0), 0.125 * np.exp(-(v + 65.0) / 80.0)),
    }
    if gate not in table:
        raise InputError("gate", f"'{gate}', expected m, h or n")
    return table[gate]
