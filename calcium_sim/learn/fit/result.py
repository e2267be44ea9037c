"""What a fit returns: the network, its card, its errors on data that it never saw, and a picture of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...mesh import Floats
from .training import History

if TYPE_CHECKING:
    from ...admission.card import Card
    from ...plugin import Channel

CLIP = (-20.0, 10.0)


@dataclass(frozen=True)
class Check:
    """Roll-outs on fresh traces: `true` and `found` open probability (traces, samples), its `errors` (root mean square, per trace)."""

    time: Floats
    input: Floats
    true: Floats
    found: Floats
    errors: Floats
    port: str


@dataclass(frozen=True)
class FitResult:
    """A trained channel.

    Attributes
    ----------
    module : the torch module, kind ``rates`` or ``rhs``.
    card : entries of the channel's card (arguments of `calcium_sim.networks.export.save_weights` without the arrays).
    errors : figures on fresh traces, also on the card: ``rollout_rmse_median``, ``_90``, ``_max``, ``lowest``, ``highest`` of P.
    check : the fresh traces, the truth and the network's answer.
    history : validation error during training.
    seconds : CPU time of the training.
    beside : what a cell shows the network, beside its trained range; see `cell.compared`.
    """

    module: Any
    card: dict[str, Any]
    errors: dict[str, float]
    check: Check = field(repr=False)
    history: History = field(repr=False)
    seconds: float
    beside: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Registry name."""
        return str(self.card["name"])

    def ranges(self) -> list[tuple[str, tuple[str, float, float, float]]]:
        """Ports with unit, trained range, and the largest rate of change."""
        return [(port, (row["unit"], row["min"], row["max"], row["dx_max"])) for port, row in self.card["inputs"].items()]

    def describe(self, **training: Any) -> FitResult:
        """A copy whose card says more about the training, e.g. ``command=...`` or a wave's speed."""
        return replace(self, card={**self.card, "training": {**self.card["training"], **training}})

    def save(self, path: str | os.PathLike[str]) -> Card:
        """Write the channel: weights and card in one ``.npz``, or TorchScript with the card inside in a ``.pt``.

        Raises
        ------
        InputError
            If the suffix is another, or the file cannot be written.
        """
        from ...networks.export import export_channel, save_weights

        card = dict(self.card)
        if Path(path).suffix == ".pt":
            return export_channel(self.module, path, **card)
        return save_weights(path, self.module.arrays(), **card)

    def channel(self) -> type[Channel]:
        """The channel's class, ready for a model; `save` it first to use it by name in other runs."""
        import tempfile

        from ...networks.channel import load_channel

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "fitted.npz"
            self.save(file)
            return load_channel(file)

    def picture(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the median and the worst roll-outs, and the errors of all; see `pictures.draw_fits`."""
        from .pictures import draw_fits

        return draw_fits([self], path)

    def __str__(self) -> str:
        e = self.errors
        ranges = ", ".join(
            f"{port} {low:g} to {high:g} {unit}, up to {rate:g} {unit}/ms" for port, (unit, low, high, rate) in self.ranges()
        )
        return (
            f"{self.name}: RMSE of the open probability rolled out on {len(self.check.errors)} fresh traces: "
            f"median {e['rollout_rmse_median']:.2g}, 90 % {e['rollout_rmse_90']:.2g}, largest {e['rollout_rmse_max']:.2g}; "
            f"{self.seconds:.0f} s of CPU\n"
            f"trained on {ranges}: what a run shows it beyond is clamped, and told at the end of the run"
            + "".join(f"\n{line}" for line in self.beside)
        )


def make_card(
    name: str, module: Any, kind: str, states: Mapping[str, int],
    ports: Mapping[str, Mapping[str, Any]], k: float, training: Mapping[str, Any], citation: list[str], licence: str,
) -> dict[str, Any]:  # fmt: skip
    """Card entries of a network whose release is ``k P (c_er - c_cytosol)`` per receptor, k in um^3/ms."""
    layers = [module.linears[0].in_features, *(linear.out_features for linear in module.linears)]
    fast: dict[str, Any] = {"arch": "mlp", "layers": layers, "act": "tanh", "skip": module.skip is not None}
    fast |= {"out": "exp", "clip": list(CLIP)} if kind == "rates" else {"out": "identity"}
    fast["inputs"] = list(module.transforms)
    return {
        "name": name,
        "kind": kind,
        "args": ["s", "x", "dx"],
        "states": dict.fromkeys(states, "steady"),
        "powers": list(states.values()),
        "inputs": dict(ports),
        "dtype": "float32",
        "flux": "linear",
        "across": ("er", "cytosol"),
        "k": float(f"{k:.7g}"),
        "licence": licence,
        "citation": citation,
        "training": dict(training),
        "fast": fast,
    }
