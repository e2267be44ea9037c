"""Currents of the squid axon (Hodgkin & Huxley 1952) and of cortical cells (Traub & Miles 1991, Pospischil et al. 2008), and leaks."""

from __future__ import annotations

import math

from ..plugin import Channel, channel
from .ghk import bernoulli

INSIDE_OUT = ("cytosol", "outside")
"""Of ionic currents: positive is outward."""

CURRENT = "mA/cm^2"
SQUID = "Hodgkin AL, Huxley AF (1952) J Physiol 117:500-544, doi:10.1113/jphysiol.1952.sp004764; resting potential at -65 mV"
CORTEX = (
    "Pospischil M et al. (2008) Minimal Hodgkin-Huxley type models for different classes of cortical and thalamic neurons, "
    "Biol Cybern 99:427-441, doi:10.1007/s00422-008-0263-8; sodium and potassium after Traub RD, Miles R (1991) Neuronal networks of the "
    "hippocampus"
)
TRAUB = (
    "Traub RD, Miles R (1991) Neuronal networks of the hippocampus, Cambridge University Press; constants: Brette R et al. (2007) "
    "Simulation of networks of spiking neurons, J Comput Neurosci 23:349-398, doi:10.1007/s10827-007-0038-6"
)
COLD, WARM = 279.45, 309.15
"""Temperatures [K] of the measured rates: 6.3 and 36 degrees Celsius."""


def linoid(x, k):
    """Return x/(1 - exp(-x/k)), k at x = 0."""
    return k * bernoulli(-x / k)


def quickened(q10, temperature, measured):
    """Return the factor of a rate at another temperature [K] than that of its measurement."""
    return q10 ** (0.1 * (temperature - measured))


def current_table(g, e, q10, measured):
    """Parameters: conductance [S/cm^2], reversal potential, Q10 of the rates and temperature."""
    return {
        "g": (g, "S/cm^2", (0.0, 100.0)),
        "e": (e, "mV", (-300.0, 300.0)),
        "q10": (q10, "1", (0.1, 10.0)),
        "temperature": (measured, "K", (250.0, 330.0)),
    }


@channel("na/hodgkin-huxley")
class SquidSodium(Channel):
    """Sodium current of the squid axon: i = g m^3 h (v - e), outward positive, at 6.3 C and with a Q10 of 3."""

    across, reads, moves, flux_unit = INSIDE_OUT, {"v": "v"}, {"na": 1}, CURRENT
    states = {"m": 0.05, "h": 0.6}
    params = current_table(0.12, 50.0, 3.0, COLD)
    source = SQUID

    @staticmethod
    def rates(y, x, p):
        q = quickened(p.q10, p.temperature, COLD)
        am, bm = 0.1 * linoid(x.v + 40.0, 10.0), 4.0 * math.exp(-(x.v + 65.0) / 18.0)
        ah, bh = 0.07 * math.exp(-(x.v + 65.0) / 20.0), 1.0 / (1.0 + math.exp(-(x.v + 35.0) / 10.0))
        return q * (am * (1.0 - y.m) - bm * y.m), q * (ah * (1.0 - y.h) - bh * y.h)

    @staticmethod
    def steady(x, p):
        am, bm = 0.1 * linoid(x.v + 40.0, 10.0), 4.0 * math.exp(-(x.v + 65.0) / 18.0)
        ah, bh = 0.07 * math.exp(-(x.v + 65.0) / 20.0), 1.0 / (1.0 + math.exp(-(x.v + 35.0) / 10.0))
        return am / (am + bm), ah / (ah + bh)

    @staticmethod
    def open_probability(y, x, p):
        return y.m**3 * y.h

    @staticmethod
    def flux(y, x, p):
        return p.g * y.m**3 * y.h * (x.v - p.e)


@channel("k/hodgkin-huxley")
class SquidPotassium(Channel):
    """Potassium current of the squid axon: i = g n^4 (v - e), outward positive, at 6.3 C and with a Q10 of 3."""

    across, reads, moves, flux_unit = INSIDE_OUT, {"v": "v"}, {"k": 1}, CURRENT
    states = {"n": 0.32}
    params = current_table(0.036, -77.0, 3.0, COLD)
    source = SQUID

    @staticmethod
    def rates(y, x, p):
        a, b = 0.01 * linoid(x.v + 55.0, 10.0), 0.125 * math.exp(-(x.v + 65.0) / 80.0)
        return (quickened(p.q10, p.temperature, COLD) * (a * (1.0 - y.n) - b * y.n),)

    @staticmethod
    def steady(x, p):
        a, b = 0.01 * linoid(x.v + 55.0, 10.0), 0.125 * math.exp(-(x.v + 65.0) / 80.0)
        return (a / (a + b),)

    @staticmethod
    def open_probability(y, x, p):
        return y.n**4

    @staticmethod
    def flux(y, x, p):
        return p.g * y.n**4 * (x.v - p.e)


@channel("leak/ohmic")
class OhmicLeak(Channel):
    """A leak of ions of no account: i = g (v - e), outward positive."""

    across, reads, moves, flux_unit = INSIDE_OUT, {"v": "v"}, {}, CURRENT
    params = {"g": (None, "S/cm^2", (0.0, 100.0)), "e": (None, "mV", (-300.0, 300.0))}
    source = SQUID

    @staticmethod
    def flux(y, x, p):
        return p.g * (x.v - p.e)


