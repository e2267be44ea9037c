"""Honest networks pass and keep their bits; what breaks its card is refused, and the trial process ends what does not end."""

from __future__ import annotations

import copy
import io
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import calcium_sim as cs
from calcium_sim.admission.admit import Admitted, admit, admit_bytes
from calcium_sim.admission.card import card_from
from calcium_sim.errors import InputError
from calcium_sim.networks import torchscript
from calcium_sim.networks import trial as probing
from calcium_sim.networks.inputs import sample


class Gates(nn.Module):
    """An ensemble of small networks, one per gate."""

    def __init__(self) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nn.Sequential(nn.Linear(1, 8), nn.SiLU(), nn.Linear(8, 2)) for _ in range(3))
        self.register_buffer("mean", torch.tensor([1.0]))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        xinf, tau = [], []
        for net in self.nets:
            out = net((x - self.mean) / 2.0)
            xinf.append(torch.sigmoid(out[:, 0:1]))
            tau.append(torch.exp(out[:, 1:2].clamp(-5.0, 5.0)))
        return torch.cat(xinf, 1), torch.cat(tau, 1)


class Cell(nn.Module):
    """A recurrent cell written out."""

    def __init__(self) -> None:
        super().__init__()
        self.ih, self.hh = nn.Linear(1, 9), nn.Linear(3, 9)

    def forward(self, s: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        r, z, n = self.ih(x).chunk(3, 1)
        a, b, c = self.hh(s).chunk(3, 1)
        z = torch.sigmoid(z + b)
        return (1.0 - z) * torch.tanh(n + torch.sigmoid(r + a) * c) + z * s


class Rates(nn.Module):
    """Log-rates with a linear skip, as in the hybrid of a network and the wave equations."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2))
        self.skip = nn.Linear(3, 2, bias=False)

    def forward(self, s: torch.Tensor, x: torch.Tensor, dx: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z = torch.cat((s, torch.log10(x), torch.asinh(5.0 * dx)), 1)
        y = torch.exp(torch.clamp(self.net(z) + self.skip(z), -20.0, 10.0))
        return y[:, :1], y[:, 1:]


class Mixed(nn.Module):
    """Other permitted pieces: layer norm, in-place activations, a branch on a constant, minimum and where."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(1, 6), nn.LayerNorm(6), nn.ReLU(inplace=True), nn.Linear(6, 6), nn.Softplus(), nn.ELU(inplace=True)
        )
        self.double = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.net(x).sum(1, keepdim=True)
        if self.double:
            y = y * 2
        return torch.minimum(torch.sigmoid(y), torch.where(x > 1, torch.tanh(x), torch.sigmoid(x)))


SIZES = {"Open": (1,), "Gates": (1,), "Cell": (3, 1), "Rates": (1, 1, 1), "Mixed": (1,)}


