"""How far a cell is from rest at the start, as `calcium-sim check` tells it."""

import pytest

import calcium_sim as cs
from calcium_sim.app.inspection import check_file
from calcium_sim.app.template import template
from calcium_sim.meshes import neurite
from calcium_sim.plan.lower import lower
from calcium_sim.presets import breit_queisser, neymotin
from calcium_sim.run.drift import drifts


def test_a_balanced_cell_is_at_rest():
    for dims in (1, 2):
        model = breit_queisser(neurite("2 um", "0.3 um", "0.1 um", spacing="0.5 um", dims=dims))
        assert [d.moves for d in drifts(lower(model))] == [False, False]


def test_the_rate_at_the_start_is_that_of_a_run():
    """Of a cell that is not at rest: -1.28 % per ms in the cytosol, as 1 us of a run has it."""
    mesh = neurite("4 um", "0.5 um", er_fraction=0.17, er_area_per_length="1 um^2/um", spacing="1 um")
    model = neymotin(mesh, hot_spots=False, stimulus=False)
    sim = cs.Simulation(model, tolerance=1e-8)
    sim.advance(1e-3)
    for d in drifts(lower(model)):
        assert d.rate / d.rest == pytest.approx((sim.concentration(d.name, d.region)[0] / d.rest - 1) / 1e-3, abs=2e-5), d
    assert [d.moves for d in drifts(lower(model))] == [True, True, False]


def test_a_species_that_decays_towards_another_value_moves():
    """-0.1 per ms (0.5 - 0.2) uM = -0.03 uM/ms, 6 % of 0.5 uM."""
    ip3 = cs.Species("ip3", {"cytosol": "1 um^2/s"}, {"cytosol": "0.5 uM"}, decay="0.1 /ms", rest={"cytosol": "0.2 uM"})
    ca = cs.Species("ca", {"er": "1 um^2/s"}, {"er": "250 uM"})
    found, _ = drifts(lower(cs.Model(neurite("1 um", "0.2 um", "0.1 um", spacing="0.5 um"), [ip3, ca])))
    assert found.rate == pytest.approx(-0.03, rel=1e-12)
    assert str(found) == "ip3 in cytosol -6 %/ms of 0.5 uM"


@pytest.mark.filterwarnings("ignore")
def test_check_tells_how_far_a_cell_is_from_rest(tmp_path):
    """Without a balance of the pump calcium leaves the cytosol; what it loses and the ER gains is in the line."""
    path = tmp_path / "wave.toml"
    path.write_text(template())
    lines = list(check_file(path))
    assert "rest      ca in cytosol at rest (0.05 uM); ca in er at rest (250 uM)" in lines
    assert not [line for line in lines if line.startswith("warning")]
    path.write_text(template().replace('density = "balance"', 'density = "2000 1/um^2"', 1))
    told = [line for line in check_file(path) if line.startswith("warning   not at rest at the start")]
    assert len(told) == 1
    assert "ca in cytosol -" in told[0]
    assert "ca in er +" in told[0]


@pytest.mark.filterwarnings("ignore")
def test_start_values_of_states_are_named_as_what_may_open_channels(tmp_path):
    path = tmp_path / "wave.toml"
    path.write_text(template().replace('density = "1 /um^2"', 'density = "1 /um^2"\ninitial = { c1 = 0.9 }', 1))
    (told,) = [line for line in check_file(path) if line.startswith("warning   not at rest at the start")]
    assert "(initial= of membranes.er.ryr/keizer-levine may start channels open; left out, states start at rest; density or" in told


def test_the_potential_is_told_and_is_no_fault():
    """A leak of 0.3 mS/cm^2, 10 mV from its reversal, at 1 uF/cm^2: 3 mV/ms."""
    leak = cs.get_channel("leak/ohmic")(g="0.3 mS/cm^2", e="-55 mV")
    model = cs.Model(neurite("1 um", "0.2 um", spacing="0.5 um"), [], {"plasma": [leak]}, voltage=cs.Cable(initial="-65 mV"))
    (found,) = drifts(lower(model))
    assert found.rate == pytest.approx(3.0, rel=1e-12)
    assert str(found) == "v -65 mV, +3 mV/ms at first"
    assert not found.moves
