"""Functions of `kernels` that generated text calls: they are translated from their source, like the text itself."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import lru_cache
from typing import Any

from .. import lanes, noted, relax
from .body import Kernel

FUNCTIONS = (noted.bounded, noted.drifted, noted.remember, lanes.multiplied, relax.approach, relax.relax, relax.settle)
NUMBERS = {"LANES": lanes.LANES, "NOTED": noted.NOTED, "LEAST": relax.LEAST}
_KEPT = (("kept", "matrix"), ("block", "whole"), ("start", "whole"))
_BOUNDS = (("low", "double"), ("high", "double"), ("slack", "double"), ("size", "whole"))
APART = {
    kernel.name: kernel
    for kernel in (
        Kernel(
            "bounded",
            (
                ("b", "row"), ("source", "whole"), ("target", "whole"), *_BOUNDS,
                ("counts", "matrix"), ("block", "whole"), ("item", "whole"),
            ),
        ),
        Kernel("drifted", (("b", "row"), ("row", "whole"), *_KEPT, ("tolerance", "double"), ("floor", "double"))),
        Kernel("remember", (("b", "row"), ("row", "whole"), *_KEPT)),
    )
}  # fmt: skip
"""Those that are called often, and compiled once."""


@lru_cache(maxsize=1)
def functions() -> dict[str, ast.FunctionDef]:
    """Their definitions, by name."""
    found = {}
    for function in FUNCTIONS:
        plain: Any = getattr(function, "py_func", function)
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(plain))).body
        assert isinstance(node, ast.FunctionDef)
        found[node.name] = node
    return found
