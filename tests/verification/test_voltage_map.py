"""A potential that differs from place to place: against a cable that solves for it, a table where it is the same everywhere, and LSODA."""

import warnings
from dataclasses import replace
from types import SimpleNamespace as Bundle

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.spatial import Delaunay

import calcium_sim as cs
from calcium_sim.config.config import load
from calcium_sim.errors import InputError, ModelWarning
from calcium_sim.meshes import from_simplices, neurite

CALCIUM = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1 mM"})
TIMES = np.linspace(0.0, 4.0, 161)
WAVE = -70.0 + 80.0 * np.exp(-(((TIMES[:, None] - 1.0 - np.array([0.0, 0.2, 0.5])[None]) / 0.4) ** 2))
POINTS = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [10.0, 0.0, 0.0]])


class Listener(cs.Channel):
    """Carries what its state says, which follows the potential and the rate of change of calcium; reads them in the flux, too."""

    name, source = "test/placed-listener", "none"
    across, moves = ("outside", "cytosol"), {"ca": 1}
    reads = {"v": "v", "ca": "ca@cytosol", "slope": "d(ca@cytosol)"}
    states = {"y": 0.0}

    @staticmethod
    def rates(y, x, p):
        return (0.02 * (x.v + 70.0) + 0.1 * x.slope - 0.5 * y.y,)

    @staticmethod
    def flux(y, x, p):
        return 0.05 * y.y + 1e-4 * (x.v + 70.0)


