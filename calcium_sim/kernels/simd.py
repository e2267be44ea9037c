"""Arithmetic that is written once for explicit vectors (sixteen floats, eight doubles) and for plain doubles in ordinary loops.

Every function takes vectors, doubles or both: a double beside a vector is put into every lane. Nothing branches and nothing calls libm, so
that LLVM can vectorise a loop over doubles too. Offsets (uint64) count elements of a C-contiguous array; `load`, `store` and
`spread` go by the array's type: float32 gives vectors of sixteen, float64 of eight. With NUMBA_DISABLE_JIT=1 the same names work on
numpy arrays.

`scaled` and `exponent` work on the bits: adding 1.5 * 2^52 (doubles; 1.5 * 2^23, floats) leaves the nearest integer in the low bits.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 64
"""Nodes of a block; rows of a block are this long."""
BITS = {32: (23, 127, 0x3F3504F3), 64: (52, 1023, 0x3FE6A09E667F3BCD)}
"""Bits of the mantissa, bias of the exponent, and sqrt(1/2) as an integer."""


class Wide(types.Type):
    """Numba type of a vector of floats or doubles that fills 64 bytes."""

    def __init__(self, bits: int) -> None:
        self.bits, self.lanes = bits, 512 // bits
        super().__init__(name=f"float{bits}x{self.lanes}")


float32x16, float64x8 = Wide(32), Wide(64)
WIDE = {types.float32: float32x16, types.float64: float64x8}


@register_model(Wide)
class WideModel(models.PrimitiveModel):
    """A vector lives in registers."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.FloatType() if kind.bits == 32 else ir.DoubleType(), kind.lanes))


def _result(args: tuple[Any, ...]) -> Any:
    """Type of an operation: the one vector type among the arguments, double where all are numbers, None where they do not fit."""
    wides = {a for a in args if isinstance(a, Wide)}
    if len(wides) > 1 or not all(isinstance(a, (Wide, types.Float, types.Integer)) for a in args):
        return None
    return wides.pop() if wides else types.float64


def _splat(builder: Any, value: Any, kind: Any) -> Any:
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count))


def _promoted(builder: Any, values: Any, kind: Any) -> list[Any]:
    """The arguments as vectors of LLVM type `kind` (or as doubles)."""
    out = []
    for value in values:
        if isinstance(kind, ir.VectorType) and not isinstance(value.type, ir.VectorType):
            value = _splat(builder, builder.fptrunc(value, kind.element) if kind.element == ir.FloatType() else value, kind)
        out.append(value)
    return out


def _element(kind: Any) -> tuple[Any, int]:
    """Element type of an LLVM type and its bits."""
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    return element, 32 if element == ir.FloatType() else 64


def _llvm(builder: Any, name: str, kind: Any, args: list[Any]) -> Any:
    """Call an overloaded LLVM intrinsic whose arguments all have the type `kind`."""
    _, bits = _element(kind)
    suffix = f"v{kind.count}f{bits}" if isinstance(kind, ir.VectorType) else f"f{bits}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * len(args)), f"llvm.{name}.{suffix}")
    return builder.call(function, args)


def _whole(kind: Any, value: int) -> Any:
    """An integer constant as wide as the elements of `kind`, in every lane."""
    _, bits = _element(kind)
    integer = ir.IntType(bits)
    return ir.Constant(ir.VectorType(integer, kind.count), [value] * kind.count) if isinstance(kind, ir.VectorType) else ir.Constant(integer, value)


def _operation(count: int, emit: Any, doc: str) -> Any:
    """Numba intrinsic of `count` arguments; `emit(builder, kind, args)` returns the LLVM value."""

    def checked(args: tuple[Any, ...]) -> Any:
        kind = _result(args)
        if kind is None:
            return None
        signature = kind(*(a if isinstance(a, Wide) else types.float64 for a in args))

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = context.get_value_type(signature.return_type)
            return emit(builder, value, _promoted(builder, args, value))

        return signature, generate

    def one(typing: Any, a: Any) -> Any:
        return checked((a,))

    def two(typing: Any, a: Any, b: Any) -> Any:
        return checked((a, b))

    def three(typing: Any, a: Any, b: Any, c: Any) -> Any:
        return checked((a, b, c))

    def four(typing: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
        return checked((a, b, c, d))

    function = (one, two, three, four)[count - 1]
    function.__doc__ = doc
    return intrinsic(function)


def _select(builder: Any, kind: Any, args: list[Any]) -> Any:
    return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])


