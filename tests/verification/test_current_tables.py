"""Currents of an electrode that are given as a table: their charge, their corners, recordings of many points."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import calcium_sim as cs
from calcium_sim import units as u
from calcium_sim.config import load
from calcium_sim.meshes import neurite, well_mixed
from calcium_sim.model.tables import Table
from calcium_sim.plan.lower import lower

AREA, LEAK = 400.0, 0.1
RAMPS = [(1.1, 0.0), (2.3, 40.0), (2.3, -15.0), (4.7, -15.0), (5.05, 25.0)]
"""Times [ms] and currents [pA]: up, a jump down, level, up again, and from 5.05 ms on nothing."""


def point(current):
    mesh = well_mixed({"cytosol": "500 um^3"}, {"plasma": (("cytosol", "outside"), f"{AREA} um^2")})
    leak = cs.get_channel("leak/ohmic")(g=f"{LEAK} mS/cm^2", e="-65 mV")
    return cs.Model(mesh, [], {"plasma": [leak]}, stimuli=[cs.CurrentClamp(None, current)], voltage=cs.Cable())


def told(rows):
    return [(f"{t} ms", f"{i} pA") for t, i in rows]


def solution(times, rows):
    """The passive point by LSODA from corner to corner."""
    when, what = np.array(rows).T

    def rate(t, v, a, b):
        slope = (b[1] - a[1]) / (b[0] - a[0])
        return (a[1] + slope * (t - a[0]) - 0.01 * LEAK * AREA * (v + 65.0)) / (0.01 * AREA)

    corners = [(0.0, 0.0), (when[0], 0.0), *rows, (when[-1], 0.0), (times[-1], 0.0)]
    z, out = np.array([-65.0]), {0.0: -65.0}
    for a, b in pairwise(corners):
        if b[0] <= a[0]:
            continue
        seen = [t for t in times if a[0] < t <= b[0]]
        found = solve_ivp(rate, (a[0], b[0]), z, "LSODA", args=(a, b), t_eval=[*seen, *([] if b[0] in seen else [b[0]])], rtol=1e-11,
                          atol=1e-12)  # fmt: skip
        out |= dict(zip(seen, found.y[0], strict=False))
        z = found.y[:, -1]
    assert np.ptp(what) > 0
    return np.array([out[t] for t in times])


def quiet(*given, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cs.simulate(*given, **options)


def test_ramps_and_jumps_are_of_second_order():
    times = np.round(np.arange(0.0, 8.01, 0.5), 6)
    exact, errors = solution(times, RAMPS), []
    for dt in (0.1, 0.05, 0.025):
        errors.append(np.abs(quiet(point(told(RAMPS)), "8 ms", "0.5 ms", dt=f"{dt} ms").v.values[:, 0] - exact).max())
    assert np.ptp(exact) > 8.0
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 2.0, atol=0.15)
    assert errors[-1] < 1.2e-4
    chosen = quiet(point(told(RAMPS)), "8 ms", "0.5 ms", tolerance=1e-4)
    assert np.abs(chosen.v.values[:, 0] - exact).max() < 2e-3


def test_the_charge_is_the_integral():
    """To round-off, for steps of any length, over the part that a run has seen."""
    for until, charge in (("8 ms", 0.5 * 1.2 * 40 - 2.4 * 15 + 0.5 * 0.35 * 10), ("1.7 ms", 0.5 * 0.6**2 * 40 / 1.2)):
        ds = quiet(point(told(RAMPS)), until, "1 ms")
        assert float(ds.ledger_charge.sel(account="stimulus:0:charge")[-1]) == pytest.approx(charge, rel=1e-12)
        assert ds.attrs["ledger_drift"] < 1e-13


def test_steps_end_at_corners_and_nowhere_else():
    flat = [(0.5, 2.0), (1.0, 4.0), (1.5, 6.0), (2.0, 6.0), (3.0, 6.0)]
    assert lower(point(told(flat))).stops.single == (0.5, 1.5, 3.0)
    assert lower(point(told(RAMPS))).stops.single == (1.1, 2.3, 4.7, 5.05)
    many = [(0.001 * k, float(k % 7)) for k in range(5000)]
    assert len(lower(point(told([*many, (4.999, 20.0)]))).stops.single) == 1


def noise(points, every):
    """A smoothed random current [pA] that ends at 0."""
    random = np.random.default_rng(3)
    values = np.convolve(random.normal(size=points + 40), np.hanning(41) / 20.0, "valid")[:points]
    return np.arange(points) * every, 60.0 * values * np.linspace(1.0, 0.0, points)


def test_a_recording_is_followed():
    """4000 points: as scipy has it with small steps, and the charge is that of the trapezoids."""
    t, i = noise(4000, 0.005)
    ds = quiet(point((t * u.ms, i * u.pA)), "20 ms", "0.5 ms")
    rows = solve_ivp(
        lambda s, v: (np.interp(s, t, i) - 0.01 * LEAK * AREA * (v + 65.0)) / (0.01 * AREA),
        (0.0, 20.0), [-65.0], "RK45", t_eval=ds.time.values, rtol=1e-9, atol=1e-9, max_step=0.005,
    )  # fmt: skip
    assert np.ptp(rows.y[0]) > 3.0
    assert np.abs(ds.v.values[:, 0] - rows.y[0]).max() < 0.01
    assert float(ds.ledger_charge.sel(account="stimulus:0:charge")[-1]) == pytest.approx(np.trapezoid(i, t), rel=1e-11)
    assert ds.attrs["steps"] < 4000


def test_a_table_on_a_tree_goes_on_after_a_break_with_the_same_bits(tmp_path):
    mesh = neurite("750 um", "0.5 um", spacing="5 um")
    leak = cs.get_channel("leak/ohmic")(g=f"{LEAK} mS/cm^2", e="-65 mV")
    model = cs.Model(mesh, [], {"plasma": [leak]}, stimuli=[cs.CurrentClamp([0, 3], told(RAMPS))], voltage=cs.Cable())
    whole, first = cs.Simulation(model), cs.Simulation(model)
    for simulation in (whole, first):
        simulation.run("2.5 ms")
    first.save(tmp_path / "a.sim")
    second = cs.Simulation.load(tmp_path / "a.sim")
    for simulation in (whole, second):
        simulation.run("6 ms")
    assert np.array_equal(whole.state.u, second.state.u)
    assert second.model == model


def test_what_is_no_table_is_told():
    clamp = cs.CurrentClamp(None, told(RAMPS))
    assert isinstance(clamp.current, Table)
    assert clamp.current[-1] == (5.05, 0.0)
    assert cs.CurrentClamp(None, clamp.current) == clamp
    for given, words in (
        ({"current": told(RAMPS), "duration": "1 ms"}, r"current_clamp\.duration: belongs to pulses"),
        ({"current": told(RAMPS), "start": "1 ms"}, r"current_clamp\.start: belongs to pulses"),
        ({"current": [("1 ms", "2 pA")]}, r"current_clamp\.current: needs at least two \(time, current\) pairs"),
        ({"current": [("1 ms", "2 pA"), ("0 ms", "2 pA")]}, r"times that do not decrease"),
        ({"current": [("1 ms", "2 mV"), ("2 ms", "2 pA")]}, r"current_clamp\.current: '2 mV'"),
        ({"current": (np.arange(3.0), np.arange(3.0) * u.pA)}, r"times have no unit, expected a current"),
        ({"current": "i.csv"}, r"'i\.csv' is the name of a file \(read it: t, i = numpy\.loadtxt"),
        ({"current": "1 nA"}, r"current_clamp\.duration: is missing \(give the length of the pulse"),
    ):
        with pytest.raises(cs.InputError, match=words):
            cs.CurrentClamp(**{"at": None} | given)


FILE = """
[mesh]
kind = "neurite"
length = "30 um"
radius = "0.5 um"
spacing = "1 um"

