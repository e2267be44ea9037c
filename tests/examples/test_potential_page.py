"""The code of docs/potential.md runs as printed; the spikes, the wave, and the file."""

import re
import warnings
from pathlib import Path

import pytest

import calcium_sim as cs
from calcium_sim.config import build, parse

SPEED = 1.075
"""um/ms, from 6 to 12 um."""
PAGE = (Path(__file__).parents[2] / "docs" / "potential.md").read_text()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    names = {}
    for k, code in enumerate(re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)):
        path = tmp_path_factory.mktemp("page") / f"part_{k}.py"  # channels are read from where they are written
        path.write_text(code)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(code, str(path), "exec"), names)
    return names


def test_the_axon_fires_and_the_spike_starts_a_wave(page):
    assert page["ds"].v.max() > 30.0
    arrival = cs.arrival_times(page["both"]).sel(region="cytosol").values
    near, far = arrival[150], arrival[300]
    assert 5.5 < near < far < 16.0
    assert (page["mesh"].distance[300] - page["mesh"].distance[150]) / (far - near) == pytest.approx(SPEED, rel=0.02)
    assert page["both"].attrs["ledger_drift"] < 1e-12


def test_charge_is_that_of_the_calcium(page):
    ds = page["both"]
    account = "channel:plasma:vgcc/borg-graham-n"
    charge, moles = (float(book.sel(account=account)[-1]) for book in (ds.ledger_charge, ds.ledger_ca))
    assert charge == pytest.approx(2 * 96485e-6 * moles, rel=1e-13)


def test_the_channel_of_the_page_keeps_the_contract(page):
    cs.check_channel(page["Leak"], zero_at=lambda p: {"v": p.e})


def test_the_file_of_the_page_is_read(tmp_path):
    (code,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    mesh = '[mesh]\nkind = "swc"\npath = "a.swc"\nspacing = "5 um"\n[run]\nuntil = "1 ms"\n'
    (tmp_path / "i.csv").write_text("0,0\n5,0.1\n")
    (tmp_path / "a.swc").write_text("1 1 0 0 0 5 -1\n2 3 5 0 0 1 1\n3 3 45 0 0 1 2\n")
    model, _ = build(parse(mesh + code), tmp_path)
    assert isinstance(model.voltage, cs.Cable)
    assert [type(s) for s in model.stimuli] == [cs.CurrentClamp, cs.CurrentClamp, cs.VoltageClamp, cs.SpikeTimes]


def test_synapses_of_the_page_depolarise_and_let_calcium_in(page):
    epsp = page["epsp"]
    v = epsp.v.sel(region="cytosol")
    assert float(v.max()) > -62.0
    assert float(epsp.ca.sel(region="cytosol").max()) > 0.06
    account = "channel:plasma:nmda/exp2"
    charge, moles = (float(book.sel(account=account)[-1]) for book in (epsp.ledger_charge, epsp.ledger_ca))
    assert charge == pytest.approx(2 * 96485e-6 * moles, rel=1e-13)


def test_the_potential_drives_another_mesh(page):
    """The spike opens channels of the first 6 um, as on the cable that is solved with it: the wave starts there, too."""
    first = page["driven"].ca.sel(region="cytosol", time=12.0)
    assert float(first.max()) > 3.0
    assert page["resolved"].voltage.potentials.max() > 30.0
