"""The channel registry: names come from entry points and are known before any plugin code is imported."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint
from pathlib import Path

from ..errors import InputError, file_path, nearest, shown, warn
from ..plugin import LOCAL, Channel
from ..plugin.entries import GROUP, claimed, find, full_name, installed, listed, provider
from .channel_files import LEARNED, channel_in, names_file


def add_channel_folder(folder: str | os.PathLike[str]) -> list[str]:
    """Make the learned channels of a folder (``.pt`` and ``.npz`` files) known by the names on their cards; return these names.

    Only the cards are read here; a file is examined as a whole when its channel is first asked for. A file whose card cannot be read is
    left out with a warning.

    Raises
    ------
    InputError
        If the folder does not exist.
    """
    from ..admission.admit import read_card

    path = file_path(folder, "channel folder")
    if not path.is_dir():
        raise InputError("channel folder", f"'{path}' is not a folder")
    path = path.resolve()
    _in_folder.pop(path, None)
    found: dict[Path, str] = {}
    for file in sorted(p for p in path.iterdir() if p.suffix in LEARNED):
        try:
            found[file] = read_card(file).name
        except InputError as error:
            warn(f"{error} (left out)")
    _in_folder[path] = found
    return sorted(set(found.values()))


_in_folder: dict[Path, dict[Path, str]] = {}


def learned_files(name: str) -> list[Path]:
    """Files of the known folders whose card has this name; where a ``.pt`` lies beside its ``.npz``, the weights win."""
    files = [file for folder in _in_folder.values() for file, known in folder.items() if known == name]
    return [f for f in files if not (f.suffix == ".pt" and f.with_suffix(".npz") in files)]


def list_channels() -> list[str]:
    """Names of all channels: installed, in the folders, and registered in this process. Imports no plugin."""
    return sorted({*listed(), *LOCAL, *(name for folder in _in_folder.values() for name in folder.values())})


def get_channel(name: str | os.PathLike[str], folder: str | os.PathLike[str] = ".") -> type[Channel]:
    """Return the channel class registered under `name`, or in the file that it names; call it with parameters to get a channel.

    Parameters
    ----------
    name : registered name (``"leak/linear"``), a learned channel's file (``"my.npz"``, ``"my.pt"``: read, never executed), or a class in
        a Python file (``"mine.py:LiRinzel"``: the file is executed, as by an import).
    folder : that a relative path starts from.

    ``<distribution>:<name>`` names that of one package, such as ``calcium-sim:leak/linear``. Without it ours come before those of others.

    Raises
    ------
    InputError
        If the name is unknown (the nearest names are given), claimed by several other packages, or its package or file cannot be imported.

    Warns
    -----
    UserWarning
        If another package registers a name of ours.
    """
    if isinstance(name, os.PathLike):
        name = os.fspath(name)
    if not isinstance(name, str):
        made = " (it is a channel class: call it with parameters)" if isinstance(name, type) else ""
        raise InputError("channel", f"{shown(name)} is no name of a channel, expected text (e.g. 'leak/linear'){made}")
    if name in LOCAL and len(claimed(name)) < 2:
        return LOCAL[name]
    if files := learned_files(name):
        return _from_file(name, files, claimed(name))
    point = find(name, GROUP, "channel")
    if point is None and names_file(name):
        return channel_in(name, folder)
    if point is None:
        raise InputError("channel", f"unknown channel '{name}'{_hint(name)}; list them with `calcium-sim channels list`")
    try:
        cls = point.load()
    except Exception as error:
        last = str(error).splitlines()[-1] if str(error) else type(error).__name__
        raise InputError("channel", f"'{name}' of {provider(point)} cannot be imported: {type(error).__name__}: {last}") from error
    if not (isinstance(cls, type) and issubclass(cls, Channel)):
        raise InputError("channel", f"'{name}' of {provider(point)} is {cls!r}, expected a subclass of calcium_sim.Channel")
    if cls.name not in (point.name, full_name(point)):
        warn(f"channel '{name}' of {provider(point)} calls itself '{cls.name}'")
    return cls


def _hint(name: str) -> str:
    """Who has a name that another package was asked for, or the nearest name."""
    others = installed().get(name.rpartition(":")[2], ())
    return f" (did you mean '{full_name(others[0])}'?)" if others else nearest(name, list_channels())


def _from_file(name: str, files: list[Path], points: tuple[EntryPoint, ...]) -> type[Channel]:
    if len(files) > 1 or points:
        claims = [str(f) for f in files] + [provider(p) for p in points]
        raise InputError("channel", f"'{name}' is claimed by {' and by '.join(claims)}; rename one")
    return channel_in(str(files[0]))


def owner(name: str) -> str:
    """Distribution or file that provides a channel ("this process" for one registered by the decorator)."""
    if files := learned_files(name):
        return str(files[0])
    points = claimed(name)
    if not points and name not in LOCAL and names_file(name):
        return str(Path(name.partition(".py:")[0] + ".py" if ".py:" in name else name).resolve())
    return provider(points[0]) if points else "this process"
