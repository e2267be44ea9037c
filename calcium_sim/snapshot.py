"""All that a simulation has in hand between two steps, as plain data: kept, put back, written to a file and read again.

A file is a line that says what it is, the SHA-256 of the rest, and a pickle that can hold nothing but numbers, arrays, tables and the parts
of a description, each of which is checked as any other when it is made. What else a pickle may name is refused before it is made.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import pickle
import pickletools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .described import describe
from .errors import InputError, StorageError, file_path, regular_file, shown
from .kernels.compiled import replace_file
from .model import Model
from .results import release

if TYPE_CHECKING:
    from .simulate import Simulation

MAGIC = b"calcium-sim simulation 1\n"
LARGEST = 1 << 32
"""Bytes of the largest file that is read."""

_KEPT = {
    "": ("observed", "settled", "upcoming", "remarked", "seconds"),
    "state": ("u", "y", "moved", "t", "before", "known", "limited"),
    "control": ("step", "run", "credit", "steps", "rejected"),
    "loop": ("warned",),
    "loop.fixed": ("wait", "since", "after", "told", "errors", "changes", "seen", "largest", "measure", "time"),
    "ranges": ("first", "warned", "known", "rows"),
    "ledger": ("channels", "stimuli", "decayed", "gained", "worst", "largest", "start"),
    "watch": ("memory", "times", "begin", "due", "short"),
    "drive": ("past",),
}
"""What changes in a run, by the part of the simulation that has it."""


def kept(simulation: Simulation) -> dict[str, dict[str, Any]]:
    """A copy of all that changes in a run."""
    return {part: {name: copy.deepcopy(getattr(_part(simulation, part), name)) for name in names} for part, names in _KEPT.items()}


def put_back(simulation: Simulation, memory: Mapping[str, Mapping[str, Any]]) -> None:
    """Bring a simulation of the same model, just made, to where another one was.

    Raises
    ------
    InputError
        If what was kept does not fit to the model.
    """
    for part, names in _KEPT.items():
        home = _part(simulation, part)
        for name in names:
            new, old = memory.get(part, {}).get(name), getattr(home, name)
            if type(new) is not type(old) or not _fits(new, old, resizable=name == "known"):
                fault = "does not fit to the model (it is of another one, or damaged)"
                raise InputError("simulation", f"{part or 'simulation'}.{name} {fault}")
            _put(home, name, old, copy.deepcopy(new))


def _put(home: Any, name: str, old: Any, new: Any) -> None:
    """Arrays of the same shape are overwritten, because others hold them, too."""
    if isinstance(old, np.ndarray) and old.shape == new.shape:
        old[...] = new
    elif name == "rows":
        for row, values in zip(old, new, strict=True):
            row[...] = values
    else:
        setattr(home, name, new)


def _part(simulation: Simulation, path: str) -> Any:
    found: Any = simulation
    for name in path.split(".") if path else ():
        found = getattr(found, name)
    return found


def _fits(new: Any, old: Any, *, resizable: bool = False) -> bool:
    """Whether a value can stand where another one stands: arrays of the same shape, texts and numbers in a list or set."""
    if isinstance(old, np.ndarray):
        return new.dtype == old.dtype and (new.shape == old.shape or (resizable and new.ndim == old.ndim))
    if isinstance(old, list) and any(isinstance(row, np.ndarray) for row in old):
        return len(new) == len(old) and all(isinstance(row, np.ndarray) and _fits(row, o) for row, o in zip(new, old, strict=True))
    return True


def write(simulation: Simulation, path: Any) -> Path:
    """Write a simulation to a file; see `Simulation.save`."""
    target = file_path(path, "save")
    try:
        model: bytes | str = pickle.dumps(simulation.model, 5)
    except InputError as error:
        model = str(error)
    content = {
        "version": release(),
        "options": simulation.options,
        "memory": kept(simulation),
        "sources": simulation.sources,
        "description": _described(simulation.model),
        "model": model,
    }
    body = pickle.dumps(content, 5)
    try:
        replace_file(target, MAGIC + hashlib.sha256(body).digest() + body)
    except OSError as error:
        raise StorageError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target


def read(path: Any, model: Model | None) -> tuple[Model, dict[str, Any]]:
    """The model and all else in a file that `write` made; see `Simulation.load`."""
    source = regular_file(file_path(path, "load"), str(path), "a simulation that was saved")
    content = _content(source)
    if model is None:
        held = content.get("model")
        if not isinstance(held, bytes):
            raise InputError(str(path), f"holds no model: {held} (give it: Simulation.load(path, model=...))")
        model = _load(held, str(path), _PARTS)
        if not isinstance(model, Model):
            raise InputError(str(path), f"holds {shown(model)} in place of a model")
    elif (now := _described(model)) != content.get("description"):
        raise InputError(str(path), f"was saved with another model: {_difference(content.get('description'), now)}")
    return model, content


@contextmanager
def reading(path: Any) -> Iterator[None]:
    """Name the file in what is refused while a simulation is made of it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error.where}" if error.where else str(path), error.message) from None
    except TypeError:
        raise InputError(str(path), "is no saved simulation") from None


