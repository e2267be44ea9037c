"""SWC trees: totals against closed forms and another reader, independence of the spacing, and every bad file refused by line and node."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest

from calcium_sim.errors import InputError
from calcium_sim.mesh import path_to
from calcium_sim.meshes import example, from_swc, neurite, swc_files

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data" / "morphologies"
CA1 = SHARED / "ca1_n120.swc"
needs_ca1 = pytest.mark.skipif(not CA1.exists(), reason="ca1_n120.swc is not here")


def write(folder, text, name="cell.swc"):
    path = folder / name
    path.write_text(text)
    return path


def quiet(path, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return from_swc(path, *args, **kwargs)


def totals(mesh):
    return np.array([*(mesh.volume[mesh.span(r)].sum() for r in mesh.regions), *(m.area.sum() for m in mesh.membranes.values())])


def cone(h, a, b):
    return math.pi * h / 3 * (a * a + a * b + b * b), math.pi * (a + b) * math.hypot(h, a - b)


def test_one_cone_has_the_volume_area_and_resistance_of_a_cone(tmp_path):
    """Two points: ER radius half of R, so 25 % of the volume; end to end resistance h / (pi R0 R1) over the part of the section."""
    mesh = quiet(write(tmp_path, "1 3 0 0 0 2 -1\n2 3 30 40 0 0.5 1\n"), "3 um", 0.25)
    volume, area = cone(50, 2, 0.5)
    er_area = cone(50, 1, 0.25)[1]
    assert mesh.volume[mesh.span("cytosol")].sum() == pytest.approx(0.75 * volume, rel=1e-13)
    assert mesh.volume[mesh.span("er")].sum() == pytest.approx(0.25 * volume, rel=1e-13)
    assert mesh.membranes["plasma"].area.sum() == pytest.approx(area, rel=1e-13)
    assert mesh.membranes["er"].area.sum() == pytest.approx(er_area, rel=1e-13)
    for r, part in enumerate([0.75, 0.25]):
        resistance = (1 / mesh.structure.conductance[r, 1:]).sum()
        assert resistance == pytest.approx(50 / (math.pi * part * 2 * 0.5), rel=1e-13)
    assert mesh.nodes == 2 * 18
    assert mesh.distance[:18] == pytest.approx(np.linspace(0, 50, 18))
    assert mesh.position[17] == pytest.approx([30, 40, 0])
    assert mesh.faces["tip-0"].nodes.tolist() == [0]
    assert mesh.faces["tip-1"].area == pytest.approx(0.75 * math.pi * 0.25)


def test_an_er_that_tapers_differently_has_the_integral_of_ds_over_the_ring(tmp_path):
    """The ring's area is a product of two linear functions; compare the closed form with Gauss-Legendre quadrature."""
    mesh = quiet(write(tmp_path, "1 3 0 0 0 2 -1\n2 3 10 0 0 0.5 1\n"), "10 um", er_radius=lambda r: 0.1 + 0.2 * r)
    x, w = np.polynomial.legendre.leggauss(40)
    s = (x + 1) / 2
    outer, inner = 2 - 1.5 * s, 0.5 + (0.2 - 0.5) * s
    expected = 10 * (w / 2 / (math.pi * (outer**2 - inner**2))).sum()
    assert 1 / mesh.structure.conductance[0, 1] == pytest.approx(expected, rel=1e-12)


def test_a_straight_cylinder_is_the_neurite(tmp_path):
    """Same totals and inner conductances as neurite(dims=1); the end nodes have half volumes here."""
    tree = quiet(write(tmp_path, "1 3 0 0 0 0.4 -1\n2 3 10 0 0 0.4 1\n"), "0.5 um", 0.14)
    cable = neurite("10 um", "0.4 um", spacing="0.5 um", er_fraction=0.14)
    assert totals(tree)[[0, 1, 2, 3]] == pytest.approx([*totals(cable)[:2], *totals(cable)[2:]], rel=1e-12)
    assert tree.structure.conductance[:, 1:] == pytest.approx(cable.structure.conductance[:, 1:2] * np.ones((1, 20)), rel=1e-12)
    assert tree.volume[0] == pytest.approx(cable.volume[0] / 2)
    assert tree.volume[1] == pytest.approx(cable.volume[0])


SOMA_CELL = "1 1 0 0 0 5 -1\n2 3 8 0 0 1 1\n3 3 20 0 0 1 2\n4 3 30 5 0 0.5 3\n5 4 30 -5 0 0.5 3\n6 2 0 3 0 0.3 1\n7 2 0 40 0 0.3 6\n"


