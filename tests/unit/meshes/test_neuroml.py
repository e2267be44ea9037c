"""NeuroML2 cells hold the sum of their segments; right values are sums of cones by hand, and names are read as a person would."""

import math
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.meshes import from_morphology, from_swc
from calcium_sim.meshes.neuroml_types import TYPES, kind_of, segment_types

NAMES = {
    "soma": "soma Soma SOMA soma_group SomaGroup somatic soma_0 Seg0_soma_0 Seg1_soma soma12 cellBody cell_body_group soma_Na_channels",
    "axon": "axon axon_group Axon axonal axon_1 Seg2_axon_0 prox_axon distal_axon AxonDarkCyan_3 all_axons SecAxonDarkCyan_9_R_0",
    "apical": "apic apical apical_dendrite_group apical_dends Seg1_apic_3 ApicalOrange_7_R apical_dendrite_12 non_hot_apical_dends",
    "basal": "basal basal_dends basal_dendrite_group Seg0_basal2 most_prox_bas_dend basilar_2",
    "dendrite": "dend dendrite_group dend_3 Dendrite4 dends_no_tuft all_dends basal_and_apical_dends basal_obl_dends dendrit_5",
    "": "all comp_12 user7_3 Neurite4 tuft_plus OneSecGrp_SectionRef_4 ModelViewParmSubset_8 dends_and_soma soma_and_axon somatodendritic "
    "apical_dends_and_soma prox_dend_soma soma_prox_dends SomaDend axosomatic all_minus_myelin perisomatic nonsomatic not_soma non_axonal "
    "all_soma proximal_to_soma "
    "outside_soma other_than_soma exclude_soma rest_soma soma_neighbours soma_children adjacent_soma behind_soma "
    "above_soma after_soma beside_soma away_soma away_from_soma rm_soma excl_soma "
    "soma_plus_20um all_but_soma without_axon not_in_the_dendrites colour_RGB200 thalamic_input",
}


@pytest.mark.parametrize("kind", NAMES)
def test_what_a_name_says(kind):
    found = {name: kind_of(name) for name in NAMES[kind].split()}
    assert found == dict.fromkeys(found, kind)


def types(groups, names=None):
    """Types of the segments 0 to 5, each on the one before, of which 0 and 1 are called after a soma."""
    names = names or {"0": "soma_0", "1": "soma_1", "2": "dend_2", "3": "s3", "4": "s4", "5": "s5"}
    text = "".join(f"<segmentGroup {g}</segmentGroup>" for g in groups)
    parents = {key: str(k - 1) if k else "" for k, key in enumerate(names)}
    found = segment_types(ElementTree.fromstring(f"<morphology>{text}</morphology>"), names, parents)
    return "".join({1: "s", 2: "a", 3: "d", 4: "p"}.get(found.get(key, 0), ".") for key in names)


def members(*keys):
    return "".join(f'<member segment="{key}"/>' for key in keys)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([], "ssd..."),
        ([f'id="all">{members(*"012345")}'], "ssd..."),
        ([f'id="soma_group">{members("0")}', f'id="dends_and_soma">{members(*"0123")}'], "s.d..."),
        ([f'id="dend_group">{members(*"012345")}', f'id="apical_dends">{members("4", "5")}'], "ddddpp"),
        ([f'id="dendrite_group">{members(*"12345")}', f'id="soma_of_L5">{members(*"0123")}'], "sddddd"),
        ([f'id="soma_group">{members("0")}', f'id="soma_HH">{members(*"0123")}', f'id="axon_HH">{members("5")}'], "s.d..a"),
        ([f'id="axon_1">{members(*"2345")}', f'id="dend_1">{members("4", "5")}'], "ssaadd"),
        ([f'id="g1" neuroLexId="GO:0030424">{members("5")}', f'id="axonal_like">{members("4")}'], "ssd.aa"),
        ([f'id="Colour_Red" neuroLexId="sao1044911821">{members("3")}'], "..ds.."),
        ([f'id="all_soma" neuroLexId="GO:0043025">{members("0", "1")}', f'id="axon_2" neuroLexId="sao864921383">{members("2")}'], "ssa..."),
        (['id="axon"><path><from segment="3"/><to segment="5"/></path>'], "ssdaaa"),
        (['id="axon"><path><from segment="5"/><to segment="3"/></path>'], "ssd..."),
        (['id="axon"><subTree><from segment="4"/></subTree>'], "ssd.aa"),
        (['id="axon"><include segmentGroup="a"/>', f'id="a"><include segmentGroup="axon"/>{members("3")}'], "ssda.."),
        (['id="axon"><include segmentGroup="nowhere"/>'], "ssd..."),
    ],
)
def test_what_the_groups_of_a_segment_say(groups, expected):
    """An exact name or a term before any other, then the group of fewest segments; names of segments where no group says anything."""
    assert types(groups) == expected


