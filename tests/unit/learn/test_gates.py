"""Two-state gates of Na, K and Ca channels by networks, to the precision of a float32 (spacing 1.2e-7 at 1)."""

from __future__ import annotations

import numpy as np
import pytest

from calcium_sim.errors import InputError
from calcium_sim.learn.gates import fit_gate, hodgkin_huxley_rates


def calcium_activation(v):
    """m of an L-type channel: Boltzmann of charge 4.6 at -1 mV, 1.5 ms."""
    inf = 1.0 / (1.0 + np.exp(-4.6 * (v + 1.0) / 26.7123))
    return inf / 1.5, (1.0 - inf) / 1.5


def test_a_sodium_gate_is_fitted_to_single_precision():
    fit = fit_gate(hodgkin_huxley_rates("m"), hidden=(12, 12), evaluations=600)
    assert fit.errors["xinf"] < 5e-7, fit.errors
    assert fit.errors["rollout"] < 5e-7, fit.errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("Na m", hodgkin_huxley_rates("m")),
        ("Na h", hodgkin_huxley_rates("h")),
        ("K n", hodgkin_huxley_rates("n")),
        ("Ca m", calcium_activation),
    ],
)
def test_gates_are_fitted_to_single_precision(name, rates):
    fit = fit_gate(rates)
    assert fit.errors["xinf"] < 1e-6, f"{name}: {fit.errors}"
    assert fit.errors["rollout"] < 1e-6, f"{name}: {fit.errors}"


def test_known_rates_of_hodgkin_and_huxley():
    """At rest, -65 mV: m, h, n at 0.0529, 0.5961, 0.3177."""
    for gate, expected in (("m", 0.0529), ("h", 0.5961), ("n", 0.3177)):
        alpha, beta = hodgkin_huxley_rates(gate)(np.array([-65.0]))
        assert alpha / (alpha + beta) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_gate(hodgkin_huxley_rates("m"), 10.0, -10.0), "empty"),
        (lambda: fit_gate(lambda v: (v, 1.0 + 0 * v)), "opening"),
        (lambda: hodgkin_huxley_rates("q"), "m, h or n"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
