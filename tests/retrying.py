"""How often a test's client asks: most tests mean one request and one failure."""

from aiodashassist import Retry

__all__ = ("AT_ONCE", "ONCE")

ONCE = Retry(attempts=1, reconcile=False)
AT_ONCE = Retry(first_delay=0)  # as often as by default, without a pause