def test_soma_of_one_point_is_one_node_as_long_as_wide(tmp_path):
    mesh = quiet(write(tmp_path, SOMA_CELL), "1 um", None)
    soma = mesh.labels["soma"]
    assert soma.sum() == 1
    assert mesh.volume[soma] == pytest.approx(2 * math.pi * 125)
    assert mesh.membranes["plasma"].area[soma] == pytest.approx(4 * math.pi * 25)
    # the dendrite starts 8 um away: a cylinder reaches back to the surface; the axon starts inside and is taken as written
    dendrites = math.pi * 15 + cone(math.hypot(10, 5), 1, 0.5)[0] * 2
    assert mesh.volume[mesh.labels["axon"]].sum() == pytest.approx(math.pi * 0.09 * 37)
    assert mesh.volume[mesh.labels["dendrite"]].sum() == pytest.approx(dendrites)
    starts = np.flatnonzero(mesh.structure.parent[1:] == 0) + 1
    assert mesh.distance[starts] == pytest.approx([5.0, 5.0])
    assert mesh.structure.conductance[0, starts] == pytest.approx(math.pi * 5)


def test_labels_name_types_tips_and_sections(tmp_path):
    mesh = quiet(write(tmp_path, SOMA_CELL), "1 um")
    assert mesh.labels["tips"].sum() == 2 * 3
    assert {"soma", "axon", "basal", "apical", "dendrite", "tips", "section-0", "section-3"} <= set(mesh.labels)
    assert "section-4" not in mesh.labels
    assert "section-00" not in mesh.labels
    assert (mesh.labels["dendrite"] == (mesh.labels["basal"] | mesh.labels["apical"])).all()
    kinds = sum(mesh.labels[k].astype(int) for k in ("soma", "axon", "basal", "apical"))
    assert (kinds == 1).all()
    assert sorted(n for n in mesh.faces) == ["tip-0", "tip-1", "tip-2"]
    assert mesh.select("section-3", np.arange(mesh.nodes, dtype=np.uint32)).sum() == 2 * 38


def test_three_point_soma_means_one_point(tmp_path):
    lines = SOMA_CELL.splitlines()
    three = [lines[0], "8 1 0 -5 0 5 1", "9 1 0 5 0 5 1", *lines[1:5], lines[5].replace("0.3 1", "0.3 9"), lines[6]]
    one = quiet(write(tmp_path, SOMA_CELL), "1 um")
    other = quiet(write(tmp_path, "\n".join(three), "three.swc"), "1 um")
    assert (one.volume == other.volume).all()
    assert (one.conductance == other.conductance).all()


def test_soma_of_several_points_is_a_chain_of_cones(tmp_path):
    text = "1 1 0 0 0 3 -1\n2 1 0 6 0 5 1\n3 1 0 12 0 2 2\n4 3 12 6 0 1 2\n5 3 20 6 0 1 4\n"
    mesh = quiet(write(tmp_path, text), "0.5 um", None)
    soma = mesh.labels["soma"]
    assert mesh.volume[soma].sum() == pytest.approx(cone(6, 3, 5)[0] + cone(6, 5, 2)[0], rel=1e-12)
    assert mesh.volume[~soma].sum() == pytest.approx(math.pi * 15, rel=1e-12)


@pytest.mark.parametrize("cell", ["granule-cell", pytest.param("ca1", marks=needs_ca1)])
def test_totals_do_not_depend_on_the_spacing(cell):
    """Volumes of both regions and areas of both membranes, to round-off, from 20 to 0.2 um."""
    path = CA1 if cell == "ca1" else example(cell)
    seen = np.array([totals(from_swc(path, f"{h} um")) for h in (20, 5, 1, 0.2)])
    error = np.abs(seen / seen[-1] - 1).max()
    assert error < 1e-12, f"{error:.1e}"


@pytest.mark.parametrize("cell", ["granule-cell", pytest.param("ca1", marks=needs_ca1)])
def test_length_area_and_sections_agree_with_morphio(cell):
    """morphio keeps 32-bit coordinates and starts a neurite at its first point: subtract the cylinders to the soma's surface."""
    morphio = pytest.importorskip("morphio")
    path = CA1 if cell == "ca1" else example(cell)
    other = morphio.Morphology(path)
    mesh = from_swc(path, "1 um", None)
    assert mesh.structure.parent.shape == (mesh.nodes,)
    assert f"section-{len(other.sections) - 1}" in mesh.labels
    assert f"section-{len(other.sections)}" not in mesh.labels
    centre, r = np.float64(other.soma.points[0]), float(other.soma.diameters[0]) / 2
    gaps = [(max(np.linalg.norm(s.points[0] - centre) - r, 0.0), s.diameters[0] / 2) for s in other.root_sections]
    area = sum(2 * math.pi * a * h for h, a in gaps) + 4 * math.pi * r * r
    for section in other.iter():
        h = np.linalg.norm(np.diff(section.points.astype(float), axis=0), axis=1)
        a = section.diameters.astype(float) / 2
        area += (math.pi * (a[1:] + a[:-1]) * np.hypot(h, np.diff(a))).sum()
    assert mesh.membranes["plasma"].area.sum() == pytest.approx(area, rel=1e-6)
    tips = sum(not s.children for s in other.iter())
    assert len(mesh.faces) == tips


