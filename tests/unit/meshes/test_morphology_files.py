"""Morphologies as programs write them: dialects of SWC, points on their parent, several trees, other formats.

Right values are sums of cones by hand, the same cell in its plain form, or morphio's sections.
"""

import math
import re
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.app.inspection import check_file
from calcium_sim.config import build_mesh
from calcium_sim.meshes import from_morphology, from_swc

CELL = ["1 1 0 0 0 4 -1", "2 3 4 0 0 1 1", "3 3 24 0 0 0.5 2", "4 3 36 5 0 0.25 3", "5 3 36 -5 0 0.25 3"]
HEADING = "id type x y z radius parent"


def cone(h, a, b):
    return math.pi * h / 3 * (a * a + a * b + b * b), math.pi * (a + b) * math.hypot(h, a - b)


BODY = np.array([2 * math.pi * 64, 4 * math.pi * 16])
TOTAL = BODY + cone(20, 1, 0.5) + 2 * np.array(cone(13, 0.5, 0.25))
"""Volume and area of CELL."""


def read(folder, text, name="cell.swc", builder=from_swc, **arguments):
    """Volume and area, and what was told."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        mesh = builder(path, "1 um", None, **arguments)
    assert mesh.volume.min() > 0
    assert mesh.conductance.min() > 0
    return mesh, np.array([mesh.volume.sum(), mesh.membranes["plasma"].area.sum()]), [str(w.message) for w in told]


def every(change, rows=CELL):
    return "\n".join(change(row) for row in rows) + "\n"


def shortened(row):
    words = row.split()
    return [*words[:2], *(f"{float(w):.1f}" for w in words[2:5]), *words[5:]]


DIALECTS = {
    "plain": (every(str), []),
    "commas": (every(lambda row: row.replace(" ", ",")), []),
    "commas and blanks": (every(lambda row: row.replace(" ", ", ")), []),
    "tabs": (every(lambda row: row.replace(" ", "\t")), []),
    "semicolons": (every(lambda row: row.replace(" ", ";")), []),
    "commas at the ends": (every(lambda row: row.replace(" ", ",") + ","), []),
    "all as floats": (every(lambda row: " ".join(f"{float(w):.7e}" for w in row.split())), []),
    "decimal commas": (every(lambda row: " ".join(shortened(row)).replace(".", ",")), ["line 1: numbers with a comma are read as dec"]),
    "decimal commas, semicolons": (every(lambda row: ";".join(shortened(row)).replace(".", ",")), ["numbers with a comma"]),
    "further columns": (every(lambda row: f"{row} 0 1 0"), ["cell.swc: columns 8 to 10 are not used"]),
    "one further column": (every(lambda row: f"{row},7".replace(" ", ",")), ["cell.swc: columns 8 are not used"]),
    "root 0": (every(str).replace("-1", "0"), ["line 1, node 1: parent 0 is no point, taken as a root (parent -1)"]),
    "UTF-16": (every(str).encode("utf-16"), []),
    "comments": (every(lambda row: f"{row} # {HEADING}\n\n# {HEADING}"), []),
    "soma on one place": (every(str, [*CELL, "6 1 0 0 0 4 1", "7 1 0 0 0 3.5 6"]), []),
    "tree of its own": (every(str).replace(" 1\n", " -1\n", 1), ["line 2, node 2: a tree begins at the soma without a parent, joined"]),
}  # fmt: skip


@pytest.mark.parametrize("case", DIALECTS)
def test_dialects_are_the_same_cell(tmp_path, case):
    text, expected = DIALECTS[case]
    _, found, told = read(tmp_path, text)
    np.testing.assert_allclose(found, TOTAL, rtol=1e-13)
    assert len(told) == len(expected), told
    assert all(part in line for part, line in zip(expected, told, strict=True)), told


REPEATED = {
    # name: (rows, volume and area beyond the body, warnings)
    "on the soma's centre": (["1 1 0 0 0 4 -1", "2 3 0 0 0 1 1", "3 3 20 0 0 0.5 2"], cone(20, 1, 0.5), 0),
    "twice on the centre": (["1 1 0 0 0 4 -1", "2 3 0 0 0 2 1", "3 3 0 0 0 1 2", "4 3 20 0 0 0.5 3"], cone(20, 1, 0.5), 1),
    "branch point inside the soma": (
        ["1 1 0 0 0 4 -1", "2 3 1 0 0 1 1", "3 3 21 0 0 1 2", "4 3 1 20 0 1 2"],
        2 * np.array(cone(20, 1, 1)),
        0,
    ),
    "a point twice": (["1 1 0 0 0 4 -1", "2 3 4 0 0 1 1", "3 3 14 0 0 1 2", "4 3 14 0 0 1 3", "5 3 24 0 0 1 4"], cone(20, 1, 1), 1),
    "three times, with a step of the radius": (
        ["1 1 0 0 0 4 -1", "2 3 4 0 0 1 1", "3 3 14 0 0 1 2", "4 3 14 0 0 0.3 3", "5 3 14 0 0 0.5 4", "6 3 24 0 0 0.5 5"],
        np.array(cone(10, 1, 1)) + cone(10, 0.5, 0.5) + np.array([0, math.pi * (1 - 0.09) + math.pi * (0.25 - 0.09)]),
        1,
    ),
    "a branch with a radius of its own": (
        [*CELL[:3], "4 3 44 0 0 0.5 3", "5 3 24 0 0 0.2 3", "6 3 24 12 0 0.1 5"],
        np.array(cone(20, 1, 0.5)) + cone(20, 0.5, 0.5) + cone(12, 0.2, 0.1),
        0,
    ),
    "a branch point twice": (
        [*CELL[:3], "4 3 24 0 0 0.4 3", "5 3 36 5 0 0.2 4", "6 3 36 -5 0 0.2 4", "7 3 24 9 0 0.5 3"],
        np.array(cone(20, 1, 0.5)) + 2 * np.array(cone(13, 0.4, 0.2)) + cone(9, 0.5, 0.5),
        0,
    ),
    "a tip on its parent": ([*CELL[:3], "4 3 24 0 0 0.3 3", "5 3 24 0 0 0.2 4"], cone(20, 1, 0.5), 1),
}


@pytest.mark.parametrize("case", REPEATED)
@pytest.mark.parametrize("spacing", ["0.7 um", "100 um"])
def test_points_on_their_parent_add_no_length_and_no_volume(tmp_path, case, spacing):
    """A step within a section adds its ring, between the first and the last of the points at that place one after the other."""
    rows, beyond, warned = REPEATED[case]
    path = tmp_path / "cell.swc"
    path.write_text("\n".join(rows))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        mesh = from_swc(path, spacing, None)
    found = np.array([mesh.volume.sum(), mesh.membranes["plasma"].area.sum()])
    np.testing.assert_allclose(found, BODY + beyond, rtol=1e-12)
    assert mesh.volume.min() > 0
    assert len(told) == warned, [str(w.message) for w in told]


def test_a_step_of_the_radius_is_felt_by_the_er_and_by_diffusion(tmp_path):
    """Half of the cross-section is ER on both sides of the step: resistance 2 (10 / pi + 10 / (pi / 4)), rings of the ER's radii."""
    path = tmp_path / "cell.swc"
    path.write_text("1 3 0 0 0 1 -1\n2 3 10 0 0 1 1\n3 3 10 0 0 0.5 2\n4 3 20 0 0 0.5 3\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mesh = from_swc(path, "3 um", 0.5)
    for r in (0, 1):
        assert (1 / mesh.structure.conductance[r, 1:]).sum() == pytest.approx(2 * 10 / math.pi * (1 + 4), rel=1e-13)
        assert mesh.volume[mesh.span(mesh.regions[r])].sum() == pytest.approx(math.pi * 10 * 1.25 / 2, rel=1e-13)
    inner = math.sqrt(0.5)
    assert mesh.membranes["er"].area.sum() == pytest.approx(math.pi * (2 * inner * 10 * 1.5 + 0.5 * 0.75), rel=1e-13)


@pytest.mark.parametrize(
    ("unit", "factor"), [("nm", 1e3), ("um", 1), ("8 nm", 125), (0.001, 1e3), (cs.units.nm, 1e3), ("mm", 1e-3), ("µm", 1)]
)
def test_unit_scales_places_and_radii(tmp_path, unit, factor):
    def scaled(row):
        words = row.split()
        return " ".join([*words[:2], *(repr(float(w) * factor) for w in words[2:6]), words[6]])

    _, found, told = read(tmp_path, every(scaled), unit=unit)
    np.testing.assert_allclose(found, TOTAL, rtol=1e-12)
    assert not told


def test_a_unit_that_is_said_is_believed(tmp_path):
    """An axon of 3 cm in um; without a word it is taken for nm."""
    text = every(str, [*CELL, "6 2 0 30000 0 0.5 1"])
    with pytest.raises(
        cs.InputError, match=r'lies 30000 um .* more than 1 cm \(.* unit = "nm", or "um" if it is right\); .* unit = "8 nm" for the hem'
    ):
        read(tmp_path, text)
    assert read(tmp_path, text, unit="um")[1][0] > TOTAL[0]
    with pytest.raises(cs.InputError, match="more than 100 cm"):
        read(tmp_path, text.replace("30000", "3000000"), unit="um")


@pytest.mark.parametrize("radius", ["0", "-1", "0.01"])
def test_min_radius_raises_what_is_smaller(tmp_path, radius):
    text = every(lambda row: row.replace(" 0.25 ", f" {radius} "))
    if radius != "0.01":
        with pytest.raises(
            cs.InputError, match=rf'line 4, node 4: radius {radius} um must be > 0 \(2 of 5 points\); .* min_radius = "0.1 um"'
        ):
            read(tmp_path, text)
    mesh, found, told = read(tmp_path, text, min_radius="250 nm")
    np.testing.assert_allclose(found, TOTAL, rtol=1e-13)
    assert not told
    assert "2 of 5 radii are below 0.25 um and raised to it (min_radius)" in mesh.notes
    assert len(read(tmp_path, text, min_radius="1.5 um")[2]) == 1  # most of the cell is what was given, not what was measured


FRAGMENT = ["6 2 0 50 0 1 -1", "7 2 0 60 0 1 6"]


def test_one_of_several_trees(tmp_path):
    text = every(str, [*FRAGMENT, *CELL, "8 2 0 -50 0 1 0"])
    with pytest.raises(
        cs.InputError, match=r'line 3, node 1: is a second root after node 6; there are 3 trees \(take one: trees = "soma" or'
    ):
        read(tmp_path, text)
    mesh, found, told = read(tmp_path, text, trees="soma")
    np.testing.assert_allclose(found, TOTAL, rtol=1e-13)
    left = "2 of 3 trees left out, 16.7 % of the length (trees = 'soma')"
    assert left in mesh.notes
    assert [t for t in told if left in t]
    np.testing.assert_allclose(read(tmp_path, text, trees="largest")[1], TOTAL, rtol=1e-13)
    other = every(str, [*CELL, "6 1 0 50 0 1 -1", "7 2 0 950 0 1 6"])
    with pytest.raises(cs.InputError, match=r'soma points lie in 2 of the 2 trees, so trees = "soma" names none \(trees = "largest"'):
        read(tmp_path, other, trees="soma")
    far = np.array([2 * math.pi, 4 * math.pi]) + cone(899, 1, 1)
    np.testing.assert_allclose(read(tmp_path, other, trees="largest")[1], far, rtol=1e-13)
    with pytest.raises(cs.InputError, match="no tree has a soma"):
        read(tmp_path, other.replace(" 1 0 ", " 5 0 "), trees="soma")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"unit": "kg"}, "from_swc.unit: '1 kg' has dimension [mass]"),
        ({"unit": "pixel size"}, "from_swc.unit: "),
        ({"unit": 0}, "from_swc.unit: 0 um per unit"),
        ({"unit": None, "min_radius": 0.1}, "from_swc.min_radius: 0.1 has no unit"),
        ({"min_radius": "0 um"}, "from_swc.min_radius: 0 um must be > 0"),
        ({"trees": "some"}, "from_swc.trees: 'some' is no choice of a tree (did you mean 'soma'?)"),
        ({"trees": 1}, "from_swc.trees: 1 is no choice of a tree"),
    ],
)
def test_arguments_are_checked(tmp_path, arguments, expected):
    with pytest.raises(cs.InputError) as error:
        read(tmp_path, every(str), **arguments)
    assert expected in str(error.value)


