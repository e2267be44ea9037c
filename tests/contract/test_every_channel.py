"""One contract for every installed channel, ours or another package's; the suite itself is `calcium_sim.check_channel`."""

from __future__ import annotations

import math

import pytest

from calcium_sim.channels.ghk import FARADAY, GAS
from calcium_sim.errors import InputError
from calcium_sim.model.registry import get_channel, installed, owner
from calcium_sim.plugin import Channel, check_class
from calcium_sim.testing import check_channel


def nernst(p, z=2.0, c_out=2000.0, c=0.1):
    """Ports of a channel that follows Goldman, Hodgkin & Katz, at the Nernst potential."""
    return {"ca": c, "ca_out": c_out, "v": 1000 * GAS * p.temperature / (z * FARADAY) * math.log(c_out / c)}


def reversal(p):
    """The reversal potential of a current."""
    return {"v": p.e}


def ion_nernst(z):
    """Ports of a channel of an ion of charge z, at its Nernst potential."""
    return lambda p: {"c": 12.0, "c_out": 140.0, "v": 1000 * GAS * p.temperature / (z * FARADAY) * math.log(140.0 / 12.0)}


def migliore_reversal(p, c_out=2000.0, c=0.1):
    """Where the driving force of the model vanishes: RT/2F is 12.5 mV at 20 C there."""
    return {"ca": c, "ca_out": c_out, "v": 12.5 / 293.15 * p.temperature * math.log(c_out / c)}


def exchanger_reversal(p, c_out=2000.0, c=0.1):
    """V = 3 E_Na - 2 E_Ca."""
    thermal = 1000 * GAS * p.temperature / FARADAY
    return {"ca": c, "ca_out": c_out, "v": thermal * (3 * math.log(p.na_out / p.na_in) - math.log(c_out / c))}


def uniporter_equilibrium(p, c=0.3):
    """Matrix calcium at the Nernst potential of a divalent ion."""
    return {"ca": c, "ca_mit": c * math.exp(2 * FARADAY * p.psi / (1000 * GAS * p.temperature))}


def mitochondrial_exchanger_equilibrium(p, c=0.3):
    """m Ni^3 e^phi = c Nm^3."""
    return {"ca": c, "ca_mit": c * (p.na_mit / p.na) ** 3 * math.exp(-FARADAY * p.psi / (1000 * GAS * p.temperature))}


EVEN = {"ca": 1.0, "ca_er": 1.0}
EMPTY = {"ca": 0.0}
ZERO = {
    "ryr": EVEN,
    "ip3r": EVEN,
    "leak/linear": {"ca_from": 3.0, "ca_to": 3.0},
    "leak/ghk": nernst,
    "serca": EMPTY,
    "serca/shannon": lambda p: {"ca": 0.5 * p.kf, "ca_er": 0.5 * p.kr},
    "pmca": EMPTY,
    "ncx/hill1": EMPTY,
    "ncx/luo-rudy": exchanger_reversal,
    "vgcc": nernst,
    "nmda": nernst,
    "ampa/exp2-calcium": nernst,
    "soce": {"ca_er": 1e9},
    "mcu/pradhan": uniporter_equilibrium,
    "mcu/magnus-keizer": EMPTY,
    "mncx/pradhan": mitochondrial_exchanger_equilibrium,
    **dict.fromkeys(("vgcc/migliore-l", "vgcc/migliore-n", "vgcc/migliore-t"), migliore_reversal),
    **dict.fromkeys(("na", "k", "km", "kca", "h", "ampa/exp2", "gaba-a", "nmda/exp2-ohmic", "leak/ohmic", "leak/hodgkin-huxley"), reversal),
    **{f"{ion}/{kind}-nernst": ion_nernst(1.0) for ion in ("na", "k") for kind in ("hodgkin-huxley", "traub-miles")},
    **{f"leak/{kind}-{ion}": ion_nernst(z) for kind in ("nernst", "ghk") for ion, z in (("na", 1.0), ("k", 1.0), ("cl", -1.0))},
}
"""Ports at which the flux must vanish, by name or by family."""


