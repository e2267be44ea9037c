"""Arithmetic that is written once for explicit vectors (sixteen floats, eight doubles) and for plain doubles in ordinary loops.

A function is written against an object `m` with the operations as methods. `Emitter` writes LLVM instructions, so that a long formula costs
no time in numba's type inference; `simd_plain.Plain` computes on numpy arrays (NUMBA_DISABLE_JIT=1). `function` makes it callable from
compiled code: arguments are vectors, doubles or both; a double beside a vector goes into every lane. Nothing branches and nothing calls
libm, so that LLVM can vectorise a loop over doubles too.

Offsets (uint64) count elements of a C-contiguous array; float32 gives vectors of sixteen, float64 of eight. What is loaded and stored by
parts, and turned, is in `vector`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from .lanes import LANES as LANES
from .simd_plain import Plain

PANEL = 4
"""Outputs of a dense layer that are computed together."""
BITS = {32: (23, 127, 0x3F3504F3, "<i", "<f"), 64: (52, 1023, 0x3FE6A09E667F3BCD, "<q", "<d")}
"""Bits of the mantissa, bias of the exponent, sqrt(1/2) as an integer, and codes of `struct`."""
INDEX = ir.IntType(64)


class Wide(types.Type):
    """Numba type of a vector of floats or doubles that fills 64 bytes."""

    def __init__(self, bits: int) -> None:
        self.bits, self.lanes = bits, 512 // bits
        super().__init__(name=f"float{bits}x{self.lanes}")


float32x16, float64x8 = Wide(32), Wide(64)
WIDE = {types.float32: float32x16, types.float64: float64x8}


def llvm_vector(kind: Wide) -> Any:
    """LLVM type of a vector."""
    return ir.VectorType(ir.FloatType() if kind.bits == 32 else ir.DoubleType(), kind.lanes)


@register_model(Wide)
class WideModel(models.PrimitiveModel):
    """A vector lives in registers."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, llvm_vector(kind))


def splat(builder: Any, value: Any, kind: Any) -> Any:
    """One LLVM value in every lane."""
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count))


class Emitter:
    """The operations as LLVM instructions on values of type `kind`: a vector or a double; arguments may be Python numbers.

    `scaled` and `exponent` work on the bits: adding 1.5 * 2^52 (floats: 1.5 * 2^23) to a small number leaves its nearest integer there.
    """

    def __init__(self, builder: Any, kind: Any) -> None:
        self.builder, self.kind = builder, kind
        self.lanes = kind.count if isinstance(kind, ir.VectorType) else 0
        self.element = kind.element if self.lanes else kind
        self.single = self.element == ir.FloatType()
        self.bits = 32 if self.single else 64
        self.whole = ir.VectorType(ir.IntType(self.bits), self.lanes) if self.lanes else ir.IntType(self.bits)

    def value(self, x: Any) -> Any:
        """A number, or a double beside vectors, as a value of the type."""
        if isinstance(x, (int, float)):
            return ir.Constant(self.kind, [float(x)] * self.lanes if self.lanes else float(x))
        if self.lanes and not isinstance(x.type, ir.VectorType):
            return splat(self.builder, self.builder.fptrunc(x, self.element) if self.single and x.type != self.element else x, self.kind)
        return x

    def _integer(self, value: int) -> Any:
        return ir.Constant(self.whole, [value] * self.lanes if self.lanes else value)

    def _llvm(self, name: str, *args: Any) -> Any:
        suffix = f"v{self.lanes}f{self.bits}" if self.lanes else f"f{self.bits}"
        kind = ir.FunctionType(self.kind, [self.kind] * len(args))
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.{suffix}")
        return self.builder.call(function, [self.value(a) for a in args])

    def add(self, a: Any, b: Any) -> Any:
        """``a + b``."""
        return self.builder.fadd(self.value(a), self.value(b))

    def sub(self, a: Any, b: Any) -> Any:
        """``a - b``."""
        return self.builder.fsub(self.value(a), self.value(b))

    def mul(self, a: Any, b: Any) -> Any:
        """``a * b``."""
        return self.builder.fmul(self.value(a), self.value(b))

    def div(self, a: Any, b: Any) -> Any:
        """``a / b``."""
        return self.builder.fdiv(self.value(a), self.value(b))

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """``a * b + c``, rounded once."""
        return self._llvm("fma", a, b, c)

    def sqrt(self, a: Any) -> Any:
        """Square root."""
        return self._llvm("sqrt", a)

    def magnitude(self, a: Any) -> Any:
        """Absolute value."""
        return self._llvm("fabs", a)

    def copysign(self, a: Any, b: Any) -> Any:
        """The magnitude of `a` with the sign of `b`."""
        return self._llvm("copysign", a, b)

    def choose(self, a: Any, b: Any, c: Any, d: Any) -> Any:
        """``c if a < b else d``: `d` where `a` or `b` is not a number."""
        return self.builder.select(self.builder.fcmp_ordered("<", self.value(a), self.value(b)), self.value(c), self.value(d))

    def equal(self, a: Any, b: Any, c: Any, d: Any) -> Any:
        """``c if a == b else d``: `d` where `a` or `b` is not a number."""
        return self.builder.select(self.builder.fcmp_ordered("==", self.value(a), self.value(b)), self.value(c), self.value(d))

    def scaled(self, a: Any, t: Any) -> Any:
        """``a * 2**(n - 1)`` where n is the integer in the low bits of `t`."""
        shift, bias, *_ = BITS[self.bits]
        power = self.builder.shl(self.builder.bitcast(self.value(t), self.whole), self._integer(shift))
        power = self.builder.add(power, self._integer((bias - 1) << shift))
        return self.builder.fmul(self.value(a), self.builder.bitcast(power, self.kind))

    def mantissa(self, a: Any) -> Any:
        """m in [sqrt(1/2), sqrt(2)) of ``a = m 2**k`` (a positive and normal)."""
        shift, _, half, *_ = BITS[self.bits]
        rest = self.builder.sub(self.builder.bitcast(self.value(a), self.whole), self._integer(half))
        rest = self.builder.add(self.builder.and_(rest, self._integer((1 << shift) - 1)), self._integer(half))
        return self.builder.bitcast(rest, self.kind)

    def exponent(self, a: Any) -> Any:
        """k of ``a = m 2**k``: the high bits, moved into the mantissa of 2^shift."""
        shift, bias, half, integer, number = BITS[self.bits]
        moved = self.builder.sub(self.builder.bitcast(self.value(a), self.whole), self._integer(half - ((bias + 1) << shift)))
        base = struct.unpack(integer, struct.pack(number, 2.0**shift))[0]
        value = self.builder.or_(self.builder.lshr(moved, self._integer(shift)), self._integer(base))
        return self.sub(self.builder.bitcast(value, self.kind), 2.0**shift + bias + 1)


