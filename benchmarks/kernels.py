"""Speed of the transport kernels on one core, as million node-species advanced per second of CPU time.

``python benchmarks/kernels.py [--json] [--seconds 0.5]``. "step" is a whole step (SDIRK2: one product with L and two solves, in four passes
over the nodes); "pass" is one sweep over the nodes. The last column is the figure that the design
expects of a pass, measured on another machine. Grids and graphs are measured as whole steps, as they run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from calcium_sim.kernels import tree

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


def steps() -> list[tuple[str, float, str]]:
    """Nanoseconds per position (cables) or node (grids) of a whole step of the full model, and its phases, with the design's figures."""
    from calcium_sim.app.bench import CASES, measure, phase_costs

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
        "| kernel | nodes | species | step | pass | design |",
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
    rows = list(trees(options.seconds))
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
