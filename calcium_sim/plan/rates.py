"""The right side of the equations in plain Python: rates of change of all that a plan's state holds. For looking, not for speed."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from ..mesh import Floats
from .lower import Plan
from .observe import flux_density, port_entries, state_rates
from .state import State


class RightSide:
    """Rates of change of a state, without stimuli: call it with a state.

    What channels see are the concentrations at the nodes of their membranes; on (z, r) grids that is half a cell away from the membrane.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.capacity = np.concatenate([f.capacity for f in plan.fields])
        self.diffusion = self._diffusion()

    def _diffusion(self) -> csr_matrix:
        """What diffusion makes of u [1/ms]."""
        rows, columns, values = [], [], []
        mesh = self.plan.model.mesh
        for f in self.plan.fields:
            edges = mesh.edges.astype(np.int64)
            inside = ((edges >= f.nodes.start) & (edges < f.nodes.stop)).all(axis=1)
            a, b = edges[inside].T - f.nodes.start + f.span.start
            flow = f.diffusion * mesh.conductance[inside]
            rows += [a, a, b, b]
            columns += [b, a, a, b]
            values += [flow, -flow, flow, -flow]
        shape = (len(self.capacity), len(self.capacity))
        flat = [np.concatenate([np.zeros(0, kind), *parts]) for parts, kind in ((values, float), (rows, int), (columns, int))]
        return csr_matrix((flat[0] / self.capacity[flat[1]], (flat[1], flat[2])), shape)

    def __call__(self, state: State) -> tuple[Floats, Floats, Floats]:
        """Rates of concentrations [uM/ms], of gates [1/ms] and of amounts moved [uM um/ms through membranes, uM/ms by decays]."""
        plan, u = self.plan, state.u
        du, dy, moved = self.diffusion @ u, np.zeros(len(state.y)), np.zeros(len(state.moved))
        for g in plan.gauges:
            moved[g.moved] = flow = flux_density(plan, g, state)
            for field, count, _ in g.spec.gains:
                entries = port_entries(plan, g, field)
                np.add.at(du, entries, count * flow * g.area / self.capacity[entries])
            for span, rate in zip(g.states, state_rates(plan, g, state), strict=False):
                dy[span] = rate
        for b in plan.bindings:
            free, ligand = plan.fields[b.free].span, plan.fields[b.ligand].span
            on, off, total = plan.parameters[b.param : b.param + 3]
            bound = on * u[free] * u[ligand] - off * (total - u[free])
            du[free] -= bound
            du[ligand] -= bound
        for d, span in zip(plan.decays, plan.decay_moved, strict=True):
            rate, rest = plan.parameters[d.param : d.param + 2]
            moved[span] = rate * (u[plan.fields[d.field].span] - rest)
            du[plan.fields[d.field].span] -= moved[span]
        return du, dy, moved
