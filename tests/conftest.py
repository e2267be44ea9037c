"""One thread for every library, set before any is imported: test workers share the cores."""

import os

import pytest

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "2")  # for the tests of thread independence; all others ask for one thread


def pytest_configure(config):
    """Let parallel kernels run on one thread unless a test asks for more."""
    import numba

    numba.set_num_threads(1)


def _speed(model, until, dt, **options):
    """Speed of a wave over the middle half, beside the ER [um/ms]."""
    import numpy as np

    import calcium_sim as cs
    from calcium_sim.results.diagnostics import first_crossing

    er, span = model.mesh.membranes["er"], model.mesh.span("cytosol")
    at = (er.outside if er.sides[1] == "cytosol" else er.inside).astype(int) - span.start
    sim, t, c = cs.Simulation(model, dt=dt, **options), [], []
    for k in range(1, round(until / 0.1) + 1):
        sim.advance(0.1 * k)
        t.append(sim.t)
        c.append(sim.concentration("ca")[at])
    x = model.mesh.distance[span][at]
    inside = (x > 0.3 * x.max()) & (x < 0.8 * x.max())
    return 1 / np.polyfit(x[inside], first_crossing(np.array(t), np.array(c), 0.2)[inside], 1)[0]


@pytest.fixture(scope="session")
def speed():
    """Function of a model, the end of the run [ms], a step (None: chosen) and options: the wave's speed beside the ER [um/ms]."""
    return _speed
