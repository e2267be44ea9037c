"""``calcium-sim fit reduce``: a neuron as one compartment. Everything heavy is imported inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .fit import _line, _say


def reduce(
    neuron: Annotated[Path, typer.Argument(help="Model file of the neuron: a cable or tree, [voltage], currents injected at one place.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Channel file of the axial current: .py (fast) or .pt (not executed).")],
    at: Annotated[str, typer.Option(help="Label of the place that becomes the compartment, or the number of a node.")] = "soma",
    until: Annotated[str | None, typer.Option(help="End of what is learned from [default: 20 ms after the last stimulus].")] = None,
    latents: Annotated[int, typer.Option(help="Latent states of the axial current.")] = 2,
    hidden: Annotated[int, typer.Option(help="Width of the two layers of its network.")] = 8,
    restarts: Annotated[int, typer.Option(help="How often a fit with an error above 1 mV begins anew.")] = 2,
    seed: Annotated[int, typer.Option(help="Of the first weights.")] = 0,
    picture: Annotated[Path | None, typer.Option(help="Picture of both potentials to write.")] = None,
) -> None:
    """Reduce a neuron to one compartment with a learned axial current."""
    if output.suffix not in (".py", ".pt"):
        raise InputError(str(output), "expected a name that ends in .py or .pt")
    if not output.absolute().parent.is_dir():
        raise InputError(str(output), "its folder is not there (make it, or give another with -o)")
    from ..config import load
    from ..learn.trace import reduce as reduced

    model, _ = load(neuron, _say)
    with _line() as line:
        line("simulating the neuron")
        found = reduced(
            model,
            int(at) if at.isdigit() else at,
            progress=lambda k, n, error: line(f"stage {k} of {n}: error {error:.3g} mV"),
            until=until,
            latents=latents,
            hidden=hidden,
            rng=seed,
            restarts=restarts,
        )
    typer.echo(str(found))
    found.export(output)
    name = f"{output.name}:Axial" if output.suffix == ".py" else output.name
    region, (membrane, there) = found.soma.mesh.regions[0], next(iter(found.soma.mesh.membranes.items()))
    volume, area = float(found.soma.mesh.volume[0]) / found.share, float(there.area[0]) / found.share
    typer.echo(f"channel  {output}; with the channels of {at} and the same electrodes (at = 0), in a model file:")
    for row in (
        "[mesh]",
        'kind = "well-mixed"',
        f'volumes = {{ {region} = "{volume:.6g} um^3" }}',
        f'membranes = {{ {membrane} = [["{region}", "outside"], "{area:.6g} um^2"] }}',
        "",
        f"[[membranes.{membrane}]]",
        f'channel = "{name}"',
    ):
        typer.echo(f"  {row}".rstrip())
    if picture is not None:
        found.plot(picture)
        typer.echo(f"picture  {picture}")
