"""``calcium-sim fit gates``: tables of steady values and time constants become a channel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError, shown
from .fit import fit_app, next_steps

GOOD = 0.01, 0.05
"""Errors of the steady value and of the time constant up to which a gate counts as fitted."""


@fit_app.command("gates")
def gates(
    table: Annotated[Path, typer.Argument(help="Columns v, NAME_inf, NAME_tau (.csv), or arrays v, xinf, tau (.npz); mV and ms.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Channel file to write, .pt [default: errors only].")] = None,
    gate: Annotated[list[str] | None, typer.Option(help="Gate of the channel and its power: n=4 (repeat) [default: all, power 1].")] = None,
    moves: Annotated[list[str] | None, typer.Option(help="Ion that it carries and how many: k=1 (repeat) [default: ca=1].")] = None,
    g: Annotated[str, typer.Option(help="Largest conductance.")] = "1 mS/cm^2",
    reversal: Annotated[str, typer.Option(help="Reversal potential.")] = "0 mV",
    inside: Annotated[str, typer.Option("--from", help="Region from which the current flows.")] = "cytosol",
    outside: Annotated[str, typer.Option("--to", help="Region to which it flows.")] = "outside",
    name: Annotated[str | None, typer.Option(help="Registry name of the channel [default: the file's stem].")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the channel, for its card.")] = "unspecified",
    seed: Annotated[int, typer.Option(help="Of the starts of the networks.")] = 0,
    picture: Annotated[Path | None, typer.Option(help="Picture of the fit to write.")] = None,
) -> None:
    """Fit tables of gates, tell the errors, and write a channel of some of them."""
    from ..learn.voltage_gates import fit_gates
    from ..learn.voltage_gates.pictures import draw_gates
    from ..learn.voltage_gates.tables import read_tables

    _check_places(output, picture)
    tables = read_tables(table)
    chosen = _numbered(gate, "--gate", "n=4") if gate else dict.fromkeys(tables.names, 1) if output else {}
    for known in chosen:
        if known not in tables.names:
            raise InputError("--gate", f"{shown(known)} is not in {table}, there are {shown(', '.join(tables.names))}")
    card = _card(chosen, moves, g, reversal, inside, outside, licence, name) if output else {}
    fitted = fit_gates(tables.v, tables.xinf, tables.tau, rng=seed)
    for line in _told(tables.names, fitted):
        typer.echo(line)
    if output:
        fitted.export(output, {n: tables.names.index(n) for n in chosen}, powers=list(chosen.values()), **card)
        for line in next_steps(output):
            typer.echo(line)
    if picture:
        draw_gates(fitted, tables, list(chosen), picture)
        typer.echo(f"picture  {picture}")


def _check_places(output: Path | None, picture: Path | None) -> None:
    if output is not None and output.suffix != ".pt":
        raise InputError(str(output), "expected a name that ends in .pt")
    for path in (output, picture):
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(str(path), "its folder is not there (make it, or give another)")


def _card(
    chosen: dict[str, int],
    moves: list[str] | None,
    g: str,
    reversal: str,
    inside: str,
    outside: str,
    licence: str,
    name: str | None,
) -> dict[str, Any]:
    from ..units import value

    if not chosen:
        raise InputError("--gate", "the channel needs at least one gate (e.g. --gate n=4)")
    carried = _numbered(moves, "--moves", "k=1") if moves else {"ca": 1}
    conductance, potential = value(g, "mS/cm^2", "--g"), value(reversal, "mV", "--reversal")
    return {
        "moves": carried,
        "across": (inside, outside),
        "g": conductance,
        "e_rev": potential,
        "licence": licence,
        **({"name": name} if name else {}),
    }


def _numbered(given: list[str], option: str, example: str) -> dict[str, int]:
    """``n=4`` as a name and a number."""
    out: dict[str, int] = {}
    for text in given:
        known, _, number = text.partition("=")
        if not known.strip() or not number.strip().lstrip("-").isdigit():
            raise InputError(option, f"{shown(text)} is no name and whole number (e.g. {option} {example})")
        out[known.strip()] = int(number)
    return out


def _told(names: tuple[str, ...], fitted: Any) -> list[str]:
    x, t = fitted.xinf_error, fitted.tau_error
    lines = [f"{n:12s} steady value off by {a:.2g} (rms), time constant by {100 * b:.2g} %" for n, a, b in zip(names, x, t, strict=True)]
    if len(names) > 1:
        good = int(((x < GOOD[0]) & (t < GOOD[1])).sum())
        total = f"{good} of {len(names)} gates within {GOOD[0]:g} and {100 * GOOD[1]:g} %, {fitted.seconds:.2g} s of CPU"
        lines = [*(lines if len(names) <= 20 else []), total]
    return lines
