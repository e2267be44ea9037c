"""Choosing, arranging, filling and deciding in terms of elementary operations, as in `layers`, whose table this adds to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...admission.syntax import OPERATORS
from .layers import LAYERS, place
from .values import REPEATING, Page, Rows, Unwritable, Value, mixes

NAMES = {
    **{"multiply": "mul", "divide": "div", "true_divide": "div", "subtract": "sub", "clip": "clamp", "concat": "cat", "concatenate": "cat"},
    **{"special_expit": "sigmoid", "special_expm1": "expm1", "special_log1p": "log1p", "special_erf": "erf", "special_softmax": "softmax"},
    **{"absolute": "abs", "negative": "neg", "arcsinh": "asinh", "arctan": "atan", "arctanh": "atanh", "view_as": "reshape_as"},
    **{"swapaxes": "transpose", "swapdims": "transpose", "view": "reshape", "_unsafe_view": "reshape", "broadcast_to": "expand"},
    **{"special_log_softmax": "log_softmax", "special_logsumexp": "logsumexp", "special_exp2": "exp2"},
    **{"linalg_vector_norm": "norm", "linalg_norm": "norm"},
    **{"greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le", "not_equal": "ne", "split_with_sizes": "split"},
    **{"bitwise_and": "logical_and", "__and__": "logical_and", "bitwise_or": "logical_or", "__or__": "logical_or", "T": "numpy_T"},
    **{"bitwise_not": "logical_not", "bitwise_xor": "logical_xor", "__xor__": "logical_xor", "mv": "matmul", "moveaxis": "movedim"},
    **{"fmin": "minimum", "fmax": "maximum", "arccosh": "acosh", "logical_not_": "logical_not", "special_logit": "logit", "mT": "t_last"},
}
"""Other names of the same thing."""
COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})
FLOATS = (5, 6, 7, 15)
"""Torch's numbers of its float types."""


def is_float(dtype: Any) -> bool:
    """Whether a number of torch's is that of a float type."""
    return dtype is None or dtype in FLOATS


def layer(page: Page, name: str, args: Sequence[Any], named: dict[str, Any]) -> Any:
    """Write an operation down; NotImplemented where it is not known."""
    if not is_float(named.pop("dtype", None)):
        raise Unwritable("makes whole numbers of values")
    for useless in ("layout", "device", "pin_memory", "memory_format", "out"):
        named.pop(useless, None)
    if name in LAYERS:
        return LAYERS[name](page, *args, **named)
    if name not in OPERATORS:
        return NotImplemented
    if name in COMPARISONS:
        return page.op(name, *map(page.floats, args))
    if name in ("mul", "add", "sub") and all(isinstance(a, Value) and a.logical for a in args[:2]):
        if name != "mul":
            raise Unwritable(f"'aten::{name}' of truth values (make them numbers with .float())")
        return LAYERS["logical_and"](page, *args[:2])
    args = [[page.floats(v) for v in a] if isinstance(a, list) else page.floats(a) for a in args]
    if name in REPEATING:
        args = [page.tensor(a) if isinstance(a, page.torch.Tensor) else a for a in args]
    return page.op(name, *args, **named)


def _truth(p: Page, x: Any) -> Any:
    """0 and 1 of truth values; of numbers, whether they are not 0."""
    if isinstance(x, Value) and not x.logical:
        return p.floats(p.op("ne", x, 0.0))
    return p.floats(x) if isinstance(x, Value) else p.tensor(p.torch.as_tensor(x).bool())


def _decided(p: Page, value: Any) -> Any:
    """A tensor of 0 and 1 as truth values."""
    if not isinstance(value, Value) or value.fixed:
        return value
    return p.keep(Value(value.tensor > 0.5, value.name))


LAYERS["logical_and"] = lambda p, a, b: _decided(p, p.op("mul", _truth(p, a), _truth(p, b)))
LAYERS["logical_or"] = lambda p, a, b: _decided(p, p.op("maximum", _truth(p, a), _truth(p, b)))
LAYERS["logical_xor"] = lambda p, a, b: p.op("ne", _truth(p, a), _truth(p, b))
LAYERS["logical_not"] = lambda p, a: _decided(p, p.op("rsub", _truth(p, a), 1.0, 1.0))
LAYERS["isnan"] = lambda p, x: p.op("ne", x, x)
LAYERS["any"] = lambda p, x, dim=None, keep=False: _decided(p, LAYERS["amax"](p, _truth(p, x), dim, keep))
LAYERS["all"] = lambda p, x, dim=None, keep=False: _decided(p, LAYERS["amin"](p, _truth(p, x), dim, keep))


