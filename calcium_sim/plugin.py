"""The channel contract: all that the author of a channel imports.

A channel is a table (what it reads, its states, its parameters with units) and pure functions of scalars. The host owns the memory:
`rates` and `flux` get `y` (own states), `x` (ports) and `p` (parameters) with one attribute per name, and return floats.
"""

from __future__ import annotations

import inspect
import math
import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar, NamedTuple, TypeVar

from . import units
from .entries import installed, provider
from .errors import InputError, nearest
from .fixed import FIX, Fixed
from .imported import keep
from .mesh import Place


class _Balance:
    """Marks the parameter that is chosen so that the membrane carries no net flux at rest."""

    def __repr__(self) -> str:
        return "BALANCE"


BALANCE = _Balance()


class Parameter(NamedTuple):
    """One row of a channel's parameter table; `default` None means that the user has to give it."""

    default: float | None
    unit: str
    low: float
    high: float


class State(NamedTuple):
    """One state column: the declared start value and its bounds."""

    start: float
    low: float
    high: float


@dataclass(frozen=True)
class TorchGate:
    """A network that takes the place of `rates`: ``gate = TorchGate("ip3r.pt", inputs=("ca", "ip3"), outputs=("po",))``.

    Attributes
    ----------
    file : TorchScript file (``.pt``) or weights (``.npz``) with its card, beside the file that defines the class.
    inputs : names in `reads`, in the order of the network's columns.
    outputs : names in `states` of the columns that the network advances or returns.
    format : "torchscript" or "weights".
    """

    file: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    format: str = "torchscript"


