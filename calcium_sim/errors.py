"""The errors and warnings of calcium-sim: one line each, that names the place, what was found, and the fix."""

from __future__ import annotations

import difflib
import os
import re
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class CalciumSimError(Exception):
    """Base of every error that the package raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 1

    def __str__(self) -> str:
        return "\n".join(map(_cut, super().__str__().split("\n")))


def _cut(line: str) -> str:
    """A line in which what was given, a word or all of it, is not repeated at full length."""
    words = re.sub(r"\S{201,}", lambda m: f"{m[0][:80]}...{m[0][-20:]}", line)
    return words if len(words) <= 2000 else f"{words[:800]} ... {words[-400:]}"


class InputError(CalciumSimError, ValueError):
    """Bad input, refused before anything is computed or written.

    Parameters
    ----------
    where : str
        The place: a parameter, a key of a file, a line.
    message : str
        What was found and what is expected, ending with the fix.
    """

    exit_code = 2

    def __init__(self, where: str, message: str) -> None:
        self.where = where = _line(where, 300)
        self.message = message = _line(message, 1000)
        super().__init__(f"{where}: {message}" if where else message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.where, self.message)


class RunStopped(CalciumSimError, RuntimeError):
    """A run stopped itself: a state that is not finite, or a step that cannot be made accurate."""

    exit_code = 3


class StorageError(CalciumSimError, OSError):
    """A result could not be written: no space, no permission, directory gone."""

    exit_code = 5


def warn(line: str, kind: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's code that led here, however deep inside the package this is."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "calcium_sim":
        frame, level = frame.f_back, level + 1
    warnings.warn(line, kind, stacklevel=level)


class ModelWarning(UserWarning):
    """A model is accepted, but lies outside the range in which its equations are known to hold; said when a run of it begins."""


def _line(text: str, most: int) -> str:
    """One line that a person reads, whatever was quoted in it; its end, which holds the fix, is kept."""
    text = " ".join(text.splitlines()) if "\n" in text else text
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 3 :]}"


def regular_file(path: Path, where: str, kind: str) -> Path:
    """The path of a file that has an end: no folder, device, pipe or socket, also behind links."""
    if path.is_dir():
        raise InputError(where, f"is a directory, expected {kind}")
    if path.exists() and not path.is_file():
        raise InputError(where, f"is no regular file (a device, a pipe, a socket), expected {kind}")
    return path


def file_path(given: Any, where: str) -> Path:
    """A file name as a path, or an InputError."""
    if not isinstance(given, (str, os.PathLike)):
        raise InputError(where, f"{shown(given)} is no file name, expected text or a pathlib.Path (e.g. 'out/wave.nc')")
    try:
        path = Path(given)
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass
    except (OSError, ValueError, TypeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())
        raise InputError(where, f"{given!r} cannot be the name of a file here: {why}") from error
    return path


def shown(given: Any, longest: int = 60) -> str:
    """How a value that someone gave is told: one line, cut where it is long.

    >>> shown("a" * 100, 10)
    "'aaaaaaaaa..."
    """
    try:
        text = " ".join(repr(given).split())
    except Exception:  # a whole number of more than 4300 digits, or a class of someone's own
        text = f"a value of type {type(given).__name__}"
    return text if len(text) <= longest else f"{text[:longest]}..."


def nearest(word: Any, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the known word closest to `word`, or an empty string.

    >>> nearest("spacng", ["spacing", "length"])
    " (did you mean 'spacing'?)"
    """
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""
