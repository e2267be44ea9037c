"""The potential as an unknown: against scipy, closed forms of the cable equation, and its own books; alone and together with calcium."""

import os
import subprocess
import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import calcium_sim as cs
from calcium_sim.meshes import neurite, well_mixed
from calcium_sim.meshes.columns import columns_mesh
from calcium_sim.plan.lower import lower
from calcium_sim.run.loop import Control, Loop

CA = cs.Species("ca", {"cytosol": "220 um^2/s"}, {"cytosol": "0.05 uM", "outside": "2 mM"})
SQUID = ("na/hodgkin-huxley", "k/hodgkin-huxley", "leak/hodgkin-huxley")


def channels(*names):
    return [cs.get_channel(name)() for name in names]


def forked(n=71):
    """Positions of a tree: a stem of 20 that forks into 25 and 26, thinner and thicker."""
    parent = np.maximum(np.arange(n) - 1, 0)
    parent[45] = 19
    radius = np.where(np.arange(n) < 20, 1.0, np.where(np.arange(n) < 45, 0.5, 0.7))
    dx = 8.0
    volume, area = np.pi * radius**2 * dx, 2 * np.pi * radius * dx
    conductance = np.concatenate([[0.0], np.pi * np.minimum(radius, radius[parent])[1:] ** 2 / dx])
    position = np.outer(dx * np.arange(n), [1.0, 0.0, 0.0])
    given = {"parent": parent, "volume": volume[None], "conductance": conductance[None], "position": position, "distance": position[:, 0]}
    return columns_mesh(("cytosol",), **given, membranes={"plasma": (("cytosol", "outside"), area)})


def linoid(x, k):
    """x/(1 - exp(-x/k)), by hand."""
    near = np.abs(x) < 1e-7
    return np.where(near, k, x / -np.expm1(-np.where(near, 1.0, x) / k))


def sodium(v):
    """Rates of m and h of the squid axon, from Hodgkin and Huxley's paper with rest at -65 mV."""
    h = 0.07 * np.exp(-(v + 65) / 20), 1 / (1 + np.exp(-(v + 35) / 10))
    return 0.1 * linoid(v + 40, 10), 4 * np.exp(-(v + 65) / 18), *h


def potassium(v):
    return 0.01 * linoid(v + 55, 10), 0.125 * np.exp(-(v + 65) / 80)


def squid(mesh, times, current, start, cm=1.0, ra=100.0):
    """Potentials of squid membrane on a tree with a current [pA] into position 0 from `start` on: LSODA at 1e-9."""
    area, parent, n = mesh.membranes["plasma"].area, mesh.structure.parent.astype(int), mesh.nodes
    capacity, axial = 0.01 * cm * area, mesh.structure.conductance.sum(axis=0) * 1e5 / ra

    def rate(t, z, now):
        v, m, h, k = z.reshape(4, n)
        (am, bm, ah, bh), (an, bn) = sodium(v), potassium(v)
        ionic = 120 * m**3 * h * (v - 50) + 36 * k**4 * (v + 77) + 0.3 * (v + 54.4)
        flow, net = axial[1:] * (v[parent[1:]] - v[1:]), -0.01 * ionic * area
        net[1:] += flow
        np.subtract.at(net, parent[1:], flow)
        net[0] += now
        return np.concatenate([net / capacity, am * (1 - m) - bm * m, ah * (1 - h) - bh * h, an * (1 - k) - bn * k])

    (am, bm, ah, bh), (an, bn) = sodium(-65.0), potassium(-65.0)
    z = np.repeat([-65.0, am / (am + bm), ah / (ah + bh), an / (an + bn)], n)
    out = [z[:n]]
    for begin, end, now in ((0.0, start, 0.0), (start, times[-1], current)):
        seen = [t for t in times if begin < t <= end + 1e-9]
        found = solve_ivp(rate, (begin, end), z, "LSODA", args=(now,), rtol=1e-9, atol=1e-9, t_eval=seen)
        out, z = [*out, *found.y[:n].T], found.y[:, -1]
    return np.array(out)


