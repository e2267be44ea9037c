"""The copies of `kernels.lanes`, rows of a matrix to scratch and back, written as loops; networks; what Python has of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .. import formulas
from ..network import NET, evaluate
from ..simd import Emitter
from .body import DOUBLE, FLAGS, WHOLE, Body, Rows, Unsupported, kind_of


class Builtins:
    """Functions that a text may call by name: ``_<name>_of``."""

    body: Body

    @property
    def builder(self) -> ir.IRBuilder:
        """Where instructions are written."""
        return self.body.builder

    def _I64_of(self, x: Any) -> Any:  # noqa: N802
        return x

    _uint64_of = _U64_of = _I64_of

    def _larger_of(self, x: Any, y: Any) -> Any:
        return self._extreme(">", (x, y))

    def _expm1_of(self, x: Any) -> Any:
        return formulas.expm1(Emitter(self.builder, DOUBLE), self.body.double(x))

    def _network_of(
        self, b: Any, inputs: Any, outputs: Any, items: Any, nets: Any, k: Any, counts: Any, block: Any, size: Any, work: Any
    ) -> None:
        whole, builder = self.body.whole, self.builder
        kind = ir.ArrayType(WHOLE, len(inputs) + 2 * len(outputs))
        places = ir.GlobalVariable(builder.module, kind, builder.module.get_unique_name("places"))
        places.linkage, places.global_constant, places.initializer = "internal", True, ir.Constant(kind, [*inputs, *outputs, *items])
        net = builder.gep(nets.pointer, [ir.Constant(WHOLE, len(NET) * k)])
        seen = builder.gep(counts.pointer, [builder.mul(whole(block), counts.length)])
        first = builder.gep(places, [ir.Constant(WHOLE, 0), ir.Constant(WHOLE, 0)])
        evaluate(builder, net, b.pointer, first, whole(len(inputs)), whole(len(outputs)), whole(work), seen, whole(size))

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

    def _abs_of(self, x: Any) -> Any:
        if not isinstance(x, int | float) and x.type == WHOLE:
            raise Unsupported("abs of a whole number")
        return abs(x) if isinstance(x, int | float) else Emitter(self.builder, DOUBLE).magnitude(self.body.double(x))

    def _extreme(self, sign: str, values: tuple[Any, ...]) -> Any:
        if {kind_of(v) for v in values} == {WHOLE}:
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
