"""The card of a learned channel: the documented example parses, everything else is refused with the dotted key and the fix."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from calcium_sim.admission.card import parse_card
from calcium_sim.errors import InputError

CARD: dict[str, Any] = {
    "format": "calcium-sim/channel",
    "version": 1,
    "name": "ryr/dnn",
    "kind": "rates",
    "args": ["s", "x", "dx"],
    "states": [{"name": "P", "unit": "1", "min": 0, "max": 1, "init": "steady"}],
    "powers": [1],
    "inputs": [{"port": "ca@cytosol", "unit": "uM", "min": 0.02, "max": 14, "dx_max": 60}],
    "dtype": "float32",
    "time_unit": "ms",
    "flux": {"law": "linear", "moves": {"ca": 1}, "from": "er", "to": "cytosol", "k": 0.0138427, "unit": "um^3/ms"},
    "out_of_range": "clamp",
    "training": {"data": "160 transients", "error": {"rollout_rmse_median": 0.0032, "wave_speed_rel": -0.009}},
    "licence": "MIT",
    "citation": ["arXiv:2407.15364"],
    "note": "not for trains of pulses",
    "fast": {"arch": "mlp", "layers": [3, 32, 32, 2], "act": "tanh", "skip": True, "out": "exp"},
}
OPTIONAL = ("powers", "time_unit", "out_of_range", "training", "citation", "note", "fast")


def changed(path: str, value: Any) -> bytes:
    """The card with one entry set; ``states.0.min`` reaches into it; `del` as value removes."""
    card = copy.deepcopy(CARD)
    *parents, last = path.split(".")
    place: Any = card
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if value is DELETE:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return json.dumps(card).encode()


DELETE = object()


def test_the_documented_card() -> None:
    """Every entry of the reference card is read, and written again unchanged."""
    card = parse_card(json.dumps(CARD).encode())
    assert (card.name, card.kind, card.args, card.returns, card.columns) == ("ryr/dnn", "rates", ("s", "x", "dx"), (1, 1), 3)
    assert (card.states[0].init, card.inputs[0].dx_max, card.flux.constants) == ("steady", 60.0, {"k": 0.0138427})
    assert card.fast is not None
    assert (card.fast.layers, card.fast.out, card.fast.inputs) == ((3, 32, 32, 2), ("exp", "exp"), ("identity",) * 3)
    assert json.loads(card.json()) == CARD
    assert parse_card(card.json()) == card


@pytest.mark.parametrize("key", CARD)
def test_required_and_optional_entries(key: str) -> None:
    """The documented required entries are required, the others have defaults."""
    if key in OPTIONAL:
        card = parse_card(changed(key, DELETE))
        assert (card.out_of_range, card.powers) == ("clamp", (1,))
    else:
        with pytest.raises(InputError, match=f"{key}: is missing"):
            parse_card(changed(key, DELETE))


BAD = [
    ("format", "other", "expected 'calcium-sim/channel'"),
    ("version", 2, "reads version 1"),
    ("version", True, "truth value"),
    ("version", 1.0, "whole number"),
    ("name", "a b", "expected letters"),
    ("name", "../x", "expected letters"),
    ("name", "", "one line of text"),
    ("kind", "rate", r"did you mean 'rates'\?"),
    ("kind", "current", "law 'none' goes with kind 'current'"),
    ("kind", "open_prob", "has no state"),
    ("kind", "step", "'dt' belongs to kind 'step'"),
    ("args", ["x", "s"], "in the order s, x, dx, dt"),
    ("args", ["s"], "expected 'x'"),
    ("args", ["x", "x"], "once"),
    ("args", ["x", "t"], "expected some of s, x, dx, dt"),
    ("states", {}, "expected a list"),
    ("states", [], "needs at least one state"),
    ("states.0.name", "class", "reserved"),
    ("states.0.name", "p + 1", "plain identifier"),
    ("states.0.name", "po", "reserved"),
    ("states.0.max", 2, "fractions"),
    ("states.0.min", 1, "not below"),
    ("states.0.init", 3, r"outside \[0, 1\]"),
    ("states.0.init", "rest", "finite number"),
    ("states.0.extra", 1, "unknown key"),
    ("powers", [1, 2], "2 entries, expected 1"),
    ("powers", [1.5], "whole number"),
    ("inputs", [], "at least one port"),
    ("inputs.0.port", "ca", "is not a port"),
    ("inputs.0.port", "d(ca@cytosol)", "list 'dx' in args"),
    ("inputs.0.unit", "nM", "expected 'uM' for ca@cytosol"),
    ("inputs.0.min", 20, "not below"),
    ("inputs.0.rest", [0.1, 0.05], "in order, within min and max"),
    ("inputs.0.rest", [0.0, 0.05], "in order, within min and max"),
    ("inputs.0.min", -1, "not negative"),
    ("inputs.0.min", "0.1", "is text, expected a finite number"),
    ("inputs.0.min", True, "truth value"),
    ("inputs.0.dx_max", DELETE, "dx_max of ca@cytosol is missing"),
    ("inputs.0.dx_max", 0, "> 0"),
    ("dtype", "float16", "expected one of float32, float64"),
    ("time_unit", "s", "expected 'ms'"),
    ("flux.law", "lineer", r"did you mean 'linear'\?"),
    ("flux.k", DELETE, "k: is missing"),
    ("flux.k", -1, "negative"),
    ("flux.unit", "m^3/s", "expected one of um"),
    ("flux.moves", {"ca": 0}, "small whole number"),
    ("flux.moves", {"ca": 1, "na": 1}, "needs one species"),
    ("flux.to", "er", "also the side 'from'"),
    ("flux.g", 1, "unknown key"),
    ("out_of_range", "ignore", "clamp, warn, error"),
    ("licence", " ", "one line of text"),
    ("licence", "MIT\u0007", "control character"),
    ("citation", "x", "expected a list"),
    ("extra", 1, "extra: unknown key"),
    ("licenc", "x", r"did you mean 'licence'\?"),
    ("fast.arch", "cnn", "expected one of mlp"),
    ("fast.layers", [4, 32, 2], "expected first 3"),
    ("fast.layers", [3, 32, 1], "last 2"),
    ("fast.layers", [3, 0, 2], "whole number"),
    ("fast.out", "square", "expected one of identity"),
    ("fast.out", ["exp"], "1 entries, expected 2"),
    ("fast.clip", [1, 0], "lower bound first"),
    ("fast.inputs", ["log10"], "expected 3"),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD, ids=[f"{p}={v!r}"[:40] if v is not DELETE else f"no {p}" for p, v, _ in BAD])
def test_bad_entries(path: str, value: Any, message: str) -> None:
    """One line with the key, what was found and what is expected."""
    with pytest.raises(InputError, match=message) as told:
        parse_card(changed(path, value), "a.pt: channel.json")
    assert str(told.value).startswith("a.pt: channel.json")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not strict JSON"),
        (b"[]", "a list, expected an object"),
        (b'{"a": 1, "a": 2}', "key 'a' is given twice"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a": -Infinity}', "not a number"),
        (b'{"a": 1e400}', "not finite"),
        (b'{"a": ' + b"1" * 5000 + b"}", "too large"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "not strict JSON"),
        (b'{"a": "\\ud800"}', "not"),
        (b'{"a": 1} x', "not strict JSON"),
        (b" " * 300_000, "at most 262144"),
    ],
)
def test_not_strict_json(text: bytes, message: str) -> None:
    """What is no strict JSON is refused as such."""
    with pytest.raises(InputError, match=message) as told:
        parse_card(text)
    assert "\n" not in str(told.value)


def test_states_without_bounds() -> None:
    """Null stands for no bound, for kinds whose states are not fractions."""
    card = json.loads(changed("states.0.min", None))
    card.update(kind="rhs")
    card["states"][0]["max"] = None
    del card["fast"]
    assert parse_card(json.dumps(card).encode()).states[0].low == -float("inf")
