"""Honest channel files to start from, and a way to put changed members back into an archive."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

CARD = {
    "format": "calcium-sim/channel",
    "version": 1,
    "name": "test/open",
    "kind": "open_prob",
    "args": ["x"],
    "states": [],
    "inputs": [{"port": "ca@cytosol", "unit": "uM", "min": 0.01, "max": 50}],
    "dtype": "float32",
    "flux": {"law": "linear", "moves": {"ca": 1}, "from": "er", "to": "cytosol", "k": 0.0138427, "unit": "um^3/ms"},
    "licence": "MIT",
}


class Open(torch.nn.Module):
    """The user's network of the documentation."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(1, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.net(torch.log10(x)))


def save(module: torch.nn.Module, card: dict | None = None) -> bytes:
    """Bytes of a scripted module (or of one that is scripted already) with a card."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = module if isinstance(module, torch.jit.ScriptModule) else torch.jit.script(module.eval())
        torch.jit.save(scripted, stream, _extra_files={"channel.json": json.dumps(card or CARD)})
    return stream.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """Members without their top folder."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def pack(members: dict[str, bytes] | list[tuple[str, bytes]], top: str = "a/", method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these members, in this order."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(stream, "w", method) as archive:
            for name, content in members.items() if isinstance(members, dict) else members:
                archive.writestr(zipfile.ZipInfo(top + name), content, method)
    return stream.getvalue()


VICTIM = "victim.bin"
FORWARD = """class Open(Module):
  __parameters__ = []
  __buffers__ = []
  def forward(self: __torch__.Open,
    x: Tensor) -> Tensor:
{body}
"""
OBJECT = b"\x80\x02c__torch__\nOpen\nq\x00)\x81}(ubq\x01."


def simple(code: str | bytes | None = None, **members: bytes) -> dict[str, bytes]:
    """A small honest archive (a class without attributes), with members replaced or added."""
    text = FORWARD.format(body="    return torch.sigmoid(x)") if code is None else code
    honest = {
        "data.pkl": OBJECT,
        "code/__torch__.py": text if isinstance(text, bytes) else text.encode("utf-8"),
        "constants.pkl": b"\x80\x02).",
        "version": b"3\n",
        "byteorder": b"little",
        "extra/channel.json": json.dumps(CARD).encode(),
    }
    return {**honest, **members}


@pytest.fixture(scope="session")
def tools():
    """The functions of this file (tests are imported one by one and cannot import each other)."""
    from types import SimpleNamespace

    torch.manual_seed(0)
    plain = save(Open())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frozen = save(torch.jit.freeze(torch.jit.script(Open().eval())))
    return SimpleNamespace(
        CARD=CARD, FORWARD=FORWARD, OBJECT=OBJECT, Open=Open, simple=simple, save=save, pack=pack, unpack=unpack, plain=plain, frozen=frozen
    )


CHILD = """
import os, sys, json
import calcium_sim as cs
before = {f: os.stat(f).st_mtime_ns for f in os.listdir(".")}
told = {}
for file in sorted(f for f in before if f.endswith(".pt")):
    try:
        cs.load_channel(file)
        told[file] = None
    except cs.InputError as error:
        told[file] = str(error)
    except BaseException as error:
        told[file] = "NOT AN INPUT ERROR " + repr(error)[:200]
after = {f: os.stat(f).st_mtime_ns for f in os.listdir(".")}
print(json.dumps({"told": told, "torch": "torch" in sys.modules, "same": before == after}))
"""


@pytest.fixture
def check_refused(tmp_path: Path) -> Callable[[dict[str, bytes]], dict[str, str]]:
    """Look at files in a child: each must be refused with one line that starts with its name, torch not imported, no file touched."""

    def check(files: dict[str, bytes]) -> dict[str, str]:
        (tmp_path / VICTIM).write_bytes(b"safe")
        names = {f"{i:03}.pt": name for i, name in enumerate(files)}
        for file, name in names.items():
            (tmp_path / file).write_bytes(files[name])
        done = subprocess.run([sys.executable, "-c", CHILD], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
        report = json.loads(done.stdout)
        told = {names[file]: text for file, text in report["told"].items()}
        for file, name in names.items():
            print(f"{name:30} {report['told'][file]}")
        admitted = [name for name, text in told.items() if text is None]
        odd = {
            names[f]: t for f, t in report["told"].items() if t and ("\n" in t or not t.startswith(f) or len(t) > 600 or not t.isascii())
        }
        assert not admitted
        assert not odd
        assert not report["torch"], "torch was imported"
        assert report["same"], "a file was touched"
        assert (tmp_path / VICTIM).read_bytes() == b"safe"
        return told

    return check
