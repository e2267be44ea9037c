"""What is accepted, at the default tolerance of 2e-3: up to twice the largest errors seen (docs/benchmarks/differential.md).

Where a wave runs, an error of its speed by the tolerance displaces its front, so that errors are those of the place of a front; elsewhere
fields are far more accurate. Errors follow the tolerance by its square root or faster.

Seeds 0 to 239, 197 without and 43 with a wave, each error over sqrt(tolerance / 2e-3), median / 99 % / largest: concentration
9e-5 / 1.3e-3 / 2.3e-3 and 1.7e-4 / 4.9e-3 / 5.7e-3; peak 1.5e-4 / 3.7e-3 / 6.1e-3 and 4.3e-4 / 2.2e-2 / 2.7e-2; gate 1.8e-5 / 8.7e-4 /
9.3e-4 and 2.3e-4 / 1.5e-2 / 1.6e-2; moved 3.4e-5 / 7.9e-4 / 9.1e-4 and 7.9e-5 / 4.0e-3 / 4.3e-3; books at most 1.3e-13; nothing below zero.
"""

from __future__ import annotations

from .compare import Report

EMPTIED = 0.25
"""Part of the calcium in the ER that leaves it somewhere when a wave runs."""
WAVE = {"concentration": 8e-3, "peak": 4e-2, "gate": 2.5e-2, "moved": 6e-3}
QUIET = {"concentration": 3e-3, "peak": 8e-3, "gate": 1.5e-3, "moved": 1.5e-3}
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
