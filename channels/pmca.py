"""Plasma membrane calcium pumps: calcium out of the cytosol."""

from __future__ import annotations

from ..plugin import Channel, channel


@channel("pmca/hill2")
class Hill2(Channel):
    """Calcium pump with Hill coefficient 2 (Breit & Queisser 2018): J = density rate c^2/(km^2 + c^2).

    rate = 1.7e-23 mol/s = 1.7e-5 uM um^3/ms per pump, c [uM] in the cytosol, J [uM um/ms].
    """

    across = ("cytosol", "outside")
    reads = {"ca": "ca@cytosol"}
    params = {
        "density": (500.0, "1/um^2", (0.0, 1e6)),
        "rate": (1.7e-5, "uM*um^3/ms", (0.0, 1.0)),
        "km": (0.06, "uM", (1e-3, 100.0)),
    }
    source = "Breit M, Queisser G (2018) J Math Neurosci 8:9, doi:10.1186/s13408-018-0064-x"

    @staticmethod
    def flux(y, x, p):
        return p.density * p.rate * x.ca**2 / (p.km**2 + x.ca**2)


@channel("pmca/hill1")
class Hill1(Channel):
    """Calcium pump with one binding site (form of Warashina 2004): J = vmax c/(km + c).

    vmax [uM um/ms] and km [uM] have no published default here: give them.
    """

    across = ("cytosol", "outside")
    reads = {"ca": "ca@cytosol"}
    params = {"vmax": (None, "uM*um/ms", (0.0, 100.0)), "km": (None, "uM", (1e-3, 100.0))}
    source = "form of the Warashina (2004) model in the Physiome repository (CellML)"

    @staticmethod
    def flux(y, x, p):
        return p.vmax * x.ca / (p.km + x.ca)
