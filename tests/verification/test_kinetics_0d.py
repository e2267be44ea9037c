"""Local kinetics in a well-mixed cell against scipy's Radau, with the equations written out here once more."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import calcium_sim as cs
from calcium_sim.compile.module import Module
from calcium_sim.meshes import well_mixed

CYTOSOL, LUMEN = np.pi * (0.4**2 - 0.15**2), np.pi * 0.15**2  # um^3 per um of the neurite
INTO, OUT = 2 * np.pi * 0.4, 2 * np.pi * 0.15  # plasma and ER membrane, um^2
SINGLE = 8.314 * 310.0 / (4 * 96485.0**2) * 5.0e-11 * 1e18


def whole_cell(t, s, pulse):
    """RyR (Keizer-Levine), SERCA, leaks, PMCA, NCX and calbindin; rates in 1/s turned into 1/ms here."""
    c, e, b, c1, o2, c2 = s
    o1 = 1 - c1 - o2 - c2
    pump = 500 * 1.7e-5
    out = pump * c**2 / (0.06**2 + c**2) + 15 * 2.5e-3 * c / (1.8 + c)
    rest_out = pump * 0.05**2 / (0.06**2 + 0.05**2) + 15 * 2.5e-3 * 0.05 / 1.85
    leak_in = rest_out / (1000 - 0.05) * (1000 - c)
    ryr = 3 * SINGLE * (o1 + o2) * (e - c) / 250
    ka, kb, kc = 1500 / 28.8, 1500 / 385.9, 1.75 / 0.1
    po_rest = (1 + kb * 0.05**3) / (1 + kc + 1 / (ka * 0.05**4) + kb * 0.05**3)
    filled = (3 * SINGLE * po_rest * 249.95 / 250 + 3.8e-5 * 249.95) / (0.05 / (0.23 * 250))
    er = ryr + 3.8e-5 * (e - c) - filled * c / ((0.18 + c) * e)
    bind = 0.027 * b * c - 0.019 * (160 - b)
    stimulus = pulse * max(0.0, 1 - t) * INTO / CYTOSOL
    return [
        (leak_in - out) * INTO / CYTOSOL + er * OUT / CYTOSOL - bind + stimulus,
        -er * OUT / LUMEN,
        -bind,
        0.0288 * o1 - 1.5 * c**4 * c1,
        1.5 * c**3 * o1 - 0.3859 * o2,
        0.00175 * o1 - 0.0001 * c2,
    ]


def reference(f, s0, times, args):
    """Radau to a relative tolerance of 1e-10; the kink of the stimulus at 1 ms is a boundary."""
    first = solve_ivp(f, (0, 1), s0, "Radau", t_eval=[1.0], rtol=1e-10, atol=1e-13, args=args)
    rest = solve_ivp(f, (1, times[-1]), first.y[:, -1], "Radau", t_eval=times, rtol=1e-10, atol=1e-13, args=args)
    return rest.y


@pytest.fixture(scope="module")
def cell(bq, point):
    """The whole cell with an influx of 4 uM um/ms that falls to zero within 1 ms."""
    push = cs.Influx("ca", at=None, flux="4 uM um/ms", duration="1 ms", shape="ramp-down", through="plasma")
    return bq(mesh=point, stimuli=[push])


TIMES = [2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0]


@pytest.fixture(scope="module")
def radau(cell):
    sim = cs.Simulation(cell)
    return reference(whole_cell, [*sim.state.u, *sim.state.y], TIMES, (4.0,))


def ours(model, times, **options):
    sim = cs.Simulation(model, **options)
    out = []
    for t in times:
        sim.advance(t)
        out.append([*sim.state.u, *sim.state.y])
    return np.array(out).T


def test_whole_cell_with_the_default_tolerance(cell, radau):
    """A release and its slow end, 300 ms: every concentration and gate."""
    seen = ours(cell, TIMES)
    assert radau[0].max() > 1.0  # released
    size = np.abs(radau).max(axis=1, keepdims=True)
    assert (np.abs(seen - radau) / size).max() < 4e-3, np.abs(seen - radau) / size


def test_whole_cell_converges_with_second_order(cell, radau, order):
    steps = np.array([0.02, 0.01, 0.005])
    size = np.abs(radau).max(axis=1, keepdims=True)
    errors = [(np.abs(ours(cell, TIMES, dt=f"{dt} ms") - radau) / size).max() for dt in steps]
    assert order(steps, errors) == pytest.approx(2.0, abs=0.15), errors
    assert errors[-1] < 2e-4, errors


def li_rinzel(t, s):
    """Published volumetric form: c1 .185, v1 6, v2 .11 /s, v3 .9 uM/s, k3 .1 uM, total 2 uM; IP3 0.4 uM."""
    c, e, h = s
    p, d1, d2, d3, d5 = 0.4, 0.13, 1.049, 0.9434, 0.08234
    m, n = p / (p + d1), c / (c + d5)
    j = 0.185 * (6e-3 * (m * n * h) ** 3 + 0.11e-3) * (e - c) - 0.9e-3 * c**2 / (c**2 + 0.1**2)
    q = d2 * (p + d1) / (p + d3)
    return [j, -j / 0.185, 2e-4 * (q * (1 - h) - c * h)]


def li_rinzel_model(size=1.0, stimuli=()):
    """The same as fluxes through 1 um^2 between 1 um^3 of cytosol and 0.185 um^3 of ER; `size` multiplies all fluxes."""
    mesh = well_mixed({"cytosol": "1 um^3", "er": "0.185 um^3"}, {"er": (("er", "cytosol"), "1 um^2")})
    er = [
        cs.get_channel("ip3r/li-rinzel")(permeability=f"{size * 0.185 * 6e-3} um/ms", initial={"h": 0.8}),
        cs.get_channel("leak/linear")(permeability=f"{size * 0.185 * 0.11e-3} um/ms"),
        cs.get_channel("serca/hill2")(vmax=f"{size * 0.9} uM um/s", km="0.1 uM"),
    ]
    calcium = cs.Species("ca", {"cytosol": "0 um^2/s", "er": "0 um^2/s"}, {"cytosol": "0.1 uM", "er": f"{1.9 / 0.185} uM"})
    ip3 = cs.Species("ip3", {"cytosol": "0 um^2/s"}, {"cytosol": "0.4 uM"})
    return cs.Model(mesh, [calcium, ip3], {"er": er}, stimuli=stimuli)


def test_li_rinzel_oscillations(order):
    """Four periods of about 14 s each, with the default tolerance and with fixed steps."""
    times = np.arange(1.0, 61.0) * 1000.0
    exact = solve_ivp(li_rinzel, (0, 60e3), [0.1, 1.9 / 0.185, 0.8], "Radau", t_eval=times, rtol=1e-10, atol=1e-12).y
    c = exact[0]
    peaks = np.flatnonzero((c[1:-1] > c[:-2]) & (c[1:-1] > c[2:]))
    assert len(peaks) >= 3, c  # it oscillates
    assert np.ptp(c) > 0.2, c
    model = li_rinzel_model()

    def errors(**options):
        sim, worst = cs.Simulation(model, **options), 0.0
        for k, t in enumerate(times):
            sim.advance(t)
            state = np.array([sim.concentration("ca")[0], sim.concentration("ca", "er")[0], sim.state.y[0]])
            worst = max(worst, (np.abs(state - exact[:, k]) / np.abs(exact).max(axis=1)).max())
        return worst

    steps = np.array([8.0, 4.0, 2.0])
    seen = [errors(dt=f"{dt} ms") for dt in steps]
    assert order(steps, seen) == pytest.approx(2.0, abs=0.2), seen
    assert errors() < 4e-3


def test_inactivation_stays_in_range_at_any_concentration():
    """Li-Rinzel's h with calcium clamped (no flux) at 1e-3 to 1e5 uM from one moment to the next, steps of 10 ms."""
    for level in (1e-3, 1.0, 1e3, 1e5):
        sim = cs.Simulation(li_rinzel_model(0.0, [cs.Set("ca", f"{level} uM")]), dt="10 ms")
        for t in range(10, 500, 10):
            sim.advance(float(t))
            assert 0 <= sim.state.y[0] <= 1, (level, t, sim.state.y)
            assert sim.concentration("ca")[0] == pytest.approx(level, rel=1e-12)


