"""What networks saw and returned in a run, told: at once where a card asks for it, and once at the end, with numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import RunStopped, warn
from ..mesh import Floats
from ..networks.watches import Item, Seen, Watches, totals

FEW = 100
"""So many evaluations outside the trained range are kept in the result, but no reason for a warning: a trial step that is repeated, a
first moment. It is a number and no share, because the share depends on how much quiet cell there is."""


class Ranges:
    """Reads what was noted; `parts` are watches with their rows, those of the compiled step and those of gates that run in torch."""

    def __init__(self, parts: Sequence[tuple[Watches, Floats]]) -> None:
        self.parts = parts
        self.any = any(watches.items for watches, _ in parts)
        self.first: dict[tuple[str, str, bool], float] = {}
        self.warned: set[str] = set()
        self.known: list[bytes] = []

    @property
    def rows(self) -> list[Floats]:
        """The rows in which is noted, which belong to the steppers."""
        return [counts for _, counts in self.parts]

    def _seen(self) -> dict[tuple[str, str, bool], tuple[Item, Seen]]:
        """By network, what, and whether it is an output; channels with one name are added up."""
        found: dict[tuple[str, str, bool], tuple[Item, Seen]] = {}
        for watches, counts in self.parts:
            for item, new in totals(watches, counts):
                key = item.gate.card.name, item.what, item.output
                found[key] = item, new if key not in found else found[key][1].plus(new)
        return found

    def check(self, t: float) -> None:
        """Look at what was noted up to time t [ms].

        Raises
        ------
        RunStopped
            If a network returned no number within its range, or left it although its card says ``error``.
        """
        if not self.any:
            return
        noted = [(counts[:, :, 1:5:3] > 0.0).any(axis=0).tobytes() for watches, counts in self.parts if watches.items]
        if noted == self.known:  # asked at every output: the same inputs and outputs as before have been outside, or no number
            return
        if name := self.faulty(within=True):
            raise RunStopped(f"run stopped by t={t:.6g} ms: {broken(name)}")
        for key, (item, seen) in self._seen().items():
            if not seen.outside:
                continue
            self.first.setdefault(key, t)
            name, policy = item.gate.card.name, item.gate.out_of_range
            if item.output or policy == "clamp":
                continue
            told = f"'{name}' was evaluated outside its trained range ({_told(item, seen)})"
            if policy == "error":
                raise RunStopped(f"run stopped by t={t:.6g} ms: {told}")
            if name not in self.warned:
                self.warned.add(name)
                warn(f"{told}, first by t={t:.6g} ms")
        self.known = noted

    def faulty(self, within: bool = False) -> str | None:
        """A network that returned no numbers though all it was given were numbers (`within`: and are always within its range)."""
        for (name, _, _), (item, seen) in self._seen().items():
            if seen.no_numbers and (not within or item.gate.out_of_range == "clamp"):
                return name
        return None

    def clear(self) -> None:
        """Forget what was noted."""
        for watches, counts in self.parts:
            counts[:] = watches.counts(len(counts))

    def attribute(self) -> dict[str, dict[str, dict[str, Any]]]:
        """What lay outside, by network and input (or output): evaluations, how many outside, extremes, bounds, by which time [ms]."""
        out: dict[str, dict[str, dict[str, Any]]] = {}
        for key, (item, seen) in self._seen().items():
            own = out.setdefault(key[0], {})
            if seen.outside:
                own[item.what] = {
                    "outside": seen.outside,
                    "evaluations": seen.evaluations,
                    "seen": [seen.lowest, seen.highest],
                    "range": [item.low, item.high],
                    "first_ms": self.first.get(key),
                }
        return out

    def conclude(self) -> None:
        """Warn once of every network that left its range more than `FEW` times, or that broke its bounds."""
        told: dict[tuple[str, bool], list[str]] = {}
        for key, (item, seen) in self._seen().items():
            if seen.outside > (0 if item.output else FEW) and f"{key} at the end" not in self.warned:
                self.warned.add(f"{key} at the end")
                first = f", first by t={self.first[key]:.6g} ms" if key in self.first else ""
                told.setdefault((key[0], item.output), []).append(_told(item, seen) + first)
        policies = {item.gate.card.name: item.gate.out_of_range for item, _ in self._seen().values()}
        for (name, output), lines in told.items():
            if output:
                end = "the bound was taken instead (the network is faulty there)"
                warn(f"'{name}' returned values out of bounds: {'; '.join(lines)}; {end}")
            else:
                end = "it was shown the bound" if policies[name] == "clamp" else "it extrapolates there"
                warn(f"'{name}' was evaluated outside its trained range: {'; '.join(lines)}; {end} (train it on a wider range)")


def broken(name: str) -> str:
    """What to say of a network that returns no numbers."""
    return f"the network of '{name}' returned no number (NaN) for inputs that are numbers (it is faulty there)"


def _told(item: Item, seen: Seen) -> str:
    share = 100.0 * seen.outside / max(1, seen.evaluations)
    unit = f" {item.unit}" if item.unit else ""
    low, high = f"{seen.lowest:.4g}", f"{seen.highest:.4g}"
    if seen.lowest > item.high:
        value = f"up to {high}"
    elif seen.highest < item.low:
        value = f"down to {low}"
    else:
        value = f"from {low} to {high}"
    allowed = "range" if not item.output else "bounds"
    return f"{item.what} {seen.outside} times of {seen.evaluations} ({share:.2g} %), {value}{unit}, {allowed} {item.low:g} to {item.high:g}"
