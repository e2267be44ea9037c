"""Learned channels as channel classes: tables and flux laws from the card, weights files, folders of files."""

from __future__ import annotations

import math
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.errors import InputError
from calcium_sim.model import registry
from calcium_sim.networks.channel import resolve
from calcium_sim.networks.inputs import Columns, sample
from calcium_sim.networks.weights import read_weights
from calcium_sim.plugin import TorchGate

rng = np.random.default_rng(0)
FAST = {
    "arch": "mlp",
    "layers": [3, 8, 2],
    "act": "tanh",
    "skip": True,
    "out": "exp",
    "inputs": ["identity", "log10", "asinh"],
    "clip": [-20, 10],
}
ARRAYS = {
    "weight0": rng.normal(size=(8, 3)),
    "bias0": rng.normal(size=8),
    "weight1": rng.normal(size=(2, 8)),
    "bias1": rng.normal(size=2),
    "skip": rng.normal(size=(2, 3)),
    "mean": np.array([0.5, -0.3, 0.1]),
    "scale": np.array([0.3, 0.7, 2.0]),
    "gain": np.array([1.0, 1.0, 5.0]),
}
RATES = {
    "kind": "rates",
    "args": ["s", "x", "dx"],
    "inputs": {"ca@cytosol": ("uM", 0.02, 14, 60)},
    "states": {"P": "steady"},
    "licence": "MIT",
}
OPEN = {"kind": "open_prob", "licence": "MIT", "fast": {"arch": "mlp", "layers": [1, 1], "act": "tanh", "out": "sigmoid"}}
ONE = {"weight0": [[1.0]], "bias0": [0.0]}


def write(path: Path, **changes) -> Path:
    cs.save_weights(path, ARRAYS, **{"fast": FAST, "name": "ryr/dnn", "dtype": "float64", **RATES, **changes})
    return path


