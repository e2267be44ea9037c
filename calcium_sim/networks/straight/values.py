"""Values of a network that is written out (see `straight`), and the page that takes the operations down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..rowwise import ELEMENTWISE

COUNTS = (211, 307, 401, 503, 601)
"""Numbers of rows with which a network is written out: one of which no tensor of its own has a dimension."""
MOST = 4000
"""Operations that a network may have when it is written out."""
REPEATING = ELEMENTWISE - {"zeros_like", "ones_like"}
"""Operations that repeat a constant row for all rows by themselves."""


class Unwritable(Exception):
    """What cannot be written out; the message says why and what to write instead."""


class Rows(int):
    """The number of rows and what is made of it, which may give a tensor its shape and nothing else."""


@dataclass(frozen=True)
class Counted:
    """A decision by the number of rows, as it falls for some rows."""

    value: bool


@dataclass(eq=False)
class Value:
    """A tensor over the rows: what it is for some rows, and its name on the page.

    Attributes
    ----------
    tensor : its value for the rows with which the network is written out.
    name : of the tensor; empty where a constant is repeated for every row (`fixed`) or only the truth values have a name.
    truth : name of the truth values, where it holds such.
    fixed : whether it is the same for all rows, whatever is given.
    given : whether it is an argument of the network.
    stale : whether a tensor that shares its memory has been changed in place.
    """

    tensor: Any
    name: str = ""
    truth: str = ""
    fixed: bool = False
    given: bool = False
    stale: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(self.tensor.shape)

    @property
    def logical(self) -> bool:
        """Whether it holds truth values."""
        return str(self.tensor.dtype) == "torch.bool"


@dataclass(frozen=True)
class Number:
    """A number that is known when the network runs: dt, and what is made of it."""

    text: str
    value: float


def mixes(name: str, how: str) -> Unwritable:
    """The refusal of an operation that lets rows see each other."""
    return Unwritable(
        f"a row's result depends on other rows ('{name}' {how}: normalise with constants, and keep to operations on the columns)"
    )


@dataclass
class Page:
    """Operations in the order in which they are computed, as the text of a TorchScript function.

    Attributes
    ----------
    torch : the module.
    dtype : of all numbers.
    rows : number of rows of all values.
    first : an argument with columns, for the number of rows.
    cast : whether casts between floats were left out, so that the network rounds otherwise than the module.
    """

    torch: Any
    dtype: Any
    rows: int
    first: Value | None = None
    lines: list[str] = field(default_factory=list)
    numbers: list[Any] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    known: dict[bytes, str] = field(default_factory=dict)
    cast: bool = False

    def keep(self, value: Value) -> Value:
        """Note a value, so that changes in place find what shares its memory."""
        self.values.append(value)
        return value

    def op(self, name: str, *args: Any, **options: Any) -> Any:
        """Compute an operation of ``torch.ops.aten`` and write it down; of constants alone it is only computed."""
        spread = name not in REPEATING
        out = getattr(self.torch.ops.aten, name)(*map(self._computed, args), **options)
        inner = [v for a in args for v in (a if isinstance(a, (list, tuple)) else (a,)) if isinstance(v, (Value, Number))]
        if not any(isinstance(v, Number) or not v.fixed for v in inner):
            return self._constant(out, name, bool(inner))
        written = [self.text(a, spread) for a in args] + [f"{k}={v!r}" for k, v in options.items()]
        call = f"aten.{name}({', '.join(written)})"
        if isinstance(out, (list, tuple)):
            made = self._line(call)
            return [self.keep(Value(t, self._line(f"{made}[{k}]"))) for k, t in enumerate(out)]
        if str(out.dtype) == "torch.bool":
            return self.keep(Value(out, truth=self._line(call)))
        return self.keep(Value(out, self._line(call)))

    def text(self, value: Any, spread: bool = False) -> str:
        """How an argument is written; `spread` writes a constant row out for all rows."""
        if isinstance(value, Value):
            return self._name(value, spread)
        if isinstance(value, Number):
            return value.text
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(self.text(v, spread) for v in value)}]"
        if isinstance(value, self.torch.Tensor):
            return self._number(value)
        if isinstance(value, float) and not math.isfinite(value):
            return self._number(self.torch.tensor(value))
        if value is None or isinstance(value, (bool, int, float, str)):
            return repr(value)
        raise Unwritable(f"a {type(value).__name__} cannot be computed with")

    def floats(self, value: Any) -> Any:
        """Truth values as the numbers 0 and 1."""
        if not isinstance(value, Value) or not value.logical:
            return value
        if value.fixed:
            return Value(value.tensor.to(self.dtype), fixed=True)
        return self.keep(Value(value.tensor.to(self.dtype), self._name(value, False)))

    def truths(self, value: Value) -> str:
        """Name of the truth values of a tensor of 0 and 1, or of truth values."""
        if not value.truth:
            value.truth = self._line(f"aten.gt({self._name(value, False)}, 0.5)")
        return value.truth

    def chosen(self, condition: Value, a: Any, b: Any) -> Any:
        """`a` where the condition holds, else `b`."""
        if condition.fixed:
            condition = Value(condition.tensor, truth=self._line(f"aten.gt({self._spread(self.floats(condition))}, 0.5)"))
        a, b = (self.floats(v if isinstance(v, Value) else self.tensor(v)) for v in (a, b))
        out = self.torch.where(condition.tensor, self._computed(a), self._computed(b))
        return self.keep(Value(out, self._line(f"aten.where({self.truths(condition)}, {self.text(a)}, {self.text(b)})")))

    def tensor(self, value: Any) -> Any:
        """A constant as a tensor of the network's precision."""
        return self.torch.as_tensor(value, dtype=self.dtype)

    def returned(self, value: Any) -> str:
        """Name of a result."""
        if isinstance(value, self.torch.Tensor):
            value = Value(value, fixed=True)
        if not isinstance(value, Value):
            raise Unwritable(f"returns a {type(value).__name__}, expected a tensor or a tuple of tensors")
        return self._name(self.floats(value), True)

    def _computed(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._computed(v) for v in value]
        if isinstance(value, Value):
            return value.tensor
        return value.value if isinstance(value, Number) else value

    def _constant(self, out: Any, name: str, repeated: bool) -> Any:
        """A constant result; what comes of rows that are all the same has to be rows that are all the same."""
        if isinstance(out, (list, tuple)):
            return [self._constant(v, name, repeated) for v in out]
        if not repeated:
            return out
        if not out.dim() or out.shape[0] != self.rows or not self.torch.equal(out.nan_to_num(), out[:1].expand_as(out).nan_to_num()):
            raise mixes(name, "over the rows")
        return Value(out, fixed=True)

    def _line(self, call: str) -> str:
        if len(self.lines) >= MOST:
            raise Unwritable(f"is more than {MOST} operations when its loops are written out")
        self.lines.append(f"v{len(self.lines)} = {call}")
        return f"v{len(self.lines) - 1}"

    def _number(self, tensor: Any) -> str:
        """Name of a constant tensor; equal ones are kept once."""
        kept = tensor.detach().to(self.dtype).contiguous().clone()
        key = repr(tuple(kept.shape)).encode() + kept.numpy().tobytes()
        if key not in self.known:
            self.known[key] = f"self.c{len(self.numbers)}"
            self.numbers.append(kept)
        return self.known[key]

    def _name(self, value: Value, spread: bool) -> str:
        if value.stale:
            raise Unwritable("changes a tensor in place of which another one is a part (write h = h + ... in place of h += ...)")
        if value.fixed and not value.name:
            return self._spread(value) if spread else self._number(value.tensor[:1])
        if not value.name:
            one, zero = self._number(self.torch.tensor(1.0)), self._number(self.torch.tensor(0.0))
            value.name = self._line(f"aten.where({value.truth}, {one}, {zero})")
        return value.name

    def _spread(self, value: Value) -> str:
        """A constant written out for as many rows as there are, which are counted on an argument."""
        shape: Sequence[int] = value.shape[1:]
        width = math.prod(shape)
        if self.first is None or value.tensor.dim() == 0 or value.shape[0] not in (1, self.rows):
            raise Unwritable("returns a constant where a value for every row is expected")
        weight = self._number(self.torch.zeros(width, self.first.shape[1]))
        zeros = self._line(f"aten.zeros_like(aten.linear({self.first.name}, {weight}, None))")
        name = self._line(f"aten.add({zeros}, {self._number(value.tensor[:1].reshape(1, width))})")
        if len(shape) == 1:
            return name
        return self._line(f"aten.reshape({name}, {[-1, *shape]!r})")
