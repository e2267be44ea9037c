"""Buffers and dyes by name, as tables of published binding constants; all bind calcium one to one."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import InputError, nearest
from ..model import Buffer


class Binding(NamedTuple):
    """Binding rate [1/(uM s)], unbinding rate [1/s], diffusion [um^2/s] (None: give it), usual total [uM] (None: give it)."""

    kon: float
    koff: float
    diffusion: float | None
    total: float | None
    region: str
    source: str


BUFFERS = {
    "calbindin": Binding(27.0, 19.0, 20.0, None, "cytosol", "Breit & Queisser (2018), four equal sites: total 160 uM for 40 uM of protein"),
    "calbindin-fast": Binding(43.5, 35.8, 20.0, None, "cytosol", "fast pair of sites; textbook values (Naegerl; Schmidt)"),
    "calbindin-slow": Binding(5.5, 2.6, 20.0, None, "cytosol", "slow pair of sites; textbook values (Naegerl; Schmidt)"),
    "parvalbumin": Binding(
        107.0, 0.95, 43.0, None, "cytosol", "textbook; magnesium-free, so faster than in a cell, where Mg has to leave first"
    ),
    "er-calreticulin": Binding(0.1, 200.0, 27.0, 3600.0, "er", "NeuroBox3D/CalcSim, with 10 um^2/s for calcium in the ER"),
    "fluo4": Binding(90.0, 90.0 * 0.345, 50.0, None, "cytosol", "textbook: kon 80-100, Kd 0.345 uM, D 30-80; middle of the ranges"),
    "ogb1": Binding(430.0, 140.0, None, None, "cytosol", "textbook: Kd 0.2-0.33 uM; diffusion depends on the cell"),
}


def buffer(name: str, total: Any = None, *, label: str | None = None, binds: str = "ca", **changed: Any) -> Buffer:
    """Return a buffer or dye with the constants known under a name.

    Parameters
    ----------
    name : "calbindin", "calbindin-fast", "calbindin-slow", "parvalbumin", "er-calreticulin", "fluo4" or "ogb1".
    total : concentration of binding sites [uM]; "er-calreticulin" has 3600 uM by default.
    label : name of the field in the result; `name` with ``_`` for ``-`` by default.
    binds : the species that is bound.
    **changed : region, kon, koff or diffusion, instead of those of the table.

    Raises
    ------
    InputError
        If the name is unknown, or the table has no value for something that was not given.

    Notes
    -----
    Magnesium on parvalbumin and the two-step lobes of calmodulin need more than one-to-one binding and are not here.
    """
    if name not in BUFFERS:
        raise InputError("buffer", f"unknown buffer '{name}'{nearest(name, BUFFERS)}; there are {', '.join(BUFFERS)}")
    row = BUFFERS[name]
    table = {"region": row.region, "kon": f"{row.kon!r} 1/uM/s", "koff": f"{row.koff!r} 1/s"}
    if row.diffusion is not None:
        table["diffusion"] = f"{row.diffusion!r} um^2/s"
    given = {**table, **changed}
    if "diffusion" not in given:
        raise InputError(
            f"buffer.{name}.diffusion", "has no default, give it (e.g. diffusion='20 um^2/s', or '0 um^2/s' where it is bound)"
        )
    if total is None and row.total is None:
        raise InputError(f"buffer.{name}.total", "has no default, give it (e.g. total='160 uM')")
    amount = f"{row.total!r} uM" if total is None else total
    return Buffer(label or name.replace("-", "_"), binds=binds, total=amount, **given)
