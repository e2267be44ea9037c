"""Where the places of a membrane lie on the map of a prescribed potential."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..mesh import Floats, Mesh
from ..model.placed import VoltageMap


@dataclass(frozen=True)
class Placed:
    """The potential at the pairs of a membrane: between two positions of the map each, kept in a row of Y."""

    membrane: str
    row: int
    part: slice
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    share: Floats

    def over(self, values: Floats) -> Floats:
        """At the pairs, from the values of all positions."""
        return np.asarray((1.0 - self.share) * values[self.first] + self.share * values[self.second])


def over(given: VoltageMap, mesh: Mesh, membrane: str, t: float) -> Floats:
    """Potentials [mV] at the pairs of a membrane."""
    first, second, share = given.lines(mesh.position[mesh.membranes[membrane].inside])
    return Placed(membrane, -1, slice(0), first, second, share).over(given.at(t))