def test_keys_of_a_model_file(tmp_path):
    """The arguments are keys of ``[mesh]``, and errors name them there."""
    (tmp_path / "cell.swc").write_text(every(str, [*CELL, *FRAGMENT]))
    for kind in ("swc", "morphology"):
        given = {"path": "cell.swc", "spacing": "1 um", "unit": "um", "min_radius": "0.1 um"}
        with pytest.warns(UserWarning, match="left out"):
            mesh = build_mesh(kind, tmp_path, **given, trees="soma", er_fraction=0.2)
        assert mesh.volume.sum() == pytest.approx(TOTAL[0], rel=1e-13)
        with pytest.raises(cs.InputError, match=r"mesh\.trees: 'all' is no choice"):
            build_mesh(kind, tmp_path, **given, trees="all")


ASC = """\
("CellBody" (Color RGB (255, 0, 0)) (CellBody)
  (3 0 0 0.1) (0 3 0 0.1) (-3 0 0 0.1) (0 -3 0 0.1)
)
((Color Red) (Dendrite)
  (5 0 0 2) (25 0 0 1)
  ( (25 0 0 0.5) (38 0 0 0.5) Normal | (25 0 0 1) (25 13 0 1) Normal )
)
((Axon)
  (0 -2 0 1) (0 -22 0 1) Normal
)
"""


