"""A model as a TOML file."""

from __future__ import annotations

from .config import RunOptions as RunOptions
from .config import Tell as Tell
from .config import build as build
from .config import build_mesh as build_mesh
from .config import builders as builders
from .config import load as load
from .config import parse as parse
