"""Names of generated source: what the check refuses, and that it lets through what the generators write."""

import pytest

from calcium_sim.compile.scope import check

GOOD = """
import numpy as np

def work(b, U, h, volts):
    total = 0.0
    count = 0
    for i in range(64):
        u0 = b[0 + i]
        new = u0 + h * volts
        if new < 0.0:
            z = 0.0
            new = z
        count += 1 if new > 1.0 else 0
        b[64 + i] = new
    return np.float64(total + count)
"""


def test_a_sound_function_passes():
    check(GOOD)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("total = 0.0", "volts = 0.0", "argument 'volts' is assigned"),
        ("new = u0 + h * volts", "new = u0 + h * volts\n        volts = new", "argument 'volts' is assigned"),
        ("total = 0.0", "total = unknown", "'unknown' is defined nowhere"),
        ("return np.float64(total + count)", "return new", "'new' of a loop over lanes is read outside"),
        ("u0 = b[0 + i]", "u0 = b[0 + i] + new", "'new' of another lane is read in a loop over lanes"),
    ],
)
def test_a_name_for_two_things_is_refused(old, new, message):
    with pytest.raises(AssertionError, match=message):
        check(GOOD.replace(old, new))


def test_a_function_of_a_user_may_change_its_arguments():
    """`embed` gives it a name that ends with a digest; a channel with such a helper runs."""
    check(GOOD.replace("def work(", "def work_0123456789(").replace("total = 0.0", "total = volts\n    volts = 0.0"))
