"""A swap takes over what fits and names what it drops."""

import warnings

import pytest

import calcium_sim as cs
from calcium_sim import presets
from calcium_sim.meshes import neurite

OLD = "ryr/keizer-levine"


class Halving(cs.Channel):
    """A receptor whose density is the same in another unit, with a state that the old one has as well."""

    across = ("er", "cytosol")
    reads = {"ca_er": "ca@er"}
    states = {"c1": 0.5}
    params = {"density": (1.0, "1"), "rate": (1.0, "uM*um^3/ms")}

    @staticmethod
    def rates(y, x, p):
        return (0.5 - y.c1,)

    @staticmethod
    def flux(y, x, p):
        return p.density * 1e-6 * y.c1 * x.ca_er


@pytest.fixture
def mesh():
    return neurite("2 um", "0.4 um", "0.15 um", "0.5 um")


def cell(mesh, **given):
    return replaced(presets.breit_queisser(mesh), cs.get_channel(OLD)(**given))


def replaced(model, channel):
    from dataclasses import replace

    return replace(model, membranes={**model.membranes, "er": [channel, *model.membranes["er"][1:]]})


def swapped(model, new, **values):
    """The new channel, and the texts of the warnings."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        out = model.swap(OLD, new, **values)
    return out.membranes["er"][0], [str(w.message) for w in said]


def test_doubled_rates_do_not_vanish_in_silence(mesh):
    model = cell(mesh, ka_on="3 1/uM^4/ms", kb_on="3 1/uM^3/ms", density="5 1/um^2")
    new, said = swapped(model, "ryr/dnn")
    assert new.values["density"] == 5.0
    assert said == [f"swap: ka_on = 3.0 1/uM^4/ms, kb_on = 3.0 1/uM^3/ms of '{OLD}' has no place in the new channel and is dropped"]
    new, said = swapped(model, "ryr/two-variable")
    assert (new.values["ka_on"], new.values["kb_on"], said) == (3.0, 3.0, [])
    assert swapped(cell(mesh), "ryr/dnn")[1] == [], "nothing was changed"


def test_place_scale_and_start_values_are_taken_over_or_named(mesh):
    def half(x, y, z):
        return 0.5 + 0.0 * x

    def left(x, y, z):
        return x < 1.0

    model = cell(mesh, at=left, scale=half, initial={"c1": 0.9, "o2": 0.1}, density=cs.BALANCE)
    new, said = swapped(model, Halving)
    assert (new.at, new.scale, new.initial) == (left, half, {"c1": 0.9})
    assert len(said) == 1
    assert "density = BALANCE" in said[0], "in other units"
    assert "initial o2 = 0.1" in said[0]
    assert "c1" not in said[0]
    new, said = swapped(model, Halving, density=2.0)
    assert new.values["density"] == 2.0
    assert "density" not in said[0]


def test_a_channel_comes_with_its_own_and_what_it_lacks_is_named(mesh):
    model = cell(mesh, ka_on="3 1/uM^4/ms", scale=lambda x, y, z: 1.0 + x, initial={"c1": 0.9})
    new, said = swapped(model, Halving(density=3.0))
    assert new.values["density"] == 3.0
    assert len(said) == 1
    assert all(part in said[0] for part in ("ka_on = 3.0 1/uM^4/ms", "scale=", "initial c1 = 0.9"))
    own = Halving(scale=lambda x, y, z: 2.0, initial={"c1": 0.8})
    assert "scale" not in swapped(model, own)[1][0]


def test_a_preset_names_what_its_receptor_loses(mesh):
    """The public code's 3.5e-18 mol/s per open receptor, which the network does not know."""
    with pytest.warns(UserWarning, match=r"calcsim_cable: rate = 3\.5 uM\*um\^3/ms of its receptor has no place in 'ryr/dnn'"):
        presets.calcsim_cable(mesh, ryr="ryr/dnn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in (OLD, "ryr/two-variable"):
            model = presets.calcsim_cable(mesh, ryr=name, ryr_density="2 1/um^2")
            assert model.membranes["er"][0].values["rate"] == 3.5
            assert model.membranes["er"][0].values["density"] == 2.0
        presets.breit_queisser(mesh, ryr="ryr/dnn")
