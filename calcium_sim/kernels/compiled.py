"""`njit` and `cfunc` as numba's, but what ``cache=True`` keeps lies in our folder, under a digest, one checked file per signature.

numba would keep it beside the source: in an installation, from where pip does not remove it; only where it can write; and until the file of
the function changes, though the code of the functions that it calls is inside. A damaged file of its own ends in an error or a crash. Only
functions that are compiled here are concerned: what else the process compiles stays where numba puts it.

A file is the SHA-256 of the rest, and the rest a pickle of (what it was made for, compiled code): digest, function, types, processor. What
does not fit is compiled again and replaced.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Callable
from types import CodeType
from typing import Any

import numba
from numba.core import sigutils
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from .files import replace_file
from .folder import DIGEST, cache_folder

_warned: set[str] = set()


def njit(*, cache: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Like ``numba.njit(**options)``; with `cache` the machine code is kept in our folder."""

    def decorate(function: Callable[..., Any]) -> Any:
        compiled = numba.njit(**options)(function)
        if cache and not numba.config.DISABLE_JIT:
            compiled._cache = Store(function)
        return compiled

    return decorate


def cfunc(signature: Any, function: Callable[..., Any], **options: Any) -> Any:
    """Like ``numba.cfunc(signature, **options)(function)``, the machine code kept in our folder."""
    compiled = CFunc(function, sigutils.normalize_signature(signature), locals={}, options=options)
    compiled._cache = Store(function)
    compiled.compile()
    return compiled


class Store:
    """What numba asks of a function's cache."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    @property
    def cache_path(self) -> str:
        """The folder, as a text."""
        return str(cache_folder() or "")

    def enable(self) -> None:
        """Part of numba's protocol; a store is always enabled."""

    disable = flush = enable

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The code for a signature, or None: not there, damaged, or made for another one, or of another function."""
        target.refresh()
        identity = self._identity(signature, target.codegen())
        return kept(self._name(identity), identity, lambda code: CompileResult._rebuild(target, *code))

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep the code for a signature; where that fails, say so once and go on."""
        identity = self._identity(signature, result.codegen)
        if not any(not x.can_cache for x in result.lifted) and not result.library.has_dynamic_globals:
            keep(self._name(identity), identity, result._reduce())

    def _identity(self, signature: Any, codegen: Any) -> str:
        """What compiled code is made for: these kernels, the function's place, code and constants, the types, the processor."""
        f, code = self.function, self.function.__code__
        cells = dumps(_held(f))
        constants = [c for c in code.co_consts if not isinstance(c, CodeType)]
        place = (DIGEST, f.__module__, f.__qualname__, code.co_firstlineno)
        return repr((*place, str(signature), codegen.magic_tuple(), code.co_code, code.co_names, constants, cells))

    def _name(self, identity: str) -> str:
        """Of the file of what compiled code is made for."""
        return f"{self.function.__module__.rpartition('.')[2]}.{self.function.__name__}-{short(identity)}"


def _held(function: Callable[..., Any]) -> list[Any]:
    """What a function refers to beside its module; of compiled functions their names, for the digest covers what they do."""
    cells = [c.cell_contents for c in function.__closure__ or ()]
    return [(x.py_func.__qualname__, _held(x.py_func)) if hasattr(x, "py_func") else x for x in cells]


def short(identity: str) -> str:
    """What stands for an identity in the name of a file."""
    return hashlib.sha256(identity.encode()).hexdigest()[:20]


def kept(name: str, identity: str, rebuild: Callable[[Any], Any]) -> Any:
    """Compiled code made of what is kept under a name, or None: not there, damaged, or made for something else."""
    folder = cache_folder()
    try:
        content = (folder / f"{name}.machine").read_bytes() if folder else b""
        if content[:32] != hashlib.sha256(content[32:]).digest():
            return None
        made_for, code = pickle.loads(content[32:])
        return rebuild(code) if made_for == identity else None
    except Exception:  # whatever it is, compiling mends it
        return None


def keep(name: str, identity: str, code: Any) -> None:
    """Keep compiled code under a name; where that fails, say so once and go on."""
    folder = cache_folder()
    if folder is None:
        return
    content = dumps((identity, code))
    try:
        replace_file(folder / f"{name}.machine", hashlib.sha256(content).digest() + content)
    except OSError as error:
        if str(folder) not in _warned:
            _warned.add(str(folder))
            what = f"compiled code cannot be kept in '{folder}': {error.strerror}"
            warnings.warn(f"{what} (mend it, or set CALCIUM_SIM_CACHE)", stacklevel=2)
