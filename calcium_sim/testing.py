"""The contract suite of a channel: what a run relies on, tried on random and extreme values. For authors of channels and our own tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import units
from .compile.compilable import NumbaError, compiled, explained, row_type
from .errors import InputError, shown
from .plugin import BALANCE, Channel
from .plugin.contract import Parameter, Port, check_class, edges_of, evaluate, parse_port, told

Values = Mapping[str, float]
Zero = Values | Callable[[SimpleNamespace], Values] | None

RANGES = {
    ("ca", "cytosol"): (1e-2, 100.0),
    ("ca", "er"): (1.0, 2000.0),
    ("ca", "outside"): (100.0, 5000.0),
    ("ca", "mitochondria"): (1e-2, 100.0),
    ("ip3", "cytosol"): (1e-3, 50.0),
}
"""Concentrations [uM] that a channel has to bear, by species and region."""

OTHER = (1e-3, 2000.0)
VOLTAGE = (-120.0, 60.0)
TIME = (0.0, 1e4)
SPEED = (-20.0, 20.0)

POINTS = 100
SLACK = 1e-6


def check_channel(channel: type[Channel] | Channel, *, zero_at: Zero = None, seed: int = 1) -> tuple[str, ...]:
    """Try whether a channel keeps the contract that every run relies on.

    Checked are: tables and units; finite numbers over the declared ranges of the parameters and the physiological range of each port;
    pure functions; the same numbers after compilation; states within their bounds for extreme and for moving ports; rates that vanish
    at `steady`; an open probability within [0, 1]; a flux that vanishes at `zero_at`.

    Parameters
    ----------
    channel : class, or an instance whose parameters are then the ones tried in detail.
    zero_at : ports (by the names in `reads`) at which the flux must vanish, or a function of the parameters that returns them.
    seed : of the random numbers.

    Returns
    -------
    tuple of str
        What was checked, one phrase each.

    Raises
    ------
    InputError
        At the first breach, naming the channel, the function, the values and what was expected.
    """
    trial = _Trial(channel, seed)
    done = ["tables and units", "finite over the declared ranges", "pure functions"]
    trial.tables()
    trial.finite()
    trial.compiled()
    done.append("compiled functions equal plain Python")
    if trial.cls.states and trial.cls.rates is not None:
        trial.bounds()
        done.append("states stay within their bounds")
        if trial.cls.steady is not None:
            trial.steady()
            done.append("rates vanish at the equilibrium")
    if zero_at is not None:
        trial.zero(zero_at)
        done.append("flux vanishes at its equilibrium")
    return tuple(done)


class _Trial:
    """One channel with its sampled inputs."""

    def __init__(self, channel: type[Channel] | Channel, seed: int) -> None:
        self.cls = channel if isinstance(channel, type) else type(channel)
        if not issubclass(self.cls, Channel):
            raise InputError("channel", f"{shown(channel)} is no channel (give a class or a channel, e.g. cs.get_channel('leak/linear'))")
        self.label = self.cls.label()
        check_class(self.cls)
        self.random = np.random.default_rng(seed)
        self.parameters = self.cls.parameter_table()
        self.state = self.cls.state_table()
        self.ports = {name: parse_port(text, f"{self.label}.reads.{name}") for name, text in self.cls.reads.items()}
        given = {} if isinstance(channel, type) else channel.values
        self.p = SimpleNamespace(**{n: _number(given.get(n), row) for n, row in self.parameters.items()})

    def fail(self, message: str) -> None:
        raise InputError(self.label, message)

    def tables(self) -> None:
        """Documentation, units that can be read back, start values within bounds."""
        if not (self.cls.__doc__ or "").strip():
            self.fail("has no docstring (name the paper, the equations and the units)")
        if not self.cls.source:
            self.fail("has no source (set source = 'authors (year) journal, doi')")
        for name, row in self.parameters.items():
            units.value(units.text(1.0, row.unit), row.unit, f"{self.label}.{name}")
        edges_of(self.cls, self.p)
        if self.cls.event is not None:
            evaluate(self.cls, "event", self.p)

    def finite(self) -> None:
        """Random parameters, ports and states: finite floats of the right number, twice the same, inputs untouched."""
        for _ in range(POINTS):
            y, x, p = self.draw_states(), self.draw_ports(), self.draw_parameters()
            before = dict(vars(y)), dict(vars(x)), dict(vars(p))
            for name in self.functions():
                first, second = self.call(name, y, x, p), self.call(name, y, x, p)
                if first != second:
                    self.fail(f"{name} returned {first}, then {second} for the same input; it must be a pure function")
            if (vars(y), vars(x), vars(p)) != before:
                self.fail("a function changes its arguments; return the values instead")

    def compiled(self) -> None:
        """The functions as a run compiles them give the numbers of plain Python."""
        names = [f for f in self.functions() if f in ("rates", "flux", "steady", "open_probability", "current")]
        try:
            self.same(compiled(self.cls, names))
        except NumbaError as error:
            raise explained(error, [self.cls]) from error

    def same(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        """Compiled functions against those of plain Python, at random states and ports."""
        for name, fast in functions.items():
            slow = getattr(self.cls, name)
            for _ in range(POINTS):
                y, x, p = self.draw_states(), self.draw_ports(), self.p
                args = (x, p) if name == "steady" else (y, x, p)
                expected = np.atleast_1d(slow(*args))
                scale = np.maximum(np.abs(expected), 1e-13 * self.magnitude(slow, args))
                found = np.atleast_1d(fast(*(_row(a) for a in args)))
                if not (np.abs(found - expected) <= 1e-12 * scale + 1e-300).all():
                    self.fail(f"compiled {name} gives {found.tolist()}, plain Python {expected.tolist()} at {told(x)}")

    def magnitude(self, function: Callable[..., Any], args: Sequence[SimpleNamespace]) -> float:
        """Size of the terms that may cancel in a function: its largest value over random states at the same ports."""
        if not self.state or len(args) == 2:
            return 0.0
        return max(float(np.abs(np.atleast_1d(function(self.draw_states(), *args[1:]))).max()) for _ in range(4))

    def bounds(self) -> None:
        """Long integration with every port at an end of its range, and with all ports moving."""
        from scipy.integrate import solve_ivp

        assert self.cls.rates is not None
        for path, until, longest in self.paths():
            ports = path(0.0)
            y0 = [s.start for s in self.state.values()]
            if self.cls.steady is not None:
                y0 = list(self.cls.steady(_still(ports, self.ports), self.p))
            y0 = [min(max(v, s.low), s.high) for v, s in zip(y0, self.state.values(), strict=True)]

            def rates(t: float, y: Any, path: Callable[[float], SimpleNamespace] = path) -> Any:
                return self.cls.rates(_named(self.state, y), path(t), self.p)

            solution = solve_ivp(rates, (0.0, until), y0, method="Radau", rtol=1e-7, atol=1e-13, max_step=longest)
            if not solution.success:
                self.fail(f"integration stopped at {solution.t[-1]:g} ms with {told(path(solution.t[-1]))}: {solution.message}")
            for t, y in zip(solution.t, solution.y.T, strict=True):
                self.within(y, path(float(t)), float(t))

    def within(self, y: Any, x: SimpleNamespace, t: float) -> None:
        for (name, s), v in zip(self.state.items(), y, strict=True):
            room = SLACK * (s.high - s.low if math.isfinite(s.high - s.low) else max(1.0, abs(s.start)))
            if not s.low - room <= v <= s.high + room:
                self.fail(f"state {name} = {v:.9g} leaves [{s.low:g}, {s.high:g}] at t = {t:g} ms, {told(x)}")
        if self.cls.open_probability is not None:
            po = self.cls.open_probability(_named(self.state, y), x, self.p)
            if not -SLACK <= po <= 1 + SLACK:
                self.fail(f"open_probability = {po:.9g} is not within [0, 1] at t = {t:g} ms, {told(x)}")

    def paths(self) -> list[tuple[Callable[[float], SimpleNamespace], float, float]]:
        """Courses of the ports: (function of t, length, longest step) in ms."""
        out: list[tuple[Callable[[float], SimpleNamespace], float, float]] = []
        for corner in ("low", "high", "mixed", "mixed"):
            ends = {n: self.random.integers(2) if corner == "mixed" else int(corner == "high") for n in self.ports}
            held = {n: _range(q)[int(ends[n])] for n, q in self.ports.items()}
            out.append((partial(_held, self.ports, held), 1e5, np.inf))
        for period in (10.0, 1000.0):
            phases = {f"{q.species}@{q.side}": float(self.random.uniform(0, 2 * math.pi)) for q in self.ports.values()}
            out.append((partial(_moving, self.ports, phases, period), 5 * period, period / 50))
        return out

    def steady(self) -> None:
        """Rates at the closed form of the equilibrium, against their size for random states at the same ports."""
        assert self.cls.rates is not None
        assert self.cls.steady is not None
        for _ in range(POINTS):
            x = _still(self.draw_ports(), self.ports)
            y = _named(self.state, self.cls.steady(x, self.p))
            residual = np.array(self.cls.rates(y, x, self.p))
            scale = max(np.abs(self.cls.rates(self.draw_states(), x, self.p)).max() for _ in range(8))
            if not (np.abs(residual) <= 1e-9 * scale + 1e-15).all():
                self.fail(f"rates are {residual.tolist()} at steady = {told(y)}, {told(x)}; they must vanish there")

    def zero(self, zero_at: Zero) -> None:
        """Flux at the given ports, against its size at random ports."""
        where = zero_at(self.p) if callable(zero_at) else dict(zero_at or {})
        for name in where:
            if name not in self.ports:
                self.fail(f"zero_at names '{name}', but the channel reads {', '.join(self.ports)}")
        usual = max(abs(self.cls.flux(self.draw_states(), self.draw_ports(), self.p)) for _ in range(POINTS))
        for _ in range(20):
            at = SimpleNamespace(**{**vars(self.draw_ports()), **where})
            flux = self.cls.flux(self.draw_states(), at, self.p)
            if not abs(flux) <= 1e-12 * usual:
                self.fail(f"flux is {flux:.6g} uM um/ms at {told(at)}, expected 0 there (elsewhere it reaches {usual:.3g})")

    def functions(self) -> list[str]:
        known = ["flux", "open_probability", "current", *(["rates", "steady"] if self.cls.states and self.cls.rates is not None else [])]
        return [n for n in known if getattr(self.cls, n) is not None]

    def call(self, name: str, y: SimpleNamespace, x: SimpleNamespace, p: SimpleNamespace) -> Any:
        """Call a function of the channel; complain about names, shapes and numbers that are not finite."""
        return evaluate(self.cls, name, x, p) if name == "steady" else evaluate(self.cls, name, y, x, p)

    def draw_states(self) -> SimpleNamespace:
        return SimpleNamespace(**{n: self.between(*_finite_bounds(s.low, s.high, s.start)) for n, s in self.state.items()})

    def draw_ports(self) -> SimpleNamespace:
        return SimpleNamespace(**{n: self.between(*_range(q), log=q.kind == "concentration") for n, q in self.ports.items()})

    def draw_parameters(self) -> SimpleNamespace:
        """Parameters over their declared ranges (a decade around the default where none is declared); one of four keeps its own value."""
        out = {}
        for name, row in self.parameters.items():
            low, high = _finite_bounds(row.low, row.high, getattr(self.p, name))
            keep = self.random.uniform() < 0.25
            out[name] = getattr(self.p, name) if keep else self.between(max(low, 1e-6 * high) if low == 0 else low, high, log=low >= 0)
        return SimpleNamespace(**out)

    def between(self, low: float, high: float, log: bool = False) -> float:
        if log and low > 0:
            return float(np.exp(self.random.uniform(math.log(low), math.log(high))))
        return float(self.random.uniform(low, high))


def _number(given: Any, row: Parameter) -> float:
    """The value to try: the given one, the default, or the middle of the range (of the logarithm)."""
    if given is not None and given is not BALANCE:
        return float(given)
    if row.default is not None:
        return row.default
    low, high = _finite_bounds(row.low, row.high, 1.0)
    if low >= 0:
        return math.sqrt(max(low, 1e-6 * high) * high)
    return 0.5 * (low + high)


def _finite_bounds(low: float, high: float, around: float) -> tuple[float, float]:
    size = 10.0 * max(abs(around), 1e-3)
    return (low if math.isfinite(low) else around - size), (high if math.isfinite(high) else around + size)


def _range(port: Port) -> tuple[float, float]:
    if port.kind in ("v", "t", "rate"):
        return {"v": VOLTAGE, "t": TIME, "rate": SPEED}[port.kind]
    return RANGES.get((port.species, port.side), OTHER)


def _held(ports: Mapping[str, Port], values: Mapping[str, float], t: float) -> SimpleNamespace:
    """Constant ports, apart from the time itself."""
    clock = {n: t for n, q in ports.items() if q.kind == "t"}
    return _still(SimpleNamespace(**{**values, **clock}), ports)


def _still(x: SimpleNamespace, ports: Mapping[str, Port]) -> SimpleNamespace:
    """The same ports with every rate of change at 0."""
    return SimpleNamespace(**{n: 0.0 if ports[n].kind == "rate" else v for n, v in vars(x).items()})


def _moving(ports: Mapping[str, Port], phases: Mapping[str, float], period: float, t: float) -> SimpleNamespace:
    """Ports that swing through their whole range; concentrations in the logarithm, their rates of change the exact derivatives."""
    out = {}
    for name, q in ports.items():
        angle = 2 * math.pi * t / period + phases[f"{q.species}@{q.side}"]
        if q.kind == "t":
            out[name] = t
        elif q.kind == "v":
            out[name] = 0.5 * (VOLTAGE[0] + VOLTAGE[1]) + 0.5 * (VOLTAGE[1] - VOLTAGE[0]) * math.sin(angle)
        else:
            low, high = RANGES.get((q.species, q.side), OTHER)
            size = 0.5 * math.log(high / low)
            value = math.sqrt(low * high) * math.exp(size * math.sin(angle))
            out[name] = value if q.kind == "concentration" else value * size * math.cos(angle) * 2 * math.pi / period
    return SimpleNamespace(**out)


def _named(names: Mapping[str, Any], values: Sequence[float]) -> SimpleNamespace:
    return SimpleNamespace(**dict(zip(names, map(float, values), strict=True)))


def _row(namespace: SimpleNamespace) -> Any:
    """The same names and values as a named tuple, which compiled code can read."""
    values = vars(namespace)
    return row_type(tuple(values))(*values.values()) if values else 0.0
