"""The command line: what it leaves, what it says, and its exit codes."""

import json
import subprocess
import sys

import numba
import pytest

import calcium_sim as cs
from calcium_sim.app.runs import _compiling, _took
from calcium_sim.app.template import template

SHORT = (
    template()
    .replace('length = "30 um"', 'length = "3 um"')
    .replace('spacing = "0.04 um"', 'spacing = "0.1 um"')
    .replace('until = "75 ms"', 'until = "4 ms"')
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_run_leaves_data_and_picture_and_never_overwrites(here, command):
    (here / "wave.toml").write_text(SHORT)
    code, out, err = command("run", "wave.toml", "-o", "out")
    assert code == 0, err
    assert sorted(p.name for p in (here / "out").iterdir()) == ["wave.nc", "wave.png"]
    assert "out/wave.nc" in out
    assert "out/wave.png" in out
    ds = cs.open("out/wave.nc")
    assert float(ds.time[-1]) == 4.0
    assert ds.attrs["config"] == SHORT
    assert json.loads(ds.attrs["model"])["membranes"]["er"][0]["channel"] == "ryr/keizer-levine"
    assert ds.attrs["ledger_drift"] < 1e-10

    before = (here / "out" / "wave.nc").read_bytes()
    code, _, err = command("run", "wave.toml", "-o", "out")
    assert code == 2
    assert err == "error: out: already has wave.nc, results are not overwritten (give --force, or another folder with -o)\n"
    assert (here / "out" / "wave.nc").read_bytes() == before
    code, _, _ = command("run", "wave.toml", "-o", "out", "--force", "--no-picture")
    assert code == 0


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('length = "3 um"', 'length = "60 s"', "mesh.length"),
        ("spacing =", "spacng =", "mesh.spacng"),
        ("ryr/keizer-levine", "ryr/keizer", "membranes.er[0].channel"),
        ('until = "4 ms"', "until = nan", "run.until"),
        ('permeability = "0.038 um/s"', 'permeability = "balance"', ""),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(here, command, old, new, where):
    (here / "wave.toml").write_text(SHORT.replace(old, new, 1))
    code, out, err = command("run", "wave.toml", "-o", "out")
    assert code == 2, err
    assert err.startswith(f"error: wave.toml: {where}: " if where else "error: ")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert out == ""
    assert [p.name for p in here.iterdir()] == ["wave.toml"]


def test_every_problem_has_its_line(here, command):
    (here / "wave.toml").write_text(SHORT.replace('"3 um"', '"60 s"').replace('"4 ms"', '"4"'))
    code, _, err = command("run", "wave.toml")
    assert code == 2
    assert [line.split(": ")[2] for line in err.splitlines()] == ["run.until", "mesh.length"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "none.toml"], "error: none.toml: no such file (write a template with `calcium-sim new`)\n"),
        (["run", "."], "error: .: is a directory, expected a TOML file (e.g. wave.toml)\n"),
        (["rum"], "error: No such command 'rum'."),
        (["run"], "error: Missing argument 'path'"),
        (["run", "--fast", "x"], "error: No such option"),
        (["channels", "show", "ryr/keizer"], "error: channel: unknown channel 'ryr/keizer' (did you mean 'ryr/keizer-levine'?)"),
        (["check", "none.nc"], "error: none.nc: no such file\n"),
        (
            ["check", "a.txt"],
            "error: a.txt: unknown kind of file, expected one of .toml, .swc, .asc, .h5, .nml, .xml, .nc, .npz, .pt, or mine.py",
        ),
        (["bench", "none"], "error: bench: unknown case 'none'"),
    ],
)
def test_bad_arguments(here, command, arguments, message):
    (here / "a.txt").write_text("")
    code, _, err = command(*arguments)
    assert code == 2
    assert err.startswith(message), err
    assert err.count("\n") == 1, err


