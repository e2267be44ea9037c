"""Shows from a network's graph that a row of its output depends on that row of its inputs only, whatever the values.

A walk over the frozen graph with shapes in place of values. A tensor over the rows is known by its shape, in which `ROWS` stands for their
number; an operation must leave it alone. Constants are computed. What has no rule here is refused: a node's channel must not see
the other nodes, and a comparison of numbers would only find what the numbers happen to show. The same walk refuses whole numbers made
from inputs, decisions by values, and lists that outlive a call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError

ELEMENTWISE = frozenset(
    """neg abs reciprocal square exp expm1 log log10 log1p asinh sqrt tanh sigmoid relu softplus gelu silu elu leaky_relu
    hardtanh erf sin cos tan atan clamp clamp_min clamp_max add sub rsub mul div pow minimum maximum where zeros_like ones_like eq ne lt le
    gt ge""".split()  # noqa: SIM905 (as in admission_syntax)
)
MADE = frozenset({"linear", "addmm", "matmul", "mm", "bmm", "sum", "mean", "layer_norm"})
"""What makes new numbers, as elementwise operations do: these may be changed in place."""
COMPARED = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})
FLOATS = (None, 6, 7)
"""Torch's numbers of float32 and float64, or no wish."""
CONVERSIONS: dict[str, Callable[[Any], Any]] = {"__not__": lambda v: not v, "Int": int, "Float": float, "Bool": bool}
MOST = 1 << 16
"""Numbers per row that an intermediate result may have."""
ADVICE = "normalise with constants, and keep to operations on the columns"


class _Rows:
    """Stands for the number of rows, in shapes and as a number."""

    def __repr__(self) -> str:
        return "rows"


ROWS = _Rows()