def test_neurolucida_is_read_by_morphio(tmp_path):
    """The outline encloses 18 um^2; the branch begins with a radius of its own; the dendrite is joined to the surface by a cylinder."""
    mesh, found, told = read(tmp_path, ASC, "cell.asc", from_morphology)
    r = math.sqrt(18 / math.pi)
    parts = [cone(5 - r, 1, 1), cone(20, 1, 0.5), cone(13, 0.25, 0.25), cone(13, 0.5, 0.5), cone(20, 0.5, 0.5)]
    np.testing.assert_allclose(found, np.array([2 * math.pi * r**3, 4 * math.pi * r**2]) + np.sum(parts, axis=0), rtol=1e-6)
    assert told[0] == "cell.asc: the soma is an outline of 4 points, taken as a body of radius 2.394 um"
    assert "a neurite begins outside of the soma, joined to its surface by cylinders of 2.606 um" in told[1]
    assert len(told) == 2
    assert set(mesh.labels) >= {"soma", "axon", "basal"}
    assert len(mesh.faces) == 3
    with pytest.raises(cs.InputError, match=r"cell.asc: line 2: morphio: Error converting"):
        read(tmp_path, "((Dendrite)\n (1 2 (3)\n", "cell.asc", from_morphology)


def test_hdf5_that_morphio_wrote_is_the_same_cell(tmp_path):
    morphio = pytest.importorskip("morphio")
    _, found, _ = read(tmp_path, ASC, "cell.asc")
    morphio.mut.Morphology(str(tmp_path / "cell.asc")).write(str(tmp_path / "copy.h5"))
    with pytest.warns(UserWarning, match="an outline of 4 points"):
        mesh = from_morphology(tmp_path / "copy.h5", "1 um", None)
    assert mesh.volume.sum() == pytest.approx(found[0], rel=1e-6)


