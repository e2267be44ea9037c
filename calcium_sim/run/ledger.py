"""The ledger: where every mole and every charge is, and through what it moved."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ..mesh import OUTSIDE
from ..model.electrics import CHARGE
from ..plan.lower import Plan
from ..plan.state import State


@dataclass
class Ledger:
    """Running totals per species [uM um^3] and of the charge [fC]; `close` closes the books at an observation and clears ``state.moved``.

    `gained` is what came from outside since the start, `worst` the largest error of the books so far (see `drift`).
    """

    plan: Plan
    channels: dict[str, dict[str, float]] = field(default_factory=dict)
    stimuli: dict[str, dict[str, float]] = field(default_factory=dict)
    decayed: dict[str, dict[str, float]] = field(default_factory=dict)
    gained: dict[str, float] = field(default_factory=dict)
    worst: float = 0.0
    largest: dict[str, float] = field(default_factory=dict)
    start: dict[str, float] = field(default_factory=dict)

    def inject(self, name: str, species: str, amount: float) -> None:
        """Book an amount brought in by a stimulus."""
        book = self.stimuli.setdefault(species, {})
        book[name] = book.get(name, 0.0) + amount
        self._gain(species, amount)

    def _gain(self, species: str, amount: float) -> None:
        self.gained[species] = self.gained.get(species, 0.0) + amount

    def contents(self, state: State) -> dict[str, dict[str, float]]:
        """Amounts per species: free in each region, and bound to each buffer."""
        out: dict[str, dict[str, float]] = {}
        for f in self.plan.fields:
            if f.kind == "species":
                out.setdefault(f.name, {})[f"region:{f.region}"] = _total(f.capacity * state.u[f.span])
            elif f.potential:
                out[CHARGE] = {f"region:{f.region}": _total(f.capacity * state.u[f.span])}
        for buffer in self.plan.model.buffers:
            f = self.plan.fields[self.plan.index(buffer.name, buffer.region)]
            bound = out[buffer.binds]
            key = f"bound:{buffer.name}" + (f"@{buffer.region}" if f"bound:{buffer.name}" in bound else "")
            bound[key] = _total(f.capacity * (buffer.total - state.u[f.span]))
        return out

    def open(self, state: State) -> None:
        """Note what is there at the start."""
        self.start = {s: math.fsum(parts.values()) for s, parts in self.contents(state).items()}

    def amounts(self, state: State) -> list[tuple[str, str, float, float]]:
        """What the channels and decays moved since the books were closed: species, account, amount, and how much came from outside."""
        out, last = [], len(self.plan.fields) - 1
        for g in self.plan.gauges:
            amount, account = _total(g.area * state.moved[g.moved]), f"channel:{g.membrane}:{g.label}"
            inward = (1.0 if g.way[0] == OUTSIDE else -1.0) if OUTSIDE in g.way else 0.0
            moves = [(s, n) for s, n in g.carried.moves.items() if s in self.start]
            charge = [(CHARGE, g.carried.charge)] if CHARGE in self.start and any(f == last for f, _, _ in g.spec.gains) else []
            out += [(s, account, n * amount, inward * n * amount) for s, n in [*moves, *charge]]
        for h in self.plan.holders:
            account = f"stimulus:{h.number}:{CHARGE}"
            out.append((CHARGE, account, float(state.moved[h.moved]), float(state.moved[h.moved])))
        for decay, part in zip(self.plan.decays, self.plan.decay_moved, strict=True):
            f = self.plan.fields[decay.field]
            amount = _total(f.capacity * state.moved[part])
            out.append((f.name, f"decay:{f.region}", amount, -amount))
        return out

    def close(self, amounts: list[tuple[str, str, float, float]], state: State) -> None:
        """Book them, and begin again."""
        for species, account, amount, gained in amounts:
            books = {"decay": self.decayed, "stimulus": self.stimuli}.get(account.partition(":")[0], self.channels)
            book = books.setdefault(species, {})
            book[account] = book.get(account, 0.0) + amount
            self._gain(species, gained)
        state.moved[:] = 0.0

    def drift(self, state: State) -> float:
        """Largest relative error of the books at any observation so far, with the one now (which has to be booked).

        The error is what is there less (what was there at the start and what came in since), relative to the largest amount that was there
        at any observation.
        """
        for species, parts in self.contents(state).items():
            start, gained = self.start[species], self.gained.get(species, 0.0)
            error = abs(math.fsum([*parts.values(), -start, -gained]))
            self.largest[species] = max(self.largest.get(species, 0.0), abs(start), abs(start + gained))
            self.worst = max(self.worst, error / (self.largest[species] or 1.0))
        return self.worst

    def accounts(self, state: State) -> dict[str, dict[str, float]]:
        """All accounts of each species, for the result."""
        out = self.contents(state)
        for species, rows in out.items():
            for books in (self.channels, self.stimuli, self.decayed):
                rows.update(books.get(species, {}))
        return out


def _total(values: np.ndarray) -> float:
    """Sum in a fixed order and to full precision."""
    return math.fsum(values)
