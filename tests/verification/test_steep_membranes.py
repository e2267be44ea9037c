"""Graphs: membrane fluxes that are faster than diffusion. Two pools joined by a leak have an exact solution."""

from dataclasses import replace

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.meshes import neurite


@pytest.mark.parametrize("diffusion", [0.0, 220.0])
@pytest.mark.parametrize("dt", [None, "0.05 ms", "0.2 ms"])
def test_fast_exchange_of_two_pools(diffusion, dt):
    """Rates up to 1200 per ms with steps of 50 and 200 us: on the way to the mean, in bounds, conserved; it was 1e29 uM."""
    mesh = replace(neurite("15 um", "0.2 um", "0.075 um", "0.1 um"), structure=None)
    d = f"{diffusion} um^2/s"
    species = [cs.Species("ca", {"cytosol": d, "er": d}, {"cytosol": "0.05 uM", "er": "10 uM"})]
    model = cs.Model(mesh, species, {"er": [cs.get_channel("leak/linear")(permeability="40 um/ms")]})
    ds = cs.simulate(model, until="2 ms", every="0.5 ms", **({} if dt is None else {"dt": dt}))
    volume = np.array([mesh.volume[mesh.span(r)].sum() for r in mesh.regions])
    start = np.array([{"cytosol": 0.05, "er": 10.0}[r] for r in mesh.regions])
    mean = volume @ start / volume.sum()
    assert float(ds.ca.min()) >= 0.05 - 1e-9
    assert float(ds.ca.max()) <= 10.0 + 1e-9
    amount = ds.ca.values @ mesh.volume
    assert np.abs(amount / amount[0] - 1).max() < 1e-12
    assert np.abs(ds.ca.values[-1] - mean).max() < (1e-6 if dt is None else 5e-3) * mean
