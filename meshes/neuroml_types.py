"""The type of each segment of a NeuroML2 cell: from what its groups are called and mean, or else from its own name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from .points import SOMA

TYPES = {"soma": SOMA, "axon": 2, "apical": 4, "basal": 3, "dendrite": 3}
"""Kinds of segments and their number, as in SWC; of groups that are alike in all else the first counts."""

TERMS = {
    "GO:0043025": "soma", "sao1044911821": "soma", "GO:0030424": "axon", "sao1770195789": "axon", "GO:0030425": "dendrite",
    "sao1211023249": "dendrite", "GO:0097440": "apical", "sao273773228": "apical", "GO:0097441": "basal",
}  # fmt: skip
"""Values of ``neuroLexId`` that say a type; the frequent sao864921383 says no more than that a group is one unbranched section."""

_SAID = {
    "soma": r"soma|cell_?body",
    "axon": r"axon",
    "apical": r"apic|(?<![a-z])obl(?![a-z])",
    "basal": r"basal|basilar|(?<![a-z])bas(?![a-z])",
    "dendrite": r"dend",
}
_ANY = "|".join(_SAID.values())
_NOT = re.compile(
    rf"(?<![a-z])(non|not|no|but|except|excluding|exclude|excl|without|minus|rm|other|outside|rest|away)_*((in|of|on|the|than|from)_+)*({_ANY})"
)
_NEAR = re.compile(
    r"(?<![a-z])(all|and|plus|minus|near|next|around|adjacent|neighbou?rs?|children|behind|above|below|after|before|besides?|prox\w*|dist\w*|to|from|off|beyond|by|until)(?![a-z])"
)
_BODY = re.compile(r"(?<![a-z])(soma|cell_?body)")
_PLAIN = re.compile(r"(soma(tic|ta|s)?|cell_?body|axon(al|s)?|apic(al)?|basal|basilar|dend(s|rites?|ritic)?|group|_)+")


def kind_of(name: str) -> str:
    """What the name of a group or a segment says of its type, one of `TYPES`, or "" if nothing or several things.

    A name that speaks of a soma and of dendrites or axons says neither, and so does one that denies what it names ("non_axonal"); a soma
    is also no group of "all" that hangs on it, or of what is near to it.
    """
    words = _words(name)
    said = {kind for kind, stem in _SAID.items() if re.search(stem, words)}
    trunks = {"dendrite" if kind in ("apical", "basal") else kind for kind in said}
    if len(trunks) != 1 or _NOT.search(words):
        return ""
    if "soma" in said:
        return "soma" if _BODY.search(words) and not _NEAR.search(words) else ""
    if "axon" in said:
        return "axon"
    return (said - {"dendrite"}).pop() if len(said - {"dendrite"}) == 1 else "dendrite"


def _words(name: str) -> str:
    """Small letters, with _ where words meet."""
    return re.sub(r"[\s.\-]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


@dataclass(frozen=True, order=True)
class Vote:
    """What one group says of its segments; the smallest counts: a term or a name that says nothing else, then the group of fewest."""

    loose: bool
    members: int
    rank: int

    @property
    def kind(self) -> str:
        """One of `TYPES`."""
        return list(TYPES)[self.rank]


def segment_types(morphology: ElementTree.Element, names: Mapping[str, str], parents: Mapping[str, str]) -> dict[str, int]:
    """Type of each segment that its groups, or else its own name, say; `names` and `parents` are those of all segments by their id."""
    groups = {g.get("id", ""): g for g in morphology if tag(g) == "segmentGroup"}
    votes: dict[str, list[Vote]] = {}
    body = False
    for key, group in groups.items():
        kind, term = kind_of(key), TERMS.get(group.get("neuroLexId", ""), "")
        if term and (kind not in ("apical", "basal") or term in ("soma", "axon")):
            kind = term
        if kind:
            vote_of = _members(key, groups, parents)
            loose = not term and not _PLAIN.fullmatch(_words(key))
            body |= kind == "soma" and not loose and bool(vote_of)
            vote = Vote(loose, len(vote_of), list(TYPES).index(kind))
            for member in vote_of:
                votes.setdefault(member, []).append(vote)
    found = {}
    for key, name in names.items():
        # where one group is the soma by name, others that are named after it are not
        cast = [vote for vote in votes.get(key, ()) if not (body and vote.loose and vote.kind == "soma")]
        kind = _chosen(cast) if cast else kind_of(name)
        if kind and (cast or kind != "soma" or not body):
            found[key] = TYPES[kind]
    return found


def _chosen(votes: list[Vote]) -> str:
    """The kind that counts; of dendrites the group that says which, if any does."""
    kind = min(votes).kind
    if kind != "dendrite":
        return kind
    return min((vote for vote in votes if vote.kind in ("apical", "basal")), default=min(votes)).kind


def _members(key: str, groups: Mapping[str, ElementTree.Element], parents: Mapping[str, str]) -> set[str]:
    """Segments of a group: its own, those on its paths and below its subtrees, and those of the groups that it includes."""
    found: set[str] = set()
    seen, todo = {key}, [key]
    while todo:
        for part in groups.get(todo.pop(), ()):
            if tag(part) == "member":
                found.add(part.get("segment", ""))
            elif tag(part) == "include" and (other := part.get("segmentGroup", "")) not in seen:
                seen.add(other)
                todo.append(other)
            elif tag(part) in ("path", "subTree"):
                ends = {tag(end): end.get("segment", "") for end in part}
                found |= _path(ends, parents) if tag(part) == "path" else _below(ends.get("from", ""), parents)
    return found


def _path(ends: Mapping[str, str], parents: Mapping[str, str]) -> set[str]:
    """Segments between two, the ends as well; none where the one does not lead to the other."""
    way, first = [ends.get("to", "")], ends.get("from", "")
    while way[-1] != first and parents.get(way[-1]) and len(way) <= len(parents):
        way.append(parents[way[-1]])
    return set(way) if way[-1] == first else set()


def _below(top: str, parents: Mapping[str, str]) -> set[str]:
    kids: dict[str, list[str]] = {}
    for key, parent in parents.items():
        kids.setdefault(parent, []).append(key)
    found, todo = set[str](), [top] if top in parents else []
    while todo:
        key = todo.pop()
        if key not in found:
            found.add(key)
            todo += kids.get(key, [])
    return found


def tag(element: ElementTree.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]
