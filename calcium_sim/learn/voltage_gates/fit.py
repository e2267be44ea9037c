"""Fits tables of gates: batched Levenberg-Marquardt in its dual form, for a table has fewer numbers than its network has weights.

A step solves ``(J J^T + lambda I) a = r`` and goes by ``-J^T a``; lambda falls where the cost does, and grows where it does not (Marquardt
1963, doi 10.1137/0111030). Time constants are fitted by their logarithms: over four orders of magnitude, short ones would be ignored.
"""

from __future__ import annotations

import os
import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...admission.card import Card
from ...errors import InputError, shown
from ...mesh import Floats
from . import networks

SHORTEST = 0.005
"""Time constants [ms] below this are taken as this: tables are rounded to 0.01 ms and hold zeros."""
WEIGHT = 0.2
"""Weight of an error of ln tau beside one of the steady value."""
FLAT = 0.05
"""Least spread of ln tau: that of a constant one is 0."""
CHUNK = 64
RATE = (1e-9, 1.0, 1e6)
"""Smallest, first and largest lambda."""


@dataclass(frozen=True)
class GateTables:
    """Fitted gates; call it with potentials [mV] for steady values and time constants [ms], both (gates, potentials).

    Attributes
    ----------
    parameters : of the networks (distinct curves, weights).
    curve : the curve of each gate; gates with the same table share one.
    low, high : bounds of the steady value of each curve, 0 and 1 but where a table goes beyond.
    middle, spread : mean and scale of ln tau of each curve.
    span : lowest and highest potential of the tables [mV].
    xinf_error, tau_error : per gate, root mean square error of the steady value, and relative L2 error of the time constant.
    seconds : CPU time of all.
    """

    parameters: Floats
    curve: NDArray[np.int64]
    low: Floats
    high: Floats
    middle: Floats
    spread: Floats
    span: tuple[float, float]
    xinf_error: Floats
    tau_error: Floats
    seconds: float

    def __call__(self, v: ArrayLike) -> tuple[Floats, Floats]:
        """Steady values and time constants [ms] of every gate at potentials [mV]."""
        y, _, _ = networks.outputs(self.parameters, _scaled(np.atleast_1d(np.asarray(v, float)), self.span))
        x = self.low[:, None] + (self.high - self.low)[:, None] * _sigmoid(y[:, :, 0])
        tau = np.exp(self.middle[:, None] + self.spread[:, None] * y[:, :, 1])
        return x[self.curve], tau[self.curve]

    def export(
        self, path: str | os.PathLike[str], gates: Mapping[str, int], *, powers: Sequence[int], flux: Any = "ohmic", **card: Any
    ) -> Card:
        """Write a channel file of some of the gates, for `load_channel` or by its name in a model.

        Parameters
        ----------
        path : file to write, ``.pt``.
        gates : {name of the state: number of the gate}.
        powers : of the states in the open probability, in their order.
        flux, card : as in `export_channel` (``moves={"k": 1}``, ``g=`` [mS/cm^2], ``e_rev=`` [mV], ``licence=`` ...).

        Raises
        ------
        InputError
            If a gate is not there or leaves 0 to 1, or the card is wrong.
        """
        from ...networks.export import export_channel
        from .module import Gates

        for name, k in gates.items():
            if not (isinstance(k, (int, np.integer)) and 0 <= k < len(self.curve)):
                raise InputError(f"gates.{name}", f"{shown(k)} is no number of a gate, there are 0 to {len(self.curve) - 1}")
            low, high = self.low[self.curve[k]], self.high[self.curve[k]]
            if low < 0.0 or high > 1.0:
                beyond = f"its table goes from {low:g} to {high:g}, and a gate of a channel from 0 to 1"
                raise InputError(f"gates.{name}", f"{beyond} (divide the table, and multiply the conductance)")
        chosen = list(gates.values())
        curve = self.curve[chosen]
        steady, logs = (self.low[curve], (self.high - self.low)[curve]), (self.middle[curve], self.spread[curve])
        module = Gates(self.parameters[curve], steady, logs, self.span)
        errors = {"xinf_rms": float(self.xinf_error[chosen].max()), "tau_relative": float(self.tau_error[chosen].max())}
        training = {"data": "tables of steady values and time constants", "error": errors}
        told: dict[str, Any] = {
            "inputs": {"v": ("mV", *self.span)},
            "states": dict.fromkeys(gates, "steady"),
            "powers": list(powers),
            "training": training,
        }
        return export_channel(module, path, kind="hh_gates", flux=flux, **(told | card))


