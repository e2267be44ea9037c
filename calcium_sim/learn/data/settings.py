"""Waves that networks are trained on, chosen by and judged in: three lists with nothing in common, which a test holds."""

from __future__ import annotations

from typing import NamedTuple


class WaveSetting(NamedTuple):
    """A wave, or a train of them, in a neurite with the parameters of `presets.breit_queisser`.

    Attributes
    ----------
    radius, er_radius : of neurite and ER [um].
    density : of ryanodine receptors [1/um^2].
    buffer : total buffer [uM].
    rest, er : calcium at rest in cytosol and ER [uM]; pumps and leaks balance there.
    pulses, gap : number of pulses through the left end, and their interval [ms].
    strength : of a pulse, as a fraction of the preset's 2500 uM um/s.
    """

    radius: float
    er_radius: float
    density: float
    buffer: float
    rest: float = 0.05
    er: float = 250.0
    pulses: int = 1
    gap: float = 0.0
    strength: float = 1.0


CABLES = (
    WaveSetting(0.3, 0.12, 3.0, 40.0),
    WaveSetting(0.5, 0.2, 3.0, 60.0),
    WaveSetting(0.4, 0.16, 4.0, 120.0),
    WaveSetting(0.3, 0.1, 4.5, 160.0),
    WaveSetting(0.5, 0.2, 4.0, 160.0),
    WaveSetting(0.35, 0.14, 2.0, 40.0),
    WaveSetting(0.25, 0.1, 3.5, 160.0),
    WaveSetting(0.42, 0.16, 5.5, 150.0),
    WaveSetting(0.35, 0.13, 3.0, 160.0),
    WaveSetting(0.38, 0.14, 2.9, 150.0),
    WaveSetting(0.45, 0.17, 2.8, 140.0),
    WaveSetting(0.5, 0.19, 3.2, 160.0),
)
"""First waves on cables at rest 0.05 uM, from fast ones to slow ones near the limit of propagation, and one that dies."""

LOADS = (
    WaveSetting(0.15, 0.06, 5.0, 50.0, er=120.0),
    WaveSetting(0.25, 0.1, 2.5, 45.0, er=500.0),
    WaveSetting(0.18, 0.07, 4.5, 150.0, er=550.0),
)
"""First waves on cables with less or more in the ER."""

RESTING = (
    WaveSetting(0.25, 0.1, 3.5, 50.0, rest=0.02),
    WaveSetting(0.18, 0.08, 5.0, 140.0, rest=0.03),
    WaveSetting(0.25, 0.1, 5.0, 150.0, rest=0.08),
    WaveSetting(0.18, 0.08, 4.0, 50.0, rest=0.09),
    WaveSetting(0.25, 0.1, 4.5, 45.0, rest=0.12),
    WaveSetting(0.18, 0.08, 7.0, 150.0, rest=0.13),
    WaveSetting(0.25, 0.1, 4.0, 45.0, rest=0.17, er=300.0),
    WaveSetting(0.22, 0.09, 7.0, 140.0, rest=0.18),
    WaveSetting(0.15, 0.07, 5.0, 50.0, rest=0.2),
    WaveSetting(0.22, 0.09, 4.5, 155.0, rest=0.16),
    WaveSetting(0.25, 0.1, 5.0, 140.0, rest=0.19),
    WaveSetting(0.17, 0.07, 4.5, 150.0, rest=0.2),
    WaveSetting(0.3, 0.12, 4.5, 100.0, rest=0.2),
)
"""First waves on cables at other resting levels, the last ones slow: many receptors are inactivated at rest."""

TRAINS = (
    WaveSetting(0.25, 0.1, 3.0, 45.0, pulses=3, gap=900.0),
    WaveSetting(0.18, 0.07, 4.0, 50.0, pulses=2, gap=2500.0),
    WaveSetting(0.25, 0.1, 4.0, 50.0, rest=0.1, pulses=3, gap=700.0),
    WaveSetting(0.25, 0.1, 5.0, 150.0, pulses=3, gap=1200.0),
    WaveSetting(0.3, 0.12, 4.0, 120.0, pulses=4, gap=250.0),
    WaveSetting(0.2, 0.09, 4.0, 45.0, rest=0.15, pulses=4, gap=350.0),
    WaveSetting(0.25, 0.1, 3.0, 150.0, pulses=25, gap=20.0),
    WaveSetting(0.3, 0.1, 2.0, 60.0, pulses=25, gap=20.0, strength=0.2),
    WaveSetting(0.3, 0.12, 3.0, 45.0, rest=0.08, pulses=8, gap=100.0),
)
"""Trains on cables, 20 ms to 2.5 s apart."""