NML = """\
<neuroml xmlns="http://www.neuroml.org/schema/neuroml2"><cell id="c"><morphology id="m">
<segment id="0" name="soma"><proximal x="0" y="0" z="0" diameter="8"/><distal x="0" y="0" z="0" diameter="8"/></segment>
<segment id="3"><parent segment="1"/><distal x="36" y="-5" z="0" diameter="0.5"/></segment>
<segment id="1"><parent segment="0" fractionAlong="0.5"/>
<proximal x="4" y="0" z="0" diameter="2"/><distal x="24" y="0" z="0" diameter="1"/></segment>
<segment id="2"><parent segment="1"/><proximal x="24" y="0" z="0" diameter="1"/><distal x="36" y="5" z="0" diameter="0.5"/></segment>
%s
<segmentGroup id="soma_group"><member segment="0"/></segmentGroup>
<segmentGroup id="part"><member segment="1"/><member segment="2"/><member segment="3"/></segmentGroup>
<segmentGroup id="dendrite_group"><include segmentGroup="part"/><include segmentGroup="dendrite_group"/></segmentGroup>
</morphology></cell></neuroml>
"""


def test_neuroml_is_the_same_cell(tmp_path):
    mesh, found, told = read(tmp_path, NML % "", "cell.nml", from_morphology)
    np.testing.assert_allclose(found, TOTAL, rtol=1e-13)
    assert not told
    assert mesh.labels["soma"].sum() == 1
    assert mesh.labels["basal"].sum() == mesh.nodes - 1


