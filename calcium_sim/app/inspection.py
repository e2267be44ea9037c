"""What the command line tells about channels and files: lists of plain lines."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CalciumSimError, InputError
from ..model.channel_files import channel_in, names_file
from ..model.registry import get_channel, list_channels, owner
from ..model.usage import python_line, toml_line
from ..networks.channel import plainly, trained
from ..plugin import Channel

if TYPE_CHECKING:
    from ..config import Tell
    from ..model import Model


def channel_lines() -> Iterator[str]:
    """One line per channel: name, what it is, package. One that cannot be imported says so and hides no other."""
    names = list_channels()
    width = max((len(n) for n in names), default=0)
    for name in names:
        try:
            about = _first_sentence(get_channel(name)) + ("; not for every use, see its note" if get_channel(name).note else "")
        except CalciumSimError as error:
            about = f"({getattr(error, 'message', error)})"
        yield f"{name:{width}}  {about}  [{owner(name)}]"


def show_channel(name: str) -> Iterator[str]:
    """All that a channel's class says about itself."""
    cls = get_channel(name)
    yield f"{name}  [{owner(name)}]"
    yield ""
    yield from inspect.cleandoc(cls.__doc__ or "No description.").splitlines()
    yield ""
    start, end = cls.across
    yield f"moves     {', '.join(f'{count} {species}' for species, count in cls.moves.items())} from {start} to {end}"
    yield f"reads     {', '.join(f'{k} = {v}' for k, v in cls.reads.items()) or 'nothing'}"
    states = cls.state_table()
    yield f"states    {', '.join(f'{k} ({s.start:g}, within {s.low:g} to {s.high:g})' for k, s in states.items()) or 'none'}"
    if cls.event is not None:
        yield f'spikes    cs.SpikeTimes("{name}", ["5 ms"]), a [[stimuli]] with channel = "{name}"'
    if cls.current is not None:
        yield "current   of other ions beside what it moves, from the same states"
    yield ""
    yield from _parameters(cls)
    if cls.note:
        yield ""
        yield f"note      {cls.note}"
    if cls.source:
        yield ""
        yield f"source    {cls.source}"
    yield ""
    yield f"Python    {python_line(name, cls)}"
    yield f"TOML      {toml_line(name, cls)}"


def _parameters(cls: type[Channel]) -> Iterator[str]:
    rows = [("parameter", "default", "unit", "range")]
    for name, p in cls.parameter_table().items():
        default = "to be given" if p.default is None else f"{p.default:.10g}"
        rows.append((name, default, p.unit if p.unit != "1" else "", _range(p.low, p.high)))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    for row in rows:
        yield "  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip()


def _range(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return "any"
    if math.isinf(high):
        return f">= {low:g}"
    return f"<= {high:g}" if math.isinf(low) else f"{low:g} to {high:g}"


def _first_sentence(cls: type[Channel]) -> str:
    text = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<!al)\. |(?<!\s): ", text)[0].rstrip(".")


NO_ERROR = 'none on its card (export_channel(..., reference=(inputs, outputs)) computes it, training={"error": ...} tells it)'
MORPHOLOGIES = (".swc", ".asc", ".h5", ".nml", ".xml")


def check_file(path: Path, tell: Tell | None = None, picture: Path | None = None, **reading: Any) -> Iterator[str]:
    """Read a file completely and say what is in it, and draw a morphology; InputError or StorageError where it cannot be used.

    `reading` is how a morphology is read, see `from_morphology`.
    """
    kinds: dict[str, Callable[[Path], Iterator[str]]] = {
        ".toml": partial(_check_model, tell=tell),
        **dict.fromkeys(MORPHOLOGIES, partial(_check_morphology, picture=picture, **reading)),
        ".nc": _check_result,
    }
    ending = path.suffix.lower()
    if reading and ending not in MORPHOLOGIES:
        raise InputError(str(path), f"is no morphology, so that {next(iter(reading))} means nothing (leave it out)")
    if picture is not None and ending not in MORPHOLOGIES:
        raise InputError("--picture", f"draws a morphology, not {path.name} (calcium-sim run draws results)")
    if names_file(str(path)):
        yield from _check_channel(str(path))
    elif not path.exists():
        raise InputError(str(path), "no such file")
    elif ending not in kinds and _is_simulation(path):
        raise InputError(str(path), f"is a simulation that was saved (in Python: cs.Simulation.load({path.name!r}), then run)")
    elif ending not in kinds:
        raise InputError(str(path), f"unknown kind of file, expected one of {', '.join([*kinds, '.npz', '.pt'])}, or mine.py:MyChannel")
    else:
        yield from kinds[ending](path)
    yield "ok"


