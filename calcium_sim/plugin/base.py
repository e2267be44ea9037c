"""The channel contract: all that the author of a channel imports.

A channel is a table (what it reads, its states, its parameters with units) and pure functions of scalars. The host owns the memory:
`rates` and `flux` get `y` (own states), `x` (ports) and `p` (parameters) with one attribute per name, and return floats.
"""

from __future__ import annotations

import inspect
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from .. import units
from ..description.fixed import FIX, Fixed, check_portable, hashed, same, told
from ..description.names import check_name
from ..errors import InputError, nearest, shown, warn
from ..mesh.places import Place, place_name
from ..mesh.places import checked as checked_place
from ..mesh.profiles import Profile, value_over
from .contract import Parameter, Port, State, check_class, multiplies, parameter, parse_port, state
from .entries import OURS, distribution, full_name, installed, provider
from .imported import keep
from .ions import MOLAR


class _Balance:
    """Marks the parameter that is chosen so that the membrane carries no net flux at rest."""

    def __repr__(self) -> str:
        return "BALANCE"

    def __reduce__(self) -> str:
        return "BALANCE"


BALANCE = _Balance()


def is_balance(given: Any) -> bool:
    """Whether a value says BALANCE: the object, or its name as text in any letters."""
    return given is BALANCE or (isinstance(given, str) and given.strip().lower() == "balance")


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
        Bounds default to 0 and 1. A run starts at the equilibrium at rest that belongs to the start, unless ``initial=`` says otherwise.
    params : {name: (default, unit)} or {name: (default, unit, (low, high))}
        Numbers in that unit, or quantities; a default None has to be given by the user.
    moves : {species: count}
        What one unit of flux carries from `across[0]` to `across[1]`; negative counts go the other way (an exchanger).
    flux_unit : "uM*um/ms"
        What `flux` returns: moles, or a current density ("uA/cm^2"): positive charge from `across[0]` to `across[1]`, carried by what is
        moved in the proportions of `moves`, or, if these are empty, by ions of no account.
    source : paper and doi.
    note : what the channel is not for; a warning says so where it runs in more than one place.

    Functions (static, scalar, plain arithmetic and ``math``)
    ---------------------------------------------------------
    rates(y, x, p) -> tuple : time derivative of each state [1/ms].
    flux(y, x, p) -> float : flux density [uM um/ms] from `across[0]` to `across[1]`.
    steady(x, p) -> tuple : optional closed form of the equilibrium.
    open_probability(y, x, p) -> float : optional, recorded as ``po_<name>``.
    edges(p) -> tuple : optional times [ms] at which the flux jumps; steps end there.
    current(y, x, p) -> float : optional current density [mA/cm^2] of other ions beside what the flux carries, from the same states.
    event(p) -> tuple : optional, what an event of weight 1 adds to each state (see `SpikeTimes`).
    opening(y, x, p), closing(y, x, p) -> float : optional one-way fluxes [1/ms] into and out of the open states, both >= 0: the time
        derivative of the open probability is their difference. Networks are trained on them.
    gains(y, x, p), losses(y, x, p) -> tuple : the same for each state, rates = gains - losses.
    """

    name: ClassVar[str] = ""
    across: ClassVar[tuple[str, str]] = ("from", "to")
    reads: ClassVar[Any] = {}  # tables, which `check_class` reads; a Mapping here would refuse an author's ClassVar[dict[str, str]]
    states: ClassVar[Any] = {}
    params: ClassVar[Any] = {}
    moves: ClassVar[Any] = {"ca": 1}
    flux_unit: ClassVar[str] = MOLAR
    source: ClassVar[str] = ""
    note: ClassVar[str] = ""
    known_by: ClassVar[tuple[str, ...]] = ()

    flux: ClassVar[Callable[..., float]]
    rates: ClassVar[Callable[..., tuple[float, ...]]]
    steady: ClassVar[Callable[..., tuple[float, ...]]]
    open_probability: ClassVar[Callable[..., float]]
    edges: ClassVar[Callable[..., tuple[float, ...]]]
    current: ClassVar[Callable[..., float]]
    event: ClassVar[Callable[..., tuple[float, ...]]]
    opening: ClassVar[Callable[..., float]]
    closing: ClassVar[Callable[..., float]]
    gains: ClassVar[Callable[..., tuple[float, ...]]]
    losses: ClassVar[Callable[..., tuple[float, ...]]]
    if not TYPE_CHECKING:  # pyright takes a function in the place of an optional one for another kind of variable
        rates = steady = open_probability = edges = current = event = opening = closing = gains = losses = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Keep the source of the functions as it is now: it is compiled when a model is run, and the file may change until then."""
        super().__init_subclass__(**options)
        keep(cls)

    def __init__(
        self,
        *unnamed: Any,
        at: Any = None,
        scale: Any = None,
        initial: Mapping[str, Any] | None = None,
        name: str | None = None,
        **values: Any,
    ) -> None:
        """Set parameters by name (quantities, strings such as ``"3 /um^2"``, or BALANCE); what is set stays as it is.

        A parameter that multiplies the flux (a density) may differ from place to place: an array, a table of labels, points along the
        distance or a function, see `profiles`.

        Parameters
        ----------
        at : where on the membrane the channel sits (a label, the number of a node, a function of coordinates, or a list of these, which
            means all of them together); everywhere by default.
        scale : factor of the flux density, a number or different from place to place (see `profiles`).
        initial : start values of states, instead of the equilibrium at rest; each may differ from place to place.
        name : what it is called in results (``flux_<name>``), in the ledger, by `Model.swap` and errors; its kind by default.
        """
        check_class(type(self))
        if unnamed:
            first, told = next(iter(self.params), "parameter"), shown(unnamed[0])
            raise InputError(self.label(), f"{told} is given without a name (write {first}={told})")
        if name is not None:
            check_name(name, f"{self.label()}.name")
        self.named: str | None = name
        self.at: Place = checked_place(at, f"{self.label()}.at")
        self.scale = scale if scale is None or callable(scale) else value_over(scale, "1", f"{self.label()}.scale", low=0.0)
        self.initial = Fixed(_initial(type(self), initial))
        self.values = Fixed(_values(type(self), values))

    def __setattr__(self, name: str, given: Any) -> None:
        own = name in ("at", "scale", "initial", "named", "values")  # of every channel, and a parameter may be called so
        if name in vars(self) if own else name in self.params:
            raise InputError(f"{self.label()}.{name}", FIX)
        super().__setattr__(name, given)

    @classmethod
    def label(cls) -> str:
        """Registry name, or the class name of a channel that is not registered."""
        return cls.name or cls.__name__

    def called(self) -> str:
        """The name that it was given, or that of its kind."""
        return self.named or self.label()

    @classmethod
    def parameter_table(cls) -> dict[str, Parameter]:
        """The parameters with default, unit and range."""
        return {name: parameter(row, f"{cls.label()}.params.{name}") for name, row in cls.params.items()}

    @classmethod
    def state_table(cls) -> dict[str, State]:
        """The states with start value and bounds."""
        return {name: state(row, f"{cls.label()}.states.{name}") for name, row in cls.states.items()}

    def arguments(self) -> dict[str, Any]:
        """All that makes a channel of this class the same."""
        return {"at": self.at, "scale": self.scale, "initial": self.initial, "name": self.named, **self.values}

    def replace(self, **changes: Any) -> Self:
        """The same channel with other arguments (``at``, ``scale``, ``initial``, ``name``, parameters by name)."""
        return type(self)(**(self.arguments() | changes))

    @classmethod
    def origin(cls) -> tuple[Callable[..., type[Channel]], tuple[Any, ...]]:
        """A function and its arguments that find this class in another process."""
        home = sys.modules.get(cls.__module__)
        if "<locals>" in cls.__qualname__ or _attribute(home, cls.__qualname__) is not cls:
            where = f"cannot be found as {cls.__module__}.{cls.__qualname__}, so that no other process can"
            raise InputError(cls.label(), f"its class {where} (define it at the top of a module)")
        return found, (cls.__module__, cls.__qualname__)

    def __eq__(self, other: object) -> bool:
        alike = isinstance(other, Channel) and (self.known_by or type(self)) == (other.known_by or type(other))
        return alike and isinstance(other, Channel) and same(self.arguments(), other.arguments())

    def __hash__(self) -> int:
        return hash((self.known_by or type(self), hashed(self.arguments())))

    def __reduce__(self) -> tuple[Any, ...]:
        return remade, (*self.origin(), _portable(self))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __repr__(self) -> str:
        """As it could be written; parameters that are at their defaults are left out."""
        table = self.parameter_table()
        parts = [f"{name}={told(v)}" for name, v in self.values.items() if v != table[name].default]
        places = [(name, given) for name, given in (("at", self.at), ("scale", self.scale)) if given is not None]
        parts += [f"{name}={f'[{place_name(given)}]' if isinstance(given, tuple) else place_name(given)}" for name, given in places]
        parts += [f"initial={told(self.initial)}"] if self.initial else []
        return f"{self.label()}({', '.join([*parts, *([f'name={self.named!r}'] if self.named else [])])})"


