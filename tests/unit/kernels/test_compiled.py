"""Compiled kernels: where they are kept, by whom, and what becomes of damaged or outdated ones."""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest

import calcium_sim
from calcium_sim.kernels import compiled, folder
from calcium_sim.kernels.folder import DIGEST, cache_folder

PACKAGE = Path(calcium_sim.__file__).parent
KERNEL = "from calcium_sim.kernels.stimulus import pulse_integral; print(pulse_integral(0, 2.0, 0.5))"

pytestmark = pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CALCIUM_SIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compiled, "_warned", set())
    folder._find.cache_clear()
    yield tmp_path / "cache" / DIGEST
    folder._find.cache_clear()


def twice(x):
    return 2.0 * x


def thrice(x):
    return 3.0 * x


def made(of=twice):
    """A fresh compiled function, as a new process would make it, and what it gives for 4."""
    function = compiled.njit(cache=True)(of)
    return function, function(4.0)


def hits(function):
    return sum(function.stats.cache_hits.values())


def files():
    """All that lies in the package but what Python compiles."""
    return {p for p in PACKAGE.rglob("*") if p.is_file() and ".pyc" not in p.name}


def python(code, **env):
    """Run code in a process with a plain environment; its last line and its warnings."""
    given = {"PATH": os.defpath, "PYTHONPATH": str(PACKAGE.parent), **env}
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=given, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip(), done.stderr


