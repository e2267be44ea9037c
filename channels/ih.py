"""Currents that hyperpolarisation opens (Ih, HCN channels): of hippocampal and of cortical pyramidal cells."""

from __future__ import annotations

import math

from ..plugin import Channel, channel
from .ghk import bernoulli
from .hodgkin_huxley import CURRENT, INSIDE_OUT, current_table, quickened
from .migliore import bell

CA1, LAYER5 = 306.15, 307.15
"""Temperatures [K] of the measured rates: 33 and 34 degrees Celsius."""


@channel("h/magee")
class MageeH(Channel):
    """Ih of CA1 pyramidal cells: i = g l (v - e), outward positive, of ions of no account; 33 C, Q10 4.5.

    l relaxes to 1/(1 + exp((v - half)/slope)) with tau = e^(0.4 w)/(0.011 (1 + e^w)) ms, w = 0.0378 x 2.2 (v + 75). half = -82 mV at the
    soma, -90 mV from 100 um on in the apical dendrite; there the conductance is several times that of the soma (0.1 mS/cm^2, a choice).
    """

    across, reads, moves, flux_unit = INSIDE_OUT, {"v": "v"}, {}, CURRENT
    states = {"l": 0.1}
    params = current_table(1e-4, -30.0, 4.5, CA1) | {
        "half": (-82.0, "mV", (-150.0, 0.0)),
        "slope": (8.0, "mV", (0.1, 100.0)),
    }
    source = (
        "Magee JC (1998) Dendritic hyperpolarization-activated currents modify the integrative properties of hippocampal CA1 pyramidal "
        "neurons, J Neurosci 18:7613-7624, doi:10.1523/JNEUROSCI.18-19-07613.1998; time constant: hd.mod of the models of Migliore"
    )

    @staticmethod
    def rates(y, x, p):
        tau = bell(x.v, 0.011, 2.2, -75.0, 0.4, quickened(p.q10, p.temperature, CA1))
        return ((1.0 / (1.0 + math.exp((x.v - p.half) / p.slope)) - y.l) / tau,)

    @staticmethod
    def steady(x, p):
        return (1.0 / (1.0 + math.exp((x.v - p.half) / p.slope)),)

    @staticmethod
    def open_probability(y, x, p):
        return y.l

    @staticmethod
    def flux(y, x, p):
        return p.g * y.l * (x.v - p.e)


@channel("h/kole")
class KoleH(Channel):
    """Ih of layer 5 pyramidal cells: i = g m (v - e), outward positive, of ions of no account; 34 C.

    dm/dt = a (1 - m) - b m, a = 0.00643 w/(e^(w/11.9) - 1) per ms, w = v + 154.9; b = 0.193 e^(v/33.1) per ms. The Q10 of 3 is a choice,
    and so is the conductance (0.1 mS/cm^2), which rises along the apical dendrite.
    """

    across, reads, moves, flux_unit = INSIDE_OUT, {"v": "v"}, {}, CURRENT
    states = {"m": 0.1}
    params = current_table(1e-4, -45.0, 3.0, LAYER5)
    source = (
        "Kole MHP, Hallermann S, Stuart GJ (2006) Single Ih channels in pyramidal neuron dendrites: properties, distribution, and impact "
        "on action potential output, J Neurosci 26:1677-1687, doi:10.1523/JNEUROSCI.3664-05.2006"
    )

    @staticmethod
    def rates(y, x, p):
        a, b = 0.00643 * 11.9 * bernoulli((x.v + 154.9) / 11.9), 0.193 * math.exp(x.v / 33.1)
        return (quickened(p.q10, p.temperature, LAYER5) * (a * (1.0 - y.m) - b * y.m),)

    @staticmethod
    def steady(x, p):
        a, b = 0.00643 * 11.9 * bernoulli((x.v + 154.9) / 11.9), 0.193 * math.exp(x.v / 33.1)
        return (a / (a + b),)

    @staticmethod
    def open_probability(y, x, p):
        return y.m

    @staticmethod
    def flux(y, x, p):
        return p.g * y.m * (x.v - p.e)
