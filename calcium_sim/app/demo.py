"""The model of `calcium-sim demo`: a wave in a reconstructed granule cell, as a file that can be edited and run again."""

MODEL = """\
# The demo of calcium-sim: a calcium wave that starts at the tip of a dendrite of a reconstructed granule cell, and runs through its outer
# branches, as far as there are receptors.
# Edit it and run it again:   calcium-sim run granule-cell.toml -o out/
# The morphology has no ER and no channels; ER radius and densities are our choice, the rest follows Breit & Queisser (2018).

[mesh]
kind = "swc"
example = "granule-cell"    # NeuroMorpho.Org, see the head of the file; or path = "your-cell.swc"
spacing = "0.25 um"         # coarse, to be quick: the wave is 9 % too slow (0.05 um: 1.2 %, 0.025 um: 0.3 %), and the run says so
er_fraction = 0.25          # a tube half as wide as the dendrite

[[species]]
name = "ca"
diffusion = { cytosol = "220 um^2/s", er = "220 um^2/s" }
initial = { cytosol = "0.05 uM", er = "250 uM", outside = "1000 uM" }

[[buffers]]
name = "calbindin"
binds = "ca"
region = "cytosol"
total = "160 uM"
kon = "27 /uM/s"
koff = "19 /s"
diffusion = "20 um^2/s"

[[membranes.er]]
channel = "ryr/keizer-levine"
density = "5 /um^2"
at = { distance = ["153 um", "400 um"] }    # where the dendrites are thin (R <= 0.2 um): waves in thicker ones come out wrong in 1-D

[[membranes.er]]
channel = "leak/linear"
permeability = "0.038 um/s"

[[membranes.er]]
channel = "serca/er-inhibited"
density = "balance"

[[membranes.plasma]]
channel = "pmca/hill2"
density = "500 /um^2"

[[membranes.plasma]]
channel = "ncx/hill1"
density = "15 /um^2"

[[membranes.plasma]]
channel = "leak/linear"
permeability = "balance"

[[stimuli]]
species = "ca"
at = "tip-9"
flux = "2500 uM*um/s"
shape = "ramp-down"
duration = "1 ms"

[run]
until = "300 ms"
every = "0.5 ms"
record = ["ca"]
tolerance = 0.01            # 0.4 to 1.2 % in the speed of the wave; 0.002 by default
threads = 1                 # more pay from 30 000 positions on
"""
