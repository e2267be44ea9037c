"""Functions of the Keizer-Levine scheme c1 <-> o1 <-> o2, o1 <-> c2, shared by the full model and its reductions.

With A = (ka_on/ka_off) u^4, N = 1 + (kb_on/kb_off) u^3 and C = kc_on/kc_off; every constant is derived from the rates. The formulas are
multiplied through by A, so that they hold at u = 0.
"""

from __future__ import annotations

RATES = {
    "ka_on": (1.5, "1/uM^4/ms", (1e-3, 1e3)),
    "ka_off": (0.0288, "1/ms", (1e-5, 10.0)),
    "kb_on": (1.5, "1/uM^3/ms", (1e-3, 1e3)),
    "kb_off": (0.3859, "1/ms", (1e-4, 100.0)),
    "kc_on": (0.00175, "1/ms", (1e-6, 1.0)),
    "kc_off": (0.0001, "1/ms", (1e-7, 1.0)),
}


def occupied(u, ka_on, ka_off):
    """Return A = o1/c1 at equilibrium: four calcium bound."""
    return ka_on / ka_off * u**4


def opened(u, kb_on, kb_off):
    """Return N = (o1 + o2)/o1 at equilibrium: three more calcium bound."""
    return 1.0 + kb_on / kb_off * u**3


def kl_steady(u, ka_on, ka_off, kb_on, kb_off, kc_on, kc_off):
    """Return (c1, o2, c2) at equilibrium."""
    a = occupied(u, ka_on, ka_off)
    n = opened(u, kb_on, kb_off)
    c = kc_on / kc_off
    whole = 1.0 + a * (n + c)
    return 1.0 / whole, a * (n - 1.0) / whole, a * c / whole


def kl_open(u, ka_on, ka_off, kb_on, kb_off, kc_on, kc_off):
    """Return the open probability at equilibrium."""
    a = occupied(u, ka_on, ka_off)
    n = opened(u, kb_on, kb_off)
    return a * n / (1.0 + a * (n + kc_on / kc_off))


def kl_plateau(u, ka_on, ka_off, kb_on, kb_off):
    """Return phi: the open probability before the slow state c2 fills."""
    an = occupied(u, ka_on, ka_off) * opened(u, kb_on, kb_off)
    return an / (1.0 + an)


def kl_available(u, ka_on, ka_off, kb_on, kb_off, kc_on, kc_off):
    """Return w_inf = 1 - c2 at equilibrium."""
    an = occupied(u, ka_on, ka_off) * opened(u, kb_on, kb_off)
    return (1.0 + an) / (1.0 + an + occupied(u, ka_on, ka_off) * kc_on / kc_off)


def kl_slope(u, ka_on, ka_off, kb_on, kb_off):
    """Return phi'/phi [1/uM]: the relative change of the plateau with calcium."""
    a = occupied(u, ka_on, ka_off)
    n = opened(u, kb_on, kb_off)
    rest = 1.0 / (1.0 + a * n)
    return 3.0 * u**2 * kb_on / kb_off / n * rest + 4.0 / u * rest