class Refused(Exception):
    """What cannot be shown to treat every row by itself."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """A tensor over the rows: its shape, with `ROWS` exactly once, and whether it holds truth values."""

    shape: tuple[Any, ...]
    truth: bool = False

    @property
    def axis(self) -> int:
        """Where the rows are."""
        return self.shape.index(ROWS)


def check_rowwise(graph: Any, module: Any, compute: Callable[[str], Any], inputs: Sequence[int | None], where: str) -> None:
    """Walk the graph of ``forward``, calls written out.

    Parameters
    ----------
    graph, module : the graph and the frozen module that it reads attributes of.
    compute : gives torch's operator of a name, to compute constants.
    inputs : columns of each tensor that enters, None for a number (``dt``).
    where : for the error.

    Raises
    ------
    InputError
        If a row's result may depend on other rows; one line names the operation.
    """
    arguments = list(graph.inputs())[1:]
    if len(arguments) != len(inputs):
        raise InputError(where, f"forward takes {len(arguments)} arguments, expected {len(inputs)}")
    walk = _Walk(module, compute)
    for argument, count in zip(arguments, inputs, strict=True):
        walk.values[argument.debugName()] = Number() if count is None else Sheet((ROWS, count))
    try:
        walk.block(graph)
        found = [walk.values[o.debugName()] for o in graph.outputs()]
        tensors = list(found[0]) if len(found) == 1 and isinstance(found[0], (tuple, list)) else found
        if any(not isinstance(t, Sheet) or t.axis or t.truth for t in tensors):
            told = ", ".join(str(list(t.shape)) if isinstance(t, Sheet) else "a constant" for t in tensors)
            raise Refused(f"it returns {told or 'nothing'}, expected tensors of floats with the rows in front")
    except Refused as error:
        raise InputError(where, f"refused: {error} ({ADVICE})") from None


class Number:
    """A float that is the same for all rows and known when the network runs: dt, and what is made of it."""


def _mixes(kind: str, how: str) -> Refused:
    return Refused(f"a row's result depends on other rows ('{kind}' {how})")


def _constant(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_constant(v) for v in value)
    return not isinstance(value, (Sheet, Number, _Rows))


def _shape(value: Any) -> tuple[Any, ...]:
    return tuple(getattr(value, "shape", ()))


class _Walk:
    """Values by name: sheets, numbers, `ROWS`, and constants as they are."""

    def __init__(self, module: Any, compute: Callable[[str], Any]) -> None:
        self.module, self.compute = module, compute
        self.values: dict[str, Any] = {}
        self.own: list[Any] = []

    def block(self, block: Any) -> None:
        """Walk the nodes of a block."""
        for node in block.nodes():
            self._node(node)

    def _value(self, value: Any) -> Any:
        name = value.debugName()
        return self.module if name not in self.values and value.type().kind() == "ClassType" else self.values[name]

    def _node(self, node: Any) -> None:
        kind, outputs = node.kind(), [o.debugName() for o in node.outputs()]
        if kind == "prim::Constant":
            self.values[outputs[0]] = _kept(node.output().toIValue())
            return
        if kind == "prim::GetAttr":
            self.values[outputs[0]] = _kept(getattr(self._value(node.inputsAt(0)), node.s("name")))
            return
        args = [self._value(v) for v in node.inputs()]
        if kind in ("prim::ListConstruct", "prim::TupleConstruct"):
            self.values[outputs[0]] = list(args) if kind.endswith("ListConstruct") else tuple(args)
        elif kind in ("prim::TupleIndex", "aten::__getitem__"):
            if not isinstance(args[1], int):
                raise Refused(f"'{kind}' by a value")
            self.values[outputs[0]] = args[0][args[1]]
        elif kind in ("prim::ListUnpack", "prim::TupleUnpack"):
            self.values.update(zip(outputs, args[0], strict=True))
        elif kind == "prim::ConstantChunk":
            self.values.update(zip(outputs, self.on_chunk(kind, args[0], node.i("chunks"), node.i("dim")), strict=True))
        elif kind == "prim::unchecked_cast":
            self.values[outputs[0]] = args[0]
        elif kind == "prim::If":
            if not isinstance(args[0], (bool, int)):
                raise Refused("a decision by the values or the number of rows")
            chosen = list(node.blocks())[0 if args[0] else 1]
            self.block(chosen)
            self.values.update({name: self._value(o) for name, o in zip(outputs, chosen.outputs(), strict=True)})
        elif kind.startswith("aten::"):
            out = self._aten(kind, kind[6:], args)
            if outputs:
                self.values[outputs[0]] = out
        else:
            raise Refused(f"'{kind}' has no rule")

    def _aten(self, kind: str, name: str, args: list[Any]) -> Any:
        plain = name[:-1] if name.endswith("_") and not name.endswith("__") else name
        if plain != name and args[0] not in self.own:
            raise Refused(f"'{kind}' changes in place what it was given, or what it keeps from call to call")
        if name in ("dim", "len", "size"):
            return self._measured(kind, name, args)
        if name == "append":
            if not isinstance(args[0], list):
                raise Refused("a list that is kept from call to call")
            args[0].append(args[1])
            return args[0]
        if name in ("__is__", "__isnot__"):
            return (args[0] is args[1]) == (name == "__is__")
        if all(map(_constant, args)):
            return self._folded(kind, name, args)
        if any(isinstance(a, _Rows) for a in args):
            raise _mixes(kind, "of the number of rows")
        if not any(isinstance(a, Sheet) or (isinstance(a, (list, tuple)) and any(isinstance(v, Sheet) for v in a)) for a in args):
            if name in ("Bool", "Int", *COMPARED, "__not__"):
                raise Refused("a decision by the values or the number of rows")
            return Number()  # arithmetic with dt
        method: Callable[..., Any] | None = getattr(self, f"on_{plain}", None)
        if plain in ELEMENTWISE:
            method = lambda kind, *given: self._elementwise(kind, plain, list(given))  # noqa: E731 (as the methods are called)
        if method is None:
            raise Refused(f"'{kind}' has no rule that shows that it treats every row by itself")
        try:
            out = method(kind, *args)
        except (TypeError, IndexError, ValueError, AttributeError) as error:
            raise Refused(f"'{kind}' in a form that is not known ({error})") from None
        self._bounded(kind, out)
        if plain in ELEMENTWISE or plain in MADE:
            self.own.append(out)
        return out

    def _measured(self, kind: str, name: str, args: list[Any]) -> Any:
        shape = [0] * len(args[0]) if name == "len" and isinstance(args[0], (list, tuple)) else list(_shape(args[0]))
        if name == "size":
            return shape if len(args) == 1 else shape[args[1]]
        return len(shape) if name == "dim" or isinstance(args[0], (list, tuple)) else shape[0]

    def _folded(self, kind: str, name: str, args: list[Any]) -> Any:
        """An operation of constants."""
        try:
            if name in CONVERSIONS:
                return CONVERSIONS[name](args[0])
            return self.compute(name)(*args)
        except Exception as error:  # torch raises many kinds
            raise Refused(f"'{kind}' of constants fails ({str(error).splitlines()[0][:80]})") from None

    def _bounded(self, kind: str, out: Any) -> None:
        for sheet in out if isinstance(out, list) else [out]:
            if math.prod(1 if k is ROWS else k for k in sheet.shape) > MOST:
                raise Refused(f"'{kind}' makes more than {MOST} numbers of a row")

    def _elementwise(self, kind: str, name: str, args: list[Any]) -> Sheet:
        """Broadcast as torch does: dimensions aligned from the last; the rows may only meet the rows, or a dimension of 1."""
        if name == "div" and len(args) > 2 and args[2] is not None:
            raise Refused(f"'{kind}' that rounds to whole numbers")
        if name.endswith("_like") and len(args) > 1 and args[1] not in FLOATS:
            raise Refused(f"'{kind}' of whole numbers")
        tensors = [a for a in args if isinstance(a, Sheet) or hasattr(a, "shape")]
        shape: list[Any] = []
        for place in range(1, 1 + max(len(_shape(a)) for a in tensors)):
            found = {s[-place] for a in tensors if len(s := _shape(a)) >= place and s[-place] != 1}
            if ROWS in found and len(found) > 1:
                raise _mixes(kind, f"of shapes {', '.join(str(list(_shape(a))) for a in tensors)}")
            if len(found) > 1:
                raise Refused(f"'{kind}' of shapes that do not fit")
            shape.insert(0, found.pop() if found else 1)
        if shape.count(ROWS) != 1:
            raise _mixes(kind, f"of shapes {', '.join(str(list(_shape(a))) for a in tensors)}")
        truth = name in COMPARED
        floats = args[1:] if name == "where" else args
        if not truth and not name.endswith("_like") and not any(_floating(a) for a in floats):
            raise Refused(f"'{kind}' of whole numbers or truth values")
        out = Sheet(tuple(shape), truth)
        self._bounded(kind, out)
        return out

    def _sheet(self, kind: str, x: Any) -> Sheet:
        if not isinstance(x, Sheet) or x.truth:
            raise Refused(f"'{kind}' of something that is no tensor of floats over the rows")
        return x

    def _place(self, kind: str, x: Sheet, dim: int, spare: int = 0) -> int:
        """A dimension counted from the first, which is not that of the rows."""
        place = dim + len(x.shape) + spare if dim < 0 else dim
        if not spare and place == x.axis:
            raise _mixes(kind, "over the rows")
        return place

    def _without(self, x: Sheet, place: int, *new: Any) -> Sheet:
        return Sheet((*x.shape[:place], *new, *x.shape[place + 1 :]), x.truth)

    def on_linear(self, kind: str, x: Any, weight: Any, bias: Any = None) -> Sheet:
        """Over the last dimension."""
        if not _constant(weight) or not _constant(bias):
            raise _mixes(kind, "with weights that depend on the rows")
        return self.on_matmul(kind, x, weight.t())

    def on_matmul(self, kind: str, a: Any, b: Any) -> Sheet:
        """With a constant matrix on either side, or row by row with the rows in front."""
        first, second = _shape(a), _shape(b)
        if isinstance(a, Sheet) and isinstance(b, Sheet):
            if len(first) != 3 or len(second) != 3 or a.axis or b.axis:
                raise _mixes(kind, "of two tensors over the rows")
            return Sheet((ROWS, first[1], second[2]))
        if isinstance(a, Sheet) and len(second) == 2:
            self._place(kind, self._sheet(kind, a), -1)
            return Sheet((*first[:-1], second[1]))
        if isinstance(b, Sheet) and len(first) == 2 and len(second) >= 2:
            self._place(kind, self._sheet(kind, b), -2)
            return Sheet((*second[:-2], first[0], second[-1]))
        raise Refused(f"'{kind}' of shapes {list(first)} and {list(second)}")

    on_mm = on_bmm = on_matmul

    def on_addmm(self, kind: str, bias: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Sheet:
        """A product and a sum."""
        return self._elementwise(kind, "add", [self.on_matmul(kind, a, b), bias])

    def on_layer_norm(self, kind: str, x: Any, shape: Any, *rest: Any) -> Sheet:
        """Over the last dimensions."""
        sheet = self._sheet(kind, x)
        _ = [self._place(kind, sheet, -place) for place in range(1, 1 + len(shape))]
        return sheet

    def on_sum(self, kind: str, x: Any, dims: Any = None, keep: bool = False, dtype: Any = None) -> Sheet:
        """Over given dimensions."""
        sheet = self._sheet(kind, x)
        chosen = [dims] if isinstance(dims, int) else dims
        if not chosen:
            raise _mixes(kind, "over all dimensions")
        if dtype not in FLOATS:
            raise Refused(f"'{kind}' of whole numbers")
        places = {self._place(kind, sheet, d) for d in chosen}
        return Sheet(tuple(1 if k in places else n for k, n in enumerate(sheet.shape) if keep or k not in places))

    on_mean = on_sum

    def on_cat(self, kind: str, parts: Any, dim: int = 0) -> Sheet:
        """Side by side."""
        sheets = [self._sheet(kind, p) for p in parts]
        place = self._place(kind, sheets[0], dim)
        first = self._without(sheets[0], place, 0).shape
        if any(len(s.shape) != len(first) or self._without(s, place, 0).shape != first for s in sheets):
            raise _mixes(kind, "of shapes that do not fit")
        return self._without(sheets[0], place, sum(s.shape[place] for s in sheets))

    def on_stack(self, kind: str, parts: Any, dim: int = 0) -> Sheet:
        """As a new dimension."""
        return self.on_cat(kind, [self.on_unsqueeze(kind, p, dim) for p in parts], dim)

    def on_unsqueeze(self, kind: str, x: Any, dim: int) -> Sheet:
        """A new dimension of 1."""
        place = self._place(kind, x, dim, 1)
        return Sheet((*x.shape[:place], 1, *x.shape[place:]), x.truth)

    def on_squeeze(self, kind: str, x: Any, dim: Any) -> Sheet:
        """A dimension of 1 less."""
        place = self._place(kind, x, dim)
        return self._without(x, place) if x.shape[place] == 1 else x

    def on_slice(self, kind: str, x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Sheet:
        """Part of a dimension; all rows."""
        if dim + (len(x.shape) if dim < 0 else 0) == x.axis and not start and (end is None or end >= 2**62) and step == 1:
            return x
        place = self._place(kind, x, dim)
        return self._without(x, place, len(range(x.shape[place])[slice(start, end, step)]))

    def on_select(self, kind: str, x: Any, dim: int, index: int) -> Sheet:
        """One index of a dimension."""
        return self._without(x, self._place(kind, x, dim))

    def on_unbind(self, kind: str, x: Any, dim: int = 0) -> list[Sheet]:
        """Every index of a dimension."""
        place = self._place(kind, x, dim)
        return [self._without(x, place)] * x.shape[place]

    def on_split(self, kind: str, x: Any, size: Any, dim: int = 0) -> list[Sheet]:
        """Groups along a dimension."""
        place = self._place(kind, x, dim)
        n = x.shape[place]
        sizes = list(size) if isinstance(size, (list, tuple)) else [min(size, n - k) for k in range(0, n, size)]
        return [self._without(x, place, k) for k in sizes]

    on_split_with_sizes = on_split

    def on_chunk(self, kind: str, x: Any, chunks: int, dim: int = 0) -> list[Sheet]:
        """About equal groups along a dimension."""
        return self.on_split(kind, x, -(-x.shape[self._place(kind, x, dim)] // chunks), dim)

    def on_permute(self, kind: str, x: Any, order: Any) -> Sheet:
        """Dimensions in another order: the rows go along."""
        return Sheet(tuple(x.shape[k] for k in order), x.truth)

    def on_transpose(self, kind: str, x: Any, a: int, b: int) -> Sheet:
        """Two dimensions exchanged."""
        order = list(range(len(x.shape)))
        order[a], order[b] = order[b], order[a]
        return self.on_permute(kind, x, order)

    def on_t(self, kind: str, x: Any) -> Sheet:
        """Rows and columns exchanged."""
        return self.on_permute(kind, x, range(len(x.shape))[::-1])

    def on_reshape(self, kind: str, x: Any, shape: Any) -> Sheet:
        """The rows in front, before and after."""
        new, per = list(shape), math.prod(n for n in x.shape if n is not ROWS)
        if x.axis or not new:
            raise _mixes(kind, "of a tensor whose rows are not in front")
        rest = [n for n in new[1:] if n != -1]
        if new[0] not in (ROWS, -1) or ROWS in rest or (new[0] == -1 and len(rest) < len(new) - 1):
            raise _mixes(kind, f"to {new}")
        known = math.prod(rest)
        if len(rest) < len(new) - 1 and known and per % known == 0:
            new = [per // known if n == -1 else n for n in new]
        if math.prod(new[1:]) != per:
            raise _mixes(kind, f"of {list(x.shape)} to {new}")
        return Sheet((ROWS, *new[1:]), x.truth)

    on_view = on_reshape


def _kept(value: Any) -> Any:
    """A constant; lists that belong to the module cannot be added to."""
    return tuple(_kept(v) for v in value) if isinstance(value, list) else value


def _floating(value: Any) -> bool:
    """Whether a value makes the result of arithmetic a float."""
    if isinstance(value, Sheet):
        return not value.truth
    return isinstance(value, (Number, float)) or (hasattr(value, "dtype") and value.dtype.is_floating_point)
