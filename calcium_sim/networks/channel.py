"""Learned channels as channel classes: a file becomes a subclass of `Channel` whose `gate` is a `LearnedGate`.

The class carries the tables (ports, states, parameters, what it moves) and the flux law as a plain function. What the network returns at
once, without a state of its own (``po`` of kind ``open_prob``, ``j`` of kind ``current``), is a column among the states as well, so that
the flux law and the recorder find every value in ``y``.
"""

from __future__ import annotations

import hashlib
import json
import linecache
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..admission.admit import Admitted, admit_bytes
from ..admission.archive import read_file
from ..admission.card import ALGEBRAIC, Card, FluxCard, InputCard, StateCard
from ..errors import InputError, file_path
from ..plugin import Channel, TorchGate, check_class
from ..plugin.ions import CHARGES, FARADAY
from . import trial
from .inputs import Array, Columns
from .weights import Weights, weights_of_bytes

SUFFIXES = (".pt", ".npz")
CURRENT = 1e4 / FARADAY
"""Flux [uM um/ms] of a current of 1 uA/cm^2 carried by single charges: 1e4 / Faraday's constant."""


@dataclass(frozen=True, kw_only=True)
class LearnedGate(TorchGate):
    """The gate of a learned channel: all that lowering needs.

    Attributes
    ----------
    file, inputs, outputs, format : as in `TorchGate`: path, names of the input ports in ``x``, names of the network's columns in ``y``.
    sha256, content : hash and bytes of the file.
    card : kind, states with bounds and start, inputs with ranges, arguments, powers, flux law, policy out of range.
    admitted : what torch may load (``format == "torchscript"``).
    weights : the arrays (``format == "weights"``).
    cache : `module` and `program`, filled on first use.
    """

    sha256: str
    content: bytes = field(repr=False)
    card: Card
    admitted: Admitted | None = field(default=None, repr=False)
    weights: Weights | None = field(default=None, repr=False)
    cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def kind(self) -> str:
        """One of ``open_prob hh_gates rates rhs step current``."""
        return self.card.kind

    @property
    def at_once(self) -> bool:
        """Whether the network has no past: it returns an open probability or a flux, and no state of its own moves."""
        return self.kind in ALGEBRAIC and not self.states

    @property
    def states(self) -> tuple[StateCard, ...]:
        """The network's own states (without the columns that it returns at once)."""
        return self.card.states

    @property
    def ports(self) -> tuple[InputCard, ...]:
        """Ports, trained ranges and largest rates of change, in the order of the network's columns."""
        return self.card.inputs

    @property
    def args(self) -> tuple[str, ...]:
        """Arguments of the network, some of ``s x dx dt`` in this order."""
        return self.card.args

    @property
    def powers(self) -> tuple[int, ...]:
        """Exponent of each state in the open probability."""
        return self.card.powers

    @property
    def flux(self) -> FluxCard:
        """Flux law and its constants."""
        return self.card.flux

    @property
    def out_of_range(self) -> str:
        """What happens to inputs outside the trained range: ``clamp``, ``warn`` or ``error``."""
        return self.card.out_of_range

    @property
    def program(self) -> Any:
        """The lowered network, or None before lowering has set it."""
        return self.cache.get("program")

    def set_program(self, program: Any) -> None:
        """Keep what the network was lowered to."""
        self.cache["program"] = program

    def module(self) -> Any:
        """The frozen torch module of a TorchScript file; tried in a process of its own before the first load here."""
        if self.admitted is None:
            raise InputError(self.file, "is a weights file, it has no torch module")
        if "module" not in self.cache:
            from . import torchscript

            trial.probe(self.admitted)
            self.cache["module"] = torchscript.load_module(self.admitted)
        return self.cache["module"]

    def evaluate(self, columns: Columns) -> tuple[Array, ...]:
        """The reference: what the network itself returns, one array ``[N, k]`` per output."""
        if self.weights is not None:
            return self.weights.evaluate(columns)
        from . import torchscript

        return torchscript.evaluate(self.module(), columns)


