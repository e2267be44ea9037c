"""What the note of the reduced ryanodine receptors says, by LSODA: waves on a cable, equations written anew."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import calcium_sim as cs

KA, KA_, KB, KB_, KC, KC_ = 1.5, 0.0288, 1.5, 0.3859, 0.00175, 0.0001
RADIUS, STORE, SPACING, POSITIONS = 0.4, 0.15, 0.1, 120
RATE = 8.314 * 310.0 / (4.0 * 96485.0**2) * 5e-11 * 1e18
REST, FULL, OUTSIDE = 0.05, 250.0, 1000.0


def laws(c):
    """A N, N and the part of the receptors that the slow closed state leaves, at equilibrium."""
    a, n = KA / KA_ * c**4, 1 + KB / KB_ * c**3
    return a * n, n, (1 + a * n) / (1 + a * (n + KC / KC_))


def extracted(c):
    """Pump and exchanger of the plasma membrane."""
    return 500 * 1.7e-5 * c**2 / (0.06**2 + c**2) + 15 * 2.5e-3 * c / (1.8 + c)


def spread(u):
    flow = np.diff(u) / SPACING**2
    return np.concatenate([flow, [0.0]]) - np.concatenate([[0.0], flow])


def speed(reduced: bool, total: float, until: float) -> float:
    """Speed [um/ms] of the wave that 2500 uM um/s through the left end start; half of the cable."""
    inner, store = np.pi * (RADIUS**2 - STORE**2), np.pi * STORE**2
    an, n, left = laws(REST)
    whole = (1 + an) / left
    start = [left] if reduced else [1 / whole, an / n * (n - 1) / whole, an / n * KC / KC_ / whole]
    fields = 3 + len(start)
    leak, plasma = 0.038e-3, extracted(REST) / (OUTSIDE - REST)
    opened = an / (1 + an) * left
    serca = (3 * RATE * opened / 250 + leak) * (FULL - REST) * (0.18 + REST) * FULL / REST

    def slope(t, v):
        y = v.reshape(POSITIONS, fields)
        c, e, b = y[:, 0], y[:, 1], y[:, 2]
        an, _, left = laws(c)
        p = y[:, 3] * an / (1 + an) if reduced else 1 - y[:, 3] - y[:, 5]
        release = (3 * RATE * p / 250 + leak) * (e - c) - serca * c / ((0.18 + c) * e)
        bound = 0.027 * c * b - 0.019 * (total - b)
        d = np.empty_like(y)
        d[:, 0] = 0.22 * spread(c) + 2 * np.pi * STORE / inner * release - bound
        d[:, 0] += 2 * np.pi * RADIUS / inner * (plasma * (OUTSIDE - c) - extracted(c))
        d[:, 1] = 0.22 * spread(e) - 2 * np.pi * STORE / store * release
        d[:, 2] = 0.02 * spread(b) - bound
        if reduced:
            d[:, 3] = KC_ * (1 - y[:, 3] / left)
        else:
            o = 1 - y[:, 3] - y[:, 4] - y[:, 5]
            d[:, 3], d[:, 4], d[:, 5] = KA_ * o - KA * c**4 * y[:, 3], KB * c**3 * o - KB_ * y[:, 4], KC * o - KC_ * y[:, 5]
        d[0, 0] += 2.5 * max(1 - t, 0) / SPACING
        return d.ravel()

    options = {"method": "LSODA", "rtol": 1e-5, "atol": 1e-8, "lband": 2 * fields, "uband": 2 * fields}
    first = np.tile([REST, FULL, total * 0.019 / (0.019 + 0.027 * REST), *start], POSITIONS)
    first = solve_ivp(slope, (0, 1), first, max_step=0.05, **options).y[:, -1]
    found = solve_ivp(slope, (1, until), first, t_eval=np.arange(1, until, 0.01), **options)
    c = found.y.reshape(POSITIONS, fields, -1)[:, 0]
    inside = np.arange(int(0.4 * POSITIONS), int(0.8 * POSITIONS))
    arrival = found.t[np.argmax(c[inside] > 0.2, axis=1)]
    return float(1 / np.polyfit(inside * SPACING, arrival, 1)[0])


@pytest.mark.parametrize(("total", "until", "factor"), [(40.0, (12.0, 5.0), 3.0), (160.0, (30.0, 6.0), 7.3)])
def test_the_reduced_receptor_is_too_fast_by_what_its_note_says(total, until, factor):
    """3.0 and 7.3 times, at a spacing of 0.05 um on 15 um of cable too; times of arrival are read to 0.01 ms of 1.2 ms."""
    speeds = speed(False, total, until[0]), speed(True, total, until[1])
    print(total, speeds, speeds[1] / speeds[0])
    assert speeds[1] / speeds[0] == pytest.approx(factor, rel=0.03)
    assert f"({total:g} uM" in cs.get_channel("ryr/scalar-law").note


@pytest.mark.parametrize("name", ["ryr/scalar-law", "ryr/keizer-levine-reduced", "ryr/keizer-levine-closure"])
def test_a_model_with_it_says_so(name):
    """A warning when it runs in space."""
    from calcium_sim.meshes import neurite
    from calcium_sim.plan.lower import lower
    from calcium_sim.presets import breit_queisser

    with pytest.warns(UserWarning, match=f"{name}: for signals slower than about 1 s"):
        lower(breit_queisser(neurite("1 um", "0.2 um", "0.1 um", "0.1 um"), ryr=name))