class Counted(cs.Channel):
    """The Keizer-Levine receptor with powers written as loops, whose derivatives are taken by differences."""

    base = cs.get_channel("ryr/keizer-levine")
    name, source, across, reads, moves = "test/counted", "as its base", base.across, base.reads, base.moves
    states, params = base.states, base.params

    @staticmethod
    def rates(y, x, p):
        third = 1.0
        for _ in range(3):
            third *= x.ca
        o1 = 1.0 - y.c1 - y.o2 - y.c2
        return p.ka_off * o1 - p.ka_on * third * x.ca * y.c1, p.kb_on * third * o1 - p.kb_off * y.o2, p.kc_on * o1 - p.kc_off * y.c2

    @staticmethod
    def flux(y, x, p):
        drive = 0.0
        for _ in range(1):
            drive += x.ca_er - x.ca
        return p.density * p.rate * (1.0 - y.c1 - y.c2) * drive / p.ca_ref


def test_channels_that_cannot_be_differentiated_run_by_differences(cell, radau):
    """The same cell against the same Radau solution, and against the run with rewritten derivatives."""
    assert Module().slopes(Counted, "flux", 1, ["ca"]) is None
    swapped = cell.swap("ryr/keizer-levine", Counted)
    ends = []
    for model in (cell, swapped):
        sim = cs.Simulation(model, dt="0.005 ms")
        sim.advance(TIMES[2])
        ends.append(np.concatenate([sim.state.u, sim.state.y]))
    print(ends[1] / radau[:, 2] - 1, ends[1] / ends[0] - 1)
    assert np.allclose(ends[1], radau[:, 2], rtol=2e-4)
    assert np.allclose(ends[1], ends[0], rtol=1e-6)
