"""Lines to copy that put a channel into a model, in Python and in a TOML file."""

from __future__ import annotations

import json

from ..plugin import Channel


def python_line(name: str, cls: type[Channel]) -> str:
    """A channel of this class, made in Python.

    >>> from calcium_sim.model.registry import get_channel
    >>> python_line("ryr/dnn", get_channel("ryr/dnn"))
    'cs.get_channel("ryr/dnn")(density="1 /um^2")'
    """
    needed = ", ".join(f"{key}={_quoted(text)}" for key, text in _needed(cls).items())
    return f"cs.get_channel({_quoted(name)})({needed})"


def toml_line(name: str, cls: type[Channel]) -> str:
    """The line that names the channel in a TOML file, with a remark where it goes."""
    sides = set(cls.across)
    membrane = "er" if "er" in sides else "plasma" if "outside" in sides else "NAME"
    needed = "".join(f", with {key} = {_quoted(text)}" for key, text in _needed(cls).items())
    return f"channel = {_quoted(name)}  # below [[membranes.{membrane}]]{needed}"


def _needed(cls: type[Channel]) -> dict[str, str]:
    """Values of the parameters that have no default."""
    return {name: f"1 {row.unit.removeprefix('1')}" for name, row in cls.parameter_table().items() if row.default is None}


def _quoted(text: str) -> str:
    """A string as Python and TOML both read it."""
    return json.dumps(text, ensure_ascii=False)
