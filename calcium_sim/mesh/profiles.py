"""A value that may differ from place to place: a number, an array, a table of labels, points along the distance, or a function.

All of these mean the same wherever a description takes them: densities of channels, `scale`, start values, what stimuli bring.

* a number or quantity: the same everywhere;
* an array (with a unit, or a list of quantities): one value per pair of the membrane or node of the region, or per node of the whole mesh;
* a table ``{label: value}``: labels and faces of the mesh, ``"*"`` for all other places. Where several overlap, the last one named counts.
  Places without a label carry nothing where that has a meaning (a channel, a flux); start values need ``"*"``;
* points ``[[distance, value], ...]`` along the path distance, or two arrays of these, joined by straight lines, constant beyond the ends;
* a function of ``distance`` or of ``x, y, z`` [um], called with arrays; it returns numbers in the unit of the value, or a quantity.

The values of a table may be any of these but a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..description.fixed import Described, Fixed, told
from ..errors import InputError, shown
from ..units import is_number, is_several, value
from .given import named
from .mesh import OUTSIDE, Mesh, Nodes
from .places import function_name

Floats = NDArray[np.float64]
OTHERS = "*"
"""The key of a table for all places that it does not name."""
_LISTED = 1000
"""Values of an array that are written out where a model is described."""


KINDS = ("array", "labels", "points", "function")


@dataclass(frozen=True, eq=False, repr=False)
class Profile(Described):
    """A value over places, as it was given; `over` gives the numbers on a mesh.

    Attributes
    ----------
    kind : "array", "labels", "points" or "function".
    data : a read-only array; {label: number or Profile}; an array of (distance, value) rows; a function.
    unit, low, high : unit of the numbers, and what they have to lie within.
    """

    kind: str
    data: Any
    unit: str
    low: float = -np.inf
    high: float = np.inf

    def __post_init__(self) -> None:
        data = self.data
        array = isinstance(data, np.ndarray) and data.dtype == float and data.ndim == 1 + (self.kind == "points") and len(data) > 0
        fits = {"array": array, "points": array, "labels": isinstance(data, Mapping), "function": callable(data)}
        if not fits.get(self.kind, False):
            raise InputError("profile", f"{shown(data)} is no profile of the kind {shown(self.kind)}")
        if isinstance(data, np.ndarray):
            data.setflags(write=False)

    def __eq__(self, other: object) -> bool:
        """Of labels that overlap the last one counts, so that their order tells tables apart."""
        alike = super().__eq__(other)
        return alike is True and (self.kind != "labels" or list(self.data) == list(other.data))  # type: ignore[attr-defined]

    __hash__ = Described.__hash__

    def __repr__(self) -> str:
        if self.kind == "labels":
            return told(self.data)
        if self.kind == "points":
            return repr([[f"{d:g} um", v if self.unit == "1" else f"{v:.15g} {self.unit}"] for d, v in self.data.tolist()])
        if self.kind == "function":
            return f"<{function_name(self.data) or type(self.data).__name__}>"
        return f"<{len(self.data)} values, {self.data.min():.6g} to {self.data.max():.6g} {self.unit}>"

    def sizes(self) -> tuple[float, ...]:
        """Numbers that it has, or its least and largest, as far as they are known without a mesh."""
        if self.kind == "labels":
            return tuple(v for entry in self.data.values() for v in (entry.sizes() if isinstance(entry, Profile) else (float(entry),)))
        if self.kind == "function":
            return ()
        values = self.data if self.kind == "array" else self.data[:, 1]
        return float(values.min()), float(values.max())

    def plain(self) -> Any:
        """As plain data for JSON; functions by their name, long arrays by their ends."""
        if self.kind == "labels":
            return {k: plain(v) for k, v in self.data.items()}
        if self.kind == "function" or len(self.data) > _LISTED:
            return repr(self)
        return self.data.tolist()

    def over(
        self,
        mesh: Mesh,
        nodes: Nodes,
        where: str,
        *,
        missing: float | None = None,
        partners: Nodes | None = None,
        chosen: NDArray[np.bool_] | None = None,
    ) -> Floats:
        """The values at some nodes.

        Parameters
        ----------
        nodes : of a region, or of one side of the pairs of a membrane.
        missing : value where a table names no label; None refuses that.
        partners : nodes across the membrane, whose labels count as well.
        chosen : at which of the nodes values are wanted; at all of them by default.

        Raises
        ------
        InputError
            If a label is unknown, a function fails, an array has another length, or a value is out of range.
        """
        if self.kind == "array":
            out = self._array(mesh, nodes, where)
        elif self.kind == "labels":
            out = self._labelled(mesh, nodes, where, missing, partners, np.ones(len(nodes), bool) if chosen is None else chosen)
        elif self.kind == "points":
            out = np.interp(mesh.distance[nodes], self.data[:, 0], self.data[:, 1])
        else:
            out = self._called(mesh, nodes, where)
        out, nodes = (out, nodes) if chosen is None else (out[chosen], nodes[chosen])
        self._check(out, mesh, nodes, where)
        return out

    def _check(self, out: Floats, mesh: Mesh, nodes: Nodes, where: str) -> None:
        wrong = np.flatnonzero(~(np.isfinite(out) & (out >= self.low) & (out <= self.high)))
        if not len(wrong):
            return
        k, unit = int(wrong[0]), "" if self.unit == "1" else f" {self.unit}"
        low, high = f"{self.low:g}", f"{self.high:g}"
        span = f">= {low}" if self.high == np.inf else f"within {low} to {high}{unit}"
        what = "finite numbers" + ("" if self.low == -np.inf and self.high == np.inf else f" {span}")
        place = f"node {int(nodes[k])} (distance {mesh.distance[nodes[k]]:.6g} um)"
        lead = "the function must return" if self.kind == "function" else "values must be"
        raise InputError(where, f"{lead} {what}, found {out[k]:g}{unit} at {place}")

    def _array(self, mesh: Mesh, nodes: Nodes, where: str) -> Floats:
        if len(self.data) == len(nodes):
            return np.array(self.data)
        if len(self.data) == mesh.nodes:
            return np.array(self.data[nodes])
        raise InputError(
            where,
            f"has {len(self.data)} values, expected one for each of the {len(nodes)} places here, or of the {mesh.nodes} nodes of the mesh",
        )

    def _labelled(
        self, mesh: Mesh, nodes: Nodes, where: str, missing: float | None, partners: Nodes | None, chosen: NDArray[np.bool_]
    ) -> Floats:
        out, by = np.zeros(len(nodes)), np.full(len(nodes), -1)
        names = [name for name in self.data if name != OTHERS]
        for k, name in enumerate(names):
            there = mesh.select(name, nodes, where, partners)
            out[there], by[there] = self._of(name, mesh, nodes[there], where), k
        hidden = [name for k, name in enumerate(names) if not (by == k).any()]
        if hidden:
            raise InputError(where, f"'{hidden[0]}' has no effect: others that come after it take all of its places (name it last)")
        rest = (by < 0) & chosen
        if rest.any():
            if OTHERS in self.data:
                out[rest] = self._of(OTHERS, mesh, nodes[rest], where)
            elif missing is None:
                lost = f"{int(rest.sum())} of {len(nodes)} nodes lie at none of {', '.join(names)}"
                raise InputError(where, f"{lost} (add '*' for all others)")
            else:
                out[rest] = missing
        return out

    def _of(self, name: str, mesh: Mesh, nodes: Nodes, where: str) -> float | Floats:
        entry = self.data[name]
        return entry.over(mesh, nodes, f"{where}.{name}") if isinstance(entry, Profile) else entry

    def _called(self, mesh: Mesh, nodes: Nodes, where: str) -> Floats:
        found = mesh.evaluate(self.data, nodes, where, self.unit)
        if found.shape not in ((), nodes.shape) or found.dtype.kind not in "biuf":
            kind = f"{found.dtype} of shape {found.shape}"
            raise InputError(where, f"the function returned {kind}, expected one number per place, shape {nodes.shape}")
        return np.broadcast_to(found.astype(float), nodes.shape).copy()


def plain(given: Any) -> Any:
    """A value over places as plain data for JSON."""
    return given.plain() if isinstance(given, Profile) else given


def over(
    given: float | Profile,
    mesh: Mesh,
    nodes: Nodes,
    where: str,
    *,
    missing: float | None = None,
    partners: Nodes | None = None,
    chosen: NDArray[np.bool_] | None = None,
) -> Floats:
    """The numbers of a value at some nodes, be it the same everywhere or not; see `Profile.over`."""
    if isinstance(given, Profile):
        return given.over(mesh, nodes, where, missing=missing, partners=partners, chosen=chosen)
    return np.full(len(nodes) if chosen is None else int(chosen.sum()), float(given))


def value_over(given: Any, unit: str, where: str, *, low: float = -np.inf, high: float = np.inf, zero: bool = False) -> float | Profile:
    """Read a value that may differ from place to place.

    Parameters
    ----------
    unit : canonical unit of the numbers.
    low, high : what they have to lie within.
    zero : 0 needs no unit.

    Returns
    -------
    float or Profile
        A float where one number was given.

    Raises
    ------
    InputError
        If it is none of the kinds of this module, or a number has no unit or is out of range.
    """

    def one(entry: Any, place: str) -> float:
        number = value(entry, unit, place, zero=zero)
        if not low <= number <= high:
            named = "" if unit == "1" else f" {unit}"
            span = f"must be {'> 0' if low > 0 else '>= 0'}" if high == np.inf else f"is outside [{low:g}, {high:g}]{named}"
            raise InputError(place, f"{number:g}{named} {span}")
        return number

    if isinstance(given, Profile):
        if given.unit != unit:
            raise InputError(where, f"is a profile in {given.unit}, expected one in {unit}")
        if given.kind != "labels":
            return Profile(given.kind, given.data, unit, low, high)
        given = given.data
    if callable(given):
        return Profile("function", given, unit, low, high)
    if isinstance(given, Mapping):
        if set(given) == {"distance"} and _is_points(given["distance"]):
            return value_over(given["distance"], unit, f"{where}.distance", low=low, high=high, zero=zero)
        return Profile("labels", Fixed(_table(given, unit, where, low, high, zero)), unit, low, high)
    if _is_points(given):
        return Profile("points", _points(_pairs(given, where), where, one), unit, low, high)
    if is_several(given):
        return Profile("array", _array(given, unit, where, one), unit, low, high)
    return one(given, where)


def _table(given: Mapping[Any, Any], unit: str, where: str, low: float, high: float, zero: bool) -> dict[str, float | Profile]:
    if not given:
        raise InputError(where, "is an empty table, expected {label: value}")
    out: dict[str, float | Profile] = {}
    for label, entry in given.items():
        if not isinstance(label, str):
            raise InputError(where, f"{shown(label)} is no label (a text, such as 'soma', or '*' for all others)")
        out[label] = found = value_over(entry, unit, f"{where}.{label}", low=low, high=high, zero=zero)
        if isinstance(found, Profile) and found.kind in ("labels", "array"):
            raise InputError(
                f"{where}.{label}", f"{shown(entry)} stands in a table of labels, expected a number, points, or a function there"
            )
    return out


def _is_points(given: Any) -> bool:
    """Whether it is a list of (distance, value) pairs, or an array of distances and one of values."""
    if not isinstance(given, (list, tuple)) or not given:
        return False
    if all(isinstance(row, (list, tuple)) for row in given):
        return True
    return len(given) == 2 and all(getattr(part, "ndim", 0) == 1 for part in given)


def _pairs(given: Any, where: str) -> list[tuple[Any, Any]]:
    if all(isinstance(row, (list, tuple)) for row in given):
        rows = [tuple(row) for row in given]
        wrong = [k for k, row in enumerate(rows) if len(row) != 2]
        if wrong:
            raise InputError(f"{where}[{wrong[0]}]", f"{shown(given[wrong[0]])} is no point, expected [distance, value]")
        return rows
    first, second = given
    if len(first) != len(second):
        raise InputError(where, f"{len(first)} distances and {len(second)} values, expected as many of each")
    return list(zip(first, second, strict=True))


def _points(rows: list[tuple[Any, Any]], where: str, one: Callable[[Any, str], float]) -> Floats:
    out = np.array([(value(d, "um", f"{where}[{k}][0]", zero=True), one(v, f"{where}[{k}][1]")) for k, (d, v) in enumerate(rows)])
    back = np.flatnonzero(np.diff(out[:, 0]) <= 0)
    if len(back):
        k = int(back[0])
        raise InputError(f"{where}[{k + 1}]", f"{out[k + 1, 0]:g} um after {out[k, 0]:g} um: distances have to grow from point to point")
    out.setflags(write=False)
    return out


def _array(given: Any, unit: str, where: str, one: Callable[[Any, str], float]) -> Floats:
    if getattr(getattr(given, "magnitude", given), "ndim", 1) != 1:
        shape = getattr(given, "magnitude", given).shape
        raise InputError(where, f"is an array of shape {shape}, expected one value per place (one dimension)")
    if np.ma.isMaskedArray(getattr(given, "magnitude", given)):
        raise InputError(where, "has masked values, expected a number at each place")
    if hasattr(given, "units"):
        out = np.asarray(given.magnitude, float) * value(1.0 * given.units, unit, where)
        for k in np.flatnonzero([not np.isfinite(v) for v in out])[:1]:
            raise InputError(f"{where}[{k}]", f"{out[k]} is not finite")
    elif isinstance(given, np.ndarray) and unit == "1" and given.dtype.kind in "biuf":
        out = given.astype(float)
    elif isinstance(given, np.ndarray) and is_number(given.flat[0] if given.size else None) and unit != "1":
        raise InputError(where, f"{len(given)} numbers have no unit, expected an array in {unit} (such as array * calcium_sim.units...)")
    else:
        out = np.array([one(v, f"{where}[{k}]") for k, v in enumerate(given)])
    if not len(out):
        raise InputError(where, "is an empty array")
    out = np.array(out, float)
    out.setflags(write=False)
    return out


def levels(given: Any, where: str) -> dict[str, float | Profile]:
    """Start values [uM] by region; that of the outside is one number."""
    if not isinstance(given, Mapping):
        raise InputError(where, f"{shown(given)} is not a table, expected one value per region (e.g. {{'cytosol': ...}})")
    out = {named(r, where, "cytosol"): value_over(v, "uM", f"{where}.{r}", low=0.0, zero=True) for r, v in given.items()}
    if isinstance(out.get(OUTSIDE), Profile):
        raise InputError(f"{where}.{OUTSIDE}", f"{shown(given[OUTSIDE])} differs from place to place, expected one concentration outside")
    return out


__all__ = ["OTHERS", "Profile", "levels", "over", "plain", "value_over"]
