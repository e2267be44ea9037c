"""States at rest: the equilibrium that belongs to the declared starts, in closed form or by a long integration."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import calcium_sim as cs
from calcium_sim.plan.equilibrium import steady_states
from calcium_sim.plugin import Channel

AT = SimpleNamespace(ca=0.05)


def made(states, rates, steady=None, **given):
    """A channel with these states and rates of (y, x, p)."""
    body = {"states": states, "reads": {"ca": "ca@from"}, "rates": staticmethod(rates), "flux": staticmethod(lambda y, x, p: x.ca)}
    return type("Made", (Channel,), body | ({} if steady is None else {"steady": staticmethod(steady)}))(**given)


def rest(*given, **more):
    return np.array(steady_states(made(*given, **more), AT, SimpleNamespace()))


def chain(kon, koff, ki, kr):
    """C - O - I with every state kept, as NMODL's KINETIC without CONSERVE: C -> O with kon ca, O -> C koff, O -> I ki, I -> O kr."""

    def rates(y, x, p):
        f = kon * x.ca * y.c - koff * y.o
        g = ki * y.o - kr * y.i
        return -f, f - g, g

    return rates


@pytest.mark.parametrize("start", [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.2, 0.1, 0.1), (0.0, 0.0, 0.0)])
@pytest.mark.parametrize("constants", [(1.0, 0.1, 0.05, 0.01), (1e4, 1e2, 1e-3, 1e-4), (1.0, 0.0, 0.05, 0.01)])
def test_a_scheme_that_keeps_all_its_states_rests_by_detailed_balance(start, constants):
    """O = C kon ca/koff and I = O ki/kr, of the sum of the starts: (1/4, 1/8, 5/8) with the first constants. Without O -> C all leaves C.

    Within 1e-13 where rates differ a hundredfold, 1e-10 where they differ by 1e7, so that rounding of the large ones is 1e-11 of the small
    ones; measured 3e-16 and 1e-11.
    """
    kon, koff, ki, kr = constants
    exact = np.array([0.0, 1.0, ki / kr]) if koff == 0 else np.array([1.0, kon * AT.ca / koff, kon * AT.ca / koff * ki / kr])
    exact *= sum(start) / exact.sum()
    found = rest(dict(zip("coi", start, strict=True)), chain(*constants))
    error = np.abs(found - exact).max()
    assert error <= (1e-10 if kon > 1 else 1e-13), f"{found} is {error:.2g} off {exact}"


def test_several_sums_and_a_state_that_never_moves():
    """Two gates of two states each, A -> B with 1, B -> A with 3, D -> E with 1e-3 and back with 2e-3, and a state without any rate."""

    def rates(y, x, p):
        f, g = y.a - 3.0 * y.b, 1e-3 * y.d - 2e-3 * y.e
        return -f, f, 0.0, -g, g

    found = rest({"a": 0.5, "b": 0.3, "k": 0.7, "d": 0.0, "e": 0.3}, rates)
    assert np.abs(found - [0.6, 0.2, 0.7, 0.2, 0.1]).max() <= 1e-12, found
    assert rest({"k": 0.25}, lambda y, x, p: (0.0,)) == [0.25]


def gate(low, middle, high):
    """Two attractors, and between them what the state runs away from."""
    return lambda y, x, p: (-0.1 * (y.k - low) * (y.k - middle) * (y.k - high),)


