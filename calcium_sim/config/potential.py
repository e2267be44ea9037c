"""What a model file gives against the time: potentials, protocols, currents, spikes; as quantities, pairs, or a file of columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError, nearest, shown
from ..model.electrics import Cable
from ..model.placed import VoltageMap
from ..model.tables import Table
from ..model.voltage import checked
from ..results.reading import open as open_result
from ..units import Canonical
from .columns import Columns, from_file, refuse_name
from .schema import RESULT, solved

VOLTAGE = Columns("voltage", {"time": "ms", "potential": "mV"})
PROTOCOL = Columns("protocol", VOLTAGE.units)
CURRENT = Columns("current", {"time": "ms", "current": "pA"})
TIMES = Columns("times", {"time": "ms"})
EXPECTED = (
    'expected "-70 mV", pairs [["0 ms", "-70 mV"], ["5 ms", "0 mV"]], or a file of two columns '
    f"({VOLTAGE.form('v.csv').removeprefix('voltage = ')})"
)


def potential_of(given: Any, folder: Path) -> Any:
    """The potential of a file, checked: None, a number in mV, a table or a map; a file that it names is read, relative to `folder`.

    Raises
    ------
    InputError
        If it is none of these, or the file cannot be read.
    """
    refuse_name(given, VOLTAGE, "voltage")
    if isinstance(given, Mapping) and RESULT in given:
        return _result(given, folder)
    if isinstance(given, Mapping):
        return _cable(given) if solved(given) else _table(given, folder, VOLTAGE, "voltage")
    return checked(given, EXPECTED)


def _result(given: Mapping[str, Any], folder: Path) -> VoltageMap:
    """The potential of another run: ``voltage = { result = "cable.nc" }``."""
    name = given[RESULT]
    if len(given) > 1 or not (isinstance(name, str) and name.strip()):
        raise InputError("voltage", f'{shown(dict(given))} is no result of another run (write voltage = {{ result = "cable.nc" }})')
    with open_result(folder / name) as ds:
        return VoltageMap.of(ds)


def _cable(given: Mapping[str, Any]) -> Cable:
    known = list(Cable.__dataclass_fields__)
    for key in given:
        if key not in known:
            raise InputError(f"voltage.{key}", f"unknown key{nearest(key, [*known, *VOLTAGE.keys])}; there are {', '.join(known)}")
    return Cable(**given)


def _table(given: Mapping[str, Any], folder: Path, columns: Columns, where: str) -> Table:
    return Table((t, y) for t, y in from_file(given, folder, columns, where))


def protocol_of(given: Any, folder: Path) -> Any:
    """The potentials of an electrode: as `potential_of`, a quantity, pairs, or a file of two columns."""
    where = "stimuli.voltage_clamp.protocol"
    if isinstance(given, Mapping):
        return _table(given, folder, PROTOCOL, where)
    refuse_name(given, PROTOCOL, where)
    return given


def current_of(given: Any, folder: Path) -> Any:
    """The current of an electrode: a peak, pairs, or a file of two columns."""
    where = "stimuli.current_clamp.current"
    if isinstance(given, Mapping):
        return _table(given, folder, CURRENT, where)
    refuse_name(given, CURRENT, where)
    return given


def times_of(given: Mapping[str, Any], folder: Path) -> Any:
    """Times of spikes: a train, or a file of one column."""
    if "file" not in given:
        return given
    return tuple(Canonical(t, "ms") for (t,) in from_file(given, folder, TIMES, "stimuli.spike_times.times", least=1))
