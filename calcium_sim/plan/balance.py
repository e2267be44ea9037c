"""Parameters marked BALANCE: chosen so that a membrane carries no net flux of the species that they balance, at rest.

A channel balances the first species that it moves. The fluxes that the balanced channels of a membrane have to carry are the solution of
one small linear system, for an exchanger moves several species at once. The value of each parameter is then where the flux of the channel,
computed by the function that the run uses, is the one asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..mesh import Floats
from ..model import Model, direction
from ..plugin import BALANCE, Channel, Parameter
from .carried import carried
from .rest import Places, flux_at, fluxes, places, resting_flux

ROUNDING = 1e-12
"""Error of a flux that counts as rounding, relative to the terms that it is made of."""


class Balanced(NamedTuple):
    """The value of a balanced parameter, and the factor of the flux over the pairs of the membrane (None where it is 1 everywhere)."""

    parameter: str
    value: float
    profile: Floats | None


def balance(model: Model, membrane: str, channels: Sequence[Channel], weights: Sequence[Floats | None]) -> Mapping[int, Balanced]:
    """Values of the BALANCE parameters on a membrane, so that none of the species that they balance crosses it on net at rest.

    Parameters
    ----------
    weights : factor of the flux of each channel over the pairs (places, scale), None for 1.

    Returns
    -------
    {index of the channel: Balanced}; where the other fluxes differ along the membrane, the value belongs to the pair where the channel has
    to carry most, and the profile scales its flux.

    Raises
    ------
    InputError
        If two channels balance one species, the flux does not depend on the parameter, or no value within its range balances.
    """
    chosen = {k: _balanced_parameter(c, membrane) for k, c in enumerate(channels) if BALANCE in list(c.values.values())}
    if not chosen:
        return {}
    where = {k: f"membranes.{membrane}.{channels[k].label()}.{name}" for k, name in chosen.items()}
    species = _one_each(model, channels, where, weights)
    matrix = np.array([[_brings(model, membrane, channels[k], s) for k in chosen] for s in species])
    if np.linalg.matrix_rank(matrix) < len(chosen):
        names = " and ".join(f"'{channels[k].label()}'" for k in chosen)
        raise InputError(
            f"membranes.{membrane}", f"{names} move their species in proportions that no values balance (give one of them a value)"
        )
    given = [k for k in range(len(channels)) if k not in chosen and not set(species).isdisjoint(channels[k].moves)]
    fluxes = {k: resting_flux(model, membrane, channels[k]) * (np.ones(1) if (w := weights[k]) is None else w) for k in given}
    net = np.stack(np.broadcast_arrays(*(_net(model, membrane, channels, fluxes, s) for s in species)))
    wanted = np.linalg.solve(matrix, -net)
    return {k: _solved(model, membrane, channels[k], name, w, where[k]) for (k, name), w in zip(chosen.items(), wanted, strict=True)}


def _balanced_parameter(channel: Channel, membrane: str) -> str:
    names = [n for n, v in channel.values.items() if v is BALANCE]
    if len(names) > 1:
        raise InputError(f"membranes.{membrane}.{channel.label()}", f"two parameters are BALANCE ({', '.join(names)}); only one can be")
    return names[0]


def _one_each(model: Model, channels: Sequence[Channel], where: Mapping[int, str], weights: Sequence[Floats | None]) -> list[str]:
    """The species that each channel balances, all different."""
    taken: dict[str, str] = {}
    for k, place in where.items():
        species = next(iter(channels[k].moves), "")
        if species not in {s.name for s in model.species}:
            told = f"moves '{species}', which is no species of the model" if species else "moves no species"
            raise InputError(place, f"{told}: there is nothing to balance (give it a value)")
        if species in taken:
            raise InputError(
                place, f"'{taken[species]}' already balances '{species}' on this membrane, two BALANCE are one too many (give one a value)"
            )
        if weights[k] is not None:
            raise InputError(place, "a BALANCE channel sits everywhere (remove at=, scale= and what differs from place to place)")
        taken[species] = channels[k].label()
    return list(taken)


def _brings(model: Model, membrane: str, channel: Channel, species: str) -> float:
    """Amount of `species` that unit flux brings to the membrane's first side."""
    into = direction(model.mesh, membrane, channel)[1] == model.mesh.membranes[membrane].sides[0]
    return carried(type(channel)).moves.get(species, 0.0) * (1.0 if into else -1.0)


def _net(model: Model, membrane: str, channels: Sequence[Channel], fluxes: Mapping[int, Floats], species: str) -> Floats:
    """What the channels with given values bring of a species, 0 where that is the rounding of what cancels."""
    parts = [_brings(model, membrane, channels[k], species) * flux for k, flux in fluxes.items()]
    net, size = sum(parts, np.zeros(1)), sum((np.abs(part) for part in parts), np.zeros(1))
    return np.where(np.abs(net) <= np.finfo(float).eps * len(parts) * size, 0.0, net)