def test_groups_that_include_each_other_many_times_take_no_time():
    rows = [f'id="g{k}">' + f'<include segmentGroup="g{k + 1}"/>' * 3 + f'<include segmentGroup="g{k + 2}"/>' for k in range(3000)]
    assert types([*rows, f'id="g3000">{members("3")}', 'id="axon"><include segmentGroup="g0"/>']) == "ssda.."
    assert set(TYPES) == set(NAMES) - {""}


def end(name, place):
    return "" if place is None else "<{} x='{}' y='{}' z='{}' diameter='{}'/>".format(name, *place)


def cell(*segments):
    """A file of segments (name, id of the parent with fractionAlong, proximal, distal)."""
    text = ""
    for k, (name, parent, near, far) in enumerate(segments):
        up = "" if parent is None else "<parent segment='{}' fractionAlong='{}'/>".format(*parent)
        text += f"<segment id='{k}' name='{name}'>{up}{end('proximal', near)}{end('distal', far)}</segment>\n"
    return f"<neuroml><cell id='c'><morphology id='m'>\n{text}</morphology></cell></neuroml>"


def read(folder, text, name="cell.nml", **arguments):
    path = folder / name
    path.write_text(text)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        mesh = from_morphology(path, "3 um", None, **arguments)
    assert mesh.volume.min() > 0
    assert (mesh.conductance > 0).all()
    return mesh, np.array([mesh.volume.sum(), mesh.membranes["plasma"].area.sum()]), [str(w.message) for w in told]


def cone(h, a, b):
    return np.array([math.pi * h / 3 * (a * a + a * b + b * b), math.pi * (a + b) * math.hypot(h, a - b)])


BODY = ("soma", None, (0, 0, 0, 10), (0, 20, 0, 6))
SOMA = cone(20, 5, 3)

FIRST_CONES = {
    "from the end, with its diameter": (BODY, ("dend", (0, 1), None, (0, 50, 0, 1)), cone(30, 3, 0.5)),
    "the same said": (BODY, ("dend", (0, 1), (0, 20, 0, 6), (0, 50, 0, 1)), cone(30, 3, 0.5)),
    "with a diameter of its own": (BODY, ("dend", (0, 1), (0, 20, 0, 2), (0, 50, 0, 1)), cone(30, 1, 0.5)),
    "from the middle": (BODY, ("dend", (0, 0.5), None, (40, 10, 0, 1)), cone(40, 4, 0.5)),
    "from a quarter": (BODY, ("axon", (0, 0.25), None, (0, 5, 16, 1)), cone(16, 4.5, 0.5)),
    "from the beginning": (BODY, ("axon", (0, 0), None, (0, -12, 0, 1)), cone(12, 5, 0.5)),
    "within the soma": (BODY, ("dend", (0, 1), None, (0, 21, 0, 1)), cone(1, 3, 0.5)),
    "at its side": (BODY, ("dend", (0, 0.5), (4, 10, 0, 2), (40, 10, 0, 1)), cone(36, 1, 0.5)),
    "at the side of the end": (BODY, ("dend", (0, 1), (4, 10, 0, 2), (40, 10, 0, 1)), cone(36, 1, 0.5)),
}


@pytest.mark.parametrize("case", FIRST_CONES)
def test_the_first_cone_belongs_to_the_neurite(tmp_path, case):
    """It was a cylinder of its last radius from the soma's surface, or nothing."""
    *segments, right = FIRST_CONES[case]
    mesh, found, told = read(tmp_path, cell(*segments))
    np.testing.assert_allclose(found, SOMA + right, rtol=1e-12)
    np.testing.assert_allclose(mesh.volume[~mesh.labels["soma"]].sum(), right[0], rtol=1e-12)
    assert not told


