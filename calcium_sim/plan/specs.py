"""What a lowered model says of its channels, buffers and decays, as indices: where things stand in the arrays of a run."""

from __future__ import annotations

from dataclasses import dataclass

from ..plugin import Channel


@dataclass(frozen=True)
class Wants:
    """What a scheme asks of a plan.

    `continued`: networks of rates or steady values run once per step, and what they returned is kept in rows of the states. `joint`: gates
    move in one solve with the fluxes, in which other kinds of networks have no part; they are paced (see `schemes.pacing`).
    """

    continued: bool = False
    joint: bool = False


NOTHING = Wants()


@dataclass(frozen=True)
class PortRef:
    """Where a channel's port is found: kind "field" (index of a field), "value" (index into P), "rate" (row of Y), "v" or "t"."""

    kind: str
    index: int = 0


@dataclass(frozen=True)
class ChannelSpec:
    """One channel on one membrane, as indices.

    `param` and `state` are its first element of P and row of Y; `gains` are (field, count, ratio row): the field gains count times
    flux times area/volume; `weight` is its row of W, or -1; `memory` the first row of Y where the outputs of its network are kept, or
    -1. A channel that is `paced` is advanced around the step, see `pacing`.
    """

    cls: type[Channel]
    membrane: int
    param: int
    state: int
    ports: tuple[PortRef, ...]
    gains: tuple[tuple[int, int, int], ...]
    weight: int = -1
    memory: int = -1
    paced: bool = False


@dataclass(frozen=True)
class Binding:
    """A buffer: fields of the free buffer and its ligand; P[param:param + 3] are kon, koff, total."""

    free: int
    ligand: int
    param: int


@dataclass(frozen=True)
class Decay:
    """First-order decay of a field; P[param:param + 2] are rate and resting value."""

    field: int
    param: int