def found(module: str, name: str) -> type[Channel]:
    """The channel class of a name in a module, which is imported."""
    try:
        cls = _attribute(import_module(module), name)
    except ImportError as error:
        raise InputError("channel", f"{module}.{name} cannot be imported: {error} (put its module where Python finds it)") from None
    if not (isinstance(cls, type) and issubclass(cls, Channel)):
        raise InputError("channel", f"{module}.{name} is no channel class")
    return cls


def remade(find: Callable[..., type[Channel]], where: tuple[Any, ...], arguments: Mapping[str, Any]) -> Channel:
    """A channel made anew, checked as any other."""
    return find(*where)(**arguments)


def _attribute(home: Any, name: str) -> Any:
    """What a dotted name stands for in a module, or None."""
    for part in name.split("."):
        home = vars(home).get(part) if hasattr(home, "__dict__") else None  # getattr would have modules import what they have put off
    return home


def _portable(channel: Channel) -> dict[str, Any]:
    """The arguments of a channel, if another process can have them."""
    arguments = channel.arguments()
    for name, value in arguments.items():
        check_portable(value, f"{channel.label()}.{name}")
    return arguments


def _initial(cls: type[Channel], given: Any) -> dict[str, float | Profile]:
    """Start values of states as numbers or profiles, each within its bounds."""
    where, table = f"{cls.label()}.initial", cls.state_table()
    if given is not None and not isinstance(given, Mapping):
        raise InputError(where, f"{shown(given)} is not a table, expected {{state: number}}")
    out: dict[str, float | Profile] = {}
    for name, start in (given or {}).items():
        if (units.is_number(start) and not math.isfinite(units.to_float(start))) or start is None or isinstance(start, (str, bool)):
            raise InputError(f"{where}.{name}", f"{shown(start)} is no finite number")
        if name not in table:
            raise InputError(where, f"unknown state {shown(name)}{nearest(name, table)}")
        low, high = table[name].low, table[name].high
        out[name] = value_over(start, "1", f"{where}.{name}", low=low, high=high)
    return out


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
            out[name] = units.Canonical(row.default, row.unit) if units.is_number(row.default) else row.default
        elif is_balance(given[name]):
            out[name] = BALANCE
        else:
            out[name] = _value(given[name], row, where)
    for name, v in out.items():
        if isinstance(v, Profile):
            default = table[name].default
            usual = float(default) if isinstance(default, (int, float)) else 1.0
            check_factor(cls, name, out, v.sizes() or (usual, 2.0 * usual), f"{label}.{name}")
    return out


