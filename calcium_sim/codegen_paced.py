"""Generates the update of paced channels at the pairs of one membrane: see `pacing`.

``pace(U0, U1, Y0, Y, P, nets, counts, t, v, h, share, place)``: rows of U0 and U1 hold what the channels read, at the beginning and
at the end of a step of length h. States go from Y0 over `share` h at the concentrations `place` of the way between, with the rate of
change (U1 - U0)/h; Y takes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from .codegen import LocalKinetics
from .codegen_learned import Networks
from .codegen_module import Module
from .specs import ChannelSpec
from .unrolled import LANES, Lanes


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
    fields = [(f"u{f}", f) for f in range(spec.fields)]
    lines = lanes.copies("load", "U1", fields, "lo, size, LANES") + lanes.copies(
        "load", "U0", [(f"o{f}", f) for _, f in fields], "lo, size, LANES"
    )
    lines += lanes.copies("load", "Y0", [*((f"y{r}", r) for r in states)], "lo, size, LANES")
    body = [f"y{r} = (u{f} - o{f}) / h" for f, r in spec.rates]
    body += [f"u{f} = o{f} + place * (u{f} - o{f})" for _, f in fields]
    lines += lanes.loop(body, [*(name for name, _ in rates), *(name for name, _ in fields)]) if body else []
    lines += kinetics.gates(module, lanes, "(share * h)", paced=True)
    lines += lanes.copies("store", "Y", [*((f"y{r}", r) for r in states), *rates], "lo, size")
    head = [*kinetics.prologue(module), f"b = np.empty({max(lanes.size, 1)})", f"works = {module.networks.works()}", "n = Y.shape[1]"]
    whole = [*head, "for lo in range(0, n, LANES):", "    size = min(LANES, n - lo)", *("    " + line for line in lines)]
    text = "\n".join("    " + line for line in whole)
    arguments = "U0, U1, Y0, Y, P, nets, counts, t, v, h, share, place"
    return module.text() + _IMPORTS + f"\n\n@njit(cache=True, **OPTIONS)\ndef pace({arguments}):\n{text}\n", module.networks


_IMPORTS = f"""
from calcium_sim.kernels.elementary import exp
from calcium_sim.kernels.lanes import load, store

LANES = {LANES}
"""