def _result(args: tuple[Any, ...]) -> Any:
    """Type of an operation: the one vector type among the arguments, double where all are numbers, None where they do not fit."""
    wides = {a for a in args if isinstance(a, Wide)}
    if len(wides) > 1 or not all(isinstance(a, (Wide, types.Float, types.Integer)) for a in args):
        return None
    return wides.pop() if wides else types.float64


def function(formula: Callable[..., Any], count: int) -> Any:
    """What compiled code calls for ``formula(m, x, ...)`` of `count` arguments."""
    if config.DISABLE_JIT:
        return lambda *args: formula(Plain(), *args)

    def typed(args: tuple[Any, ...]) -> Any:
        kind = _result(args)
        if kind is None:
            return None

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            m = Emitter(builder, context.get_value_type(kind))
            return formula(m, *(m.value(a) for a in args))

        return kind(*(a if isinstance(a, Wide) else types.float64 for a in args)), generate

    def one(typing: Any, a: Any) -> Any:
        return typed((a,))

    def two(typing: Any, a: Any, b: Any) -> Any:
        return typed((a, b))

    def three(typing: Any, a: Any, b: Any, c: Any) -> Any:
        return typed((a, b, c))

    made = (one, two, three)[count - 1]
    made.__doc__, made.__name__ = formula.__doc__, formula.__name__
    return intrinsic(made)


def _array(kind: Any) -> Any:
    """Vector type that fits a C-contiguous array, else None."""
    return WIDE.get(kind.dtype) if isinstance(kind, types.Array) and kind.layout == "C" else None


def _data(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """Pointer to one element."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [offset])


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
                    bias = splat(builder, builder.load(builder.gep(w, [whole(r)])), vector)
                    for total in sums[r]:
                        builder.store(bias, total)
                with cgutils.for_range(builder, args[4], intp=index) as k:
                    row = builder.gep(a, [builder.add(builder.mul(k.index, whole(LANES)), start)])
                    x = [builder.load(at_vector(row, whole(v * kind.lanes)), align=kind.bits // 8) for v in range(held)]
                    factors = builder.gep(w, [builder.add(builder.mul(k.index, whole(rows)), whole(rows))])
                    for r in range(rows):
                        factor = splat(builder, builder.load(builder.gep(factors, [whole(r)])), vector)
                        for v in range(held):
                            builder.store(Emitter(builder, vector).fma(factor, x[v], builder.load(sums[r][v])), sums[r][v])
                for r in range(rows):
                    for v in range(held):
                        place = at_vector(builder.gep(c, [builder.add(start, whole(r * LANES))]), whole(v * kind.lanes))
                        builder.store(builder.load(sums[r][v]), place, align=kind.bits // 8)
            return context.get_dummy_value()

        return signature, generate

    panel.__doc__ = f"{rows} outputs: biases, then `inner` times {rows} weights, stand at `at`; rows of {LANES} at `source` and `target`."
    return intrinsic(panel)


panel1, panel2, panel3, panel4 = (_panel(rows) for rows in (1, 2, 3, 4))