def check_factor(cls: type[Channel], name: str, values: Mapping[str, Any], sizes: Sequence[float], where: str) -> None:
    """Refuse a parameter that differs from place to place and does more than multiply the flux, tried with the sizes that it has.

    Raises
    ------
    InputError
        If it does.
    """
    plain = {n: 1.0 if v is BALANCE or isinstance(v, Profile) else v for n, v in values.items()}
    if not multiplies(cls, name, plain, sizes):
        raise InputError(where, "does more than multiply the flux, so that it is one number (scale= makes a profile of the flux)")


def _value(given: Any, row: Parameter, where: str) -> float | Profile:
    """One number, or a value over places, within the range of the parameter."""
    if isinstance(given, Profile) or callable(given) or isinstance(given, Mapping) or units.is_several(given):
        return value_over(given, row.unit, where, low=row.low, high=row.high)
    number = units.value(given, row.unit, where)
    if not row.low <= number <= row.high:
        raise InputError(where, f"{number:g} {row.unit} is outside [{row.low:g}, {row.high:g}] {row.unit}")
    return number


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
        points = installed().get(name, ())
        own = next((p for p in points if _same(cls, p.value)), None)
        if points and own is None:
            raise InputError(f"@channel('{name}')", f"is the name of a channel of {provider(points[0])} (give yours a name of its own)")
        if own is not None and len(points) > 1 and not (own is points[0] and distribution(own) == OURS):
            cls.name = full_name(own)  # another package has the name, or nobody
            return cls
        earlier = LOCAL.get(name)
        if earlier is not None and (earlier.__module__, earlier.__qualname__) != (cls.__module__, cls.__qualname__):
            told = " and ".join(f"{c.__module__}.{c.__qualname__}" for c in (earlier, cls))
            warn(f"@channel('{name}'): names {told}; the second is used from here on (give each a name of its own)")
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


__all__ = ["BALANCE", "LOCAL", "Channel", "Parameter", "Port", "State", "TorchGate", "channel", "check_class", "parse_port"]
