"""What a run takes down, and when: frames at its outputs, probes at their times, put together for a result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from typing import Any

import numpy as np

from ..errors import warn
from ..model.placed import VoltageMap
from ..model.probes import Probe, Recorded
from ..model.targets import placed
from ..plan.lower import Plan
from ..plan.observe import open_probability
from ..plan.rest import voltage_at
from ..results.dataset import ChannelRecord, Frames, Noted, ProbeRecord
from ..results.described import flux_units
from .arguments import levels
from .integration import Integration
from .limits import output_times
from .recorder import Recorder, Track

EVERYTHING = Recorded(None, ())
DRIFT_LIMIT = 1e-8
"""The run says so when the ledger does not close to this fraction."""


def taken(simulation: Integration, record: Recorded) -> dict[str, Any]:
    """What is asked for of the current state, as plain arrays."""
    state, plan, elapsed = simulation.state, simulation.plan, simulation.state.t - simulation.observed
    out: dict[str, Any] = {"t": state.t, "v": voltage_at(simulation.model, state.t)}
    out["fields"] = {k: state.u[f.span].copy() for k, f in enumerate(plan.fields) if f.potential or record.keeps(f.name)}
    if record.keeps("flux"):
        out["flux"] = [state.moved[g.moved] / elapsed if elapsed > 0 else np.full(g.area.shape, np.nan) for g in plan.gauges]
    walls = getattr(simulation.stepper, "walls", None)  # on (z, r) grids channels see the concentrations on the membrane
    shown = [g if record.keeps("po") and g.channel.open_probability is not None else None for g in plan.gauges]
    seen = walls(state, out["v"]) if walls and any(shown) else {}
    out["po"] = [None if g is None else open_probability(plan, g, state, seen) for g in shown]
    return out


def follow(simulation: Integration, probes: tuple[Probe, ...], threshold: Any) -> Recorder | None:
    """Follow probes from the start on, and take down their first values."""
    if not probes:
        return None
    walls = getattr(simulation.stepper, "walls", None)
    found = Recorder(simulation.plan, simulation.state, probes, levels(simulation.model, threshold), walls)
    simulation.watch.others.append(found.look)
    for track in found.tracks:
        found.sample(track, simulation.state)
    return found


def schedule(probes: Recorder | None, end: float, interval: float) -> Iterator[tuple[float, Track | None]]:
    """Times at which something is taken down, in order: of a probe, or of a frame (None), which comes last of what falls together."""
    tracks = [] if probes is None else probes.tracks
    rows: list[list[tuple[float, int, Track | None]]]
    rows = [[(t, k, track) for t in output_times(end, track.probe.every or interval)] for k, track in enumerate(tracks)]
    rows.append([(t, len(tracks), None) for t in output_times(end, interval)])
    yield from ((t, track) for t, _, track in merge(*rows, key=lambda row: row[:2]))


def frames_of(simulation: Integration, frames: Sequence[dict[str, Any]], record: Recorded, probes: Recorder | None = None) -> Frames:
    """What was taken down, as plain arrays for `results.assemble`."""
    plan = simulation.plan
    kept = [(k, f) for k, f in enumerate(plan.fields) if f.potential or record.keeps(f.name)]
    fields = {(f.name, f.region): np.array([fr["fields"][k] for fr in frames]) for k, f in kept}
    channels = []
    for k, g in ((k, g) for k, g in enumerate(plan.gauges) if not g.beside):
        po = np.array([fr["po"][k] for fr in frames]) if frames[0]["po"][k] is not None else None
        flux = np.array([fr["flux"][k] for fr in frames]) if record.keeps("flux") else None
        channels.append(ChannelRecord(g.label, g.membrane, flux, po))
    accounts = {s: {a: None for fr in frames for a in fr["ledger"].get(s, {})} for s in frames[-1]["ledger"]}
    ledger = {s: {a: np.array([fr["ledger"][s].get(a, 0.0) for fr in frames]) for a in names} for s, names in accounts.items()}
    control = simulation.control
    drift = simulation.ledger.drift(simulation.state)
    if drift > DRIFT_LIMIT:
        warn(f"the ledger does not close: relative drift {drift:.2g}")
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
    given = simulation.model.voltage is not None and plan.potential is None and not isinstance(simulation.model.voltage, VoltageMap)
    voltage = np.array([fr["v"] for fr in frames]) if given else None
    noted = [Noted(w.name, w.region, w.level, w.arrival, w.peak, w.peak_time) for w in simulation.watch.noted(simulation.state)]
    span = simulation.watch.begin, simulation.t
    tracks = [] if probes is None else [_track(plan, track) for track in probes.tracks]
    return Frames(np.array([fr["t"] for fr in frames]), fields, channels, ledger, voltage, attributes, noted, span, tracks)


def _track(plan: Plan, track: Track) -> ProbeRecord:
    (peak_time, peak), level = track.highest(), track.level if np.isfinite(track.level) else None
    values = np.array(track.times), np.array(track.values)
    return ProbeRecord(
        track.probe.stem,
        track.probe.name,
        track.probe.what,
        track.target.kind,
        *values,
        level,
        track.arrival,
        peak,
        peak_time,
        placed(plan.model, track.probe, track.target),
        flux_units(type(track.gauge.channel)) if track.gauge and track.target.kind == "flux" else "",
    )
