"""What a run may ask for at most: steps, outputs, memory. Told before it begins, in Python as on the command line."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..description.sizes import physical_memory, readable
from ..errors import InputError
from ..model import Model
from ..model.probes import recorded
from ..model.pulses import check_resolved, last_start
from ..model.stimuli import Pulsed
from .loop import LARGEST

MOST_STEPS = 1e9
FRAME = 2500
"""Bytes that an output takes beside its numbers while a run goes on (measured: 1.3 to 2.2 kB on points)."""


def check_length(length: float, *, every: float | None = None, dt: float | None = None, where: str = "until") -> None:
    """Refuse a run [ms] of more steps or outputs than any run can take."""
    shortest = min(every or LARGEST, dt or LARGEST, LARGEST)
    if length / shortest > MOST_STEPS:
        raise InputError(where, f"{length:g} ms asks for more than {MOST_STEPS:.0e} steps or outputs (check the units)")


def check_run(model: Model, until: float, every: float, record: Any) -> None:
    """Refuse more pulses than a run can take, or shorter ones, and a result that does not fit into memory."""
    for s in model.stimuli:
        if isinstance(s, Pulsed) and s.duration is not None:
            check_resolved(s, last_start(s, until))
        pulses = min(s.count, (until - s.start) / s.period) if isinstance(s, Pulsed) and s.period else 1
        if pulses > MOST_STEPS:
            told = f"{pulses:.3g} pulses within {until:g} ms are more than {MOST_STEPS:.0e}"
            raise InputError(f"{s.where}.count", f"{told} (check the units of the period)")
    size = result_bytes(model, until, every, record)
    memory = physical_memory()
    if 3 * size + FRAME * outputs(until, every) > memory:
        fix = '(larger every, coarser mesh spacing, or less in record: names, or probes such as record={"soma": ("ca@cytosol", "soma")})'
        raise InputError("run", f"the result takes {readable(size)}, too much for {readable(memory)} of memory {fix}")


def outputs(until: float, every: float) -> int:
    """Number of outputs of a run, that of the start among them."""
    return int(np.ceil(until / every)) + 1


def output_times(end: float, interval: float) -> list[float]:
    """Multiples of the interval up to the end [ms], and the end."""
    count = int(np.floor(end / interval * (1 + 1e-12)))
    times = [k * interval for k in range(1, count + 1)]
    if not times or end - times[-1] > 1e-9 * end:
        return [*times, end]
    return [*times[:-1], end]


def result_bytes(model: Model, until: float, every: float | None = None, record: Any = None) -> int:
    """Size of the result in memory: every recorded float64 at every output, and what it says of the mesh."""
    mesh, (_, probes) = model.mesh, (asked := recorded(record))
    keep = asked.keeps

    fields = [s.name for s in model.species] + [b.name for b in model.buffers]
    per_frame = mesh.nodes * sum(keep(name) for name in fields)
    for name, channels in model.membranes.items():
        shown = sum(keep("flux") + (keep("po") and c.open_probability is not None) for c in channels)
        per_frame += shown * len(mesh.membranes[name].area)
    accounts = len(mesh.regions) + len(model.buffers) + len(model.stimuli) + sum(map(len, model.membranes.values()))
    per_frame += 1 + len(model.species) * accounts
    place = (
        6.5 + 3 * len(model.species) + len(model.names.labels) / 8 + max(map(len, mesh.regions)) / 2
    )  # coordinates, what is noted, the name of the region
    pairs = sum(len(m.area) for m in mesh.membranes.values())
    corners = 0 if mesh.simplices is None else mesh.simplices.size
    probed = sum(2 * outputs(until, p.every or every or until / 200) + 3 for p in probes)
    return int(
        8 * (probed + per_frame * outputs(until, every or until / 200) + place * mesh.nodes + 2 * pairs + len(mesh.edges)) + 4 * corners
    )
