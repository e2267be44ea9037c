"""IP3 receptors: calcium from the ER into the cytosol, opened by IP3 and calcium together."""

from __future__ import annotations

from ..plugin import Channel, channel
from .ghk import BODY, FARADAY, GAS, PARTICLES

SINGLE = 1e18 * GAS * BODY / (4.0 * FARADAY**2) * 1.6e-12
"""Flux of one open channel at the reference gradient [uM um^3/ms]: R T/(4 F^2) times a conductance term of 1.6e-12, 1.107e-19 mol/s."""

RELEASE = {
    "density": (17.3, "1/um^2", (0.0, 1e4)),
    "rate": (SINGLE, "uM*um^3/ms", (0.0, 1e3)),
    "ca_ref": (250.0, "uM", (1.0, 1e4)),
}

READS = {"ca": "ca@cytosol", "ca_er": "ca@er", "ip3": "ip3@cytosol"}

DYK_SOURCE = "De Young GW, Keizer J (1992) Proc Natl Acad Sci USA 89:9895-9899, doi:10.1073/pnas.89.20.9895"


def dyk_open(ca, ip3, d1, d2, d3, d5):
    """Return the stationary open probability: three subunits with IP3 and activating, without inhibiting calcium."""
    subunit = ca * ip3 * d2 / ((ca * ip3 + ip3 * d2 + d1 * d2 + ca * d3) * (ca + d5))
    return subunit**3


def dyk_steady(ca, ip3, d1, d2, d3, d5):
    """Return (s100, s010, s001, s110, s101, s011, s111) at equilibrium: every state weighted by its bound ligands."""
    p = ip3 / d1
    k = ca * d3 / (d1 * d2)
    pk = p * ca / d2
    a = ca / d5
    whole = (1.0 + p + k + pk) * (1.0 + a)
    return p / whole, a / whole, k / whole, p * a / whole, pk / whole, k * a / whole, pk * a / whole


@channel("ip3r/de-young-keizer-stationary")
class DeYoungKeizerStationary(Channel):
    """IP3 receptor always at the equilibrium of De Young & Keizer (1992).

    Po = [c p d2/((c p + p d2 + d1 d2 + c d3)(c + d5))]^3;  J = density rate Po (e - c)/ca_ref, with c, e, IP3 p [uM], J [uM um/ms].
    """

    across = ("er", "cytosol")
    reads = READS
    params = {
        **RELEASE,
        "d1": (0.13, "uM", (1e-3, 100.0)),
        "d2": (1.05, "uM", (1e-3, 100.0)),
        "d3": (0.94, "uM", (1e-3, 100.0)),
        "d5": (0.0823, "uM", (1e-3, 100.0)),
    }
    source = DYK_SOURCE + "; parameters and flux: Breit M, Queisser G (2018) J Math Neurosci 8:9, doi:10.1186/s13408-018-0064-x"

    @staticmethod
    def open_probability(y, x, p):
        return dyk_open(x.ca, x.ip3, p.d1, p.d2, p.d3, p.d5)

    @staticmethod
    def flux(y, x, p):
        return p.density * p.rate * dyk_open(x.ca, x.ip3, p.d1, p.d2, p.d3, p.d5) * (x.ca_er - x.ca) / p.ca_ref


