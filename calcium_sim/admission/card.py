"""The card of a learned channel (``channel.json``): what the network reads and returns, in which units, and over which range.

Strict JSON and a closed schema: an unknown key, a key given twice, a number that is not finite or a type that does not fit is refused.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError, nearest
from ..plugin import parse_port
from .strict import MAX_CARD, Reader, strict_json

FORMAT, VERSION, MEMBER = "calcium-sim/channel", 1, "channel.json"
KINDS = ("open_prob", "hh_gates", "rates", "rhs", "step", "current")
ARGS = ("s", "x", "dx", "dt")
LAWS = {"linear": ("k",), "ohmic": ("g", "e_rev"), "ghk": ("k",), "none": ()}
LAW_UNITS = {"linear": ("um^3/ms", "um/ms"), "ohmic": ("mS/cm^2",), "ghk": ("um^3/ms", "um/ms"), "none": ()}
POLICIES = ("clamp", "warn", "error")
ACTIVATIONS = ("tanh", "sigmoid", "relu", "silu", "softplus", "identity")
OUTPUTS = ("identity", "exp", "sigmoid", "softplus")
TRANSFORMS = ("identity", "log", "log10", "asinh")
ALGEBRAIC = {"open_prob": "po", "current": "j"}
"""Kinds whose network returns a value at once; the host keeps it in a state column of this name."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*)*")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_REGION = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

__all__ = ["ALGEBRAIC", "ARGS", "KINDS", "MAX_CARD", "Card", "FastCard", "FluxCard", "InputCard", "StateCard", "card_from", "parse_card"]


@dataclass(frozen=True)
class StateCard:
    """One state column: bounds (infinite where the card says null) and start value, a number or ``"steady"``."""

    name: str
    unit: str
    low: float
    high: float
    init: float | str


@dataclass(frozen=True)
class InputCard:
    """One input column: its port, the trained range, the largest rate of change [unit/ms], and the levels at `rest` seen in training."""

    port: str
    unit: str
    low: float
    high: float
    dx_max: float | None = None
    rest: tuple[float, float] | None = None


@dataclass(frozen=True)
class FluxCard:
    """The flux law: ``linear`` k P (c_from - c_to), ``ohmic`` g P (V - e_rev), ``ghk``, or ``none`` (the network returns the flux)."""

    law: str
    moves: Mapping[str, int]
    source: str
    target: str
    unit: str
    constants: Mapping[str, float]


@dataclass(frozen=True)
class FastCard:
    """A claimed architecture: a multilayer perceptron of these widths, with a linear `skip`, input transforms and output maps."""

    layers: tuple[int, ...]
    act: str
    skip: bool
    out: tuple[str, ...]
    inputs: tuple[str, ...]
    clip: tuple[float, float] | None


@dataclass(frozen=True)
class Card:
    """A checked card; `note` says what the channel is not for; `document` is the JSON object from which it was read."""

    name: str
    kind: str
    args: tuple[str, ...]
    states: tuple[StateCard, ...]
    powers: tuple[int, ...]
    inputs: tuple[InputCard, ...]
    dtype: str
    flux: FluxCard
    out_of_range: str
    licence: str
    citation: tuple[str, ...]
    training: Mapping[str, Any]
    note: str
    fast: FastCard | None
    document: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def returns(self) -> tuple[int, ...]:
        """Column counts of what the network returns."""
        return _returns(self.kind, len(self.states))

    @property
    def columns(self) -> int:
        """Number of columns that enter the network (`dt` is one where it is listed)."""
        return _columns(self.args, len(self.states), len(self.inputs))

    def json(self) -> bytes:
        """The card as JSON text in UTF-8, keys in the order given."""
        return json.dumps(self.document, indent=1, allow_nan=False).encode()


def parse_card(data: bytes, where: str = MEMBER) -> Card:
    """Parse and check the text of a card.

    Raises
    ------
    InputError
        With the dotted key, what was found and what is expected.
    """
    return card_from(strict_json(data, where), where)


