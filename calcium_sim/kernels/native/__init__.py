"""A small compiler: generated functions to LLVM, see `statements`."""

from .body import WHOLE as WHOLE
from .body import Kernel as Kernel
from .body import Unsupported as Unsupported
from .statements import Unit as Unit