def test_neurites_of_neurites_begin_where_they_leave(tmp_path):
    """At the middle of the first cone, at its beginning (on the soma), at the soma's end again; and a soma on a neurite."""
    first = ("dend", (0, 1), None, (0, 50, 0, 2))
    others = [("dend", (1, 0.5), None, (14, 35, 0, 2)), ("dend", (1, 0), None, (9, 20, 0, 2)), ("axon", (0, 1), None, (-9, 20, 0, 2))]
    found = read(tmp_path, cell(BODY, first, *others))[1]
    np.testing.assert_allclose(found, SOMA + cone(30, 3, 1) + cone(14, 2, 1) + 2 * cone(9, 3, 1), rtol=1e-12)
    away = cell(("dend", None, (0, 0, 0, 2), (30, 0, 0, 4)), ("soma", (0, 1), None, (40, 0, 0, 12)), ("axon", (1, 1), None, (70, 0, 0, 2)))
    np.testing.assert_allclose(read(tmp_path, away)[1], cone(30, 1, 2) + cone(10, 2, 6) + cone(30, 6, 1), rtol=1e-12)


def test_gaps_are_told_and_not_filled(tmp_path):
    """A dendrite that begins 5 um from the end of the soma, one 7 um from its side; then segments 10 and 2 um off their parent."""
    start = [BODY, ("dend", (0, 1), (0, 25, 0, 2), (0, 45, 0, 2)), ("dend", (0, 0.5), (11, 10, 0, 2), (31, 10, 0, 2))]
    mesh, found, told = read(tmp_path, cell(*start))
    np.testing.assert_allclose(found, SOMA + 2 * cone(20, 1, 1), rtol=1e-12)
    side = 7 * math.cos(math.atan(0.1))  # the surface leans by 1 in 10
    assert len(told) == 1
    assert told[0].startswith(
        f"cell.nml: 2 segments begin off the soma, {5 + side:.4g} um in all ({100 * (5 + side) / 40:.2g} % of the neur"
    )
    assert mesh.distance.max() == pytest.approx(40 + 3)  # the soma's length, its radius there, and the dendrite
    more = [("dend", (1, 1), (0, 55, 0, 2), (0, 65, 0, 1)), ("dend", (2, 1), (33, 10, 0, 1), (35, 10, 0, 1))]
    _, found, told = read(tmp_path, cell(*start, *more))
    ring = np.array([0, math.pi * (1 - 0.25)])  # of the last, thinner than what it follows
    np.testing.assert_allclose(found, SOMA + 2 * cone(20, 1, 1) + cone(10, 1, 0.5) + cone(2, 0.5, 0.5) + ring, rtol=1e-12)
    assert told[1].startswith("cell.nml: 2 segments begin off their parent, 12 um in all (23 % of the neurites' length); nothing is put in")


def test_somata_without_a_size_that_says_so(tmp_path):
    """Segments without length: one alone is a ball, as a soma of one point; one that another goes on from adds nothing."""
    ball = ("x", None, (1, 2, 3, 8), (1, 2, 3, 8))
    mesh, found, told = read(tmp_path, cell(ball))
    np.testing.assert_allclose(found, [2 * math.pi * 64, 4 * math.pi * 16], rtol=1e-13)
    assert mesh.nodes == 1
    assert mesh.labels["soma"].all()
    assert not told
    assert "is the file in um?" in read(tmp_path, cell(ball), unit="nm")[2][0]
    soma = ("soma", *ball[1:])
    for fraction in (0, 0.4, 1):
        _, found, told = read(tmp_path, cell(soma, ("dend", (0, fraction), None, (31, 2, 3, 2))))
        np.testing.assert_allclose(found, np.array([2 * math.pi * 64, 4 * math.pi * 16]) + cone(30, 4, 1), rtol=1e-12)
        assert not told
    _, found, told = read(tmp_path, cell(soma, ("soma", (0, 1), None, (1, 12, 3, 8))))
    np.testing.assert_allclose(found, cone(10, 4, 4), rtol=1e-12)
    assert told == [
        "cell.nml: segment 0: a segment without length adds no volume and no membrane; a ball is read where it is the whole soma"
    ]
    found = read(tmp_path, cell(("dend", None, (0, 0, 0, 2), (20, 0, 0, 2))))[1]
    np.testing.assert_allclose(found, cone(20, 1, 1), rtol=1e-13)


