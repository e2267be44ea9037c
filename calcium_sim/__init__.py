"""calcium-sim: calcium waves in cells by finite volumes, every membrane flux a pluggable channel.

>>> import calcium_sim as cs
>>> cs.Species("ca", diffusion={"cytosol": "220 um^2/s"}, initial={"cytosol": "0.05 uM"}).diffusion
{'cytosol': 0.22}

What there is, each with its own help (``help(cs.Model)``):

* a cell: `Species`, `Buffer`, `Influx`, `Set`, `Model`; `Mesh`, `meshes` (neurite, well_mixed, from_swc), `within`, `units`, `presets`;
* channels: `list_channels`, `get_channel`, `BALANCE`; own ones: `channel`, `Channel`, `check_channel`, `add_channel_folder`; networks:
  `export_channel`, `save_weights`, `load_channel`, `TorchGate`, `learn`;
* a run: `simulate`, `Simulation`, `Probe`;
* a result: `save`, `open`, `at`, `arrival_times`, `wave_speed`, `total_calcium`, `plot` (kymograph, traces, arrival_map, probes), `cite`;
* what goes wrong: `InputError`, `RunStopped`, `StorageError` (all `CalciumSimError`), `ModelWarning`, in `errors`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import errors as errors
    from . import learn as learn
    from . import meshes as meshes
    from . import plot as plot
    from . import presets as presets
    from . import units as units
    from .checking import check_channel as check_channel
    from .diagnostics import arrival_times as arrival_times
    from .diagnostics import cite as cite
    from .diagnostics import wave_speed as wave_speed
    from .errors import CalciumSimError as CalciumSimError
    from .errors import InputError as InputError
    from .errors import ModelWarning as ModelWarning
    from .errors import RunStopped as RunStopped
    from .errors import StorageError as StorageError
    from .export import export_channel as export_channel
    from .export import save_weights as save_weights
    from .learned import load_channel as load_channel
    from .mesh import Mesh as Mesh
    from .mesh import within as within
    from .model import Buffer as Buffer
    from .model import Model as Model
    from .model import Species as Species
    from .plot import kymograph as kymograph
    from .plugin import BALANCE as BALANCE
    from .plugin import Channel as Channel
    from .plugin import TorchGate as TorchGate
    from .plugin import channel as channel
    from .probes import Probe as Probe
    from .reading import open as open
    from .registry import add_channel_folder as add_channel_folder
    from .registry import get_channel as get_channel
    from .registry import list_channels as list_channels
    from .results import save as save
    from .selection import at as at
    from .simulate import Simulation as Simulation
    from .simulate import simulate as simulate
    from .stimuli import Influx as Influx
    from .stimuli import Set as Set
    from .totals import total_calcium as total_calcium

    __version__: str

_MODULES = ("errors", "learn", "meshes", "plot", "presets", "units")
_NAMES = {
    "checking": ("check_channel",),
    "diagnostics": ("arrival_times", "cite", "wave_speed"),
    "export": ("export_channel", "save_weights"),
    "errors": ("CalciumSimError", "InputError", "ModelWarning", "RunStopped", "StorageError"),
    "learned": ("load_channel",),
    "mesh": ("Mesh", "within"),
    "model": ("Buffer", "Model", "Species"),
    "plot": ("kymograph",),
    "plugin": ("BALANCE", "Channel", "channel", "TorchGate"),
    "probes": ("Probe",),
    "registry": ("add_channel_folder", "get_channel", "list_channels"),
    "reading": ("open",),
    "results": ("save",),
    "selection": ("at",),
    "simulate": ("Simulation", "simulate"),
    "stimuli": ("Influx", "Set"),
    "totals": ("total_calcium",),
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


class _Package(ModuleType):
    """The package itself: importing the submodule ``simulate`` must not hide the function of that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
