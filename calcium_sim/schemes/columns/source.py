"""Generates the kinetics of cables, trees and single points: every region has the same positions, so a node is one column.

One step over h at every position of a block of lanes: gates h/2, reactions and fluxes h, gates h/2. The loop over blocks and steps is
`kernels.columns`; with networks, which come as arguments of many types, it is generated here, too.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...compile.continued import follows, lowered, memory, midpoint, predicted
from ...compile.kinetics import LocalKinetics
from ...compile.lanes import Lanes
from ...compile.learned import Networks
from ...compile.module import Module
from ...plan.specs import ChannelSpec


@dataclass(frozen=True)
class ColumnSpec:
    """What the generated step depends on."""

    kinetics: LocalKinetics
    states: int
    ratios: int
    weights: tuple[tuple[int, int], ...]
    parallel: bool
    active: float = 0.0

    def used(self) -> list[int]:
        """Rows of Y that a step reads and writes."""
        rows = {r for c in self.kinetics.channels for r in range(c.state, c.state + len(c.cls.states))}
        rows |= {p.index for c in self.kinetics.channels for p in c.ports if p.kind == "rate"}
        return sorted(rows | {r for c in self.kinetics.channels if follows(c) for r in memory(c).all()})


@dataclass(frozen=True)
class Source:
    """What is generated: `site` for `kernels.columns`, with the elements of scratch that it needs; with networks `local` and `advance`."""

    module: Module
    scratch: int
    text: str = ""


ARRAYS = ("U", "Y", "M", "A", "W", "S")
TIMES = ("t0", "h", "before", "volts_a", "volts_b", "volts_c")
_ARGUMENTS = [("b", "row"), *((a, "matrix") for a in ARRAYS), ("P", "row"), ("n", "whole"), ("block", "whole")]
SITE = [*_ARGUMENTS, *((t, "double") for t in TIMES)]
"""How the kinetics of a block are called."""


def source(spec: ColumnSpec) -> Source:
    """Return what is generated for a plan."""
    networks = any(lowered(c) and not c.paced for c in spec.kinetics.channels)
    module, lanes = Module(), Lanes()
    module.networks.active = spec.active
    lines, head = _block(spec, module, lanes, near=not networks), spec.kinetics.prologue(module)
    if networks:
        step = _with_networks(spec, module.networks, lanes, head, lines) + _ADVANCE
        return Source(module, lanes.size, module.text() + "\n" + _IMPORTS + step)
    module.define("site", SITE, [*head, *lines])
    return Source(module, lanes.size)


_IMPORTS = """
from calcium_sim.kernels.stimulus import fill_sources, table_value
from calcium_sim.kernels.tree import diffuse
"""


def _block(spec: ColumnSpec, module: Module, lanes: Lanes, near: bool) -> list[str]:
    """Statements of one step of the kinetics of a block."""
    k, states = spec.kinetics, spec.used()
    kept = {"U": [(f"u{f}", f) for f in k.fields], "Y": [(f"y{r}", r) for r in states]}
    given = {"A": [(f"ratio{r}", r) for r in range(spec.ratios)], "S": [(f"s{f}", row) for row, f in enumerate(k.sources)]}
    given["W"] = [(f"weight{m}", row) for m, row in spec.weights]
    lines = ["lo = block * LANES", "size = min(LANES, n - lo)"]
    for array, rows in {**kept, **given}.items():
        lines += lanes.copies("load", array, rows, "lo, size, LANES")

    def first(m: int, c: ChannelSpec) -> list[str] | None:
        return predicted(lanes, m, c) if follows(c) else None

    def second(m: int, c: ChannelSpec) -> list[str] | None:
        if follows(c) and not lowered(c):
            return []
        return ["v, t = volts_b, t0 + 0.5 * h", *midpoint(module, lanes, m, c), "v, t = volts_c, t0 + 0.75 * h"] if follows(c) else None

    lines += ["v, t = volts_a, t0 + 0.25 * h", *k.gates(module, lanes, "0.5 * h", own=first)]
    seen = sorted({f for c in k.channels if follows(c) for f in memory(c).fields})
    lines += lanes.loop([f"o{f} = u{f}" for f in seen], [f"o{f}" for f in seen]) if seen else []
    lines += ["v, t = volts_b, t0 + 0.5 * h", *k.reaction(module, lanes, near=near)]
    lines += ["v, t = volts_c, t0 + 0.75 * h", *k.gates(module, lanes, "0.5 * h", own=second)]
    for array, rows in kept.items():
        lines += lanes.copies("store", array, rows, "lo, size")
    moved = [f"m{m}" for m in range(len(k.channels))] + [f"x{d.field}" for d in k.decays]
    return lines + lanes.copies("book", "M", zip(moved, range(len(moved)), strict=True), "lo, size")


def _with_networks(spec: ColumnSpec, nets: Networks, lanes: Lanes, prologue: list[str], lines: list[str]) -> str:
    """The function `local`: the kinetics of all blocks, which call networks."""
    own = ["kept = nets[-1][block]"] if nets.kept else []
    lines = [*own, "counts = C[block]", *([f"works = {nets.works()}"] if spec.parallel else []), *lines]
    head = [] if spec.parallel else [f"works = {nets.works()}"]
    head += ["n = U.shape[1]", "blocks = (n + LANES - 1) // LANES", *prologue]
    scratch = f"b = np.empty({lanes.size})"  # one for every thread
    lines = [scratch, *lines] if spec.parallel else lines
    head += [] if spec.parallel else [scratch]
    lines = [*head, f"for block in {'prange' if spec.parallel else 'range'}(blocks):", *("    " + line for line in lines)]
    text = "\n".join("    " + line for line in lines)
    options = "parallel=True, " if spec.parallel else ""
    names = "sites, U, Y, M, A, W, S, P, nets, C, t0, h, before, volts_a, volts_b, volts_c"
    return f"\n@njit({options}cache=True, **OPTIONS)\ndef local({names}):\n{text}\n"


_ADVANCE = '''

@njit(cache=True, **OPTIONS)
def advance(sites, U, Y, M, A, W, S, P, nets, C,
            course, target, start, node, rate, vt, vv, rows, runs, half, full, work, t, h, before, steps):
    """`steps` Strang steps of length h from time t; diffusion of neighbouring steps is merged."""
    diffuse(U, rows, runs, half, work)
    for k in range(steps):
        t0 = t + k * h
        fill_sources(S, course, target, start, node, rate, t0, h)
        volts_a = table_value(vt, vv, t0 + 0.25 * h)
        volts_b = table_value(vt, vv, t0 + 0.5 * h)
        volts_c = table_value(vt, vv, t0 + 0.75 * h)
        local(sites, U, Y, M, A, W, S, P, nets, C, t0, h, before if k == 0 else h, volts_a, volts_b, volts_c)
        if k < steps - 1:
            diffuse(U, rows, runs, full, work)
        else:
            diffuse(U, rows, runs, half, work)
'''