def test_neuroml_branches_leave_along_a_segment(tmp_path):
    """At a quarter of the dendrite: a branch of radius 0.25 from x = 9, whose parent goes on as it was."""
    more = '<segment id="7"><parent segment="1" fractionAlong="0.25"/><proximal x="9" y="0" z="0" diameter="0.5"/>'
    mesh, found, _ = read(tmp_path, NML % f'{more}<distal x="9" y="7" z="0" diameter="0.5"/></segment>', "cell.nml", from_morphology)
    np.testing.assert_allclose(found, TOTAL + cone(7, 0.25, 0.25), rtol=1e-13)
    assert len(mesh.faces) == 3


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('id="2"', 'id="1"', "cell.nml: segment 1: this id was given before (ids must differ)"),
        ('<segment id="2">', "<segment>", "cell.nml: segment: has no id"),
        ("</cell>", "", "cell.nml: is not well-formed XML, expected NeuroML2: mismatched tag: line 11"),
        ("<neuroml", '<!DOCTYPE n [<!ENTITY a "b">]><neuroml', "cell.nml: declares entities"),
        ("morphology", "morfology", "cell.nml: holds no <morphology>, expected one (give the file that holds it)"),
        ('<parent segment="1"/><distal', '<parent segment="9"/><distal', "cell.nml: segment 3: its parent, segment 9, is not in the file"),
        (
            '<parent segment="1"/><distal',
            '<parent segment="3"/><distal',
            "cell.nml: segment 3: does not lead to a segment without a parent",
        ),
        ('x="36" y="-5"', 'x="far" y="-5"', "cell.nml: segment 3: x 'far' of <distal> is not a finite number"),
        ('diameter="0.5"', 'diameter="0"', "radius 0 um must be > 0"),
    ],
)
def test_neuroml_faults_are_told_by_segment(tmp_path, old, new, expected):
    with pytest.raises(cs.InputError) as error:
        read(tmp_path, (NML % "").replace(old, new), "cell.nml", from_morphology)
    assert expected in str(error.value), str(error.value)


