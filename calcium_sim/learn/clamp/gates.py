"""What is said of a gate before it is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InputError, shown

MOST = 4
"""Gates of a channel, and the highest power of one."""


@dataclass(frozen=True)
class ClampGate:
    """A gate of a channel whose currents are fitted.

    Parameters
    ----------
    name : of its state in the channel.
    opens : whether depolarisation opens it (activation) or closes it (inactivation).
    power : in the open probability.
    slow : whether a share of the channels may have a second, longer time constant at the same steady value: tails that end in two
        exponentials. O'Hara et al. (2011, doi 10.1371/journal.pcbi.1002061) describe the gate of the same current so.
    """

    name: str
    opens: bool = True
    power: int = 1
    slow: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.isidentifier()):
            raise InputError("gates", f"{shown(self.name)} is no name of a gate, expected a word (e.g. 'm')")
        for key in ("opens", "slow"):
            if not isinstance(getattr(self, key), bool):
                raise InputError(f"gates.{self.name}.{key}", f"{shown(getattr(self, key))}, expected True or False")
        if isinstance(self.power, bool) or not isinstance(self.power, int) or not 1 <= self.power <= MOST:
            raise InputError(f"gates.{self.name}.power", f"{shown(self.power)}, expected a whole number from 1 to {MOST}")


DEFAULT = (ClampGate("a", slow=True), ClampGate("r", opens=False))
"""An activation that may have a slow part, and an inactivation: most channels of potassium, hERG among them."""


def checked_gates(given: Any) -> tuple[ClampGate, ...]:
    """The gates of a channel, with names of their own.

    Raises
    ------
    InputError
        If they are none, too many, or two have one name.
    """
    example = "expected gates (e.g. [ClampGate('m', power=3), ClampGate('h', opens=False)])"
    gates = (given,) if isinstance(given, ClampGate) else tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
    if not gates or not all(isinstance(g, ClampGate) for g in gates):
        raise InputError("gates", f"{shown(given)}, {example}")
    if len(gates) > MOST:
        raise InputError("gates", f"{len(gates)} gates, expected at most {MOST}")
    names = [g.name for g in gates] + [slow_name(g) for g in gates if g.slow]
    if len(set(names)) != len(names):
        raise InputError("gates", f"the names {', '.join(names)} are not all different (a slow part is called NAME_slow)")
    return gates


def slow_name(gate: ClampGate) -> str:
    """Of the state that is the slow part of a gate."""
    return f"{gate.name}_slow"
