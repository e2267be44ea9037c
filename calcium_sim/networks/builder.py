"""Writes networks: operations one after the other, then placed in as few columns as a first fit finds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import InputError
from .program import BINARY, COLUMNS, NUMBERS, ONE, PANEL, TOLERANCE, UNARY, Array, Op, Program

Columns = tuple[tuple[int, int], ...]
"""Values of a builder: (register, column in it), one per column."""


@dataclass
class _Step:
    """An operation in single-assignment form; operands are columns or numbers."""

    kind: str
    register: int
    operands: tuple[Columns | Array, ...]
    at: int = 0


@dataclass
class Builder:
    """Writes a program.

    Parameters
    ----------
    inputs : number of input columns.
    dtype : "float32" or "float64".
    """

    inputs: int
    dtype: str = "float64"
    widths: list[int] = field(default_factory=list)
    steps: list[_Step] = field(default_factory=list)
    numbers: list[Array] = field(default_factory=list)
    size: int = 0
    known: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.dtype not in TOLERANCE:
            raise InputError("network", f"dtype is {self.dtype}, expected float32 or float64")
        self._register(self.inputs)

    def input(self, start: int, width: int) -> Columns:
        """Some of the input columns."""
        return tuple((0, start + k) for k in range(width))

    def dense(self, x: Columns, weight: Any, bias: Any = None) -> Columns:
        """``x @ weight.T + bias`` with weight (outputs, inputs)."""
        w = np.asarray(weight)
        if w.ndim != 2 or w.shape[1] != len(x):
            raise InputError("network", f"weight has shape {w.shape}, expected (outputs, {len(x)})")
        c = np.zeros(w.shape[0]) if bias is None else np.broadcast_to(np.asarray(bias).reshape(-1), (w.shape[0],))
        panels = [np.concatenate([c[r : r + PANEL], w[r : r + PANEL].T.reshape(-1)]) for r in range(0, w.shape[0], PANEL)]
        return self._emit("dense", w.shape[0], (self.contiguous(x),), self._store(np.concatenate(panels)))

    def unary(self, kind: str, x: Columns, *parameters: float) -> Columns:
        """A function of every column: tanh, sigmoid, relu, exp, ...; softplus(beta, threshold), elu(alpha), pow(exponent)."""
        return self._emit(kind, len(x), (self.contiguous(x),), self._store(np.array(parameters)) if parameters else 0)

    def binary(self, kind: str, a: Columns | Array | float, b: Columns | Array | float) -> Columns:
        """add, sub, mul, div, minimum, maximum, less, same or most (1 or 0 of a < b, a = b, a <= b) of columns and numbers.

        One column, or one number, goes with all.
        """
        operands = tuple(x if isinstance(x, tuple) else np.atleast_1d(np.asarray(x, float)).reshape(-1) for x in (a, b))
        width = max(map(len, operands))
        if any(len(x) not in (1, width) for x in operands):
            raise InputError("network", f"{kind} of {len(operands[0])} and {len(operands[1])} columns, expected equal numbers or one")
        fitted = tuple(self.contiguous(x) if isinstance(x, tuple) else np.broadcast_to(x, (width,)) for x in operands)
        return self._emit(kind, width, fitted)

    def chosen(self, condition: Columns, a: Columns | Array | float, b: Columns | Array | float) -> Columns:
        """`a` where the condition is 1, else `b`; each of them one or as many as the others."""
        x, y = (v if isinstance(v, tuple) else np.atleast_1d(np.asarray(v, float)).reshape(-1) for v in (a, b))
        width = max(len(condition), len(x), len(y))
        if not isinstance(y, tuple):
            y = self.binary("add", np.broadcast_to(y, (width,)), 0.0)
        register = self._copied(y * width if len(y) < width else y)
        fitted = self.contiguous(x) if isinstance(x, tuple) else np.broadcast_to(x, (width,))
        self.steps.append(_Step("put", register, (self.contiguous(condition), fitted)))
        return tuple((register, k) for k in range(width))

    def power(self, x: Columns, exponent: float) -> Columns:
        """``x ** exponent``; whole exponents up to 8 by multiplication."""
        n = abs(round(exponent))
        if exponent in (0.5, -0.5):
            out = self.unary("sqrt", x)
        elif n != abs(exponent) or not 1 <= n <= 8:
            return self.unary("pow", x, exponent)
        else:
            out = x
            for bit in bin(n)[3:]:
                out = self.binary("mul", out, out)
                out = self.binary("mul", out, x) if bit == "1" else out
        return self.binary("div", 1.0, out) if exponent < 0 else out

    def sum(self, x: Columns) -> Columns:
        """Sum of all columns, one column."""
        return self._emit("sum", 1, (self.contiguous(x),))

    def norm(self, x: Columns, epsilon: float, factor: Any = None, offset: Any = None) -> Columns:
        """Layer normalisation over the columns."""
        n = len(x)
        f = np.ones(n) if factor is None else np.asarray(factor, float).reshape(n)
        o = np.zeros(n) if offset is None else np.asarray(offset, float).reshape(n)
        return self._emit("norm", n, (self.contiguous(x),), self._store(np.concatenate([[epsilon, 1 / n], f, o])))

    def contiguous(self, x: Columns) -> Columns:
        """The columns as neighbours in one register, copied where they are not."""
        if all(c == (x[0][0], x[0][1] + k) for k, c in enumerate(x)):
            return x
        register = self._copied(x)
        return tuple((register, k) for k in range(len(x)))

    def _copied(self, x: Columns) -> int:
        """A new register with these columns."""
        runs: list[list[tuple[int, int]]] = []
        for c in x:
            if runs and c == (runs[-1][-1][0], runs[-1][-1][1] + 1):
                runs[-1].append(c)
            else:
                runs.append([c])
        register, start = self._register(len(x)), 0
        for run in runs:
            self.steps.append(_Step("copy", register, (tuple(run),), start))
            start += len(run)
        return register

    def finish(self, outputs: Columns) -> Program:
        """The program that returns these columns."""
        if not outputs:
            raise InputError("network", "has no outputs")
        result = self._copied(outputs)
        ops, columns = _allocated(self, result)
        weights = np.concatenate([*self.numbers, np.zeros(1, self.dtype)])
        weights.flags.writeable = False
        return Program(self.inputs, len(outputs), columns, ops, weights)

    def _register(self, width: int) -> int:
        self.widths.append(width)
        return len(self.widths) - 1

    def _store(self, values: Array) -> int:
        kept = np.asarray(values, self.dtype).reshape(-1)
        key = hashlib.blake2b(kept.tobytes()).digest()
        if key not in self.known:
            self.known[key] = self.size
            self.numbers.append(kept)
            self.size += kept.size
        return self.known[key]

    def _emit(self, kind: str, width: int, operands: tuple[Columns | Array, ...], at: int = 0) -> Columns:
        register = self._register(width)
        self.steps.append(_Step(kind, register, operands, at))
        return tuple((register, k) for k in range(width))


def _used(step: _Step) -> set[int]:
    return {x[0][0] for x in step.operands if isinstance(x, tuple)}


def _in_place(step: _Step, widths: Sequence[int], dying: set[int]) -> int:
    """A register that the result may overwrite: no longer needed, as wide, and read column by column; else -1."""
    if step.kind not in (*UNARY, *BINARY) or step.kind == "copy":
        return -1
    width = widths[step.register]
    for x in step.operands:
        if isinstance(x, tuple) and x[0][0] in dying and widths[x[0][0]] == width:
            same = [y for y in step.operands if isinstance(y, tuple) and y[0][0] == x[0][0]]
            if all(len(y) == width for y in same):
                return x[0][0]
    return -1


def _allocated(builder: Builder, result: int) -> tuple[tuple[Op, ...], int]:
    """Place registers in as few columns as a first fit finds; the result comes last."""
    steps, widths = builder.steps, builder.widths
    last = {r: k for k, step in enumerate(steps) for r in (*_used(step), step.register)}
    place: dict[int, int] = {0: 0}
    live: dict[int, int] = {0: builder.inputs}  # register: columns that it occupies
    top = builder.inputs
    for k, step in enumerate(steps):
        register = step.register
        dying = {r for r in _used(step) if last[r] == k}
        if register not in place and register != result:
            shared = _in_place(step, widths, dying)
            place[register] = place[shared] if shared >= 0 else _gap([(place[r], n) for r, n in live.items()], widths[register])
            live[register] = widths[register]
            top = max(top, place[register] + widths[register])
        for r in [r for r in live if last.get(r, -1) <= k]:
            del live[r]
    place[result] = top
    return tuple(_op(builder, step, place) for step in steps), top + widths[result]


def _gap(taken: list[tuple[int, int]], width: int) -> int:
    """First column after which `width` columns are free."""
    at = 0
    for start, n in sorted(taken):
        if start - at >= width:
            return at
        at = max(at, start + n)
    return at


def _op(builder: Builder, step: _Step, place: Mapping[int, int]) -> Op:
    """The row of the table of one step."""
    target, width, at = place[step.register], builder.widths[step.register], step.at
    where = []
    for x in step.operands:
        if isinstance(x, tuple):
            where += [place[x[0][0]] + x[0][1], ONE if step.kind in BINARY and len(x) == 1 < width else COLUMNS]
        else:
            where += [builder._store(x), NUMBERS]
    if step.kind == "copy":
        return Op("copy", target + at, len(step.operands[0]), where[0])
    inner = len(step.operands[0]) if step.kind == "dense" else 0
    if step.kind == "sum":
        width = len(step.operands[0])
    a, a_mode, b, b_mode = (*where, 0, 0)[:4]
    return Op(step.kind, target, width, a, a_mode, b, b_mode, at, inner)


def mlp_program(
    layers: Sequence[int],
    act: str,
    skip: bool,
    out: Sequence[str],
    arrays: Mapping[str, Any],
    inputs: Sequence[str] = (),
    clip: tuple[float, float] | None = None,
    dtype: str = "float32",
) -> Program:
    """Multilayer perceptron: z = (T(gain c) - mean) / scale; h = act(W h + b) per layer; last layer linear (+ skip z); clip; output maps.

    Parameters
    ----------
    layers, act, skip, out, inputs, clip : the `fast` part of a channel's card: widths, activation, linear skip, map of every output
        (identity, exp, sigmoid, softplus), transform T of every input (identity, log, log10, asinh), bounds before the output maps.
    arrays : ``weight0`` (out, in), ``bias0`` (out,), ... for each layer, ``skip`` (outputs, inputs); ``gain``,
        ``mean``, ``scale`` (inputs,).
    """
    b = Builder(layers[0], dtype)
    c = b.input(0, layers[0])
    if "gain" in arrays and (np.asarray(arrays["gain"]) != 1).any():
        c = b.binary("mul", c, np.asarray(arrays["gain"]))
    parts = [_mapped(b, kind, c[i : i + 1]) for i, kind in enumerate(inputs or ["identity"] * layers[0])]
    z = b.contiguous(tuple(p[0] for p in parts))
    mean, scale = (np.asarray(arrays.get(name, default), float) for name, default in (("mean", 0.0), ("scale", 1.0)))

    def of_inputs(weight: Any, bias: Any) -> Columns:
        """A layer on the normalised inputs: mean and scale go into its weights."""
        w = np.asarray(weight, float) / scale
        return b.dense(z, w, np.asarray(bias, float) - w @ np.broadcast_to(mean, (layers[0],)))

    h = z
    for i in range(len(layers) - 1):
        h = of_inputs(arrays["weight0"], arrays["bias0"]) if i == 0 else b.dense(h, arrays[f"weight{i}"], arrays[f"bias{i}"])
        h = _mapped(b, act, h) if i < len(layers) - 2 else h
    if skip:
        h = b.binary("add", h, of_inputs(arrays["skip"], 0.0))
    if clip is not None:
        h = b.unary("clip", h, *clip)
    if len(set(out)) == 1:
        return b.finish(_mapped(b, out[0], h))
    return b.finish(tuple(_mapped(b, kind, h[i : i + 1])[0] for i, kind in enumerate(out)))


def _mapped(b: Builder, name: str, x: Columns) -> Columns:
    """An activation, transform or output map by its name in a card."""
    if name == "identity":
        return x
    if name == "silu":
        return b.binary("mul", x, b.unary("sigmoid", x))
    return b.unary(name, x, *((1.0, 40.0) if name == "softplus" else ()))