@pytest.mark.parametrize("start", [0.0, 0.2, 0.3, 0.35, 0.4, 0.45, 0.4999, 0.5001, 0.55, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("units", [1.0, 1e-6, 1e6])
def test_a_gate_with_two_attractors_goes_to_the_one_on_the_side_of_its_start(start, units):
    rates = gate(0.2, 0.5, 0.8)
    found = rest({"k": start}, lambda y, x, p: (units * rates(y, x, p)[0],))[0]
    assert abs(found - (0.2 if start < 0.5 else 0.8)) <= 1e-12, found


@pytest.mark.parametrize(("start", "told"), [(0.5, "run away from"), (0.6, "outside its bounds"), (0.9, "outside its bounds")])
def test_starts_without_an_equilibrium_of_their_own_are_refused(start, told):
    """The attractor above is at 3, where no state may be; from 0.5 the state moves neither way."""
    with pytest.raises(cs.InputError, match=told) as caught:
        rest({"k": start}, gate(0.2, 0.5, 3.0))
    assert "\n" not in str(caught.value)
    assert rest({"k": start}, gate(0.2, 0.5, 3.0), initial={"k": 0.45})[0] == pytest.approx(0.2, abs=1e-12)


def switch(y, x, p):
    """Two states that put each other down: attractors with one of them high, and a saddle between."""
    return 1.0 / (1.0 + (y.b / 0.3) ** 4) - y.a, 1e-2 * (1.0 / (1.0 + (y.a / 0.3) ** 4) - y.b)


@pytest.mark.parametrize("start", [(0.9, 0.1), (0.1, 0.9), (0.4, 0.5), (0.05, 0.3), (0.35, 0.33), (0.0, 0.0)])
def test_a_switch_of_two_states_ends_where_a_long_integration_ends(start):
    """scipy's Radau at 1e-10 over 1e5 ms, a thousand times the slower time constant."""
    found = rest({"a": start[0], "b": start[1]}, switch)
    solution = solve_ivp(
        lambda t, y: switch(SimpleNamespace(a=y[0], b=y[1]), AT, None), (0.0, 1e5), start, method="Radau", rtol=1e-10, atol=1e-13
    )
    assert np.abs(found - solution.y[:, -1]).max() <= 1e-9, (found, solution.y[:, -1])


def test_stiff_states_in_units_of_their_own():
    """A state of 1e-9 to 1e3 within wide bounds relaxes with 1e-6 per ms beside one of 1e3 per ms; both ends are known."""

    def rates(y, x, p):
        return 1e3 * (0.25 - y.quick), 1e-6 * (40.0 * y.quick - y.slow)

    found = rest({"quick": 0.9, "slow": (1e-9, 0.0, 1e3)}, rates)
    assert np.abs(found / [0.25, 10.0] - 1.0).max() <= 1e-12, found


def test_a_root_at_which_the_slope_vanishes_is_reached():
    """dy/dt = -(y - 0.2)^3, where Newton's method converges slowly; measured 1e-7, where the rate is 1e-21 per ms."""
    assert rest({"k": 0.6}, lambda y, x, p: (-((y.k - 0.2) ** 3),))[0] == pytest.approx(0.2, abs=1e-6)


def test_functions_that_are_defined_within_the_bounds_only():
    found = rest({"k": 0.0}, lambda y, x, p: (0.25 - y.k**0.5 * (1.0 - y.k) ** 0.5,))[0]
    assert found == pytest.approx(0.5 - (0.25 - 0.0625) ** 0.5, abs=1e-12)


def gating(y, x, p):
    return (0.1 - y.x,)


CLOSED = {
    "too many": ((0.1, 0.2), "expected a tuple of 1 numbers"),
    "none": (None, "expected a tuple of 1 numbers"),
    "no tuple": (0.1, "expected a tuple of 1 numbers"),
    "text": (("0.1",), "expected a tuple of 1 numbers"),
    "complex": ((0.1 + 0j,), "expected a tuple of 1 numbers"),
    "not finite": ((float("nan"),), "is not finite"),
    "out of bounds": ((5.0,), "outside its bounds [0, 1]"),
    "no equilibrium": ((0.4,), "x still changes by -0.3 per ms"),
}


@pytest.mark.parametrize("case", CLOSED)
def test_a_closed_form_that_is_none_is_told(case):
    given, told = CLOSED[case]
    with pytest.raises(cs.InputError) as caught:
        rest({"x": 0.1}, gating, lambda x, p: given)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_closed_form_is_taken_as_it_is():
    assert rest({"x": 0.9}, gating, lambda x, p: (0.1 + 1e-9,))[0] == 0.1 + 1e-9
