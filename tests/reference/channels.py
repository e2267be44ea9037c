"""Channels for the differential test, of kinds that the registry has few of: ports t and d(ca@...), an exchanger, a scalar function."""

from __future__ import annotations

import math

from calcium_sim.plugin import Channel


class Follower(Channel):
    """A release channel with a gate that follows rates of change on both sides, and a flux that reads one: implicit in itself."""

    across = ("er", "cytosol")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er", "dca": "d(ca@cytosol)", "der": "d(ca@er)"}
    states = {"s": 0.2}
    params = {"permeability": (4e-4, "um/ms"), "speed": (0.4, "1/ms"), "gain": (0.3, "1")}
    source = "made for the differential test"

    @staticmethod
    def rates(y, x, p):
        pull = x.dca / (1.0 + x.dca * x.dca) - x.der / (10.0 + x.der * x.der)
        return (p.speed * (0.2 - y.s + 0.5 * pull * y.s * (1.0 - y.s)),)

    @staticmethod
    def flux(y, x, p):
        return p.permeability * y.s * (1.0 + p.gain * x.dca / (1.0 + x.dca * x.dca)) * (x.ca_er - x.ca)


class Listener(Channel):
    """As `Follower`, but only the gate reads rates of change."""

    across = ("er", "cytosol")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er", "dca": "d(ca@cytosol)", "der": "d(ca@er)"}
    states = {"s": 0.2}
    params = {"permeability": (4e-4, "um/ms"), "speed": (0.4, "1/ms")}
    source = "made for the differential test"

    @staticmethod
    def rates(y, x, p):
        pull = x.dca / (1.0 + x.dca * x.dca) - x.der / (10.0 + x.der * x.der)
        return (p.speed * (0.2 - y.s + 0.5 * pull * y.s * (1.0 - y.s)),)

    @staticmethod
    def flux(y, x, p):
        return p.permeability * y.s * (x.ca_er - x.ca)


class Pulse(Channel):
    """A smooth pulse in time, without edges, that loads the cytosol."""

    across = ("outside", "cytosol")
    reads = {"t": "t"}
    params = {"peak": (0.05, "uM*um/ms"), "when": (5.0, "ms"), "width": (0.5, "ms")}
    source = "made for the differential test"

    @staticmethod
    def flux(y, x, p):
        s = (x.t - p.when) / p.width
        return p.peak * math.exp(-s * s)


class Exchanger(Channel):
    """One calcium out of the cytosol for three sodium into it, driven by both gradients."""

    across = ("cytosol", "outside")
    reads = {"ca": "ca@cytosol", "ca_out": "ca@outside", "na": "na@cytosol", "na_out": "na@outside"}
    moves = {"ca": 1, "na": -3}
    params = {"rate": (0.05, "uM*um/ms"), "k": (0.5, "uM"), "kna": (8e4, "uM")}
    source = "made for the differential test"

    @staticmethod
    def flux(y, x, p):
        forward = x.ca / (p.k + x.ca) * (x.na_out / (p.kna + x.na_out)) ** 3
        backward = x.ca_out / (p.k + x.ca_out) * (x.na / (p.kna + x.na)) ** 3
        return p.rate * (forward - backward)
