"""One thread for every library, set before any is imported: test workers share the cores."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "2")  # for the tests of thread independence; all others ask for one thread


def pytest_configure(config):
    """Let parallel kernels run on one thread unless a test asks for more."""
    import numba

    numba.set_num_threads(1)
