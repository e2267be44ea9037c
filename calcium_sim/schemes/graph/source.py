"""Generates the step of general graphs (simplices, and any mesh without a faster scheme).

Strang: gates h/2 | reactions h/2 | diffusion and membrane fluxes h by RKL2, the flux in every stage | reactions h/2 | gates h/2, gates of
neighbouring steps merged. Unlike a pointwise exchange, a flux inside the stages stays accurate where the direction normal to the
membrane is resolved.

With w_j = Y_j - Y_0 and G the membrane fluxes, a stage is ``w_j = mu w_{j-1} + nu w_{j-2} + m h L w_{j-1} + (m + g) h (L Y_0 + G_0) +
m h (G(Y_{j-1}) - G_0)``; what each channel moved obeys the same recurrence.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...compile.continued import lowered
from ...compile.kinetics import LocalKinetics
from ...compile.lanes import Lanes
from ...compile.module import AT, HEADER, Module
from ...plan.specs import Binding, ChannelSpec, Decay


@dataclass(frozen=True)
class Membrane:
    """Channels of one membrane; `sides` maps a field to (region, its column there, whether it lies inside)."""

    kinetics: LocalKinetics
    states: int
    sides: dict[int, tuple[int, int, bool]]
    weights: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Region:
    """Fields of one region in the order of its columns, with their reactions."""

    fields: tuple[int, ...]
    bindings: tuple[Binding, ...]
    decays: tuple[Decay, ...]
    sources: tuple[int, ...]


@dataclass(frozen=True)
class GraphSpec:
    """What the generated step depends on."""

    regions: tuple[Region, ...]
    membranes: tuple[Membrane, ...]
    decays: int
    parallel: bool
    can_limit: bool


def source(spec: GraphSpec) -> tuple[str, Module]:
    """Return the generated module with `advance`, and that of what happens at a node (`sites`)."""
    module = Module()
    parts = [_membrane(k, m, spec, module) for k, m in enumerate(spec.membranes)]
    parts += [_region(r, region, module) for r, region in enumerate(spec.regions)]
    parts += [_transport(spec, limited) for limited in ((False, True) if spec.can_limit else (False,))]
    parts.append(_advance(spec))
    head = module.text() if module.networks.gates else HEADER
    return head + "\n" + _IMPORTS + "\n".join(parts), module


_IMPORTS = """
from calcium_sim.kernels import graph
from calcium_sim.kernels.lanes import gather, gather_sum, largest, load_column, scatter, store_column
from calcium_sim.kernels.stimulus import fill_sources, table_value

