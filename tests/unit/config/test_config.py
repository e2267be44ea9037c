"""Model files: what they build, and that every mistake is told with its key and the fix."""

import time

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim import presets
from calcium_sim.app.demo import MODEL
from calcium_sim.app.template import template
from calcium_sim.config import RunOptions, build, builders, load, parse
from calcium_sim.config.schema import Problems
from calcium_sim.meshes import neurite

WAVE = template()


def swapped(old, new):
    assert old in WAVE, f"{old!r} is not in the template"
    return WAVE.replace(old, new, 1)


def test_the_template_is_the_model_of_the_readme():
    model, options = build(parse(WAVE))
    assert options == RunOptions(75.0, 0.25)
    assert options.arguments() == {"until": "75.0 ms", "every": "0.25 ms"}
    assert model.mesh.nodes == 1500
    assert model.species[0].diffusion == {"cytosol": 0.22, "er": 0.22}
    assert [c.label() for c in model.membranes["er"]] == ["ryr/keizer-levine", "leak/linear", "serca/er-inhibited"]
    assert model.membranes["er"][2].values["density"] is cs.BALANCE
    assert model.buffers[0].kon == 0.027
    assert model.stimuli[0].flux == 2.5


def test_a_channel_is_swapped_by_its_name_alone():
    model, _ = build(parse(swapped("ryr/keizer-levine", "ryr/keizer-levine-reduced")))
    channel = model.membranes["er"][0]
    assert channel.label() == "ryr/keizer-levine-reduced"
    assert channel.values["density"] == 1.0


def test_the_demo_is_a_model_file():
    model, options = build(parse(MODEL.replace("0.25 um", "2 um")))
    assert "tip-9" in model.mesh.faces
    assert options.tolerance == 0.01


def test_the_kinds_of_mesh_come_from_entry_points():
    assert {"neurite", "swc", "well-mixed"} <= set(builders())


def test_a_well_mixed_cell():
    model, _ = build(
        parse(
            """
            [mesh]
            kind = "well-mixed"
            volumes = { cytosol = "1 um^3", er = "0.2 um^3" }
            membranes = { er = [["er", "cytosol"], "2 um^2"] }
            [[species]]
            name = "ca"
            diffusion = { cytosol = "0 um^2/s", er = "0 um^2/s" }
            initial = { cytosol = "0.05 uM", er = "250 uM" }
            [run]
            until = "1 s"
            dt = "10 us"
            threads = 1
            """
        )
    )
    assert model.mesh.volume.tolist() == [1.0, 0.2]


def test_places_potential_and_set():
    text = WAVE.replace('at = "left"', 'through = "plasma"\nat = { distance = ["1 um", "2 um"] }').replace(
        "[mesh]", 'voltage = "-70 mV"\n[mesh]'
    )
    text += '\n[[stimuli]]\nspecies = "ca"\nvalue = "5 uM"\nat = { x = ["0 um", "3 um"], z = ["-1 um", "1 um"] }\ntime = "2 ms"\n'
    model, _ = build(parse(text))
    assert model.voltage == -70.0
    nodes = np.arange(600, dtype=np.uint32)
    chosen = model.mesh.select(model.stimuli[0].at, nodes)
    assert model.mesh.distance[:600][chosen].min() >= 1
    assert model.mesh.distance[:600][chosen].max() <= 2
    assert model.stimuli[1].time == 2.0
    assert model.mesh.select(model.stimuli[1].at, nodes).sum() == 75


