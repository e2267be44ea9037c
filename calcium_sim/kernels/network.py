"""Feed-forward networks over blocks of 64 nodes: an interpreter of a table of operations on columns, weights being data.

A column is a row of 64 values in `work`, one per node; column c starts at ``work[base + 64 c]``. A row of the table is (kind, target,
width, a, mode of a, b, mode of b, at, inner): columns target..target+width-1 are computed from columns a.. and b... An operand's mode says
what it is: COLUMNS (one column each), ONE (the same column for all), NUMBERS (``weights[a + i]`` for column i). `at` is where the weights
or parameters of the operation start, `inner` the inputs of a dense layer. All nodes of a block go through the same operations in the
same order, so that a node's result depends neither on its place in a block nor on the other nodes.

The interpreter is compiled once per precision and called through its address: modules that use it neither contain nor optimise it again.
"""

from __future__ import annotations

import math
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import carray, config, types, uint64
from numba.core import cgutils
from numba.extending import intrinsic

from . import formulas
from .compiled import cfunc, njit
from .simd import LANES, PANEL, WIDE, Emitter, llvm_vector, misaligned, panel1, panel2, panel3, panel4, splat

OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "nsz"}, "nogil": True}
COLUMNS, ONE, NUMBERS = 0, 1, 2


def _softplus(m: Any, x: Any, p: Any) -> Any:
    """Parameters beta, threshold."""
    z = m.mul(x, p(0))
    return m.choose(p(1), z, x, m.div(formulas.softplus(m, z), p(0)))


def _elu(m: Any, x: Any, p: Any) -> Any:
    """Parameter alpha."""
    return m.choose(x, 0.0, m.mul(formulas.expm1(m, formulas.minimum(m, x, 0.0)), p(0)), x)


PLAIN = tuple(getattr(formulas, name) for name in ("tanh", "sigmoid", "exp", "expm1", "log", "log10", "log1p", "asinh", "erf"))
UNARY: dict[str, Any] = {
    **{f.__name__: (lambda m, x, p, f=f: f(m, x)) for f in PLAIN},
    "relu": lambda m, x, p: formulas.maximum(m, x, 0.0),
    "sqrt": lambda m, x, p: m.sqrt(x),
    "abs": lambda m, x, p: m.magnitude(x),
    "neg": lambda m, x, p: m.mul(x, -1.0),
    "copy": lambda m, x, p: x,
    "softplus": _softplus,
    "elu": _elu,
    "pow": lambda m, x, p: formulas.power(m, x, p(0)),
    "clip": lambda m, x, p: formulas.minimum(m, formulas.maximum(m, x, p(0)), p(1)),
}
BINARY: dict[str, Any] = {
    **{name: (lambda m, a, b, name=name: getattr(m, name)(a, b)) for name in ("add", "sub", "mul", "div")},
    "minimum": formulas.minimum,
    "maximum": formulas.maximum,
    **{name: getattr(formulas, name) for name in ("less", "same", "most")},
    "put": lambda m, a, b: b,
}
KINDS = ("dense", *UNARY, *BINARY, "sum", "norm")
DENSE, FIRST_BINARY, SUM, NORM = 0, 1 + len(UNARY), 1 + len(UNARY) + len(BINARY), 2 + len(UNARY) + len(BINARY)
PUT = SUM - 1


def _loops(context: Any, builder: Any, work: Any, kind: Any, table: Any) -> None:
    """A switch over `kind` with one case per entry of {number: emit(m, at, type)}; `at(offset)` is the address of a vector of `work`."""
    vector = llvm_vector(WIDE[work[0].dtype])
    m = Emitter(builder, vector)
    data = context.make_array(work[0])(context, builder, work[1]).data
    done = builder.append_basic_block("done")
    switch = builder.switch(kind, done)
    for number, emit in table.items():
        switch.add_case(ir.Constant(kind.type, number), block := builder.append_basic_block(f"kind{number}"))
        builder.position_at_end(block)
        emit(m, lambda offset: builder.bitcast(builder.gep(data, [offset]), vector.as_pointer()), WIDE[work[0].dtype])
        builder.branch(done)
    builder.position_at_end(done)


