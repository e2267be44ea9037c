"""Which data a network of open probability is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...plugin import Channel
from ..data.clamping import SUBSTEP
from .designs import Design

RESTS = (0.02, 0.03, 0.04, 0.07, 0.1)
"""Resting calcium [uM] of the traces that widen the trained range below and above the usual 0.05."""

USUAL_REST = 0.05

LEVELS = (*RESTS, 0.13, 0.16, 0.2)
"""The same for networks that are trained to run from any of them."""


@dataclass(frozen=True)
class Recipe:
    """Which data to train on.

    Parameters
    ----------
    traces : random transients at rest 0.05 uM (`transients`); a quarter as many more at other resting levels.
    fresh : traces for the check, never trained on.
    waves : fraction of the drawn samples that come from calcium recorded at nodes of simulated waves, on cables (`wave_traces`) and beside
        the membrane of rotationally symmetric neurites (`grid_traces`), where fronts are steeper. Of these, half and half, unless:
    trains : fraction of these that comes from trains of waves (`train_traces`). With it, transients and first waves also cover resting
        levels of 0.02 to 0.2 uM and loads of the ER; without, there are only first waves through a cell at rest at 0.05 uM. A network
        without a latent state cannot tell receptors that are inactivated, by an earlier wave or at rest, from others; one that averages
        over both opens too late in a first wave.
    duration, dt : length of a trace and interval of its samples [ms].
    substep : of the channel's own equations [ms].
    ports : port -> options of `transients`; the first port gates the channel.
    asinh : port -> rate of change [uM/ms] around which the network resolves its input du/dt.
    gates : gate -> value above which the network resolves it by its logarithm; gates that are not listed enter as they are.
    held : port -> value at which it stays, for ports that the channel reads and the network does not (``{"v": -70.0}``).
    """

    traces: int = 160
    fresh: int = 40
    waves: float = 0.0
    trains: float = 0.0
    duration: float = 200.0
    dt: float = 0.05
    substep: float = SUBSTEP
    ports: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"ca@cytosol": {}})
    asinh: Mapping[str, float] = field(default_factory=lambda: {"ca@cytosol": 0.2})
    gates: Mapping[str, float] = field(default_factory=lambda: {"m": 1e-5})
    held: Mapping[str, float] = field(default_factory=dict)

    @property
    def rests(self) -> tuple[float, ...]:
        """Resting levels [uM] of the further transients."""
        return LEVELS if self.trains else RESTS


IP3_RECIPE = Recipe(
    duration=4000.0,
    dt=0.5,
    substep=0.05,
    ports={
        "ca@cytosol": {"rise": (1.0, 150.0), "decay": (20.0, 1500.0)},
        "ip3@cytosol": {"rest": 0.04, "amplitude": (0.05, 10.0), "rise": (5.0, 300.0), "decay": (300.0, 5000.0), "ceiling": 12.0},
    },
    asinh={"ca@cytosol": 0.02, "ip3@cytosol": 0.01},
    gates={},
)
"""For IP3 receptors: seconds instead of milliseconds, and IP3 as a second port."""


DESIGN_RECIPE = Recipe(asinh={"ca@cytosol": 0.02}, gates={})
"""For designs, which turn from closing to opening at a small rate of rise."""

SLOPE_RECIPE = Recipe(ports={"ca@cytosol": {"amplitude": (0.08, 2.6), "ceiling": 2.6}})
"""For the published law: above 2.6 uM dP/dt spans so many decades that a network of dP/dt learns nothing else."""


def default_recipe(channel: Channel | Design, law: str = "rates") -> Recipe:
    """The data for a channel: seconds and a second port where it reads IP3, milliseconds otherwise; smaller pulses for ``law="slope"``."""
    if law == "slope":
        return SLOPE_RECIPE
    if isinstance(channel, Design):
        return DESIGN_RECIPE
    return IP3_RECIPE if "ip3@cytosol" in channel.reads.values() else Recipe()
