"""Feed-forward networks as tables of operations on columns, evaluated by numpy (reference) or by the compiled interpreter.

A column holds one number per node. A `Program` is data only: the table is structure, the weights one flat array. `builder.Builder`
writes programs and reuses columns whose values are no longer needed, so that a block of 64 nodes stays in the fastest cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

LANES, PANEL = 64, 4
UNARY = (
    "tanh",
    "sigmoid",
    "exp",
    "expm1",
    "log",
    "log10",
    "log1p",
    "asinh",
    "erf",
    "relu",
    "sqrt",
    "abs",
    "neg",
    "copy",
    "softplus",
    "elu",
    "pow",
    "clip",
)
BINARY = ("add", "sub", "mul", "div", "minimum", "maximum", "less", "same", "most", "put")
TURNING = ("tanh", "sigmoid", "log", "log10", "log1p", "asinh", "erf", "relu", "sqrt", "abs", "softplus", "elu", "pow")
"""Operations of one operand that have a kink, a pole or the middle of a step at zero."""
KINDS = ("dense", *UNARY, *BINARY, "sum", "norm")
COLUMNS, ONE, NUMBERS = 0, 1, 2
AT_ONCE = 8_000_000
"""Numbers that the reference evaluation holds at once."""
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
"""Largest disagreement between a lowered network and its original, relative to max(1, |y|)."""

Array = NDArray[Any]


class Op(NamedTuple):
    """One row of the table (see `kernels.network`): modes say whether an operand is columns, one column, or numbers among the weights."""

    kind: str
    target: int
    width: int
    a: int = 0
    a_mode: int = COLUMNS
    b: int = 0
    b_mode: int = COLUMNS
    at: int = 0
    inner: int = 0


@dataclass(frozen=True)
class Program:
    """A network: columns 0..inputs-1 are given, the last `outputs` of `columns` columns are the result.

    `weights` (float32 or float64, read-only) holds all numbers; its type is the precision of the arithmetic.
    """

    inputs: int
    outputs: int
    columns: int
    ops: tuple[Op, ...]
    weights: Array

    @cached_property
    def code(self) -> NDArray[np.int64]:
        """The table for the interpreter, read-only (operations, 9)."""
        table = np.array([(KINDS.index(op.kind), *op[1:]) for op in self.ops], np.int64).reshape(-1, 9)
        table.flags.writeable = False
        return table

    @property
    def breadth(self) -> int:
        """Numbers per node that all operations make."""
        return sum(op.width for op in self.ops)

    @property
    def work(self) -> int:
        """Elements of the scratch array of a block."""
        return LANES * (self.columns + 2) + 16

    @property
    def structure(self) -> tuple[Any, ...]:
        """All but the weights; equal structures share their compiled code."""
        return (self.inputs, self.outputs, self.columns, self.ops, self.weights.dtype.name)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _erf(x: Array) -> Array:
    from scipy.special import erf

    return np.asarray(erf(x), x.dtype)


_NUMPY: dict[str, Any] = {
    **{name: getattr(np, name) for name in ("tanh", "exp", "expm1", "log", "log10", "log1p", "sqrt", "abs", "minimum", "maximum")},
    **{"asinh": np.arcsinh, "sigmoid": _sigmoid, "neg": np.negative, "copy": np.array, "relu": lambda x: np.maximum(x, 0)},
    **{"less": np.less, "same": np.equal, "most": np.less_equal, "erf": _erf},
    **{"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide},
    "softplus": lambda x, p: np.where(x * p[0] > p[1], x, np.logaddexp(x * p[0], 0) / p[0]),
    "elu": lambda x, p: np.where(x < 0, p[0] * np.expm1(np.minimum(x, 0)), x),
    "pow": lambda x, p: x ** p[0],
    "clip": lambda x, p: np.clip(x, p[0], p[1]),
}


def _norm(x: Array, p: Array) -> Array:
    n = len(x)
    centred = x - x.mean(axis=0)
    return np.asarray(centred / np.sqrt((centred**2).mean(axis=0) + p[0]) * p[2 : n + 2, None] + p[n + 2 : 2 * n + 2, None])


def _dense(op: Op, x: Array, weights: Array) -> Array:
    rows = []
    at = op.at
    for r in range(0, op.width, PANEL):
        n = min(PANEL, op.width - r)
        rows.append(weights[at + n : at + n * (op.inner + 1)].reshape(op.inner, n).T @ x + weights[at : at + n, None])
        at += n * (op.inner + 1)
    return np.concatenate(rows)


def _turns(op: Op, a: Array, b: Array) -> list[Array]:
    """What is zero where an operation on `a` turns; `b` are its second operand or its numbers."""
    if op.kind == "put":
        return [a - 0.5]
    if op.kind in ("minimum", "maximum", "less", "same", "most"):
        return [a - b]
    if op.kind in ("mul", "div"):
        return [x + 0.0 for x, mode in ((a, op.a_mode), (b, op.b_mode)) if mode != NUMBERS]
    if op.kind == "clip":
        return [a - limit for limit in b[:2] if np.isfinite(limit)]
    return [a + 0.0] if op.kind in TURNING else []


def evaluate(program: Program, columns: Any, seen: list[Array] | None = None, turns: list[Array] | None = None) -> Array:
    """Reference evaluation in numpy, (inputs, nodes) -> (outputs, nodes), in the program's precision.

    What every operation returns is added to `seen`; to `turns` what is zero where an operation has a kink, or its middle.
    """
    given = np.asarray(columns, program.weights.dtype)
    if given.ndim != 2 or given.shape[0] != program.inputs:
        raise InputError("network", f"input has shape {given.shape}, expected ({program.inputs}, nodes)")
    share = max(1, AT_ONCE // program.columns)
    if seen is None and turns is None and given.shape[1] > share:
        return np.concatenate([evaluate(program, given[:, k : k + share]) for k in range(0, given.shape[1], share)], axis=1)
    x = np.zeros((program.columns, given.shape[1]), given.dtype)
    x[: program.inputs] = given
    w = program.weights

    def operand(op: Op, start: int, mode: int) -> Array:
        return w[start : start + op.width, None] if mode == NUMBERS else x[start : start + (op.width if mode == COLUMNS else 1)]

    with np.errstate(all="ignore"):
        for op in program.ops:
            if turns is not None:
                turns += _turns(op, operand(op, op.a, op.a_mode), operand(op, op.b, op.b_mode) if op.kind in BINARY else w[op.at :])
            out = slice(op.target, op.target + op.width)
            if op.kind == "dense":
                x[out] = _dense(op, x[op.a : op.a + op.inner], w)
            elif op.kind == "put":
                x[out] = np.where(operand(op, op.a, op.a_mode) > 0.5, operand(op, op.b, op.b_mode), x[out])
            elif op.kind in BINARY:
                x[out] = _NUMPY[op.kind](operand(op, op.a, op.a_mode), operand(op, op.b, op.b_mode))
            elif op.kind == "sum":
                x[op.target] = x[op.a : op.a + op.width].sum(axis=0)
            elif op.kind == "norm":
                x[out] = _norm(x[op.a : op.a + op.width], w[op.at :])
            elif op.kind in ("softplus", "elu", "pow", "clip"):
                x[out] = _NUMPY[op.kind](x[op.a : op.a + op.width], w[op.at :])
            else:
                x[out] = _NUMPY[op.kind](x[op.a : op.a + op.width])
            if seen is not None:
                seen.append(x[op.target : op.target + (1 if op.kind == "sum" else op.width)].copy())
    return x[program.columns - program.outputs :]


def run(program: Program, columns: Any) -> NDArray[np.float64]:
    """Evaluate with the compiled interpreter, (inputs, nodes) -> (outputs, nodes); the same bits however the nodes are split."""
    from numba.core import config

    from ..kernels.network import prepared, sweep

    given = np.ascontiguousarray(columns, float)
    if given.ndim != 2 or given.shape[0] != program.inputs:
        raise InputError("network", f"input has shape {given.shape}, expected ({program.inputs}, nodes)")
    if getattr(config, "DISABLE_JIT", False):
        return np.asarray(evaluate(program, given), float)
    prepared(program.weights.dtype.name)
    out = np.empty((program.outputs, given.shape[1]))
    sweep(given, out, program.code, program.columns, program.weights)
    return out


def disagreement(program: Program, original: Any, low: Any, high: Any, points: int = 256, seed: int = 0) -> float:
    """Largest |compiled - original| / max(1, |original|) on random points of a box.

    Half of the points are uniform, half log-uniform where the range is positive. `original` maps (inputs, points) to (outputs, points).
    Where one of the two is not finite, the other must agree; else the result is infinite.
    """
    rng = np.random.default_rng(seed)
    lo, hi = np.asarray(low, float)[:, None], np.asarray(high, float)[:, None]
    share = rng.random((program.inputs, points))
    x = lo + (hi - lo) * share
    positive = (lo > 0) & (np.arange(points) % 2 == 1)
    with np.errstate(all="ignore"):
        x = np.where(positive, np.exp(np.log(np.where(lo > 0, lo, 1)) * (1 - share) + np.log(np.where(hi > 0, hi, 1)) * share), x)
    x = np.clip(x, lo, hi)
    ours, theirs = run(program, x), np.asarray(original(x), float)
    if ours.shape != theirs.shape:
        raise InputError("network", f"original returned shape {theirs.shape}, expected {ours.shape}")
    both = np.isfinite(ours) & np.isfinite(theirs)
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    if not (both | same).all():
        return float("inf")
    return float(np.max(np.abs(ours[both] - theirs[both]) / np.maximum(1.0, np.abs(theirs[both])), initial=0.0))