[[membranes.plasma]]
channel = "leak/hodgkin-huxley"

[[stimuli]]
current = { file = "i.csv", time = "s", current = "nA" }
at = 0

[[stimuli]]
current = [["0 ms", "0 pA"], ["1 ms", "10 pA"]]
at = 1

[[stimuli]]
protocol = { file = "v.csv", time = "ms", potential = "mV" }
at = 29

[voltage]
initial = "-65 mV"

[run]
until = "2 ms"
"""


def test_a_current_and_a_protocol_from_files(tmp_path):
    (tmp_path / "a.toml").write_text(FILE)
    (tmp_path / "i.csv").write_text("t,i\n0.001,0.01\n0.002,0.02\n")
    (tmp_path / "v.csv").write_text("# two columns\n0 -65\n1 -65\n1 0\n")
    model, _ = load(tmp_path / "a.toml")
    file, pairs, clamp = model.stimuli
    np.testing.assert_allclose(file.current, [(1, 0), (1, 10), (2, 20), (2, 0)], rtol=1e-15)
    assert pairs.current == ((0.0, 0.0), (1.0, 10.0), (1.0, 0.0))
    assert clamp.protocol == ((0.0, -65.0), (1.0, -65.0), (1.0, 0.0))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            ', current = "nA" }',
            " }",
            r"stimuli\[0\]\.current\.current: is missing \(write current = \{ file = .*, time = .ms., current = .pA.",
        ),
        ('current = "nA" }', 'current = "mV" }', r"stimuli\[0\]\.current\.current"),
        ('file = "i.csv"', 'file = "j.csv"', r"stimuli\[0\]\.current\.file: j\.csv: no such file"),
        (
            'current = { file = "i.csv", time = "s", current = "nA" }',
            'current = "i.csv"',
            r"stimuli\[0\]\.current: 'i\.csv' is the name of a",
        ),
        ('file = "v.csv"', 'file = "i.txt"', r"stimuli\[2\]\.protocol\.file: i\.txt, line 2: 1 ms comes after 2 ms"),
        ('current = [["0 ms", "0 pA"], ["1 ms", "10 pA"]]', 'current = "1 nA"', r"stimuli\[1\]\.duration: is missing"),
    ],
)
def test_what_is_wrong_with_files_is_told(tmp_path, old, new, words):
    assert old in FILE
    (tmp_path / "a.toml").write_text(FILE.replace(old, new))
    (tmp_path / "i.csv").write_text("0.001,0.01\n0.002,0.02\n")
    (tmp_path / "i.txt").write_text("2 0.01\n1 0.02\n")
    (tmp_path / "v.csv").write_text("0 -65\n1 -65\n1 0\n")
    with pytest.raises(cs.InputError, match=words):
        load(tmp_path / "a.toml")


def test_what_a_table_has_before_the_run_is_not_in_the_books():
    """20 pA from -3 ms to 1.3 ms bring 26 fC; the books had 20 fC more, those of the ms before."""
    ds = cs.simulate(point(told([(-3.0, 20.0), (1.3, 20.0), (2.0, 0.0)])), "3 ms", "1 ms")
    brought = float(ds.ledger_charge.sel(account="stimulus:0:charge")[-1])
    assert brought == pytest.approx(20.0 * 1.3 + 0.5 * 20.0 * 0.7, rel=1e-14)
    assert ds.attrs["ledger_drift"] < 1e-12
