"""Random small models, run by calcium-sim and by the independent method of lines of tests/reference: how far apart are they?

    python benchmarks/differential.py --seeds 1000 2000 --jobs 2 --log seeds.jsonl
    python benchmarks/differential.py --seeds 37 38 --log seeds.jsonl
    python benchmarks/differential.py --seeds 1000 2000 --read seeds.jsonl --write

Prints errors by kind of mesh and the worst seeds, and writes docs/benchmarks/differential.md when a thousand seeds or more were run (or
with --write). Every seed can be run alone; seeds of one structure (`reference.models.DRAWS` neighbours) share machine code. A log tells
the state of the checkout of every seed, and of a seed that was run twice the last line counts; seeds of a log outside --seeds are told
apart. A checkout without its own environment is tested with PYTHONPATH=<checkout>.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from reference.bounds import excess  # noqa: E402
from reference.compare import MEASURES, Report, compare  # noqa: E402
from reference.models import DRAWS, build  # noqa: E402

WORST = 12
"""Seeds listed."""
REMARKED = (1000, 2000)
"""Seeds to which the remarks belong."""
REMARKS = """
Every seed over a bound was run again at a tenth of its tolerance: all approach the reference as the tolerance promises, so that what is left
is what a tolerance of 0.002 buys.

* 1230 is the worst: at both tolerances a front stands where the dendrite widens and starts late, and fields are off by 15 %; 0.6 % at a
  tolerance of 2e-5, 0.07 % at 2e-6. Near a threshold the equations multiply whatever is off (106 is alike).
* 1058, 1090, 1118, 1346 (310 before): `peak` is 1 to 2 % at the first nodes of dendrites beside a soma of hundreds of times their volume or
  more, where strong diffusion and strong pumps balance. It comes from splitting, does not grow, and falls to 0.07 to 0.2 % at a tenth of the
  tolerance (1346: 2.4e-3, 5.8e-4, 1.4e-4, 3.5e-5 uM in fixed steps of 40, 20, 10, 5 us), but the measure of the error does not see it. In L2
  these seeds are within 0.1 %.
* 1020, 1021, 1150, 1287, 1373: a `Set` fills the cell and pumps empty it within microseconds; errors of gates are relative to the little that
  the outputs show of that (1020: 2e-5 of a gate).
* 1025, 1197, 1312: releases that are under way, up to 2.5 times the bound.

What was found and mended: 1020 moved 1500 times too much through a leak. Where a cell was drained, differences of fluxes at the membranes of
(z, r) grids were taken over steps far below 1e-15 uM, so that one flip of a last digit ended Newton's method anywhere. Faults of the reference: it stepped
over smooth pulses of a resting cell (1317), and in drained grids it found walls far below zero where c/(k + c) has a second solution (961
and 964; amounts now agree); laws in du/dt are integrated as logarithms (967: a gate off by 0.22 before, by 2e-5 now). Seeds that one of these
concerns were run again after it. Runs that stopped: `balance needs -x` is a model that cannot rest (the pump of a drained ER runs backwards),
refused as it should be.
"""
"""What was found on looking at seeds over a bound."""
AGAIN = """
No thousand was run on the tree of 2026-12-01. Seeds 0 to 999 were run on that of 2026-11-25 (commit 5c47fb0 has the page): 988 ran, 29 of
them over a bound. The worst of them and all that stopped were run again on the tree of 2026-12-01: 250, 346, 574, 575 and 625, which had
stopped in the reference, run, and no error has grown.
"""


def state() -> str:
    """Date and commit of the checkout, with a plus where files were changed since."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "calcium_sim", "tests/reference")
    return (git("log", "-1", "--format=%cs, commit %h") + ("+" if changed else "")) or "unknown"


def structure(seeds: list[int]) -> list[dict]:
    """Reports of seeds that share machine code."""
    return [asdict(one(seed)) | {"state": state()} for seed in seeds]


def one(seed: int) -> Report:
    """The report of a seed; whatever goes wrong is a finding."""
    try:
        return compare(build(seed))
    except Exception as error:  # the other seeds go on
        return Report(seed, "?", f"seed {seed}", failure=f"{type(error).__name__}: {error}")