@channel("ip3r/de-young-keizer")
class DeYoungKeizer(Channel):
    """IP3 receptor with eight states per subunit (De Young & Keizer 1992), s000 eliminated.

    s_ijk: i IP3, j activating, k inhibiting calcium bound. Binding a_n x ligand, unbinding b_n = a_n d_n: IP3 1 (k = 0) and 3 (k = 1),
    inhibiting calcium 2 (i = 1) and 4 (i = 0), activating calcium 5; d4 = d1 d2/d3 by detailed balance. Po = s110^3,
    J = density rate Po (e - c)/ca_ref. Concentrations [uM], a_n [1/(uM ms)], J [uM um/ms].
    """

    across = ("er", "cytosol")
    reads = READS
    states = dict(
        zip(("s100", "s010", "s001", "s110", "s101", "s011", "s111"), dyk_steady(0.05, 0.04, 0.13, 1.049, 0.9434, 0.08234), strict=True)
    )
    params = {
        **RELEASE,
        "a1": (0.4, "1/uM/ms", (1e-5, 100.0)),
        "a2": (2e-4, "1/uM/ms", (1e-7, 1.0)),
        "a3": (0.4, "1/uM/ms", (1e-5, 100.0)),
        "a4": (2e-4, "1/uM/ms", (1e-7, 1.0)),
        "a5": (0.02, "1/uM/ms", (1e-5, 10.0)),
        "d1": (0.13, "uM", (1e-3, 100.0)),
        "d2": (1.049, "uM", (1e-3, 100.0)),
        "d3": (0.9434, "uM", (1e-3, 100.0)),
        "d5": (0.08234, "uM", (1e-3, 100.0)),
    }
    source = DYK_SOURCE + "; flux: Breit M, Queisser G (2018) J Math Neurosci 8:9, doi:10.1186/s13408-018-0064-x"

    @staticmethod
    def rates(y, x, p):
        s000 = 1.0 - y.s100 - y.s010 - y.s001 - y.s110 - y.s101 - y.s011 - y.s111
        # net binding of IP3, of inhibiting and of activating calcium; the name tells the two other sites
        ip_00 = p.a1 * (x.ip3 * s000 - p.d1 * y.s100)
        ip_10 = p.a1 * (x.ip3 * y.s010 - p.d1 * y.s110)
        ip_01 = p.a3 * (x.ip3 * y.s001 - p.d3 * y.s101)
        ip_11 = p.a3 * (x.ip3 * y.s011 - p.d3 * y.s111)
        d4 = p.d1 * p.d2 / p.d3
        in_00 = p.a4 * (x.ca * s000 - d4 * y.s001)
        in_01 = p.a4 * (x.ca * y.s010 - d4 * y.s011)
        in_10 = p.a2 * (x.ca * y.s100 - p.d2 * y.s101)
        in_11 = p.a2 * (x.ca * y.s110 - p.d2 * y.s111)
        ac_00 = p.a5 * (x.ca * s000 - p.d5 * y.s010)
        ac_01 = p.a5 * (x.ca * y.s001 - p.d5 * y.s011)
        ac_10 = p.a5 * (x.ca * y.s100 - p.d5 * y.s110)
        ac_11 = p.a5 * (x.ca * y.s101 - p.d5 * y.s111)
        return (
            ip_00 - in_10 - ac_10,
            ac_00 - ip_10 - in_01,
            in_00 - ip_01 - ac_01,
            ip_10 + ac_10 - in_11,
            ip_01 + in_10 - ac_11,
            in_01 + ac_01 - ip_11,
            ip_11 + in_11 + ac_11,
        )

    @staticmethod
    def steady(x, p):
        return dyk_steady(x.ca, x.ip3, p.d1, p.d2, p.d3, p.d5)

    @staticmethod
    def open_probability(y, x, p):
        return y.s110**3

    @staticmethod
    def opening(y, x, p):
        return 3.0 * y.s110**2 * (p.a1 * x.ip3 * y.s010 + p.a5 * x.ca * y.s100 + p.a2 * p.d2 * y.s111)

    @staticmethod
    def closing(y, x, p):
        return 3.0 * y.s110**3 * (p.a1 * p.d1 + p.a5 * p.d5 + p.a2 * x.ca)

    @staticmethod
    def flux(y, x, p):
        return p.density * p.rate * y.s110**3 * (x.ca_er - x.ca) / p.ca_ref


