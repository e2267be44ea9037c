"""The commented model file that `calcium-sim new` writes."""

TEMPLATE = """\
# A calcium wave in a piece of dendrite. Run it:   calcium-sim run {name} -o out/
# Quantities are strings with a unit: "220 um^2/s", "3 /um^2", "27 /uM/s". Unknown keys and wrong units are refused.

[mesh]
kind = "neurite"            # or "morphology" (path = "cell.swc", or example = "granule-cell"; spacing, er_fraction), or "well-mixed"
length = "30 um"
radius = "0.2 um"
er_radius = "0.1 um"        # the ER is a tube along the axis
spacing = "0.04 um"         # the front of a wave is 0.1 to 1 um wide
# dims = 2                  # resolve the cross-section too (slower): needed for waves where the radius is above 0.2 um

[[species]]
name = "ca"
diffusion = { cytosol = "220 um^2/s", er = "220 um^2/s" }
initial = { cytosol = "0.05 uM", er = "250 uM", outside = "1000 uM" }

[[buffers]]                 # any number; delete the table for none
name = "calbindin"
binds = "ca"
region = "cytosol"
total = "80 uM"
kon = "27 /uM/s"
koff = "19 /s"
diffusion = "20 um^2/s"

# Channels by name: `calcium-sim channels list` has them all, `calcium-sim channels show NAME` their parameters.
# To swap one, change its name and nothing else. Your own: "my.npz", "my.pt", or "mine.py:MyChannel" (a Python file, which is executed).
[[membranes.er]]
channel = "ryr/keizer-levine"
density = "1 /um^2"         # or by place: [["0 um", "1 /um^2"], ["50 um", "2 /um^2"]], { left = "1 /um^2", "*" = "2 /um^2" }

[[membranes.er]]
channel = "leak/linear"
permeability = "0.038 um/s"

[[membranes.er]]
channel = "serca/er-inhibited"
density = "balance"         # chosen so that the cell is at rest before the stimulus

[[membranes.plasma]]
channel = "pmca/hill2"
density = "500 /um^2"

[[membranes.plasma]]
channel = "ncx/hill1"
density = "15 /um^2"

[[membranes.plasma]]
channel = "leak/linear"
permeability = "balance"

[[stimuli]]                 # calcium enters through the left end for 1 ms
species = "ca"
at = "left"                 # a face of the mesh; through = "plasma" with at = { distance = ["0 um", "2 um"] } for a stretch of membrane
flux = "2500 uM*um/s"
shape = "ramp-down"         # or "square", "triangle"
duration = "1 ms"

[run]
until = "75 ms"
every = "0.25 ms"           # one output per interval
# record = ["ca", "flux"]   # species, buffers, "flux", "po" (open probabilities); everything by default. Or single places:
# record = { start = ["ca@cytosol", "left"], far = { what = "ca@cytosol", at = { nearest = ["40 um", 0, 0] }, every = "0.1 ms" } }
# tolerance = 0.002         # relative error that the steps are chosen for; or dt = "10 us" for a fixed step
"""


def template(name: str = "wave.toml") -> str:
    """The template, with the name of the file in its first line."""
    return TEMPLATE.replace("{name}", name)
