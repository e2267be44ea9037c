"""Translates generated functions to LLVM: arithmetic, branches and loops over rows of doubles, nothing else.

numba compiles the same text to the same instructions, but looks for the types of every name first, which takes ten times as long as all
that LLVM does. Here there are three kinds of numbers only: doubles (floats on the way to a root), whole numbers (counters, places) and
truth values; a variable keeps the kind that it got first. What is not understood raises `Unsupported`, and numba compiles the module
instead.

Semantics are Python's with numpy's errors (1/0 is infinite), as in `kernels`: ``max(a, b)`` is ``b if b > a else a``; powers with whole
exponents are products; products and sums may be contracted. Functions of one module are written into their callers, but for those whose
name is in `apart`, which LLVM keeps apart, too: none of them is optimised twice.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from .body import ARRAYS, DOUBLE, KINDS, WHOLE, Body, Kernel, Rows, Unsupported, kind_of
from .expressions import Expressions
from .provided import APART, NUMBERS, functions


class Unit:
    """One generated module on its way to LLVM.

    Parameters
    ----------
    text : source of the module.
    module : where its functions go.
    apart : names of functions that are compiled once and called, with the kinds of their arguments (all return a whole number).
    symbol : what the names of the compiled functions begin with.
    """

    def __init__(self, text: str, module: ir.Module, apart: dict[str, Kernel], symbol: str) -> None:
        self.module, self.apart, self.symbol = module, {**APART, **apart}, symbol
        self.functions: dict[str, ast.FunctionDef] = dict(functions())
        self.records: dict[str, list[str]] = {}
        self.names: dict[str, Any] = dict(NUMBERS)
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
                if kind in ARRAYS:
                    argument.add_attribute("noalias")
            self.made[name] = made
            body, lengths = Body(made), iter(made.args[len(kinds) :])
            given = {
                argument: Rows(value, next(lengths) if kind == "matrix" else None) if kind in ARRAYS else value
                for (argument, kind), value in zip(kernel.arguments, made.args, strict=False)
            }
            body.finish(Scope(self, body, given).run(self.functions[name].body))
        return self.made[name]


class Scope(Expressions):
    """The variables of one function, whose text is written at the place where it is called."""

    def __init__(self, unit: Unit, body: Body, given: dict[str, Any]) -> None:
        super().__init__(unit, body, given)
        self.result: Any = None
        self.begin: Any = None
        self.end: Any = None
        self.around: Any = None

    def run(self, statements: Sequence[ast.stmt]) -> Any:
        """Write statements; the value that they return."""
        self.begin, inside, self.end = (self.body.llvm.append_basic_block(name) for name in ("begin", "inside", "end"))
        self.builder.branch(self.begin)
        self.builder.position_at_end(inside)
        self.statements(statements)
        if not self.builder.block.is_terminated:
            self.builder.branch(self.end)
        ir.IRBuilder(self.begin).branch(inside)
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
            places = tuple(self.body.variable(kind_of(v)) for v in values)
            self.result = places if isinstance(found, tuple) else places[0]
        places = self.result if isinstance(self.result, tuple) else (self.result,)
        if len(places) != len(values):
            raise Unsupported("results of different length")
        for place, value in zip(places, values, strict=True):
            self._put(place, value)
        self.builder.branch(self.end)

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
                self.places[name] = self.body.variable(kind_of(value), self.begin)
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
        outer, self.around = self.around, (onward, after)
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
