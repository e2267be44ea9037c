"""What a network is shown and what is believed of it: ranges, bounds, rates that are both 0, numbers that are none, on every path."""

import hashlib
import json
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import calcium_sim as cs
from calcium_sim.errors import InputError, RunStopped
from calcium_sim.meshes import neurite, well_mixed
from calcium_sim.presets import breit_queisser

PATHS = ("compiled", "torch")


class Hill(nn.Module):
    """Rates from calcium."""

    def forward(self, x: Tensor):
        return 1.5 * x * x, 0.1 + 0.0 * x


class Opened(nn.Module):
    """An open probability that reads two ports, so that no table stands in for it."""

    def forward(self, x: Tensor) -> Tensor:
        c, e = x[:, 0:1], x[:, 1:2]
        return c / (c + 1.0) + 0.0 * e


class Wild(nn.Module):
    """P far out of bounds in a band of 0.2 pM about 2 uM: trials of some thousand random points do not meet it."""

    def __init__(self, high: float) -> None:
        super().__init__()
        self.high = high

    def forward(self, x: Tensor) -> Tensor:
        c, e = x[:, 0:1], x[:, 1:2]
        band = torch.relu(1.0 - 1e7 * torch.abs(c - 2.0))
        return 0.5 + 0.0 * e + band * self.high


class Never(nn.Module):
    """No number in such a band: 0 times an exponential that overflows."""

    def forward(self, x: Tensor) -> Tensor:
        c, e = x[:, 0:1], x[:, 1:2]
        band = torch.relu(1.0 - 1e7 * torch.abs(c - 2.0))
        return 0.5 + 0.0 * e + 0.0 * torch.exp(1e4 * band)


class Silent(nn.Module):
    """Opening and closing rates that are both 0 below 1 uM."""

    def forward(self, x: Tensor):
        z = torch.relu(x - 1.0)
        return 2.0 * z, 0.5 * z


