"""What a network may be made of: all that docs/learned.md lists, written out, compiled, and compared with the module."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (as everybody calls it)
from torch import Tensor, nn

from calcium_sim.networks.inputs import Columns
from calcium_sim.networks.program import run
from calcium_sim.networks.sheets import Unsupported
from calcium_sim.networks.straight.values import Unwritable
from calcium_sim.networks.straight.write import straightened
from calcium_sim.networks.torchscript import call
from calcium_sim.networks.walk import lower_graph

PAGE = Path(__file__).parents[3] / "docs" / "learned.md"
X = np.random.default_rng(0).normal(0.0, 1.2, (2000, 6))


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.lstm, self.rnn = nn.GRUCell(3, 3), nn.LSTMCell(3, 3), nn.RNNCell(3, 3, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        h, c = self.lstm(x[:, :3], (x[:, 3:], x[:, :3]))
        start, _ = self.lstm(x[:, :3])
        return torch.cat([self.gru(x[:, :3], x[:, 3:]), self.gru(x[:, 3:]), h, c, start, self.rnn(x[:, :3])], 1)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        h = x * 1.0
        for layer in self.layers:
            h += torch.tanh(layer(h))
            h *= 0.9
        h -= 0.1
        h.clamp_(-3.0, 3.0)
        return h


class Casts(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x.double().to(x.dtype).to(torch.float64).type_as(x).to("cpu").contiguous().detach().clone()
        return y * (x > 0).double() + (x <= 0).to(x.dtype)


class Asserts(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == 6, f"six columns, not {x.shape[1]}"
        if x.dim() != 2:
            raise ValueError("x")
        h = x.view(x.size(0), -1)
        for k in range(3):
            h = h + 0.1 * float(k) * torch.tanh(h)
        return h


class Pieces(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("order", torch.tensor([5, 3, 1, 0, 2, 4]))

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        c, d = torch.split(x, [2, 4], dim=1)
        e, f = x.unbind(1)[:2]
        g = torch.stack([e, f, e * f], dim=1)
        h = torch.cat([x[:, [1, 0]], x[:, self.order], torch.index_select(x, 1, self.order), x.narrow(1, 2, 3), x[..., -1:]], -1)
        i = x.flip(1) + torch.roll(x, 2, 1) + x[:, 0, None] + x.select(1, 1).unsqueeze(1)
        return torch.cat([b, a, d, c, g, h, i], 1)


class Filled(nn.Module):
    def __init__(self):
        super().__init__()
        self.row = nn.Parameter(torch.randn(6))

    def forward(self, x: Tensor) -> Tensor:
        a = torch.zeros(x.shape[0], 2, dtype=x.dtype) + x[:, :2]
        b = torch.cat([torch.ones_like(x[:, :1]), x.new_zeros(x.shape[0], 1), torch.full_like(x[:, :2], 0.3)], 1)
        return torch.cat([a, b, self.row.expand(x.shape[0], -1), self.row.unsqueeze(0).repeat(x.shape[0], 1) * x], 1)


class Chosen(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        a = torch.where((x > 0) & (x < 1) | ~(x <= 0.5), x, torch.log(torch.abs(x) + 0.1))
        b = torch.where(x > 0, torch.log(x), torch.zeros_like(x))  # what is not chosen may be no number
        c = (
            x.masked_fill(x < 0, 0.25)
            + torch.where((x > 1).any(1, keepdim=True), x, 0.5)
            + (x == 0).double()
            + (x != 0) * 0.5
            + torch.sign(x)
        )
        return torch.cat([a, b, c], 1)


class Sums(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        a = x.sum(1, keepdim=True) + x.mean(-1, keepdim=True) + x.std(1, keepdim=True) + x.var(1, unbiased=False, keepdim=True)
        b = x - x.max(dim=1, keepdim=True)[0] + x.amin(1, keepdim=True) + torch.cumsum(x, 1) + x.prod(1, keepdim=True)
        return a + b + F.normalize(x, dim=1) + x / torch.norm(x, 2, 1, keepdim=True) + torch.logsumexp(x, 1, keepdim=True)


class Products(nn.Module):
    def __init__(self):
        super().__init__()
        self.w, self.v = nn.Parameter(0.3 * torch.randn(6, 6)), nn.Parameter(torch.randn(6))

    def forward(self, x: Tensor) -> Tensor:
        a = torch.matmul(x, self.w) + torch.mm(x, self.w) + torch.addmm(self.v, x, self.w) + (self.w @ x.t()).t() + (x @ self.v)[:, None]
        b = torch.einsum("ni,oi->no", x, self.w) + torch.einsum("bi,io->bo", [x, self.w])
        q = x.view(-1, 3, 2)
        c = (torch.softmax(q @ q.transpose(1, 2) / 2.0, -1) @ q).flatten(1) + x.view(-1, 2, 3).permute(0, 2, 1).reshape(-1, 6)
        return a + b + c


class Formulas(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = 1 + x * x
        a = (
            1 / y
            + y.reciprocal()
            + x**2
            + x**3
            + y**1.7
            + y**-1.5
            + torch.sqrt(y)
            + torch.rsqrt(y)
            + x.square()
            + 2.0**x
            + torch.pow(y, 0.5)
        )
        b = torch.exp(0.1 * x) + torch.expm1(x) + torch.log(y) + torch.log2(y) + torch.log10(y) + torch.log1p(y) + torch.exp2(x)
        c = torch.sinh(x) + torch.cosh(x) + torch.tanh(x) + torch.asinh(x) + torch.atanh(0.5 * torch.tanh(x)) + torch.erf(x) + torch.erfc(x)
        d = torch.sigmoid(x) + torch.logit(torch.sigmoid(x)) + torch.abs(x) + torch.neg(x) + torch.maximum(x, -x) + torch.minimum(x, y)
        e = torch.clamp(x, -0.5, 0.5) + x.clamp(min=0.0) + x.clip(max=0.3) + torch.lerp(x, y, 0.3) + torch.addcmul(x, x, y, value=0.5)
        return a + b + c + d + e


NORM = nn.BatchNorm1d(6)
NORM.running_mean, NORM.running_var = 0.3 * torch.randn(6), torch.rand(6) + 0.5
COMPILED = {
    "Linear": nn.Linear(6, 3), "Identity": nn.Identity(), "Dropout": nn.Dropout(0.5), "AlphaDropout": nn.AlphaDropout(0.5),
    "Flatten": nn.Flatten(), "Unflatten": nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Flatten()), "BatchNorm1d": NORM,
    "LayerNorm": nn.LayerNorm(6), "GroupNorm": nn.GroupNorm(2, 6), "RMSNorm": nn.RMSNorm(6), "GELU": nn.GELU(),
    "GELU(approximate='tanh')": nn.GELU(approximate="tanh"), "Tanh": nn.Tanh(), "Sigmoid": nn.Sigmoid(), "ReLU": nn.ReLU(),
    "ReLU6": nn.ReLU6(), "LeakyReLU": nn.LeakyReLU(0.1), "PReLU": nn.PReLU(6), "RReLU": nn.RReLU(), "ELU": nn.ELU(0.7),
    "SELU": nn.SELU(), "CELU": nn.CELU(1.3), "SiLU": nn.SiLU(), "Mish": nn.Mish(), "Softplus": nn.Softplus(2, 3.0),
    "Softsign": nn.Softsign(), "Hardtanh": nn.Hardtanh(), "Hardsigmoid": nn.Hardsigmoid(), "Hardswish": nn.Hardswish(),
    "Hardshrink": nn.Hardshrink(), "Softshrink": nn.Softshrink(0.2), "Tanhshrink": nn.Tanhshrink(), "LogSigmoid": nn.LogSigmoid(),
    "Threshold": nn.Threshold(0.1, 0.3), "GLU": nn.GLU(), "Softmax": nn.Softmax(-1), "LogSoftmax": nn.LogSoftmax(1),
    "Softmin": nn.Softmin(1),
    "GRUCell": Cells(), "LSTMCell": Cells(), "RNNCell": Cells(),
    "formulas": Formulas(), "in place": Residual(), "casts": Casts(), "assertions": Asserts(), "pieces": Pieces(), "filled": Filled(),
    "choices": Chosen(), "sums": Sums(), "products": Products(),
}  # fmt: skip


class Waves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x) + torch.cos(x) + torch.tan(0.1 * x) + torch.atan(x)


class Powers(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (1 + x * x) ** torch.tanh(x)


BY_TORCH = {"sin": Waves(), "cos": Waves(), "tan": Waves(), "atan": Waves(), "powers": Powers()}


def written(module):
    """The module in double precision, and as it is written out."""
    module = module.double().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frozen = torch.jit.freeze(torch.jit.script(module))
        return module, straightened(torch, frozen, {"x": 6}, torch.float64)[0]


def exact(module):
    with torch.no_grad():
        return module(torch.from_numpy(X)).numpy()


def listed(start):
    """Names between backticks in the row of the page's table that begins so."""
    row = next(line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {start}"))
    return set(re.findall(r"`([^`]+)`", row))


def test_the_page_lists_what_is_tried_here():
    """docs/learned.md names neither more nor less than what is compared below."""
    assert listed("layers, compiled") == {name for name in COMPILED if name[0].isupper()}
    tried = " ".join([Path(__file__).read_text(encoding="utf-8"), *COMPILED])
    for name in listed("layers, compiled") | listed("functions, compiled") | listed("by torch"):
        assert re.search(rf"(?<![A-Za-z_]){re.escape(name)}(?![a-z0-9])", tried), f"{name} is on the page and not tried here"
    assert listed("by torch") == set(BY_TORCH) - {"powers"}


@pytest.mark.parametrize("name", COMPILED)
def test_compiled(name):
    """To 2e-13 of the module in double precision, at 2000 random points."""
    torch.manual_seed(1)
    module, straight = written(COMPILED[name])
    program = lower_graph(straight, [6], "float64")
    expected = exact(module)
    error = np.abs(run(program, X.T).T - expected) / np.maximum(1.0, np.abs(expected))
    print(f"{error.max():.1e}, {len(program.ops)} operations")
    assert error.max() < 2e-13


@pytest.mark.parametrize("name", ["sin", "powers"])
def test_by_torch(name):
    """Not compiled, and said so; the same numbers from torch."""
    module, straight = written(BY_TORCH[name])
    with pytest.raises(Unsupported, match=r"aten::(sin|pow) cannot be lowered"):
        lower_graph(straight, [6], "float64")
    np.testing.assert_allclose(call(straight, Columns(None, X, None, None))[0], exact(module), rtol=1e-14, atol=1e-14)


def refused(body):
    scope = {"torch": torch, "nn": nn, "F": F, "Tensor": Tensor}
    return type("Made", (nn.Module,), {"forward": eval(f"lambda self, x: {body}", scope)})()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("x - x.mean(0)", "a row's result depends on other rows"), ("torch.softmax(x, 0)", "a row's result depends on other rows"),
        ("torch.cumsum(x, 0)", "a row's result depends on other rows"), ("x.flip(0)", "a row's result depends on other rows"),
        ("x + torch.ones_like(x).sum()", "a row's result depends on other rows"), ("x[:500]", "a row's result depends on other rows"),
        ("F.batch_norm(x, None, None, training=True)", "a row's result depends on other rows"),
        ("x.long().to(x.dtype)", "makes whole numbers of values"), ("x + torch.rand_like(x)", "has no place in a channel"),
        ("F.dropout(x, 0.5)", "draws random numbers"),
        ("x.sort(1)[0]", "'aten::sort' has no place in a channel"), ("x.add_(1)", "changes its inputs"),
    ],
)  # fmt: skip
def test_refused(body, why):
    """What mixes rows, makes whole numbers, decides by values or changes what it was given; traced, so that any text can be tried."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.freeze(torch.jit.trace(refused(body).eval(), torch.rand(5, 6).double(), check_trace=False))
    with pytest.raises(Unwritable, match=why):
        rows(traced)


def rows(traced):
    """Written out; what that leaves is found by the walk over the rows."""
    from calcium_sim.errors import InputError
    from calcium_sim.networks.rowwise import check_rowwise
    from calcium_sim.networks.torchscript import inlined_graph, operator

    module = straightened(torch, traced, {"x": 6}, torch.float64)[0]
    try:
        check_rowwise(inlined_graph(module), module, operator, [6], "test")
    except InputError as error:
        raise Unwritable(error.message) from None


def test_changes_in_place_that_others_share_are_refused():
    """A number made of values, a part of a tensor that has been changed in place since, and a write into a part."""

    class Shared(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            h = x * 2.0
            part = h[:, :3]
            h += 1.0
            return torch.cat([h, part], 1)

    class Part(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            h = x * 2.0
            h[:, 0] = h[:, 1]
            return h

    class Decides(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * float(x.sum().item())

    for module, why in (
        (Decides(), "makes a number or a decision of values"),
        (Shared(), "changes a tensor in place of which another one is a part"),
        (Part(), "put tensors together with torch.cat"),
    ):
        with pytest.raises(Unwritable, match=why):
            written(module)
