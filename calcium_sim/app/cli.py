"""The command line. Everything heavy is imported inside the commands, so that ``--help`` is quick."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import CalciumSimError, InputError
from . import fit_clamp as fit_clamp
from . import fit_gates as fit_gates
from .fit import fit_app
from .fit_reduce import reduce
from .fit_trace import trace

if TYPE_CHECKING:
    from .runs import Outcome, Progress

app = typer.Typer(name="calcium-sim", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
channels_app = typer.Typer(no_args_is_help=True, help="List channels, or show one.")
app.add_typer(channels_app, name="channels")
app.add_typer(fit_app, name="fit")
fit_app.command("trace")(trace)
fit_app.command("reduce")(reduce)

_INTERRUPTED = 130
Folder = Annotated[Path, typer.Option("-o", "--output", help="Folder for data and pictures.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a result that is already there.")]
NoPicture = Annotated[bool, typer.Option("--no-picture", help="Write the data only.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"calcium-sim {version('calcium-sim')}")
        raise typer.Exit


@app.callback()
def _calcium_sim(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Calcium waves in cells by finite volumes; every membrane flux is a channel that can be swapped by name."""


@app.command()
def run(path: Path, output: Folder = Path("out"), no_picture: NoPicture = False, force: Force = False) -> None:
    """Run the model in a TOML file and leave data (netCDF) and pictures in a folder."""
    from ..config import load
    from .runs import execute

    model, options = load(path, _note)
    with _progress() as progress:
        done = execute(model, options, output, path.stem, options.text, picture=not no_picture, force=force, progress=progress)
    _tell(done)


@app.command()
def demo(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder [default: calcium-sim-demo, or a new one like it].")] = None,
    force: Force = False,
) -> None:
    """Run a calcium wave in a reconstructed granule cell and draw it (less than a minute)."""
    from ..config import build, parse
    from .demo import MODEL
    from .runs import execute

    folder = output or _fresh("calcium-sim-demo")
    model, options = build(parse(MODEL))
    typer.echo(
        f"a granule cell of {model.mesh.nodes // 2} compartments, {options.until:g} ms; the first run compiles for some seconds", err=True
    )
    with _progress() as progress:
        done = execute(model, options, folder, "granule-cell", MODEL, force=force, progress=progress)
    target = folder / "granule-cell.toml"
    target.write_text(MODEL, encoding="utf-8")
    _tell(done)
    typer.echo(f"model    {target}; its spacing of 0.25 um is coarse so that this is quick, the file tells what that costs")


@app.command()
def check(
    path: Path,
    unit: Annotated[str | None, typer.Option(help='Unit of a morphology, such as nm or "8 nm" [default: um].')] = None,
    min_radius: Annotated[str | None, typer.Option(help='Length to which its smaller radii are raised, such as "0.1 um".')] = None,
    trees: Annotated[str | None, typer.Option(help="Which of its trees: soma or largest.")] = None,
    picture: Annotated[bool, typer.Option("--picture", help="Draw a morphology with the numbers of its tips, into NAME.png.")] = False,
    picture_file: Annotated[Path | None, typer.Option(help="File for this picture, of any kind that matplotlib writes.")] = None,
) -> None:
    """Check a model file (.toml), a morphology (.swc, .asc, .h5, .nml), a result (.nc) or a channel (.npz, .pt, mine.py:MyChannel)."""
    from ..model.channel_files import executed
    from .inspection import check_file

    _note(executed(str(path)))
    given = {"unit": unit, "min_radius": min_radius, "trees": trees}
    drawn = picture_file or (Path(path.with_suffix(".png").name) if picture else None)
    for line in check_file(path, _note, drawn, **{k: v for k, v in given.items() if v is not None}):
        typer.echo(line)


@app.command()
def explain(path: Path) -> None:
    """Say what a model file (.toml) solves: the balance of every field, the phases of a step, and where the generated text stands."""
    from ..config import load
    from .explain import explain_lines

    for line in explain_lines(load(path, _note)[0]):
        typer.echo(line)


