"""Small models from a seed.

``seed // DRAWS`` chooses the *structure*: kind of mesh, species, buffers, channels, what is influenced; models of one structure run the
same machine code. The seed chooses sizes, parameters, stimuli, the course of the potential and the tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import calcium_sim as cs

from . import channels as own
from .meshes import mesh_of

DRAWS = 8
"""Seeds per structure."""

RELEASE = (
    "ryr/keizer-levine", "ip3r/li-rinzel", "Follower", "ryr/two-variable", "ip3r/de-young-keizer", "ryr/scalar-law", "Listener",
    "ryr/keizer-levine-stationary", "ip3r/neymotin", "ryr/keizer-levine-reduced", "ip3r/de-young-keizer-stationary",
)  # fmt: skip
UPTAKE = ("serca/er-inhibited", "serca/hill2", "serca/shannon", "serca/hill2-er")
ENTRY = (
    "vgcc/borg-graham-n", "nmda/exp-ghk", "soce/hill", "vgcc/borg-graham-t", "nmda/jahr-stevens", "Pulse", "vgcc/borg-graham-l",
)  # fmt: skip
PUMP = ("pmca/hill2", "ncx/luo-rudy", "pmca/hill1", "Exchanger", "ncx/hill1")
LEAK = ("leak/linear", "leak/ghk")
MITO = ("mcu/pradhan", "mcu/magnus-keizer")
SCHEMES = ("columns", "grid", "graph", "columns", "point", "graph", "columns")
"""In turn, by the number of the structure."""
KINDS = {
    "columns": ("cable", "cable", "tree", "point"),
    "grid": ("grid",),
    "graph": ("graph", "triangles", "graph", "tetrahedra"),
    "point": ("point",),
}
"""Kinds of mesh that run the same code, in turn by the seed."""

CHANGES_ON_WALLS = ("Follower",)
"""Channels whose flux reads a rate of change: not on (z, r) grids (see `system`)."""


@dataclass(frozen=True)
class Structure:
    """What is compiled."""

    number: int
    scheme: str
    parallel: bool
    release: str
    uptake: str
    entries: tuple[str, ...]
    pumps: tuple[str, ...]
    leak: str
    balanced: bool
    buffers: int
    mobile: tuple[bool, ...]
    decay: bool
    mito: str | None
    placed: bool
    scaled: bool

    @property
    def all_channels(self) -> tuple[str, ...]:
        return (
            self.release,
            "leak/linear",
            self.uptake,
            *self.pumps,
            *self.entries,
            self.leak,
            *([self.mito, "mncx/pradhan"] if self.mito else []),
        )


@dataclass(frozen=True)
class Case:
    """A model with the run that is compared; `kinks` are the times [ms] at which the slope of a potential given as a function jumps."""

    seed: int
    structure: Structure
    kind: str
    model: cs.Model
    times: tuple[float, ...]
    tolerance: float
    kinks: tuple[float, ...] = ()
    words: tuple[str, ...] = field(default=())

    @property
    def label(self) -> str:
        s = self.structure
        return f"seed {self.seed}: {self.kind}{' (parallel)' if s.parallel else ''}, {self.model.mesh.nodes} nodes, {', '.join(self.words)}"


def structure_of(seed: int) -> Structure:
    """The structure of a seed: the lists are gone through in turn, so that a few structures have every family."""
    n = seed // DRAWS
    rng = np.random.default_rng([7, n])
    scheme = SCHEMES[n % len(SCHEMES)]
    turn = n + n // len(SCHEMES)  # so that a kind of mesh does not always meet the same channels
    release = RELEASE[turn % len(RELEASE)]
    if scheme == "grid" and release in CHANGES_ON_WALLS:
        release = "Listener"
    entries = [ENTRY[turn % len(ENTRY)]]
    if rng.random() < 0.4:
        entries.append(ENTRY[(turn + 2) % len(ENTRY)])
    if scheme in ("grid", "graph"):  # store-operated entry reads the ER through the plasma membrane
        entries = ["vgcc/borg-graham-n" if e == "soce/hill" else e for e in entries]
    pumps = [PUMP[turn % len(PUMP)]]
    if rng.random() < 0.5:
        pumps.append(PUMP[(turn + 2) % len(PUMP)])
    return Structure(
        n, scheme, n % 3 == 1, release, UPTAKE[turn % len(UPTAKE)], tuple(dict.fromkeys(entries)), tuple(pumps),
        LEAK[n // 2 % 2], bool(rng.random() < 0.7), int(rng.integers(0, 3)), tuple(bool(b) for b in rng.random(2) < 0.6),
        bool(rng.random() < 0.5), str(rng.choice(MITO)) if scheme == "point" else None, bool(rng.random() < 0.4), bool(rng.random() < 0.3),
    )  # fmt: skip


def build(seed: int) -> Case:
    """The case of a seed."""
    s = structure_of(seed)
    rng = np.random.default_rng([11, seed])
    kind = KINDS[s.scheme][seed % len(KINDS[s.scheme])]
    mesh = mesh_of(kind, rng, s.mito is not None)
    drained = rng.random() < (0.5 if not s.balanced else 0.0 if s.placed or s.scaled else 0.25)  # a leak of places is other code
    until = _until(s, kind, rng, drained)
    weak = rng.random() < 0.3
    voltage, kinks, told = _voltage(rng, until, s)
    species, buffers = _species(s, rng), _buffers(s, rng)
    membranes = {"er": _er(s, rng, mesh, drained), "plasma": _plasma(s, rng, mesh, until, drained)}
    if s.mito:
        membranes["mito"] = _mito(s, rng)
    stimuli, words = _stimuli(s, kind, rng, until, weak, drained, mesh)
    model = cs.Model(mesh, species=species, buffers=buffers, membranes=membranes, stimuli=stimuli, voltage=voltage)
    outputs = int(rng.integers(3, 9))
    times = tuple(float(until * k / outputs) for k in range(1, outputs + 1))
    tolerance = 2e-4 if rng.random() < 0.15 else 2e-3
    words = (
        s.release,
        *s.entries,
        told,
        *words,
        "no leak" if drained or not s.balanced else "",
        f"{until:.3g} ms",
        f"tolerance {tolerance:g}",
    )
    return Case(seed, s, kind, model, times, tolerance, kinks, tuple(w for w in words if w))


def _until(s: Structure, kind: str, rng, drained: bool) -> float:
    slow = s.release.startswith("ip3r")
    span = {
        "point": (60, 150),
        "cable": (8, 25),
        "tree": (8, 25),
        "grid": (2, 6),
        "triangles": (1.5, 4),
        "tetrahedra": (1, 2),
        "graph": (3, 8),
    }
    low, high = span[kind]
    return round(float(rng.uniform(low, high)) * (3.0 if drained else 2.0 if slow and kind in ("cable", "tree") else 1.0), 3)


def _about(rng, value: float, by: float = 2.0) -> float:
    """A number within a factor of `by`."""
    return float(value * by ** rng.uniform(-1, 1))


def _species(s: Structure, rng) -> list[cs.Species]:
    c, e = _about(rng, 0.07, 1.5), _about(rng, 250, 1.5)
    regions = {"cytosol": "220 um^2/s", "er": f"{_about(rng, 100, 2)} um^2/s"}
    initial = {"cytosol": f"{c} uM", "er": f"{e} uM", "outside": f"{_about(rng, 1200, 1.4)} uM"}
    if s.mito:
        regions["mitochondria"], initial["mitochondria"] = "0 um^2/s", f"{_about(rng, 0.3)} uM"
    out = [cs.Species("ca", regions, initial)]
    if s.release.startswith("ip3r"):
        rest = _about(rng, 0.1)
        given = {"decay": f"{_about(rng, 20)} /s", "rest": {"cytosol": f"{rest * 1.5} uM"}} if s.decay else {}
        out.append(cs.Species("ip3", {"cytosol": "280 um^2/s"}, {"cytosol": f"{rest} uM"}, **given))
    if "Exchanger" in s.pumps:
        out.append(cs.Species("na", {"cytosol": "600 um^2/s"}, {"cytosol": "10000 uM", "outside": "140000 uM"}))
    return out


def _buffers(s: Structure, rng) -> list[cs.Buffer]:
    rows = [("fast", "cytosol", 100.0, 100.0, 60.0), ("store", "er", 800.0, 0.1, 50.0)][: s.buffers]
    return [
        cs.Buffer(
            name, "ca", region, f"{_about(rng, total)} uM", f"{_about(rng, on)} /uM/s", f"{_about(rng, off)} /s", f"{20 * mobile} um^2/s"
        )
        for (name, region, total, on, off), mobile in zip(rows, s.mobile, strict=False)
    ]


def _get(name: str):
    return getattr(own, name) if hasattr(own, name) else cs.get_channel(name)


def _places(s: Structure, rng, mesh) -> dict[str, Any]:
    """at= and scale= of one channel, where the structure has them."""
    x = mesh.position[:, 0]
    low, high = float(x.min()), float(x.max())
    cut, slope = low + (high - low) * rng.uniform(0.3, 0.8), rng.uniform(0.2, 1.0) / max(high - low, 1e-9)
    out: dict[str, Any] = {}
    if s.placed:
        out["at"] = lambda x, y, z: x <= cut
    if s.scaled:
        out["scale"] = lambda x, y, z: 0.5 + slope * (x - low)
    return out


def _er(s: Structure, rng, mesh, drained: bool) -> list[cs.Channel]:
    family = s.release.partition("/")[0]
    given: dict[str, Any] = {}
    part = 0.01 if drained else 1.0
    if family == "ryr":
        given["density"] = f"{_about(rng, 0.3 if s.release == 'ryr/scalar-law' else 0.6, 3) * part} /um^2"
    elif s.release.startswith("ip3r/de-young"):
        given["density"] = f"{_about(rng, 17) * part} /um^2"
    else:
        typical = {"ip3r/li-rinzel": 5e-4, "ip3r/neymotin": 5e-3}.get(s.release, 4e-4)
        given["permeability"] = f"{_about(rng, typical) * part} um/ms"
    uptake = {
        "serca/er-inhibited": {"density": cs.BALANCE},
        "serca/hill2": {"vmax": cs.BALANCE, "km": f"{_about(rng, 0.2)} uM"},
        "serca/shannon": {"vmax": cs.BALANCE},
        "serca/hill2-er": {"vmax": cs.BALANCE, "km": f"{_about(rng, 0.2)} uM"},
    }[s.uptake]
    leak = _get("leak/linear")(permeability=f"{_about(rng, 4e-5) * part} um/ms")
    return [_get(s.release)(**given, **_places(s, rng, mesh)), leak, _get(s.uptake)(**uptake)]


def _plasma(s: Structure, rng, mesh, until: float, drained: bool) -> list[cs.Channel]:
    strong = _about(rng, 20.0) if drained else 1.0
    pumps = {
        "pmca/hill2": {"density": f"{_about(rng, 900) * strong} /um^2"},
        "pmca/hill1": {"vmax": f"{_about(rng, 0.02) * strong} uM*um/ms", "km": f"{_about(rng, 0.1)} uM"},
        "ncx/hill1": {"density": f"{_about(rng, 40) * strong} /um^2"},
        "ncx/luo-rudy": {"vmax": f"{_about(rng, 5.0)} uM*um/ms", "na_in": "8000 uM"},  # forward at rest
        "Exchanger": {"rate": f"{_about(rng, 0.05) * strong} uM*um/ms"},
    }
    onset = f"{until * rng.uniform(0.1, 0.7):.4f} ms"
    entries = {
        "vgcc/borg-graham-n": {"density": f"{_about(rng, 0.3)} /um^2"},
        "vgcc/borg-graham-t": {"density": f"{_about(rng, 0.1)} /um^2"},
        "vgcc/borg-graham-l": {"density": f"{_about(rng, 0.3)} /um^2"},
        "nmda/exp-ghk": {"density": f"{_about(rng, 5)} /um^2", "onset": onset, "tau": f"{_about(rng, until / 3)} ms"},
        "nmda/jahr-stevens": {"density": f"{_about(rng, 5)} /um^2", "onset": onset},
        "soce/hill": {"vmax": f"{_about(rng, 0.0008)} uM*um/ms"},
        "Pulse": {"peak": f"{_about(rng, 0.05)} uM*um/ms", "when": onset, "width": f"{until * rng.uniform(0.01, 0.05):.4f} ms"},
    }
    out = [_get(n)(**pumps[n]) for n in s.pumps]
    for k, name in enumerate(s.entries):
        out.append(_get(name)(**entries[name], **(_places(s, rng, mesh) if k == 0 else {})))
    out.append(_get(s.leak)(permeability=cs.BALANCE if s.balanced and not drained else "1e-9 um/ms"))
    return out


def _mito(s: Structure, rng) -> list[cs.Channel]:
    given = {"vmax": f"{_about(rng, 0.5)} uM*um/ms"} if s.mito == "mcu/magnus-keizer" else {"k": f"{_about(rng, 1e-3)} uM/ms"}
    return [_get(s.mito)(**given), _get("mncx/pradhan")(k=f"{_about(rng, 1e-3)} uM/ms")]


def _stimuli(s: Structure, kind: str, rng, until: float, weak: bool, drained: bool, mesh):
    """One or two influxes of calcium and perhaps a `Set`; weak ones make nanomolars."""
    shape = str(rng.choice(["ramp-down", "square", "triangle"]))
    late = rng.random() < 0.5
    start = float(until * rng.uniform(0.2, 0.6)) if late else 0.0
    duration = float(rng.uniform(0.03, 0.15) * min(until, 20.0))
    through = kind not in ("cable", "grid") or (kind == "grid" and int(1e6 * duration) % 2 == 1)
    x = mesh.position[:, 0]
    edge = float(x.min() + 0.15 * (x.max() - x.min()))
    size = 0.01 if kind == "point" else 0.2 if through else 8.0  # uM um/ms
    flux = _about(rng, size, 2.5) * (float(0.003 * 0.2 ** rng.random()) if weak else 1.0) * min(1.0, 2.0 / duration)
    given: dict[str, Any] = {"start": f"{start} ms", "duration": f"{duration} ms", "shape": shape}
    if rng.random() < 0.3:
        given |= {"period": f"{duration * rng.uniform(1.2, 3)} ms", "count": int(rng.integers(2, 4))}
    place = (None if kind == "point" else (lambda x, y, z: x <= edge)) if through else "left"
    out = [cs.Influx("ca", place, f"{1000 * flux} uM*um/s", through="plasma" if through else None, **given)]
    words = [f"{'weak ' if weak else ''}{'late ' if late else ''}{shape}"]
    if drained:  # strong pumps without a leak take all that there is
        out.append(cs.Set("ca", f"{_about(rng, 8.0)} uM", time=f"{until * rng.uniform(0, 0.3)} ms"))
        words.append("drained")
    elif rng.random() < (0.15 if weak else 0.35):
        when = float(until * rng.choice([0.0, rng.uniform(0.1, 0.6)]))
        value = _about(rng, 4.0) if not weak else _about(rng, 0.09, 1.2)
        at = None if rng.random() < 0.5 else (lambda x, y, z: x <= edge)
        out.append(cs.Set("ca", f"{value} uM", at=at, time=f"{when} ms"))
        words.append(f"Set {value:.2g} at {when:.3g}")
    if s.release.startswith("ip3r"):
        out.append(cs.Set("ip3", f"{_about(rng, 1.0)} uM", at=(lambda x, y, z: x <= edge), time=f"{until * rng.uniform(0, 0.4)} ms"))
    return out, words


def _voltage(rng, until: float, s: Structure):
    """A constant, a table, or a function: a ramp, then spikes with after-potentials (a neuron that fires)."""
    rest = float(rng.uniform(-75, -60))
    kind = rng.choice(["constant", "table", "function"], p=[0.25, 0.35, 0.4])
    if kind == "constant":
        return f"{rest} mV", (), "constant v"
    if kind == "table":
        on = until * rng.uniform(0.1, 0.6)
        off = on + until * rng.uniform(0.05, 0.3)
        edge = 0.02 * until
        up = rng.uniform(-30, 15)
        points = [(0, rest), (on, rest), (on + edge, up), (off, up), (off + edge, rest - 3)]
        return [(f"{t} ms", f"{v} mV") for t, v in points], (), "table of v"
    period = until / (1.0 if until < 5.0 else float(rng.integers(2, 4))) * (1 - 1e-3)
    width = min(2.0, max(0.15 * period, 0.8), 0.6 * period)  # a spike lasts a millisecond where there is room for one
    knots, heights = _train(rest, period, width, until)
    return (lambda t: float(np.interp(t, knots, heights))), tuple(float(t) for t in knots if 0 < t < until), "firing v"


def _train(rest: float, period: float, width: float, until: float):
    """Knots of a train: a ramp up to threshold, a spike of `width`, and back below rest."""
    t, v, begin = [0.0], [rest], 0.0
    while begin < until:
        t += [begin + period - width, begin + period - 0.6 * width, begin + period]
        v += [rest + 15.0, 20.0, rest - 2.0]
        begin += period
    return np.array(t), np.array(v)
