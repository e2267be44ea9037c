"""Channels from voltage-clamp currents: what is fitted, and what comes of it."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...admission.card import Card
from ...errors import InputError, shown
from ...mesh import Floats
from ...units import value
from .channel import ClampChannel
from .gates import DEFAULT, ClampGate, checked_gates
from .recipe import find
from .recording import ClampRecording, recording_of, recordings_of
from .spread import Determined, Spread, ranges

TELLING = 0.2
"""Of the error on parts left out: where freer corrections are better by more, this is told."""


@dataclass(frozen=True)
class Score:
    """How well currents of a recording are met: mean absolute and rms difference [nA], and the same of the exponentials alone."""

    name: str
    error: float
    rms: float
    classic_error: float
    classic_rms: float

    def __str__(self) -> str:
        alone = f"exponentials alone {self.classic_error:.4f}, {self.classic_rms:.4f}"
        return f"{self.name}: {self.error:.4f} nA mean absolute, {self.rms:.4f} rms ({alone})"


@dataclass(frozen=True, eq=False)
class ClampFit:
    """A channel from voltage-clamp recordings; call it with potentials [mV] for steady values and time constants [ms] of its states.

    Attributes
    ----------
    channel : what was found.
    classic : exponential rates fitted to the same recordings: Hodgkin-Huxley, without slow parts and corrections.
    kind : which kind was chosen.
    tried : (kind, mean absolute error [nA] on parts that were left out) of each that was tried.
    spread : of the parameters.
    recordings : that were fitted.
    scores : on these.
    noise : of the currents [nA].
    alike : time [ms] over which differences from the recordings stay alike.
    after : time [ms] that was left out behind jumps of the command.
    seconds : CPU time.
    """

    channel: ClampChannel
    classic: ClampChannel
    kind: str
    tried: tuple[tuple[str, float], ...]
    spread: Spread = field(repr=False)
    recordings: tuple[ClampRecording, ...] = field(repr=False)
    scores: tuple[Score, ...]
    noise: float
    alike: float
    after: float
    seconds: float

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the gates, and after them those of their slow parts."""
        return self.channel.states

    def __call__(self, v: ArrayLike) -> tuple[Floats, Floats]:
        """Steady values and time constants [ms] of every state at potentials [mV], both (states, potentials)."""
        return self.channel(v)

    def predict(self, t: ArrayLike, v: ArrayLike, rest: float | None = None) -> Floats:
        """Current [nA] under a potential, see `ClampChannel.predict`."""
        return self.channel.predict(t, v, rest)

    def score(self, recording: Any, current_unit: str = "nA") -> Score:
        """Compare predicted currents with a recording that was not fitted: a `ClampRecording`, three arrays, a dataset or a file."""
        return _scored(self.channel, self.classic, recording_of(recording, current_unit, after=self.after))

    def determined(self, v: ArrayLike) -> Determined:
        """How well the recordings determine the gates at potentials [mV]; beyond the recorded ones nothing is."""
        return self.spread.at(self.channel, v)

    def open_ranges(self) -> dict[str, str]:
        """Recorded potentials at which steady values and time constants are open, in words; what is not named is determined."""
        low, high = self.channel.layout.span
        v = np.append(np.arange(low, high, 1.0), high)
        known, told = self.determined(v), {}
        for k, name in enumerate(self.states):
            if k < len(self.channel.layout.gates):
                told[f"{name}: steady value"] = ranges(~known.xinf[k], v)
            told[f"{name}: time constant"] = ranges(~known.tau[k], v)
        return {name: text for name, text in told.items() if text}

    def export(self, path: str | os.PathLike[str], *, g: float = 1.0, command: str = "", **card: Any) -> Card:
        """Write a channel file, for `load_channel` or by its name in a model.

        Parameters
        ----------
        path : file to write, ``.pt``.
        g : conductance of a membrane [mS/cm^2]; a recording tells that of its cell (`channel.conductance`, nS), not the area.
        command : that repeats the fit.
        card : as in `export_channel` (``moves={"k": 1}``, ``across=("cytosol", "outside")``, ``licence=`` ...).
        """
        low, high = self.channel.layout.span
        rows = {s.name: {"mean_absolute_nA": s.error, "rms_nA": s.rms} for s in self.scores}
        training: dict[str, Any] = {"data": ", ".join(r.name for r in self.recordings), "error": rows, "kind": self.kind}
        training |= {"recorded_mV": [low, high], "conductance_nS": self.channel.conductance, "open": self.open_ranges()}
        training |= {"command": command} if command else {}
        return self.channel.export(path, g=g, **{"training": training, **card})

    def plot(self, path: str | os.PathLike[str] | None = None, beside: Sequence[Any] = (), true: Mapping[str, Any] | None = None) -> Any:
        """Draw currents, residuals, and gates with what is open.

        Parameters
        ----------
        path : picture to write; none by default.
        beside : further recordings, that were not fitted.
        true : {state: function of the potential [mV] that returns steady value and time constant [ms]}, drawn beside.
        """
        from .pictures import draw_clamp

        return draw_clamp(self, path, tuple(recording_of(r, after=self.after) for r in beside), true)

    def __str__(self) -> str:
        low, high = self.channel.layout.span
        lines = [str(score) for score in self.scores]
        errors = dict(self.tried)
        others = "; ".join(f"{name} {error:.4f}" for name, error in self.tried if name != self.kind)
        lines.append(f"kind     {self.kind}: {errors[self.kind]:.4f} nA on parts left out in turn ({others})")
        if min(errors.values()) < (1.0 - TELLING) * errors[self.kind]:
            lines.append("hint     freer corrections would do better on parts left out: try a larger freedom (3 or 10)")
        shares = ", ".join(f"{100 * w:.0f} % of {name} slow" for name, w in self.channel.shares.items())
        lines.append(f"channel  {self.channel.conductance:.4g} nS, reversal {self.channel.e_rev:.4g} mV{', ' if shares else ''}{shares}")
        told = "; ".join(f"{name} at {text}" for name, text in self.open_ranges().items()) or "nothing"
        lines.append(f"open     {told} (of {low:.0f} to {high:.0f} mV that were recorded; beyond, all is)")
        return "\n".join(lines)


