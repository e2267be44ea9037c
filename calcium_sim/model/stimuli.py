"""Stimuli of a description: influx during pulses, and values set at one time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from ..description.fixed import Described
from ..errors import InputError, nearest, shown
from ..mesh import Mesh
from ..mesh.given import named, positive
from ..mesh.places import Place, checked, place_name
from ..mesh.profiles import over, value_over

SHAPES = ("ramp-down", "square", "triangle")
FINEST = 1e-10
"""A pulse is at least this fraction of the time at which it comes: times have 16 digits, so that its amount is exact to 1e-6."""


@dataclass(frozen=True, eq=False, repr=False)
class Influx(Described):
    """A flux density [uM um/ms] of a species into a region during a pulse or a train of pulses.

    Parameters
    ----------
    species : name.
    at : a face of the mesh ("left"), a label, the number of a node, a function of coordinates, or a list of these (all together).
    flux : peak flux density, uM um/s; it may differ from place to place (see `profiles`).
    duration : length of one pulse.
    shape : "ramp-down" (peak, then linearly to 0), "square" or "triangle" (0, peak at half, 0).
    start : time of the first pulse.
    period, count : a train: time from one pulse to the next, and number of pulses; one pulse by default.
    through : membrane through which it enters; by default the face named by `at`.
    region : region that receives it.
    """

    species: str
    at: Place
    flux: Any
    duration: Any
    shape: str = "square"
    start: Any = 0.0
    period: Any = None
    count: Any = None
    through: str | None = None
    region: str = "cytosol"

    def __post_init__(self) -> None:
        where = f"stimuli.{named(self.species, 'stimuli.species', 'ca')}"
        object.__setattr__(self, "at", checked(self.at, f"{where}.at"))
        named(self.region, f"{where}.region", "cytosol")
        if self.through is not None:
            named(self.through, f"{where}.through", "plasma")
        if not (isinstance(self.shape, str) and self.shape in SHAPES):
            known = f"{nearest(self.shape, SHAPES)}; there are {', '.join(SHAPES)}"
            raise InputError(f"{where}.shape", f"unknown shape {shown(self.shape)}{known}")
        object.__setattr__(self, "flux", value_over(self.flux, "uM*um/ms", f"{where}.flux"))
        object.__setattr__(self, "duration", positive(self.duration, f"{where}.duration", "ms"))
        object.__setattr__(self, "start", positive(self.start, f"{where}.start", "ms", zero=True))
        self._check_train(where)
        check_resolved(self, self.start)

    def _check_train(self, where: str) -> None:
        if self.period is not None:
            period = positive(self.period, f"{where}.period", "ms")
            if period < self.duration:
                raise InputError(f"{where}.period", f"{period:g} ms is shorter than one pulse ({self.duration:g} ms)")
            if self.count is None:
                raise InputError(f"{where}.period", f"{period:g} ms without a number of pulses (give count=, or leave period out for one)")
            object.__setattr__(self, "period", period)
        count = 1 if self.count is None else self.count
        whole = isinstance(count, Integral) and not isinstance(count, bool) and 1 <= int(count) <= 2**53
        if not whole or (count > 1 and self.period is None):
            raise InputError(f"{where}.count", f"{shown(count)} pulses need a whole number >= 1 and a period")
        object.__setattr__(self, "count", int(count))

    def last_start(self, end: float) -> float:
        """Time [ms] at which the last pulse begins that begins before `end`."""
        if self.period is None or end <= self.start:
            return float(self.start)
        return float(self.start + min(self.count - 1, (end - self.start) // self.period) * self.period)


@dataclass(frozen=True, eq=False, repr=False)
class Set(Described):
    """Set a species to a value [uM] at a place at one time (uncaging, a step of IP3). The amount added enters the ledger.

    Parameters
    ----------
    species : name.
    value : uM; it may differ from place to place (see `profiles`).
    at : everywhere in the region by default; else as in `Influx`.
    time : the start by default.
    region : where it is set.
    """

    species: str
    value: Any
    at: Place = None
    time: Any = 0.0
    region: str = "cytosol"

    def __post_init__(self) -> None:
        where = f"stimuli.{named(self.species, 'stimuli.species', 'ca')}"
        object.__setattr__(self, "at", checked(self.at, f"{where}.at"))
        named(self.region, f"{where}.region", "cytosol")
        object.__setattr__(self, "value", value_over(self.value, "uM", f"{where}.value", low=0.0, zero=True))
        object.__setattr__(self, "time", positive(self.time, f"{where}.time", "ms", zero=True))


Stimulus = Influx | Set


def check_resolved(s: Influx, time: float) -> None:
    """Refuse a pulse that is too short for the digits of the time [ms] at which it comes."""
    if s.duration < FINEST * time:
        told = f"{s.duration:g} ms is too short for a pulse at {time:g} ms: times have 16 digits"
        fix = f"expected at least {FINEST * time:.2g} ms (bring the same amount in a longer pulse)"
        raise InputError(f"stimuli.{s.species}.duration", f"{told}, {fix}")


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    told = ", ".join(listed[:6]) + (", ..." if len(listed) > 6 else "")
    return f" ({told})" if listed else " (it has none)"


def stimulus_target(mesh: Mesh, stimulus: Influx) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes and areas [um^2] through which an influx enters, and its flux density [uM um/ms] at each."""
    where = f"stimuli.{stimulus.species}"
    if stimulus.through is None:
        nodes, area = _faces(mesh, stimulus, where)
        return nodes, area, over(stimulus.flux, mesh, nodes, f"{where}.flux", missing=0.0)
    if stimulus.through not in mesh.membranes:
        known = f"{nearest(stimulus.through, mesh.membranes)}; the mesh has {', '.join(mesh.membranes) or 'none'}"
        raise InputError(f"{where}.through", f"unknown membrane '{stimulus.through}'{known}")
    membrane = mesh.membranes[stimulus.through]
    if stimulus.region not in membrane.sides:
        raise InputError(f"{where}.through", f"'{stimulus.through}' does not touch '{stimulus.region}'")
    nodes, partners = (membrane.inside, membrane.outside)[:: 1 if membrane.sides[0] == stimulus.region else -1]
    chosen = mesh.select(stimulus.at, nodes, f"{where}.at", partners)
    flux = over(stimulus.flux, mesh, nodes, f"{where}.flux", missing=0.0, partners=partners, chosen=chosen)
    return nodes[chosen], membrane.area[chosen], flux