def fit_gates(
    v: ArrayLike, xinf: ArrayLike, tau: ArrayLike, *, rng: int | np.random.Generator = 0, evaluations: int = 60, restarts: int = 2
) -> GateTables:
    """Fit networks to tables of gates.

    Parameters
    ----------
    v : potentials [mV], shape (n,), ascending.
    xinf, tau : steady values and time constants [ms], shapes (gates, n), or (n,) for one gate.
    rng : seed of the random starts, or a generator.
    evaluations : of each network and its derivatives.
    restarts : how often the worst twentieth begins anew from another start; the better fit of each is kept.

    Returns
    -------
    GateTables
        Call it with potentials; it tells its errors and writes channel files.

    Raises
    ------
    InputError
        If shapes do not fit, numbers are not finite, potentials do not ascend, or a time constant is negative.
    """
    begin = clock.process_time()
    v, x, t = np.asarray(v, float), np.atleast_2d(np.asarray(xinf, float)), np.atleast_2d(np.asarray(tau, float))
    _check(v, x, t)
    random = np.random.default_rng(rng)
    _, first, curve = np.unique(np.concatenate([x, t], axis=1), axis=0, return_index=True, return_inverse=True)
    task = _Task.of(v, x[first], t[first])
    found, cost = _fitted(task, networks.starts(len(first), random), evaluations)
    for _ in range(restarts):
        worst = np.argsort(cost)[-max(1, len(cost) // 20) :]
        again, other = _fitted(task.some(worst), networks.starts(len(worst), random), evaluations)
        better = other < cost[worst]
        found[worst[better]], cost[worst[better]] = again[better], other[better]
    span = float(v[0]), float(v[-1])
    made = GateTables(found, curve.reshape(-1), task.low, task.high, task.middle, task.spread, span, np.zeros(0), np.zeros(0), 0.0)
    xs, ts = made(v)
    size = np.maximum((t**2).sum(axis=1), len(v) * SHORTEST**2)
    errors = np.sqrt(((xs - x) ** 2).mean(axis=1)), np.sqrt(((ts - t) ** 2).sum(axis=1) / size)
    return replace(made, xinf_error=errors[0], tau_error=errors[1], seconds=clock.process_time() - begin)


def _check(v: Floats, x: Floats, t: Floats) -> None:
    if v.ndim != 1 or len(v) < 4 or not (np.diff(v) > 0).all() or not np.isfinite(v).all():
        raise InputError("v", f"{shown(v)} are no potentials of a table, expected at least four in mV that ascend")
    for name, table in (("xinf", x), ("tau", t)):
        if table.ndim != 2 or table.shape[1] != len(v) or not len(table):
            raise InputError(name, f"has shape {table.shape}, expected (gates, {len(v)}): one row per gate, one column per potential")
        if not np.isfinite(table).all():
            raise InputError(name, f"{np.count_nonzero(~np.isfinite(table))} of {table.size} values are not finite")
    if len(x) != len(t):
        raise InputError("tau", f"has {len(t)} gates and xinf {len(x)}, expected as many of each")
    if (t < 0).any():
        raise InputError("tau", f"{np.count_nonzero(t < 0)} of {t.size} time constants are negative")


def _scaled(v: Floats, span: tuple[float, float]) -> Floats:
    """Potentials as inputs of the networks: about -1.4 to 1.4 over the tables."""
    return (v - 0.5 * (span[0] + span[1])) / (networks.REACH * (span[1] - span[0]))


def _sigmoid(y: Floats) -> Floats:
    return 0.5 + 0.5 * np.tanh(0.5 * y)


@dataclass(frozen=True)
class _Task:
    """Tables of distinct curves, and how outputs of networks become values."""

    u: Floats
    x: Floats
    logs: Floats
    low: Floats
    high: Floats
    middle: Floats
    spread: Floats

    @classmethod
    def of(cls, v: Floats, x: Floats, t: Floats) -> _Task:
        logs = np.log(np.maximum(t, SHORTEST))
        low, high = np.minimum(x.min(axis=1), 0.0), np.maximum(x.max(axis=1), 1.0)
        return cls(_scaled(v, (v[0], v[-1])), x, logs, low, high, logs.mean(axis=1), np.maximum(logs.std(axis=1), FLAT))

    def some(self, which: NDArray[Any]) -> _Task:
        """The same for some of the curves."""
        return _Task(self.u, *(getattr(self, n)[which] for n in ("x", "logs", "low", "high", "middle", "spread")))

    def residuals(self, y: Floats) -> tuple[Floats, Floats]:
        """Residuals (curves, 2 points), and what a change of the outputs makes of them (curves, points, 2)."""
        s, wide = _sigmoid(y[:, :, 0]), (self.high - self.low)[:, None]
        first = self.low[:, None] + wide * s - self.x
        second = WEIGHT * (self.middle[:, None] + self.spread[:, None] * y[:, :, 1] - self.logs)
        scale = np.stack([wide * s * (1.0 - s), np.broadcast_to(WEIGHT * self.spread[:, None], s.shape)], axis=2)
        return np.concatenate([first, second], axis=1), scale


def _fitted(task: _Task, start: Floats, evaluations: int) -> tuple[Floats, Floats]:
    """Parameters and costs after so many evaluations, a chunk of curves at a time."""
    found, cost = start.copy(), np.zeros(len(start))
    for lo in range(0, len(start), CHUNK):
        part = np.arange(lo, min(lo + CHUNK, len(start)))
        found[part], cost[part] = _descended(task.some(part), start[part], evaluations)
    return found, cost


def _descended(task: _Task, p: Floats, evaluations: int) -> tuple[Floats, Floats]:
    rate = np.full(len(p), RATE[1])
    y, first, second = networks.outputs(p, task.u)
    r, scale = task.residuals(y)
    cost = (r**2).sum(axis=1)
    j = networks.jacobian(p, task.u, first, second, scale)
    square, unit = j @ j.transpose(0, 2, 1), np.eye(r.shape[1])
    for _ in range(evaluations):
        a = np.linalg.solve(square + rate[:, None, None] * unit, r[:, :, None])
        tried = p - (j.transpose(0, 2, 1) @ a)[:, :, 0]
        y, first, second = networks.outputs(tried, task.u)
        new, scale = task.residuals(y)
        other = (new**2).sum(axis=1)
        good = other < cost
        rate = np.clip(np.where(good, 0.4 * rate, 4.0 * rate), RATE[0], RATE[2])
        if not good.any():
            continue
        p, r, cost = np.where(good[:, None], tried, p), np.where(good[:, None], new, r), np.where(good, other, cost)
        part = np.flatnonzero(good)
        j[part] = networks.jacobian(tried[part], task.u, first[part], second[part], scale[part])
        square[part] = j[part] @ j[part].transpose(0, 2, 1)
    return p, cost
