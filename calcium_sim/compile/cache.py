"""Turns generated source into modules; what they compile is kept on disk by `kernels.compiled`, named after the hash of the source."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ..kernels.files import replace_file
from ..kernels.folder import DIGEST, cache_folder
from ..kernels.machine import COMPILED, addresses, by_numba, wrapper
from ..kernels.native import Kernel, Unsupported
from .module import content_name
from .scope import check

_LOCK = threading.RLock()


def load(text: str) -> ModuleType:
    """Return the module with this source; the same text gives the same module, compiled once and cached on disk.

    The source is written into the cache folder for whoever wants to read it and for tracebacks; it is never read from there.
    """
    text = _marked(text)
    name = f"calcium_sim_generated.{content_name(text)}"
    with _LOCK:
        if name in sys.modules:
            return sys.modules[name]
        module = ModuleType(name)
        module.__file__ = _written(text)
        code = compile(text, module.__file__, "exec", dont_inherit=True)
        sys.modules[name] = module
        try:
            exec(code, module.__dict__)  # text is made by our generators from checked names, numbers and functions that the user imported
        except BaseException:
            del sys.modules[name]
            raise
    return module


def sites(text: str, entries: Sequence[Kernel]) -> tuple[Any, ...]:
    """Where the machine code of every entry of a text begins, see `kernels.machine`; without JIT the functions themselves.

    What `kernels.native` does not translate numba compiles, in ten times the time.
    """
    if not COMPILED:
        return tuple(getattr(load(text), e.name) for e in entries)
    with _LOCK:
        file_of(text)
        try:
            return addresses(text, entries)
        except Unsupported:
            module = load(text + "".join(map(wrapper, entries)))
            return tuple(by_numba(getattr(module, f"entry_{e.name}"), e) for e in entries)


def file_of(text: str) -> str:
    """The file in which a text stands for whoever wants to read it; its bare name where there is no cache folder."""
    return _written(_marked(text))


def _marked(text: str) -> str:
    """A text with the digest of the kernels that it is compiled with."""
    return f"{text}# kernels {DIGEST}\n"


def _written(text: str) -> str:
    """Put a source into the cache folder, if there is one with room for it; return its name."""
    folder, name = cache_folder(), f"{content_name(text)}.py"
    if folder is None:
        check(text)
        return f"<{name}>"
    path, content = folder / name, text.encode()
    with contextlib.suppress(OSError):
        if not path.exists() or path.read_bytes() != content:
            check(text)
            replace_file(path, content)
    return str(path)
