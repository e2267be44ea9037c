"""Colours of a kymograph: black at rest, bright above, blue below, so that emptied places do not look like untouched ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DECADES = 100
"""A wave that rises above rest by more than this is shown on a logarithmic scale, so that its tail stays visible behind its front."""

_LEAST = 0.18
"""Least part of the scale on either side of rest that is used."""

_NEGLIGIBLE = 0.02
"""What differs from rest by less than this part of rest and of the range is not given a side of the scale."""

_DEEPEST = 100.0
"""The logarithmic scale ends at rest over this."""


@dataclass(frozen=True)
class Scale:
    """A matplotlib norm and colour map, the arrow of the colour bar (``extend``) and its ticks."""

    norm: Any
    tones: Any
    extend: str
    ticks: Floats


def thinned(values: Floats, most: int, rest: float) -> tuple[Floats, NDArray[np.int64]]:
    """At most `most` rows, each the value of its rows that is farthest from rest, and where each begins (with the end)."""
    count = min(len(values), most)
    starts = np.linspace(0, len(values), count + 1).astype(np.int64)
    if count == len(values):
        return values, starts
    high, low = (f.reduceat(values, starts[:-1], axis=0) for f in (np.fmax, np.fmin))
    return np.where(high - rest >= rest - low, high, low), starts


def resting(values: Floats) -> float:
    """Median of the first time of (places, times)."""
    return float(np.nanmedian(values[:, 0])) if np.isfinite(values[:, 0]).any() else float("nan")


def scale(shown: Floats) -> Scale:
    """The scale of an array (places, times).

    It goes up to the peak at nearly every place, so that a stimulus does not darken the wave; to the largest value where the cell is at
    rest but for a few places. Below rest it goes down to the lowest value.
    """
    rest = resting(shown)
    low, high = (float(f(shown)) for f in (np.nanmin, np.nanmax))
    wave = float(np.nanpercentile(np.nanmax(shown, axis=1), 95))
    local = wave - rest < 0.1 * (high - rest)
    top, extend = (wave, "max") if high > 1.25 * wave > 0 and not local else (high, "neither")
    band = _NEGLIGIBLE * max(abs(rest), 1e-12)
    if top - low <= band:  # nothing happened
        return _scale(rest, rest, rest + (abs(rest) or 1.0), "neither", False)
    decades = 0 < DECADES * rest < top
    floor = rest / _DEEPEST if decades else low
    if low < floor:
        extend = "both" if extend == "max" else "min"
    bottom = max(low, floor)
    share = _NEGLIGIBLE * (1.0 if decades else max((top - low) / max(abs(rest), 1e-12), 1.0)) * abs(rest)
    return _scale(bottom if rest - bottom > share else rest, rest, top if top - rest > share else rest, extend, decades)


def _scale(bottom: float, rest: float, top: float, extend: str, decades: bool) -> Scale:
    from matplotlib.colors import FuncNorm

    tiny = 1e-3 * bottom if decades else 0.0
    write = (lambda c: np.log(np.maximum(c, tiny))) if decades else np.asarray
    knots = np.array([float(write(c)) for c in (bottom, rest, top)])
    below = float(np.clip((knots[1] - knots[0]) / (knots[2] - knots[0]), _LEAST, 1.0 - _LEAST))
    below = 0.0 if bottom >= rest else 1.0 if top <= rest else below
    place, at = (knots, np.array([0.0, below, 1.0])) if 0.0 < below < 1.0 else (knots[[0, 2]], np.array([0.0, 1.0]))

    def forward(c: Any) -> Any:
        x = write(np.asarray(c, float))
        beyond = np.maximum(x - place[-1], 0.0) / (place[-1] - place[0]) + np.minimum(x - place[0], 0.0) / (place[-1] - place[0])
        return np.interp(x, place, at) + beyond

    def inverse(s: Any) -> Any:
        x = np.interp(s, at, place)
        return np.exp(x) if decades else x

    return Scale(FuncNorm((forward, inverse), bottom, top), _tones(below), extend, _ticks(bottom, rest, top, decades))


def _tones(below: float) -> Any:
    """Magma above rest; blue that grows lighter with the distance below it."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    count = 512
    lower = round(below * count)
    cold = matplotlib.colormaps["GnBu_r"](np.linspace(0.55, 0.0, max(lower, 1)))
    cold[:, :3] *= np.linspace(1.0, 0.0, len(cold))[:, None] ** 0.8
    warm = matplotlib.colormaps["magma"](np.linspace(0.0, 1.0, max(count - lower, 1)))
    return ListedColormap(np.concatenate([cold[:lower], warm[: count - lower]]))


def _ticks(bottom: float, rest: float, top: float, decades: bool) -> Floats:
    """Round numbers on either side of rest, and rest."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    above = np.asarray((LogLocator(subs=(1.0,)) if decades else MaxNLocator(5)).tick_values(rest, top)) if top > rest else np.zeros(0)
    under = np.asarray(MaxNLocator(3).tick_values(bottom, rest)) if bottom < rest else np.zeros(0)
    gap = 0.08
    kept = [c for c in above if c <= top * (1 + 1e-9) and (c - rest > gap * (top - rest) if not decades else c > 1.5 * rest)]
    kept += [c for c in under if bottom * (1 - 1e-9) <= c and rest - c > 0.3 * (rest - bottom)]
    return np.unique([rest, *kept])
