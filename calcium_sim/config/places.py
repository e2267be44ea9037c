"""Places as a model file writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InputError, nearest, shown
from ..mesh.given import ordered
from ..mesh.places import Box, Nearest, Place, Within
from ..mesh.places import checked as checked_place
from ..model.probes import Probe, Recorded, recorded
from ..units import value


def place_of(given: Any, where: str) -> Place:
    """A label or face by name, a node by number, ``{ distance = ["0 um", "5 um"] }``, a box ``{ x = [...], y = [...] }``, the node
    nearest to a point, ``{ nearest = ["1 um", "2 um", "0 um"] }``, or an array of these."""
    if isinstance(given, list):
        return checked_place([place_of(part, f"{where}[{k}]") for k, part in enumerate(given)], where)
    if not isinstance(given, Mapping):
        return checked_place(given, where)
    if "nearest" in given:
        return _nearest(given, where)
    known = ("distance", "x", "y", "z", "nearest")
    for axis, limits in given.items():
        if axis not in known:
            raise InputError(f"{where}.{axis}", f"unknown coordinate{nearest(axis, known)}; there are {', '.join(known)}")
        if not isinstance(limits, list) or len(limits) != 2:
            found = f"{len(limits)} values" if isinstance(limits, list) else shown(limits)
            raise InputError(f"{where}.{axis}", f'{found}, expected a lower and an upper limit (e.g. {axis} = ["0 um", "5 um"])')
    spans = {axis: _limits(ends, f"{where}.{axis}") for axis, ends in given.items()}
    if not spans or ("distance" in spans and len(spans) > 1):
        raise InputError(where, 'expected distance = ["0 um", "5 um"], or limits of x, y and z')
    if "distance" in spans:
        return Within(*spans["distance"])
    ends = [spans.get(axis, (-float("inf"), float("inf"))) for axis in "xyz"]
    return Box(*((float(a), float(b), float(c)) for a, b, c in zip(*ends, strict=True)))


def _limits(ends: list[Any], where: str) -> tuple[float, float]:
    low, high = (float(value(end, "um", f"{where}[{k}]")) for k, end in enumerate(ends))
    return ordered(low, high, where)


def _nearest(given: Mapping[str, Any], where: str) -> Place:
    """The node of a region that is nearest to a point."""
    point = given["nearest"]
    if len(given) > 1 or not isinstance(point, list) or len(point) != 3:
        raise InputError(where, f'{shown(dict(given))} is no point, expected nearest = ["1 um", "2 um", "0 um"] (x, y, z) and nothing else')
    x, y, z = (float(value(v, "um", f"{where}.nearest[{k}]", zero=True)) for k, v in enumerate(point))
    return Nearest((x, y, z))


def record_of(given: Any) -> tuple[str, ...] | Recorded | None:
    """What a run keeps: names, or a table of probes: ``soma = ["ca@cytosol", "soma"]``, ``tip = { what = ..., at = ..., every = ... }``."""
    if given is None or (isinstance(given, list) and all(isinstance(name, str) for name in given)):
        return None if given is None else tuple(given)
    if isinstance(given, list):
        return recorded([{n: _probe(n, p) for n, p in entry.items()} if isinstance(entry, Mapping) else entry for entry in given])
    return recorded({name: _probe(name, entry) for name, entry in given.items()})


def _probe(name: str, given: Any) -> Probe:
    where, keys = f"record.{name}", ("what", "at", "every", "threshold")
    row = {"what": given} if isinstance(given, str) else given
    if isinstance(given, list) and 1 <= len(given) <= 3:
        row = dict(zip(keys, given, strict=False))
    if not isinstance(row, Mapping) or "what" not in row:
        fix = f'{name} = ["ca@cytosol", "soma"] or {name} = {{ what = "ca@cytosol", at = "soma", every = "0.1 ms" }}'
        raise InputError(where, f"{shown(given)} is no probe, expected {fix}")
    for key in row:
        if key not in keys:
            raise InputError(f"{where}.{key}", f"unknown key{nearest(key, keys)}; there are {', '.join(keys)}")
    return Probe(**{**row, "at": place_of(row.get("at"), f"{where}.at"), "name": name})
