"""Goldman-Hodgkin-Katz flux and the constants of electrodiffusion, shared by the channels that read the potential."""

from __future__ import annotations

import math

GAS = 8.314
"""Gas constant [J/(mol K)]."""

FARADAY = 96485.0
"""Faraday constant [C/mol]."""

BODY = 310.0
"""Default temperature [K]."""

PARTICLES = 602.214
"""Particles in 1 uM um^3."""


def reduced_voltage(z, v, temperature):
    """Return xi = z F V / (R T) for a potential in mV."""
    return z * v * FARADAY / (1000.0 * GAS * temperature)


def bernoulli(x):
    """Return x / (e^x - 1), by its series where the quotient is 0/0."""
    if abs(x) < 1e-5:
        return 1.0 - 0.5 * x + x * x / 12.0
    if x > 700.0:
        return 0.0
    return x / math.expm1(x)


def ghk(c_from, c_to, xi):
    """Return the flux per permeability [uM], with xi = z F (potential of `to` - potential of `from`) / (R T).

    It is c_from - c_to at xi = 0 and vanishes at the Nernst potential, where c_from = c_to e^xi.
    """
    return c_from * bernoulli(xi) - c_to * bernoulli(-xi)
