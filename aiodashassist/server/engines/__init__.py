"""Who answers: an engine is given the conversation and says what the assistant does next.

An engine holds no state of a run: after each round of tool outputs it is asked anew, with the
rounds so far. A server that was restarted in between could so go on.
"""

from collections.abc import AsyncGenerator
from typing import Protocol, TypeAlias

from msgspec import Struct

from aiodashassist.core.models import Message, Run
from aiodashassist.core.tooling import FunctionCall, ToolCall

__all__ = ("CallFunctions", "End", "Engine", "Move", "Say", "Turn")


class Turn(Struct, frozen=True, kw_only=True):
    """What the engine is to answer.

    Attributes:
        run: the run, with the model, instructions and tools that apply to it.
        messages: the thread's messages, oldest first.
        rounds: the rounds of calls made in this run, with their outputs, oldest first.
    """

    run: Run
    messages: tuple[Message, ...]
    rounds: tuple[tuple[ToolCall, ...], ...] = ()


class Say(Struct, frozen=True):
    """More text of the answer."""

    text: str


class CallFunctions(Struct, frozen=True):
    """Ask for these calls, all at once; the last move of a turn."""

    calls: tuple[FunctionCall, ...]


class End(Struct, frozen=True, kw_only=True):
    """End the run otherwise than completed; the last move of a turn."""

    status: str
    code: str = ""
    message: str = ""


Move: TypeAlias = Say | CallFunctions | End


class Engine(Protocol):
    """Answers turns; a turn whose moves end without a `CallFunctions` or `End` is complete."""

    def respond(self, turn: Turn) -> AsyncGenerator[Move, None]:
        """The moves of one turn, as they come."""
