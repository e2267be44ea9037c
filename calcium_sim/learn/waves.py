"""Calcium at nodes that a wave passes: training data closer to use than random transients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..mesh import Floats
from ..presets import breit_queisser
from ..simulate import Simulation


class WaveSetting(NamedTuple):
    """Radii of neurite and ER [um], density of ryanodine receptors [1/um^2], total buffer [uM]."""

    radius: float
    er_radius: float
    density: float
    buffer: float


SETTINGS = (
    WaveSetting(0.3, 0.12, 3.0, 40.0),
    WaveSetting(0.5, 0.2, 3.0, 60.0),
    WaveSetting(0.4, 0.16, 4.0, 120.0),
    WaveSetting(0.3, 0.1, 4.5, 160.0),
    WaveSetting(0.5, 0.2, 4.0, 160.0),
    WaveSetting(0.35, 0.14, 2.0, 40.0),
    WaveSetting(0.25, 0.1, 3.5, 160.0),
    WaveSetting(0.42, 0.16, 5.5, 150.0),
    WaveSetting(0.35, 0.13, 3.0, 160.0),
    WaveSetting(0.38, 0.14, 2.9, 150.0),
    WaveSetting(0.45, 0.17, 2.8, 140.0),
    WaveSetting(0.5, 0.19, 3.2, 160.0),
)
"""From fast waves to slow ones near the limit of propagation, and in the last setting one that dies.

None of these is a setting in which the shipped channels are judged."""


def wave_traces(
    channel: str = "ryr/keizer-levine",
    settings: Sequence[WaveSetting] = SETTINGS,
    *,
    nodes: int = 12,
    duration: float = 200.0,
    dt: float = 0.05,
    length: float = 40.0,
    spacing: float = 0.1,
    step: float = 0.025,
) -> tuple[Floats, Floats]:
    """Record cytosolic calcium at nodes of 1-D neurites while a wave passes (the model of `presets.breit_queisser`).

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
    from ..meshes.neurites import neurite

    time: Floats = np.arange(round(duration / dt) + 1, dtype=np.float64) * dt
    found = []
    for s in settings:
        mesh = neurite(f"{length} um", f"{s.radius} um", er_radius=f"{s.er_radius} um", spacing=f"{spacing} um", dims=1)
        run = Simulation(breit_queisser(mesh, ryr=channel, ryr_density=f"{s.density} 1/um^2", buffer=f"{s.buffer} uM"), dt=f"{step} ms")
        at = np.linspace(0.1, 0.9, nodes) * (round(length / spacing) - 1)
        found.append(_recorded(run, time, at.astype(int)))
    return time, np.concatenate(found)


GRID_SETTINGS = (
    WaveSetting(0.3, 0.12, 3.0, 40.0),
    WaveSetting(0.5, 0.2, 3.0, 60.0),
    WaveSetting(0.4, 0.16, 4.0, 120.0),
    WaveSetting(0.3, 0.1, 4.5, 160.0),
    WaveSetting(0.35, 0.13, 3.0, 160.0),
    WaveSetting(0.5, 0.2, 6.0, 40.0),
    WaveSetting(0.35, 0.14, 2.0, 40.0),
    WaveSetting(0.5, 0.2, 8.0, 150.0),
    WaveSetting(0.45, 0.17, 2.8, 140.0),
    WaveSetting(0.45, 0.15, 5.0, 80.0),
    WaveSetting(0.45, 0.18, 7.0, 50.0),
)
"""Of rotationally symmetric waves: the concentration at the ER membrane rises up to ten times as fast as on a cable."""


def grid_traces(
    channel: str = "ryr/keizer-levine",
    settings: Sequence[WaveSetting] = GRID_SETTINGS,
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
    from ..meshes.neurites import neurite

    time: Floats = np.arange(round(duration / dt) + 1, dtype=np.float64) * dt
    found = []
    for s in settings:
        mesh = neurite(
            f"{length} um", f"{s.radius} um", er_radius=f"{s.er_radius} um", spacing=f"{spacing} um", dims=2, radial_spacing="0.025 um"
        )
        run = Simulation(breit_queisser(mesh, ryr=channel, ryr_density=f"{s.density} 1/um^2", buffer=f"{s.buffer} uM"), dt=f"{dt} ms")
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
