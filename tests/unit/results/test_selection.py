"""Parts of a result by place, labels as coordinates, and files that are read when they are used."""

import pickle

import numpy as np
import pytest
import xarray as xr

import calcium_sim as cs
from calcium_sim.meshes import example, from_swc
from calcium_sim.results import reading

MESH = from_swc(example("granule-cell"), "10 um")
COUNT = len(MESH.structure.parent)
SHELL = (MESH.distance >= 10) & (MESH.distance <= 20)


@pytest.fixture(scope="module")
def result():
    ca = cs.Species("ca", dict.fromkeys(MESH.regions, "220 um^2/s"), {"cytosol": [["0 um", "0.1 uM"], ["300 um", "1 uM"]], "er": "9 uM"})
    return cs.simulate(cs.Model(MESH, ca, {"er": cs.get_channel("leak/linear")(permeability="0 um/s")}), "1 ms", "0.5 ms")


def test_labels_are_coordinates(result, tmp_path):
    back = cs.open(cs.save(result, tmp_path / "cell.nc"))
    assert back.equals(result)
    for ds in (result, back):
        for name in ("soma", "basal", "dendrite", "tips"):
            np.testing.assert_array_equal(ds[f"label_{name}"], MESH.labels[name])
            assert ds[f"label_{name}"].dtype == bool
        np.testing.assert_array_equal(ds.section == 3, MESH.labels["section-3"])
    assert float(back.ca.where(back.label_soma, drop=True)[0, 0]) == pytest.approx(0.1)


PLACES = {
    "a label": ("basal", {}, lambda d: MESH.labels["basal"]),
    "in a region": ("basal", {"region": "er"}, lambda d: MESH.labels["basal"] & (np.arange(2 * COUNT) >= COUNT)),
    "a face": ("tip-3", {}, lambda d: np.arange(2 * COUNT) == MESH.faces["tip-3"].nodes[0]),
    "a section": ("section-2", {}, lambda d: MESH.labels["section-2"]),
    "a node": (7, {}, lambda d: np.arange(2 * COUNT) == 7),
    "a function": (cs.within("10 um", "50 um"), {}, lambda d: (d >= 10) & (d <= 50)),
    "several": (["soma", 7, cs.within("10 um", "20 um")], {}, lambda d: MESH.labels["soma"] | (np.arange(2 * COUNT) == 7) | SHELL),
}  # fmt: skip


@pytest.mark.parametrize("case", PLACES)
def test_what_lies_at_a_place(result, case):
    place, options, right = PLACES[case]
    there = right(MESH.distance)
    part = cs.at(result, place, **options)
    np.testing.assert_array_equal(part.node_index, np.flatnonzero(there))
    m = MESH.membranes["er"]
    np.testing.assert_array_equal(part.node_inside_er, m.inside[there[m.inside] | there[m.outside]])


def test_what_lies_at_a_distance(result):
    one = cs.at(result, "basal", distance="100 um")
    assert one.ca.dims == ("time",)
    assert abs(float(one.distance) - 100) == np.abs(MESH.distance[:COUNT][MESH.labels["basal"][:COUNT]] - 100).min()
    assert int(one.node_index) == MESH.nearest(distance=100, at="basal")
    several = cs.at(result, distance=[20, "50 um"])
    assert several.ca.dims == ("time", "node")
    np.testing.assert_allclose(several.distance, [20, 50], atol=5)
    for call, told in [
        (lambda: cs.at(result, "som"), r"at: unknown place 'som' \(did you mean 'soma'\?\)"),
        (lambda: cs.at(result, "basal", distance=1000), r"at\.distance: \[1000\.0\] um lies beyond this place"),
        (lambda: cs.at(result, 0.5), "at: 0.5 is no place"),
        (lambda: cs.at(result, 99999), "at: node 99999 is not in the result"),
        (lambda: cs.at(result, "soma", region="golgi"), "region: unknown region 'golgi'"),
        (lambda: cs.at(result, lambda x, y, z: x > 1e6), "at: no node of the result lies at a function"),
        (lambda: cs.at(xr.Dataset()), "at: expected the result of a run"),
    ]:
        with pytest.raises(cs.InputError, match=told):
            call()


