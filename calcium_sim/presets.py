"""Complete published models on a mesh of your own: one call each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import InputError, warn
from .mesh import Floats, Mesh
from .model import Buffer, Model, Species
from .model.registry import get_channel
from .model.stimuli import Influx, Set, Stimulus
from .model.swapping import replacement
from .plugin import BALANCE, Channel

CALCIUM = {"cytosol": "0.05 uM", "er": "250 uM", "outside": "1000 uM"}


def _needs(mesh: Mesh, where: str, membranes: Sequence[str]) -> None:
    for name, sides in (("er", {"er", "cytosol"}), ("plasma", {"cytosol", "outside"})):
        if name in membranes and (name not in mesh.membranes or set(mesh.membranes[name].sides) != sides):
            raise InputError(
                where,
                f"needs a mesh with the membrane '{name}' between {' and '.join(sorted(sides))} (e.g. neurite(..., er_radius='0.15 um'))",
            )


def _plasma(extra: Sequence[Channel]) -> list[Channel]:
    """Pump, exchanger and the leak that balances them."""
    pump, exchanger, leak = (get_channel(n) for n in ("pmca/hill2", "ncx/hill1", "leak/linear"))
    return [pump(density="500 1/um^2"), exchanger(density="15 1/um^2"), leak(permeability=BALANCE), *extra]


def _calbindin(total: Any) -> Buffer:
    return Buffer("calbindin", binds="ca", region="cytosol", total=total, kon="27 1/uM/s", koff="19 1/s", diffusion="20 um^2/s")


def _stimuli(given: bool | Stimulus | Sequence[Stimulus], default: Stimulus) -> tuple[Stimulus, ...]:
    if isinstance(given, bool):
        return (default,) if given else ()
    return (given,) if isinstance(given, Stimulus) else tuple(given)


def breit_queisser(
    mesh: Mesh,
    *,
    ryr_density: Any = "3 1/um^2",
    ryr: str = "ryr/keizer-levine",
    buffer: Any = "160 uM",
    er_leak: Any = "0.038 um/s",
    stimulus: bool | Stimulus | Sequence[Stimulus] = True,
    er_channels: Sequence[Channel] = (),
    plasma_channels: Sequence[Channel] = (),
    voltage: Any = None,
) -> Model:
    """Calcium wave in a dendrite carried by ryanodine receptors (Breit & Queisser 2018, doi:10.1186/s13408-018-0064-x).

    160 uM calbindin sites, diffusion of calcium 220 um^2/s in cytosol and ER; on the ER ryanodine receptors, a leak of 0.038 um/s and SERCA
    pumps whose density balances them; on the plasma membrane 500 PMCA and 15 NCX per um^2 and a leak that balances them.

    Parameters
    ----------
    mesh : with the regions "cytosol" and "er", the membranes "er" and "plasma", and the face "left" for the default stimulus.
    ryr_density : of the ryanodine receptors, 1/um^2 (0.0625 to 6 in the paper).
    ryr : name of the receptor's model; it needs a parameter `density`.
    buffer : total calbindin sites.
    er_leak : permeability of the ER membrane.
    stimulus : True for the paper's influx of 2500 uM um/s through the left end face that falls to 0 within 1 ms; False for none; or
        stimuli.
    er_channels, plasma_channels : further channels; the balance takes their flux at rest into account.
    voltage : membrane potential, for channels that read it.

    Returns
    -------
    Model
        At rest (0.05, 250, 1000 uM of calcium in cytosol, ER, outside) until the stimulus.

    Raises
    ------
    InputError
        If the mesh has no ER or no plasma membrane, or a value has the wrong unit.
    """
    _needs(mesh, "breit_queisser", ("er", "plasma"))
    leak, serca = get_channel("leak/linear"), get_channel("serca/er-inhibited")
    release = get_channel(ryr)(density=ryr_density)
    influx = Influx("ca", at="left", flux="2500 uM*um/s", shape="ramp-down", duration="1 ms")
    return Model(
        mesh,
        species=[Species("ca", diffusion={"cytosol": "220 um^2/s", "er": "220 um^2/s"}, initial=CALCIUM)],
        buffers=[_calbindin(buffer)],
        membranes={"er": [release, leak(permeability=er_leak), serca(density=BALANCE), *er_channels], "plasma": _plasma(plasma_channels)},
        stimuli=_stimuli(stimulus, influx),
        voltage=voltage,
    )


def calcsim_cable(
    mesh: Mesh,
    *,
    ryr_density: Any = "3 1/um^2",
    ryr: str = "ryr/keizer-levine",
    buffer: Any = "40 uM",
    serca_density: Any = "2390 1/um^2",
    er_buffer: bool = False,
    stimulus: bool | Stimulus | Sequence[Stimulus] = True,
    er_channels: Sequence[Channel] = (),
    plasma_channels: Sequence[Channel] = (),
    voltage: Any = None,
) -> Model:
    """Cable with an ER and the parameters of the public code NeuroBox3D/CalcSim.

    40 uM calbindin sites, 3.5e-18 mol/s per open ryanodine receptor, 2390 SERCA pumps per um^2 and the leak of the ER that balances them;
    the plasma membrane is that of `breit_queisser`. That code starts the ER far from the value it balances at; here it starts at rest.

    Parameters
    ----------
    mesh : with the regions "cytosol" and "er", the membranes "er" and "plasma", and the face "left" for the default stimulus.
    ryr_density, ryr, buffer, serca_density : 1/um^2, name of the receptor's model, total sites, 1/um^2.
    er_buffer : add 3600 uM calreticulin sites in the ER, where calcium then diffuses with 10 instead of 220 um^2/s.
    stimulus : True for that code's influx through the plasma membrane at the left end (a triangle of 1000 uM um/s and 10 ms, once);
        False for none; or stimuli.
    er_channels, plasma_channels, voltage : as for `breit_queisser`.

    Raises
    ------
    InputError
        If the mesh has no ER or no plasma membrane, or a value has the wrong unit.
    """
    _needs(mesh, "calcsim_cable", ("er", "plasma"))
    leak, serca, receptor = get_channel("leak/linear"), get_channel("serca/er-inhibited"), get_channel("ryr/keizer-levine")
    release, lost = replacement(receptor(rate="3.5 uM*um^3/ms"), ryr, {"density": ryr_density})
    if lost:
        warn(f"calcsim_cable: {', '.join(lost)} of its receptor has no place in '{ryr}' and is dropped")
    buffers = [_calbindin(buffer)]
    if er_buffer:
        buffers.append(
            Buffer("calreticulin", binds="ca", region="er", total="3600 uM", kon="0.1 1/uM/s", koff="200 1/s", diffusion="27 um^2/s")
        )
    influx = Influx("ca", at="left", through="plasma", flux="1000 uM*um/s", shape="triangle", duration="10 ms")
    return Model(
        mesh,
        species=[Species("ca", diffusion={"cytosol": "220 um^2/s", "er": "10 um^2/s" if er_buffer else "220 um^2/s"}, initial=CALCIUM)],
        buffers=buffers,
        membranes={
            "er": [release, leak(permeability=BALANCE), serca(density=serca_density), *er_channels],
            "plasma": _plasma(plasma_channels),
        },
        stimuli=_stimuli(stimulus, influx),
        voltage=voltage,
    )


def neymotin(
    mesh: Mesh,
    *,
    ip3: Any = "1.25 uM",
    at: Any = None,
    time: Any = "2000 ms",
    hot_spots: bool = True,
    stimulus: bool | Stimulus | Sequence[Stimulus] = True,
) -> Model:
    """Slow calcium wave carried by IP3 receptors along a dendrite (Neymotin et al. 2015, ModelDB 168874).

    The original is a cable of 1000 um length and 1 um diameter in cells of 1 um, with 17 % of the section ER and 1 um^2 of ER membrane
    per um: ``neurite("1000 um", "0.5 um", er_fraction=0.17, er_area_per_length="1 um^2/um", spacing="1 um")``. There is no buffer and no
    flux through the plasma membrane.

    Parameters
    ----------
    mesh : with the regions "cytosol" and "er" and the membrane "er"; any geometry, the parameters are flux densities.
    ip3 : IP3 set by the stimulus; 1.25 uM as published, which starts a wave on the hot spot in the middle (without any it takes 2.5 uM).
    at, time : where and when IP3 is set; by default within 2 um of the middle of the mesh (in path distance), at 2 s, when
        calcium is at rest.
    hot_spots : 1.25 times the IP3 receptors within 5 um around the middle and every 20 um on both sides of it, as published.
    stimulus : True for the step of IP3, False for none, or stimuli.

    Raises
    ------
    InputError
        If the mesh has no ER, or a value has the wrong unit.
    """
    _needs(mesh, "neymotin", ("er",))
    middle = 0.5 * (float(mesh.distance.min()) + float(mesh.distance.max()))
    receptor, leak, pump = (get_channel(n) for n in ("ip3r/neymotin", "leak/linear", "serca/hill2"))

    def near_middle(distance: Floats) -> Any:
        return np.abs(distance - middle) < 2.0

    def spots(x: Floats, y: Floats, z: Floats) -> Floats:
        away = np.abs(x - 0.5 * (float(mesh.position[:, 0].min()) + float(mesh.position[:, 0].max())))
        return np.where(np.abs(away - 20.0 * np.round(away / 20.0)) < 5.0, 120400.0 / 96320.0, 1.0)

    particles = 602.214
    step = Set("ip3", value=ip3, at=near_middle if at is None else at, time=time)
    calcium = {"cytosol": "0.1 uM", "er": f"{(1.7 - 0.83 * 0.1) / 0.17!r} uM"}
    return Model(
        mesh,
        species=[
            Species("ca", diffusion={"cytosol": "80 um^2/s", "er": "80 um^2/s"}, initial=calcium),
            Species("ip3", diffusion={"cytosol": "1415 um^2/s"}, initial={"cytosol": "0.1 uM"}),
        ],
        membranes={
            "er": [
                receptor(initial={"h": 0.8}, scale=spots if hot_spots else None),
                leak(permeability=f"{18.06 / (1000.0 * particles)!r} um/ms"),
                pump(vmax=f"{1.9565 / particles!r} uM*um/ms", km="0.1 uM"),
            ]
        },
        stimuli=_stimuli(stimulus, step),
    )
