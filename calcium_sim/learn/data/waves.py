"""Calcium at nodes that a wave passes: training data closer to use than random transients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...mesh import Floats, Mesh
from ...model import Model, Species
from ...model.stimuli import Influx
from ...presets import breit_queisser
from ...run.simulation import Simulation
from .settings import CABLES, GRIDS, TRAINS, WaveSetting

AFTER = 250.0
"""Recorded after the last pulse of a train [ms]."""


def wave_model(setting: WaveSetting, mesh: Mesh, channel: str = "ryr/keizer-levine") -> Model:
    """The model of `presets.breit_queisser` with the densities, resting levels and pulses of a setting."""
    train: dict[str, Any] = {"count": setting.pulses, "period": f"{setting.gap} ms"} if setting.pulses > 1 else {}
    pulse = Influx("ca", at="left", flux=f"{2500.0 * setting.strength} uM*um/s", shape="ramp-down", duration="1 ms", **train)
    model = breit_queisser(mesh, ryr=channel, ryr_density=f"{setting.density} 1/um^2", buffer=f"{setting.buffer} uM", stimulus=pulse)
    levels = {"cytosol": f"{setting.rest} uM", "er": f"{setting.er} uM", "outside": "1000 uM"}
    return replace(model, species=[Species("ca", dict.fromkeys(("cytosol", "er"), "220 um^2/s"), levels)])


def wave_traces(
    channel: str = "ryr/keizer-levine",
    settings: Sequence[WaveSetting] = CABLES,
    *,
    nodes: int = 12,
    duration: float = 200.0,
    dt: float = 0.05,
    length: float = 40.0,
    spacing: float = 0.1,
    step: float = 0.025,
) -> tuple[Floats, Floats]:
    """Record cytosolic calcium at nodes of 1-D neurites while waves pass.

    Parameters
    ----------
    channel : the ryanodine receptor, an ODE channel.
    settings : one run each.
    nodes : nodes recorded per run, evenly spread from 10 to 90 % of the length.
    duration, dt : length of the traces and interval of their samples [ms].
    length, spacing : of the neurite [um].
    step : of the simulation [ms].

    Returns
    -------
    time : (samples,) [ms]
    traces : (runs x nodes, samples) [uM]
    """
    from ...meshes.neurites import neurite

    time: Floats = np.arange(round(duration / dt) + 1, dtype=np.float64) * dt
    found = []
    for s in settings:
        mesh = neurite(f"{length} um", f"{s.radius} um", er_radius=f"{s.er_radius} um", spacing=f"{spacing} um", dims=1)
        run = Simulation(wave_model(s, mesh, channel), dt=f"{step} ms")
        at = np.linspace(0.1, 0.9, nodes) * (round(length / spacing) - 1)
        found.append(_recorded(run, time, at.astype(int)))
    return time, np.concatenate(found)


def train_traces(
    channel: str = "ryr/keizer-levine", settings: Sequence[WaveSetting] = TRAINS, *, nodes: int = 4, dt: float = 0.05
) -> list[tuple[Floats, Floats]]:
    """Record trains of waves as `wave_traces` does, each until `AFTER` its last pulse."""
    return [wave_traces(channel, [s], nodes=nodes, duration=(s.pulses - 1) * s.gap + AFTER, dt=dt) for s in settings]


def grid_traces(
    channel: str = "ryr/keizer-levine",
    settings: Sequence[WaveSetting] = GRIDS,
    *,
    nodes: int = 10,
    duration: float = 25.0,
    dt: float = 0.0125,
    length: float = 12.0,
    spacing: float = 0.1,
) -> tuple[Floats, Floats]:
    """Record calcium beside the ER membrane of rotationally symmetric neurites while a wave passes; see `wave_traces`.

    The fronts last some 0.05 ms, so that `dt` [ms], also the step of the simulation, has to be short.
    """
    from ...meshes.neurites import neurite

    time: Floats = np.arange(round(duration / dt) + 1, dtype=np.float64) * dt
    found = []
    for s in settings:
        mesh = neurite(
            f"{length} um", f"{s.radius} um", er_radius=f"{s.er_radius} um", spacing=f"{spacing} um", dims=2, radial_spacing="0.025 um"
        )
        run = Simulation(wave_model(s, mesh, channel), dt=f"{dt} ms")
        er = mesh.membranes["er"]
        beside = (er.outside if er.sides[1] == "cytosol" else er.inside).astype(int) - mesh.span("cytosol").start
        at = beside[np.linspace(0.15 * beside.size, 0.9 * (beside.size - 1), nodes).astype(int)]
        found.append(_recorded(run, time, at))
    return time, np.concatenate(found)


def _recorded(run: Simulation, time: Floats, at: Any) -> Floats:
    """Cytosolic calcium at nodes, (nodes, samples) [uM]."""
    traces: Floats = np.empty((len(at), time.size))
    for k, t in enumerate(time):
        run.advance(float(t))
        traces[:, k] = run.concentration("ca")[at]
    return traces
