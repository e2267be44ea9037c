"""Feed-forward networks over blocks of 64 nodes: an interpreter of a table of operations on columns, weights being data.

A column is a row of 64 values in `work`, one per node; column c starts at ``work[base + 64 c]``. A row of the table is (kind, target,
width, a, mode of a, b, mode of b, at, inner): columns target..target+width-1 are computed from columns a.. and b... An operand's mode says
what it is: COLUMNS (one column each), ONE (the same column for all), NUMBERS (``weights[a + i]`` for column i). `at` is where the weights
or parameters of the operation start, `inner` the inputs of a dense layer. All nodes of a block go through the same operations in the
same order, so that a node's result depends neither on its place in a block nor on the other nodes.

The interpreter is compiled once per precision and called through its address. To its callers a network is a row of numbers (`NET`): code
that calls one serves all with as many inputs and outputs.
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
from .elementary import log
from .noted import NOTED, faulty
from .simd import LANES, PANEL, WIDE, Emitter, llvm_vector, misaligned, panel1, panel2, panel3, panel4, splat

OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "nsz"}, "nogil": True}
COLUMNS, ONE, NUMBERS = 0, 1, 2
FAR = 1 << 40
"""Elements of an array of which only the pointer is known."""


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


def _signature(kind: Any) -> Any:
    """Of what evaluates a network on a block: see `_evaluate`."""
    rows, numbers, whole, values = types.CPointer(types.int64), types.CPointer(kind), types.int64, types.CPointer(types.float64)
    return types.void(values, rows, whole, whole, rows, whole, numbers, whole, numbers, whole, whole, values, whole)


def prepared(dtype: str) -> int:
    """Compile the interpreter for "float32" or "float64" (or take what is kept of it); where `_evaluate` begins.

    To be called before `sweep` is compiled, loaded or run with weights of this type.
    """
    if dtype not in _COMPILED:
        kind = {"float32": types.float32, "float64": types.float64}[dtype]
        table, numbers, count = types.CPointer(types.int64), types.CPointer(kind), types.int64
        whole = cfunc(types.void(table, count, numbers, count, numbers, count, count), _interpret, **OPTIONS)
        llvmlite.binding.add_symbol(_symbol(kind), whole.address)
        _COMPILED[dtype] = whole, cfunc(_signature(kind), _evaluate, **OPTIONS)
    return int(_COMPILED[dtype][1].address)


def tabulated() -> int:
    """Where `_look_up` begins, which is compiled on first use."""
    if "table" not in _COMPILED:
        _COMPILED["table"] = (cfunc(_signature(types.float64), _look_up, **OPTIONS),)
    return int(_COMPILED["table"][0].address)


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


def _evaluate(b, places, inputs, outputs, codes, rows, numbers, size, scratch, room, columns, seen, used):
    """One block: rows of `b` (float64) through the table into rows of `b`; `places` are the first elements of the rows of the inputs, of
    the outputs, and what `seen` has of each output, which notes where it is no number among the first `used` nodes."""
    code, weights, work = carray(codes, (rows, 9)), carray(numbers, (size,)), carray(scratch, (room,))
    values, place, noted = carray(b, (FAR,)), carray(places, (inputs + 2 * outputs,)), carray(seen, (FAR,))
    base = misaligned(work)
    for c in range(inputs):
        source, target = uint64(place[c]), base + uint64(LANES) * uint64(c)
        for i in range(uint64(LANES)):
            work[target + i] = values[source + i]
    interpret(code, weights, work, columns)
    first = columns - outputs
    for c in range(outputs):
        source, target = base + uint64(LANES) * uint64(first + c), uint64(place[inputs + c])
        for i in range(uint64(LANES)):
            values[target + i] = work[source + i]
    faulty(values, place, inputs, outputs, noted, used)


def _look_up(b, places, inputs, outputs, codes, rows, numbers, size, scratch, room, logarithmic, seen, used):
    """The same for a table of one input, linear between its `rows` points, constant beyond its ends.

    `numbers` are the first argument, how many points there are per unit of it, and the values (rows, outputs) at even spacings of x or,
    where `logarithmic`, log x.
    """
    table, work = carray(numbers, (size,)), carray(scratch, (room,))
    values, place, noted = carray(b, (FAR,)), carray(places, (inputs + 2 * outputs,)), carray(seen, (FAR,))
    low, factor, last, source = table[0], table[1], rows - 2, uint64(place[0])
    for i in range(uint64(LANES)):
        work[i] = log(values[source + i]) if logarithmic > 0 else values[source + i]
    for i in range(uint64(LANES)):
        s = min(max((work[i] - low) * factor, 0.0), last + 1.0)
        k = min(int(s), last)
        share = s - k
        for c in range(outputs):
            y = table[2 + k * outputs + c]
            values[uint64(place[inputs + c]) + i] = y + share * (table[2 + (k + 1) * outputs + c] - y)
    faulty(values, place, inputs, outputs, noted, used)


@intrinsic
def _call(typing: Any, net: Any, b: Any, places: Any, inputs: Any, outputs: Any, work: Any, seen: Any, used: Any) -> Any:
    """Evaluate the network whose row of numbers is `net` (see `NET`); its scratch memory is that of `b` from element `work` on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        arrays = [
            context.make_array(k)(context, builder, a).data for k, a in zip((net, b, places, seen), (*args[:3], args[6]), strict=True)
        ]
        evaluate(builder, arrays[0], arrays[1], arrays[2], args[3], args[4], args[5], arrays[3], args[7])
        return context.get_dummy_value()

    whole = types.int64
    return types.none(net, b, places, whole, whole, whole, seen, whole), generate


