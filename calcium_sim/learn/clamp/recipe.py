"""How gates are found, in three stages: exponentials from many starts, slow parts, and a network that corrects them as far as data left out
are told better.

A network alone follows the training steps and goes astray elsewhere (Lei & Mirams 2021, doi 10.3389/fphys.2021.708944: better than
Hodgkin-Huxley there, worse on action potentials). So it may only correct, it is drawn to no correction, and how strongly is chosen on parts
of the recordings that are left out in turn; more weakly than expected only where this lowers the error there by much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...mesh import Floats
from .current import Drive, current
from .curves import Layout, count, moved
from .descent import Descent, Prior, Target, descend
from .gates import ClampGate
from .recording import ClampRecording
from .starts import slow_starts, starts, weak

FOLDS = 5
"""Parts that are left out in turn, each with as much current as the others."""
CORRECTION = (0.1, 0.2)
"""Expected size of corrections: of the logarithm of the slope of the steady value's logit, and of that of the time constant."""
STRENGTHS = (30.0, 10.0, 3.0, 1.0, 0.1, 0.01)
"""By how much corrections are held back, in inverse variances; 1 is what is expected."""
LOOSE = 0.1
"""The same where it is asked what recordings leave open."""
NO_GAIN, LARGE_GAIN = 0.02, 0.3
"""Of the error on what was left out: a freer fit has to be better by this, and one that is freer than expected by much more."""
QUIET = 0.05
"""Differences of this part of the rms current are expected in any case at first."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Model:
    """Gates with parameters, and what they were fitted with."""

    layout: Layout
    p: Floats
    descent: Descent
    prior: Prior


@dataclass(frozen=True)
class Tried:
    """A kind of model: what it is called, its mean error [nA] on what was left out, and the fits that did not see it."""

    name: str
    error: float
    parts: tuple[Model, ...]
    whole: Model


@dataclass(frozen=True)
class Found:
    """What the recipe has found.

    Attributes
    ----------
    classic : exponentials alone.
    tried : all kinds that were tried.
    chosen : the place of the one that was taken.
    target : what was fitted at last.
    layout, p : of the chosen kind, with places for corrections also where it has none.
    others : the same parameters of the fits that did not see a part, one row per fit.
    covariance : of the parameters, with corrections hardly held back, so that it does not rest on what was expected.
    """

    classic: Model
    tried: tuple[Tried, ...]
    chosen: int
    target: Target
    layout: Layout
    p: Floats
    others: Floats
    covariance: Floats


def find(
    gates: tuple[ClampGate, ...],
    recordings: Sequence[ClampRecording],
    e_rev: float,
    random: np.random.Generator,
    tell: Tell,
    freedom: float = 1.0,
) -> Found:
    """Fit gates to recordings; corrections are expected `freedom` times as large as usual."""
    bases, target = _exponentials(gates, recordings, e_rev, random, tell)
    folds = _folds(recordings)
    tried: list[Tried] = []
    for name, model in bases:
        tell(f"{name}: parts left out")
        tried.append(_left_out(name, model, target, folds))
    base = bases[-1][1]
    layout = replace(base.layout, bumps=count(base.layout.span))
    tried += _corrected(base, layout, _on(layout, target, recordings, e_rev), folds, tell, freedom)
    place = chosen([t.error for t in tried], len(bases) + STRENGTHS.index(1.0))
    kind = tried[place]
    layout = replace(kind.whole.layout, bumps=layout.bumps)
    target = _on(layout, target, recordings, e_rev)
    p, *others = (moved(m.p, m.layout, layout, ()) for m in (kind.whole, *kind.parts))
    matrix = target.normal(layout, p)[0] + np.diag(_prior(layout, p, LOOSE / freedom**2).precision)
    covariance = np.asarray(np.linalg.pinv(matrix, hermitian=True), float)
    return Found(bases[0][1], tuple(tried), place, target, layout, p, np.array(others), covariance)


def _exponentials(
    gates: tuple[ClampGate, ...], recordings: Sequence[ClampRecording], e_rev: float, random: np.random.Generator, tell: Tell
) -> tuple[list[tuple[str, Model]], Target]:
    """Fits without corrections, the plainest first, and a target that knows what they leave."""
    span = min(float(r.voltage.min()) for r in recordings), max(float(r.voltage.max()) for r in recordings)
    plain, slow = Layout(tuple(replace(g, slow=False) for g in gates), span), Layout(gates, span)
    noise, rms = _noise(recordings)
    target = _target(plain, recordings, e_rev, max(2.0 * noise, QUIET * rms))
    tell("exponentials from many starts")
    times = 2.0 * min(r.interval for r in recordings), max(r.time[-1] - r.time[0] for r in recordings) / 3.0
    found = [("exponentials", _fitted(plain, target, starts(plain, target, times, random)))]
    if slow != plain:
        tell("slow parts")
        begin = [moved(found[0][1].p, plain, slow, s) for s in slow_starts()]
        found.append(("with slow parts", _fitted(slow, target, begin)))
    target = _settled(found[-1][1], target, noise)
    return [(name, _again(model, target)) for name, model in found], target


def chosen(errors: Sequence[float], expected: int) -> int:
    """Of ever freer fits the first whose error on what was left out is next to the lowest, among those that are freer than the one at place
    `expected` only where each lowers it by much."""
    first = next(k for k, e in enumerate(errors[: expected + 1]) if e <= (1.0 + NO_GAIN) * min(errors[: expected + 1]))
    for k in range(expected + 1, len(errors)):
        if errors[k] <= (1.0 - LARGE_GAIN) * errors[first]:
            first = k
    return first


def _corrected(base: Model, layout: Layout, target: Target, folds: list[list[Floats]], tell: Tell, freedom: float) -> list[Tried]:
    start = moved(base.p, base.layout, layout, ())
    out, p = [], start
    for strength in STRENGTHS:
        name = f"corrected, prior x {strength:g}"
        tell(f"{name}: parts left out")
        prior = _prior(layout, start, strength / freedom**2)
        descent = descend(layout, target, prior, p)
        p = descent.p
        out.append(_left_out(name, Model(layout, p, descent, prior), target, folds, start))
    return out


def _prior(layout: Layout, start: Floats, strength: float) -> Prior:
    mean, precision = weak(layout, start)
    for k in range(len(layout.gates)):
        for part, size in zip(layout.weights(k), CORRECTION, strict=True):
            precision[part] = strength / size**2
    return Prior(mean, precision)


def _left_out(name: str, model: Model, target: Target, folds: list[list[Floats]], start: Floats | None = None) -> Tried:
    """Fit without each part, and take the error there."""
    wrong, parts = [], []
    for weights in folds:
        seen = tuple(w * (1.0 - f) for w, f in zip(target.weights, weights, strict=True))
        descent = descend(model.layout, replace(target, weights=seen), model.prior, model.p if start is None else start, enough=1e-4)
        parts.append(Model(model.layout, descent.p, descent, model.prior))
        hidden = [w * f for w, f in zip(target.weights, weights, strict=True)]
        wrong.append(mean_error(parts[-1], replace(target, weights=tuple(hidden))))
    return Tried(name, float(np.mean(wrong)), tuple(parts), model)


def mean_error(model: Model, target: Target) -> float:
    """Mean absolute difference of the currents [nA], by the weights of the target."""
    above = below = 0.0
    for drive, i, w in zip(target.drives, target.currents, target.weights, strict=True):
        above += float((w * np.abs(current(model.layout, model.p, drive) - i)).sum())
        below += float(w.sum())
    return above / max(below, 1e-300)


def _on(layout: Layout, target: Target, recordings: Sequence[ClampRecording], e_rev: float) -> Target:
    """The same target in another layout."""
    return replace(target, drives=tuple(Drive.of(layout, r.time, r.voltage, e_rev) for r in recordings))


def _target(layout: Layout, recordings: Sequence[ClampRecording], e_rev: float, scale: float) -> Target:
    drives = tuple(Drive.of(layout, r.time, r.voltage, e_rev) for r in recordings)
    currents = tuple(np.where(r.used, r.current, 0.0) for r in recordings)
    return Target(drives, currents, tuple(r.used.astype(float) for r in recordings), scale)


def _fitted(layout: Layout, target: Target, begin: Sequence[Floats]) -> Model:
    found = []
    for p in begin:
        prior = Prior(*weak(layout, p))
        found.append((descend(layout, target, prior, p, most=120), prior))
    descent, prior = min(found, key=lambda row: row[0].cost)
    return Model(layout, descent.p, descent, prior)


def _again(model: Model, target: Target) -> Model:
    descent = descend(model.layout, target, model.prior, model.p)
    return Model(model.layout, descent.p, descent, model.prior)


def _settled(model: Model, target: Target, noise: float) -> Target:
    """The target with the size of the differences that exponentials leave, and over how many samples these stay alike."""
    left = [
        np.where(w > 0, current(model.layout, model.p, d) - i, 0.0)
        for d, i, w in zip(target.drives, target.currents, target.weights, strict=True)
    ]
    scale = max(mean_error(model, target), noise, 1e-3 * target.scale)
    alike = max(correlated(x, w > 0) for x, w in zip(left, target.weights, strict=True))
    return replace(target, scale=scale, alike=alike)


def correlated(x: Floats, used: NDArray[np.bool_]) -> float:
    """Samples over which values stay alike: the integral of their autocorrelation, to five times itself (Sokal's window)."""
    n, x = len(x), np.where(used, x - x[used].mean(), 0.0)
    f, m = np.fft.rfft(x, 2 * n), np.fft.rfft(used.astype(float), 2 * n)
    pairs = np.maximum(np.fft.irfft(np.abs(m) ** 2)[:n], 1.0)
    rho = np.fft.irfft(np.abs(f) ** 2)[:n] / pairs
    if not rho[0] > 0.0:
        return 1.0
    sums = 1.0 + 2.0 * np.cumsum(rho[1 : n // 4] / rho[0])
    ends = np.flatnonzero(np.arange(1, n // 4) >= 5.0 * sums)
    return float(max(1.0, sums[ends[0] if len(ends) else -1])) if len(sums) else 1.0


def _noise(recordings: Sequence[ClampRecording]) -> tuple[float, float]:
    every = np.concatenate([r.current[r.used] for r in recordings])
    return max(r.noise() for r in recordings), float(np.sqrt(np.mean(every**2)))


def _folds(recordings: Sequence[ClampRecording]) -> list[list[Floats]]:
    """Weights of samples that are left out together: stretches of time with equal sums of the current's size."""
    sizes = [np.abs(np.where(r.used, r.current, 0.0)) for r in recordings]
    total = np.cumsum(np.concatenate(sizes))
    fold = np.minimum((FOLDS * total / max(total[-1], 1e-300)).astype(int), FOLDS - 1)
    cuts = np.cumsum([len(s) for s in sizes])[:-1]
    return [[part.astype(float) for part in np.split(fold == k, cuts)] for k in range(FOLDS)]
