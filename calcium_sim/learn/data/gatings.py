"""Ways to write an open probability as a product of gates, for channels whose open probability alone forgets too much."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Gating:
    """Gates g with P = product of g^power, told by a channel's own states.

    Attributes
    ----------
    powers : gate -> power, in the order of the functions' results; 0 for a gate that P does not contain.
    values : (y, x, p) -> the gates, each between 0 and 1.
    gains, losses : (y, x, p) -> one-way fluxes [1/ms] of every gate, >= 0; the gate's derivative is their difference.
    """

    powers: Mapping[str, int]
    values: Callable[..., tuple[float, ...]]
    gains: Callable[..., tuple[float, ...]]
    losses: Callable[..., tuple[float, ...]]


def _subunit(y: Any) -> Any:
    """Fractions of subunits by IP3 (1 bound) and inhibiting calcium (1 bound): x10, x11, x01, and h = x00 + x10."""
    x01, x11 = y.s001 + y.s011, y.s101 + y.s111
    return y.s100 + y.s110, x11, x01, 1.0 - x01 - x11


def _dyk_values(y: Any, x: Any, p: Any) -> tuple[float, ...]:
    x10, _x11, _x01, h = _subunit(y)
    return y.s010 + y.s110 + y.s011 + y.s111, x10 / h, h


def _dyk_gains(y: Any, x: Any, p: Any) -> tuple[float, ...]:
    x10, x11, x01, h = _subunit(y)
    n, m = y.s010 + y.s110 + y.s011 + y.s111, x10 / h
    freed = p.a2 * p.d2 * x11
    return (
        p.a5 * x.ca * (1.0 - n),
        p.a1 * x.ip3 * (1.0 - m) + freed * (1.0 - m) / h + p.a4 * x.ca * (h - x10) * m / h,
        freed + p.a4 * p.d1 * p.d2 / p.d3 * x01,
    )


def _dyk_losses(y: Any, x: Any, p: Any) -> tuple[float, ...]:
    x10, _x11, x01, h = _subunit(y)
    n, m = y.s010 + y.s110 + y.s011 + y.s111, x10 / h
    return (
        p.a5 * p.d5 * n,
        p.a1 * p.d1 * m + p.a2 * x.ca * x10 * (1.0 - m) / h + p.a4 * p.d1 * p.d2 / p.d3 * x01 * m / h,
        p.a2 * x.ca * x10 + p.a4 * x.ca * (h - x10),
    )


DE_YOUNG_KEIZER = Gating({"n": 3, "m": 3, "h": 3}, _dyk_values, _dyk_gains, _dyk_losses)
"""P = (n m h)^3 of De Young & Keizer (1992): n activating calcium bound (independent of the rest: exact), h not inhibited, m IP3 bound
among the subunits that are not inhibited. P alone cannot tell a subunit that waits for calcium from an inhibited one, and both take
up to seconds."""


def _kl_values(y: Any, x: Any, p: Any) -> tuple[float, ...]:
    return (1.0 - y.c1 - y.c2) / (1.0 - y.c2), 1.0 - y.c2


def _kl_gains(y: Any, x: Any, p: Any) -> tuple[float, ...]:
    h = 1.0 - y.c2
    return (p.ka_on * x.ca**4 + p.kc_off * y.c2 / h) * y.c1 / h, p.kc_off * y.c2


def _kl_losses(y: Any, x: Any, p: Any) -> tuple[float, ...]:
    h = 1.0 - y.c2
    o1 = 1.0 - y.c1 - y.o2 - y.c2
    return o1 / h * (p.ka_off + p.kc_on * y.c1 / h), p.kc_on * o1


KEIZER_LEVINE = Gating({"m": 1, "h": 1}, _kl_values, _kl_gains, _kl_losses)
"""P = m h of Keizer & Levine (1996): h = 1 - c2 has not fallen into the slow closed state, m of these is open. The rates of m are those of
calcium alone but for the share of o1 in the open ones, so that they do not change with the resting level or with what came before."""

GATINGS: dict[str, Gating] = {"de-young-keizer": DE_YOUNG_KEIZER, "keizer-levine": KEIZER_LEVINE}
"""By name."""

USUAL: dict[str, Gating] = {"ip3r/de-young-keizer": DE_YOUNG_KEIZER}
"""Gatings used unless told otherwise, by registry name of the channel."""
