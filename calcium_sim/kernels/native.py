"""Translates generated functions to LLVM: arithmetic, branches and loops over rows of doubles, nothing else.

numba compiles the same text to the same instructions, but looks for the types of every name first, which takes ten times as long as all
that LLVM does. Here there are three kinds of numbers only: doubles, whole numbers (counters, places in an array) and truth values; a
variable keeps the kind that it got first. What is not understood raises `Unsupported`, and numba compiles the module instead.

Semantics are Python's with numpy's errors (1/0 is infinite), as in `kernels`: ``max(a, b)`` is ``b if b > a else a``; powers with whole
exponents are products; products and sums may be contracted. Functions of one module are written into their callers, but for those whose
name is in `apart`, which LLVM keeps apart, too: none of them is optimised twice.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core.cgutils import get_or_insert_function

from . import formulas
from .simd import Emitter

DOUBLE, WHOLE, TRUTH = ir.DoubleType(), ir.IntType(64), ir.IntType(1)
FLAGS = ("contract", "nsz", "arcp")
MOST_PRODUCTS = 64
"""Largest whole exponent that is written as products."""
ELEMENTARY: dict[str, Callable[..., Any]] = {
    name: getattr(formulas, name) for name in ("exp", "expm1", "log", "log10", "log1p", "tanh", "asinh")
}


LIBRARY = {("pow", 2), ("sin", 1), ("cos", 1)}
"""Functions of `math` that LLVM knows, with the number of their arguments."""


class Unsupported(Exception):
    """The text holds something that is not translated."""


@dataclass
class Rows:
    """An array: a pointer to doubles, and the length of its rows where it has two dimensions."""

    pointer: Any
    length: Any = None


@dataclass(frozen=True)
class Kernel:
    """What an entry of a module is called with: (name, "double", "whole", "row" or "matrix") of every argument."""

    name: str
    arguments: tuple[tuple[str, str], ...]


KINDS = {"double": DOUBLE, "whole": WHOLE, "row": DOUBLE.as_pointer(), "matrix": DOUBLE.as_pointer()}


class Unit:
    """One generated module on its way to LLVM.

    Parameters
    ----------
    text : source of the module.
    apart : names of functions that are compiled once and called, with the kinds of their arguments (all return a whole number).
    copies : name -> function(body, call's arguments) that writes one of the copies of `kernels.lanes`.
    """

    def __init__(self, text: str, module: ir.Module, apart: dict[str, Kernel], symbol: str) -> None:
        self.module, self.apart, self.symbol = module, apart, symbol
        self.functions: dict[str, ast.FunctionDef] = {}
        self.records: dict[str, list[str]] = {}
        self.names: dict[str, Any] = {}
        self.made: dict[str, ir.Function] = {}
        for node in ast.parse(text).body:
            self._known(node)

    def _known(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef):
            self.functions[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, node.value
            if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "namedtuple":
                self.records[name] = ast.literal_eval(value.args[1])
            elif isinstance(value, ast.Constant):
                self.names[name] = value.value
            elif isinstance(value, ast.Name):
                self.names[name] = value.id

    def function(self, name: str) -> ir.Function:
        """The compiled function of an entry, written on first use."""
        if name not in self.made:
            kernel = self.apart[name]
            kinds = [kind for _, kind in kernel.arguments]
            parameters = [KINDS[kind] for kind in kinds] + [WHOLE for kind in kinds if kind == "matrix"]
            made = ir.Function(self.module, ir.FunctionType(WHOLE, parameters), f"{self.symbol}_{name}")
            made.attributes.add("noinline")
            made.attributes.add("nounwind")
            for argument, kind in zip(made.args, kinds, strict=False):
                if kind in ("row", "matrix"):
                    argument.add_attribute("noalias")
            self.made[name] = made
            Body(self, made, kernel, self.functions[name])
        return self.made[name]


class Body:
    """The text of one compiled function, with all that is written into it."""

    def __init__(self, unit: Unit, function: ir.Function, kernel: Kernel, node: ast.FunctionDef) -> None:
        self.unit, self.llvm = unit, function
        self.entry = function.append_basic_block("entry")
        start = function.append_basic_block("start")
        self.builder = ir.IRBuilder(start)
        lengths = iter(function.args[len(kernel.arguments) :])
        scope: dict[str, Any] = {}
        for (name, kind), argument in zip(kernel.arguments, function.args, strict=False):
            scope[name] = Rows(argument, next(lengths) if kind == "matrix" else None) if kind in ("row", "matrix") else argument
        found = Scope(self, scope).run(node.body)
        self.builder.ret(self.whole(found) if found is not None else ir.Constant(WHOLE, 0))
        ir.IRBuilder(self.entry).branch(start)

    def variable(self, kind: Any) -> Any:
        """A place on the stack, made at the beginning of the function; a double that is read before it is set is no number."""
        builder = ir.IRBuilder(self.entry)
        place = builder.alloca(kind)
        builder.store(ir.Constant(kind, math.nan if kind == DOUBLE else 0), place)
        return place

    def double(self, x: Any) -> Any:
        """A value as a double."""
        if isinstance(x, bool):
            raise Unsupported("a truth value as a number")
        if isinstance(x, int | float):
            return ir.Constant(DOUBLE, float(x))
        if x.type == DOUBLE:
            return x
        if x.type == WHOLE:
            return self.builder.sitofp(x, DOUBLE)
        raise Unsupported("a truth value as a number")

    def whole(self, x: Any) -> Any:
        """A value as a whole number."""
        if isinstance(x, int) and not isinstance(x, bool):
            return ir.Constant(WHOLE, x)
        if not isinstance(x, float | bool | Rows | dict | tuple) and x.type == WHOLE:
            return x
        raise Unsupported("no whole number")

    def truth(self, x: Any) -> Any:
        """A value as a truth value."""
        if isinstance(x, bool):
            return ir.Constant(TRUTH, int(x))
        if isinstance(x, int | float):
            raise Unsupported("a number as a truth value")
        if x.type == TRUTH:
            return x
        raise Unsupported("a number as a truth value")


class _Return(Exception):
    """Ends the statements after a return."""


class Scope:
    """The variables of one function, whose text is written at the place where it is called."""

    def __init__(self, body: Body, given: dict[str, Any]) -> None:
        self.body, self.given = body, given
        self.places: dict[str, Any] = {}
        self.result: Any = None
        self.end: Any = None

    @property
    def builder(self) -> ir.IRBuilder:
        """Where instructions are written."""
        return self.body.builder

    def run(self, statements: Sequence[ast.stmt]) -> Any:
        """Write statements; the value that they return."""
        self.end = self.body.llvm.append_basic_block("end")
        self.statements(statements)
        if not self.builder.block.is_terminated:
            self.builder.branch(self.end)
        self.builder.position_at_end(self.end)
        if isinstance(self.result, tuple):
            return tuple(self.builder.load(p) for p in self.result)
        return None if self.result is None else self.builder.load(self.result)

    def statements(self, statements: Sequence[ast.stmt]) -> None:
        """Write statements one after the other."""
        for node in statements:
            if self.builder.block.is_terminated:  # after a return or break
                return
            kind = getattr(self, f"_{type(node).__name__.lower()}", None)
            if kind is None:
                raise Unsupported(type(node).__name__)
            kind(node)

    def _within(self, statements: Sequence[ast.stmt]) -> None:
        """Write statements that may not run; tuples and records that they name are not known after them."""
        known = set(self.given)
        self.statements(statements)
        for name in set(self.given) - known:
            self.given[name] = None

    def _expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.value(node.value)

    def _pass(self, node: ast.Pass) -> None:
        pass

    def _return(self, node: ast.Return) -> None:
        found = self.value(node.value) if node.value is not None else 0
        values = found if isinstance(found, tuple) else (found,)
        if any(isinstance(v, dict | Rows) for v in values):
            raise Unsupported("an array is returned")
        if self.result is None:
            places = tuple(self.body.variable(self._kind(v)) for v in values)
            self.result = places if isinstance(found, tuple) else places[0]
        places = self.result if isinstance(self.result, tuple) else (self.result,)
        if len(places) != len(values):
            raise Unsupported("results of different length")
        for place, value in zip(places, values, strict=True):
            self._put(place, value)
        self.builder.branch(self.end)

    @staticmethod
    def _kind(value: Any) -> Any:
        if isinstance(value, bool):
            return TRUTH
        if isinstance(value, int):
            return WHOLE
        return DOUBLE if isinstance(value, float) else value.type

    def _put(self, place: Any, value: Any) -> None:
        kind = place.type.pointee
        as_kind = self.body.double if kind == DOUBLE else self.body.whole if kind == WHOLE else self.body.truth
        self.builder.store(as_kind(value), place)

    def _store(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Tuple):
            if not isinstance(value, tuple) or len(value) != len(target.elts):
                raise Unsupported("tuples of different length")
            for part, v in zip(target.elts, value, strict=True):
                self._store(part, v)
        elif isinstance(target, ast.Name):
            name = target.id
            if name in self.given:
                raise Unsupported(f"argument, tuple or record '{name}' is assigned")
            if isinstance(value, tuple | dict | Rows):  # known where they are written, and there alone: see `_within`
                if name in self.places:
                    raise Unsupported(f"'{name}' is a number and a tuple")
                self.given[name] = value
                return
            if name not in self.places:
                self.places[name] = self.body.variable(self._kind(value))
            self._put(self.places[name], value)
        elif isinstance(target, ast.Subscript):
            self.builder.store(self.body.double(value), self._place(target), align=8)
        else:
            raise Unsupported(type(target).__name__)

    def _assign(self, node: ast.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            self._store(target, value)

    def _augassign(self, node: ast.AugAssign) -> None:
        old = self.value(ast.parse(ast.unparse(node.target), mode="eval").body)
        self._store(node.target, self._binary(type(node.op), old, self.value(node.value)))

    def _if(self, node: ast.If) -> None:
        test = self.value(node.test)
        if isinstance(test, bool):
            self.statements(node.body if test else node.orelse)
            return
        yes, no, after = (self.body.llvm.append_basic_block(n) for n in ("yes", "no", "after"))
        self.builder.cbranch(self.body.truth(test), yes, no)
        for block, statements in ((yes, node.body), (no, node.orelse)):
            self.builder.position_at_end(block)
            self._within(statements)
            if not self.builder.block.is_terminated:
                self.builder.branch(after)
        self.builder.position_at_end(after)

    def _for(self, node: ast.For) -> None:
        call, target = node.iter, node.target
        if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") == "range" and isinstance(target, ast.Name)) or node.orelse:
            raise Unsupported("a loop over something else than a range")
        bounds = [self.body.whole(self.value(a)) for a in call.args]
        if len(bounds) > 2:
            raise Unsupported("a range with a step")
        low, high = bounds if len(bounds) == 2 else (ir.Constant(WHOLE, 0), bounds[0])
        counter = self.body.variable(WHOLE)
        self.builder.store(low, counter)
        self._loop(lambda: self.builder.icmp_signed("<", self.builder.load(counter), high), node, counter)

    def _while(self, node: ast.While) -> None:
        if node.orelse:
            raise Unsupported("else of a loop")
        self._loop(lambda: self.body.truth(self.value(node.test)), node, None)

    def _loop(self, test: Callable[[], Any], node: ast.For | ast.While, counter: Any) -> None:
        head, inside, onward, after = (self.body.llvm.append_basic_block(n) for n in ("head", "inside", "next", "after"))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        self.builder.cbranch(test(), inside, after)
        self.builder.position_at_end(inside)
        if counter is not None:
            self._store(node.target, self.builder.load(counter))  # type: ignore[union-attr]
        outer, self.around = getattr(self, "around", None), (onward, after)
        self._within(node.body)
        self.around = outer
        if not self.builder.block.is_terminated:
            self.builder.branch(onward)
        self.builder.position_at_end(onward)
        if counter is not None:
            self.builder.store(self.builder.add(self.builder.load(counter), ir.Constant(WHOLE, 1)), counter)
        self.builder.branch(head)
        self.builder.position_at_end(after)

    def _break(self, node: ast.Break) -> None:
        self.builder.branch(self.around[1])

    def _continue(self, node: ast.Continue) -> None:
        self.builder.branch(self.around[0])

    # --- expressions -------------------------------------------------------------------------------------------------------------

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
        if isinstance(found := self.body.unit.names.get(name), int | float):
            return found
        raise Unsupported(f"name '{name}'")

    def _tuple_(self, node: ast.Tuple) -> Any:
        return tuple(self.value(e) for e in node.elts)

    def _attribute_(self, node: ast.Attribute) -> Any:
        if isinstance(node.value, ast.Name) and node.value.id in ("math", "np"):
            found = getattr(math, node.attr, None)
            if isinstance(found, float):
                return found
            raise Unsupported(f"math.{node.attr}")
        record = self.value(node.value)
        if isinstance(record, dict) and node.attr in record:
            return record[node.attr]
        raise Unsupported(f"attribute {node.attr}")

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
        kinds = {self._kind(a), self._kind(b)}
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
        if {self._kind(a), self._kind(b)} == {WHOLE}:
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
        if {self._kind(a), self._kind(b)} == {WHOLE}:
            return self.builder.icmp_signed(sign, self.body.whole(a), self.body.whole(b))
        compare = self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered
        return compare(sign, self.body.double(a), self.body.double(b))

    def _boolop_(self, node: ast.BoolOp) -> Any:
        parts = [self.body.truth(self.value(v)) for v in node.values]  # nothing has side effects: all may be computed
        out = parts[0]
        for part in parts[1:]:
            out = (self.builder.and_ if isinstance(node.op, ast.And) else self.builder.or_)(out, part)
        return out

    def _ifexp_(self, node: ast.IfExp) -> Any:
        test = self.value(node.test)
        if isinstance(test, bool):
            return self.value(node.body if test else node.orelse)
        a, b = self.value(node.body), self.value(node.orelse)
        if {self._kind(a), self._kind(b)} == {WHOLE}:
            return self.builder.select(self.body.truth(test), self.body.whole(a), self.body.whole(b))
        return self.builder.select(self.body.truth(test), self.body.double(a), self.body.double(b))

    def _call_(self, node: ast.Call) -> Any:
        if node.keywords:
            raise Unsupported("named arguments")
        if isinstance(node.func, ast.Attribute):
            return self._mathematics(node)
        name = getattr(node.func, "id", "")
        while isinstance(found := self.body.unit.names.get(name), str):
            name = found
        arguments = [self.value(a) for a in node.args]
        unit = self.body.unit
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
        for (_, kind), a in zip(self.body.unit.apart[name].arguments, arguments, strict=True):
            if kind in ("row", "matrix"):
                given.append(a.pointer)
                lengths += [a.length] if kind == "matrix" else []
            else:
                given.append(self.body.double(a) if kind == "double" else self.body.whole(a))
        return self.builder.call(self.body.unit.function(name), [*given, *lengths])

    def _written(self, function: ast.FunctionDef, arguments: list[Any]) -> Any:
        names = [a.arg for a in function.args.args]
        missing = len(names) - len(arguments)
        if not 0 <= missing <= len(function.args.defaults) or function.args.kwonlyargs or function.args.vararg or function.args.kwarg:
            raise Unsupported(f"arguments of {function.name}")
        arguments = [*arguments, *(self.value(d) for d in function.args.defaults[len(function.args.defaults) - missing :])]
        inner = Scope(self.body, {})
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
        if not (isinstance(function.value, ast.Name) and function.value.id == "math"):
            raise Unsupported("a method")
        arguments = [self.body.double(self.value(a)) for a in node.args]
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

    # --- the copies of `kernels.lanes`: rows of a matrix to rows of scratch and back -------------------------------------------------

    def _I64_of(self, x: Any) -> Any:  # noqa: N802
        return x

    def _each(self, low: Any, high: Any, body: Callable[[Any], None]) -> None:
        """A loop over whole numbers."""
        head, inside, after = (self.body.llvm.append_basic_block(n) for n in ("copy", "element", "copied"))
        counter = self.body.variable(WHOLE)
        self.builder.store(low, counter)
        self.builder.branch(head)
        self.builder.position_at_end(head)
        at = self.builder.load(counter)
        self.builder.cbranch(self.builder.icmp_signed("<", at, high), inside, after)
        self.builder.position_at_end(inside)
        body(at)
        self.builder.store(self.builder.add(at, ir.Constant(WHOLE, 1)), counter)
        self.builder.branch(head)
        self.builder.position_at_end(after)

    def _at(self, pointer: Any, i: Any) -> Any:
        return self.builder.gep(pointer, [i], inbounds=True)

    def _element(self, pointer: Any, i: Any) -> Any:
        return self.builder.load(self._at(pointer, i), align=8)

    def _copies(self, b: Rows, places: tuple[Any, ...], matrix: Rows, rows: tuple[Any, ...], start: Any) -> Any:
        """Pointers to the first element of every row of scratch and of the matrix."""
        for place, row in zip(places, rows, strict=True):
            offset = self.builder.add(self.builder.mul(self.body.whole(row), matrix.length), self.body.whole(start))
            here = self.builder.gep(b.pointer, [self.body.whole(place)], inbounds=True)
            yield here, self.builder.gep(matrix.pointer, [offset], inbounds=True)

    def _load_of(self, b: Any, places: Any, matrix: Any, rows: Any, start: Any, size: Any, width: Any) -> None:
        size = self.body.whole(size)
        for here, there in self._copies(b, places, matrix, rows, start):

            def copy(i: Any, here: Any = here, there: Any = there) -> None:
                self.builder.store(self._element(there, i), self._at(here, i), align=8)

            self._each(ir.Constant(WHOLE, 0), size, copy)
            last = self._element(there, self.builder.sub(size, ir.Constant(WHOLE, 1)))
            self._each(size, self.body.whole(width), lambda i, here=here, last=last: self.builder.store(last, self._at(here, i), align=8))

    def _store_of(self, b: Any, places: Any, matrix: Any, rows: Any, start: Any, size: Any) -> None:
        self._back(b, places, matrix, rows, start, size, add=False)

    def _book_of(self, b: Any, places: Any, matrix: Any, rows: Any, start: Any, size: Any) -> None:
        self._back(b, places, matrix, rows, start, size, add=True)

    def _back(self, b: Any, places: Any, matrix: Any, rows: Any, start: Any, size: Any, add: bool) -> None:
        for here, there in self._copies(b, places, matrix, rows, start):

            def copy(i: Any, here: Any = here, there: Any = there) -> None:
                value = self._element(here, i)
                value = self.builder.fadd(self._element(there, i), value, flags=FLAGS) if add else value
                self.builder.store(value, self._at(there, i), align=8)

            self._each(ir.Constant(WHOLE, 0), self.body.whole(size), copy)

    # --- functions of Python -----------------------------------------------------------------------------------------------------

    def _abs_of(self, x: Any) -> Any:
        if not isinstance(x, int | float) and x.type == WHOLE:
            raise Unsupported("abs of a whole number")
        return abs(x) if isinstance(x, int | float) else Emitter(self.builder, DOUBLE).magnitude(self.body.double(x))

    def _extreme(self, sign: str, values: tuple[Any, ...]) -> Any:
        if {self._kind(v) for v in values} == {WHOLE}:
            out = self.body.whole(values[0])
            for v in map(self.body.whole, values[1:]):
                out = self.builder.select(self.builder.icmp_signed(sign, v, out), v, out)
            return out
        out = self.body.double(values[0])
        for v in map(self.body.double, values[1:]):
            out = self.builder.select(self.builder.fcmp_ordered(sign, v, out), v, out)
        return out

    def _max_of(self, *values: Any) -> Any:
        return self._extreme(">", values)

    def _min_of(self, *values: Any) -> Any:
        return self._extreme("<", values)

    def _float_of(self, x: Any) -> Any:
        return self.body.double(x)

    def _int_of(self, x: Any) -> Any:
        if isinstance(x, int | float):
            return int(x)
        return x if x.type == WHOLE else self.builder.fptosi(self.body.double(x), WHOLE)
