"""Voltage-clamp recordings from arrays and files, and what is no recording, option or gate."""

import numpy as np
import pytest
import xarray as xr

import calcium_sim as cs
from calcium_sim.learn import ClampGate, ClampRecording, fit_clamp
from calcium_sim.learn.clamp.recording import recording_of, recordings_of

E_K = -88.4


def test_what_follows_a_jump_is_left_out():
    """As in the recordings of cell 1: the ten samples of 0.5 ms after a step, none after a ramp."""
    t = np.arange(0.25, 100.0, 0.5)
    v = np.where(t > 50, 20.0, -80.0)
    assert list(np.flatnonzero(~ClampRecording.of(t, v, t).used)) == list(range(100, 110))
    assert ClampRecording.of(t, -80 + t, t).used.all()
    assert ClampRecording.of(t, v, t, after=1.0).used.sum() == len(t) - 2


def test_sweeps_of_a_file(tmp_path):
    t = np.arange(0.0, 100.0, 0.5)
    v = np.array([[-80.0], [20.0]]) * np.ones(len(t))
    data = xr.Dataset({"V": (("sweep", "time"), v), "I": (("sweep", "time"), 0.1 * v, {"units": "pA"})}, {"time": t})
    data.to_netcdf(tmp_path / "two.nc")
    first, second = recordings_of(tmp_path / "two.nc")
    assert (first.name, second.name) == ("two.nc[0]", "two.nc[1]")
    np.testing.assert_allclose(second.current, 2e-3)
    np.savetxt(tmp_path / "one.csv", np.stack([t, v[0], v[1]], axis=1), delimiter=",", header="t,v,i", comments="")
    np.testing.assert_allclose(recording_of(tmp_path / "one.csv", "pA").current, 0.02)
    with pytest.raises(cs.InputError, match=r"two.nc\[0\]: the first of 2 sweeps"):
        recording_of(tmp_path / "two.nc")


T = np.arange(0.0, 100.0, 0.5)
V = np.where(T > 50, 20.0, -80.0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((T, V, T[:-1]), r"recordings\[0\]: has 200 times, 200 potentials and 199 currents"),
        ((T[::-1], V, T), "does not ascend"),
        ((T, V, np.full(len(T), np.nan)), "0 currents are left, expected at least 50"),
        ((T, np.where(T < 20, np.nan, V), T), r"40 of 200 potentials are not finite \(give the command"),
        ((T[:20], V[:20], T[:20]), "has 20 samples, expected 50 to"),
        ((T, 0 * V, T), "the command goes from 0 to 0 mV"),
        ((T, V, 0 * T), "all currents are 0"),
        ({"t": T, "v": V}, "has no I, there are t, v"),
        (xr.Dataset({"V": ("time", V)}, {"time": T}), "has no I, there are"),
        (xr.Dataset({"V": ("time", V), "I": ("time", T, {"units": "mm"})}, {"time": T}), "is in 'mm', expected one of nA, pA"),
        (3.0, "3.0 are no recordings, expected times"),
        ([], "are no recordings"),
        (["nowhere.nc"], "nowhere.nc: no such file"),
        ((T, V, list("a" * 200)), "are no numbers in nA"),
    ],
)
def test_recordings_are_checked(given, told):
    with pytest.raises(cs.InputError, match=told):
        fit_clamp(given, e_rev=E_K)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"gates": []}, r"gates: \[\], expected gates"),
        ({"gates": "mh"}, "gates: 'mh', expected gates"),
        ({"gates": [ClampGate("a"), ClampGate("a")]}, "are not all different"),
        ({"gates": [ClampGate("a", slow=True), ClampGate("a_slow")]}, "are not all different"),
        ({"e_rev": "3 mM"}, "e_rev"),
        ({"e_rev": np.nan}, "e_rev"),
        ({"freedom": 0}, "freedom: 0, expected a number above 0"),
        ({"after": "-1 ms"}, "after: '-1 ms', expected a time from 0"),
        ({"current_unit": "kA"}, "current_unit: 'kA', expected one of nA"),
    ],
)
def test_options_are_checked(change, told):
    with pytest.raises(cs.InputError, match=told):
        fit_clamp((T, V, T), **({"e_rev": E_K} | change))


@pytest.mark.parametrize(
    ("options", "told"), [({"name": "1"}, "no name of a gate"), ({"power": 9}, "power"), ({"slow": 1}, "True or False")]
)
def test_gates_are_checked(options, told):
    with pytest.raises(cs.InputError, match=told):
        ClampGate(**({"name": "m"} | options))
