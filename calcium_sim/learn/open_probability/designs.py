"""Artificial training data: an open probability designed by its plateau and its opening and closing times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from ...kernels.relax import relax_arrays
from ...mesh import Floats
from ...model.registry import get_channel
from ..data.clamping import Clamped
from ..data.transients import rate_of_change

Shape = float | Callable[[Floats], Floats]
"""A number, or a function of the concentration [uM] that takes and returns arrays."""

TURN, WIDTH = 0.01, 0.0025
"""Rate of rise [uM/ms] at which a design turns from closing to opening, and the width of the turn: a network cannot learn a jump. The
front of a wave rises by 0.1 to 50 uM/ms, its tail falls."""


@dataclass(frozen=True)
class Design:
    """What a channel should do: dP/dt = (P_inf(u) - P)/tau, tau = `open_time` while u rises and `close_time` else.

    Parameters
    ----------
    plateau : P_inf, between 0 and 1.
    open_time, close_time : tau [ms], positive.
    port : the concentration u that gates the channel.

    Examples
    --------
    >>> import numpy as np
    >>> brief = Design(plateau=lambda u: u**4 / (u**4 + 0.3**4), open_time=0.5, close_time=2.0)
    >>> alpha, beta = brief.rates(np.array([0.3]), np.array([1.0]))
    >>> print(alpha, beta)
    [1.] [1.]
    """

    plateau: Shape
    open_time: Shape
    close_time: Shape
    port: str = "ca@cytosol"

    def rates(self, u: Floats, rate: Floats) -> tuple[Floats, Floats]:
        """Opening and closing rates [1/ms] at concentration u [uM] that changes by `rate` [uM/ms]."""
        opens = 1.0 / (1.0 + np.exp(np.clip((TURN - rate) / WIDTH, -50.0, 50.0)))
        times = [self._value(name, u) for name in ("open_time", "close_time")]
        tau = np.exp(opens * np.log(times[0]) + (1.0 - opens) * np.log(times[1]))
        plateau = self._value("plateau", u)
        return plateau / tau, (1.0 - plateau) / tau

    def _value(self, name: str, u: Floats) -> Floats:
        shape: Any = getattr(self, name)
        values = np.broadcast_to(np.asarray(shape(u) if callable(shape) else shape, float), u.shape)
        low, high = (0.0, 1.0) if name == "plateau" else (1e-6, 1e9)
        if not ((values >= low) & (values <= high)).all():
            bad = values[~((values >= low) & (values <= high))].flat[0]
            raise InputError(f"Design.{name}", f"{bad:g} at some concentration, expected {low:g} to {high:g}")
        return values

    def respond(self, time: Floats, u: Floats) -> Clamped:
        """Open probability, opening and closing fluxes over traces of u (traces, samples), from the plateau at the first sample."""
        dt = float(time[1] - time[0])
        alpha, beta = self.rates(u, rate_of_change(u, dt))
        p = np.empty_like(u)
        p[:, 0] = alpha[:, 0] / (alpha[:, 0] + beta[:, 0])
        for k in range(1, u.shape[1]):
            p[:, k] = relax_arrays(p[:, k - 1], alpha[:, k], beta[:, k], dt)
        tiny = 1e-12
        opening, closing = (alpha + tiny) * np.maximum(1.0 - p, tiny), (beta + tiny) * np.maximum(p, tiny)
        return Clamped("design", time, {self.port: u}, {"P": p}, p, opening, closing, {}, {}, True)


def keizer_levine_design(amplitude: float = 1.0, closing: float = 1.0, close_time: float | None = None) -> Design:
    """Design in the manner of the ryanodine receptor of Keizer & Levine (1996), its slow inactivation left out.

    P_inf = amplitude phi(u), the plateau of the four-state scheme before its slow closed state fills; tau = 1/(ka+ u^4 + ka- o1/P) as in
    the scheme with o1 and o2 in equilibrium.

    Parameters
    ----------
    amplitude : factor on the plateau, in (0, 1].
    closing : factor on the rate of relaxation while calcium falls.
    close_time : the same time [ms] at every concentration instead.

    Raises
    ------
    InputError
        If a factor or time is not positive, or the amplitude exceeds 1.
    """
    if not (0.0 < amplitude <= 1.0 and closing > 0.0 and (close_time is None or close_time > 0.0)):
        raise InputError(
            "keizer_levine_design", f"amplitude {amplitude}, closing {closing}, close_time {close_time}: expected (0, 1], > 0, > 0"
        )
    p: dict[str, float] = get_channel("ryr/two-variable")().values

    def tau(u: Floats) -> Floats:
        return 1.0 / (p["ka_on"] * u**4 + p["ka_off"] / (1.0 + p["kb_on"] / p["kb_off"] * u**3))

    def plateau(u: Floats) -> Floats:
        return amplitude * p["ka_on"] * u**4 * tau(u)

    def close(u: Floats) -> Floats:
        return tau(u) / closing

    return Design(plateau, tau, close if close_time is None else close_time)
