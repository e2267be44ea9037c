"""Which scheme advances a model on its mesh: one of a table, or a class of the user's own."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import Any

from ..errors import InputError, nearest, shown
from ..mesh import Mesh
from ..model import Model
from ..model.electrics import Cable
from ..plan.lower import lower
from .base import Scheme

SCHEMES = {"columns": "columns.stepper:ColumnStepper", "grid": "grid.stepper:GridStepper", "graph": "graph.stepper:GraphStepper"}
"""Schemes by name; of those that fit a mesh the first is the fastest. Each is imported when it is looked at."""


def scheme_of(mesh: Mesh, asked: str | type[Scheme] | None = None) -> type[Scheme]:
    """The scheme that is asked for, by name or as a class like those of `SCHEMES`, or the fastest one that fits.

    Raises
    ------
    InputError
        If there is none of that name, or it does not fit the mesh.
    """
    if asked is None:
        return next(found for found in map(_named, SCHEMES) if found.fits(mesh))
    if isinstance(asked, str) and asked not in SCHEMES:
        raise InputError("scheme", f"unknown '{asked}'{nearest(asked, SCHEMES)}; there are {', '.join(SCHEMES)}")
    if not isinstance(asked, str) and not (isinstance(asked, type) and issubclass(asked, Scheme)):
        raise InputError("scheme", f"{shown(asked)} is no scheme, expected {', '.join(SCHEMES)}, or a class made of schemes.base.Scheme")
    scheme = _named(asked) if isinstance(asked, str) else asked
    if not scheme.fits(mesh):
        told = ", ".join(name for name in SCHEMES if _named(name).fits(mesh))
        raise InputError("scheme", f"'{scheme.name}' is not for this mesh, expected {told} (leave it out for the fastest)")
    return scheme


def _named(name: str) -> type[Scheme]:
    module, _, found = SCHEMES[name].partition(":")
    scheme: type[Scheme] = getattr(import_module(f".{module}", __package__), found)
    return scheme


def choose_stepper(model: Model, active: float = 0.0, threads: int = 1, scheme: str | type[Scheme] | None = None) -> Scheme:
    """Lower a model and return a stepper for it; parallel where threads pay."""
    chosen: Any = scheme_of(model.mesh, scheme)
    if isinstance(model.voltage, Cable) and not chosen.potential:
        raise InputError("scheme", f"'{chosen.name}' does not solve for the potential (leave it out)")
    if active and "active" not in signature(chosen).parameters:
        raise InputError("active", "is for cables, trees and points (leave it out)")
    options = {"active": active} if active else {}
    stepper: Scheme = chosen(lower(model, chosen.wants), parallel=None if threads > 1 else False, **options)
    return stepper
