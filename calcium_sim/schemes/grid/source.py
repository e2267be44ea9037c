"""Generates the step of rotationally symmetric (z, r) grids: gates, membrane fluxes and radial diffusion are solved jointly.

One step h: half a step along z and half of the stimuli | buffers and decays h/2 | joint radial step h | buffers and decays h/2 | half of
the stimuli and half a step along z (see `kernels.lines`; the halves of neighbouring steps are one solve).

The joint step is SDIRK2 (Alexander 1977, doi 10.1137/0714068), g = 1 - 1/sqrt(2), in increments: stage i with base u_i solves
``(I - g h L) d = g h (L u_i + s J)``. The solve without flux is done first; the concentrations on the membranes then depend linearly on
the fluxes J, through the response of the line to a unit flux, and Newton's method finds the J that the channels carry there, each gate
being advanced implicitly to them. One flux per membrane and species is unknown, so that the systems stay tiny. What each channel moved
is taken from the last linearisation: their sum is what was applied, to round-off. Where a state leaves its bounds, it is advanced by
backward Euler.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...compile.continued import follows, memory
from ...compile.kinetics import LocalKinetics
from ...compile.lanes import GAMMA, Lanes
from ...compile.module import HEADER, Module
from ...kernels.lines import SLICES
from .meeting import look, meeting
from .newton import AxisymmetricSpec, fallback, guess, indent, loop, newton


@dataclass(frozen=True)
class Source:
    """What is generated: the step, `look` (see `meeting`), the functions of `module` that they call at their addresses, and for each line
    the rows of the scratch array with the fluxes that feed it."""

    step: str
    look: str
    module: Module
    rows: list[list[int]]


def source(spec: AxisymmetricSpec) -> Source:
    """Return what is generated for a plan."""
    module, lanes = Module(), Lanes(width=SLICES)
    for name in _rows(spec):
        lanes.row(name)
    for write in (newton, guess, fallback):
        write(spec, module, lanes)
    across = _across(spec, lanes, module)
    rows = [[lanes.row(f"J{j}") for j in spec.responses(f)] for f in spec.lines]
    interior = "".join(_interior(kinetics, region, module, lanes) for region, kinetics in spec.interior)
    across = across.replace("SCRATCH", str(lanes.size))
    between = meeting(spec, module)
    head = module.text() if spec.watched() else HEADER  # at membranes with networks fluxes are looked at between two steps
    step = "\n".join([head, _IMPORTS, interior, across, between, _advance(spec)])
    shown = look(spec, module)
    return Source(step, "\n".join([module.text(), _IMPORTS, shown]), module, rows)


def _rows(spec: AxisymmetricSpec) -> list[str]:
    """Names of what the generated functions hand each other in rows of the scratch array."""
    names = [f"{name}{q}" for q in range(len(spec.points)) for name in "pc"] + [f"J{j}" for j in range(len(spec.unknowns))]
    names += [f"yn{r}" for r in _read(spec)] + [f"{name}{r}" for name in ("yb", "yp", "ys") for r in _gated(spec)]
    return names + [f"f{m}" for m in range(len(spec.channels))] + [f"weight{m}" for m, _ in spec.weights]


_IMPORTS = f"""
SLICES = {SLICES}
from calcium_sim.kernels.lines import (
    add_part, add_row, book, book_tile, combine, explicit_half, give, implicit_half, implicit_half_parallel, increments, inject, load_tile,
    move, move_sum, store_tile, take,
)
from calcium_sim.kernels.lanes import gather_flat, load, store
from calcium_sim.kernels.stimulus import fill_excess, table_value

