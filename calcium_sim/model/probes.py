"""What a run keeps: whole fields at every output, and probes: single values at named places, at their own rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..description.fixed import Described
from ..description.names import check_name, variable
from ..errors import InputError, shown
from ..mesh.places import checked
from ..units import value

EXAMPLE = '{"soma": ("ca@cytosol", "soma"), "tip": cs.Probe("ca@cytosol", at=mesh.nearest(10, 20, 0), every="0.1 ms")}'


@dataclass(frozen=True, eq=False, repr=False)
class Probe(Described):
    """A value at a place that a run takes down, with its first crossing of a threshold and its peak.

    Parameters
    ----------
    what : ``"ca@cytosol"`` (species or buffer at a region; the cytosol where none is named), ``"po@NAME"`` or ``"flux@NAME"`` of a
        channel by its name, or ``"v"``, the potential.
    at : a label, the number of a node (`Mesh.nearest`), a function of coordinates, or a list of these; everywhere by default. Of several
        nodes the mean by volume is taken, of membrane pairs the mean by area.
    every : interval between its times; that of the run's outputs by default. Steps end at all of them, as at outputs: the run stays within
        its tolerance, and intervals below its steps make it slower.
    threshold : whose first crossing is noted; by default that of the species where the field rests below it, nothing for other values.
    name : under which the result has it (``probe_<name>``), where it does not stand in a table ``{name: ...}``.
    """

    what: str
    at: Any = None
    every: Any = None
    threshold: Any = None
    name: str = ""

    def __post_init__(self) -> None:
        where = f"record.{self.name or 'probe'}"
        if not isinstance(self.what, str) or not self.what:
            raise InputError(
                where, f"{shown(self.what)} is nothing to record, expected such as 'ca@cytosol', 'po@ryr/keizer-levine' or 'v'"
            )
        if self.name:
            check_name(self.name, where)
        object.__setattr__(self, "at", checked(self.at, f"{where}.at"))
        if self.every is not None:
            every = value(self.every, "ms", f"{where}.every")
            if not every > 0:
                raise InputError(f"{where}.every", f"{every:g} ms must be > 0")
            object.__setattr__(self, "every", every)

    @property
    def stem(self) -> str:
        """Its name as variables have it."""
        return variable(self.name)

    @property
    def variables(self) -> set[str]:
        """All that a result has of it."""
        return {f"time_{self.stem}", *(f"probe_{self.stem}{end}" for end in ("", "_arrival", "_peak", "_peak_time"))}


class Recorded(NamedTuple):
    """Names of fields (and "flux", "po") that are kept at every output, None for all of them, and probes."""

    names: tuple[str, ...] | None
    probes: tuple[Probe, ...]

    def keeps(self, name: str) -> bool:
        """Whether a field, "flux" or "po" is kept as a whole."""
        return self.names is None or name in self.names


def recorded(given: Any) -> Recorded:
    """Read ``record=``: names, a table of probes (then nothing else is kept), or a list of names, probes and tables of them.

    Raises
    ------
    InputError
        If an entry is none of these, or two probes have one name.
    """
    if isinstance(given, Recorded):
        return given
    if given is None:
        return Recorded(None, ())
    several = given if isinstance(given, (list, tuple, set, frozenset)) else [given]
    names: list[str] = []
    probes: list[Probe] = []
    for entry in several:
        if isinstance(entry, Mapping):
            probes += [_probe(name, spec) for name, spec in entry.items()]
        elif isinstance(entry, Probe):
            if not entry.name:
                raise InputError("record", f"the probe of '{entry.what}' has no name (give name=, or a table: {EXAMPLE})")
            probes.append(entry)
        else:
            names.append(entry)
    taken: set[str] = set()
    for p in probes:
        if twice := taken & p.variables:
            raise InputError(f"record.{p.name}", f"two probes would be called '{sorted(twice)[0]}' (give them different names)")
        taken |= p.variables
    return Recorded(tuple(names), tuple(probes))


def _probe(name: Any, given: Any) -> Probe:
    where = f"record.{name}"
    check_name(name, where)
    if isinstance(given, Probe):
        return replace(given, name=name)
    if isinstance(given, str):
        return Probe(given, name=name)
    if isinstance(given, (tuple, list)) and 1 <= len(given) <= 3:
        return Probe(**dict(zip(("what", "at", "every"), given, strict=False)), name=name)
    raise InputError(where, f"{shown(given)} is no probe, expected (what, where) or a cs.Probe (e.g. {EXAMPLE})")
