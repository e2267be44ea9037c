"""SERCA pumps: calcium from the cytosol into the ER."""

from __future__ import annotations

from ..plugin import Channel, channel
from .ghk import PARTICLES
from .hill import power


@channel("serca/er-inhibited")
class ErInhibited(Channel):
    """SERCA slowed by a full store (Breit & Queisser 2018): J = density rate c/((km + c) e).

    c, e [uM] in cytosol and ER; rate = 6.5e-21 mol uM/s = 6.5e-3 uM^2 um^3/ms per pump, because of the 1/e; J [uM um/ms].
    """

    across = ("cytosol", "er")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er"}
    params = {
        "density": (2390.0, "1/um^2", (0.0, 1e6)),
        "rate": (6.5e-3, "uM^2*um^3/ms", (0.0, 10.0)),
        "km": (0.18, "uM", (1e-3, 100.0)),
    }
    source = "Breit M, Queisser G (2018) J Math Neurosci 8:9, doi:10.1186/s13408-018-0064-x; default density: NeuroBox3D/CalcSim"

    @staticmethod
    def flux(y, x, p):
        return p.density * p.rate * x.ca / ((p.km + x.ca) * x.ca_er)


@channel("serca/hill2")
class Hill2(Channel):
    """SERCA with Hill coefficient 2 and no dependence on the store (Neymotin et al. 2015): J = vmax c^2/(km^2 + c^2).

    Default vmax: 1.9565 particles/(um^2 ms) = 3.249e-3 uM um/ms. A volumetric vmax [uM/ms] times (volume of the cytosol)/(area of the ER
    membrane) gives this one. km of 0.2-0.3 uM is common as well.
    """

    across = ("cytosol", "er")
    reads = {"ca": "ca@cytosol"}
    params = {"vmax": (1.9565 / PARTICLES, "uM*um/ms", (0.0, 100.0)), "km": (0.1, "uM", (1e-3, 100.0))}
    source = (
        "Neymotin SA et al. (2015), ModelDB 168874; form also in Li & Rinzel (1994) J Theor Biol 166:461-473, doi:10.1006/jtbi.1994.1041"
    )

    @staticmethod
    def flux(y, x, p):
        return p.vmax * x.ca**2 / (p.km**2 + x.ca**2)


@channel("serca/hill2-er")
class Hill2Er(Channel):
    """SERCA with Hill coefficient 2, slowed by a full store (form of Warren et al. 2010): J = vmax c^2/((km^2 + c^2) e).

    vmax [uM^2 um/ms] and km [uM] have no published default here: give them.
    """

    across = ("cytosol", "er")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er"}
    params = {"vmax": (None, "uM^2*um/ms", (0.0, 1e5)), "km": (None, "uM", (1e-3, 100.0))}
    source = "form of the Warren (2010) model in the Physiome repository (CellML)"

    @staticmethod
    def flux(y, x, p):
        return p.vmax * x.ca**2 / ((p.km**2 + x.ca**2) * x.ca_er)


@channel("serca/shannon")
class Shannon(Channel):
    """Reversible SERCA (Shannon et al. 2004): J = vmax (f - r)/(1 + f + r), f = (c/kf)^n, r = (e/kr)^n.

    c, e [uM] in cytosol and ER; it stops at e/c = kr/kf. vmax [uM um/ms] has no default.
    """

    across = ("cytosol", "er")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er"}
    params = {
        "vmax": (None, "uM*um/ms", (0.0, 100.0)),
        "kf": (0.246, "uM", (1e-3, 100.0)),
        "kr": (1700.0, "uM", (1.0, 1e5)),
        "n": (1.787, "1", (0.5, 5.0)),
    }
    source = "Shannon TR, Wang F, Puglisi J, Weber C, Bers DM (2004) Biophys J 87:3351-3371, doi:10.1529/biophysj.104.047449"

    @staticmethod
    def flux(y, x, p):
        f = power(x.ca / p.kf, p.n)
        r = power(x.ca_er / p.kr, p.n)
        return p.vmax * (f - r) / (1.0 + f + r)
