"""Random models from fixed seeds, against the independent reference. One test per structure: its models share machine code."""

import pytest

from .bounds import excess
from .compare import compare
from .models import DRAWS, build

SEEDS = (8, *range(16, 20), *range(24, 32), *range(144, 152))
"""A (z, r) grid in parallel; graph, triangles and tetrahedra; cables, trees and points; points with mitochondria."""


@pytest.mark.parametrize("structure", sorted({s // DRAWS for s in SEEDS}))
def test_agrees_with_the_reference(structure):
    """Fields, gates, amounts and books of every model are within the bounds of `bounds`; all stay above zero."""
    found = []
    for seed in (s for s in SEEDS if s // DRAWS == structure):
        report = compare(build(seed))
        print(report)
        found += [f"{report.label}: {what}" for what in excess(report)]
    assert not found, "\n".join(found)
