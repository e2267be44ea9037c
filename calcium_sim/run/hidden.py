"""States of channels that can go wrong without a trace in the concentrations: they are under the control of the step themselves.

Where the rates of a channel are linear in its states (gates, kinetic schemes), the states follow what they read, an error of theirs
decays, and the error of the concentrations tells enough: a receptor's states under control would cost a wave eight times as many steps, for
nothing. Where the rates are not linear (an oscillator, an excitable law), the states have a life of their own, and what they do wrong while
the channel is shut shows only in the times at which it opens. Laws in du/dt are looked at as well: they multiply what concentrations do,
from however little, so that no state of theirs may be wrong by more than a part of itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import numpy as np

from ..kernels.control import largest_part, pair_error
from ..mesh import Floats
from ..networks.prepared import gate_of
from ..plan.lower import Gauge, Plan
from ..plan.rest import resting_ports
from ..plugin import BALANCE, Channel

_TRIALS, _ROUNDING = 16, 1e-9
PART = 50.0
"""A state that follows a law in du/dt may be wrong by so many times the tolerance of itself."""
LEAST = {"float32": 1e-6, "float64": 1e-12}
"""Of the range of a state, by the precision of its law: what is less is as good as nothing."""


class HiddenStates:
    """The error measure of the states that are under control; `any` tells whether there are some.

    Parameters
    ----------
    plan : the lowered model.
    """

    def __init__(self, plan: Plan) -> None:
        rows = [(g, s) for g in plan.gauges if g.states and _controlled(plan, g) for s in _with_a_past(g)]
        self.begin, self.end = (np.array([getattr(s, side) for _, s in rows], np.int64) for side in ("start", "stop"))
        self.any = bool(rows)
        self.area = np.zeros(len(plan.y0))
        for g, s in rows:
            self.area[s] = g.area
        self.rest = plan.y0
        multiplied = [(s, least) for g, s in rows for least in _multiplied(g, s)]
        self.first, self.last = (np.array([getattr(s, side) for s, _ in multiplied], np.int64) for side in ("start", "stop"))
        self.least = np.array([least for _, least in multiplied])

    def error(self, fine: Floats, coarse: Floats, before: Floats, tolerance: float) -> float:
        """As `kernels.control.pair_error`, over the states."""
        error = pair_error(fine, coarse, before, self.area, self.begin, self.end, self.rest, tolerance)
        part = largest_part(fine, coarse, self.first, self.last, self.least) / (PART * tolerance)
        return float(part if not part <= error else error)


def _multiplied(g: Gauge, s: slice) -> Iterator[float]:
    """What is as good as nothing of a state that a law in du/dt multiplies: one that cannot be negative."""
    table = {(s.start, s.stop): c for s, c in zip(g.states, g.channel.state_table().values(), strict=True)}
    if any(p.kind == "rate" for p in g.spec.ports) and table[s.start, s.stop].low == 0.0 and np.isfinite(table[s.start, s.stop].high):
        gate = gate_of(type(g.channel))
        high = table[s.start, s.stop].high
        yield LEAST["float64" if gate is None else gate.card.dtype] * high


def _controlled(plan: Plan, g: Gauge) -> bool:
    if g.spec.paced or gate_of(type(g.channel)) is not None:
        return g.spec.paced
    return not follows_ports(g.channel, resting_ports(plan.model, g.membrane, g.channel))


def follows_ports(channel: Channel, ports: SimpleNamespace) -> bool:
    """Whether a channel's states follow what it reads: rates linear in the states, every solution of which decays faster than it turns.

    Tried at random states and ports around those of rest. Two states and the two that come of exchanging any part of the way between them
    have the same sum, and so have their rates where these are linear.
    """
    if channel.rates is None:  # the states are those of another one
        return True
    random, rates, table = np.random.default_rng(0), channel.rates, channel.state_table()
    ends = [(s.low, s.high) if np.isfinite(s.high - s.low) else (s.start - 1.0, s.start + 1.0) for s in table.values()]
    low, width = np.array(ends)[:, 0], np.diff(np.array(ends))[:, 0]
    p = SimpleNamespace(**{n: 1.0 if v is BALANCE else v for n, v in channel.values.items()})

    def at(y: Floats, x: SimpleNamespace) -> Floats:
        return np.array(rates(SimpleNamespace(**dict(zip(table, map(float, y), strict=True))), x, p), float)

    for _ in range(_TRIALS):
        x = SimpleNamespace(**{n: float(c * np.exp(random.normal()) + 1e-3 * random.normal()) for n, c in vars(ports).items()})
        a, b = (low + width * random.uniform(size=len(table)) for _ in range(2))
        way = (b - a) * random.uniform(size=len(table))
        try:
            parts = np.array([at(y, x) for y in (a, b, a + way, b - way)])
            slopes = np.array([(at(a + d, x) - parts[0]) / d.sum() for d in np.diag(width)])
        except (ArithmeticError, ValueError):
            return False
        if not (abs(parts[0] + parts[1] - parts[2] - parts[3]) <= _ROUNDING * abs(parts).sum(axis=0)).all():
            return False
        values = np.linalg.eigvals(slopes)
        if (values.real > _ROUNDING * abs(values).max()).any() or (abs(values.imag) > -values.real + _ROUNDING * abs(values).max()).any():
            return False
    return True


def _with_a_past(g: Gauge) -> Sequence[slice]:
    """States of a channel but for the value that its network returns at once, which concentrations and other states determine."""
    gate = gate_of(type(g.channel))
    if gate is None or gate.kind not in ("open_prob", "current"):
        return g.states
    return [s for name, s in zip(g.channel.states, g.states, strict=True) if name != gate.outputs[-1]]
