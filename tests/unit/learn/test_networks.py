"""Networks trained on a few traces: they fit, keep their bounds, are reproducible, and become channels."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.admission.admit import read_card
from calcium_sim.app.cell import compared
from calcium_sim.config import load
from calcium_sim.errors import InputError
from calcium_sim.learn.data.transients import transients
from calcium_sim.learn.fit.training import Schedule
from calcium_sim.learn.open_probability import Recipe, default_recipe, fit_open_probability
from calcium_sim.learn.open_probability.designs import keizer_levine_design
from calcium_sim.learn.open_probability.source import higher
from calcium_sim.model.registry import get_channel
from calcium_sim.plugin import Channel

SMALL = Recipe(traces=24, fresh=12, duration=100.0)
SHORT = Schedule(steps=400, batch=1024, checks=4)


def fit(source, seed=0, **options):
    return fit_open_probability(source, recipe=SMALL, schedule=SHORT, seed=seed, name="ryr/small", **options)


@pytest.fixture(scope="module")
def design():
    return fit(keizer_levine_design(closing=8.0))


@pytest.fixture(scope="module")
def latent():
    return fit("ryr/keizer-levine", latent=("c2",))


def test_a_design_is_learned_in_seconds(design):
    assert design.errors["rollout_rmse_median"] < 0.03, str(design)
    assert 0.0 <= design.errors["lowest"] <= design.errors["highest"] <= 1.0


def test_a_channel_with_a_latent_state_is_learned(latent):
    assert latent.errors["rollout_rmse_median"] < 0.05, str(latent)
    assert list(latent.card["states"]) == ["P", "c2"]
    assert latent.card["powers"] == [1, 0]


def test_gates_are_learned_by_name():
    """The gates m and h of the receptor instead of its open probability: twice as exact as a latent c2 after the same few steps."""
    result = fit("ryr/keizer-levine", gating="keizer-levine")
    assert result.errors["rollout_rmse_median"] < 0.02, str(result)
    assert list(result.card["states"]) == ["m", "h"]
    assert result.card["powers"] == [1, 1]
    assert result.card["fast"]["inputs"] == ["asinh", "identity", "log10", "asinh"]


def test_the_same_seed_gives_the_same_weights(design):
    again = fit(keizer_levine_design(closing=8.0)).module.arrays()
    for name, array in design.module.arrays().items():
        assert (again[name] == array).all(), name


@pytest.mark.parametrize("suffix", [".npz", ".pt"])
def test_saved_and_loaded_it_is_the_same_network(latent, tmp_path, suffix):
    """The loaded channel's gate and the module agree in the last places of a float32, on random inputs in range."""
    import torch

    from calcium_sim.networks.channel import load_channel
    from calcium_sim.networks.inputs import Columns

    card = latent.save(tmp_path / f"small{suffix}")
    cls = load_channel(tmp_path / f"small{suffix}")
    assert card.name == cls.name == "ryr/small"
    assert cls.gate.card.training["error"] == latent.errors
    rng = np.random.default_rng(1)
    s, x, dx = rng.random((50, 2)), 10 ** rng.uniform(-1.5, 1.1, (50, 1)), rng.normal(0, 1, (50, 1))
    s, x, dx = (np.ascontiguousarray(a, np.float32) for a in (s, x, dx))
    with torch.inference_mode():
        true = latent.module(*(torch.from_numpy(a) for a in (s, x, dx)))
    found = cls.gate.evaluate(Columns(s, x, dx, None))
    for a, b in zip(found, true, strict=True):
        assert a == pytest.approx(b.numpy(), rel=2e-5)


def test_a_fit_is_a_channel_at_once(design):
    channel = design.channel()(density="3 1/um^2")
    assert channel.reads["ca_cytosol"] == "ca@cytosol"
    assert channel.across == ("er", "cytosol")


def test_the_picture_shows_the_fit(design, tmp_path):
    design.picture(tmp_path / "fit.png")
    assert (tmp_path / "fit.png").stat().st_size > 10_000


def test_progress_and_early_stopping():
    told = []
    schedule = Schedule(steps=200, batch=256, checks=5)
    result = fit_open_probability(
        keizer_levine_design(), recipe=Recipe(traces=8, fresh=4, duration=40.0), schedule=schedule, progress=lambda *a: told.append(a)
    )
    assert [t[:2] for t in told] == [(s, 200) for s in (40, 80, 120, 160, 200)]
    assert result.history.errors[result.history.steps.index(result.history.best)] <= 1.1 * min(result.history.errors)