@channel("ip3r/li-rinzel")
class LiRinzel(Channel):
    """Two-variable IP3 receptor (Li & Rinzel 1994) as a flux through the ER membrane.

    J = permeability (m n h)^3 (e - c), m = p/(p + d1), n = c/(c + d5);  dh/dt = a2 [d2 (p + d1)/(p + d3) (1 - h) - c h], that is
    h_inf = Q/(Q + c), tau_h = 1/(a2 (Q + c)), Q = d2 (p + d1)/(p + d3). Concentrations [uM], J [uM um/ms].
    The paper gives a rate per volume of cytosol, c1 v1 = 0.185 x 6 /s. A flux density needs it times (volume of the cytosol)/(area of the
    ER membrane), (R^2 - r^2)/(2 r) in a coaxial neurite; the default is that for R = 0.4, r = 0.15 um, 5.09e-4 um/ms. Give your geometry's.
    """

    across = ("er", "cytosol")
    reads = READS
    states = {"h": 0.8}
    params = {
        "permeability": (0.185 * 6e-3 * (0.4**2 - 0.15**2) / (2 * 0.15), "um/ms", (0.0, 100.0)),
        "d1": (0.13, "uM", (1e-3, 100.0)),
        "d2": (1.049, "uM", (1e-3, 100.0)),
        "d3": (0.9434, "uM", (1e-3, 100.0)),
        "d5": (0.08234, "uM", (1e-3, 100.0)),
        "a2": (2e-4, "1/uM/ms", (1e-7, 1.0)),
    }
    source = "Li YX, Rinzel J (1994) J Theor Biol 166:461-473, doi:10.1006/jtbi.1994.1041"

    @staticmethod
    def rates(y, x, p):
        q = p.d2 * (x.ip3 + p.d1) / (x.ip3 + p.d3)
        return (p.a2 * (q * (1.0 - y.h) - x.ca * y.h),)

    @staticmethod
    def steady(x, p):
        q = p.d2 * (x.ip3 + p.d1) / (x.ip3 + p.d3)
        return (q / (q + x.ca),)

    @staticmethod
    def open_probability(y, x, p):
        return (x.ip3 / (x.ip3 + p.d1) * x.ca / (x.ca + p.d5) * y.h) ** 3

    @staticmethod
    def flux(y, x, p):
        return p.permeability * (x.ip3 / (x.ip3 + p.d1) * x.ca / (x.ca + p.d5) * y.h) ** 3 * (x.ca_er - x.ca)


@channel("ip3r/neymotin")
class Neymotin(Channel):
    """IP3 receptor of the dendrite model of Neymotin et al. (2015).

    J = permeability (m h)^3 (e - c), m = p/(p + k_ip3) c/(c + k_act);  dh/dt = (1/(1 + c/k_inh) - h)/tau. Concentrations [uM], tau [ms],
    J [uM um/ms]. Default permeability 96320 particles/(um^2 ms mM) = 0.15994 um/ms; 120400 = 0.19993 um/ms at the paper's hot spots.
    """

    across = ("er", "cytosol")
    reads = READS
    states = {"h": 0.8}
    params = {
        "permeability": (96320.0 / (1000.0 * PARTICLES), "um/ms", (0.0, 100.0)),
        "k_ip3": (0.13, "uM", (1e-3, 100.0)),
        "k_act": (0.4, "uM", (1e-3, 100.0)),
        "k_inh": (0.4, "uM", (1e-3, 100.0)),
        "tau": (400.0, "ms", (1e-2, 1e6)),
    }
    source = "Neymotin SA et al. (2015), ModelDB 168874"

    @staticmethod
    def rates(y, x, p):
        return ((1.0 / (1.0 + x.ca / p.k_inh) - y.h) / p.tau,)

    @staticmethod
    def steady(x, p):
        return (1.0 / (1.0 + x.ca / p.k_inh),)

    @staticmethod
    def open_probability(y, x, p):
        return (x.ip3 / (x.ip3 + p.k_ip3) * x.ca / (x.ca + p.k_act) * y.h) ** 3

    @staticmethod
    def flux(y, x, p):
        return p.permeability * (x.ip3 / (x.ip3 + p.k_ip3) * x.ca / (x.ca + p.k_act) * y.h) ** 3 * (x.ca_er - x.ca)
