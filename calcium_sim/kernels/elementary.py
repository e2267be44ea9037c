"""Elementary functions for compiled loops: a call of libm keeps a loop from being vectorised, these do not.

Called from njit code with a double (or a vector of `simd`) they return the same; accuracy as in `formulas`. They need no
``import math`` and no fast-math flag.
"""

from __future__ import annotations

from . import formulas
from .simd import function

exp = function(formulas.exp, 1)
expm1 = function(formulas.expm1, 1)
log = function(formulas.log, 1)
log10 = function(formulas.log10, 1)
log1p = function(formulas.log1p, 1)
tanh = function(formulas.tanh, 1)
sigmoid = function(formulas.sigmoid, 1)
softplus = function(formulas.softplus, 1)
asinh = function(formulas.asinh, 1)
power = function(formulas.power, 2)