def _scaled(builder: Any, kind: Any, args: list[Any]) -> Any:
    _, bits = _element(kind)
    shift, bias, _ = BITS[bits]
    whole = _whole(kind, 0).type
    power = builder.shl(builder.bitcast(args[1], whole), _whole(kind, shift))
    power = builder.add(power, _whole(kind, (bias - 1) << shift))
    return builder.fmul(args[0], builder.bitcast(power, kind))


def _mantissa(builder: Any, kind: Any, args: list[Any]) -> Any:
    _, bits = _element(kind)
    shift, _, half = BITS[bits]
    whole = _whole(kind, 0).type
    rest = builder.sub(builder.bitcast(args[0], whole), _whole(kind, half))
    rest = builder.add(builder.and_(rest, _whole(kind, (1 << shift) - 1)), _whole(kind, half))
    return builder.bitcast(rest, kind)


def _exponent(builder: Any, kind: Any, args: list[Any]) -> Any:
    """k of x = m 2^k: the high bits, put into the mantissa of 2^shift."""
    element, bits = _element(kind)
    shift, bias, half = BITS[bits]
    whole = _whole(kind, 0).type
    moved = builder.sub(builder.bitcast(args[0], whole), _whole(kind, half - ((bias + 1) << shift)))
    base = float(1 << shift)
    pattern = struct.unpack("<i" if bits == 32 else "<q", struct.pack("<f" if bits == 32 else "<d", base))[0]
    value = builder.bitcast(builder.or_(builder.lshr(moved, _whole(kind, shift)), _whole(kind, pattern)), kind)
    offset = ir.Constant(element, base + bias + 1)
    return builder.fsub(value, _splat(builder, offset, kind) if isinstance(kind, ir.VectorType) else offset)


add = _operation(2, lambda b, kind, x: b.fadd(*x), "``a + b``.")
sub = _operation(2, lambda b, kind, x: b.fsub(*x), "``a - b``.")
mul = _operation(2, lambda b, kind, x: b.fmul(*x), "``a * b``.")
div = _operation(2, lambda b, kind, x: b.fdiv(*x), "``a / b``.")
fma = _operation(3, lambda b, kind, x: _llvm(b, "fma", kind, x), "``a * b + c``, rounded once.")
sqrt = _operation(1, lambda b, kind, x: _llvm(b, "sqrt", kind, x), "Square root.")
magnitude = _operation(1, lambda b, kind, x: _llvm(b, "fabs", kind, x), "Absolute value.")
copysign = _operation(2, lambda b, kind, x: _llvm(b, "copysign", kind, x), "The magnitude of `a` with the sign of `b`.")
choose = _operation(4, _select, "``c if a < b else d``; `d` where `a` or `b` is not a number.")
scaled = _operation(2, _scaled, "``a * 2**(n - 1)`` where n is the integer in the low bits of `b`.")
mantissa = _operation(1, _mantissa, "m in [sqrt(1/2), sqrt(2)) of ``a = m 2**k`` (a positive and normal).")
exponent = _operation(1, _exponent, "k of ``a = m 2**k`` as a float.")


def _array(kind: Any) -> Any:
    """Vector type that fits a C-contiguous array, else None."""
    return WIDE.get(kind.dtype) if isinstance(kind, types.Array) and kind.layout == "C" else None


