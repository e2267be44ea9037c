"""Names of a result: all known when the model is made, all different, and no species lost."""

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.description.names import FIXED, KEYWORDS, assign, variable
from calcium_sim.meshes import neurite, well_mixed
from calcium_sim.presets import breit_queisser

POINT = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "1 um^2")})


def species(*names, region="cytosol"):
    return [cs.Species(n, {region: "0 um^2/s"}, {region: f"{k + 1} uM", "outside": "1 uM"}) for k, n in enumerate(names)]


def run(mesh, *names, region="cytosol", **parts):
    return cs.simulate(cs.Model(mesh, species(*names, region=region), **parts), until="1 ms", every="0.5 ms")


@pytest.mark.parametrize("name", [*sorted(FIXED | KEYWORDS), "", " ca", "ca@er", "d(ca)", "ca\n", "édge"])
def test_what_cannot_be_a_variable_is_refused_with_the_model(name):
    with pytest.raises(cs.InputError, match=r"(species|buffers)\..*(in every result|is no name)") as error:
        cs.Model(POINT, species(name))
    assert "\n" not in str(error.value)
    with pytest.raises(cs.InputError):
        cs.Model(POINT, species("ca"), buffers=[cs.Buffer(name, "ca", "cytosol", "1 uM", "1 /uM/s", "1 /s")])


@pytest.mark.parametrize(
    ("names", "variables"),
    [
        (("ca-1", "ca_1"), ("ca_1_2", "ca_1")),
        (("ca_1", "ca-1", "ca+1"), ("ca_1", "ca_1_2", "ca_1_3")),
        (("\N{GREEK SMALL LETTER ALPHA}", "β", "Ω"), ("alpha", "beta", "Omega")),
        (("Ca²⁺", "Ca2_"), ("Ca2__2", "Ca2_")),
        (("钙", "🙂", "ca/er"), ("u9499", "_", "ca_er")),
        (("ca", "ledger_ca", "ca_arrival", "ca_peak"), ("ca", "ledger_ca", "ca_arrival", "ca_peak")),
        (("pair_plasma", "flux_x", "area_plasma"), ("pair_plasma", "flux_x", "area_plasma")),
    ],
)
def test_every_species_is_in_the_result_and_in_the_file(names, variables, tmp_path):
    ds = cs.open(cs.save(run(POINT, *names), tmp_path / "names.nc"))
    for k, (name, key) in enumerate(zip(names, variables, strict=True)):
        assert ds[key].dims == ("time", "node")
        assert ds[key].attrs["model_name"] == name
        np.testing.assert_array_equal(ds[key].values, k + 1.0)
        assert float(cs.total_calcium(ds, name)[0]) == k + 1.0
        assert cs.arrival_times(ds, species=name).item() == 0.0
    ledgers = [v for v in ds.data_vars.values() if v.dims == ("time", "account")]
    assert sorted(v.attrs["long_name"] for v in ledgers) == sorted(f"ledger of {n}" for n in names)
    assert sum(v.attrs.get("noted") == "arrival" for v in ds.data_vars.values()) == len(names)


def test_regions_and_membranes_of_any_name_reach_the_file(tmp_path):
    """A slash is a folder in netCDF: names of variables, dimensions and attributes are written without."""
    regions = {"ER/smooth": "1 um^3", "ER-smooth": "1 um^3", "μ-domain": "2 um^3"}
    membranes = {"inner/outer": (("ER/smooth", "ER-smooth"), "1 um^2"), "inner-outer": (("ER/smooth", "μ-domain"), "1 um^2")}
    mesh = well_mixed(regions, membranes)
    ca = cs.Species("ca", dict.fromkeys(regions, "1 um^2/s"), {r: f"{k + 1} uM" for k, r in enumerate(regions)})
    leak = cs.get_channel("leak/linear")
    model = cs.Model(mesh, [ca], {name: [leak(permeability="0 um/s")] for name in membranes})
    ds = cs.open(cs.save(cs.simulate(model, "1 ms"), tmp_path / "names.nc"))
    for k, region in enumerate(regions):
        assert ds.ca.sel(region=region).values[0].tolist() == [k + 1.0]
    assert {d for d in ds.dims if d.startswith("pair_")} == {"pair_inner_outer", "pair_inner_outer_2"}
    assert {"flux_leak_linear_inner_outer", "flux_leak_linear_inner_outer_2"} <= set(ds.data_vars)
    assert len([a for a in ds.ca.attrs if a.startswith("diffusion_")]) == 3


@pytest.mark.parametrize("dims", [0, 1, 2])
def test_a_result_has_no_name_that_was_not_given_beforehand(dims):
    """`assign` knows every variable and dimension; what is not in it could clash with a species."""
    if dims:
        model = breit_queisser(neurite("1 um", "0.4 um", er_radius="0.15 um", spacing="0.25 um", dims=dims))
        model = cs.Model(model.mesh, model.species, model.membranes, model.buffers, model.stimuli, voltage="-70 mV")
    else:
        model = cs.Model(POINT, species("ca", "ip3"))
    names = model.names
    given = set(FIXED) | set(names.fields.values()) | {v for d in names.derived.values() for v in d.values()}
    given |= {f"{what}_{m}" for m in names.membranes.values() for what in ("pair", "node_inside", "node_outside", "area")}
    given |= {f"{what}_{end}" for end in names.channels.values() for what in ("flux", "po")}
    given |= {f"label_{end}" for end in names.labels.values()}
    ds = cs.simulate(model, "0.1 ms", "0.1 ms", threads=1)
    assert set(ds.variables) | set(ds.dims) <= given


def test_names_do_not_depend_on_what_is_recorded():
    two = {"plasma": [cs.get_channel("leak/linear")(permeability="0 um/s") for _ in range(2)]}
    whole = run(POINT, "ca", membranes=two)
    part = cs.simulate(cs.Model(POINT, species("ca"), two), "1 ms", record=["flux"])
    assert {v for v in part.data_vars if str(v).startswith("flux")} == {v for v in whole.data_vars if str(v).startswith("flux")}
    assert "ca" not in part
    assert part.ca_peak.item() == 1.0


def test_variable_is_what_a_file_and_python_can_name():
    assert [variable(n) for n in ("ryr/keizer-levine", "µ", "Δψ", "é")] == ["ryr_keizer_levine", "mu", "Deltapsi", "e"]
    names = assign(["a b", "a-b"], ["a_b"], ["r"], {})
    assert sorted(names.fields.values()) == ["a_b", "a_b_2", "a_b_3"]
    assert names.fields["a_b"] == "a_b"


def test_check_refuses_a_name_in_a_file(tmp_path):
    from calcium_sim.app.template import template
    from calcium_sim.config import load

    path = tmp_path / "wave.toml"
    path.write_text(template().replace('name = "calbindin"', 'name = "volume"'))
    with pytest.raises(cs.InputError, match=r"wave.toml: buffers.volume: 'volume' is the name of something in every result"):
        load(path)