def quiet(model, *given, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cs.simulate(model, *given, **options)


def of(mesh, voltage, *channels, species=CALCIUM):
    return cs.Model(mesh, [species], {"plasma": list(channels)}, voltage=voltage)


def vgcc():
    return cs.get_channel("vgcc/borg-graham-n")(density="1 1/um^2")


def tets():
    """A bar of 10 x 1 x 1 um, slightly stirred so that no five points lie on a sphere."""
    x, y, z = np.meshgrid(np.linspace(0, 10, 25), [0.0, 0.5, 1.0], [0.0, 0.5, 1.0], indexing="ij")
    points = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
    inner = ((points > 0.0) & (points < [10.0, 1.0, 1.0])).all(axis=1)
    points[inner] += 0.02 * np.random.default_rng(0).standard_normal((inner.sum(), 3))
    cells = Delaunay(points).simplices
    edges = points[cells[:, 1:]] - points[cells[:, :1]]
    cells = cells[np.abs(np.linalg.det(edges)) > 1e-6]
    return from_simplices(points, cells, ["cytosol"] * len(cells))


MESHES = {
    "cable": lambda: neurite("10 um", "0.3 um", spacing="0.07 um"),
    "grid": lambda: neurite("10 um", "0.3 um", spacing="0.07 um", dims=2),
    "tets": tets,
}


@pytest.mark.parametrize("kind", MESHES)
@pytest.mark.parametrize("channels", [(vgcc,), (vgcc, Listener)], ids=["gates", "rates of change"])
def test_a_map_that_is_the_same_everywhere_is_a_table(kind, channels):
    mesh = MESHES[kind]()
    channels = [c() for c in channels]
    table = [(f"{t} ms", f"{v} mV") for t, v in zip(TIMES, WAVE[:, 0], strict=True)]
    found = [
        quiet(of(mesh, given, *channels), "4 ms", "0.5 ms", tolerance=1e-4).ca.values
        for given in (table, cs.VoltageMap(TIMES, POINTS, np.repeat(WAVE[:, :1], 3, axis=1)))
    ]
    assert np.nanmax(found[0]) > 0.2
    np.testing.assert_allclose(found[1], found[0], rtol=2e-4, atol=0)


@pytest.mark.parametrize("kind", MESHES)
def test_second_order(kind):
    """Fixed steps against steps of a sixteenth of the largest."""
    model = of(MESHES[kind](), cs.VoltageMap(TIMES, POINTS, WAVE), vgcc(), Listener())
    right = quiet(model, "2 ms", "1 ms", dt="0.0015625 ms").ca.values[-1]
    errors = [np.nanmax(np.abs(quiet(model, "2 ms", "1 ms", dt=f"{dt} ms").ca.values[-1] - right)) for dt in (0.025, 0.0125)]
    assert 1.8 < np.log2(errors[0] / errors[1]) < 2.4


def test_places_see_their_own_potential():
    """Without diffusion every position is a cell of its own: LSODA on the channel's functions, between positions of the map."""
    mesh = neurite("10 um", "0.3 um", spacing="0.07 um")
    channel = vgcc()
    still = replace(CALCIUM, diffusion={"cytosol": "0 um^2/s"})
    ds = quiet(of(mesh, cs.VoltageMap(TIMES, POINTS, WAVE), channel, species=still), "4 ms", "4 ms", tolerance=1e-4)
    got = ds.ca.sel(region="cytosol").values[-1]
    p = Bundle(**channel.values)
    for k in (0, 30, 77, 100, 142):
        x = mesh.position[k, 0]

        def potential(t, x=x):
            return np.interp(x, POINTS[:, 0], [np.interp(t, TIMES, WAVE[:, j]) for j in range(3)])

        def rate(t, z, potential=potential):
            seen, y = Bundle(v=potential(t), ca=z[0], ca_out=1000.0, c=z[0], c_out=1000.0), Bundle(m=z[1], h=z[2])
            flux = channel.flux(y, seen, p) * (channel.values.get("density") and 1.0)
            return [flux * 2.0 / 0.3, *channel.rates(y, seen, p)]

        start = [0.05, *channel.steady(Bundle(v=potential(0.0)), p)]
        right = solve_ivp(rate, (0.0, 4.0), start, "LSODA", rtol=1e-9, atol=1e-12, max_step=0.02).y[0, -1]
        assert got[k] == pytest.approx(right, rel=2e-4)


@pytest.mark.parametrize("radius", [0.0, 0.3])
def test_between_neighbours_on_a_straight_line(radius):
    """The two positions next to a place, not some farther ones on the same line, which pass it as closely."""
    rng = np.random.default_rng(2)
    known, along = np.arange(20) + 0.4 * rng.random(20), 0.4 + 18.6 * rng.random(500)
    axis = np.array([0.6, 0.0, 0.8])
    values = rng.standard_normal((1, 20))
    first, second, share = cs.VoltageMap([0.0], known[:, None] * axis, values).lines(along[:, None] * axis + [0.0, radius, 0.0])
    found = (1.0 - share) * values[0, first] + share * values[0, second]
    np.testing.assert_allclose(found, np.interp(along, known, values[0]), rtol=0, atol=1e-12)


def test_the_potential_of_a_cable_drives_other_meshes():
    """The same channels beside the currents of the cable, and on the map of its potential; on (z, r) grids the means over the slices."""
    axon = neurite("60 um", "0.2 um", spacing="1 um")
    squid = [cs.get_channel(f"{ion}/hodgkin-huxley")() for ion in ("na", "k", "leak")]
    plasma = [vgcc(), cs.get_channel("pmca/hill2")()]
    clamp = cs.CurrentClamp(0, "60 pA", "1 ms", start="2 ms")
    whole = cs.Model(axon, [CALCIUM], {"plasma": [*squid, *plasma]}, stimuli=[clamp], voltage=cs.Cable())
    solved = quiet(whole, "8 ms", "0.01 ms", tolerance=1e-4)
    right, given = solved.ca.sel(region="cytosol").values[::100], cs.VoltageMap.of(solved)
    cable = quiet(of(axon, given, *plasma), "8 ms", "1 ms").ca.sel(region="cytosol").values
    assert np.abs(cable - right).max() < 2e-4 * np.ptp(right)
    grid = quiet(of(neurite("60 um", "0.2 um", spacing="1 um", dims=2), given, *plasma), "8 ms", "1 ms").ca.sel(region="cytosol")
    volume = grid.volume.values.reshape(60, -1)
    mean = (grid.values.reshape(9, 60, -1) * volume).sum(axis=2) / volume.sum(axis=1)
    assert np.abs(mean - right).max() < 2e-3 * np.ptp(right)


def test_a_run_goes_on_from_a_file(tmp_path):
    model = of(MESHES["grid"](), cs.VoltageMap(TIMES, POINTS, WAVE), vgcc(), Listener())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole, first = cs.Simulation(model), cs.Simulation(model)
        for t in (1.0, 2.0):
            whole.advance(t)
        first.advance(1.0)
        first.save(tmp_path / "half.sim")
        second = cs.Simulation.load(tmp_path / "half.sim")
        second.advance(2.0)
    assert np.array_equal(second.state.u, whole.state.u)


def test_a_model_file_names_the_run_of_a_cable(tmp_path):
    axon = neurite("10 um", "0.3 um", spacing="1 um")
    leak = [cs.get_channel("leak/ohmic")(g="1e-3 S/cm^2", e="-60 mV")]
    cs.save(quiet(cs.Model(axon, [], {"plasma": leak}, voltage=cs.Cable(initial="-70 mV")), "2 ms", "0.1 ms"), tmp_path / "cable.nc")
    text = """
voltage = { result = "cable.nc" }
[mesh]
kind = "neurite"
length = "10 um"
radius = "0.3 um"
spacing = "0.1 um"
dims = 2
[[species]]
name = "ca"
diffusion = { cytosol = "220 um^2/s" }
initial = { cytosol = "0.05 uM", outside = "1 mM" }
[[membranes.plasma]]
channel = "vgcc/borg-graham-t"
density = "1 1/um^2"
[run]
until = "1 ms"
"""
    (tmp_path / "cell.toml").write_text(text)
    model, _ = load(tmp_path / "cell.toml")
    assert isinstance(model.voltage, cs.VoltageMap)
    assert model.voltage.at(2.0) == pytest.approx(-60.0 - 10.0 * np.exp(-2.0), abs=1e-3)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((TIMES[::-1], POINTS, WAVE), r"voltage.times: have shape \(161,\), expected times that ascend"),
        ((TIMES, POINTS[:, :2], WAVE), r"voltage.positions: have shape \(3, 2\), expected \(positions, 3\)"),
        ((TIMES, POINTS, WAVE.T), r"voltage.potentials: have shape \(3, 161\), expected \(161, 3\)"),
        ((TIMES, POINTS, np.where(WAVE > 0, np.nan, WAVE)), "voltage.potentials: .* values are not finite"),
        (("soon", POINTS, WAVE), "voltage.times: 'soon' is no array of numbers"),
    ],
)
def test_what_is_no_map_is_told(given, told):
    with pytest.raises(InputError, match=told):
        cs.VoltageMap(*given)


def test_a_map_elsewhere_and_one_that_ends_are_told():
    away = cs.VoltageMap(TIMES, POINTS[:, [1, 2, 0]], WAVE)
    with pytest.warns(ModelWarning, match="um from all positions of the map"):
        cs.simulate(of(MESHES["cable"](), away, vgcc()), "0.1 ms", "0.1 ms")
    with pytest.warns(ModelWarning, match="the map ends at 4 ms, from there to 5 ms it is held"):
        cs.simulate(of(MESHES["cable"](), cs.VoltageMap(TIMES, POINTS, WAVE), vgcc()), "5 ms", "5 ms")
