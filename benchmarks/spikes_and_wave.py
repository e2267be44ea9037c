"""The picture of docs/potential.md: five spikes that start a calcium wave, 110 ms.

python benchmarks/spikes_and_wave.py
"""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import calcium_sim as cs

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Run the model of the page and draw it."""
    names: dict[str, object] = {}
    first, second, *_ = re.findall(r"```python\n(.*?)```", (DOCS / "potential.md").read_text(), flags=re.DOTALL)
    exec(compile(first + second.partition("both =")[0], "potential.md", "exec"), names)
    ds = cs.simulate(names["cell"], "110 ms", "0.25 ms")
    v, c = (ds[name].sel(region="cytosol").values for name in ("v", "ca"))
    length = float(ds.distance.max())
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 5.5), sharex=True, layout="constrained")
    above.plot(ds.time, v[:, 0], label="0 um", lw=1)
    above.plot(ds.time, v[:, -1], label=f"{length:.0f} um", lw=1)
    above.set_ylabel("potential [mV]")
    above.legend(frameon=False, loc="upper right")
    picture = below.imshow(
        c.T, aspect="auto", origin="lower", extent=[0, float(ds.time[-1]), 0, length], cmap="inferno", interpolation="nearest"
    )
    below.set_xlabel("time [ms]")
    below.set_ylabel("position [um]")
    figure.colorbar(picture, ax=below, label="calcium [uM]")
    (DOCS / "figures").mkdir(exist_ok=True)
    figure.savefig(DOCS / "figures" / "spikes_and_wave.png", dpi=110)


if __name__ == "__main__":
    main()