def load_channel(path: str | os.PathLike[str], trust: str | None = None) -> type[Channel]:
    """Return the channel class of a learned channel file (``.pt`` TorchScript, ``.npz`` weights); everything is read from its card.

    The file is examined before torch sees any of it, and a ``.pt`` is tried in a process of its own before it first runs.

    Parameters
    ----------
    path : the file, written by `export_channel` or `save_weights`.
    trust : ``"sha256:..."``, to run a ``.pt`` that a rule refuses.

    Returns
    -------
    type[Channel]
        A class; call it with parameters (``density=...``) to get a channel.

    Raises
    ------
    InputError
        One line that names the file, the member and the rule.
    """
    return channel_class(load_gate(file_path(path, "path"), trust))


def load_gate(path: str | os.PathLike[str], trust: str | None = None) -> LearnedGate:
    """Read and examine a channel file; see `load_channel`."""
    if Path(path).suffix.lower() == ".pt2":
        raise InputError(str(path), "torch.export files run pickled code when they are loaded, export the module with export_channel (.pt)")
    return gate_of_bytes(read_file(Path(path)), str(path), trust)


def gate_of_bytes(content: bytes, file: str, trust: str | None = None) -> LearnedGate:
    """Examine the bytes of a channel file; its name says of which kind it is."""
    if file.lower().endswith(".npz"):
        if trust is not None:
            raise InputError(file, "a weights file holds no code and needs no trust")
        weights = weights_of_bytes(content, file)
        inputs, outputs = _names(weights.card)
        digest, card = weights.sha256, weights.card
        return LearnedGate(file, inputs, outputs, "weights", sha256=digest, content=content, card=card, weights=weights)
    admitted = admit_bytes(content, file, trust)
    inputs, outputs = _names(admitted.card)
    return LearnedGate(file, inputs, outputs, sha256=admitted.sha256, content=content, card=admitted.card, admitted=admitted)


def carried(file: str, content: bytes) -> type[Channel]:
    """The channel class of a file that came along with a description, from another process or a file."""
    known = _classes.get((hashlib.sha256(content).hexdigest(), Path(file).name))
    return channel_class(gate_of_bytes(content, file)) if known is None else known


_classes: dict[tuple[str, str], type[Channel]] = {}
"""Classes made in this process, by hash and name of the file: what comes along is the first one."""


def resolve(cls: type[Channel]) -> LearnedGate | None:
    """The gate of a channel class: None of a classic channel; a `TorchGate` named in a class is read from beside the class's file."""
    gate = getattr(cls, "gate", None)
    if gate is None or isinstance(gate, LearnedGate):
        return gate
    if not isinstance(gate, TorchGate):
        raise InputError(f"{cls.label()}.gate", f"{gate!r}, expected TorchGate(file, inputs=..., outputs=...)")
    home = getattr(sys.modules.get(cls.__module__), "__file__", None)
    file = Path(gate.file)
    if not file.is_absolute() and home is not None and (Path(home).parent / file).exists():
        file = Path(home).parent / file
    found = load_gate(file)
    card = found.card
    ports = tuple(cls.reads.get(name, "") for name in gate.inputs)
    if ports != tuple(c.port for c in card.inputs):
        raise InputError(f"{cls.label()}.gate", f"inputs {list(ports)}, the card of {file.name} reads {[c.port for c in card.inputs]}")
    if len(gate.outputs) != len(found.outputs):
        raise InputError(f"{cls.label()}.gate", f"outputs {list(gate.outputs)}, the network has {list(found.outputs)}")
    if missing := [name for name in gate.outputs if name not in cls.states]:
        raise InputError(
            f"{cls.label()}.gate", f"output '{missing[0]}' is not among the states, expected states = {{'{missing[0]}': start}}"
        )
    resolved = replace(found, file=str(file), inputs=tuple(gate.inputs), outputs=tuple(gate.outputs))
    cls.gate = resolved  # type: ignore[attr-defined]
    return resolved