def _where(p: Page, condition: Any, a: Any = None, b: Any = None) -> Any:
    if a is None or b is None:
        raise Unwritable("chooses rows by their values (torch.where needs both alternatives)")
    if not isinstance(condition, Value):
        condition = p.torch.as_tensor(condition)
        a, b = (v if isinstance(v, Value) else p.tensor(v) for v in (a, b))
        share = p.tensor(condition)
        if condition.numel() == 1:
            return a if bool(condition) else b
        width = (a if isinstance(a, Value) else b).shape
        return p.chosen(Value(condition.expand(width), fixed=True), a, b) if share.dim() <= len(width) else NotImplemented
    return p.chosen(condition, a, b)


LAYERS["where"] = _where
LAYERS["masked_fill"] = lambda p, x, mask, value: LAYERS["where"](p, mask, value, x)


def _picked(p: Page, x: Any, dim: int, index: Any, name: str) -> Any:
    """Some places of a dimension, in any order."""
    if isinstance(index, Value) or index is None:
        raise Unwritable(f"chooses by values ('aten::{name}': use torch.where)")
    at, n = place(p, x, dim, name), x.shape[dim]
    if str(index.dtype) == "torch.bool":
        index = index.nonzero().reshape(-1)
    wanted = [int(k) + (n if k < 0 else 0) for k in index.reshape(-1)]
    if index.dim() > 1 or not wanted or not all(0 <= k < n for k in wanted):
        raise Unwritable(f"chooses places {wanted[:5]} of {n}, of shape {list(index.shape)} ('aten::{name}')")
    if index.dim() == 0:
        return p.op("select", x, at, wanted[0])
    return p.op("cat", [p.op("slice", x, at, k, k + 1, 1) for k in wanted], at)


def _index(p: Page, x: Any, indices: Sequence[Any]) -> Any:
    chosen = [(dim, index) for dim, index in enumerate(indices) if index is not None]
    if len(chosen) != 1:
        raise Unwritable("chooses in more than one dimension at once ('aten::index')")
    return _picked(p, x, chosen[0][0], chosen[0][1], "index")


LAYERS["index"] = _index
LAYERS["index_select"] = lambda p, x, dim, index: _picked(p, x, dim, index, "index_select")
LAYERS["narrow"] = lambda p, x, dim, start, length: p.op("slice", x, place(p, x, dim, "narrow"), start, start + length, 1)
LAYERS["numpy_T"] = LAYERS["t"] = lambda p, x: p.op("permute", x, list(range(len(x.shape)))[::-1])
LAYERS["t_last"] = lambda p, x: p.op("transpose", x, -1, -2)