def _data(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """Pointer to one element."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [offset])


@intrinsic
def load(typing: Any, array: Any, offset: Any) -> Any:
    """The vector that starts at ``array.flat[offset]``."""
    kind = _array(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = context.get_value_type(kind)
        pointer = _data(context, builder, array, args[0], args[1])
        return builder.load(builder.bitcast(pointer, value.as_pointer()), align=kind.bits // 8)

    return (kind(array, types.uint64), generate) if kind else None


@intrinsic
def store(typing: Any, array: Any, offset: Any, value: Any) -> Any:
    """Put a vector to ``array.flat[offset]`` and after."""
    kind = _array(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _data(context, builder, array, args[0], args[1])
        builder.store(args[2], builder.bitcast(pointer, args[2].type.as_pointer()), align=kind.bits // 8)
        return context.get_dummy_value()

    return (types.none(array, types.uint64, kind), generate) if kind and kind == value else None


@intrinsic
def spread(typing: Any, array: Any, offset: Any) -> Any:
    """``array.flat[offset]`` in every lane."""
    kind = _array(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _splat(builder, builder.load(_data(context, builder, array, args[0], args[1])), context.get_value_type(kind))

    return (kind(array, types.uint64), generate) if kind else None


@intrinsic
def misaligned(typing: Any, array: Any) -> Any:
    """Elements (uint64) from the start of an array to its next cache line."""
    if _array(array) is None:
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = ir.IntType(64)
        address = builder.ptrtoint(_data(context, builder, array, args[0], ir.Constant(whole, 0)), whole)
        rest = builder.and_(builder.neg(address), ir.Constant(whole, 63))
        return builder.udiv(rest, ir.Constant(whole, array.dtype.bitwidth // 8))

    return types.uint64(array), generate


def _registers() -> int:
    """Vectors of 64 bytes that one pass of the matrix product keeps of a row: four with 512-bit registers, else one."""
    try:
        return 4 if binding.get_host_cpu_features().get("avx512f") else 1
    except RuntimeError:
        return 1


def _panel(rows: int) -> Any:
    """Intrinsic of a dense layer's `rows` outputs; every output adds its products in the same order whatever the blocking."""

    def panel(typing: Any, weights: Any, at: Any, work: Any, source: Any, inner: Any, target: Any) -> Any:
        kind = _array(work)
        if kind is None or _array(weights) != kind:
            return None
        signature = types.none(weights, types.uint64, work, types.uint64, types.uint64, types.uint64)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vector, index = context.get_value_type(kind), ir.IntType(64)
            w, a, c = (_data(context, builder, k, args[i], args[j]) for k, i, j in ((weights, 0, 1), (work, 2, 3), (work, 2, 5)))
            held = _registers()
            whole = lambda value: ir.Constant(index, value)  # noqa: E731
            at_vector = lambda p, i: builder.bitcast(builder.gep(p, [i]), vector.as_pointer())  # noqa: E731
            with cgutils.for_range(builder, whole(LANES // (held * kind.lanes)), intp=index) as part:
                start = builder.mul(part.index, whole(held * kind.lanes))
                sums = [[cgutils.alloca_once(builder, vector) for _ in range(held)] for _ in range(rows)]
                for r in range(rows):
                    bias = _splat(builder, builder.load(builder.gep(w, [whole(r)])), vector)
                    for total in sums[r]:
                        builder.store(bias, total)
                with cgutils.for_range(builder, args[4], intp=index) as k:
                    row = builder.gep(a, [builder.add(builder.mul(k.index, whole(LANES)), start)])
                    x = [builder.load(at_vector(row, whole(v * kind.lanes)), align=kind.bits // 8) for v in range(held)]
                    factors = builder.gep(w, [builder.add(builder.mul(k.index, whole(rows)), whole(rows))])
                    for r in range(rows):
                        factor = _splat(builder, builder.load(builder.gep(factors, [whole(r)])), vector)
                        for v in range(held):
                            builder.store(_llvm(builder, "fma", vector, [factor, x[v], builder.load(sums[r][v])]), sums[r][v])
                for r in range(rows):
                    for v in range(held):
                        place = at_vector(builder.gep(c, [builder.add(start, whole(r * LANES))]), whole(v * kind.lanes))
                        builder.store(builder.load(sums[r][v]), place, align=kind.bits // 8)
            return context.get_dummy_value()

        return signature, generate

    panel.__doc__ = f"{rows} outputs: biases, then `inner` times {rows} weights, stand at `at`; rows of {LANES} at `source` and `target`."
    return intrinsic(panel)


PANEL = 4
panel1, panel2, panel3, panel4 = (_panel(rows) for rows in (1, 2, 3, 4))


if config.DISABLE_JIT:
    from . import simd_plain as _plain

    globals().update({name: getattr(_plain, name) for name in _plain.__all__})

__all__ = [
    "LANES",
    "PANEL",
    "add",
    "choose",
    "copysign",
    "div",
    "exponent",
    "float32x16",
    "float64x8",
    "fma",
    "load",
    "magnitude",
    "mantissa",
    "misaligned",
    "mul",
    "np",
    "panel1",
    "panel2",
    "panel3",
    "panel4",
    "scaled",
    "spread",
    "sqrt",
    "store",
    "sub",
]
