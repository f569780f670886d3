"""The events of a run's stream, for `from aiodashassist.events import ...`."""

from aiodashassist.core.events import *  # noqa: F403
from aiodashassist.core.events import __all__ as __all__  # noqa: PLC0414
