"""The messages of a stream: begun, written chunk by chunk, and whole, which the wire never says.

A message ends where its step ends, or its run (appbuilder.md §5.4).
"""

from collections.abc import Sequence

from msgspec.structs import replace

from aiodashassist.core.events import Event, MessageDelta, MessageEvent
from aiodashassist.core.models import Content, Message, Run, Text
from aiodashassist.providers.appbuilder.chunks import ChunkMode, MessageChunks

__all__ = ("StreamedMessages",)


class StreamedMessages:
    """What a stream has written so far; messages end where their step does, or their run.

    Args:
        mode: how the chunks of a message are to be taken.
        request_id: of the request that the stream answers.
    """

    def __init__(self, mode: ChunkMode, request_id: str | None) -> None:
        self._mode = mode
        self._request_id = request_id
        self._open: dict[str, Message] = {}  # in the order begun
        self._chunks: dict[str, MessageChunks] = {}  # by message, ended or not

    @property
    def open_id(self) -> str:
        """The message that began last and has not ended; `""` for none."""
        return next(reversed(self._open), "")

    def begin(self, message_id: str, run: Run | None, name: str = "") -> tuple[Event, ...]:
        """A message begins; `name` is the wire's, where it says so.

        Nothing begins twice. One that ended goes on, and its text is not handed out again.
        """
        if message_id in self._open:
            return ()
        message = Message(
            id=message_id,
            role="assistant",
            thread_id=run.thread_id if run is not None else None,
            assistant_id=run.assistant_id if run is not None else None,
            run_id=run.id if run is not None else None,
            request_id=self._request_id,
        )
        self._open[message_id] = message
        self._chunks.setdefault(message_id, MessageChunks(self._mode))
        return (MessageEvent(status="in_progress", message=message, name=name),)

    def say(self, message_id: str, parts: Sequence[Content], run: Run | None) -> tuple[Event, ...]:
        """More of a message; its text is what is new in it."""
        before = () if message_id in self._open else self.begin(message_id, run)
        chunk = "".join([part.text.value for part in parts if part.text is not None])
        new = self._chunks[message_id].new_in(chunk)
        content = tuple(parts) if new == chunk else (Content(text=Text(value=new)),)
        delta = MessageDelta(message_id=message_id, text=new, content=content, name="message")
        return (*before, delta) if before else (delta,)

    def end(self, status: str) -> tuple[Event, ...]:
        """The messages that are open, each with all its text."""
        ended = [self._whole(message) for message in self._open.values()]
        self._open.clear()
        return tuple(MessageEvent(status=status, message=message) for message in ended)

    def _whole(self, message: Message) -> Message:
        text = self._chunks[message.id].text
        return replace(message, content=(Content(text=Text(value=text)),) if text else ())
