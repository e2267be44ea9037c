"""Ryanodine receptors: the four-state scheme of Keizer and Levine and its reductions. Flux from the ER into the cytosol."""

from __future__ import annotations

from ..plugin import Channel, channel
from .ghk import BODY, FARADAY, GAS
from .keizer_levine import RATES, kl_available, kl_open, kl_plateau, kl_slope, kl_steady

SINGLE = 1e18 * GAS * BODY / (4.0 * FARADAY**2) * 5.0e-11
"""Flux of one open channel at the reference gradient [uM um^3/ms]: R T/(4 F^2) times a conductance term of 5e-11, 3.46e-18 mol/s."""

RELEASE = {
    "density": (3.0, "1/um^2", (0.0, 1e4)),
    "rate": (SINGLE, "uM*um^3/ms", (0.0, 1e3)),
    "ca_ref": (250.0, "uM", (1.0, 1e4)),
}

SOURCE = (
    "Keizer J, Levine L (1996) Ryanodine receptor adaptation and Ca2+-induced Ca2+ release-dependent Ca2+ oscillations, "
    "Biophys J 71:3477-3487; "
    "flux and parameters: Breit M, Queisser G (2018) J Math Neurosci 8:9, doi:10.1186/s13408-018-0064-x"
)

FAST_OPENING = (
    "for signals slower than about 1 s: its openings follow calcium at once, where those of the receptor take up to 35 ms; a wave front "
    "runs 3 (40 uM calbindin) to 7 times (160 uM) faster with it than with the four-state scheme (exact solutions of both, radius 0.4 um)"
)

_REST = kl_steady(0.05, *(row[0] for row in RATES.values()))
_REST_OPEN = kl_open(0.05, *(row[0] for row in RATES.values()))


@channel("ryr/keizer-levine")
class KeizerLevine(Channel):
    """Four-state ryanodine receptor c1 <-> o1 <-> o2, o1 <-> c2 (Keizer & Levine 1996).

    dc1/dt = ka_off o1 - ka_on c^4 c1;  do2/dt = kb_on c^3 o1 - kb_off o2;  dc2/dt = kc_on o1 - kc_off c2;  o1 = 1 - c1 - o2 - c2.
    J = density rate (o1 + o2) (e - c)/ca_ref, with c and e [uM] in cytosol and ER, J [uM um/ms], time in ms.
    """

    across = ("er", "cytosol")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er"}
    states = {"c1": _REST[0], "o2": _REST[1], "c2": _REST[2]}
    params = {**RELEASE, **RATES}
    source = SOURCE

    @staticmethod
    def rates(y, x, p):
        o1 = 1.0 - y.c1 - y.o2 - y.c2
        return (
            p.ka_off * o1 - p.ka_on * x.ca**4 * y.c1,
            p.kb_on * x.ca**3 * o1 - p.kb_off * y.o2,
            p.kc_on * o1 - p.kc_off * y.c2,
        )

    @staticmethod
    def steady(x, p):
        return kl_steady(x.ca, p.ka_on, p.ka_off, p.kb_on, p.kb_off, p.kc_on, p.kc_off)

    @staticmethod
    def open_probability(y, x, p):
        return 1.0 - y.c1 - y.c2

    @staticmethod
    def opening(y, x, p):
        return p.ka_on * x.ca**4 * y.c1 + p.kc_off * y.c2

    @staticmethod
    def closing(y, x, p):
        return (p.ka_off + p.kc_on) * (1.0 - y.c1 - y.o2 - y.c2)

    @staticmethod
    def gains(y, x, p):
        o1 = 1.0 - y.c1 - y.o2 - y.c2
        return p.ka_off * o1, p.kb_on * x.ca**3 * o1, p.kc_on * o1

    @staticmethod
    def losses(y, x, p):
        return p.ka_on * x.ca**4 * y.c1, p.kb_off * y.o2, p.kc_off * y.c2

    @staticmethod
    def flux(y, x, p):
        return p.density * p.rate * (1.0 - y.c1 - y.c2) * (x.ca_er - x.ca) / p.ca_ref


@channel("ryr/keizer-levine-stationary")
class KeizerLevineStationary(Channel):
    """Ryanodine receptor always at the equilibrium of Keizer & Levine (1996); constants derived from the rates.

    Po = A N/(1 + A (N + kc_on/kc_off)), A = (ka_on/ka_off) c^4, N = 1 + (kb_on/kb_off) c^3; J = density rate Po (e - c)/ca_ref [uM um/ms].
    """

    across = ("er", "cytosol")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er"}
    params = {**RELEASE, **RATES}
    source = SOURCE

    @staticmethod
    def open_probability(y, x, p):
        return kl_open(x.ca, p.ka_on, p.ka_off, p.kb_on, p.kb_off, p.kc_on, p.kc_off)

    @staticmethod
    def flux(y, x, p):
        po = kl_open(x.ca, p.ka_on, p.ka_off, p.kb_on, p.kb_off, p.kc_on, p.kc_off)
        return p.density * p.rate * po * (x.ca_er - x.ca) / p.ca_ref


