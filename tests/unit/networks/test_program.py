"""Networks as compiled tables of operations: against numpy, and the same bits however nodes are split."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numba import njit, prange

from calcium_sim.errors import InputError
from calcium_sim.kernels import network as kernels
from calcium_sim.kernels import noted
from calcium_sim.networks.builder import Builder, mlp_program
from calcium_sim.networks.program import KINDS, disagreement, evaluate, run
from calcium_sim.networks.table import tabulate

RNG = np.random.default_rng(2)
TOLERANCE = {"float32": 4e-7, "float64": 2e-15}


def perceptron(layers, dtype, seed=0, act="tanh"):
    """A random multilayer perceptron and the same in numpy (float64)."""
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(layers))
    weights = [(rng.normal(size=(n, m)) / np.sqrt(m), 0.1 * rng.normal(size=n)) for m, n in pairs]
    b = Builder(layers[0], dtype)
    h = b.input(0, layers[0])
    for i, (w, c) in enumerate(weights):
        h = b.dense(h, w, c)
        h = b.unary(act, h) if i < len(weights) - 1 else h

    def reference(x):
        for i, (w, c) in enumerate(weights):
            x = w @ x + c[:, None]
            x = np.tanh(x) if i < len(weights) - 1 else x
        return x

    return b.finish(h), reference


def test_the_two_lists_of_operations_are_one():
    """The interpreter's numbers are places in its list, the table is written with the other."""
    assert kernels.KINDS == KINDS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", [[3, 20, 20, 20, 1], [1, 7, 2], [4, 33, 5, 6, 3], [2, 1]])
def test_perceptrons(layers, dtype):
    """Against numpy in float64, within the tolerance asked of lowered networks; every remainder of the four-output panels occurs."""
    program, reference = perceptron(layers, dtype)
    worst = disagreement(program, reference, [-3.0] * layers[0], [3.0] * layers[0], points=1000)
    assert worst < {"float32": 1e-6, "float64": 1e-12}[dtype], worst