@app.command()
def new(path: Annotated[Path, typer.Argument(help="File to write.")] = Path("wave.toml")) -> None:
    """Write a commented model file to start from."""
    from ..errors import StorageError
    from .template import template

    text = template(path.name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(str(path), "exists, it is not overwritten (give another name)") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error
    typer.echo(f"wrote {path}; run it with: calcium-sim run {path} -o out/")


@app.command()
def bench(
    cases: Annotated[list[str] | None, typer.Argument(help="Names of cases [default: all].")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures to a file too.")] = None,
    threads: Annotated[int, typer.Option(help="Number of threads.")] = 1,
) -> None:
    """Measure speed on this machine, by phase of the step."""
    from .bench import bench as measure
    from .bench import table

    typer.echo(table(measure(cases or (), json_path, threads=threads)))


@channels_app.command("list")
def list_() -> None:
    """List all channels with the package that each comes from."""
    from .inspection import channel_lines

    for line in channel_lines():
        typer.echo(line)


@channels_app.command()
def show(name: Annotated[str, typer.Argument(help="Name, or file: my.npz, my.pt, mine.py:MyChannel.")]) -> None:
    """Show what a channel reads and moves, its states, parameters, source; of a network its training, errors and trained range."""
    from ..model.channel_files import executed
    from .inspection import show_channel

    _note(executed(name))
    for line in show_channel(name):
        typer.echo(line)


def _fresh(name: str) -> Path:
    """The folder `name`, or `name-2`, `name-3` ... where there is one already."""
    folder, k = Path(name), 2
    while folder.exists():
        folder, k = Path(f"{name}-{k}"), k + 1
    return folder


def _tell(done: Outcome) -> None:
    for line in done.lines:
        typer.echo(line)
    for picture in done.pictures:
        typer.echo(f"picture  {picture}")
    typer.echo(f"data     {done.data}")


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on a terminal; elsewhere one plain line every five seconds."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.4g} of {task.total:.4g} ms"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("compiling", total=1.0)
            yield lambda t, end: bar.update(task, description="running", completed=t, total=end)
        return
    import time

    last = time.monotonic()

    def told(t: float, end: float) -> None:
        nonlocal last
        if time.monotonic() - last >= 5.0:
            last = time.monotonic()
            typer.echo(f"{t:.4g} of {end:.4g} ms", err=True)

    yield told


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 our bug, 2 input refused, 3 run stopped itself, 5 storage, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    warnings.showwarning = _warn
    try:
        code = app([a for a in given if a != "--debug"], prog_name="calcium-sim", standalone_mode=False) or 0
    except Exception as error:
        if debug:
            raise
        code = _refused(error)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        _say("interrupted", code)
    sys.exit(code if isinstance(code, int) else 0)


def _refused(error: Exception) -> int:
    """Tell an error in one line per problem and return the exit code; tracebacks are for our own bugs."""
    if isinstance(error, CalciumSimError):
        problems = getattr(error, "problems", None) or [error]
        for problem in problems:
            _say(f"error: {problem}".replace("\n", " "), 0)
        return error.exit_code
    if type(error).__name__ == "NoArgsIsHelpError":
        return _say(str(error), 2)
    if hasattr(error, "format_message"):
        return _say(f"error: {error.format_message()} (see calcium-sim --help)", 2)
    if type(error).__name__ == "Abort":
        return _INTERRUPTED
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()
        return 0
    if isinstance(error, MemoryError):
        return _say("error: not enough memory (coarser mesh.spacing, larger run.every, or less in run.record)", 3)
    import traceback

    traceback.print_exc()
    return _say("error: this is a bug of calcium-sim; please report it with the lines above", 1)


def _say(line: str, code: int) -> int:
    typer.echo(line, err=True)
    return code


def _note(line: str) -> None:
    if line:
        _say(line, 0)


def _warn(message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: str | None = None) -> None:
    typer.echo(f"warning: {message}", err=True)


if __name__ == "__main__":
    main()
