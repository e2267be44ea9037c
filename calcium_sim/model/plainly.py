"""Numbers, tables and parts of descriptions as plain data, and back: JSON beside the bytes of the arrays.

Reading makes nothing but what is listed here, by its own constructor, which checks it as any other. There is no code in such data, no type
that it could change, and no array that is larger than its own bytes.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ..description.fixed import Fixed, check_portable
from ..errors import InputError, shown
from ..mesh import Axisymmetric, Columns, Face, Membrane, Mesh
from ..mesh.labels import Labels
from ..mesh.places import Box, Nearest, Several, Within
from ..mesh.profiles import Profile
from ..networks.channel import carried
from ..plugin import BALANCE, Channel, found
from ..units import Canonical
from .electrics import Cable, CurrentClamp, VoltageClamp
from .model import Buffer, Model, Species
from .placed import VoltageMap
from .spikes import SpikeTimes
from .stimuli import Influx, Set
from .tables import Table

PARTS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        Species,
        Buffer,
        Model,
        Influx,
        Set,
        Cable,
        CurrentClamp,
        VoltageClamp,
        SpikeTimes,
        VoltageMap,
        Mesh,
        Membrane,
        Face,
        Columns,
        Axisymmetric,
        Profile,
        Within,
        Box,
        Nearest,
    )
}
_ROWS: dict[str, Any] = {"tuple": tuple, "list": list, "set": set, "frozenset": frozenset, "several": Several, "table": Table}
_TABLES: dict[str, Any] = {"dict": dict, "fixed": Fixed}
_DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
DEEPEST = 60
"""Levels of nesting."""


def packed(value: Any) -> bytes:
    """A value as bytes.

    Raises
    ------
    InputError
        If it holds a function, or a class that no other process can find.
    """
    arrays: list[bytes] = []
    text = json.dumps(_plain(value, arrays)).encode()
    return len(text).to_bytes(8, "big") + text + b"".join(arrays)


def unpacked(content: bytes | memoryview, where: str) -> Any:
    """The value in bytes that `packed` made.

    Raises
    ------
    InputError
        If it is anything else.
    """
    size = int.from_bytes(content[:8], "big")
    try:
        rest = _Rest(memoryview(content)[8 + size :])
        found = _made(json.loads(bytes(content[8 : 8 + size])), rest, 0)
        rest.close()
        return found
    except InputError as error:
        raise InputError(where, f"is refused: {error}") from None
    except MemoryError:
        raise InputError(where, "does not fit into the memory of this machine") from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError) as error:
        raise InputError(where, f"cannot be read: {type(error).__name__}: {shown(str(error))}") from None


def _plain(value: Any, arrays: list[bytes]) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Canonical):
        return {"is": "number", "value": float(value), "unit": value.unit}
    if isinstance(value, (np.ndarray, np.generic)):
        return _array(value, arrays)
    if isinstance(value, float):
        return value
    if value is BALANCE:
        return {"is": "balance"}
    if isinstance(value, bytes):
        return _array(np.frombuffer(value, np.uint8), arrays) | {"is": "bytes"}
    if isinstance(value, Channel):
        find, place = value.origin()
        kind = {carried: "file", found: "class"}.get(find)
        if kind is None:
            raise InputError(value.label(), f"is of the file {place[0]}, which would have to be executed")
        rows = [_plain(part, arrays) for part in place]
        return {"is": "channel", "of": kind, "place": rows, "value": _plain(value.arguments(), arrays)}
    if isinstance(value, Labels):
        return {"is": "labels", "value": _plain([value.masks, value.sections, value.regions], arrays)}
    if isinstance(value, Mapping):
        name = "fixed" if isinstance(value, Fixed) else "dict"
        return {"is": name, "value": [[_plain(k, arrays), _plain(v, arrays)] for k, v in value.items()]}
    for name, kind in _ROWS.items():
        if type(value) is kind:
            return {"is": name, "value": [_plain(v, arrays) for v in value]}
    if is_dataclass(value) and type(value) in PARTS.values():
        held = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
        for name, part in held.items():
            check_portable(part, f"{type(value).__name__}.{name}")
        return {"is": type(value).__name__, "value": {name: _plain(part, arrays) for name, part in held.items()}}
    raise InputError("simulation", f"{shown(value)} cannot go to a file")


def _array(value: Any, arrays: list[bytes]) -> dict[str, Any]:
    array = np.ascontiguousarray(value)
    if array.dtype.name not in _DTYPES:
        raise InputError("simulation", f"an array of {array.dtype} cannot go to a file")
    begin = sum(map(len, arrays))
    arrays.append(array.tobytes())
    shape = list(np.shape(value))
    return {"is": "scalar" if isinstance(value, np.generic) else "array", "dtype": array.dtype.name, "shape": shape, "at": begin}


def _made(data: Any, rest: _Rest, depth: int) -> Any:
    if depth > DEEPEST:
        raise InputError("data", "is nested too deeply")
    if data is None or isinstance(data, (bool, int, float, str)):
        return data
    kind = data["is"]
    if kind == "number":
        return Canonical(float(data["value"]), str(data["unit"]))
    if kind == "balance":
        return BALANCE
    if kind == "bytes":
        return _filled(data, rest).tobytes()
    if kind in ("array", "scalar"):
        array = _filled(data, rest)
        return array if kind == "array" else array[()]
    value = data["value"]
    if kind in _TABLES:
        return _TABLES[kind]({_made(k, rest, depth + 1): _made(v, rest, depth + 1) for k, v in value})
    if kind in _ROWS:
        return _ROWS[kind](_made(v, rest, depth + 1) for v in value)
    if kind == "labels":
        return Labels(*_made(value, rest, depth + 1))
    if kind == "channel":
        return _channel(data, rest, depth)
    return PARTS[kind](**{str(name): _made(part, rest, depth + 1) for name, part in value.items()})


class _Rest:
    """The bytes of arrays, which are taken in their order, each byte once: they need no more memory than the file has."""

    def __init__(self, content: memoryview) -> None:
        self.content, self.taken = content, 0

    def take(self, at: int, size: int) -> memoryview:
        if at != self.taken or at + size > len(self.content):
            raise InputError("data", "an array is cut short, or stands elsewhere than behind the one before")
        self.taken += size
        return self.content[at : at + size]

    def close(self) -> None:
        if self.taken != len(self.content):
            raise InputError("data", f"{len(self.content) - self.taken} bytes at its end belong to nothing")


def _filled(data: Mapping[str, Any], rest: _Rest) -> Any:
    """An array over its own bytes; a shape that these do not fill is refused."""
    if data["dtype"] not in _DTYPES or not all(type(n) is int and n >= 0 for n in (*data["shape"], data["at"])):
        raise InputError("data", f"an array of {shown(data['dtype'])} and shape {shown(data['shape'])}")
    dtype, count = np.dtype(data["dtype"]), math.prod(data["shape"])
    part = rest.take(data["at"], count * dtype.itemsize)
    flat = np.frombuffer(part, np.uint8) != 0 if data["dtype"] == "bool" else np.frombuffer(part, dtype)
    return flat.reshape(data["shape"]).copy()


def _channel(data: Mapping[str, Any], rest: _Rest, depth: int) -> Channel:
    """A channel of a class that is ours or in a module that is imported already (a file must not have modules imported), or of a file."""
    place = [_made(part, rest, depth + 1) for part in data["place"]]
    if data["of"] == "file":
        cls = carried(str(place[0]), bytes(place[1]))
    else:
        module, name = str(place[0]), str(place[1])
        if module not in sys.modules and not module.startswith("calcium_sim.channels."):
            raise InputError("channel", f"{module}.{name} is of a module that is not imported (import it first)")
        cls = found(module, name)
    return cls(**_made(data["value"], rest, depth + 1))
