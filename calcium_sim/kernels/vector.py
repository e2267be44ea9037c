"""Vectors of eight doubles (`simd`) inside compiled functions, for recurrences that loop vectorisation cannot keep in registers.

`load`, `store`, `splat`, `add`, `sub`, `mul`, `fma` and `transpose` are called from njit code; an offset (uint64) counts elements from
the start of a C-contiguous float64 array of any shape. `load` and `store` touch the first `count` lanes only (8: all); lanes that are not
loaded are 0. With NUMBA_DISABLE_JIT=1 the same names work on numpy arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from .simd import float64x8 as vector
from .simd import function, llvm_vector
from .simd import splat as filled

WIDTH = vector.lanes
INT, VECTOR, HALF = ir.IntType(32), llvm_vector(vector), ir.VectorType(ir.DoubleType(), WIDTH // 2)


def _lanes(values: range | list[int]) -> Any:
    return ir.Constant(ir.VectorType(INT, len(values)), list(values))


def _mask(builder: Any, count: Any) -> Any:
    return builder.icmp_unsigned("<", _lanes(range(WIDTH)), filled(builder, builder.trunc(count, INT), ir.VectorType(INT, WIDTH)))


def _address(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), VECTOR.as_pointer())


def _call(builder: Any, name: str, result: Any, args: list[Any]) -> Any:
    kind = ir.FunctionType(result, [a.type for a in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _is_flat(array: Any) -> bool:
    return isinstance(array, types.Array) and array.dtype == types.float64 and array.layout == "C"


def _cases(builder: Any, count: Any, whole: Any, half: Any, part: Any) -> None:
    """Branch on the number of lanes: 8, 4 or any other. Where it does not change in a loop the compiler moves the branch out."""
    with builder.if_else(builder.icmp_unsigned("==", count, ir.Constant(count.type, WIDTH))) as (yes, no):
        with yes:
            whole()
        with no, builder.if_else(builder.icmp_unsigned("==", count, ir.Constant(count.type, WIDTH // 2))) as (four, other):
            with four:
                half()
            with other:
                part()


@intrinsic
def load(typing: Any, array: Any, offset: Any, count: Any) -> Any:
    """``array.flat[offset : offset + count]``, then zeros."""
    if not _is_flat(array):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _address(context, builder, signature.args[0], args[0], args[1])
        out = cgutils.alloca_once(builder, VECTOR)

        def whole() -> None:
            builder.store(builder.load(pointer, align=8), out)

        def half() -> None:  # a masked load of eight would often cross a cache line
            low = builder.load(builder.bitcast(pointer, HALF.as_pointer()), align=8)
            builder.store(builder.shuffle_vector(low, ir.Constant(HALF, [0.0] * HALF.count), _lanes(range(WIDTH))), out)

        def part() -> None:
            rest = [pointer, ir.Constant(INT, 8), _mask(builder, args[2]), ir.Constant(VECTOR, [0.0] * WIDTH)]
            builder.store(_call(builder, "llvm.masked.load.v8f64.p0", VECTOR, rest), out)

        _cases(builder, args[2], whole, half, part)
        return builder.load(out)

    return vector(array, types.uint64, types.uint64), generate


@intrinsic
def store(typing: Any, array: Any, offset: Any, value: Any, count: Any) -> Any:
    """``array.flat[offset : offset + count] = value[:count]``."""
    if not _is_flat(array) or value != vector:
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _address(context, builder, signature.args[0], args[0], args[1])

        def whole() -> None:
            builder.store(args[2], pointer, align=8)

        def half() -> None:
            low = builder.shuffle_vector(args[2], args[2], _lanes(range(WIDTH // 2)))
            builder.store(low, builder.bitcast(pointer, HALF.as_pointer()), align=8)

        def part() -> None:
            rest = [args[2], pointer, ir.Constant(INT, 8), _mask(builder, args[3])]
            _call(builder, "llvm.masked.store.v8f64.p0", ir.VoidType(), rest)

        _cases(builder, args[3], whole, half, part)
        return context.get_dummy_value()

    return types.none(array, types.uint64, vector, types.uint64), generate


@intrinsic
def splat(typing: Any, value: Any) -> Any:
    """The same number in every lane."""
    return vector(types.float64), lambda context, builder, signature, args: filled(builder, args[0], VECTOR)


fma = function(lambda m, a, b, c: m.fma(a, b, c), 3)
"""``a * b + c``, rounded once."""
add, sub, mul = (function(lambda m, a, b, name=name: getattr(m, name)(a, b), 2) for name in ("add", "sub", "mul"))


@intrinsic
def transpose(typing: Any, rows: Any) -> Any:
    """Eight vectors (a tuple) are the rows of a matrix; returns its columns."""
    kind = types.UniTuple(vector, WIDTH)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = cgutils.unpack_tuple(builder, args[0], WIDTH)
        for width in (1, 2, 4):  # swap the off-diagonal blocks of this width
            low = [i + WIDTH - width if i & width else i for i in range(WIDTH)]
            high = [i + WIDTH if i & width else i + width for i in range(WIDTH)]
            w = list(v)
            for i in range(WIDTH):
                if not i & width:
                    w[i] = builder.shuffle_vector(v[i], v[i + width], _lanes(low))
                    w[i + width] = builder.shuffle_vector(v[i], v[i + width], _lanes(high))
            v = w
        return context.make_tuple(builder, kind, v)

    return kind(kind), generate


if config.DISABLE_JIT:

    def load(array: Any, offset: Any, count: Any) -> Any:
        """The same on numpy arrays."""
        out = np.zeros(WIDTH)
        out[: int(count)] = array.reshape(-1)[int(offset) : int(offset) + int(count)]
        return out

    def store(array: Any, offset: Any, value: Any, count: Any) -> None:
        """The same on numpy arrays."""
        array.reshape(-1)[int(offset) : int(offset) + int(count)] = value[: int(count)]

    def splat(value: float) -> Any:
        """The same on numpy arrays."""
        return np.full(WIDTH, value)

    def transpose(rows: Any) -> Any:
        """The same on numpy arrays."""
        return tuple(np.array(rows).T)
