"""Generates the update of paced channels at the pairs of one membrane: see `pacing`.

``pace`` (see `PACE`): rows of U0 and U1 hold what the channels read at the n pairs, at the beginning and at the end of a step of length h,
which begins at t0; the potential goes from volts_a to volts_b. States go from Y0
over `share` h in `least` parts, each at the values in its middle (at its end where `late`), on straight lines, with the rate of change
(U1 - U0)/h; Y takes them. Where `fine` is given, parts are so many, up to MOST, that no value whose rate of change is read changes by more
than this part of itself in one of them; each block of lanes has its own number. Returned is how many were wanted at most.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..plan.specs import ChannelSpec
from .kinetics import LocalKinetics
from .lanes import Lanes
from .module import Module

MOST = 2048
"""Parts at most."""


@dataclass(frozen=True)
class PacedSpec:
    """Channels of one membrane: fields are rows of U0 and U1, states and rates rows of Y; `rates` are (row of U, row of Y)."""

    channels: tuple[ChannelSpec, ...]
    fields: int
    rates: tuple[tuple[int, int], ...]


PACE = [
    ("b", "row"), *((name, "matrix") for name in ("U0", "U1", "Y0", "Y")), ("P", "row"), ("nets", "networks"), ("C", "matrix"),
    *((name, "double") for name in ("t0", "volts_a", "volts_b", "h", "share", "fine")),
    *((name, "whole") for name in ("least", "late", "n", "chunks")),
]  # fmt: skip
"""How it is called; there are `chunks` blocks of lanes."""


def source(spec: PacedSpec) -> Module:
    """Return the generated module with `pace`."""
    module, lanes = Module(), Lanes()
    kinetics = LocalKinetics((), spec.channels, (), (), ())
    states = sorted({c.state + k for c in spec.channels for k in range(len(c.cls.states))})
    rates = [(f"y{r}", r) for _, r in spec.rates]
    ends = [[(f"{name}{f}", f) for f in range(spec.fields)] for name in ("start", "end")]
    lines = lanes.copies("load", "U0", ends[0], "lo, size, LANES") + lanes.copies("load", "U1", ends[1], "lo, size, LANES")
    held = sorted({p.index for c in spec.channels for p in c.ports if p.kind == "place"})
    lines += lanes.copies("load", "Y0", [(f"y{r}", r) for r in [*states, *held]], "lo, size, LANES")
    slopes = [f"y{r} = (end{f} - start{f}) / h" for f, r in spec.rates]
    lines += lanes.loop(slopes, [name for name, _ in rates]) if slopes else []
    at = [f"u{f} = start{f} + place * (end{f} - start{f})" for f in range(spec.fields)]
    here = ["t = t0 + place * h", "v = volts_a + place * (volts_b - volts_a)"]
    here += lanes.loop(at, [f"u{f}" for f in range(spec.fields)]) if at else []
    part = ["place = (part + (1.0 if late > 0 else 0.5)) * share / parts", *here]
    home = {f"y{r}": lanes.row(f"y{r}") for r in states}
    part += kinetics.gates(module, lanes, "(share * h / parts)", paced=True)
    part += _home(lanes, home)
    lines += ["parts = least", "wanted = 0.0"]
    if spec.rates:
        lines += ["if fine > 0.0:"]
        for f, _ in spec.rates:
            lines.append(f"    wanted = max(wanted, multiplied(b, {lanes.row(f'start{f}')}, {lanes.row(f'end{f}')}) * share / fine)")
        lines += [f"    wanted = min(wanted, {2.0 * MOST!r})", f"    parts = max(parts, int(min(wanted, {float(MOST)!r})) + 1)"]
    lines += ["for part in range(parts):", *("    " + line for line in part)]
    if values := kinetics.values(module, lanes):  # what a network returns at once is that of the end
        lines += ["place = share", *here, *values]
    lines += lanes.copies("store", "Y", [*((f"y{r}", r) for r in states), *rates], "lo, size")
    head = [*kinetics.prologue(module), "block, most = I64(0), 0.0", "for chunk in range(chunks):"]
    lines = ["lo = chunk * LANES", "size = min(LANES, n - lo)", *lines, "most = max(most, wanted)"]
    module.define("pace", PACE, [*head, *("    " + line for line in lines), "return int(most)"])
    module.work = lanes.size
    return module


def _home(lanes: Lanes, home: dict[str, int]) -> list[str]:
    """Loop: states back to the rows where a part begins (the update of a gate leaves them in others)."""
    away = [name for name, row in home.items() if lanes.row(name) != row]
    for name in away:
        lanes.rows[f"new_{name}"] = lanes.rows[name]
        lanes.rows[name] = home[name]
    return lanes.loop([f"{name} = new_{name}" for name in away], away) if away else []
