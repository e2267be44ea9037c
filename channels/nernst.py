"""Currents of sodium, potassium and chloride whose reversal follows from the concentrations that are there, and leaks after Goldman.

They need the ion as a species of the model, in the cytosol and outside, and change what is inside by what they carry.
"""

from __future__ import annotations

import math

from ..plugin import Channel, channel
from .ghk import BODY, FARADAY, GAS, ghk, reduced_voltage
from .hodgkin_huxley import CURRENT, INSIDE_OUT, SquidPotassium, SquidSodium, TraubPotassium, TraubSodium

SOURCE = "Nernst W (1888) Z Phys Chem 2:613-637, doi:10.1515/zpch-1888-0274"
GOLDMAN = (
    "Goldman DE (1943) J Gen Physiol 27:37-60, doi:10.1085/jgp.27.1.37; Hodgkin AL, Katz B (1949) J Physiol 108:37-77, "
    "doi:10.1113/jphysiol.1949.sp004310"
)
LEAST = 1e-6
"""Below this concentration [uM] a reversal potential does not move any further."""


def reversal(z, c, c_out, temperature):
    """Return RT/zF ln(c_out/c) [mV] of an ion of charge z, c inside."""
    return 1000.0 * GAS * temperature / (z * FARADAY) * math.log(max(c_out, LEAST) / max(c, LEAST))


def _ports(ion):
    return {"c": f"{ion}@cytosol", "c_out": f"{ion}@outside", "v": "v"}


def _without_e(params):
    return {name: row for name, row in params.items() if name != "e"}


@channel("na/hodgkin-huxley-nernst")
class NernstSquidSodium(SquidSodium):
    """`na/hodgkin-huxley` with its reversal at RT/F ln(c_o/c), from the sodium of the model; `temperature` acts on both."""

    reads, params = _ports("na"), _without_e(SquidSodium.params)
    source = f"{SquidSodium.source}; {SOURCE}"

    @staticmethod
    def flux(y, x, p):
        return p.g * y.m**3 * y.h * (x.v - reversal(1.0, x.c, x.c_out, p.temperature))


@channel("k/hodgkin-huxley-nernst")
class NernstSquidPotassium(SquidPotassium):
    """`k/hodgkin-huxley` with its reversal at RT/F ln(c_o/c), from the potassium of the model; `temperature` acts on both."""

    reads, params = _ports("k"), _without_e(SquidPotassium.params)
    source = f"{SquidPotassium.source}; {SOURCE}"

    @staticmethod
    def flux(y, x, p):
        return p.g * y.n**4 * (x.v - reversal(1.0, x.c, x.c_out, p.temperature))


@channel("na/traub-miles-nernst")
class NernstTraubSodium(TraubSodium):
    """`na/traub-miles` with its reversal at RT/F ln(c_o/c), from the sodium of the model; `temperature` acts on both."""

    reads, params = _ports("na"), _without_e(TraubSodium.params)
    source = f"{TraubSodium.source}; {SOURCE}"

    @staticmethod
    def flux(y, x, p):
        return p.g * y.m**3 * y.h * (x.v - reversal(1.0, x.c, x.c_out, p.temperature))


@channel("k/traub-miles-nernst")
class NernstTraubPotassium(TraubPotassium):
    """`k/traub-miles` with its reversal at RT/F ln(c_o/c), from the potassium of the model; `temperature` acts on both."""

    reads, params = _ports("k"), _without_e(TraubPotassium.params)
    source = f"{TraubPotassium.source}; {SOURCE}"

    @staticmethod
    def flux(y, x, p):
        return p.g * y.n**4 * (x.v - reversal(1.0, x.c, x.c_out, p.temperature))


@channel("leak/nernst-k")
class PotassiumLeak(Channel):
    """A leak of potassium: i = g (v - RT/F ln(c_o/c)), outward positive."""

    across, reads, moves, flux_unit = INSIDE_OUT, _ports("k"), {"k": 1}, CURRENT
    params = {"g": (None, "S/cm^2", (0.0, 100.0)), "temperature": (BODY, "K", (250.0, 330.0))}
    source = SOURCE

    @staticmethod
    def flux(y, x, p):
        return p.g * (x.v - reversal(1.0, x.c, x.c_out, p.temperature))


@channel("leak/nernst-na")
class SodiumLeak(PotassiumLeak):
    """A leak of sodium: i = g (v - RT/F ln(c_o/c)), outward positive."""

    reads, moves = _ports("na"), {"na": 1}


@channel("leak/nernst-cl")
class ChlorideLeak(PotassiumLeak):
    """A leak of chloride: i = g (v + RT/F ln(c_o/c)), outward positive."""

    reads, moves = _ports("cl"), {"cl": 1}

    @staticmethod
    def flux(y, x, p):
        return p.g * (x.v - reversal(-1.0, x.c, x.c_out, p.temperature))


@channel("leak/ghk-k")
class GoldmanPotassium(Channel):
    """A leak of potassium after Goldman, Hodgkin and Katz: J = permeability [c_o B(xi) - c B(-xi)] into the cytosol, xi = F v/(R T).

    B(x) = x/(e^x - 1), J [uM um/ms]. With those of sodium and chloride a cell rests where the equation of Goldman, Hodgkin and Katz has it.
    """

    across, reads, moves = ("outside", "cytosol"), _ports("k"), {"k": 1}
    params = {"permeability": (None, "um/ms", (0.0, 100.0)), "temperature": (BODY, "K", (250.0, 330.0))}
    source = GOLDMAN

    @staticmethod
    def flux(y, x, p):
        return p.permeability * ghk(x.c_out, x.c, reduced_voltage(1.0, x.v, p.temperature))


@channel("leak/ghk-na")
class GoldmanSodium(GoldmanPotassium):
    """A leak of sodium after Goldman, Hodgkin and Katz, as `leak/ghk-k`."""

    reads, moves = _ports("na"), {"na": 1}


@channel("leak/ghk-cl")
class GoldmanChloride(GoldmanPotassium):
    """A leak of chloride after Goldman, Hodgkin and Katz, as `leak/ghk-k` with xi = -F v/(R T)."""

    reads, moves = _ports("cl"), {"cl": 1}

    @staticmethod
    def flux(y, x, p):
        return p.permeability * ghk(x.c_out, x.c, reduced_voltage(-1.0, x.v, p.temperature))
