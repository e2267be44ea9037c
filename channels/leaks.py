"""Leaks: passive permeation through a membrane."""

from __future__ import annotations

from ..plugin import Channel, channel
from .ghk import BODY, ghk, reduced_voltage


@channel("leak/linear")
class LinearLeak(Channel):
    """Leak down the concentration difference (Breit & Queisser 2018): J = permeability (c_from - c_to).

    Fits every membrane: ER -> cytosol on the ER, outside -> cytosol on the plasma membrane. Default 0.038 um/s (ER); [uM um/ms].
    """

    across = ("from", "to")
    reads = {"ca_from": "ca@from", "ca_to": "ca@to"}
    params = {"permeability": (3.8e-5, "um/ms", (0.0, 100.0))}
    source = "Breit M, Queisser G (2018) J Math Neurosci 8:9, doi:10.1186/s13408-018-0064-x"

    @staticmethod
    def flux(y, x, p):
        return p.permeability * (x.ca_from - x.ca_to)


@channel("leak/ghk")
class GhkLeak(Channel):
    """Leak through the plasma membrane with the potential (Goldman, Hodgkin & Katz): J = permeability [c_o B(xi) - c B(-xi)].

    B(x) = x/(e^x - 1), xi = z F V/(R T), V = inside - outside [mV]; c_o, c [uM] outside and in the cytosol; J [uM um/ms] into the cytosol.
    """

    across = ("outside", "cytosol")
    reads = {"ca": "ca@cytosol", "ca_out": "ca@outside", "v": "v"}
    params = {
        "permeability": (None, "um/ms", (0.0, 100.0)),
        "z": (2.0, "1", (-4.0, 4.0)),
        "temperature": (BODY, "K", (270.0, 330.0)),
    }
    source = "Goldman DE (1943) J Gen Physiol 27:37-60; Hodgkin AL, Katz B (1949) J Physiol 108:37-77"

    @staticmethod
    def flux(y, x, p):
        return p.permeability * ghk(x.ca_out, x.ca, reduced_voltage(p.z, x.v, p.temperature))
