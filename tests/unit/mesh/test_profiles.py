"""Values that differ from place to place: every way to write them, what they mean, what is refused."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim import units as u
from calcium_sim.config import build, parse
from calcium_sim.meshes import example, from_swc, neurite
from calcium_sim.model.strength import strength
from calcium_sim.plan.lower import lower
from calcium_sim.plan.observe import flux_density
from calcium_sim.plan.state import State

TREE = from_swc(example("granule-cell"), "10 um")
COUNT = len(TREE.structure.parent)
D = TREE.distance[:COUNT]
CABLE = neurite("10 um", "0.2 um", er_radius="0.1 um", spacing="0.5 um")
PATCH = np.where((np.arange(20) >= 3) & (np.arange(20) < 7), 3.0, 0.0)
LEAK, PMCA = cs.get_channel("leak/linear"), cs.get_channel("pmca/hill2")
LINE = np.interp(D, [0, 100], [1, 3])
SECTION, TIP = TREE.labels["section-0"][:COUNT], np.arange(COUNT) == TREE.faces["tip-3"].nodes[0]
SOMA, BASAL, TIPS = (TREE.labels[name][:COUNT] for name in ("soma", "basal", "tips"))


def densities(given, **options):
    """Density at each pair of the plasma membrane of the tree [1/um^2]."""
    found = strength(TREE, "plasma", PMCA(density=given, **options))
    return found.values["density"] * (1.0 if found.weight is None else found.weight)


RIGHT = {
    "a number": ("3 /um^2", 3.0),
    "an array of pairs": (np.linspace(1, 2, COUNT) / u.um2, np.linspace(1, 2, COUNT)),
    "an array of nodes": (np.linspace(1, 2, 2 * COUNT) / u.um2, np.linspace(1, 2, 2 * COUNT)[:COUNT]),
    "a list of quantities": (["3 /um^2"] * COUNT, 3.0),
    "labels": ({"soma": "1 /um^2", "basal": "3 /um^2"}, np.where(SOMA, 1.0, np.where(BASAL, 3.0, 0.0))),
    "a label alone": ({"soma": "1 /um^2"}, SOMA * 1.0),
    "the rest": ({"soma": "1 /um^2", "*": "2 /um^2"}, np.where(SOMA, 1.0, 2.0)),
    "the last counts": ({"*": "5 /um^2", "dendrite": "1 /um^2", "tips": "3 /um^2"}, np.where(TIPS, 3.0, np.where(SOMA, 5.0, 1.0))),
    "a face and a section": ({"tip-3": "1 /um^2", "section-0": "2 /um^2"}, np.where(SECTION, 2.0, TIP)),
    "points": ([["0 um", "1 /um^2"], ["100 um", "3 /um^2"]], LINE),
    "points as arrays": (([0, 100] * u.um, [1, 3] / u.um2), LINE),
    "points by name": ({"distance": [[0, "1 /um^2"], ["0.1 mm", "3 /um^2"]]}, LINE),
    "points at a label": ({"soma": "1 /um^2", "basal": [["0 um", "1 /um^2"], ["100 um", "3 /um^2"]]}, np.where(SOMA, 1.0, LINE)),
    "of the distance": (lambda distance: 1 + distance / 100, 1 + D / 100),
    "of the distance, with a unit": (lambda distance: (1 + distance / 100) * 1e-4 / u.nm**2 * 1e-2, 1 + D / 100),
    "of coordinates": (lambda x, y, z: 1 + x**2, 1 + TREE.position[:COUNT, 0] ** 2),
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_a_density_by_place(case):
    given, right = RIGHT[case]
    np.testing.assert_allclose(densities(given), np.broadcast_to(right, COUNT), rtol=1e-12)
    scale = densities("1 /um^2", scale=[["0 um", 0.0], ["50 um", 2.0]])
    np.testing.assert_allclose(densities(given, scale=[["0 um", 0.0], ["50 um", 2.0]]), scale * right, rtol=1e-12)


WRONG = {
    "a label": ({"som": "1 /um^2"}, r"membranes\.plasma\.pmca/hill2\.density: unknown place 'som' \(did you mean 'soma'\?\)"),
    "a hidden label": ({"*": "1 /um^2", "tips": "1 /um^2", "dendrite": "2 /um^2"}, "'tips' has no effect: .*name it last"),
    "no unit": ({"soma": 1.0}, r"density\.soma: 1\.0 has no unit"),
    "an array without a unit": (np.ones(COUNT), r"density: \d+ numbers have no unit"),
    "an array too short": (np.ones(3) / u.um2, rf"density: has 3 values, expected one for each of the {COUNT} places"),
    "two dimensions": (np.ones((3, 2)) / u.um2, r"density: is an array of shape \(3, 2\)"),
    "out of range": ({"soma": "-1 /um^2"}, r"density\.soma: -1 1/um\^2 is outside \[0, "),
    "out of range somewhere": (lambda distance: 100 - distance, r"must return finite numbers .*found -\d"),
    "not finite": (lambda distance: np.log(distance - 10), "must return finite numbers"),
    "another unit": (lambda distance: distance * u.um, r"dimension \[length\], expected \[density\]"),
    "distances in no order": ([["1 um", "1 /um^2"], ["0 um", "1 /um^2"]], r"density\[1\]: 0 um after 1 um: distances have to grow"),
    "a point of three": ([["1 um", "1 /um^2", 3]], r"density\[0\]: .* is no point"),
    "a table in a table": ({"soma": {"tips": "1 /um^2"}}, r"density\.soma: .* stands in a table of labels"),
    "nothing": ({}, "density: is an empty table"),
    "balance": ({"soma": cs.BALANCE}, r"density\.soma: 'BALANCE' is not a quantity"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_wrong_density_is_refused_when_the_model_is_made(case):
    given, told = WRONG[case]
    ca = cs.Species("ca", {"cytosol": "0 um^2/s", "er": "0 um^2/s"}, {"cytosol": "0.1 uM", "er": "9 uM", "outside": "1 mM"})
    with pytest.raises(cs.InputError, match=told) as seen:
        cs.Model(TREE, ca, {"plasma": PMCA(density=given)})
    assert "\n" not in str(seen.value)


def test_only_what_multiplies_the_flux_differs_from_place_to_place():
    with pytest.raises(cs.InputError, match=r"pmca/hill2\.km: does more than multiply the flux"):
        PMCA(density="3 /um^2", km={"*": "60 nM"})
    assert LEAK(permeability={"*": "1 um/s"}).values["permeability"].kind == "labels"


def model(ca=None, plasma=(), er=(), stimuli=(), diffusion="0 um^2/s", mesh=CABLE):
    given = cs.Species("ca", {"cytosol": diffusion, "er": diffusion}, {"cytosol": "0.1 uM", "er": "9 uM", "outside": "1 mM", **(ca or {})})
    return cs.Model(mesh, given, {"plasma": plasma, "er": er}, stimuli=stimuli)


def test_rest_is_balanced_at_each_place():
    """Where a cell starts differently from place to place, every pair of both membranes is at rest; without diffusion it stays there."""
    start = {"cytosol": lambda distance: 0.05 + 0.01 * distance, "er": [["0 um", "200 uM"], ["10 um", "400 uM"]]}
    plasma = [PMCA(density="500 /um^2"), LEAK(permeability=cs.BALANCE)]
    er = [LEAK(permeability="0.04 um/s", scale=[["0 um", 1.0], ["10 um", 2.0]]), cs.get_channel("serca/hill2")(vmax=cs.BALANCE)]
    cell = model(start, plasma, er)
    plan = lower(cell)
    for membrane in ("plasma", "er"):
        fluxes = [
            flux_density(plan, g, State.start(plan)) * (1 if g.way[1] == "cytosol" else -1) for g in plan.gauges if g.membrane == membrane
        ]
        assert np.abs(fluxes[0]).min() > 0
        assert np.abs(fluxes[0] + fluxes[1]).max() <= 4e-16 * np.abs(fluxes[0]).max()
    ds = cs.simulate(cell, "20 ms", "10 ms")
    np.testing.assert_allclose(ds.ca[-1], ds.ca[0], rtol=1e-12)
    np.testing.assert_allclose(ds.ca[0, :20], 0.05 + 0.01 * CABLE.distance[:20], rtol=1e-15)
    assert ds.attrs["ledger_drift"] < 1e-12


def test_gates_start_at_the_equilibrium_of_their_place():
    cell = model({"cytosol": lambda distance: 0.05 + 0.05 * distance}, er=[cs.get_channel("ryr/keizer-levine")(density="1 /um^2")])
    plan = lower(cell)
    g = plan.gauges[0]
    for node in (0, 7, 19):
        alone = model({"cytosol": f"{0.05 + 0.05 * CABLE.distance[node]} uM"}, er=[g.channel])
        other = lower(alone)
        for mine, theirs in zip(g.states, other.gauges[0].states, strict=True):
            assert plan.y0[mine][node] == pytest.approx(other.y0[theirs][node], rel=1e-12)


def test_start_values_of_states_by_place():
    ryr = cs.get_channel("ryr/keizer-levine")(density="1 /um^2", initial={"c1": [["0 um", 0.5], ["10 um", 0.9]]})
    plan = lower(model(er=[ryr]))
    names = list(ryr.states)
    np.testing.assert_allclose(plan.y0[plan.gauges[0].states[names.index("c1")]], np.interp(CABLE.distance[:20], [0, 10], [0.5, 0.9]))
    with pytest.raises(cs.InputError, match=r"initial\.c1\.left: 1\.5 is outside \[0, 1\]"):
        cs.get_channel("ryr/keizer-levine")(initial={"c1": {"left": 1.5, "*": 0.0}})
    with pytest.raises(cs.InputError, match=r"initial\.c1: \d+ of 20 nodes lie at none of left \(add '\*' for all others\)"):
        model(er=[cs.get_channel("ryr/keizer-levine")(initial={"c1": {"left": 0.5}})])


def test_a_cosine_spreads_as_it_should():
    """The slowest mode of a sealed cable decays with D (pi / L)^2; the mode of the mesh with 4 sin^2(pi h / 2L) / h^2 (0.02 % less)."""
    cell = model({"cytosol": lambda x, y, z: 1 + 0.5 * np.cos(np.pi * x / 10)}, diffusion="100 um^2/s")
    ds = cs.simulate(cell, "50 ms", "50 ms", tolerance=1e-4)
    rate = 0.1 * 4 * np.sin(np.pi * 0.5 / 20) ** 2 / 0.25
    right = 1 + 0.5 * np.cos(np.pi * CABLE.position[:20, 0] / 10) * np.exp(-rate * 50)
    np.testing.assert_allclose(ds.ca[-1, :20], right, atol=2e-5)


def test_stimuli_by_place_enter_the_ledger():
    flux = cs.Influx("ca", at=None, through="plasma", flux=[["0 um", "0 uM*um/ms"], ["10 um", "1 uM*um/ms"]], duration="1 ms")
    level = cs.Set("ca", {"left": "2 uM", "*": "1 uM"}, time="2 ms")
    ds = cs.simulate(model(stimuli=[flux, level]), "3 ms", "1 ms")
    amount = (np.interp(CABLE.distance[:20], [0, 10], [0, 1]) * CABLE.membranes["plasma"].area).sum()
    assert float(ds.ledger_ca.sel(account="stimulus:0:ca")[1]) == pytest.approx(amount, rel=1e-12)
    np.testing.assert_array_equal(ds.ca[2, :20], np.where(np.arange(20) == 0, 2.0, 1.0))
    assert ds.attrs["ledger_drift"] < 1e-14
    with pytest.raises(cs.InputError, match=r"stimuli\.ca\.value: .*nodes lie at none of left"):
        model(stimuli=[cs.Set("ca", {"left": "2 uM"})])


def test_decay_to_a_profile_needs_a_level():
    with pytest.raises(cs.InputError, match=r"species\.ip3\.rest: starts differently from place to place in 'cytosol'"):
        cs.Species("ip3", {"cytosol": "1 um^2/s"}, {"cytosol": {"*": "1 uM"}}, decay="1 /s")
    with pytest.raises(cs.InputError, match=r"species\.ca\.initial\.outside: .* expected one concentration outside"):
        model({"outside": {"*": "1 uM"}})
    with pytest.raises(cs.InputError, match=r"species\.ca\.initial\.er: unknown place 'lft' \(did you mean 'left'\?\)"):
        model({"er": {"lft": "1 uM", "*": "2 uM"}})


def test_channels_by_a_name_of_their_own():
    """A density by label is the same as one named channel per label; names are in results, ledger, swap, replace and errors."""
    one = model(plasma=[LEAK(permeability={"left": "1 um/s", "*": "2 um/s"})])
    two = model(
        plasma=[
            LEAK(permeability="1 um/s", at="left", name="left leak"),
            LEAK(permeability="2 um/s", at=lambda distance: distance > 0.3, name="other"),
        ]
    )
    first, second = (cs.simulate(m, "2 ms", "1 ms") for m in (one, two))
    np.testing.assert_allclose(first.ca, second.ca, rtol=1e-12)
    np.testing.assert_allclose(first.flux_leak_linear[1:], (second.flux_left_leak + second.flux_other)[1:], rtol=1e-10)
    assert {"channel:plasma:left leak", "channel:plasma:other"} <= set(second.account.values)
    assert second.flux_other.attrs["channel"] == "leak/linear"
    swapped = two.swap("other", LEAK, permeability="3 um/s")
    assert [(c.named, c.values["permeability"]) for c in swapped.membranes["plasma"]] == [("left leak", 0.001), ("other", 0.003)]
    assert two.replace("membranes.plasma.other.permeability", "5 um/s").membranes["plasma"][1].values["permeability"] == 0.005
    assert (
        one.replace("membranes.plasma.leak/linear.permeability.left", "3 um/s").membranes["plasma"][0].values["permeability"].data["left"]
        == 0.003
    )
    with pytest.raises(cs.InputError, match=r"membranes\.plasma\.mine\.at: unknown place 'lft'"):
        model(plasma=[LEAK(permeability="1 um/s", at="lft", name="mine")])
    with pytest.raises(cs.InputError, match=r"membranes\.plasma: 'a' is given twice"):
        model(plasma=[LEAK(permeability="1 um/s", name="a"), LEAK(permeability="1 um/s", name="a")])
    with pytest.raises(cs.InputError, match=r"leak/linear\.name: 'a@b' is no name"):
        LEAK(permeability="1 um/s", name="a@b")


def test_profiles_are_values():
    """Equal, hashed, pickled, described, written as they would be given."""
    a, b = (model({"er": {"left": "1 uM", "*": "2 uM"}}, [LEAK(permeability=[["0 um", "1 um/s"], ["9 um", "2 um/s"]])]) for _ in range(2))
    assert a == b == pickle.loads(pickle.dumps(a))
    assert hash(a) == hash(b)
    assert a != model({"er": {"left": "1.5 uM", "*": "2 uM"}}, a.membranes["plasma"])
    assert repr(a.membranes["plasma"][0]) == "leak/linear(permeability=[['0 um', '0.001 um/ms'], ['9 um', '0.002 um/ms']])"
    told = json.loads(cs.Simulation(a).observe().attrs["model"])
    assert told["species"][0]["initial"]["er"] == {"left": 1.0, "*": 2.0}
    assert told["membranes"]["plasma"][0]["values"]["permeability"] == [[0.0, 0.001], [9.0, 0.002]]


def test_the_same_in_a_file():
    text = """
    [mesh]
    kind = "neurite"
    length = "10 um"
    radius = "0.2 um"
    er_radius = "0.1 um"
    spacing = "0.5 um"
    [[species]]
    name = "ca"
    diffusion = { cytosol = "0 um^2/s", er = "0 um^2/s" }
    initial = { cytosol = { left = "0.2 uM", "*" = "0.1 uM" }, er = [["0 um", "1 uM"], ["10 um", "9 uM"]], outside = "1 mM" }
    [[membranes.plasma]]
    channel = "leak/linear"
    name = "mine"
    permeability = { left = "1 um/s", right = [["0 um", "1 um/s"], ["10 um", "3 um/s"]] }
    scale = [["0 um", 1.0], ["10 um", 0.5]]
    at = ["left", "right", { distance = ["2 um", "3 um"] }, { nearest = ["5 um", 0, 0] }, 12]
    [run]
    until = "1 ms"
    """
    written, _ = build(parse(text))
    place = ("left", "right", cs.within("2 um", "3 um"), written.membranes["plasma"][0].at[3], 12)
    mine = LEAK(
        permeability={"left": "1 um/s", "right": [["0 um", "1 um/s"], ["10 um", "3 um/s"]]},
        scale=[["0 um", 1.0], ["10 um", 0.5]], at=place, name="mine",
    )  # fmt: skip
    given = model({"cytosol": {"left": "0.2 uM", "*": "0.1 uM"}, "er": [["0 um", "1 uM"], ["10 um", "9 uM"]]}, [mine])
    assert written.species == given.species
    assert written.membranes["plasma"] == given.membranes["plasma"]
    chosen = written.mesh.select(place, np.arange(20, dtype=np.uint32))
    np.testing.assert_array_equal(np.flatnonzero(chosen), [0, 4, 5, 9, 12, 19])
    for old, new, told in [
        ('left = "1 um/s"', 'lft = "1 um/s"', r"membranes\.plasma\[0\]\.permeability: unknown place 'lft'"),
        ('left = "1 um/s"', "left = 1.0", r"membranes\.plasma\[0\]\.permeability\.left: 1\.0 has no unit"),
        ('"*" = "0.1 uM"', 'right = "0.1 uM"', r"species\.ca\.initial\.cytosol: 18 of 20 nodes lie at none of left, right"),
        ('["10 um", 0.5]', '["10 um", "0.5 um"]', r"membranes\.plasma\[0\]\.scale\[1\]\[1\]: "),
        ('nearest = ["5 um", 0, 0]', 'nearest = ["5 um"]', r"membranes\.plasma\[0\]\.at\[3\]: .* is no point"),
        (", 12]", ", 12000]", r"membranes\.plasma\[0\]\.at: node 12000 does not exist, the mesh has nodes 0 to 39"),
    ]:
        with pytest.raises(cs.InputError, match=told):
            build(parse(text.replace(old, new)))


def test_a_tip_is_a_place_of_every_region():
    """A face of the cytosol in a table of an ER channel, of its factor and of a start value in the ER, as it is for ``at=``."""
    mesh = neurite("4 um", "0.2 um", "0.1 um", spacing="1 um")
    channel = cs.get_channel("leak/linear")(permeability={"right": "3 um/s", "*": "1 um/s"}, scale={"right": 2.0, "*": 1.0})
    start = {"cytosol": "0.1 uM", "er": {"right": "300 uM", "*": "250 uM"}}
    model = cs.Model(mesh, cs.Species("ca", {"cytosol": "0 um^2/s", "er": "0 um^2/s"}, start), {"er": channel})
    simulation = cs.Simulation(model)
    np.testing.assert_array_equal(simulation.concentration("ca", "er"), [250, 250, 250, 300])
    ds = cs.simulate(model, "0.01 ms", "0.01 ms", dt="0.01 ms")
    flux = ds.flux_leak_linear.values[-1]
    np.testing.assert_allclose(flux[:3], 0.001 * 249.9, rtol=1e-3)
    np.testing.assert_allclose(flux[3], 2 * 0.003 * 299.9, rtol=1e-3)


@pytest.mark.parametrize("side", ["inside", "outside"])
def test_a_label_of_either_side_counts_for_a_membrane(side):
    """As a place in `at` does."""
    pairs, there = CABLE.membranes["er"], np.zeros(CABLE.nodes, bool)
    there[getattr(pairs, side)[3:7]] = True
    mesh = replace(CABLE, labels={**CABLE.labels, "patch": there})
    found = strength(mesh, "er", PMCA(density={"patch": "3 /um^2"}))
    np.testing.assert_array_equal(found.values["density"] * found.weight, PATCH)
    at = strength(mesh, "er", PMCA(density="3 /um^2", at="patch"))
    np.testing.assert_array_equal(at.values["density"] * at.weight, PATCH)


def test_an_array_of_the_region_is_cut_where_it_is_set():
    """One value per node of the region, of which those at the place count."""
    levels = np.linspace(1.0, 2.0, 20)
    ca = cs.Species("ca", {"cytosol": "0 um^2/s", "er": "0 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM"})
    sets = cs.Set("ca", levels * u.uM, at=cs.within("2 um", "4 um"))
    ds = cs.simulate(cs.Model(CABLE, [ca], stimuli=[sets]), "0.1 ms", "0.1 ms")
    x = CABLE.distance[:20]
    np.testing.assert_array_equal(ds.ca.values[-1, :20], np.where((x >= 2) & (x <= 4), levels, 0.05))
