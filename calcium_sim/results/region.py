"""Selection of a region by its name that keeps the dimension ``node`` where the region has one node (a point), as it does elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from xarray.core.indexing import IndexSelResult
from xarray.indexes import PandasIndex


class RegionIndex(PandasIndex):
    """`xarray.indexes.PandasIndex` whose selection of one node is a slice."""

    def sel(self, labels: dict[Any, Any], *args: Any, **options: Any) -> IndexSelResult:
        """Select as `PandasIndex` does, but never drop the dimension."""
        found = super().sel(labels, *args, **options)
        for dim, k in found.dim_indexers.items():
            if np.ndim(k) == 0 and not isinstance(k, slice):
                found.dim_indexers[dim] = slice(int(k), int(k) + 1)
        return found