def evaluate(builder: Any, net: Any, b: Any, places: Any, inputs: Any, outputs: Any, work: Any, seen: Any, used: Any) -> None:
    """LLVM: a call of `_evaluate` or `_look_up`; `net`, `b`, `places`, `seen` are pointers, all else whole numbers."""
    whole, any_kind = ir.IntType(64), ir.IntType(8).as_pointer()
    address, codes, rows, numbers, size, room, columns = (
        builder.load(builder.gep(net, [ir.Constant(whole, i)]), align=8) for i in range(len(NET))
    )
    scratch = builder.bitcast(builder.gep(b, [work]), any_kind)
    codes, numbers = builder.inttoptr(codes, whole.as_pointer()), builder.inttoptr(numbers, any_kind)
    values = [b, places, inputs, outputs, codes, rows, numbers, size, scratch, room, columns, seen, used]
    kind = ir.FunctionType(ir.VoidType(), [v.type for v in values])
    builder.call(builder.inttoptr(address, kind.as_pointer()), values)


NET = ("address", "codes", "rows", "numbers", "size", "room", "columns")
"""What a row of numbers tells of a network: where its code begins, its table of operations, its weights."""


@njit(**OPTIONS)
def network(b, inputs, outputs, items, nets, k, counts, block, size, work):
    """Network k on a block: rows `inputs` of `b` to rows `outputs`; row `block` of `counts` notes what is no number, by the items given.

    Its scratch memory are the elements of `b` from `work` on.
    """
    places = np.empty(len(inputs) + 2 * len(outputs), np.int64)
    for c in range(len(inputs)):
        places[c] = inputs[c]
    for c in range(len(outputs)):
        places[len(inputs) + c] = outputs[c]
        places[len(inputs) + len(outputs) + c] = items[c]
    _call(nets[k], b, places, len(inputs), len(outputs), work, counts[block], size)


def _uncompiled(b, inputs, outputs, items, nets, k, counts, block, size, work):
    """The same without JIT: networks are functions of arrays."""
    given = np.array([b[row : row + LANES] for row in inputs])
    for row, item, values in zip(outputs, items, nets[k](given), strict=True):
        b[row : row + LANES] = values
        counts[block, NOTED * item + 4] += int((np.isnan(values) & ~np.isnan(given).any(axis=0))[:size].sum())


if config.DISABLE_JIT:
    network = _uncompiled


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
