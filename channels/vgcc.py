"""Voltage-gated calcium channels of Borg-Graham: calcium from outside into the cytosol by the Goldman-Hodgkin-Katz flux."""

from __future__ import annotations

import math

from ..plugin import Channel, channel
from .ghk import BODY, ghk, reduced_voltage
from .hodgkin_huxley import quickened

READS = {"ca": "ca@cytosol", "ca_out": "ca@outside", "v": "v"}

SOURCE = (
    "Borg-Graham LJ (1998) Interpretations of data and mechanisms for hippocampal pyramidal cell models, Cerebral Cortex 13; "
    "permeabilities: NeuroBox3D/neuro_collection"
)


def boltzmann(z, v, half, temperature):
    """Return the open fraction 1/(1 + exp(-z (v - half) F/(R T))) of a gate at equilibrium."""
    return 1.0 / (1.0 + math.exp(-reduced_voltage(z, v - half, temperature)))


def _table(permeability, **gates):
    """Parameters: density, permeability of one channel, temperature, and (charge, half potential, time constant) of each gate."""
    rows = {
        "density": (1.0, "1/um^2", (0.0, 1e4)),
        "permeability": (permeability, "um^3/ms", (0.0, 1.0)),
        "temperature": (BODY, "K", (270.0, 330.0)),
        "q10": (1.0, "1", (0.1, 10.0)),
    }
    for gate, (z, half, tau) in gates.items():
        rows[f"{gate}_z"] = (z, "1", (-10.0, 10.0))
        rows[f"{gate}_half"] = (half, "mV", (-150.0, 100.0))
        rows[f"{gate}_tau"] = (tau, "ms", (1e-3, 1e5))
    return rows


@channel("vgcc/borg-graham-n")
class BorgGrahamN(Channel):
    """N-type channel (Borg-Graham 1998): J = density permeability m^2 h [c_o B(xi) - c B(-xi)], xi = 2 F V/(R T), B(x) = x/(e^x - 1).

    Gates relax to 1/(1 + exp(-z (V - half) F/(R T))) with a constant tau [ms]; V = inside - outside [mV]; permeability of one channel
    3.8e-19 m^3/s = 3.8e-4 um^3/ms; J [uM um/ms] into the cytosol. The density of 1 /um^2 is a choice: set yours. `temperature` acts on the
    steady values and on the flux; with `q10`, which is 1 unless it is given (3 is usual), the gates are so many times quicker 10 K above
    310 K.
    """

    across = ("outside", "cytosol")
    reads = READS
    states = {"m": 0.002, "h": 0.9}
    params = _table(3.8e-4, m=(3.4, -21.0, 1.5), h=(-2.0, -40.0, 75.0))
    source = SOURCE

    @staticmethod
    def rates(y, x, p):
        m = boltzmann(p.m_z, x.v, p.m_half, p.temperature)
        h = boltzmann(p.h_z, x.v, p.h_half, p.temperature)
        q = quickened(p.q10, p.temperature, BODY)
        return q * (m - y.m) / p.m_tau, q * (h - y.h) / p.h_tau

    @staticmethod
    def steady(x, p):
        return boltzmann(p.m_z, x.v, p.m_half, p.temperature), boltzmann(p.h_z, x.v, p.h_half, p.temperature)

    @staticmethod
    def open_probability(y, x, p):
        return y.m**2 * y.h

    @staticmethod
    def flux(y, x, p):
        return p.density * p.permeability * y.m**2 * y.h * ghk(x.ca_out, x.ca, reduced_voltage(2.0, x.v, p.temperature))


@channel("vgcc/borg-graham-t")
class BorgGrahamT(BorgGrahamN):
    """T-type channel (Borg-Graham 1998): the equations of `vgcc/borg-graham-n`, gates m^2 h, permeability 1.9e-4 um^3/ms."""

    states = {"m": 0.02, "h": 0.6}
    params = _table(1.9e-4, m=(3.0, -36.0, 1.5), h=(-5.2, -68.0, 10.0))


@channel("vgcc/borg-graham-l")
class BorgGrahamL(Channel):
    """L-type channel (Borg-Graham 1998): J = density permeability m^2 [c_o B(xi) - c B(-xi)], without inactivation.

    Equations and units of `vgcc/borg-graham-n`; permeability of one channel 5.7e-19 m^3/s = 5.7e-4 um^3/ms.
    """

    across = ("outside", "cytosol")
    reads = READS
    states = {"m": 0.0}
    params = _table(5.7e-4, m=(4.6, -1.0, 1.5))
    source = SOURCE

    @staticmethod
    def rates(y, x, p):
        q = quickened(p.q10, p.temperature, BODY)
        return (q * (boltzmann(p.m_z, x.v, p.m_half, p.temperature) - y.m) / p.m_tau,)

    @staticmethod
    def steady(x, p):
        return (boltzmann(p.m_z, x.v, p.m_half, p.temperature),)

    @staticmethod
    def open_probability(y, x, p):
        return y.m**2

    @staticmethod
    def flux(y, x, p):
        return p.density * p.permeability * y.m**2 * ghk(x.ca_out, x.ca, reduced_voltage(2.0, x.v, p.temperature))
