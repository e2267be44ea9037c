"""Read the morphology of a NeuroML2 cell; morphio does not know the format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ..errors import InputError
from .neuroml_types import segment_types, tag
from .points import SMALLEST, SOMA, Points
from .swc_text import read_bytes

Place = tuple[float, float, float, float]
"""x, y, z and radius [um]."""
SAME = 1e-9  # um
"""Distance of places and radii that are one, rounded."""


@dataclass(frozen=True)
class Segment:
    """One ``<segment>``: its name, the id of its parent or "", where along that it begins, its two ends (without the first: there)."""

    name: str
    parent: str
    fraction: float
    proximal: Place | None
    distal: Place


def read_neuroml(path: Path) -> Points:
    """Read the points of the one ``<morphology>`` in a NeuroML2 file.

    A segment whose proximal end has another radius than its parent repeats the place, and so does one that leaves the soma: its cone
    belongs to the neurite. Where a segment begins off its parent, nothing is between the two. Types come from groups and names, see
    `segment_types`.

    Raises
    ------
    InputError
        If it is no XML, has no morphology or several, or a segment lacks an end or a parent.
    """
    raw = read_bytes(path, "a NeuroML file")
    if b"\x00" in raw:
        raise InputError(path.name, "is no text in UTF-8 (save it as UTF-8)")
    if b"<!ENTITY" in raw:
        raise InputError(path.name, "declares entities, which no morphology needs (they can take any amount of memory)")
    try:
        document = ElementTree.fromstring(raw)
    except ElementTree.ParseError as error:
        raise InputError(path.name, f"is not well-formed XML, expected NeuroML2: {error}") from None
    found = [element for element in document.iter() if tag(element) == "morphology"]
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
    names, parents = {key: s.name for key, s in segments.items()}, {key: s.parent for key, s in segments.items()}
    return _Laid(path.name, segments, segment_types(found[0], names, parents)).points()


def _child(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next((e for e in element if tag(e) == name), None)


def _segments(morphology: ElementTree.Element, file: str) -> Iterator[tuple[str, Segment]]:
    for element in morphology:
        if tag(element) != "segment":
            continue
        key = element.get("id", "")
        where = f"{file}: segment {key}"
        up, near, far = (_child(element, name) for name in ("parent", "proximal", "distal"))
        if far is None:
            raise InputError(where, "has no <distal> end")
        parent = "" if up is None else up.get("segment", "")
        if not parent and near is None:
            raise InputError(where, "has neither a <parent> nor a <proximal> end")
        fraction = 1.0 if up is None else _number(up, "fractionAlong", where, "1")
        if not 0 <= fraction <= 1:
            raise InputError(where, f"fractionAlong {fraction:g} is not between 0 and 1")
        yield key, Segment(element.get("name", ""), parent, fraction, None if near is None else _place(near, where), _place(far, where))


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
        raise InputError(where, f"{name} {text[:20]!r} of <{tag(element)}> is not a finite number")
    return number


@dataclass
class _Laid:
    """Points made of segments, each segment once its parent is there."""

    file: str
    segments: dict[str, Segment]
    types: dict[str, int]
    ids: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    apart: list[bool] = field(default_factory=list)
    start: dict[str, int] = field(default_factory=dict)
    end: dict[str, int] = field(default_factory=dict)
    balls: list[str] = field(default_factory=list)

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
        if count == 1:  # a body without length
            kinds[0] = SOMA
        return Points(
            self.file, np.zeros(count, np.int64), np.arange(1, count + 1), kinds, number[:, :3], number[:, 3],
            np.array(self.parents, np.int64), np.array(self.apart, bool), tuple(self._told()),
        )  # fmt: skip

    def _told(self) -> Iterator[str]:
        """Name the segments without length from which others go on, but for a ball that is the whole soma."""
        body = [key for key in self.segments if self.types.get(key) == SOMA]
        flat = [key for key in self.balls if body != [key]]
        if flat:
            what = f"a segment without length adds no volume and no membrane{f' (and {len(flat) - 1} like it)' if len(flat) > 1 else ''}"
            yield f"{self.file}: segment {flat[0]}: {what}; a ball is read where it is the whole soma"

    def _add(self, key: str, place: Place, parent: int, apart: bool) -> int:
        self.ids.append(key)
        self.places.append(place)
        self.parents.append(parent)
        self.apart.append(apart)
        return len(self.places) - 1

    def _lay(self, key: str, segment: Segment, children: list[str]) -> None:
        """Add the points of a segment: its own beginning, the places at which children leave it, its end."""
        at = -1 if not segment.parent else self._leaving(segment)
        begin, far = segment.proximal or self.places[at], segment.distal
        leaves = at >= 0 and self.types.get(self.ids[at]) == SOMA != self.types.get(key)
        apart = leaves or (at >= 0 and math.dist(begin[:3], self.places[at][:3]) > SMALLEST)
        if begin != far and (at < 0 or leaves or math.dist(begin, self.places[at]) > SAME):
            at, apart = self._add(key, begin, at, apart), False
        self.start[key] = at if begin != far else -1
        self.balls += [key] if begin == far and children else []
        for part in sorted({f for c in children if 0 < (f := self.segments[c].fraction) < 1}):
            x, y, z, r = (a + part * (b - a) for a, b in zip(begin, far, strict=True))
            at, apart = self._add(key, (x, y, z, r), at, apart), False
            self.end[f"{key} {part!r}"] = at
        self.end[key] = self._add(key, far, at, apart)

    def _leaving(self, segment: Segment) -> int:
        """The point of its parent at which a segment begins."""
        if segment.fraction == 1 or (segment.fraction == 0 and self.start[segment.parent] < 0):
            return self.end[segment.parent]
        return self.start[segment.parent] if segment.fraction == 0 else self.end[f"{segment.parent} {segment.fraction!r}"]