COLUMNS = {
    "commas": "0,-70\n1.5,-20\n",
    "heading and comments": "# patch 3\ntime (ms),V (mV)\n\n0, -70  # start\n1.5, -20\n",
    "semicolons": "\ufefft;v\r\n0;-70;\r\n1.5;-20;\r\n",
    "tabs": "0\t-70\n1.5\t-20",
    "spaces": "  0   -7e1\n  1.5 -20.0\n",
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_potential_from_a_file_of_two_columns(tmp_path, name):
    (tmp_path / "v.csv").write_bytes(COLUMNS[name].encode())
    (tmp_path / "wave.toml").write_text('voltage = { file = "v.csv", time = "ms", potential = "mV" }\n' + WAVE)
    assert load(tmp_path / "wave.toml")[0].voltage == ((0.0, -70.0), (1.5, -20.0))
    (tmp_path / "wave.toml").write_text(WAVE + '[voltage]\nfile = "./v.csv"\ntime = "s"\npotential = "V"\n')
    assert load(tmp_path / "wave.toml")[0].voltage == ((0.0, -70e3), (1500.0, -20e3))


FORM = r"write voltage = \{ file = \"v\.csv\", time = \"ms\", potential = \"mV\" \}"
NO_POTENTIAL = {
    "name alone": ('"v.csv"', "", rf"^voltage: 'v\.csv' is the name of a file \({FORM}, with its units\)$"),
    "no unit": ('{ file = "v.csv", time = "ms" }', "0 0\n1 1", rf"^voltage\.potential: is missing \({FORM}\)$"),
    "unit of a length": ('{ file = "v.csv", time = "um", potential = "mV" }', "0 0\n1 1", r"^voltage\.time: '1 um' has dimension \[len"),
    "key": ('{ file = "v.csv", tim = "ms" }', "", r"^voltage\.tim: unknown key \(did you mean 'time'\?\); there are file, time, "),
    "word": (None, "0,0\n\n1,x\n", r"^voltage\.file: v\.csv, line 3: 'x' is no finite number$"),
    "two headings": (None, "t,v\nms,mV\n0,0\n", r"^voltage\.file: v\.csv, line 2: 'ms' is no finite number$"),
    "nan": (None, "0,nan\n1,0\n", r"line 1: 'nan' is no finite number$"),
    "three columns": (None, "0,0,1\n", r"line 1: has 3 columns, expected two: time and potential$"),
    "decimal commas": (None, "0,5;-70,5\n", r"line 1: has 4 columns, .* \(a number has a decimal point and no comma\)$"),
    "backwards": (None, "0,0\n2,0\n1,0", r"line 3: 1 ms comes after 2 ms, times must not decrease$"),
    "one line": (None, "0,0\n", r"v\.csv: has 1 lines of numbers, expected at least two \(time, potential\)$"),
    "bytes": (None, "0,0\n1,\udcff", r"v\.csv, line 2: is no UTF-8 text"),
    "large": (None, "0 0\n" * 2_200_000, r"v\.csv: is larger than 8 MiB"),
    "device": ('{ file = "/dev/zero", time = "ms", potential = "mV" }', "", r"^voltage\.file: /dev/zero: is no regular file"),
    "a long name": (f'{{ file = "{"x" * 300}.csv", time = "ms", potential = "mV" }}', "", r"cannot be read: File name too long"),
    "none": ('{ file = "w.csv", time = "ms", potential = "mV" }', "", r": w\.csv: no such file in /.* \(did you mean 'v\.csv'\?\)$"),
    "folder": ('{ file = ".", time = "ms", potential = "mV" }', "", r"is a directory, expected a text of two columns"),
    "numbers": ("[1, 2, 3]", "", r"^voltage: \[1, 2, 3\] is no table, expected \"-70 mV\", pairs \[\["),
    "truth": ("true", "", r"^voltage: 'True' is not a quantity, expected \[voltage\] \(e\.g\. '-70 mV'\)$"),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_POTENTIAL)
def test_what_is_no_potential_is_told_with_file_and_line(tmp_path, name):
    given, text, message = NO_POTENTIAL[name]
    (tmp_path / "v.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    given = given or '{ file = "v.csv", time = "ms", potential = "mV" }'
    with pytest.raises(cs.InputError, match=message) as caught:
        build(parse(f"voltage = {given}\n{WAVE}"), tmp_path)
    assert "\n" not in str(caught.value)
    assert "u." not in str(caught.value).replace("you", "")


def test_a_channel_that_lacks_the_potential_says_so_in_words_of_a_file():
    with pytest.raises(cs.InputError, match=r"reads the potential, which the model lacks \(give it one: voltage = '-70 mV'\)"):
        build(parse(WAVE.replace('channel = "ncx/hill1"', 'channel = "ncx/luo-rudy"').replace('density = "15 /um^2"\n', "")))


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "cell.swc").write_text("1 1 0 0 0 5 -1\n2 3 10 0 0 1 1\n3 3 30 0 0 1 2\n")
    mesh = '[mesh]\nkind = "swc"\npath = "cell.swc"\nspacing = "1 um"\n\n'
    text = (mesh + WAVE[WAVE.index("[[species]]") :]).replace('at = "left"', 'through = "plasma"\nat = { distance = ["20 um", "30 um"] }')
    (tmp_path / "model.toml").write_text(text)
    model, _ = load(tmp_path / "model.toml")
    assert model.mesh.distance.max() == pytest.approx(30.0)


BAD = [
    ('length = "30 um"', 'length = "60 s"', r"mesh\.length: '60 s' has dimension \[time\], expected \[length\] \(e\.g\. '60 um'\)"),
    ('length = "30 um"', "length = 60", r"mesh\.length: 60 has no unit"),
    ('length = "30 um"', 'length = "-1 um"', r"mesh\.length: -1 um must be > 0"),
    ('length = "30 um"', 'length = "1e400 um"', r"mesh\.length: inf is not finite"),
    ('length = "30 um"', "length = nan", r"mesh\.length: nan is not finite"),
    ('length = "30 um"', "length = true", r"mesh\.length: 'True' is not a quantity"),
    ('length = "30 um"\n', "", r"mesh\.length: is missing"),
    ("spacing =", "spacng =", r"mesh\.spacng: unknown key \(did you mean 'spacing'\?\)"),
    ('kind = "neurite"', 'kind = "neurit"', r"mesh\.kind: unknown kind 'neurit' \(did you mean 'neurite'\?\)"),
    ('kind = "neurite"', 'kind = "neurite"\ndims = "2"', r"mesh\.dims: '2' is not supported"),
    ('er_radius = "0.1 um"', 'er_radius = "0.5 um"', r"mesh\.er_radius: 0\.5 um must be smaller"),
    ("[mesh]", "[mash]", r"mash: unknown key \(did you mean 'mesh'\?\)"),
    ('name = "ca"\n', "", r"species\[0\]\.name: is missing \(add name = \"ca\"\)"),
    ('name = "ca"', "name = 3", r"species\[0\]\.name: 3 is not a string"),
    ('"0.05 uM", er', '"0.05 um", er', r"species\.ca\.initial\.cytosol: '0\.05 um' has dimension \[length\].*'uM' a concentration"),
    ('"0.05 uM", er', '"-0.05 uM", er', r"species\.ca\.initial\.cytosol: -0\.05 uM must be >= 0"),
    (', er = "220 um^2/s" }', " }", r"species: region 'er' of the mesh has no species"),
    (', er = "220 um^2/s" }', ', nucleus = "220 um^2/s" }', r"species\.ca\.initial: no value for region 'nucleus'"),
    ('binds = "ca"', 'binds = "mg"', r"buffers\.calbindin\.binds: unknown species 'mg'; the model has ca$"),
    ('region = "cytosol"', 'region = "cytosl"', r"buffers\.calbindin\.region: unknown region 'cytosl' \(did you mean 'cytosol'\?\)"),
    ('kon = "27 /uM/s"', 'kon = "27 /s"', r"buffers\.calbindin\.kon: '27 /s' has dimension \[rate\], expected \[binding rate\]"),
    ('kon = "27 /uM/s"', 'kon = "27 1/uM s"', r"unit only \(write '27 1/uM/s' or '27 1/\(uM s\)'\)$"),
    ('"0.05 uM", er', '"0.05 uM", err', r"initial: 'err' stands in no entry of diffusion \(did you mean 'er'\?\); no value for region"),
    ('total = "80 uM"', 'total = "9**9**9 uM"', r"buffers\.calbindin\.total: '9\*\*9\*\*9 uM' has no known unit"),
    ('channel = "ryr/keizer-levine"', 'channel = "ryr/keizer"', r"membranes\.er\[0\]\.channel: unknown channel 'ryr/keizer' \(did you"),
    ('density = "1 /um^2"', 'densty = "1 /um^2"', r"membranes\.er\[0\]\.densty: unknown key \(did you mean 'density'\?\)"),
    ('density = "1 /um^2"', 'density = "3 um"', r"membranes\.er\[0\]\.density: '3 um' has dimension \[length\], expected \[density\]"),
    ('density = "1 /um^2"', 'density = "balanced"', r"membranes\.er\[0\]\.density: 'balanced' is not a quantity \(write 'balance' for"),
    ('density = "1 /um^2"', 'density = "cs.BALANCE"', r"membranes\.er\[0\]\.density: 'cs\.BALANCE' is not .* \(write 'balance' for"),
    ('density = "1 /um^2"', 'density = "-1 /um^2"', r"membranes\.er\[0\]\.density: "),
    ('channel = "ryr/keizer-levine"', 'channel = "pmca/hill2"', r"membranes\.er\[0\]: 'pmca/hill2' moves cytosol -> outside"),
    ('channel = "ryr/keizer-levine"', 'channel = "ip3r/li-rinzel"', r"membranes\.er\[0\].*ip3"),
    ("[[membranes.plasma]]", "[[membranes.plasme]]", r"membranes\.plasme: unknown membrane \(did you mean 'plasma'\?\)"),
    ('species = "ca"', 'species = "cl"', r"stimuli\[0\]: unknown species 'cl' \(did you mean 'ca'\?\); the model has ca$"),
    ('at = "left" ', 'at = "lft" ', r"stimuli\[0\]\.at: 'lft' is not a face of the mesh \(did you mean 'left'\?\) \(left, "),
    ('at = "left" ', 'at = { distance = ["0 um"] } ', r"stimuli\[0\]\.at\.distance: 1 values, expected a lower and an upper"),
    ('at = "left" ', 'at = { distance = ["5 um", "1 um"] } ', r"stimuli\[0\]\.at\.distance: 5 um to 1 um: the limits are swapped"),
    ('at = "left" ', 'at = { x = ["5 um", "1 um"] } ', r"stimuli\[0\]\.at\.x: 5 um to 1 um: the limits are swapped \(the lower one"),
    ('at = "left" ', 'at = { distanc = ["0 um", "1 um"] } ', r"stimuli\[0\]\.at\.distanc: unknown coordinate \(did you mean 'distance'"),
    ('at = "left" ', 'at = { distance = ["0 um", "1 um"] } ', r"stimuli\[0\]\.at: name a face .* or the membrane"),
    ('flux = "2500 uM*um/s"\n', "", r"stimuli\[0\]: has none of flux, value, current, protocol, channel; give flux"),
    ('shape = "ramp-down"', 'shape = "ramp"', r"stimuli\[0\]\.shape: unknown shape 'ramp' \(did you mean 'ramp-down'\?\)"),
    ('until = "75 ms"', 'until = "-75 ms"', r"run\.until: -75 ms must be > 0"),
    ('until = "75 ms"', 'until = "75 ms"\ntolerence = 1e-3', r"run\.tolerence: unknown key \(did you mean 'tolerance'\?\)"),
    ('until = "75 ms"', 'until = "75 ms"\ndt = "10 us"\ntolerance = 1e-3', r"run\.dt: give tolerance or dt, not both"),
    ('until = "75 ms"', 'until = "75 ms"\ndt = "1e-9 ms"', r"run\.until: 75 ms asks for more than 1e\+09 steps"),
    ('until = "75 ms"', 'until = "75 ms"\nrecord = ["cal"]', r"run\.record\[0\]: unknown 'cal' \(did you mean"),
    ('until = "75 ms"', 'until = "75 ms"\nrecord = "ca"', r"run\.record: 'ca' is not an array \(write record = \[\"ca\"\]\)"),
    ('every = "0.25 ms"', 'every = "100 ms"', r"run\.every: 100 ms is longer than the run of 75 ms"),
    ('every = "0.25 ms"', 'until = "1 ms"', r"is not valid TOML: .*line"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), BAD, ids=[new.splitlines()[-1][:40] if new else "nothing" for _, new, _ in BAD])
def test_a_mistake_is_told_with_its_key_and_the_fix(old, new, message):
    with pytest.raises(cs.InputError, match=message) as caught:
        build(parse(swapped(old, new)))
    problems = getattr(caught.value, "problems", [caught.value])
    assert all("\n" not in str(p) for p in problems)


def test_all_problems_are_told_in_one_go():
    text = (
        WAVE.replace('length = "30 um"', 'length = "60 s"')
        .replace('"1 /um^2"', '"3 um"')
        .replace('"0.25 ms"', '"0.25"')
        .replace("serca/er", "serca/eer")
    )
    with pytest.raises(Problems) as caught:
        build(parse(text.replace('"80 uM"', '"80 um"')))
    assert sorted(p.where for p in caught.value.problems) == [
        "buffers.calbindin.total", "membranes.er[0].density", "membranes.er[2].channel", "mesh.length", "run.every",
    ]  # fmt: skip


def test_misfits_do_not_hide_each_other():
    text = WAVE.replace('binds = "ca"', 'binds = "mg"').replace("ryr/keizer-levine", "pmca/hill2").replace('at = "left"', 'at = "lft"')
    with pytest.raises(Problems) as caught:
        build(parse(text))
    assert [p.where for p in caught.value.problems] == ["buffers.calbindin.binds", "membranes.er[0]", "stimuli[0].at"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = " + "[" * 100_000, "nested too deeply"),
        ("x = " + "{a=" * 50_000, "nested too deeply"),
        ("a" + ".a" * 100_000 + " = 1", "line 1: a key of more than 32 dotted parts"),
        ("[a" + '."a"' * 50_000 + "]", "line 1: a key of more than 32 dotted parts"),
        ("x = {a" + ".a" * 100_000 + " = 1}", "line 1: a key of more than 32 dotted parts"),
        ("x = " + "1" * 250_000, "not valid TOML"),
        ("x = 1\n" * 50_000, "larger than 256 KiB"),
        ('name = "a"\nname = "b"\nx = 1', "not valid TOML.*line 2"),
        ("\x00", "not valid TOML"),
        (" " * 250_000 + "x", "not valid TOML"),
        ("[a" + " " * 250_000 + "\nx = 1", "not valid TOML"),
        ("a" * 250_000 + "!= 3", "not valid TOML"),
    ],
    ids=range(12),
)
def test_hostile_files_are_refused_at_once(text, message):
    before = time.process_time()
    with pytest.raises(cs.InputError, match=message):
        build(parse(text))
    assert time.process_time() - before < 3.0


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(cs.InputError, match=r"none\.toml: no such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(cs.InputError, match="is a directory"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes("x = '\u00e4'".encode("latin-1"))
    with pytest.raises(cs.InputError, match=r"latin\.toml: is not UTF-8 text \(byte 5, line 1\): save it with"):
        load(tmp_path / "latin.toml")
    (tmp_path / "big.toml").write_bytes(b"#" * 300_000)
    with pytest.raises(cs.InputError, match="larger than 256 KiB"):
        load(tmp_path / "big.toml")


def test_a_missing_morphology_names_key_and_file(tmp_path):
    (tmp_path / "model.toml").write_text('[mesh]\nkind = "swc"\npath = "none.swc"\nspacing = "1 um"\n' + WAVE[WAVE.index("[[species]]") :])
    with pytest.raises(cs.InputError, match=r"model\.toml: mesh\.path: .*none\.swc: "):
        load(tmp_path / "model.toml")
    text = WAVE.replace('kind = "neurite"', 'kind = "swc"\nexample = "granule"')
    with pytest.raises(cs.InputError, match=r"mesh\.example: unknown morphology 'granule' \(did you mean 'granule-cell'"):
        build(parse(text))


def test_a_swap_takes_a_name_a_class_or_a_channel_and_says_what_else_it_was_given():
    model = presets.calcsim_cable(neurite(length="2 um", radius="0.4 um", er_radius="0.15 um", spacing="0.5 um"))
    cls, old = cs.get_channel("ryr/two-variable"), "ryr/keizer-levine"
    named, classed = model.swap(old, "ryr/two-variable"), model.swap(old, cls)
    assert named.membranes["er"][0].values == classed.membranes["er"][0].values
    assert model.swap(old, cls(density="2 /um^2")).membranes["er"][0].values["density"] == 2.0
    with pytest.raises(cs.InputError, match=r"swap: 3 is no channel \(give a name"):
        model.swap(old, 3)
    with pytest.raises(cs.InputError, match="has its parameters already"):
        model.swap(old, cls(density="2 /um^2"), density="1 /um^2")


ELECTRIC = """
[mesh]
kind = "neurite"
length = "30 um"
radius = "0.5 um"
spacing = "1 um"

[[membranes.plasma]]
channel = "na/hodgkin-huxley"

[[membranes.plasma]]
channel = "leak/hodgkin-huxley"
g = "0.2 mS/cm^2"

[[stimuli]]
current = "0.1 nA"
at = 0
duration = "2 ms"

[[stimuli]]
protocol = [["0 ms", "-65 mV"], ["1 ms", "-65 mV"], ["1 ms", "0 mV"]]
at = 29

[voltage]
initial = "-65 mV"
axial_resistivity = "120 ohm*cm"

[run]
until = "2 ms"
record = ["flux"]
"""


def test_a_file_may_describe_an_electrical_cell(tmp_path):
    (tmp_path / "a.toml").write_text(ELECTRIC)
    model, _ = load(tmp_path / "a.toml")
    channels = [cs.get_channel("na/hodgkin-huxley")(), cs.get_channel("leak/hodgkin-huxley")(g="0.2 mS/cm^2")]
    steps = [("0 ms", "-65 mV"), ("1 ms", "-65 mV"), ("1 ms", "0 mV")]
    same = cs.Model(
        cs.meshes.neurite("30 um", "0.5 um", spacing="1 um"), [], {"plasma": channels},
        stimuli=[cs.CurrentClamp(0, "0.1 nA", "2 ms"), cs.VoltageClamp(29, steps)],
        voltage=cs.Cable(initial="-65 mV", axial_resistivity="120 ohm*cm"),
    )  # fmt: skip
    assert model == same


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('initial = "-65 mV"\n', 'inital = "-65 mV"\n', r"voltage\.inital: unknown key \(did you mean 'initial'"),
        ('axial_resistivity = "120 ohm*cm"', 'axial_resistivity = "120 ohm"', r"voltage\.axial_resistivity"),
        ('current = "0.1 nA"', 'current = "0.1 mV"', r"stimuli\[0\]\.current"),
        ("at = 29", "at = 99", r"stimuli\[1\]\.at"),
        ("[voltage]\n", '[voltage]\nmembrane = "er"\n', r"voltage\.membrane: 'er' is no membrane with the outside"),
        ('[voltage]\ninitial = "-65 mV"\naxial_resistivity = "120 ohm*cm"\n', "", r"species: is missing"),
    ],
)
def test_what_is_wrong_with_an_electrical_cell_is_told(tmp_path, old, new, told):
    assert old in ELECTRIC
    (tmp_path / "a.toml").write_text(ELECTRIC.replace(old, new))
    with pytest.raises(cs.InputError, match=told):
        load(tmp_path / "a.toml")