def quiet(*given, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cs.simulate(*given, **options)


def axon(mesh, current=300.0, start=1.0, **parts):
    clamp = cs.CurrentClamp(0, f"{current} pA", "100 ms", start=f"{start} ms")
    return cs.Model(mesh, membranes={"plasma": channels(*SQUID)}, voltage=cs.Cable(), stimuli=[clamp], **({"species": []} | parts))


@pytest.fixture(scope="module")
def spiking():
    times = np.linspace(0.0, 6.0, 61)
    return times, squid(forked(), times, 600.0, 1.0)


def test_a_spiking_tree_is_of_second_order(spiking):
    """Against LSODA at 1e-9; the charge is closed to 1e-12."""
    errors = []
    for dt in (0.025, 0.0125, 0.00625):
        ds = quiet(axon(forked(), 600.0), "6 ms", "0.1 ms", dt=f"{dt} ms")
        errors.append(np.sqrt(np.mean((ds.v.values - spiking[1]) ** 2)))
        assert ds.attrs["ledger_drift"] < 2e-13
    assert spiking[1].max() > 30.0
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 2.0, atol=0.08)
    assert errors[-1] < 7e-3


@pytest.mark.parametrize(("tolerance", "bound"), [(None, 0.03), (2e-4, 6e-3), (1e-5, 1e-3)])
def test_chosen_steps_follow_spikes(spiking, tolerance, bound):
    ds = quiet(axon(forked(), 600.0), "6 ms", "0.1 ms", **({} if tolerance is None else {"tolerance": tolerance}))
    assert np.sqrt(np.mean((ds.v.values - spiking[1]) ** 2)) < bound


def test_a_steady_current_into_a_passive_cable():
    """The closed form of a sealed cable, with 64 and 128 cells: second order in space."""
    errors = []
    for cells in (64, 128):
        length, a, ra, g, current = 800.0, 1.0, 100.0, 3e-4, 50.0
        mesh = neurite(f"{length} um", f"{a} um", spacing=f"{length / cells} um")
        leak = cs.get_channel("leak/ohmic")(g=f"{g} S/cm^2", e="-65 mV")
        model = cs.Model(mesh, [], {"plasma": [leak]}, voltage=cs.Cable(axial_resistivity=f"{ra} ohm*cm"),
                         stimuli=[cs.CurrentClamp(0, f"{current} pA", "1 s")])  # fmt: skip
        ds = quiet(model, "80 ms", "80 ms", tolerance=1e-4)
        conductance = 2 * np.pi * a * 10.0 * g  # nS/um
        resistance = ra * 1e-5 / (np.pi * a**2)  # GOhm/um
        space = 1.0 / np.sqrt(conductance * resistance)
        # current enters the first cell at its centre: half a cell to the left of it is sealed off
        x0, x = 0.5 * length / cells, (np.arange(cells) + 0.5) * length / cells
        left, right = np.tanh(x0 / space), np.tanh((length - x0) / space)
        here = current * resistance * space / (left + right)
        exact = -65.0 + here * np.cosh((length - x) / space) / np.cosh((length - x0) / space)
        errors.append(np.abs(ds.v.values[-1] - exact).max())
    assert errors[1] < 2e-3
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.2)


