"""One function on its way to LLVM: where its instructions go, and the kinds of numbers that it knows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

DOUBLE, SINGLE, WHOLE, TRUTH = ir.DoubleType(), ir.FloatType(), ir.IntType(64), ir.IntType(1)
FLAGS = ("contract", "nsz", "arcp")


class Unsupported(Exception):
    """The text holds something that is not translated."""


@dataclass
class Rows:
    """An array: a pointer to doubles, and the length of its rows where it has two dimensions."""

    pointer: Any
    length: Any = None


@dataclass(frozen=True)
class Kernel:
    """What an entry of a module is called with: (name, "double", "whole", "row", "matrix" or "networks") of every argument."""

    name: str
    arguments: tuple[tuple[str, str], ...]


KINDS = {"double": DOUBLE, "whole": WHOLE, "row": DOUBLE.as_pointer(), "matrix": DOUBLE.as_pointer(), "networks": WHOLE.as_pointer()}
ARRAYS = ("row", "matrix", "networks")


class Body:
    """The instructions of one compiled function, with all that is written into it."""

    def __init__(self, function: ir.Function) -> None:
        self.llvm = function
        self.entry = function.append_basic_block("entry")
        self.start = function.append_basic_block("start")
        self.builder = ir.IRBuilder(self.start)

    def finish(self, result: Any) -> None:
        """Return a whole number, and go from the variables to the first instruction."""
        self.builder.ret(self.whole(result) if result is not None else ir.Constant(WHOLE, 0))
        ir.IRBuilder(self.entry).branch(self.start)

    def variable(self, kind: Any, begin: Any = None) -> Any:
        """A place on the stack; from block `begin` on (the beginning by default) a double that is read before it is set is no number."""
        place = ir.IRBuilder(self.entry).alloca(kind)
        ir.IRBuilder(begin or self.entry).store(ir.Constant(kind, math.nan if kind == DOUBLE else 0), place)
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
        if x.type == SINGLE:
            return self.builder.fpext(x, DOUBLE)
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


def kind_of(value: Any) -> Any:
    """The LLVM type of a number."""
    if isinstance(value, bool):
        return TRUTH
    if isinstance(value, int):
        return WHOLE
    return DOUBLE if isinstance(value, float) else value.type
