"""Channels that are named by their file: ``"my.npz"`` and ``"my.pt"`` are read and examined, ``"mine.py:LiRinzel"`` is executed."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import InputError, nearest, regular_file
from ..plugin import Channel

LEARNED = (".pt", ".npz")
_LARGEST = 4 * 1024 * 1024
_PYTHON = re.compile(r"(.*\.py)(?::(.*))?", re.S)


def names_file(name: str) -> bool:
    """Whether a name of a channel is that of a file, or of a class in one."""
    return Path(name).suffix.lower() in (*LEARNED, ".pt2", ".pth") or _PYTHON.fullmatch(name) is not None


def executed(name: str, folder: str | os.PathLike[str] = ".") -> str:
    """What there is to say before the file that a channel is named by is executed; empty where none is: no file, or no class is named."""
    python = _PYTHON.fullmatch(name)
    if python is None or not python[2] or not (Path(folder) / python[1]).is_file():
        return ""
    told = f"note: {python[1]} is Python and is executed ('{name}')"
    return f"{told}: run files of others only if you trust them (.npz and .pt are not executed)"


def channel_in(name: str, folder: str | os.PathLike[str] = ".") -> type[Channel]:
    """Return the channel class in a file; a file is read again only if it has changed.

    Parameters
    ----------
    name : ``my.npz``, ``my.pt``, ``mine.py:LiRinzel``.
    folder : that a relative path starts from.

    Raises
    ------
    InputError
        If the file cannot be read, is refused, fails while it is executed, or has no such class.
    """
    python = _PYTHON.fullmatch(name)
    file = Path(folder) / (python[1] if python else name)
    if not file.exists():
        there = sorted(p.name for p in file.parent.iterdir() if p.suffix == file.suffix) if file.parent.is_dir() else []
        raise InputError("channel", f"{name}: no such file in {file.parent.resolve()}{nearest(file.name, there)}")
    regular_file(file, f"channel: {name}", "a channel file (.npz, .pt, .py)")
    if not python:
        return _learned(file)
    try:
        content = file.read_bytes() if file.stat().st_size <= _LARGEST else None
    except OSError as error:
        raise InputError("channel", f"{name}: cannot be read: {error.strerror or error}") from None
    if content is None:
        raise InputError("channel", f"{name}: is larger than 4 MiB, no Python file of a channel is")
    if not python[2]:
        raise _nameless(file, content, name)
    return _class(_module(file.resolve(), content, name), python[2], name)


def _learned(file: Path) -> type[Channel]:
    from ..networks.channel import load_channel

    stamp = file.stat()
    key = file.resolve(), stamp.st_mtime_ns, stamp.st_size
    if key not in _loaded:
        try:
            _loaded[key] = load_channel(file)
        except InputError as error:
            raise InputError("channel", str(error)) from error
    return _loaded[key]


_loaded: dict[tuple[Path, int, int], type[Channel]] = {}


def _module(file: Path, content: bytes, name: str) -> ModuleType:
    """The module of a file, executed once per content, as it stands: compiled files beside it may be older."""
    module_name = f"channels_of_{re.sub(r'[^0-9A-Za-z]', '_', file.stem)}_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    digest = hashlib.sha256(content).hexdigest()
    with _alone:
        known = sys.modules.get(module_name)
        if known is not None and getattr(known, "__digest__", "") == digest:
            return known
        return _executed(ModuleType(module_name), known, file, content, digest, name)


_alone = threading.RLock()
"""A file is executed by one thread at a time; who else asks for it waits."""


def _executed(module: ModuleType, known: ModuleType | None, file: Path, content: bytes, digest: str, name: str) -> ModuleType:
    """The module after its text has been executed; if that fails, the one that was known before stays."""
    module_name = module.__name__
    module.__dict__.update(__file__=str(file))
    sys.modules[module_name] = module
    sys.path.insert(0, str(file.parent))  # modules beside it are found, as when it is run
    try:
        exec(compile(content, str(file), "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        sys.modules.pop(module_name) if known is None else sys.modules.update({module_name: known})
        if not isinstance(error, (Exception, SystemExit)):
            raise
        raise InputError("channel", f"{name}: fails{_line(error, str(file))}: {_said(error)}") from error
    finally:
        if str(file.parent) in sys.path:
            sys.path.remove(str(file.parent))
    for cls in vars(module).values():
        if isinstance(cls, type) and issubclass(cls, Channel) and cls.__module__ == module_name:
            cls.origin = _origin(str(file), cls.__qualname__, digest)  # type: ignore[method-assign]
    module.__dict__["__digest__"] = digest
    return module


def _origin(*place: str) -> Any:
    return classmethod(lambda cls: (again, place))


def again(file: str, name: str, digest: str) -> type[Channel]:
    """The class of a file in another process, or later.

    Raises
    ------
    InputError
        If the file is not there, or not as it was.
    """
    cls = channel_in(f"{file}:{name}")
    if getattr(sys.modules.get(cls.__module__), "__digest__", "") != digest:
        raise InputError("channel", f"{file}:{name}: the file has changed since (make the model again)")
    return cls


def _line(error: BaseException, file: str) -> str:
    """The last line of the file on the way to an error."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return f" in line {error.lineno}"
    numbers = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" in line {numbers[-1]}" if numbers else ""


def _said(error: BaseException) -> str:
    if isinstance(error, InputError):
        return str(error)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _class(module: ModuleType, wanted: str, name: str) -> type[Channel]:
    found = {k: v for k, v in vars(module).items() if isinstance(v, type) and issubclass(v, Channel) and v is not Channel}
    if wanted in found:
        return found[wanted]
    if hasattr(module, wanted):
        raise InputError("channel", f"{name}: {wanted} is no channel class; {_there(found)}")
    raise InputError("channel", f"{name}: has no class '{wanted}'{nearest(wanted, found)}; {_there(found)}")


def _there(found: Iterable[str]) -> str:
    return f"there are {', '.join(found)}" if found else "it has none (a class derived from calcium_sim.Channel)"


def _nameless(file: Path, content: bytes, name: str) -> InputError:
    """What to say of a file without the name of a class; its text is read, nothing is executed."""
    try:
        found = _classes(ast.parse(content))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return InputError("channel", f"{name} names no class of the file, and is no Python{_line(error, '<unknown>')}: {_said(error)}")
    example = f" (write {file.name}:{found[0]})" if found else ""
    return InputError("channel", f"{name} names no class of the file{example}; {_there(found)}")


def _classes(tree: ast.Module) -> list[str]:
    """Classes of a text that are channels: derived from `Channel`, or from one of them, or decorated by ``channel``."""
    found: list[str] = []
    for part in tree.body:
        if isinstance(part, ast.ClassDef):
            decorators = [d.func if isinstance(d, ast.Call) else d for d in part.decorator_list]
            if {"Channel", *found} & set(map(_last_name, part.bases)) or "channel" in map(_last_name, decorators):
                found.append(part.name)
    return found


def _last_name(part: ast.expr) -> str:
    """``Channel`` of ``cs.Channel``."""
    return part.attr if isinstance(part, ast.Attribute) else part.id if isinstance(part, ast.Name) else ""
