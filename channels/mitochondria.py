"""Mitochondrial calcium uniporters and the sodium-calcium exchanger of the inner membrane.

The region is called "mitochondria"; the potential psi = cytosol - matrix [mV] (positive), magnesium, sodium and phosphate are parameters.
Published rates are per mg of protein; 1 um^3 of mitochondrion holds 1e-9 mg, so 1 nmol/(mg s) = 1 uM/ms of its volume, and `depth` =
volume/area of the mitochondria [um] turns that into a flux density.
"""

from __future__ import annotations

import math

from ..plugin import Channel, channel
from .ghk import BODY, bernoulli, reduced_voltage
from .hill import power

DEPTH = 0.125
"""Volume/area [um] of a cylinder of radius 0.25 um (our choice of a typical mitochondrion)."""


def asymmetry(x):
    """Return ln(x/sinh x)/x, which is -x/6 for small x."""
    if abs(x) < 1e-2:
        return x * (-1.0 / 6.0 + x * x * (1.0 / 180.0 - x * x / 2835.0))
    a = abs(x)
    # sinh a = e^a (1 - e^-2a)/2, written so that no potential overflows
    return (math.log(2.0 * a / -math.expm1(-2.0 * a)) - a) / x


@channel("mcu/pradhan")
class PradhanUniporter(Channel):
    """Calcium uniporter (Pradhan et al. 2011): J = depth (ki (c/K)^2 - ko (m/K)^2)/D, cytosol -> mitochondria [uM um/ms].

    ki = k e^(2 be phi), ko = k e^(-2 bx phi), phi = 2 F psi/(R T), be and bx = (1 +- (n/phi) ln[(phi/n)/sinh(phi/n)])/2;
    D = 1 + (c/K)^2 + (m/K)^2 + (gc/Q)^2 + (gm/Q)^2 + [(c gc)^2 + (m gm)^2]/(g^4 K^2 Q^2); K = kc (1 + s), Q = km/(1 + s),
    s = pi/(kpi + pi). c, m calcium and gc, gm magnesium in cytosol and matrix, pi phosphate [uM]. It stops at m/c = e^phi. The default k is
    1.27e-3 nmol/(mg s), the smallest of three published values (also 16.5e-3 and 27.9e-3: 13 and 22 times more).
    """

    across = ("cytosol", "mitochondria")
    reads = {"ca": "ca@cytosol", "ca_mit": "ca@mitochondria"}
    params = {
        "k": (1.27e-3, "uM/ms", (0.0, 100.0)),
        "depth": (DEPTH, "um", (1e-3, 10.0)),
        "psi": (160.0, "mV", (-50.0, 250.0)),
        "kc": (3.965, "uM", (1e-3, 1e3)),
        "km": (655.0, "uM", (1.0, 1e5)),
        "kpi": (200.0, "uM", (1.0, 1e5)),
        "g": (3.9, "1", (0.1, 100.0)),
        "n": (2.65, "1", (0.5, 10.0)),
        "mg": (500.0, "uM", (0.0, 1e4)),
        "mg_mit": (500.0, "uM", (0.0, 1e4)),
        "phosphate": (1000.0, "uM", (0.0, 1e5)),
        "temperature": (BODY, "K", (270.0, 330.0)),
    }
    source = "Pradhan RK, Qi F, Beard DA, Dash RK (2011) Biophys J 101:2071-2081; as in NeuroBox3D/neuro_collection"

    @staticmethod
    def flux(y, x, p):
        phi = reduced_voltage(2.0, p.psi, p.temperature)
        skew = asymmetry(phi / p.n)
        inward = math.exp((1.0 + skew) * phi)
        outward = math.exp(-(1.0 - skew) * phi)
        s = p.phosphate / (p.kpi + p.phosphate)
        c = (x.ca / (p.kc * (1.0 + s))) ** 2
        m = (x.ca_mit / (p.kc * (1.0 + s))) ** 2
        gc = (p.mg * (1.0 + s) / p.km) ** 2
        gm = (p.mg_mit * (1.0 + s) / p.km) ** 2
        whole = 1.0 + c + m + gc + gm + (c * gc + m * gm) / p.g**4
        return p.depth * p.k * (inward * c - outward * m) / whole