UNARY = {
    "tanh": (np.tanh, -12, 12),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -60, 60),
    "relu": (lambda x: np.maximum(x, 0), -2, 2),
    "exp": (np.exp, -80, 80),
    "expm1": (np.expm1, -20, 20),
    "log": (np.log, 1e-6, 1e6),
    "log10": (np.log10, 1e-3, 1e3),
    "log1p": (np.log1p, -0.9, 100),
    "asinh": (np.arcsinh, -1e4, 1e4),
    "sqrt": (np.sqrt, 0, 100),
    "abs": (np.abs, -2, 2),
    "neg": (np.negative, -2, 2),
    "softplus": (lambda x: np.where(2 * x > 3, x, np.logaddexp(2 * x, 0) / 2), -30, 30, 2.0, 3.0),
    "elu": (lambda x: np.where(x < 0, 0.7 * np.expm1(x), x), -5, 5, 0.7),
    "pow": (lambda x: x**1.7, 0.1, 10, 1.7),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_value(name, dtype):
    """Relative error against numpy in float64, of values that the precision holds exactly."""
    reference, low, high, *parameters = UNARY[name]
    parameters = [float(np.dtype(dtype).type(p)) for p in parameters]
    b = Builder(1, dtype)
    program = b.finish(b.unary(name, b.input(0, 1), *parameters))
    x = RNG.uniform(low, high, (1, 20000)).astype(dtype).astype(float)
    want, got = reference(x), run(program, x)
    error = np.abs(got - want) / np.maximum(np.abs(want), 1e-300)
    where = int(np.argmax(error))
    print(name, dtype, error.flat[where], x.flat[where])
    assert error.max() < TOLERANCE[dtype] * (10 if name == "pow" else 1)
    np.testing.assert_allclose(evaluate(program, x), want, rtol=100 * TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_programs(dtype):
    """Forty random operations on shared values, computed at once in numpy: catches columns that are overwritten too early."""
    for seed in range(15):
        rng = np.random.default_rng(seed)
        b, x = Builder(4, dtype), rng.normal(size=(4, 130))
        values = [(b.input(0, 4), x), (b.input(1, 2), x[1:3])]
        for _ in range(40):
            columns, v = values[rng.integers(max(0, len(values) - 6), len(values))]
            choice = rng.integers(7)
            if choice == 0:
                w, c = rng.normal(size=(int(rng.integers(1, 8)), len(v))) / len(v), rng.normal(size=1)
                values.append((b.dense(columns, w, np.repeat(c, len(w))), w @ v + c))
            elif choice == 1:
                values.append((b.unary("tanh", columns), np.tanh(v)))
            elif choice == 2:
                other, o = values[rng.integers(len(values))]
                other, o = (other, o) if len(o) in (1, len(v)) else (other[:1], o[:1])
                values.append((b.binary("minimum", columns, other), np.minimum(v, o)))
            elif choice == 3:
                row = rng.normal(size=len(v))
                values.append((b.binary("sub", row, columns), row[:, None] - v))
            elif choice == 4:
                pick = rng.integers(0, len(v), 3)
                values.append((tuple(columns[i] for i in pick), v[pick]))
            elif choice == 5:
                values.append((b.binary("mul", columns, columns[:1]), np.clip(v, -1e3, 1e3) * v[:1]))
                values[-1] = (b.unary("tanh", values[-1][0]), np.tanh(v * v[:1]))
            else:
                values.append((b.sum(columns), v.sum(axis=0, keepdims=True)))
                values[-1] = (b.unary("tanh", values[-1][0]), np.tanh(values[-1][1]))
        chosen = values[-5:]
        program = b.finish(tuple(c for columns, _ in chosen for c in columns))
        want = np.concatenate([v for _, v in chosen])
        scale = np.maximum(1, np.abs(want))
        error = max(float(np.max(np.abs(f(program, x) - want) / scale)) for f in (run, evaluate))
        assert error < {"float32": 2e-4, "float64": 1e-11}[dtype], (seed, error)


def test_layer_norm_and_powers():
    """Against their definitions."""
    b = Builder(5)
    c = b.input(0, 5)
    factor, offset = RNG.normal(size=5), RNG.normal(size=5)
    program = b.finish((*b.norm(c, 1e-5, factor, offset), *b.power(c, 5), *b.power(c, -2)))
    x = RNG.uniform(0.5, 2, (5, 100))
    centred = x - x.mean(axis=0)
    normed = centred / np.sqrt((centred**2).mean(axis=0) + 1e-5) * factor[:, None] + offset[:, None]
    want = np.concatenate([normed, x**5, x**-2.0])
    np.testing.assert_allclose(run(program, x), want, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(evaluate(program, x), want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_splitting_the_nodes_changes_no_bit(dtype):
    """Nodes alone, in pieces and in another order."""
    program, _ = perceptron([3, 32, 32, 2], dtype)
    x = RNG.normal(size=(3, 500))
    whole = run(program, x)
    order = RNG.permutation(500)
    assert (run(program, x[:, order]) == whole[:, order]).all()
    for cut in (1, 63, 64, 65, 257):
        assert (np.concatenate([run(program, x[:, :cut]), run(program, x[:, cut:])], axis=1) == whole).all()


def test_values_that_are_not_finite_stay_so():
    """NaN and infinity do not become numbers on the way."""
    program, _ = perceptron([1, 4, 1], "float32")
    assert np.isnan(run(program, [[np.nan]])).all()
    b = Builder(1)
    c = b.input(0, 1)
    program = b.finish((*b.unary("exp", c), *b.unary("log", c), *b.unary("relu", c), *b.binary("minimum", c, 1.0)))
    got = run(program, [[np.nan, -np.inf, np.inf, 0.0]])
    with np.errstate(all="ignore"):
        x = np.array([np.nan, -np.inf, np.inf, 0.0])
        want = np.stack([np.exp(x), np.log(x), np.maximum(x, 0), np.minimum(x, 1)])
    np.testing.assert_array_equal(got, want)


def row_of(program):
    start = kernels.prepared(program.weights.dtype.name), program.code.ctypes.data, len(program.code), program.weights.ctypes.data
    return (*start, program.weights.size, program.work, program.columns)


@pytest.mark.parametrize("parallel", [False, True])
def test_called_from_compiled_code(parallel):
    """Two networks, serial and with threads: what calls them serves other weights and other layers, too, and counts what is no number."""

    @njit(parallel=parallel)
    def local(given, out, nets, counts):
        for k in prange(given.shape[1] // 64):
            b = np.empty(4000)
            for r in range(3):
                for i in range(64):
                    b[64 * r + i] = given[r, 64 * k + i]
            kernels.network(b, (0, 64, 128), (192, 256), (0, 1), nets, 0, counts, k, 64, 384)
            kernels.network(b, (192, 256), (320,), (2,), nets, 1, counts, k, 64, 384)
            for i in range(64):
                out[64 * k + i] = b[320 + i]

    second, _ = perceptron([2, 9, 1], "float64")
    x, out = RNG.normal(size=(3, 640)), np.empty(640)
    for layers, seed in (([3, 16, 2], 0), ([3, 16, 2], 5), ([3, 5, 5, 2], 1)):
        first, _ = perceptron(layers, "float32", seed=seed)
        counts = np.zeros((10, 15))
        local(x, out, np.array([row_of(first), row_of(second)]), counts)
        np.testing.assert_array_equal(out, run(second, run(first, x))[0])
        assert not counts.any()
    first = replace(first, weights=np.full_like(first.weights, np.nan))
    local(x, out, np.array([row_of(first), row_of(second)]), counts)
    np.testing.assert_array_equal(counts.sum(axis=0)[4::5], [640, 640, 0])  # the second one is given no numbers


def test_declared_perceptron():
    """mlp_program against the same written in numpy: transforms, skip, clip and two output maps."""
    layers = (3, 16, 16, 2)
    arrays = {f"weight{i}": RNG.normal(size=(n, m)) / 4 for i, (m, n) in enumerate(pairwise(layers))}
    arrays |= {f"bias{i}": RNG.normal(size=n) for i, n in enumerate(layers[1:])}
    arrays |= {
        "gain": np.array([1, 1, 0.2]),
        "mean": np.array([0.5, 0.1, 0.0]),
        "scale": np.array([2.0, 1.0, 3.0]),
        "skip": RNG.normal(size=(2, 3)),
    }

    def reference(x):
        z = np.stack([x[0], np.log10(x[1]), np.arcsinh(0.2 * x[2])])
        z = (z - arrays["mean"][:, None]) / arrays["scale"][:, None]
        h = z
        for i in range(3):
            h = arrays[f"weight{i}"] @ h + arrays[f"bias{i}"][:, None]
            h = h / (1 + np.exp(-h)) if i < 2 else h
        h = np.clip(h + arrays["skip"] @ z, -2, 1)
        return np.stack([np.exp(h[0]), np.log1p(np.exp(h[1]))])

    program = mlp_program(layers, "silu", True, ("exp", "softplus"), arrays, ("identity", "log10", "asinh"), (-2.0, 1.0), "float64")
    worst = disagreement(program, reference, [0, 0.02, -60], [1, 14, 60])
    assert worst < 1e-12, worst


def test_bounded_counts_what_is_outside():
    """Only the nodes that exist are noted, with their extremes; what is no number stays one; slack is no fault."""
    b, counts = np.zeros(128), np.zeros((2, 15))
    counts[1, 5:10] = seen = [0.0, 0.0, np.inf, -np.inf, 0.0]
    b[:64] = np.linspace(-1, 2, 64)
    b[5], b[6] = np.nan, -1e-6
    noted.bounded(b, 0, 64, 0.0, 1.0, 1e-5, 50, counts, 1, 1)
    outside = (b[:50] < -1e-5) | (b[:50] > 1 + 1e-5)
    assert counts[1, 5:10].tolist() == [50, outside.sum(), -1.0, b[49], 0]
    counts[1, 5:10] = seen
    assert np.isinf(counts).sum() == 2, "no other item is touched"
    np.testing.assert_array_equal(b[64:], np.clip(b[:64], 0, 1))


def test_a_network_is_at_fault_where_it_makes_no_number_of_numbers():
    """NaN of NaN is no fault, nor is what lies behind the last node."""
    b, found, places = np.zeros(192), np.zeros(15), np.array([0, 64, 128, 2])
    b[64 + 3], b[128 + 3], b[128 + 9], b[128 + 60] = np.nan, np.nan, np.nan, np.nan
    noted.faulty(b, places, 2, 1, found, 50)
    assert found.nonzero()[0].tolist() == [14]
    assert found[14] == 1


def test_blocks_that_did_not_move():
    """Nodes beyond the tolerance are counted, and NaN; rows are taken over where the network runs."""
    b, kept = RNG.uniform(1, 2, 128), np.full((2, 128), np.nan)

    def drift(floor):
        return noted.drifted(b, 64, kept, 1, 64, 0.01, floor)

    assert drift(0.1) == 64, "nothing kept yet"
    noted.remember(b, 64, kept, 1, 64)
    assert (kept[1, 64:] == b[64:]).all()
    assert np.isnan(kept[0]).all()
    assert np.isnan(kept[1, :64]).all()
    b[64 + 6] *= 1.005
    b[64 + 7] += 0.1
    assert (drift(0.1), drift(10.0)) == (1, 0)
    b[64 + 5] = np.nan
    assert drift(10.0) == 1


def test_looked_up_in_compiled_code():
    """Tables at 64 nodes: the same bits as at any number of them, even spacings and logarithmic ones."""
    hill = lambda c: np.stack([c**3 / (c**3 + 0.027), c])  # noqa: E731
    for table in (tabulate(hill, 0.01, 50.0, logarithmic=True), tabulate(hill, 0.01, 5.0)):
        numbers = np.concatenate([[table.start, table.factor], table.values.reshape(-1)])
        start = kernels.tabulated(), numbers.ctypes.data, len(table.values), numbers.ctypes.data, numbers.size
        nets, b = np.array([(*start, 64, int(table.logarithmic))]), np.zeros(256)
        b[:64] = np.linspace(0.001, 60.0, 64)
        kernels.network(b, (0,), (64, 128), (0, 1), nets, 0, np.zeros((1, 10)), 0, 64, 192)
        np.testing.assert_array_equal(b[64:192].reshape(2, 64), table(b[:64]))


def test_tables():
    """A gate's steady value and time constant, looked up within the tolerance; ends are constant; a jump is refused."""
    gate = lambda v: np.stack([1 / (1 + np.exp(-(v + 30) / 6)), 0.1 + 5 * np.exp(-(((v + 40) / 20) ** 2))])  # noqa: E731
    table = tabulate(gate, -100.0, 60.0, ((1e-5, 0.0), (0.0, 1e-4)))
    v = RNG.uniform(-100, 60, 20000)
    error = np.abs(table(v) - gate(v))
    assert error[0].max() < 1e-5
    assert (error[1] / gate(v)[1]).max() < 1e-4
    np.testing.assert_allclose(table([-500.0, 500.0]), gate(np.array([-100.0, 60.0])), rtol=1e-12)
    hill = lambda c: (c**3 / (c**3 + 0.027))[None]  # noqa: E731
    decades, even = tabulate(hill, 0.01, 50.0, logarithmic=True), tabulate(hill, 0.01, 50.0)
    c = np.exp(RNG.uniform(np.log(0.01), np.log(50), 20000))
    assert np.abs(decades(c) - hill(c)).max() < 1e-5
    assert len(decades.values) < len(even.values) / 8
    assert tabulate(lambda x: (x > 0.3)[None] * 1.0, 0.0, 1.0) is None
    with pytest.raises(InputError, match="by decades"):
        tabulate(hill, 0.0, 1.0, logarithmic=True)


def test_bad_input_is_refused():
    """One line that names what was found."""
    program, _ = perceptron([3, 4, 1], "float64")
    with pytest.raises(InputError, match=r"shape \(2, 5\), expected \(3, nodes\)"):
        run(program, np.zeros((2, 5)))
    with pytest.raises(InputError, match="float16"):
        Builder(1, "float16")
    b = Builder(3)
    with pytest.raises(InputError, match=r"expected \(outputs, 3\)"):
        b.dense(b.input(0, 3), np.zeros((4, 2)))
    with pytest.raises(InputError, match="3 and 2 columns"):
        b.binary("add", b.input(0, 3), b.input(0, 2))
