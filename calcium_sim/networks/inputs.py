"""Columns for a network: the arrays that enter it, random ones over the ranges of its card, and the check of what comes out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..admission.card import Card
from ..errors import InputError

Array = NDArray[np.floating]
Evaluate = Callable[["Columns"], tuple[Array, ...]]

SIZES = (0, 1, 7, 1000)
COMPANIES = (2, 64, 1000, 1024)
"""Numbers of rows among which a row is looked at in other company."""
ROUNDING = {"float32": 1e-4, "float64": 1e-10}
"""What places and numbers of rows may change in a result, by rounding that an exponential at the end has multiplied."""
DT = 0.05
"""Step [ms] at which networks of kind ``step`` are tried."""


@dataclass(frozen=True)
class Columns:
    """What enters a network, each ``[N, k]`` in the order of the card; None where the card does not list it; `dt` in ms."""

    s: Array | None
    x: Array
    dx: Array | None
    dt: float | None

    def arguments(self) -> tuple[Array | float, ...]:
        """Those that are there, in the order s, x, dx, dt."""
        return tuple(a for a in (self.s, self.x, self.dx, self.dt) if a is not None)

    def rows(self, start: int, stop: int, size: int) -> Columns:
        """Rows from `start` to `stop`, the last one repeated up to `size` rows."""
        take = np.minimum(np.arange(start, start + size), stop - 1)
        s, x, dx = (None if a is None else np.ascontiguousarray(a[take]) for a in (self.s, self.x, self.dx))
        assert x is not None
        return Columns(s, x, dx, self.dt)

    def take(self, rows: NDArray[np.intp]) -> Columns:
        """Rows in this order."""
        s, x, dx = (None if a is None else np.ascontiguousarray(a[rows]) for a in (self.s, self.x, self.dx))
        assert x is not None
        return Columns(s, x, dx, self.dt)

    def chosen(self, others: Columns, stay: NDArray[np.bool_]) -> Columns:
        """These rows where `stay`, else those of `others`."""
        pairs = ((self.s, others.s), (self.x, others.x), (self.dx, others.dx))
        s, x, dx = (None if a is None or b is None else np.where(stay[:, None], a, b) for a, b in pairs)
        assert x is not None
        return Columns(s, x, dx, self.dt)

    def copy(self) -> Columns:
        """The same values in memory of their own."""
        s, dx = (None if a is None else a.copy() for a in (self.s, self.dx))
        return Columns(s, self.x.copy(), dx, self.dt)

    def cast(self, dtype: str) -> Columns:
        """In another precision."""
        s, x, dx = (None if a is None else a.astype(dtype) for a in (self.s, self.x, self.dx))
        assert x is not None
        return Columns(s, x, dx, self.dt)

    def same(self, other: Columns) -> bool:
        """Equal bit for bit."""
        pairs = ((self.s, other.s), (self.x, other.x), (self.dx, other.dx))
        return all((a is None) == (b is None) and (a is None or b is None or a.tobytes() == b.tobytes()) for a, b in pairs)


def sample(card: Card, n: int, seed: int = 0) -> Columns:
    """Return `n` random rows over the declared ranges, the first ones at their corners; wide ranges are sampled by decades."""
    rng = np.random.default_rng([seed, n])
    dtype = np.dtype(card.dtype)
    x = np.stack([_column(rng, n, c.low, c.high, i) for i, c in enumerate(card.inputs)], axis=1).astype(dtype)
    s = dx = None
    if "s" in card.args:
        bounds = [_finite(state.low, state.high, state.init) for state in card.states]
        s = np.stack([rng.uniform(lo, hi, n) for lo, hi in bounds], axis=1).astype(dtype) if bounds else np.zeros((n, 0), dtype)
        _corners(s, bounds)
    if "dx" in card.args:
        spans = [(-(c.dx_max or 0.0), c.dx_max or 0.0) for c in card.inputs]
        dx = np.stack([hi * rng.uniform(-1.0, 1.0, n) ** 3 for _, hi in spans], axis=1).astype(dtype)
        _corners(dx[4:], spans)
    return Columns(s, x, dx, DT if "dt" in card.args else None)


def _column(rng: np.random.Generator, n: int, low: float, high: float, index: int) -> Array:
    decades = low > 0.0 and high / low > 100.0
    values = np.exp(rng.uniform(np.log(low), np.log(high), n)) if decades else rng.uniform(low, high, n)
    values[: min(n, 2)] = [low, high][: min(n, 2)]
    if n > 7:
        values[2 + 2 * index : 4 + 2 * index] = low, high
    return np.clip(values, low, high)


def _corners(values: Array, bounds: list[tuple[float, float]]) -> None:
    if len(values) >= 4 and bounds:
        values[0], values[1] = [b[0] for b in bounds], [b[1] for b in bounds]


def _finite(low: float, high: float, init: float | str) -> tuple[float, float]:
    """Bounds of a state to sample from: one unit around the start value where it has none."""
    start = init if isinstance(init, float) else 0.0
    lo = low if np.isfinite(low) else min(start, high) - 1.0
    return lo, high if np.isfinite(high) else max(start, lo) + 1.0


@dataclass(frozen=True)
class Bound:
    """What an output column of a network may be; what rounding may add is `slack`."""

    name: str
    low: float
    high: float
    slack: float = 0.0


HUGE = 1e30
"""Bound of what has none."""
ENDS = {(True, 1.0): " (end with a sigmoid)", (True, HUGE): " (end with exp or softplus)"}
"""What keeps an output within its bounds, by whether the lower one is at least 0, and the upper one."""


def output_bounds(card: Card) -> tuple[tuple[Bound, ...], ...]:
    """Bounds of all that a network returns, by output and column."""
    rounding = 1e-5 if card.dtype == "float32" else 1e-12

    def states(prefix: str) -> tuple[Bound, ...]:
        found = []
        for s in card.states:
            low, high = max(s.low, -HUGE), min(s.high, HUGE)
            found.append(Bound(f"{prefix}{s.name}", low, high, rounding * (high - low if high - low < HUGE else 1.0)))
        return tuple(found)

    def each(prefix: str, low: float) -> tuple[Bound, ...]:
        return tuple(Bound(f"{prefix}{s.name}", low, HUGE) for s in card.states)

    slopes = each("rate of ", -HUGE)
    table: dict[str, tuple[tuple[Bound, ...], ...]] = {
        "open_prob": ((Bound("open probability", 0.0, 1.0, rounding),),),
        "hh_gates": (states("steady "), each("time constant of ", float(np.finfo(card.dtype).tiny))),
        "rates": (each("opening rate of ", 0.0), each("closing rate of ", 0.0)),
        "rhs": (slopes,),
        "step": (states("next "),),
        "current": ((Bound("flux", -HUGE, HUGE),), slopes),
    }
    return table[card.kind]


def check_outputs(card: Card, evaluate: Evaluate, where: str, sha256: str = "") -> None:
    """Try a network on 0, 1, 7 and 1000 rows over its declared ranges, drawn by the hash of its file and anew at every call.

    Raises
    ------
    InputError
        If an output has the wrong shape or dtype, is not finite or out of bounds, differs when repeated, or if an input was changed.
    """
    first: tuple[Columns, tuple[Array, ...]] | None = None
    for n, seed in [(n, 0) for n in SIZES] + [(SIZES[-1], seed) for seed in _seeds(sha256)]:
        columns = sample(card, n, seed)
        given = columns.copy()
        out = _call(evaluate, given, where)
        if not given.same(columns):
            raise InputError(where, f"the network changes its inputs (at {n} rows), expected a pure function")
        check_shapes(card, out, n, where)
        check_values(card, out, columns, where)
        again = _call(evaluate, given, where)
        if any(a.tobytes() != b.tobytes() for a, b in zip(out, again, strict=True)):
            raise InputError(where, f"the network returns other values when it is called again with the same {n} rows")
        if n and first is None:
            first = given, out
    if first and any(a.tobytes() != b.tobytes() for a, b in zip(first[1], _call(evaluate, first[0], where), strict=True)):
        raise InputError(where, "the network returns other values after calls with other rows")


def check_rows(card: Card, evaluate: Evaluate, where: str, sha256: str = "") -> None:
    """A row's result: bit for bit the same in other company at the same place, the same to rounding alone, turned round, and among more.

    At one place of as many rows a row goes through the same instructions; elsewhere through others, which round otherwise.

    Raises
    ------
    InputError
        If a row's result depends on other rows.
    """
    told, seeds = "a row's result depends on other rows", _seeds(sha256)
    rng = np.random.default_rng(seeds)
    for n in COMPANIES:
        columns, others = sample(card, n, seeds[1] + 1), sample(card, n, seeds[0] + 1)
        out = _call(evaluate, columns, where)
        stay = rng.random(n) < 0.5
        mixed = _call(evaluate, columns.chosen(others, stay), where)
        if any(a[stay].tobytes() != b[stay].tobytes() for a, b in zip(out, mixed, strict=True)):
            raise InputError(where, f"{told} ({n} of them, some of which were exchanged)")
        order = rng.permutation(n)
        trials = [(order[: k or n], k or n) for k in (0, 1, 7)]
        for rows, size in trials:
            part = _call(evaluate, columns.take(rows), where)
            if any(_differ(a[rows], b, card.dtype) for a, b in zip(out, part, strict=True)):
                raise InputError(where, f"{told} ({size} of {n}, in another order)")


def _seeds(sha256: str) -> tuple[int, int]:
    """Of the file, and a fresh one: points that a network cannot have been made for."""
    return int(sha256[:8] or "1", 16), secrets.randbits(32)


def _differ(a: Array, b: Array, dtype: str) -> bool:
    return not np.allclose(a, b, rtol=ROUNDING[dtype], atol=ROUNDING[dtype], equal_nan=True)


def _call(evaluate: Evaluate, columns: Columns, where: str) -> tuple[Array, ...]:
    return tuple(np.array(a) for a in evaluate(columns))


def check_shapes(card: Card, out: tuple[Array, ...], n: int, where: str) -> None:
    """Raise InputError where a network returns other arrays for `n` rows than its card says."""
    if len(out) != len(card.returns):
        number = f"{len(out)} tensor{'' if len(out) == 1 else 's'}"
        raise InputError(where, f"the network returns {number}, kind '{card.kind}' expects {len(card.returns)} ({_returned(card)})")
    for array, k in zip(out, card.returns, strict=True):
        if array.ndim == 2 and len(array) == n and array.shape[1] != k:
            raise InputError(where, f"the network returns {array.shape[1]} columns, kind '{card.kind}' expects {k} ({_returned(card)})")
        if array.shape != (n, k):
            hint = " (keep the column: unsqueeze(1), or no squeeze)" if array.shape == (n,) and k == 1 else ""
            raise InputError(where, f"the network returns shape {list(array.shape)} for {n} rows, expected {[n, k]}{hint}")
        if array.dtype != np.dtype(card.dtype):
            raise InputError(where, f"the network returns {array.dtype}, the card says {card.dtype}")


def _returned(card: Card) -> str:
    """What to return: the columns of each tensor."""
    tensors = ["[" + ", ".join(b.name for b in bounds) + "]" for bounds in output_bounds(card)]
    return f"return {' and '.join(tensors[: len(card.returns)])}, a column each: [rows, {', '.join(map(str, dict.fromkeys(card.returns)))}]"


def check_values(card: Card, out: tuple[Array, ...], columns: Columns, where: str) -> None:
    """Raise InputError where an output is not finite or out of its bounds."""
    for array, bounds in zip(out, output_bounds(card), strict=False):
        for k, bound in enumerate(bounds):
            values = array[:, k]
            if (bad := ~np.isfinite(values)).any():
                raise InputError(where, f"{bound.name} is not finite at {_row(card, columns, bad)}")
            if (bad := (values < bound.low - bound.slack) | (values > bound.high + bound.slack)).any():
                end = ENDS.get((bound.low >= 0.0, bound.high), "")
                raise InputError(where, f"{bound.name} = {values[bad][0]:.6g} is out of bounds at {_row(card, columns, bad)}{end}")


def _row(card: Card, columns: Columns, bad: NDArray[np.bool_]) -> str:
    i = int(np.flatnonzero(bad)[0])
    told = [f"{c.port} = {columns.x[i, k]:.6g} {c.unit}" for k, c in enumerate(card.inputs)]
    if columns.s is not None:
        told += [f"{s.name} = {columns.s[i, k]:.6g}" for k, s in enumerate(card.states)]
    if columns.dx is not None:
        told += [f"d({c.port}) = {columns.dx[i, k]:.6g} {c.unit}/ms" for k, c in enumerate(card.inputs)]
    return ", ".join(told)
