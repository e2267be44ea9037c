"""Tables of gates from files, the command that fits them, and what it refuses."""

import numpy as np
import pytest
from typer.testing import CliRunner

import calcium_sim as cs
from calcium_sim.app.cli import app
from calcium_sim.errors import InputError
from calcium_sim.learn.voltage_gates.tables import read_tables

V = np.arange(-100.0, 61.0, 4.0)
STEADY, SLOW = 1.0 / (1.0 + np.exp(-(V + 40.0) / 6.0)), 0.5 + 4.0 * np.exp(-(((V + 45.0) / 25.0) ** 2))


def text(head="v,n_inf,n_tau", rows=None, mark=","):
    rows = np.stack([V, STEADY, SLOW], axis=1) if rows is None else rows
    return "\n".join(["# recorded at 22 C", head.replace(",", mark), *(mark.join(f"{x:.9g}" for x in row) for row in rows)])


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_columns_of_text(tmp_path, mark):
    path = tmp_path / "k.csv"
    path.write_text(text(mark=mark), encoding="utf-8-sig")
    found = read_tables(path)
    assert found.names == ("n",)
    np.testing.assert_allclose(found.v, V)
    np.testing.assert_allclose(found.xinf[0], STEADY, rtol=1e-8)
    np.testing.assert_allclose(found.tau[0], SLOW, rtol=1e-8)


def test_arrays(tmp_path):
    np.savez(tmp_path / "k.npz", V=V, xinf=np.stack([STEADY, 1.0 - STEADY]), tau=np.stack([SLOW, SLOW]), other=["x"])
    found = read_tables(tmp_path / "k.npz")
    assert found.names == ("g0", "g1")
    assert found.xinf.shape == (2, len(V))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("a,b,c\n1,2,3", "has the columns 'a, b, c', expected v"),
        ("v,n_inf\n1,2", "has the columns"),
        ("v,n_inf,n_tau\n1,2", "line 2 has 2 columns, the first has 3"),
        ("v,n_inf,n_tau\n1,2,3\n\n1,x,3", "line 4: 'x' is no number"),
        (b"\xff\xfe", "is no UTF-8 text"),
    ],
)
def test_what_is_no_table_is_told(tmp_path, content, told):
    path = tmp_path / "k.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=told):
        read_tables(path)


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"no archive"])
def test_damaged_arrays_are_told(tmp_path, content):
    (tmp_path / "k.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"k.npz: cannot be read"):
        read_tables(tmp_path / "k.npz")
    np.savez_compressed(tmp_path / "k.npz", v=np.zeros(9_000_000), xinf=V, tau=V)
    with pytest.raises(InputError, match="unpacks to more than 64 MiB"):
        read_tables(tmp_path / "k.npz")
    np.savez(tmp_path / "k.npz", v=V, xinf=np.array([{}], object), tau=SLOW)
    with pytest.raises(InputError, match=r"cannot be read|has no numbers"):
        read_tables(tmp_path / "k.npz")


def test_the_command_writes_a_channel_that_runs(tmp_path):
    """Clamped to 0 mV the channel carries g n^2 (v - e): n by its closed form."""
    (tmp_path / "k.csv").write_text(text())
    channel, picture = tmp_path / "mine.pt", tmp_path / "fit.png"
    card = ["--gate", "n=2", "--moves", "k=1", "--g", "0.02 S/cm^2", "--reversal", "-77 mV", "--licence", "MIT"]
    done = CliRunner().invoke(app, ["fit", "gates", str(tmp_path / "k.csv"), "-o", str(channel), "--picture", str(picture), *card])
    assert done.exit_code == 0, done.output
    assert "steady value off by" in done.output
    assert picture.stat().st_size > 10_000
    made = cs.get_channel(str(channel))()
    mesh = cs.meshes.well_mixed({"cytosol": "500 um^3"}, {"plasma": (("cytosol", "outside"), "400 um^2")})
    hold = cs.VoltageClamp(None, [("0 ms", "-70 mV"), ("1 ms", "-70 mV"), ("1 ms", "0 mV")], "0.01 Mohm")
    model = cs.Model(mesh, [], {"plasma": [made]}, stimuli=[hold], voltage=cs.Cable(initial="-70 mV"))
    ds = cs.simulate(model, "4 ms", "1 ms", tolerance=1e-5)
    n0, n1, slow = (np.interp(v, V, c) for v, c in ((-70.0, STEADY), (0.0, STEADY), (0.0, SLOW)))
    n = n1 + (n0 - n1) * np.exp(-3.0 / slow)
    po = next(v for name, v in ds.items() if name.startswith("po_"))
    assert float(po[-1, 0]) == pytest.approx(n**2, rel=2e-3)


def test_the_command_tells_what_is_missing(tmp_path):
    (tmp_path / "k.csv").write_text(text())
    for given, told in (
        (["-o", "k.npz"], "expected a name that ends in .pt"),
        (["-o", str(tmp_path / "no" / "k.pt")], "its folder is not there"),
        (["-o", str(tmp_path / "k.pt"), "--gate", "q=4"], "'q' is not in"),
        (["-o", str(tmp_path / "k.pt"), "--gate", "n"], "'n' is no name and whole number"),
        (["-o", str(tmp_path / "k.pt"), "--g", "3 mV"], "--g"),
    ):
        done = CliRunner().invoke(app, ["fit", "gates", str(tmp_path / "k.csv"), *given])
        assert isinstance(done.exception, InputError), given
        assert told in str(done.exception), (given, str(done.exception))
    assert not (tmp_path / "k.pt").exists()
