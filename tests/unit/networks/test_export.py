"""What `export_channel` takes: modules, scripted and traced ones, with their gradients on or off, and leaves them as they are."""

import math
import re
import warnings

import numpy as np
import pytest

import calcium_sim as cs
from calcium_sim.app.inspection import check_file, show_channel
from calcium_sim.networks.prepared import gate_of, network_at

torch = pytest.importorskip("torch")


class RateLaw(torch.nn.Module):
    """What every rate law has: quotients, squares, exponentials less one."""

    def forward(self, x: torch.Tensor):
        return 1.0 / x + 1 / (0.03 / x + torch.square(x)) + torch.reciprocal(1.0 + x), torch.expm1(0.1 * x)


def test_quotients_and_squares_are_permitted_and_compiled(tmp_path):
    """To 1e-5, what the table that a network of one port becomes is made to (measured: 3e-6)."""
    cs.export_channel(
        RateLaw(), tmp_path / "law.pt", kind="rates", states={"P": "steady"}, dtype="float64", inputs={"ca@cytosol": ("uM", 0.1, 50)}
    )
    gate = gate_of(cs.load_channel(tmp_path / "law.pt"))
    assert gate.program is not None
    for c in (0.1, 0.7, 30.0):
        exact = [1 / c + 1 / (0.03 / c + c * c) + 1 / (1 + c), math.expm1(0.1 * c)]
        assert network_at(gate, [0.5], {"ca_cytosol": c}, 0.01) == pytest.approx(exact, rel=1.1e-5), c


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("how", ["plain", "traced", "scripted"])
def test_however_a_module_is_given(how, gradients, tmp_path):
    """The gate of the file gives what the module gives, to single precision."""
    torch.manual_seed(2)
    net = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1), torch.nn.Sigmoid()).requires_grad_(gradients)
    made = {"plain": lambda m: m, "traced": lambda m: torch.jit.trace(m, torch.zeros(8, 1)), "scripted": torch.jit.script}
    given = made[how](net)
    card = {"kind": "open_prob", "inputs": {"ca@cytosol": ("uM", 0.01, 50)}, "licence": "MIT", "args": ["x"]}
    cs.export_channel(given, tmp_path / "net.pt", **card)
    gate = gate_of(cs.load_channel(tmp_path / "net.pt"))
    for c in (0.02, 0.7, 30.0):
        expected = float(net(torch.tensor([[c]])))
        assert network_at(gate, [], {"ca_cytosol": c}, 0.01)[0] == pytest.approx(expected, abs=2e-5), c
    assert all(p.requires_grad == gradients for p in given.parameters())


class Gate(torch.nn.Module):
    """Opening 2 c + s, closing 3 per ms."""

    def forward(self, s: torch.Tensor, x: torch.Tensor):
        return 2 * x + s, torch.full_like(x, 3.0)