def check_sources(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse to go on with a channel whose code is another by now."""
    for name, digest in now.items():
        if before.get(name) != digest:
            raise InputError(f"channel '{name}'", "its code is not what it was when this was saved (take the code of then)")


def _content(source: Path) -> dict[str, Any]:
    try:
        if source.stat().st_size > LARGEST:
            raise InputError(str(source), f"is larger than {LARGEST >> 30} GiB, no saved simulation is")
        whole = source.read_bytes()
    except FileNotFoundError:
        raise InputError(str(source), "no such file (Simulation.save writes one)") from None
    except OSError as error:
        raise InputError(str(source), f"cannot be read: {error.strerror or error}") from None
    if not whole.startswith(MAGIC[:12]):
        raise InputError(str(source), "is no saved simulation (Simulation.save writes one)")
    if not whole.startswith(MAGIC):
        raise InputError(str(source), "was written by another version of calcium-sim, whose simulations this one cannot read")
    check, body = whole[len(MAGIC) :][:32], whole[len(MAGIC) + 32 :]
    if hashlib.sha256(body).digest() != check:
        raise StorageError(f"{source}: damaged or cut short")
    content = _load(body, str(source), _NUMBERS)
    kinds: dict[str, Any] = {"version": str, "options": dict, "memory": dict, "sources": dict, "description": str, "model": (bytes, str)}
    if not isinstance(content, dict) or any(not isinstance(content.get(name), kind) for name, kind in kinds.items()):
        raise InputError(str(source), "is no saved simulation")
    return content


def _described(model: Model) -> str:
    """What tells models apart, as JSON: the description, a digest of the mesh."""
    mesh, digest = model.mesh, hashlib.sha256()
    for array in (mesh.start, mesh.volume, mesh.position, mesh.distance, mesh.edges, mesh.conductance):
        digest.update(np.ascontiguousarray(array).tobytes())
    for m in mesh.membranes.values():
        digest.update(b"".join(np.ascontiguousarray(a).tobytes() for a in (m.inside, m.outside, m.area)))
    return json.dumps(describe(model) | {"digest of the mesh": digest.hexdigest()})


def _difference(before: Any, now: str) -> str:
    old, new = json.loads(str(before)), json.loads(now)
    names = [name for name in new if not isinstance(old, dict) or old.get(name) != new[name]]
    return f"{', '.join(names)} differ{'s' if len(names) == 1 else ''} (give the one that was saved)"


def _imported(module: str, name: str) -> Any:
    """A channel class in a module that is ours or imported already: a file must not have modules imported."""
    from .plugin import found

    if module not in sys.modules and not module.startswith("calcium_sim."):
        raise InputError("channel", f"{module}.{name} is of a module that is not imported (import it first)")
    return found(module, name)


_NUMBERS = frozenset({
    "numpy._core.multiarray._reconstruct", "numpy._core.multiarray.scalar", "numpy._core.numeric._frombuffer", "numpy.ndarray",
    "numpy.dtype", "numpy.core.multiarray._reconstruct", "numpy.core.multiarray.scalar", "numpy.core.numeric._frombuffer",
    "calcium_sim.units.Canonical",
})  # fmt: skip
_PARTS = _NUMBERS | {
    "calcium_sim.fixed.Fixed", "calcium_sim.fixed.made", "calcium_sim.plugin.BALANCE",
    "calcium_sim.plugin.remade", "calcium_sim.plugin.found", "calcium_sim.learned.carried", "calcium_sim.places.Within",
    "calcium_sim.places.Box", "calcium_sim.places.Nearest", "calcium_sim.places.Several",
    "calcium_sim.profiles.Profile", "calcium_sim.voltage.Table", "calcium_sim.stimuli.Influx", "calcium_sim.stimuli.Set",
    *(f"calcium_sim.model.{name}" for name in ("Species", "Buffer", "Model")),
    *(f"calcium_sim.mesh.{name}" for name in ("Mesh", "Membrane", "Face", "Columns", "Axisymmetric")),
    "calcium_sim.meshes.columns.Labels",
}  # fmt: skip


class _Reader(pickle.Unpickler):
    """Makes nothing but what is listed."""

    def __init__(self, body: bytes, where: str, known: frozenset[str]) -> None:
        super().__init__(io.BytesIO(body))
        self.where, self.listed = where, known

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" == "calcium_sim.plugin.found" and f"{module}.{name}" in self.listed:
            return _imported
        if f"{module}.{name}" not in self.listed:
            fix = "a function of your own goes with the model: Simulation.load(path, model=...)"
            raise InputError(self.where, f"names {module}.{name}, which is no part of a description ({fix})")
        return super().find_class(module, name)


def _load(body: bytes, where: str, known: frozenset[str]) -> Any:
    """Read a pickle in which nothing but what is listed can stand."""
    try:
        for code, _, _ in pickletools.genops(body):
            if "PUT" in code.name or code.name in ("EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "INST", "OBJ"):
                raise InputError(where, f"is no saved simulation (holds {code.name})")
        return _Reader(body, where, known).load()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a pickle may fail in any way
        raise InputError(where, f"is no saved simulation: {type(error).__name__}: {shown(str(error))}") from None