def arguments(name: str, n: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(n)
    return tuple(torch.rand(n, k, generator=generator) + 0.1 for k in SIZES[name])


def forms(module: nn.Module, example: tuple[torch.Tensor, ...]) -> dict[str, torch.jit.ScriptModule]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(module)
        traced = torch.jit.trace(module, example)
        return {"scripted": scripted, "traced": traced, "frozen": torch.jit.freeze(scripted), "traced and frozen": torch.jit.freeze(traced)}


def flat(out: torch.Tensor | tuple[torch.Tensor, ...]) -> list[bytes]:
    return [t.detach().contiguous().numpy().tobytes() for t in (out if isinstance(out, tuple) else (out,))]


@pytest.mark.parametrize("name", SIZES)
def test_honest_networks_pass_and_keep_their_bits(name: str, tools) -> None:
    """Scripted, traced, frozen or not, float32 and float64: admitted, and equal bit for bit to the file loaded by torch alone."""
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(1)
        module = (tools.Open if name == "Open" else globals()[name])().eval().to(dtype)
        inputs = [tuple(a.to(dtype) for a in arguments(name, n)) for n in (1, 7, 300)]
        for form, script in forms(module, inputs[1]).items():
            data = tools.save(script)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                original = torch.jit.load(io.BytesIO(data))
                rewritten = torch.jit.load(io.BytesIO(admit_bytes(data, form).archive))
            loaded = torchscript.load_module(admit_bytes(data, form))
            for given in inputs:
                expected = flat(original(*given))
                assert flat(rewritten(*given)) == expected, form
                assert flat(loaded(*given)) == expected, form


def test_recurrent_modules_are_refused_with_advice(tools, tmp_path: Path) -> None:
    """nn.GRU carries error branches; the refusal says how to write it."""

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(1, 1, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(self.gru(x.unsqueeze(1))[0][:, 0])

    with pytest.raises(
        InputError, match=r"write the file with export_channel, or write the cell out with linear and elementwise functions"
    ):
        admit_bytes(tools.save(Recurrent()), "gru.pt")
    with pytest.raises(InputError, match=r"'net.gru' is GRU over a sequence.*write the cell out with linear and elementwise functions"):
        cs.export_channel(Recurrent(), tmp_path / "gru.pt", kind="open_prob", inputs={"ca@cytosol": ("uM", 0.1, 5)}, licence="MIT")
    assert not list(tmp_path.iterdir())


def test_second_net_stops_what_the_first_would_have_missed(tools) -> None:
    """An archive that is handed over as if it had been admitted: the graph itself is walked."""

    class Sneaky(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(x) + torch.zeros([1])

    with pytest.raises(InputError, match=r"operation 'aten::zeros' in the graph"):
        torchscript.load_module(Admitted(tools.save(Sneaky()), "0" * 64, card_from(tools.CARD), "sneaky.pt"))


class Doubling(nn.Module):
    """2^33 times the rows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, i = torch.sigmoid(x), 0
        while i < 33:
            y = torch.cat((y, y), 0)
            i += 1
        return y[: x.size(0)]


class Endless(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        i = 0
        while i < 1000000000000:
            i += 1
        return torch.sigmoid(x)


class Writer(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        t = torch.from_file("victim.bin", shared=True, size=4, dtype=torch.uint8).fill_(65)
        return torch.sigmoid(x) + t.sum() * 0


def digest(path: Path, data: bytes) -> str:
    import hashlib

    path.write_bytes(data)
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("module", "seconds", "message"),
    [(Endless(), 2.0, "not done after 2 s"), (Writer(), 60.0, "unable to open file"), (Doubling(), 60.0, "can't allocate memory")],
    ids=["loop", "file", "memory"],
)
def test_trial_process_ends_what_does_not_end(module, seconds, message, tools, tmp_path: Path, monkeypatch) -> None:
    """Trusted by hash, so that the first examination does not stop it: the trial process does, and touches no file."""
    monkeypatch.chdir(tmp_path)
    Path("victim.bin").write_bytes(b"safe")
    trust = digest(tmp_path / "model.pt", tools.save(module))
    with pytest.raises(InputError, match=message) as told:
        probing.probe(admit(tmp_path / "model.pt", trust), trial_s=seconds)
    print(told.value)
    assert "\n" not in str(told.value)
    assert Path("victim.bin").read_bytes() == b"safe"


def test_trust_is_of_the_bytes(tools, tmp_path: Path, monkeypatch) -> None:
    """A refused file needs its own hash, given or in trusted_models.toml; another hash or another byte does not do."""
    path = tmp_path / "model.pt"
    trust = digest(path, tools.save(Endless()))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with pytest.raises(InputError, match="While is not permitted"):
        cs.load_channel(path)
    assert admit(path, trust).trusted
    with pytest.raises(InputError, match="trust was given to sha256:0000"):
        cs.load_channel(path, trust="sha256:" + "0" * 64)
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        cs.load_channel(path, trust="yes")
    listed = tmp_path / "config" / "calcium-sim" / "trusted_models.toml"
    listed.parent.mkdir(parents=True)
    listed.write_text(f'trusted = ["{trust}"]\n')
    assert issubclass(cs.load_channel(path), cs.Channel)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match="refused"):
        cs.load_channel(path)


class Biased(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([factor]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log10(x - self.factor)


class Inplace(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(torch.relu_(x))


class Pairs(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(torch.cat((x, x), 1))


class Fixed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x - x.mean())[:500]


@pytest.mark.parametrize(
    ("module", "ranges", "message"),
    [
        (Biased(1.0), (0.01, 50), r"open probability is not finite at ca@cytosol = "),
        (Biased(-30.0), (0.01, 50), r"open probability = 1\.\d+ is out of bounds at ca@cytosol = "),
        (Inplace(), (-50, 50), r"changes its inputs|differs"),
        (Pairs(), (0.01, 50), r"returns 2 columns, kind 'open_prob' expects 1 \(return \[open"),
        (Fixed(), (0.01, 50), r"a row's result depends on other rows"),
    ],
)
def test_export_refuses_what_breaks_its_card(module: nn.Module, ranges, message: str, tmp_path: Path) -> None:
    """Not finite, out of bounds, in-place, wrong shapes: one line, nothing written."""
    spec = {"v": ("mV", *ranges)} if isinstance(module, Inplace) else {"ca@cytosol": ("uM", *ranges)}
    with pytest.raises(InputError, match=message):
        cs.export_channel(module, tmp_path / "bad.pt", kind="open_prob", inputs=spec, licence="MIT")
    assert not list(tmp_path.iterdir())


def test_a_users_network_from_module_to_reference_values(tools, tmp_path: Path) -> None:
    """Export, load, trial in the child, evaluation: the values of the module; the caller's module and warnings settings are left alone."""
    module = tools.Open()
    before = copy.deepcopy(module.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs = {"ca@cytosol": ("uM", 0.01, 50)}
        cs.export_channel(module, tmp_path / "my.pt", kind="open_prob", inputs=inputs, flux="linear", licence="MIT")
        channel = cs.load_channel(tmp_path / "my.pt")
        columns = sample(channel.gate.card, 1000)
        (po,) = channel.gate.evaluate(columns)
    expected = module(torch.from_numpy(columns.x)).detach().numpy()
    print("largest difference", np.abs(po - expected).max())
    np.testing.assert_allclose(po, expected, rtol=1e-6)
    assert module.training
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    shuffled = np.random.default_rng(0).permutation(1000)[:300]
    part = channel.gate.evaluate(type(columns)(None, columns.x[shuffled[:256]], None, None))[0]
    assert part.shape == (256, 1)
    assert (channel.name, channel.across, channel.reads) == ("my", ("er", "cytosol"), {"ca_cytosol": "ca@cytosol", "ca_er": "ca@er"})


def test_without_source_a_module_is_traced(tmp_path: Path) -> None:
    """A class typed at a prompt has no source text: traced at two batch sizes, equal to the module."""
    text = """
import torch
class Typed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(1, 4)
    def forward(self, x):
        return torch.sigmoid(self.a(x).sum(1, keepdim=True))
class Branch(Typed):
    def forward(self, x):
        return torch.sigmoid(x) if x.sum() > 0 else x
"""
    scope: dict = {"__name__": "typed"}
    exec(text, scope)
    sys.modules.setdefault("typed", type(sys)("typed"))
    card = cs.export_channel(scope["Typed"](), tmp_path / "t.pt", kind="open_prob", inputs={"ca@cytosol": ("uM", 0.01, 5)}, licence="MIT")
    assert card.name == "t"
    assert admit(tmp_path / "t.pt").card == card
    with pytest.raises(InputError, match="decision that depends on its values"):
        cs.export_channel(scope["Branch"](), tmp_path / "b.pt", kind="open_prob", inputs={"ca@cytosol": ("uM", 0.01, 5)}, licence="MIT")
