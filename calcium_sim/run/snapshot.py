"""All that a simulation has in hand between two steps, as plain data: kept, put back, written to a file and read again.

A file is a line that says what it is, the SHA-256 of the rest, and plain data (see `plainly`): there is nothing in it that is run.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..description.sizes import physical_memory, readable
from ..errors import InputError, StorageError, file_path, regular_file, shown, warn
from ..kernels.control import sound
from ..kernels.files import replace_file
from ..model import Model
from ..model.placed import VoltageMap
from ..model.plainly import packed, unpacked
from ..plan.rest import voltage_at
from ..plugin import Channel
from ..results.dataset import release
from ..results.described import describe
from .integration import Integration

MAGIC = b"calcium-sim simulation 1\n"
LARGEST = 1 << 32
"""Bytes of the largest file that is read."""

_KEPT = {
    "": ("observed", "settled", "upcoming", "remarked", "seconds"),
    "state": ("u", "y", "moved", "t", "before", "known", "limited", "behind", "seen"),
    "control": ("step", "run", "credit", "proven", "steps", "rejected"),
    "loop": ("warned", "capped", "rate"),
    "loop.fixed": ("wait", "since", "after", "told", "errors", "changes", "seen", "largest", "measure", "time"),
    "ranges": ("first", "warned", "known", "rows"),
    "ledger": ("channels", "stimuli", "decayed", "gained", "worst", "largest", "start"),
    "watch": ("memory", "times", "begin", "due", "short"),
    "drive": ("past",),
}
"""What changes in a run, by the part of the simulation that has it."""
SAMPLES = 4096
"""Times at which a potential given as a function is compared."""
_KEYS = ("seconds", "start")
"""Tables whose keys a run does not change."""


def kept(simulation: Integration) -> dict[str, dict[str, Any]]:
    """A copy of all that changes in a run."""
    return {part: {name: copy.deepcopy(getattr(_part(simulation, part), name)) for name in names} for part, names in _KEPT.items()}


def put_back(simulation: Integration, memory: Mapping[str, Mapping[str, Any]]) -> None:
    """Bring a simulation of the same model, just made, to where another one was.

    Raises
    ------
    InputError
        If what was kept does not fit to the model, or is none that a run leaves.
    """
    for part, names in _KEPT.items():
        home = _part(simulation, part)
        for name in names:
            new, old = memory.get(part, {}).get(name), getattr(home, name)
            whole = name not in _KEYS or (isinstance(new, dict) and new.keys() == old.keys())
            if type(new) is not type(old) or not whole or not _fits(new, old, _resized(simulation) if name == "known" else ()):
                fault = "does not fit to the model (it is of another one, or damaged)"
                raise InputError("simulation", f"{part or 'simulation'}.{name} {fault}")
            _put(home, name, old, copy.deepcopy(new))
    _check_sound(simulation)


def _put(home: Any, name: str, old: Any, new: Any) -> None:
    """Arrays of the same shape are overwritten, because others hold them, too."""
    if isinstance(old, np.ndarray) and old.shape == new.shape:
        old[...] = new
    elif name == "rows":
        for row, values in zip(old, new, strict=True):
            row[...] = values
    else:
        setattr(home, name, new)


def _resized(simulation: Integration) -> tuple[int, ...]:
    """The shape of the inputs on which networks ran last, once they have run."""
    networks = simulation.stepper.networks
    return len(simulation.stepper.counts), getattr(networks, "kept", 0)


def _check_sound(simulation: Integration) -> None:
    """Refuse numbers that no run leaves."""
    state, control, books = simulation.state, simulation.control, simulation.ledger
    positive = (state.before, control.step)
    counted = (control.run, control.credit, control.steps, control.rejected)
    tables = [*books.channels.values(), *books.stimuli.values(), *books.decayed.values(), books.gained, books.largest, books.start]
    numbers = [v for table in tables if isinstance(table, dict) for v in table.values()]
    sane = (
        sound(state.u, state.y, simulation.loop.bounded)
        and bool(np.isfinite(state.moved).all())
        and all(math.isfinite(v) and v > 0 for v in positive)
        and all(type(v) is int and v >= 0 for v in counted)
        and math.isfinite(state.t)
        and state.t >= simulation.observed >= 0.0
        and (simulation.settled == state.t and simulation.upcoming > state.t)
        and all(isinstance(table, dict) for table in tables)
        and all(isinstance(v, float) and math.isfinite(v) for v in numbers)
        and all(table.keys() <= books.start.keys() for table in (books.channels, books.stimuli, books.decayed, books.gained, books.largest))
        and all(isinstance(v, float) for v in simulation.seconds.values())
    )
    if not sane:
        raise InputError("simulation", "holds numbers that no run leaves (it is damaged)")


def _part(simulation: Integration, path: str) -> Any:
    found: Any = simulation
    for name in path.split(".") if path else ():
        found = getattr(found, name)
    return found


def _fits(new: Any, old: Any, resized: tuple[int, ...] = ()) -> bool:
    """Whether a value can stand where another one stands: arrays of the same shape, texts and numbers in a list or set."""
    if isinstance(old, np.ndarray):
        return bool(new.dtype == old.dtype and new.shape in (old.shape, resized or old.shape))
    if isinstance(old, list) and any(isinstance(row, np.ndarray) for row in old):
        return len(new) == len(old) and all(isinstance(row, np.ndarray) and _fits(row, o) for row, o in zip(new, old, strict=True))
    return True


def write(simulation: Integration, path: Any) -> Path:
    """Write a simulation to a file; see `Simulation.save`."""
    target = file_path(path, "save")
    if isinstance(scheme := simulation.options["scheme"], type):
        raise InputError("save", f"the scheme {scheme.__name__} is a class, which no file can hold (those of the package go by name)")
    try:
        model: Any = packed(simulation.model)
    except InputError as error:
        model = str(error)
        warn(f"save: {target} holds no model: {error} (keep what makes it, and give it: Simulation.load(path, model=...))")
    content = {
        "version": release(),
        "options": simulation.options,
        "memory": kept(simulation),
        "sources": dict(simulation.sources),
        "description": json.dumps(describe(simulation.model)),
        "digest": digest_of(simulation),
        "model": model,
    }
    body = packed(content)
    try:
        replace_file(target, MAGIC + hashlib.sha256(body).digest() + body, 0o644)
    except OSError as error:
        raise StorageError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target


def read(path: Any, model: Model | None) -> tuple[Model, dict[str, Any]]:
    """The model and all else in a file that `write` made; see `Simulation.load`."""
    source = regular_file(file_path(path, "load"), str(path), "a simulation that was saved")
    content = _content(source)
    if model is not None:
        return model, content
    if isinstance(content["model"], str):
        raise InputError(str(path), f"holds no model: {content['model']} (give it: Simulation.load(path, model=...))")
    held = unpacked(content["model"], str(path))
    if not isinstance(held, Model):
        raise InputError(str(path), f"holds {shown(held)} in place of a model")
    return held, content


@contextmanager
def reading(path: Any) -> Iterator[None]:
    """Name the file in what is refused while a simulation is made of it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error.where}" if error.where else str(path), error.message) from None
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise InputError(str(path), f"is no saved simulation ({type(error).__name__})") from None


