"""Read the morphology of a NeuroML2 cell; morphio does not know the format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from calcium_sim.errors import InputError

from .points import SOMA, Points
from .swc_text import read_bytes

Place = tuple[float, float, float, float]
"""x, y, z and radius [um]."""
GROUPS = (("soma", SOMA), ("axon", 2), ("apic", 4), ("basal", 3), ("dend", 3))
"""What the name of a group of segments says about their type, the first that fits."""


@dataclass(frozen=True)
class Segment:
    """One ``<segment>``: the id of its parent or "", where along that it begins, its two ends (the first may be that of the parent)."""

    parent: str
    fraction: float
    proximal: Place | None
    distal: Place


def read_neuroml(path: Path) -> Points:
    """Read the points of the one ``<morphology>`` in a NeuroML2 file.

    A segment whose proximal end has another radius than its parent repeats the place. Types come from the names of the groups (soma, axon,
    apical, basal or dendrite).

    Raises
    ------
    InputError
        If it is no XML, has no morphology or several, or a segment lacks an end or a parent.
    """
    raw = read_bytes(path, "a NeuroML file")
    if b"<!ENTITY" in raw:
        raise InputError(path.name, "declares entities, which no morphology needs (they can take any amount of memory)")
    try:
        document = ElementTree.fromstring(raw)
    except ElementTree.ParseError as error:
        raise InputError(path.name, f"is not well-formed XML, expected NeuroML2: {error}") from None
    found = [element for element in document.iter() if _name(element) == "morphology"]
    if len(found) != 1:
        fix = "give the file that holds it" if not found else "give a file with one"
        raise InputError(path.name, f"holds {len(found) or 'no'} <morphology>{'s' if len(found) > 1 else ''}, expected one ({fix})")
    segments: dict[str, Segment] = {}
    for key, segment in _segments(found[0], path.name):
        if key in segments or not key:
            fault = "this id was given before (ids must differ)" if key else "has no id"
            raise InputError(f"{path.name}: segment {key}".rstrip(), fault)
        segments[key] = segment
    for key, segment in segments.items():
        if segment.parent and segment.parent not in segments:
            raise InputError(f"{path.name}: segment {key}", f"its parent, segment {segment.parent}, is not in the file")
    return _Laid(path.name, segments, _types(found[0])).points()


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _child(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next((e for e in element if _name(e) == name), None)


def _segments(morphology: ElementTree.Element, file: str) -> Iterator[tuple[str, Segment]]:
    for element in morphology:
        if _name(element) != "segment":
            continue
        key = element.get("id", "")
        where = f"{file}: segment {key}"
        up, near, far = (_child(element, name) for name in ("parent", "proximal", "distal"))
        if far is None:
            raise InputError(where, "has no <distal> end")
        if up is None and near is None:
            raise InputError(where, "has neither a <parent> nor a <proximal> end")
        parent = "" if up is None else up.get("segment", "")
        fraction = 1.0 if up is None else _number(up, "fractionAlong", where, "1")
        if not 0 <= fraction <= 1:
            raise InputError(where, f"fractionAlong {fraction:g} is not between 0 and 1")
        yield key, Segment(parent, fraction, None if near is None else _place(near, where), _place(far, where))


def _place(element: ElementTree.Element, where: str) -> Place:
    x, y, z, diameter = (_number(element, name, where) for name in ("x", "y", "z", "diameter"))
    return x, y, z, diameter / 2


def _number(element: ElementTree.Element, name: str, where: str, default: str = "") -> float:
    text = element.get(name, default)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(where, f"{name} {text[:20]!r} of <{_name(element)}> is not a finite number")
    return number


def _types(morphology: ElementTree.Element) -> dict[str, int]:
    """Type of each segment that a group names, also through the groups that a group includes."""
    groups = {g.get("id", ""): g for g in morphology if _name(g) == "segmentGroup"}

    def members(key: str, seen: frozenset[str]) -> Iterator[str]:
        for part in groups.get(key, ()):
            if _name(part) == "member":
                yield part.get("segment", "")
            elif _name(part) == "include" and part.get("segmentGroup", "") not in seen:
                yield from members(part.get("segmentGroup", ""), seen | {part.get("segmentGroup", "")})

    found: dict[str, int] = {}
    for word, kind in reversed(GROUPS):
        for key in groups:
            if word in key.lower():
                found.update(dict.fromkeys(members(key, frozenset((key,))), kind))
    return found


@dataclass
class _Laid:
    """Points made of segments, each segment once its parent is there."""

    file: str
    segments: dict[str, Segment]
    types: dict[str, int]
    ids: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    start: dict[str, int] = field(default_factory=dict)
    end: dict[str, int] = field(default_factory=dict)
    gaps: int = 0

    def points(self) -> Points:
        """Lay all segments."""
        children: dict[str, list[str]] = {}
        for key, segment in self.segments.items():
            children.setdefault(segment.parent, []).append(key)
        todo = list(reversed(children.get("", [])))
        while todo:
            key = todo.pop()
            self._lay(key, self.segments[key], children.get(key, []))
            todo += reversed(children.get(key, []))
        lost = next((key for key in self.segments if key not in self.end), None)
        if lost is not None:
            raise InputError(f"{self.file}: segment {lost}", "does not lead to a segment without a parent (a cycle)")
        count = len(self.places)
        number = np.array(self.places, float).reshape(-1, 4)
        kinds = np.array([self.types.get(key, 0) for key in self.ids], np.int64)
        told = f"{self.file}: {self.gaps} segments begin off their parent and are joined to it by a cone"
        return Points(
            self.file, np.zeros(count, np.int64), np.arange(1, count + 1), kinds, number[:, :3], number[:, 3],
            np.array(self.parents, np.int64), (told,) if self.gaps else (),
        )  # fmt: skip

    def _add(self, key: str, place: Place, parent: int) -> int:
        self.ids.append(key)
        self.places.append(place)
        self.parents.append(parent)
        return len(self.places) - 1

    def _lay(self, key: str, segment: Segment, children: list[str]) -> None:
        """Add the points of a segment: its own beginning, the places at which children leave it, its end."""
        at = -1 if not segment.parent else self._leaving(segment)
        near = segment.proximal
        if near is not None and near != segment.distal and (at < 0 or near != self.places[at]):
            apart = at >= 0 and math.dist(near[:3], self.places[at][:3]) > 1e-6
            self.gaps += apart and self.types.get(self.ids[at]) != SOMA
            at = self._add(key, near, at)
        self.start[key] = at
        begin = self.places[at] if at >= 0 else segment.distal
        for part in sorted({f for c in children if 0 < (f := self.segments[c].fraction) < 1}):
            x, y, z, r = (a + part * (b - a) for a, b in zip(begin, segment.distal, strict=True))
            at = self._add(key, (x, y, z, r), at)
            self.end[f"{key} {part!r}"] = at
        self.end[key] = self._add(key, segment.distal, at)

    def _leaving(self, segment: Segment) -> int:
        """The point of its parent at which a segment begins."""
        if segment.fraction == 1 or (segment.fraction == 0 and self.start[segment.parent] < 0):
            return self.end[segment.parent]
        return self.start[segment.parent] if segment.fraction == 0 else self.end[f"{segment.parent} {segment.fraction!r}"]
