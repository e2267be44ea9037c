"""The commands under ``calcium-sim fit``. Everything heavy is imported inside the commands."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..learn.fit.result import FitResult
    from ..learn.open_probability.designs import Design

fit_app = typer.Typer(no_args_is_help=True, help="Train networks that become channels.")


@fit_app.callback()
def _fit() -> None:
    """Train networks that become channels."""


@fit_app.command("open-probability")
def open_probability(
    source: Annotated[str, typer.Argument(help="ODE channel to learn from (ryr/keizer-levine), or 'design' for artificial data.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write: .npz (weights) or .pt (TorchScript).")],
    name: Annotated[str | None, typer.Option(help="Registry name of the result [default: the file's stem].")] = None,
    law: Annotated[str, typer.Option(help="rates: opening and closing rates; slope: dP/dt as in arXiv:2407.15364.")] = "rates",
    latent: Annotated[list[str] | None, typer.Option(help="State of the channel that the network keeps besides P (repeat).")] = None,
    gating: Annotated[str | None, typer.Option(help="Gates kept instead of P: keizer-levine or de-young-keizer.")] = None,
    power: Annotated[int, typer.Option(help="Open probability = gate^power.")] = 1,
    waves: Annotated[float, typer.Option(help="Fraction of the data that is calcium recorded in simulated waves.")] = 0.0,
    trains: Annotated[float, typer.Option(help="Fraction of these that comes from trains of waves.")] = 0.0,
    traces: Annotated[int | None, typer.Option(help="Number of random transients [default: 160].")] = None,
    seed: Annotated[int, typer.Option(help="Of data, weights and batches.")] = 0,
    steps: Annotated[int, typer.Option(help="Training steps.")] = 10_000,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    amplitude: Annotated[float, typer.Option(help="Design: factor on the plateau.")] = 1.0,
    closing: Annotated[float, typer.Option(help="Design: factor on the closing rate.")] = 1.0,
    close_time: Annotated[float | None, typer.Option(help="Design: closing time [ms] at every concentration.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the network, for its card.")] = "unspecified",
    citation: Annotated[list[str] | None, typer.Option(help="What users of the network should cite, for its card (repeat).")] = None,
    highest: Annotated[
        list[str] | None, typer.Option(help="Largest random transients [uM], of calcium or of a port: 15, ip3@cytosol=20 (repeat).")
    ] = None,
    given: Annotated[
        list[str] | None, typer.Option("--set", help="Value of a port that is held (v=-70), or of a parameter of the source (repeat).")
    ] = None,
    cell: Annotated[Path | None, typer.Option("--for", help="Model file of your cell: its range is put beside the trained one.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Picture of the fit to write.")] = None,
) -> None:
    """Train an open probability on an ODE channel or on a design; report its errors on fresh transients."""
    if output.suffix not in (".npz", ".pt"):
        raise InputError(str(output), "expected a name that ends in .npz or .pt")
    if not output.absolute().parent.is_dir():
        raise InputError(str(output), "its folder is not there (make it, or give another with -o)")
    if source != "design" and (amplitude, closing, close_time) != (1.0, 1.0, None):
        raise InputError("--amplitude, --closing, --close-time", f"belong to 'design', the source is '{source}'")
    options: dict[str, Any] = {
        "name": name or output.stem,
        "law": law,
        "latent": tuple(latent or ()),
        "gating": gating,
        "power": power,
        "seed": seed,
    }
    options |= {"threads": threads, "licence": licence, "citation": tuple(citation or ())}
    design = {"amplitude": amplitude, "closing": closing, "close_time": close_time}
    data: dict[str, Any] = {
        "waves": waves,
        "trains": trains,
        "traces": traces,
        "highest": tuple(highest or ()),
        "given": tuple(given or ()),
    }
    result = fit_command(source, output, design=design, steps=steps, picture=picture, cell=cell, **data, **options)
    for line in (str(result), *next_steps(output, cell)):
        typer.echo(line)
    if picture is not None:
        typer.echo(f"picture  {picture}")


def fit_command(
    source: str,
    output: Path,
    *,
    design: dict[str, Any] | None = None,
    waves: float = 0.0,
    trains: float = 0.0,
    traces: int | None = None,
    steps: int = 10_000,
    highest: tuple[str, ...] = (),
    given: tuple[str, ...] = (),
    cell: Path | None = None,
    picture: Path | None = None,
    **options: Any,
) -> FitResult:
    """Train, save, draw: what ``calcium-sim fit open-probability`` does; `options` are those of `fit_open_probability`."""
    from dataclasses import replace

    from ..learn.fit.training import Schedule
    from ..learn.open_probability import default_recipe, fit_open_probability
    from ..learn.open_probability.source import higher, settings
    from ..model.channel_files import executed
    from ..model.registry import get_channel
    from .cell import compared, spans

    _say(executed(source))
    cls = None if source == "design" else get_channel(source)
    values, held = settings(cls, given)
    origin = _design(design or {}) if cls is None else cls(**values)
    recipe = replace(default_recipe(origin, options.get("law", "rates")), waves=waves, trains=trains, held=held)
    recipe = higher(recipe, highest)
    if traces is not None:
        if traces < 4:
            raise InputError("--traces", f"{traces}, expected at least 4")
        recipe = replace(recipe, traces=traces)
    if steps < 100:
        raise InputError("--steps", f"{steps}, expected at least 100")
    data = {"waves": waves, "trains": trains, "traces": traces, "highest": highest, "set": given}
    told = command_line(source, output, design=design, steps=steps, **data, **options)
    with _line() as line:
        seen = {} if cell is None else spans(cell, tuple(recipe.ports), _say, lambda t, end: line(f"{cell}: {t:.4g} of {end:.4g} ms"))
        line("making the data" + (": waves are simulated for some minutes" if waves else ""))
        result = fit_open_probability(
            origin,
            recipe=recipe,
            schedule=Schedule(steps=steps),
            progress=lambda k, n, error: line(f"step {k} of {n}: error of the open probability {error:.3g}"),
            command=told,
            **options,
        )
    result.save(output)
    if picture is not None:
        result.picture(picture)
    return replace(result, beside=tuple(compared(dict(result.ranges()), seen)))


def next_steps(output: Path, cell: Path | None = None) -> list[str]:
    """Lines that use the channel in a file, to be copied as they are; its path in TOML is relative to the folder of `cell`."""
    from ..model.registry import get_channel
    from ..model.usage import python_line, toml_line

    cls = get_channel(str(output))
    there = str(output) if cell is None else os.path.relpath(output, cell.parent)
    return [
        f"channel  {output}; its card: calcium-sim channels show {shlex.quote(str(output))}",
        f"Python   {python_line(str(output), cls)}",
        f"TOML     {toml_line(there, cls)}",
    ]


def command_line(source: str, output: Path, *, design: dict[str, Any] | None = None, **options: Any) -> str:
    """The command that repeats a fit, for its card: options that differ from their defaults."""
    defaults = {
        "licence": "unspecified",
        "law": "rates",
        "power": 1,
        "steps": 10_000,
        "threads": 1,
        "waves": 0.0,
        "trains": 0.0,
        "amplitude": 1.0,
        "closing": 1.0,
    }
    words = ["calcium-sim fit open-probability", source, "-o", output.name]
    options.pop("citation", None)  # changes nothing in the network
    for key, value in {**options, **(design or {})}.items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, tuple):
            words += [word for item in value for word in (flag, shlex.quote(str(item)))]
        elif value is not None and value != defaults.get(key):
            words += [flag, shlex.quote(str(value))]
    return " ".join(words)


def _design(options: dict[str, Any]) -> Design:
    from ..learn.open_probability.designs import keizer_levine_design

    return keizer_levine_design(**options)


def _say(line: str) -> None:
    if line:
        typer.echo(line, err=True)


@contextmanager
def _line() -> Iterator[Callable[[str], None]]:
    """One line of a terminal that is written again and again, and gone at the end; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    try:
        yield lambda told: typer.echo(f"\r\x1b[K{told}", err=True, nl=False)
    finally:
        typer.echo("\r\x1b[K", err=True, nl=False)
