"""Published threshold of waves in (z, r): Breit & Queisser 2018 (doi 10.1186/s13408-018-0064-x), the entry of the thinnest dendrite."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "thresholds.py"


@pytest.fixture(scope="module")
def thresholds():
    spec = importlib.util.spec_from_file_location("thresholds", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_threshold_lies_within_three_nanometres_of_the_published_one(thresholds, monkeypatch):
    """R = 0.1 um, 1 receptor per um^2: 0.034 um. No wave 3 nm below, a wave 3 nm above, on a dendrite of 20 um (50 in the paper)."""
    monkeypatch.setattr(thresholds, "LENGTH", 20.0)
    outcomes = {r: thresholds.runs_through(0.1, r, 1.0, 0.1) for r in (0.031, 0.037)}
    assert [outcomes[0.031][0], outcomes[0.037][0]] == [False, True], outcomes
