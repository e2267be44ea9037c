"""From a frozen TorchScript graph to a `network.Program`.

The walk knows tensors over the nodes (`sheets`) and constants (weights, numbers, lists). Everything else, and every operation
that is not below, raises `Unsupported`; the caller then evaluates the module itself, in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .builder import Builder, Columns
from .program import Program
from .sheets import NODES, Arranging, Sheet, Unsupported, arranged, numbers
from .torchscript import inlined_graph, operator

UNARY = frozenset({"tanh", "sigmoid", "relu", "exp", "expm1", "log", "log10", "log1p", "asinh", "sqrt", "abs", "neg", "erf"})
BINARY = {"add": "add", "sub": "sub", "rsub": "sub", "mul": "mul", "div": "div", "minimum": "minimum", "maximum": "maximum"}
COMPARED = {
    **{"lt": ("less", False, False), "gt": ("less", True, False), "le": ("most", False, False), "ge": ("most", True, False)},
    **{"eq": ("same", False, False), "ne": ("same", False, True)},
}
"""Comparisons: the operation, whether its operands are exchanged, and whether its opposite is meant."""
STEPS, COLUMNS, NUMBERS = 5000, 8192, 20_000_000
"""Operations, numbers per node at once, and weights of a network that is compiled: they bound time and memory of lowering it."""
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
        columns = walk.builder.input(start, width)
        walk.values[argument.debugName()] = Sheet(arranged(columns, (1,) if count is None else (1, width)), 0, count is None)
        start += width
    try:  # what honest graphs do not have shows in many ways
        for node in graph.nodes():
            walk.step(node)
            walk.check_size()
    except (
        ArithmeticError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        RecursionError,
        InputError,
    ) as error:  # what honest graphs do not have
        raise Unsupported("graph", f"{type(error).__name__}: {error}") from None
    outputs = [walk.values[o.debugName()] for o in graph.outputs()]
    columns = tuple(c for o in outputs for c in _flattened(walk, o))
    if not columns or 0 in walk.builder.widths[1:]:
        raise Unsupported("graph", "tensors without columns")
    program = walk.builder.finish(columns)
    if program.columns > COLUMNS:
        raise Unsupported("graph", f"{program.columns} numbers per node at once")
    return program


def _flattened(walk: _Walk, value: Any) -> Columns:
    """Columns of a result: a tensor, or a tuple of tensors."""
    if isinstance(value, (tuple, list)):
        return tuple(c for v in value for c in _flattened(walk, v))
    sheet = walk.sheet("output", value)
    if sheet.axis:
        raise Unsupported("output", "the nodes are not in front")
    return sheet.columns


def _constant(value: Any) -> bool:
    return (
        not isinstance(value, Sheet)
        and value is not NODES
        and not (isinstance(value, (list, tuple)) and any(not _constant(v) for v in value))
    )


class _Walk(Arranging):
    """Values of a graph by name, and what each operation does with them."""

    def __init__(self, builder: Builder, module: Any) -> None:
        self.builder, self.module = builder, module
        self.values: dict[str, Any] = {}

    def check_size(self) -> None:
        """A network of very many small operations is left to torch."""
        if len(self.builder.steps) > STEPS:
            raise Unsupported("graph", f"more than {STEPS} operations")
        if self.builder.size > NUMBERS:
            raise Unsupported("graph", f"more than {NUMBERS} weights when it is written out")

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
                return args[0].like(self.builder.unary(name, args[0].columns))
            if name in BINARY:
                return self._binary(kind, name, args)
            if name in COMPARED:
                return self._compared(kind, name, args)
            if method is not None:
                return method(kind, *args)
        except (TypeError, IndexError, ValueError) as error:  # arguments that these methods do not know
            raise Unsupported(kind, str(error)) from error
        raise Unsupported(kind)

    def _binary(self, kind: str, name: str, args: list[Any]) -> Sheet:
        """add, sub and rsub with their factor alpha; div by rounding mode is refused."""
        a, b = args[0], args[1]
        alpha = args[2] if name in ("add", "sub", "rsub") and len(args) > 2 else 1
        if name == "div" and len(args) > 2 and args[2] is not None:
            raise Unsupported(kind, "rounding")
        if name == "rsub":
            a, b = b, a
        if alpha != 1:
            b = b.like(self.builder.binary("mul", b.columns, float(alpha))) if isinstance(b, Sheet) else numbers(b) * alpha
        return self.together(kind, lambda x, y: self.builder.binary(BINARY[name], x, y), a, b)

    def _compared(self, kind: str, name: str, args: list[Any]) -> Sheet:
        """Truth values as 1 and 0."""
        operation, turned, opposite = COMPARED[name]
        a, b = (args[1], args[0]) if turned else (args[0], args[1])
        out = self.together(kind, lambda x, y: self.builder.binary(operation, x, y), a, b)
        return out.like(self.builder.binary("sub", 1.0, out.columns)) if opposite else out

    def on_where(self, kind: str, condition: Any, a: Any, b: Any) -> Sheet:
        """One of two, by truth values."""
        if not isinstance(condition, Sheet):
            raise Unsupported(kind, "by constants")
        return self.together(kind, self.builder.chosen, condition, a, b)

    def on_softplus(self, kind: str, x: Any, beta: float = 1, threshold: float = 20) -> Sheet:
        """log(1 + exp(beta x)) / beta; x itself above the threshold."""
        x = self.tensor(kind, x)
        return x.like(self.builder.unary("softplus", x.columns, float(beta), float(threshold)))

    def on_elu(self, kind: str, x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Sheet:
        """Exponential linear unit."""
        x = self.tensor(kind, x)
        if scale != 1 or input_scale != 1:
            raise Unsupported(kind, "scale")
        return x.like(self.builder.unary("elu", x.columns, float(alpha)))

    def on_silu(self, kind: str, x: Any) -> Sheet:
        """``x * sigmoid(x)``."""
        x = self.tensor(kind, x)
        return x.like(self.builder.binary("mul", x.columns, self.builder.unary("sigmoid", x.columns)))

    def on_gelu(self, kind: str, x: Any, approximate: str = "none") -> Sheet:
        """``x`` times the normal distribution, or its tanh form."""
        x, b = self.tensor(kind, x), self.builder
        if approximate != "tanh":
            share = b.unary("erf", b.binary("mul", x.columns, float(np.sqrt(0.5))))
            return x.like(b.binary("mul", b.binary("mul", x.columns, 0.5), b.binary("add", share, 1.0)))
        cubic = b.binary("mul", b.power(x.columns, 3), 0.044715)
        t = b.unary("tanh", b.binary("mul", b.binary("add", x.columns, cubic), float(np.sqrt(2 / np.pi))))
        return x.like(b.binary("mul", b.binary("mul", x.columns, 0.5), b.binary("add", t, 1.0)))

    def on_leaky_relu(self, kind: str, x: Any, slope: float = 0.01) -> Sheet:
        """Slope below 0."""
        x, b = self.tensor(kind, x), self.builder
        positive, negative = b.binary("maximum", x.columns, 0.0), b.binary("minimum", x.columns, 0.0)
        return x.like(b.binary("add", positive, b.binary("mul", negative, float(slope))))

    def on_clamp(self, kind: str, x: Any, low: float | None = None, high: float | None = None) -> Sheet:
        """Bounds are numbers or None."""
        for name, bound in (("maximum", low), ("minimum", high)):
            if bound is not None:
                x = self.together(kind, lambda u, v, name=name: self.builder.binary(name, u, v), x, bound)
        return x

    on_hardtanh = on_clamp_min = on_clamp

    def on_clamp_max(self, kind: str, x: Any, high: float) -> Sheet:
        """Upper bound."""
        return self.on_clamp(kind, x, None, high)

    def on_pow(self, kind: str, x: Any, exponent: Any) -> Sheet:
        """Constant exponents."""
        x = self.tensor(kind, x)
        if not _constant(exponent) or numbers(exponent).size != 1:
            raise Unsupported(kind, "the exponent is no constant number")
        return x.like(self.builder.power(x.columns, float(numbers(exponent).reshape(-1)[0])))

    def on_reciprocal(self, kind: str, x: Any) -> Sheet:
        """``1 / x``."""
        return self.on_pow(kind, x, -1)

    def on_square(self, kind: str, x: Any) -> Sheet:
        """``x ** 2``."""
        return self.on_pow(kind, x, 2)


def _folded(kind: str, name: str, args: list[Any]) -> Any:
    """An operation of constants, evaluated by torch."""
    try:
        return operator(name)(*args)
    except (AttributeError, RuntimeError, TypeError) as error:
        raise Unsupported(kind, "of constants") from error