@pytest.mark.parametrize("name", sorted(installed()))
def test_channel_keeps_the_contract(name):
    cls = get_channel(name)
    check_class(cls)
    learned = cls.rates is None and bool(cls.states)
    zero = {"ca_cytosol": 1.0, "ca_er": 1.0} if learned else ZERO.get(name, ZERO.get(name.partition("/")[0]))
    done = set(check_channel(cls, zero_at=zero))
    assert zero is not None or not owner(name).startswith("calcium-sim "), f"no ports are known at which the flux of {name} vanishes"
    assert ("flux vanishes at its equilibrium" in done) == (zero is not None), done
    assert ("states stay within their bounds" in done) == (bool(cls.states) and not learned), done
    assert ("rates vanish at the equilibrium" in done) == (cls.steady is not None), done


@pytest.mark.parametrize("name", sorted(n for n in installed() if n.partition("/")[0] in {k.partition("/")[0] for k in ZERO}))
def test_channel_names_its_paper_and_its_ranges(name):
    cls = get_channel(name)
    assert cls.name == name
    assert len(cls.source) > 20 or cls.source.startswith("arXiv:")
    for parameter, row in cls.parameter_table().items():
        assert math.isfinite(row.low), f"{name}.{parameter} has no range"
        assert math.isfinite(row.high), f"{name}.{parameter} has no range"


class Relaxing(Channel):
    """A sound channel, spoilt in one way by each test."""

    across = ("er", "cytosol")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er"}
    states = {"h": 0.5}
    params = {"permeability": (1e-3, "um/ms", (0.0, 1.0)), "k": (1.0, "uM", (0.1, 10.0)), "tau": (10.0, "ms", (0.1, 1e3))}
    source = "made for this test"

    @staticmethod
    def rates(y, x, p):
        return ((p.k / (p.k + x.ca) - y.h) / p.tau,)

    @staticmethod
    def steady(x, p):
        return (p.k / (p.k + x.ca),)

    @staticmethod
    def flux(y, x, p):
        return p.permeability * y.h * (x.ca_er - x.ca)


class Pole(Relaxing):
    """Divides by zero within the range of calcium."""

    @staticmethod
    def flux(y, x, p):
        return p.permeability / max(x.ca - 1.0, 0.0)


class Escaping(Relaxing):
    """A state that grows without end."""

    steady = None

    @staticmethod
    def rates(y, x, p):
        return (x.ca / p.tau,)


class WrongSteady(Relaxing):
    """The equilibrium belongs to other rates."""

    @staticmethod
    def steady(x, p):
        return (p.k / (2.0 * p.k + x.ca),)


class Misspelt(Relaxing):
    """Reads a parameter that its table does not have."""

    @staticmethod
    def flux(y, x, p):
        return p.permeabilty * y.h


class Short(Relaxing):
    """Returns a number where a tuple belongs."""

    @staticmethod
    def rates(y, x, p):
        return (p.k / (p.k + x.ca) - y.h) / p.tau


MEMORY = [0.0]


class Remembering(Relaxing):
    """Not a function of its arguments alone."""

    @staticmethod
    def flux(y, x, p):
        MEMORY[0] += 1.0
        return p.permeability * MEMORY[0]


class ReadsList(Relaxing):
    """Uses a global that no compiled module can hold."""

    @staticmethod
    def flux(y, x, p):
        return p.permeability * len(MEMORY) * x.ca


class OpenTooFar(Relaxing):
    """An open probability above 1."""

    @staticmethod
    def open_probability(y, x, p):
        return 1.0 + y.h


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (Pole, "flux = inf is not finite"),
        (Escaping, "state h = .* leaves .0, 1."),
        (WrongSteady, "must vanish there"),
        (Misspelt, "no table declares: .*permeabilty"),
        (Short, "expected a tuple of 1 numbers"),
        (Remembering, "must be a pure function"),
        (ReadsList, "use numbers, math and plain functions"),
        (OpenTooFar, "not within .0, 1."),
    ],
)
def test_breach_is_found_and_named(cls, words):
    with pytest.raises(InputError, match=f"^{cls.__name__}: .*{words}"):
        check_channel(cls)


def test_sound_channel_passes_and_flux_that_does_not_vanish_is_found():
    assert "rates vanish at the equilibrium" in check_channel(Relaxing, zero_at=EVEN)
    with pytest.raises(InputError, match="expected 0 there"):
        check_channel(Relaxing, zero_at={"ca": 1.0, "ca_er": 2.0})
    with pytest.raises(InputError, match="zero_at names 'cytosol', but the channel reads ca, ca_er"):
        check_channel(Relaxing, zero_at={"cytosol": 1.0})