class Open(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x / (1 + x)


RATES = {"kind": "rates", "states": {"P": "steady"}, "inputs": {"ca@cytosol": ("uM", 0.1, 50)}, "dtype": "float64"}
OPEN = {"kind": "open_prob", "inputs": {"ca@cytosol": ("uM", 0.1, 50)}, "dtype": "float64"}


def test_errors_on_a_reference_are_computed_and_told(tmp_path):
    """Written by hand: opening is wrong by 0.3 and 0.1 of at most 9.5, closing by 0 and 0.4 of at most 3.4; inputs come before states."""
    file = tmp_path / "gate.pt"
    inputs, outputs = [[1.0, 0.5], [4.0, 0.5]], [[2.8, 3.0], [8.6, 3.4]]
    card = cs.export_channel(Gate(), file, reference=(inputs, outputs), training={"data": "made up"}, **RATES)
    error = card.training["error"]
    assert error["rms"] == pytest.approx(math.sqrt((0.3**2 + 0.1**2 + 0.4**2) / 4), rel=1e-12)
    assert error["largest"] == pytest.approx(0.4, rel=1e-12)
    assert error["relative"] == pytest.approx(0.4 / math.sqrt(2) / 3.4, rel=1e-12)
    assert (error["points"], error["span"]) == (2, [2.8, 8.6])
    assert gate_of(cs.load_channel(file)).card.training == {"data": "made up", "error": error}
    told = "rms 0.255, largest 0.4, relative 0.08319, points 2, span [2.8, 8.6]"
    assert f"error: {told}" in "\n".join(show_channel(str(file)))
    assert f"errors    {told}" in list(check_file(file))


@pytest.mark.parametrize("form", [list, np.asarray, lambda column: torch.tensor(column, requires_grad=True)])
def test_a_single_column_in_any_form(tmp_path, form):
    c = [0.5, 1.0, 3.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        card = cs.export_channel(Open(), tmp_path / "p.pt", reference=(form(c), form([x / (1 + x) for x in c])), **OPEN)
    assert card.training["error"]["largest"] < 1e-6
    assert card.training["error"]["points"] == 3


def test_weights_have_errors_too(tmp_path):
    fast = {"arch": "mlp", "layers": [1, 1], "act": "tanh", "out": "sigmoid"}
    arrays = {"weight0": [[1.0]], "bias0": [0.0]}
    card = cs.save_weights(tmp_path / "p.npz", arrays, fast=fast, reference=([1.0, 2.0], [0.5, 0.5]), **OPEN)
    expected = [1 / (1 + math.exp(-x)) - 0.5 for x in (1.0, 2.0)]
    assert card.training["error"]["largest"] == pytest.approx(max(expected), rel=1e-12)
    assert gate_of(cs.load_channel(tmp_path / "p.npz")).card.training == card.training


NO_REFERENCE = {
    "one array": ([1.0, 2.0, 3.0], {}, r"^reference: \[1\.0, 2\.0, 3\.0\], expected reference=\(inputs, outputs\), arrays of as many"),
    "rows": (([1.0, 2.0], [0.5]), {}, r"^reference: 2 rows of inputs and 1 of outputs, expected"),
    "none": (([], []), {}, r"^reference: 0 rows of inputs and 0 of outputs"),
    "columns": (([[1.0, 2.0]], [0.5]), {}, r"^reference\[0\]: has the shape \[1, 2\], expected \[rows, 1\]: ca@cytosol$"),
    "outputs": (([1.0], [[0.5, 0.1]]), {}, r"^reference\[1\]: has the shape \[1, 2\], expected \[rows, 1\]: open probability$"),
    "states": (([1.0], [0.5]), RATES, r"^reference\[0\]: has the shape \[1\], expected \[rows, 2\]: ca@cytosol, P$"),
    "words": ((["a"], [0.5]), {}, r"^reference\[0\]: \['a'\] is no array of numbers, expected"),
    "nan": (([1.0], [math.nan]), {}, r"^reference\[1\]: 1 of its numbers are not finite$"),
    "twice": (([1.0], [0.5]), {"training": {"error": "2 %"}}, r"^reference: training= gives 'error' already \(leave out one of the two\)$"),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_REFERENCE)
def test_what_is_no_reference_is_told(tmp_path, name):
    reference, card, message = NO_REFERENCE[name]
    with pytest.raises(cs.InputError, match=message):
        cs.export_channel(Gate() if card is RATES else Open(), tmp_path / "p.pt", reference=reference, **OPEN | card)
    assert not (tmp_path / "p.pt").exists()


def test_points_beyond_the_trained_range_are_told(tmp_path):
    told = re.escape("reference: 1 of 2 rows have ca@cytosol outside its range of 0.1 to 50 uM")
    with pytest.warns(UserWarning, match=told):
        cs.export_channel(Open(), tmp_path / "p.pt", reference=([1.0, 60.0], [0.5, 0.9]), **OPEN)


class Two(torch.nn.Module):
    """Two columns from two columns."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.layer.weight.data, self.layer.bias.data = torch.eye(2), torch.full((2,), 1.5)

    def forward(self, x: torch.Tensor):
        return self.layer(x)


class Twice(torch.nn.Module):
    """Out of bounds: an open probability of more than 1, or a negative rate."""

    def __init__(self, sign: float = 1.0):
        super().__init__()
        self.sign, self.rates = sign, sign < 0

    def forward(self, x: torch.Tensor):
        return (self.sign * x, x) if self.rates else 1.0 + x


class Both(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return torch.cat([x, x], 1), torch.cat([x, x], 1)


class Taken(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        a, b = x.T
        return a[:, None], b[:, None]


PAIR = {"ca@cytosol": ("uM", 0.1, 50), "ca@er": ("uM", 1, 500)}
SHAPES = {
    "columns": (Two, OPEN, r"a layer that expects 2 columns gets 1; the card gives x of 1 \(ca@cytosol\)$"),
    "too many": (
        Two,
        OPEN | {"inputs": PAIR},
        r"returns 2 columns, kind 'open_prob' expects 1 \(return \[open probability\], a column",
    ),
    "one tensor": (
        Two,
        RATES | {"inputs": PAIR},
        r"returns 1 tensor, kind 'rates' expects 2 \(return \[opening rate of P\] and \[closing",
    ),
    "T": (Taken, RATES | {"inputs": PAIR}, r"a tensor is taken apart with unbind: a, b = x\.unbind\(1\)\)$"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_do_not_fit_the_card_are_told_with_its_columns(tmp_path, name):
    module, card, message = SHAPES[name]
    with pytest.raises(cs.InputError, match=message) as caught:
        cs.export_channel(module(), tmp_path / "p.pt", **card)
    assert "\n" not in str(caught.value)


def test_values_out_of_bounds_are_told_with_a_layer_that_keeps_them(tmp_path):
    for module, card, end in ((Twice(), OPEN, "sigmoid"), (Twice(-1.0), RATES, "exp or softplus")):
        with pytest.raises(cs.InputError, match=rf"is out of bounds at .* \(end with {'a ' * (end == 'sigmoid')}{end}\)$"):
            cs.export_channel(module, tmp_path / "p.pt", **card)


def test_powers_by_the_names_of_states(tmp_path):
    states = {"m": "steady", "h": "steady"}
    card = cs.export_channel(Both(), tmp_path / "p.pt", **RATES | {"states": states, "powers": {"m": 3}})
    assert card.powers == (3, 1)
    with pytest.raises(cs.InputError, match=r"^powers: unknown state 'n'; there are m, h$"):
        cs.export_channel(Both(), tmp_path / "p.pt", **RATES | {"states": states, "powers": {"n": 3}})