def test_weights_are_the_formula(tmp_path: Path) -> None:
    """exp(clip(W1 tanh(W0 z + b0) + b1 + S z)), z = (T(gain c) - mean)/scale, written out for one row; without importing torch."""
    gate = cs.load_channel(write(tmp_path / "a.npz")).gate
    row = Columns(np.array([[0.2]]), np.array([[0.9]]), np.array([[-3.0]]), None)
    z = (np.array([0.2, math.log10(0.9), math.asinh(-15.0)]) - ARRAYS["mean"]) / ARRAYS["scale"]
    a = ARRAYS
    expected = np.exp(a["weight1"] @ np.tanh(a["weight0"] @ z + a["bias0"]) + a["bias1"] + a["skip"] @ z)
    found = np.concatenate([o[0] for o in gate.evaluate(row)])
    print(found, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    columns = sample(gate.card, 500)
    whole = gate.evaluate(columns)
    part = gate.evaluate(columns.rows(100, 103, 3))
    assert all(w[100:103].tobytes() == p.tobytes() for w, p in zip(whole, part, strict=True))


def test_weights_files_are_reproducible(tmp_path: Path) -> None:
    """The same weights give the same bytes; numpy reads them without pickle."""
    a, b = write(tmp_path / "a.npz"), write(tmp_path / "b.npz")
    assert a.read_bytes() == b.read_bytes()
    with np.load(a, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["weight0"], ARRAYS["weight0"])
    assert read_weights(a).sha256 == read_weights(b).sha256


def test_class_from_a_card(tmp_path: Path) -> None:
    """Name, sides, ports, states, parameters and flux of the card; the open probability times k times the gradient."""
    cls = cs.load_channel(write(tmp_path / "a.npz", k=0.02))
    assert (cls.name, cls.across, cls.moves) == ("ryr/dnn", ("er", "cytosol"), {"ca": 1})
    assert cls.reads == {"ca_cytosol": "ca@cytosol", "d_ca_cytosol": "d(ca@cytosol)", "ca_er": "ca@er"}
    assert cls.state_table()["P"] == (0.0, 0.0, 1.0)
    y, x = SimpleNamespace(P=0.25), SimpleNamespace(ca_cytosol=0.5, ca_er=250.5)
    assert cls.flux(y, x, SimpleNamespace(density=3.0, k=0.02)) == pytest.approx(3.0 * 0.02 * 0.25 * 250.0)
    assert cls.open_probability(y, x, None) == 0.25
    with pytest.raises(InputError, match="has no default"):
        cls()
    assert cls(density="3 /um^2").values == {"density": 3.0, "k": 0.02}
    from calcium_sim.compile.embed import embed

    sources: dict[str, str] = {}
    assert "(x.ca_er - x.ca_cytosol)" in sources[embed(cls.flux, sources, "test")]


def test_flux_laws(tmp_path: Path) -> None:
    """Ohmic: 1 uA/cm^2 inward of a divalent ion is 1e4/(2 F) uM um/ms. GHK: k (c_out - c) at 0 mV, zero at the Nernst potential."""
    common = {"inputs": {"v": ("mV", -100, 60)}, "across": ("outside", "cytosol"), **OPEN}
    cs.save_weights(tmp_path / "ohmic.npz", ONE, flux="ohmic", g=0.5, e_rev=120.0, **common)
    ohmic = cs.load_channel(tmp_path / "ohmic.npz")
    p = SimpleNamespace(density=1.0, g=0.5, e_rev=120.0)
    flux = ohmic.flux(SimpleNamespace(po=0.5), SimpleNamespace(v=-80.0), p)
    assert flux == pytest.approx(0.5 * 0.5 * 200.0 * 1e4 / (2 * 96485.0))
    cs.save_weights(tmp_path / "ghk.npz", ONE, flux="ghk", k=2.0, unit="um/ms", **common)
    ghk = cs.load_channel(tmp_path / "ghk.npz")
    p = SimpleNamespace(density=1.0, k=2.0, temperature=310.0)
    nernst = 8314.0 * 310.0 / (2 * 96485.0) * math.log(1000.0 / 0.1)
    values = [
        ghk.flux(SimpleNamespace(po=0.5), SimpleNamespace(v=v, ca_outside=1000.0, ca_cytosol=0.1), p) for v in (0.0, nernst, -70.0, 2e-4)
    ]
    print(values)
    assert values[0] == pytest.approx(0.5 * 2.0 * 999.9)
    assert abs(values[1]) < 1e-10
    assert values[2] > values[0]
    assert values[3] == pytest.approx(values[0], rel=1e-4)


@pytest.mark.parametrize("sides", [("er", "cytosol"), ("outside", "er"), ("cytosol", "mitochondria")])
@pytest.mark.parametrize("law", [{"flux": "ohmic", "g": 0.5, "e_rev": 120.0}, {"flux": "ghk", "k": 2.0}], ids=lambda law: law["flux"])
def test_laws_of_the_plasma_potential_belong_to_the_plasma_membrane(tmp_path: Path, sides, law) -> None:
    """A channel of another membrane would be driven by a potential that is not its own."""
    with pytest.raises(
        InputError, match=r"driven by the potential of the plasma membrane.*expected 'outside' and 'cytosol' \(use law 'linear'\)"
    ):
        cs.save_weights(tmp_path / "a.npz", ONE, inputs={"v": ("mV", -100, 60)}, across=sides, **law, **OPEN)


def test_bad_weights_files(tmp_path: Path) -> None:
    """Missing, unknown, misshapen, pickled or infinite arrays, and a card without an architecture: one line each."""
    for change, message in (
        ({"weight0": None}, "weight0: is missing"),
        ({"other": np.zeros(3)}, "other: is not part of the declared architecture"),
        ({"bias1": np.zeros(3)}, r"shape \[3\], expected numbers \[2\]"),
        ({"bias1": np.array([1.0, np.nan])}, "not finite"),
        ({"scale": np.zeros(3)}, "has a zero"),
        ({"bias1": np.array([None, 1])}, "expected numbers"),
    ):
        arrays = {k: v for k, v in {**ARRAYS, **change}.items() if v is not None}
        with pytest.raises(InputError, match=message):
            cs.save_weights(tmp_path / "bad.npz", arrays, fast=FAST, **RATES)
    assert not list(tmp_path.iterdir())
    good = write(tmp_path / "good.npz")
    with zipfile.ZipFile(good) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, weight0=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError):
        cs.load_channel(pickled)
    header = members["weight0.npy"]
    for name, content, message in (
        ("weight0.npy", header[:-8], "do not make shape"),
        ("weight0.npy", header.replace(b"<f8", b"|O8"), "expected little-endian floats"),
        ("weight0.npy", header.replace(b"(8, 3)", b"(8,-3)"), "do not make shape"),
        ("weight0.npy", header.replace(b"(8, 3)", b"exit()"), "is not a plain array"),
        ("weight0.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f", "is not a plain array"),
        ("evil.pkl", b"x", "has no place"),
        ("channel.json", b"{}", "format: is missing"),
    ):
        from calcium_sim.admission.archive import write_archive

        bad = tmp_path / "bad.npz"
        bad.write_bytes(write_archive({**members, name: content}))
        with pytest.raises(InputError, match=message) as told:
            cs.load_channel(bad)
        assert "\n" not in str(told.value)


