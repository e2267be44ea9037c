"""Expressions: numbers of Python where they are known when the text is translated, else LLVM values, tuples, records and arrays."""

from __future__ import annotations

import ast
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core.cgutils import get_or_insert_function

from .. import formulas
from ..simd import Emitter
from .body import ARRAYS, DOUBLE, FLAGS, SINGLE, TRUTH, WHOLE, Body, Rows, Unsupported, kind_of
from .copies import Builtins

MOST_PRODUCTS = 64
"""Largest whole exponent that is written as products."""
ELEMENTARY: dict[str, Callable[..., Any]] = {
    name: getattr(formulas, name) for name in ("exp", "expm1", "log", "log10", "log1p", "tanh", "asinh")
}


LIBRARY = {("pow", 2), ("sin", 1), ("cos", 1)}
"""Functions of `math` that LLVM knows, with the number of their arguments."""


class Expressions(Builtins):
    """Values of expressions in the scope of one function."""

    def __init__(self, unit: Any, body: Body, given: dict[str, Any]) -> None:
        self.unit, self.body, self.given = unit, body, given
        self.places: dict[str, Any] = {}

    @abstractmethod
    def run(self, statements: Sequence[ast.stmt]) -> Any:
        """Write statements; the value that they return."""

    @abstractmethod
    def _store(self, target: ast.expr, value: Any) -> None:
        """Give a name or an element of an array a value."""

    def value(self, node: ast.expr) -> Any:
        """The value of an expression: a number of Python where it is known now, an LLVM value, a tuple, a record (dict) or `Rows`."""
        kind = getattr(self, f"_{type(node).__name__.lower()}_", None)
        if kind is None:
            raise Unsupported(type(node).__name__)
        return kind(node)

    def _constant_(self, node: ast.Constant) -> Any:
        if not isinstance(node.value, bool | int | float) or (isinstance(node.value, int) and abs(node.value) >= 1 << 53):
            raise Unsupported(repr(node.value))
        return node.value

    def _name_(self, node: ast.Name) -> Any:
        name = node.id
        if name in self.places:
            return self.builder.load(self.places[name])
        if name in self.given:
            if self.given[name] is None:
                raise Unsupported(f"'{name}' may not be set")
            return self.given[name]
        if isinstance(found := self.unit.names.get(name), int | float):
            return found
        raise Unsupported(f"name '{name}'")

    def _tuple_(self, node: ast.Tuple) -> Any:
        return tuple(self.value(e) for e in node.elts)

    def _attribute_(self, node: ast.Attribute) -> Any:
        if self._module(node.value, ("math", "np")):
            found = getattr(math, node.attr, None)
            if isinstance(found, float):
                return found
            raise Unsupported(f"math.{node.attr}")
        record = self.value(node.value)
        if isinstance(record, dict) and node.attr in record:
            return record[node.attr]
        raise Unsupported(f"attribute {node.attr}")

    def _module(self, node: ast.expr, names: tuple[str, ...]) -> bool:
        """Whether a name is that of a module, and not that of a variable or argument."""
        return isinstance(node, ast.Name) and node.id in names and node.id not in self.given and node.id not in self.places

    def _place(self, node: ast.Subscript) -> Any:
        rows = self.value(node.value)
        if not isinstance(rows, Rows):
            raise Unsupported("an index of something else than an array")
        index = self.value(node.slice)
        if isinstance(index, tuple) != (rows.length is not None):
            raise Unsupported("another number of indices")
        if isinstance(index, tuple):
            row, at = map(self.body.whole, index)
            index = self.builder.add(self.builder.mul(row, rows.length), at)
        return self.builder.gep(rows.pointer, [self.body.whole(index)], inbounds=True)

    def _subscript_(self, node: ast.Subscript) -> Any:
        return self.builder.load(self._place(node), align=8)

    def _unaryop_(self, node: ast.UnaryOp) -> Any:
        x = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            return not x if isinstance(x, bool) else self.builder.not_(self.body.truth(x))
        if isinstance(x, bool):
            raise Unsupported("a sign of a truth value")
        if isinstance(node.op, ast.UAdd):
            return x
        if not isinstance(node.op, ast.USub):
            raise Unsupported("bits of a number")
        if isinstance(x, int | float):
            return -x
        return self.builder.neg(x) if x.type == WHOLE else self.builder.fneg(self.body.double(x), flags=FLAGS)

    def _binop_(self, node: ast.BinOp) -> Any:
        return self._binary(type(node.op), self.value(node.left), self.value(node.right))

    def _binary(self, op: type[ast.operator], a: Any, b: Any) -> Any:
        if isinstance(a, tuple | dict | Rows) or isinstance(b, tuple | dict | Rows):
            raise Unsupported("arithmetic of tuples")
        if op in (ast.BitOr, ast.BitAnd):
            return (self.builder.or_ if op is ast.BitOr else self.builder.and_)(self.body.truth(a), self.body.truth(b))
        if op is ast.Pow:
            return self._power(a, b)
        if isinstance(a, int | float) and isinstance(b, int | float):
            return self._folded(op, a, b)
        kinds = {kind_of(a), kind_of(b)}
        if kinds == {WHOLE} and op is not ast.Div:
            whole = {ast.Add: self.builder.add, ast.Sub: self.builder.sub, ast.Mult: self.builder.mul}.get(op)
            if whole is None:
                raise Unsupported(op.__name__)
            return whole(self.body.whole(a), self.body.whole(b))
        names = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
        if op not in names:
            raise Unsupported(op.__name__)
        return getattr(self.builder, names[op])(self.body.double(a), self.body.double(b), flags=FLAGS)

    @staticmethod
    def _folded(op: type[ast.operator], a: Any, b: Any) -> Any:
        if isinstance(a, bool) or isinstance(b, bool):
            raise Unsupported("arithmetic of truth values")
        if op is ast.Div:
            if b == 0:
                raise Unsupported("a division by 0")
            return a / b
        folded = {ast.Add: lambda: a + b, ast.Sub: lambda: a - b, ast.Mult: lambda: a * b}.get(op)
        if folded is None:
            raise Unsupported(op.__name__)
        found = folded()
        if isinstance(found, int) and abs(found) >= 1 << 53:
            raise Unsupported("a whole number of this size")
        return found

    def _power(self, a: Any, b: Any) -> Any:
        if isinstance(a, bool) or isinstance(b, bool):
            raise Unsupported("a power of truth values")
        if isinstance(b, int) and abs(b) <= MOST_PRODUCTS:
            if isinstance(a, int | float):
                return self._folded_power(a, b)
            if a.type == DOUBLE:
                return self._products(a, b)
        if {kind_of(a), kind_of(b)} == {WHOLE}:
            raise Unsupported("a power of whole numbers")
        return self._library("pow", a, b)

    def _library(self, name: str, *arguments: Any) -> Any:
        """A function of libm, which keeps a loop from being vectorised."""
        kind = ir.FunctionType(DOUBLE, [DOUBLE] * len(arguments))
        function = get_or_insert_function(self.builder.module, kind, f"llvm.{name}.f64")
        return self.builder.call(function, [self.body.double(a) for a in arguments])

    @staticmethod
    def _folded_power(a: Any, b: int) -> Any:
        try:
            found = a**b
        except ArithmeticError:
            found = None
        if found is None or isinstance(found, complex) or (isinstance(found, int) and abs(found) >= 1 << 53):
            raise Unsupported("a power of numbers")
        return found

    def _products(self, a: Any, b: int) -> Any:
        """As numba: by squares; 1 over it where the exponent is negative."""
        found, square, rest = None, a, abs(b)
        while rest:
            if rest & 1:
                found = square if found is None else self.builder.fmul(found, square, flags=FLAGS)
            rest >>= 1
            if rest:
                square = self.builder.fmul(square, square, flags=FLAGS)
        one = ir.Constant(DOUBLE, 1.0)
        if found is None:
            return one
        return self.builder.fdiv(one, found, flags=FLAGS) if b < 0 else found

    def _compare_(self, node: ast.Compare) -> Any:
        out, left = None, self.value(node.left)
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.value(right_node)
            found = self._compared(op, left, right)
            out = found if out is None else self.builder.and_(self.body.truth(out), self.body.truth(found))
            left = right
        return out

    def _compared(self, op: ast.cmpop, a: Any, b: Any) -> Any:
        sign = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}.get(type(op))
        if sign is None or isinstance(a, bool | tuple | dict | Rows) or isinstance(b, bool | tuple | dict | Rows):
            raise Unsupported("a comparison")
        if {kind_of(a), kind_of(b)} == {WHOLE}:
            return self.builder.icmp_signed(sign, self.body.whole(a), self.body.whole(b))
        compare = self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered
        return compare(sign, self.body.double(a), self.body.double(b))

    def _boolop_(self, node: ast.BoolOp) -> Any:
        whole = isinstance(node.op, ast.And)
        out = self.body.truth(self.value(node.values[0]))
        for part in node.values[1:]:
            if self._calls(part):  # what is called may not end where Python does not call it
                found = self._branched(out, part if whole else None, None if whole else part, ir.Constant(TRUTH, int(not whole)))
            else:
                join = self.builder.and_ if whole else self.builder.or_
                found = join(out, self.body.truth(self.value(part)))
            out = self.body.truth(found)
        return out

    def _ifexp_(self, node: ast.IfExp) -> Any:
        test = self.value(node.test)
        if isinstance(test, bool):
            return self.value(node.body if test else node.orelse)
        if self._calls(node.body) or self._calls(node.orelse):
            return self._branched(self.body.truth(test), node.body, node.orelse)
        a, b = self.value(node.body), self.value(node.orelse)
        if {kind_of(a), kind_of(b)} == {WHOLE}:
            return self.builder.select(self.body.truth(test), self.body.whole(a), self.body.whole(b))
        return self.builder.select(self.body.truth(test), self.body.double(a), self.body.double(b))

    def _calls(self, node: ast.expr) -> bool:
        """Whether an expression calls a function of the module."""
        calls = [n.func for n in ast.walk(node) if isinstance(n, ast.Call)]
        return any(isinstance(f, ast.Name) and (f.id in self.unit.functions or f.id in self.unit.names) for f in calls)

    def _branched(self, test: Any, yes: ast.expr | None, no: ast.expr | None, otherwise: Any = None) -> Any:
        """The value of one of two expressions, of which the other is not computed; `otherwise` where there is none."""
        blocks = [self.body.llvm.append_basic_block(name) for name in ("yes", "no")]
        after = self.body.llvm.append_basic_block("after")
        self.builder.cbranch(test, *blocks)
        found = []
        for block, node in zip(blocks, (yes, no), strict=True):
            self.builder.position_at_end(block)
            value = otherwise if node is None else self.value(node)
            found.append((value, self.builder.block))
        kinds = {kind_of(value) for value, _ in found if not isinstance(value, tuple | dict | Rows)}
        if any(isinstance(value, tuple | dict | Rows) for value, _ in found) or (TRUTH in kinds and len(kinds) > 1):
            raise Unsupported("values of two kinds")
        kind = kinds.pop() if len(kinds) == 1 else DOUBLE
        convert = {DOUBLE: self.body.double, WHOLE: self.body.whole, TRUTH: self.body.truth}[kind]
        ends = []
        for value, block in found:
            self.builder.position_at_end(block)
            ends.append((convert(value), block))
            self.builder.branch(after)
        self.builder.position_at_end(after)
        result = self.builder.phi(kind)
        for value, block in ends:
            result.add_incoming(value, block)
        return result

    def _call_(self, node: ast.Call) -> Any:
        if node.keywords:
            raise Unsupported("named arguments")
        if isinstance(node.func, ast.Attribute):
            return self._mathematics(node)
        name = getattr(node.func, "id", "")
        while isinstance(found := self.unit.names.get(name), str):
            name = found
        arguments = [self.value(a) for a in node.args]
        unit = self.unit
        if name in unit.records:
            return dict(zip(unit.records[name], arguments, strict=True))
        if name in unit.apart:
            return self._called(name, arguments)
        if name in unit.functions:
            return self._written(unit.functions[name], arguments)
        special = getattr(self, f"_{name}_of", None)
        if special is None or not name:
            raise Unsupported(f"function '{name}'")
        return special(*arguments)

    def _called(self, name: str, arguments: list[Any]) -> Any:
        lengths, given = [], []
        for (_, kind), a in zip(self.unit.apart[name].arguments, arguments, strict=True):
            if kind in ARRAYS:
                given.append(a.pointer)
                lengths += [a.length] if kind == "matrix" else []
            else:
                given.append(self.body.double(a) if kind == "double" else self.body.whole(a))
        return self.builder.call(self.unit.function(name), [*given, *lengths])

    def _written(self, function: ast.FunctionDef, arguments: list[Any]) -> Any:
        names = [a.arg for a in function.args.args]
        missing = len(names) - len(arguments)
        if (
            not 0 <= missing <= len(function.args.defaults)
            or function.args.kwonlyargs
            or function.args.posonlyargs
            or function.args.vararg
            or function.args.kwarg
        ):
            raise Unsupported(f"arguments of {function.name}")
        arguments = [*arguments, *(self.value(d) for d in function.args.defaults[len(function.args.defaults) - missing :])]
        inner = type(self)(self.unit, self.body, {})
        stored = {n.id for s in function.body for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for name, value in zip(names, arguments, strict=True):
            if name in stored and not isinstance(value, tuple | dict | Rows):  # a function may change its own arguments
                inner._store(ast.Name(name, ast.Store()), value)
            else:
                inner.given[name] = value
        return inner.run(function.body)

    def _mathematics(self, node: ast.Call) -> Any:
        function = node.func
        assert isinstance(function, ast.Attribute)
        if self._module(function.value, ("np",)) and function.attr in ("float32", "float64"):
            x = self.body.double(self.value(*node.args))
            return self.builder.fptrunc(x, SINGLE) if function.attr == "float32" else x
        if not self._module(function.value, ("math",)):
            raise Unsupported("a method")
        arguments = [self.value(a) for a in node.args]
        if function.attr == "sqrt" and kind_of(arguments[0]) == SINGLE:
            return Emitter(self.builder, SINGLE).sqrt(*arguments)
        arguments = [self.body.double(a) for a in arguments]
        name, m = function.attr, Emitter(self.builder, DOUBLE)
        if name in ELEMENTARY and len(arguments) == 1:
            return ELEMENTARY[name](m, *arguments)
        if name == "sqrt":
            return m.sqrt(*arguments)
        if name == "fabs":
            return m.magnitude(*arguments)
        if (name, len(arguments)) in LIBRARY:
            return self._library(name, *arguments)
        raise Unsupported(f"math.{name}")
