"""Goldman-Hodgkin-Katz flux and the constants of electrodiffusion, shared by the channels that read the potential."""

from __future__ import annotations

import math

from ..plugin.ions import FARADAY as FARADAY

GAS = 8.314
"""Gas constant [J/(mol K)]."""

BODY = 310.0
"""Default temperature [K]."""

PARTICLES = 602.214
"""Particles in 1 uM um^3."""


def reduced_voltage(z, v, temperature):
    """Return xi = z F V / (R T) for a potential in mV."""
    return z * v * FARADAY / (1000.0 * GAS * temperature)


def bernoulli(x):
    """Return x / (e^x - 1), by its series where the quotient is 0/0.

    Without a branch that leaves the function, so that 64 places are computed at once; beyond 700 it is below 1e-301.
    """
    far = x if abs(x) > 1e-5 else 1e-5
    far = far if far < 700.0 else 700.0
    quotient = far / math.expm1(far)
    return quotient if abs(x) > 1e-5 else 1.0 - 0.5 * x + x * x / 12.0


def ghk(c_from, c_to, xi):
    """Return the flux per permeability [uM], with xi = z F (potential of `to` - potential of `from`) / (R T).

    It is c_from - c_to at xi = 0 and vanishes at the Nernst potential, where c_from = c_to e^xi.
    """
    return c_from * bernoulli(xi) - c_to * bernoulli(-xi)
