"""Release of calcium on one-dimensional cells wider than 0.2 um is said before the run, with its share of the membrane; nothing else is."""

import math
import re
import warnings

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.app.demo import MODEL
from calcium_sim.app.inspection import check_file
from calcium_sim.app.template import template
from calcium_sim.config import build, parse
from calcium_sim.meshes import from_swc, neurite, well_mixed
from calcium_sim.plan.lower import lower
from calcium_sim.plan.validity import cell_radius, remarks
from calcium_sim.plugin import Channel, channel
from calcium_sim.presets import breit_queisser, neymotin

KNOWN = "one dimension averages over the cross-section"


def told(model):
    """What is said of a model, of which there is at most one line."""
    lines = remarks(lower(model))
    assert len(lines) <= 1, lines
    return lines[0] if lines else ""


def percent(line):
    """The share that a line tells."""
    return float(re.search(r"([\d.]+) %", line)[1])


def with_channels(mesh, *channels):
    """A cell with an ER and these channels on its membrane."""
    calcium = cs.Species("ca", {"cytosol": "220 um^2/s", "er": "220 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM", "outside": "1000 uM"})
    ip3 = cs.Species("ip3", {"cytosol": "1415 um^2/s"}, {"cytosol": "0 uM"})
    return cs.Model(mesh, species=[calcium, ip3], membranes={"er": channels})


def wide(radius="0.4 um", **options):
    return neurite("2 um", radius, "0.1 um", "0.1 um", **options)


def test_the_radius_is_that_of_the_cell(tmp_path):
    """Cables exactly; a cone of 1 to 0.5 um cut at 2 um: 2 volume/area of each slice, within 0.1 % of the mean radius there."""
    assert cell_radius(wide()) == pytest.approx(np.full(20, 0.4), rel=1e-12)
    path = tmp_path / "cone.swc"
    path.write_text("1 1 0 0 0 1 -1\n2 1 20 0 0 0.5 1\n")
    mesh = from_swc(path, "2 um")
    middle = np.array([0.5, *range(2, 20, 2), 19.5])
    assert cell_radius(mesh) == pytest.approx(1 - 0.025 * middle, rel=1e-3)
    assert cell_radius(wide(dims=2)) is None
    assert cell_radius(well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "1 um^2")})) is None


