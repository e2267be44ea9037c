"""The equation of a cell without space as compiled code: functions of channels as users wrote them, with their derivatives, and networks.

The unknowns are the potential and the states of all channels, in this order. Known states move by `rates`; those that are looked for by
networks of the potential, ``(xinf - y)/tau``; what a network adds beside (`Added`) has states and lines of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...compile.cache import load
from ...compile.derivative import Tangent
from ...compile.module import Module, bundle
from ...kernels.shooting import runners
from ...mesh import Floats
from ..voltage_gates import networks
from .cell import Part

MIDDLE = 1.0
"""ln of the time constant [ms] where the second output of a network is 0."""
NUDGE = 2.0**-17
"""Relative step of differences where the derivative of a function is not known."""

IMPORTS = "from calcium_sim.kernels.elementary import exp\nfrom calcium_sim.kernels.perceptron import outputs, slopes\n"


@dataclass(frozen=True)
class Added:
    """What a network brings beside channels: names of its states, lines for ``f[...]``, and for the derivatives too, sizes of scratch."""

    states: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    derivatives: tuple[str, ...] = ()


@dataclass(frozen=True)
class Equations:
    """Compiled: `march` and `shoot` as in `kernels.shooting`; row of each state, place of each unknown gate among the weights.

    Attributes
    ----------
    march, shoot : see `kernels.shooting.runners`.
    rows : {(part, state): row of the unknowns}; added states follow.
    gates : {(part, state): number of the gate}; its weights begin at this many times `networks.SIZE`.
    unknowns : their number.
    """

    march: Any
    shoot: Any
    rows: dict[tuple[int, str], int]
    gates: dict[tuple[int, str], int]
    unknowns: int


def constants(parts: Sequence[Part], span: tuple[float, float]) -> Floats:
    """Numbers that the code reads, so that it is compiled once for all cells of a kind: parameters, the range of networks, gains."""
    middle, scale = 0.5 * (span[0] + span[1]), 1.0 / (networks.REACH * (span[1] - span[0]))
    return np.array([*parts[0].constants, middle, scale, *(part.gain for part in parts)])


def equations(parts: Sequence[Part], added: Added | None = None, first: int = 0) -> Equations:
    """Write and compile the equation of a cell.

    Parameters
    ----------
    parts : its channels.
    added : a network beside them; its states stand behind those of the channels.
    first : where the weights of gates begin.
    """
    rows: dict[tuple[int, str], int] = {}
    gates: dict[tuple[int, str], int] = {}
    for m, part in enumerate(parts):
        for name in part.states:
            rows[m, name] = 1 + len(rows)
            if name in part.unknown:
                gates[m, name] = len(gates)
    module, extra = Module(), added or Added()
    own = len(parts[0].constants)
    head = [*_network(gates), f"middle, scale = q[{own}], q[{own + 1}]", "total = 0.0"]
    head += [f"gain{m} = q[{own + 2 + m}]" for m in range(len(parts))]
    plain, full = [*head], [*head, "slope = 0.0"]
    for m, part in enumerate(parts):
        bare, deep = _channel(module, m, part, rows), _channel_slopes(module, m, part, rows)
        for name in part.unknown:
            bare += _gate(rows[m, name], first + gates[m, name] * networks.SIZE, deep=False)
            deep += _gate(rows[m, name], first + gates[m, name] * networks.SIZE, deep=True)
        plain += bare
        full += deep
    plain += ["f[0] = total", *extra.lines, "return 0"]
    full += ["f[0] = total", "j[0, 0] = slope", *extra.derivatives, "return 0"]
    return _compiled(module, plain, full, rows, gates, 1 + len(rows) + len(extra.states))


def _compiled(
    module: Module, plain: list[str], full: list[str], rows: dict[tuple[int, str], int], gates: dict[tuple[int, str], int], unknowns: int
) -> Equations:
    def text(names: tuple[str, str]) -> str:
        parts = [
            f"\n@njit(**OPTIONS)\ndef {name}({arguments}):\n" + "\n".join(f"    {line}" for line in lines) + "\n"
            for name, arguments, lines in zip(names, ("s, w, q, b, f", "s, w, q, b, f, j, g"), (plain, full), strict=True)
        ]
        return f"{module.text()}\n{IMPORTS}{''.join(parts)}"

    key = hashlib.sha256(text(("values", "slopes_of")).encode()).hexdigest()[:16]
    names = f"values_{key}", f"slopes_{key}"  # compiled code that calls them is kept under their names
    made = load(text(names))
    march, shoot = runners(getattr(made, names[0]), getattr(made, names[1]))
    return Equations(march, shoot, rows, gates, unknowns)


SCRATCH = 4 * networks.WIDTH + 5 + 2 * networks.SIZE
"""Numbers of scratch memory that networks of gates use."""


def _network(gates: dict[Any, int]) -> list[str]:
    """Views of the scratch memory for the networks of gates."""
    if not gates:
        return []
    width, size = networks.WIDTH, networks.SIZE
    cuts = [("first", width), ("second", width), ("deep", width), ("back", width), ("u", 1), ("z", 2), ("zx", 2), ("zw", 2 * size)]
    lines, at = [], 0
    for name, length in cuts:
        lines.append(f"{name} = b[{at}:{at + length}]")
        at += length
    return [*lines, "dx = zx.reshape(2, 1)", f"dw = zw.reshape(2, {size})"]


def _gate(row: int, at: int, *, deep: bool) -> list[str]:
    """Lines of one gate whose steady value and time constant are a network of the potential."""
    lines = [
        "u[0] = (s[0] - middle) * scale",
        f"outputs(w, {at}, u, first, second, z)",
        "steady = 1.0 / (1.0 + exp(-z[0]))",
        f"rate = exp(-({MIDDLE!r} + z[1]))",
        f"f[{row}] = (steady - s[{row}]) * rate",
    ]
    if not deep:
        return lines
    return [
        *lines,
        f"slopes(w, {at}, u, first, second, 2, deep, back, dx, dw)",
        "bend = steady * (1.0 - steady) * rate",
        f"j[{row}, 0] = (bend * dx[0, 0] - f[{row}] * dx[1, 0]) * scale",
        f"j[{row}, {row}] = -rate",
        f"for k in range({networks.SIZE}):",
        f"    g[{row}, {at} + k] = bend * dw[0, k] - f[{row}] * dw[1, k]",
    ]


def _arguments(module: Module, part: Part, rows: list[int], shift: int | None = None) -> tuple[str, str, str]:
    """States, ports and parameters of a channel; the unknown at row `shift` is perturbed by ``d``."""
    key, spec = module.key(part.gauge.spec.cls), part.gauge.spec
    at = {k: f"s[{k}]" + (" + d" if k == shift else "") for k in (0, *rows)}
    states, ports = [at[k] for k in rows], [at[0] if p is None else f"q[{p}]" for p in part.ports]
    values = [f"q[{spec.param + k}]" for k in range(len(spec.cls.params))]
    return bundle("Y", key, states), bundle("X", key, ports), bundle("Q", key, values)


def _channel(module: Module, m: int, part: Part, rows: dict[tuple[int, str], int]) -> list[str]:
    """Lines of the current and of the known states of a channel."""
    cls, own = part.gauge.spec.cls, [rows[m, name] for name in part.states]
    key, given = module.key(cls), ", ".join(_arguments(module, part, own))
    lines = [f"total += gain{m} * flux_{key}({given})"]
    if set(part.unknown) != set(part.states):
        lines.append(f"{_names('r', len(own))} = rates_{key}({given})")
        lines += [f"f[{k}] = r{i}" for i, (k, name) in enumerate(zip(own, part.states, strict=True)) if name not in part.unknown]
    return lines


def _channel_slopes(module: Module, m: int, part: Part, rows: dict[tuple[int, str], int]) -> list[str]:
    """The same with derivatives."""
    own = [rows[m, name] for name in part.states]
    lines = _channel(module, m, part, rows)
    known = [i for i, name in enumerate(part.states) if name not in part.unknown]
    for k in (0, *own):
        lines += _along(module, part, own, "flux", k, 1)
        lines.append(f"{'slope +' if k == 0 else f'j[0, {k}] '}= gain{m} * d0")
        if known:
            lines += _along(module, part, own, "rates", k, len(own))
            lines += [f"j[{own[i]}, {k}] = d{i}" for i in known]
    return lines


def _along(module: Module, part: Part, own: list[int], which: str, k: int, count: int) -> list[str]:
    """Lines for ``d0``, ``d1``, ...: derivatives of a function of a channel by the unknown at row k."""
    cls = part.gauge.spec.cls
    moving = [n for n, p in zip(cls.reads, part.ports, strict=True) if p is None] if k == 0 else [part.states[own.index(k)]]
    found = module.slopes(cls, which, 1 if k == 0 else 0, moving)
    given = ", ".join(_arguments(module, part, own))
    if found is not None:
        lines = [f"d{i} = 0.0" for i in range(count)]
        for tangent in found.values():
            lines += _called(tangent, given)
        return lines
    name, shifted = f"{which}_{module.key(cls)}", ", ".join(_arguments(module, part, own, k))
    plus, minus = (_names(letter, count) if which == "rates" else f"{letter}0" for letter in "ac")
    lines = [f"d = {NUDGE!r} * (1.0 + abs(s[{k}]))", f"{plus} = {name}({shifted})", "d = -d", f"{minus} = {name}({shifted})"]
    return [*lines, *(f"d{i} = (c{i} - a{i}) / (2.0 * d)" for i in range(count))]


def _called(tangent: Tangent, given: str) -> list[str]:
    out = [f"t{i}" for i in range(tangent.values + len(tangent.active))]
    lines = [f"{', '.join(out)}{',' if len(out) == 1 else ''} = {tangent.name}({given})"]
    return lines + [f"d{i} = d{i} + t{tangent.values + place}" for place, i in enumerate(tangent.active)]


def _names(letter: str, count: int) -> str:
    return ", ".join(f"{letter}{i}" for i in range(count)) + ("," if count == 1 else "")