def test_the_nearest_node():
    at = MESH.position[:COUNT]
    for point in ([10.0, -20.0, 5.0], [160.0, -85.0, 13.0]):
        assert MESH.nearest(*point) == np.argmin(((at - point) ** 2).sum(axis=1))
        assert MESH.nearest(*point, region="er") == MESH.nearest(*point) + COUNT
    assert MESH.nearest("10 um", "-0.02 mm", 5) == MESH.nearest(10, -20, 5)
    assert MESH.labels["tips"][MESH.nearest(10, -20, 5, at="tips")]
    with pytest.warns(cs.ModelWarning, match=r"nearest: x=1000, y=0, z=0 um lies .* um from the nearest node, where x from"):
        MESH.nearest(1000, 0, 0)
    for given, told in [
        ({}, "nearest: expected x, y, z, or distance="),
        ({"x": 1, "distance": 3}, "nearest: expected x, y, z, or distance="),
        ({"x": "1 ms"}, r"nearest\.x: '1 ms' has dimension \[time\]"),
        ({"x": 1, "region": "golgi"}, r"nearest\.region: unknown region 'golgi'"),
        ({"x": 1, "at": "som"}, r"nearest\.at: unknown place 'som'"),
    ]:
        with pytest.raises(cs.InputError, match=told):
            MESH.nearest(**given)


def test_fields_are_read_when_they_are_used(result, tmp_path):
    path = cs.save(result, tmp_path / "cell.nc")
    with cs.open(path) as ds:
        assert not ds.ca.variable._in_memory
        assert ds.x.variable._in_memory
        assert float(ds.ca.sel(region="er")[1, 3]) == float(result.ca.sel(region="er")[1, 3])
        np.testing.assert_array_equal(ds.ca.isel(node=[9, 2], time=-1), result.ca.isel(node=[9, 2], time=-1))
        assert not ds.ca.variable._in_memory
        assert ds.ca.sum() == result.ca.sum()
        assert pickle.loads(pickle.dumps(ds)).equals(result)


def test_a_file_that_is_open_is_written_over(result, tmp_path):
    path = cs.save(result, tmp_path / "cell.nc")
    ds = cs.open(path)
    cs.save(ds.assign(ca=2 * ds.ca), path)
    again = cs.open(path)
    assert float(again.ca[0, 0]) == 2 * float(result.ca[0, 0])
    assert float(ds.ca[0, 0]) == float(result.ca[0, 0])
    ds.close()
    cs.save(again, path)
    assert cs.open(path).equals(again)


@pytest.mark.parametrize("size", [2**26, 0])
def test_damage_shows_in_one_line(result, tmp_path, monkeypatch, size):
    """At once in a small file; where the field is first used in a large one (which is here what has more than `size` bytes)."""
    monkeypatch.setattr(reading, "READ_THROUGH", size)
    wide = result.assign(noise=(("sample", "node"), np.random.default_rng(0).normal(size=(100, 2 * COUNT))))
    path = cs.save(wide, tmp_path / "cell.nc")
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2  # most of the file is noise, which cannot be packed
    whole[middle : middle + 8] = bytes(b ^ 0xFF for b in whole[middle : middle + 8])
    path.write_bytes(bytes(whole))
    if size:
        with pytest.raises(cs.StorageError, match=r"cell\.nc: damaged or cut short: "):
            cs.open(path)
        return
    ds = cs.open(path)
    with pytest.raises(cs.StorageError, match=r"cell\.nc: damaged or cut short: ") as told:
        ds.load()
    assert "\n" not in str(told.value)


def test_a_function_keeps_its_own_mask(result):
    """A mask that the user holds is read, not written."""
    mask = MESH.labels["basal"].copy()
    cs.at(result, lambda distance: mask, region="er")
    np.testing.assert_array_equal(mask, MESH.labels["basal"])


def test_a_face_is_that_of_every_region(result):
    """Tips of the cytosol are those of the store on a cable or tree."""
    part = cs.at(result, "tip-3", region="er")
    np.testing.assert_array_equal(part.node_index, MESH.faces["tip-3"].nodes + COUNT)


@pytest.mark.parametrize("text", ["[", "3", '{"tip-3": 4}', '{"tip-3": ["a"]}', "[" * 40 + "]" * 40])
def test_damaged_faces_are_told(result, text):
    with pytest.raises(cs.InputError, match="the attribute 'faces' of the result is damaged"):
        cs.at(result.assign_attrs(faces=text), "tip-3")
