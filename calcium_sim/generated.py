"""Writes generated modules into a cache folder and imports them; numba keeps the machine code beside them."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numba

from . import kernels
from .codegen_module import content_name
from .scope import check


def cache_folder() -> Path:
    """Folder for generated modules: CALCIUM_SIM_CACHE, else the user's cache, else a temporary folder of this user."""
    home = os.environ.get("CALCIUM_SIM_CACHE")
    candidates = [Path(home)] if home else [Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calcium-sim"]
    candidates.append(Path(tempfile.gettempdir()) / f"calcium-sim-{os.getuid() if hasattr(os, 'getuid') else 'user'}")
    for folder in candidates:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError:
            continue
        return folder
    raise OSError("no writable cache folder: set CALCIUM_SIM_CACHE")


def _versions() -> str:
    """What the machine code depends on besides the text: numba and our own kernels."""
    import hashlib

    folder = Path(kernels.__file__).parent
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(folder.glob("*.py")))).hexdigest()[:16]
    return f"# numba {numba.__version__}, kernels {digest}\n"


def load(text: str) -> ModuleType:
    """Import the module with this source; the same text gives the same module, compiled once and cached on disk."""
    text += _versions()
    name = f"calcium_sim_generated.{content_name(text)}"
    if name in sys.modules:
        return sys.modules[name]
    path = cache_folder() / f"{content_name(text)}.py"
    if not path.exists() or path.read_text() != text:
        check(text)
        scratch = path.with_suffix(f".{os.getpid()}.tmp")
        scratch.write_text(text)
        scratch.replace(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