def test_check_takes_what_the_messages_name(tmp_path):
    """``calcium-sim check cell.swc --unit nm``; other files have no unit."""
    path = tmp_path / "cell.swc"
    path.write_text(every(lambda row: row.replace(" 36 ", " 36000 ").replace(" 0.25 ", " 0 ")))
    with pytest.raises(cs.InputError, match=r'mesh\.path: cell\.swc: .* min_radius = "0.1 um"'):
        list(check_file(path))
    with pytest.raises(cs.InputError, match=r'mesh\.path: cell\.swc: .* unit = "nm"'):
        list(check_file(path, min_radius="0.1 um"))
    assert list(check_file(path, min_radius="0.1 um", unit="um"))[-1] == "ok"
    with pytest.raises(cs.InputError, match=r"mesh\.unit: '1 kg' has dimension"):
        list(check_file(path, unit="kg"))
    (tmp_path / "m.toml").write_text("")
    with pytest.raises(cs.InputError, match="is no morphology, so that unit means nothing"):
        list(check_file(tmp_path / "m.toml", unit="nm"))


def test_the_script_that_reads_a_folder(tmp_path, monkeypatch, capsys):
    """Accepted, refused and why; with --mend what the message names is given."""
    pytest.importorskip("morphio")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "cell.swc").write_text(every(str))
    (tmp_path / "deeper" / "tips.swc").write_text(every(lambda row: row.replace(" 0.25 ", " 0 ")))
    (tmp_path / "none.swc").write_text("# nothing\n")
    seen = []
    for more in ([], ["--mend"]):
        monkeypatch.setattr("sys.argv", ["morphologies.py", str(tmp_path), *more])
        runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "morphologies.py"), run_name="__main__")
        seen.append(capsys.readouterr().out)
    assert [int(n) for n in re.findall(r"^ *(\d+)  (?:accepted|refused)", seen[0], re.MULTILINE)] == [1, 2]
    assert [int(n) for n in re.findall(r"^ *(\d+)  (?:accepted|refused)", seen[1], re.MULTILINE)] == [1, 1, 1]
    assert 'tips.swc: line 4, node 4: radius 0 um must be > 0 (2 of 5 points); give a smallest one: min_radius = "0.1 um"' in seen[0]
    assert "none.swc: has no points, a morphology needs at least 2" in seen[1]
    assert float(seen[1].split()[-1]) < 2e-6


def test_totals_are_those_of_morphio_for_a_tree_with_repeats(tmp_path):
    """Sections of morphio, summed as cones; neurites begin within the soma here, so that both take the same points."""
    morphio = pytest.importorskip("morphio")
    rng = np.random.default_rng(5)
    rows, ends = ["1 1 0 0 0 4 -1"], [(1, np.zeros(3))]
    for k in range(2, 119):
        parent, at = ends[-1 if k % 7 == 1 else rng.integers(max(0, len(ends) - 6), len(ends))]
        way = rng.normal(size=3)
        step = 3.9 if parent == 1 else float(rng.uniform(0.5, 6))
        new = at + step * way / np.linalg.norm(way)
        if k % 7 == 0 and parent != 1:
            new = at
        x, y, z = np.round(new, 3)
        rows.append(f"{k} 3 {x} {y} {z} {rng.uniform(0.2, 1.0):.3f} {parent}")
        ends.append((k, np.array([x, y, z])))
    path = tmp_path / "cell.swc"
    path.write_text("\n".join(rows))
    length = volume = area = 0.0
    for section in morphio.Morphology(str(path)).iter():
        xyz, r = section.points.astype(float), section.diameters.astype(float) / 2
        h = np.sqrt((np.diff(xyz, axis=0) ** 2).sum(axis=1))
        if h.sum() == 0:
            continue
        first = int(h[0] == 0)  # no ring where a branch begins with a radius of its own
        h, r = h[first:], r[first:]
        parts = [cone(step, a, b) for step, a, b in zip(h, r[:-1], r[1:], strict=True)]
        length, (volume, area) = length + h.sum(), np.sum([(volume, area), *parts], axis=0)
    _, found, _ = read(tmp_path, path.read_text())
    reach = np.abs(found - BODY - [volume, area])
    assert reach.max() < 2e-6 * found.max(), (found - BODY, volume, area)
    assert length > 200
