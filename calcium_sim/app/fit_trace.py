"""``calcium-sim fit trace``: gates from a recording of the potential. Everything heavy is imported inside."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .fit import _line, _say, next_steps


def trace(
    cell: Annotated[Path, typer.Argument(help="Model file of the cell: one node, [voltage], all channels, what was injected.")],
    recording: Annotated[Path, typer.Argument(help="Columns of time [ms], potential [mV], perhaps current [pA] (.csv), or a .nc file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Channel file to write (.pt).")],
    unknown: Annotated[list[str], typer.Option(help="Name of the channel whose gates are looked for (repeat for several).")],
    gate: Annotated[list[str] | None, typer.Option(help="State of it that is looked for [default: all] (repeat).")] = None,
    sweep: Annotated[int | None, typer.Option(help="Which sweep of the file, from 0.")] = None,
    start: Annotated[float | None, typer.Option("--from", help="Time [ms] from which the recording is taken.")] = None,
    end: Annotated[float | None, typer.Option("--to", help="Time [ms] up to which.")] = None,
    noise: Annotated[float | None, typer.Option(help="Standard deviation of the noise [mV] [default: estimated].")] = None,
    restarts: Annotated[int, typer.Option(help="How often a fit that misses the recording begins anew.")] = 2,
    seed: Annotated[int, typer.Option(help="Of the first weights.")] = 0,
    true: Annotated[str | None, typer.Option(help="Channel whose gates are drawn beside the recovered ones.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the network, for its card.")] = "unspecified",
    picture: Annotated[Path | None, typer.Option(help="Picture to write: potential, residuals, gates.")] = None,
) -> None:
    """Recover the gates of a channel from one current-clamp recording; say where it does not determine them."""
    check_output(output)
    from ..config import load
    from ..learn.trace import fit_trace, read_recording
    from ..model.registry import get_channel

    model, _ = load(cell, _say)
    beside = None if true is None else get_channel(true)()
    traced = read_recording(recording, sweep)
    if start is not None or end is not None:
        traced = traced.part(traced.time[0] if start is None else start, traced.time[-1] if end is None else end)
    told = shlex.join(["calcium-sim", "fit", "trace", cell.name, recording.name, *(w for u in unknown for w in ("--unknown", u))])
    options = {"gate": gate, "sweep": sweep, "from": start, "to": end, "noise": noise}
    for key, value in options.items():
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            told += f" --{key} {shlex.quote(str(one))}"
    with _line() as line:
        line("compiling")
        fit = fit_trace(
            model,
            traced,
            unknown,
            gates=gate,
            rng=seed,
            noise=noise,
            restarts=restarts,
            progress=lambda k, n, error: line(f"stage {k} of {n}: error {error:.3g} mV"),
        )
    typer.echo(str(fit))
    for name, file in zip(fit.channels, outputs(output, len(fit.channels)), strict=True):
        fit.export(file, name, licence=licence, command=f"{told} --seed {seed} --restarts {restarts} -o {file.name}")
        for row in next_steps(file, cell):
            typer.echo(row)
    if picture is not None:
        fit.plot(picture, beside)
        typer.echo(f"picture  {picture}")


def outputs(output: Path, count: int) -> list[Path]:
    """Files of several channels: ``k.pt``, then ``k-2.pt`` and so on."""
    return [output, *(output.with_name(f"{output.stem}-{k}{output.suffix}") for k in range(2, count + 1))]


def check_output(output: Path) -> None:
    """Refuse a name of a channel file that could not be written at the end."""
    if output.suffix != ".pt":
        raise InputError(str(output), "expected a name that ends in .pt")
    if not output.absolute().parent.is_dir():
        raise InputError(str(output), "its folder is not there (make it, or give another with -o)")