def channel_class(gate: LearnedGate) -> type[Channel]:
    """Build the channel class of a gate from its card."""
    card, key = gate.card, (gate.sha256, Path(gate.file).name)
    reads = {name: c.port for name, c in zip(gate.inputs, card.inputs, strict=True)}
    if "dx" in card.args:
        reads.update({f"d_{name}": f"d({c.port})" for name, c in zip(gate.inputs, card.inputs, strict=True)})
    flux, params = _flux(card, reads)
    states = {s.name: (s.init if isinstance(s.init, float) else _middle(s), s.low, s.high) for s in card.states}
    if card.kind in ALGEBRAIC:
        bounds = (0.0, 1.0) if card.kind == "open_prob" else (-float("inf"), float("inf"))
        states[ALGEBRAIC[card.kind]] = (0.0, *bounds)
    source = "; ".join(card.citation) or f"{card.name}, sha256:{gate.sha256[:12]}"
    body: dict[str, Any] = {
        "__doc__": _about(card, Path(gate.file).name),
        "name": card.name,
        "across": (card.flux.source, card.flux.target),
        "reads": reads,
        "states": states,
        "params": params,
        "moves": dict(card.flux.moves),
        "source": source,
        "note": card.note,
        "gate": gate,
        "origin": classmethod(lambda cls: (carried, (gate.file, gate.content))),
        "known_by": key,
        "flux": staticmethod(flux),
        "__module__": __name__,
    }
    if card.kind != "current":
        text = f"def open_probability(y, x, p):\n    return {_open(card)}\n"
        body["open_probability"] = staticmethod(_function("open_probability", text))
    cls = type(
        "".join(part.title() for part in card.name.replace("/", "-").split("-") if part.isidentifier()) or "Learned", (Channel,), body
    )
    check_class(cls)
    _classes.setdefault(key, cls)
    return cls


def _about(card: Card, file: str) -> str:
    """What `calcium-sim channels show` says: the file, ranges, and what the card tells about training, a row each."""
    rows = [f"Learned channel {card.name} ({card.kind}), from {file}; licence {card.licence}.", ""]
    rows += [f"trained on {told}" for told in trained(card)]
    if not {"error", "errors"} & set(card.training):
        rows.append("error: none on its card (export_channel(..., reference=(inputs, outputs)) computes it)")
    return "\n".join([*rows, *(f"{key}: {plainly(value)}" for key, value in card.training.items())])


def trained(card: Card) -> list[str]:
    """The trained range of each input, and what happens beyond."""
    beyond = {"clamp": "held at the bound", "warn": "extrapolated", "error": "the run stops"}[card.out_of_range]
    found = []
    for c in card.inputs:
        extra = "" if c.dx_max is None else f", changing by up to {c.dx_max:g} {c.unit}/ms"
        extra += "" if c.rest is None else f"; at rest {c.rest[0]:g} to {c.rest[1]:g} {c.unit}"
        found.append(f"{c.port} from {c.low:g} to {c.high:g} {c.unit}{extra}; beyond: {beyond}")
    return found


def plainly(value: Any) -> str:
    """What a card tells of training, to be read: text as it is, a table as ``key value, key value``."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plainly(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return f"[{', '.join(map(plainly, value))}]"
    return value if isinstance(value, str) else f"{value:.4g}" if isinstance(value, float) else json.dumps(value)


def _names(card: Card) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Attribute names in ``x`` of the inputs, and in ``y`` of the columns."""
    inputs = tuple(_port_name(c.port) for c in card.inputs)
    outputs = tuple(s.name for s in card.states)
    return inputs, (*outputs, ALGEBRAIC[card.kind]) if card.kind in ALGEBRAIC else outputs


def _port_name(port: str) -> str:
    return port.replace("@", "_").replace("-", "_")


def _middle(state: StateCard) -> float:
    """A start value for a state that starts at its equilibrium: zero, or the nearest bound."""
    return min(max(0.0, state.low), state.high)