BLOCKS = graph.BLOCKS
"""


def _names(prefix: str, count: int) -> str:
    return "".join(f"{prefix}{i}, " for i in range(count))


def _blocks(body: list[str], count: str, lanes: Lanes) -> list[str]:
    head = [f"n = {count}", f"b = np.zeros({max(lanes.size, 1)})", "for lo in range(0, n, LANES):", "    size = min(LANES, n - lo)"]
    return head + ["    " + line for line in body]


def _define(name: str, arguments: str, lines: list[str], options: str = "") -> str:
    body = "\n".join("    " + line for line in lines) or "    pass"
    return f"\n@njit({options}**OPTIONS)\ndef {name}({arguments}):\n{body}\n"


def _side(m: Membrane, f: int) -> tuple[str, str, str]:
    region, column, inside = m.sides[f]
    return f"X{region}", str(column), "inside" if inside else "outside"


def _membrane(k: int, m: Membrane, spec: GraphSpec, module: Module) -> str:
    xs, ws = _names("X", len(spec.regions)), _names("N", len(spec.regions))
    kin = m.kinetics
    used = sorted({f for c in kin.channels for f in kin.reads(c)})
    lanes = Lanes()
    load = []
    for f in used:
        x, column, side = _side(m, f)
        load.append(f"gather(b, I64({lanes.row(f'u{f}')}), {x}, I64({column}), {side}, lo, size)")
    states = [(f"y{r}", r) for r in range(m.states)]
    load += lanes.copies("load", "Y", states, "lo, size, LANES")
    head = list[str]()
    own = kin.gates(module, lanes, "h")
    if any(lowered(c) and not c.paced for c in kin.channels):
        head = [f"works = {module.networks.works()}", *kin.prologue(module)]
    elif own:
        module.define(f"gate{k}", [*AT, ("h", "double")], [*kin.prologue(module), *own])
        own = [module.call(f"gate{k}", "b", "P", "v", "t", "h")]
    gates = [*load, *own, *lanes.copies("store", "Y", states, "lo, size")]
    lines = [*head, *_blocks(gates, "inside.size", lanes)] if own else []
    text = _define(f"gates{k}", f"sites, {xs}Y, inside, outside, P, nets, counts, t, v, h", lines)
    lanes = Lanes()
    body = []
    for f in used:
        x, column, side = _side(m, f)
        body.append(f"gather_sum(b, I64({lanes.row(f'u{f}')}), {x}, {x.replace('X', 'N')}, I64({column}), {side}, lo, size)")
    body += lanes.copies("load", "Y", states, "lo, size, LANES")
    body += lanes.copies("load", "W", [(f"weight{j}", row) for j, row in m.weights], "lo, size, LANES")
    fluxes = [line for j in range(len(kin.channels)) for line in lanes.loop([f"f{j} = {kin.flux(module, j, 'u')}"], [f"f{j}"])]
    module.define(f"flux{k}", AT, [*kin.prologue(module), *fluxes])
    body.append(module.call(f"flux{k}", "b", "P", "v", "t"))
    body += lanes.copies("store", "J", [(f"f{j}", j) for j in range(len(kin.channels))], "lo, size")
    lines = _blocks(body, "inside.size", lanes)
    text += _define(f"fluxes{k}", f"sites, {xs}{ws}Y, J, W, inside, outside, P, t, v", lines)
    text += _steepness(k, m, spec, module)
    spread = []
    for j, c in enumerate(kin.channels):
        for f, count, row in c.gains:
            x, column, side = _side(m, f)
            spread.append(f"scatter({x.replace('X', 'N')}, I64({column}), {side}, A[{row}], {float(count)!r} * factor, J[{j}], J0[{j}])")
    return text + _define(f"spread{k}", f"{ws}J, J0, A, inside, outside, factor", spread)


def _steepness(k: int, m: Membrane, spec: GraphSpec, module: Module) -> str:
    """The function `steep<k>`: how fast the fluxes through a membrane can move what lies beside it [1/ms], a bound of their spectrum."""
    kin, lanes, body = m.kinetics, Lanes(), list[str]()
    used = sorted({f for c in kin.channels for f in kin.reads(c)})
    for f in used:
        x, column, side = _side(m, f)
        body.append(f"gather(b, I64({lanes.row(f'u{f}')}), {x}, I64({column}), {side}, lo, size)")
    body += lanes.copies("load", "Y", [(f"y{r}", r) for r in range(m.states)], "lo, size, LANES")
    body += lanes.copies("load", "W", [(f"weight{j}", row) for j, row in m.weights], "lo, size, LANES")
    rows = sorted({row for c in kin.channels for _, _, row in c.gains})
    body += lanes.copies("load", "A", [(f"ratio{row}", row) for row in rows], "lo, size, LANES")
    terms: dict[int, list[str]] = {}
    own: list[str] = []
    for j, c in enumerate(kin.channels):
        slopes = [f"j{j}_{f}" for f in kin.depends(module, j)]
        if not slopes:
            continue
        total = " + ".join(f"abs({s})" for s in slopes)
        own += lanes.loop([*kin.slopes(module, j), f"steep{j} = {total}"], [f"steep{j}"])
        for f, count, row in c.gains:
            terms.setdefault(f, []).append(f"{abs(float(count))!r} * ratio{row} * steep{j}")
    sums = {f"speed{f}": " + ".join(parts) for f, parts in terms.items()}
    own += lanes.loop([f"{name} = {total}" for name, total in sums.items()], list(sums)) if sums else []
    module.define(f"slope{k}", AT, [*kin.prologue(module), *own])
    body.append(module.call(f"slope{k}", "b", "P", "v", "t"))
    body += [f"most = max(most, largest(b, I64({lanes.row(name)})))" for name in sums]
    lines = ["most = 0.0", *_blocks(body, "inside.size", lanes), "return most"]
    return _define(f"steep{k}", f"sites, {_names('X', len(spec.regions))}Y, W, A, inside, outside, P, t, v", lines)


def _region(r: int, region: Region, module: Module) -> str:
    lanes = Lanes()
    reacting = sorted({f for b in region.bindings for f in (b.free, b.ligand)} | {d.field for d in region.decays})
    body = [f"load_column(b, I64({lanes.row(f'u{f}')}), X, I64({region.fields.index(f)}), lo, size)" for f in reacting]
    own = LocalKinetics(tuple(reacting), (), region.bindings, region.decays, ())
    body += ["v, t = 0.0, 0.0", *own.reaction(module, lanes, f"_in{r}")] if reacting else []
    body += [f"store_column(b, I64({lanes.row(f'u{f}')}), X, I64({region.fields.index(f)}), lo, size)" for f in reacting]
    for d, decay in enumerate(region.decays):
        body += ["for i in range(size):", f"    D[{d}, lo + i] += b[{lanes.row(f'x{decay.field}')} + i]"]
    lines = _blocks(body, "X.shape[0]", lanes) if reacting else []
    return _define(f"react{r}", "sites, X, D, P, h", lines)


def _transport(spec: GraphSpec, limited: bool) -> str:
    """RKL2 over all regions with the membrane fluxes in every stage, with limited edges or without.

    J holds fluxes, J0 those at the start, B and C amounts moved; T the shares of limited edges and G what diffusion did at the start.
    """
    regions, membranes = range(len(spec.regions)), range(len(spec.membranes))
    xs = _names("X", len(regions))
    ps, ns = _names("P", len(regions)), _names("N", len(regions))
    graphs = [f"p{r}, i{r}, w{r}, q{r}, h * d{r}" for r in regions]

    def fluxes(increments: str) -> list[str]:
        return [f"fluxes{k}(sites, {xs}{increments}Y{k}, J{k}, W{k}, I{k}, O{k}, P, t, v)" for k in membranes]

    lines = ["c = graph.coefficients(s)"]
    for r in regions:
        lines += [f"S{r}, P{r}, N{r} = K{r}[0], K{r}[1], K{r}[2]", f"n{r} = X{r}.shape[0]", f"N{r}[:] = 0.0"]
        if limited:
            lines += [f"T{r}, G{r} = K{r}[3], K{r}[4]", *_rows(r, f"graph.shares(X{r}, N{r}, p{r}, i{r}, w{r}, T{r}, a, z)")]
            lines += _rows(r, f"graph.apply_limited(X{r}, N{r}, T{r}, {graphs[r]}, S{r}, a, z)")
            lines.append(f"G{r}[:] = S{r}")
        else:
            lines += _rows(r, f"graph.apply(X{r}, {graphs[r]}, S{r}, a, z)")
    lines += fluxes(ns)
    for k in membranes:
        lines += [f"J0{k}[:] = J{k}", f"J{k}[:] = 0.0"]
        lines.append(f"spread{k}({_names('S', len(regions))}J0{k}, J{k}, A{k}, I{k}, O{k}, h)")
    for r in regions:
        lines += [f"for i in range(F{r}.shape[1]):", f"    for f in range(F{r}.shape[0]):", f"        S{r}[i, f] += h * F{r}[f, i]"]
        lines += _rows(r, f"graph.first(S{r}, c[1, 3], P{r}, N{r}, a, z)")
    for k in membranes:
        lines += [f"now{k}, next{k} = B{k}, C{k}", f"now{k}[:] = c[1, 3] * h * J0{k}", f"next{k}[:] = 0.0"]
    lines.append("for j in range(2, s + 1):")
    stage: list[str] = fluxes(ps)
    for r in regions:
        if limited:
            stage += _rows(r, f"graph.shares(X{r}, P{r}, p{r}, i{r}, w{r}, T{r}, a, z)")
            stage += _rows(r, f"graph.stage_limited(P{r}, N{r}, S{r}, X{r}, T{r}, G{r}, {graphs[r]}, c[j], a, z)")
        else:
            stage += _rows(r, f"graph.stage(P{r}, N{r}, S{r}, {graphs[r]}, c[j], a, z)")
    for k in membranes:
        stage.append(f"spread{k}({ns}J{k}, J0{k}, A{k}, I{k}, O{k}, c[j, 2] * h)")
        stage.append(f"next{k}[:] = c[j, 0] * now{k} + c[j, 1] * next{k} + h * (c[j, 2] * J{k} + (c[j, 3] - c[j, 2]) * J0{k})")
        stage.append(f"now{k}, next{k} = next{k}, now{k}")
    stage += [f"P{r}, N{r} = N{r}, P{r}" for r in regions]
    lines += ["    " + line for line in stage]
    lines += [line for r in regions for line in _rows(r, f"graph.finish(P{r}, X{r}, a, z)")]
    lines += [f"M{k}[:] += now{k}" for k in membranes]
    options = "parallel=True, cache=True, " if spec.parallel else ""
    return _define("transport_limited" if limited else "transport", _arguments(spec) + "P, t, v, h, s", lines, options)


def _rows(r: int, call: str) -> list[str]:
    """A loop over fixed blocks of the rows of a region."""
    span = f"    a, z = np.uint64(k * n{r} // BLOCKS), np.uint64((k + 1) * n{r} // BLOCKS)"
    return ["for k in prange(BLOCKS):", span, f"    {call}"]


def _arguments(spec: GraphSpec) -> str:
    """Per region: values, graph (indptr, indices, weight, inverse volume), diffusion, work, sources; per membrane: states, fluxes ..."""
    text = "sites, " + "".join(f"X{r}, p{r}, i{r}, w{r}, q{r}, d{r}, K{r}, F{r}, " for r in range(len(spec.regions)))
    return text + "".join(f"Y{k}, J{k}, J0{k}, B{k}, C{k}, M{k}, W{k}, A{k}, I{k}, O{k}, " for k in range(len(spec.membranes)))


def _advance(spec: GraphSpec) -> str:
    """Steps with s stages, or with as many as diffusion and fluxes need at the start (s = 0); returns s and what they need at the end."""
    xs = _names("X", len(spec.regions))
    region_fields = [len(r.fields) for r in spec.regions]
    lines: list[str] = []

    def gates(time: str, step: str) -> list[str]:
        out = [f"v = table_value(vt, vv, {time})"]
        return out + [f"gates{k}(sites, {xs}Y{k}, I{k}, O{k}, P, nets, C[0], {time}, v, {step})" for k in range(len(spec.membranes))]

    react = [f"react{r}(sites, X{r}, D{r}, P, 0.5 * h)" for r in range(len(spec.regions))]
    body = ["t0 = t + k * h"]
    body += ["if k == 0:", *("    " + g for g in gates("t0 + 0.25 * h", "0.5 * h")), "else:"]
    body += ["    " + g for g in gates("t0", "h")]
    body += [*react, "fill_sources(S, course, target, start, node, rate, t0, h)"]
    row = 0
    for r, region in enumerate(spec.regions):
        for column, f in enumerate(region.fields):
            if f in region.sources:
                body.append(f"F{r}[{column}, :] = S[{row}, :F{r}.shape[1]]")
                row += 1
    given = f"({_arguments(spec)}P, t0 + 0.5 * h, v, h, stages)"
    limited = ["if limited:", f"    transport_limited{given}", "else:", f"    transport{given}"]
    body += ["v = table_value(vt, vv, t0 + 0.5 * h)", *(limited if spec.can_limit else [f"transport{given}"]), *react]
    lines += ["for k in range(steps):", *("    " + line for line in body), *gates("t + (steps - 0.25) * h", "0.5 * h")]
    decayed = "".join(f"D{r}, " for r in range(len(region_fields)))
    tail = "P, nets, C, S, course, target, start, node, rate, vt, vv, t, h, steps, s, limited, bound, shared"

    def needed(time: str) -> str:
        calls = [f"shared[{k}] * steep{k}(sites, {xs}Y{k}, W{k}, A{k}, I{k}, O{k}, P, {time}, v)" for k in range(len(spec.membranes))]
        return f"graph.stages_for(h, bound, {' + '.join(calls) or '0.0'})"

    choose = ["v = table_value(vt, vv, t)", f"stages = s if s else {needed('t')}"]
    lines = [*choose, *lines, "v = table_value(vt, vv, t + steps * h)", f"return stages, {needed('t + steps * h')}"]
    return _define("advance", _arguments(spec) + decayed + tail, lines, "cache=True, ")


__all__ = ["ChannelSpec", "GraphSpec", "Membrane", "Region", "source"]
