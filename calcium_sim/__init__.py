"""calcium-sim: calcium waves in cells by finite volumes, every membrane flux a pluggable channel.

>>> import calcium_sim as cs
>>> cs.Species("ca", diffusion={"cytosol": "220 um^2/s"}, initial={"cytosol": "0.05 uM"}).diffusion
{'cytosol': 0.22}

What there is, each with its own help (``help(cs.Model)``):

* a cell: `Species`, `Buffer`, `Influx`, `Set`, `Model`; its potential: `Cable`, `CurrentClamp`, `VoltageClamp`, `VoltageMap`; `SpikeTimes`;
  `Mesh`, `meshes` (neurite, well_mixed, from_swc), `within`, `units`, `presets`;
* channels: `list_channels`, `get_channel`, `BALANCE`; own ones: `channel`, `Channel`, `check_channel`, `add_channel_folder`; networks:
  `export_channel`, `save_weights`, `load_channel`, `TorchGate`, `learn`;
* a run: `simulate`, `Simulation`, `Probe`;
* a result: `save`, `open`, `at`, `arrival_times`, `wave_speed`, `total_calcium`, `plot` (kymograph, traces, arrival_map, probes), `cite`;
* what goes wrong: `InputError`, `RunStopped`, `StorageError` (all `CalciumSimError`), `ModelWarning`, in `errors`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import errors as errors
    from . import learn as learn
    from . import meshes as meshes
    from . import plot as plot
    from . import presets as presets
    from . import units as units
    from .errors import CalciumSimError as CalciumSimError
    from .errors import InputError as InputError
    from .errors import ModelWarning as ModelWarning
    from .errors import RunStopped as RunStopped
    from .errors import StorageError as StorageError
    from .mesh import Mesh as Mesh
    from .mesh import within as within
    from .model import Buffer as Buffer
    from .model import Model as Model
    from .model import Species as Species
    from .model.electrics import Cable as Cable
    from .model.electrics import CurrentClamp as CurrentClamp
    from .model.electrics import VoltageClamp as VoltageClamp
    from .model.placed import VoltageMap as VoltageMap
    from .model.probes import Probe as Probe
    from .model.registry import add_channel_folder as add_channel_folder
    from .model.registry import get_channel as get_channel
    from .model.registry import list_channels as list_channels
    from .model.spikes import SpikeTimes as SpikeTimes
    from .model.stimuli import Influx as Influx
    from .model.stimuli import Set as Set
    from .networks.channel import load_channel as load_channel
    from .networks.export import export_channel as export_channel
    from .networks.export import save_weights as save_weights
    from .plot import kymograph as kymograph
    from .plugin import BALANCE as BALANCE
    from .plugin import Channel as Channel
    from .plugin import TorchGate as TorchGate
    from .plugin import channel as channel
    from .results.dataset import save as save
    from .results.diagnostics import arrival_times as arrival_times
    from .results.diagnostics import cite as cite
    from .results.diagnostics import wave_speed as wave_speed
    from .results.reading import open as open
    from .results.selection import at as at
    from .results.totals import total_calcium as total_calcium
    from .run.simulation import Simulation as Simulation
    from .run.simulation import simulate as simulate
    from .testing import check_channel as check_channel

    __version__: str

_MODULES = ("errors", "learn", "meshes", "plot", "presets", "units")
_NAMES = {
    "errors": ("CalciumSimError", "InputError", "ModelWarning", "RunStopped", "StorageError"),
    "mesh": ("Mesh", "within"),
    "model": ("Buffer", "Model", "Species"),
    "model.electrics": ("Cable", "CurrentClamp", "VoltageClamp"),
    "model.placed": ("VoltageMap",),
    "model.probes": ("Probe",),
    "model.registry": ("add_channel_folder", "get_channel", "list_channels"),
    "model.spikes": ("SpikeTimes",),
    "model.stimuli": ("Influx", "Set"),
    "networks.channel": ("load_channel",),
    "networks.export": ("export_channel", "save_weights"),
    "plot": ("kymograph",),
    "plugin": ("BALANCE", "Channel", "channel", "TorchGate"),
    "results.dataset": ("save",),
    "results.diagnostics": ("arrival_times", "cite", "wave_speed"),
    "results.reading": ("open",),
    "results.selection": ("at",),
    "results.totals": ("total_calcium",),
    "run.simulation": ("Simulation", "simulate"),
    "testing": ("check_channel",),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}


if not TYPE_CHECKING:  # else every misspelt name would be one

    def __getattr__(name: str) -> Any:
        """Import the module that defines a public name when the name is first used."""
        if name in _HOME:
            found = getattr(import_module(f".{_HOME[name]}", __name__), name)
        elif name in _MODULES:
            found = import_module(f".{name}", __name__)
        elif name == "__version__":
            from importlib.metadata import version

            found = version("calcium-sim")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*_HOME, *_MODULES, "__version__"})
