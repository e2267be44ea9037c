"""Trains a network to stand in for the open probability of a channel, or to do what a design asks for.

The opening and closing rates are learned, alpha = F+/(1 - P) and beta = F-/P from the one-way fluxes F, not dP/dt and not P(t): a wave's
front lives where P is below 0.05, which hardly weighs in an error of P. The published law, dP/dt = N(P, u, du/dt) (arXiv:2407.15364), is
offered for comparison as ``law="slope"``.
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypedDict

import numpy as np

from ...errors import InputError, nearest
from ...mesh import Floats
from ...model.registry import get_channel
from ...plugin import Channel
from ..data.clamping import Clamped, clamp
from ..data.gatings import GATINGS, USUAL, Gating
from ..data.samples import Traces, digest, make_traces
from ..data.settings import CABLES, GRID_LEVELS, GRIDS, LOADS, RESTING
from ..data.transients import transients
from ..data.waves import grid_traces, train_traces, wave_traces
from ..fit.result import Check, FitResult, make_card
from ..fit.rollout import rollout_errors, summary
from ..fit.training import Progress, Schedule, prepare, train
from .designs import Design
from .recipe import USUAL_REST, Recipe, default_recipe
from .source import check_source, permeability

FLAT = 1e-9
"""An open probability that varies by less than this is constant."""


class Form(TypedDict):
    """Which gates the network keeps; see `make_traces`."""

    power: int
    latent: tuple[str, ...]
    gating: Gating | None


def fit_open_probability(
    source: str | Channel | Design,
    *,
    name: str | None = None,
    law: str = "rates",
    latent: Sequence[str] = (),
    power: int = 1,
    gating: Gating | str | None = None,
    recipe: Recipe | None = None,
    hidden: Sequence[int] = (32, 32),
    seed: int = 0,
    schedule: Schedule | None = None,
    threads: int = 1,
    progress: Progress | None = None,
    licence: str = "unspecified",
    citation: Sequence[str] = (),
    command: str = "",
) -> FitResult:
    """Train a network on a channel of the registry (or on a design), and test it with its states fed back on fresh traces.

    Parameters
    ----------
    source : registry name or channel object with `open_probability`, or a `Design`.
    name : registry name of the result.
    law : ``"rates"``: (P, log10 u, asinh(du/dt)) -> opening and closing rate, P within [0, 1] at any step; ``"slope"``: the paper's
        scalar law, (P, u, du/dt) -> dP/dt, explicit.
    latent : states of the channel that the network keeps besides P, e.g. ``("c2",)`` for the slow closed state of Keizer & Levine.
    power : P = gate^power.
    gating : gates that the network keeps instead of P, or their name in `gatings.GATINGS`; by default those of `gatings.USUAL` for a
        channel that is listed there.
    recipe : data; `IP3_RECIPE` for a channel that reads IP3.
    hidden : widths of the hidden layers.
    seed : of data, weights and batches; the same seed on the same machine and one thread gives the same weights.
    schedule : length and rate of the training.
    threads : of torch.
    progress : called with (step, steps, roll-out error) at every check.
    licence, citation, command : for the card; a network is its maker's, nothing is claimed or cited unasked.

    Returns
    -------
    FitResult

    Raises
    ------
    InputError
        If the channel cannot be clamped, a latent state is unknown, or an option is out of range.
    """
    import torch

    if law not in ("rates", "slope"):
        raise InputError("law", f"'{law}', expected 'rates' or 'slope'")
    if law == "slope" and (latent or power != 1):
        raise InputError("law", "'slope' has the open probability as its only state (use law='rates' with latent= or power=)")
    channel = get_channel(source)() if isinstance(source, str) else source
    plan = recipe or default_recipe(channel, law)
    if isinstance(channel, Channel):
        check_source(channel, plan.ports, plan.held)
    form: Form = {"power": power, "latent": tuple(latent), "gating": _gating(gating, channel, law, power, latent)}
    data, check, fresh = _data(channel, plan, seed, form)
    old = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        began = clock.process_time()
        module = _network(law, data[0], plan, hidden, seed, _names(form))
        history = train(module, data, _shares(plan, len(data)), check, seed, schedule or Schedule(), progress)
        seconds = clock.process_time() - began
        p, errors = rollout_errors(module, fresh)
    finally:
        torch.set_num_threads(old)
    figures = summary(p, errors)
    label = "design" if isinstance(channel, Design) else channel.label()
    ranges = _ranges(plan, data)
    training = {
        "data": f"{label}, {plan.traces + plan.traces // 4} transients"
        + (" and nodes of simulated waves" if plan.waves else "")
        + f", seed {seed}",
        "sha256": digest(data),
        "loss": "log-rate" if law == "rates" else "slope",
        "steps": history.best,
        "error": figures,
        "torch": torch.__version__,
    }
    if command:
        training["command"] = command
    states = dict(zip(_names(form), fresh.powers, strict=True))
    k = permeability(channel)
    kind = "rates" if law == "rates" else "rhs"
    card = make_card(name or f"{label}-network", module, kind, states, ranges, k, training, [c[:490] for c in citation], licence)
    result = Check(fresh.time, fresh.inputs[..., 0], fresh.open_probability, p, errors, next(iter(plan.ports)))
    return FitResult(module, card, figures, result, history, seconds)


def _gating(given: Gating | str | None, channel: Channel | Design, law: str, power: int, latent: Sequence[str]) -> Gating | None:
    """The gates to keep: those given, those usual for the channel, or none."""
    plain = law == "rates" and power == 1 and not latent
    if given is None:
        return USUAL.get(channel.label()) if plain and isinstance(channel, Channel) else None
    if not plain:
        raise InputError("gating", "replaces the open probability, it does not go with law='slope', latent= or power=")
    if isinstance(given, str):
        if given not in GATINGS:
            raise InputError("gating", f"unknown '{given}'{nearest(given, GATINGS)}; there are {', '.join(GATINGS)}")
        return GATINGS[given]
    return given


def _names(form: Form) -> tuple[str, ...]:
    """The gates of the network."""
    if form["gating"] is not None:
        return tuple(form["gating"].powers)
    return ("P" if form["power"] == 1 else "gate", *form["latent"])


def _data(channel: Channel | Design, plan: Recipe, seed: int, form: Form) -> tuple[list[Traces], Traces, Traces]:
    """Training sets, validation set, fresh set."""

    def respond(count: int, kind: int, rest: float = 0.05) -> Traces:
        time, ports, rests = _inputs(plan, count, 10_000 * seed + kind, rest)
        return make_traces(_response(channel, plan, time, ports, rests, form), **form)

    if not 0.0 <= plan.waves < 1.0:
        raise InputError("Recipe.waves", f"{plan.waves:g}, expected a fraction from 0 to below 1")
    if not 0.0 <= plan.trains < 1.0 or (plan.trains and not plan.waves):
        raise InputError("Recipe.trains", f"{plan.trains:g}, expected a fraction from 0 to below 1, and waves > 0 with it")
    data = [respond(plan.traces, 0)]
    if np.ptp(data[0].open_probability) < FLAT:
        fix = "a gate of the potential alone is fitted by calcium_sim.learn.gates.fit_gate"
        raise InputError(
            channel.label() if isinstance(channel, Channel) else "design",
            f"opens alike whatever {' and '.join(plan.ports)}: nothing to learn ({fix})",
        )
    more = max(1, plan.traces // 4 // len(plan.rests))
    data += [respond(more, 1 + i, rest) for i, rest in enumerate(plan.rests)]
    for time, traces in _waves(plan):
        data.append(make_traces(_response(channel, plan, time, {"ca@cytosol": traces}, {}, form), **form))
    # the fresh traces do not depend on the seed, so that fits with different seeds are compared on the same ones
    time, ports, rests = _inputs(plan, plan.fresh, 987_654, 0.05)
    fresh = make_traces(_response(channel, plan, time, ports, rests, form), **form)
    return data, respond(max(4, plan.traces // 8), 100), fresh


def _waves(plan: Recipe) -> list[tuple[Floats, Floats]]:
    """Times and recorded calcium of simulated waves: on cables, on grids, and each train."""
    if not plan.waves:
        return []
    if not plan.trains:
        return [wave_traces(duration=plan.duration, dt=plan.dt), grid_traces()]
    cables, grids = (*CABLES, *LOADS, *RESTING), (*GRIDS, *GRID_LEVELS)
    return [wave_traces(settings=cables, duration=plan.duration, dt=plan.dt), grid_traces(settings=grids), *train_traces(dt=plan.dt)]


def _shares(plan: Recipe, sets: int) -> list[float]:
    """Fraction of the weighted draws that each training set gets: of the transients by number of traces."""
    counts = [plan.traces] + [max(1, plan.traces // 4 // len(plan.rests))] * len(plan.rests)
    shares = [(1.0 - plan.waves) * c / sum(counts) for c in counts]
    if not plan.waves:
        return shares
    first, trains = 0.5 * plan.waves * (1.0 - plan.trains), sets - len(shares) - 2
    return [*shares, first, first, *[plan.waves * plan.trains / max(trains, 1)] * trains]


def _inputs(plan: Recipe, count: int, seed: int, rest: float) -> tuple[Floats, dict[str, Floats], dict[str, float]]:
    ports, rests = {}, {}
    time = np.empty(0)
    for i, (port, options) in enumerate(plan.ports.items()):
        chosen = {"rest": rest, **options}
        time, ports[port] = transients(count, seed + 500 * i, duration=plan.duration, dt=plan.dt, **chosen)
        rests[port] = chosen["rest"]
    return time, ports, rests


def _response(
    channel: Channel | Design, plan: Recipe, time: Floats, ports: dict[str, Floats], rests: dict[str, float], form: Form
) -> Clamped:
    if isinstance(channel, Design):
        return channel.respond(time, ports[channel.port])
    found = clamp(channel, time, {**ports, **plan.held}, rest=rests, substep=plan.substep, gating=form["gating"])
    return replace(found, ports={port: found.ports[port] for port in ports})


def _network(law: str, traces: Traces, plan: Recipe, hidden: Sequence[int], seed: int, names: Sequence[str]) -> Any:
    import torch

    from ..fit.networks import RateNetwork, SlopeNetwork

    torch.manual_seed(seed)
    k, n = traces.states.shape[2], traces.inputs.shape[2]
    layers = [k + 2 * n, *hidden, 2 * k if law == "rates" else 1]
    transforms = ["asinh" if gate in plan.gates else "identity" for gate in names] + ["log10"] * n + ["asinh"] * n
    module = RateNetwork(transforms, layers, True) if law == "rates" else SlopeNetwork(transforms, layers, False)
    gates = [1.0 / plan.gates.get(gate, 1.0) for gate in names]
    prepare(module, traces, [*gates, *[1.0] * n, *(1.0 / plan.asinh[port] for port in plan.ports)])
    return module


def _ranges(plan: Recipe, data: list[Traces]) -> dict[str, dict[str, Any]]:
    """Trained range of every port and of its rate of change, and its resting levels where the network has seen waves."""
    found: dict[str, dict[str, Any]] = {}
    for i, port in enumerate(plan.ports):
        values = [t.inputs[..., i] for t in data]
        rates = max(float(np.abs(t.rates[..., i]).max()) for t in data)
        low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
        found[port] = {"unit": "uM", "min": float(f"{low:.3g}"), "max": float(f"{high:.3g}"), "dx_max": float(f"{rates:.3g}")}
        if plan.waves:
            found[port]["rest"] = [min(plan.rests), max(plan.rests) if plan.trains else USUAL_REST]
    return found
