"""Random models from fixed seeds, against the independent reference. One test per structure: its models share machine code."""

import pytest

from .bounds import excess
from .compare import compare
from .models import DRAWS, build

SEEDS = (*range(56, 64), *range(8, 11), *range(16, 21), *range(24, 32))
"""Chosen before anything was measured: columns (parallel), grid, graph, columns, each with several families of channels."""


@pytest.mark.parametrize("structure", sorted({s // DRAWS for s in SEEDS}))
def test_agrees_with_the_reference(structure):
    """Fields, gates, amounts and books of every model are within the bounds of `bounds`; all stay above zero."""
    found = []
    for seed in (s for s in SEEDS if s // DRAWS == structure):
        report = compare(build(seed))
        print(report)
        found += [f"{report.label}: {what}" for what in excess(report)]
    assert not found, "\n".join(found)