def test_a_clamped_point_brings_calcium_by_the_closed_form():
    """A step to 0 mV, N-type channels: m and h relax exponentially, and what GHK lets in is integrated; the charge is 2F times it."""
    mesh = well_mixed({"cytosol": "500 um^3"}, {"plasma": (("cytosol", "outside"), "400 um^2")})
    ca = cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "0.05 uM", "outside": "2 mM"})
    channel = cs.get_channel("vgcc/borg-graham-n")(density="0.01 1/um^2")
    clamp = cs.VoltageClamp(None, [("0 ms", "-70 mV"), ("2 ms", "-70 mV"), ("2 ms", "0 mV"), ("9 ms", "0 mV")], resistance="1e-4 Mohm")
    model = cs.Model(mesh, [ca], {"plasma": [channel]}, voltage=cs.Cable(initial="-70 mV"), stimuli=[clamp])
    ds = quiet(model, "8 ms", "1 ms", tolerance=1e-5)
    assert float(ds.v[-1, 0]) == pytest.approx(0.0, abs=1e-3)

    def gates(v):
        return [1 / (1 + np.exp(-z * (v - half) * 96485.0 / (8314.0 * 310.0))) for z, half in ((3.4, -21.0), (-2.0, -40.0))]

    def rate(t, c):
        (m0, h0), (m1, h1) = gates(-70.0), gates(0.0)
        m = m1 + (m0 - m1) * np.exp(-(t - 2.0) / 1.5) if t > 2.0 else m0
        h = h1 + (h0 - h1) * np.exp(-(t - 2.0) / 75.0) if t > 2.0 else h0
        xi = 2 * (0.0 if t > 2.0 else -70.0) * 96485.0 / (8314.0 * 310.0)
        driving = 2000.0 - c if t > 2.0 else xi / np.expm1(xi) * 2000.0 + xi / np.expm1(-xi) * c
        return 0.01 * 3.8e-4 * m**2 * h * driving * 400.0 / 500.0

    c = np.array([0.05])
    for begin, end in ((0.0, 2.0), (2.0 + 1e-12, 8.0)):
        c = solve_ivp(rate, (begin, end), c, "LSODA", rtol=1e-10, atol=1e-12).y[:, -1]
    assert float(ds.ca.sel(region="cytosol")[-1, 0]) - 0.05 == pytest.approx(float(c[0]) - 0.05, rel=2e-4)
    account = next(a for a in ds.account.values if a.startswith("channel:plasma:vgcc"))
    charge, moles = (float(book.sel(account=account)[-1]) for book in (ds.ledger_charge, ds.ledger_ca))
    assert charge == pytest.approx(2 * 96485e-6 * moles, rel=2e-15)
    assert ds.attrs["ledger_drift"] < 1e-12


def coupled(mesh, **options):
    """Spikes that bring calcium, which a buffer binds and pumps take out again, beside a reticulum with a network as its receptor."""
    others = [cs.get_channel("vgcc/borg-graham-n")(density="2 1/um^2"), cs.get_channel("pmca/hill2")()]
    leak = cs.get_channel("leak/linear")(permeability=cs.BALANCE)
    buffer = cs.Buffer("calbindin", "ca", "cytosol", "40 uM", "27 1/uM/s", "19 1/s", diffusion="20 um^2/s")
    clamp = cs.CurrentClamp(0, "0.6 nA", "2 ms", start="0.5 ms")
    ca = replace(
        CA, diffusion={"cytosol": "220 um^2/s", "er": "220 um^2/s"}, initial={"cytosol": "0.05 uM", "er": "250 uM", "outside": "2 mM"}
    )
    er = [cs.get_channel("ryr/dnn")(density="0.5 1/um^2"), cs.get_channel("serca/er-inhibited")(density=cs.BALANCE)]
    membranes = {"plasma": [*channels(*SQUID), *others, leak], "er": er}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cs.Simulation(cs.Model(mesh, [ca], membranes, [buffer], [clamp], cs.Cable()), **options)


def test_threads_change_no_bit():
    simulations = []
    for parallel in (False, True):
        simulation = coupled(neurite("800 um", "0.5 um", "0.2 um", "5 um"))
        if parallel:
            scheme = type(simulation.stepper)
            stepper = scheme(lower(simulation.model, scheme.wants), parallel=True)
            simulation.control = Control()
            simulation.stepper, simulation.loop, simulation.threads = stepper, Loop(stepper, simulation.control), 2
        simulation.run("3 ms")
        simulations.append(simulation)
    one, two = (s.state for s in simulations)
    assert np.array_equal(one.u, two.u)
    assert np.array_equal(one.y, two.y)
    assert simulations[0].state.u[-160:].max() > 10.0


def test_a_cell_that_is_the_same_everywhere_stays_so():
    """A current per area everywhere: every position fires alike, to the last bit of round-off."""
    mesh = neurite("800 um", "0.5 um", "0.2 um", "5 um")
    simulation = coupled(mesh)
    clamp = cs.CurrentClamp(None, "3 nA", "2 ms", start="0.5 ms")
    simulation = cs.Simulation(simulation.model.replace("stimuli", [clamp]))
    simulation.run("3 ms")
    for f in simulation.plan.fields:
        values = simulation.state.u[f.span]
        assert np.ptp(values) <= 1e-12 * np.abs(values).max()
    assert simulation.watch.noted(simulation.state)[0].peak.max() > 0.06