def test_the_published_law_is_offered():
    """dP/dt = N(P, u, du/dt), explicit; card of kind rhs."""
    recipe = Recipe(traces=8, fresh=4, duration=30.0)
    result = fit_open_probability("ryr/keizer-levine", law="slope", recipe=recipe, schedule=Schedule(steps=100, batch=256, checks=1))
    assert result.card["kind"] == "rhs"
    assert 0.0 <= result.errors["lowest"] <= result.errors["highest"] <= 1.0


def test_a_receptor_of_ip3_reads_two_ports():
    channel = get_channel("ip3r/de-young-keizer")()
    assert list(default_recipe(channel).ports) == ["ca@cytosol", "ip3@cytosol"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit("ryr/keizer-levine", law="magic"), "magic"),
        (lambda: fit("ryr/keizer-levine", law="slope", power=3), "slope"),
        (lambda: fit("ryr/keizer-levine-reduced", latent=("w",)), "'w'"),
        (lambda: fit("ryr/keizer-levine", gating="keizer-levin"), "did you mean 'keizer-levine'"),
        (lambda: fit("ryr/keizer-levine", gating="keizer-levine", latent=("c2",)), "gating"),
        (lambda: fit("serca/er-inhibited"), "open_probability"),
    ],
)
def test_bad_options_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


CELL = """
[mesh]
kind = "well-mixed"
volumes = {{ cytosol = "1 um^3", er = "0.2 um^3" }}
membranes = {{ er = [["er", "cytosol"], "2 um^2"] }}
[[species]]
name = "ca"
diffusion = {{ cytosol = "0 um^2/s", er = "0 um^2/s" }}
initial = {{ cytosol = "0.05 uM", er = "250 uM" }}
[[membranes.er]]
{channel}
[[stimuli]]
species = "ca"
value = "{highest} uM"
time = "0.1 ms"
[run]
until = "0.4 ms"
every = "0.2 ms"
"""
OLD = 'channel = "ryr/keizer-levine"\ndensity = "1 /um^2"'


@pytest.fixture
def fitted(tmp_path, monkeypatch):
    """Function of further words: what ``fit`` writes to the terminal; it leaves brief.npz in the current folder."""
    from typer.testing import CliRunner

    from calcium_sim.app.fit import fit_app

    monkeypatch.chdir(tmp_path)

    def call(*words):
        few = ["-o", "brief.npz", "--traces", "8", "--steps", "100"]
        result = CliRunner().invoke(fit_app, ["open-probability", *few, *words])
        if result.exception:
            raise result.exception
        assert result.stderr == ""  # no progress where there is no terminal
        return result.stdout

    return call


def test_the_command_trains_saves_and_tells_the_next_step(fitted, tmp_path):
    """The lines work as printed. A cell in another folder, pushed to 20 uM, is out of reach; with the option that is told it is not."""
    (tmp_path / "cells").mkdir()
    file = tmp_path / "cells" / "wave.toml"
    file.write_text(CELL.format(channel=OLD, highest=20))
    said = fitted("design", "--closing", "4", "--name", "ryr/brief", "--for", "cells/wave.toml")
    assert "RMSE of the open probability" in said
    card = read_card(tmp_path / "brief.npz")
    assert (card.name, card.licence, card.citation) == ("ryr/brief", "unspecified", ())
    expected = "calcium-sim fit open-probability design -o brief.npz --steps 100 --traces 8 --name ryr/brief --seed 0 --closing 4.0"
    assert card.training["command"] == expected

    (line,) = [line for line in said.splitlines() if "waves of this cell" in line]
    form = r"trained on ca@cytosol 0.02 to (\S+) uM; waves of this cell go from 0.05 to (\S+) uM: widen with --highest (\S+)"
    assert re.fullmatch(form, line), line
    most, seen, fix = re.fullmatch(form, line).groups()
    peak = float(cs.simulate(load(file)[0], "0.4 ms", "0.001 ms").ca[:, 0].max())  # the receptor adds to the 20 uM
    assert float(most) < 20.0 < float(seen) == pytest.approx(peak, rel=3e-3)
    options = higher(default_recipe(keizer_levine_design()), [fix]).ports["ca@cytosol"]
    for seed in range(5):
        assert transients(160, seed, **options)[1].max() > peak

    python, toml = (re.search(rf"^{word} +(.*)$", said, re.M)[1] for word in ("Python", "TOML"))
    assert eval(python, {"cs": cs}).label() == "ryr/brief"
    file.write_text(CELL.format(channel=f'{toml}\ndensity = "1 /um^2"', highest=20))
    assert load(file)[0].membranes["er"][0].label() == "ryr/brief"


