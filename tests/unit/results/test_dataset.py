"""The Dataset: names, coordinates, and a file that gives back every bit."""

import json
import os

import numpy as np
import pytest
import xarray as xr

import calcium_sim as cs
from calcium_sim import units
from calcium_sim.app.bench import coaxial
from calcium_sim.description.names import assign
from calcium_sim.run.limits import result_bytes


def test_names_and_units(cable):
    assert cable.ca.dims == ("time", "node")
    assert cable.ca.attrs["units"] == "umol L-1"
    assert cable.time.attrs["units"] == "ms"
    assert cable.sizes["node"] == 400
    assert cable.sizes["pair_er"] == 200
    assert cable.attrs["Conventions"] == "CF-1.11 UGRID-1.0"
    assert json.loads(cable.attrs["model"])["buffers"][0]["total"] == 160.0
    assert list(json.loads(cable.attrs["channels"])) == ["Release"]
    assert cable.mesh.attrs["cf_role"] == "mesh_topology"
    assert cable.edge_nodes.shape == (398, 2)


def test_a_region_is_selected_by_name(cable):
    cytosol = cable.ca.sel(region="cytosol")
    assert cytosol.shape == (201, 200)
    np.testing.assert_array_equal(cytosol.values, cable.ca.values[:, :200])


def test_fields_are_nan_where_they_do_not_live(cable):
    assert np.isnan(cable.calbindin.sel(region="er").values).all()
    assert np.isfinite(cable.calbindin.sel(region="cytosol").values).all()


def test_extracellular_side_is_minus_one(cable):
    assert (cable.node_outside_plasma.values == -1).all()
    np.testing.assert_array_equal(cable.node_outside_er.values, np.arange(200))


def test_round_trip_is_lossless(cable, tmp_path):
    back = cs.open(cs.save(cable, tmp_path / "wave.nc"))
    xr.testing.assert_identical(back, cable)
    for name in cable.variables:
        assert back[name].dtype == cable[name].dtype, name
        if cable[name].dtype.kind == "f":
            np.testing.assert_array_equal(back[name].values.view(np.int64), cable[name].values.view(np.int64), err_msg=str(name))
    assert back.ca.sel(region="er").shape == (201, 200)


def test_the_file_is_checksummed_and_leaves_no_temporary_file(cable, tmp_path):
    import netCDF4

    cs.save(cable, tmp_path / "wave.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["wave.nc"]
    with netCDF4.Dataset(tmp_path / "wave.nc") as file:
        assert file["ca"].filters()["fletcher32"]
        assert file["ca"].filters()["zlib"]
        assert np.isnan(file["ca"]._FillValue)


def test_plain_xarray_opens_the_file(cable, tmp_path):
    cs.save(cable, tmp_path / "wave.nc")
    with xr.open_dataset(tmp_path / "wave.nc") as plain:
        assert plain.time.dtype == float
        er = plain.ca.where(plain.region == "er", drop=True)
        np.testing.assert_array_equal(er.values, cable.ca.sel(region="er").values)


def test_a_damaged_file_is_refused(cable, tmp_path):
    path = cs.save(cable, tmp_path / "wave.nc")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(cs.StorageError, match="damaged"):
        cs.open(path)


def test_what_is_no_result_is_refused(tmp_path):
    with pytest.raises(cs.InputError, match="no such file"):
        cs.open(tmp_path / "none.nc")
    with pytest.raises(cs.InputError, match="is a directory"):
        cs.open(tmp_path)
    (tmp_path / "text.nc").write_text("hello")
    with pytest.raises(cs.InputError, match="not a netCDF-4 file"):
        cs.open(tmp_path / "text.nc")
    xr.Dataset({"a": ("b", [1.0])}).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(cs.InputError, match="no result of calcium-sim"):
        cs.open(tmp_path / "other.nc")


def test_a_folder_that_is_missing_or_read_only_is_a_storage_error(cable, tmp_path):
    with pytest.raises(cs.StorageError, match="cannot be written"):
        cs.save(cable, tmp_path / "missing" / "wave.nc")
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(cs.StorageError, match="cannot be written"):
            cs.save(cable, tmp_path / "locked" / "wave.nc")


def test_one_label_on_two_membranes_keeps_both():
    def ends(channels):
        return list(assign(["ca"], [], ["cytosol", "er"], channels).channels.values())

    assert ends({"er": ["leak/linear", "ryr/dnn"], "plasma": ["leak/linear"]}) == ["leak_linear_er", "ryr_dnn", "leak_linear_plasma"]
    assert ends({"er": ["leak/linear", "leak/linear"], "plasma": []}) == ["leak_linear_1", "leak_linear_2"]
    assert ends({"er": ["a-b", "a_b"], "plasma": []}) == ["a_b_er", "a_b_er_2"]


def test_the_size_that_is_told_before_a_run_is_that_of_its_result():
    """Within 2 % of the Dataset: `calcium-sim check` and the refusal of what does not fit go by it."""
    model = coaxial(20.0, 0.1)
    ds = cs.simulate(model, until="2 ms", every="0.01 ms")
    assert result_bytes(model, 2.0, 0.01) == pytest.approx(ds.nbytes, rel=0.02)


def test_one_name_to_record_and_times_as_quantities():
    """What people write first."""
    model = coaxial(5.0, 0.1)
    ds = cs.simulate(model, until="1 ms", every="0.5 ms", record="ca")
    assert [name for name in ds if "time" in ds[name].dims] == ["ca", "ledger_ca"]
    sim = cs.Simulation(model)
    for end in (0.5 * units.ms, "1 ms", 1.5):
        sim.advance(end)
    assert sim.t == 1.5
