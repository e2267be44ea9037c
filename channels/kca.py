"""Potassium currents that calcium opens: SK by a Hill law and by the scheme of Hirschberg et al., BK after Moczydlowski and Latorre."""

from __future__ import annotations

import math

from ..plugin import Channel, channel
from .ghk import reduced_voltage
from .hodgkin_huxley import CURRENT, INSIDE_OUT, current_table, quickened

COOL, COOLER = 295.15, 293.15
"""Temperatures [K] of the measured rates: 22 and 20 degrees Celsius."""

CALCIUM = {"ca": "ca@cytosol", "v": "v"}


def hill(c, k, n):
    """Return c^n/(c^n + k^n), so written that its slope keeps its digits where it is flat."""
    return 1.0 / (1.0 + (k / max(c, 1e-9)) ** n)


@channel("kca/sk")
class HillSk(Channel):
    """SK current: i = g z (v - e), outward positive; z relaxes with tau to c^n/(c^n + k^n), c the calcium in the cytosol.

    k = 0.43 uM, n = 4.8 and tau = 1 ms are those of Hay et al. (2011), which go back to Köhler et al. (1996). The conductance is a choice.
    """

    across, reads, moves, flux_unit = INSIDE_OUT, CALCIUM, {"k": 1}, CURRENT
    states = {"z": 0.0}
    params = current_table(1e-4, -90.0, 3.0, COOL) | {
        "k": (0.43, "uM", (1e-3, 1e3)),
        "n": (4.8, "1", (0.5, 10.0)),
        "tau": (1.0, "ms", (1e-3, 1e4)),
    }
    source = (
        "Köhler M et al. (1996) Small-conductance, calcium-activated potassium channels from mammalian brain, Science 273:1709-1714, "
        "doi:10.1126/science.273.5282.1709; as in Hay E et al. (2011) PLoS Comput Biol 7:e1002107, doi:10.1371/journal.pcbi.1002107"
    )

    @staticmethod
    def rates(y, x, p):
        return (quickened(p.q10, p.temperature, COOL) * (hill(x.ca, p.k, p.n) - y.z) / p.tau,)

    @staticmethod
    def steady(x, p):
        return (hill(x.ca, p.k, p.n),)

    @staticmethod
    def open_probability(y, x, p):
        return y.z

    @staticmethod
    def flux(y, x, p):
        return p.g * y.z * (x.v - p.e)


@channel("kca/sk-hirschberg")
class SchemeSk(Channel):
    """SK current by a scheme of six states: i = g (o1 + o2)(v - e), outward positive; room temperature.

    c1 <-> c2 <-> c3 <-> c4 bind one calcium each (rates on1 c, on2 c, on3 c; off1, off2, off3), c3 <-> o1 and c4 <-> o2 open (open1, open2;
    close1, close2); c1 = 1 - the others. Half open at 0.55 uM. Rates of rSK2; the conductance is a choice.
    """

    across, reads, moves, flux_unit = INSIDE_OUT, CALCIUM, {"k": 1}, CURRENT
    states = {"c2": 0.0, "c3": 0.0, "c4": 0.0, "o1": 0.0, "o2": 0.0}
    params = current_table(1e-4, -90.0, 3.0, COOL) | {
        "on1": (0.2, "1/uM/ms", (1e-6, 1e3)),
        "on2": (0.16, "1/uM/ms", (1e-6, 1e3)),
        "on3": (0.08, "1/uM/ms", (1e-6, 1e3)),
        "off1": (0.08, "1/ms", (1e-6, 1e3)),
        "off2": (0.08, "1/ms", (1e-6, 1e3)),
        "off3": (0.2, "1/ms", (1e-6, 1e3)),
        "open1": (0.16, "1/ms", (1e-6, 1e3)),
        "open2": (1.2, "1/ms", (1e-6, 1e3)),
        "close1": (1.0, "1/ms", (1e-6, 1e3)),
        "close2": (0.1, "1/ms", (1e-6, 1e3)),
    }
    source = (
        "Hirschberg B, Maylie J, Adelman JP, Marrion NV (1998) Gating of recombinant small-conductance Ca-activated K+ channels by "
        "calcium, J Gen Physiol 111:565-581, doi:10.1085/jgp.111.4.565"
    )

    @staticmethod
    def rates(y, x, p):
        q = quickened(p.q10, p.temperature, COOL)
        first = p.on1 * x.ca * (1.0 - y.c2 - y.c3 - y.c4 - y.o1 - y.o2) - p.off1 * y.c2
        second = p.on2 * x.ca * y.c2 - p.off2 * y.c3
        third = p.on3 * x.ca * y.c3 - p.off3 * y.c4
        low, high = p.open1 * y.c3 - p.close1 * y.o1, p.open2 * y.c4 - p.close2 * y.o2
        return q * (first - second), q * (second - third - low), q * (third - high), q * low, q * high

    @staticmethod
    def steady(x, p):
        c2 = p.on1 * x.ca / p.off1
        c3 = c2 * p.on2 * x.ca / p.off2
        c4 = c3 * p.on3 * x.ca / p.off3
        o1, o2 = c3 * p.open1 / p.close1, c4 * p.open2 / p.close2
        whole = 1.0 + c2 + c3 + c4 + o1 + o2
        return c2 / whole, c3 / whole, c4 / whole, o1 / whole, o2 / whole

    @staticmethod
    def open_probability(y, x, p):
        return y.o1 + y.o2

    @staticmethod
    def flux(y, x, p):
        return p.g * (y.o1 + y.o2) * (x.v - p.e)


