"""How far a network is from rows of a reference: the errors that its card tells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..admission.card import Card, card_from
from ..errors import InputError, shown, warn
from .inputs import Columns, Evaluate, check_shapes, output_bounds

EXAMPLE = "reference=(inputs, outputs), arrays of as many rows"


def with_errors(card: Card, evaluate: Evaluate, reference: Any) -> Card:
    """The card with what its network is wrong by on rows of a reference, as ``training["error"]``.

    Parameters
    ----------
    card : of the network.
    evaluate : the network.
    reference : (inputs, outputs), see `export.export_channel`.

    Raises
    ------
    InputError
        If the arrays do not fit the card, or the card tells of errors already.
    """
    if known := sorted({"error", "errors"} & set(card.training)):
        raise InputError("reference", f"training= gives '{known[0]}' already (leave out one of the two)")
    columns, expected = _rows(card, reference)
    out = evaluate(columns)
    check_shapes(card, out, len(expected), "reference")
    found = np.concatenate([np.asarray(a, float) for a in out], axis=1)
    if not np.isfinite(found).all():
        raise InputError("reference", f"the network is not finite on {np.count_nonzero(~np.isfinite(found).all(axis=1))} of its rows")
    return card_from({**card.document, "training": {**card.training, "error": _errors(found, expected)}}, "card")


def _errors(found: NDArray[np.float64], expected: NDArray[np.float64]) -> dict[str, Any]:
    """`relative` is the rms of an output over the largest absolute value of its reference, of several outputs the worst."""
    wrong, largest = np.abs(found - expected), np.abs(expected).max(axis=0)
    rms = np.sqrt(np.mean(wrong**2, axis=0))
    told = {"rms": float(np.sqrt(np.mean(wrong**2))), "largest": float(wrong.max())}
    if (largest > 0).any():
        told["relative"] = float((rms[largest > 0] / largest[largest > 0]).max())
    return {**told, "points": len(expected), "span": [float(expected.min()), float(expected.max())]}


def _rows(card: Card, reference: Any) -> tuple[Columns, NDArray[np.float64]]:
    """What enters the network, and what is to come out."""
    if not isinstance(reference, (tuple, list)) or len(reference) != 2:
        raise InputError("reference", f"{shown(reference)}, expected {EXAMPLE}")
    ports = [c.port for c in card.inputs]
    blocks = {"x": ports, "s": [s.name for s in card.states], "dx": [f"d({p})" for p in ports], "dt": ["dt"]}
    order = [a for a in blocks if a in card.args]
    given = _array(reference[0], [name for a in order for name in blocks[a]], "reference[0]")
    expected = _array(reference[1], [b.name for bounds in output_bounds(card) for b in bounds], "reference[1]")
    if len(given) != len(expected) or not len(given):
        raise InputError("reference", f"{len(given)} rows of inputs and {len(expected)} of outputs, expected {EXAMPLE}")
    ends = np.cumsum([len(blocks[a]) for a in order])
    parts = dict(zip(order, np.split(given, ends[:-1], axis=1), strict=True))
    steps = np.unique(parts.pop("dt")) if "dt" in parts else None
    if steps is not None and len(steps) > 1:
        raise InputError("reference[0]", f"has {len(steps)} different dt, expected one (choose the rows of one step)")
    _remark(card, given[:, : len(ports)])
    x, s, dx = (np.ascontiguousarray(parts[a], card.dtype) if a in parts else None for a in ("x", "s", "dx"))
    assert x is not None
    return Columns(s, x, dx, None if steps is None else float(steps[0])), expected


def _array(given: Any, names: list[str], where: str) -> NDArray[np.float64]:
    """Rows of numbers; a single column may come without its second axis."""
    told = f"expected [rows, {len(names)}]: {', '.join(names)}"
    if hasattr(given, "units"):
        raise InputError(where, f"has a unit, {told} as numbers in the units of the card")
    given = given.detach().cpu().double().numpy() if hasattr(given, "detach") and not given.is_complex() else given
    if np.iscomplexobj(given):
        raise InputError(where, f"holds complex numbers, {told}")
    try:
        rows = np.asarray(given, float)
    except (TypeError, ValueError):
        raise InputError(where, f"{shown(given)} is no array of numbers, {told}") from None
    if rows.ndim == 1 and len(names) == 1:
        rows = rows[:, None]
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise InputError(where, f"has the shape {list(rows.shape)}, {told}")
    if not np.isfinite(rows).all():
        raise InputError(where, f"{np.count_nonzero(~np.isfinite(rows))} of its numbers are not finite")
    return rows


def _remark(card: Card, x: NDArray[np.float64]) -> None:
    """Say where rows leave the range that the network is trained for: a run would not ask it there."""
    for k, c in enumerate(card.inputs):
        slack = 1e-6 * (c.high - c.low)
        if outside := np.count_nonzero((x[:, k] < c.low - slack) | (x[:, k] > c.high + slack)):
            warn(f"reference: {outside} of {len(x)} rows have {c.port} outside its range of {c.low:g} to {c.high:g} {c.unit}")
