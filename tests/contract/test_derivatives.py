"""Rewritten derivatives of every channel against differences of its own functions in 60 digits (mpmath)."""

import math
from types import SimpleNamespace
from typing import ClassVar

import mpmath
import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.compile.derivative import tangent
from calcium_sim.compile.embed import embed
from calcium_sim.compile.module import Module
from calcium_sim.networks.prepared import gate_of
from calcium_sim.testing import _Trial

CLASSIC = [n for n in cs.list_channels() if gate_of(cs.get_channel(n)) is None]
STEP = mpmath.mpf(10) ** -30


def executed(sources, library):
    space = {"math": library}
    for text in sources.values():
        exec(text, space)
    return space


def exact(function, bundles, kind, name):
    """Central difference in 60 digits."""
    out = []
    for sign in (1, -1):
        moved = {k: {n: mpmath.mpf(v) for n, v in b.items()} for k, b in bundles.items()}
        moved[kind][name] += sign * STEP
        out.append(np.atleast_1d(np.array(function(*(SimpleNamespace(**moved[k]) for k in "yxp")), dtype=object)))
    return (out[0] - out[1]) / (2 * STEP)


@pytest.mark.parametrize("name", CLASSIC)
def test_every_channel(name):
    cls, trial = cs.get_channel(name), _Trial(cs.get_channel(name), 3)
    functions = ["flux", *(["rates"] if cls.states else [])]
    for which in functions:
        sources = {}
        key = embed(getattr(cls, which), sources, cls.label())
        for kind, names in (("y", cls.states), ("x", [n for n in cls.reads if n not in ("t",)])):
            for n in names:
                found = tangent(key, (f"{kind}.{n}",), sources)
                assert found is not None, f"{which} of {name} cannot be differentiated"
                fast = executed(sources, math)
                with mpmath.workdps(60):
                    slow = executed(sources, mpmath)[key]
                    for _ in range(20):
                        bundles = {"y": vars(trial.draw_states()), "x": vars(trial.draw_ports()), "p": vars(trial.p)}
                        expected = exact(slow, bundles, kind, n)
                        got = fast[found.name](*(SimpleNamespace(**bundles[k]) for k in "yxp"))
                        values, slopes = got[: found.values], np.zeros(found.values)
                        slopes[list(found.active)] = got[found.values :]
                        plain = np.atleast_1d(fast[key](*(SimpleNamespace(**bundles[k]) for k in "yxp")))
                        assert np.allclose(values, plain, rtol=1e-14, atol=0)
                        scale = max(float(abs(e)) for e in expected) + 1e-300
                        assert np.allclose(slopes, expected.astype(float), rtol=1e-9, atol=1e-9 * scale), (
                            which,
                            n,
                            bundles,
                            slopes,
                            expected,
                        )


BODIES = {
    "branches": """
    if x.c > 1.0:
        return 2.0 * x.c
    a = x.c
    if x.c > 0.5:
        a = a * a
    return a + p.k""",
    "choice": """
    return (x.c ** 3 if x.c > 0.0 else 0.0) + max(x.c, 0.3) - abs(x.c - 1.0)""",
    "powers": """
    a = x.c ** p.k
    a *= x.c ** 0.5
    return -pow(x.c, 4) / (1.0 + a)""",
    "swap": """
    a, b = x.c, 2.0
    a, b = b, a * a
    return a * b""",
    "functions": """
    rising = math.tanh(x.c) * math.log1p(x.c) + math.sin(x.c) * math.sinh(x.c)
    return rising - math.atan(x.c) / math.sqrt(1.0 + x.c)""",
}
CASES = {name: f"def f_0(y, x, p):{body}" for name, body in BODIES.items()}


@pytest.mark.parametrize("case", CASES)
def test_constructs(case):
    sources = {"f_0": CASES[case]}
    found = tangent("f_0", ("x.c",), sources)
    assert found is not None
    fast = executed(sources, math)
    with mpmath.workdps(60):
        slow = executed(sources, mpmath)["f_0"]
        for c in (0.2, 0.7, 1.3, 2.9):
            bundles = {"y": {}, "x": {"c": c}, "p": {"k": 2.5}}
            value, slope = fast[found.name](*(SimpleNamespace(**bundles[k]) for k in "yxp"))
            assert value == pytest.approx(float(slow(*(SimpleNamespace(**bundles[k]) for k in "yxp"))), rel=1e-14)
            assert slope == pytest.approx(float(exact(slow, bundles, "x", "c")[0]), rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "def f_0(y, x, p):\n    s = 0.0\n    for k in range(3):\n        s += x.c\n    return s",
        "def f_0(y, x, p):\n    return p.k ** x.c",
        "def f_0(y, x, p):\n    return math.erf(x.c)",
        "def f_0(y, x, p):\n    return g_0(x)",
        "def f_0(y, x, p):\n    ad_1 = x.c\n    return ad_1",
    ],
)
def test_what_is_not_understood_is_left_alone(text):
    sources = {"f_0": text, "g_0": "def g_0(x):\n    return x.c"}
    assert tangent("f_0", ("x.c",), sources) is None
    assert set(sources) == {"f_0", "g_0"}


def test_what_does_not_move_has_no_slope():
    sources = {"f_0": "def f_0(y, x, p):\n    return p.k * y.a, x.c * y.a"}
    found = tangent("f_0", ("x.c",), sources)
    assert found.values == 2
    assert found.active == (1,)


def test_arguments_of_any_name():
    """What a function calls its arguments does not matter, only their order."""

    class Odd(cs.Channel):
        """A gate whose author calls the states x and the ports y."""

        name, source = "test/odd", "none"
        across = ("er", "cytosol")
        reads: ClassVar = {"ca": "ca@cytosol"}
        states: ClassVar = {"h": 0.5}
        params: ClassVar = {"k": (2.0, "1/ms")}

        @staticmethod
        def rates(x, y, q):
            return (q.k * (y.ca - x.h),)

        @staticmethod
        def flux(x, y, q):
            return q.k * x.h * y.ca

    module = Module()
    assert module.slopes(Odd, "rates", 0, ["h"])["h"].active == (0,)
    assert module.slopes(Odd, "flux", 1, ["ca"])["ca"].active == (0,)
