"""What all schemes share: a class that advances the states of a plan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from ..compile.learned import Networks
from ..mesh import Mesh
from ..plan.lower import Plan
from ..plan.specs import NOTHING, Wants
from ..plan.state import Clock, State
from .pacing import Look, Pacing
from .torch_gates import TorchGates

PARALLEL_FROM = 30000
"""Nodes from which a step is spread over threads, if more than one is asked for: below they wait for each other."""


class Scheme(ABC):
    """A scheme on a plan: `take` is the step, all else has a default.

    Parameters
    ----------
    plan : Plan, lowered with the `wants` of the class.
    parallel : whether threads are used.
    networks, copies : networks of the generated code, and how many counters of what they do there are.
    look : what channels see of a state, where that is not the concentration at their nodes.

    Attributes
    ----------
    name : under which it is asked for.
    wants : what a plan has to have.
    potential : whether it advances a potential that is solved for.
    calibration : error measure of `kernels.control.pair_error` over the error of a wave's speed, measured on waves between 0.5 and
        1.3 um/ms: part of the measure is a constant displacement by the splitting, which does not accumulate.
    scheme : one line for the result.
    phases : (what happens, where it is written) in a step, in order.
    generated : files with the text that was generated for the plan.
    hint : what else a user can change where a run stops because the step is too large.
    """

    name: ClassVar[str]
    wants: ClassVar[Wants] = NOTHING
    potential: ClassVar[bool] = False
    calibration: ClassVar[float] = 1.0
    phases: tuple[tuple[str, str], ...] = ()
    hint: ClassVar[str] = ""
    scheme: str = ""
    generated: tuple[str, ...] = ()

    def __init__(
        self, plan: Plan, *, parallel: bool = False, networks: Networks | None = None, copies: int = 1, look: Look | None = None
    ) -> None:
        self.plan, self.parallel = plan, parallel
        self.networks = networks or Networks()
        self.nets, self.counts = self.networks.packed(copies)
        self.torch = TorchGates(plan)
        self.pacing = Pacing(plan, self.torch, look)

    @staticmethod
    @abstractmethod
    def fits(mesh: Mesh) -> bool:
        """Whether a mesh is one for this scheme."""

    @abstractmethod
    def take(self, state: State, h: float, steps: int, clock: Clock) -> None:
        """Take `steps` steps of length h [ms], in place, with what is paced held."""

    def timed(self, state: State, h: float) -> dict[str, Callable[[], None]]:
        """Phases of one step that can be timed apart, as calls on this state; none where a step is one fused kernel."""
        return {}

    def advance(self, state: State, h: float, steps: int, clock: Clock) -> None:
        """Take `steps` steps of length h [ms], in place."""
        take = partial(self.pacing.advance, self.take) if self.pacing.groups else self.take
        if not self.plan.placed:
            take(state, h, steps, clock)
            return
        for _ in range(steps):  # the potential of the middle is that of the step
            self.place(state, state.t + 0.5 * h)
            take(state, h, 1, clock)

    def place(self, state: State, t: float) -> None:
        """Set a potential that differs from place to place to that of a time [ms]."""
        for p in self.plan.placed:
            state.y[p.part] = p.over(self.plan.model.voltage.at(t))
