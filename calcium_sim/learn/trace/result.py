"""What a fit of a recording returns: gates, their errors, and where the recording says nothing about them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as with_fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...admission.card import Card
from ...errors import InputError, nearest
from ...mesh import Floats
from ...model import Model
from ...plugin import Channel
from ..voltage_gates import fit_gates, networks
from .cell import Part
from .equations import MIDDLE, Equations
from .law import gates_of, ohmic
from .nudging import PRIOR, Withdrawn
from .recording import Recording

LEAST = 0.3
"""mV that a recording is taken to be off by at least, for what it determines."""
SURE = 0.05, 0.2
"""Standard deviations of a steady value, and relative of a time constant, above which they count as not determined."""
MARGIN = 1.0
"""mV beyond the recorded potentials at which a gate still counts as seen."""
TABLE = 161
"""Potentials of tables of gates that are known."""


def scaled(v: Floats, span: tuple[float, float]) -> Floats:
    """Potentials as inputs of the networks."""
    return (v - 0.5 * (span[0] + span[1])) / (networks.REACH * (span[1] - span[0]))


def sigmoid(y: Floats) -> Floats:
    """Of the first output of a network: the steady value."""
    return 0.5 + 0.5 * np.tanh(0.5 * y)


@dataclass(frozen=True)
class Determined:
    """What a recording tells of gates at potentials: standard deviations of both curves, and where they are small and V was."""

    v: Floats
    xinf_std: Floats
    tau_std: Floats
    xinf: NDArray[np.bool_]
    tau: NDArray[np.bool_]


@dataclass(frozen=True)
class TraceFit:
    """Gates from a recording; call it with potentials [mV] for steady values and time constants [ms], both (gates, potentials).

    Attributes
    ----------
    channels : names of the channels that were unknown.
    gates : (channel, state) of each gate.
    parameters : of the networks, one row per gate.
    span : potentials that the networks are made for [mV].
    recording, voltage : what was recorded, and what the cell with the fitted gates does [mV].
    error : root mean square of the difference [mV].
    noise : of the recording [mV].
    seen : lowest and highest potential of the fitted trace [mV].
    stage_errors : error [mV] after each stage of nudging.
    step_error : what steps of half the length change [mV].
    evaluations, starts, seconds : simulations, starts of which the best was kept, CPU time.
    covariance : of the weights.
    others : weights of other fits that are as good, one row per fit.
    parts, cell : the unknown channels, and the model.
    """

    channels: tuple[str, ...]
    gates: tuple[tuple[str, str], ...]
    parameters: Floats = field(repr=False)
    span: tuple[float, float]
    recording: Recording = field(repr=False)
    voltage: Floats = field(repr=False)
    error: float
    noise: float
    seen: tuple[float, float]
    stage_errors: tuple[float, ...]
    evaluations: int
    starts: int
    seconds: float
    covariance: Floats = field(repr=False)
    others: Floats = field(repr=False)
    parts: tuple[Part, ...] = field(repr=False)
    cell: Model = field(repr=False)
    step_error: float = 0.0

    @classmethod
    def made(
        cls, model: Model, parts: tuple[Part, ...], written: Equations, recording: Recording, found: Withdrawn, voltage: Floats,
        span: tuple[float, float], noise: float, others: Floats,
    ) -> TraceFit:  # fmt: skip
        """The result of a descent."""
        weights, slopes = found.descent.weights, found.descent.slopes * found.scale
        error = float(np.sqrt(np.mean((voltage - recording.voltage) ** 2)))
        normal = slopes.T @ slopes / max(noise, error, LEAST) ** 2
        normal[np.diag_indices_from(normal)] += PRIOR**-2
        unknown = tuple(p for p in parts if p.unknown)
        return cls(
            channels=tuple(p.name for p in unknown),
            gates=tuple((parts[m].name, name) for m, name in written.gates),
            parameters=weights.reshape(-1, networks.SIZE),
            span=span,
            recording=recording,
            voltage=voltage,
            error=error,
            noise=noise,
            seen=(float(voltage.min()), float(voltage.max())),
            stage_errors=found.errors,
            evaluations=found.evaluations,
            starts=1,
            seconds=0.0,
            others=others.reshape(-1, len(written.gates), networks.SIZE),
            covariance=np.asarray(np.linalg.inv(normal), float),
            parts=unknown,
            cell=model,
        )

    def __call__(self, v: ArrayLike) -> tuple[Floats, Floats]:
        """Steady values and time constants [ms] of every gate at potentials [mV]."""
        y, _, _ = networks.outputs(self.parameters, scaled(np.atleast_1d(np.asarray(v, float)), self.span))
        return sigmoid(y[:, :, 0]), np.exp(MIDDLE + y[:, :, 1])

    def determined(self, v: ArrayLike) -> Determined:
        """How well the recording determines the gates at potentials [mV].

        The weights are taken as normally distributed about the fitted ones, with the sensitivities of the trace and its noise, and the
        networks as linear in them; how far other fits that are as good lie off is added. An estimate, that says nothing where the
        potential has not been.
        """
        at = np.atleast_1d(np.asarray(v, float))
        u, size = scaled(at, self.span), networks.SIZE
        y, first, second = networks.outputs(self.parameters, u)
        x = sigmoid(y[:, :, 0])
        j = networks.jacobian(self.parameters, u, first, second, np.stack([x * (1.0 - x), np.ones_like(x)], axis=2))
        spread = np.zeros((len(j), 2 * len(at)))
        for k, rows in enumerate(j):
            part = slice(k * size, (k + 1) * size)
            spread[k] = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", rows, self.covariance[part, part], rows), 0.0))  # round-off
        x, log = self(at)[0], np.log(self(at)[1])
        apart = [with_fields(self, parameters=p)(at) for p in self.others]
        first_std = np.sqrt(spread[:, : len(at)] ** 2 + np.mean([(a - x) ** 2 for a, _ in apart] or [0.0 * x], axis=0))
        second_std = np.sqrt(spread[:, len(at) :] ** 2 + np.mean([(np.log(b) - log) ** 2 for _, b in apart] or [0.0 * x], axis=0))
        there = (at >= self.seen[0] - MARGIN) & (at <= self.seen[1] + MARGIN)
        return Determined(at, first_std, second_std, (first_std < SURE[0]) & there, (second_std < SURE[1]) & there)

    def ranges(self) -> dict[str, dict[str, list[list[float]]]]:
        """Stretches of potentials [mV] in which each gate's steady value and time constant are determined."""
        at = np.arange(np.floor(self.span[0]), np.ceil(self.span[1]) + 0.5)
        known, out = self.determined(at), {}
        for k, (channel, state) in enumerate(self.gates):
            name = state if len(self.channels) == 1 else f"{channel} {state}"
            out[name] = {"xinf": _stretches(at, known.xinf[k]), "tau": _stretches(at, known.tau[k])}
        return out

    def export(self, path: str | os.PathLike[str], channel: str | None = None, *, command: str = "", **card: Any) -> Card:
        """Write the channel file of a fitted channel, for `load_channel` or by its name in a model.

        Parameters
        ----------
        path : file to write, ``.pt``.
        channel : which one, where several were unknown.
        command : that makes the file again, for its card.
        card : entries of the card, as in `export_channel` (``licence=``, ``citation=``, ``name=`` ...).

        Raises
        ------
        InputError
            If the current of the channel is not a conductance times powers of its gates times a driving force, or the card is wrong.
        """
        from ...networks.export import export_channel
        from ..voltage_gates.module import Gates

        part, law = self._part(channel), ohmic(self._part(channel))
        rows, ones = self._networks(part), np.ones(len(part.states))
        module = Gates(rows, (0.0 * ones, ones), (MIDDLE * ones, ones), self.span)
        moves = part.gauge.spec.cls.moves or {"k": 1}
        told: dict[str, Any] = {
            "inputs": {"v": ("mV", *self.span)},
            "states": dict.fromkeys(part.states, ("steady", 0.0, 1.0)),
            "powers": list(law.powers),
            "flux": "ohmic",
            "g": law.g,
            "e_rev": law.e,
            "across": (self._inside(part), "outside"),
            "moves": {s: abs(n) for s, n in moves.items()},
            "training": self._training() | ({"command": command} if command else {}),
        }
        return export_channel(module, path, kind="hh_gates", **(told | card))

    def channel(self, channel: str | None = None) -> type[Channel]:
        """The class of a fitted channel, ready for a model; `export` it to use it by name in other runs."""
        import tempfile

        from ...networks.channel import load_channel

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "fitted.pt"
            self.export(file, channel)
            return load_channel(file)

    def model(self) -> Model:
        """The cell with the fitted channels in place of the unknown ones."""
        membranes: dict[str, tuple[Channel, ...]] = {}
        made = {p.name: self.channel(p.name) for p in self.parts}
        for name, channels in self.cell.membranes.items():
            new = [made[c.called()](at=c.at, scale=c.scale, name=c.named) if c.called() in made else c for c in channels]
            membranes[name] = tuple(new)
        return with_fields(self.cell, membranes=membranes)

    def plot(self, path: str | os.PathLike[str] | None = None, true: Any = None) -> Any:
        """Draw the potential, residuals, and gates with their uncertainty; `true` is a channel whose gates are drawn beside them."""
        from .pictures import draw_trace

        return draw_trace(self, path, true)

    def true_gates(self, true: Channel, v: Floats) -> Mapping[str, tuple[Floats, Floats]]:
        """Steady values and time constants of the states of a channel by its formulas."""
        part = with_fields(self.parts[0], states=tuple(type(true).states))
        gauge = with_fields(part.gauge, channel=true, spec=with_fields(part.gauge.spec, cls=type(true)))
        steady, slow = gates_of(with_fields(part, gauge=gauge, ports=tuple(None for _ in type(true).reads)), v)
        return {name: (steady[k], slow[k]) for k, name in enumerate(part.states)}

    def __str__(self) -> str:
        names, size = ", ".join(f"{c} {s}" for c, s in self.gates), self.recording
        lines = [
            f"{names}: error {self.error:.3g} mV on {len(size.time)} samples, {size.time[0]:g} to {size.time[-1]:g} ms "
            f"(noise about {self.noise:.2g} mV); {self.evaluations} simulations, {self.starts} "
            f"start{'s' if self.starts > 1 else ''}, {self.seconds:.1f} s of CPU"
        ]
        lines += [f"the potential has been from {self.seen[0]:.0f} to {self.seen[1]:.0f} mV; beyond, the gates are guesses of the network"]
        for name, known in self.ranges().items():
            told = [f"{what} {_between(known[key])}" for what, key in (("steady value", "xinf"), ("time constant", "tau"))]
            lines.append(f"{name} is determined: {', '.join(told)}")
        if self.step_error > max(0.1, 0.5 * self.error):
            lines.append(f"a time constant is shorter than the steps: half as long ones change the potential by {self.step_error:.2g} mV")
        if self.error > max(2.0 * self.noise, 1.0):
            lines.append(
                f"the error is {self.error / max(self.noise, 1e-3):.1f} times the noise: the rest of the model does not fit this cell"
            )
        return "\n".join(lines)

    def _part(self, channel: str | None) -> Part:
        if channel is None and len(self.parts) > 1:
            raise InputError("channel", f"several were unknown, expected one of {', '.join(self.channels)}")
        for part in self.parts:
            if channel in (None, part.name):
                return part
        raise InputError(
            "channel", f"'{channel}' was not unknown{nearest(str(channel), self.channels)}; there is {', '.join(self.channels)}"
        )

    def _inside(self, part: Part) -> str:
        return next(side for side in part.gauge.way if side != "outside")

    def _networks(self, part: Part) -> Floats:
        """Weights of all gates of a channel; those of known gates are fitted to their tables."""
        rows = np.zeros((len(part.states), networks.SIZE))
        known = [k for k, s in enumerate(part.states) if s not in part.unknown]
        if known:
            rows[known] = _fitted(part, known, self.span)
        for k, gate in enumerate(self.gates):
            if gate[0] == part.name:
                rows[part.states.index(gate[1])] = self.parameters[k]
        return rows

    def _training(self) -> dict[str, Any]:
        told = f"one current-clamp recording, {len(self.recording.time)} samples, {self.recording.time[-1] - self.recording.time[0]:g} ms"
        seen = [round(v, 1) for v in self.seen]
        error = {"voltage_rms_mV": float(f"{self.error:.4g}"), "noise_mV": float(f"{self.noise:.3g}")}
        return {"data": told, "error": error, "potential_seen_mV": seen, "determined_mV": self.ranges()}