def card_from(document: Any, where: str = MEMBER) -> Card:
    """Check a card given as a JSON object (dicts, lists, strings, numbers)."""
    top = Reader(document, where)
    if (found := top.text("format")) != FORMAT:
        raise InputError(f"{where}: format", f"{found!r}, expected {FORMAT!r}")
    if (version := top.integer("version", 1, 10**6)) != VERSION:
        raise InputError(f"{where}: version", f"{version}, this release reads version {VERSION} (update calcium-sim)")
    name = top.matching("name", _NAME, "letters, digits and . _ + - / (e.g. 'ryr/dnn')")
    kind = top.choice("kind", KINDS)
    states = tuple(_state(Reader(s, f"{where}: states[{i}]")) for i, s in enumerate(top.items("states", 64)))
    inputs = tuple(_input(Reader(s, f"{where}: inputs[{i}]")) for i, s in enumerate(top.items("inputs", 64)))
    args = _args(top, kind, inputs, where)
    _check_columns(kind, states, inputs, where)
    powers = tuple(top.each_integer("powers", 0, 8, len(states))) if top.has("powers") else (1,) * len(states)
    card = Card(
        name=name,
        kind=kind,
        args=args,
        states=states,
        powers=powers,
        inputs=inputs,
        dtype=top.choice("dtype", ("float32", "float64")),
        flux=_flux(Reader(top.get("flux"), f"{where}: flux"), kind),
        out_of_range=top.choice("out_of_range", POLICIES) if top.has("out_of_range") else "clamp",
        licence=top.text("licence"),
        citation=tuple(top.each_text("citation", 64)) if top.has("citation") else (),
        training=top.mapping("training") if top.has("training") else {},
        note=top.text("note") if top.has("note") else "",
        fast=_fast(Reader(top.get("fast"), f"{where}: fast"), kind, args, len(states), len(inputs)) if top.has("fast") else None,
        document=document,
    )
    if top.has("time_unit") and top.text("time_unit") != "ms":
        raise InputError(f"{where}: time_unit", f"{document['time_unit']!r}, expected 'ms'")
    top.finish()
    return card


def _state(row: Reader) -> StateCard:
    name = row.matching("name", _IDENTIFIER, "a plain identifier")
    if keyword.iskeyword(name) or name in ALGEBRAIC.values():
        raise InputError(f"{row.where}.name", f"{name!r} is reserved, choose another")
    low, high = row.bound("min", -float("inf")), row.bound("max", float("inf"))
    if not low < high:
        raise InputError(row.where, f"min {low:g} is not below max {high:g}")
    init = row.get("init") if row.has("init") else "steady"
    if init != "steady":
        init = row.number("init")
        if not low <= init <= high:
            raise InputError(f"{row.where}.init", f"{init:g} is outside [{low:g}, {high:g}]")
    state = StateCard(name, row.text("unit"), low, high, init)
    row.finish()
    return state


def _input(row: Reader) -> InputCard:
    port = row.text("port")
    kind = parse_port(port, f"{row.where}.port")
    if kind.kind not in ("concentration", "v"):
        raise InputError(
            f"{row.where}.port", f"{port!r}, expected 'ca@cytosol' or 'v' (a rate of change is an argument: list 'dx' in args)"
        )
    if kind.kind == "concentration" and not (_IDENTIFIER.fullmatch(kind.species) and _REGION.fullmatch(kind.side)):
        raise InputError(f"{row.where}.port", f"{port!r}, expected plain names (e.g. 'ca@cytosol')")
    expected = "mV" if kind.kind == "v" else "uM"
    if (unit := row.text("unit")) != expected:
        raise InputError(f"{row.where}.unit", f"{unit!r}, expected {expected!r} for {port} (scale inside the module)")
    low, high = row.number("min"), row.number("max")
    if not low < high:
        raise InputError(row.where, f"min {low:g} is not below max {high:g}")
    if kind.kind == "concentration" and low < 0.0:
        raise InputError(f"{row.where}.min", f"{low:g}, a concentration is not negative")
    dx_max = row.number("dx_max") if row.has("dx_max") else None
    if dx_max is not None and dx_max <= 0.0:
        raise InputError(f"{row.where}.dx_max", f"{dx_max:g}, expected a number > 0")
    rest = None
    if row.has("rest"):
        first, last = row.each_number("rest", 2)
        if not low <= first <= last <= high:
            raise InputError(f"{row.where}.rest", f"[{first:g}, {last:g}], expected two levels in order, within min and max")
        rest = first, last
    row.finish()
    return InputCard(port, unit, low, high, dx_max, rest)


def _args(top: Reader, kind: str, inputs: tuple[InputCard, ...], where: str) -> tuple[str, ...]:
    args = tuple(top.each_text("args", len(ARGS)))
    if unknown := [a for a in args if a not in ARGS]:
        raise InputError(f"{where}: args", f"{unknown[0]!r}, expected some of s, x, dx, dt{nearest(unknown[0], ARGS)}")
    if list(args) != sorted(set(args), key=ARGS.index) or "x" not in args:
        raise InputError(f"{where}: args", f"{list(args)}, expected 'x' and the others once, in the order s, x, dx, dt")
    if ("dt" in args) != (kind == "step"):
        found = f"kind 'step' takes it: forward(..., dt), found {', '.join(args)}" if kind == "step" else f"kind is {kind!r}"
        raise InputError(f"{where}: args", f"'dt' belongs to kind 'step' and only to it; {found}")
    if "dx" in args and (missing := [c.port for c in inputs if c.dx_max is None]):
        raise InputError(f"{where}: inputs", f"dx_max of {missing[0]} is missing, it is needed where args has 'dx'")
    return args