def _faces(mesh: Mesh, stimulus: Influx, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and areas of the faces that an influx names."""
    several = stimulus.at if isinstance(stimulus.at, tuple) else ()
    names = [p for p in several if isinstance(p, str) and p in mesh.faces]
    if names and len(names) < len(several):
        k, wrong = next((k, p) for k, p in enumerate(several) if p not in names)
        raise InputError(
            f"{where}.at[{k}]", f"{place_name(wrong)} is not a face of the mesh{nearest(wrong, mesh.faces)}{_some(mesh.faces)}"
        )
    if names:
        return _several_faces(mesh, names, stimulus.region, where)
    if not isinstance(stimulus.at, str) or stimulus.at not in mesh.faces:
        fix = f"name the membrane with through = {next(iter(mesh.membranes), 'plasma')!r}"
        told = "everywhere" if stimulus.at is None else place_name(stimulus.at)
        like = nearest(stimulus.at, mesh.faces) if isinstance(stimulus.at, str) and stimulus.at not in mesh.labels else ""
        raise InputError(f"{where}.at", f"{told} is not a face of the mesh{like}{_some(mesh.faces)}; {fix}")
    face = mesh.faces[stimulus.at]
    if face.region != stimulus.region:
        raise InputError(f"{where}.region", f"face '{stimulus.at}' belongs to '{face.region}'")
    return face.nodes, face.area


def _several_faces(mesh: Mesh, names: list[str], region: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    faces = {name: mesh.faces[name] for name in names}
    for name, face in faces.items():
        if face.region != region:
            raise InputError(f"{where}.region", f"face '{name}' belongs to '{face.region}'")
    return np.concatenate([f.nodes for f in faces.values()]), np.concatenate([f.area for f in faces.values()])
