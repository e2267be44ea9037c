"""Files of recordings: units that a file tells, and files that hold none."""

import os

import numpy as np
import pytest
import xarray as xr

from calcium_sim.errors import InputError
from calcium_sim.learn import read_recording
from calcium_sim.learn.clamp.recording import recordings_of

T = np.arange(0.0, 40.0, 0.1)
V = -65.0 + 10.0 * np.sin(T)


@pytest.mark.parametrize(
    ("units", "factors"), [(("ms", "mV", "pA"), (1, 1, 1)), (("s", "V", "nA"), (1e-3, 1e-3, 1e-3)), ((None, None, None), (1, 1, 1))]
)
def test_units_that_a_file_tells_are_converted(tmp_path, units, factors):
    """A time in ms is no duration, and a potential in V is not a thousandth of one in mV."""
    told = [{} if unit is None else {"units": unit} for unit in units]
    t, v, i = (values * factor for values, factor in zip((T, V, 0.5 * V), factors, strict=True))
    xr.Dataset({"voltage": ("time", v, told[1]), "current": ("time", i, told[2])}, {"time": ("time", t, told[0])}).to_netcdf(
        tmp_path / "r.nc"
    )
    found = read_recording(tmp_path / "r.nc")
    np.testing.assert_allclose(found.time, T, rtol=1e-12)
    np.testing.assert_allclose(found.voltage, V, rtol=1e-12)
    np.testing.assert_allclose(found.current, 0.5 * V, rtol=1e-12)


def test_a_unit_that_is_not_known_is_told(tmp_path):
    xr.Dataset({"voltage": ("time", V, {"units": "degC"})}, {"time": T}).to_netcdf(tmp_path / "r.nc")
    with pytest.raises(InputError, match="voltage: is in 'degC', expected one of mV, V, uV"):
        read_recording(tmp_path / "r.nc")


@pytest.mark.parametrize("read", [read_recording, recordings_of])
def test_files_that_hold_no_recording(tmp_path, read):
    """One line each that ends, without the bytes of the file."""
    (tmp_path / "junk.nc").write_bytes(b"\x1b[31mno netCDF\x00" * 100)
    (tmp_path / "junk.csv").write_bytes(bytes(range(1, 256)) * 40)
    (tmp_path / "uneven.csv").write_text("t,v,i\n0,1,2\n1,2\n")
    (tmp_path / "word.csv").write_text("t,v,i\n0,1,2\n1,2,\x1b[31mx\n")
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "r.xls").write_bytes(b"")
    for name, told in (
        ("junk.nc", "cannot be read as netCDF"),
        ("junk.csv", "columns|is no number"),
        ("uneven.csv", "line 3 has 2 columns, the first has 3"),
        ("word.csv", r"line 3: .* is no number"),
        ("folder.csv", "is a directory"),
        ("pipe.csv", "is no regular file"),
        ("r.xls", "expected a recording in a file that ends in"),
        ("none.csv", "no such file"),
    ):
        with pytest.raises(InputError, match=told) as error:
            read(tmp_path / name)
        assert str(error.value).isprintable(), name
