"""Results with a wave of known speed, made without a simulation."""

from __future__ import annotations

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.app.cli import main
from calcium_sim.meshes import neurite
from calcium_sim.meshes.columns import columns_mesh
from calcium_sim.plugin import Channel
from calcium_sim.results.dataset import ChannelRecord, Frames, assemble


@pytest.fixture
def command(capsys):
    """Function of the words of a command: its exit code, stdout and stderr."""

    def call(*words):
        with pytest.raises(SystemExit) as caught:
            main(list(words))
        said = capsys.readouterr()
        return caught.value.code, said.out, said.err

    return call


class Release(Channel):
    """A channel that only stands for one."""

    across = ("er", "cytosol")
    params = {"density": (3.0, "1/um^2")}
    source = "made for tests"

    @staticmethod
    def flux(y, x, p):
        return p.density * 0.0


def branched_mesh(steps=40, dx=0.5):
    """A stem along x that splits in two at its end: stem, left arm, right arm of `steps` cells each (the right one half as long)."""
    sizes = [steps, steps, steps // 2]
    parent, x, y, distance = [0], [0.0], [0.0], [0.0]
    ends = []
    for branch, (size, way) in enumerate(zip(sizes, [(1, 0), (0.6, 0.8), (0.6, -0.8)], strict=True)):
        at = 0 if branch == 0 else ends[0]
        for _ in range(size - (branch == 0)):
            parent.append(at)
            x.append(x[at] + dx * way[0])
            y.append(y[at] + dx * way[1])
            distance.append(distance[at] + dx)
            at = len(parent) - 1
        ends.append(at)
    n = len(parent)
    area = np.array([[np.pi * (0.4**2 - 0.15**2)], [np.pi * 0.15**2]])
    conductance = np.tile(area / dx, n)
    conductance[:, 0] = 0.0
    ones = np.ones(n)
    return columns_mesh(
        ("cytosol", "er"), parent=np.array(parent), volume=np.tile(area * dx, n), conductance=conductance,
        position=np.stack([x, y, 0 * ones], axis=1), distance=np.array(distance),
        membranes={
            "plasma": (("cytosol", "outside"), 2 * np.pi * 0.4 * dx * ones),
            "er": (("er", "cytosol"), 2 * np.pi * 0.15 * dx * ones),
        },
        ends={"left": ("cytosol", np.array([0]), np.array([0.5]))}, notes=("A fork.",),
    )  # fmt: skip


def front(t, arrival):
    """A pulse that crosses 0.2 uM exactly at `arrival` [ms]: steep rise, slow fall, from 0.05 uM."""
    s = t[:, None] - arrival[None, :]
    rise = 1 / (1 + np.exp(-(s - 0.5 * np.log(2.85 / 0.15 - 1)) / 0.5))
    return 0.05 + 2.85 * rise * np.where(s > 10, np.exp(-(s - 10) / 30), 1.0)


def wave_dataset(mesh, arrival, until=100.0, every=0.5):
    """A Dataset whose cytosolic calcium passes 0.2 uM at `arrival` at each position; the ER mirrors it, the buffer is at rest."""
    model = cs.Model(
        mesh,
        species=[cs.Species("ca", {"cytosol": "220 um^2/s", "er": "220 um^2/s"}, {"cytosol": "0.05 uM", "er": "250 uM"})],
        buffers=[cs.Buffer("calbindin", "ca", "cytosol", "160 uM", "27 /uM/s", "19 /s", "20 um^2/s")],
        membranes={"er": [Release()]},
        stimuli=[cs.Influx("ca", at="left", flux="2500 uM um/s", duration="1 ms", shape="ramp-down")],
    )
    time = np.arange(0.0, until + 1e-9, every)
    c = front(time, arrival)
    fields = {("ca", "cytosol"): c, ("ca", "er"): 250 - 10 * (c - 0.05), ("calbindin", "cytosol"): np.full(c.shape, 149.4)}
    record = ChannelRecord("Release", "er", 0.1 * c, np.clip(c / 3, 0, 1))
    amounts = {f"region:{r}": fields["ca", r] @ mesh.volume[mesh.span(r)] for r in mesh.regions}
    bound = {"bound:calbindin": np.full(len(time), (160 - 149.4) * mesh.volume[mesh.span("cytosol")].sum())}
    ledger = {"ca": amounts | bound | {"stimulus:0:ca": np.ones(len(time))}}
    told = {"scheme": "synthetic", "steps": 3, "phase_seconds": {"local": 0.5}, "ledger_drift": 1e-15}
    return assemble(model, Frames(time, fields, [record], ledger, attributes=told))


@pytest.fixture(scope="session")
def cable():
    """A wave of 0.5 um/ms that starts at the left end of a 40 um neurite."""
    mesh = neurite("40 um", "0.4 um", er_radius="0.15 um", spacing="0.2 um")
    return wave_dataset(mesh, 2.0 + mesh.distance[mesh.span("cytosol")] / 0.5)


@pytest.fixture(scope="session")
def fork():
    """A wave of 0.8 um/ms that starts at the tip of the right arm of a fork and runs into the stem and the left arm."""
    mesh = branched_mesh()
    n, steps = mesh.nodes // 2, 40
    branch = np.repeat([0, 1, 2], [steps, steps, steps // 2])
    d, root = mesh.distance[:n], mesh.distance[steps - 1]
    tip = mesh.distance[n - 1] - root
    away = np.where(branch == 2, tip - (d - root), tip + np.abs(d - root))
    return wave_dataset(mesh, 1.0 + away / 0.8)
