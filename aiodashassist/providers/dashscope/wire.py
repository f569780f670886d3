"""What DashScope's wire spells its own way: the delta of a message, decoded straight from bytes.

The deltas are nearly all of a stream, so they have a struct of their own. The other objects come
once or twice a run and are read by `codec.py` field by field, because their "no value" has five
spellings (dashscope.md §7.6).
"""

from msgspec import Struct

from aiodashassist.core.models import Content

__all__ = ("WireDelta", "WireMessageDelta")


class WireDelta(Struct, gc=False):
    """The inside of a message delta, as far as it is read; one object is taken too (§7.3)."""

    content: list[Content] | Content | None = None


class WireMessageDelta(Struct, gc=False):
    """`thread.message.delta` (dashscope.md §5.4)."""

    id: str
    delta: WireDelta
