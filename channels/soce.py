"""Store-operated calcium entry: from outside into the cytosol, opened by an empty ER."""

from __future__ import annotations

from ..plugin import Channel, channel
from .hill import hill


@channel("soce/hill")
class HillEntry(Channel):
    """Store-operated entry, STIM1 oligomerisation as a Hill law: J = vmax k^n/(k^n + e^n).

    e [uM] is the ER calcium at the same place, read through the plasma membrane: this needs a mesh whose regions share their positions
    (well-mixed cells, cables, trees). k of 187-210 uM and n of about 4 are textbook values; vmax [uM um/ms] has no default.
    """

    across = ("outside", "cytosol")
    reads = {"ca_er": "ca@er"}
    params = {"vmax": (None, "uM*um/ms", (0.0, 100.0)), "k": (187.0, "uM", (1.0, 1e4)), "n": (4.0, "1", (0.5, 10.0))}
    source = "textbook form; the half concentration and steepness are those usually quoted for STIM1 and its current"

    @staticmethod
    def open_probability(y, x, p):
        return 1.0 - hill(x.ca_er, p.k, p.n)

    @staticmethod
    def flux(y, x, p):
        return p.vmax * (1.0 - hill(x.ca_er, p.k, p.n))
