"""Generates the update of paced channels at the pairs of one membrane: see `pacing`.

``pace(U0, U1, Y0, Y, P, nets, counts, t0, volts_a, volts_b, h, share, least, fine, late)``: rows of U0 and U1 hold what the channels read,
at the beginning and at the end of a step of length h, which begins at t0; the potential goes from volts_a to volts_b. States go from Y0
over `share` h in `least` parts, each at the values in its middle (at its end where `late`), on straight lines, with the rate of change
(U1 - U0)/h; Y takes them. Where `fine` is given, parts are so many, up to MOST, that no value whose rate of change is read changes by more
than this part of itself in one of them; each block of lanes has its own number.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..plan.specs import ChannelSpec
from .kinetics import LocalKinetics
from .lanes import LANES, Lanes
from .learned import Networks
from .module import Module

MOST = 2048
"""Parts at most."""


@dataclass(frozen=True)
class PacedSpec:
    """Channels of one membrane: fields are rows of U0 and U1, states and rates rows of Y; `rates` are (row of U, row of Y)."""

    channels: tuple[ChannelSpec, ...]
    fields: int
    rates: tuple[tuple[int, int], ...]


def source(spec: PacedSpec) -> tuple[str, Networks]:
    """Return the generated module with `pace`, and its networks."""
    module, lanes = Module(), Lanes()
    kinetics = LocalKinetics((), spec.channels, (), (), ())
    states = sorted({c.state + k for c in spec.channels for k in range(len(c.cls.states))})
    rates = [(f"y{r}", r) for _, r in spec.rates]
    ends = [[(f"{name}{f}", f) for f in range(spec.fields)] for name in ("start", "end")]
    lines = lanes.copies("load", "U0", ends[0], "lo, size, LANES") + lanes.copies("load", "U1", ends[1], "lo, size, LANES")
    lines += lanes.copies("load", "Y0", [(f"y{r}", r) for r in states], "lo, size, LANES")
    slopes = [f"y{r} = (end{f} - start{f}) / h" for f, r in spec.rates]
    lines += lanes.loop(slopes, [name for name, _ in rates]) if slopes else []
    at = [f"u{f} = start{f} + place * (end{f} - start{f})" for f in range(spec.fields)]
    here = ["t = t0 + place * h", "v = volts_a + place * (volts_b - volts_a)"]
    here += lanes.loop(at, [f"u{f}" for f in range(spec.fields)]) if at else []
    part = ["place = (part + (1.0 if late else 0.5)) * share / parts", *here]
    home = {f"y{r}": lanes.row(f"y{r}") for r in states}
    part += kinetics.gates(module, lanes, "(share * h / parts)", paced=True)
    part += _home(lanes, home)
    lines += ["parts = least"]
    if spec.rates:
        count = [f"more = multiplied(b, {lanes.row(f'start{f}')}, {lanes.row(f'end{f}')})" for f, _ in spec.rates]
        count = [line for text in count for line in (text, "parts = max(parts, int(min(MOST, share * more / fine)) + 1)")]
        lines += ["if fine > 0.0:", *("    " + line for line in count)]
    lines += ["for part in range(parts):", *("    " + line for line in part)]
    if values := kinetics.values(module, lanes):  # what a network returns at once is that of the end
        lines += ["place = share", *here, *values]
    lines += lanes.copies("store", "Y", [*((f"y{r}", r) for r in states), *rates], "lo, size")
    head = [*kinetics.prologue(module), f"b = np.empty({max(lanes.size, 1)})", f"works = {module.networks.works()}", "n = Y.shape[1]"]
    whole = [*head, "for lo in range(0, n, LANES):", "    size = min(LANES, n - lo)", *("    " + line for line in lines)]
    text = "\n".join("    " + line for line in whole)
    arguments = "U0, U1, Y0, Y, P, nets, counts, t0, volts_a, volts_b, h, share, least, fine, late"
    return module.text() + _IMPORTS + f"\n\n@njit(cache=True, **OPTIONS)\ndef pace({arguments}):\n{text}\n", module.networks


def _home(lanes: Lanes, home: dict[str, int]) -> list[str]:
    """Loop: states back to the rows where a part begins (the update of a gate leaves them in others)."""
    away = [name for name, row in home.items() if lanes.row(name) != row]
    for name in away:
        lanes.rows[f"new_{name}"] = lanes.rows[name]
        lanes.rows[name] = home[name]
    return lanes.loop([f"{name} = new_{name}" for name in away], away) if away else []


_IMPORTS = f"""
from calcium_sim.kernels.elementary import exp
from calcium_sim.kernels.lanes import load, multiplied, store

LANES = {LANES}
MOST = {MOST}.0
"""
