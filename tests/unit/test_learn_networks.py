"""Networks trained on a few traces: they fit, keep their bounds, are reproducible, and become channels."""

from __future__ import annotations

import numpy as np
import pytest

from calcium_sim.errors import InputError
from calcium_sim.learn.designs import keizer_levine_design
from calcium_sim.learn.open_probability import Recipe, default_recipe, fit_open_probability
from calcium_sim.learn.training import Schedule
from calcium_sim.registry import get_channel

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

    from calcium_sim.learned import load_channel
    from calcium_sim.sampling import Columns

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


def test_the_command_trains_saves_and_tells(tmp_path):
    from typer.testing import CliRunner

    from calcium_sim.admission import read_card
    from calcium_sim.learn.cli import fit_app

    target = tmp_path / "brief.npz"
    words = ["open-probability", "design", "-o", str(target), "--closing", "4", "--traces", "8", "--steps", "100", "--name", "ryr/brief"]
    result = CliRunner().invoke(fit_app, words)
    assert result.exit_code == 0, result.output
    assert "RMSE of the open probability" in result.output
    card = read_card(target)
    assert card.name == "ryr/brief"
    expected = "calcium-sim fit open-probability design -o brief.npz --steps 100 --traces 8 --name ryr/brief --seed 0 --closing 4.0"
    assert card.training["command"] == expected


def test_the_command_refuses_what_makes_no_sense(tmp_path):
    from typer.testing import CliRunner

    from calcium_sim.learn.cli import fit_app

    for words, message in ((["ryr/keizer-levine", "--closing", "2"], "belong to 'design'"), (["design", "--steps", "3"], "at least 100")):
        result = CliRunner().invoke(fit_app, ["open-probability", *words, "-o", str(tmp_path / "x.npz")])
        assert message in str(result.exception), result.output


def test_nothing_is_claimed_or_cited_unasked(latent):
    """Licence and citations of a network are its maker's to give."""
    assert (latent.card["licence"], latent.card["citation"]) == ("unspecified", [])
    assert "trained on ca@cytosol" in str(latent)
