"""Channels without code: a card with a declared architecture, and the weights as plain arrays in one ``.npz`` file."""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..admission.admit import examine_arrays
from ..admission.archive import read_file, write_archive
from ..admission.card import MEMBER, Card, FastCard
from ..admission.strict import shown
from ..errors import InputError
from ..kernels.files import replace_file
from .inputs import Array, Columns, check_outputs

MAX_LAYERS = 16
Maps = Mapping[str, Callable[[Any], Any]]


@dataclass(frozen=True)
class Weights:
    """A multilayer perceptron: z = (T(gain c) - mean)/scale; h = act(W h + b) per layer; linear last layer (+ skip z); clip; output maps.

    Attributes
    ----------
    card : the channel's card, with its `fast` part.
    arrays : ``weight0`` [out, in], ``bias0`` [out], ... for each layer; ``mean``, ``scale``, ``gain`` [inputs]; ``skip`` [outputs, inputs].
    sha256 : hash of the file, empty before it is written.
    """

    card: Card
    arrays: Mapping[str, Array] = field(repr=False)
    sha256: str = ""

    @property
    def fast(self) -> FastCard:
        """The declared architecture."""
        assert self.card.fast is not None
        return self.card.fast

    def evaluate(self, columns: Columns) -> tuple[Array, ...]:
        """Evaluate with numpy, in the card's precision; a row's result does not depend on the rows around it."""
        n = len(columns.x)
        parts: list[Any] = [np.full((n, 1), a) if isinstance(a, float) else a for a in columns.arguments()]
        c: Array = np.concatenate(parts, axis=1).astype(self.card.dtype)
        z = (self._transformed(c) - self.arrays["mean"]) / self.arrays["scale"]
        h: Array = z
        last = len(self.fast.layers) - 2
        for i in range(last + 1):
            h = np.einsum("ni,oi->no", h, self.arrays[f"weight{i}"]) + self.arrays[f"bias{i}"]
            h = _activation(self.fast.act, h) if i < last else h
        if self.fast.skip:
            h = h + np.einsum("ni,oi->no", z, self.arrays["skip"])
        if self.fast.clip is not None:
            h = np.clip(h, *(np.asarray(b, self.card.dtype) for b in self.fast.clip))
        maps: Maps = {"identity": lambda v: v, "exp": np.exp, "sigmoid": _sigmoid, "softplus": _softplus}
        out = np.stack([maps[name](h[:, i]) for i, name in enumerate(self.fast.out)], axis=1)
        ends = np.cumsum(self.card.returns)[:-1]
        return tuple(np.ascontiguousarray(a) for a in np.split(out, ends, axis=1))

    def _transformed(self, c: Array) -> Array:
        maps: Maps = {"identity": lambda v: v, "log": np.log, "log10": np.log10, "asinh": np.arcsinh}
        scaled = c * self.arrays["gain"]
        with np.errstate(all="ignore"):  # what is not finite is found by the check of the outputs
            return np.stack([maps[name](scaled[:, i]) for i, name in enumerate(self.fast.inputs)], axis=1)


def _sigmoid(v: Array) -> Array:
    e = np.exp(-np.abs(v))
    return np.where(v >= 0.0, 1.0 / (1.0 + e), e / (1.0 + e)).astype(v.dtype)


def _softplus(v: Array) -> Array:
    return np.asarray(np.logaddexp(v, 0.0), v.dtype)


def _activation(name: str, v: Array) -> Array:
    if name == "tanh":
        return np.tanh(v)
    if name == "sigmoid":
        return _sigmoid(v)
    if name == "relu":
        return np.maximum(v, 0.0)
    if name == "silu":
        return v * _sigmoid(v)
    return _softplus(v) if name == "softplus" else v