class Where(nn.Module):
    """An open probability that cannot be lowered."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 1.0, x / (x + 1.0), 0.5 * x) + 0.0 * torch.sin(x)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("channels")


def loaded(module, folder, path="compiled", **options):
    """A fresh channel class of a file that is written once: it is tried in a process of its own only then."""
    name = type(module).__name__.lower()
    told = hashlib.sha256(repr((name, vars(module).get("high"), options)).encode()).hexdigest()[:8]
    file = folder / f"{told}.pt"
    options = {"name": name, "kind": "open_prob", "licence": "MIT", "inputs": {"ca@cytosol": ("uM", 0.01, 10)}} | options
    if not file.exists():
        cs.export_channel(module.double(), file, dtype="float64", **options)
    channel = cs.load_channel(file)
    if path == "torch":
        channel.gate.cache["unsupported"] = "test"
    return channel


TWO = {"ca@cytosol": ("uM", 0.01, 10), "ca@er": ("uM", 1, 1000)}


def point(channel, start, later=None, **options):
    """Calcium of a point that stays where it is put: nothing flows."""
    mesh = well_mixed({"cytosol": "1 um^3", "er": "1 um^3"}, {"er": (("er", "cytosol"), "1 um^2")})
    initial = {"cytosol": f"{start} uM", "er": "250 uM", "outside": "1000 uM"}
    ca = cs.Species("ca", diffusion={"cytosol": "0 um^2/s", "er": "0 um^2/s"}, initial=initial)
    stimuli = [cs.Set("ca", f"{later} uM", time="1 ms")] if later is not None else []
    return cs.Model(mesh, [ca], {"er": [channel(density="0 1/um^2", **options)]}, stimuli=stimuli)


def told(record):
    return [str(w.message) for w in record if issubclass(w.category, UserWarning)]


@pytest.mark.parametrize("path", PATHS)
def test_inputs_out_of_range_are_told_once_with_numbers(folder, path):
    """The share, the input, the extreme and the time, at the end of a run; the result keeps them. Fewer than a hundred: kept, not told."""
    channel = loaded(Hill(), folder, path, kind="rates", states={"P": "steady"}, inputs={"ca@cytosol": ("uM", 0.01, 3)})
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        ds = cs.simulate(point(channel, 0.5, 7.5), "4 ms", "1 ms", dt="0.01 ms")
    about = [t for t in told(record) if "outside its trained range" in t]
    kept = json.loads(ds.attrs["out_of_range"])["hill"]["ca@cytosol"]
    print(about, kept)
    assert len(about) == 1
    assert "'hill'" in about[0]
    assert f"ca@cytosol {kept['outside']} times of {kept['evaluations']}" in about[0]
    assert "up to 7.5 uM" in about[0]
    assert "first by t=2 ms" in about[0]
    assert kept["seen"] == [7.5, 7.5]
    assert (kept["range"], kept["first_ms"]) == ([0.01, 3.0], 2.0)
    assert kept["outside"] / kept["evaluations"] == pytest.approx(0.75, abs=0.02)
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        ds = cs.simulate(point(channel, 0.5, 7.5), "1.2 ms", "0.2 ms", dt="0.01 ms")
    assert 0 < json.loads(ds.attrs["out_of_range"])["hill"]["ca@cytosol"]["outside"] < 100
    assert not [t for t in told(record) if "outside its trained range" in t]


def test_a_run_by_hand_is_told_too(folder):
    channel = loaded(Hill(), folder, kind="rates", states={"P": "steady"}, inputs={"ca@cytosol": ("uM", 0.01, 3)})
    sim = cs.Simulation(point(channel, 0.5, 7.5), dt="0.01 ms")
    with pytest.warns(UserWarning, match=r"up to 7\.5 uM"):
        sim.run("4 ms")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sim.run("5 ms")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("policy", "kind"), [("warn", None), ("error", RunStopped)])
def test_policies(folder, path, policy, kind):
    """warn: at once and at the end; error: stops, with the numbers."""
    options = {"kind": "rates", "states": {"P": "steady"}, "inputs": {"ca@cytosol": ("uM", 0.01, 3)}, "out_of_range": policy}
    model = point(loaded(Hill(), folder, path, **options), 0.5, 7.5)
    if kind is RunStopped:
        with pytest.raises(
            RunStopped, match=r"'hill' was evaluated outside its trained range \(ca@cytosol \d+ times of \d+ .* up to 7\.5 uM"
        ):
            cs.simulate(model, "4 ms", "1 ms", dt="0.01 ms")
        return
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        cs.simulate(model, "4 ms", "1 ms", dt="0.01 ms")
    about = [t for t in told(record) if "outside its trained range" in t]
    assert len(about) == 2, about
    assert "it extrapolates there" in about[1]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("value", "bound"), [(1e30, 1.0), (-3e3, 0.0)])
def test_bounds_hold_whatever_the_network_returns(folder, path, value, bound):
    """P of 1e30 or -3000 in a narrow band becomes 1 or 0, is counted and told by name."""
    channel = loaded(Wild(value), folder, path, inputs=TWO)
    with pytest.warns(UserWarning, match=r"'wild' returned values out of bounds: open probability \d+ times of .*the network is faulty"):
        ds = cs.simulate(point(channel, 0.5, 2.0), "2 ms", "0.5 ms", dt="0.01 ms")
    assert float(ds.po_wild[0, 0]) == 0.5
    assert float(ds.po_wild[-1, 0]) == bound
    assert json.loads(ds.attrs["out_of_range"])["wild"]["open probability"]["outside"] > 0


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("step", [{"dt": "0.01 ms"}, {}], ids=["fixed", "chosen"])
def test_no_number_is_blamed_on_the_network(folder, path, step):
    """0 times infinity: the run stops by the name of the network, not for too large a step."""
    model = point(loaded(Never(), folder, path, inputs=TWO), 0.5, 2.0)
    with pytest.raises(RunStopped, match="the network of 'never' returned no number") as stopped:
        cs.simulate(model, "2 ms", "0.5 ms", **step)
    assert "\n" not in str(stopped.value)


def test_no_number_at_rest_is_refused(folder):
    with pytest.raises(InputError, match=r"never: the network returns nan at ca@cytosol = 2 uM, ca@er = 250 uM"):
        cs.Simulation(point(loaded(Never(), folder, inputs=TWO), 2.0))


def test_a_band_of_a_network_of_one_port_is_found_when_it_is_prepared(folder):
    """There the places where it bends are known."""

    class OnePort(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 0.5 + 100.0 * torch.relu(1.0 - 1e5 * torch.abs(x - 2.0))

    globals()["OnePort"] = OnePort
    with pytest.raises(InputError, match=r"open probability = .* is out of bounds at ca@cytosol = [12]\."):
        cs.Simulation(point(loaded(OnePort(), folder), 0.5))


@pytest.mark.parametrize(
    ("place", "path"), [("point", "compiled"), ("point", "torch"), ("grid", "compiled"), ("grid", "torch"), ("cable", "compiled")]
)
def test_rates_that_are_both_zero_keep_the_gate(folder, path, place):
    """P stays at its start to the last bit while both rates are 0, on every kind of mesh; at rest a warning tells."""
    channel = loaded(Silent(), folder, path, kind="rates", states={"P": "steady"})
    if place == "point":
        model = point(channel, 0.5, initial={"P": 0.3})
    else:
        mesh = neurite("1 um", "0.4 um", "0.15 um", "0.1 um", dims=2 if place == "grid" else 1)
        model = breit_queisser(mesh, stimulus=False)
        model = model.swap("ryr/keizer-levine", channel(density="0 1/um^2", initial={"P": 0.3}))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torch is called")
        ds = cs.simulate(model, "1 ms", "0.5 ms", dt="0.01 ms")
    assert (ds.po_silent.values == 0.3).all()
    with pytest.warns(UserWarning, match="silent: opening and closing rates of P are 0 at rest"):
        sim = cs.Simulation(point(channel, 0.5))
    assert sim.state.y[sim.plan.gauges[0].states[0]].tolist() == [0.0]


def test_a_network_without_states_runs_in_torch(folder):
    """An open probability with an operation that is not compiled: its value at the last step, on points, grids and cables."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torch is called")
        channel = loaded(Where(), folder)
        ds = cs.simulate(point(channel, 0.5, 3.0), "2 ms", "0.5 ms", dt="0.01 ms")
        assert ds.po_where[:, 0].values.tolist() == pytest.approx([0.25, 0.25, 0.25, 0.75, 0.75], rel=1e-12)
        for dims in (1, 2):
            mesh = neurite("1 um", "0.4 um", "0.15 um", "0.1 um", dims=dims)
            model = breit_queisser(mesh, stimulus=False).swap("ryr/keizer-levine", channel(density="0 1/um^2"))
            ds = cs.simulate(model, "0.1 ms", "0.05 ms", dt="0.01 ms")
            assert ds.po_where.values == pytest.approx(0.025, rel=1e-9)


def test_active_belongs_to_the_state():
    """A copy that is continued, and a state that is put back after other steps, give the same bits; without that they did not."""
    model = breit_queisser(neurite("10 um", "0.4 um", "0.15 um", "0.1 um"), buffer="40 uM").swap("ryr/keizer-levine", "ryr/dnn")
    sim = cs.Simulation(model, dt="0.02 ms", active=0.05)
    sim.advance(2.0)
    saved = sim.state.copy()
    sim.advance(4.0)
    straight = sim.state.copy()
    sim.state.assign(saved)
    sim.stepper.advance(sim.state, 0.5, 3, sim.drive.clock(sim.t, 4.0))  # steps far too long, as a check takes them, then put back
    sim.state.assign(saved)
    sim.advance(4.0)
    again = sim.state
    print(np.abs(again.u - straight.u).max())
    assert again.u.tobytes() == straight.u.tobytes()
    assert again.y.tobytes() == straight.y.tobytes()
    other = cs.Simulation(model, dt="0.02 ms", active=0.05)
    other.state.assign(saved)
    other.advance(4.0)
    assert other.state.u.tobytes() == straight.u.tobytes()