@channel("leak/hodgkin-huxley")
class SquidLeak(OhmicLeak):
    """Leak of the squid axon: i = g (v - e), 0.3 mS/cm^2 at -54.4 mV (other programs round to -54.3 mV)."""

    params = {"g": (0.0003, "S/cm^2", (0.0, 100.0)), "e": (-54.4, "mV", (-300.0, 300.0))}


@channel("na/traub-miles")
class TraubSodium(SquidSodium):
    """Sodium current of hippocampal cells: i = g m^3 h (v - e), with the rates of Traub and Miles at u = v - threshold; 36 C.

    a_m = 0.32 L(u - 13, 4), b_m = 0.28 L(40 - u, 5), a_h = 0.128 exp(-(u - 17)/18), b_h = 4/(1 + exp(-(u - 40)/5)) per ms,
    L(x, k) = x/(1 - exp(-x/k)). Conductance and threshold (-63 mV) as in the benchmark of Brette et al. (2007).
    """

    states = {"m": 0.02, "h": 0.99}
    params = current_table(0.1, 50.0, 3.0, WARM) | {"threshold": (-63.0, "mV", (-150.0, 50.0))}
    source = TRAUB

    @staticmethod
    def rates(y, x, p):
        q, u = quickened(p.q10, p.temperature, WARM), x.v - p.threshold
        am, bm = 0.32 * linoid(u - 13.0, 4.0), 0.28 * linoid(40.0 - u, 5.0)
        ah, bh = 0.128 * math.exp(-(u - 17.0) / 18.0), 4.0 / (1.0 + math.exp(-(u - 40.0) / 5.0))
        return q * (am * (1.0 - y.m) - bm * y.m), q * (ah * (1.0 - y.h) - bh * y.h)

    @staticmethod
    def steady(x, p):
        u = x.v - p.threshold
        am, bm = 0.32 * linoid(u - 13.0, 4.0), 0.28 * linoid(40.0 - u, 5.0)
        ah, bh = 0.128 * math.exp(-(u - 17.0) / 18.0), 4.0 / (1.0 + math.exp(-(u - 40.0) / 5.0))
        return am / (am + bm), ah / (ah + bh)


@channel("k/traub-miles")
class TraubPotassium(SquidPotassium):
    """Potassium current of hippocampal cells: i = g n^4 (v - e), with the rates of Traub and Miles at u = v - threshold; 36 C.

    a_n = 0.032 L(u - 15, 5), b_n = 0.5 exp(-(u - 10)/40) per ms, L as in `na/traub-miles`.
    """

    states = {"n": 0.03}
    params = current_table(0.03, -90.0, 3.0, WARM) | {"threshold": (-63.0, "mV", (-150.0, 50.0))}
    source = TRAUB

    @staticmethod
    def rates(y, x, p):
        u = x.v - p.threshold
        a, b = 0.032 * linoid(u - 15.0, 5.0), 0.5 * math.exp(-(u - 10.0) / 40.0)
        return (quickened(p.q10, p.temperature, WARM) * (a * (1.0 - y.n) - b * y.n),)

    @staticmethod
    def steady(x, p):
        u = x.v - p.threshold
        a, b = 0.032 * linoid(u - 15.0, 5.0), 0.5 * math.exp(-(u - 10.0) / 40.0)
        return (a / (a + b),)


@channel("na/pospischil")
class CorticalSodium(TraubSodium):
    """Sodium current of cortical cells: that of `na/traub-miles` with other constants; 36 C."""

    params = current_table(0.05, 50.0, 3.0, WARM) | {"threshold": (-60.0, "mV", (-150.0, 50.0))}
    source = CORTEX


@channel("k/pospischil")
class CorticalPotassium(TraubPotassium):
    """Potassium current of cortical cells: that of `k/traub-miles` with other constants; 36 C."""

    params = current_table(0.005, -90.0, 3.0, WARM) | {"threshold": (-60.0, "mV", (-150.0, 50.0))}
    source = CORTEX


@channel("km/pospischil")
class SlowPotassium(Channel):
    """Slow potassium current that makes cortical cells adapt: i = g p (v - e), with time constants below tau_max/3.6; 36 C."""

    across, reads, moves, flux_unit = INSIDE_OUT, {"v": "v"}, {"k": 1}, CURRENT
    states = {"p": 0.03}
    params = current_table(7e-5, -90.0, 3.0, WARM) | {"tau_max": (1000.0, "ms", (0.01, 1e6))}
    source = CORTEX

    @staticmethod
    def rates(y, x, p):
        tau = p.tau_max / (3.3 * math.exp((x.v + 35.0) / 20.0) + math.exp(-(x.v + 35.0) / 20.0))
        steady = 1.0 / (1.0 + math.exp(-(x.v + 35.0) / 10.0))
        return (quickened(p.q10, p.temperature, WARM) * (steady - y.p) / tau,)

    @staticmethod
    def steady(x, p):
        return (1.0 / (1.0 + math.exp(-(x.v + 35.0) / 10.0)),)

    @staticmethod
    def open_probability(y, x, p):
        return y.p

    @staticmethod
    def flux(y, x, p):
        return p.g * y.p * (x.v - p.e)
