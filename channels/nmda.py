"""NMDA receptors: calcium from outside into the cytosol after a synaptic release at `onset`."""

from __future__ import annotations

import math

from ..plugin import Channel, channel
from .ghk import BODY, ghk, reduced_voltage

READS = {"ca": "ca@cytosol", "ca_out": "ca@outside", "v": "v", "t": "t"}

RELEASE = {
    "density": (55.0, "1/um^2", (0.0, 1e5)),
    "permeability": (7.61e-6, "um^3/ms", (0.0, 1.0)),
    "temperature": (BODY, "K", (270.0, 330.0)),
    "onset": (0.0, "ms", (0.0, 1e9)),
}


def decay(t, onset, tau):
    """Return exp(-(t - onset)/tau) after `onset`, 0 up to and including it: a cell at rest at t = 0 is still closed."""
    return math.exp(-(t - onset) / tau) if t > onset else 0.0


@channel("nmda/exp-ghk")
class ExpGhk(Channel):
    """NMDA receptor that opens at once and closes exponentially (Breit et al. 2018): Po = exp(-(t - onset)/tau) for t > onset.

    J = density permeability Po [c_o B(xi) - c B(-xi)], xi = 2 F V/(R T), B(x) = x/(e^x - 1), V = inside - outside [mV] (-70 in the
    paper); permeability of one channel 7.61e-21 m^3/s = 7.61e-6 um^3/ms; J [uM um/ms] into the cytosol. Put it on a synapse with `at=`.
    """

    across = ("outside", "cytosol")
    reads = READS
    params = {**RELEASE, "tau": (150.0, "ms", (1e-2, 1e5))}
    source = "Breit M et al. (2018) Sci Rep 8, s41598-018-33343-9"

    @staticmethod
    def edges(p):
        return (p.onset,)

    @staticmethod
    def open_probability(y, x, p):
        return decay(x.t, p.onset, p.tau)

    @staticmethod
    def flux(y, x, p):
        po = decay(x.t, p.onset, p.tau)
        return p.density * p.permeability * po * ghk(x.ca_out, x.ca, reduced_voltage(2.0, x.v, p.temperature))


@channel("nmda/jahr-stevens")
class JahrStevens(Channel):
    """NMDA receptor bound by a pulse of transmitter, blocked by magnesium as measured by Jahr & Stevens (1990).

    dr/dt = alpha T (1 - r) - beta r, T = transmitter [uM] for onset < t <= onset + duration, else 0; block = 1/(1 + mg/k_mg e^(-slope V));
    J = density permeability r block [c_o B(xi) - c B(-xi)], xi = 2 F V/(R T): the calcium part by the Goldman-Hodgkin-Katz flux with the
    permeability and density of `nmda/exp-ghk` (our choice; the paper measured the whole current). alpha, beta and the pulse of 1 ms are
    from NMDA.mod of ModelDB 168874. V [mV], mg, k_mg [uM], J [uM um/ms].
    """

    across = ("outside", "cytosol")
    reads = READS
    states = {"r": 0.0}
    params = {
        **RELEASE,
        "alpha": (4e-3, "1/uM/ms", (0.0, 10.0)),
        "beta": (6.7e-3, "1/ms", (1e-6, 10.0)),
        "transmitter": (1000.0, "uM", (0.0, 1e5)),
        "duration": (1.0, "ms", (1e-3, 1e4)),
        "mg": (1000.0, "uM", (0.0, 1e5)),
        "k_mg": (3570.0, "uM", (1.0, 1e6)),
        "slope": (0.062, "1/mV", (0.0, 1.0)),
    }
    source = "block: Jahr CE, Stevens CF (1990) J Neurosci 10:3178-3182; kinetics: NMDA.mod of ModelDB 168874, which names no source"

    @staticmethod
    def edges(p):
        return p.onset, p.onset + p.duration

    @staticmethod
    def rates(y, x, p):
        bound = p.alpha * p.transmitter if p.onset < x.t <= p.onset + p.duration else 0.0
        return (bound * (1.0 - y.r) - p.beta * y.r,)

    @staticmethod
    def steady(x, p):
        bound = p.alpha * p.transmitter if p.onset < x.t <= p.onset + p.duration else 0.0
        return (bound / (bound + p.beta),)

    @staticmethod
    def open_probability(y, x, p):
        return y.r / (1.0 + p.mg / p.k_mg * math.exp(-p.slope * x.v))

    @staticmethod
    def flux(y, x, p):
        po = y.r / (1.0 + p.mg / p.k_mg * math.exp(-p.slope * x.v))
        return p.density * p.permeability * po * ghk(x.ca_out, x.ca, reduced_voltage(2.0, x.v, p.temperature))
