"""Whether a message's chunks are what is new, or all so far: AppBuilder does not say (§5.3)."""

from typing import Literal, TypeAlias

__all__ = ("ChunkMode", "MessageChunks")

ChunkMode: TypeAlias = Literal["auto", "delta", "cumulative"]

TELLING = 8  # characters of text so far, from which on a repetition is no accident


class MessageChunks:
    """The text of one message, chunk by chunk.

    `auto` takes a chunk as cumulative if it is longer than, and begins with, all text so far, and
    that is at least 8 characters; what the first such comparison finds holds for the message. It
    errs in two ways, which the other modes do not: a cumulative message whose first chunk is
    shorter than that is taken for deltas, and its text repeats itself; a delta that happens to
    begin with all before it loses that beginning.

    Where chunks are cumulative, one that does not go on from the one before cannot take back what
    was handed out: with `cumulative` what lies beyond the known length is new; with `auto` it was
    no cumulative chunk, and is new as a whole.
    """

    def __init__(self, mode: ChunkMode) -> None:
        self._cumulative = {"delta": False, "cumulative": True}.get(mode)
        self._settled = mode != "auto"
        self._parts: list[str] = []
        self._length = 0
        self._last = ""  # the longest cumulative chunk so far

    @property
    def text(self) -> str:
        """All so far."""
        if len(self._parts) > 1:
            self._parts[:] = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def new_in(self, chunk: str) -> str:
        """What a chunk adds."""
        if self._cumulative is None and chunk and self._length >= TELLING:
            self._last = self.text
            self._cumulative = len(chunk) > self._length and chunk.startswith(self._last)
        new = self._rest(chunk) if self._cumulative else chunk
        if new:
            self._parts.append(new)
            self._length += len(new)
        return new

    def _rest(self, chunk: str) -> str:
        last = self._last
        if len(chunk) <= len(last) and (self._settled or last.startswith(chunk)):
            return ""
        self._last = chunk
        return chunk[len(last) :] if self._settled or chunk.startswith(last) else chunk
