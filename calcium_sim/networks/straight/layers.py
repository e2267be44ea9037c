"""Layers and functions in terms of elementary operations, for `straight`: one function per operation of torch, by its name there.

Each gets the page, then what torch gives the operation. Softmax and the like subtract the largest value of a row, as torch does; constants
of normalisation are combined in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .values import Page, Unwritable, Value, mixes

LAYERS: dict[str, Callable[..., Any]] = {}


def place(page: Page, x: Value, dim: int, name: str) -> int:
    """A dimension counted from the first, which must not be that of the rows."""
    at = dim + len(x.shape) if dim < 0 else dim
    if not 0 <= at < len(x.shape):
        raise Unwritable(f"'aten::{name}' over dimension {dim} of a tensor of {len(x.shape)}")
    if x.shape[at] == page.rows:
        raise mixes(f"aten::{name}", "over the rows")
    return at


def _known(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def keep(function: Callable[..., Any]) -> Callable[..., Any]:
        LAYERS[name] = function
        return function

    return keep


def _mul(p: Page, a: Any, b: Any) -> Any:
    return p.op("mul", p.floats(a), p.floats(b))


def _add(p: Page, a: Any, b: Any) -> Any:
    return p.op("add", p.floats(a), p.floats(b))


def _sub(p: Page, a: Any, b: Any) -> Any:
    return p.op("sub", p.floats(a), p.floats(b))


def _halved(p: Page, combine: Callable[[Any, Any], Any], x: Value, dim: int, keep: bool, name: str) -> Any:
    """A function of two numbers taken over all columns: of halves, quarters and so on."""
    at = place(p, x, dim, name)
    while (n := x.shape[at]) > 1:
        half = n // 2
        both = combine(p.op("slice", x, at, 0, half, 1), p.op("slice", x, at, half, 2 * half, 1))
        x = p.op("cat", [both, p.op("slice", x, at, n - 1, n, 1)], at) if n % 2 else both
    return x if keep else p.op("squeeze", x, at)


def _extreme(name: str) -> Callable[..., Any]:
    def over(p: Page, x: Any, dims: Any = None, keep: bool = False) -> Any:
        chosen = [dims] if isinstance(dims, int) else list(dims or range(len(x.shape)))
        out = p.floats(x)
        for at in sorted((place(p, x, d, name) for d in chosen), reverse=True):
            out = _halved(p, lambda a, b: p.op(name, a, b), out, at, keep, name)
        return out

    return over


LAYERS["amax"], LAYERS["amin"] = _extreme("maximum"), _extreme("minimum")


def _with_places(name: str) -> Callable[..., Any]:
    """``max`` and ``min``: of two tensors, or over a dimension, with places that cannot be computed with."""

    def either(p: Page, x: Any, other: Any = None, keep: bool = False) -> Any:
        if isinstance(other, (Value, p.torch.Tensor)):
            return p.op(name, p.floats(x), p.tensor(other) if not isinstance(other, Value) else p.floats(other))
        values = LAYERS["amax" if name == "maximum" else "amin"](p, x, other, keep)
        return values if other is None else [values, None]

    return either


LAYERS["max"], LAYERS["min"] = _with_places("maximum"), _with_places("minimum")


@_known("softmax")
def _softmax(p: Page, x: Any, dim: int, dtype: Any = None) -> Any:
    e = p.op("exp", _sub(p, x, LAYERS["amax"](p, x, dim, True)))
    return p.op("div", e, p.op("sum", e, [place(p, x, dim, "softmax")], True))


@_known("log_softmax")
def _log_softmax(p: Page, x: Any, dim: int, dtype: Any = None) -> Any:
    d = _sub(p, x, LAYERS["amax"](p, x, dim, True))
    return _sub(p, d, p.op("log", p.op("sum", p.op("exp", d), [place(p, x, dim, "log_softmax")], True)))


@_known("logsumexp")
def _logsumexp(p: Page, x: Any, dims: Any, keep: bool = False) -> Any:
    chosen = [place(p, x, d, "logsumexp") for d in ([dims] if isinstance(dims, int) else dims)]
    most = LAYERS["amax"](p, x, chosen, True)
    out = _add(p, p.op("log", p.op("sum", p.op("exp", _sub(p, x, most)), chosen, True)), most)
    for at in sorted(chosen, reverse=True) if not keep else ():
        out = p.op("squeeze", out, at)
    return out


@_known("elu")
def _elu(p: Page, x: Any, alpha: float = 1.0, scale: float = 1.0, inner: float = 1.0) -> Any:
    if scale == inner == 1:
        return p.op("elu", x, float(alpha), 1.0, 1.0)
    below = _mul(p, p.op("expm1", _mul(p, p.op("minimum", x, p.tensor(0.0)), float(inner))), float(alpha))
    return _mul(p, _add(p, p.op("relu", x), below), float(scale))


LAYERS["selu"] = lambda p, x: _elu(p, x, 1.6732632423543772, 1.0507009873554805, 1.0)
LAYERS["celu"] = lambda p, x, alpha=1.0: _mul(p, p.op("elu", p.op("div", x, float(alpha)), 1.0, 1.0, 1.0), float(alpha))
LAYERS["mish"] = lambda p, x: _mul(p, x, p.op("tanh", p.op("softplus", x, 1.0, 40.0)))
LAYERS["hardsigmoid"] = lambda p, x: p.op("clamp", _add(p, p.op("div", x, 6.0), 0.5), 0.0, 1.0)
LAYERS["hardswish"] = lambda p, x: _mul(p, x, LAYERS["hardsigmoid"](p, x))
LAYERS["log_sigmoid"] = lambda p, x: p.op("neg", p.op("softplus", p.op("neg", x), 1.0, 40.0))
LAYERS["relu6"] = lambda p, x: p.op("clamp", x, 0.0, 6.0)
LAYERS["threshold"] = lambda p, x, at, value: p.chosen(p.op("gt", x, at), x, value)
LAYERS["hardshrink"] = lambda p, x, lambd=0.5: p.chosen(p.op("gt", p.op("abs", x), lambd), x, 0.0)
LAYERS["softshrink"] = lambda p, x, lambd=0.5: _sub(p, x, p.op("clamp", x, -float(lambd), float(lambd)))
LAYERS["sign"] = LAYERS["sgn"] = lambda p, x: p.chosen(p.op("gt", x, 0.0), 1.0, p.chosen(p.op("lt", x, 0.0), -1.0, 0.0))
LAYERS["rsqrt"] = lambda p, x: p.op("reciprocal", p.op("sqrt", x))
LAYERS["log2"] = lambda p, x: _mul(p, p.op("log", x), 1.0 / math.log(2.0))
LAYERS["exp2"] = lambda p, x: p.op("exp", _mul(p, x, math.log(2.0)))
LAYERS["cosh"] = lambda p, x: _mul(p, _add(p, p.op("exp", x), p.op("exp", p.op("neg", x))), 0.5)
LAYERS["atanh"] = lambda p, x: _mul(p, _sub(p, p.op("log1p", x), p.op("log1p", p.op("neg", x))), 0.5)
LAYERS["addcmul"] = lambda p, x, a, b, value=1.0: _add(p, x, _mul(p, _mul(p, a, b), float(value)))
LAYERS["addcdiv"] = lambda p, x, a, b, value=1.0: _add(p, x, _mul(p, p.op("div", a, b), float(value)))
LAYERS["lerp"] = lambda p, a, b, share: _add(p, a, _mul(p, share, _sub(p, b, a)))
LAYERS["erfc"] = lambda p, x: p.op("rsub", p.op("erf", x), 1.0, 1.0)
LAYERS["logit"] = lambda p, x, eps=None: p.op(
    "log", p.op("div", y := x if eps is None else p.op("clamp", x, eps, 1 - eps), p.op("rsub", y, 1.0, 1.0))
)


@_known("sinh")
def _sinh(p: Page, x: Any) -> Any:
    """Accurate near 0."""
    return _mul(p, _sub(p, p.op("expm1", x), p.op("expm1", p.op("neg", x))), 0.5)


@_known("clamp")
def _clamp(p: Page, x: Any, low: Any = None, high: Any = None) -> Any:
    """Bounds that are no bounds are left out."""
    low, high = (None if isinstance(b, (int, float)) and not math.isfinite(b) else b for b in (low, high))
    for name, bound in (("maximum", low), ("minimum", high)):
        if isinstance(bound, (Value, p.torch.Tensor)):
            x = p.op(name, p.floats(x), p.floats(bound) if isinstance(bound, Value) else p.tensor(bound))
    low, high = (float(b) if isinstance(b, (int, float)) else None for b in (low, high))
    return x if low is None and high is None else p.op("clamp", p.floats(x), low, high)


LAYERS["hardtanh"] = lambda p, x, low=-1.0, high=1.0: _clamp(p, x, low, high)
LAYERS["clamp_min"] = lambda p, x, low: _clamp(p, x, low, None)
LAYERS["clamp_max"] = lambda p, x, high: _clamp(p, x, None, high)


@_known("div")
def _div(p: Page, a: Any, b: Any, rounding_mode: Any = None) -> Any:
    if rounding_mode is not None:
        raise Unwritable("makes whole numbers of values (a division that rounds)")
    b = p.tensor(b) if isinstance(b, p.torch.Tensor) else b
    return p.op("div", p.tensor(a) if isinstance(a, (int, float)) else p.floats(a), p.floats(b))


@_known("pow")
def _pow(p: Page, x: Any, exponent: Any) -> Any:
    """Of a positive number: an exponential."""
    if isinstance(exponent, Value) and not isinstance(x, Value):
        base = float(p.tensor(x).reshape(-1)[0]) if p.tensor(x).numel() == 1 else 0.0
        return p.op("exp", _mul(p, exponent, math.log(base))) if base > 0 else NotImplemented
    return p.op("pow", p.floats(x), exponent if isinstance(exponent, (int, float)) else p.floats(exponent))


@_known("prelu")
def _prelu(p: Page, x: Any, weight: Any) -> Any:
    slope = weight.reshape([-1, *[1] * (len(x.shape) - 2)]) if weight.numel() > 1 and len(x.shape) > 2 else weight
    return _add(p, p.op("relu", x), _mul(p, p.op("minimum", x, p.tensor(0.0)), slope))


@_known("rrelu")
def _rrelu(p: Page, x: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None) -> Any:
    if training:
        raise Unwritable("draws random numbers ('aten::rrelu' in training)")
    return p.op("leaky_relu", x, 0.5 * (lower + upper))


@_known("glu")
def _glu(p: Page, x: Any, dim: int = -1) -> Any:
    a, b = p.op("chunk", x, 2, place(p, x, dim, "glu"))
    return _mul(p, a, p.op("sigmoid", b))


@_known("gelu")
def _gelu(p: Page, x: Any, approximate: str = "none") -> Any:
    return p.op("gelu", x, approximate=approximate)


def _scaled(p: Page, x: Any, weight: Any, bias: Any) -> Any:
    out = x if weight is None else _mul(p, x, weight)
    return out if bias is None else _add(p, out, bias)


@_known("batch_norm")
def _batch_norm(
    p: Page, x: Any, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, momentum: float, eps: float, cudnn: bool = False
) -> Any:
    """In evaluation: a factor and an offset for every column."""
    if training or mean is None or variance is None:
        raise mixes("aten::batch_norm", "that normalises with the rows at hand (track_running_stats=True, and .eval())")
    factor = (variance.double() + eps) ** -0.5 * (1.0 if weight is None else weight.double())
    offset = (0.0 if bias is None else bias.double()) - mean.double() * factor
    shape = [-1, *[1] * (len(x.shape) - 2)]
    return _scaled(p, x, p.tensor(factor.reshape(shape)), p.tensor(offset.reshape(shape)))


@_known("rms_norm")
def _rms_norm(p: Page, x: Any, shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    dims = [place(p, x, -k, "rms_norm") for k in range(1, len(shape) + 1)]
    least = p.torch.finfo(p.dtype).eps if eps is None else eps
    mean = p.op("mean", _mul(p, x, x), dims, True)
    return _scaled(p, _mul(p, x, LAYERS["rsqrt"](p, _add(p, mean, float(least)))), weight, None)


@_known("group_norm")
def _group_norm(p: Page, x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, cudnn: bool = True) -> Any:
    if len(x.shape) != 2:
        return NotImplemented
    parts = p.op("chunk", x, groups, 1) if groups > 1 else [x]
    normed = [p.op("layer_norm", part, [part.shape[1]], None, None, float(eps), True) for part in parts]
    return _scaled(p, p.op("cat", normed, 1), weight, bias)


def _gates(p: Page, x: Any, h: Any, weights: Sequence[Any], count: int) -> tuple[list[Any], list[Any]]:
    both = []
    for value, weight, bias in ((x, weights[0], weights[2]), (h, weights[1], weights[3])):
        out = p.op("linear", value, weight, bias)
        both.append(p.op("chunk", out, count, 1) if count > 1 else [out])
    return both[0], both[1]


def _cell(weights: tuple[Any, ...]) -> list[Any]:
    return [*weights, None, None][:4]


@_known("gru_cell")
def _gru_cell(p: Page, x: Any, h: Any, *weights: Any) -> Any:
    a, b = _gates(p, x, h, _cell(weights), 3)
    r, z = (p.op("sigmoid", _add(p, a[k], b[k])) for k in (0, 1))
    new = p.op("tanh", _add(p, a[2], _mul(p, r, b[2])))
    return _add(p, new, _mul(p, z, _sub(p, h, new)))


@_known("lstm_cell")
def _lstm_cell(p: Page, x: Any, states: Any, *weights: Any) -> list[Any]:
    a, b = _gates(p, x, states[0], _cell(weights), 4)
    sums = [_add(p, u, v) for u, v in zip(a, b, strict=True)]
    i, f, o = (p.op("sigmoid", sums[k]) for k in (0, 1, 3))
    memory = _add(p, _mul(p, f, states[1]), _mul(p, i, p.op("tanh", sums[2])))
    return [_mul(p, o, p.op("tanh", memory)), memory]


def _simple_cell(name: str) -> Callable[..., Any]:
    def cell(p: Page, x: Any, h: Any, *weights: Any) -> Any:
        a, b = _gates(p, x, h, _cell(weights), 1)
        return p.op(name, _add(p, a[0], b[0]))

    return cell


LAYERS["rnn_tanh_cell"], LAYERS["rnn_relu_cell"] = _simple_cell("tanh"), _simple_cell("relu")


@_known("var")
def _var(p: Page, x: Any, dims: Any = None, unbiased: Any = True, keepdim: bool = False, correction: Any = None) -> Any:
    if not isinstance(dims, (int, list, tuple)) or isinstance(dims, bool):
        raise mixes("aten::var", "over all dimensions")
    chosen = [place(p, x, d, "var") for d in ([dims] if isinstance(dims, int) else dims)]
    n, less = math.prod(x.shape[d] for d in chosen), float(unbiased if correction is None else correction)
    d = _sub(p, x, p.op("mean", x, chosen, True))
    return p.op("div", p.op("sum", _mul(p, d, d), chosen, keepdim), n - less)


LAYERS["std"] = lambda p, *args, **named: p.op("sqrt", _var(p, *args, **named))


@_known("norm")
def _norm(p: Page, x: Any, power: Any = 2, dims: Any = None, keep: bool = False) -> Any:
    if not dims:
        raise mixes("aten::norm", "over all dimensions")
    chosen = [place(p, x, d, "norm") for d in ([dims] if isinstance(dims, int) else dims)]
    if power in (None, 2):
        return p.op("sqrt", p.op("sum", _mul(p, x, x), chosen, keep))
    return p.op("sum", p.op("abs", x), chosen, keep) if power == 1 else NotImplemented


@_known("prod")
def _prod(p: Page, x: Any, dim: int, keep: bool = False) -> Any:
    return _halved(p, lambda a, b: _mul(p, a, b), x, dim, keep, "prod")


@_known("cumsum")
def _cumsum(p: Page, x: Any, dim: int) -> Any:
    """Over the last dimension: with a triangle of ones."""
    if place(p, x, dim, "cumsum") != len(x.shape) - 1:
        return NotImplemented
    return p.op("matmul", x, p.torch.ones(x.shape[-1], x.shape[-1], dtype=p.dtype).triu())


@_known("matmul")
def _matmul(p: Page, a: Any, b: Any) -> Any:
    """A vector is a matrix of one column."""
    if isinstance(a, Value) and isinstance(b, p.torch.Tensor) and b.dim() == 1 and len(a.shape) > 1:
        return p.op("squeeze", p.op("matmul", a, p.tensor(b)[:, None]), -1)
    a, b = (p.tensor(v) if isinstance(v, p.torch.Tensor) else v for v in (a, b))
    return p.op("matmul", a, b)


@_known("einsum")
def _einsum(p: Page, rule: str, operands: Sequence[Any], path: Any = None) -> Any:
    """Rows and columns with one constant matrix."""
    left, arrow, out = rule.replace(" ", "").partition("->")
    names = left.split(",")
    if arrow and len(operands) == 2 and not isinstance(operands[0], Value):
        names, operands = names[::-1], list(operands)[::-1]
    if arrow and len(operands) == 2 and isinstance(operands[0], Value) and isinstance(operands[1], p.torch.Tensor):
        x, w = names
        if len(x) == len(w) == len(out) == 2 and x[0] == out[0] and {x[1], out[1]} == set(w) and x[1] != out[1]:
            return _matmul(p, operands[0], operands[1] if w == x[1] + out[1] else operands[1].t())
    raise Unwritable(f"torch.einsum('{rule}') is not known (write it with torch.matmul)")


@_known("flatten")
def _flatten(p: Page, x: Any, start: int = 0, end: int = -1) -> Any:
    rank = len(x.shape)
    first, last = (d + rank if d < 0 else d for d in (start, end))
    if first == last:
        return x
    return LAYERS["reshape"](p, x, [*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :]])


@_known("reshape")
def _reshape(p: Page, x: Any, shape: Sequence[int]) -> Any:
    """The number of rows is left open."""
    new = list(shape)
    if -1 in new:
        known = math.prod(n for n in new if n != -1)
        new = [math.prod(x.shape) // known if n == -1 and known else n for n in new]
    if not isinstance(x, Value):
        return x.reshape(new)
    if p.rows not in new:
        raise mixes("aten::reshape", f"to {list(shape)}")
    return x if tuple(new) == x.shape else p.op("reshape", x, [-1 if n == p.rows else int(n) for n in new])


LAYERS["reshape_as"] = lambda p, x, other: _reshape(p, x, other.shape)


@_known("unflatten")
def _unflatten(p: Page, x: Any, dim: int, sizes: Sequence[int]) -> Any:
    at = place(p, x, dim, "unflatten")
    rest = math.prod(n for n in sizes if n != -1)
    return _reshape(p, x, [*x.shape[:at], *(x.shape[at] // rest if n == -1 else n for n in sizes), *x.shape[at + 1 :]])
