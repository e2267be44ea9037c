"""Kinetics of a node whose potential is solved for along the whole cell: ROS2 in three parts, with a solve over the tree between them.

One step of ROS2 of all concentrations and the potential of a node together, with the axial current in its right side and in its Jacobian:
what couples the nodes is the potential alone, so each stage eliminates the concentrations of a node (the potential comes last), hands over
the pivot and the right side of the potential, and goes on with what `kernels.cable` has solved. So a calcium current moves as much charge
as calcium, to round-off, and neither a stiff axial coupling nor an electrode is split from what the channels do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..kernels.cable import PIVOT, RIGHT, SOLVED
from .kinetics import LEAST, LocalKinetics
from .lanes import GAMMA, Lanes, lu_backward, lu_factor, lu_forward
from .module import Module


@dataclass(frozen=True)
class JointKinetics(LocalKinetics):
    """Text generator for the three parts; `potential` is the field that is solved for along the tree, the last one."""

    potential: int = -1

    def first(self, module: Module, lanes: Lanes) -> list[str]:
        """The Jacobian and the right side of the first stage, with the concentrations eliminated."""
        order = self._order()
        lines = [f"g = {GAMMA!r} * h"]
        for m in range(len(self.channels)):
            lines += lanes.loop(self.slopes(module, m), [f"f{m}", *(f"j{m}_{f}" for f in self.depends(module, m))])
        pattern, matrix = self._matrix(module, order)
        factor, filled = lu_factor(len(order), pattern, "w")
        last = len(order) - 1
        body = [*self._rates("u", "f", "r", "z", order, "F"), *matrix, *factor, *lu_forward(len(order), filled, "w", "F")]
        body += [f"pivot = w{last}_{last}", f"right = F{last}"]
        kept = [f"w{i}_{j}" for i, j in sorted(filled) if i != j] + [f"wd{k}" for k in range(last)]
        lines += lanes.loop(body, [*kept, *(f"F{k}" for k in range(last)), "pivot", "right"])
        return lines + lanes.copies("store", "T", [("pivot", PIVOT), ("right", RIGHT)], "lo, size")

    def second(self, module: Module, lanes: Lanes) -> list[str]:
        """From the potential of the first stage to the right side of the second."""
        order = self._order()
        last, filled = len(order) - 1, self._filled(module, order)
        lines = [f"g = {GAMMA!r} * h", *lanes.copies("load", "T", [(f"F{last}", SOLVED)], "lo, size, LANES")]
        body = lu_backward(len(order), filled, "w", "F", solved=last)
        body += [self._stage(f, k) for k, f in enumerate(order)]
        lines += lanes.loop(body, [*(f"F{k}" for k in range(last)), *(f"stage{f}" for f in order)])
        for m in range(len(self.channels)):
            lines += lanes.loop([f"later{m} = {self.flux(module, m, 'stage')}"], [f"later{m}"])
        body = [*self._rates("stage", "later", "r", "z", order, "H"), *(f"H{k} = H{k} - 2.0 * F{k}" for k in range(len(order)))]
        body += [*lu_forward(len(order), filled, "w", "H"), f"right = H{last}"]
        lines += lanes.loop(body, [*(f"H{k}" for k in range(last)), "right"])
        return lines + lanes.copies("store", "T", [("right", RIGHT)], "lo, size")

    def third(self, module: Module, lanes: Lanes) -> list[str]:
        """From the potential of the second stage to the end of the step; what was moved comes out as rows, as in `reaction`."""
        order = self._order()
        last, filled = len(order) - 1, self._filled(module, order)
        lines = [f"g = {GAMMA!r} * h", *lanes.copies("load", "T", [(f"H{last}", SOLVED)], "lo, size, LANES")]
        body = lu_backward(len(order), filled, "w", "H", solved=last)
        body += self._corrected(module, "f", "r", "z", "F", order, "p", self._rates_only("u", "r", "z"))
        body += self._corrected(module, "later", "r", "z", "H", order, "o", self._rates_only("stage", "r", "z"))
        body += [f"{a}{k} = 0.5 * h * (p{a}{k} + o{a}{k})" for a, k in self._amounts()]
        changing = [f for f in order if f != self.potential and self._changes(f)]
        body += [line for line in self._update(order) if not line.startswith(f"new{self.potential} ")]
        body.append(f"new{self.potential} = u{self.potential} + 0.5 * h * (3.0 * F{last} + H{last})")
        new = [f"new{f}" for f in [*changing, self.potential]]
        lines += lanes.loop(body, [*self._moved(), *new])
        lanes.rename({f"new{f}": f"u{f}" for f in [*changing, self.potential]})
        return lines

    def _stage(self, f: int, k: int) -> str:
        """The field at the second stage; a channel is not shown a concentration below zero (see `reaction`)."""
        moved = f"u{f} + h * F{k}"
        return f"stage{f} = {moved}" if f == self.potential else f"stage{f} = max({moved}, {LEAST!r} * u{f})"

    def _filled(self, module: Module, order: Sequence[int]) -> set[tuple[int, int]]:
        pattern, _ = self._matrix(module, list(order))
        return lu_factor(len(order), pattern, "w")[1]

    def _order(self) -> list[int]:
        return sorted(super()._order(), key=lambda f: f == self.potential)
