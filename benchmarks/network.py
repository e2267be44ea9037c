"""Networks lowered to the compiled interpreter against TorchScript calls, on one core: nanoseconds per node at 500, 5000 and 50000 nodes.

Both sides compute the same tanh network from the same float64 columns (concentrations of a simulation) to float64 columns; the TorchScript
side copies them into a [nodes, inputs] tensor of its precision, as the fallback of a run does. Rounds alternate; the smallest CPU time of
each counts, so that other work on the machine weighs little. Writes network.json and network.md into docs/benchmarks.

    python benchmarks/network.py --rounds 15
"""

import argparse
import json
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np

from calcium_sim.app.bench import machine
from calcium_sim.networks.program import disagreement, run
from calcium_sim.networks.table import tabulate
from calcium_sim.networks.walk import lower_graph

LAYERS = ([3, 20, 20, 20, 1], [3, 32, 32, 1], [3, 32, 32, 32, 1], [3, 64, 64, 64, 1])
NODES = (500, 5000, 50000)


def scripted(layers, dtype):
    """A frozen tanh network."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    parts = []
    for a, b in pairwise(layers):
        parts += [torch.nn.Linear(a, b), torch.nn.Tanh()]
    module = torch.nn.Sequential(*parts[:-1]).to(getattr(torch, dtype)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.freeze(torch.jit.script(module))


def called(module, columns, dtype):
    """One TorchScript call on (inputs, nodes)."""
    import torch

    with torch.inference_mode():
        return module(torch.from_numpy(np.ascontiguousarray(columns.T, dtype))).numpy().T.astype(float)


def fastest(functions, rounds, repeats):
    """Smallest CPU seconds per call of each function, in alternating rounds."""
    best = [float("inf")] * len(functions)
    for _ in range(rounds):
        for k, function in enumerate(functions):
            begin = time.process_time()
            for _ in range(repeats):
                function()
            best[k] = min(best[k], (time.process_time() - begin) / repeats)
    return best


def measured(layers, dtype, rounds):
    """Rows of the table of one network."""
    module = scripted(layers, dtype)
    program = lower_graph(module, [layers[0]], dtype)
    original = lambda x: called(module, x, dtype)  # noqa: E731
    worst = disagreement(program, original, [-3.0] * layers[0], [3.0] * layers[0])
    rows = []
    for nodes in NODES:
        x = np.random.default_rng(nodes).uniform(-3, 3, (layers[0], nodes))
        ours, theirs = fastest([lambda x=x: run(program, x), lambda x=x: original(x)], rounds, max(1, 20000 // nodes))
        row = {"layers": layers, "dtype": dtype, "nodes": nodes, "disagreement": worst}
        rows.append({**row, "lowered_ns": ours / nodes * 1e9, "torchscript_ns": theirs / nodes * 1e9, "ratio": theirs / ours})
    return rows


def table_row(rounds):
    """A gate of one input (steady value, time constant) as a table."""
    gate = lambda v: np.stack([1 / (1 + np.exp(-(v + 30) / 6)), 0.1 + 5 * np.exp(-(((v + 40) / 20) ** 2))])  # noqa: E731
    table = tabulate(gate, -100, 60, ((1e-5, 0), (0, 1e-4)))
    x = np.random.default_rng(0).uniform(-100, 60, 50000)
    (seconds,) = fastest([lambda: table(x)], rounds, 4)
    return {"points": len(table.values), "lookup_ns": seconds / x.size * 1e9}


def report(rows, table):
    """The table in Markdown."""
    head = [
        "# Networks: lowered against TorchScript",
        "",
        "tanh networks on one core, nanoseconds per node, inputs and outputs float64 columns on both sides; by `benchmarks/network.py`.",
        "CPU time, the smallest of alternating rounds on a machine with other work; the ratios count, not the nanoseconds.",
        "",
        "| layers | precision | nodes | lowered | TorchScript call | ratio | largest difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        name = "-".join(map(str, r["layers"]))
        figures = f"{r['lowered_ns']:.0f} | {r['torchscript_ns']:.0f} | {r['ratio']:.1f} | {r['disagreement']:.1e}"
        head.append(f"| {name} | {r['dtype']} | {r['nodes']} | {figures} |")
    points, cost = table["points"], table["lookup_ns"]
    head += [
        "",
        f"A gate of one input, tabulated to 1e-5 and 1e-4 relative with {points} points and two outputs: {cost:.1f} ns per node.",
        "",
    ]
    return "\n".join(head)


def main():
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parents[1] / "docs" / "benchmarks")
    a = parser.parse_args()
    rows = [row for layers in LAYERS for dtype in ("float32", "float64") for row in measured(layers, dtype, a.rounds)]
    table = table_row(a.rounds)
    a.output.mkdir(parents=True, exist_ok=True)
    (a.output / "network.json").write_text(json.dumps({"machine": machine(), "rows": rows, "table": table}, indent=1) + "\n")
    (a.output / "network.md").write_text(report(rows, table))
    print(report(rows, table))


if __name__ == "__main__":
    main()
