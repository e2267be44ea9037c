"""What a step of a cable, tree or point needs besides where its potential is solved for: the tree of conductances, electrodes, memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...kernels import cable as kernel
from ...mesh import Columns, Floats
from ...model.electrics import Cable, charged
from ...plan.lower import Plan
from ...plan.state import State

ROWS = 3
"""Of the system that the positions and the tree hand to each other, see `kernels.cable`."""


class Electric:
    """The potential of a plan.

    Parameters
    ----------
    plan : its last field is the potential.
    sites : addresses of the gates and of the three parts of all else.
    scratch : elements of memory that a block needs; `blocks` how many there are.
    parallel : whether the blocks are worked on by all threads.
    """

    scheme = (
        "Strang: gates ROS2 | diffusion SDIRK2, reactions, fluxes and the potential of the whole cell ROS2, diffusion SDIRK2 | gates ROS2"
    )
    phases = (
        ("gates of every channel over half a step (ROS2), 64 positions at a time", "compile/module.py, in the generated file"),
        ("diffusion of every field over half a step, implicit (SDIRK2), from the tips to the soma and back", "kernels/tree.py"),
        (
            "fluxes, buffers, decays and potential over the step (ROS2): concentrations are eliminated at every position, and "
            "the potential is solved for along the tree, twice",
            "compile/joint.py, in the generated file; kernels/cable.py",
        ),
        ("diffusion over the other half, gates over the other half; those of two steps are one", "kernels/cable.py"),
    )

    def __init__(self, plan: Plan, sites: tuple[int, ...], scratch: int, blocks: int, parallel: bool) -> None:
        mesh, voltage, field = plan.model.mesh, plan.model.voltage, plan.potential
        assert isinstance(mesh.structure, Columns)
        assert isinstance(voltage, Cable)
        assert field is not None
        there, n = charged(mesh, voltage), len(field.capacity)
        self.sites, self.memory = sites, (np.zeros((blocks, scratch)), np.zeros((4, n)))
        self.system = np.zeros((ROWS, n))
        self.tree = np.ascontiguousarray(mesh.structure.parent, np.int64), there.axial, np.array(field.capacity)
        self.holders, self.places = _holders(plan), np.array([h.moved for h in plan.holders], np.int64)
        self.gates, self.local, self.advance = (
            (kernel.gates_parallel, kernel.local_parallel, kernel.advance_parallel)
            if parallel
            else (kernel.gates, kernel.local, kernel.advance)
        )

    def given(self, others: tuple[Any, ...]) -> tuple[Any, ...]:
        """What the step is called with first, before times."""
        b, memory = self.memory
        return self.sites, b, (*others, self.system), self.tree, memory, self.holders

    def booked(self, state: State, held: Floats) -> None:
        """Put down the charge that electrodes have brought."""
        np.add.at(state.moved, self.places, held)


def _holders(plan: Plan) -> tuple[Any, ...]:
    """Electrodes that hold a potential: positions, conductances, and their tables one behind the other."""
    tables = [np.array(h.protocol, float).reshape(-1, 2) for h in plan.holders]
    first = np.cumsum([0, *map(len, tables)]).astype(np.int64)
    times, values = (np.concatenate([np.zeros(0), *(t[:, k] for t in tables)]) for k in (0, 1))
    return np.array([h.position for h in plan.holders], np.int64), np.array([h.conductance for h in plan.holders]), first, times, values