class Channel:
    """Base of every channel, pump, exchanger and leak.

    Class attributes
    ----------------
    across : (from, to)
        Regions; positive flux moves from the first to the second. ``("from", "to")`` fits any membrane (ports ``ca@from``).
    reads : {name: port}
        Ports: ``"ca@cytosol"`` [uM], ``"v"`` [mV], ``"t"`` [ms], ``"d(ca@cytosol)"`` [uM/ms].
    states : {name: start} or {name: (start, low, high)}
        Bounds default to 0 and 1. A run starts at the equilibrium at rest unless ``initial=`` says otherwise.
    params : {name: (default, unit)} or {name: (default, unit, (low, high))}
    moves : {species: count}
        What one unit of flux carries from `across[0]` to `across[1]`; negative counts go the other way (an exchanger).
    source : paper and doi.
    note : what the channel is not for; a warning says so where it runs in more than one place.

    Functions (static, scalar, plain arithmetic and ``math``)
    ---------------------------------------------------------
    rates(y, x, p) -> tuple : time derivative of each state [1/ms].
    flux(y, x, p) -> float : flux density [uM um/ms] from `across[0]` to `across[1]`.
    steady(x, p) -> tuple : optional closed form of the equilibrium.
    open_probability(y, x, p) -> float : optional, recorded as ``po_<name>``.
    edges(p) -> tuple : optional times [ms] at which the flux jumps; steps end there.
    opening(y, x, p), closing(y, x, p) -> float : optional one-way fluxes [1/ms] into and out of the open states, both >= 0: the time
        derivative of the open probability is their difference. Networks are trained on them.
    gains(y, x, p), losses(y, x, p) -> tuple : the same for each state, rates = gains - losses.
    """

    name: ClassVar[str] = ""
    across: ClassVar[tuple[str, str]] = ("from", "to")
    reads: ClassVar[Mapping[str, str]] = {}
    states: ClassVar[Mapping[str, Any]] = {}
    params: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    moves: ClassVar[Mapping[str, int]] = {"ca": 1}
    source: ClassVar[str] = ""
    note: ClassVar[str] = ""

    rates: ClassVar[Callable[..., tuple[float, ...]] | None] = None
    flux: ClassVar[Callable[..., float]]
    steady: ClassVar[Callable[..., tuple[float, ...]] | None] = None
    open_probability: ClassVar[Callable[..., float] | None] = None
    edges: ClassVar[Callable[..., tuple[float, ...]] | None] = None
    opening: ClassVar[Callable[..., float] | None] = None
    closing: ClassVar[Callable[..., float] | None] = None
    gains: ClassVar[Callable[..., tuple[float, ...]] | None] = None
    losses: ClassVar[Callable[..., tuple[float, ...]] | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Keep the source of the functions as it is now: it is compiled when a model is run, and the file may change until then."""
        super().__init_subclass__(**options)
        keep(cls)

    def __init__(
        self,
        *unnamed: Any,
        at: Place = None,
        scale: Callable[..., Any] | None = None,
        initial: Mapping[str, float] | None = None,
        **values: Any,
    ) -> None:
        """Set parameters by name (quantities, strings such as ``"3 /um^2"``, or BALANCE); what is set stays as it is.

        Parameters
        ----------
        at : where on the membrane the channel sits (a label or a function of coordinates); everywhere by default.
        scale : function of (x, y, z) or of (distance) [um] that multiplies the flux density.
        initial : start values of states, instead of the equilibrium at rest.
        """
        if unnamed:
            first = next(iter(self.params), "parameter")
            raise InputError(self.label(), f"{unnamed[0]!r} is given without a name (write {first}={unnamed[0]!r})")
        if not (at is None or isinstance(at, str) or callable(at)):
            raise InputError(f"{self.label()}.at", f"{at!r} is no place, expected one label or a function of x, y, z (in um, with & and |)")
        if not (scale is None or callable(scale)):
            raise InputError(f"{self.label()}.scale", f"{scale!r} is no function (e.g. lambda distance: np.exp(-distance / 20))")
        self.at, self.scale = at, scale
        self.initial = Fixed(_initial(self.label(), initial))
        self.values = Fixed(_values(type(self), values))
        for state in self.initial:
            if state not in self.states:
                raise InputError(f"{self.label()}.initial", f"unknown state '{state}'{nearest(state, self.states)}")

    def __setattr__(self, name: str, given: Any) -> None:
        if name in ("at", "scale", "initial", "values") and name in vars(self):
            raise InputError(f"{self.label()}.{name}", FIX)
        super().__setattr__(name, given)

    @classmethod
    def label(cls) -> str:
        """Registry name, or the class name of a channel that is not registered."""
        return cls.name or cls.__name__

    @classmethod
    def parameter_table(cls) -> dict[str, Parameter]:
        """The parameters with default, unit and range."""
        return {name: _parameter(row) for name, row in cls.params.items()}

    @classmethod
    def state_table(cls) -> dict[str, State]:
        """The states with start value and bounds."""
        return {n: State(*map(float, s)) if isinstance(s, tuple) else State(float(s), 0.0, 1.0) for n, s in cls.states.items()}

    def __repr__(self) -> str:
        rows = self.parameter_table()
        told = ", ".join(f"{k}={'BALANCE' if v is BALANCE else units.text(v, rows[k].unit)!r}" for k, v in self.values.items())
        return f"{self.label()}({told})"


def _parameter(row: tuple[Any, ...]) -> Parameter:
    default, unit = row[0], row[1]
    low, high = row[2] if len(row) > 2 else (-float("inf"), float("inf"))
    return Parameter(None if default is None else float(default), unit, low, high)


def _initial(label: str, given: Any) -> dict[str, float]:
    """Start values of states as numbers."""
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"{label}.initial", f"{given!r} is not a table, expected {{state: number}}")
    for name, start in (given or {}).items():
        if isinstance(start, bool) or not isinstance(start, (int, float)) or not math.isfinite(start):
            raise InputError(f"{label}.initial.{name}", f"{start!r} is no finite number")
    return dict(given or {})


def _values(cls: type[Channel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults overridden by what was given, in canonical units, each within its range."""
    table = cls.parameter_table()
    label = cls.label()
    for name in given:
        if name not in table:
            raise InputError(label, f"unknown parameter '{name}'{nearest(name, table)}; it has {', '.join(table)}")
    out: dict[str, Any] = {}
    for name, row in table.items():
        where = f"{label}.{name}"
        if name not in given:
            if row.default is None:
                raise InputError(where, f"has no default, give it (e.g. {name}='1 {row.unit}')")
            out[name] = row.default
        elif given[name] is BALANCE or given[name] == "balance":
            out[name] = BALANCE
        else:
            out[name] = units.value(given[name], row.unit, where)
            if not row.low <= out[name] <= row.high:
                raise InputError(where, f"{out[name]:g} {row.unit} is outside [{row.low:g}, {row.high:g}] {row.unit}")
    return out


C = TypeVar("C", bound=type[Channel])


def channel(name: str) -> Callable[[C], C]:
    """Register a channel class under ``family/model`` (returns the class unchanged).

    The text of its functions is taken now, a later edit of the file does not count; numbers of the module that they use have the value
    that they have when a simulation is made, as in Python, and the hash in the result covers them.

    Raises
    ------
    InputError
        If the tables or functions break the contract, or the name is no name or that of a channel in an installed package.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError("@channel", f"{name!r} is no name of a channel (letters, digits and - _ . +, such as 'ryr/mine')")

    def register(cls: C) -> C:
        cls.name = name
        check_class(cls)
        for point in installed().get(name, ()):
            if not _same(cls, point.value):
                raise InputError(f"@channel('{name}')", f"is the name of a channel of {provider(point)} (give yours a name of its own)")
        earlier = LOCAL.get(name)
        if earlier is not None and (earlier.__module__, earlier.__qualname__) != (cls.__module__, cls.__qualname__):
            told = " and ".join(f"{c.__module__}.{c.__qualname__}" for c in (earlier, cls))
            warnings.warn(f"@channel('{name}'): names {told}; the second is used from here on (give each a name of its own)", stacklevel=2)
        LOCAL[name] = cls
        return cls

    return register


def _same(cls: type[Channel], value: str) -> bool:
    """Whether a class is what an entry point names, be its file run as a script."""
    module, _, name = value.partition(":")
    if cls.__qualname__ != name or cls.__module__ == module:
        return cls.__qualname__ == name
    try:
        spec = find_spec(module)
        return spec is not None and spec.origin is not None and os.path.samefile(spec.origin, inspect.getfile(cls))
    except (ImportError, OSError, TypeError, ValueError):
        return False


_NAME = re.compile(r"[\w.+-]+(/[\w.+-]+)*")

LOCAL: dict[str, type[Channel]] = {}
"""Channels registered by the decorator in this process; entry points are looked up by `registry`."""


def check_class(cls: type[Channel]) -> None:
    """Raise InputError where a channel class breaks the contract (tables, ports, functions)."""
    label = cls.label()
    if not callable(getattr(cls, "flux", None)):
        raise InputError(label, "has no flux(y, x, p)")
    if cls.states and cls.rates is None and not hasattr(cls, "gate"):
        raise InputError(label, "has states but no rates(y, x, p)")
    if len(cls.across) != 2:
        raise InputError(label, f"across is {cls.across!r}, expected (from, to)")
    for name, port in cls.reads.items():
        parse_port(port, f"{label}.reads.{name}")
    for name, row in cls.parameter_table().items():
        if row.default is not None and not row.low <= row.default <= row.high:
            raise InputError(f"{label}.{name}", f"default {row.default:g} is outside its range [{row.low:g}, {row.high:g}]")


class Port(NamedTuple):
    """A parsed port: kind is "concentration", "rate" (of change), "v" or "t"."""

    kind: str
    species: str
    side: str


def parse_port(port: str, where: str = "port") -> Port:
    """Parse ``"ca@cytosol"``, ``"d(ca@cytosol)"``, ``"v"``, ``"t"``.

    >>> parse_port("d(ca@er)")
    Port(kind='rate', species='ca', side='er')
    """
    if port in ("v", "t"):
        return Port(port, "", "")
    kind, inner = ("rate", port[2:-1]) if port.startswith("d(") and port.endswith(")") else ("concentration", port)
    species, at, side = inner.partition("@")
    if not (species and at and side):
        raise InputError(where, f"'{port}' is not a port, expected 'ca@cytosol', 'd(ca@cytosol)', 'v' or 't'")
    return Port(kind, species, side)