def _slice(p: Page, x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    """All rows, or some columns."""
    n = x.shape[dim]
    first, last, by = slice(start, end, step).indices(n)
    every = end is None or isinstance(end, Rows) or end >= 2**62
    if (first, by) == (0, 1) and (every if n == p.rows else last == n):
        return x
    return p.op("slice", x, place(p, x, dim, "slice"), first, last, by)


def _unbind(p: Page, x: Any, dim: int = 0) -> list[Any]:
    at = place(p, x, dim, "unbind")
    return [p.op("select", x, at, k) for k in range(x.shape[at])]


def _squeeze(p: Page, x: Any, dims: Any = None) -> Any:
    chosen = range(len(x.shape)) if dims is None else [dims] if isinstance(dims, int) else dims
    for at in sorted((d % len(x.shape) for d in chosen), reverse=True):
        x = p.op("squeeze", x, at) if x.shape[at] == 1 else x
    return x


def _checked(name: str) -> Callable[..., Any]:
    """An operation over a dimension that must not be the rows'."""

    def over(p: Page, x: Any, size: Any, dim: int = 0) -> Any:
        return p.op(name, x, size, place(p, x, dim, name))

    return over


LAYERS.update(slice=_slice, unbind=_unbind, squeeze=_squeeze, chunk=_checked("chunk"), split=_checked("split"))
LAYERS["tensor_split"] = lambda p, x, n, dim=0: LAYERS["chunk"](p, x, n, dim) if x.shape[dim] % n == 0 else NotImplemented
LAYERS["flip"] = lambda p, x, dims: _turned(p, x, dims, lambda n: list(range(n))[::-1], "flip")
LAYERS["roll"] = lambda p, x, shifts, dims=(): _rolled(p, x, shifts, dims)


def _turned(p: Page, x: Any, dims: Sequence[int], order: Callable[[int], list[int]], name: str) -> Any:
    for dim in dims:
        at = place(p, x, dim, name)
        x = _picked(p, x, at, p.torch.tensor(order(x.shape[at])), name)
    return x


def _rolled(p: Page, x: Any, shifts: Sequence[int], dims: Sequence[int]) -> Any:
    if len(shifts) != len(dims):
        raise mixes("aten::roll", "over all dimensions")
    for shift, dim in zip(shifts, dims, strict=True):
        x = _turned(p, x, [dim], lambda n, shift=shift: [(k - shift) % n for k in range(n)], "roll")  # type: ignore[misc]
    return x


def _movedim(p: Page, x: Any, source: Any, target: Any) -> Any:
    rank = len(x.shape)
    pairs = [(a % rank, b % rank) for a, b in zip(*([v] if isinstance(v, int) else v for v in (source, target)), strict=True)]
    order = [k for k in range(rank) if k not in {a for a, _ in pairs}]
    for a, b in sorted(pairs, key=lambda pair: pair[1]):
        order.insert(b, a)
    return p.op("permute", x, order)


LAYERS["movedim"] = _movedim


def _expand(p: Page, x: Any, shape: Sequence[int], implicit: bool = False) -> Any:
    """Dimensions of 1 repeated; a constant becomes one for all rows."""
    old = [1] * (len(shape) - len(x.shape)) + list(x.shape)
    new = [a if b == -1 else int(b) for a, b in zip(old, shape, strict=True)]
    if not isinstance(x, Value):
        out = p.tensor(x).expand(new)
        return out if p.rows not in new else _fixed(p, out)
    if len(old) > len(x.shape):
        raise mixes("aten::expand", f"to {list(shape)}")
    for at, (a, b) in enumerate(zip(old, new, strict=True)):
        x = p.op("cat", [x] * b, at) if a == 1 and b != 1 else x
    return x


def _fixed(p: Page, tensor: Any) -> Value:
    """A constant for all rows."""
    if tensor.shape[0] != p.rows:
        raise mixes("aten::expand", "that puts the rows elsewhere than in front")
    return Value(tensor, fixed=True)


LAYERS["expand"] = _expand
LAYERS["expand_as"] = lambda p, x, other: _expand(p, x, other.shape)


def _repeat(p: Page, x: Any, times: Sequence[int]) -> Any:
    """Of a constant any number of times, of values along the columns."""
    if not isinstance(x, Value):
        out = p.tensor(x).repeat([int(n) for n in times])
        return _fixed(p, out) if any(isinstance(n, Rows) for n in times) else out
    if len(times) != len(x.shape):
        raise mixes("aten::repeat", "in front of the rows")
    for at, n in enumerate(times):
        if n != 1:
            x = p.op("cat", [x] * int(n), place(p, x, at, "repeat"))
    return x


LAYERS["repeat"] = _repeat
LAYERS["tile"] = lambda p, x, times: _repeat(p, x, [1] * (len(x.shape) - len(times)) + list(times))


def _filled(p: Page, shape: Sequence[int], value: float) -> Any:
    out = p.torch.full([int(n) for n in shape], float(value), dtype=p.dtype)
    return _fixed(p, out) if any(isinstance(n, Rows) or n == p.rows for n in shape) else out


for _name, _number in (("zeros", 0.0), ("ones", 1.0)):
    LAYERS[_name] = lambda p, shape, value=_number, **named: _filled(p, shape, value)
    LAYERS[f"new_{_name}"] = lambda p, x, shape, value=_number, **named: _filled(p, shape, value)
    LAYERS[f"{_name}_like"] = lambda p, x, value=_number, **named: _filled(p, x.shape, value)
LAYERS["full"] = lambda p, shape, value, **named: _filled(p, shape, value)
LAYERS["new_full"] = lambda p, x, shape, value, **named: _filled(p, shape, value)
LAYERS["full_like"] = lambda p, x, value, **named: _filled(p, x.shape, value)


def _stacked(p: Page, parts: Sequence[Any], dim: int = 0) -> Any:
    parts = [p.floats(v) for v in parts]
    rank = max(len(v.shape) for v in parts)
    if (dim + rank + 1 if dim < 0 else dim) == 0 and len(parts) > 1 and any(isinstance(v, Value) for v in parts):
        return p.op("stack", parts, 0)
    return p.op("stack", [v if isinstance(v, Value) else _expand(p, v, [p.rows, *v.shape[1:]]) for v in parts], dim)


def _joined(p: Page, parts: Sequence[Any], dim: int = 0) -> Any:
    parts = [p.floats(v) if isinstance(v, Value) else p.tensor(v) for v in parts]
    sized = next((v for v in parts if isinstance(v, Value)), None)
    if sized is None:
        return p.torch.cat(list(parts), dim)
    if (dim + len(sized.shape) if dim < 0 else dim) == 0:
        raise mixes("aten::cat", "over the rows")
    return p.op("cat", parts, dim)


LAYERS["stack"], LAYERS["cat"] = _stacked, _joined
LAYERS["hstack"] = lambda p, parts: _joined(p, parts, 1 if len(parts[0].shape) > 1 else 0)
LAYERS["column_stack"] = lambda p, parts: _joined(p, [p.op("unsqueeze", v, 1) if len(v.shape) == 1 else v for v in parts], 1)