def check_same(content: Mapping[str, Any], simulation: Integration) -> None:
    """Refuse to go on with another model, or with a channel whose code is another by now."""
    for name, digest in simulation.sources.items():
        if content["sources"].get(name) != digest:
            raise InputError(f"channel '{name}'", "its code is not what it was when this was saved (take the code of then)")
    now, before = describe(simulation.model), json.loads(content["description"])
    names = [n for n in now if not isinstance(before, dict) or before.get(n) != json.loads(json.dumps(now[n]))]
    if content["digest"] != digest_of(simulation, content["memory"]["state"]["t"]) or set(names) - {"voltage"}:
        raise InputError("", f"was saved with another model: {', '.join(names) or 'a function, an array or a label'} (give that one)")


def digest_of(simulation: Integration, t: float | None = None) -> str:
    """What tells models apart by what is computed: the mesh, all that was lowered, every Set, the potential up to now (not what comes)."""
    plan, mesh, events = simulation.plan, simulation.model.mesh, simulation.events
    until = simulation.t if t is None else float(t)
    digest = hashlib.sha256()
    for name in (f.name for f in fields(plan) if f.name not in ("model", "stops")):
        _feed(digest, getattr(plan, name))
    for part in (mesh.regions, mesh.start, mesh.volume, mesh.position, mesh.distance, mesh.edges, mesh.conductance, mesh.structure):
        _feed(digest, part)
    _feed(digest, {name: (m.sides, m.inside, m.outside, m.area) for name, m in mesh.membranes.items()})
    _feed(digest, [(s.time, events.of(k, s)) for k, s in events.sets])
    volts, seen = simulation.model.voltage, [k * until / SAMPLES for k in range(SAMPLES + 1)] if math.isfinite(until) else []
    _feed(digest, [(t, v) for t, v in volts if t <= until] if isinstance(volts, tuple) else None)
    if isinstance(volts, VoltageMap):
        known = volts.times <= until
        _feed(digest, (volts.positions, volts.times[known], volts.potentials[known]))
    _feed(digest, [voltage_at(simulation.model, t) for t in (seen if callable(volts) else seen[-1:])])
    return digest.hexdigest()