def fit_clamp(
    recordings: Any,
    gates: Sequence[ClampGate] = DEFAULT,
    *,
    e_rev: Any,
    current_unit: str = "nA",
    after: Any = "5 ms",
    freedom: float = 1.0,
    rng: int | np.random.Generator = 0,
    progress: Callable[[str], None] | None = None,
) -> ClampFit:
    """Fit the gates of a channel to voltage-clamp currents of one cell.

    Parameters
    ----------
    recordings : one or several of: three arrays (times [ms], commands [mV], currents [nA]), a dataset with ``time``, ``V`` and ``I``, the
        path of a netCDF or text file with these, a `ClampRecording`. Leak and capacitive currents are to be subtracted before. A command
        holds half an interval before its sample and half behind it: a jump between two samples lies in the middle.
    gates : of the channel; by default an activation that may have a slow part, and an inactivation.
    e_rev : reversal potential: mV, a quantity, or the result of `nernst`.
    current_unit : of currents that do not tell it.
    after : time that is left out behind jumps of the command by more than 10 mV, for capacitive transients. Channels that open within it
        need less.
    freedom : how large corrections are expected to be, against the usual 0.1 of the logarithm of the slope of a steady value and 0.2 of
        that of a time constant: more where rates are known to be no exponentials.
    rng : seed of the random starts, or a generator.
    progress : is told what is done.

    Returns
    -------
    ClampFit
        Call it with potentials; it predicts currents, tells what the recordings leave open, and writes channel files.

    Raises
    ------
    InputError
        If recordings or gates are none, or the command hardly changes.
    """
    begin = clock.process_time()
    behind = _number(after, "ms", "after")
    if behind < 0.0:
        raise InputError("after", f"{shown(after)}, expected a time from 0")
    rows, known = recordings_of(recordings, current_unit, behind), checked_gates(gates)
    reversal = _number(e_rev, "mV", "e_rev")
    if isinstance(freedom, bool) or not isinstance(freedom, (int, float, np.number)) or not 0.0 < freedom <= 100.0:
        raise InputError("freedom", f"{shown(freedom)}, expected a number above 0, at most 100 (1 is usual)")
    _check_commands(rows, reversal)
    found = find(known, rows, reversal, np.random.default_rng(rng), progress or (lambda _: None), freedom)
    kind = found.tried[found.chosen]
    channel = ClampChannel(found.layout, found.p, reversal)
    classic = ClampChannel(found.classic.layout, found.classic.p, reversal)
    return ClampFit(
        channel=channel,
        classic=classic,
        kind=kind.name,
        tried=tuple((t.name, t.error) for t in found.tried),
        spread=Spread(found.covariance, found.others),
        recordings=rows,
        scores=tuple(_scored(channel, classic, r) for r in rows),
        noise=max(r.noise() for r in rows),
        alike=found.target.alike * min(r.interval for r in rows),
        after=behind,
        seconds=clock.process_time() - begin,
    )


def nernst(outside: Any, inside: Any, charge: int = 1, temperature: Any = "294.65 K") -> float:
    """Reversal potential [mV] of an ion by its concentrations (``"4 mM"``), its charge number and the temperature.

    >>> round(nernst("4 mM", "130 mM"), 1)
    -88.4
    """
    out, within = (value(c, "mM", name) for c, name in ((outside, "outside"), (inside, "inside")))
    if not (out > 0.0 and within > 0.0):
        raise InputError("nernst", f"{out:g} mM outside and {within:g} mM inside, expected more than 0")
    if isinstance(charge, bool) or not isinstance(charge, int) or charge == 0:
        raise InputError("charge", f"{shown(charge)}, expected a whole number (1 for potassium)")
    return 8.314462618 * value(temperature, "K", "temperature") / (charge * 96.48533212) * float(np.log(out / within))


def _number(given: Any, unit: str, where: str) -> float:
    """A finite number in `unit`, or a quantity."""
    if isinstance(given, (int, float, np.number)) and not isinstance(given, bool) and np.isfinite(given):
        return float(given)
    return float(value(given, unit, where))


def _check_commands(rows: Sequence[ClampRecording], reversal: float) -> None:
    v = np.concatenate([r.voltage[r.used] for r in rows])
    if v.max() - v.min() < 10.0:
        raise InputError("recordings", f"the command goes from {v.min():g} to {v.max():g} mV, gates show over 10 mV at least")
    every = np.concatenate([r.current[r.used] for r in rows])
    if not np.abs(every).max() > 0.0:
        raise InputError("recordings", "all currents are 0, expected those of a channel [nA]")
    if np.abs(v - reversal).max() < 1.0:
        raise InputError("e_rev", f"{reversal:g} mV is where all of the recording is, there no current flows")


def _scored(channel: ClampChannel, classic: ClampChannel, recording: ClampRecording) -> Score:
    apart = [(c.predict(recording.time, recording.voltage) - recording.current)[recording.used] for c in (channel, classic)]
    numbers = [float(f(a)) for a in apart for f in (lambda d: np.abs(d).mean(), lambda d: np.sqrt((d**2).mean()))]
    return Score(recording.name, *numbers)
