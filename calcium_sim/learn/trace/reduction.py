"""What a reduction returns: one compartment with an axial current, as a model, a channel file and a picture."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError, file_path
from ...kernels.files import replace_file
from ...mesh import Floats
from ...meshes.wellmixed import well_mixed
from ...model import Model
from ...model.channel_files import channel_in
from ...model.electrics import Cable
from ...plugin import Channel
from .axial import WIDE, Axial
from .recording import Recording

NAME = "Axial"
"""Of the class in a Python file."""
ROOM = 20.0
"""mV beyond the target to which the range of a network goes."""


@dataclass(frozen=True)
class Reduction:
    """A neuron reduced to one compartment.

    Attributes
    ----------
    form, weights : of the axial current.
    soma : the compartment alone, before its area is divided by the share of the current that charges it.
    rest : potential at the start [mV].
    target, voltage : at the place in the whole neuron, and of the compartment [mV].
    error : root mean square of the difference [mV].
    stage_errors, starts, seconds : error after each stage of nudging, number of starts, CPU time.
    positions : of the whole neuron.
    """

    form: Axial
    weights: Floats = field(repr=False)
    soma: Model = field(repr=False)
    rest: float
    target: Recording = field(repr=False)
    voltage: Floats = field(repr=False)
    error: float
    stage_errors: tuple[float, ...]
    starts: int
    seconds: float
    positions: int

    @property
    def share(self) -> float:
        """Part of the injected current that charges an area as large as the soma's: the compartment is larger by its inverse."""
        return float(np.exp(self.weights[self.form.share]))

    def export(self, path: str | os.PathLike[str], **card: Any) -> None:
        """Write the axial current as a channel file.

        Parameters
        ----------
        path : ``.py``, a channel class called ``Axial``, which is compiled with the rest of a model and runs as fast as other channels
            (``cs.get_channel("soma.py:Axial")``; Python files are executed); or ``.pt``, a network of kind ``current``, which is
            examined and not executed, and takes some thirty times as long.
        card : entries of the card of a ``.pt``, as in `export_channel`.

        Raises
        ------
        InputError
            If the name ends otherwise, or the card is wrong.
        """
        where = file_path(path, "path")
        if where.suffix == ".py":
            if card:
                raise InputError(next(iter(card)), "is an entry of a card, and a Python file has none")
            replace_file(where, self._text().encode(), 0o644)
            return
        if where.suffix != ".pt":
            raise InputError(str(path), "expected a name that ends in .py or .pt")
        from ...networks.export import export_channel

        low, high = float(self.target.voltage.min()) - ROOM, float(self.target.voltage.max()) + ROOM
        told: dict[str, Any] = {
            "inputs": {"v": ("mV", low, high)},
            "states": {f"z{k + 1}": (0.0, -WIDE, WIDE) for k in range(self.form.latents)},
            "across": (self._inside(), "outside"),
            "moves": {"k": 1},
            "training": {"data": self._data(), "error": {"voltage_rms_mV": float(f"{self.error:.4g}")}},
        }
        export_channel(self.form.module(self.weights, self.rest, self._capacitance()), where, kind="current", flux="none", **(told | card))

    def model(self, channel: str | os.PathLike[str] | None = None) -> Model:
        """The compartment with its axial current and the electrodes of the neuron: a model like any other.

        Parameters
        ----------
        channel : file that `export` wrote, needed where the model goes to other processes or files; by default the class is of this
            process alone.
        """
        if channel is None:
            with tempfile.TemporaryDirectory() as folder:
                self.export(file := Path(folder) / "axial.py")
                made = channel_in(f"{file}:{NAME}")
        else:
            made = channel_in(f"{channel}:{NAME}" if str(channel).endswith(".py") else str(channel))
        current: Channel = made(initial={f"z{k + 1}": 0.0 for k in range(self.form.latents)})
        mesh = self.soma.mesh
        (membrane, row), region = next(iter(mesh.membranes.items())), self._inside()
        volume, area = f"{float(mesh.volume[0]) / self.share!r} um^3", f"{float(row.area[0]) / self.share!r} um^2"
        larger = well_mixed({region: volume}, {membrane: ((region, "outside"), area)})
        return replace(self.soma, mesh=larger, membranes={membrane: [*self.soma.membranes[membrane], current]})

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the potential of neuron and compartment, and their difference."""
        from .pictures import draw_reduction

        return draw_reduction(self, path)

    def __str__(self) -> str:
        times = self.target.time
        return (
            f"{self.positions} positions reduced to one with {self.form.latents} latent state{'s' if self.form.latents > 1 else ''} and "
            f"{self.form.size} weights: error {self.error:.3g} mV over {times[-1] - times[0]:g} ms; {self.starts} "
            f"start{'s' if self.starts > 1 else ''}, {self.seconds:.1f} s of CPU"
        )

    def _inside(self) -> str:
        return self.soma.mesh.regions[0]

    def _capacitance(self) -> float:
        assert isinstance(self.soma.voltage, Cable)
        return float(self.soma.voltage.capacitance)

    def _data(self) -> str:
        return f"a neuron of {self.positions} positions, {self.target.time[-1] - self.target.time[0]:g} ms"

    def _text(self) -> str:
        about = f"The axial current of {self._data()}; error {self.error:.3g} mV. Written by calcium_sim.learn.reduce."
        text = self.form.text(self.weights, self.rest, self._capacitance(), NAME, about)
        return text.replace('("cytosol", "outside")', f'("{self._inside()}", "outside")')