@channel("mcu/magnus-keizer")
class MagnusKeizer(Channel):
    """Calcium uniporter (Magnus & Keizer 1997, 1998), into the mitochondria.

    J = vmax a (1 + a)^3/[(1 + a)^4 + lq/(1 + c/ka)^n] d/(1 - e^-d),
    a = c/kt, d = 2 F (psi - psi0)/(R T); c [uM] in the cytosol, psi, psi0 [mV], J and vmax [uM um/ms]; vmax has no default.
    n, ka, psi0 are those of table 5 of the paper of 1997, lq and kt those of table 1 of the first of 1998 (as in public codes).
    """

    across = ("cytosol", "mitochondria")
    reads = {"ca": "ca@cytosol"}
    params = {
        "vmax": (None, "uM*um/ms", (0.0, 1e3)),
        "psi": (160.0, "mV", (-50.0, 250.0)),
        "psi0": (91.0, "mV", (0.0, 200.0)),
        "kt": (19.0, "uM", (0.1, 1e3)),
        "ka": (0.38, "uM", (1e-3, 100.0)),
        "lq": (110.0, "1", (0.0, 1e5)),
        "n": (2.8, "1", (0.5, 10.0)),
        "temperature": (BODY, "K", (270.0, 330.0)),
    }
    source = "Magnus G, Keizer J (1997) Am J Physiol 273:C717-C733, table 5; (1998) Am J Physiol 274:C1158-C1173, table 1"

    @staticmethod
    def flux(y, x, p):
        a = x.ca / p.kt
        gate = a * (1.0 + a) ** 3 / ((1.0 + a) ** 4 + p.lq / power(1.0 + x.ca / p.ka, p.n))
        return p.vmax * gate * bernoulli(-reduced_voltage(2.0, p.psi - p.psi0, p.temperature))


@channel("mncx/pradhan")
class PradhanExchanger(Channel):
    """Sodium-calcium exchanger of the inner membrane, 3 Na+ : 1 Ca2+ (Dash & Beard 2008): calcium mitochondria -> cytosol [uM um/ms].

    J = depth (m Ni^3 ki - c Nm^3 ko)/(kc kn^3)/D, ki, ko = k e^(+-phi/2), phi = F psi/(R T);
    D = 1 + (Ni^3 + Nm^3)/kn^3 + (m + c)/kc + (m Ni^3 + c Nm^3)/(kc kn^3). c, m calcium, Ni, Nm sodium in cytosol and matrix [uM];
    k = 1.41e-3 umol/(mg s). Stops at m Ni^3 e^phi = c Nm^3.
    """

    across = ("mitochondria", "cytosol")
    reads = {"ca": "ca@cytosol", "ca_mit": "ca@mitochondria"}
    params = {
        "k": (1.41, "uM/ms", (0.0, 1e4)),
        "depth": (DEPTH, "um", (1e-3, 10.0)),
        "psi": (160.0, "mV", (-50.0, 250.0)),
        "kc": (2.1, "uM", (1e-3, 1e3)),
        "kn": (8200.0, "uM", (1.0, 1e6)),
        "na": (1e4, "uM", (0.0, 1e6)),
        "na_mit": (5e3, "uM", (0.0, 1e6)),
        "temperature": (BODY, "K", (270.0, 330.0)),
    }
    source = (
        "Dash RK, Beard DA (2008) J Physiol 586:3267; Pradhan RK, Beard DA, Dash RK (2010) Biophys J 98:218-230; parameters as in "
        "NeuroBox3D/neuro_collection"
    )

    @staticmethod
    def flux(y, x, p):
        phi = reduced_voltage(1.0, p.psi, p.temperature)
        ni = (p.na / p.kn) ** 3
        nm = (p.na_mit / p.kn) ** 3
        c = x.ca / p.kc
        m = x.ca_mit / p.kc
        whole = 1.0 + ni + nm + m + c + m * ni + c * nm
        return p.depth * p.k * (m * ni * math.exp(0.5 * phi) - c * nm * math.exp(-0.5 * phi)) / whole
