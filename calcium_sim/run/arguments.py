"""What `simulate` is asked for, checked and converted before anything is lowered or compiled."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

from ..errors import InputError, ModelWarning, nearest, shown, warn
from ..model import Model
from ..model.probes import Recorded, recorded
from ..model.targets import targeted
from ..results.diagnostics import THRESHOLD, micromolar
from ..units import value
from .limits import check_length


def checked_times(model: Any, until: Any, every: Any, dt: Any) -> tuple[float, float]:
    """End of a run and interval between its outputs [ms]."""
    end = _time(until, "until")
    interval = end / 200 if every is None else _time(every, "every")
    step = None if dt is None else _time(dt, "dt")
    check_model(model)
    check_length(end, every=interval, dt=step)
    if every is not None and interval > end * (1 + 1e-9):
        told = f"{interval:g} ms is longer than the run of {end:g} ms: the result has its start and its end only"
        warn(f"every: {told} (a smaller every=, or a later until=)", ModelWarning)
    if step is not None and step > interval * (1 + 1e-9):
        told = f"{step:g} ms is longer than the {interval:g} ms between two observations: steps are of {interval:g} ms"
        warn(f"dt: {told} (give every= as well, or a smaller dt=)", ModelWarning)
    return end, interval


def _time(given: Any, name: str) -> float:
    """A time [ms] above 0."""
    number = value(given, "ms", name)
    if not number > 0:
        raise InputError(name, f"{number:g} ms must be > 0 (e.g. '10 ms')")
    return float(number)


def check_model(model: Any) -> None:
    """Refuse what is no Model."""
    if isinstance(model, (str, os.PathLike)):
        read = f"from calcium_sim.config import load; model, options = load({os.fspath(model)!r})"
        raise InputError("model", f"{shown(os.fspath(model))} is a file name and no calcium_sim.Model (read the file: {read})")
    if not isinstance(model, Model):
        raise InputError("model", f"{shown(model, 40)} is no calcium_sim.Model (make one: cs.Model(mesh, species, membranes, ...))")


def check_progress(progress: Any) -> None:
    """Refuse what cannot be called with the time reached and the end."""
    try:
        inspect.signature(progress).bind(0.0, 1.0)
    except TypeError:
        told = f"{shown(progress)} is no function, expected one of (time reached, end) in ms (e.g. print)"
        raise InputError("progress", told) from None
    except ValueError:  # built-in, without a signature
        pass


def levels(model: Model, threshold: Any) -> dict[str, float]:
    """The level of each species [uM]."""
    names = [s.name for s in model.species]
    if not isinstance(threshold, Mapping):
        return dict.fromkeys(names, micromolar(threshold))
    for name in threshold:
        if name not in names:
            raise InputError("threshold", f"unknown species '{name}'{nearest(name, names)}; there are {', '.join(names)}")
    return {name: micromolar(threshold.get(name, THRESHOLD)) for name in names}


def checked_record(model: Model, record: Any, where: str = "record") -> Recorded:
    """What is kept: names, each of which the model has, and probes, whose variables do not meet others."""
    known = [*(s.name for s in model.species), *(b.name for b in model.buffers), "flux", "po"]
    asked = recorded(record)
    for k, name in enumerate(asked.names or ()):
        if not (isinstance(name, str) and name in known):
            place = where if where == "record" else f"{where}[{k}]"
            raise InputError(place, f"unknown {shown(str(name))}{nearest(name, known)}; there are {', '.join(known)}")
    names = model.names
    taken = {*names.fields.values(), *(text for texts in names.derived.values() for text in texts.values())}
    for p in asked.probes:
        targeted(model, p, f"{where}.{p.name}")
        if met := taken & p.variables:
            raise InputError(f"{where}.{p.name}", f"'{sorted(met)[0]}' is a variable of the result already (choose another name)")
    return asked
