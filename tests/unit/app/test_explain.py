"""`calcium-sim explain`: every field's terms with their values at rest, what drives them, the phases of a step, the generated file."""

import re
from pathlib import Path

import pytest

import calcium_sim as cs
from calcium_sim.app.explain import explain_lines
from calcium_sim.meshes import neurite, well_mixed


def balances(lines):
    """Sum of what is in brackets, and the terms, by field."""
    found, field = {}, None
    for line in lines:
        if head := re.match(r"d (\S+) / dt =", line):
            field = found.setdefault(head[1], [0.0, []])
        elif not line:
            field = None
        elif field is not None:
            field[1].append(line.strip())
            field[0] += sum(map(float, re.findall(r"\(([+-][\d.e+-]+)\)$", line)))
    return found


@pytest.mark.parametrize("dims", [1, 2])
def test_a_cell_at_rest_balances(dims):
    """What channels bring to a field at rest adds up to nothing (to the digits that are printed), and all fields are there."""
    mesh = neurite("4 um", "0.2 um", "0.1 um", "0.1 um", dims=dims)
    lines = list(explain_lines(cs.presets.breit_queisser(mesh)))
    found = balances(lines)
    assert set(found) == {"ca@cytosol", "ca@er", "calbindin@cytosol"}
    for name, (total, terms) in found.items():
        size = max((abs(float(v)) for t in terms for v in re.findall(r"\(([+-][\d.e+-]+)\)$", t)), default=1.0)
        assert abs(total) < 0.02 * size, (name, terms)
    cytosol = found["ca@cytosol"][1]
    assert cytosol[0] == "+ div(0.22 um^2/ms grad ca@cytosol)"
    assert any(t.startswith("+ A(er)/V(cytosol) J[ryr/keizer-levine]") for t in cytosol)
    assert any(t.startswith("- A(er)/V(er) J[ryr/keizer-levine]") for t in found["ca@er"][1])
    assert any("J[leak/linear on plasma]" in t for t in cytosol)
    assert [line for line in lines if line.startswith("held")] == ["held       ca@outside: 1000 uM"]
    assert f"scheme     {'columns' if dims == 1 else 'grid'}: " in "\n".join(lines)
    generated = [Path(line.split()[1]) for line in lines if line.startswith("generated")]
    assert generated
    assert "flux_c0" in generated[0].read_text()
    for line in lines:
        if "[" in line and re.match(r"\s+\d\. ", line):
            where = re.search(r"\[([^\],]+)", line)[1]
            assert (Path(cs.__file__).parent / where).is_file(), where


def test_every_kind_of_term_is_told():
    """Decay, buffers, several pulses, values that are set, the potential, channels that have to know the whole step."""
    ca = cs.Species("ca", {"cytosol": "1 um^2/s"}, {"cytosol": "0.1 uM", "outside": "2 mM"}, decay="5 1/s")
    plasma = [cs.get_channel("vgcc/borg-graham-l")(density="1 1/um^2"), cs.get_channel("pmca/hill2")(density="1 1/um^2")]
    push = cs.Influx("ca", 0, "1 uM*um/ms", "1 ms", start="2 ms", period="5 ms", count=3, through="plasma")
    jump = cs.Set("ca", "2 uM", time="7 ms")
    mesh = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "2 um^2")})
    volts = [("0 ms", "-65 mV"), ("9 ms", "0 mV")]
    text = "\n".join(explain_lines(cs.Model(mesh, [ca], {"plasma": plasma}, stimuli=[push, jump], voltage=volts)))
    assert "- 0.005 (ca@cytosol - 0.1)  decay [/ms, uM]" in text
    assert "+ influx through plasma into 1 nodes, from 2 ms for 1 ms, every 5 ms, 3 times" in text
    assert "is set to 2 uM at 7 ms" in text
    assert "potential  v: a table of 2 times, straight lines between them" in text
    assert "J[vgcc/borg-graham-l]  outside -> cytosol" in text
    assert "= 2000" in text
    assert "grad" in text
    cell = cs.presets.breit_queisser(neurite("2 um", "0.2 um", "0.1 um", "0.1 um"), ryr="ryr/scalar-law")
    assert "Every step is taken twice" in "\n".join(explain_lines(cell))
