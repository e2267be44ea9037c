"""Balanced parameters against their closed forms; what cannot be balanced is refused in one line."""

from __future__ import annotations

import math

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.meshes import neurite, well_mixed
from calcium_sim.plan.lower import lower
from calcium_sim.plugin import BALANCE, Channel

CA, OUT, ER, NA, NA_OUT = 0.05, 1000.0, 250.0, 1e4, 1.4e5


class Exchanger(Channel):
    """Three sodium ions in for one of calcium."""

    across = ("cytosol", "outside")
    reads = {"ca": "ca@cytosol"}
    moves = {"na": -3, "ca": 1}
    params = {"vmax": (1.0, "uM*um/ms")}

    @staticmethod
    def flux(y, x, p):
        return p.vmax * x.ca / (x.ca + 1.0)


class Pump(Channel):
    """Sodium out, potassium not counted; carries some calcium along, so that two balanced channels depend on each other both ways."""

    across = ("cytosol", "outside")
    reads = {"na": "na@cytosol"}
    moves = {"ca": 1, "na": 5}
    params = {"v": (1.0, "uM*um/ms", (-1e3, 1e3))}

    @staticmethod
    def flux(y, x, p):
        return p.v * x.na / (x.na + 1e4)


class SodiumLeak(Channel):
    """Sodium out in proportion to its concentration."""

    across = ("cytosol", "outside")
    reads = {"na": "na@cytosol"}
    moves = {"na": 1}
    params = {"k": (5e-7, "um/ms")}

    @staticmethod
    def flux(y, x, p):
        return p.k * x.na


class Bell(Channel):
    """A flux that every value below the top is reached at twice."""

    across = ("outside", "cytosol")
    params = {"q": (0.5, "1", (0.0, 1.0)), "size": (1.0, "1")}

    @staticmethod
    def flux(y, x, p):
        return p.size * p.q * (1.0 - p.q)


class Deaf(Bell):
    """Does not depend on q."""

    @staticmethod
    def flux(y, x, p):
        return 1.0


def species(*names):
    levels = {"ca": {"cytosol": CA, "er": ER, "outside": OUT}, "na": {"cytosol": NA, "er": NA, "outside": NA_OUT}}
    regions = ("cytosol", "er")
    zero = dict.fromkeys(regions, "0 um^2/s")
    return [cs.Species(n, diffusion=zero, initial={r: f"{v} uM" for r, v in levels[n].items()}) for n in names]


def point(plasma=(), er=(), names=("ca",)):
    areas = {"plasma": (("cytosol", "outside"), "5 um^2"), "er": (("er", "cytosol"), "5 um^2")}
    return cs.Model(well_mixed({"cytosol": "1 um^3", "er": "0.1 um^3"}, areas), species(*names), membranes={"plasma": plasma, "er": er})


def values(model):
    return {g.channel.label(): g.channel.values for g in lower(model).gauges}


def get(name, **given):
    return cs.get_channel(name)(**given)