def test_a_saved_run_goes_on_with_the_same_bits(tmp_path):
    mesh = neurite("200 um", "0.5 um", "0.2 um", "5 um")
    whole, first = coupled(mesh), coupled(mesh)
    for s in (whole, first):
        s.run("1.2 ms")
    first.save(tmp_path / "a.sim")
    second = cs.Simulation.load(tmp_path / "a.sim")
    for s in (whole, second):
        s.run("2.5 ms")
    assert np.array_equal(whole.state.u, second.state.u)
    assert whole.ledger.gained == second.ledger.gained


def test_without_jit_the_same(tmp_path):
    """What one steps through with NUMBA_DISABLE_JIT=1 is what runs."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, str(tmp_path / "u.npy")], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    np.testing.assert_allclose(np.load(tmp_path / "u.npy"), short(), rtol=1e-9)


def short():
    simulation = coupled(neurite("40 um", "0.5 um", "0.2 um", "5 um"), dt="0.05 ms")
    simulation.run("1 ms")
    return simulation.state.u


def test_cortical_rates_are_those_of_the_paper():
    """At several potentials, from the paper's table (threshold -60 mV); at the removable singularities their limits."""
    na, k = (cs.get_channel(f"{ion}/pospischil") for ion in ("na", "k"))
    p = SimpleNamespace(g=1.0, e=0.0, q10=3.0, temperature=309.15, threshold=-60.0)
    for u in (10.0, 40.0, 13.0, 15.0, 61.3):
        am, bm = 0.32 * linoid(u - 13, 4), 0.28 * linoid(40 - u, 5)
        ah, bh = 0.128 * np.exp((17 - u) / 18), 4 / (1 + np.exp((40 - u) / 5))
        an, bn = 0.032 * linoid(u - 15, 5), 0.5 * np.exp((10 - u) / 40)
        x, y = SimpleNamespace(v=u - 60.0), SimpleNamespace(m=0.3, h=0.6, n=0.2)
        np.testing.assert_allclose(na.rates(y, x, p), (0.7 * am - 0.3 * bm, 0.4 * ah - 0.6 * bh), rtol=1e-12)
        np.testing.assert_allclose(k.rates(y, x, p), (0.8 * an - 0.2 * bn,), rtol=1e-12)
        np.testing.assert_allclose(na.steady(x, p), (am / (am + bm), ah / (ah + bh)), rtol=1e-12)


def test_an_exchanger_brings_one_charge_for_a_calcium():
    """Three sodium in for a calcium out, which needs no sodium in the model: against LSODA."""
    mesh = well_mixed({"cytosol": "500 um^3"}, {"plasma": (("cytosol", "outside"), "400 um^2")})
    ca = cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "5 uM", "outside": "2 mM"})
    exchanger = cs.get_channel("ncx/luo-rudy")()
    p = SimpleNamespace(**exchanger.values)

    def rate(t, z):
        flux = exchanger.flux(None, SimpleNamespace(ca=z[1], ca_out=2000.0, v=z[0]), p)
        return [96485e-6 * flux / 0.01, -flux * 400.0 / 500.0]

    right = solve_ivp(rate, (0.0, 5.0), [-65.0, 5.0], "LSODA", rtol=1e-10, atol=1e-12).y[:, -1]
    ds = quiet(cs.Model(mesh, [ca], {"plasma": [exchanger]}, voltage=cs.Cable()), "5 ms", "5 ms", tolerance=1e-4)
    assert float(ds.v[-1, 0]) + 65.0 == pytest.approx(right[0] + 65.0, rel=3e-5)
    assert float(ds.ca.sel(region="cytosol")[-1, 0]) - 5.0 == pytest.approx(right[1] - 5.0, rel=3e-5)


