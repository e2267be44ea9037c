"""Learned channels: networks trained by `benchmarks/train_channels.py`, and the scalar law written as a TorchScript module.

Each is read from ``data/`` when it is first asked for; its card (`calcium-sim channels show NAME`) tells how it was trained.
"""

from __future__ import annotations

from pathlib import Path

from ..networks.channel import load_channel
from ..plugin import Channel

FILES = {
    "ryr_dnn": "ryr-dnn.npz",
    "ryr_dnn_latent": "ryr-dnn-latent.npz",
    "ryr_dnn_fast_closing": "ryr-dnn-fast-closing.npz",
    "ryr_dnn_half": "ryr-dnn-half.npz",
    "ryr_dnn_closing_1": "ryr-dnn-closing-1.npz",
    "ryr_dnn_closing_2": "ryr-dnn-closing-2.npz",
    "ryr_dnn_closing_4": "ryr-dnn-closing-4.npz",
    "ryr_dnn_closing_8": "ryr-dnn-closing-8.npz",
    "ryr_dnn_closing_16": "ryr-dnn-closing-16.npz",
    "ryr_keizer_levine_closure": "ryr-keizer-levine-closure.pt",
    "ip3r_dnn": "ip3r-dnn.npz",
}


def __getattr__(name: str) -> type[Channel]:
    """Load the channel class of this name."""
    if name not in FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = load_channel(Path(__file__).parent / "data" / FILES[name])
    globals()[name] = found
    return found
