"""What a network was trained on says nothing about how well it does elsewhere: settings of training, choice and judgement are apart."""

from __future__ import annotations

from itertools import combinations

import pytest

from calcium_sim.errors import InputError
from calcium_sim.learn.data.settings import CHOICE, JUDGED, REPEATED, STEADY, TRAINED, TRAINS
from calcium_sim.learn.open_probability import Recipe, fit_open_probability
from calcium_sim.learn.open_probability.fit import _shares

CHOSEN = tuple(s for _, s in CHOICE)


@pytest.mark.parametrize(
    ("one", "other"), list(combinations((TRAINED, CHOSEN, JUDGED), 2)), ids=["train-choose", "train-judge", "choose-judge"]
)
def test_lists_of_settings_have_nothing_in_common(one, other):
    assert not set(one) & set(other)


def test_training_covers_what_is_judged():
    """Resting levels, loads of the ER, buffers and intervals that are judged lie inside those of training."""
    for name in ("rest", "er", "buffer"):
        trained, judged = ({getattr(s, name) for s in group} for group in (TRAINED, (*STEADY, *REPEATED)))
        assert min(trained) <= 1.2 * min(judged), name
        assert max(trained) >= max(judged) / 1.2, name
    assert min(s.gap for s in TRAINS) <= min(s.gap for s in REPEATED)
    assert max(s.gap for s in TRAINS) >= max(s.gap for s in REPEATED) / 1.2


def test_every_set_gets_its_share():
    """14 sets: transients at 9 resting levels, cables, grids, 3 trains."""
    shares = _shares(Recipe(traces=160, waves=0.6, trains=0.5), 14)
    assert sum(shares) == pytest.approx(1.0)
    assert sum(shares[:9]) == pytest.approx(0.4)
    assert shares[11:] == pytest.approx([0.1, 0.1, 0.1])


@pytest.mark.parametrize("recipe", [Recipe(traces=4, waves=1.5), Recipe(traces=4, trains=0.5)])
def test_impossible_shares_are_refused(recipe):
    with pytest.raises(InputError, match="expected a fraction"):
        fit_open_probability("ryr/keizer-levine", recipe=recipe)
