"""The wheel, and a wheel made from the sdist, hold every file of the packages."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIP = shutil.ignore_patterns(".git", ".venv*", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", "out", "docs", "tests")

pytestmark = pytest.mark.packaging


def build(kind, tree, target):
    """Run setuptools' back end in a folder, as pip and build do, without a network."""
    target.mkdir()
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(target)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return target / done.stdout.splitlines()[-1]


def expected():
    """Files that the packages consist of."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    names = {"calcium_sim/py.typed"}
    for package in project["packages"]:
        folder = ROOT / project["package-dir"].get(package, package.replace(".", "/"))
        files = [*folder.glob("*.py"), *(p for p in folder.glob("data/*") if p.is_file())]
        names |= {f"{package.replace('.', '/')}/{p.relative_to(folder)}" for p in files}
    return names


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_wheel_and_sdist_hold_every_file(tmp_path):
    """pip install . and pip install of the sdist give the same files: modules, channels, meshes and their data."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, symlinks=True, ignore=SKIP)
    sdist = build("sdist", tree, tmp_path / "sdist")
    wheel = contents(build("wheel", tree, tmp_path / "wheel"))
    assert wheel == expected(), f"missing {sorted(expected() - wheel)}, surplus {sorted(wheel - expected())}"
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert contents(build("wheel", unpacked, tmp_path / "again")) == wheel


@pytest.mark.parametrize("links", ["absent", "text"])
def test_no_symbolic_link_is_needed(tmp_path, links):
    """git on Windows leaves a link as a file that holds its target; the wheel is the same, and so is an editable one."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, symlinks=True, ignore=SKIP)
    for name in ("channels", "meshes"):
        link = tree / "calcium_sim" / name
        link.unlink()
        if links == "text":
            link.write_text(f"../{name}")
    assert contents(build("wheel", tree, tmp_path / "wheel")) == expected()
    editable = build("editable", tree, tmp_path / "editable")
    site = tmp_path / "site"
    with zipfile.ZipFile(editable) as archive:
        archive.extractall(site)
    code = f"""
import site, sys
site.addsitedir({str(site)!r})
sys.path.append({sysconfig.get_path("purelib")!r})  # for numpy, without the editable installation that may be there
import calcium_sim.channels, calcium_sim.meshes
print(calcium_sim.channels.__file__, calcium_sim.meshes.__file__, sep="\\n")
"""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    found = [Path(line) for line in done.stdout.splitlines()]
    assert found == [tree / name / "__init__.py" for name in ("channels", "meshes")], done.stderr


def test_no_requirement_brings_cuda():
    """torch stays bounded and alone: an open requirement, or torchvision, would pull gigabytes of CUDA wheels."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    rows = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    torch = [row for row in rows if row.startswith("torch")]
    assert torch == ["torch>=2.6,<2.14"], torch
    assert not [row for row in rows if row.startswith(("nvidia", "torchvision", "torchaudio"))]
