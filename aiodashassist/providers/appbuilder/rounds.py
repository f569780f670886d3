"""The rounds of calls that a stream asks for: which calls are new, which come again, which wait.

Whether calls come all at once, whether a step has one round, and whether its id goes up after it,
is not known (appbuilder.md §8). So calls that were not asked for since the step began are a
round; the others are a repetition, and nothing is run twice.
"""

from collections.abc import Sequence

from aiodashassist.core.tooling import ToolCall

__all__ = ("CallRounds",)


class CallRounds:
    """The calls of the step that is under way, and how many rounds there were in all."""

    def __init__(self) -> None:
        self._count = 0
        self._asked: dict[str, ToolCall] = {}  # since the step began
        self._waiting: set[str] = set()  # of these

    @property
    def name(self) -> str:
        """The round that was asked for last."""
        return f"round {self._count}"

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls of the step, with their outputs, where they were told."""
        return tuple(self._asked.values())

    def begin_step(self) -> None:
        """Another step begins: whatever it asks for is new."""
        self._asked.clear()
        self._waiting.clear()

    def ask(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        """Calls are asked for: those that are new, as a round; all, where none is."""
        named = {call.id or f"#{i}": call for i, call in enumerate(calls)}
        new = {key: call for key, call in named.items() if key not in self._asked}
        if new:
            self._count += 1
            self._asked.update(new)
            self._waiting.update(new)
        return tuple((new or named).values())

    def answer(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        """Outputs came, for these calls or, where none is told, for all; those that still wait."""
        told = {call.id: call for call in calls if call.id in self._asked}
        self._asked.update(told)
        self._waiting -= (told.keys() & self._waiting) or set(self._waiting)
        return tuple(call for key, call in self._asked.items() if key in self._waiting)
