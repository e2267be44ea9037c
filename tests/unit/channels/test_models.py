"""Channels inside models: the presets rest, buffers come with their constants, a port may name a third region on a cable."""

from __future__ import annotations

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.channels.buffers import BUFFERS, buffer
from calcium_sim.meshes import neurite, well_mixed
from calcium_sim.plan.lower import lower
from calcium_sim.plan.rest import resting_flux


@pytest.fixture(scope="module")
def cable():
    return neurite("4 um", "0.4 um", er_radius="0.15 um", spacing="0.5 um")


def balanced(model):
    """Channel by label of what the lowering chose for each membrane."""
    return {(g.membrane, g.channel.label()): g.channel for g in lower(model).gauges}


def net_flux(model, membrane):
    """Net flux [uM um/ms] into the cytosol at rest, and the largest single one."""
    parts = []
    for (where, _), channel in balanced(model).items():
        if where == membrane:
            inward = cs.model.direction(model.mesh, membrane, channel)[1] == "cytosol"
            parts.append((1 if inward else -1) * resting_flux(model, membrane, channel))
    return sum(parts), max(map(abs, parts))


@pytest.mark.parametrize("preset", ["breit_queisser", "calcsim_cable"])
def test_presets_carry_no_net_flux_at_rest(cable, preset):
    model = getattr(cs.presets, preset)(cable)
    for membrane in ("er", "plasma"):
        net, largest = net_flux(model, membrane)
        assert abs(net) <= 1e-15 * largest, f"{preset} {membrane}: {net:g} of {largest:g}"


def test_preset_balances_further_channels_too(cable):
    """A store-operated entry and an L-type channel raise what the leak of the plasma membrane has to make up for."""
    soce = cs.get_channel("soce/hill")(vmax="1e-6 uM*um/ms")
    vgcc = cs.get_channel("vgcc/borg-graham-t")()
    model = cs.presets.breit_queisser(cable, plasma_channels=[soce, vgcc], voltage="-70 mV")
    net, largest = net_flux(model, "plasma")
    assert abs(net) <= 1e-15 * largest
    assert resting_flux(model, "plasma", soce) == pytest.approx(1e-6 / (1 + (250 / 187) ** 4), rel=1e-12)


def test_published_balances(cable):
    """rho_s 2274.9485 /um^2 and v_le 0.0404489568 um/s at a density of 3 /um^2 (computed for the two presets)."""
    serca = balanced(cs.presets.breit_queisser(cable))["er", "serca/er-inhibited"]
    assert np.asarray(serca.values["density"]).item() == pytest.approx(2274.9485, abs=5e-5)
    leak = balanced(cs.presets.calcsim_cable(cable))["er", "leak/linear"]
    assert np.asarray(leak.values["permeability"]).item() * 1e3 == pytest.approx(0.0404489568, rel=1e-9)


def test_buffer_at_rest():
    """149.385749 and 37.346437 uM of 160 and 40 uM are free at 0.05 uM of calcium."""
    for total, free in ((160, 149.385749), (40, 37.346437)):
        b = buffer("calbindin", total=f"{total} uM")
        assert b.total * b.koff / (b.koff + b.kon * 0.05) == pytest.approx(free, abs=5e-7)


def test_buffers_have_their_published_affinity():
    kd = {"calbindin": 19 / 27, "fluo4": 0.345, "ogb1": 140 / 430, "er-calreticulin": 2000.0, "parvalbumin": 0.95 / 107}
    for name, expected in kd.items():
        b = buffer(name, total="10 uM", diffusion="20 um^2/s")
        assert b.koff / b.kon == pytest.approx(expected, rel=1e-12), name
    assert buffer("er-calreticulin").total == 3600.0
    assert buffer("er-calreticulin").region == "er"


def test_buffer_asks_for_what_it_lacks():
    with pytest.raises(cs.InputError, match=r"unknown buffer 'calbindn' .did you mean 'calbindin'"):
        buffer("calbindn", total="1 uM")
    with pytest.raises(cs.InputError, match=r"buffer.calbindin.total: has no default"):
        buffer("calbindin")
    with pytest.raises(cs.InputError, match=r"buffer.ogb1.diffusion: has no default"):
        buffer("ogb1", total="50 uM")
    assert set(BUFFERS) >= {"calbindin", "fluo4", "ogb1", "parvalbumin"}


def test_stimulus_of_a_preset_can_be_replaced(cable):
    assert len(cs.presets.breit_queisser(cable).stimuli) == 1
    assert cs.presets.breit_queisser(cable, stimulus=False).stimuli == ()
    own = cs.Influx("ca", at="right", flux="1 uM*um/ms", duration="2 ms")
    assert cs.presets.breit_queisser(cable, stimulus=own).stimuli == (own,)
    assert cs.presets.breit_queisser(cable, stimulus=[own, own]).stimuli == (own, own)


def test_neymotin_preset_starts_at_the_published_mean_calcium():
    mesh = neurite("100 um", "0.5 um", er_fraction=0.17, er_area_per_length="1 um^2/um", spacing="1 um")
    model = cs.presets.neymotin(mesh)
    assert model.species[0].initial["er"] == pytest.approx(9.512, abs=5e-4)
    assert mesh.membranes["er"].area == pytest.approx(1.0)
    receptor = model.membranes["er"][0]
    weight = receptor.scale(*mesh.position[mesh.span("cytosol")].T)
    assert set(np.round(weight, 12)) == {1.0, 1.25}
    assert weight[45:75] == pytest.approx(np.repeat([1.25, 1.0, 1.25], 10))  # 5 um around the middle at 50 um and around 70 um


def test_preset_needs_an_er():
    with pytest.raises(cs.InputError, match="breit_queisser: needs a mesh with the membrane 'er'"):
        cs.presets.breit_queisser(neurite("4 um", "0.4 um", spacing="0.5 um"))


def store_operated(mesh):
    channel = cs.get_channel("soce/hill")(vmax="1e-6 uM*um/ms")
    calcium = cs.Species("ca", {"cytosol": "220 um^2/s", "er": "220 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM", "outside": "1 mM"})
    return cs.Model(mesh, [calcium], membranes={"plasma": [channel]})


def test_store_operated_entry_reads_the_er_through_the_plasma_membrane(cable):
    """Allowed where every position has one node per region; refused on a grid resolved along the radius."""
    store_operated(cable)
    cell = well_mixed(
        {"cytosol": "1 um^3", "er": "0.2 um^3"}, {"plasma": (("cytosol", "outside"), "6 um^2"), "er": (("er", "cytosol"), "2 um^2")}
    )
    store_operated(cell)
    with pytest.raises(cs.InputError, match=r"soce/hill: reads 'ca@er', but this membrane joins outside and cytosol"):
        store_operated(neurite("2 um", "0.4 um", er_radius="0.15 um", spacing="0.5 um", dims=2))
    no_store = neurite("2 um", "0.4 um", spacing="0.5 um")
    calcium = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1 mM"})
    with pytest.raises(cs.InputError, match=r"reads 'ca@er', which the model lacks"):
        cs.Model(no_store, [calcium], membranes={"plasma": [cs.get_channel("soce/hill")(vmax="1e-6 uM*um/ms")]})
