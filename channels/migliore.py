"""Calcium currents of hippocampal pyramidal cells (Migliore et al. 1995), types L, N and T."""

from __future__ import annotations

import math

from ..plugin import Channel, channel
from .ghk import ghk
from .hodgkin_huxley import CURRENT, INSIDE_OUT, linoid, quickened

READS = {"ca": "ca@cytosol", "ca_out": "ca@outside", "v": "v"}
SOURCE = (
    "Migliore M, Cook EP, Jaffe DB, Turner DA, Johnston D (1995) Computer simulations of morphologically reconstructed CA3 hippocampal "
    "neurons, J Neurophysiol 73:1157-1168, doi:10.1152/jn.1995.73.3.1157"
)
ROOM = 298.15
"""Temperature [K] of the measured rates: 25 degrees Celsius."""


def half_thermal(temperature):
    """Return RT/2F [mV] as the model has it: 25 mV at 20 C, halved."""
    return 0.5 * 25.0 / 293.15 * temperature


def driven(v, c, c_out, temperature):
    """Return the driving force [mV] of calcium, negative inward; 0 at RT/2F ln(c_out/c)."""
    f = half_thermal(temperature)
    return f * ghk(c / c_out, 1.0, -v / f)  # divided first: its slope in c_out is tiny, and must not be a difference


def bell(v, a0, z, half, gamma, q):
    """Return a time constant [ms] of a gate of charge z, quickened by q."""
    x = 0.0378 * z * (v - half)
    return math.exp(gamma * x) / (q * a0 * (1.0 + math.exp(x)))


def _table(g):
    return {
        "g": (g, "S/cm^2", (0.0, 100.0)),
        "q10": (5.0, "1", (0.1, 10.0)),
        "temperature": (ROOM, "K", (270.0, 330.0)),
    }


@channel("vgcc/migliore-l")
class MiglioreL(Channel):
    """L-type current: i = g m^2 k/(k + c) d(v), outward positive, d the driving force of Goldman, Hodgkin and Katz [mV]."""

    across, reads, moves, flux_unit = INSIDE_OUT, READS, {"ca": 1}, CURRENT
    states = {"m": 0.0}
    params = _table(0.003) | {"k": (1.0, "uM", (1e-6, 1e6))}
    source = SOURCE

    @staticmethod
    def rates(y, x, p):
        q = quickened(p.q10, p.temperature, ROOM)
        tau = max(bell(x.v, 0.1, 2.0, 4.0, 0.1, q), 0.2 / q)
        a, b = 15.69 * linoid(x.v - 81.5, 10.0), 0.29 * math.exp(-x.v / 10.86)
        return ((a / (a + b) - y.m) / tau,)

    @staticmethod
    def steady(x, p):
        a, b = 15.69 * linoid(x.v - 81.5, 10.0), 0.29 * math.exp(-x.v / 10.86)
        return (a / (a + b),)

    @staticmethod
    def open_probability(y, x, p):
        return y.m**2 * p.k / (p.k + x.ca)

    @staticmethod
    def flux(y, x, p):
        return p.g * y.m**2 * p.k / (p.k + x.ca) * driven(x.v, x.ca, x.ca_out, p.temperature)


@channel("vgcc/migliore-n")
class MiglioreN(Channel):
    """N-type current: i = g m^2 h k/(k + c) d(v), outward positive, d the driving force of Goldman, Hodgkin and Katz [mV]."""

    across, reads, moves, flux_unit = INSIDE_OUT, READS, {"ca": 1}, CURRENT
    states = {"m": 0.0, "h": 1.0}
    params = _table(0.0003) | {"k": (1.0, "uM", (1e-6, 1e6)), "h_tau": (80.0, "ms", (1e-3, 1e6))}
    source = SOURCE

    @staticmethod
    def rates(y, x, p):
        tau = bell(x.v, 0.03, 2.0, -14.0, 0.1, quickened(p.q10, p.temperature, ROOM))
        a, b = 0.1967 * linoid(x.v - 19.88, 10.0), 0.046 * math.exp(-x.v / 20.73)
        c, d = 1.6e-4 * math.exp(-x.v / 48.4), 1.0 / (math.exp((39.0 - x.v) / 10.0) + 1.0)
        return (a / (a + b) - y.m) / tau, (c / (c + d) - y.h) / p.h_tau

    @staticmethod
    def steady(x, p):
        a, b = 0.1967 * linoid(x.v - 19.88, 10.0), 0.046 * math.exp(-x.v / 20.73)
        c, d = 1.6e-4 * math.exp(-x.v / 48.4), 1.0 / (math.exp((39.0 - x.v) / 10.0) + 1.0)
        return a / (a + b), c / (c + d)

    @staticmethod
    def open_probability(y, x, p):
        return y.m**2 * y.h * p.k / (p.k + x.ca)

    @staticmethod
    def flux(y, x, p):
        return p.g * y.m**2 * y.h * p.k / (p.k + x.ca) * driven(x.v, x.ca, x.ca_out, p.temperature)


@channel("vgcc/migliore-t")
class MiglioreT(Channel):
    """T-type current: i = g m^2 h d(v), outward positive, d the driving force of Goldman, Hodgkin and Katz [mV]."""

    across, reads, moves, flux_unit = INSIDE_OUT, READS, {"ca": 1}, CURRENT
    states = {"m": 0.0, "h": 1.0}
    params = _table(0.003)
    source = SOURCE

    @staticmethod
    def rates(y, x, p):
        q = quickened(p.q10, p.temperature, ROOM)
        m_tau, h_tau = max(bell(x.v, 0.04, 2.0, -28.0, 0.1, q), 0.2), max(bell(x.v, 0.015, 3.5, -75.0, 0.6, q), 10.0)
        a, b = 0.2 * linoid(x.v - 19.26, 10.0), 0.009 * math.exp(-x.v / 22.03)
        c, d = 1e-6 * math.exp(-x.v / 16.26), 1.0 / (math.exp((29.79 - x.v) / 10.0) + 1.0)
        return (a / (a + b) - y.m) / m_tau, (c / (c + d) - y.h) / h_tau

    @staticmethod
    def steady(x, p):
        a, b = 0.2 * linoid(x.v - 19.26, 10.0), 0.009 * math.exp(-x.v / 22.03)
        c, d = 1e-6 * math.exp(-x.v / 16.26), 1.0 / (math.exp((29.79 - x.v) / 10.0) + 1.0)
        return a / (a + b), c / (c + d)

    @staticmethod
    def open_probability(y, x, p):
        return y.m**2 * y.h

    @staticmethod
    def flux(y, x, p):
        return p.g * y.m**2 * y.h * driven(x.v, x.ca, x.ca_out, p.temperature)