def test_an_output_that_is_a_file(here, command):
    (here / "wave.toml").write_text(SHORT)
    (here / "out").write_text("")
    code, _, err = command("run", "wave.toml", "-o", "out")
    assert (code, err) == (2, "error: out: is a file, expected a folder (give another with -o)\n")


def test_a_result_that_does_not_fit_is_refused_before_the_run(here, command):
    (here / "wave.toml").write_text(SHORT.replace('until = "4 ms"', 'until = "1e8 ms"').replace('"0.25 ms"', '"1 ms"'))
    code, _, err = command("run", "wave.toml", "-o", "out")
    assert code == 2
    assert "too much for" in err
    assert not (here / "out").exists()


def test_seconds_of_compiling_are_told_apart_from_those_of_the_run():
    """What numba compiles inside, once; what is compiled already costs none."""
    fresh = numba.njit(lambda x: x + 1.0)
    told = []
    for _ in range(2):
        with _compiling() as seconds:
            fresh(1.0)
        told.append(sum(seconds))
    assert told[0] > 1e-3
    assert told[1] == 0.0
    assert (_took(26.0, 24.3), _took(3.0, 0.2)) == ("in 1.7 s (and 24 s of compiling, once)", "in 3.0 s")


def test_new_writes_a_template_once(here, command):
    code, out, _ = command("new", "my.toml")
    assert code == 0
    assert "calcium-sim run my.toml" in out
    assert command("check", "my.toml")[0] == 0
    code, _, err = command("new", "my.toml")
    assert (code, err) == (2, "error: my.toml: exists, it is not overwritten (give another name)\n")
    code, _, err = command("new", "missing/my.toml")
    assert code == 5
    assert "cannot be written" in err


def test_check_tells_what_is_in_a_result(here, cable, command):
    cs.save(cable, here / "wave.nc")
    code, out, _ = command("check", "wave.nc")
    assert code == 0
    assert "201, from 0 to 100 ms" in out
    (here / "wave.nc").write_bytes((here / "wave.nc").read_bytes()[:5000])
    code, _, err = command("check", "wave.nc")
    assert code == 5
    assert "damaged" in err


def test_check_tells_who_reads_a_saved_simulation(here, command):
    (here / "half.sim").write_bytes(b"calcium-sim simulation 1\n" + bytes(40))
    code, _, err = command("check", "half.sim")
    assert (code, err) == (2, "error: half.sim: is a simulation that was saved (in Python: cs.Simulation.load('half.sim'), then run)\n")


