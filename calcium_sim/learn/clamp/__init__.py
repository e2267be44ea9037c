"""Channels from voltage-clamp currents: Hodgkin-Huxley rates, and a network that corrects them where recordings ask for it."""

from __future__ import annotations

from .channel import ClampChannel as ClampChannel
from .fit import ClampFit as ClampFit
from .fit import fit_clamp as fit_clamp
from .fit import nernst as nernst
from .gates import ClampGate as ClampGate
from .recording import ClampRecording as ClampRecording
