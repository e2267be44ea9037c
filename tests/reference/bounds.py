"""What is accepted: bounds per measure at the default tolerance of 2e-3, and how they follow the tolerance."""

from __future__ import annotations

from .compare import Report

BOUND = {"concentration": 5e-3, "peak": 2e-2, "gate": 1e-2, "moved": 5e-3, "books": 1e-11, "lowest": 1e-9}


def excess(report: Report) -> list[str]:
    """What exceeds its bound, in words; empty where all is well."""
    if report.failure:
        return [report.failure]
    scale = (report.tolerance / 2e-3) ** 0.5
    out = []
    for name, bound in BOUND.items():
        limit = bound if name in ("books", "lowest") else bound * scale
        value = getattr(report, name)
        if not value <= limit:
            out.append(f"{name} {value:.2g} > {limit:.2g} ({report.where.get(name, '')})")
    return out
