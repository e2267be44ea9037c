"""``calcium-sim fit clamp``: voltage-clamp currents become a channel."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, shown
from .fit import _line, fit_app, next_steps
from .fit_gates import _check_places, _numbered

if TYPE_CHECKING:
    from ..learn.clamp import ClampGate


@fit_app.command("clamp")
def clamp(
    recordings: Annotated[list[Path], typer.Argument(help="Voltage clamps of one cell: .nc with time, V, I, or columns ms, mV, nA.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Channel file to write, .pt [default: errors only].")] = None,
    reversal: Annotated[str | None, typer.Option(help="Reversal potential, or give both concentrations.")] = None,
    outside: Annotated[str | None, typer.Option(help="Concentration of the ion outside, for its Nernst potential.")] = None,
    inside: Annotated[str | None, typer.Option(help="Concentration inside.")] = None,
    charge: Annotated[int, typer.Option(help="Charge number of the ion.")] = 1,
    temperature: Annotated[str, typer.Option(help="Of the bath.")] = "294.65 K",
    gate: Annotated[
        list[str] | None,
        typer.Option(help="Gate and its power: m=3 (repeat) [default: a, which may have a slow part, and r, which closes]."),
    ] = None,
    closes: Annotated[list[str] | None, typer.Option(help="Gate that depolarisation closes (repeat).")] = None,
    slow: Annotated[list[str] | None, typer.Option(help="Gate that may have a slow part (repeat).")] = None,
    score: Annotated[list[Path] | None, typer.Option(help="Recording that is not fitted but predicted (repeat).")] = None,
    after: Annotated[str, typer.Option(help="Time that is left out after jumps of the command by more than 10 mV.")] = "5 ms",
    freedom: Annotated[float, typer.Option(help="How large corrections of exponential rates may be, 1 is usual.")] = 1.0,
    current_unit: Annotated[str, typer.Option(help="Of currents that do not tell it: nA, pA, uA, A.")] = "nA",
    ion: Annotated[str, typer.Option(help="What the channel carries.")] = "k",
    g: Annotated[str, typer.Option(help="Largest conductance of a membrane with the channel.")] = "1 mS/cm^2",
    name: Annotated[str | None, typer.Option(help="Registry name of the channel [default: the file's stem].")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the channel, for its card.")] = "unspecified",
    seed: Annotated[int, typer.Option(help="Of the random starts.")] = 0,
    picture: Annotated[Path | None, typer.Option(help="Picture to write: currents, differences, gates with what is open.")] = None,
) -> None:
    """Fit gates to voltage-clamp currents; say where the recordings do not determine them; predict others."""
    from ..learn.clamp import fit_clamp
    from ..learn.clamp.recording import recordings_of
    from ..units import value

    _check_places(output, picture)
    gates = _gates(gate, closes or [], slow or [])
    options: dict[str, Any] = {} if gates is None else {"gates": gates}
    e_rev = _reversal(reversal, outside, inside, charge, temperature)
    conductance = value(g, "mS/cm^2", "--g")
    held = recordings_of([str(path) for path in score], current_unit, value(after, "ms", "--after")) if score else ()
    with _line() as line:
        fit = fit_clamp(
            [str(path) for path in recordings],
            e_rev=e_rev,
            current_unit=current_unit,
            after=after,
            freedom=freedom,
            rng=seed,
            progress=line,
            **options,
        )
    typer.echo(str(fit))
    for recording in held:
        typer.echo(f"predicted  {fit.score(recording)}")
    if output:
        told = _command(recordings, output, gate, closes, slow, e_rev, after, freedom, current_unit, seed)
        card = {"moves": {ion: 1}, "across": ("cytosol", "outside"), "licence": licence, **({"name": name} if name else {})}
        fit.export(output, g=conductance, command=told, **card)
        for row in next_steps(output):
            typer.echo(row)
    if picture:
        fit.plot(picture, held)
        typer.echo(f"picture  {picture}")


def _gates(given: list[str] | None, closes: list[str], slow: list[str]) -> tuple[ClampGate, ...] | None:
    """Gates of the command; None where it names none."""
    from ..learn.clamp import ClampGate

    if not given:
        if closes or slow:
            raise InputError(
                "--closes, --slow", "name gates, expected these with their powers, too (e.g. --gate m=3 --gate h=1 --closes h)"
            )
        return None
    powers = _numbered(given, "--gate", "m=3")
    for option, names in (("--closes", closes), ("--slow", slow)):
        for known in names:
            if known not in powers:
                raise InputError(option, f"{shown(known)} is none of the gates {', '.join(powers)}")
    return tuple(ClampGate(n, n not in closes, power, n in slow) for n, power in powers.items())


def _reversal(reversal: str | None, outside: str | None, inside: str | None, charge: int, temperature: str) -> float:
    from ..learn.clamp import nernst
    from ..units import value

    if (reversal is None) == (outside is None or inside is None):
        raise InputError(
            "--reversal", "expected the reversal potential, or --outside and --inside (e.g. --outside '4 mM' --inside '130 mM')"
        )
    return float(value(reversal, "mV", "--reversal")) if reversal is not None else nernst(outside, inside, charge, temperature)


def _command(
    recordings: list[Path],
    output: Path,
    gate: list[str] | None,
    closes: list[str] | None,
    slow: list[str] | None,
    e_rev: float,
    after: str,
    freedom: float,
    current_unit: str,
    seed: int,
) -> str:
    """The command that repeats a fit, for the card."""
    words = ["calcium-sim", "fit", "clamp", *(path.name for path in recordings), "-o", output.name, "--reversal", f"{e_rev:.10g} mV"]
    for option, values in (("--gate", gate), ("--closes", closes), ("--slow", slow)):
        words += [word for given in values or [] for word in (option, given)]
    words += ["--after", after, "--freedom", f"{freedom:g}", "--current-unit", current_unit, "--seed", str(seed)]
    return shlex.join(words)
