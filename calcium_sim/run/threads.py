"""Threads of a run: one unless more are asked for, set for the run alone, and none in a process forked from one that had started some.

Threads of OpenMP wait for each other at every step: beside other work on the machine a parallel step takes many times as long as a serial
one, so nobody gets them unasked. Results are the same bits either way.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from numbers import Integral

from ..errors import InputError, shown, warn

VARIABLE = "CALCIUM_SIM_THREADS"
_alone = threading.RLock()


class _Process:
    """What is known of this process; `forked`: its parent had started threads, which are not there in it."""

    forked = False

    def after_fork(self) -> None:
        parallel = sys.modules.get("numba.np.ufunc.parallel")
        self.forked = self.forked or bool(getattr(parallel, "_is_initialized", parallel is not None))


_process = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.after_fork)


def chosen(threads: int | None) -> int:
    """Number of threads for a run: what was asked for, else CALCIUM_SIM_THREADS, else one.

    Raises
    ------
    InputError
        If it is no whole number from 1.

    Warns
    -----
    UserWarning
        If there are fewer cores (or NUMBA_NUM_THREADS): all of them are used then.
    """
    where, given = "threads", threads
    if threads is None:
        text = os.environ.get(VARIABLE, "").strip() or "1"
        where, given = VARIABLE, int(text) if text.isascii() and text.isdecimal() else None
    whole = isinstance(given, Integral) and not isinstance(given, bool)
    if whole and given == 1:
        return 1
    import numba

    most = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    if not whole or given is None or given < 1:
        told = os.environ.get(VARIABLE) if where == VARIABLE else threads
        raise InputError(where, f"{shown(told)} is not a number of threads, expected 1, 2, ... (this machine has {most} cores)")
    if _process.forked:
        warn(f"{where}: one thread instead of {given}: {_FORKED} (start workers by 'spawn')")
        return 1
    if given > most:
        cores = f"{most} core{'s' if most > 1 else ''}"
        warn(f"{where}: {given} were asked for, this machine has {cores}: {most} run (same result)")
    return min(int(given), most)


_FORKED = "this process was forked from one that had started threads"


def running(threads: int) -> AbstractContextManager[None]:
    """Context in which compiled code runs on this many threads; the number that was set before comes back at its end.

    Raises
    ------
    InputError
        If the process has been forked since the simulation was made.
    """
    return nullcontext() if threads == 1 else _several(threads)


@contextmanager
def _several(threads: int) -> Iterator[None]:
    import numba

    if _process.forked:
        raise InputError("threads", f"{_FORKED}, {threads} were asked for (make the simulation here, or start workers by 'spawn')")
    try:
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        layer = numba.threading_layer()  # type: ignore[attr-defined]
    except ValueError as error:
        told = f"numba can start none here, {threads} were asked for: {' '.join(str(error).split())}"
        raise InputError("threads", f"{told} (unset NUMBA_THREADING_LAYER, or run on one thread)") from None
    try:
        if layer == "workqueue":  # what there is without OpenMP, as on macOS: it bears one caller at a time
            with _alone:
                yield
        else:
            yield
    finally:
        numba.set_num_threads(before)
