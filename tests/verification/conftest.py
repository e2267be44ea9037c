"""Models and helpers that the verification of cables, trees and points shares; one structure each, so that little is compiled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.meshes import neurite, well_mixed
from calcium_sim.results.diagnostics import first_crossing

REST = {"cytosol": "0.05 uM", "er": "250 uM", "outside": "1000 uM"}


def _bq(spacing=0.05, length=20.0, radius=0.4, er_radius=0.15, density=3.0, total=160.0, scale=1.0, mesh=None, **changed):
    """The wave `bq_wave` (Breit & Queisser 2018) on a cable; `scale` multiplies lengths along the axis, their squares multiply diffusion.

    `changed` may hold membranes, stimuli, voltage; ``mesh`` replaces the cable.
    """
    if mesh is None:
        mesh = neurite(f"{length * scale} um", f"{radius} um", f"{er_radius} um", f"{spacing * scale} um")
    d, db = f"{220 * scale**2} um^2/s", f"{20 * scale**2} um^2/s"
    membranes = {
        "er": [
            cs.get_channel("ryr/keizer-levine")(density=f"{density!r} /um^2"),
            cs.get_channel("leak/linear")(permeability="0.038 um/s"),
            cs.get_channel("serca/er-inhibited")(density=cs.BALANCE),
        ],
        "plasma": plasma(),
    }
    pulse = cs.Influx("ca", at="left", flux=f"{2500 * scale!r} uM um/s", duration="1 ms", shape="ramp-down")
    given = {"membranes": membranes, "stimuli": [pulse]} | changed
    return cs.Model(
        mesh,
        species=[cs.Species("ca", {"cytosol": d, "er": d}, REST)],
        buffers=[cs.Buffer("calbindin", "ca", "cytosol", f"{total!r} uM", "27 /uM/s", "19 /s", db)],
        **given,
    )


def plasma(opened=True):
    """Pump, exchanger and balanced leak of the plasma membrane; all three at zero where it is closed."""
    size = 1.0 if opened else 0.0
    leak = cs.BALANCE if opened else "0 um/s"
    return [
        cs.get_channel("pmca/hill2")(density=f"{500 * size} /um^2"),
        cs.get_channel("ncx/hill1")(density=f"{15 * size} /um^2"),
        cs.get_channel("leak/linear")(permeability=leak),
    ]


@pytest.fixture(scope="session")
def bq():
    """Builder of the reference wave."""
    return _bq


@pytest.fixture(scope="session")
def closed(bq):
    """Builder of the reference wave behind a closed plasma membrane."""

    def build(**options):
        membranes = dict(bq(**options).membranes)
        return bq(membranes=membranes | {"plasma": plasma(opened=False)}, **options)

    return build


@pytest.fixture(scope="session")
def point():
    """A well-mixed cell with the volumes and areas of 1 um of the reference neurite."""
    cross, er = np.pi * (0.4**2 - 0.15**2), np.pi * 0.15**2
    volumes = {"cytosol": f"{cross} um^3", "er": f"{er} um^3"}
    areas = {"plasma": (("cytosol", "outside"), f"{2 * np.pi * 0.4} um^2"), "er": (("er", "cytosol"), f"{2 * np.pi * 0.15} um^2")}
    return well_mixed(volumes, areas)


@dataclass
class Run:
    """What a run left: times, calcium in the cytosol (times, positions), positions, and the simulation."""

    t: np.ndarray
    c: np.ndarray
    x: np.ndarray
    simulation: cs.Simulation

    def arrivals(self, places, threshold=0.2):
        """First upward crossing at places between nodes: cubic in space, then cubic in time."""
        from scipy.interpolate import CubicSpline

        return first_crossing(self.t, CubicSpline(self.x, self.c, axis=1)(np.asarray(places, float)), threshold)


@pytest.fixture(scope="session")
def run():
    """Run a model and keep calcium at regular times."""

    def go(model, until, every, **options):
        simulation = cs.Simulation(model, **options)
        t, c = [0.0], [simulation.concentration("ca")]
        for k in range(1, round(until / every) + 1):
            simulation.advance(k * every)
            t.append(simulation.t)
            c.append(simulation.concentration("ca"))
        mesh = model.mesh
        return Run(np.array(t), np.array(c), mesh.distance[mesh.span("cytosol")], simulation)

    return go


@pytest.fixture(scope="session")
def order():
    """Observed order: the slope of log error over log step."""

    def slope(steps, errors):
        return float(np.polyfit(np.log(steps), np.log(errors), 1)[0])

    return slope
