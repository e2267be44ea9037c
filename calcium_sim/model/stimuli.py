"""Stimuli of a description: influx during pulses, and values set at one time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..description.fixed import Described
from ..errors import InputError, nearest
from ..mesh import Mesh
from ..mesh.given import named, positive
from ..mesh.places import Place, checked, place_name
from ..mesh.profiles import over, value_over
from .electrics import CurrentClamp, VoltageClamp
from .pulses import check_pulses
from .spikes import SpikeTimes


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
        named(self.species, "stimuli.species", "ca")
        where = self.where
        object.__setattr__(self, "at", checked(self.at, f"{where}.at"))
        named(self.region, f"{where}.region", "cytosol")
        if self.through is not None:
            named(self.through, f"{where}.through", "plasma")
        object.__setattr__(self, "flux", value_over(self.flux, "uM*um/ms", f"{where}.flux"))
        check_pulses(self)

    @property
    def where(self) -> str:
        """How errors name it."""
        return f"stimuli.{self.species}"


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
        named(self.species, "stimuli.species", "ca")
        where = self.where
        object.__setattr__(self, "at", checked(self.at, f"{where}.at"))
        named(self.region, f"{where}.region", "cytosol")
        object.__setattr__(self, "value", value_over(self.value, "uM", f"{where}.value", low=0.0, zero=True))
        object.__setattr__(self, "time", positive(self.time, f"{where}.time", "ms", zero=True))

    @property
    def where(self) -> str:
        """How errors name it."""
        return f"stimuli.{self.species}"


Stimulus = Influx | Set | CurrentClamp | VoltageClamp | SpikeTimes
Electrode = CurrentClamp | VoltageClamp
Pulsed = Influx | CurrentClamp


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