@pytest.mark.parametrize("fraction", [0.17, 0.25])
def test_the_share_of_the_membrane_is_right(tmp_path, fraction):
    """Dendrites of 30 um and R 0.5 um, 70 um and R 0.15 um: the ER's area is as radius times length, so 15/25.5 = 58.8 % is too wide.

    The volume at the border, with the half um beyond and the ring between, belongs to the wider part (0.4 %).
    """
    path = tmp_path / "cell.swc"
    path.write_text("1 3 0 0 0 0.5 -1\n2 3 30 0 0 0.5 1\n3 4 30.0001 0 0 0.15 2\n4 4 100 0 0 0.15 3\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mesh = from_swc(path, "1 um", fraction)
    ryr = cs.get_channel("ryr/keizer-levine")
    line = told(with_channels(mesh, ryr(density="1 /um^2")))
    assert line.startswith("membranes.er: ")
    assert "% of its area has ryr/keizer-levine where" in line
    assert "(up to 0.5 um)" in line
    assert percent(line) == pytest.approx(59.2, abs=0.1)
    thin = ryr(density="1 /um^2", at=cs.within("31 um", "100 um"))
    assert told(with_channels(mesh, thin)) == ""
    # 20 of the 30 um, from the middle of one node to that of another
    line = told(with_channels(mesh, thin, cs.get_channel("ip3r/li-rinzel")(at=cs.within("0 um", "19.9 um"))))
    assert "% of its area has ryr/keizer-levine and ip3r/li-rinzel where" in line
    assert percent(line) == pytest.approx(100 * 0.5 * 19.5 / 25.5, abs=0.3)


def test_on_a_tree_the_fix_is_a_place(tmp_path):
    """There is no (z, r) grid of a cell that branches."""
    path = tmp_path / "cell.swc"
    path.write_text("1 3 0 0 0 0.5 -1\n2 3 30 0 0 0.5 1\n3 3 60 0 0 0.5 2\n4 3 30 30 0 0.5 2\n")
    ryr = cs.get_channel("ryr/keizer-levine")(density="1 /um^2")
    fix = "restrict them to thin parts with at=, as the demo does)"
    assert told(with_channels(from_swc(path, "1 um"), ryr)).endswith(f"or fail ({fix}")
    assert told(with_channels(wide(), ryr)).endswith(f"or fail (for a neurite take dims=2, else {fix}")


RELEASES = [name for name in cs.list_channels() if cs.get_channel(name).across == ("er", "cytosol")]


@pytest.mark.parametrize("name", RELEASES)
def test_every_receptor_counts(name):
    """All registered channels from the ER to the cytosol, ODE or network, with states or without: opened by the calcium they release."""
    cls = cs.get_channel(name)
    given = {n: f"1 {p.unit}" for n, p in cls.parameter_table().items() if p.default is None}
    assert KNOWN in told(with_channels(wide(), cls(**given)))
    assert told(with_channels(wide("0.2 um"), cls(**given))) == ""


@channel("test/plain-release")
class PlainRelease(Channel):
    """A receptor in its shortest form: no states, no open probability."""

    source = "none"
    across = ("from", "to")
    reads = {"ca": "ca@to", "ca_er": "ca@from"}
    params = {"permeability": (0.1, "um/ms", (0.0, 10.0))}

    @staticmethod
    def flux(y, x, p):
        return p.permeability * x.ca**4 / (1.0 + x.ca**4) * (x.ca_er - x.ca)


@channel("test/backward-release")
class BackwardRelease(PlainRelease):
    """The same, written from the cytosol to the ER."""

    across = ("cytosol", "er")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er"}
    moves = {"ca": -1}


@channel("test/negative-release")
class NegativeRelease(PlainRelease):
    """The same with a flux that is negative instead."""

    across = ("cytosol", "er")
    reads = {"ca": "ca@cytosol", "ca_er": "ca@er"}

    @staticmethod
    def flux(y, x, p):
        return -p.permeability * x.ca**4 / (1.0 + x.ca**4) * (x.ca_er - x.ca)


@channel("test/negative-gates")
class NegativeGates(NegativeRelease):
    """The same with a gate."""

    reads = {"ca": "ca@from", "ca_er": "ca@er"}
    states = {"h": 0.0}

    @staticmethod
    def rates(y, x, p):
        return (x.ca * (1.0 - y.h) - y.h,)

    @staticmethod
    def flux(y, x, p):
        return -p.permeability * y.h * (x.ca_er - x.ca)


@channel("test/negative-leak")
class NegativeLeak(NegativeRelease):
    """No receptor: more calcium on the side that it feeds makes it smaller."""

    @staticmethod
    def flux(y, x, p):
        return -p.permeability * (x.ca_er - x.ca)


@channel("test/negative-pump")
class NegativePump(NegativeRelease):
    """No receptor: a pump into the ER, written from there; it takes more where there is more."""

    across = ("er", "cytosol")

    @staticmethod
    def flux(y, x, p):
        return -p.permeability * x.ca**2 / (0.1 + x.ca**2)


@channel("test/gated-pump")
class GatedPump(NegativeGates):
    """No receptor: a pump with a gate that calcium in the cytosol opens."""

    across = ("er", "cytosol")
    reads = {"ca": "ca@cytosol"}

    @staticmethod
    def flux(y, x, p):
        return -p.permeability * y.h * x.ca


def test_receptors_of_a_users_own_count():
    for cls in (PlainRelease, BackwardRelease, NegativeRelease, NegativeGates):
        assert KNOWN in told(with_channels(wide(), cls())), cls
        assert told(with_channels(wide(), cls(permeability="0 um/ms"))) == ""


def test_what_is_no_receptor_does_not_count_whichever_way_it_is_written():
    for cls in (NegativeLeak, NegativePump, GatedPump):
        assert told(with_channels(wide(), cls())) == "", cls


def test_leaks_pumps_and_other_geometries_do_not():
    leak, serca = cs.get_channel("leak/linear"), cs.get_channel("serca/er-inhibited")
    ryr = cs.get_channel("ryr/keizer-levine")
    assert told(with_channels(wide(), leak(permeability="0.038 um/s"), serca(density=cs.BALANCE))) == ""
    assert told(with_channels(wide(), ryr(density="0 /um^2"))) == ""
    assert told(with_channels(wide(dims=2), ryr(density="1 /um^2"))) == ""
    point = well_mixed(
        {"cytosol": "1 um^3", "er": "0.2 um^3"}, {"er": (("er", "cytosol"), "2 um^2"), "plasma": (("cytosol", "outside"), "2 um^2")}
    )
    assert told(with_channels(point, ryr(density="1 /um^2"))) == ""
    soma = neurite("20 um", "5 um", spacing="1 um")
    species = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1000 uM"})
    model = cs.Model(soma, [species], membranes={"plasma": [cs.get_channel("vgcc/borg-graham-n")()]}, voltage="-70 mV")
    assert told(model) == ""


def test_a_run_says_so_once_and_keeps_it():
    """One warning when it starts, the line in the notes of the result; none for the same cell in (z, r)."""
    with pytest.warns(cs.ModelWarning, match=KNOWN) as caught:
        ds = cs.simulate(breit_queisser(wide()), until="1 ms", every="0.5 ms")
    assert len(caught) == 1
    assert ds.attrs["notes"].splitlines()[-1] == str(caught[0].message)
    assert "averaged" in ds.attrs["notes"].splitlines()[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = cs.simulate(breit_queisser(wide(dims=2)), until="0.1 ms", every="0.1 ms")
    assert KNOWN not in ds.attrs["notes"]
    mesh = neurite("20 um", "0.5 um", er_fraction=0.17, er_area_per_length="1 um^2/um", spacing="1 um")
    assert "100 % of its area has ip3r/neymotin" in told(neymotin(mesh))


def test_check_says_so(tmp_path):
    path = tmp_path / "wave.toml"
    path.write_text(template().replace('radius = "0.2 um"', 'radius = "0.3 um"'))
    said = [line for line in check_file(path) if KNOWN in line]
    assert len(said) == 1
    assert "100 % of its area" in said[0]
    path.write_text(template())
    assert not [line for line in check_file(path) if "warning" in line]
    swc = tmp_path / "cell.swc"
    swc.write_text("1 1 0 0 0 0.5 -1\n2 1 30 0 0 0.5 1\n3 3 30.0001 0 0 0.15 2\n4 3 100 0 0 0.15 3\n")
    (line,) = [line for line in check_file(swc) if line.startswith("radius")]
    assert "% of the membrane lies above 0.2 um" in line
    assert percent(line) == pytest.approx(100 * 15 / 25.5, abs=0.8)


@pytest.mark.parametrize("text", [template(), MODEL], ids=["template", "demo"])
def test_what_we_give_to_begin_with_is_within_the_range(text):
    model, _ = build(parse(text))
    assert told(model) == ""
    assert any(c.label() == "ryr/keizer-levine" for c in model.membranes["er"])
    assert math.isfinite(model.mesh.volume.sum())
