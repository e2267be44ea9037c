"""Writes a network out as one list of elementary operations: what `export_channel` saves, whatever the module was made of.

A frozen TorchScript graph is followed with a few rows of numbers. Decisions on shapes, assertions, casts and loops are over then; layers
are taken apart into what the compiled interpreter knows (`layers`). What depends on the values, on the number of rows or on
earlier calls cannot be written so, and is refused. The list is a network like any other: it is examined, tried and compared as all are.
"""

from __future__ import annotations

import math
import operator as plain
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .shapes import NAMES, is_float, layer
from .values import COUNTS, Counted, Number, Page, Rows, Unwritable, Value, mixes

SAME = frozenset(
    """contiguous detach dropout dropout_ feature_dropout alpha_dropout feature_alpha_dropout cpu alias type_as lift_fresh lift_fresh_copy
    requires_grad_ positive real resolve_conj resolve_neg""".split()  # noqa: SIM905 (as in admission_syntax)
)
"""What gives back the tensor that it was given."""
READ = frozenset(
    {"Bool", "Int", "Float", "item", "is_nonzero", "ScalarImplicit", "IntImplicit", "FloatImplicit", "tolist", "equal", "allclose"}
)
"""What makes a number or a decision of the values of a tensor."""
PASSED = frozenset({"Int", "Float", "ScalarImplicit", "IntImplicit", "FloatImplicit", "tensor", "NumToTensor", "item", "scalar_tensor"})
"""What hands a number through."""
SCALARS: dict[str, Callable[..., Any]] = {
    **{n: getattr(plain, n) for n in ("add", "sub", "mul", "eq", "ne", "lt", "le", "gt", "ge", "neg", "floordiv", "pow")},
    **{"div": plain.truediv, "remainder": plain.mod, "__contains__": lambda a, b: b in a, "__is__": plain.is_, "__isnot__": plain.is_not},
    **{"__not__": plain.not_, "__and__": plain.and_, "__or__": plain.or_, "Int": int, "Float": float, "Bool": bool, "len": len, "abs": abs},
    **{
        "floor": math.floor,
        "ceil": math.ceil,
        "min": min,
        "max": max,
        "str": str,
        "__getitem__": plain.getitem,
        "list": list,
        "upper": str.upper,
    },
    **{n: getattr(math, n) for n in ("sqrt", "exp", "log", "log10", "log1p", "tanh", "sin", "cos", "tan", "atan", "isnan", "isinf")},
    **{"format": lambda text, *a: text.replace("{}", "%s") % a, "extend": lambda a, b: a.extend(b), "keys": list, "lower": str.lower},
    **{
        "values": lambda d: list(d.values()),
        "items": lambda d: list(d.items()),
        "copy": list,
        "slice": lambda a, i=None, j=None, k=1: a[i:j:k],
        "mod": plain.mod,
        "radians": math.radians,
    },
}
ON_NUMBERS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"}
OF_NUMBERS = ("exp", "sqrt", "log", "tanh", "sin", "cos")
LOOPS = 10_000
"""Rounds of a loop."""


def straightened(torch: Any, module: Any, arguments: Mapping[str, Any], dtype: Any) -> tuple[Any, bool]:
    """A ScriptModule without control flow that computes what a frozen one does, and whether it rounds otherwise than that.

    Parameters
    ----------
    torch : the module.
    module : a frozen ScriptModule.
    arguments : in the order of ``forward``: numbers of columns by name; None for a number.
    dtype : torch's type of all numbers.

    Raises
    ------
    Unwritable
        Names the first thing that cannot be written out.
    """
    graph = module.graph.copy()
    torch._C._jit_pass_inline(graph)
    walk = _Walk(torch, module, dtype, _rows(graph, module))
    given = list(graph.inputs())[1:]
    walk.default(given[len(arguments) :])
    if len(given) < len(arguments):
        raise Unwritable(f"forward takes {len(given)} arguments, expected {len(arguments)}")
    generator = torch.Generator().manual_seed(0)
    for value, (name, width) in zip(given, arguments.items(), strict=False):
        if width is None:
            walk.known[value.debugName()] = Number(name, 0.05)
            continue
        tensor = 0.1 + torch.rand(walk.page.rows, width, generator=generator, dtype=dtype)
        walk.known[value.debugName()] = made = walk.page.keep(Value(tensor, name, given=True))
        walk.page.first = walk.page.first or (made if width else None)
    with torch.no_grad():
        walk.block(graph)
        found = [walk.known[o.debugName()] for o in graph.outputs()]
        found = list(found[0]) if len(found) == 1 and isinstance(found[0], (tuple, list)) else found
        names = [walk.page.returned(v) for v in found]
    return _scripted(torch, walk.page, arguments, names), walk.page.cast


