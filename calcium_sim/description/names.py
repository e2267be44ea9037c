"""Names of a model as they are written in a result: known, and known to differ, before anything is computed.

A result is a table of variables that a file and Python have to be able to name, so a name becomes letters, digits and ``_``. `assign` gives
every variable of a result a name of its own; whoever writes a result takes them from there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import InputError

FIXED = frozenset({
    "time", "node", "node_index", "region", "x", "y", "z", "distance", "volume", "account", "v", "mesh", "edge_nodes", "edge", "two",
    "volume_nodes", "volume_element", "four", "volume_shape", "face_nodes", "face", "three", "section",
})  # fmt: skip
"""Variables and dimensions of every result, whatever the model."""

KEYWORDS = frozenset({"flux", "po"})
"""What ``record=`` means by itself."""

DERIVED = {"ledger": "ledger_{}", "arrival": "{}_arrival", "peak": "{}_peak", "peak_time": "{}_peak_time"}
"""Further variables of a species."""

_NO_NAME = "@()"

_SECTION = re.compile(r"section-\d+")

LONGEST = 100
"""Letters of a name as it is written: a variable joins two of them and a few words, and netCDF takes 256."""


@dataclass(frozen=True)
class ResultNames:
    """Variables of a result by the names of the model.

    Parameters
    ----------
    fields : variable of each species and buffer.
    derived : by species, the variables of its ledger and of what is noted of it (``ledger``, ``arrival``, ``peak``, ``peak_time``).
    regions, membranes : how each is written within the name of an attribute or variable (``diffusion_cytosol``, ``area_er``).
    channels : by (membrane, label on it), the end of ``flux_...`` and ``po_...``.
    labels : the end of ``label_...``.
    """

    fields: Mapping[str, str]
    derived: Mapping[str, Mapping[str, str]]
    regions: Mapping[str, str]
    membranes: Mapping[str, str]
    channels: Mapping[tuple[str, str], str]
    labels: Mapping[str, str]


def variable(name: str) -> str:
    """A name in letters, digits and ``_``: ``ryr/keizer-levine`` becomes ``ryr_keizer_levine``, a Greek letter its English name.

    >>> variable("ca-1"), variable("Ca²⁺"), variable("α")
    ('ca_1', 'Ca2_', 'alpha')
    """
    return "".join(_written(c) for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))


def _written(c: str) -> str:
    if c.isascii():
        return c if c.isalnum() else "_"
    called = unicodedata.name(c, "")
    if called.startswith("GREEK"):
        word = called.split(" WITH ")[0].split()[-1].lower()
        return word.capitalize() if "CAPITAL" in called else word
    return f"u{ord(c):04x}" if c.isalnum() else "_"


def number_labels(labels: Sequence[str]) -> list[str]:
    """Labels of the channels on one membrane: those that occur more than once get a number (``leak/linear#2``)."""
    return [label if labels.count(label) == 1 else f"{label}#{labels[: k + 1].count(label)}" for k, label in enumerate(labels)]


def placed(labels: Iterable[str]) -> list[str]:
    """The labels of a mesh that get a coordinate of their own; sections, of which there are hundreds, share one (``section``)."""
    return [name for name in labels if not _SECTION.fullmatch(name)]


def assign(
    species: Sequence[str],
    buffers: Sequence[str],
    regions: Sequence[str],
    channels: Mapping[str, Sequence[str]],
    labels: Sequence[str] = (),
) -> ResultNames:
    """Give every variable of a result a name of its own.

    Names that can be written as they are keep that; of others that come out the same, the second gets a number (``ca-1`` beside ``ca_1`` is
    ``ca_1_2``). What a variable stands for is in its attributes.

    Parameters
    ----------
    species, buffers, regions : names.
    channels : labels of the channels on each membrane of the mesh, by the membrane's name.
    labels : of places of the mesh.

    Raises
    ------
    InputError
        If a name cannot be written, or a species or buffer is called like something in every result.
    """
    for place, names in (("species", species), ("buffers", buffers), ("mesh.regions", regions), ("membranes", list(channels))):
        for name in names:
            told = name if isinstance(name, str) and name.isprintable() else repr(name)
            check_name(name, f"{place}.{told}", place in ("species", "buffers"))
    for membrane, own in channels.items():
        for label in own:
            _check_length(label, f"membranes.{membrane[:60]}.{label[:60]}")
    taken = set(FIXED | KEYWORDS)
    fields = _written_names([*species, *buffers], taken, ("{}",))
    membranes = _written_names(channels, taken, ("pair_{}", "node_inside_{}", "node_outside_{}", "area_{}"))
    derived = {name: {what: _free(text.format(fields[name]), taken, ("{}",)) for what, text in DERIVED.items()} for name in species}
    keys = [(membrane, label) for membrane, own in channels.items() for label in number_labels(own)]
    stems = [variable(label) for _, label in keys]
    ends = [f"{stem}_{membranes[m]}" if stems.count(stem) > 1 else stem for (m, _), stem in zip(keys, stems, strict=True)]
    known = {key: _free(end, taken, ("flux_{}", "po_{}")) for key, end in zip(keys, ends, strict=True)}
    return ResultNames(
        fields, derived, _written_names(regions, set(), ("{}",)), membranes, known, _written_names(labels, taken, ("label_{}",))
    )


def check_name(name: object, where: str, field: bool = False) -> None:
    """Refuse what cannot be a name in a result; that of a `field` must not be one of every result either."""
    if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable() or any(c in name for c in _NO_NAME):
        raise InputError(where, f"{name!r} is no name, expected printable text without blanks at its ends and without {' '.join(_NO_NAME)}")
    if len(variable(name)) > LONGEST:
        raise InputError(
            where[:60], f"is written with {len(variable(name))} letters, expected at most {LONGEST} (netCDF takes no longer names)"
        )
    if field and variable(name) in FIXED | KEYWORDS:
        raise InputError(where, f"'{name}' is the name of something in every result (choose another, such as '{name}_1')")


def _check_length(name: str, where: str) -> None:
    if (length := len(variable(name))) > LONGEST:
        raise InputError(where, f"is written with {length} letters, expected at most {LONGEST} (netCDF takes no longer names)")


def _written_names(names: Iterable[str], taken: set[str], texts: tuple[str, ...]) -> dict[str, str]:
    """A written form of each name; those that need no change come first."""
    given = list(names)
    found = {name: _free(variable(name), taken, texts) for name in sorted(given, key=lambda n: n != variable(n))}
    return {name: found[name] for name in given}


def _free(stem: str, taken: set[str], texts: tuple[str, ...]) -> str:
    """The stem, with a number where something it makes is taken."""
    told, number = stem, 1
    while not taken.isdisjoint(text.format(told) for text in texts):
        number += 1
        told = f"{stem}_{number}"
    taken.update(text.format(told) for text in texts)
    return told
