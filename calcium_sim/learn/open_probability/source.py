"""What a network is to be trained on: whether a channel can be the source, and what the network's flux law takes over from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ...errors import InputError, nearest, shown
from ...networks.export import DEFAULT_K
from ...plugin import Channel, parse_port
from ...units import number_in
from ..data.clamping import RESTING_PORTS
from .designs import Design
from .recipe import Recipe

USUAL, ABOVE = (0.08, 11.2), 1.25
"""Amplitudes of random transients [uM] and how far above them sums of pulses are cut, as in `transients`."""


def check_source(channel: Channel, ports: Iterable[str], held: Mapping[str, float]) -> None:
    """Refuse a channel with a port that is neither trained on nor held, or that does not lead out of the ER.

    Raises
    ------
    InputError
        With the option that holds a port.
    """
    label, reads = channel.label(), list(channel.reads.values())
    if type(channel).open_probability is None:
        raise InputError(label, "needs open_probability(y, x, p) to be trained on")
    for port in held:
        if port not in reads:
            raise InputError(label, f"does not read '{port}', which is to be held{nearest(port, reads)}; it reads {', '.join(reads)}")
    elsewhere = tuple(channel.across) not in (("er", "cytosol"), ("from", "to"))
    moved = f"moves {' -> '.join(channel.across)}: what is trained here releases from the ER, k P (c_er - c_cytosol)" if elsewhere else ""
    for port in reads:
        if parse_port(port).kind in ("rate", "t") or port in ports or port in held or port in RESTING_PORTS:
            continue
        what, level = ("the potential 'v'", "-70") if port == "v" else (f"'{port}'", "10")
        fix = f"hold it with --set {port}={level}, in Python Recipe(held={{'{port}': {level}}}), if calcium opens the channel too"
        alone = "; a gate of v alone is fitted by calcium_sim.learn.gates.fit_gate" if port == "v" else ""
        also = f"; and it {moved}" if moved else ""
        raise InputError(label, f"reads {what}, which a network of open probability is not trained on ({fix}{alone}){also}")
    if moved:
        raise InputError(label, moved)


def permeability(source: Channel | Design) -> float:
    """k [um^3/ms] of one open channel in the flux law of the network: the source's own where it has ``rate`` and ``ca_ref``."""
    row = None if isinstance(source, Design) else source.parameter_table().get("rate")
    if isinstance(source, Design) or row is None or row.unit != "uM*um^3/ms":
        return DEFAULT_K
    return float(source.values["rate"] / source.values.get("ca_ref", 250.0))


def settings(source: type[Channel] | None, given: Iterable[str]) -> tuple[dict[str, Any], dict[str, float]]:
    """What ``--set NAME=VALUE`` asks for: parameters of the source, and ports that are held [uM, mV]; a design (None) has neither."""
    values: dict[str, Any] = {}
    held: dict[str, float] = {}
    for text in given:
        name, equals, told = (part.strip() for part in text.partition("="))
        known = [] if source is None else [*source.parameter_table(), *source.reads.values()]
        if not (equals and told) or name not in known:
            there = f"; there are {', '.join(known)}" if known else "; a design has none"
            raise InputError("--set", f"{shown(text)} sets no parameter or port{nearest(name, known)} (e.g. v=-70){there}")
        if source is not None and name in source.parameter_table():
            unit = source.parameter_table()[name].unit
            values[name] = f"{told} {unit}".removesuffix(" 1") if _is_number(told) else told
        else:
            held[name] = number_in(_number(told), "mV" if name == "v" else "uM", f"--set {name}")
    return values, held


def higher(recipe: Recipe, given: Iterable[str]) -> Recipe:
    """The recipe with larger transients [uM]: ``15`` for its first port, ``ip3@cytosol=20`` for another."""
    ports = {port: dict(options) for port, options in recipe.ports.items()}
    for text in given:
        port, _, told = ("=" + text if "=" not in text else text).rpartition("=")
        port = port.strip() or next(iter(ports))
        if port not in ports:
            raise InputError("--highest", f"'{port}' is not trained on{nearest(port, ports)}; there are {', '.join(ports)}")
        top = number_in(_number(told.strip()), "uM", "--highest")
        low = ports[port].get("amplitude", USUAL)[0]
        if not top > low:
            raise InputError("--highest", f"{top:g} uM, expected more than {low:g} uM, the smallest transients")
        ports[port] |= {"amplitude": (low, top), "ceiling": ABOVE * top}
    return replace(recipe, ports=ports)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(text: str) -> Any:
    return float(text) if _is_number(text) else text