@pytest.mark.parametrize("every", ["10 ms", "1 ms"])
def test_a_recording_of_many_points_is_followed(every):
    """2500 points with a spike of 0.2 ms width every 20 ms: calcium gained through L-type channels as with the same table prescribed."""
    mesh = well_mixed({"cytosol": "500 um^3"}, {"plasma": (("cytosol", "outside"), "400 um^2")})
    ca = cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "0.05 uM", "outside": "2 mM"})
    t = 0.04 * np.arange(2500)
    v = -70.0 + 100.0 * sum(np.exp(-(((t - at) / 0.2) ** 2)) for at in range(10, 100, 20))
    table = [(f"{a} ms", f"{b} mV") for a, b in zip(t, v, strict=True)]
    channel = cs.get_channel("vgcc/borg-graham-l")(density="0.01 1/um^2")
    gained = []
    for given in ({"voltage": table}, {"voltage": cs.Cable(initial="-70 mV"), "stimuli": [cs.VoltageClamp(None, table)]}):
        ds = quiet(cs.Model(mesh, [ca], {"plasma": [channel]}, **given), "99 ms", every, record=["ca"])
        gained.append(float(ds.ca.sel(region="cytosol")[-1, 0]) - 0.05)
    assert gained[1] == pytest.approx(gained[0], rel=2e-3)


@pytest.mark.parametrize("resistance", [0.01, 10.0])
@pytest.mark.parametrize("options", [{}, {"dt": "0.2 ms"}], ids=["chosen", "fixed"])
def test_an_electrode_follows_a_ramp_exactly(resistance, options):
    """10 mV/ms into a leak, closed form: with the potential of the middle of a step v lagged by half a step, 1 mV."""
    mesh = well_mixed({"cytosol": "500 um^3"}, {"plasma": (("cytosol", "outside"), "400 um^2")})
    leak = cs.get_channel("leak/ohmic")(g="3e-4 S/cm^2", e="-65 mV")
    table = [("0 ms", "-65 mV"), ("1 ms", "-65 mV"), ("9 ms", "15 mV")]
    clamp = cs.VoltageClamp(None, table, f"{resistance} Mohm")
    ds = quiet(cs.Model(mesh, [], {"plasma": [leak]}, voltage=cs.Cable(), stimuli=[clamp]), "8 ms", "1 ms", **options)
    holds, leaks, capacity = 1e3 / resistance, 3e-4 * 10 * 400, 4.0  # nS, nS, pF
    rate = (holds + leaks) / capacity
    t = ds.time.values[2:] - 1.0
    exact = 10 * holds / (capacity * rate) * (t - (1 - np.exp(-rate * t)) / rate) - 65.0
    tolerance = 1e-8 if resistance < 1.0 else 1e-4 if options else 1e-6  # 10 Mohm: 40 us of charging within steps of 0.2 ms
    np.testing.assert_allclose(ds.v.values[2:, 0], exact, atol=tolerance)
    assert ds.attrs["ledger_drift"] < 1e-12


@pytest.mark.parametrize("points", [900, 1100])
def test_a_recording_costs_what_it_moves(points):
    """Some 1000 steps for a smooth course of 95 ms, however many points it has (72 000 where every bend was a stop, or v lagged)."""
    mesh = well_mixed({"cytosol": "500 um^3"}, {"plasma": (("cytosol", "outside"), "400 um^2")})
    leak = cs.get_channel("leak/ohmic")(g="3e-4 S/cm^2", e="-65 mV")
    t = np.linspace(0, 99, points)
    v = -40 + 25 * np.sin(2 * np.pi * t / 20) + 10 * np.sin(2 * np.pi * t / 7)
    clamp = cs.VoltageClamp(None, [(f"{a} ms", f"{b} mV") for a, b in zip(t, v, strict=True)])
    simulation = cs.Simulation(cs.Model(mesh, [], {"plasma": [leak]}, voltage=cs.Cable(initial="-40 mV"), stimuli=[clamp]))
    simulation.advance(95.0)
    assert simulation.state.u[-1] == pytest.approx(np.interp(95.0, t, v), abs=6e-4)
    assert simulation.control.steps < 1200


