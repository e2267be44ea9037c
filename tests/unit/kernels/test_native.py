"""Text translated to machine code against Python itself: every kind of statement, every edge of a number, and what is left to numba."""

import ctypes
import math
import textwrap

import numpy as np
import pytest

from calcium_sim.compile import cache
from calcium_sim.compile.module import HEADER
from calcium_sim.kernels.machine import addresses, callable_of
from calcium_sim.kernels.native import Kernel, Unsupported

LANES = 64
VALUES = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-300, -1e-310, 1e300, np.inf, -np.inf, np.nan, 7.25, -1e-3, 20.0])
CALL = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_double)


def translated(body, more=""):
    """A function of (b, P, h) whose text is the body, as machine code; with the same text in Python."""
    lines = textwrap.indent(textwrap.dedent(body), "    ")
    head = f"import math\nimport numpy as np\nfrom collections import namedtuple\n{textwrap.dedent(more)}\n"
    text = f"{head}def site(b, P, h):\n{lines}\n    return 0\n"
    (place,) = addresses(text, [Kernel("site", (("b", "row"), ("P", "row"), ("h", "double")))])
    scope = {}
    exec(text, scope)
    return CALL(place), scope["site"]


def both(body, more="", h=0.125, parameters=(2.0, -3.0, 0.75)):
    """Scratch after the machine code, and after Python with numpy's numbers (which divide by zero), and what both return."""
    native, plain = translated(body, more)
    pairs = np.array([(x, y) for x in VALUES for y in VALUES])
    rows = np.zeros((12, 256))
    rows[0], rows[1] = pairs.T
    p = np.array(parameters)
    first, second = rows.reshape(-1).copy(), rows.reshape(-1).copy()
    returned = native(first.ctypes.data, p.ctypes.data, h)
    with np.errstate(all="ignore"):
        wanted = plain(second, p, np.float64(h))
    return first.reshape(12, 256), second.reshape(12, 256), returned, wanted


def same(body, more="", **options):
    """Machine code and Python agree to the last digit: a division by a number may be a product, products and sums may be contracted."""
    found, right, returned, wanted = both(body, more, **options)
    np.testing.assert_allclose(found, right, rtol=3e-16)
    assert returned == wanted


LOOP = "for i in range(256):\n    x, y = b[i], b[256 + i]\n"


def lane(*lines):
    """The body of a loop over pairs of values that are difficult."""
    return LOOP + "".join(f"    {line}\n" for text in lines for line in text.split("\n"))


@pytest.mark.parametrize(
    "expression",
    [
        *("x + y", "x - y", "x * y", "x / y", "-x", "+x", "x / 3", "2 * x - 1", "7 / 2 * x", "(1 + 2) * x", "x * -3", "h * x"),
        *("max(x, y)", "min(x, y)", "max(x, 0.0)", "min(max(x, -1.0), 1.0)", "max(x, y, 2.0)", "abs(x)", "abs(x - y)"),
        *("x if x < y else y", "x if x >= y else 0.0", "1.0 if x == y else 2.0", "1.0 if x != y else 2.0", "1 if x > y else 0"),
        *("1.0 if 0.0 < x <= 2.0 else 0.0", "1.0 if x < y and y < 2.0 else 0.0", "1.0 if x < y or y < 2.0 else 0.0"),
        *("1.0 if not x < y else 0.0",),
        *("1.0 if (x < 0.0) | (y > 1.0) else 0.0", "1.0 if (x < 0.0) & (y > 1.0) else 0.0"),
        *("P[0] * x + P[1] - P[2]", "float(3) * x", "x if True else y", "x * LANES", "math.pi * x", "math.sqrt(x * x)", "math.fabs(x)"),
    ],
)  # fmt: skip
def test_expressions(expression):
    same(lane(f"b[512 + i] = {expression}"), "LANES = 64")


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 5, 7, 10, -1, -2, -3])
def test_whole_powers(exponent):
    """Products by squares, as numba takes them; Python calls libm's pow, which rounds once."""
    found, right, *_ = both(lane(f"b[512 + i] = x ** {exponent}"))
    keep = np.isfinite(right[2]) & (abs(right[2]) > 1e-290)
    np.testing.assert_allclose(found[2][keep], right[2][keep], rtol=8e-16)
    np.testing.assert_array_equal(np.isnan(found[2]), np.isnan(right[2]))


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log10", "log1p", "tanh", "asinh"])
def test_elementary_functions(name):
    """Ours, to 4e-16 of libm's (see test_elementary for a million arguments)."""
    native, _ = translated(lane(f"b[512 + i] = math.{name}(x)"))
    b = np.zeros(12 * 256)
    x = b[:256]
    x[:] = np.linspace(0.01, 30.0, 256) if name.startswith("log") else np.linspace(-30.0, 30.0, 256)
    native(b.ctypes.data, np.zeros(3).ctypes.data, 0.0)
    np.testing.assert_allclose(b[512:768], getattr(np, {"asinh": "arcsinh"}.get(name, name))(x), rtol=9e-16)


