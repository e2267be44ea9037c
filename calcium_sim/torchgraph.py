"""From a frozen TorchScript graph to a `network.Program`.

The walk knows tensors over the nodes, ``[nodes, k]`` (k columns) and ``[nodes]`` (one column), and constants (weights, numbers, lists).
Everything else, and every operation that is not below, raises `Unsupported`; the caller then evaluates the module itself, in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .errors import CalciumSimError, InputError
from .network import Program
from .network_builder import Builder, Columns
from .torchscript import inlined_graph, operator


class Unsupported(CalciumSimError):
    """A graph holds something that cannot be lowered; `operation` names it."""

    def __init__(self, operation: str, detail: str = "") -> None:
        self.operation = operation
        super().__init__(f"{operation} cannot be lowered" + (f" ({detail})" if detail else ""))


@dataclass(frozen=True)
class Sheet:
    """A tensor over the nodes: its columns, and whether it is ``[nodes]`` instead of ``[nodes, k]``, or one number for all."""

    columns: Columns
    flat: bool = False
    number: bool = False


NODES = object()  # stands for the number of nodes, which no result may depend on
UNARY = frozenset({"tanh", "sigmoid", "relu", "exp", "expm1", "log", "log10", "log1p", "asinh", "sqrt", "abs", "neg"})
BINARY = {"add": "add", "sub": "sub", "rsub": "sub", "mul": "mul", "div": "div", "minimum": "minimum", "maximum": "maximum"}
FREE = ("contiguous", "clone", "detach", "dropout", "feature_dropout", "alpha_dropout")


def lower_graph(module: Any, inputs: Sequence[int | None], dtype: str = "float32") -> Program:
    """Walk a frozen module's graph.

    Parameters
    ----------
    module : a module after ``torch.jit.freeze``.
    inputs : columns of each tensor argument of forward, in order; None for a number (``dt``), which becomes a column.
    dtype : precision of the network, "float32" or "float64".

    Returns
    -------
    Program
        Inputs in the order of the arguments; outputs are the columns of the result, those of a tuple one after the other.

    Raises
    ------
    Unsupported
        Names the first operation that is not known.
    """
    graph = inlined_graph(module)
    arguments = list(graph.inputs())[1:]
    if len(arguments) != len(inputs):
        raise InputError("network", f"forward takes {len(arguments)} arguments, expected {len(inputs)}")
    walk = _Walk(Builder(sum(1 if n is None else n for n in inputs), dtype), module)
    start = 0
    for argument, count in zip(arguments, inputs, strict=True):
        width = 1 if count is None else count
        walk.values[argument.debugName()] = Sheet(walk.builder.input(start, width), count is None, count is None)
        start += width
    for node in graph.nodes():
        walk.step(node)
    outputs = [walk.values[o.debugName()] for o in graph.outputs()]
    return walk.builder.finish(tuple(c for o in outputs for c in _flattened(o)))


def _flattened(value: Any) -> Columns:
    """Columns of a result: a tensor, or a tuple of tensors."""
    if isinstance(value, Sheet):
        return value.columns
    if isinstance(value, (tuple, list)):
        return tuple(c for v in value for c in _flattened(v))
    raise Unsupported("output", f"{type(value).__name__} does not depend on the inputs")


def _constant(value: Any) -> bool:
    return (
        not isinstance(value, Sheet)
        and value is not NODES
        and not (isinstance(value, (list, tuple)) and any(not _constant(v) for v in value))
    )


def _array(value: Any) -> Any:
    """A constant tensor or number as float64 numpy array."""
    return np.asarray(value.detach().numpy() if hasattr(value, "detach") else value, float)


class _Walk:
    """Values of a graph by name, and what each operation does with them."""

    def __init__(self, builder: Builder, module: Any) -> None:
        self.builder, self.module = builder, module
        self.values: dict[str, Any] = {}

    def step(self, node: Any) -> None:
        """Evaluate one node of the graph."""
        kind = node.kind()
        outputs = [o.debugName() for o in node.outputs()]
        if kind == "prim::Constant":
            self.values[outputs[0]] = node.output().toIValue()
            return
        if kind == "prim::GetAttr":
            self.values[outputs[0]] = getattr(self._value(node.inputsAt(0)), node.s("name"))
            return
        args = [self._value(v) for v in node.inputs()]
        if kind in ("prim::ListConstruct", "prim::TupleConstruct"):
            self.values[outputs[0]] = list(args) if kind.endswith("ListConstruct") else tuple(args)
        elif kind in ("prim::TupleIndex", "aten::__getitem__"):
            self.values[outputs[0]] = args[0][args[1]]
        elif kind == "prim::ConstantChunk":
            self.values.update(zip(outputs, self.on_chunk(kind, args[0], node.i("chunks"), node.i("dim")), strict=True))
        elif kind == "prim::If" and isinstance(args[0], (bool, int)):
            block = list(node.blocks())[0 if args[0] else 1]
            for inner in block.nodes():
                self.step(inner)
            self.values.update({name: self._value(o) for name, o in zip(outputs, block.outputs(), strict=True)})
        elif kind in ("prim::ListUnpack", "prim::TupleUnpack"):
            self.values.update(zip(outputs, args[0], strict=True))
        elif not kind.startswith("aten::"):
            raise Unsupported(kind)
        else:
            self.values[outputs[0]] = self._aten(kind, kind[6:], args, node)

    def _value(self, value: Any) -> Any:
        name = value.debugName()
        return self.module if name not in self.values and value.type().kind() == "ClassType" else self.values[name]

    def _aten(self, kind: str, name: str, args: list[Any], node: Any) -> Any:
        if all(map(_constant, args)):
            return _folded(kind, name, args)
        if name.endswith("_") and not name.endswith("__"):
            name = name[:-1]
            producer = node.inputsAt(0).node().kind()
            if producer not in ("aten::linear", "aten::addmm", "aten::add", "aten::matmul"):
                raise Unsupported(kind, "changes a tensor in place")
            out = self._functional(kind, name, args)
            self.values[node.inputsAt(0).debugName()] = out
            return out
        return self._functional(kind, name, args)

    def _functional(self, kind: str, name: str, args: list[Any]) -> Any:
        if any(a is NODES for a in args):
            raise Unsupported(kind, "depends on the number of nodes")
        if name in FREE:
            if name.endswith("dropout") and args[2]:
                raise Unsupported(kind, "the module is in training mode")
            return args[0]
        method: Callable[..., Any] | None = getattr(self, f"on_{name}", None)
        try:
            if name in UNARY and isinstance(args[0], Sheet):
                return self._sheet(args[0], self.builder.unary(name, args[0].columns))
            if name in BINARY:
                return self._binary(kind, name, args)
            if method is not None:
                return method(kind, *args)
        except (TypeError, IndexError, ValueError) as error:  # arguments that these methods do not know
            raise Unsupported(kind, str(error)) from error
        raise Unsupported(kind)

    def _sheet(self, like: Sheet, columns: Columns) -> Sheet:
        return Sheet(columns, like.flat, like.number)

    def _tensor(self, kind: str, value: Any) -> Sheet:
        if not isinstance(value, Sheet) or value.number:
            raise Unsupported(kind, f"a {type(value).__name__} where a tensor over the nodes is expected")
        return value

    def _binary(self, kind: str, name: str, args: list[Any]) -> Sheet:
        """add, sub and rsub with their factor alpha; div by rounding mode is refused."""
        a, b = args[0], args[1]
        alpha = args[2] if name in ("add", "sub", "rsub") and len(args) > 2 else 1
        if name == "div" and len(args) > 2 and args[2] is not None:
            raise Unsupported(kind, "rounding")
        if name == "rsub":
            a, b = b, a
        if alpha != 1:
            b = self._scaled(b, alpha)
        sheets = [x for x in (a, b) if isinstance(x, Sheet) and not x.number]
        flat = all(s.flat for s in sheets)
        if any(s.flat for s in sheets) and not flat:
            raise Unsupported(kind, "[nodes] with [nodes, k]")
        operands = [x.columns if isinstance(x, Sheet) else self._row(kind, x, flat) for x in (a, b)]
        return Sheet(self.builder.binary(BINARY[name], *operands), flat, not sheets)

    def _scaled(self, value: Any, alpha: float) -> Any:
        if not isinstance(value, Sheet):
            return _array(value) * alpha
        return self._sheet(value, self.builder.binary("mul", value.columns, float(alpha)))

    def _row(self, kind: str, value: Any, flat: bool) -> Any:
        """A constant as numbers for the columns: a number, [k] or [1, k]."""
        array = _array(value)
        if array.ndim > 2 or (array.ndim == 2 and array.shape[0] != 1) or (flat and array.size != 1):
            raise Unsupported(kind, f"a constant of shape {array.shape}")
        return array.reshape(-1)

    def _dim(self, kind: str, x: Sheet, dim: int, rank: int | None = None) -> None:
        """Refuse dimensions other than the columns."""
        rank = (1 if x.flat else 2) if rank is None else rank
        if dim not in (1, -1) or rank != 2 or (dim == 1 and rank < 2):
            raise Unsupported(kind, f"dimension {dim}")

    def on_size(self, kind: str, x: Any, dim: int | None = None) -> Any:
        """Numbers of nodes (not known here) and of columns."""
        x = self._tensor(kind, x)
        shape: list[Any] = [NODES] if x.flat else [NODES, len(x.columns)]
        return shape if dim is None else shape[dim]

    def on_linear(self, kind: str, x: Any, weight: Any, bias: Any = None) -> Sheet:
        """``x @ weight.T + bias``."""
        x = self._tensor(kind, x)
        if x.flat or not _constant(weight) or not _constant(bias):
            raise Unsupported(kind, "shapes")
        return Sheet(self.builder.dense(x.columns, _array(weight), None if bias is None else _array(bias)))

    def on_matmul(self, kind: str, x: Any, weight: Any) -> Sheet:
        """``x @ weight``."""
        if not _constant(weight) or _array(weight).ndim != 2:
            raise Unsupported(kind, "shapes")
        return self.on_linear(kind, x, _array(weight).T)

    on_mm = on_matmul

    def on_addmm(self, kind: str, bias: Any, x: Any, weight: Any, beta: float = 1, alpha: float = 1) -> Sheet:
        """``beta * bias + alpha * x @ weight``."""
        if not _constant(bias) or not _constant(weight):
            raise Unsupported(kind, "shapes")
        return self.on_linear(kind, x, alpha * _array(weight).T, beta * self._row(kind, bias, False))

    def on_softplus(self, kind: str, x: Any, beta: float = 1, threshold: float = 20) -> Sheet:
        """log(1 + exp(beta x)) / beta; x itself above the threshold."""
        x = self._tensor(kind, x)
        return self._sheet(x, self.builder.unary("softplus", x.columns, float(beta), float(threshold)))

    def on_elu(self, kind: str, x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Sheet:
        """Exponential linear unit."""
        x = self._tensor(kind, x)
        if scale != 1 or input_scale != 1:
            raise Unsupported(kind, "scale")
        return self._sheet(x, self.builder.unary("elu", x.columns, float(alpha)))

    def on_silu(self, kind: str, x: Any) -> Sheet:
        """``x * sigmoid(x)``."""
        x = self._tensor(kind, x)
        return self._sheet(x, self.builder.binary("mul", x.columns, self.builder.unary("sigmoid", x.columns)))

    def on_gelu(self, kind: str, x: Any, approximate: str = "none") -> Sheet:
        """The tanh form only."""
        x, b = self._tensor(kind, x), self.builder
        if approximate != "tanh":
            raise Unsupported(kind, "needs the error function; approximate='tanh' is lowered")
        cubic = b.binary("mul", b.power(x.columns, 3), 0.044715)
        t = b.unary("tanh", b.binary("mul", b.binary("add", x.columns, cubic), float(np.sqrt(2 / np.pi))))
        return self._sheet(x, b.binary("mul", b.binary("mul", x.columns, 0.5), b.binary("add", t, 1.0)))

    def on_leaky_relu(self, kind: str, x: Any, slope: float = 0.01) -> Sheet:
        """Slope below 0."""
        x, b = self._tensor(kind, x), self.builder
        positive, negative = b.binary("maximum", x.columns, 0.0), b.binary("minimum", x.columns, 0.0)
        return self._sheet(x, b.binary("add", positive, b.binary("mul", negative, float(slope))))

    def on_clamp(self, kind: str, x: Any, low: float | None = None, high: float | None = None) -> Sheet:
        """Bounds are numbers or None."""
        x, columns = self._tensor(kind, x), self._tensor(kind, x).columns
        for name, bound in (("maximum", low), ("minimum", high)):
            columns = columns if bound is None else self.builder.binary(name, columns, self._row(kind, bound, x.flat))
        return self._sheet(x, columns)

    on_hardtanh = on_clamp_min = on_clamp

    def on_clamp_max(self, kind: str, x: Any, high: float) -> Sheet:
        """Upper bound."""
        return self.on_clamp(kind, x, None, high)

    def on_pow(self, kind: str, x: Any, exponent: Any) -> Sheet:
        """Constant exponents."""
        x = self._tensor(kind, x)
        if not _constant(exponent) or _array(exponent).size != 1:
            raise Unsupported(kind, "the exponent is no constant number")
        return self._sheet(x, self.builder.power(x.columns, float(_array(exponent).reshape(-1)[0])))

    def on_reciprocal(self, kind: str, x: Any) -> Sheet:
        """``1 / x``."""
        return self.on_pow(kind, x, -1)

    def on_square(self, kind: str, x: Any) -> Sheet:
        """``x ** 2``."""
        return self.on_pow(kind, x, 2)

    def on_layer_norm(
        self, kind: str, x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, cudnn: Any = None
    ) -> Sheet:
        """Normalisation over the columns."""
        x = self._tensor(kind, x)
        if x.flat or list(shape) != [len(x.columns)]:
            raise Unsupported(kind, f"normalised shape {list(shape)}")
        return Sheet(self.builder.norm(x.columns, eps, *(None if p is None else _array(p) for p in (weight, bias))))

    def on_sum(self, kind: str, x: Any, dims: Any = None, keep: bool = False, dtype: Any = None) -> Sheet:
        """Over the columns."""
        x, dims = self._tensor(kind, x), [dims] if isinstance(dims, int) else dims
        if not isinstance(dims, list) or len(dims) != 1 or dtype is not None:
            raise Unsupported(kind, f"over {dims}")
        self._dim(kind, x, dims[0])
        return Sheet(self.builder.sum(x.columns), not keep)

    def on_mean(self, kind: str, x: Any, dims: Any = None, keep: bool = False, dtype: Any = None) -> Sheet:
        """Over the columns."""
        out = self.on_sum(kind, x, dims, keep, dtype)
        return Sheet(self.builder.binary("div", out.columns, float(len(x.columns))), out.flat)

    def on_cat(self, kind: str, parts: Any, dim: int = 0) -> Sheet:
        """Columns side by side."""
        for x in parts:
            self._dim(kind, self._tensor(kind, x), dim)
        return Sheet(tuple(c for x in parts for c in x.columns))

    def on_stack(self, kind: str, parts: Any, dim: int = 0) -> Sheet:
        """``[nodes]`` tensors as columns."""
        for x in parts:
            self._dim(kind, self._tensor(kind, x), dim, 2 if x.flat else 3)
        return Sheet(tuple(c for x in parts for c in x.columns))

    def on_slice(self, kind: str, x: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Sheet:
        """Some columns; all nodes."""
        sheet = self._tensor(kind, x)
        if dim == 0 and not start and (end is None or end >= 2**62) and step == 1:
            return sheet
        self._dim(kind, sheet, dim)
        return Sheet(sheet.columns[start:end:step])

    def on_select(self, kind: str, x: Any, dim: int, index: int) -> Sheet:
        """One column as ``[nodes]``."""
        self._dim(kind, self._tensor(kind, x), dim)
        return Sheet((x.columns[index],), True)

    def on_unsqueeze(self, kind: str, x: Any, dim: int) -> Sheet:
        """``[nodes]`` to ``[nodes, 1]``."""
        self._dim(kind, self._tensor(kind, x), dim, 2 if x.flat else 3)
        return Sheet(x.columns)

    def on_squeeze(self, kind: str, x: Any, dim: int) -> Sheet:
        """``[nodes, 1]`` to ``[nodes]``."""
        self._dim(kind, self._tensor(kind, x), dim)
        return Sheet(x.columns, len(x.columns) == 1)

    def on_unbind(self, kind: str, x: Any, dim: int = 0) -> list[Sheet]:
        """Every column as ``[nodes]``."""
        self._dim(kind, self._tensor(kind, x), dim)
        return [Sheet((c,), True) for c in x.columns]

    def on_split(self, kind: str, x: Any, size: Any, dim: int = 0) -> list[Sheet]:
        """Groups of columns."""
        self._dim(kind, self._tensor(kind, x), dim)
        n = len(x.columns)
        sizes = list(size) if isinstance(size, (list, tuple)) else [min(size, n - k) for k in range(0, n, size)]
        ends = np.cumsum([0, *sizes])
        return [Sheet(x.columns[a:b]) for a, b in pairwise(ends)]

    on_split_with_sizes = on_split

    def on_chunk(self, kind: str, x: Any, chunks: int, dim: int = 0) -> list[Sheet]:
        """About equal groups of columns."""
        return self.on_split(kind, x, -(-len(self._tensor(kind, x).columns) // chunks), dim)

    def on_reshape(self, kind: str, x: Any, shape: Any) -> Sheet:
        """Between ``[nodes]`` and ``[nodes, 1]`` only."""
        n, shape = len(self._tensor(kind, x).columns), [-1 if k is NODES else k for k in shape]
        if list(shape) == [-1] and n == 1:
            return Sheet(x.columns, True)
        if list(shape) == [-1, n]:
            return Sheet(x.columns)
        raise Unsupported(kind, f"to {shape}")

    on_view = on_reshape


def _folded(kind: str, name: str, args: list[Any]) -> Any:
    """An operation of constants, evaluated by torch."""
    try:
        return operator(name)(*args)
    except (AttributeError, RuntimeError, TypeError) as error:
        raise Unsupported(kind, "of constants") from error