def test_a_slow_current_that_adapts():
    """km/pospischil at a potential that is held, against its exponential."""
    mesh = well_mixed({"cytosol": "500 um^3"}, {"plasma": (("cytosol", "outside"), "400 um^2")})
    km = cs.get_channel("km/pospischil")(tau_max="608 ms", initial={"p": 0.0})
    held = cs.VoltageClamp(None, "-20 mV")
    ds = quiet(cs.Model(mesh, [], {"plasma": [km]}, voltage=cs.Cable(initial="-20 mV"), stimuli=[held]), "50 ms", "10 ms", tolerance=1e-5)
    steady, tau = 1 / (1 + np.exp(-1.5)), 608 / (3.3 * np.exp(0.75) + np.exp(-0.75))
    np.testing.assert_allclose(ds.po_km_pospischil.values[:, 0], steady * (1 - np.exp(-ds.time.values / tau)), atol=2e-5)


def test_units_of_currents_and_the_time_of_a_spike():
    ds = quiet(axon(neurite("400 um", "0.5 um", spacing="5 um")), "5 ms", "0.05 ms")
    assert ds.flux_na_hodgkin_huxley.attrs["units"] == "mA cm-2"
    arrival = cs.arrival_times(ds, species="v")
    assert arrival.attrs["threshold"] == 0.0
    v = ds.v.values[:, 79]
    k = int(np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0))[0])
    assert ds.time.values[k] <= float(arrival[79]) <= ds.time.values[k + 1]


def test_what_has_no_place_in_the_books_is_refused():
    mesh = neurite("10 um", "0.4 um", spacing="1 um")
    with pytest.raises(cs.InputError, match=r"species\.charge: is the name of the books"):
        cs.Model(mesh, [cs.Species("charge", {"cytosol": "1 um^2/s"}, {"cytosol": "1 uM"})], voltage=cs.Cable())
    for name, told in (("leak/ohmic", "moves no species"), ("na/hodgkin-huxley", "moves 'na', which is no species of the model")):
        given = {"g": cs.BALANCE} | ({"e": "-65 mV"} if name == "leak/ohmic" else {})
        with pytest.raises(cs.InputError, match=f"{told}: there is nothing to balance"):
            cs.Simulation(cs.Model(mesh, [], {"plasma": [cs.get_channel(name)(**given)]}, voltage=cs.Cable()))
    with pytest.raises(cs.InputError, match=r"stimuli\.voltage_clamp\.protocol"):
        cs.VoltageClamp(0, -70)


def test_probes_take_the_potential_of_their_place():
    mesh = neurite("400 um", "0.5 um", spacing="5 um")
    ds = quiet(
        axon(mesh, 300.0), "5 ms", "0.1 ms", record=[cs.Probe("v", at=0, name="near"), cs.Probe("v", at=79, name="far", threshold="0 mV")]
    )
    assert float(ds.probe_far_arrival) > float(ds.probe_near_peak_time) - 1.0
    np.testing.assert_allclose(ds.probe_near.values, ds.v.values[:, 0])
    assert ds.probe_far.attrs["units"] == "mV"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"mesh": neurite("10 um", "0.4 um", spacing="1 um", dims=2)}, "needs a cable, a tree or a point"),
        ({"voltage": cs.Cable(membrane="er")}, "no membrane with the outside"),
        ({"voltage": "-65 mV", "species": [CA], "membranes": {}}, "needs a potential that is solved for"),
        ({"stimuli": [cs.CurrentClamp("soma", "1 nA", "1 ms")]}, "stimuli.current_clamp.at"),
    ],
)
def test_what_does_not_fit_is_told(change, told):
    given = {"mesh": neurite("10 um", "0.4 um", spacing="1 um"), "species": [], "membranes": {"plasma": channels(*SQUID)},
             "voltage": cs.Cable(), "stimuli": [cs.CurrentClamp(0, "1 nA", "1 ms")]}  # fmt: skip
    with pytest.raises(cs.InputError, match=told):
        cs.Model(**(given | change))


@pytest.mark.parametrize(
    "given", [{"capacitance": "1 uF"}, {"axial_resistivity": "100 ohm"}, {"initial": -65}, {"capacitance": "0 uF/cm^2"}]
)
def test_units_of_a_cable_are_checked(given):
    with pytest.raises(cs.InputError, match=rf"voltage\.{next(iter(given))}"):
        cs.Cable(**given)


if __name__ == "__main__":
    np.save(sys.argv[1], short())
