"""Generates the step of cables, trees and single points: every region has the same positions, so a node is one column.

Strang: diffusion h/2 | gates h/2, reactions and fluxes h, gates h/2 at every position | diffusion h/2, neighbouring halves merged.
"""

from __future__ import annotations

from dataclasses import dataclass

from .codegen import LocalKinetics, Module

BLOCK = 256


@dataclass(frozen=True)
class Tracked:
    """A field whose rate of change some channel reads: rows of Y for its last value and its rate."""

    field: int
    last: int
    rate: int


@dataclass(frozen=True)
class ColumnSpec:
    """What the generated step depends on."""

    kinetics: LocalKinetics
    states: int
    ratios: int
    tracked: tuple[Tracked, ...]
    weights: tuple[tuple[int, int], ...]
    parallel: bool


def source(spec: ColumnSpec) -> str:
    """Return the generated module: `local` (one kinetic step of all columns) and `advance` (merged Strang steps)."""
    module = Module()
    local = _local(spec, module)
    return module.text() + "\n" + _IMPORTS + local + _ADVANCE


_IMPORTS = """
from calcium_sim.kernels.stimulus import fill_sources, table_value
from calcium_sim.kernels.tree import diffuse
"""


def _local(spec: ColumnSpec, module: Module) -> str:
    k = spec.kinetics
    step = ["v, t = v1, t0 + 0.25 * h", *k.gates(module, "0.5 * h")]
    step += ["v, t = v2, t0 + 0.5 * h", *k.reaction(module)]
    step += ["v, t = v3, t0 + 0.75 * h", *k.gates(module, "0.5 * h")]
    load = [f"u{f} = U[{f}, i]" for f in k.fields] + [f"y{r} = Y[{r}, i]" for r in range(spec.states)]
    load += [f"ratio{r} = A[{r}, i]" for r in range(spec.ratios)]
    load += [f"s{f} = S[{row}, i]" for row, f in enumerate(k.sources)]
    load += [f"weight{m} = W[{row}, i]" for m, row in spec.weights]
    for tr in spec.tracked:
        load += [f"y{tr.rate} = (u{tr.field} - y{tr.last}) / before", f"y{tr.last} = u{tr.field}"]
    store = [f"U[{f}, i] = u{f}" for f in k.fields] + [f"Y[{r}, i] = y{r}" for r in range(spec.states)]
    store += [f"M[{m}, i] += m{m}" for m in range(len(k.channels))]
    store += [f"M[{len(k.channels) + d}, i] += x{decay.field}" for d, decay in enumerate(k.decays)]
    prologue = k.prologue(module)
    lines = ["n = U.shape[1]", *prologue, f"for block in prange((n + {BLOCK - 1}) // {BLOCK}):"]
    lines.append(f"    for i in range(block * {BLOCK}, min(n, (block + 1) * {BLOCK})):")
    lines += ["        " + line for line in [*load, *step, *store]]
    body = "\n".join("    " + line for line in lines)
    options = "parallel=True, " if spec.parallel else ""
    return f"\n@njit({options}cache=True, **OPTIONS)\ndef local(U, Y, M, A, W, S, P, t0, h, before, v1, v2, v3):\n{body}\n"


_ADVANCE = '''

@njit(cache=True, **OPTIONS)
def advance(U, Y, M, A, W, S, P, course, target, start, node, rate, vt, vv, rows, runs, half, full, work, t, h, before, steps):
    """`steps` Strang steps of length h from time t; diffusion of neighbouring steps is merged."""
    diffuse(U, rows, runs, half, work)
    for k in range(steps):
        t0 = t + k * h
        fill_sources(S, course, target, start, node, rate, t0, h)
        v1 = table_value(vt, vv, t0 + 0.25 * h)
        v2 = table_value(vt, vv, t0 + 0.5 * h)
        v3 = table_value(vt, vv, t0 + 0.75 * h)
        local(U, Y, M, A, W, S, P, t0, h, before, v1, v2, v3)
        before = h
        if k < steps - 1:
            diffuse(U, rows, runs, full, work)
        else:
            diffuse(U, rows, runs, half, work)
'''
