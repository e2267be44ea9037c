"""What is compiled of a plug-in gives the numbers that Python gives; what cannot be compiled is refused in one line that names it."""

import ctypes
import importlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.compile import cache
from calcium_sim.compile.compilable import compiled, row_type
from calcium_sim.compile.embed import embed
from calcium_sim.compile.module import HEADER
from calcium_sim.kernels.native import Kernel
from calcium_sim.meshes import well_mixed

HEAD = "import math\nimport numpy as np\nfrom calcium_sim import Channel\n"
CHANNEL = '''

class Plug(Channel):
    """A flux."""

    name = "test/plug"
    across = ("outside", "cytosol")
    reads = {"ca": "ca@cytosol"}
    params = {"k": (2.0, "um/ms")}
    source = "made for this test"

    @staticmethod
    def flux(y, x, p):
'''


@pytest.fixture
def plug(tmp_path, monkeypatch, request):
    """Makes the class of a channel from what its module says before it and from the body of its flux."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"plug_{abs(hash(request.node.name))}"

    def make(before, body):
        lines = "\n".join(f"        {line}" for line in body.splitlines())
        (tmp_path / f"{name}.py").write_text(f"{HEAD}{before}{CHANNEL}{lines}\n")
        importlib.invalidate_caches()
        return importlib.import_module(name).Plug

    yield make
    sys.modules.pop(name, None)


SAME = {
    "a negative number to a power": ("E = -2.0", "return p.k * E ** 2"),
    "a negative whole number to a power": ("E = -3", "return p.k * E ** 2 + E % 2 + E // 2"),
    "brackets and signs around one": ("E = -2.0", "return (E) ** 2.0 + (-E) ** 2 + 10 * (-E ** 2) + (1.0 - E) + x.ca ** E"),
    "in a helper": ("E = -2.0\ndef h(a):\n    return a * E ** 2", "return p.k * h(1.5)"),
    "as a default": ("def h(a, b=-2.0, c=np.float64(-3.0)):\n    return a * b ** 2 + c ** 2", "return p.k * h(1.5)"),
    "of numpy": ("E = np.float64(-0.5)", "return p.k * E ** 2"),
    "minus zero": ("E = -0.0", "return 2.0 + math.copysign(1.0, E)"),
    "no end": ("E = float('inf')\nF = float('-inf')", "return min(E, p.k) + max(F, 1.0) + math.exp(F)"),
    "no number where it is not taken": ("E = float('nan')", "return p.k if x.ca > 0.0 else E"),
    "a whole number beyond 2^63": ("E = 10**25", "return x.ca / E * 1e25 + 99999999999999999999999 * 1e-23 + 1e-20 * 10 ** 20"),
    "the least whole number": ("E = -2**63", "return x.ca * E * 1e-19"),
    "a power that grows beyond 2^63": ("", "n = 10\ns = 0\nfor i in range(25):\n    s += i ** 20\nreturn 1e-22 * n ** 20 + 1e-28 * s"),
    "a factorial": ("", "s = 1\nfor i in range(1, 30):\n    s *= i\nreturn 1e-31 * s"),
    "a whole number to a negative power": ("", "n = 2\nreturn n ** -1 + 2 ** -2 + 0.0 * p.k"),
    "counters": ("T = 2", "k = 0\nk += 1\nv = (0.1, 0.2, 0.3)\ns = 0\nfor i in range(k + T):\n    s += i\nreturn v[k] + s"),
    "products that grow beyond 2^63": ("", "a = 3\nfor i in range(49):\n    a = a * 3\nreturn 1e-23 * a"),
    "a product of two large ones": ("", "a = 4000000000\nb = 5000000000\nreturn 1e-19 * (a * b)"),
    "sums that grow beyond 2^63": ("", "a = 2 ** 62\nb = a + 0\nreturn 1e-19 * (a + b + a)"),
    "a whole number made of a float": ("", "return 1e-19 * float(int(x.ca * 1e18) * 100) + (int(x.ca) + 1) * p.k"),
    "a helper that is given one": ("def h(n, m):\n    return n * m", "return 1e-19 * h(4000000000, 5000000000) + h(x.ca, 2)"),
    "places in a row": ("", "v = (0.1, 0.2, 0.3)\nn = 1\nm = n + 1\nreturn p.k * v[m] + v[n - 1] + (7 - n) % 4 + (9 * n) // 2"),
    "what Python never reaches": ("E = 3.0", "return p.k * (1.0 if True else E)"),
    "variables with types": ("", "a: float = 2.0\nb: float\nb = 1.5\nreturn p.k * a * b"),
    "a comprehension": ("", "s = [k * 1.0 for k in range(3)]\nreturn p.k * s[2]"),
    "a helper that changes its argument": (
        "def h(a, low=2.0):\n    if a < low:\n        a = low\n    return a",
        "return p.k * h(x.ca) + h(7.0)",
    ),
    "a helper with a number of its module's name": ("a = 5.0\ndef h(a):\n    return 2.0 * a", "return p.k * h(x.ca) + a"),
}


@pytest.mark.parametrize("case", SAME)
def test_compiled_is_what_python_computes(plug, case):
    """Equal to 1e-15: one operation may be contracted with the next."""
    cls = plug(*SAME[case])
    values = {"ca": 1.25}, {"k": 2.0}
    expected = cls.flux(SimpleNamespace(), *(SimpleNamespace(**v) for v in values))
    found = compiled(cls, ["flux"])["flux"](0.0, *(row_type(tuple(v))(**v) for v in values))
    assert found == pytest.approx(expected, rel=1e-15, abs=0.0)


@pytest.mark.parametrize("case", SAME)
def test_what_runs_is_what_python_computes(plug, case):
    """The same as part of a generated text, where it is translated without numba, or by numba where it is not."""
    cls, sources = plug(*SAME[case]), {}
    name = embed(cls.flux, sources, "test/plug")
    rows = "X = namedtuple('X', ['ca'])\nQ = namedtuple('Q', ['k'])\n"
    text = HEADER + rows + "".join(f"@njit(forceinline=True, **OPTIONS)\n{source}\n" for source in sources.values())
    text += f"\n@njit(**OPTIONS)\ndef site(b, P):\n    b[0] = {name}(0.0, X(b[1]), Q(P[0]))\n    return 0\n"
    (place,) = cache.sites(text, [Kernel("site", (("b", "row"), ("P", "row")))])
    b, given = np.array([0.0, 1.25]), np.array([2.0])
    ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(place)(b.ctypes.data, given.ctypes.data)
    assert b[0] == pytest.approx(cls.flux(SimpleNamespace(), SimpleNamespace(ca=1.25), SimpleNamespace(k=2.0)), rel=1e-15, abs=0.0)


def test_a_run_with_a_negative_number_to_a_power(plug):
    """1 um^2 on 1 um^3: the concentration rises by flux times time, 0.01 (-2)^2 uM um/ms for 1 ms."""
    cls = plug("E = -2.0", "return 0.005 * p.k * E ** 2")
    mesh = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "1 um^2")})
    ca = cs.Species("ca", diffusion={"cytosol": "0 um^2/s"}, initial={"cytosol": "1 uM", "outside": "1 uM"})
    ds = cs.simulate(cs.Model(mesh, [ca], {"plasma": [cls()]}), until="1 ms", every="1 ms")
    assert float(ds.ca[-1, 0]) == pytest.approx(1.04, rel=1e-14)


REFUSED = {
    "a lambda": ("a = 5.0", "f = lambda a: 2.0 * a\nreturn p.k * f(x.ca)", "a function or class within it (define it in the module"),
    "a function": ("a = 5.0", "def f(a):\n    return 2.0 * a\nreturn p.k * f(x.ca)", "a function or class within it"),
    "a comprehension over a number's name": ("i = 7.0", "s = [i for i in range(3)]\nreturn p.k * (s[2] + i)", "uses 'i' for a variable"),
    "a walrus": ("", "return 0.01 * p.k * (a := 2.0) * a", "flux sets a variable within an expression (:=); give it a line"),
    "a call of itself": ("def h(n):\n    return 1.0 if n < 1 else 2.0 * h(n - 1)", "return p.k * h(2)", "h calls itself, which is not"),
    "a circle of calls": ("def g(n):\n    return h(n)\ndef h(n):\n    return g(n)", "return p.k * h(2)", "h calls itself"),
    "a path without a number": ("", "if x.ca > 0.5:\n    return p.k", "may end without a number (return one on every path)"),
    "nothing returned": ("", "if x.ca > 0.5:\n    return\nreturn p.k", "may end without a number"),
    "a global": ("n = 1.0", "global n\nreturn p.k * n", "declares names as global"),
    "shifts": ("", "n = 1\nfor i in range(70):\n    n = n << 1\nreturn p.k * n", "flux works with bits (n << 1), which is not compiled"),
    "a number beyond floats": ("E = 10**400", "return p.k if E > 0 else 0.0", "a whole number beyond the largest float"),
    "a literal beyond floats": ("", "return p.k if x.ca < 10 ** 400 else 0.0", "a whole number beyond the largest float"),
    "a tuple of numbers": ("T = (1.0, 2.0)", "return T[1]", "'T', which is tuple; use numbers, math and plain functions"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_mean_something_else_is_refused(plug, case):
    before, body, message = REFUSED[case]
    with pytest.raises(cs.InputError) as caught:
        embed(plug(before, body).flux, {}, "test/plug")
    told = str(caught.value)
    assert told.startswith("test/plug: ")
    assert message in told
    assert "\n" not in told


UNCOMPILED = {
    "a function that numba does not know": ("return p.k * math.cbrt(x.ca)", "flux cannot be compiled: Unknown attribute 'cbrt'"),
    "a value of two types": ("s = (1.0, 2.0)\nif x.ca > 1e5:\n    s = 3.0\nreturn p.k * s[0]", "flux cannot be compiled: "),
    "two things returned": ("return (p.k,) if x.ca > 1e5 else p.k", "flux cannot be compiled: Cannot unify"),
}


@pytest.mark.parametrize("case", UNCOMPILED)
def test_what_numba_refuses_is_told_in_one_line(plug, case):
    """By a run and by the contract suite, with the function and the reason."""
    body, message = UNCOMPILED[case]
    cls = plug("", body)
    mesh = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "1 um^2")})
    ca = cs.Species("ca", diffusion={"cytosol": "0 um^2/s"}, initial={"cytosol": "1 uM", "outside": "1 uM"})
    model = cs.Model(mesh, [ca], {"plasma": [cls()]})
    for attempt in (lambda: cs.simulate(model, until="1 ms"), lambda: cs.check_channel(cls)):
        with pytest.raises(cs.InputError) as caught:
            attempt()
        told = str(caught.value)
        assert told.startswith(f"test/plug: {message}")
        assert "\n" not in told
