"""Speed of the transport kernels on one core, as million node-species advanced per second of CPU time.

``python benchmarks/kernels.py [--json] [--seconds 0.5]``. "step" is a whole step (SDIRK2: one product with L and two solves, in four passes
over the nodes; RKL2: s stages); "pass" is one sweep over the nodes (RKL2: one stage). The last column is the figure that the design
expects of a pass or stage, measured on another machine.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee
from scipy.spatial import Delaunay

from calcium_sim.kernels import axisymmetric, graph, tree

Row = dict[str, object]


def rate(run: Callable[[], object], work: float, seconds: float) -> float:
    """Millions of `work` per second: the best of several batches, in CPU time so that other processes disturb little."""
    run()
    repeats, best = 1, float("inf")
    end = time.process_time() + seconds
    while time.process_time() < end:
        start = time.process_time()
        for _ in range(repeats):
            run()
        taken = time.process_time() - start
        best = min(best, taken / repeats)
        if taken < seconds / 20:
            repeats *= 2
    return work / best / 1e6


def trees(seconds: float) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    shapes = [("cable", n, fields, 0) for n in (1_000, 10_000, 1_000_000) for fields in (1, 2, 3, 4)]
    for name, n, fields, branch in [*shapes, ("tree, branches of 20", 10_000, 3, 20), ("tree, branches of 5", 10_000, 3, 5)]:
        parent = np.maximum(np.arange(n) - 1, 0).astype(np.uint32)
        for i in range(branch, n, branch) if branch else ():
            parent[i] = i - 1 if rng.random() < 0.5 else rng.integers(max(0, i - 1000), i)
        u, c, v, d = (rng.uniform(0.5, 1, shape) for shape in [(fields, n)] * 3 + [(fields,)])
        args = (u, tree.mobile(d), tree.runs(parent), tree.factor(parent, c, v, d, 0.5), tree.workspace(n))
        step = rate(lambda args=args: tree.diffuse(*args), n * fields, seconds)
        yield {"kernel": name, "nodes": n, "species": fields, "step": step, "pass": 4 * step, "design": "700-790"}


def grids(seconds: float) -> Iterator[Row]:
    for slices, cells in [(1000, 8), (1000, 10), (1000, 20), (1000, 40), (10_000, 20)]:
        u = np.random.default_rng(1).uniform(0, 1, (slices, cells))
        work = axisymmetric.workspace(slices, cells)
        along = axisymmetric.z_factor(slices, 0.22, 0.05, 0.01)
        across = axisymmetric.radial_factor(np.linspace(0.15, 0.4, cells + 1), 0.22, 0.01)
        for name, run, factors in [("z sweep", axisymmetric.z_diffuse, along), ("radial sweep", axisymmetric.radial_diffuse, across)]:
            step = rate(lambda run=run, factors=factors, u=u, work=work: run(u, factors, work), u.size, seconds)
            yield {"kernel": f"{name}, {cells} cells", "nodes": u.size, "species": 1, "step": step, "pass": 4 * step, "design": "460-540"}


def voxels(cells: int) -> np.ndarray:
    number = np.arange(cells**3).reshape([cells] * 3)
    pairs = [np.stack([number.take(range(cells - 1), a).ravel(), number.take(range(1, cells), a).ravel()], 1) for a in range(3)]
    return np.concatenate(pairs).astype(np.uint32)


def tetrahedra(points: int) -> np.ndarray:
    """Edges of a Delaunay mesh of random points in a cube, in reverse Cuthill-McKee order."""
    cells = Delaunay(np.random.default_rng(2).uniform(0, 1, (points, 3))).simplices
    edges = np.unique(np.sort(np.concatenate([cells[:, [a, b]] for a in range(4) for b in range(a)]), axis=1), axis=0)
    rows = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(points, points)).tocsr()
    rank = np.empty(points, np.int64)
    rank[reverse_cuthill_mckee((rows + rows.T).tocsr(), symmetric_mode=True)] = np.arange(points)
    return rank[edges].astype(np.uint32)


def graphs(seconds: float, s: int = 7) -> Iterator[Row]:
    meshes = [("voxels", voxels(22), "350-700"), ("voxels", voxels(64), "350-700"), ("tetrahedra", tetrahedra(10_000), "-")]
    for name, edges, design in meshes:
        n = int(edges.max()) + 1
        rng = np.random.default_rng(3)
        rows = graph.gather_rows(edges, rng.uniform(0.5, 1, len(edges)), rng.uniform(0.5, 1, n))
        for fields in (1, 4, 8):
            x, work = rng.uniform(0, 1, (n, fields)), graph.workspace(n, fields)
            h = 0.4 * (s * s + s - 2) / graph.gershgorin(*rows)
            args = (x, *rows, np.ones(fields), h, s, work)
            step = rate(lambda args=args: graph.rkl2_diffuse(*args), x.size, seconds)
            yield {"kernel": f"{name}, {s} stages", "nodes": n, "species": fields, "step": step, "pass": s * step, "design": design}


def steps() -> list[tuple[str, float, str]]:
    """Nanoseconds per position (cables) or node (grids) of a whole step of the full model, and its phases, with the design's figures."""
    from calcium_sim.bench import CASES, measure, phase_costs

    out = []
    for case, design in (("cable", {"diffusion": "4 (700 M node-species/s per sweep, 3 species)", "local": "15 (67 M node-steps/s)"}),):
        model = CASES[case].model()
        costs = phase_costs(model, model.mesh.nodes / len(model.mesh.regions))
        out += [(f"{case}: {phase}", ns, design[phase]) for phase, ns in costs.items()]
    for case, design_whole in (("cable", "15-20"), ("rz", "17")):
        out.append((f"{case}: whole step, control included", measure(case)["ns_per_node_step"]["whole step"], design_whole))
    return out


def markdown(rows: list[Row]) -> str:
    """The page for docs/benchmarks."""
    lines = [
        "# Kernels and phases",
        "",
        "Made by `python benchmarks/kernels.py --markdown FILE`: one core, CPU time, other work on the machine.",
        "",
    ]
    lines += [
        "## Throughput, million node-species per second",
        "",
        "| kernel | nodes | species | step | pass or stage | design |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {r['kernel']} | {r['nodes']} | {r['species']} | {r['step']:.0f} | {r['pass']:.0f} | {r['design']} |" for r in rows]
    lines += ["", "## Steps of the full Keizer-Levine model, ns per position or node", "", "| phase | ns | design |", "|---|---|---|"]
    lines += [f"| {name} | {ns:.1f} | {design} |" for name, ns, design in steps()]
    lines += [
        "",
        "The local step books what every channel moves, which the design's figure does not include.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, one list of rows")
    parser.add_argument("--markdown", type=Path, help="write a page with these rows and the phases of whole steps")
    parser.add_argument("--seconds", type=float, default=0.5, help="CPU time per row")
    options = parser.parse_args()
    rows = [row for part in (trees, grids, graphs) for row in part(options.seconds)]
    if options.markdown:
        options.markdown.write_text(markdown(rows))
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'kernel':24}{'nodes':>9}{'species':>9}{'step M/s':>10}{'pass M/s':>10}{'design':>10}")
    for row in rows:
        print(f"{row['kernel']:24}{row['nodes']:9}{row['species']:9}{row['step']:10.0f}{row['pass']:10.0f}{row['design']:>10}")


if __name__ == "__main__":
    main()