def test_hines_order_and_paths():
    mesh = from_swc(example("granule-cell"), "0.5 um")
    parent = mesh.structure.parent.astype(int)
    index = np.arange(len(parent))
    assert (parent[1:] < index[1:]).all()
    assert (parent[1:] == index[:-1]).mean() > 0.99
    step = mesh.distance[: len(parent)][1:] - mesh.distance[parent[1:]]
    assert (step > 0).all()
    tip = int(mesh.faces["tip-3"].nodes[0])
    way = path_to(mesh, tip)
    assert (way[0], way[-1]) == (0, tip)
    assert (np.diff(mesh.distance[way]) > 0).all()
    assert (parent[way[1:]] == way[:-1]).all()
    straight = np.linalg.norm(mesh.position[1 : len(parent)] - mesh.position[parent[1:]], axis=1)
    assert (straight <= step + 1e-9).all()


def test_examples_come_with_the_package():
    assert swc_files() == ("granule-cell",)
    mesh = from_swc(example("granule-cell"), "1 um")
    assert mesh.regions == ("cytosol", "er")
    assert any("coaxial" in note for note in mesh.notes)
    with pytest.raises(InputError, match="granule"):
        example("granule")


GOOD = "1 1 0 0 0 5 -1\n2 3 10 0 0 1 1\n3 3 20 0 0 1 2\n"
BAD = {
    "empty": ("", "no points"),
    "only comments": ("# nothing\n\n", "no points"),
    "one point": ("1 1 0 0 0 5 -1\n", "1 point,"),
    "cycle": (GOOD + "4 3 0 9 0 1 5\n5 3 0 19 0 1 4\n", "line 4, node 4: does not lead to the root"),
    "cycle without root": ("1 3 0 0 0 1 2\n2 3 10 0 0 1 1\n", "line 1, node 1: the file has no root"),
    "own parent": (GOOD + "4 3 0 9 0 1 4\n", "line 4, node 4: is its own parent"),
    "heading": ("id type x y z radius parent\n" + GOOD, "line 1: looks like a heading (put # before it"),
    "heading with commas": ("n,T,x,y,z,R,P\n" + GOOD, "line 1: looks like a heading"),
    "two roots": (
        GOOD + "4 3 0 9 0 1 -1\n5 3 0 19 0 1 4\n",
        "line 4, node 4: is a second root after node 1; there are 2 trees (take one: trees = ",
    ),
    "zero radius": (GOOD.replace("20 0 0 1", "20 0 0 0"), "line 3, node 3: radius 0 um must be > 0"),
    "negative radius": (
        GOOD.replace("20 0 0 1", "20 0 0 -1"),
        "line 3, node 3: radius -1 um must be > 0; give a smallest one: min_radius =",
    ),
    "tiny radius": (GOOD.replace("20 0 0 1", "20 0 0 1e-200"), "line 3, node 3: radius"),
    "nan": (GOOD.replace("20", "nan"), "line 3, node 3: x 'nan'"),
    "infinite": (GOOD.replace("20 0", "20 inf"), "line 3, node 3: y 'inf'"),
    "1e300": (GOOD.replace("20", "1e300"), "line 3, node 3: x 1e+300"),
    "1e400": (GOOD.replace("20", "1e400"), "line 3, node 3: x '1e400'"),
    "two cm": (
        GOOD.replace("20", "20000"),
        'line 3, node 3: lies 20000 um from the root, more than 1 cm (files are taken to be in um; say its unit: unit = "nm"',
    ),
    "text": (GOOD + "hello\n", "line 4: 1 columns"),
    "a word": (GOOD.replace("20", "far"), "line 3, node 3: x 'far'"),
    "fractional id": (GOOD.replace("3 3", "3.5 3"), "line 3: id '3.5'"),
    "missing column": (GOOD + "4 3 30 0 0 3\n", "line 4: 6 columns"),
    "thousands": (GOOD.replace("20 ", "1,234.5 "), "line 3, node 3: x '1,234.5'"),
    "extra column": (GOOD + "4 3 30 0 0 1 3 7\n", "line 4: 8 columns"),
    "id twice": (GOOD + "3 3 30 0 0 1 2\n", "line 4, node 3: this id was given before, in line 3"),
    "unknown parent": (GOOD + "4 3 30 0 0 1 9\n", "line 4, node 4: parent 9"),
    "negative type": (GOOD.replace("3 3", "3 -3"), "must not be negative"),
    "huge id": (GOOD + f"{10**30} 3 30 0 0 1 3\n", "is not a whole number"),
    "long line": (GOOD + "9" * 5000 + "\n", "5000 characters"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_by_line_and_node(tmp_path, case):
    text, named = BAD[case]
    path = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        quiet(path, "1 um")
    message = str(error.value)
    assert named in message, message
    assert message.startswith("cell.swc"), message
    assert "\n" not in message


def test_files_that_are_no_text_are_refused(tmp_path):
    binary = tmp_path / "x.swc"
    binary.write_bytes(b"\x89HDF\r\n\0\0\0")
    for path, named in [(binary, "not text"), (tmp_path, "directory"), (tmp_path / "none.swc", "No such file")]:
        with pytest.raises(InputError) as error:
            from_swc(path, "1 um")
        assert named in str(error.value), str(error.value)


def test_comments_of_any_encoding_byte_order_marks_and_disorder_are_read(tmp_path):
    lines = GOOD.splitlines()
    path = tmp_path / "cell.swc"
    path.write_bytes(b"\xef\xbb\xbf# caf\xe9\r\n" + "\r\n".join([lines[2] + " # tip", "", *lines[:2]]).encode() + b"\r\n")
    mesh = from_swc(path, "1 um")
    assert (mesh.volume == from_swc(write(tmp_path, GOOD, "b.swc"), "1 um").volume).all()


def test_doubtful_files_warn(tmp_path):
    with pytest.warns(UserWarning, match="no soma"):
        from_swc(write(tmp_path, GOOD.replace("1 1 0", "1 3 0")), "1 um")
    with pytest.warns(UserWarning, match="in um"):
        from_swc(write(tmp_path, "1 1 0 0 0 0.005 -1\n2 3 0.01 0 0 0.001 1\n3 3 0.02 0 0 0.001 2\n"), "0.001 um")
    with pytest.warns(UserWarning, match="root is not part"):
        from_swc(write(tmp_path, "1 3 0 0 0 1 -1\n2 1 10 0 0 5 1\n3 3 20 0 0 1 2\n"), "1 um")
    with pytest.warns(UserWarning, match="line 4, node 4: 2 points add no length .* left out") as told:
        from_swc(write(tmp_path, GOOD + "4 3 0 2 0 1 1\n5 3 20 0 0 1 3\n"), "1 um")
    assert len(told) == 1
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_swc(write(tmp_path, GOOD), "1 um")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"spacing": 1}, "has no unit"),
        ({"spacing": "0 um"}, "must be > 0"),
        ({"spacing": "1e-9 um"}, "nodes"),
        ({"er_fraction": 1.0}, "between 0 and 1"),
        ({"er_radius": lambda r: 2 * r}, "must lie between"),
        ({"er_radius": "0.1 um"}, "not a function"),
    ],
)
def test_arguments_are_checked(arguments, named):
    with pytest.raises(InputError) as error:
        from_swc(example("granule-cell"), **({"spacing": "1 um"} | arguments))
    assert named in str(error.value), str(error.value)


