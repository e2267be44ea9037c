"""Hostile channel files as wholes: odd archives, bad cards, what torch itself writes, other formats, random damage."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import warnings
import zipfile
from pathlib import Path

import torch

from calcium_sim.admission.admit import admit_bytes
from calcium_sim.errors import InputError

VICTIM = "victim.bin"


class Overwrite(torch.nn.Module):
    """Overwrites a file when it is loaded, through a scripted ``__setstate__``."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.zeros(1)

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, bool]:
        return self.w, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
        self.w = state[0]
        self.training = state[1]
        self.w = torch.from_file("victim.bin", shared=True, size=4, dtype=torch.uint8).fill_(65)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x)


class Reader(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x) + torch.from_file("/etc/passwd", size=4, dtype=torch.uint8).sum() * 0


class Saver(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, "victim.bin")
        return torch.sigmoid(x)


class Endless(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        i = 0
        while i < 1000000000000:
            i += 1
        return torch.sigmoid(x)


class Recursing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i in range(1000000000):
            x = x + i
        return torch.sigmoid(x)


class Huge(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x) + torch.zeros(1000000000000).sum()


class Repeated(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x.repeat(1000000, 1000000).sum() + x)


class Random(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.rand_like(x)


class Remembering(torch.nn.Module):
    """Changes an attribute of its own at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        return torch.sigmoid(x * self.count)


class Gru(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = torch.nn.GRUCell(1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.cell(x, x))


class Command:
    def __reduce__(self):
        import os

        return os.system, (f"touch {VICTIM}",)


def containers(tools) -> dict[str, bytes]:
    """Archives that break the rules of the container or of the layout."""
    good = tools.pack(tools.simple())
    parts = list(tools.simple().items())
    out = {
        "empty file": b"",
        "text": b"hello",
        "truncated": good[:-30],
        "half": good[: len(good) // 2],
        "signature only": b"PK\x03\x04",
        "no directory": good[: good.index(b"PK\x01\x02")],
        "data before": b"#!/bin/sh\n" + good,
        "data after": good + b"x",
        "archive after archive": good + good,
        "renamed pickle": pickle.dumps(Command()),
        "renamed tar": b"ustar" * 200,
        "empty archive": b"PK\x05\x06" + b"\0" * 18,
        "comment": good[:-2] + b"\x03\x00abc",
        "name twice": tools.pack([*parts, ("code/__torch__.py", tools.FORWARD.format(body="    return x").encode())]),
        "name twice in other case": tools.pack([*parts, ("DATA.pkl", tools.OBJECT)]),
        "card in other case": tools.pack([*parts, ("extra/CHANNEL.json", b"{}")]),
        "two top folders": tools.pack([("a/" + k, v) for k, v in parts] + [("b/data.pkl", tools.OBJECT)], top=""),
        "no top folder": tools.pack(parts, top=""),
        "absolute name": tools.pack([*parts, ("/etc/passwd", b"")], top=""),
        "absolute top": tools.pack(parts, top="/a/"),
        "parent folder": tools.pack([*parts, ("../x", b"")]),
        "parent top": tools.pack(parts, top="../"),
        "dot": tools.pack([*parts, ("./data.pkl", b"")]),
        "backslash": tools.pack([*parts, ("code\\x.py", b"")]),
        "non-ASCII name": tools.pack([*parts, ("code/__torch__/\u00e9.py", b"")]),
        "full-width name": tools.pack([*parts, ("\uff44ata.pkl", b"")]),
        "NUL in a name": tools.pack([*parts, ("data.pk1", b"")]).replace(b"data.pk1", b"data.p\0l"),
        "newline in a name": tools.pack([*parts, ("data.pk1", b"")]).replace(b"data.pk1", b"data.p\nl"),
        "folder": tools.pack([*parts, ("code/", b"")]),
        "long name": tools.pack([*parts, ("code/__torch__/" + "a" * 400 + ".py", b"")]),
        "nested zip": tools.pack([*parts, ("extra/a.zip", good)]),
        "unknown member": tools.pack([*parts, ("attributes.pkl", b"")]),
        "mobile format": tools.pack([*parts, ("bytecode.pkl", b"")]),
        "other extra": tools.pack([*parts, ("extra/other.json", b"")]),
        "code outside": tools.pack([*parts, ("code/torch.py", b"")]),
        "too many members": tools.pack([*parts, *((f"data/{i}", b"") for i in range(2000))]),
        "zip bomb": tools.pack([*parts, ("data/0", bytes(30_000_000))], method=zipfile.ZIP_DEFLATED),
        "large card": tools.pack(tools.simple(**{"extra/channel.json": b" " * 300_000})),
        "large code": tools.pack(tools.simple(b"\n" * 3_000_000)),
        "bzip2": tools.pack(parts, method=zipfile.ZIP_BZIP2),
        "lzma": tools.pack(parts, method=zipfile.ZIP_LZMA),
        "version 99": tools.pack(tools.simple(version=b"99")),
        "big-endian": tools.pack(tools.simple(byteorder=b"big")),
    }
    for name in ("data.pkl", "constants.pkl", "version", "code/__torch__.py", "extra/channel.json"):
        out[f"without {name}"] = tools.pack({k: v for k, v in parts if k != name})
    out.update(_lies(good))
    return out


def _lies(good: bytes) -> dict[str, bytes]:
    """Headers that contradict each other, 64-bit records among them."""
    central = good.index(b"PK\x01\x02")
    end = len(good) - 22

    def patched(at: int, form: str, *values: int) -> bytes:
        data = bytearray(good)
        struct.pack_into(form, data, at, *values)
        return bytes(data)

    count, size, start = struct.unpack_from("<H2L", good, end + 10)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    other = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count - 1, count - 1, size, start)
    return {
        "declared larger": patched(central + 24, "<L", 50_000_000),
        "declared smaller": patched(central + 24, "<L", 3),
        "packed size lies": patched(central + 20, "<L", 3),
        "4 GB declared": patched(central + 20, "<2L", 0xFFFFFFFF, 0xFFFFFFFF),
        "checksum": patched(central + 16, "<L", 1),
        "encrypted": patched(central + 8, "<H", 1),
        "method lies": patched(central + 10, "<H", 8),
        "offset lies": patched(central + 42, "<L", 7),
        "local name differs": good.replace(b"a/data.pkl", b"a/data.pkX", 1),
        "local size differs": patched(22, "<L", 1),
        "directory elsewhere": patched(end + 16, "<L", start - 1),
        "count too small": patched(end + 8, "<2H", count - 1, count - 1),
        "count too large": patched(end + 8, "<2H", count + 1, count + 1),
        "count of 65535": patched(end + 8, "<2H", 65535, 65535),
        "second disk": patched(end + 4, "<H", 1),
        "64-bit record disagrees": good[:end] + other + locator + good[end:],
        "64-bit locator without record": good[:end] + locator + good[end:],
        "64-bit record of two disks": good[:end] + record + locator[:-4] + b"\x02\0\0\0" + good[end:],
        "gap between members": good[:central] + b"hidden" + good[central:end] + good[end : end + 16] + struct.pack("<LH", start + 6, 0),
    }


def cards(tools) -> dict[str, bytes]:
    """Archives with bad cards (their schema is tested in test_card.py)."""
    text = json.dumps(tools.CARD)
    bad = {
        "duplicate key": text.replace('"kind"', '"name": "other", "kind"').encode(),
        "NaN": text.replace("0.01", "NaN").encode(),
        "infinity": text.replace("0.01", "1e999").encode(),
        "deep": b"[" * 100_000,
        "not JSON": b"{",
        "not UTF-8": b"\xff\xfe{",
        "number of 100000 digits": text.replace("0.01", "1" * 100_000).encode(),
        "list": b"[]",
        "name that leaves": text.replace("test/open", "../../open").encode(),
        "code as a port": text.replace("ca@cytosol", "ca@cytosol)+exit(").encode(),
        "code as a species": text.replace('{"ca": 1}', '{"__import__": 1}').encode(),
    }
    return {f"card: {k}": tools.pack(tools.simple(**{"extra/channel.json": v})) for k, v in bad.items()}


def scripted(tools) -> dict[str, bytes]:
    """Files that torch itself wrote."""
    modules = (Overwrite(), Reader(), Saver(), Endless(), Recursing(), Huge(), Repeated(), Random(), Remembering(), Gru())
    return {type(m).__name__: tools.save(m) for m in modules}


def other_formats() -> dict[str, bytes]:
    """Files of other kinds with the same ending."""
    out = {}
    for name, thing, options in (
        ("torch.save", {"w": torch.zeros(3)}, {}),
        ("torch.save with a command", Command(), {}),
        ("torch.save, old format", Command(), {"_use_new_zipfile_serialization": False}),
    ):
        stream = io.BytesIO()
        torch.save(thing, stream, **options)
        out[name] = stream.getvalue()
    return out


def test_hostile_files_are_refused(tools, check_refused) -> None:
    """Containers, cards, scripted attacks and other formats under the name of a channel file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = {**containers(tools), **cards(tools), **scripted(tools), **other_formats()}
    told = check_refused(files)
    expected = {
        "Gru": "write the cell out with linear and elementwise functions",
        "renamed pickle": "is not a zip archive",
        "name twice in other case": "stored twice",
        "zip bomb": "unpack to 30000000 bytes",
        "Huge": "'torch.zeros' is not permitted",
        "card: duplicate key": "key 'name' is given twice",
        "without extra/channel.json": "has no card",
    }
    for name, part in expected.items():
        assert part in told[name], f"{name}: {told[name]}"


def test_the_attack_is_real(tools, tmp_path: Path, monkeypatch) -> None:
    """torch.jit.load alone overwrites a file through the scripted __setstate__ of the corpus: the refusal above is not vacuous."""
    monkeypatch.chdir(tmp_path)
    Path(VICTIM).write_bytes(b"safe")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.load(io.BytesIO(tools.save(Overwrite())))
    assert Path(VICTIM).read_bytes() == b"AAAA"


def outcome(data: bytes) -> bytes | None:
    """The rewritten archive, or None where it is refused with one line; any other exception passes through."""
    try:
        return admit_bytes(data, "a.pt").archive
    except InputError as error:
        told = str(error)
    if "\n" in told or not told.isascii():
        raise AssertionError(told)
    return None


def test_flipped_bits_are_refused_or_change_nothing(tools) -> None:
    """150 single-bit mutations of two honest files: refused, or the rewritten archive is the same byte for byte."""
    generator = random.Random(0)
    refused = 0
    for data in (tools.plain, tools.frozen):
        reference = admit_bytes(data, "a.pt").archive
        for _ in range(75):
            changed = bytearray(data)
            changed[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
            archive = outcome(bytes(changed))
            refused += archive is None
            assert archive in (None, reference)
    print(f"{refused} of 150 refused, the others are equal")
    assert refused > 90


def test_random_damage_never_escapes(tools) -> None:
    """1000 mutations (bytes replaced, pieces cut, repeated): an InputError or an admission, nothing else, no hang."""
    generator = random.Random(1)
    for i in range(1000):
        data = bytearray(tools.frozen if i % 2 else tools.plain)
        a, b = sorted(generator.randrange(len(data)) for _ in range(2))
        piece = data[a : min(b, a + generator.randrange(1, 200))]
        action = generator.randrange(3)
        if action == 0:
            data[a : a + len(piece)] = generator.randbytes(len(piece))
        elif action == 1:
            del data[a : a + len(piece)]
        else:
            data[b:b] = piece
        outcome(bytes(data))


def test_damage_inside_members_never_escapes(tools) -> None:
    """600 mutations of pickles, code and card inside a valid container (the checksums do not help here)."""
    generator = random.Random(2)
    members = tools.unpack(tools.plain)
    targets = [m for m in members if m.endswith((".pkl", ".py", ".json")) and "debug" not in m]
    for i in range(600):
        name = targets[i % len(targets)]
        content = bytearray(members[name])
        for _ in range(generator.randrange(1, 4)):
            content[generator.randrange(len(content))] = generator.randrange(256)
        outcome(tools.pack({**members, name: bytes(content)}))
