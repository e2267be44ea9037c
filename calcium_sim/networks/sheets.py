"""Tensors over the nodes while a graph is lowered: every number per node is a column; arranging them moves nothing but their places."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CalciumSimError
from .builder import Builder, Columns

MOST = 4096
"""Numbers per node that an intermediate tensor may have, and products of a product of two such tensors."""


class Unsupported(CalciumSimError):
    """A graph holds something that cannot be lowered; `operation` names it."""

    def __init__(self, operation: str, detail: str = "") -> None:
        self.operation = operation
        super().__init__(f"{operation} cannot be lowered" + (f" ({detail})" if detail else ""))


NODES = object()  # stands for the number of nodes, which no result may depend on


@dataclass(frozen=True)
class Sheet:
    """A tensor over the nodes: its columns at their places, of which dimension `axis` is that of the nodes (1 here).

    `number` is one number for all nodes (dt, and what is made of it).
    """

    places: NDArray[Any]
    axis: int = 0
    number: bool = False

    @property
    def columns(self) -> Columns:
        """All columns, one after the other."""
        return tuple(self.places.reshape(-1))

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, 1 for the nodes."""
        return self.places.shape

    def like(self, columns: Columns) -> Sheet:
        """Other columns at the same places."""
        return Sheet(arranged(columns, self.shape), self.axis, self.number)


def arranged(columns: Sequence[tuple[int, int]], shape: Sequence[int]) -> NDArray[Any]:
    """Columns at the places of a shape."""
    out = np.empty(len(columns), object)
    out[:] = list(columns)
    return out.reshape(shape)


def numbers(value: Any) -> NDArray[np.float64]:
    """A constant tensor or number as an array."""
    return np.asarray(value.detach().numpy() if hasattr(value, "detach") else value, float)


