"""Sodium-calcium exchangers of the plasma membrane: one calcium out, three sodium in; their rates take sodium at fixed concentrations."""

from __future__ import annotations

import math

from ..plugin import Channel, channel
from .ghk import BODY, FARADAY, reduced_voltage


@channel("ncx/hill1")
class Hill1(Channel):
    """Exchanger in its forward mode with one calcium site (Breit & Queisser 2018): J = density rate c/(km + c).

    rate = 2.5e-21 mol/s = 2.5e-3 uM um^3/ms per exchanger (Graupner's 4.8e-19 C/ms over 2 F, rounded), c [uM] in the cytosol, J [uM um/ms].
    """

    across = ("cytosol", "outside")
    moves = {"ca": 1, "na": -3}
    reads = {"ca": "ca@cytosol"}
    params = {
        "density": (15.0, "1/um^2", (0.0, 1e5)),
        "rate": (2.5e-3, "uM*um^3/ms", (0.0, 10.0)),
        "km": (1.8, "uM", (1e-3, 100.0)),
    }
    source = "Breit M, Queisser G (2018) J Math Neurosci 8:9, doi:10.1186/s13408-018-0064-x"

    @staticmethod
    def flux(y, x, p):
        return p.density * p.rate * x.ca / (p.km + x.ca)


@channel("ncx/luo-rudy")
class LuoRudy(Channel):
    """Reversible exchanger, 3 Na+ : 1 Ca2+ (Luo & Rudy 1994); J [uM um/ms] out of the cytosol = -I/F.

    J = -vmax [E1 na_in^3 c_o - E2 na_out^3 c]/[(k_na^3 + na_out^3)(k_ca + c_o)(1 + ksat E2)], E1 = e^(eta u), E2 = e^((eta - 1) u),
    u = F V/(R T). The default vmax is 20 pA/um^2 (2000 uA/uF at 1 uF/cm^2) over F, one net charge per calcium. Reverses at 3 E_Na - 2 E_Ca.
    """

    across = ("cytosol", "outside")
    moves = {"ca": 1, "na": -3}
    reads = {"ca": "ca@cytosol", "ca_out": "ca@outside", "v": "v"}
    params = {
        "vmax": (20.0 * 1e6 / FARADAY, "uM*um/ms", (0.0, 1e4)),
        "na_in": (1e4, "uM", (1e3, 1e5)),
        "na_out": (1.4e5, "uM", (1e3, 1e6)),
        "k_na": (8.75e4, "uM", (1e3, 1e6)),
        "k_ca": (1380.0, "uM", (10.0, 1e5)),
        "ksat": (0.1, "1", (0.0, 1.0)),
        "eta": (0.35, "1", (0.0, 1.0)),
        "temperature": (BODY, "K", (270.0, 330.0)),
    }
    source = "Luo CH, Rudy Y (1994) Circ Res 74:1071-1096, doi:10.1161/01.RES.74.6.1071"

    @staticmethod
    def flux(y, x, p):
        u = reduced_voltage(1.0, x.v, p.temperature)
        e1 = math.exp(p.eta * u)
        e2 = math.exp((p.eta - 1.0) * u)
        cycle = e2 * p.na_out**3 * x.ca - e1 * p.na_in**3 * x.ca_out
        return p.vmax * cycle / ((p.k_na**3 + p.na_out**3) * (p.k_ca + x.ca_out) * (1.0 + p.ksat * e2))
