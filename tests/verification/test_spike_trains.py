"""Trains of spikes with chosen steps, whatever the outputs: potential and calcium against LSODA on the channels' own functions."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import calcium_sim as cs
from calcium_sim.meshes import well_mixed

FARADAY, AREA, VOLUME, CURRENT, ENDS = 96485e-6, 600.0, 1000.0, 60.0, 30.0
BOUND, PART = 0.4, 2e-3
"""Of the potential [mV] and of what calcium changes; measured 0.28 and 0.0013."""
CHANNELS = [
    *(cs.get_channel(f"{name}/pospischil")() for name in ("na", "k", "km")),
    cs.get_channel("leak/ohmic")(g="1e-4 S/cm^2", e="-70 mV"),
    cs.get_channel("vgcc/migliore-l")(g="1e-4 S/cm^2"),
]


def cell():
    mesh = well_mixed({"cytosol": f"{VOLUME} um^3"}, {"plasma": (("cytosol", "outside"), f"{AREA} um^2")})
    ca = cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "0.05 uM", "outside": "2 mM"})
    clamp = cs.CurrentClamp(0, f"{CURRENT} pA", "40 ms", start="5 ms")
    pump = cs.get_channel("pmca/hill2")()
    return cs.Model(mesh, [ca], {"plasma": [*CHANNELS, pump]}, stimuli=[clamp], voltage=cs.Cable(initial="-70 mV"))


@pytest.fixture(scope="module")
def reference():
    """Potential and calcium every 0.125 ms; fluxes of these channels are outward currents, 1 mA/cm^2 = 10 pA/um^2."""
    pump = cs.get_channel("pmca/hill2")()
    values = [SimpleNamespace(**c.values) for c in CHANNELS]
    port = lambda z: SimpleNamespace(v=z[0], ca=z[1], ca_out=2000.0)  # noqa: E731
    z0 = [-70.0, 0.05]
    for channel, p in zip(CHANNELS, values, strict=True):
        if channel.states:
            z0 += [float(y) for y in channel.steady(port([-70.0, 0.05]), p)]

    def rate(t, z):
        x, k, out = port(z), 2, []
        current, moles = -(CURRENT if t >= 5.0 else 0.0) / AREA, 0.0
        for channel, p in zip(CHANNELS, values, strict=True):
            y = SimpleNamespace(**dict(zip(channel.states, z[k : k + len(channel.states)], strict=True)))
            carried = 10.0 * channel.flux(y, x, p)
            current += carried
            if "ca" in channel.moves:
                moles += carried / (2.0 * FARADAY)
            if channel.states:
                out += list(channel.rates(y, x, p))
                k += len(channel.states)
        pumped = pump.flux(None, x, SimpleNamespace(**pump.values))
        current += 2.0 * FARADAY * pumped
        return [-current / 0.01, -(moles + pumped) * AREA / VOLUME, *out]

    grid, z, found = np.arange(0.0, ENDS + 0.06, 0.125), z0, []
    for a, b in ((0.0, 5.0), (5.0, ENDS)):
        times = grid[(grid >= a) & (grid <= b)] if a else grid[grid < b]
        times = np.append(times, b) if times[-1] < b else times
        got = solve_ivp(rate, (a, b), z, "LSODA", t_eval=times, rtol=1e-9, atol=1e-11)
        z = got.y[:, -1]
        found.append(got.y[:2, : len(times) - (a == 0.0)])
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("every", [0.125, 0.25, 1.0, 5.0])
def test_spikes_do_not_drift(reference, every):
    """Five spikes after slow ramps: steps granted before a spike were too long for it (0.9 to 9.3 mV, to 4 % of calcium)."""
    right = reference
    stride = round(every / 0.125)
    ds = cs.simulate(cell(), f"{ENDS} ms", f"{every} ms")
    potential, calcium = ds.v.values[:, 0], ds.ca.sel(region="cytosol").values[:, 0]
    assert np.count_nonzero((right[0, 1:] > 0.0) & (right[0, :-1] <= 0.0)) == 5
    assert np.sqrt(np.mean((potential - right[0, ::stride]) ** 2)) < BOUND
    assert np.abs(calcium - right[1, ::stride]).max() < PART * np.ptp(right[1])
