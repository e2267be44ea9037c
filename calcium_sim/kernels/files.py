"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and requests to end wait until the block is over: a library that is cut off in the middle of a file may hold its own locks.

    Signals arrive in the main thread only, so that other threads need none of this.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def later(number: int, frame: Any) -> None:
        came.append(number)

    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: found for number in numbers if (found := signal.getsignal(number)) not in (None, signal.SIG_IGN)}
    try:
        for number in before:
            signal.signal(number, later)
        yield
    finally:
        try:
            for number, handler in reversed(before.items()):  # Ctrl-C last: what comes in between waits, too
                signal.signal(number, handler)
        finally:
            _deliver(list(dict.fromkeys(came)))


def _deliver(numbers: list[int]) -> None:
    """Send each signal, whatever the handlers of the others raise."""
    if numbers:
        try:
            signal.raise_signal(numbers[0])
        finally:
            _deliver(numbers[1:])


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file whole or not at all; by default nobody else may read it."""
    with uninterrupted():
        handle, temporary = tempfile.mkstemp(prefix=".part-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(content)
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