def test_damaged_weights_files(tmp_path: Path) -> None:
    """150 flipped bits: refused, or the same network."""
    good = write(tmp_path / "good.npz")
    data, reference = good.read_bytes(), read_weights(good)
    refused = 0
    for _ in range(150):
        changed = bytearray(data)
        changed[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        good.write_bytes(changed)
        try:
            found = read_weights(good)
        except InputError:
            refused += 1
        else:
            assert found.card == reference.card
            assert all(found.arrays[k].tobytes() == v.tobytes() for k, v in reference.arrays.items())
    print(f"{refused} of 150 refused")
    assert refused > 75


def test_folder_of_channels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are known by the names on their cards; two files with one name are an error that names both; a broken one is left out."""
    monkeypatch.setattr(registry, "_in_folder", {})
    write(tmp_path / "a.npz", name="test/in-folder")
    (tmp_path / "broken.pt").write_bytes(b"no")
    with pytest.warns(UserWarning, match=r"broken\.pt: refused: is not a zip archive.*left out"):
        assert cs.add_channel_folder(tmp_path) == ["test/in-folder"]
    assert "test/in-folder" in cs.list_channels()
    assert cs.get_channel("test/in-folder") is cs.get_channel("test/in-folder")
    assert registry.owner("test/in-folder").endswith("a.npz")
    write(tmp_path / "b.npz", name="test/in-folder")
    (tmp_path / "broken.pt").unlink()
    cs.add_channel_folder(tmp_path)
    with pytest.raises(InputError, match=r"claimed by .*a\.npz and by .*b\.npz"):
        cs.get_channel("test/in-folder")
    with pytest.raises(InputError, match="is not a folder"):
        cs.add_channel_folder(tmp_path / "none")


def test_gate_named_in_a_class(tmp_path: Path) -> None:
    """TorchGate in a user's class: ports and states are compared with the card."""
    cs.save_weights(tmp_path / "po.npz", ONE, inputs={"ca@cytosol": ("uM", 0.01, 5)}, **OPEN)

    class Mine(cs.Channel):
        across = ("er", "cytosol")
        reads = {"ca": "ca@cytosol", "ca_er": "ca@er"}
        states = {"po": 0.0}
        params = {"rate": (0.1, "um/ms")}
        gate = TorchGate(str(tmp_path / "po.npz"), inputs=("ca",), outputs=("po",))

        @staticmethod
        def flux(y, x, p):
            return p.rate * y.po * (x.ca_er - x.ca)

    class Wrong(Mine):
        gate = TorchGate(str(tmp_path / "po.npz"), inputs=("ca_er",), outputs=("po",))

    gate = resolve(Mine)
    assert gate is not None
    assert (gate.inputs, gate.outputs, gate.kind, gate.format) == (("ca",), ("po",), "open_prob", "weights")
    assert resolve(Mine) is gate
    with pytest.raises(InputError, match=r"the card of po\.npz reads \['ca@cytosol'\]"):
        resolve(Wrong)


@pytest.mark.parametrize(
    ("name", "message"), [("none.pt", "does not exist"), ("", "is a directory"), ("a.pt2", "torch.export files"), ("a.pt", "zip")]
)
def test_what_is_no_file(name: str, message: str, tmp_path: Path) -> None:
    """Missing, a folder, another format, text: said in one line."""
    for ending in ("a.pt", "a.pt2"):
        (tmp_path / ending).write_text("text")
    with pytest.raises(InputError, match=message):
        cs.load_channel(tmp_path / name)


def test_reading_weights_does_not_import_torch(tmp_path: Path) -> None:
    """In a fresh process."""
    import subprocess

    write(tmp_path / "a.npz")
    text = "import sys, calcium_sim as cs; cs.load_channel('a.npz'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
