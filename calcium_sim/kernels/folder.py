"""Where compiled and generated code is kept between processes: a folder of this user, named by all that the code depends on.

The folder is ``<base>/<DIGEST>``, the base being CALCIUM_SIM_CACHE, else the user's cache folder, else one in the temporary folder. What
lies in it is run, so it has to belong to the user who runs it and nobody else may write into it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import llvmlite
import numba

SOURCES = sorted(Path(__file__).parent.rglob("*.py"))


def _stamps() -> list[tuple[int, int]]:
    return [(s.st_mtime_ns, s.st_size) for s in (os.stat(p) for p in SOURCES)]


_STAMPS = _stamps()
DIGEST = hashlib.sha256(
    "\n".join(
        [sys.implementation.cache_tag or "", numba.__version__, llvmlite.__version__]
        + [f"{p.relative_to(SOURCES[0].parent)} {hashlib.sha256(p.read_bytes()).hexdigest()}" for p in SOURCES]
    ).encode()
).hexdigest()[:16]
"""Of the kernels' sources and of the compiler: code that was made by others is never looked at, whatever calls whatever."""


class _Refused(OSError):
    """A folder in which others could have put code."""


def cache_folder() -> Path | None:
    """The folder for generated and compiled code; None (after a warning) where no folder can be used.

    None as well once a kernel's file has changed under the running process: what is compiled then belongs to no one digest.
    """
    found = _find(os.environ.get("CALCIUM_SIM_CACHE"), os.environ.get("XDG_CACHE_HOME"), os.environ.get("HOME"))
    if found is None:
        return None
    try:
        return found if _stamps() == _STAMPS else None
    except OSError:
        return None


@lru_cache(maxsize=16)
def _find(given: str | None, xdg: str | None, home: str | None) -> Path | None:
    """The first folder that can be used; the arguments are the environment variables on which the answer depends."""
    refused, told = [], False
    for base, private in _bases(given, xdg, home):
        try:
            folder = _prepared(base, private)
        except OSError as error:
            unsafe = isinstance(error, _Refused)
            refused.append(f"'{base}' {error.args[0] if unsafe else f'cannot be used: {error.strerror}'}")
            told |= unsafe or bool(given)
            continue
        if told:  # a home that cannot be written is nothing to tell as long as another folder does
            warnings.warn(f"{'; '.join(refused)}: compiled code is kept in '{folder}' (set CALCIUM_SIM_CACHE)", stacklevel=2)
        return folder
    reasons = "; ".join(refused) or "there is no folder for it"
    warnings.warn(f"{reasons}: compiled code is made again in every process (set CALCIUM_SIM_CACHE)", stacklevel=2)
    return None


def _bases(given: str | None, xdg: str | None, home: str | None) -> Iterator[tuple[str, bool]]:
    """Folders to try, and whether the base itself has to be the user's own (all but one that the user has named)."""
    if given:
        yield os.path.abspath(given), False
    else:
        user = xdg if xdg and os.path.isabs(xdg) else os.path.join(os.path.expanduser("~"), ".cache")
        if os.path.isabs(user) and (xdg or home != ""):  # "~" stays as it is without HOME and an entry in the list of users
            yield os.path.join(user, "calcium-sim"), True
    try:
        temporary = tempfile.gettempdir()
    except OSError:
        return
    yield os.path.join(temporary, f"calcium-sim-{os.geteuid() if hasattr(os, 'geteuid') else 'user'}"), True


def _prepared(base: str, private: bool) -> Path:
    """Make ``<base>/<DIGEST>``, look whose it is, and try it."""
    os.makedirs(os.path.dirname(base), mode=0o700, exist_ok=True)
    folder = os.path.join(base, DIGEST)
    for path in (base, folder):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, mode=0o700)
        if private or path == folder:
            _own(path)
    handle, probe = tempfile.mkstemp(prefix=".probe-", dir=folder)
    os.close(handle)
    os.unlink(probe)
    return Path(folder)


def _own(path: str) -> None:
    """Refuse a folder that is a link, another user's, or open for others to write."""
    seen = os.lstat(path)
    if not stat.S_ISDIR(seen.st_mode):
        raise _Refused("is a link or a file, not a folder")
    if hasattr(os, "geteuid") and seen.st_uid != os.geteuid():
        raise _Refused(f"belongs to another user ({seen.st_uid})")
    if hasattr(os, "geteuid") and seen.st_mode & 0o022:
        raise _Refused(f"may be written by others (mode {stat.S_IMODE(seen.st_mode):04o}, chmod 700 it)")
