"""Networks of an open probability, trained on a channel with equations (Breit & Queisser, arXiv:2407.15364)."""

from .fit import fit_open_probability as fit_open_probability
from .recipe import Recipe as Recipe
from .recipe import default_recipe as default_recipe
