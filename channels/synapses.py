"""Synapses with rise and decay times that spikes open (`SpikeTimes`): AMPA, GABA-A and NMDA receptors, with or without calcium."""

from __future__ import annotations

import math

from ..plugin import Channel, channel
from ..plugin.ions import PER_MOLE
from .ghk import bernoulli, ghk, reduced_voltage
from .hodgkin_huxley import CURRENT, INSIDE_OUT, current_table, quickened

SOURCE = (
    "Neymotin SA, Lazarewicz MT, Sherif M, Contreras D, Finkel LH, Lytton WW (2011) Ketamine disrupts theta modulation of gamma in a "
    "computer model of hippocampus, J Neurosci 31:11733-11743, doi:10.1523/JNEUROSCI.0467-11.2011 (time constants)"
)
BLOCK = "; block: Jahr CE, Stevens CF (1990) J Neurosci 10:3178-3182, doi:10.1523/JNEUROSCI.10-09-03178.1990"
FRACTION = (
    "; calcium: Schneggenburger R, Zhou Z, Konnerth A, Neher E (1993) Fractional contribution of calcium to the cation current through "
    "glutamate receptor channels, Neuron 11:133-143, doi:10.1016/0896-6273(93)90277-X"
)
WARM = 308.15
"""Temperature [K] at which the time constants hold: 35 degrees Celsius."""

HELD, OUTSIDE = -65.0, 2000.0
"""Potential [mV] and calcium outside [uM] at which calcium carries its `fraction` of the whole current."""

MOLES = 10.0 / (2.0 * PER_MOLE)
"""Calcium [uM um/ms] that carries 1 mA/cm^2."""


def first_jump(tau_rise, tau_decay):
    """Return by how much `a` has to jump so that s peaks at 1: r^(r/(r - 1)) with r = tau_decay/tau_rise, e for r = 1."""
    return math.exp(bernoulli(-math.log(tau_decay / tau_rise)))


def unblocked(v, mg, k_mg, slope):
    """Return the part of NMDA receptors that magnesium leaves open (Jahr & Stevens 1990)."""
    return 1.0 / (1.0 + mg / k_mg * math.exp(-slope * v))


def calcium_part(p, v, c, c_out):
    """Return the calcium [uM um/ms] that enters where the conductance is open: GHK, `fraction` of the current at -65 mV and 2 mM."""
    usual = ghk(OUTSIDE, 0.0, reduced_voltage(2.0, HELD, p.temperature))
    driving = ghk(c_out, c, reduced_voltage(2.0, v, p.temperature)) / usual
    return MOLES * p.fraction * p.g * (p.e - HELD) * driving


def _table(e, tau_rise, tau_decay):
    return current_table(1e-4, e, 3.0, WARM) | {
        "tau_rise": (tau_rise, "ms", (1e-3, 1e4)),
        "tau_decay": (tau_decay, "ms", (1e-3, 1e5)),
    }


MAGNESIUM = {"mg": (1000.0, "uM", (0.0, 1e5)), "k_mg": (3570.0, "uM", (1.0, 1e6)), "slope": (0.062, "1/mV", (0.0, 1.0))}


@channel("ampa/exp2")
class Ampa(Channel):
    """AMPA receptors: i = g s (v - e), outward positive, of ions of no account; shut until spikes come (`SpikeTimes`).

    da/dt = -a/tau_rise, ds/dt = (a - s)/tau_decay. A spike of weight 1 makes a jump, so that s runs through
    (e^(-t/tau_decay) - e^(-t/tau_rise)), scaled to a peak of 1; equal time constants give an alpha function. The Q10 of 3 is a choice, and
    so is the conductance (0.1 mS/cm^2).
    """

    across, reads, moves, flux_unit = INSIDE_OUT, {"v": "v"}, {}, CURRENT
    states = {"a": (0.0, -math.inf, math.inf), "s": (0.0, -math.inf, math.inf)}  # a step of many tau_rise takes what is left of a below 0
    params = _table(0.0, 0.05, 5.3)
    source = SOURCE

    @staticmethod
    def event(p):
        return first_jump(p.tau_rise, p.tau_decay), 0.0

    @staticmethod
    def rates(y, x, p):
        q = quickened(p.q10, p.temperature, WARM)
        return -q * y.a / p.tau_rise, q * (y.a - y.s) / p.tau_decay

    @staticmethod
    def steady(x, p):
        return 0.0, 0.0

    @staticmethod
    def flux(y, x, p):
        return p.g * y.s * (x.v - p.e)


@channel("gaba-a/exp2")
class GabaA(Ampa):
    """GABA-A receptors: the equations of `ampa/exp2`, a current of chloride, at -80 mV."""

    moves = {"cl": 1}
    params = _table(-80.0, 0.07, 9.1)


@channel("nmda/exp2-ohmic")
class OhmicNmda(Ampa):
    """NMDA receptors of a cell without calcium: i = g s (v - e)/(1 + mg/k_mg e^(-slope v)), s as in `ampa/exp2`."""

    params = _table(0.0, 15.0, 150.0) | MAGNESIUM
    source = SOURCE + BLOCK

    @staticmethod
    def flux(y, x, p):
        return p.g * y.s * unblocked(x.v, p.mg, p.k_mg, p.slope) * (x.v - p.e)


@channel("ampa/exp2-calcium")
class CalciumAmpa(Ampa):
    """AMPA receptors that let calcium in: s and the whole current are those of `ampa/exp2`, and calcium is a part of it.

    J = (fraction g s (e + 65 mV)/2F) G(v)/G0, G = c_o B(xi) - c B(-xi), xi = 2 F v/(R T), G0 that at -65 mV, 2 mM outside and none inside:
    calcium carries `fraction` of the current there, still enters at the reversal potential, and leaves nowhere that a cell goes. Where the
    potential is solved for, other ions carry the rest of the current, so that it is g s (v - e); elsewhere calcium alone counts. The
    fraction of 1 % is that of receptors with GluA2 (0 to 1 %).
    """

    across, reads, moves = ("outside", "cytosol"), {"ca": "ca@cytosol", "ca_out": "ca@outside", "v": "v"}, {"ca": 1}
    flux_unit = "uM*um/ms"
    params = _table(0.0, 0.05, 5.3) | {"fraction": (0.01, "1", (0.0, 1.0))}
    source = SOURCE + FRACTION

    @staticmethod
    def flux(y, x, p):
        return y.s * calcium_part(p, x.v, x.ca, x.ca_out)

    @staticmethod
    def current(y, x, p):
        return y.s * (p.g * (p.e - x.v) - calcium_part(p, x.v, x.ca, x.ca_out) / MOLES)


@channel("nmda/exp2")
class Nmda(CalciumAmpa):
    """NMDA receptors with magnesium block: the equations of `ampa/exp2-calcium`, all times 1/(1 + mg/k_mg e^(-slope v)).

    Calcium carries 10 % of the current at -65 mV and 2 mM outside (7 to 12 % measured).
    """

    params = _table(0.0, 15.0, 150.0) | MAGNESIUM | {"fraction": (0.1, "1", (0.0, 1.0))}
    source = SOURCE + BLOCK + FRACTION

    @staticmethod
    def flux(y, x, p):
        return y.s * unblocked(x.v, p.mg, p.k_mg, p.slope) * calcium_part(p, x.v, x.ca, x.ca_out)

    @staticmethod
    def current(y, x, p):
        whole = p.g * (p.e - x.v) - calcium_part(p, x.v, x.ca, x.ca_out) / MOLES
        return y.s * unblocked(x.v, p.mg, p.k_mg, p.slope) * whole
