"""Who answers: an engine is given the conversation and says what the assistant does next.

An engine holds no state of a run: after each round of tool outputs it is asked anew, with the
rounds so far. So a server that was restarted in between could go on.
"""

from collections.abc import AsyncGenerator
from typing import Protocol, TypeAlias

from msgspec import Struct

from aiodashassist.core.models import Message, Run
from aiodashassist.core.tooling import FunctionCall, ToolCall

__all__ = ("CallFunctions", "End", "Engine", "Move", "Say", "Turn", "UsePlugin", "chunks")

CHUNK = 4  # characters; short, so that a stream's consumer sees many events


class Turn(Struct, frozen=True, kw_only=True):
    """What the engine is to answer.

    Attributes:
        run: the run, with the model, instructions and tools that apply to it.
        messages: the newest messages of the thread, as many as the run sees, oldest first.
        rounds: the rounds of calls made in this run, with their outputs, oldest first.
    """

    run: Run
    messages: tuple[Message, ...]
    rounds: tuple[tuple[ToolCall, ...], ...] = ()


class Say(Struct, frozen=True):
    """More text of the answer."""

    text: str


class UsePlugin(Struct, frozen=True, kw_only=True):
    """A plugin of the vendor's is used: a step of its own (dashscope.md §3.6).

    Attributes:
        type: the plugin, such as `quark_search`; neither `function` nor a key of a call.
        arguments: what it is given, JSON text.
        output: what it gives, JSON text.
    """

    type: str
    arguments: str
    output: str


class CallFunctions(Struct, frozen=True):
    """Ask for these calls, all at once; the last move of a turn."""

    calls: tuple[FunctionCall, ...]


class End(Struct, frozen=True, kw_only=True):
    """End the run otherwise than completed; the last move of a turn."""

    status: str
    code: str = ""
    message: str = ""


Move: TypeAlias = Say | UsePlugin | CallFunctions | End


class Engine(Protocol):
    """Answers turns; a turn whose moves end without a `CallFunctions` or `End` is complete."""

    def respond(self, turn: Turn) -> AsyncGenerator[Move, None]:
        """The moves of one turn, as they come."""


def chunks(text: str) -> list[str]:
    """A text in pieces of a few characters, as a stream brings it."""
    return [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
