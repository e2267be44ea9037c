"""What is accepted, at the default tolerance of 2e-3: near the largest errors of seeds 0 to 999 (docs/benchmarks/differential.md).

Where a wave runs, an error of its speed by the tolerance displaces its front, so that errors are those of the place of a front; elsewhere
fields are far more accurate. Errors follow the tolerance by its square root or faster.
"""

from __future__ import annotations

from .compare import Report

EMPTIED = 0.25
"""Part of the calcium in the ER that leaves it somewhere when a wave runs."""
WAVE = {"concentration": 1e-2, "peak": 5e-2, "gate": 2e-2, "moved": 5e-3}
QUIET = {"concentration": 2e-3, "peak": 8e-3, "gate": 4e-3, "moved": 4e-3}
ALWAYS = {"books": 1e-12, "lowest": 1e-12}
"""Round-off: contents of a cell are sums over hundreds of nodes and thousands of steps."""


def excess(report: Report) -> list[str]:
    """What exceeds its bound, in words; empty where all is well."""
    if report.failure:
        return [report.failure]
    scale = (report.tolerance / 2e-3) ** 0.5
    bounds = WAVE if report.released > EMPTIED else QUIET
    limits = {name: bound * scale for name, bound in bounds.items()} | ALWAYS
    found = {name: getattr(report, name) for name in limits}
    return [f"{n} {found[n]:.2g} > {limit:.2g} ({report.where.get(n, '')})" for n, limit in limits.items() if not found[n] <= limit]