def _is_simulation(path: Path) -> bool:
    """Whether a file begins like one that `Simulation.save` wrote."""
    from ..run.snapshot import MAGIC

    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(12) == MAGIC[:12]


def _check_channel(name: str) -> Iterator[str]:
    from ..networks.prepared import gate_of
    from ..testing import check_channel

    cls = channel_in(name)
    gate = gate_of(cls)
    yield f"channel   {cls.label()}, moves {', '.join(cls.moves)} from {' to '.join(cls.across)}"
    if gate is None:
        yield f"tried     {'; '.join(check_channel(cls))}"
        return
    yield f"network   {gate.kind}, sha256:{gate.sha256[:12]}, licence {gate.card.licence}"
    for told in trained(gate.card):
        yield f"trained   {told}"
    error = gate.card.training.get("error", gate.card.training.get("errors"))
    yield f"errors    {NO_ERROR if error is None else plainly(error)}"
    table = ", as a table" if gate.cache.get("table") is not None else ""
    yield f"runs      {'through torch at every step, slow' if gate.program is None else f'compiled{table}, equal to the original'}"
    if gate.card.note:
        yield f"note      {gate.card.note}"


def _check_model(path: Path, tell: Tell | None) -> Iterator[str]:
    from ..config import load
    from ..description.sizes import readable
    from ..plan.lower import lower
    from ..plan.validity import held, late, remarks, volts
    from ..run.drift import drifts
    from ..run.limits import check_run, result_bytes

    model, options = load(path, tell)
    asked = model, options.until, options.every or options.until / 200, options.record
    check_run(*asked)
    plan = lower(model)
    said = [*remarks(plan), *volts(model, options.until), *held(model, options.until), *late(model, options.until)]
    mesh = model.mesh
    yield f"mesh      {', '.join(f'{n} {r}' for r, n in zip(mesh.regions, (mesh.start[1:] - mesh.start[:-1]).tolist(), strict=True))} nodes"
    for name, m in mesh.membranes.items():
        own = ", ".join(c.called() for c in model.membranes.get(name, ())) or "no channels"
        yield f"membrane  {name}: {m.area.sum():.6g} um^2; {own}"
    start = drifts(plan)
    yield f"rest      {'; '.join(map(str, start))}"
    if any(d.moves for d in start):
        said.append(f"not at rest at the start, before any stimulus: {'; '.join(str(d) for d in start if d.moves)} ({_unrest(model)})")
    yield f"run       {options.until:g} ms, result {readable(result_bytes(*asked))} in memory"
    for line in said:
        yield f"warning   {line}"


def _unrest(model: Model) -> str:
    """Why a cell may not start at rest, and what makes it."""
    given = [f"membranes.{name}.{c.called()}" for name, channels in model.membranes.items() for c in channels if c.initial]
    start = f"initial= of {', '.join(given)} may start channels open; left out, states start at rest; " if given else ""
    return f'{start}density or permeability = "balance" makes a cell start at rest'


def _check_morphology(path: Path, picture: Path | None, **reading: Any) -> Iterator[str]:
    from ..config import build_mesh
    from ..plan.validity import THICKEST, cell_radius, thick
    from ..plot import draw
    from ..plot.cellmap import cell_map, label_lines, tip_lines

    mesh = build_mesh("swc", path=str(path), spacing="1 um", **reading)
    span = mesh.span("cytosol")
    yield f"mesh      {span.stop - span.start} compartments at a spacing of 1 um, longest path {mesh.distance.max():.6g} um"
    area, radius = mesh.membranes["plasma"].area, cell_radius(mesh)
    yield f"membrane  {area.sum():.6g} um^2"
    if radius is not None:
        wide = f"{100 * area[thick(radius)].sum() / area.sum():.3g} % of the membrane lies above {THICKEST:g} um"
        yield f"radius    {radius.min():.3g} to {radius.max():.3g} um; {wide}, too wide for waves in one dimension"
    yield ""
    yield from label_lines(mesh)
    yield ""
    yield from tip_lines(mesh)
    yield ""
    if picture is not None:
        yield f"picture   {draw(cell_map, mesh, picture, (8.0, 8.0))}"


def _check_result(path: Path) -> Iterator[str]:
    from ..results.arrivals import times_of
    from ..results.reading import open

    ds = open(path)
    fields = [str(k) for k, v in ds.data_vars.items() if v.dims == ("time", "node")]
    time = times_of(ds)
    yield f"times     {len(time)}, from {time[0]:g} to {time[-1]:g} ms"
    yield f"fields    {', '.join(fields)} on {ds.sizes['node']} nodes"
    yield f"ledger    closed to {ds.attrs.get('ledger_drift', 'unknown')}"