def test_a_soma_in_the_three_point_convention(tmp_path):
    """Two segments from the centre, of which one point is made; the neurite begins at the end of one of them all the same."""
    sides = [("soma", None, (0, 0, 0, 8), (0, 4.005, 0, 8)), ("soma", (0, 0), None, (0, -4, 0, 8))]
    mesh, found, told = read(tmp_path, cell(*sides, ("dend", (0, 1), None, (0, 34.005, 0, 2))))
    np.testing.assert_allclose(found, np.array([2 * math.pi * 64, 4 * math.pi * 16]) + cone(30, 4, 1), rtol=1e-12)
    assert mesh.labels["soma"].sum() == 1
    assert not told


def test_one_point_of_other_files_is_refused_with_what_makes_it(tmp_path):
    (tmp_path / "cell.swc").write_text("1 1 0 0 0 5 -1\n")
    with pytest.raises(cs.InputError, match=r"has 1 point, .* at least 2 \(a cell of one point is made by well_mixed\)"):
        from_swc(tmp_path / "cell.swc", "1 um")
    with pytest.raises(cs.InputError, match="segment 0: has neither a <parent> nor a <proximal> end"):
        read(tmp_path, cell(("x", ("", 1), None, (0, 0, 0, 1))))


def test_trees_that_begin_at_the_soma_are_joined_without_anything_between(tmp_path):
    """Segments without a parent: from the soma's surface, and 3 um off it."""
    own = [("dend", None, (0, 20, 3, 1), (0, 20, 33, 1)), ("axon", None, (0, -3, 0, 1), (0, -33, 0, 1))]
    _, found, told = read(tmp_path, cell(BODY, *own))
    np.testing.assert_allclose(found, SOMA + 2 * cone(30, 0.5, 0.5), rtol=1e-12)
    assert "2 trees begin at the soma without a parent, joined to it" in told[0]


ASC = '("CellBody" (CellBody) (5 0 0 1) (0 5 0 1) (-5 0 0 1) (0 -5 0 1))\n((Dendrite) ({} 0 0 2) (50 0 0 2))\n'


def test_cylinders_to_an_outline_are_told_with_their_size(tmp_path):
    """Of a square of 50 um^2; in SWC, where a line leads from the soma to the neurite, it is a note."""
    r = math.sqrt(50 / math.pi)
    for first, more in ((3.5, 0), (10, 1)):
        _, found, told = read(tmp_path, ASC.format(first), "cell.asc")
        length = 50 - r if more else 50 - first
        np.testing.assert_allclose(found, [2 * math.pi * r**3, 4 * math.pi * r * r] + length * np.array([math.pi, 2 * math.pi]), rtol=1e-6)
        assert len(told) == 1 + more
    gap = 10 - r
    size = f"{gap:.4g} um, {2 * math.pi * gap:.4g} um^2 and {math.pi * gap:.4g} um^3"
    share = f"{100 * gap / (gap + 40):.3g}"
    size += f": {share}, {share} and {share} % of the neurites"
    assert told[1] == f"cell.asc: a neurite begins outside of the soma, joined to its surface by cylinders of {size}"
    mesh, _, told = read(tmp_path, "1 1 0 0 0 4 -1\n2 3 10 0 0 1 1\n3 3 50 0 0 1 2\n", "cell.swc")
    assert not told
    assert "joined to its surface by cylinders of 6 um, 37.7 um^2 and 18.85 um^3: 13, 13 and 13 % of the neurites" in mesh.notes[-1]


def test_sections_without_points_are_told(tmp_path):
    """A file of HDF5 in which a section begins after the last point."""
    data = pytest.importorskip("netCDF4").Dataset(tmp_path / "cell.h5", "w")
    for name, size in (("p", 4), ("c", 4), ("s", 3), ("t", 3)):
        data.createDimension(name, size)
    data.createVariable("points", "f4", ("p", "c"))[:] = [[0, 0, 0, 1], [1, 0, 0, 1], [1, 0, 0, 1], [9, 0, 0, 1]]
    data.createVariable("structure", "i4", ("s", "t"))[:] = [[0, 1, -1], [2, 3, 0], [4, 3, 1]]
    data.close()
    with pytest.raises(cs.InputError, match=r"cell\.h5: morphio: "):
        from_morphology(tmp_path / "cell.h5", "1 um")