@pytest.mark.parametrize("text", ["x ** 2.5", "x ** y", "2.0 ** x", "x ** 2.0", "math.pow(x, y)", "math.sin(x)", "math.cos(y)"])
def test_functions_of_libm(text):
    """Python raises where libm has no number; there the machine code has none either."""
    native, _ = translated(lane(f"b[512 + i] = {text}"))
    rows = np.zeros((12, 256))
    rows[0], rows[1] = np.linspace(0.1, 6.0, 256), np.linspace(-3.0, 3.0, 256)
    native(rows.ctypes.data, rows.ctypes.data, 0.0)
    right = [eval(text, {"math": math, "x": x, "y": y}) for x, y in zip(rows[0], rows[1], strict=True)]
    np.testing.assert_allclose(rows[2], right, rtol=5e-16, atol=1e-16)


def test_statements():
    """Branches, loops within loops, break, continue, counters, early returns, tuples, records, functions that change their arguments."""
    more = """
        R = namedtuple('R', ['u', 'w'])
        LIMIT = 5

        def first(x, y):
            if x > y:
                return x, 1.0
            if x == y:
                return y, 0.0
            z = x
            x = y
            return x, z

        def halved(x):
            n = 0
            while x > 1.0:
                x = x / 2.0
                n += 1
                if n == LIMIT:
                    break
            return x * n

        def total(r, k):
            s = 0.0
            for j in range(1, 6):
                if j == 3:
                    continue
                s += j * r.u
            return s - r.w if k > 0 else s

        alias = total
    """
    same(
        "count = 0\n"
        + lane(
            "big, rest = first(x, y)",
            "r = R(big, rest)",
            "b[512 + i] = big",
            "b[768 + i] = halved(min(abs(y), 1e6))",
            "b[1024 + i] = alias(r, 1) if y == y else 0.0",
            "if x < 0.0:\n    b[1280 + i] = -1.0\nelif x < 1.0:\n    b[1280 + i] = 0.5\nelse:\n    pass",
            "count += 1 if x < y else 0",
        )
        + "return count",
        more,
    )


def test_whole_numbers():
    """Counters in products and differences, powers of four as parts of a step, a double cut to a whole number."""
    same(
        "parts, sum = 1, 0.0\n"
        "for level in range(4):\n"
        "    parts *= 4\n"
        "    for part in range(parts):\n"
        "        sum += h / parts\n"
        "b[512] = sum\n"
        "b[513] = parts - 2 * 3\n"
        "return int(b[514] + 17.9) + min(parts, 3)"
    )