def make_weights(card: Card, arrays: Mapping[str, ArrayLike], where: str = "weights") -> Weights:
    """Check arrays against the architecture of a card and try the network over its declared ranges.

    Parameters
    ----------
    card : a card with `fast`.
    arrays : as in `Weights`; ``mean`` defaults to 0, ``scale`` and ``gain`` to 1.

    Raises
    ------
    InputError
        If an array is missing, unknown, of another shape, or not finite, or if the network is not finite or out of bounds.
    """
    if card.fast is None:
        raise InputError(f"{where}: {MEMBER}: fast", "is missing, a weights file needs the architecture")
    given = {name: np.asarray(a) for name, a in arrays.items()}
    inputs = card.fast.layers[0]
    for name, default in (("mean", 0.0), ("scale", 1.0), ("gain", 1.0)):
        given.setdefault(name, np.full(inputs, default))
    shapes = _shapes(card.fast)
    if odd := sorted(set(shapes) ^ set(given)):
        state = "is missing" if odd[0] in shapes else "is not part of the declared architecture"
        raise InputError(f"{where}: {shown(odd[0], 40)}", state)
    for name, shape in shapes.items():
        if given[name].shape != shape or given[name].dtype.kind not in "fiu":
            raise InputError(f"{where}: {name}", f"{given[name].dtype} of shape {list(given[name].shape)}, expected numbers {list(shape)}")
        given[name] = np.ascontiguousarray(given[name], card.dtype)
        if not np.isfinite(given[name]).all():
            raise InputError(f"{where}: {name}", "has values that are not finite")
    if (given["scale"] == 0.0).any():
        raise InputError(f"{where}: scale", "has a zero")
    weights = Weights(card, {name: given[name] for name in shapes})
    with np.errstate(all="ignore"):
        check_outputs(card, weights.evaluate, where)
    return weights


def write_weights(path: str | os.PathLike[str], weights: Weights) -> str:
    """Write card and arrays as ``.npz`` (stored, no time stamps: the same weights give the same bytes); return the sha256."""
    members = {MEMBER: weights.card.json()}
    for name, array in weights.arrays.items():
        stream = io.BytesIO()
        np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
        members[f"{name}.npy"] = stream.getvalue()
    data = write_archive(members)
    write_bytes(Path(path), data)
    return hashlib.sha256(data).hexdigest()


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """Read a weights file; every array is checked against the declared architecture, nothing is unpickled.

    Raises
    ------
    InputError
        One line that names the member and the rule.
    """
    return weights_of_bytes(read_file(Path(path)), str(path))


def weights_of_bytes(data: bytes, where: str) -> Weights:
    """Check the bytes of a weights file; see `read_weights`."""
    card, members = examine_arrays(data, where)
    arrays: dict[str, Any] = {}
    for name, content in members.items():
        if not name.endswith(".npy") or len(name) > 40 or len(members) > 2 * MAX_LAYERS + 4:
            raise InputError(where, f"refused: member '{shown(name, 60)}' has no place in a weights file")
        arrays[name.removesuffix(".npy")] = _array(content, f"{where}: {name}")
    made = make_weights(card, arrays, where)
    return Weights(made.card, made.arrays, hashlib.sha256(data).hexdigest())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a channel file whole or not at all."""
    try:
        replace_file(path, data, 0o644)
    except OSError as error:
        raise InputError(str(path), f"cannot be written: {error.strerror}") from None


def _shapes(fast: FastCard) -> dict[str, tuple[int, ...]]:
    widths = fast.layers
    if len(widths) - 1 > MAX_LAYERS:
        raise InputError("fast.layers", f"{len(widths) - 1} layers, expected at most {MAX_LAYERS}")
    shapes: dict[str, tuple[int, ...]] = {}
    for i in range(len(widths) - 1):
        shapes[f"weight{i}"], shapes[f"bias{i}"] = (widths[i + 1], widths[i]), (widths[i + 1],)
    shapes.update(mean=widths[:1], scale=widths[:1], gain=widths[:1])
    if fast.skip:
        shapes["skip"] = (widths[-1], widths[0])
    return shapes


def _array(content: bytes, where: str) -> NDArray[Any]:
    """Parse one ``.npy`` member: format 1.0, little-endian float32 or float64, C order, exactly as long as its shape says."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0) or int.from_bytes(content[8:10], "little") > 1000:
            raise ValueError("format other than 1.0, or a long header")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=1000)
    except Exception as error:  # damaged bytes: numpy's parser raises several kinds
        raise InputError(where, f"refused: is not a plain array ({shown(error, 60)})") from None
    if dtype.str not in ("<f4", "<f8") or (fortran and len(shape) > 1) or len(shape) > 2:
        raise InputError(where, f"refused: {dtype.str} of {len(shape)} dimensions, expected little-endian floats in C order")
    body = content[stream.tell() :]
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != len(body):
        raise InputError(where, f"refused: {len(body)} bytes do not make shape {list(shape)}")
    return np.frombuffer(body, dtype).reshape(shape)