@intrinsic
def unary(typing: Any, kind: Any, work: Any, source: Any, target: Any, size: Any, weights: Any, at: Any) -> Any:
    """One function of `size` values, `kind` being its number in KINDS."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        numbers = context.make_array(weights)(context, builder, args[5]).data
        whole = args[2].type

        def loop(formula: Any) -> Any:
            def emit(m: Any, at: Any, wide: Any) -> None:
                def parameter(i: int) -> Any:
                    place = builder.gep(numbers, [builder.add(args[6], ir.Constant(whole, i))])
                    return splat(builder, builder.load(place), m.kind)

                steps = builder.udiv(args[4], ir.Constant(whole, wide.lanes))
                with cgutils.for_range(builder, steps, intp=whole) as k:
                    offset = builder.mul(k.index, ir.Constant(whole, wide.lanes))
                    x = builder.load(at(builder.add(args[2], offset)), align=wide.bits // 8)
                    builder.store(formula(m, x, parameter), at(builder.add(args[3], offset)), align=wide.bits // 8)

            return emit

        table = {1 + i: loop(formula) for i, formula in enumerate(UNARY.values())}
        _loops(context, builder, (work, args[1]), args[0], table)
        return context.get_dummy_value()

    return types.none(types.int64, work, types.uint64, types.uint64, types.uint64, weights, types.uint64), generate


@intrinsic
def binary(typing: Any, kind: Any, work: Any, a: Any, b: Any, target: Any) -> Any:
    """One column from two; of PUT the second one where the first is 1, else what is there."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = args[2].type

        def loop(number: int, formula: Any) -> Any:
            def emit(m: Any, at: Any, wide: Any) -> None:
                with cgutils.for_range(builder, ir.Constant(whole, LANES // wide.lanes), intp=whole) as k:
                    offset = builder.mul(k.index, ir.Constant(whole, wide.lanes))
                    x, y, old = (builder.load(at(builder.add(args[i], offset)), align=wide.bits // 8) for i in (2, 3, 4))
                    value = m.choose(0.5, x, y, old) if number == PUT else formula(m, x, y)
                    builder.store(value, at(builder.add(args[4], offset)), align=wide.bits // 8)

            return emit

        table = {FIRST_BINARY + i: loop(FIRST_BINARY + i, formula) for i, formula in enumerate(BINARY.values())}
        _loops(context, builder, (work, args[1]), args[0], table)
        return context.get_dummy_value()

    return types.none(types.int64, work, types.uint64, types.uint64, types.uint64), generate


@njit(forceinline=True, **OPTIONS)
def dense(weights, at, work, source, inner, target, width):
    """Outputs in panels of four, each panel's biases and weights in one piece."""
    step = uint64(PANEL)
    while width >= step:
        panel4(weights, at, work, source, inner, target)
        at, target, width = at + step * (inner + uint64(1)), target + step * uint64(LANES), width - step
    if width == uint64(1):
        panel1(weights, at, work, source, inner, target)
    elif width == uint64(2):
        panel2(weights, at, work, source, inner, target)
    elif width == uint64(3):
        panel3(weights, at, work, source, inner, target)


@njit(forceinline=True, **OPTIONS)
def operand(work, spare, weights, where, mode, base, column):
    """Start of an operand's column; a number is first written to the column at `spare`."""
    if mode == COLUMNS:
        return base + uint64(LANES) * uint64(where + column)
    if mode == ONE:
        return base + uint64(LANES) * uint64(where)
    value = weights[uint64(where + column)]
    for i in range(uint64(LANES)):
        work[spare + i] = value
    return spare


@njit(forceinline=True, **OPTIONS)
def total(work, source, target, width):
    """Sum of columns, from the first on."""
    for i in range(uint64(LANES)):
        value = work[source + i]
        for k in range(uint64(1), width):
            value += work[source + i + uint64(LANES) * k]
        work[target + i] = value


@njit(forceinline=True, **OPTIONS)
def norm(work, source, target, width, weights, at):
    """Layer normalisation over `width` columns; parameters epsilon, 1 / width, then a factor and an offset per column."""
    epsilon, share, factor = weights[at], weights[at + uint64(1)], at + uint64(2)
    for i in range(uint64(LANES)):
        mean = work[source + i]
        for k in range(uint64(1), width):
            mean += work[source + i + uint64(LANES) * k]
        mean *= share
        variance = epsilon
        for k in range(width):
            d = work[source + i + uint64(LANES) * k] - mean
            variance += d * d * share
        root = math.sqrt(variance)
        for k in range(width):
            d = (work[source + i + uint64(LANES) * k] - mean) / root
            work[target + i + uint64(LANES) * k] = d * weights[factor + k] + weights[factor + width + k]


def _interpret(codes, rows, numbers, size, scratch, room, columns):
    """Run the table of `rows` operations; two spare columns follow the `columns` columns."""
    code, weights, work = carray(codes, (rows, 9)), carray(numbers, (size,)), carray(scratch, (room,))
    base, column = misaligned(work), uint64(LANES)
    spare = base + column * uint64(columns)
    for row in range(rows):
        kind, width, at = code[row, 0], code[row, 2], uint64(code[row, 7])
        target, source = base + column * uint64(code[row, 1]), base + column * uint64(code[row, 3])
        if kind == DENSE:
            dense(weights, at, work, source, uint64(code[row, 8]), target, uint64(width))
        elif kind < FIRST_BINARY:
            unary(kind, work, source, target, uint64(width) * column, weights, at)
        elif kind < SUM:
            for c in range(width):
                a = operand(work, spare, weights, code[row, 3], code[row, 4], base, c)
                b = operand(work, spare + column, weights, code[row, 5], code[row, 6], base, c)
                binary(kind, work, a, b, target + column * uint64(c))
        elif kind == SUM:
            total(work, source, target, uint64(width))
        else:
            norm(work, source, target, uint64(width), weights, at)


_COMPILED: dict[str, Any] = {}


def _symbol(kind: Any) -> str:
    return f"calcium_sim_network_{kind.bitwidth}"


def prepared(dtype: str) -> Any:
    """Compile the interpreter for "float32" or "float64" (or fetch it from numba's cache) and return `block`.

    To be called before compiled code that uses `block` or `sweep` with weights of this type is compiled, loaded or run.
    """
    if dtype not in _COMPILED and not config.DISABLE_JIT:
        kind = {"float32": types.float32, "float64": types.float64}[dtype]
        table, numbers, count = types.CPointer(types.int64), types.CPointer(kind), types.int64
        signature = types.void(table, count, numbers, count, numbers, count, count)
        _COMPILED[dtype] = cfunc(signature, _interpret, **OPTIONS)
        llvmlite.binding.add_symbol(_symbol(kind), _COMPILED[dtype].address)
    return block


@intrinsic
def interpret(typing: Any, code: Any, weights: Any, work: Any, columns: Any) -> Any:
    """Call the prepared interpreter."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        arrays = [context.make_array(k)(context, builder, a) for k, a in zip((code, weights, work), args[:3], strict=True)]
        whole = ir.IntType(64)
        values = []
        for array in arrays:
            values += [array.data, array.nitems]
        values[1] = builder.udiv(values[1], ir.Constant(whole, 9))
        kind = ir.FunctionType(ir.VoidType(), [v.type for v in values] + [whole])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, _symbol(weights.dtype)), [*values, args[3]])
        return context.get_dummy_value()

    return types.none(code, weights, work, types.int64), generate


@njit(**OPTIONS)
def block(b, inputs, outputs, code, columns, weights, work):
    """One block: rows of `b` (float64; first elements of rows in tuples) through the table into rows of `b`.

    `work` has the type of `weights` and at least ``64 * (columns + 2) + 16`` elements (two spare columns, room to start at a cache line).
    """
    base = misaligned(work)
    for c in range(len(inputs)):
        source, target = uint64(inputs[c]), base + uint64(LANES) * uint64(c)
        for i in range(uint64(LANES)):
            work[target + i] = b[source + i]
    interpret(code, weights, work, columns)
    first = columns - len(outputs)
    for c in range(len(outputs)):
        source, target = base + uint64(LANES) * uint64(first + c), uint64(outputs[c])
        for i in range(uint64(LANES)):
            b[target + i] = work[source + i]


@njit(cache=True, **OPTIONS)
def sweep(inputs, outputs, code, columns, weights):
    """Any number of nodes: (inputs, nodes) -> (outputs, nodes), float64; the last block is filled up with its last node."""
    n, width, first = inputs.shape[1], inputs.shape[0], columns - outputs.shape[0]
    work = np.empty(LANES * (columns + 2) + 16, weights.dtype)
    base = misaligned(work)
    for lo in range(0, n, LANES):
        size = min(LANES, n - lo)
        for c in range(width):
            for i in range(LANES):
                work[base + uint64(LANES * c + i)] = inputs[c, lo + min(i, size - 1)]
        interpret(code, weights, work, columns)
        for c in range(outputs.shape[0]):
            for i in range(size):
                outputs[c, lo + i] = work[base + uint64(LANES * (first + c) + i)]


@njit(**OPTIONS)
def bounded(b, source, target, low, high, slack, size, seen):
    """Clamp a row into [low, high]; a value that is no number stays one. Returns how many of all 64 were not within.

    `seen` notes the first `size` values: how many there were, how many lay farther outside than `slack`, the lowest and highest of these.
    """
    count, row, to = 0, uint64(source), uint64(target)
    least, most = low - slack, high + slack
    for i in range(uint64(LANES)):
        x = b[row + i]
        count += 0 if (x >= least) & (x <= most) else 1
    seen[0] += size
    if count > 0:
        for i in range(uint64(size)):
            x = b[row + i]
            if x < least or x > most:
                seen[1] += 1
                seen[2], seen[3] = min(seen[2], x), max(seen[3], x)
    if count > 0 or slack > 0.0 or to != row:
        for i in range(uint64(LANES)):
            x = b[row + i]
            y = low if x < low else x
            b[to + i] = high if y > high else y
    return count


@njit(**OPTIONS)
def faulty(b, inputs, output, size):
    """Nodes for which a network made no number (NaN) of numbers."""
    count, row = 0, uint64(output)
    for i in range(uint64(LANES)):
        x = b[row + i]
        count += 1 if (x != x) & (i < uint64(size)) else 0
    if count > 0:
        for i in range(uint64(size)):
            known = b[row + i] == b[row + i]
            for c in range(len(inputs)):
                x = b[uint64(inputs[c]) + i]
                known = known | (x != x)
            count -= 1 if known & (b[row + i] != b[row + i]) else 0
    return count


@njit(forceinline=True, **OPTIONS)
def moved(b, inputs, kept, tolerance, floors):
    """Nodes of the block of which an input has left its value in `kept` by more than ``tolerance * (abs(value) + floor)``.

    If there are any, `kept` takes over the inputs, and the network has to run. Blocks are fixed, so that the decision does not depend on
    threads. NaN in `kept` makes the network run.
    """
    count, lanes = 0, uint64(LANES)
    for c in range(len(inputs)):
        now, old = uint64(inputs[c]), lanes * uint64(c)
        for i in range(lanes):
            change, size = abs(b[now + i] - kept[old + i]), abs(kept[old + i])
            count += 0 if change <= tolerance * (size + floors[c]) else 1
    for c in range(len(inputs) if count > 0 else 0):
        now, old = uint64(inputs[c]), lanes * uint64(c)
        for i in range(lanes):
            kept[old + i] = b[now + i]
    return count
