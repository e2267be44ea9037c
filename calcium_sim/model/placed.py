"""A potential that is known in time and space: recorded, or computed on a cable, for the membranes of another mesh."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..description.fixed import Described
from ..errors import InputError, ModelWarning, shown, warn
from ..mesh import Floats
from ..units import value

NEIGHBOURS = 6
"""So many of the nearest positions are asked which of the lines to them passes closest."""
FAR = 0.1
"""A place farther from all positions than this part of their extent earns a warning."""


@dataclass(frozen=True, eq=False, repr=False)
class VoltageMap(Described):
    """A membrane potential that differs from place to place, prescribed: on straight lines in time, and between neighbouring positions.

    Every channel that reads ``v`` sees the potential of its place on the membrane, on meshes of any kind. Before the first time and after
    the last one it is held.

    Parameters
    ----------
    times : shape (times,), ascending, in ms or with a unit (``t * u.s``).
    positions : shape (positions, 3), in um or with a unit, in the coordinates of the mesh.
    potentials : shape (times, positions), in mV or with a unit.

    Raises
    ------
    InputError
        If shapes do not fit, numbers are not finite or times do not ascend.

    Examples
    --------
    >>> two = VoltageMap([0, 1], [[0, 0, 0], [10, 0, 0]], [[-70, -70], [-50, -60]])
    >>> two.at(0.5)
    array([-60., -65.])
    """

    times: Any
    positions: Any
    potentials: Any

    def __post_init__(self) -> None:
        times, points, values = (
            _array(getattr(self, name), unit, name) for name, unit in (("times", "ms"), ("positions", "um"), ("potentials", "mV"))
        )
        if times.ndim != 1 or not len(times) or not (np.diff(times) > 0).all():
            raise InputError("voltage.times", f"have shape {times.shape}, expected times that ascend")
        if points.ndim != 2 or points.shape[1] != 3 or not len(points):
            raise InputError("voltage.positions", f"have shape {points.shape}, expected (positions, 3): x, y and z of each")
        if values.shape != (len(times), len(points)):
            told = f"expected ({len(times)}, {len(points)}): a row per time, a column per position"
            raise InputError("voltage.potentials", f"have shape {values.shape}, {told}")
        for name, array in (("times", times), ("positions", points), ("potentials", values)):
            object.__setattr__(self, name, array)

    def __repr__(self) -> str:
        low, high = self.potentials.min(), self.potentials.max()
        span = f"{low:g} to {high:g} mV from {self.times[0]:g} to {self.times[-1]:g} ms"
        return f"VoltageMap({len(self.positions)} positions, {span})"

    def plain(self) -> dict[str, Any]:
        """What a result tells of it: its size, its span, and a digest of its numbers."""
        numbers = hashlib.sha256(b"".join(a.tobytes() for a in (self.times, self.positions, self.potentials))).hexdigest()
        span = {"from": float(self.times[0]), "to": float(self.times[-1])}
        return {"kind": "map", "positions": len(self.positions), "times": len(self.times)} | span | {"sha256": numbers}

    @classmethod
    def of(cls, ds: Any) -> VoltageMap:
        """The potential of a result that has one at its nodes: of a cable, tree or point with ``voltage=cs.Cable(...)``.

        Take outputs as close as the potential needs (every 0.025 ms where it spikes).

        Raises
        ------
        InputError
            If the result has no potential at its nodes.
        """
        v = ds["v"] if "v" in getattr(ds, "variables", ()) else None
        if v is None or set(v.dims) != {"time", "node"}:
            raise InputError("voltage", "the result has no potential v(time, node), expected that of a cable (voltage=cs.Cable(...))")
        values = np.asarray(v.transpose("time", "node").values, float)
        here = np.isfinite(values).all(axis=0)
        points = np.stack([np.asarray(ds[name].values, float)[here] for name in "xyz"], axis=1)
        return cls(np.asarray(ds["time"].values, float), points, values[:, here])

    def at(self, t: float) -> Floats:
        """Potentials [mV] of all positions at a time [ms]."""
        k = int(np.clip(np.searchsorted(self.times, t, "right") - 1, 0, max(0, len(self.times) - 2)))
        if len(self.times) == 1:
            return np.array(self.potentials[0])
        share = min(1.0, max(0.0, (t - self.times[k]) / (self.times[k + 1] - self.times[k])))
        return np.asarray((1.0 - share) * self.potentials[k] + share * self.potentials[k + 1])

    def lines(self, points: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """For each place (n, 3) the two positions between which it lies, and how far it is on the way from the first to the second.

        The first is the nearest one; of the lines from there to its neighbours the one that passes closest is taken.
        """
        known = self.positions
        away, near = cKDTree(known).query(points, k=min(NEIGHBOURS, len(known)))
        away, near = (np.asarray(a).reshape(len(points), -1) for a in (away, near))
        first, best, share = near[:, 0], near[:, 0].copy(), np.zeros(len(points))
        closest = away[:, 0].copy()
        for other in near.T[1:]:
            line = known[other] - known[first]
            length = (line**2).sum(axis=1)
            place = np.clip(((points - known[first]) * line).sum(axis=1) / np.where(length > 0, length, 1.0), 0.0, 1.0)
            passes = np.linalg.norm(points - known[first] - place[:, None] * line, axis=1)
            closer = passes < closest * (1.0 - 1e-9) - 1e-9 * np.sqrt(length)  # on a straight cable lines to all others pass as close
            best[closer], share[closer], closest[closer] = other[closer], place[closer], passes[closer]
        extent = float(np.linalg.norm(np.ptp(known, axis=0)))
        if len(known) > 1 and closest.max() > FAR * extent:
            k = int(closest.argmax())
            x, y, z = points[k]
            told = f"is {closest[k]:.4g} um from all positions of the map"
            warn(f"voltage: the membrane at ({x:.4g}, {y:.4g}, {z:.4g}) um {told} (are both in the same coordinates?)", ModelWarning)
        return first.astype(np.int64), best.astype(np.int64), share


def _array(given: Any, unit: str, name: str) -> Floats:
    """An array in `unit`, which numbers without one are in already."""
    if hasattr(given, "units"):
        given = np.asarray(given.magnitude, float) * value(type(given)(1.0, given.units), unit, f"voltage.{name}")
    try:
        found = np.array(given, float)
    except (TypeError, ValueError):
        raise InputError(f"voltage.{name}", f"{shown(given)} is no array of numbers (in {unit}, or with a unit)") from None
    if not np.isfinite(found).all():
        raise InputError(f"voltage.{name}", f"{np.count_nonzero(~np.isfinite(found))} of {found.size} values are not finite")
    found.setflags(write=False)
    return found
