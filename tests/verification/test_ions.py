"""Reversal potentials from the concentrations that are there: Goldman's equation, and spikes that exchange the ions of a small cell."""

import warnings

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import calcium_sim as cs
from calcium_sim.meshes import well_mixed

F = 96485e-6
"""pA per uM um^3/ms."""


def ions(**levels):
    return [cs.Species(n, {"cytosol": "0 um^2/s"}, {"cytosol": f"{a} uM", "outside": f"{b} uM"}) for n, (a, b) in levels.items()]


def quiet(*given, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cs.simulate(*given, **options)


def test_a_cell_rests_where_goldman_hodgkin_and_katz_say():
    """Permeabilities 1 : 0.04 : 0.45 of the squid axon, from far off; the cell is large enough that its ions stay as they are to 1e-5."""
    mesh = well_mixed({"cytosol": "1e7 um^3"}, {"plasma": (("cytosol", "outside"), "100 um^2")})
    levels = {"k": (400e3, 20e3), "na": (50e3, 440e3), "cl": (52e3, 560e3)}
    share = {"k": 1.0, "na": 0.04, "cl": 0.45}
    leaks = [cs.get_channel(f"leak/ghk-{n}")(permeability=f"{s * 1e-4} um/ms", temperature="293 K") for n, s in share.items()]
    model = cs.Model(mesh, ions(**levels), {"plasma": leaks}, voltage=cs.Cable(initial="-20 mV"))
    ds = quiet(model, "20 ms", "20 ms")
    out, inside = (sum(share[n] * levels[n][side if n != "cl" else 1 - side] for n in share) for side in (1, 0))
    expected = 1000 * 8.314 * 293 / 96485 * np.log(out / inside)
    assert expected == pytest.approx(-59.7, abs=0.2)
    assert float(ds.v[-1, 0]) == pytest.approx(expected, abs=2e-3)


LEVELS = {"na": (50e3, 440e3), "k": (400e3, 20e3)}
VOLUME, AREA, T = 0.05, 10.0, 279.45


def spikes(times):
    """Potential, sodium and potassium of a thin piece of squid axon whose ions change, by LSODA at 1e-10, and what they have carried."""
    lin = lambda x, k: k if abs(x) < 1e-9 else x / -np.expm1(-x / k)  # noqa: E731

    def rates(v):
        a = 0.1 * lin(v + 40, 10), 0.07 * np.exp(-(v + 65) / 20), 0.01 * lin(v + 55, 10)
        return a, (4 * np.exp(-(v + 65) / 18), 1 / (1 + np.exp(-(v + 35) / 10)), 0.125 * np.exp(-(v + 65) / 80))

    def rate(t, z):
        v, m, h, n, na, k = z
        e = [1000 * 8.314 * T / 96485 * np.log(LEVELS[ion][1] / c) for ion, c in (("na", na), ("k", k))]
        currents = [0.01 * AREA * g * (v - r) for g, r in zip((120 * m**3 * h, 36 * n**4), e, strict=True)]  # pA
        leak = 0.01 * AREA * 0.3 * (v + 54.4)
        a, b = rates(v)
        gates = [x * (1 - y) - w * y for x, w, y in zip(a, b, (m, h, n), strict=True)]
        return [(1.0 - sum(currents) - leak) / (0.01 * AREA), *gates, *(-i / F / VOLUME for i in currents)]

    a, b = rates(-65.0)
    start = [-65.0, *(x / (x + y) for x, y in zip(a, b, strict=True)), LEVELS["na"][0], LEVELS["k"][0]]
    return solve_ivp(rate, (0, times[-1]), start, "LSODA", t_eval=times, rtol=1e-10, atol=1e-10).y


def test_spikes_that_exchange_ions():
    """Reversal potentials move by millivolts within 20 ms; of second order, and the charge of each ion is F times its moles."""
    times = np.linspace(0.0, 20.0, 41)
    exact = spikes(times)
    mesh = well_mixed({"cytosol": f"{VOLUME} um^3"}, {"plasma": (("cytosol", "outside"), f"{AREA} um^2")})
    squid = [cs.get_channel(f"{ion}/hodgkin-huxley-nernst")() for ion in LEVELS] + [cs.get_channel("leak/hodgkin-huxley")()]
    clamp = cs.CurrentClamp(None, "1 pA", "20 ms")
    model = cs.Model(mesh, ions(**LEVELS), {"plasma": squid}, stimuli=[clamp], voltage=cs.Cable())
    errors = []
    for dt in (0.025, 0.0125, 0.00625):
        ds = quiet(model, "20 ms", "0.5 ms", dt=f"{dt} ms")
        found = [ds.v.values[:, 0], *(ds[ion].sel(region="cytosol").values[:, 0] for ion in LEVELS)]
        errors.append([float(np.sqrt(np.mean((a - b) ** 2))) for a, b in zip(found, exact[[0, 4, 5]], strict=True)])
    assert exact[0].max() > 20.0
    assert exact[4, -1] - exact[4, 0] > 5e3
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 2.0, atol=0.1)
    for ion in LEVELS:
        account = f"channel:plasma:{ion}/hodgkin-huxley-nernst"
        charge, moles = (float(book.sel(account=account)[-1]) for book in (ds.ledger_charge, ds[f"ledger_{ion}"]))
        assert charge == pytest.approx(F * moles, rel=1e-14)
    assert ds.attrs["ledger_drift"] < 1e-12


@pytest.mark.parametrize(("ion", "z"), [("k", 1), ("na", 1), ("cl", -1)])
def test_a_leak_brings_the_potential_to_that_of_its_ion(ion, z):
    mesh = well_mixed({"cytosol": "1e7 um^3"}, {"plasma": (("cytosol", "outside"), "100 um^2")})
    leak = cs.get_channel(f"leak/nernst-{ion}")(g="1 mS/cm^2")
    ds = quiet(cs.Model(mesh, ions(**{ion: (10e3, 120e3)}), {"plasma": [leak]}, voltage=cs.Cable()), "20 ms", "20 ms")
    assert float(ds.v[-1, 0]) == pytest.approx(1000 * 8.314 * 310 / 96485 / z * np.log(12.0), abs=1e-3)


def test_the_ion_has_to_be_in_the_model():
    mesh = well_mixed({"cytosol": "1e7 um^3"}, {"plasma": (("cytosol", "outside"), "100 um^2")})
    with pytest.raises(cs.InputError, match=r"reads 'na@cytosol', but the model has no species 'na' \(add a species 'na'\)"):
        cs.Model(mesh, [], {"plasma": [cs.get_channel("na/traub-miles-nernst")()]}, voltage=cs.Cable())
