"""The channel contract: all that the author of a channel imports."""

from __future__ import annotations

from .base import BALANCE as BALANCE
from .base import LOCAL as LOCAL
from .base import Channel as Channel
from .base import Parameter as Parameter
from .base import State as State
from .base import TorchGate as TorchGate
from .base import channel as channel
from .base import check_class as check_class
from .base import check_factor as check_factor
from .base import found as found
from .base import is_balance as is_balance
from .base import parse_port as parse_port