def test_channels_are_listed_and_shown(command):
    code, out, _ = command("channels", "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == cs.list_channels()
    code, out, _ = command("channels", "show", "ryr/keizer-levine")
    assert code == 0
    for part in ("density", "1/um^2", "0 to 10000", "ca = ca@cytosol", "1 ca from er to cytosol", "Keizer", "[calcium-sim"):
        assert part in out, part


def test_our_own_bugs_show_their_traceback_and_exit_1(command, monkeypatch):
    monkeypatch.setattr("calcium_sim.app.inspection.channel_lines", lambda: 1 / 0)
    code, _, err = command("channels", "list")
    assert code == 1
    assert "ZeroDivisionError" in err
    assert err.splitlines()[-1] == "error: this is a bug of calcium-sim; please report it with the lines above"


def test_an_interrupt_exits_130(command, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("calcium_sim.app.inspection.channel_lines", interrupted)
    code, _, err = command("channels", "list")
    assert code == 130
    assert "interrupted" in err


def test_debug_shows_the_traceback():
    done = subprocess.run([sys.executable, "-m", "calcium_sim", "--debug", "run", "none.toml"], capture_output=True, text=True)
    assert "Traceback" in done.stderr


def test_help_imports_nothing_heavy():
    code = "import sys\nfrom calcium_sim.app.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
    code += "print(sorted({'numba', 'xarray', 'torch', 'pint', 'matplotlib', 'pydantic', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_demo_leaves_pictures_data_and_the_model(here, command, monkeypatch):
    """The model of the demo at a tenth of its resolution and for a short time."""
    import calcium_sim.app.demo

    quick = calcium_sim.app.demo.MODEL.replace('spacing = "0.25 um"', 'spacing = "2 um"').replace('"300 ms"', '"5 ms"')
    monkeypatch.setattr(calcium_sim.app.demo, "MODEL", quick)
    for folder in ("calcium-sim-demo", "calcium-sim-demo-2"):
        code, out, err = command("demo")
        assert code == 0, err
        names = ["granule-cell-arrival.png", "granule-cell.nc", "granule-cell.png", "granule-cell.toml"]
        assert sorted(p.name for p in (here / folder).iterdir()) == names
        assert all(f"{folder}/{name}" in out for name in names)
    assert (here / folder / "granule-cell.toml").read_text() == quick


@pytest.mark.filterwarnings("ignore")
def test_the_headline_says_that_there_is_no_wave(here, command):
    """Without receptors the stimulus spreads 0.65 um far; that was "wave at 1.34 um/ms"."""
    quiet = SHORT.replace('density = "1 /um^2"', 'density = "0 /um^2"').replace('"4 ms"', '"20 ms"')
    (here / "quiet.toml").write_text(quiet)
    code, out, _ = command("run", "quiet.toml", "--no-picture")
    assert code == 0
    assert out.startswith("no wave: a rise above the threshold was seen from 0.05 to "), out
    assert "wave at" not in out


def test_check_lists_the_places_of_a_morphology(command, tmp_path, monkeypatch):
    """A cell of 15 tips: each with its label, distance and place as the mesh has them; labels; a picture with their numbers."""
    from calcium_sim.meshes import example, from_swc

    mesh = from_swc(example("granule-cell"), "1 um")
    cell = tmp_path / "cell.swc"
    cell.write_bytes(example("granule-cell").read_bytes())
    monkeypatch.chdir(tmp_path)
    code, out, _ = command("check", "cell.swc", "--picture")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    tips = {row[0]: row[1:] for row in rows if row and row[0].startswith("tip-")}
    assert list(tips) == [f"tip-{k}" for k in range(15)]
    for name, (label, *numbers) in tips.items():
        node = mesh.faces[name].nodes[0]
        assert label == "basal"
        assert [float(v) for v in numbers] == pytest.approx([mesh.distance[node], *mesh.position[node]], abs=0.051)
    soma, basal = (next(row for row in rows if row[:1] == [name]) for name in ("soma", "basal"))
    assert soma[1] == "1"
    assert float(basal[2]) == pytest.approx(1784.6, abs=0.1)  # all edges that end at a basal node
    assert float(basal[3]) + float(soma[3]) == pytest.approx(mesh.membranes["plasma"].area.sum(), abs=0.1)
    assert basal[4:] == ["12.0", "to", "312.8"]
    assert (tmp_path / "cell.png").stat().st_size > 20_000
    assert command("check", "--unit", "um", "cell.swc", "--picture-file", "other.png")[0] == 0
    assert (tmp_path / "other.png").exists()
    code, _, err = command("check", "cell.swc", "--picture-file", "other.xyz")
    assert (code, err.count("\n")) == (2, 1)
    code, _, err = command("check", "none.toml", "--picture-file", "a.png")
    assert code == 2


def test_explain_says_what_a_file_solves(here, command):
    (here / "wave.toml").write_text(SHORT)
    code, out, err = command("explain", "wave.toml")
    assert (code, err) == (0, "")
    assert "d ca@cytosol / dt =" in out
    assert "generated  " in out
    (here / "bad.toml").write_text(SHORT.replace("ryr/keizer-levine", "ryr/keizer"))
    code, out, err = command("explain", "bad.toml")
    assert (code, out) == (2, "")
    assert "unknown channel 'ryr/keizer'" in err
