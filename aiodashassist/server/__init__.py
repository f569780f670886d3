"""The local server: both users' day one and the day the hosted API ends.

`local.py` starts it, `app.py` is its HTTP, `desk.py` what each operation does, `runs.py` and
`execution.py` the runs, `store.py` what is kept, `engines/` who answers, `faults.py` what can go
wrong on purpose, `host.py` who may ask.
"""

from aiodashassist.server.faults import Faults
from aiodashassist.server.local import LocalServer
from aiodashassist.server.mishaps import (
    Chop,
    Crlf,
    Cut,
    Drop,
    Duplicate,
    Expire,
    Fault,
    Html,
    Lose,
    Refuse,
    Slow,
    Stall,
    Truncate,
)

__all__ = (
    "Chop",
    "Crlf",
    "Cut",
    "Drop",
    "Duplicate",
    "Expire",
    "Fault",
    "Faults",
    "Html",
    "LocalServer",
    "Lose",
    "Refuse",
    "Slow",
    "Stall",
    "Truncate",
)
