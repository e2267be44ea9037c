"""Tries an admitted network in a process of its own, which can open no file, has a limit of memory and time, and can be killed.

An endless loop inside torch cannot be interrupted from Python, and permitted arithmetic can ask for any amount of memory: so the first
load and the first calls happen where neither matters.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from ..admission.admit import Admitted
from ..admission.strict import shown
from ..errors import InputError

START_S, TRIAL_S, MEMORY = 300.0, 20.0, 2 * 1024**3
"""Limits: seconds until torch is imported, seconds for load and calls, and bytes on top of what torch itself takes."""

_CHILD = "import sys; sys.path.insert(0, sys.argv[1]); from calcium_sim.networks.torchscript import serve; serve()"
_passed: set[str] = set()


def probe(admitted: Admitted, start_s: float = START_S, trial_s: float = TRIAL_S, memory: int = MEMORY) -> None:
    """Load and call the network in a child process; once per file and process.

    Raises
    ------
    InputError
        If the network breaks its card, needs too much memory or time, or ends the process.
    """
    if admitted.sha256 in _passed:
        return
    header = {"card": dict(admitted.card.document), "source": admitted.source, "trusted": admitted.trusted}
    header.update(sha256=admitted.sha256, memory=memory, seconds=trial_s)
    text = json.dumps(header).encode()
    verdict = _run(len(text).to_bytes(8, "little") + text + admitted.archive, admitted.source, start_s, trial_s)
    if verdict != {"ok": True}:
        raise InputError(admitted.source, f"refused in the trial process: {shown(verdict.get('error', 'no verdict'), 400)}")
    _passed.add(admitted.sha256)


def _run(message: bytes, where: str, start_s: float, trial_s: float) -> dict[str, Any]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", _CHILD, str(Path(__file__).parents[2])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )
    try:
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(message)
            child.stdin.close()
        if _line(child, start_s) != b"ready":
            raise InputError(where, "the trial process did not start (is torch installed and enough memory free?)")
        line = _line(child, trial_s)
    finally:
        child.kill()
        code = child.wait()
        assert child.stdout is not None
        child.stdout.close()
    if line is None:
        raise InputError(where, f"refused in the trial process: not done after {trial_s:g} s (an endless or very long calculation)")
    try:
        verdict = json.loads(line)
    except ValueError:
        ended = f"by signal {-code}" if code < 0 else f"with code {code}"
        raise InputError(where, f"refused in the trial process: it ended {ended} (memory, or a fault in torch)") from None
    return verdict if isinstance(verdict, dict) else {}


def _line(child: subprocess.Popen[bytes], seconds: float) -> bytes | None:
    """One line of the child's output; empty at its end, None when the time is up, which ends the child."""
    assert child.stdout is not None
    handle, got = child.stdout.fileno(), list[bytes]()
    reader = threading.Thread(target=lambda: got.append(_read(handle)), daemon=True)  # Windows waits for no pipe with a limit
    reader.start()
    reader.join(seconds)
    if reader.is_alive():
        child.kill()
        reader.join()
        return None
    return got[0]


def _read(handle: int) -> bytes:
    """Bytes up to the end of a line, at most 64 KiB."""
    got = b""
    while not got.endswith(b"\n") and len(got) < 65536:
        part = os.read(handle, 1 if len(got) < 6 else 4096)
        if not part:
            break
        got += part
    return got.rstrip(b"\n")
