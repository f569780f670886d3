"""What AppBuilder's stream says most often, decoded straight from bytes: chunks of a message.

Every other event comes a few times a run and is read by `frames.py` field by field.
"""

from typing import Annotated

from msgspec import Meta, Struct

from aiodashassist.core.models import Content

__all__ = ("WireChunk",)


class WireChunk(Struct, gc=False):
    """A `message` event (§5.3), as far as it is read; one object is taken for a list (§3.9)."""

    message_id: Annotated[str, Meta(min_length=1)]
    content: list[Content] | Content | None = None