def test_ranges_are_put_side_by_side():
    trained = {"ca@cytosol": ("uM", 0.02, 9.8, 60.0)}
    told = "trained on ca@cytosol 0.02 to 9.8 uM; waves of this cell go from {} uM: {}"
    for seen, part, end in (
        ((0.05, 11.2), "0.05 to 11.2", "widen with --highest ca@cytosol=17"),
        ((0.05, 9.0), "0.05 to 9", "within it"),
        ((0.01, 9.0), "0.01 to 9", "below 0.02 it sees 0.02"),
    ):
        assert compared(trained, {"ca@cytosol": seen}) == [told.format(part, end)]


class Gated(Channel):
    """Opens with calcium, the more so at a high potential."""

    across = ("er", "cytosol")
    reads = {"ca": "ca@cytosol", "v": "v"}
    params = {"density": (None, "1/um^2")}
    source = "made for tests"

    @staticmethod
    def open_probability(y, x, p):
        return x.ca / (x.ca + 1.0) / (1.0 + math.exp(-x.v / 20.0))

    @staticmethod
    def flux(y, x, p):
        return p.density * x.ca * 0.0


def test_a_port_that_is_not_trained_on_is_held():
    """At 0 mV half of the receptors can open, at -40 mV 12 %: the truth that the network is tested on."""
    with pytest.raises(InputError, match=r"Gated: reads the potential 'v', .* \(hold it with --set v=-70, in Python Recipe\(held="):
        fit(Gated(density="1 /um^2"))
    brief = Schedule(steps=100, batch=256, checks=1)
    for v in (0.0, -40.0):
        recipe = Recipe(traces=8, fresh=4, duration=30.0, held={"v": v})
        result = fit_open_probability(Gated(density="1 /um^2"), recipe=recipe, schedule=brief)
        u = result.check.input
        np.testing.assert_allclose(result.check.true, u / (u + 1.0) / (1.0 + np.exp(-v / 20.0)), rtol=1e-9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ryr/keizer-levine", "--closing", "2"], "belong to 'design'"),
        (["design", "--steps", "3"], "at least 100"),
        (["vgcc/borg-graham-l"], r"reads the potential 'v'.*--set v=-70.*calcium_sim\.learn\.gates\.fit_gate"),
        (["vgcc/borg-graham-l", "--set", "v=-20"], r"moves outside -> cytosol: what is trained here releases from the ER"),
        (["serca/hill2"], r"needs open_probability"),
        (["ryr/keizer-levine", "--set", "w=3"], r"--set: 'w=3' sets no parameter or port"),
        (["ryr/keizer-levine", "--set", "density"], r"--set: 'density' sets no parameter or port"),
        (["ryr/keizer-levine", "--set", "density=1 uM"], r"density: '1 uM' has dimension \[concentration\]"),
        (["design", "--set", "v=3"], r"a design has none"),
        (["design", "--highest", "x"], r"--highest: 'x' is not a quantity"),
        (["design", "--highest", "0.01"], r"--highest: 0\.01 uM, expected more than 0\.08 uM"),
        (["design", "--highest", "ip3@cytosol=3"], r"--highest: 'ip3@cytosol' is not trained on"),
        (["design", "--for", "none.toml"], r"none\.toml: no such file"),
        (["nothing.py:X"], r"nothing\.py:X: no such file"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(fitted, words, message):
    with pytest.raises(InputError, match=message):
        fitted(*words)


def test_nothing_is_claimed_or_cited_unasked(latent):
    """Licence and citations of a network are its maker's to give."""
    assert (latent.card["licence"], latent.card["citation"]) == ("unspecified", [])
    assert "trained on ca@cytosol" in str(latent)
