"""Tables and functions of a channel class: what cannot be meant is refused in one line that names the channel and the row."""

from __future__ import annotations

import math

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim import units as u
from calcium_sim.meshes import neurite, well_mixed
from calcium_sim.model.strength import strength
from calcium_sim.plan.lower import lower
from calcium_sim.plugin import Channel, channel
from calcium_sim.plugin.contract import MOST_EDGES


def flux(y, x, p):
    return p.k * x.ca


def gate(y, x, p):
    return (0.1 - y.s,)


BASE = {
    "__doc__": "A pump.",
    "source": "none",
    "across": ("cytosol", "outside"),
    "reads": {"ca": "ca@cytosol"},
    "params": {"k": (1e-5, "um/ms")},
    "flux": staticmethod(flux),
}


def made(**changed):
    return type("Odd", (Channel,), BASE | changed)


def point(*channels):
    calcium = cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "0.05 uM", "outside": "1 uM"})
    return cs.Model(well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "6 um^2")}), [calcium], {"plasma": channels})


def refused(call):
    with pytest.raises(cs.InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    return str(caught.value)


def states(row, **more):
    return {"states": row, "rates": staticmethod(gate), **more}


WRONG = {
    "bounds the wrong way round": (states({"s": (0.5, 1.0, 0.0)}), "Odd.states.s: its bounds [1, 0]"),
    "bounds that are no numbers": (states({"s": (0.5, math.nan, 1.0)}), "Odd.states.s: its bounds [nan, 1]"),
    "no room between bounds": (states({"s": (0.5, 0.5, 0.5)}), "Odd.states.s: its bounds [0.5, 0.5]"),
    "a start above 1": (states({"s": 5.0}), "Odd.states.s: starts at 5, outside its bounds [0, 1]"),
    "a start outside its bounds": (states({"s": (5.0, 0.0, 2.0)}), "Odd.states.s: starts at 5, outside its bounds [0, 2]"),
    "a start that is no number": (states({"s": math.nan}), "Odd.states.s: starts at nan"),
    "a start as text": (states({"s": "0.5"}), "Odd.states.s: '0.5' is no state"),
    "a start with a unit": (states({"s": 0.5 * u.ms}), "Odd.states.s"),
    "a state of two numbers": (states({"s": (0.5, 1.0)}), "Odd.states.s: (0.5, 1.0) is no state"),
    "a state of 400 digits": (states({"s": 10**400}), "Odd.states.s: starts at inf"),
    "states as a list": (states(["s"]), "Odd.states: ['s'] is no table"),
    "states without rates": ({"states": {"s": 0.5}}, "Odd: has states but no rates(y, x, p)"),
    "reads as a list": ({"reads": ["ca@cytosol"]}, "Odd.reads: ['ca@cytosol'] is no table"),
    "reads as text": ({"reads": "ca@cytosol"}, "Odd.reads: 'ca@cytosol' is no table"),
    "no port": ({"reads": {"ca": None}}, "Odd.reads.ca: None is not a port"),
    "a rate of a rate": ({"reads": {"ca": "d(d(ca@cytosol))"}}, "Odd.reads.ca: 'd(d(ca@cytosol))' is not a port"),
    "two regions in a port": ({"reads": {"ca": "ca@er@cytosol"}}, "Odd.reads.ca: 'ca@er@cytosol' is not a port"),
    "parameters as a list": ({"params": [("k", 1.0)]}, "Odd.params: [('k', 1.0)] is no table"),
    "no row": ({"params": {"k": 1e-5}}, "Odd.params.k: 1e-05 is no row"),
    "a row without a unit": ({"params": {"k": (1e-5,)}}, "Odd.params.k: (1e-05,) is no row"),
    "a row of text": ({"params": {"k": "um/ms"}}, "Odd.params.k: 'um/ms' is no row"),
    "an unknown unit": ({"params": {"k": (1.0, "frobs")}}, "Odd.params.k: 'frobs' is no known unit"),
    "an empty unit": ({"params": {"k": (1.0, "")}}, "Odd.params.k: '' is no known unit"),
    "a unit of temperature with an offset": ({"params": {"k": (1.0, "degC")}}, "Odd.params.k: 'degC' is no known unit"),
    "a default as text": ({"params": {"k": ("1e-5", "um/ms")}}, "Odd.params.k: '1e-5' has no unit"),
    "a default of another dimension": ({"params": {"k": (1 * u.um, "um/ms")}}, "Odd.params.k: '1.0 um' has dimension [length]"),
    "a default that is no number": ({"params": {"k": (math.nan, "um/ms")}}, "Odd.params.k: nan is not finite"),
    "a default of many": ({"params": {"k": (np.ones(3), "um/ms")}}, "Odd.params.k: '[1. 1. 1.]' is not a quantity but several"),
    "a default outside its range": ({"params": {"k": (2.0, "um/ms", (0.0, 1.0))}}, "Odd.params.k: default 2 is outside its range [0, 1]"),
    "a range the wrong way round": ({"params": {"k": (0.5, "um/ms", (1.0, 0.0))}}, "Odd.params.k: its range [1, 0] um/ms is the wrong way"),
    "a range of one number": ({"params": {"k": (0.5, "um/ms", 1.0)}}, "Odd.params.k: 1.0 is no range"),
    "a range without a number": ({"params": {"k": (0.5, "um/ms", (math.nan, 1.0))}}, "Odd.params.k: nan is not finite"),
    "a keyword": ({"params": {"lambda": (1.0, "1")}}, "Odd.params: 'lambda' is no name"),
    "a keyword as a port": ({"reads": {"ca": "ca@cytosol", "def": "v"}}, "Odd.reads: 'def' is no name"),
    "a name with a blank": (states({"a b": 0.5}), "Odd.states: 'a b' is no name"),
    "a name with _ in front": ({"params": {"_k": (1.0, "1")}}, "Odd.params: '_k' is no name"),
    "a name that is no text": ({"params": {1: (1.0, "1")}}, "Odd.params: 1 is no name"),
    "a letter that Python reads as others": ({"params": {"ﬁt": (1.0, "1")}}, "Odd.params: 'ﬁt' is no name"),
    "a parameter at": ({"params": {"at": (None, "1")}}, "Odd.params.at: 'at' is an argument of every channel"),
    "a parameter scale": ({"params": {"scale": (None, "1")}}, "Odd.params.scale: 'scale' is an argument of every channel"),
    "a parameter old": ({"params": {"old": (None, "1")}}, "Odd.params.old: 'old' is an argument of Model.swap"),
    "a parameter channel": ({"params": {"channel": (None, "1")}}, "Odd.params.channel: 'channel' is a key of every channel in a file"),
    "moves nothing": ({"moves": {}}, "Odd.moves: {} is no table"),
    "moves a list": ({"moves": ["ca"]}, "Odd.moves: ['ca'] is no table"),
    "moves 0": ({"moves": {"ca": 0}}, "Odd.moves.ca: 0 is no count"),
    "moves text": ({"moves": {"ca": "1"}}, "Odd.moves.ca: '1' is no count"),
    "moves nan": ({"moves": {"ca": math.nan}}, "Odd.moves.ca: nan is no count"),
    "moves 400 digits": ({"moves": {"ca": 10**400}}, "Odd.moves.ca: 1000"),
    "moves no name": ({"moves": {None: 1}}, "Odd.moves: None is no name of a species"),
    "one region": ({"across": ("cytosol", "cytosol")}, "Odd.across: ('cytosol', 'cytosol') is no pair"),
    "regions as text": ({"across": "ab"}, "Odd.across: 'ab' is no pair"),
    "three regions": ({"across": ("a", "b", "c")}, "Odd.across: ('a', 'b', 'c') is no pair"),
    "no flux": ({"flux": None}, "Odd: has no flux(y, x, p)"),
    "a number as the flux": ({"flux": 1.0}, "Odd: has no flux(y, x, p)"),
    "a flux without @staticmethod": ({"flux": flux}, "Odd: flux has no @staticmethod"),
    "rates of a class": ({"states": {"s": 0.5}, "rates": classmethod(gate)}, "Odd: rates has no @staticmethod"),
    "a flux with self": ({"flux": staticmethod(lambda self, y, x, p: 0.0)}, "Odd: flux takes (self, y, x, p), expected (y, x, p)"),
    "rates of two": ({"states": {"s": 0.5}, "rates": staticmethod(lambda y, x: 0.0)}, "Odd: rates takes (y, x), expected (y, x, p)"),
    "steady of three": (states({"s": 0.5}, steady=staticmethod(gate)), "Odd: steady takes (y, x, p), expected (x, p)"),
    "edges of three": ({"edges": staticmethod(flux)}, "Odd: edges takes (y, x, p), expected (p)"),
    "an open probability that is no function": ({"open_probability": 0.5}, "Odd: open_probability is 0.5, expected a function"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_table_that_cannot_be_meant_is_refused(case):
    """When the class is registered, when a channel that is not registered is made, and by `check_channel`."""
    changed, told = WRONG[case]
    named = told.replace("Odd", "odd/one", 1)
    assert named in refused(lambda: channel("odd/one")(made(**changed)))
    assert told in refused(lambda: made(**changed)())
    assert told in refused(lambda: cs.check_channel(made(**changed)))


RESULTS = {
    "rates as a number": (
        states({"s": 0.5}, rates=staticmethod(lambda y, x, p: 0.1 - y.s)),
        "expected a tuple of 1 numbers, one per state",
    ),
    "two rates": (states({"s": 0.5}, rates=staticmethod(lambda y, x, p: (0.1 - y.s, 0.0))), "expected a tuple of 1 numbers"),
    "no rates": (states({"s": 0.5}, rates=staticmethod(lambda y, x, p: None)), "rates returned None"),
    "rates that fail": (states({"s": 0.5}, rates=staticmethod(lambda y, x, p: (1 / 0,))), "rates fails with ZeroDivisionError"),
    "rates of a stranger": (states({"s": 0.5}, rates=staticmethod(lambda y, x, p: (y.t,))), "rates uses a name that no table declares"),
    "a flux as a tuple": ({"flux": staticmethod(lambda y, x, p: (0.0,))}, "flux returned (0.0,), expected one number"),
    "no flux": ({"flux": staticmethod(lambda y, x, p: None)}, "flux returned None, expected one number"),
    "a complex flux": ({"flux": staticmethod(lambda y, x, p: (-1.0) ** 0.5)}, "expected one number"),
    "a flux that is not finite": ({"flux": staticmethod(lambda y, x, p: math.inf)}, "flux = inf is not finite at ca=0.05; k=1e-05"),
    "an open probability of 5": (
        {"open_probability": staticmethod(lambda y, x, p: 5.0)},
        "open_probability = 5 at rest (ca=0.05), expected 0 to 1",
    ),
    "an edge": ({"edges": staticmethod(lambda p: 0.5)}, "edges returned 0.5, expected a tuple of finite times in ms"),
    "an edge that is no number": ({"edges": staticmethod(lambda p: (math.nan,))}, "edges returned (nan,)"),
    "an edge at infinity": ({"edges": staticmethod(lambda p: (1.0, math.inf))}, "edges returned (1.0, inf)"),
    "edges that fail": ({"edges": staticmethod(lambda p: (1 / 0,))}, "edges fails with ZeroDivisionError (division by zero) at k=1e-05"),
    "too many edges": (
        {"edges": staticmethod(lambda p: range(MOST_EDGES + 1))},
        f"edges returned {MOST_EDGES + 1} times, expected at most",
    ),
}


@pytest.mark.parametrize("case", RESULTS)
def test_a_function_that_returns_something_else_is_told_before_a_run(case):
    changed, told = RESULTS[case]
    assert told in refused(lambda: lower(point(made(**changed)())))


def test_start_values_decide_where_the_functions_are_tried():
    """With all states given there is no equilibrium to look for: the gate has none."""
    odd = made(**states({"s": 0.5}, rates=staticmethod(lambda y, x, p: (0.1,))))
    assert "outside its bounds" in refused(lambda: lower(point(odd())))
    assert lower(point(odd(initial={"s": 0.3}))).y0[0] == 0.3
    assert "initial.s: 1.5 is outside [0, 1]" in refused(lambda: odd(initial={"s": 1.5}))


def test_rows_may_be_lists_and_defaults_quantities():
    """38 um/s is 0.038 um/ms, in the unit that the row names."""
    odd = made(
        **states({"s": [2.0, 0.0, 3.0]}, rates=staticmethod(lambda y, x, p: (2.5 - y.s,))),
        params={"k": [38 * u.um / u.s, "um/ms", ["0 um/s", 1.0]], "q": ("3 s", "ms"), "größe": (None, "%", (0.0, math.inf))},
    )
    assert odd.parameter_table() == {
        "k": (0.038, "um/ms", 0.0, 1.0), "q": (3000.0, "ms", -math.inf, math.inf), "größe": (None, "%", 0.0, math.inf)
    }  # fmt: skip
    assert odd.state_table() == {"s": (2.0, 0.0, 3.0)}
    assert lower(point(odd(größe="5 %"))).y0[0] == 2.5


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (np.array([1.0, 2.0]), "2 numbers have no unit, expected an array in uM"),
        (np.array([1.0, 2.0]) * u.uM, "does more than multiply the flux, so that it is one number"),
        ([1 * u.uM], "does more than multiply the flux, so that it is one number"),
        ((1.0, 2.0), "km[0]: 1.0 has no unit"),
        (np.zeros((40, 40)) * u.uM, "is an array of shape (40, 40), expected one value per place"),
        (10**400, "has no unit"),
        (10**5000, "a value of type int has no unit"),
        ({}, "is an empty table, expected {label: value}"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_a_parameter_that_is_no_factor_is_one_number(given, told):
    """The affinity of a pump; what only multiplies the flux may differ from place to place."""
    pump = cs.get_channel("pmca/hill2")
    assert told in refused(lambda: pump(km=given))
    assert told in refused(lambda: point(pump()).swap("pmca/hill2", "pmca/hill2", km=given))


CAPPED = {"flux": staticmethod(lambda y, x, p: min(p.k, 100.0) * 1e-3 * x.ca)}


@pytest.mark.parametrize(
    "given",
    [
        [["0 um", "50 um/ms"], ["10 um", "500 um/ms"]],
        {"left": "50 um/ms", "*": "500 um/ms"},
        np.array([50.0, 500.0]) * u.um / u.ms,
    ],
    ids=["points", "labels", "array"],
)
def test_a_parameter_is_tried_with_the_sizes_that_it_has(given):
    """A density up to 100 and no more is no factor for 50 to 500, and is one for 1 to 50."""
    assert "k: does more than multiply" in refused(lambda: made(**CAPPED)(k=given))
    by_place = made(**CAPPED)(k=lambda distance: 90.0 + distance)  # up to 100 at 10 um
    strength(neurite("10 um", "0.2 um", spacing="1 um"), "plasma", by_place)
    assert "k: does more than multiply" in refused(lambda: strength(neurite("11 um", "0.2 um", spacing="1 um"), "plasma", by_place))
    made(**CAPPED)(k=[["0 um", "1 um/ms"], ["10 um", "50 um/ms"]])
    made(**CAPPED)(k="500 um/ms")


@pytest.mark.parametrize("onset", ["0 ms", "20 ms", "500 ms"])
def test_a_density_is_a_factor_where_the_flux_comes_late(onset):
    """Or never: a synapse that opens at some time, a pump that is shut off."""
    cs.get_channel("nmda/exp-ghk")(density={"a": "1 /um^2", "b": "3 /um^2"}, onset=onset)
    cs.get_channel("nmda/exp-ghk")(density={"a": "1 /um^2", "b": "3 /um^2"}, onset=onset, permeability=0 * u.um**3 / u.ms)


def test_a_name_that_no_table_declares_is_told_before_its_parameter_is_tried():
    """Whether a parameter multiplies the flux is found by calling it."""
    wrong = made(flux=staticmethod(lambda y, x, p: p.k * x.ip3))
    assert "flux uses a name that no table declares" in refused(lambda: wrong(k={"left": "1 um/s", "*": "2 um/s"}))


@pytest.mark.parametrize("given", [np.array([1.0, 2.0]), np.array([0.0, 0.0]) / u.s, [0.0], 10**400], ids=lambda v: type(v).__name__)
def test_a_number_of_a_species_or_buffer_is_one_number(given):
    """0 alone needs no unit."""
    base = {"name": "ca", "diffusion": {"cytosol": "1 um^2/s"}, "initial": {"cytosol": "1 uM"}}
    assert refused(lambda: cs.Species(**base, decay=given)).startswith("species.ca.decay: ")
    if not isinstance(given, list):  # of start values there may be several, see profiles
        assert refused(lambda: cs.Species(**base | {"initial": {"cytosol": given}})).startswith("species.ca.initial.cytosol")
    dye = {"name": "dye", "binds": "ca", "region": "cytosol", "total": "1 uM", "kon": "1 /uM/s", "koff": "1 /s"}
    assert refused(lambda: cs.Buffer(**dye, diffusion=given)).startswith("buffers.dye.diffusion: ")
    assert cs.Species(**base, decay=0).decay == cs.Buffer(**dye, diffusion=0.0).diffusion == 0.0


@pytest.mark.parametrize("listed", ["leak/linear", ["leak/linear"]])
def test_a_name_in_the_place_of_a_channel_is_told_what_to_write(listed):
    with pytest.raises(cs.InputError, match=r"write cs\.get_channel\('leak/linear'\)\(\.\.\.\)"):
        cs.Model(point().mesh, point().species, {"plasma": listed})