GRIDS = (
    WaveSetting(0.3, 0.12, 3.0, 40.0),
    WaveSetting(0.5, 0.2, 3.0, 60.0),
    WaveSetting(0.4, 0.16, 4.0, 120.0),
    WaveSetting(0.3, 0.1, 4.5, 160.0),
    WaveSetting(0.35, 0.13, 3.0, 160.0),
    WaveSetting(0.5, 0.2, 6.0, 40.0),
    WaveSetting(0.35, 0.14, 2.0, 40.0),
    WaveSetting(0.5, 0.2, 8.0, 150.0),
    WaveSetting(0.45, 0.17, 2.8, 140.0),
    WaveSetting(0.45, 0.15, 5.0, 80.0),
    WaveSetting(0.45, 0.18, 7.0, 50.0),
)
"""Rotationally symmetric waves: the concentration at the ER membrane rises up to ten times as fast as on a cable."""

GRID_LEVELS = (
    WaveSetting(0.45, 0.18, 5.0, 60.0, rest=0.1),
    WaveSetting(0.35, 0.14, 5.0, 140.0, rest=0.16),
    WaveSetting(0.35, 0.14, 4.0, 60.0, rest=0.03, er=400.0),
)
"""The same at other resting levels and loads."""

CHOICE = (
    (1, WaveSetting(0.4, 0.15, 2.95, 155.0)),
    (1, WaveSetting(0.36, 0.14, 3.0, 150.0)),
    (1, WaveSetting(0.2, 0.09, 5.0, 150.0, rest=0.19)),
    (1, WaveSetting(0.2, 0.09, 3.0, 50.0, rest=0.14)),
    (2, WaveSetting(0.4, 0.15, 5.0, 100.0)),
    (2, WaveSetting(0.42, 0.16, 6.5, 45.0)),
    (2, WaveSetting(0.4, 0.15, 2.8, 150.0)),
)
"""Dimensions and settings by which the seeds of shipped networks are chosen (`benchmarks/choose_seed.py`)."""

BREIT_QUEISSER = tuple(WaveSetting(0.4, 0.15, density, buffer) for buffer in (40.0, 160.0) for density in (3.0, 4.0, 6.0))
"""Judged in one and in two dimensions (`benchmarks/hybrid.py`)."""


def _thin(rest: float = 0.05, er: float = 250.0) -> tuple[WaveSetting, WaveSetting]:
    """A dendrite of 0.2 um with 40 and with 160 uM buffer."""
    return WaveSetting(0.2, 0.08, 3.0, 40.0, rest, er), WaveSetting(0.2, 0.08, 4.0, 160.0, rest, er)


STEADY = (
    WaveSetting(0.2, 0.1, 1.0, 80.0),
    WaveSetting(0.2, 0.1, 1.0, 160.0),
    BREIT_QUEISSER[3],
    *BREIT_QUEISSER[:3],
    *BREIT_QUEISSER[4:],
    *(s for rest in (0.02, 0.05, 0.1, 0.15, 0.2) for s in _thin(rest=rest)),
    *(s for er in (100.0, 150.0, 400.0, 600.0) for s in _thin(er=er)),
    WaveSetting(0.15, 0.06, 6.0, 40.0, rest=0.1),
    WaveSetting(0.15, 0.06, 8.0, 160.0, rest=0.15),
    WaveSetting(0.2, 0.1, 2.0, 80.0),
)
"""Judged on long cables, where the wave no longer changes (`benchmarks/long_waves.py`); the first is the README's example."""

REPEATED = (
    WaveSetting(0.2, 0.08, 3.0, 40.0, rest=0.15, pulses=3, gap=300.0),
    *(WaveSetting(0.2, 0.08, 3.0, 40.0, pulses=3, gap=gap) for gap in (300.0, 1000.0, 3000.0)),
    WaveSetting(0.2, 0.08, 3.0, 40.0, rest=0.1, pulses=3, gap=1000.0),
    WaveSetting(0.2, 0.08, 4.0, 160.0, pulses=3, gap=300.0),
    WaveSetting(0.2, 0.08, 3.0, 80.0, pulses=3, gap=1000.0),
    WaveSetting(0.2, 0.08, 3.0, 40.0, pulses=20, gap=20.0),
)
"""Judged trains on the same cables."""

TRAINED = (*CABLES, *LOADS, *RESTING, *TRAINS, *GRIDS, *GRID_LEVELS)
JUDGED = (*BREIT_QUEISSER, *STEADY, *REPEATED)