def run(seeds: Iterable[int], jobs: int, log: Path | None) -> list[dict]:
    groups: dict[int, list[int]] = {}
    for seed in seeds:
        groups.setdefault(seed // DRAWS, []).append(seed)
    out: list[dict] = []
    if jobs > 1:  # parallel kernels of several jobs would wait for each other's threads: ten times as long
        os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    with get_context("spawn").Pool(jobs, maxtasksperchild=8) as pool:  # a new process now and then: machine code is never freed
        for reports in pool.imap(structure, list(groups.values())):
            out += reports
            for r in reports:
                print(line(r), flush=True)
                if log:
                    with log.open("a") as f:
                        f.write(json.dumps(r) + "\n")
    return out


def line(r: dict) -> str:
    """One line about a seed: the largest error of every kind, what exceeds its bound."""
    told = " ".join(f"{m} {r[m]:.1e}" for m in MEASURES)
    over = ", ".join(beyond(r))
    return f"{r['seed']:6d} {r['kind']:10s} {told}{'  OVER: ' + over if over else ''}  [{r['label'].partition(': ')[2]}] {r['failure']}"


def beyond(r: dict) -> list[str]:
    """What of a seed exceeds its bound, in words."""
    return excess(Report(**{k: v for k, v in r.items() if k != "state"}))


def table(reports: list[dict]) -> list[str]:
    """Median, 99 % and largest error by kind of mesh, at the default tolerance; the tighter tolerance apart."""
    rows = ["| kind | seeds | " + " | ".join(MEASURES) + " | over a bound |", "|---|---|" + "---|" * (len(MEASURES) + 1)]
    done = [r for r in reports if not r["failure"]]
    sets = {k: [r for r in done if r["kind"] == k and r["tolerance"] == 2e-3] for k in sorted({r["kind"] for r in done})}
    sets["all"] = [r for r in done if r["tolerance"] == 2e-3]
    sets["all, tolerance 2e-4"] = [r for r in done if r["tolerance"] < 2e-3]
    for kind, some in sets.items():
        if some:
            cells = [" / ".join(f"{q:.1e}" for q in np.quantile([r[m] for r in some], [0.5, 0.99, 1.0])) for m in MEASURES]
            over = sum(bool(beyond(r)) for r in some)
            rows.append(f"| {kind} | {len(some)} | " + " | ".join(cells) + f" | {over} |")
    return rows


def page(reports: list[dict], seeds: tuple[int, int]) -> str:
    """The page of docs/benchmarks."""
    inside, again = ([r for r in reports if (r["seed"] in range(*seeds)) == wanted] for wanted in (True, False))
    failed = [r for r in inside if r["failure"]]
    worst = sorted((r for r in inside if not r["failure"]), key=lambda r: -max(r["concentration"], r["gate"]))[:WORST]
    text = [
        "# Random models against an independent method of lines",
        "",
        f"{len(inside)} seeds from {inside[0]['seed']} to {inside[-1]['seed']}, `python benchmarks/differential.py --seeds FROM TO --log LOG`, "
        f"written with `--seeds {seeds[0]} {seeds[1]} --read LOG --write`;",
        "what is compared and how the reference works: [tests/reference](../../tests/reference/README.md). Every cell: median / 99 % / largest.",
        "",
        *(f"* {count} seeds on the state of {when}" for when, count in sorted(Counter(r["state"] for r in inside).items())),
        "",
        *table(inside),
        "",
        "`concentration`, `gate`: L2 over space and time, relative to the field's (gate's) own change, the worst field of a model; `peak`: the",
        "largest error over the largest change; `moved`: amounts through each channel; `books`: closure of the ledger, recounted from the",
        "fields; `lowest`: how far below zero.",
        "",
        f"Runs that stopped: {len(failed)}.",
        "",
        *(f"* {r['label']}: {r['failure']}" for r in failed),
        "",
        "## Over a bound",
        "",
        *(f"* {r['label']}: {', '.join(beyond(r))}" for r in inside if not r["failure"] and beyond(r)),
        "",
        "## The worst",
        *([REMARKS] if seeds == REMARKED else [""]),
        *rows(worst),
        *(["", "## Run again", AGAIN, *rows(again)] if again and seeds == REMARKED else []),
        "",
    ]
    return "\n".join(text)


def rows(reports: list[dict]) -> list[str]:
    """A table of single seeds."""
    head = ["| seed | concentration | where | gate | where | model | over a bound |", "|---|---|---|---|---|---|---|"]
    return head + [
        f"| {r['seed']} | {r['concentration']:.1e} | {r['where'].get('concentration', '')} | {r['gate']:.1e} | {r['where'].get('gate', '')} | "
        f"{r['label'].partition(': ')[2]} | {', '.join(beyond(r))} |"
        for r in reports
    ]


def read(log: Path) -> list[dict]:
    """Reports of a log by seed, the last of each."""
    found = {r["seed"]: r for r in map(json.loads, log.read_text().splitlines())}
    return [found[seed] for seed in sorted(found)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 1000), metavar=("FROM", "TO"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--log", type=Path, help="append one JSON line per seed")
    parser.add_argument("--read", type=Path, help="make the table of a log instead of running")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks/differential.md")
    given = parser.parse_args()
    seeds = tuple(given.seeds)
    reports = read(given.read) if given.read else run(range(*seeds), given.jobs, given.log)
    print("\n".join(table(reports)))
    print(f"{sum(bool(r['failure']) for r in reports)} stopped; {sum(r['seconds'][0] + r['seconds'][1] for r in reports):.0f} s of CPU")
    if given.write or len(reports) >= 1000:
        (ROOT / "docs" / "benchmarks" / "differential.md").write_text(page(reports, seeds))


if __name__ == "__main__":
    main()