def test_the_installation_stays_as_it_is(tmp_path):
    """Files that pip has not made are not removed by it: a left folder is found as a package. A user's own functions stay with numba."""
    before = files()
    (tmp_path / "own.py").write_text("import numba\n\n\n@numba.njit(cache=True)\ndef f(x):\n    return x + 1\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import own; {KERNEL}; own.f(1)"
    out, said = python(code, CALCIUM_SIM_CACHE=str(tmp_path / "cache"), HOME=str(tmp_path / "home"))
    assert (out, said) == ("0.5", "")
    assert files() == before
    kept = list((tmp_path / "cache" / DIGEST).iterdir())
    assert [p.name.partition("-")[0] for p in kept] == ["stimulus.pulse_integral"]
    assert stat.S_IMODE(kept[0].parent.stat().st_mode) == 0o700
    assert list((tmp_path / "__pycache__").glob("own.f-*.nbi")), "beside the user's file"
    assert not (tmp_path / "home").exists()


def damaged(good):
    yield "empty", b""
    yield "cut short", good[: len(good) // 2]
    yield "one byte short", good[:-1]
    yield "zeroed", bytes(len(good))
    yield "zeroed at the end", good[:-100] + bytes(100)
    yield "longer", good + b"x"
    yield "of another", hashlib.sha256(b"no pickle").digest() + b"no pickle"
    for at in range(0, len(good), len(good) // 24):
        yield f"bit {at}", good[:at] + bytes([good[at] ^ 16]) + good[at + 1 :]


def test_damaged_code_is_compiled_again_and_replaced(cache):
    assert made()[1] == 8.0
    (file,) = cache.glob("*.machine")
    good = file.read_bytes()
    function, value = made()
    assert (value, hits(function)) == (8.0, 1), "an undamaged file is used"
    for what, content in damaged(good):
        file.write_bytes(content)
        function, value = made()
        assert (value, hits(function)) == (8.0, 0), what
        kept = file.read_bytes()
        assert kept[:32] == hashlib.sha256(kept[32:]).digest(), what
        assert hits(made()[0]) == 1, what


def test_a_file_for_other_types_or_code_is_not_taken(cache):
    function = made()[0]
    assert function(4) == 8
    assert len(list(cache.glob("*.machine"))) == 2
    one, other = cache.glob("*.machine")
    one.write_bytes(other.read_bytes())
    assert made()[0](4) == 8
    assert made()[1] == 8.0


def test_a_file_of_another_function_is_not_taken(cache, monkeypatch):
    """It is whole and its types fit; nor is one that was made by other kernels."""
    made()
    (mine,) = cache.glob("*.machine")
    made(thrice)
    (other,) = set(cache.glob("*.machine")) - {mine}
    mine.write_bytes(other.read_bytes())
    function, value = made()
    assert (value, hits(function)) == (8.0, 0)
    assert hits(made()[0]) == 1, "replaced"
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "DIGEST", "other kernels")
        made()
    (outdated,) = set(cache.glob("*.twice-*.machine")) - {mine}
    mine.write_bytes(outdated.read_bytes())
    function, value = made()
    assert (value, hits(function)) == (8.0, 0)


def test_generated_text_is_never_read_back(cache):
    from calcium_sim.compile import cache as generated

    text = "VALUE = 3.0\n"
    path = Path(generated.load(text).__file__)
    assert path.parent == cache
    sys.modules.pop(next(n for n in sys.modules if n.endswith(path.stem)))
    path.write_bytes(b"VALUE = \xff")
    assert generated.load(text).VALUE == 3.0
    assert path.read_text().startswith("VALUE = 3.0")
    sys.modules.pop(next(n for n in sys.modules if n.endswith(path.stem)))


def test_an_edited_kernel_never_runs_old_code(tmp_path):
    """`load_tile` is compiled with the code of `_turn` from another file inside."""
    copy = tmp_path / "calcium_sim" / "kernels"
    shutil.copytree(PACKAGE / "kernels", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "calcium_sim" / "__init__.py").touch()
    code = """
    import numpy as np
    from calcium_sim.kernels.lines import TILE, load_tile
    tile = np.zeros(2 * int(TILE))
    load_tile(np.arange(16.0), *map(np.uint64, (0, 0, 8, 2)), tile, np.uint64(0))  # 8 slices of 2 cells
    print(tile[int(TILE)], sum(load_tile.stats.cache_hits.values()))
    """
    where = {"PYTHONPATH": str(tmp_path), "CALCIUM_SIM_CACHE": str(tmp_path / "cache")}
    first, again = (python(textwrap.dedent(code), **where)[0].split() for _ in range(2))
    assert (first, again) == (["1.0", "0"], ["1.0", "1"])
    file = copy / "axisymmetric.py"
    text = file.read_text()
    assert text.count("t[k], rows)") == 1
    file.write_text(text.replace("t[k], rows)", "t[0], rows)"))
    assert python(textwrap.dedent(code), **where)[0].split() == ["0.0", "0"]


@pytest.mark.parametrize("home", ["missing", "file", "empty", "unset"])
def test_a_home_that_is_no_home(tmp_path, home):
    """A container, a service: the temporary folder takes it, or memory; the run goes on in any case."""
    (tmp_path / "file").touch()
    (tmp_path / "tmp").mkdir(mode=0o700)
    given = {
        "missing": {"HOME": str(tmp_path / "file" / "none")},
        "file": {"HOME": str(tmp_path / "file")},
        "empty": {"HOME": ""},
        "unset": {},
    }
    no_list = "import os.path; os.path.expanduser = lambda p: p; " if home == "unset" else ""
    out, said = python(no_list + KERNEL, TMPDIR=str(tmp_path / "tmp"), **given[home])
    assert (out, said) == ("0.5", "")
    (kept,) = (tmp_path / "tmp").glob(f"calcium-sim-*/{DIGEST}")
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def tried(**env):
    """What `cache_folder` says with these variables, and its warnings."""
    folder._find.cache_clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = cache_folder()
    return found, [str(w.message) for w in said]


def test_a_folder_that_is_not_ours_is_refused(tmp_path, monkeypatch, cache):
    """What lies in it is run: another owner, a link or a mode that lets others write may mean planted code."""
    monkeypatch.delenv("CALCIUM_SIM_CACHE")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(folder.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    base = tmp_path / "tmp" / f"calcium-sim-{os.geteuid()}"
    base.mkdir(parents=True, mode=0o700)
    assert tried() == (base / DIGEST, [])
    base.chmod(0o777)
    found, (said,) = tried()
    assert found is None
    assert "may be written by others (mode 0777" in said
    base.chmod(0o700)
    (base / DIGEST).chmod(0o770)
    assert "may be written by others (mode 0770" in tried()[1][0]
    shutil.rmtree(base)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    base.symlink_to(tmp_path / "elsewhere")
    found, (said,) = tried()
    assert found is None
    assert "is a link" in said
    base.unlink()
    mine = os.geteuid()
    base.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    base.rename(base.with_name(f"calcium-sim-{mine + 1}"))
    found, (said,) = tried()
    assert found is None
    assert f"belongs to another user ({mine})" in said
    assert made()[1] == 8.0, "in memory"


def test_a_named_folder_that_cannot_be_used_is_told(tmp_path, monkeypatch, cache):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CALCIUM_SIM_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(folder.tempfile, "gettempdir", lambda: str(tmp_path))
    found, (said,) = tried()
    assert found == tmp_path / f"calcium-sim-{os.geteuid()}" / DIGEST
    assert f"'{tmp_path / 'file'}' cannot be used: Not a directory" in said


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_full_disk_costs_a_warning(tmp_path):
    """A limit on the size of files stands for the disk."""
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); {KERNEL}"
    out, said = python(code, CALCIUM_SIM_CACHE=str(tmp_path))
    assert out == "0.5"
    assert said.count("compiled code cannot be kept in") == 1
    assert str(tmp_path / DIGEST) in said
    assert list((tmp_path / DIGEST).iterdir()) == [], "no parts are left"


def test_kernels_edited_under_a_running_process_are_kept_nowhere(cache, monkeypatch):
    monkeypatch.setattr(folder, "_stamps", lambda: [])
    assert cache_folder() is None
    assert made()[1] == 8.0
    assert not list(cache.glob("*.machine")) if cache.exists() else True