def shifted(k, d, v, temperature):
    """Return a dissociation constant that falls e-fold per RT/2dF of depolarisation."""
    return k * math.exp(-reduced_voltage(2.0 * d, v, temperature))


def _bk_table(k1, k2, d1, d2, opening, closing):
    return current_table(1e-3, -90.0, 3.0, COOLER) | {
        "k1": (k1, "uM", (1e-6, 1e6)),
        "k2": (k2, "uM", (1e-6, 1e6)),
        "d1": (d1, "1", (0.0, 2.0)),
        "d2": (d2, "1", (0.0, 2.0)),
        "opening": (opening, "1/ms", (1e-6, 1e3)),
        "closing": (closing, "1/ms", (1e-6, 1e3)),
    }


@channel("kca/bk")
class Bk(Channel):
    """BK current: i = g o (v - e), outward positive, opened by depolarisation and calcium c together.

    do/dt = a (1 - o) - b o, a = opening c/(c + K(k1, d1)), b = closing K(k2, d2)/(K(k2, d2) + c), K(k, d) = k e^(-2 d F v/(R T)): model 3
    of the paper with the constants of its channel A at 20 C, half open at 1.75 uM and +40 mV. The conductance is a choice.
    """

    across, reads, moves, flux_unit = INSIDE_OUT, CALCIUM, {"k": 1}, CURRENT
    states = {"o": 0.0}
    params = _bk_table(180.0, 11.0, 0.84, 1.0, 0.48, 0.28)
    source = "Moczydlowski E, Latorre R (1983) J Gen Physiol 82:511-542, doi:10.1085/jgp.82.4.511 (scheme R1; table II, channel A)"

    @staticmethod
    def rates(y, x, p):
        k1, k2 = shifted(p.k1, p.d1, x.v, p.temperature), shifted(p.k2, p.d2, x.v, p.temperature)
        a, b = p.opening * x.ca / (x.ca + k1), p.closing * k2 / (k2 + x.ca)
        return (quickened(p.q10, p.temperature, COOLER) * (a * (1.0 - y.o) - b * y.o),)

    @staticmethod
    def steady(x, p):
        k1, k2 = shifted(p.k1, p.d1, x.v, p.temperature), shifted(p.k2, p.d2, x.v, p.temperature)
        a, b = p.opening * x.ca / (x.ca + k1), p.closing * k2 / (k2 + x.ca)
        return (a / (a + b),)

    @staticmethod
    def open_probability(y, x, p):
        return y.o

    @staticmethod
    def flux(y, x, p):
        return p.g * y.o * (x.v - p.e)


@channel("kca/bk-hippocampal")
class HippocampalBk(Bk):
    """BK current of models of hippocampal pyramidal cells: the equations of `kca/bk`, made to open at the calcium of a whole cell.

    k1 = 0.48 uM, k2 = 0.13 nM and the two rates exchanged, as in cagk.mod of these models (Migliore et al. 1995 and after).
    """

    params = _bk_table(0.48, 1.3e-4, 0.84, 1.0, 0.28, 0.48)
    source = (
        "Moczydlowski E, Latorre R (1983) J Gen Physiol 82:511-542, doi:10.1085/jgp.82.4.511; constants: Migliore M et al. (1995) "
        "J Neurophysiol 73:1157-1168, doi:10.1152/jn.1995.73.3.1157, by cagk.mod of its models"
    )