def refused(model):
    with pytest.raises(cs.InputError) as caught:
        lower(model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def exchanging(order):
    channels = [Exchanger(vmax=BALANCE), SodiumLeak(k="5e-7 um/ms"), get("leak/linear", permeability=BALANCE)]
    return point([channels[k] for k in order], names=("ca", "na"))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_leak_balances_what_a_balanced_exchanger_moves(order):
    """Sodium: 3 J = k na, so J = 5e-3/3 uM um/ms; calcium: P (1000 - 0.05) = J."""
    found = values(exchanging(order))
    carried = 5e-7 * NA / 3.0
    assert found["Exchanger"]["vmax"] == pytest.approx(carried * (CA + 1.0) / CA, rel=1e-12)
    assert found["leak/linear"]["permeability"] == pytest.approx(carried / (OUT - CA), rel=1e-12)


def test_it_stays_at_rest():
    """100 ms; the round-off of what cancels. Left out of the balance, the exchanger took 0.05 uM to 1e-9."""
    ds = cs.simulate(exchanging((0, 1, 2)), until="100 ms", every="50 ms")
    for name, level in (("ca", CA), ("na", NA)):
        off = float(abs(ds[name].sel(region="cytosol") / level - 1.0).max())
        assert off <= 1e-12, f"{name} is {off:.2g} off rest"


def test_two_channels_that_both_move_both_species_are_solved_together():
    """Outward per ms: sodium -3 E + 5 P + k na = 0, calcium E + P - L = 0 with a leak L of calcium into the cytosol."""
    leak = get("leak/linear", permeability="1e-6 um/ms")
    model = point([Exchanger(vmax=BALANCE), Pump(v=BALANCE), SodiumLeak(), leak], names=("ca", "na"))
    found = values(model)
    e, p = np.linalg.solve([[-3.0, 5.0], [1.0, 1.0]], [-5e-7 * NA, 1e-6 * (OUT - CA)])
    assert found["Exchanger"]["vmax"] == pytest.approx(e * (CA + 1.0) / CA, rel=1e-13)
    assert found["Pump"]["v"] == pytest.approx(p * 2.0, rel=1e-13)
    assert p < 0  # its range allows that


def test_a_michaelis_constant_is_balanced():
    """v ca/(ca + km) = P (1000 - ca), so km = ca (v/J - 1): 0.2 uM."""
    leak = get("leak/linear", permeability="1e-5 um/ms")
    model = point([get("pmca/hill1", vmax="0.05 uM*um/ms", km=BALANCE), leak])
    carried = 1e-5 * (OUT - CA)
    assert values(model)["pmca/hill1"]["km"] == pytest.approx(CA * (0.05 / carried - 1.0), rel=1e-13)


def test_an_exponent_is_balanced():
    """v/(1 + (c/k)^n) = J, so n = log(v/J - 1)/log(c/k)."""
    entry, pump = get("soce/hill", vmax="0.05 uM*um/ms", n=BALANCE), get("pmca/hill1", vmax="0.05 uM*um/ms", km="0.2 uM")
    carried = 0.05 * CA / (CA + 0.2)
    assert values(point([entry, pump]))["soce/hill"]["n"] == pytest.approx(math.log(0.05 / carried - 1.0) / math.log(ER / 187.0), rel=1e-12)


def test_a_profile_of_the_others_becomes_one_of_the_balance():
    """The pump is scaled with 1 + x/2; the leak carries as much at every place, whether it is linear in what is balanced or not."""
    mesh = neurite("4 um", "0.2 um", er_radius="0.1 um", spacing="0.5 um")
    pump = get("pmca/hill1", vmax="0.05 uM*um/ms", km="0.2 uM", scale=lambda x, y, z: 1.0 + 0.5 * x)
    cell = [cs.Species("ca", {"cytosol": "1 um^2/s", "er": "1 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM", "outside": "1000 uM"})]
    for other, name in (
        (get("leak/linear", permeability=BALANCE), "permeability"),
        (get("soce/hill", vmax="0.1 uM*um/ms", n=BALANCE), "n"),
    ):
        scaled, leak = lower(cs.Model(mesh, cell, membranes={"plasma": [pump, other]})).gauges
        z = mesh.position[mesh.membranes["plasma"].inside, 0]
        assert np.allclose(scaled.weight, 1.0 + 0.5 * z, rtol=1e-13)
        assert np.allclose(leak.weight, (1.0 + 0.5 * z) / (1.0 + 0.5 * z.max()), rtol=1e-13)
        most = 0.01 * (1.0 + 0.5 * z.max())
        exact = most / (OUT - CA) if name == "permeability" else math.log(0.1 / most - 1.0) / math.log(ER / 187.0)
        assert leak.channel.values[name] == pytest.approx(exact, rel=1e-12)


def test_what_cancels_needs_nothing():
    """Two channels that carry the same in and out leave round-off, of either sign, which is no flux of the wrong sign."""
    size = 0.1 + 0.2
    model = point([Bell(q="0.5", size=f"{4 * size!r}"), Bell(q="0.5", size="0.4"), Sink(size=f"{size + 0.1!r}"), Outward(vmax=BALANCE)])
    assert values(model)["Outward"]["vmax"] <= 1e-13


class Sink(Bell):
    """Out of the cytosol."""

    across = ("cytosol", "outside")
    params = {"size": (1.0, "1")}

    @staticmethod
    def flux(y, x, p):
        return p.size


class Outward(Sink):
    """Out of the cytosol, by a parameter without a declared range."""

    params = {"vmax": (1.0, "uM*um/ms")}

    @staticmethod
    def flux(y, x, p):
        return p.vmax


REFUSED = {
    "above the range": (
        lambda: point(er=[get("leak/linear", permeability="0.09 um/ms"), get("serca/hill2", vmax=BALANCE)]),
        "membranes.er.serca/hill2.vmax: balance needs 112.4",
        "<= 100",
    ),
    "wrong sign": (
        lambda: point([get("pmca/hill1", vmax=BALANCE, km="0.2 uM"), get("pmca/hill2", density="500 1/um^2")]),
        "membranes.plasma.pmca/hill1.vmax: balance needs -",
        "the other fluxes have the wrong sign",
    ),
    "wrong sign without a range": (
        lambda: point([Outward(vmax=BALANCE), get("pmca/hill2", density="500 1/um^2")]),
        "membranes.plasma.Outward.vmax: balance needs -",
        "must be >= 0",
    ),
    "two of one species on the plasma membrane": (
        lambda: point([get("leak/linear", permeability=BALANCE), get("pmca/hill1", vmax=BALANCE, km="0.2 uM")]),
        "'leak/linear' already balances 'ca' on this membrane",
        "give one a value",
    ),
    "two of one species on the ER": (
        lambda: point(er=[get("serca/er-inhibited", density=BALANCE), get("leak/linear", permeability=BALANCE)]),
        "'serca/er-inhibited' already balances 'ca' on this membrane",
        "give one a value",
    ),
    "two of one channel": (
        lambda: point([get("pmca/hill1", vmax=BALANCE, km=BALANCE)]),
        "membranes.plasma.pmca/hill1: two parameters are BALANCE (vmax, km)",
        "only one",
    ),
    "a place of its own": (
        lambda: point([get("leak/linear", permeability=BALANCE, scale=lambda x, y, z: 2.0 + 0 * x)]),
        "membranes.plasma.leak/linear.permeability",
        "sits everywhere",
    ),
    "no value of a constant": (
        lambda: point([get("pmca/hill1", vmax="0.05 uM*um/ms", km=BALANCE), get("leak/linear", permeability="1e-3 um/ms")]),
        "no value within [0.001, 100] uM balances: the flux has to be 1 uM um/ms and goes from 2.499e-05 to 0.04902",
        "balance another parameter",
    ),
    "several values": (lambda: point([Bell(q=BALANCE), Sink(size="0.21")]), "balanced by several values (0.3, 0.7)", "give it the one"),
    "no dependence": (lambda: point([Deaf(q=BALANCE), Sink(size="0.1")]), "membranes.plasma.Deaf.q", "the flux does not depend on it"),
    "both in proportion": (
        lambda: point([Exchanger(vmax=BALANCE), Reverse(vmax=BALANCE), SodiumLeak()], names=("ca", "na")),
        "membranes.plasma: 'Exchanger' and 'Reverse'",
        "give one of them a value",
    ),
    "both signs": (
        lambda: cs.Model(
            neurite("4 um", "0.2 um", er_radius="0.1 um", spacing="0.5 um"),
            species("ca"),
            membranes={"plasma": [Bell(q="0.5", scale=lambda x, y, z: x), Sink(size="0.5"), Outward(vmax=BALANCE)]},
        ),
        "membranes.plasma.Outward.vmax",
        "both signs along the membrane",
    ),
}


class Reverse(Exchanger):
    """The same proportions; balances calcium, which it names first."""

    moves = {"ca": 1, "na": -3}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_balanced_is_refused(case):
    make, *told = REFUSED[case]
    message = refused(make())
    assert all(part in message for part in told), message