def _open(card: Card) -> str:
    """Source of the open probability: the column of ``open_prob``, or the product of the gates' powers."""
    if card.kind == "open_prob":
        return "y.po"
    factors = [f"y.{s.name}" + (f" ** {n}" if n > 1 else "") for s, n in zip(card.states, card.powers, strict=True) if n]
    return " * ".join(factors) or "1.0"


def _flux(card: Card, reads: dict[str, str]) -> tuple[Callable[..., float], dict[str, tuple[Any, ...]]]:
    """The flux law as a plain function, and its parameter table; ports that only the flux needs are added to `reads`."""
    law = card.flux
    params: dict[str, tuple[Any, ...]] = {"density": (None, "1/um^2", (0.0, 1e6))}
    if law.unit != "um^3/ms":
        params = {"density": (1.0, "1", (0.0, 1e6))}
    if law.law == "none":
        return _function("flux", "def flux(y, x, p):\n    return p.density * y.j\n"), params
    opened = _open(card)
    if law.law == "ohmic":
        charge = _charge(card)
        params["g"] = (law.constants["g"], "mS/cm^2", (0.0, 1e6))
        params["e_rev"] = (law.constants["e_rev"], "mV", (-1e3, 1e3))
        v = _read(reads, "v")
        sign = -CURRENT / charge if law.target in INSIDE else CURRENT / charge
        return _function("flux", f"def flux(y, x, p):\n    return {sign!r} * p.density * p.g * ({opened}) * (x.{v} - p.e_rev)\n"), params
    species = next(iter(law.moves))
    c_from, c_to = (f"x.{_read(reads, f'{species}@{side}')}" for side in (law.source, law.target))
    params["k"] = (law.constants["k"], law.unit, (0.0, 1e6))
    if law.law == "linear":
        return _function("flux", f"def flux(y, x, p):\n    return p.density * p.k * ({opened}) * ({c_from} - {c_to})\n"), params
    params["temperature"] = (310.0, "K", (270.0, 330.0))
    v = _read(reads, "v")
    turn = _charge(card) if law.target in INSIDE else -_charge(card)
    return _function("flux", _GHK.format(factor=f"{turn * 96485.0 / 8314.0!r}", v=v, opened=opened, c_from=c_from, c_to=c_to)), params


INSIDE = ("cytosol",)
"""Regions on the inner side of a membrane potential V = inside - outside."""

_GHK = """def flux(y, x, p):
    xi = {factor} * x.{v} / p.temperature
    if abs(xi) < 1e-5:
        return p.density * p.k * ({opened}) * ({c_from} * (1.0 - 0.5 * xi) - {c_to} * (1.0 + 0.5 * xi))
    xi = min(max(xi, -300.0), 300.0)
    return p.density * p.k * ({opened}) * xi * ({c_from} / math.expm1(xi) - {c_to} / (1.0 - math.exp(-xi)))
"""


def _charge(card: Card) -> int:
    species = next(iter(card.flux.moves), "")
    if species not in CHARGES:
        raise InputError(f"{card.name}: flux.moves", f"law '{card.flux.law}' needs an ion of known charge, one of {', '.join(CHARGES)}")
    return CHARGES[species]


def _read(reads: dict[str, str], port: str) -> str:
    """The name under which a port is read, added if need be."""
    for name, known in reads.items():
        if known == port:
            return name
    reads[_port_name(port)] = port
    return _port_name(port)


def _function(name: str, text: str) -> Callable[..., Any]:
    """Compile one function of our own making; its source is kept where `inspect` finds it, because it is copied into generated code."""
    file = f"<learned {hashlib.sha256(text.encode()).hexdigest()[:16]}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    scope: dict[str, Any] = {"math": math, "__name__": __name__}
    exec(compile(text, file, "exec"), scope)  # text is built from checked identifiers and numbers only
    function: Callable[..., Any] = scope[name]
    return function