U64 = np.uint64
"""


def _interior(kinetics: LocalKinetics, region: int, module: Module, lanes: Lanes) -> str:
    """The function `react<region>`: buffers and decays of a region over h, cell by cell; `at` are the tiles of its fields and decays."""
    inner = Lanes(size=lanes.size, width=lanes.width)
    names = [f"u{f}" for f in kinetics.fields]
    copies = [f"move(a, at[{n}] + here, b, U64({inner.row(name)}))" for n, name in enumerate(names)]
    loops = kinetics.reaction(module, inner, f"_in{region}")
    back = [f"move(b, U64({inner.row(name)}), a, at[{n}] + here)" for n, name in enumerate(names)]
    back += [f"add_row(b, U64({inner.row(f'x{d.field}')}), a, at[{len(names) + n}] + here)" for n, d in enumerate(kinetics.decays)]
    lanes.size = max(lanes.size, inner.size)
    lines = ["v, t = 0.0, 0.0", "for cell in range(cells):", "    here = U64(SLICES) * cell"]
    return f"\n@njit(**OPTIONS)\ndef react{region}(sites, a, b, P, at, cells, h):\n{indent(lines)}\n{indent([*copies, *loops, *back], 8)}\n"


def _across(spec: AxisymmetricSpec, lanes: Lanes, module: Module) -> str:
    """The functions `tile` (everything of a step but the z direction and the stimuli, for one tile) and `across` (for all of them)."""
    lines = ["lo = U64(SLICES) * U64(block)", "size = min(U64(SLICES), slices - lo)", "b = SB[block]", "a = SA[block]"]
    lines += ["g = GAMMA * h", "t1 = t0 + g", "t2 = t0 + 0.9999999 * h"]
    lines += [*_loads(spec, lanes), *_interior_calls(spec), *_joint(spec, lanes, module), *_interior_calls(spec), *_stores(spec, lanes)]
    given = "sites, u, Y, M, W, P, K, start, at, cells, booked, factors, responses, rows, inner, slices, SA, SB, E1, E2, t0, h, v1, v2"
    kind, options = ("prange", "parallel=True, ") if spec.parallel else ("range", "")
    text = f"\nGAMMA = {GAMMA!r}\nSIZE = SCRATCH\n\n\n@njit(**OPTIONS)\ndef tile(block, {given}):\n{indent(lines)}\n"
    # the loop stands apart from its body: what numba does to a parallel loop takes long for a large one
    calls = indent([f"for block in {kind}({_TILES}):", f"    tile(block, {given})"])
    return text + f"\n\n@njit({options}cache=True, **OPTIONS)\ndef across({given}):\n{calls}\n"


_TILES = "(slices + U64(SLICES - 1)) // U64(SLICES)"


def _gated(spec: AxisymmetricSpec) -> list[int]:
    """Rows of the states that move within the joint step."""
    return sorted({c.state + k for c in spec.channels if spec.moving(c) for k in range(len(c.cls.states))})


def _read(spec: AxisymmetricSpec) -> list[int]:
    """Rows of Y that the joint step reads."""
    rows = {
        r for c in spec.channels for r in (*range(c.state, c.state + len(c.cls.states)), *(p.index for p in c.ports if p.kind == "rate"))
    }
    return sorted(rows | {r for c in spec.channels if follows(c) for r in memory(c).continued()})


def _loads(spec: AxisymmetricSpec, lanes: Lanes) -> list[str]:
    """Fill the tile."""
    lines = [f"load_tile(u, start[{f}], lo, size, cells[{r}], a, at[{f}])" for f, r in enumerate(spec.region)]
    lines += [f"take(b, U64({lanes.row(f'yn{r}')}), Y, U64({r}), lo, size)" for r in _read(spec)]
    lines += [f"take(b, U64({lanes.row(f'weight{m}')}), W, U64({row}), lo, size)" for m, row in spec.weights]
    return lines


def _at_membranes(spec: AxisymmetricSpec, lanes: Lanes) -> list[str]:
    return [f"move(a, {_cell(spec, q)}, b, U64({lanes.row(f'c{q}')}))" for q in range(len(spec.points))]


def _joint(spec: AxisymmetricSpec, lanes: Lanes, module: Module) -> list[str]:
    """The two stages of the joint step."""
    gated, channels, ratio = _gated(spec), range(len(spec.channels)), f"{(1 - GAMMA) / GAMMA!r}"
    rows = [f"{name}{r}" for r in gated for name in ("yb", "yp")]
    lines = [*_at_membranes(spec, lanes), module.call("guess", "b", "P", "v1", "t1")]
    lines += loop(lanes, [t for r in gated for t in (f"yb{r} = yn{r}", f"yp{r} = yn{r}")], rows)
    lines += _stage_calls(spec, lanes, module, "v1", "t1", "E1")
    lines += loop(lanes, [f"A{m} = {1 - GAMMA!r} * f{m}" for m in channels], [f"A{m}" for m in channels])
    lines += _combine(spec, ratio)
    lines += loop(lanes, [t for r in gated for t in (f"yb{r} = yn{r} + {ratio} * (ys{r} - yn{r})", f"yp{r} = ys{r}")], rows)
    lines += _stage_calls(spec, lanes, module, "v2", "t2", "E2")
    lines += loop(lanes, [f"A{m} = h * (A{m} + {GAMMA!r} * f{m})" for m in channels], [f"A{m}" for m in channels])
    return [*lines, *_combine(spec, "1.0"), module.call("keep_bounds", "b", "P", "v2", "t2", "h")]


def _stores(spec: AxisymmetricSpec, lanes: Lanes) -> list[str]:
    """Write the tile back; book what channels and decays moved."""
    gated, collected = _gated(spec), len(spec.region) + len(spec.lines)
    lines = [f"store_tile(a, at[{f}], u, start[{f}], lo, size, cells[{r}])" for f, r in enumerate(spec.region)]
    lines += [f"give(b, U64({lanes.row(f'ys{r}')}), Y, U64({r}), lo, size)" for r in gated]
    lines += [f"book(b, U64({lanes.row(f'A{m}')}), M, booked[{m}] + lo, size)" for m in range(len(spec.channels))]
    for n, region in enumerate(region for region, kinetics in spec.interior for _ in kinetics.decays):
        tile = f"at[{collected + n}]"
        lines.append(f"book_tile(a, {tile}, M, booked[{len(spec.channels) + n}], lo, size, cells[{region}])")
        lines.append(f"a[{tile} : {tile} + U64(SLICES) * cells[{region}]] = 0.0")
    return lines


def _cell(spec: AxisymmetricSpec, q: int, tile: str = "at") -> str:
    p = spec.points[q]
    index = p.field if tile == "at" else len(spec.region) + spec.lines.index(p.field)
    return f"at[{index}] + U64(SLICES) * (cells[{spec.region[p.field]}] - U64(1))" if p.last else f"at[{index}]"


def _interior_calls(spec: AxisymmetricSpec) -> list[str]:
    return [f"react{r}(sites, a, b, P, inner[{n}], cells[{r}], 0.5 * h)" for n, (r, _) in enumerate(spec.interior)]


def _stage_calls(spec: AxisymmetricSpec, lanes: Lanes, module: Module, v: str, t: str, excess: str) -> list[str]:
    nf = len(spec.region)
    lines = [f"increments(a, at[{f}], at[{nf + n}], cells[{spec.region[f]}], factors[{n}])" for n, f in enumerate(spec.lines)]
    for q, p in enumerate(spec.points):
        row = f"U64({lanes.row(f'p{q}')})"
        if p.field in spec.lines:
            lines.append(f"move_sum(a, {_cell(spec, q)}, {_cell(spec, q, 'dt')}, b, {row})")
        else:
            lines.append(f"move(a, {_cell(spec, q)}, b, {row})")
        if q in spec.fed:
            lines.append(f"add_part(b, {row}, {excess}, U64({q}), lo, size)")
    return [*lines, module.call("newton", "b", "P", "K", v, t, "g", f"{t} - t0")]


def _combine(spec: AxisymmetricSpec, scale: str) -> list[str]:
    lines = []
    for n, f in enumerate(spec.lines):
        tiles = f"at[{f}], at[{len(spec.region) + n}], cells[{spec.region[f]}]"
        lines.append(f"combine(a, {tiles}, {scale}, responses[{n}], b, rows[{n}])")
    return lines


def _advance(spec: AxisymmetricSpec) -> str:
    half = "implicit_half_parallel" if spec.parallel else "implicit_half"

    def entering(name: str, time: str) -> str:
        return f"fill_excess({name}, course, enter[0], enter[1], enter[2], enter[3], {time})" if spec.fed else "pass"

    return f'''

@njit(cache=True, **OPTIONS)
def advance(sites, u, Y, M, W, P, K, start, at, cells, booked, factors, responses, rows, inner, slices, size,
            mobile, mobile_cells, numbers, halves, work, nets, C, index, near,
            fed, course, target, first, node, rate, enter, vt, vv, t, h, before, steps):
    """`steps` steps of length h from time t; half steps along z of neighbouring steps are merged."""
    SA = np.zeros(({_TILES}, size))
    SB = np.zeros(({_TILES}, SIZE))
    v0 = table_value(vt, vv, t)
    beside = np.empty((len(index), Y.shape[1]))
    excess = np.zeros((len(index), Y.shape[1]))
    E1, E2 = np.zeros(excess.shape), np.zeros(excess.shape)
    {entering("E1", "t")}
    meet(u, Y, P, W, nets, C[0], near, index, beside, excess, E1, False, 0.0, before, t, v0, 0.5 * h)
    for f in range(mobile.size):
        explicit_half(u, mobile[f], slices, mobile_cells[f], numbers[f])
    for k in range(steps):
        t0 = t + k * h
        v1 = table_value(vt, vv, t0 + GAMMA * h)
        v2 = table_value(vt, vv, t0 + 0.9999999 * h)
        {entering("E1", "t0 + GAMMA * h")}
        {entering("E2", "t0 + 0.9999999 * h")}
        inject(u, fed, course, target, first, node, rate, t0, h)
        across(sites, u, Y, M, W, P, K, start, at, cells, booked, factors, responses, rows, inner, slices, SA, SB, E1, E2, t0, h, v1, v2)
        inject(u, fed, course, target, first, node, rate, t0, h)
        between = k < steps - 1
        nodes(u, index, beside)
        for f in range(mobile.size):
            {half}(u, mobile[f], mobile_cells[f], halves[f], 2.0 if between else 1.0, work)
        last, on = before if k == 0 else h, h if between else 0.5 * h
        {entering("E1", "t0 + h")}
        meet(u, Y, P, W, nets, C[0], near, index, beside, excess, E1, between, h, last, t0 + h, v2, on)
'''