def test_a_very_long_chain_needs_no_recursion(tmp_path):
    rows = "\n".join(f"{k} 3 {0.01 * k:.2f} 0 0 0.5 {k - 1 if k > 1 else -1}" for k in range(1, 20001))
    mesh = quiet(write(tmp_path, rows), "1 um")
    assert mesh.volume.sum() == pytest.approx(math.pi * 0.25 * 0.01 * 19999, rel=1e-9)


def test_a_neurite_outside_of_the_soma_may_hang_on_it_with_nothing_in_between(tmp_path):
    """A soma of radius 5 um, a neurite of 20 um that begins 9 um from its centre: with a cylinder of 4 um, or without."""
    path = tmp_path / "a.swc"
    path.write_text("1 1 0 0 0 5 -1\n2 3 9 0 0 1 1\n3 3 29 0 0 1 2\n")
    joined, bare = (from_swc(path, "1 um", None, gaps=gaps) for gaps in ("cylinders", "nothing"))
    soma = 2 * np.pi * 5 * 10
    assert joined.membranes["plasma"].area.sum() == pytest.approx(soma + 2 * np.pi * 24, rel=1e-12)
    assert bare.membranes["plasma"].area.sum() == pytest.approx(soma + 2 * np.pi * 20, rel=1e-12)
    assert any("nothing is put in between" in note for note in bare.notes)
    with pytest.raises(InputError, match=r"from_swc\.gaps: 'none' is no choice .*; there are cylinders, nothing"):
        from_swc(path, "1 um", gaps="none")
