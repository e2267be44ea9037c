"""Labels over the nodes of a mesh whose regions share their positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..description.fixed import Fixed, own, same
from ..errors import InputError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_MOST = 1000
"""Regions of a mesh."""


class Labels(Mapping[str, Bools]):
    """Labels over the nodes of a mesh whose regions share their positions; those of the sections are made when they are asked for.

    Parameters
    ----------
    masks : {name: boolean over positions}.
    sections : number of the section of each position, or None; they are named ``section-<k>``.
    regions : number of regions.
    """

    def __init__(self, masks: Mapping[str, Bools], sections: Ints | None, regions: int) -> None:
        rows = [np.asarray(mask) for mask in masks.values()] + ([] if sections is None else [np.asarray(sections)])
        kinds = {row.dtype.kind for row in rows[: len(masks)]} <= {"b"} and (sections is None or rows[-1].dtype.kind in "iu")
        if not kinds or len({row.shape for row in rows}) > 1 or any(row.ndim != 1 for row in rows) or not 0 < int(regions) <= _MOST:
            raise InputError("labels", "expected one bool per position for each name, one number of a section, and the number of regions")
        self.masks = Fixed({str(name): own(row) for name, row in zip(masks, rows, strict=False)})
        self.sections = None if sections is None else own(rows[-1])
        self.regions = int(regions)

    def __reduce__(self) -> tuple[Any, ...]:
        return Labels, (dict(self.masks), self.sections, self.regions)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Labels):
            return NotImplemented
        return self.regions == other.regions and same(self.masks, other.masks) and same(self.sections, other.sections)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Labels({', '.join(self.masks)}{'' if self.sections is None else f', section-0 to section-{self.sections.max()}'})"

    def _number(self, name: str) -> int:
        digits = name.removeprefix("section-") if isinstance(name, str) and name.startswith("section-") else ""
        known = self.sections is not None and digits.isascii() and digits.isdigit() and f"section-{int(digits)}" == name
        return int(digits) if known and self.sections is not None and int(digits) <= self.sections.max() else -1

    def __getitem__(self, name: str) -> Bools:
        if name in self.masks:
            return np.tile(self.masks[name], self.regions)
        if self.sections is None or self._number(name) < 0:
            raise KeyError(name)
        return np.tile(self.sections == self._number(name), self.regions)

    def __iter__(self) -> Iterator[str]:
        yield from self.masks
        if self.sections is not None:
            yield from (f"section-{k}" for k in range(int(self.sections.max()) + 1))

    def __len__(self) -> int:
        return len(self.masks) + (0 if self.sections is None else int(self.sections.max()) + 1)