@pytest.mark.parametrize(
    "body",
    [
        *("b[0] = math.gamma(h)", "b[0] = h % 2.0", "b[0] = h // 2.0", "b[0] = 2 ** int(h)"),
        *("b[0] = sum([h])", "b[0] = [h][0]", "h = 2.0", "b[0] = nothing", "x = 1\nx = h", "b[0] = 2 ** 70", "b[0] = 1 / 0"),
        *("b[0] = True + 1", "b[0] = 1.0 if h else 0.0", "for k in range(0, 8, 2):\n    b[0] = h", "b[0] = abs(int(h))"),
        "try:\n    b[0] = h\nfinally:\n    pass",
        *("b[0] = 3 if h < 1.0 else h < 2.0", "b[0] = (x := h)", "b[0], = h", "with b:\n    pass", "b[0, 1] = h", "b[0] = max(h, key=abs)"),
    ],
)  # fmt: skip
def test_what_is_not_translated_is_refused(body):
    with pytest.raises(Unsupported):
        translated(body)


@pytest.mark.parametrize("size", [1, 64, 100, 256])
def test_copies(size):
    """Rows to scratch, short ones filled up with their last value; back, and added."""
    kinds = (("b", "row"), ("U", "matrix"), ("V", "matrix"), ("size", "whole"))
    body = "load(b, (I64(0), I64(256)), U, (I64(2), I64(0)), 3, size, 256)\nstore(b, (I64(256),), V, (I64(1),), 5, size)\n"
    body += "book(b, (I64(0), I64(0)), V, (I64(0), I64(1)), 5, size)\n"
    text = f"def site(b, U, V, size):\n{textwrap.indent(body, '    ')}    return size\n"
    (place,) = addresses(text, [Kernel("site", kinds)])
    call = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 3)(place)
    rng = np.random.default_rng(7)
    b, u, v = np.zeros(512), rng.random((3, 300)), rng.random((2, 301))
    wanted = v.copy()
    assert call(b.ctypes.data, u.ctypes.data, v.ctypes.data, size, 300, 301) == size
    np.testing.assert_array_equal(b[:size], u[2, 3 : 3 + size])
    np.testing.assert_array_equal(b[size:256], u[2, 2 + size])
    wanted[1, 5 : 5 + size] = u[0, 3 : 3 + size]
    wanted[:, 5 : 5 + size] += u[2, 3 : 3 + size]
    np.testing.assert_array_equal(v, wanted)


def test_functions_apart_call_each_other():
    """What is compiled on its own is called, whoever stands first."""
    text = "def outer(b, h):\n    return inner(b, h, 3) + 1\ndef inner(b, h, n):\n    for k in range(n):\n        b[k] = h\n    return n\n"
    kernels = [Kernel("outer", (("b", "row"), ("h", "double"))), Kernel("inner", (("b", "row"), ("h", "double"), ("n", "whole")))]
    for order in (kernels, kernels[::-1]):
        place = addresses(text, order)[order.index(kernels[0])]
        b = np.zeros(5)
        assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_double)(place)(b.ctypes.data, 2.5) == 4
        np.testing.assert_array_equal(b, [2.5, 2.5, 2.5, 0.0, 0.0])


def test_numba_takes_what_is_not_translated(tmp_path, monkeypatch):
    """The same call and the same numbers, for a function of math that is not among ours; compiled once, for all processes."""
    monkeypatch.setattr("calcium_sim.kernels.compiled.cache_folder", lambda: tmp_path)
    loop = "    for i in range(64):\n        b[i] = math.gamma(b[64 + i])\n"
    text = f"{HEADER}\n@njit(**OPTIONS)\ndef site(b, P, h):\n{loop}    return 5\n"
    (place,) = cache.sites(text, [Kernel("site", (("b", "row"), ("P", "row"), ("h", "double")))])
    b, p = np.linspace(1.0, 4.0, 128), np.array([2.0])
    x = b[64:].copy()
    assert CALL(place)(b.ctypes.data, p.ctypes.data, 0.5) == 5
    np.testing.assert_allclose(b[:64], [math.gamma(v) for v in x], rtol=1e-14)
    assert [p.name.partition("-")[0].rpartition(".")[2] for p in tmp_path.glob("*.machine")] == ["entry_site"]


