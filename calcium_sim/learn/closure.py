"""The scalar law of Keizer and Levine's reduction as a TorchScript module: a learned channel without learning, the ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..model.registry import get_channel
from ..networks.export import export_channel

NAME = "ryr/keizer-levine-closure"


def closure_module() -> Any:
    """Return the module dP/dt = F(P, u, du/dt) of `ryr/scalar-law`, in double precision; its constants come from that channel's table."""
    import torch

    rates = {name: float(row.default or 0.0) for name, row in get_channel("ryr/scalar-law").parameter_table().items()}

    class Closure(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = rates["ka_on"] / rates["ka_off"]
            self.b = rates["kb_on"] / rates["kb_off"]
            self.c = rates["kc_on"] / rates["kc_off"]
            self.off = rates["kc_off"]

        def forward(self, s: torch.Tensor, x: torch.Tensor, dx: torch.Tensor) -> torch.Tensor:
            cube = x * x * x
            a = self.a * (cube * x)
            n = 1.0 + self.b * cube
            whole = 1.0 + a * n
            slope = (3.0 * self.b * cube / n + 4.0) / (x * whole)
            available = whole / (whole + a * self.c)
            return s * (slope * dx) + self.off * (a * n / whole - s / available)

    return Closure().double()


def export_closure(path: str | Path) -> None:
    """Write the module as a channel file."""
    law = get_channel("ryr/scalar-law").parameter_table()
    release = float(law["rate"].default or 0.0) / float(law["ca_ref"].default or 1.0)
    export_channel(
        closure_module(),
        str(path),
        kind="rhs",
        name=NAME,
        inputs={"ca@cytosol": ("uM", 1e-4, 1e3, 1e5)},
        states={"P": ("steady", 0.0, 1.0)},
        k=release,
        dtype="float64",
        licence="Apache-2.0",
        out_of_range="warn",
        note=get_channel("ryr/scalar-law").note,
        citation=["Keizer & Levine 1996, reduction with fast activation; the scalar form is derived in calcium-sim"],
        training={"data": "none: written down, not trained", "command": "python -m calcium_sim.learn.closure"},
    )


if __name__ == "__main__":
    export_closure(Path(__file__).parents[1] / "channels" / "data" / "ryr-keizer-levine-closure.pt")
