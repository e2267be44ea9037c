"""A recording that is sampled as spikes just bear: the gate comes back through noise at other intervals, too."""

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.meshes import well_mixed

NOISE = 0.4


@pytest.mark.parametrize("interval", [0.05, 0.25])
def test_the_interval_of_samples_does_not_matter(interval):
    """Potassium of cortical cells: error to the recording within 1.15 of the noise, where 13.6 mV were left at 0.25 ms."""
    channels = [cs.get_channel(f"{ion}/pospischil")() for ion in ("na", "k")]
    leak = cs.get_channel("leak/ohmic")(g="0.12 mS/cm^2", e="-67 mV")
    mesh = well_mixed({"cytosol": "500 um^3"}, {"plasma": (("cytosol", "outside"), "310 um^2")})
    clamp = cs.CurrentClamp(0, "14 pA", "54 ms", start="4 ms")
    cell = cs.Model(mesh, [], {"plasma": [*channels, leak]}, stimuli=[clamp], voltage=cs.Cable(initial="-67 mV"))
    ds = cs.simulate(cell, "60 ms", f"{interval} ms", tolerance=1e-5)
    v = ds.v.values[:, 0] + NOISE * np.random.default_rng(0).standard_normal(len(ds.time))
    fit = cs.learn.fit_trace(cell, (ds.time.values, v), unknown="k/pospischil", restarts=0)
    assert fit.error < 1.15 * NOISE
    again = cs.simulate(fit.model(), "60 ms", f"{interval} ms", tolerance=1e-5).v.values
    assert np.sqrt(np.mean((again - ds.v.values) ** 2)) < 0.75 * NOISE
