"""Frozen TorchScript graphs as programs, against the module itself on random points."""

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from calcium_sim.networks.program import disagreement, run
from calcium_sim.networks.sheets import Unsupported
from calcium_sim.networks.walk import lower_graph

LIMIT = {"float32": 1e-6, "float64": 1e-12}


class Rates(nn.Module):
    """Scaled inputs, linear skip, two rates."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 32), nn.ReLU(inplace=True), nn.Linear(32, 2))
        self.skip = nn.Linear(3, 2, bias=False)
        self.register_buffer("mean", torch.tensor([0.5, 0.1, 0.0]))
        self.register_buffer("width", torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, s: Tensor, x: Tensor, dx: Tensor) -> tuple[Tensor, Tensor]:
        z = (torch.cat([s, torch.log10(x), torch.asinh(dx / 5)], 1) - self.mean) / self.width
        rates = torch.exp(torch.clamp(self.net(z) + self.skip(z), -20.0, 2.0))
        k = s.shape[1]
        return rates[:, :k], rates[:, k:]


class Cell(nn.Module):
    """A recurrent cell written out, with a time step."""

    def __init__(self):
        super().__init__()
        self.gates = nn.Linear(3, 4)

    def forward(self, s: Tensor, x: Tensor, dt: float) -> Tensor:
        inf, rate = torch.chunk(self.gates(torch.cat([s, x], 1)), 2, 1)
        return s + (torch.sigmoid(inf) - s) * (1 - torch.exp(-dt * nn.functional.softplus(rate, 2.0, 3.0)))


class Single(nn.Module):
    """Columns taken apart and put together in many ways."""

    def __init__(self):
        super().__init__()
        self.a, self.norm, self.weight = nn.Linear(2, 8), nn.LayerNorm(8), nn.Parameter(torch.randn(8, 4))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.matmul(nn.functional.silu(self.norm(self.a(x))), self.weight) + 0.1
        p, q, r, t = h.unbind(1)
        u = torch.stack([p * q, torch.rsub(r, t, alpha=2), 1 / (2 + torch.sigmoid(t)), torch.minimum(p, q)], 1)
        v = nn.functional.elu(h[:, 1:3]) ** 2 + nn.functional.gelu(h[:, ::2], approximate="tanh")
        w = nn.functional.leaky_relu(h, 0.2).sum(1, keepdim=True) + h.mean(1).unsqueeze(-1)
        return torch.cat([u, v, w, torch.addmm(self.weight[0], u, self.weight[:4]), x[:, 0].reshape(-1, 1)], -1)


def frozen(module, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.freeze(torch.jit.script(module.to(getattr(torch, dtype)).eval()))


def compared(module, inputs, low, high, dtype):
    """Largest disagreement of the lowered program and the module."""
    script = frozen(module, dtype)
    program = lower_graph(script, inputs, dtype)

    def original(x):
        arguments, start = [], 0
        for n in inputs:
            part = x[start : start + (n or 1)]
            arguments.append(float(part[0, 0]) if n is None else torch.from_numpy(part.T.astype(dtype)))
            start += n or 1
        out = script(*arguments)
        return torch.cat(out, 1).T.double().numpy() if isinstance(out, tuple) else out.T.double().numpy()

    with torch.inference_mode():
        return disagreement(program, original, low, high)


@pytest.mark.parametrize("dtype", LIMIT)
def test_lowered_modules_agree_with_torch(dtype):
    """1e-6 in float32 and 1e-12 in float64 on 256 points."""
    torch.manual_seed(0)
    found = {
        "rates": compared(Rates(), [1, 1, 1], [0, 0.02, -60], [1, 14, 60], dtype),
        "cell": compared(Cell(), [2, 1, None], [0, 0, -1, 0.05], [1, 1, 1, 0.05], dtype),
    }
    if dtype == "float64":
        found["single"] = compared(Single(), [2], [-2, -2], [2, 2], dtype)
    print(found)
    assert max(found.values()) < LIMIT[dtype]


def test_rounding_is_that_of_torch():
    """Where a network amplifies rounding (layer norm, then products), errors of float32 are those of torch: both against float64."""
    torch.manual_seed(0)
    module = Single()
    x = np.random.default_rng(0).uniform(-2, 2, (2, 4000)).astype("float32")
    script = frozen(module, "float32")
    ours = run(lower_graph(script, [2]), x)
    theirs = script(torch.from_numpy(x.T.copy())).detach().T.double().numpy()
    exact = run(lower_graph(frozen(module, "float64"), [2], "float64"), x)
    errors = [float(np.max(np.abs(y - exact) / np.maximum(1, np.abs(exact)))) for y in (ours, theirs)]
    print(errors)
    assert errors[0] < 1.5 * errors[1] < 1e-5


class Scaled(nn.Module):
    """alpha scales what is added or taken away: the second operand of add and sub, the first of rsub."""

    def forward(self, x: Tensor) -> Tensor:
        a, b = x[:, 0:1], x[:, 1:2]
        tensors = torch.cat([torch.add(a, b, alpha=2), torch.sub(a, b, alpha=3), torch.rsub(a, b, alpha=4), torch.rsub(b, a, alpha=0.5)], 1)
        numbers = torch.cat([torch.add(a, 0.7, alpha=5), torch.sub(a, 0.7, alpha=6), torch.rsub(a, 0.7, alpha=7), 0.3 - b, b - 0.3], 1)
        return torch.cat([tensors, numbers], 1)


def test_factors_of_sums_and_differences():
    """Against torch, tensors and numbers in both orders; the closed forms, too."""
    assert compared(Scaled(), [2], [-2, -2], [2, 2], "float64") < 1e-14
    a, b = 0.45, 1.1
    found = run(lower_graph(frozen(Scaled(), "float64"), [2], "float64"), np.array([[a], [b]]))[:, 0]
    expected = [a + 2 * b, a - 3 * b, b - 4 * a, a - 0.5 * b, a + 3.5, a - 4.2, 0.7 - 7 * a, 0.3 - b, b - 0.3]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


class Cumulative(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(x, 1)


class OverNodes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class InPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu_()


class Waves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)


class Shape(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.shape[0]


@pytest.mark.parametrize(
    ("module", "name"),
    [(Cumulative, "aten::cumsum"), (OverNodes, "aten::mean"), (InPlace, "aten::relu_"), (Waves, "aten::sin"), (Shape, "aten::mul")],
)
def test_what_cannot_be_lowered_is_named(module, name):
    """Unknown operations, sums over the nodes, in-place changes of inputs, and the number of nodes in a result."""
    with pytest.raises(Unsupported) as caught:
        lower_graph(frozen(module(), "float32"), [2])
    assert caught.value.operation == name, str(caught.value)