def own_weights(parts: tuple[Part, ...], span: tuple[float, float]) -> Floats:
    """Weights of networks that are the unknown gates as their channels have them."""
    return np.concatenate([_fitted(p, [p.states.index(s) for s in p.unknown], span) for p in parts if p.unknown])


def _fitted(part: Part, which: list[int], span: tuple[float, float]) -> Floats:
    """Weights of networks that are some of the gates of a channel, by its formulas."""
    v = np.linspace(span[0], span[1], TABLE)
    steady, slow = gates_of(part, v)
    made = fit_gates(v, np.clip(steady[which], 0.0, 1.0), slow[which])
    rows, middle, spread = made.parameters[made.curve], made.middle[made.curve], made.spread[made.curve]
    *_, last, bias = networks.parts(rows)
    last[:, 1] *= spread[:, None]
    bias[:, 1] = middle + spread * bias[:, 1] - MIDDLE
    return rows


def _stretches(v: Floats, known: NDArray[np.bool_]) -> list[list[float]]:
    """Ends of all stretches that are known, but for single points."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    ends = zip(edges[::2], edges[1::2], strict=True)
    return [[float(v[begin]), float(v[end - 1])] for begin, end in ends if end - begin > 1]


def _between(stretches: list[list[float]]) -> str:
    return " and ".join(f"{low:.0f} to {high:.0f} mV" for low, high in stretches) or "nowhere"