class Arranging:
    """Operations that arrange, combine and sum columns; `builder` writes the program."""

    builder: Builder

    def tensor(self, kind: str, value: Any) -> Sheet:
        """A tensor over the nodes."""
        if not isinstance(value, Sheet) or value.number:
            raise Unsupported(kind, f"a {type(value).__name__} where a tensor over the nodes is expected")
        if not 0 < value.places.size <= MOST:
            raise Unsupported(kind, f"{value.places.size} numbers per node")
        return value

    def sheet(self, kind: str, value: Any) -> Sheet:
        """A tensor over the nodes, or a row of constants written out for every node."""
        if isinstance(value, Sheet):
            return self.tensor(kind, value)
        row = numbers(value)
        if row.ndim == 0 or row.shape[0] != 1:
            raise Unsupported(kind, f"a constant of shape {row.shape}")
        return Sheet(arranged(self.builder.binary("add", row.reshape(-1), 0.0), row.shape))

    def together(self, kind: str, combine: Callable[..., Columns], *operands: Any) -> Sheet:
        """A function of several tensors or numbers, number by number, spread as torch does: dimensions aligned from the last."""
        sheets = [x for x in operands if isinstance(x, Sheet) and not x.number]
        if not sheets:
            return Sheet(
                arranged(combine(*(x.columns if isinstance(x, Sheet) else numbers(x).reshape(-1) for x in operands)), (1,)), 0, True
            )
        back = {len(x.shape) - x.axis for x in sheets}
        arrays = [x.places if isinstance(x, Sheet) else numbers(x) for x in operands]
        if len(back) != 1 or any(a.ndim >= (b := next(iter(back))) and a.shape[-b] != 1 for a in arrays):
            raise Unsupported(kind, f"shapes {', '.join(str(a.shape) for a in arrays)}")
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        if math.prod(shape) > MOST:
            raise Unsupported(kind, f"{math.prod(shape)} numbers per node")
        given = [a.reshape(-1) if a.size == 1 else np.broadcast_to(a, shape).reshape(-1) for a in arrays]
        out = combine(*(tuple(g) if g.dtype == object else g for g in given))
        return Sheet(arranged(out, shape), len(shape) - next(iter(back)))

    def _place(self, kind: str, x: Any, dim: int, spare: int = 0) -> int:
        """A dimension counted from the first, which is not that of the nodes."""
        rank = len(self.tensor(kind, x).shape) + spare
        at = dim + rank if dim < 0 else dim
        if not 0 <= at < rank or (not spare and at == x.axis):
            raise Unsupported(kind, f"dimension {dim}")
        return at

    def _each(self, x: Sheet, dims: Sequence[int], make: Callable[[Columns], Columns]) -> tuple[NDArray[Any], int]:
        """Groups of columns along dimensions (moved to the end) through a function; what comes out is the last dimension."""
        rest = [k for k in range(len(x.shape)) if k not in dims]
        groups = x.places.transpose([*rest, *dims]).reshape(math.prod(x.shape[k] for k in rest), -1)
        made = [make(tuple(group)) for group in groups]
        flat = [c for columns in made for c in columns]
        return arranged(flat, [*(x.shape[k] for k in rest), len(made[0])]), rest.index(x.axis)

    def on_size(self, kind: str, x: Any, dim: int | None = None) -> Any:
        """Numbers of nodes (not known here) and of columns."""
        x = self.tensor(kind, x)
        shape: list[Any] = [NODES if k == x.axis else n for k, n in enumerate(x.shape)]
        return shape if dim is None else shape[dim]

    def on_zeros_like(self, kind: str, x: Any, *rest: Any) -> Sheet:
        """Constants."""
        return self._filled(kind, x, 0.0)

    def on_ones_like(self, kind: str, x: Any, *rest: Any) -> Sheet:
        """Constants."""
        return self._filled(kind, x, 1.0)

    def _filled(self, kind: str, x: Any, value: float) -> Sheet:
        x = self.tensor(kind, x)
        return x.like(self.builder.binary("add", np.full(x.places.size, value), 0.0))

    def on_linear(self, kind: str, x: Any, weight: Any, bias: Any = None) -> Sheet:
        """``x @ weight.T + bias`` over the last dimension."""
        x = self.tensor(kind, x)
        if isinstance(weight, Sheet) or isinstance(bias, Sheet) or numbers(weight).ndim != 2 or x.axis == len(x.shape) - 1:
            raise Unsupported(kind, "shapes")
        w, b = numbers(weight), None if bias is None else numbers(bias)
        places, axis = self._each(x, [len(x.shape) - 1], lambda group: self.builder.dense(group, w, b))
        return Sheet(places, axis)

    def on_matmul(self, kind: str, a: Any, b: Any) -> Sheet:
        """With a constant matrix on either side, or node by node."""
        if isinstance(a, Sheet) and not isinstance(b, Sheet) and numbers(b).ndim == 2:
            return self.on_linear(kind, a, numbers(b).T)
        if isinstance(b, Sheet) and not isinstance(a, Sheet) and numbers(a).ndim == 2 and len(b.shape) > 1 and b.axis != len(b.shape) - 2:
            turned = Sheet(b.places.swapaxes(-1, -2), b.axis - (b.axis == len(b.shape) - 1))
            places, axis = self._each(turned, [len(b.shape) - 1], lambda group: self.builder.dense(group, numbers(a)))
            return Sheet(places.swapaxes(-1, -2), b.axis if axis == turned.axis else axis)
        if isinstance(a, Sheet) and isinstance(b, Sheet) and len(a.shape) == len(b.shape) == 3 and not a.axis and not b.axis:
            return self._products(kind, a, b)
        raise Unsupported(kind, "shapes")

    on_mm = on_bmm = on_matmul

    def _products(self, kind: str, a: Sheet, b: Sheet) -> Sheet:
        rows, columns = a.shape[1], b.shape[2]
        if rows * columns * a.shape[2] > MOST:
            raise Unsupported(kind, "many products per node")
        out = []
        for i in range(rows):
            for j in range(columns):
                product = self.builder.binary("mul", tuple(a.places[0, i]), tuple(b.places[0, :, j]))
                out.append(self.builder.sum(product)[0])
        return Sheet(arranged(out, (1, rows, columns)))

    def on_addmm(self, kind: str, bias: Any, x: Any, weight: Any, beta: float = 1, alpha: float = 1) -> Sheet:
        """``beta * bias + alpha * x @ weight``."""
        if isinstance(bias, Sheet) or isinstance(weight, Sheet) or numbers(bias).ndim > 1:
            raise Unsupported(kind, "shapes")
        return self.on_linear(kind, x, alpha * numbers(weight).T, beta * numbers(bias))

    def on_layer_norm(
        self, kind: str, x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, cudnn: Any = None
    ) -> Sheet:
        """Normalisation over the last dimensions."""
        x = self.tensor(kind, x)
        dims = list(range(len(x.shape) - len(shape), len(x.shape)))
        if list(shape) != list(x.shape[dims[0] :]) or x.axis in dims:
            raise Unsupported(kind, f"normalised shape {list(shape)}")
        factor, offset = (None if p is None else numbers(p) for p in (weight, bias))
        places, axis = self._each(x, dims, lambda group: self.builder.norm(group, eps, factor, offset))
        return Sheet(places.reshape(x.shape), axis)

    def on_sum(self, kind: str, x: Any, dims: Any = None, keep: bool = False, dtype: Any = None) -> Sheet:
        """Over given dimensions."""
        chosen = [dims] if isinstance(dims, int) else dims
        if not isinstance(chosen, (list, tuple)) or not chosen or dtype not in (None, 6, 7):
            raise Unsupported(kind, f"over {dims}")
        at = sorted({self._place(kind, x, d) for d in chosen})
        places, axis = self._each(x, at, lambda group: self.builder.sum(group))
        places = places[..., 0]
        return Sheet(np.expand_dims(places, tuple(at)), x.axis) if keep else Sheet(places, axis)

    def on_mean(self, kind: str, x: Any, dims: Any = None, keep: bool = False, dtype: Any = None) -> Sheet:
        """Over given dimensions."""
        out = self.on_sum(kind, x, dims, keep, dtype)
        return out.like(self.builder.binary("div", out.columns, x.places.size / out.places.size))

    def on_cat(self, kind: str, parts: Any, dim: int = 0) -> Sheet:
        """Side by side."""
        sheets = [self.sheet(kind, p) for p in parts]
        at = self._place(kind, sheets[0], dim)
        if any(s.axis != sheets[0].axis for s in sheets):
            raise Unsupported(kind, "shapes")
        return Sheet(np.concatenate([s.places for s in sheets], at), sheets[0].axis)

    def on_stack(self, kind: str, parts: Any, dim: int = 0) -> Sheet:
        """As a new dimension."""
        return self.on_cat(kind, [self.on_unsqueeze(kind, self.sheet(kind, p), dim) for p in parts], dim)

    def on_slice(self, kind: str, x: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Sheet:
        """Part of a dimension; all nodes."""
        sheet = self.tensor(kind, x)
        if dim % len(sheet.shape) == sheet.axis and not start and (end is None or end >= 2**62) and step == 1:
            return sheet
        at = self._place(kind, sheet, dim)
        return Sheet(sheet.places[(slice(None),) * at + (slice(start, end, step),)], sheet.axis)

    def on_select(self, kind: str, x: Any, dim: int, index: int) -> Sheet:
        """One index of a dimension."""
        at = self._place(kind, x, dim)
        return Sheet(np.take(x.places, [index], at).reshape(x.shape[:at] + x.shape[at + 1 :]), x.axis - (at < x.axis))

    def on_unsqueeze(self, kind: str, x: Any, dim: int) -> Sheet:
        """A new dimension of 1."""
        at = self._place(kind, x, dim, 1)
        return Sheet(np.expand_dims(x.places, at), x.axis + (at <= x.axis))

    def on_squeeze(self, kind: str, x: Any, dim: int) -> Sheet:
        """A dimension of 1 less."""
        at = self._place(kind, x, dim)
        return Sheet(x.places.squeeze(at), x.axis - (at < x.axis)) if x.shape[at] == 1 else x

    def on_unbind(self, kind: str, x: Any, dim: int = 0) -> list[Sheet]:
        """Every index of a dimension."""
        at = self._place(kind, x, dim)
        return [self.on_select(kind, x, at, k) for k in range(x.shape[at])]

    def on_split(self, kind: str, x: Any, size: Any, dim: int = 0) -> list[Sheet]:
        """Groups along a dimension."""
        at = self._place(kind, x, dim)
        n = x.shape[at]
        sizes = list(size) if isinstance(size, (list, tuple)) else [min(size, n - k) for k in range(0, n, size)]
        return [self.on_slice(kind, x, at, int(a), int(b)) for a, b in pairwise(np.cumsum([0, *sizes]))]

    on_split_with_sizes = on_split

    def on_chunk(self, kind: str, x: Any, chunks: int, dim: int = 0) -> list[Sheet]:
        """About equal groups along a dimension."""
        return self.on_split(kind, x, -(-x.shape[self._place(kind, x, dim)] // chunks), dim)

    def on_permute(self, kind: str, x: Any, order: Any) -> Sheet:
        """Dimensions in another order."""
        chosen = [k % len(self.tensor(kind, x).shape) for k in order]
        return Sheet(x.places.transpose(chosen), chosen.index(x.axis))

    def on_transpose(self, kind: str, x: Any, a: int, b: int) -> Sheet:
        """Two dimensions exchanged."""
        order = list(range(len(self.tensor(kind, x).shape)))
        order[a], order[b] = order[b], order[a]
        return self.on_permute(kind, x, order)

    def on_t(self, kind: str, x: Any) -> Sheet:
        """Rows and columns exchanged."""
        return self.on_permute(kind, x, range(len(self.tensor(kind, x).shape))[::-1])

    def on_reshape(self, kind: str, x: Any, shape: Any) -> Sheet:
        """With the nodes in front before and after."""
        new = [-1 if n is NODES else n for n in shape]
        known = math.prod(n for n in new[1:] if n != -1)
        size = self.tensor(kind, x).places.size
        if x.axis or not new or new[0] != -1 or (known != size if -1 not in new[1:] else shape[0] is not NODES or size % max(known, 1)):
            raise Unsupported(kind, f"to {new}")
        return Sheet(x.places.reshape([1, *new[1:]]))

    on_view = on_reshape
