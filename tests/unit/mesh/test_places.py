"""Functions that say where: called with what they ask for, refused in one line where that cannot be."""

import functools

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.mesh.places import place_name
from calcium_sim.meshes import example, from_swc, neurite

MESH = neurite("10 um", "0.2 um", er_radius="0.1 um", spacing="0.5 um")
NODES = np.arange(20, dtype=np.uint32)
D = MESH.distance[:20]


class Segment:
    """From one distance to another."""

    def __init__(self, lo, hi):
        self.lo, self.hi = lo, hi

    def holds(self, distance):
        return (distance >= self.lo) & (distance <= self.hi)

    def __call__(self, distance):
        return self.holds(distance)

    @classmethod
    def far(cls, distance, lo=7.0):
        return distance > lo

    @staticmethod
    def near(distance):
        return distance < 2.0


def between(lo, hi, distance):
    return (distance >= lo) & (distance <= hi)


def logged(function):
    @functools.wraps(function)
    def call(*given):
        return function(*given)

    return call


SEGMENT = (D >= 2.0) & (D <= 5.0)
PLACES = {
    "a default": (lambda distance, lo=2.0, hi=5.0: (distance >= lo) & (distance <= hi), SEGMENT),
    "defaults by name": (lambda distance, *, lo=2.0, hi=5.0: (distance >= lo) & (distance <= hi), SEGMENT),
    "the rest": (lambda distance, *rest, **more: (distance >= 2.0) & (distance <= 5.0), SEGMENT),
    "partial": (functools.partial(between, 2.0, 5.0), SEGMENT),
    "partial by name": (functools.partial(between, lo=2.0, hi=5.0), None),
    "partial of the last": (functools.partial(lambda distance, lo, hi: (distance >= lo) & (distance <= hi), lo=2.0, hi=5.0), SEGMENT),
    "method": (Segment(2.0, 5.0).holds, SEGMENT),
    "callable": (Segment(2.0, 5.0), SEGMENT),
    "class method": (Segment.far, D > 7.0),
    "static method": (Segment.near, D < 2.0),
    "wrapped": (logged(Segment.near), D < 2.0),
    "within": (cs.within("2 um", "5 um"), SEGMENT),
    "coordinates": (lambda x, y, z, lo=5.0: x > lo, D > 5.0),
    "coordinates in another order": (lambda z, y, x: x > 5.0, D > 5.0),
    "other names": (lambda a, b, c: a > 5.0, D > 5.0),
    "any": (lambda *a: a[0] > 5.0, D > 5.0),
    "one argument": (lambda x: x > 5.0, None),
    "two": (lambda x, y: x > 5.0, None),
    "four": (lambda x, y, z, t: x > 5.0, None),
    "mixed": (lambda x, y, distance: x > 5.0, None),
    "misspelt": (lambda dist: dist > 5.0, None),
    "by name only": (lambda *, distance: distance > 5.0, None),
    "only defaults": (lambda x=0, y=0, z=0: x > 5.0, None),
    "nothing": (lambda: True, None),
    "numbers": (lambda distance: 1.0 * distance, None),
    "one bool": (lambda distance: True, None),
    "masked": (lambda distance: np.ma.masked_less(distance, 2.0) > 3.0, None),
}


@pytest.mark.parametrize("case", PLACES)
def test_what_a_place_selects(case):
    """The right nodes by the path distances (0.25, 0.75, ... um), or one line."""
    place, right = PLACES[case]
    if right is not None:
        np.testing.assert_array_equal(MESH.select(place, NODES), right)
        return
    with pytest.raises(cs.InputError, match=r"^somewhere: the function (asks for|has a default for|returned|fails on)") as told:
        MESH.select(place, NODES, "somewhere")
    assert "\n" not in str(told.value)


def test_places_made_in_a_loop_on_a_tree():
    """Distances along the branches, not x: the shells of 20 um part the tree, and are those of `within`."""
    mesh = from_swc(example("granule-cell"), "10 um")
    nodes = np.arange(mesh.nodes, dtype=np.uint32)
    shells = [mesh.select(lambda distance, lo=lo: (distance >= lo) & (distance < lo + 20.0), nodes) for lo in np.arange(0.0, 140.0, 20.0)]
    assert (np.sum(shells, axis=0) == 1).sum() == (mesh.distance < 140.0).sum()
    np.testing.assert_array_equal(shells[2], mesh.select(cs.within("40 um", "59.999999 um"), nodes))


def scaled(function):
    ca = cs.Species("ca", {"cytosol": "0 um^2/s", "er": "0 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM", "outside": "1 uM"})
    leak = cs.get_channel("leak/linear")(permeability="1 um/s", scale=function)
    return cs.Simulation(cs.Model(MESH, ca, {"plasma": leak})).plan.gauges[0].weight


SCALES = {
    "of the distance": (lambda distance: np.exp(-distance / 5), np.exp(-D / 5)),
    "with a default": (lambda distance, length=5.0: np.exp(-distance / length), np.exp(-D / 5)),
    "partial": (functools.partial(lambda length, distance: np.exp(-distance / length), 5.0), np.exp(-D / 5)),
    "of coordinates": (lambda x, y, z: 1.0 + x, 1.0 + D),
    "one number": (lambda distance: 2, np.full(20, 2.0)),
    "with a unit": (lambda distance: distance * cs.units.um, "returned a quantity in micrometer, expected plain numbers"),
    "infinite": (lambda distance: 1 / (distance - 0.25), "must return finite numbers >= 0"),
    "complex": (lambda distance: 1j * distance, "expected one number per place"),
    "nothing": (lambda distance: None, "expected one number per place"),
    "of another name": (lambda r: r, "the function asks for r, expected one of distance or of x, y, z"),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("case", SCALES)
def test_a_scale_is_called_as_a_place_is(case):
    function, right = SCALES[case]
    if isinstance(right, str):
        with pytest.raises(cs.InputError) as told:
            scaled(function)
        assert str(told.value).startswith("membranes.plasma.leak/linear.scale: ")
        assert right in str(told.value)
        return
    np.testing.assert_allclose(scaled(function), right, rtol=1e-15)


def test_places_in_words():
    assert place_name(cs.within("2 um", "5 um")) == "a function (distance 2 to 5 um)"
    assert place_name(lambda x, y, z: x > 0) == "a function"
    assert place_name("left") == "'left'"
    assert place_name(functools.partial(between, 1.0, 2.0)) == "a function"
