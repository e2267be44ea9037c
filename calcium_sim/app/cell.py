"""What the cell of a user shows a network: the range of each port in its own run, beside the range that the network was trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..config import Tell, load
from ..errors import InputError
from ..plugin import parse_port
from ..run.simulation import simulate

Span = tuple[float, float]
ROOM = 1.5
"""How far above the highest value of a cell the random transients are to reach: most of them end below their largest amplitude."""


def spans(
    path: Path, ports: tuple[str, ...], tell: Tell | None = None, progress: Callable[[float, float], None] | None = None
) -> dict[str, Span]:
    """Run a model file and return the lowest and highest value [uM] of each port that it has.

    Parameters
    ----------
    path : TOML file.
    ports : such as ``("ca@cytosol",)``; peaks between the outputs count.
    tell, progress : as of `config.load` and `simulate`.

    Raises
    ------
    InputError, RunStopped
    """
    model, options = load(path, tell)
    parts = [parse_port(port) for port in ports]
    known = [(p, f"{p.species}@{p.side}") for p in parts if p.side in getattr(_species(model, p.species), "diffusion", ())]
    if not known:
        raise InputError(str(path), f"has none of {', '.join(ports)}, which the network reads")
    ds = simulate(model, **options.arguments() | {"record": [p.species for p, _ in known]}, progress=progress)
    found = {}
    for p, port in known:
        name = next(k for k, v in ds.data_vars.items() if v.dims == ("time", "node") and v.attrs.get("model_name") == p.species)
        here = ds.region.values == p.side
        found[port] = float(ds[name].values[:, here].min()), float(ds[f"{name}_peak"].values[here].max())
    return found


def _species(model: Any, name: str) -> Any:
    return next((s for s in model.species if s.name == name), None)


def compared(trained: Mapping[str, tuple[str, float, float, float]], cell: Mapping[str, Span]) -> list[str]:
    """One line per port: what was trained, what the cell shows, and how to widen the one to the other."""
    lines = []
    for port, (low, high) in cell.items():
        unit, least, most, _ = trained[port]
        told = f"trained on {port} {least:g} to {most:g} {unit}; waves of this cell go from {low:.3g} to {high:.3g} {unit}"
        if high > most:
            wide = ROOM * high
            step = 10.0 ** (math.floor(math.log10(wide)) - 1)
            told += f": widen with --highest {port}={math.ceil(wide / step) * step:.3g}"
        lines.append(told + ("" if high > most else ": within it" if low >= least else f": below {least:g} it sees {least:g}"))
    return lines
