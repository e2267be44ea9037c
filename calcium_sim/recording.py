"""What a simulation recorded becomes plain arrays."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .results import ChannelRecord, Frames, Noted

if TYPE_CHECKING:
    from .simulate import Simulation

DRIFT_LIMIT = 1e-8
"""The run says so when the ledger does not close to this fraction."""


def frames_of(simulation: Simulation, frames: Sequence[dict[str, Any]], record: Sequence[str] | None) -> Frames:
    """What a simulation recorded, as plain arrays; of `record` only what is named there."""
    plan = simulation.plan

    def wanted(name: str) -> bool:
        return record is None or name in record

    fields = {(f.name, f.region): np.array([fr["u"][f.span] for fr in frames]) for f in plan.fields if wanted(f.name)}
    channels = []
    for k, g in enumerate(plan.gauges):
        po = np.array([fr["po"][k] for fr in frames]) if wanted("po") and frames[0]["po"][k] is not None else None
        flux = np.array([fr["flux"][k] for fr in frames]) if wanted("flux") else None
        channels.append(ChannelRecord(g.label, g.membrane, flux, po))
    accounts = {s: {a: None for fr in frames for a in fr["ledger"].get(s, {})} for s in frames[-1]["ledger"]}
    ledger = {s: {a: np.array([fr["ledger"][s].get(a, 0.0) for fr in frames]) for a in names} for s, names in accounts.items()}
    control = simulation.control
    drift = simulation.ledger.drift(simulation.state)
    if drift > DRIFT_LIMIT:
        warnings.warn(f"the ledger does not close: relative drift {drift:.2g}", stacklevel=3)
    attributes = {
        "scheme": simulation.stepper.scheme,
        "tolerance": control.tolerance if control.dt is None else "fixed step",
        "dt_ms": control.dt if control.dt is not None else "adaptive",
        "steps": control.steps,
        "rejected": control.rejected,
        "phase_seconds": dict(simulation.seconds),
        "ledger_drift": drift,
        "out_of_range": simulation.out_of_range(),
        "channels": simulation.sources,
        "notes": "\n".join([*simulation.model.mesh.notes, *simulation.remarks]),
    }
    voltage = np.array([fr["v"] for fr in frames]) if simulation.model.voltage is not None else None
    noted = [Noted(w.name, w.region, w.level, w.arrival, w.peak, w.peak_time) for w in simulation.watch.noted(simulation.state)]
    span = simulation.watch.begin, simulation.t
    return Frames(np.array([fr["t"] for fr in frames]), fields, channels, ledger, voltage, attributes, noted, span)
