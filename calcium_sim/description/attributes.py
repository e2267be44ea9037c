"""Attributes of a result file that analyses read again: whether they are what a run writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import StorageError

TEXTS = frozenset(
    {"model_name", "of", "noted", "ledger_of", "binds", "channel", "units", "model", "channels", "notes", "out_of_range", "faces"}
)
NUMBERS = frozenset({"threshold", "seen_from", "seen_until", "total", "steps", "rejected", "ledger_drift"})
"""Attributes of a result that are read again, by what they are."""
DEEPEST = 50
"""Brackets within brackets in the description of a run."""


def check_attributes(attributes: Mapping[Any, Any], where: str) -> None:
    """Refuse attributes that are no text, or no number, where the analyses read such."""
    for name, value in attributes.items():
        text, number = isinstance(value, str), isinstance(value, (int, float, np.integer, np.floating))
        if (name in TEXTS and not text) or (name in NUMBERS and not number):
            wanted = "a text" if name in TEXTS else "a number"
            raise StorageError(f"{where}: damaged: the attribute '{name}' is {type(value).__name__}, expected {wanted}")
        if text and name in ("model", "channels", "faces") and _depth(value) > DEEPEST:
            raise StorageError(f"{where}: damaged: the attribute '{name}' is nested too deeply")


def _depth(text: str) -> int:
    depth = most = 0
    for found in re.findall(r"[\[{\]}]", text):
        depth += 1 if found in "[{" else -1
        most = max(most, depth)
    return most