@channel("ryr/keizer-levine-reduced")
class KeizerLevineReduced(Channel):
    """Keizer & Levine's own reduction (1996): fast openings follow calcium, the slow closed state is left.

    Po = w phi(c), phi = A N/(1 + A N);  dw/dt = kc_off (w_inf - w)/w_inf, w_inf = (1 + A N)/(1 + A (N + kc_on/kc_off)); time in ms.
    Good for signals slower than about 1 s; on a faster one it closes at once where the full scheme takes 35 ms.
    """

    across = ("er", "cytosol")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er"}
    states = {"w": 1.0 - _REST[2]}
    params = {**RELEASE, **RATES}
    source = SOURCE
    note = FAST_OPENING

    @staticmethod
    def rates(y, x, p):
        return (p.kc_off * (1.0 - y.w / kl_available(x.ca, p.ka_on, p.ka_off, p.kb_on, p.kb_off, p.kc_on, p.kc_off)),)

    @staticmethod
    def steady(x, p):
        return (kl_available(x.ca, p.ka_on, p.ka_off, p.kb_on, p.kb_off, p.kc_on, p.kc_off),)

    @staticmethod
    def open_probability(y, x, p):
        return y.w * kl_plateau(x.ca, p.ka_on, p.ka_off, p.kb_on, p.kb_off)

    @staticmethod
    def flux(y, x, p):
        po = y.w * kl_plateau(x.ca, p.ka_on, p.ka_off, p.kb_on, p.kb_off)
        return p.density * p.rate * po * (x.ca_er - x.ca) / p.ca_ref


@channel("ryr/two-variable")
class TwoVariable(Channel):
    """Open probability and the slow closed state of Keizer & Levine (1996), with o1 and o2 in equilibrium.

    o1 = P/N, N = 1 + (kb_on/kb_off) c^3;  dP/dt = ka_on c^4 (1 - P - c2) - (ka_off + kc_on) o1 + kc_off c2;
    dc2/dt = kc_on o1 - kc_off c2; time in ms. Within 0.05 of the four states for pulses of 2 ms to 1 s.
    """

    across = ("er", "cytosol")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er"}
    states = {"po": _REST_OPEN, "c2": _REST[2]}
    params = {**RELEASE, **RATES}
    source = SOURCE

    @staticmethod
    def rates(y, x, p):
        o1 = y.po / (1.0 + p.kb_on / p.kb_off * x.ca**3)
        slow = p.kc_on * o1 - p.kc_off * y.c2
        return p.ka_on * x.ca**4 * (1.0 - y.po - y.c2) - p.ka_off * o1 - slow, slow

    @staticmethod
    def steady(x, p):
        _c1, _o2, c2 = kl_steady(x.ca, p.ka_on, p.ka_off, p.kb_on, p.kb_off, p.kc_on, p.kc_off)
        return kl_open(x.ca, p.ka_on, p.ka_off, p.kb_on, p.kb_off, p.kc_on, p.kc_off), c2

    @staticmethod
    def open_probability(y, x, p):
        return y.po

    @staticmethod
    def flux(y, x, p):
        return p.density * p.rate * y.po * (x.ca_er - x.ca) / p.ca_ref


@channel("ryr/scalar-law")
class ScalarLaw(Channel):
    """One scalar law dP/dt = F(P, u, du/dt), exact for the reduction P = w phi(u) of Keizer & Levine (1996).

    F = P (phi'/phi) du/dt + kc_off [phi - P/w_inf], u = calcium in the cytosol [uM], du/dt [uM/ms]: the same inputs as a learned gate, so
    that it stands in for one without training, in tests. Fails for signals of milliseconds, as `ryr/keizer-levine-reduced` does.
    """

    across = ("er", "cytosol")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er", "dca": "d(ca@cytosol)"}
    states = {"po": _REST_OPEN}
    params = {**RELEASE, **RATES}
    source = SOURCE + "; scalar form derived here from the reduction"
    note = FAST_OPENING

    @staticmethod
    def rates(y, x, p):
        phi = kl_plateau(x.ca, p.ka_on, p.ka_off, p.kb_on, p.kb_off)
        w_inf = kl_available(x.ca, p.ka_on, p.ka_off, p.kb_on, p.kb_off, p.kc_on, p.kc_off)
        follow = kl_slope(x.ca, p.ka_on, p.ka_off, p.kb_on, p.kb_off) * x.dca
        return (y.po * follow + p.kc_off * (phi - y.po / w_inf),)

    @staticmethod
    def steady(x, p):
        return (kl_open(x.ca, p.ka_on, p.ka_off, p.kb_on, p.kb_off, p.kc_on, p.kc_off),)

    @staticmethod
    def open_probability(y, x, p):
        return y.po

    @staticmethod
    def flux(y, x, p):
        return p.density * p.rate * y.po * (x.ca_er - x.ca) / p.ca_ref
