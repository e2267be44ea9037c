"""calcium-sim and other simulators on one problem (P1), run alternately on one core of one machine.

Writes p1.json (every run), p1.md (table of medians and ranges) and p1.png into docs/benchmarks. The other simulators' scripts each state
the problem in their tool's own language and print one JSON line, as p1.py does here.

    python benchmarks/peers.py --jaxley-python PATH --neuron-python PATH --peers DIR --repeat 3
    python benchmarks/peers.py --recorded        writes table and picture again from p1.json
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from calcium_sim.app.bench import CONVERGED_SPEED, machine

HERE = Path(__file__).resolve().parent
TOOLS = ("calcium-sim", "Jaxley", "NEURON rxd")
BARS = (1.0, 0.5, 0.2, 0.05)
"""Errors of the speed in per cent at which the tools are compared."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass
class Row:
    """One line of the table: a command, whether its compiled code is thrown away before, and what its runs said."""

    label: str
    command: list[str]
    cold: bool = False
    runs: list[dict] = field(default_factory=list)

    def numbers(self, key):
        """The figures of all runs."""
        return [run[key] for run in self.runs if run.get(key) is not None]

    def median(self, key):
        """Median over the runs, None if there is none."""
        return statistics.median(self.numbers(key)) if self.numbers(key) else None


def rows(a):
    """What is compared: ours at several steps, and each peer whose interpreter was given."""
    ours = [sys.executable, str(HERE / "p1.py")]
    out = [Row("calcium-sim, chosen steps", ours)]
    out += [Row(f"calcium-sim, dt {dt}", [*ours, "--dt", str(dt)]) for dt in a.dt]
    out.append(Row("calcium-sim, chosen steps, Dataset of everything", [*ours, "--dataset", "--save", "0.5"]))
    out.append(Row("calcium-sim, chosen steps, nothing compiled yet", ours, cold=True))
    if a.receptor:
        out.append(Row(f"calcium-sim, {a.receptor}", [*ours, "--receptor", a.receptor]))
    if a.jaxley_python:
        jaxley = [a.jaxley_python, str(a.peers / "p1_jaxley.py")]
        out += [Row("Jaxley, dt 0.005", jaxley), Row("Jaxley, dt 0.01", [*jaxley, "--dt", "0.01"])]
        out.append(Row("Jaxley, dt 0.005, network 5-32-32-1", [*jaxley, "--nn", "32"]))
    if a.neuron_python:
        neuron = [a.neuron_python, str(a.peers / "p1_neuron_rxd1d.py")]
        out += [Row("NEURON rxd, dt 0.005", neuron), Row("NEURON rxd, CVode", [*neuron, "--cvode", "1"])]
    return out


def run(row, core, caches):
    """Run one command on one core with one thread; append its JSON line to the row."""
    cache = tempfile.mkdtemp(dir=caches) if row.cold else os.path.join(caches, "warm")
    env = os.environ | dict.fromkeys(THREADS, "1") | {"CALCIUM_SIM_CACHE": cache, "NUMBA_CACHE_DIR": os.path.join(cache, "numba")}
    pin = ["taskset", "-c", str(core)] if shutil.which("taskset") else []
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*pin, *row.command], cwd=folder, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise SystemExit(f"{row.label} failed ({' '.join(row.command)}):\n{done.stderr[-2000:]}")
    row.runs.append(json.loads(lines[-1]))


def spread(row, key, digits=3):
    """Median and range as text."""
    seen = row.numbers(key)
    return "-" if not seen else f"{statistics.median(seen):.{digits}g} ({min(seen):.{digits}g}-{max(seen):.{digits}g})"


def error(row):
    """Error of the wave speed in per cent of the converged one."""
    speed = row.median("speed_um_ms")
    return None if speed is None else 100 * (speed / CONVERGED_SPEED - 1)


