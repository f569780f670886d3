"""The local server: both users' day one and the day the hosted API ends.

`local.py` starts it, `app.py` is its HTTP, `desk.py` what each operation does, `runs.py` and
`execution.py` the runs, `store.py` what is kept, `engines/` who answers.
"""

from aiodashassist.server.local import LocalServer

__all__ = ("LocalServer",)