def _scripted(torch: Any, page: Page, arguments: Mapping[str, Any], names: list[str]) -> Any:
    aten = torch.ops.aten  # noqa: F841 (read by the text)
    holder = type("Network", (torch.nn.Module,), {})()  # a class of its own: torch keeps the methods of a class for all of its modules
    for k, tensor in enumerate(page.numbers):
        holder.register_buffer(f"c{k}", tensor)
    out = torch.jit.script(holder)
    taken = ", ".join(f"{name}: {'float' if width is None else 'Tensor'}" for name, width in arguments.items())
    body = "".join(f"    {line}\n" for line in page.lines)
    out.define(f"def forward(self, {taken}):\n{body}    return {', '.join(names)}\n")
    return torch.jit.freeze(out.eval())


def _rows(graph: Any, module: Any) -> int:
    """A number of rows that is no dimension of any tensor of the network."""
    text, held = str(graph), {n for t in [*module.parameters(), *module.buffers()] for n in t.shape}
    return next((n for n in COUNTS if n not in held and f"{n}" not in text), COUNTS[0])


class _Walk:
    """Follows a graph: constants as they are, tensors over the rows as `Value`."""

    def __init__(self, torch: Any, module: Any, dtype: Any, rows: int) -> None:
        self.torch, self.module = torch, module
        self.page = Page(torch, dtype, rows)
        self.known: dict[str, Any] = {}
        self.kind = ""

    def default(self, values: Sequence[Any]) -> None:
        """Further arguments of ``forward`` are what they are when they are not given."""
        schema = self.module.forward.schema.arguments if values else []
        for value, argument in zip(values, schema[len(schema) - len(values) :], strict=True):
            if not argument.has_default_value():
                raise Unwritable(f"forward takes '{argument.name}' as well, which no card has")
            self.known[value.debugName()] = argument.default_value

    def block(self, block: Any) -> None:
        """Follow the nodes of a block."""
        for node in block.nodes():
            self._node(node)

    def _value(self, value: Any) -> Any:
        name = value.debugName()
        return self.module if name not in self.known and value.type().kind() == "ClassType" else self.known[name]

    def _node(self, node: Any) -> None:
        kind, outputs = node.kind(), [o.debugName() for o in node.outputs()]
        if kind == "prim::Constant":
            self.known[outputs[0]] = self._own(node.output().toIValue())
            return
        if kind == "prim::GetAttr":
            self.known[outputs[0]] = self._own(getattr(self._value(node.inputsAt(0)), node.s("name")), kept=True)
            return
        args = [self._value(v) for v in node.inputs()]
        if kind == "prim::If":
            return self._decide(node, args[0], outputs)
        if kind == "prim::Loop":
            return self._loop(node, args, outputs)
        if kind in ("prim::ListUnpack", "prim::TupleUnpack"):
            self.known.update(zip(outputs, args[0], strict=True))
            return
        if kind == "prim::ConstantChunk":
            self.known.update(zip(outputs, self._computed("chunk", [args[0], node.i("chunks"), node.i("dim")]), strict=True))
            return
        out = self._prim(node, kind[6:], args) if kind.startswith("prim::") else self._aten(node, kind, args)
        self.known.update(zip(outputs, out, strict=True) if len(outputs) > 1 else zip(outputs, [out], strict=False))

    def _own(self, value: Any, kept: bool = False) -> Any:
        """A constant in the network's precision; lists that belong to the module cannot be added to."""
        if isinstance(value, self.torch.Tensor):
            value = value.dequantize() if value.is_quantized else value
            return value.detach().cpu().to(self.page.dtype) if value.is_floating_point() else value.detach().cpu()
        if isinstance(value, (list, tuple)):
            items = [self._own(v, kept) for v in value]
            return items if isinstance(value, list) and not kept else tuple(items)
        return value

    def _decide(self, node: Any, condition: Any, outputs: list[str]) -> None:
        blocks = list(node.blocks())
        raising = [any(n.kind() == "prim::RaiseException" for n in b.nodes()) for b in blocks]
        if isinstance(condition, Counted) and raising[0] != raising[1]:  # a check of how many there are
            condition = raising[1]
        if not isinstance(condition, (bool, int)) or isinstance(condition, Rows):
            rows = isinstance(condition, (Counted, Rows))
            raise Unwritable("a decision by the number of rows" if rows else "a decision by the values (use torch.where)")
        chosen = blocks[0 if condition else 1]
        self.block(chosen)
        self.known.update({name: self._value(o) for name, o in zip(outputs, chosen.outputs(), strict=True)})

    def _loop(self, node: Any, args: list[Any], outputs: list[str]) -> None:
        most, going, carried = args[0], args[1], args[2:]
        body = next(iter(node.blocks()))
        names, k = [i.debugName() for i in body.inputs()], 0
        if isinstance(most, Rows) or not isinstance(most, int):
            raise Unwritable("a loop over the rows")
        while going and k < most:
            if not isinstance(going, bool) or k > LOOPS:
                raise Unwritable(f"a loop that hangs on values, or of more than {LOOPS} rounds")
            self.known.update(zip(names, [k, *carried], strict=True))
            self.block(body)
            going, *carried = (self._value(o) for o in body.outputs())
            k += 1
        self.known.update(zip(outputs, carried, strict=True))

    def _prim(self, node: Any, name: str, args: list[Any]) -> Any:
        if name in ("ListConstruct", "TupleConstruct"):
            return list(args) if name[0] == "L" else tuple(args)
        if name == "DictConstruct":
            return dict(zip(args[::2], args[1::2], strict=True))
        if name in ("TupleIndex", "unchecked_cast", "unchecked_unwrap_optional", "NumToTensor", "data"):
            return args[0][args[1]] if name == "TupleIndex" else args[0]
        if name == "TupleSlice":
            return args[0][node.i("beg") : node.i("end")]
        if name == "RaiseException":
            raise Unwritable(f"raises an error for rows of these columns: {args[0]}")
        if name in ("min", "max"):
            return SCALARS[name](*args)
        if name == "dtype":
            return {"torch.float32": 6, "torch.float64": 7, "torch.bool": 11}.get(str(getattr(args[0], "tensor", args[0]).dtype), 4)
        if name in ("device", "layout", "Uninitialized", "Print"):
            return None
        if name in ("is_cuda", "requires_grad", "is_quantized", "is_sparse", "is_mkldnn", "is_mps", "is_xpu", "is_meta", "is_nested"):
            return False
        if name == "SetAttr":
            raise Unwritable(f"keeps something from call to call (it sets self.{node.s('name')})")
        raise Unwritable(f"'prim::{name}' cannot be written out")

    def _aten(self, node: Any, kind: str, args: list[Any]) -> Any:
        name, self.kind = kind.partition("::")[2], kind
        schema = self.torch._C.parse_schema(node.schema())
        named = {a.name: v for a, v in zip(schema.arguments, args, strict=False) if a.kwarg_only}
        ordered = args[: len(args) - len(named)]
        in_place = name.endswith("_") and not name.endswith("__")
        if name in SAME or (name == "to" and isinstance(args[0], Value)) or name == "clone":
            return self._handed_on(name, schema, ordered)
        if in_place and name in ("copy_", "fill_", "zero_", "index_put_", "masked_fill_", "index_copy_", "index_fill_", "index_add_"):
            raise Unwritable(f"writes into a part of a tensor ('aten::{name}': put tensors together with torch.cat or torch.stack)")
        if in_place and any(isinstance(a, Value) for a in args):
            return self._changed(name, self._computed(name[:-1], ordered, named), args[0])
        return self._computed(name, ordered, named)

    def _handed_on(self, name: str, schema: Any, args: list[Any]) -> Any:
        """Copies, casts between floats and what else changes no number."""
        value = args[0]
        if name.endswith("dropout") and len(args) > 2 and args[2] and args[1]:
            raise Unwritable(f"draws random numbers ('{name}' in training: use torch.nn.Dropout, or training=self.training)")
        if not isinstance(value, Value):
            return value.clone() if name == "clone" else value
        if name == "clone":
            return self.page.keep(Value(value.tensor.clone(), value.name, value.truth, value.fixed))
        if name == "to":
            wanted = dict(zip((a.name for a in schema.arguments), args, strict=False))
            dtype, other = wanted.get("dtype"), getattr(wanted.get("other"), "tensor", wanted.get("other"))
            if dtype == 11 or str(getattr(other, "dtype", "")) == "torch.bool":
                return layer(self.page, "ne", [value, 0.0], {})
            if dtype is not None and not is_float(dtype):
                raise Unwritable("makes whole numbers of values")
            self.page.cast |= dtype in (5, 6, 15) and str(self.page.dtype) == "torch.float64"
            return self.page.floats(value)
        return value

    def _changed(self, name: str, out: Any, target: Any) -> Any:
        """What an operation in place leaves behind."""
        if not isinstance(target, Value) or target.fixed != out.fixed or target.shape != out.shape or target.logical != out.logical:
            raise Unwritable(
                f"changes in place what it keeps, or a part of a tensor ('{name}': put tensors together with torch.cat or torch.stack)"
            )
        if target.given:
            raise Unwritable(f"changes its inputs ('{name}' on '{target.name}', expected a pure function: write {target.name} = ...)")
        shared = target.tensor.untyped_storage().data_ptr()
        for other in self.page.values:
            if other is not target and other.tensor.untyped_storage().data_ptr() == shared:
                if other.given:
                    raise Unwritable(f"changes its inputs ('{name}' on a part of '{other.name}', expected a pure function)")
                other.stale = True
        target.tensor, target.name, target.truth = out.tensor, out.name, out.truth
        return target

    def _computed(self, name: str, args: list[Any], named: dict[str, Any] | None = None) -> Any:
        """An operation by what its operands are."""
        named = {k: v for k, v in (named or {}).items() if v is not None}
        flat = [v for a in [*args, *named.values()] for v in (a if isinstance(a, (list, tuple)) else (a,))]
        if name in ("size", "dim", "len", "numel", "sym_size", "ndimension") and isinstance(args[0], (Value, self.torch.Tensor)):
            return self._measured(name, args)
        if name == "append":
            if not isinstance(args[0], list):
                raise Unwritable("keeps a list from call to call")
            return args[0].append(args[1])
        if name == "__getitem__":
            return args[0][args[1]]
        if name == "slice" and isinstance(args[0], list):
            return args[0][slice(*args[1:])]
        if name in ("__is__", "__isnot__"):
            return (args[0] is args[1]) == (name == "__is__")
        if name == "warn":
            return None
        if name in READ and any(isinstance(v, Value) for v in flat):
            raise Unwritable(f"makes a number or a decision of values ('aten::{name}': use torch.where)")
        if name in PASSED and isinstance(args[0], (Rows, Number)):
            return args[0]
        tensors = any(isinstance(v, (Value, self.torch.Tensor)) for v in flat)
        if not tensors and name not in FILLED:
            return self._numbers(name, args, flat, named)
        if any(isinstance(v, Rows) for v in flat) and NAMES.get(name, name) not in SHAPED:
            raise mixes(f"aten::{name}", "of the number of rows")
        if not any(isinstance(v, (Value, Number, Rows)) for v in flat):
            return self._own(self._folded(name, args, named))
        return self._layered(name, args, named)

    def _layered(self, name: str, args: list[Any], named: dict[str, Any]) -> Any:
        try:
            out = layer(self.page, NAMES.get(name, name), args, named)
        except Unwritable:
            raise
        except Exception as error:  # of torch, or arguments that a layer does not know
            raise Unwritable(f"'aten::{name}' fails: {(str(error).splitlines() or [type(error).__name__])[0][:160]}") from None
        if out is NotImplemented:
            raise Unwritable(f"'{self.kind}' has no place in a channel (write it with layers and functions that docs/learned.md lists)")
        return out

    def _measured(self, name: str, args: list[Any]) -> Any:
        shape = [Rows(n) if isinstance(args[0], Value) and n == self.page.rows else int(n) for n in args[0].shape]
        if name == "numel":
            return math.prod(shape) if not isinstance(args[0], Value) else Rows(math.prod(shape))
        if name in ("size", "sym_size"):
            return shape if len(args) == 1 else shape[args[1]]
        return shape[0] if name == "len" else len(shape)

    def _numbers(self, name: str, args: list[Any], flat: list[Any], named: dict[str, Any]) -> Any:
        """Arithmetic of numbers and lists, among them dt."""
        numbers = [a for a in flat if isinstance(a, Number)]
        if numbers and name in ON_NUMBERS and all(isinstance(a, (int, float, Number)) for a in args):
            values = [getattr(a, "value", a) for a in args]
            return Number(f"({f' {ON_NUMBERS[name]} '.join(self.page.text(a) for a in args[:2])})", SCALARS[name](*values[:2]))
        if numbers and name == "neg":
            return Number(f"(-{args[0].text})", -args[0].value)
        if numbers and name in OF_NUMBERS:
            return Number(f"math.{name}({args[0].text})", SCALARS[name](args[0].value))
        if numbers and name not in ("list", "len"):
            raise Unwritable(f"'aten::{name}' of dt (a decision by it, or a function that is not known)")
        if any(isinstance(a, (Rows, Counted)) for a in flat) and name not in ("len", "list", "format", "str", "slice"):
            return self._counting(name, args)
        try:
            return SCALARS[name](*args) if name in SCALARS else self._own(self._folded(name, args, named))
        except (ArithmeticError, ValueError, TypeError, LookupError) as error:
            raise Unwritable(f"'aten::{name}' of constants fails ({error})") from None

    def _counting(self, name: str, args: list[Any]) -> Any:
        """Whole numbers made of the number of rows, and decisions by them."""
        if name not in ("add", "sub", "mul", "floordiv", "eq", "ne", "lt", "le", "gt", "ge", "__not__", "Bool", "__and__", "__or__"):
            raise mixes(f"aten::{name}", "of the number of rows")
        out = SCALARS[name](*(a.value if isinstance(a, Counted) else a for a in args))
        if isinstance(out, list):
            return out
        return Counted(out) if isinstance(out, bool) else Rows(out)

    def _folded(self, name: str, args: list[Any], named: dict[str, Any]) -> Any:
        """An operation of constants."""
        if name in ("rand", "randn", "rand_like", "randn_like", "bernoulli", "normal", "multinomial", "randint", "randperm"):
            raise Unwritable(f"draws random numbers ('aten::{name}')")
        try:
            return getattr(self.torch.ops.aten, name)(*args, **named)
        except Exception as error:  # torch raises many kinds
            raise Unwritable(f"'aten::{name}' of constants fails ({(str(error).splitlines() or [''])[0][:120]})") from None


FILLED = frozenset({"zeros", "ones", "full"})
"""What makes a tensor of a shape."""
SHAPED = FILLED | frozenset({"reshape", "view", "expand", "new_zeros", "new_ones", "new_full", "repeat", "unflatten", "empty"})
"""Operations that may be told the number of rows."""