def table(done, reference):
    """Markdown table; ratios are to the reference row, below 1 is cheaper than it."""
    lines = [
        "| | CPU s per ms | ratio | set-up CPU s | memory MB | steps | speed um/ms | error % | peak uM |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    base = reference.median("cpu_s_per_ms")
    for row in done:
        off = error(row)
        cells = [
            row.label,
            spread(row, "cpu_s_per_ms"),
            f"{row.median('cpu_s_per_ms') / base:.2g}",
            spread(row, "setup_cpu_s"),
            f"{row.median('rss_mb'):.0f}",
            "adaptive" if "CVode" in row.label else f"{row.median('steps'):.0f}",
            f"{row.median('speed_um_ms'):.4g}" if off is not None else "no wave",
            f"{off:+.2f}" if off is not None else "-",
            f"{row.median('peak_mid_uM'):.4g}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cheapest(done, tool, bar):
    """The row of a tool that costs least among those with an error up to a bar: the receptor's equations, only calcium kept, compiled."""
    plain = [r for r in done if r.label.startswith(tool) and not r.cold and not any(w in r.label for w in ("Dataset", "network", "ryr/"))]
    fit = [r for r in plain if error(r) is not None and abs(error(r)) <= bar]
    return min(fit, key=lambda r: r.median("cpu_s_per_ms"), default=None)


def at_equal_error(done):
    """Markdown table: what each tool's cheapest row costs at the same bar, and as a multiple of ours."""
    lines = ["| error up to | " + " | ".join(TOOLS) + " |", "|---" * (len(TOOLS) + 1) + "|"]
    for bar in BARS:
        ours, cells = cheapest(done, TOOLS[0], bar), [f"{bar:g} %"]
        for tool in TOOLS:
            row = cheapest(done, tool, bar)
            if row is None:
                cells.append("not reached by these rows")
                continue
            ratio = 1.0 if ours is None else row.median("cpu_s_per_ms") / ours.median("cpu_s_per_ms")
            times = "" if row is ours else f", {ratio:.1f} times" if ratio < 10 else f", {ratio:.0f} times"
            how = row.label.removeprefix(f"{tool}, ")
            cells.append(f"{how} ({error(row):+.2f} %): {row.median('cpu_s_per_ms'):.3g}{times}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page(done, reference, repeat, host, date):
    """The text of p1.md."""
    versions = ", ".join(f"{name} {number}" for name, number in host["versions"].items())
    return f"""# P1: a calcium wave on a coaxial neurite

At equal error of the wave's speed, CPU seconds per ms of the cheapest row of each tool, and how many times that of calcium-sim:

{at_equal_error(done)}

## All rows

{table(done, reference)}

Median and range of {repeat} runs of each row, all rows in turn, one core, one thread. CPU seconds are user plus system time. The loop
keeps calcium in the cytosol, every 0.05 ms (Jaxley: every step); "Dataset of everything" is `simulate` from lowering to the finished
Dataset, with all concentrations, fluxes, open probabilities and the ledger every 0.5 ms. Set-up is all that comes before, from the
start of the process: imports, building, compiling or reading compiled code, for calcium-sim also a first run of 2 ms. calcium-sim keeps
compiled code between processes; "nothing compiled yet" is its first run on a machine. Ratio: CPU of the loop against
"{reference.label}". Error: of the wave speed against {CONVERGED_SPEED} um/ms, converged in time at this spacing; the bar is 1 %. This is
the work for a given error in time: all tools use the same positions.

The neurite is 50 um long (radius 0.4 um, ER 0.2 um, spacing 0.1 um: 500 positions with six unknowns each) and runs for 50 ms.
`calcium_sim.app.bench.coaxial` states the model. Its leak through the plasma membrane is proportional to the gradient to 1000 uM outside, that
of the others constant: the same at rest, 3 % less of this small term at the peak. The network in Jaxley is random and multiplied by 1e-12:
it shows what it costs to evaluate one at every node and step.

Measured {date} on {host["processor"]}, {host["system"]}; {versions}.
Made by `python benchmarks/peers.py --jaxley-python PATH --neuron-python PATH --peers DIR --repeat {repeat}`.

![Cost of the loop against error of the wave speed](p1.png)
"""


def draw(done, path):
    """Cost against error: lower left is better."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, ax = plt.subplots(figsize=(8.5, 4.2), layout="constrained")
    colours = {"calcium-sim": "tab:red", "Jaxley": "tab:blue", "NEURON": "tab:green"}
    for row, marker in zip(done, "osDv^X<>Pph*", strict=False):
        off = error(row)
        if off is None or row.cold:
            continue
        colour = next(c for name, c in colours.items() if row.label.startswith(name))
        x, y, seen = max(abs(off), 0.01), row.median("cpu_s_per_ms"), row.numbers("cpu_s_per_ms")
        ax.errorbar(x, y, yerr=[[y - min(seen)], [max(seen) - y]], fmt=marker, color=colour, ms=7, mec="white", mew=0.5, label=row.label)
    ax.axvline(1.0, color="grey", lw=0.8, ls=":")
    ax.set(xscale="log", yscale="log", xlim=(0.007, 1.6))
    ax.set(xlabel="error of the wave speed [%] (0.01 or less is drawn at 0.01)", ylabel="CPU seconds per simulated ms")
    fig.legend(loc="outside right upper", fontsize=7, frameon=False)
    fig.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jaxley-python", help="interpreter with jaxley")
    parser.add_argument("--neuron-python", help="interpreter with neuron and scipy")
    parser.add_argument("--peers", type=lambda p: Path(p).resolve(), default=Path(), help="folder of p1_jaxley.py and p1_neuron_rxd1d.py")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--dt", type=float, nargs="*", default=[0.005, 0.025, 0.05], help="fixed steps of calcium-sim, ms")
    parser.add_argument("--receptor", help="learned receptor, for one more row of calcium-sim")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--recorded", action="store_true", help="run nothing: table and picture from p1.json")
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "benchmarks")
    a = parser.parse_args()
    if a.recorded:
        record = json.loads((a.out / "p1.json").read_text())
        done = [Row(r["label"], [], r["cold"], r["runs"]) for r in record["rows"]]
        publish(done, record["machine"], record["date"], a.out)
        return
    done = rows(a)
    with tempfile.TemporaryDirectory() as caches:
        run(Row("compilation", done[0].command), a.core, caches)
        for k in range(a.repeat):
            for row in done:
                run(row, a.core, caches)
                print(f"{k + 1}/{a.repeat} {row.label}: {row.runs[-1]['cpu_s_per_ms']:.4g} CPU s/ms", file=sys.stderr, flush=True)
    host, date = machine(), time.strftime("%Y-%m-%d")
    a.out.mkdir(parents=True, exist_ok=True)
    record = {
        "machine": host,
        "date": date,
        "converged_speed_um_ms": CONVERGED_SPEED,
        "rows": [{"label": r.label, "cold": r.cold, "runs": r.runs} for r in done],
    }
    (a.out / "p1.json").write_text(json.dumps(record, indent=1) + "\n")
    publish(done, host, date, a.out)


def publish(done, host, date, out):
    """Write the page and the picture, and print the tables."""
    reference = next((row for row in done if row.label == "Jaxley, dt 0.01"), done[0])
    (out / "p1.md").write_text(page(done, reference, len(done[0].runs), host, date))
    draw(done, out / "p1.png")
    print(table(done, reference), at_equal_error(done), sep="\n\n")


if __name__ == "__main__":
    main()
