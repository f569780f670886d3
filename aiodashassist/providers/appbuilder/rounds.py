"""The rounds of calls that a stream asks for: which calls are new, which come again, which wait.

Whether calls come all at once, whether a step has one round, and whether its id goes up after it,
is not known (appbuilder.md §8). So a round is what was not asked for before; nothing is run twice.
A call is known by its id, its name and its arguments in the whole run, since its id names its step
(§3.0); one without an id only until outputs came, or another step began.
"""

from collections import Counter, deque
from collections.abc import Sequence
from typing import TypeAlias

from aiodashassist.core.tooling import ToolCall

__all__ = ("CallRounds",)

Key: TypeAlias = tuple[str, str, str, int]
"""Id, name, arguments, and how many alike stand before it in its event."""


class CallRounds:
    """The calls of a run: those of the step that is under way, and those that have no output."""

    def __init__(self) -> None:
        self._count = 0
        self._known: set[Key] = set()
        self._step: dict[Key, ToolCall] = {}
        self._waiting: deque[list[Key]] = deque()  # by round

    @property
    def name(self) -> str:
        """The round that was asked for last."""
        return f"round {self._count}"

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls of the step, with their outputs, where they were told."""
        return tuple(self._step.values())

    def begin_step(self) -> None:
        """Another step begins."""
        self._step.clear()
        self._waiting.clear()
        self._forget_nameless()

    def ask(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        """Calls are asked for: those that are new, as a round; all, where none is."""
        keyed = _keyed(calls)
        new = {key: call for key, call in keyed.items() if key not in self._known}
        if new:
            self._count += 1
            self._known.update(new)
            self._step.update(new)
            self._waiting.append(list(new))
        return tuple((new or keyed).values())

    def answer(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        """Outputs came, for these calls or, where none is told, for a round; those still waiting.

        Outputs are sent round by round, so where it is not told it was the first that waits.
        """
        told = {call.id: call for call in calls if call.id}
        answered = [key for key in self._step if key[0] in told]
        for key in answered:
            self._step[key] = told[key[0]]
        if answered:
            left = ([key for key in keys if key not in answered] for keys in self._waiting)
            self._waiting = deque(filter(None, left))
        elif self._waiting and not any(key[0] in told for key in self._known):
            self._waiting.popleft()
        self._forget_nameless()
        return tuple(self._step[key] for keys in self._waiting for key in keys)

    def _forget_nameless(self) -> None:
        self._known = {key for key in self._known if key[0]}


def _keyed(calls: Sequence[ToolCall]) -> dict[Key, ToolCall]:
    alike: Counter[tuple[str, str, str]] = Counter()
    keyed = {}
    for call in calls:
        same = (call.id, call.name, call.arguments)
        keyed[*same, alike[same]] = call
        alike[same] += 1
    return keyed
