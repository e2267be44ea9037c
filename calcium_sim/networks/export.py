"""Writes channel files: a plain ``torch.nn.Module`` with its card as checked TorchScript, or weights with a declared architecture."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike

from ..admission.admit import admit_bytes
from ..admission.card import ARGS, FORMAT, VERSION, Card, card_from
from ..errors import InputError, file_path, nearest, shown
from . import torchscript
from .reference import with_errors
from .weights import make_weights, write_bytes, write_weights

DEFAULT_K = 0.0138427
"""Permeability of one ryanodine receptor [um^3/ms]: its flux at the reference gradient over 250 uM."""

StateRow = float | str | tuple[float | str, float | None, float | None] | Mapping[str, Any]
InputRow = tuple[Any, ...] | Mapping[str, Any]


def export_channel(
    module: Any,
    path: str | os.PathLike[str],
    *,
    kind: str,
    inputs: Mapping[str, InputRow],
    licence: str = "unspecified",
    flux: str | Mapping[str, Any] | None = None,
    name: str | None = None,
    args: Sequence[str] | None = None,
    dtype: str | None = None,
    reference: tuple[ArrayLike, ArrayLike] | None = None,
    **card: Any,
) -> Card:
    """Write a network as a channel file that `load_channel` accepts: script, freeze, examine, try, compare, save.

    Parameters
    ----------
    module : ``torch.nn.Module``, plain, scripted, traced, frozen, compiled or wrapped; ``forward`` takes some of ``s, x, dx, dt`` in this
        order, tensors ``[N, k]`` (`dt` a float [ms]); a single argument is `x`. It is not changed. Normalisation belongs inside.
    path : file to write, ``.pt``.
    kind : ``open_prob`` (returns p), ``hh_gates`` (xinf, tau [ms]), ``rates`` (alpha, beta [1/ms]), ``rhs`` (ds [1/ms]), ``step`` (next s),
        ``current`` (flux, ds).
    inputs : ``{"ca@cytosol": ("uM", low, high)}``, ``(unit, low, high, dx_max)`` or ``{"unit": "uM", "min": low, "max": high, "dx_max":
        fastest, "rest": [low, high]}``: the trained ranges, the fastest change, and the levels at rest from which training began.
    licence : of the network, e.g. "MIT"; "unspecified" by default.
    flux : "linear", "ohmic", "ghk", "none", or the card's whole entry; "linear" by default, "none" for ``current``.
    name : registry name; the file's stem by default.
    args : names of the arguments, where those of ``forward`` are others.
    dtype : "float32" or "float64"; the module's own by default.
    reference : (inputs, outputs) on which the network's errors are computed and written on the card (``training["error"]``: rms, largest,
        relative, points, and the span of the outputs). Inputs ``[rows, columns]``: those of the card in its order, then the states, the
        rates of change, and dt, where ``forward`` takes them. Outputs ``[rows, columns]``: all that `kind` returns, side by side
        (``rates`` of one gate: opening, closing). Numbers in the units of the card; a single column may be ``[rows]``.
    **card : `states` ({"h": "steady"}, {"h": (start, low, high)}), `powers`, `moves`, `across` or `source` and `target` (regions), `k`
        [um^3/ms], `unit`, `g` [mS/cm^2], `e_rev` [mV], `out_of_range`, `training`, `citation`, `note`, `fast`.

    Returns
    -------
    Card
        The card as written.

    Raises
    ------
    InputError
        If the card is wrong, or the network cannot be exported or breaks its card. Nothing is written then.
    """
    where = file_path(path, "path")
    module = torchscript.network(module)
    if where.suffix != ".pt":
        raise InputError(str(path), "expected a name that ends in .pt")
    given = {"kind": kind, "inputs": inputs, "licence": licence, "flux": flux or ("none" if kind == "current" else "linear"), **card}
    names = args or _forward_args(module, str(path))
    made = _made_card({**given, "name": name or where.stem, "args": names, "dtype": dtype or torchscript.dtype_of(module)})
    if reference is not None:
        made = with_errors(made, torchscript.evaluator(module, made, str(path)), reference)
    admitted = admit_bytes(torchscript.script(module, made, str(path)), str(path))
    torchscript.check_module(torchscript.load_module(admitted), admitted, str(path))
    write_bytes(where, admitted.archive)
    return made


def save_weights(
    path: str | os.PathLike[str],
    arrays: Mapping[str, ArrayLike],
    *,
    fast: Mapping[str, Any],
    reference: tuple[ArrayLike, ArrayLike] | None = None,
    **card: Any,
) -> Card:
    """Write a channel as weights only (``.npz``): no code, nothing to trust.

    Parameters
    ----------
    path : file to write, ``.npz``.
    arrays : ``weight0`` [out, in], ``bias0`` [out], ... per layer; optional ``mean``, ``scale``, ``gain`` [inputs]; ``skip`` [out, in].
    fast : ``{"arch": "mlp", "layers": [3, 32, 32, 2], "act": "tanh", "skip": True, "out": "exp"}``, optional ``inputs`` (per column
        identity, log, log10 or asinh) and ``clip`` [low, high] before the output map. The formula is that of `weights.Weights`.
    reference, **card : as in `export_channel`.

    Raises
    ------
    InputError
        If card and arrays do not fit, or the network breaks its card.
    """
    where = file_path(path, "path")
    if where.suffix != ".npz":
        raise InputError(str(path), "expected a name that ends in .npz")
    given = {"name": where.stem, "licence": "unspecified", "args": ("x",), "dtype": "float32", "flux": "linear", **card, "fast": fast}
    made = _made_card(given)
    weights = make_weights(made, arrays, str(path))
    if reference is not None:
        made = with_errors(made, weights.evaluate, reference)
        weights = replace(weights, card=made)
    write_weights(where, weights)
    return made


def _made_card(given: Mapping[str, Any]) -> Card:
    """The card of entries that a user has named."""
    known = inspect.signature(make_card).parameters
    for name in given:
        if name not in known:
            raise InputError(name, f"is no entry of a card{nearest(name, known)}; there are {', '.join(known)}")
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in given:
            raise InputError(name, "is missing, expected an entry of the card")
    for name, (accepted, example) in EXPECTED.items():
        if name in given and not accepted(given[name]):
            raise InputError(name, f"{shown(given[name])}, expected {example}")
    return make_card(**given)


def _texts(given: Any) -> bool:
    return isinstance(given, (list, tuple)) and all(isinstance(g, str) for g in given)


def _table(given: Any) -> bool:
    return isinstance(given, Mapping) and all(isinstance(g, str) for g in given)


EXPECTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "inputs": (_table, '{"ca@cytosol": ("uM", 0.01, 50)}'),
    "states": (lambda g: g is None or _table(g), '{"P": "steady"}'),
    "powers": (lambda g: g is None or isinstance(g, (list, tuple)) or _table(g), '[1, 2], one per state, or {"m": 2}'),
    "moves": (lambda g: g is None or _table(g), '{"ca": 1}'),
    "flux": (lambda g: isinstance(g, str) or _table(g), '"linear", "ohmic", "ghk", "none", or the entry of the card'),
    "args": (_texts, '["s", "x"]'),
    "across": (lambda g: _texts(g) and len(g) == 2, '("er", "cytosol")'),
    "citation": (lambda g: isinstance(g, str) or _texts(g), "a text, or several"),
    "training": (lambda g: g is None or _table(g), '{"data": "..."}'),
}
"""Entries that are taken apart before the card is checked: whether one can be, and an example."""


def make_card(
    *,
    kind: str,
    inputs: Mapping[str, InputRow],
    licence: str,
    name: str,
    args: Sequence[str],
    dtype: str,
    flux: str | Mapping[str, Any],
    states: Mapping[str, StateRow] | None = None,
    powers: Sequence[int] | Mapping[str, int] | None = None,
    across: tuple[str, str] = ("er", "cytosol"),
    source: str | None = None,
    target: str | None = None,
    moves: Mapping[str, int] | None = None,
    k: float = DEFAULT_K,
    g: float | None = None,
    e_rev: float | None = None,
    unit: str | None = None,
    out_of_range: str = "clamp",
    training: Mapping[str, Any] | None = None,
    citation: str | Iterable[str] = (),
    note: str | None = None,
    fast: Mapping[str, Any] | None = None,
) -> Card:
    """Return the checked card of these entries; see `export_channel`."""
    if isinstance(flux, str):
        law: dict[str, Any] = {"law": flux, "moves": dict(moves or {"ca": 1}), "from": source or across[0], "to": target or across[1]}
        if flux in ("linear", "ghk"):
            law.update(k=k, unit=unit or "um^3/ms")
        elif flux == "ohmic":
            law.update(g=g, e_rev=e_rev, unit=unit or "mS/cm^2")
    else:
        law = dict(flux)
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "kind": kind,
        "args": list(args),
        "states": [_state(n, row) for n, row in (states or {}).items()],
        "inputs": [_input(port, row) for port, row in inputs.items()],
        "dtype": dtype,
        "time_unit": "ms",
        "flux": law,
        "out_of_range": out_of_range,
        "licence": licence,
        "citation": [citation] if isinstance(citation, str) else list(citation),
    }
    optional = {"powers": _powers(powers, list(states or {})), "training": training, "note": note, "fast": fast}
    document.update({key: value for key, value in optional.items() if value is not None})
    return card_from(document, "card")


def _powers(given: Sequence[int] | Mapping[str, int] | None, states: list[str]) -> list[int] | None:
    """One power per state, 1 where a table names none."""
    if not isinstance(given, Mapping):
        return None if given is None else list(given)
    for name in given:
        if name not in states:
            raise InputError("powers", f"unknown state '{name}'{nearest(name, states)}; there are {', '.join(states) or 'none'}")
    return [given.get(name, 1) for name in states]


def _state(name: str, row: StateRow) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return {"name": name, "unit": "1", "min": 0, "max": 1, "init": "steady", **row}
    if isinstance(row, (tuple, list)) and len(row) != 3:
        raise InputError(f"states: {name}", f"{row!r}, expected a start or (start, low, high)")
    init, low, high = row if isinstance(row, (tuple, list)) else (row, 0, 1)
    return {"name": name, "unit": "1", "min": low, "max": high, "init": init}


def _input(port: str, row: InputRow) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return {"port": port, **row}
    if isinstance(row, str) or not isinstance(row, Sequence) or len(row) not in (3, 4):
        raise InputError(f"inputs: {port}", f"{row!r}, expected (unit, low, high) or (unit, low, high, dx_max)")
    return {"port": port, **dict(zip(("unit", "min", "max", "dx_max"), row, strict=False))}


def _forward_args(module: Any, where: str) -> tuple[str, ...]:
    names = torchscript.forward_arguments(module)
    if not names or any(n not in ARGS for n in names):
        raise InputError(where, f"forward takes {', '.join(names) or 'nothing'}, expected some of s, x, dx, dt (or give args=...)")
    return names