def _solved(model: Model, membrane: str, channel: Channel, name: str, wanted: Floats, where: str) -> Balanced:
    """The value at the pair where the channel carries most, and the profile of the others."""
    there, row = places(model, membrane, channel), channel.parameter_table()[name]
    alike = len(there.ports) == 1
    able = np.ones(1) if alike else _able(there, name)
    share = np.divide(wanted, able, out=np.zeros(np.broadcast_shapes(wanted.shape, able.shape)), where=able != 0.0)
    if (share * share[np.argmax(np.abs(share))] < -ROUNDING * np.abs(share).max() ** 2).any():
        raise InputError(
            where, "would have to carry fluxes of both signs along the membrane, which no value balances (see scale= of the others)"
        )
    k = int(np.argmax(np.abs(share)))
    most, kind = float(np.broadcast_to(wanted, share.shape)[k]), int(there.kind[k])
    value = _value(lambda v: flux_at(there.channels[kind], there.ports[kind], **{name: v}), most, row, where)
    carried = np.full(1, most) if alike else fluxes(there, **{name: value})
    if ((carried == 0.0) & (wanted != 0.0)).any():
        raise InputError(where, "would have to carry a flux where it carries none at rest, which no value balances (see where it starts)")
    profile = np.divide(wanted, carried, out=np.ones(share.shape), where=carried != 0.0)
    return Balanced(name, value, None if (profile == 1.0).all() else np.maximum(profile, 0.0))


def _able(there: Places, name: str) -> Floats:
    """What a channel carries at each pair at one value of its parameter: where pairs start differently it is chosen at the least."""
    try:
        return fluxes(there, **{name: 1.0})
    except InputError:
        return np.ones(len(there.kind))


def _value(flux: Callable[[float], float], wanted: float, row: Parameter, where: str) -> float:
    """Where the flux is the one wanted: by a line through two values if it is one, else by search over the declared range."""
    low = row.low if row.low > -math.inf else min(0.0, row.high)  # nobody means less than nothing without saying so
    found = _on_a_line(flux, wanted)
    if found is None:
        return _searched(flux, wanted, row._replace(low=low), where)
    if low <= found <= row.high:
        return found
    unit = "" if row.unit == "1" else f" {row.unit}"
    why = "the other fluxes have the wrong sign" if found < low == 0 else f"its range is [{low:g}, {row.high:g}]{unit}"
    raise InputError(
        where, f"balance needs {found:.6g}{unit}, but it must be {f'>= {low:g}' if found < low else f'<= {row.high:g}'} ({why})"
    )


def _on_a_line(flux: Callable[[float], float], wanted: float) -> float | None:
    """The value at which a flux that is linear in it is the one wanted; None where it is not linear."""
    try:
        zero, one = flux(0.0), flux(1.0)
        if one == zero:
            return None
        found = (wanted - zero) / (one - zero)
        off = abs(flux(found) - wanted)
    except InputError:  # these values may lie outside the range
        return None
    return found + 0.0 if off <= ROUNDING * (abs(one - zero) * abs(found) + abs(zero) + abs(wanted)) else None


def _searched(flux: Callable[[float], float], wanted: float, row: Parameter, where: str) -> float:
    """The one value within the range at which the flux is the one wanted."""
    from scipy.optimize import brentq

    known: dict[float, float] = {}
    for v in _places(row.low, row.high):
        try:
            known[float(v)] = flux(float(v)) - wanted
        except InputError:
            continue
    unit, told = "" if row.unit == "1" else f" {row.unit}", f"[{row.low:g}, {row.high:g}]"
    if not known:
        raise InputError(where, f"cannot be balanced: the flux can be computed nowhere in {told}{unit} (give it a value)")
    least, largest = min(known.values()), max(known.values())
    if least == largest:
        raise InputError(where, "cannot be balanced: at rest the flux does not depend on it")
    roots = [v for v, off in known.items() if off == 0]
    for (a, off_a), (b, off_b) in pairwise(known.items()):
        if off_a * off_b < 0:
            root = float(brentq(lambda v: flux(v) - wanted, a, b, xtol=1e-300, rtol=4 * np.finfo(float).eps))
            if abs(flux(root) - wanted) <= 1e-9 * max(abs(off_a), abs(off_b)):  # else a jump
                roots.append(root)
    if len(roots) > 1:
        listed = ", ".join(f"{v:.6g}" for v in roots[:4])
        raise InputError(where, f"is balanced by several values ({listed}{unit}); give it the one that is meant")
    if not roots:
        found = f"the flux has to be {wanted:.4g} uM um/ms and goes from {least + wanted:.4g} to {largest + wanted:.4g}"
        raise InputError(where, f"no value within {told}{unit} balances: {found} (change the other channels, or balance another parameter)")
    return roots[0]


def _places(low: float, high: float) -> Floats:
    """Values over a range, even and by decades from its lower end."""
    size = min(high, 1e12) - low
    return np.unique([low, *np.linspace(low, low + size, 101), *(low + size * np.geomspace(1e-18, 1.0, 145)), low + size])
