"""The offline engine: needs no model and is deterministic; lines of the user's message steer it.

    /call NAME {"json": "arguments"}   ask for a call; neighbouring lines are one round
    /then                              ends a round: the next call belongs to another
    /say TEXT                          stream TEXT
    /plugin TYPE {"input": ...} {"output": ...}
                                       a plugin of the vendor's is used: a step of its own
    /wait SECONDS                      be silent for that long
    /fail CODE MESSAGE                 the run fails with this last error
    /expire   /incomplete              the run ends so

What stands after a round of calls happens after its outputs came back. Arguments of a call are
passed on as they stand, valid JSON or not, as a model would. A plugin's input and output are JSON:
a string is taken as the text it says, anything else as compact JSON; without an output it gives
`{}`. A line with a slash that is none of these is text.

With no `/say`, the answer is one line `NAME -> OUTPUT` a call of the round that came back, and one
line `TYPE -> OUTPUT` a plugin used since; plugins that stand beside that round, before its calls
and after no `/say`, have their lines first.
"""

import json
from collections.abc import AsyncGenerator, Callable
from typing import TypeAlias

import anyio
from msgspec import Struct, field

from aiodashassist.core.tooling import FunctionCall
from aiodashassist.server.engines import (
    CallFunctions,
    End,
    Move,
    Say,
    Turn,
    UsePlugin,
    chunks,
)

__all__ = ("OfflineEngine", "Script", "read_script")

NO_PLUGINS = ("function", "id", "type")  # these words mean something else in a call (§3.6)


class Wait(Struct, frozen=True):
    """Be silent for that many seconds."""

    seconds: float


class Then(Struct, frozen=True):
    """The end of a round."""


Directive: TypeAlias = FunctionCall | Say | UsePlugin | Wait | End | Then


class Act(Struct):
    """What happens between two rounds: moves and pauses, then the calls of the next round."""

    moves: list[Say | UsePlugin | Wait | End] = field(default_factory=list)
    calls: list[FunctionCall] = field(default_factory=list)

    @property
    def spoken(self) -> bool:
        """Whether anything is said in it."""
        return any(isinstance(move, Say) for move in self.moves)

    @property
    def report(self) -> list[str]:
        """A line a plugin; none where something is said."""
        plugins = [move for move in self.moves if isinstance(move, UsePlugin)]
        return [] if self.spoken else [f"{used.type} -> {used.output}" for used in plugins]


class Script(Struct):
    """A message as the engine reads it: acts, and the lines that are no directives."""

    acts: list[Act]
    plain: list[str]


class OfflineEngine:
    """Follows the directives of the newest user message; echoes a message that has none."""

    async def respond(self, turn: Turn) -> AsyncGenerator[Move, None]:
        """See `Engine.respond`."""
        asked = [message for message in turn.messages if message.role == "user"]
        script = read_script(asked[-1].text if asked else "")
        act = script.acts[len(turn.rounds)]
        for move in act.moves:
            match move:
                case Say(text=text):
                    for chunk in chunks(text):
                        yield Say(chunk)
                case Wait(seconds=seconds):
                    await anyio.sleep(seconds)
                case UsePlugin():
                    yield move
                case End():
                    yield move
                    return
        if act.calls:
            yield CallFunctions(tuple(act.calls))
        elif not act.spoken:
            for chunk in chunks("\n".join(_report(script, turn) or script.plain)):
                yield Say(chunk)


def read_script(text: str) -> Script:
    """The acts of a message; there is one more than it has rounds of calls."""
    script = Script(acts=[Act()], plain=[])
    for line in text.split("\n"):
        verb, _, rest = line.lstrip().removesuffix("\r").partition(" ")
        directive = READERS[verb](rest) if verb in READERS else None
        if directive is None:
            script.plain.append(line)
        elif isinstance(directive, FunctionCall):
            script.acts[-1].calls.append(directive)
        else:
            if script.acts[-1].calls:
                script.acts.append(Act())
            if not isinstance(directive, Then):
                script.acts[-1].moves.append(directive)
    if script.acts[-1].calls:
        script.acts.append(Act())
    return script


def _report(script: Script, turn: Turn) -> list[str]:
    """What came of the last round, of the plugins beside it, and of those used since."""
    now = len(turn.rounds)
    lines = script.acts[now].report
    if turn.rounds:
        calls = [f"{call.name} -> {call.output}" for call in turn.rounds[-1]]
        lines = [*script.acts[now - 1].report, *calls, *lines]
    return lines


def _call(rest: str) -> FunctionCall | None:
    name, _, arguments = rest.strip().partition(" ")
    return FunctionCall(name=name, arguments=arguments.strip() or "{}") if name else None


def _plugin(rest: str) -> UsePlugin | None:
    name, _, given = rest.strip().partition(" ")
    given = given.strip()
    if name in NO_PLUGINS:
        return None
    try:
        value, end = DECODER.raw_decode(given)
        arguments = _only("input", value)
        after = given[end:].strip()
        output = _only("output", json.loads(after)) if after else "{}"
    except (ValueError, RecursionError):
        return None
    return UsePlugin(type=name, arguments=arguments, output=output)


def _only(key: str, given: object) -> str:
    """The text that an object's one value is for a plugin.

    Raises:
        ValueError: it is no such object, or the value cannot be said as UTF-8 and JSON.
    """
    if not isinstance(given, dict) or list(given) != [key]:
        raise ValueError(f"expected an object with nothing but {key}")
    value = given[key]
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    value.encode()  # half of a surrogate pair can be written in JSON, but not sent
    return value


def _wait(rest: str) -> Wait | None:
    seconds = rest.strip()
    return Wait(float(seconds)) if seconds.replace(".", "", 1).isdecimal() else None


def _fail(rest: str) -> End:
    code, _, message = rest.strip().partition(" ")
    return End(status="failed", code=code or "server_error", message=message)


DECODER = json.JSONDecoder()
READERS: dict[str, Callable[[str], Directive | None]] = {
    "/call": _call,
    "/plugin": _plugin,
    "/then": lambda _: Then(),
    "/say": Say,
    "/wait": _wait,
    "/fail": _fail,
    "/expire": lambda _: End(status="expired"),
    "/incomplete": lambda _: End(status="incomplete"),
}
"""Verb -> what the rest of its line says; None where that cannot be read: then it is text."""
