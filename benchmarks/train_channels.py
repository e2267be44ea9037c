"""Trains every network that is shipped in channels/data, by the same function as ``calcium-sim fit open-probability``.

    python benchmarks/train_channels.py                     all, one after the other
    python benchmarks/train_channels.py ryr/dnn ip3r/dnn    some
    python benchmarks/train_channels.py --figure            dnn_fit.png in this folder, by training again the channels that it shows

The seed of `ryr/dnn` was chosen among five by the speeds of waves in settings of their own (choose_seed.py), not by the error of the open
probability: a network can be better by that error and carry no wave. `ryr/dnn-latent` has the first seed; how its training data were
extended stands in docs/benchmarks/long_waves.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from calcium_sim.app.fit import fit_command
from calcium_sim.model.registry import get_channel

PAPER = "arXiv:2407.15364"
ROOT = Path(__file__).parents[1]
DATA = ROOT / "channels" / "data"

CHANNELS: dict[str, tuple[str, dict[str, Any]]] = {
    "ryr/dnn": ("ryr/keizer-levine", {"waves": 0.65, "seed": 1}),
    "ryr/dnn-latent": ("ryr/keizer-levine", {"waves": 0.65, "trains": 0.25, "gating": "keizer-levine", "steps": 20_000, "seed": 0}),
    "ryr/dnn-fast-closing": ("design", {"design": {"close_time": 2.0}, "steps": 3000}),
    "ryr/dnn-half": ("design", {"design": {"amplitude": 0.5, "closing": 4.0}, "steps": 3000}),
    **{f"ryr/dnn-closing-{c}": ("design", {"design": {"closing": float(c)}, "steps": 3000}) for c in (1, 2, 4, 8, 16)},
    "ip3r/dnn": ("ip3r/de-young-keizer", {}),
}
"""Name -> source of the data and options of the fit."""

LIMITS = {
    "ryr/dnn": "First waves from rest at 0.02 to 0.05 uM. The open probability alone does not say how inactivated the receptors are: from "
    "rest at 0.1, 0.15, 0.2 uM waves are 4-5, 18-28, 50-113 % too fast, the second and third of a train 1 s apart 8 and 15 % "
    "(docs/benchmarks/long_waves.md); use ryr/dnn-latent there.",
    "ryr/dnn-latent": "Rest at 0.02 to 0.2 uM, trains, 100 to 600 uM in the ER: speeds within 1.2 % on long cables "
    "(docs/benchmarks/long_waves.md). At other loads and with other receptors compare with ryr/keizer-levine first.",
}
"""What a network was tried for and what it cannot do, for its card."""

SHOWN = ("ryr/dnn", "ryr/dnn-latent", "ryr/dnn-fast-closing", "ip3r/dnn")


def train(name: str) -> Any:
    source, options = CHANNELS[name]
    DATA.mkdir(exist_ok=True)
    target = DATA / f"{name.replace('/', '-')}.npz"
    cited = [PAPER] if source == "design" else [PAPER, get_channel(source).source]
    result = fit_command(source, target, name=name, licence="Apache-2.0", citation=cited, **options)
    if name in LIMITS:
        result = result.describe(limits=LIMITS[name])
        result.save(target)
    result.save(target.with_suffix(".pt"))
    print(result, flush=True)
    return result


def main(arguments: list[str]) -> None:
    if arguments == ["--figure"]:
        from calcium_sim.learn.fit.pictures import draw_fits

        draw_fits([train(name) for name in SHOWN], Path("dnn_fit.png"))
        return
    for name in arguments or CHANNELS:
        train(name)


if __name__ == "__main__":
    main(sys.argv[1:])
