"""The tree is what the packaging files say: packages, symlinks, entry points, size of files, who imports what."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["setuptools"]["packages"]
FOLDERS = {name: ROOT / PROJECT["tool"]["setuptools"]["package-dir"].get(name, name.replace(".", "/")) for name in PACKAGES}
SOURCES = sorted(path for folder in FOLDERS.values() for path in folder.glob("*.py"))


def entry_points():
    """Declared (group, name, target) rows of pyproject.toml."""
    groups = PROJECT["project"].get("entry-points", {})
    return [(group, name, target) for group, rows in groups.items() for name, target in rows.items()]


def imports(path):
    """Every module that a file imports at any depth, relative ones as ``.name``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_packages_are_the_folders():
    """A folder with Python files that is missing from `packages` would be missing from the wheel without a word."""
    walk = os.walk(ROOT / "calcium_sim", followlinks=True)
    found = {".".join(Path(folder).relative_to(ROOT).parts) for folder, _, files in walk if any(name.endswith(".py") for name in files)}
    assert found == set(PACKAGES), f"folders {sorted(found)}, packages {sorted(PACKAGES)}"


@pytest.mark.parametrize("name", ["channels", "meshes"])
def test_symlink_into_the_package(name):
    link = ROOT / "calcium_sim" / name
    assert link.is_symlink(), f"{link} is no symlink"
    assert link.readlink() == Path("..") / name


@pytest.mark.parametrize("name", ["channels", "meshes"])
def test_bare_import_is_refused(name):
    """A stranger's `channels` (Django's) must never be mistaken for ours."""
    done = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"import calcium_sim.{name} instead" in done.stderr, done.stderr


@pytest.mark.parametrize("row", entry_points(), ids=lambda row: row[1])
def test_entry_point_loads(row):
    """The name in pyproject.toml is the name that the object calls itself."""
    group, name, target = row
    loaded = EntryPoint(name, target, group).load()
    assert loaded is not None
    if group == "calcium_sim.channels":
        assert loaded.name == name


def test_every_registered_channel_has_an_entry_point():
    """The decorator's names and the entry points are the same list."""
    written = {
        decorator.args[0].value
        for path in FOLDERS["calcium_sim.channels"].glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "channel"
    }
    declared = {name for group, name, _ in entry_points() if group == "calcium_sim.channels"}
    assert written <= declared, f"without an entry point: {sorted(written - declared)}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_is_small(path):
    lines = len(path.read_text().splitlines())
    assert lines <= 400, f"{path.name} has {lines} lines: two ideas in one file?"
    assert path.stem not in ("utils", "util", "helpers", "misc", "common")


@pytest.mark.parametrize("path", sorted(FOLDERS["calcium_sim.kernels"].rglob("*.py")), ids=lambda p: p.name)
def test_kernels_import_only_arrays(path):
    """Kernels import numpy, numba (with the llvmlite under it), the standard library and each other."""
    for name in imports(path):
        top = name.split(".")[0]
        allowed = top in ("", "numpy", "numba", "llvmlite") or top in sys.stdlib_module_names
        above = "." * (2 + len(path.relative_to(FOLDERS["calcium_sim.kernels"]).parts) - 1)  # what would leave the folder
        assert allowed and not name.startswith(above), f"{path.name} imports {name}"  # noqa: PT018


@pytest.mark.parametrize("path", sorted(FOLDERS["calcium_sim.channels"].glob("*.py")), ids=lambda p: p.name)
def test_channels_import_only_what_an_author_may(path):
    """Ours are written as a third party's would be: against the plugin contract alone (named buffers are model parts, no channels)."""
    allowed = {"calcium_sim.plugin", "calcium_sim.errors", "calcium_sim.units"} | (
        {"buffers": {"calcium_sim.model"}, "networks": {"calcium_sim.networks.channel"}}.get(path.stem, set())
    )
    for name in imports(path):
        assert not name.startswith("calcium_sim") or name in allowed, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", [p for p in SOURCES if "learn" not in p.parts], ids=lambda p: str(p.relative_to(ROOT)))
def test_torch_is_reached_through_one_module(path):
    if path.stem != "torchscript":
        assert not [n for n in imports(path) if n.split(".")[0] == "torch"], f"{path.name} imports torch"


def test_import_contracts_hold():
    """The layers of pyproject.toml, read by import-linter from the sources."""
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--config", ROOT / "pyproject.toml"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_compiled_code_is_kept_in_one_place():
    """numba's own cache would leave files in an installation, from where pip does not remove them; `kernels.compiled` has another."""
    for path in sorted((ROOT / "calcium_sim").rglob("*.py")):
        if path.name != "compiled.py":
            taken = [line for line in path.read_text().splitlines() if line.startswith("from numba import") and "njit" in line]
            assert not taken, f"{path.name}: {taken[0]} (take it from .compiled)"


def test_every_picture_is_shown_and_every_link_leads_somewhere():
    """Pictures that no page shows grow old unseen."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = {(page, link) for page in pages for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()) if "://" not in link}
    targets = {(page.parent / link).resolve() for page, link in links}
    assert [str(t) for t in sorted(targets) if not t.exists()] == []
    assert sorted(str(p) for p in (ROOT / "docs").rglob("*.png") if p.resolve() not in targets) == []