def test_records_and_tuples_are_known_where_they_are_written():
    """One name for two of them, or one that a branch alone sets, is left to numba; within the branch it may be used."""
    more = "R = namedtuple('R', ['u'])\ndef value(r):\n    return r.u\n"
    same(lane("if x < y:\n    r = R(x)\n    b[512 + i] = value(r)\nelse:\n    b[512 + i] = 0.5"), more)
    for body in (
        "if h < 1.0:\n    r = R(h)\nelse:\n    r = R(2.0)\nb[0] = r.u",
        "if h < 1.0:\n    r = R(h)\nb[0] = r.u",
        "r = R(h)\nr = R(2.0)\nb[0] = r.u",
    ):
        with pytest.raises(Unsupported):
            translated(body, more)


def test_what_is_read_before_it_is_set_is_no_number():
    """Python would stop; a run does when a concentration is no number."""
    native, _ = translated("if h > 1.0:\n    x = h\nb[0] = x")
    b = np.zeros(8)
    native(b.ctypes.data, b.ctypes.data, 2.0)
    assert b[0] == 2.0
    native(b.ctypes.data, b.ctypes.data, 0.5)
    assert np.isnan(b[0])


def test_variables_of_a_function_begin_anew_at_every_call():
    """What the call before has left is never seen: it would be a number of another lane."""
    native, _ = translated(lane("b[512 + i] = some(x)"), "def some(x):\n    if x > 1.0:\n        y = 2.0 * x\n    return y\n")
    rows = np.zeros((12, 256))
    rows[0] = np.linspace(3.0, 0.0, 256)
    native(rows.ctypes.data, rows.ctypes.data, 0.0)
    np.testing.assert_array_equal(rows[2], np.where(rows[0] > 1.0, 2.0 * rows[0], np.nan))


def test_arguments_that_are_left_out_have_their_defaults():
    same(lane("b[512 + i] = scaled(x) + scaled(y, -2.0)"), "def scaled(x, by=3.0, more=0.5):\n    return x * by + more\n")


def test_what_python_does_not_call_is_not_called():
    """A helper may never end, or take forever, for what it was not made for: conditional expressions, `and`, `or`."""
    more = """
        def doublings(z):
            n = 0.0
            while z < 1.0:
                z = z * 2.0
                n += 1.0
            return n

        def patient(z):
            for k in range(int(z * 1e15)):
                z = z * 1.0
            return z > 0.0
    """
    same(
        "for i in range(256):\n"
        "    x = b[i]\n"
        "    z = min(abs(x), 3.0) if x == x else 0.0\n"
        "    b[512 + i] = doublings(z) if z > 1e-200 else 0.0\n"
        "    b[768 + i] = 1.0 if z > 5.0 and patient(z) else 2.0\n"
        "    b[1024 + i] = 1.0 if z < 5.0 or patient(z) else 2.0\n"
        "    b[1280 + i] = doublings(z) if z > 1e-200 else 1\n",
        more,
    )


def test_names_of_modules_may_be_those_of_arguments():
    more = "R = namedtuple('R', ['e'])\ndef own(math, np):\n    return math.e + np.e\n"
    same(lane("b[512 + i] = own(R(x), R(y)) + math.e"), more)


def test_arguments_from_python_are_those_of_the_kernel():
    """A number of another kind, an array of another shape or one argument too few would be read from the wrong register."""
    kernel = Kernel("site", (("b", "row"), ("M", "matrix"), ("n", "whole"), ("h", "double")))
    text = HEADER + "\n\ndef site(b, M, n, h):\n    b[n] = h + M[1, 0]\n    return n\n"
    (place,) = addresses(text, [kernel])
    b, m = np.zeros(4), np.arange(6.0).reshape(2, 3)
    assert callable_of(place, kernel)(b, m, 2, np.float64(0.5)) == 2
    assert b.tolist() == [0.0, 0.0, 3.5, 0.0]
    for given in ((b, m, 2, 1), (b, m, 2.0, 0.5), (b, b, 2, 0.5), (m, m, 2, 0.5)):
        with pytest.raises(AssertionError, match=r"site\.\w+ is"):
            callable_of(place, kernel)(*given)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        callable_of(place, kernel)(b, m, 2)
