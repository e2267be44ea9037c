"""What the studies share: the reference wave on a cable, its arrivals, and how a study is written down (JSON, table, figure)."""

import json
from pathlib import Path

import numpy as np

import calcium_sim as cs
from calcium_sim.app.bench import cpu_seconds, machine
from calcium_sim.meshes import neurite
from calcium_sim.results.diagnostics import first_crossing

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"
REST = {"cytosol": "0.05 uM", "er": "250 uM", "outside": "1000 uM"}


def cable(spacing=0.05, length=20.0, radius=0.4, er_radius=0.15, density=3.0, total=160.0, diffusion=220.0):
    """The wave of Breit & Queisser (2018) on a cable; lengths in um, density in 1/um^2, diffusion in um^2/s."""
    mesh = neurite(f"{length} um", f"{radius} um", f"{er_radius} um", f"{spacing} um")
    get = cs.get_channel
    er = [
        get("ryr/keizer-levine")(density=f"{density} /um^2"),
        get("leak/linear")(permeability="0.038 um/s"),
        get("serca/er-inhibited")(density=cs.BALANCE),
    ]
    plasma = [get("pmca/hill2")(density="500 /um^2"), get("ncx/hill1")(density="15 /um^2"), get("leak/linear")(permeability=cs.BALANCE)]
    d = f"{diffusion} um^2/s"
    return cs.Model(
        mesh,
        species=[cs.Species("ca", {"cytosol": d, "er": d}, REST)],
        buffers=[cs.Buffer("calbindin", "ca", "cytosol", f"{total} uM", "27 /uM/s", "19 /s", "20 um^2/s")],
        membranes={"er": er, "plasma": plasma},
        stimuli=[cs.Influx("ca", at="left", flux="2500 uM um/s", duration="1 ms", shape="ramp-down")],
    )


def followed(model, until, every=0.1, **options):
    """Times, positions, calcium (times, positions), the simulation, CPU seconds of the steps (without compilation)."""
    sim = cs.Simulation(model, **options)
    cs.Simulation(model, **options).advance(1e-3)
    began = cpu_seconds()
    t, c = [0.0], [sim.concentration("ca")]
    for k in range(1, round(until / every) + 1):
        sim.advance(k * every)
        t.append(sim.t)
        c.append(sim.concentration("ca"))
    x = model.mesh.distance[model.mesh.span("cytosol")]
    return np.array(t), x, np.array(c), sim, cpu_seconds() - began


def arrivals(t, x, c, places, threshold=0.2):
    """First upward crossing of a threshold at places between nodes: cubic in space, then in time."""
    from scipy.interpolate import CubicSpline

    return first_crossing(t, CubicSpline(x, c, axis=1)(np.asarray(places, float)), threshold)


def write(name, title, sections, figure=None, script=None, **document):
    """Write ``<name>.json``, ``<name>.md`` (one table per section: heading, text, column names, rows) and ``<name>.png``."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    tables = [{"heading": h, "text": text, "columns": columns, "rows": rows} for h, text, columns, rows in sections]
    whole = {"title": title, "machine": machine(), **document, "tables": tables}
    (FOLDER / f"{name}.json").write_text(json.dumps(whole, indent=1, default=float) + "\n")
    lines = [f"# {title}", "", f"Made by `python benchmarks/{script or name}.py`; machine and figures in `{name}.json`.", ""]
    if figure is not None:
        figure.savefig(FOLDER / f"{name}.png", dpi=110, bbox_inches="tight")
        lines += [f"![{title}]({name}.png)", ""]
    for heading, text, columns, rows in sections:
        lines += [f"## {heading}", "", text, "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(_cell(v) for v in row) + " |" for row in rows] + [""]
    (FOLDER / f"{name}.md").write_text("\n".join(lines))
    print("\n".join(lines))


def _cell(v):
    return f"{v:.6g}" if isinstance(v, float) else str(v)
