"""The potential as an unknown: a cable with capacitance and axial resistance, and electrodes that inject current or hold a potential."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..description.fixed import Described
from ..errors import InputError, nearest, shown
from ..mesh import OUTSIDE, Columns, Floats, Mesh, Nodes
from ..mesh.given import named, positive
from ..mesh.places import Place, checked
from ..units import value
from .pulses import check_pulses
from .tables import FILES, Table, table_of
from .voltage import checked as checked_potential

Indices = NDArray[np.int64]
POTENTIAL, CHARGE = "v", "charge"
"""Name of the field, and of its variable in a result; what its books are kept in [fC]."""


@dataclass(frozen=True, eq=False, repr=False)
class Cable(Described):
    """The membrane potential is solved for: ``C dv/dt = axial current - what the channels carry + what electrodes inject``.

    It lives on a cable, tree or point, at the positions of a membrane with the outside. The axial current flows through the whole
    cross-section, organelles included. Channels carry charge by what they move (`moves` and the charges of the ions), or by a flux that is
    a current (`flux_unit`), and read the potential of their place with the port ``v``.

    Parameters
    ----------
    capacitance : of the membrane, uF/cm^2.
    axial_resistivity : of what is inside, ohm cm.
    initial : potential at the start; gates start at their equilibria there, unless ``initial=`` of a channel says otherwise.
    membrane : the one that is charged; that with the outside by default.

    Examples
    --------
    >>> Cable(initial="-70 mV").capacitance
    0.01
    """

    capacitance: Any = "1 uF/cm^2"
    axial_resistivity: Any = "100 ohm*cm"
    initial: Any = "-65 mV"
    membrane: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "capacitance", positive(self.capacitance, "voltage.capacitance", "pF/um^2"))
        object.__setattr__(self, "axial_resistivity", positive(self.axial_resistivity, "voltage.axial_resistivity", "um/nS"))
        object.__setattr__(self, "initial", value(self.initial, "mV", "voltage.initial"))
        if self.membrane is not None:
            named(self.membrane, "voltage.membrane", "plasma")


@dataclass(frozen=True, eq=False, repr=False)
class CurrentClamp(Described):
    """A current that an electrode injects, in pulses or as a table; positive currents depolarise.

    Parameters
    ----------
    at : a label ("soma"), the number of a node, a function of coordinates, or a list of these; where it has several positions, each
        gets a share by its area.
    current : peak, nA; or a table of (time, current) pairs joined by straight lines, or two arrays with units, and nothing else: what is
        injected is its integral, exactly, and before and after it nothing is.
    duration : length of one pulse.
    shape : "square", "ramp-down" (peak, then linearly to 0) or "triangle" (0, peak at half, 0).
    start : time of the first pulse.
    period, count : a train: time from one pulse to the next, and number of pulses; one pulse by default.
    """

    at: Place
    current: Any
    duration: Any = None
    shape: str = "square"
    start: Any = 0.0
    period: Any = None
    count: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", checked(self.at, f"{self.where}.at"))
        if _several(self.current):
            object.__setattr__(self, "current", self._table())
            return
        if isinstance(self.current, str) and Path(self.current.strip()).suffix.lower() in FILES:
            columns = f"t, i = numpy.loadtxt({self.current.strip()!r}, delimiter=',', unpack=True)"
            told = f"{shown(self.current)} is the name of a file (read it: {columns}, and give (t * u.ms, i * u.pA))"
            raise InputError(f"{self.where}.current", told)
        object.__setattr__(self, "current", value(self.current, "pA", f"{self.where}.current"))
        if self.duration is None:
            raise InputError(f"{self.where}.duration", "is missing (give the length of the pulse, e.g. '1 ms', or a table of currents)")
        check_pulses(self)

    def _table(self) -> Table:
        where = self.where
        for name in ("duration", "shape", "start", "period", "count"):
            if getattr(self, name) != type(self).__dataclass_fields__[name].default:
                raise InputError(f"{where}.{name}", "belongs to pulses, and the current is a table (its times say all)")
        told = "expected a current (e.g. '0.1 nA'), or pairs of time and current"
        given = self.current if isinstance(self.current, Table) else table_of(self.current, "pA", f"{where}.current", "current", told)
        return given.grounded()

    @property
    def where(self) -> str:
        """How errors name it."""
        return "stimuli.current_clamp"


def _several(given: Any) -> bool:
    """Whether a current is a table: pairs, or columns."""
    return isinstance(given, (list, tuple)) or int(getattr(given, "ndim", 0)) > 0


@dataclass(frozen=True, eq=False, repr=False)
class VoltageClamp(Described):
    """An electrode that holds the potential at a place, through a resistance; where that has several positions, each is held, with a share
    of the conductance by its area.

    Parameters
    ----------
    at : where, as in `CurrentClamp`.
    protocol : a potential, or a table of (time, potential) pairs joined by straight lines, held at the ends (two pairs at one time: a
        step).
    resistance : of the electrode, Mohm; the potential is off by the current times this.
    """

    at: Place
    protocol: Any
    resistance: Any = "0.01 Mohm"

    def __post_init__(self) -> None:
        where = self.where
        object.__setattr__(self, "at", checked(self.at, f"{where}.at"))
        told = "expected a potential (e.g. '-70 mV'), or pairs of time and potential"
        try:
            given = checked_potential(self.protocol, told)
        except InputError as error:
            raise InputError(f"{where}.protocol", error.message) from None
        if given is None or callable(given):
            raise InputError(f"{where}.protocol", f"{shown(self.protocol)} is no potential, {told}")
        object.__setattr__(self, "protocol", given if isinstance(given, Table) else Table(((0.0, float(given)), (1.0, float(given)))))
        object.__setattr__(self, "resistance", positive(self.resistance, f"{where}.resistance", "Mohm"))

    @property
    def where(self) -> str:
        """How errors name it."""
        return "stimuli.voltage_clamp"


@dataclass(frozen=True)
class Charged:
    """Where a potential lives: its membrane, the region inside, and per position area [um^2] and axial conductance to the parent [nS]."""

    membrane: str
    region: str
    nodes: Nodes
    area: Floats
    axial: Floats


def charged(mesh: Mesh, cable: Cable) -> Charged:
    """The membrane that a cable charges.

    Raises
    ------
    InputError
        If the mesh is no cable, tree or point, or has no membrane, or several, with the outside.
    """
    if not isinstance(mesh.structure, Columns):
        raise InputError(
            "voltage", "a potential that is solved for needs a cable, a tree or a point (neurite with dims=1, from_swc, well_mixed)"
        )
    open_ones = [name for name, m in mesh.membranes.items() if OUTSIDE in m.sides]
    name = cable.membrane or (open_ones[0] if len(open_ones) == 1 else None)
    if name is None:
        told = f"the mesh has {', '.join(open_ones) or 'no membrane with the outside'}"
        raise InputError("voltage.membrane", f"{told}, expected one that is charged (name it: membrane='plasma')")
    if name not in open_ones:
        raise InputError(
            "voltage.membrane", f"'{name}' is no membrane with the outside{nearest(name, open_ones)}; there are {', '.join(open_ones)}"
        )
    m = mesh.membranes[name]
    inside = m.sides[0] == OUTSIDE
    region, nodes = m.sides[1 if inside else 0], m.outside if inside else m.inside
    axial = mesh.structure.conductance.sum(axis=0) / cable.axial_resistivity
    return Charged(name, region, nodes, m.area, axial)


def electrode(mesh: Mesh, there: Charged, stimulus: CurrentClamp | VoltageClamp) -> tuple[Indices, Floats]:
    """Positions at which an electrode sits, and the share of each by area."""
    chosen = np.flatnonzero(mesh.select(stimulus.at, there.nodes, f"{stimulus.where}.at"))
    share = there.area[chosen]
    return chosen, share / share.sum()
