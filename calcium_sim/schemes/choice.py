"""Which scheme advances a model on its mesh."""

from __future__ import annotations

from ..errors import InputError
from ..mesh import Axisymmetric, Columns
from ..model import Model
from ..plan.lower import lower
from .base import Stepper


def choose_stepper(model: Model, active: float = 0.0, threads: int = 1) -> Stepper:
    """Lower a model and return the stepper for its mesh: columns, (z, s) grid, or general graph; parallel where threads pay."""
    if active and not isinstance(model.mesh.structure, Columns):
        raise InputError("active", "is for cables, trees and points (leave it out)")
    plan = lower(model)
    structure, parallel = model.mesh.structure, None if threads > 1 else False
    if isinstance(structure, Columns):
        from .columns.stepper import ColumnStepper

        return ColumnStepper(plan, parallel=parallel, active=active)
    if isinstance(structure, Axisymmetric):
        from .grid.stepper import AxisymmetricStepper

        return AxisymmetricStepper(plan, parallel=parallel)
    from .graph.stepper import GraphStepper

    return GraphStepper(plan, parallel=parallel)
