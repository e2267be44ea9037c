"""Honest channel files to start from, and a way to put changed members back into an archive."""

from __future__ import annotations

import io
import json
import warnings
import zipfile

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


@pytest.fixture(scope="session")
def tools():
    """The functions of this file (tests are imported one by one and cannot import each other)."""
    from types import SimpleNamespace

    torch.manual_seed(0)
    plain = save(Open())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frozen = save(torch.jit.freeze(torch.jit.script(Open().eval())))
    return SimpleNamespace(CARD=CARD, Open=Open, save=save, pack=pack, unpack=unpack, plain=plain, frozen=frozen)
