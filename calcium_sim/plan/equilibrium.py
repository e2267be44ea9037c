"""States of a channel at equilibrium, for ports that stand still.

States without a closed form are led there from their declared starts as time would lead them (pseudo-transient continuation): implicit
Euler with steps that grow as the states come to rest, so that the last ones are steps of Newton's method. A scheme that keeps all its
states has an equilibrium for every sum of its states, and a gate may have several: of these, the one that belongs to the start is found,
never one that the states run away from. The states move only within the span of the values that the rates take, so that conserved sums, and
states whose rates are always 0, stay where they start.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from ..errors import InputError
from ..mesh import Floats
from ..networks.prepared import steady, steady_over
from ..plugin import Channel
from ..plugin.contract import evaluate, told

SMALL = 1e-6
"""Rates at a closed form of the equilibrium, relative to the largest elsewhere; and states beyond their bounds, relative to the bounds."""
INDEPENDENT = 1e-11
"""Least singular value of the rates at many states, relative to the largest, of a direction in which the states move."""
ACCURACY = 1e-3
"""Error of a step relative to the range of each state: enough to stay with the equilibrium that belongs to the start."""
GROWING = 1e-8
"""Least rate of growth, relative to the largest slope on the way, that is told from the rounding of differences."""
REST, STILL, STALLED = 1e15, 1e-14, 1e-8
"""Length of the last steps [ms], how little one changes relative to the range of a state, and below what rounding may stop it from less."""
STEPS, ITERATIONS = 5000, 12


def steady_states(channel: Channel, x: SimpleNamespace, p: SimpleNamespace) -> tuple[float, ...]:
    """States at which the rates vanish for constant ports: the closed form of the channel, or the equilibrium that belongs to the starts.

    Raises
    ------
    InputError
        If there is no equilibrium, it lies outside the bounds of the states, the start is one that states run away from, or the closed form
        is none.
    """
    if not channel.states:
        return ()
    if channel.rates is None:
        return steady(channel, x)
    scheme = _Scheme(channel, x, p)
    if channel.steady is not None:
        y = np.array(evaluate(type(channel), "steady", x, p))
        scheme.check(y)
    else:
        y = scheme.settle()
    return tuple(float(v) for v in y)


def many_states(channel: Channel, x: SimpleNamespace, p: SimpleNamespace) -> list[Floats] | None:
    """`steady_states` for ports that are arrays, by the closed form of a channel; None where it has none, or does not take arrays."""
    if not channel.states:
        return []
    if channel.rates is None:
        return steady_over(channel, x)
    if channel.steady is None:
        return None
    size = max(np.size(v) for v in vars(x).values())
    scheme = _Scheme(channel, SimpleNamespace(**{n: float(np.ravel(v)[0]) for n, v in vars(x).items()}), p)
    sizes = np.abs(scheme.samples(8)).max(axis=0, initial=0.0)
    try:
        y = [np.broadcast_to(np.asarray(v, float), size) for v in type(channel).steady(x, p)]
        rates = type(channel).rates(SimpleNamespace(**dict(zip(scheme.names, y, strict=True))), x, p)
        sound = scheme.at_rest(np.stack(y, axis=1), np.stack([np.broadcast_to(v, size) for v in rates], axis=1), sizes)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return y if sound else None


class _Scheme:
    """The rates of a channel for given ports and parameters."""

    def __init__(self, channel: Channel, x: SimpleNamespace, p: SimpleNamespace) -> None:
        self.cls, self.x, self.p = type(channel), x, p
        table = channel.state_table()
        self.names = list(table)
        self.start = np.array([channel.initial.get(n, s.start) for n, s in table.items()], float)
        self.low, self.high = (np.array([getattr(s, side) for s in table.values()]) for side in ("low", "high"))
        span = self.high - self.low
        self.width = np.where(np.isfinite(span), span, np.maximum(np.abs(self.start), 1e-3))
        self.sizes = np.ones(len(table))

    def rates(self, y: Floats) -> Floats:
        return np.array(evaluate(self.cls, "rates", SimpleNamespace(**dict(zip(self.names, map(float, y), strict=True))), self.x, self.p))

    def samples(self, count: int) -> Floats:
        """Rates at states spread over their bounds, one row each; places where they cannot be had are left out."""
        random = np.random.default_rng(0)
        low = np.where(np.isfinite(self.low), self.low, self.start - 10.0 * self.width)
        high = np.where(np.isfinite(self.high), self.high, self.start + 10.0 * self.width)
        rows = []
        for _ in range(count):
            try:
                rows.append(self.rates(low + (high - low) * random.uniform(size=len(low))))
            except InputError:
                continue
        return np.array(rows).reshape(-1, len(low))

    def fail(self, message: str, y: Floats) -> InputError:
        at = told(SimpleNamespace(**dict(zip(self.names, map(float, y), strict=True))))
        return InputError(self.cls.label(), message.format(at=at))

    def bounded(self, y: Floats, room: float, what: str) -> None:
        for name, v, low, high, width in zip(self.names, y, self.low, self.high, self.width, strict=True):
            if not low - room * width <= v <= high + room * width:
                raise self.fail(f"{what} {name} = {v:.6g} at rest, outside its bounds [{low:g}, {high:g}]", y)

    def check(self, y: Floats) -> None:
        """A closed form of the equilibrium: within the bounds, and with rates that are 0 but for rounding."""
        self.bounded(y, SMALL, "steady gives")
        rates, sizes = self.rates(y), np.abs(self.samples(8)).max(axis=0, initial=0.0)
        wrong = np.abs(rates) > SMALL * sizes + 1e-12 * sizes.max() + 1e-15
        if wrong.any():
            k = int(np.argmax(wrong))
            raise self.fail(
                f"steady gives {{at}} at rest, where {self.names[k]} still changes by {rates[k]:.3g} per ms (rates have to be 0 there; "
                "a start that is no equilibrium is given as initial=)", y,
            )  # fmt: skip

    def at_rest(self, y: Floats, rates: Floats, sizes: Floats) -> bool:
        """Whether states, one row per place, are within their bounds and stand still, as `check` has it."""
        room = SMALL * self.width
        within = (y >= self.low - room) & (y <= self.high + room)
        return bool((within & ~(np.abs(rates) > SMALL * sizes + 1e-12 * sizes.max() + 1e-15)).all())

    def settle(self) -> Floats:
        """The equilibrium to which the states go from their starts."""
        y, rates, before, steepest = self.start, self.rates(self.start), math.inf, 0.0
        basis = self.directions(rates)
        if not basis.shape[1]:
            return y
        quickest = float((np.abs(rates) / self.width).max())
        h = ACCURACY / quickest if quickest > 0 else 1.0
        for _ in range(STEPS):
            slopes = self.slopes(y, basis)
            growth = float(np.linalg.eigvals(slopes).real.max())
            steepest = max(steepest, float(np.abs(slopes).max()))
            if growth > GROWING * steepest:
                if not rates.any():
                    raise self.fail("starts at an equilibrium that its states run away from, {at} (give another start, or steady(x, p))", y)
                h = min(h, 0.5 / growth)  # a longer step would pass over to the other side of what the states run away from
            new, later, wrong = self.step(y, h, basis, slopes, rates)
            scale = np.maximum(self.width, np.maximum(np.abs(y), np.abs(new)))
            error = float((np.abs(wrong) / scale).max())
            if not error <= ACCURACY:
                h *= 0.25
                continue
            self.bounded(new, 1e-2, "the rates lead to")
            change, y, rates = float((np.abs(new - y) / scale).max()), new, later
            if h >= REST and (change <= STILL or STALLED >= change >= 0.5 * before):
                self.bounded(y, SMALL, "the rates lead to")
                return np.clip(y, self.low, self.high)
            before = change if h >= REST else math.inf
            h = min(h * min(10.0, 0.8 * math.sqrt(ACCURACY / max(error, 1e-9))), REST)
        raise self.fail("no equilibrium found at rest, the states still move at {at} (give steady(x, p), or initial= and no BALANCE)", y)

    def directions(self, first: Floats) -> Floats:
        """Orthonormal columns that span all values of the rates, each relative to its largest: the states move in no other direction."""
        rows = np.vstack([first, self.samples(4 * len(self.names) + 4)])
        sizes = np.abs(rows).max(axis=0)
        self.sizes = np.where(sizes > 0, sizes, 1.0)
        _, values, spans = np.linalg.svd(rows / self.sizes, full_matrices=False)
        found: Floats = spans[values > INDEPENDENT * max(values[0], 1e-300)].T
        return found

    def slopes(self, y: Floats, basis: Floats) -> Floats:
        """Jacobian of the rates within the span of `basis`, from differences that stay within the bounds."""
        columns = []
        for e in np.diag(2.0**-20 * np.maximum(self.width, np.abs(y))):
            up = np.where(y + e <= self.high, y + e, y)
            down = np.where(y - e >= self.low, y - e, y)
            columns.append((self.rates(up) - self.rates(down)) / np.abs(up - down).sum())
        scaled = np.stack(columns, axis=1) * self.sizes / self.sizes[:, None]
        return np.asarray(basis.T @ scaled @ basis)

    def step(self, y: Floats, h: float, basis: Floats, slopes: Floats, rates: Floats) -> tuple[Floats, Floats, Floats]:
        """States and rates after one step of implicit Euler, and its error; not finite where Newton's method does not find it.

        The error is half of what the rates have changed by, damped as the step damps: else the rounding of rates at rest would count.
        """
        none, last = np.full(y.shape, math.nan), math.inf
        z, new, later = np.zeros(basis.shape[1]), y, rates
        matrix = np.eye(len(z)) / h - slopes
        try:
            for _ in range(ITERATIONS):
                change = np.linalg.solve(matrix, basis.T @ (later / self.sizes) - z / h)
                z = z + change
                new = y + self.sizes * (basis @ z)
                later = self.rates(new)
                size = float((np.abs(self.sizes * (basis @ change)) / np.maximum(self.width, np.abs(new))).max())
                if size <= 1e-16 or STALLED >= size >= 0.5 * last:
                    damped = np.linalg.solve(matrix, basis.T @ ((later - rates) / self.sizes))
                    return new, later, 0.5 * self.sizes * (basis @ damped)
                if not size < last:
                    break
                last = size
        except (InputError, np.linalg.LinAlgError):
            pass
        return none, none, none