def _check_columns(kind: str, states: tuple[StateCard, ...], inputs: tuple[InputCard, ...], where: str) -> None:
    if not inputs:
        raise InputError(f"{where}: inputs", "is empty, expected at least one port")
    if kind == "open_prob" and states:
        raise InputError(f"{where}: states", "kind 'open_prob' has no state, expected []")
    if kind in ("hh_gates", "rates", "rhs", "step") and not states:
        raise InputError(f"{where}: states", f"kind {kind!r} needs at least one state")
    if kind == "rates" and any((s.low, s.high) != (0.0, 1.0) for s in states):
        raise InputError(f"{where}: states", "states of kind 'rates' are fractions, expected min 0 and max 1")
    for what, names in (("states", [s.name for s in states]), ("inputs", [c.port for c in inputs])):
        if twice := [n for i, n in enumerate(names) if n in names[:i]]:
            raise InputError(f"{where}: {what}", f"{twice[0]!r} is given twice")


def _flux(row: Reader, kind: str) -> FluxCard:
    law = row.choice("law", tuple(LAWS))
    if (law == "none") != (kind == "current"):
        raise InputError(f"{row.where}.law", f"{law!r} with kind {kind!r}: law 'none' goes with kind 'current', which returns the flux")
    moves = row.mapping("moves")
    for species, count in moves.items():
        if not _IDENTIFIER.fullmatch(species) or type(count) is not int or not 0 < abs(count) <= 10:
            raise InputError(
                f"{row.where}.moves", f"{species!r}: {count!r}, expected a species and a small whole number (e.g. {{'ca': 1}})"
            )
    if law in ("linear", "ghk", "ohmic") and len(moves) != 1:
        raise InputError(f"{row.where}.moves", f"law {law!r} needs one species, found {len(moves)}")
    source, target = (row.matching(side, _REGION, "a region (e.g. 'er')") for side in ("from", "to"))
    if source == target:
        raise InputError(f"{row.where}.to", f"{target!r} is also the side 'from'")
    if law in ("ohmic", "ghk") and {source, target} != {"cytosol", "outside"}:
        raise InputError(
            row.where,
            f"law {law!r} is driven by the potential of the plasma membrane, but goes from {source!r} to {target!r}: expected 'outside' "
            "and 'cytosol' (use law 'linear')",
        )
    constants = {key: row.number(key) for key in LAWS[law]}
    if constants.get("k", constants.get("g", 0.0)) < 0.0:
        raise InputError(row.where, f"the constant of law {law!r} is negative, expected >= 0 (turn 'from' and 'to' around)")
    unit = ""
    if law != "none":
        unit = row.choice("unit", LAW_UNITS[law])
    elif row.has("unit"):
        unit = row.text("unit")
    row.finish()
    return FluxCard(law, moves, source, target, unit, constants)


def _fast(row: Reader, kind: str, args: tuple[str, ...], states: int, inputs: int) -> FastCard:
    row.choice("arch", ("mlp",))
    layers = tuple(row.each_integer("layers", 1, 4096))
    first, last = _columns(args, states, inputs), sum(_returns(kind, states))
    if len(layers) < 2 or layers[0] != first or layers[-1] != last:
        raise InputError(
            f"{row.where}.layers", f"{list(layers)}, expected first {first} (columns of args) and last {last} (columns returned)"
        )
    out = row.get("out") if row.has("out") else "identity"
    outs = tuple(row.each_choice("out", OUTPUTS, last)) if isinstance(out, list) else (row.choice("out", OUTPUTS),) * last
    transforms = tuple(row.each_choice("inputs", TRANSFORMS, first)) if row.has("inputs") else ("identity",) * first
    clip = None
    if row.has("clip"):
        low, high = row.each_number("clip", 2)
        if not low < high:
            raise InputError(f"{row.where}.clip", f"[{low:g}, {high:g}], expected the lower bound first")
        clip = (low, high)
    fast = FastCard(layers, row.choice("act", ACTIVATIONS), row.boolean("skip") if row.has("skip") else False, outs, transforms, clip)
    row.finish()
    return fast


def _returns(kind: str, states: int) -> tuple[int, ...]:
    if kind == "open_prob":
        return (1,)
    if kind == "current":
        return (1, states) if states else (1,)
    return (states, states) if kind in ("hh_gates", "rates") else (states,)


def _columns(args: tuple[str, ...], states: int, inputs: int) -> int:
    return sum({"s": states, "x": inputs, "dx": inputs, "dt": 1}[a] for a in args)
