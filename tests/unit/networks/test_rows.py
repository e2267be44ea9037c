"""A node's channel must not see the other nodes: by the graph, whatever the values, and by comparing rows in other company."""

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import calcium_sim as cs
from calcium_sim.admission.card import card_from
from calcium_sim.admission.syntax import OPERATORS
from calcium_sim.errors import InputError
from calcium_sim.networks.inputs import check_rows
from calcium_sim.networks.rowwise import ELEMENTWISE, _Walk
from calcium_sim.networks.torchscript import call, evaluate

CARD = {
    "format": "calcium-sim/channel", "version": 1, "name": "test", "kind": "open_prob", "args": ["x"], "states": [], "dtype": "float32",
    "inputs": [{"port": "ca@cytosol", "unit": "uM", "min": 0.01, "max": 50}],
    "flux": {"law": "linear", "moves": {"ca": 1}, "from": "er", "to": "cytosol", "k": 0.01, "unit": "um^3/ms"}, "licence": "MIT",
}  # fmt: skip


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(1, 8), nn.Linear(8, 1)

    def net(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.last(torch.tanh(self.first(x))))


class MeanOfRows(Base):
    def forward(self, x: Tensor) -> Tensor:
        z = torch.log(x)
        return self.net(z - z.mean(0))


class MeanOfAll(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(x - x.mean())


class ShareOfSum(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(x / x.sum())


class Gram(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(torch.tanh(x @ x.t()) @ x)


class Turned(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(torch.cat([x[1:], x[:1]], 0))


class Little(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(x + 1e-9 * x.mean(0, keepdim=True))


class Asleep(Base):
    """Mixes rows only where one of them is above 49.9999 uM: no trial need ever see that."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x + torch.where(x > 49.9999, x.sum(0, keepdim=True), torch.zeros_like(x)))


class Counted(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(x / x.size(0))


class Reshaped(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(self.first(x).view(8, -1)[:1].view(-1, 1))


class Normed(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(nn.functional.layer_norm(x.t().unsqueeze(0), [1, x.size(0)]).squeeze(0).t())


class Decides(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) * 0.5 if bool(x.sum() > 1.0) else self.net(x)


class Whole(Base):
    """Whole numbers from inputs: a division of the smallest by -1 ends the process."""

    def forward(self, x: Tensor) -> Tensor:
        count = torch.sum(x, [1], keepdim=True, dtype=torch.int64)
        return self.net(x) + torch.div(count, count + 1, rounding_mode="trunc") * 0.0


class Keeps(nn.Module):
    """A list that outlives the call."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = [0]

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(1)
        return torch.sigmoid(x) if len(self.seen) < 60 else torch.sigmoid(-x)


MIXED = (MeanOfRows, MeanOfAll, ShareOfSum, Gram, Turned, Little, Asleep, Counted, Reshaped, Normed)


class Many(Base):
    """Permitted ways to move data about that keep rows apart."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).view(x.size(0), 2, 4)
        pairs = torch.bmm(h, h.transpose(1, 2)).sum([1, 2]).unsqueeze(1)
        turned = (self.last.weight @ self.first(x).t()).t()
        low, high = torch.chunk(self.first(torch.where(x > 1.0, x, 0.5 * x)), 2, 1)
        halves = nn.functional.layer_norm(low, [4]).mean(-1, keepdim=True) + torch.stack(high.unbind(1), 0).permute(1, 0)[:, 1:2]
        return torch.sigmoid(1e-3 * pairs + turned + halves)


class Exact(Base):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(nn.functional.gelu(self.last(self.first(x))))


def export(module, path, **options):
    options = {"kind": "open_prob", "inputs": {"ca@cytosol": ("uM", 0.01, 50)}, "licence": "MIT"} | options
    return cs.export_channel(module, path, **options)


@pytest.mark.parametrize("module", MIXED, ids=lambda m: m.__name__)
def test_rows_that_know_each_other_are_refused(module, tmp_path):
    """Refused at export in one line that says so; nothing is written."""
    with pytest.raises(InputError, match="a row's result depends on other rows") as told:
        export(module(), tmp_path / "a.pt")
    print(told.value)
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", [Decides, Whole, Keeps], ids=lambda m: m.__name__)
def test_decisions_whole_numbers_and_memories_are_refused(module, tmp_path):
    """What depends on values in jumps, or on earlier calls, has no place in a channel."""
    with pytest.raises(InputError, match=r"refused") as told:
        export(module(), tmp_path / "a.pt")
    print(told.value)
    assert not list(tmp_path.iterdir())


def test_other_arrangements_pass(tmp_path):
    """Views, products per row, transposed products with constants, norms over columns, exact GELU."""
    for module in (Many, Exact):
        assert export(module(), tmp_path / f"{module.__name__}.pt").kind == "open_prob"


def test_a_file_that_was_not_exported_by_us_is_refused_too(tmp_path):
    """Written by torch alone, refused where it is first loaded."""
    import json

    path = tmp_path / "strange.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.freeze(torch.jit.script(Asleep().eval())), str(path), _extra_files={"channel.json": json.dumps(CARD)})
    gate = cs.load_channel(path).gate
    with pytest.raises(InputError, match="a row's result depends on other rows"):
        gate.module()


def test_every_permitted_operator_has_a_rule():
    """Each is elementwise, has a method, or is a number's."""
    numbers = {"dim", "size", "append", "len", "__not__", "__is__", "__isnot__"}
    missing = {n for n in OPERATORS if n.rstrip("_") not in ELEMENTWISE and not hasattr(_Walk, f"on_{n.rstrip('_')}")} - numbers
    assert not missing, missing


def shifted(x):
    return np.roll(x, 1, 0)


@pytest.mark.parametrize(
    "mix",
    [lambda x: x - x.mean(0), lambda x: x + 1e-6 * x.mean(), lambda x: np.cumsum(x, 0), lambda x: np.sort(x, 0), shifted,
     lambda x: x / np.float32(len(x)), lambda x: np.where(np.arange(len(x))[:, None] == 0, x, x[:1])],
    ids=["mean", "little", "cumsum", "sort", "roll", "count", "first"],
)  # fmt: skip
def test_rows_in_other_company(mix):
    """Where the graph is not looked at (a trusted file), results are compared: rows in other company, alone, in another order."""
    card = card_from(CARD)

    def network(columns):
        return (1.0 / (1.0 + np.exp(-mix(columns.x).astype(np.float32))),)

    with pytest.raises(InputError, match="a row's result depends on other rows"):
        check_rows(card, network, "test")
    check_rows(card, lambda columns: (1.0 / (1.0 + np.exp(-columns.x)),), "test")


def test_shipped_networks_keep_rows_apart_to_rounding():
    """Other places and numbers of rows change results by rounding only: 4e-6 relative measured in float32, where 1e-4 is allowed."""
    from pathlib import Path

    from calcium_sim.networks.inputs import sample

    for name in ("ryr-dnn.pt", "ryr-dnn-latent.pt", "ip3r-dnn.pt"):
        gate = cs.load_channel(Path(__file__).parents[3] / "channels" / "data" / name).gate
        columns, order = sample(gate.card, 1000, 5), np.random.default_rng(0).permutation(1000)
        for method in (call, evaluate):
            out, part = method(gate.module(), columns.copy()), method(gate.module(), columns.take(order[:7]))
            worst = max(float((np.abs(a[order[:7]] - b) / np.maximum(np.abs(b), 1e-3)).max()) for a, b in zip(out, part, strict=True))
            print(name, method.__name__, worst)
            assert worst < 2e-5