def _feed(digest: Any, part: Any) -> None:
    """Numbers, names and arrays of what was lowered; of a channel its class, for its numbers are among the parameters."""
    if isinstance(part, np.ndarray):
        digest.update(f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
    elif isinstance(part, (Channel, type)):
        digest.update((part.label() if isinstance(part, Channel) else part.__qualname__).encode())
    elif is_dataclass(part):
        _feed(digest, [getattr(part, f.name) for f in fields(part)])
    elif isinstance(part, Mapping):
        _feed(digest, list(part.items()))
    elif isinstance(part, (tuple, list)):
        digest.update(f"({len(part)}".encode())
        for row in part:
            _feed(digest, row)
    else:
        assert part is None or isinstance(part, (bool, int, float, str, slice, np.generic)), type(part)
        digest.update(f"{part!r};".encode())


def _content(source: Path) -> dict[str, Any]:
    try:
        size = source.stat().st_size
        if size > LARGEST or 3 * size > physical_memory():
            raise InputError(str(source), f"is larger than {readable(min(LARGEST, physical_memory() / 3))}, no saved simulation is here")
        whole = memoryview(source.read_bytes())
    except FileNotFoundError:
        raise InputError(str(source), "no such file (Simulation.save writes one)") from None
    except OSError as error:
        raise InputError(str(source), f"cannot be read: {error.strerror or error}") from None
    if whole[:12] != MAGIC[:12]:
        raise InputError(str(source), "is no saved simulation (Simulation.save writes one)")
    if whole[: len(MAGIC)] != MAGIC:
        raise InputError(str(source), "was written by another version of calcium-sim, whose simulations this one cannot read")
    check, body = whole[len(MAGIC) :][:32], whole[len(MAGIC) + 32 :]
    if bytes(body[8:9]) != b"{" or hashlib.sha256(body).digest() != check:
        raise StorageError(f"{source}: damaged or cut short")
    content = unpacked(body, str(source))
    kinds: dict[str, Any] = {"version": str, "options": dict, "memory": dict, "sources": dict, "description": str, "digest": str}
    whole_table = isinstance(content, dict) and all(isinstance(content.get(name), kind) for name, kind in kinds.items())
    if not whole_table or not isinstance(content.get("model"), (bytes, str)):
        raise InputError(str(source), "is no saved simulation")
    return dict(content)
