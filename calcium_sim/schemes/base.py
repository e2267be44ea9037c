"""What a run asks of a scheme."""

from __future__ import annotations

from typing import Any, Protocol

from ..compile.learned import Networks
from ..plan.lower import Plan
from ..plan.state import Clock, State
from .pacing import Pacing
from .torch_gates import TorchGates


class Stepper(Protocol):
    """What the loop asks of a scheme.

    `calibration` is the error measure of `pair_error` over the error of a wave's speed, measured on waves between 0.5 and 1.3 um/ms: part
    of the measure is a constant displacement by the splitting, which does not accumulate.
    """

    scheme: str
    plan: Plan
    calibration: float
    parallel: bool
    networks: Networks
    counts: Any
    torch: TorchGates
    pacing: Pacing

    def advance(self, state: State, h: float, steps: int, clock: Clock) -> None:
        """Take `steps` steps of length h [ms], in place."""
