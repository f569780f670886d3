"""The offline engine: needs no model and is deterministic; lines of the user's message steer it.

    /call NAME {"json": "arguments"}   ask for a call; neighbouring lines are one round
    /then                              ends a round: the next call belongs to another
    /say TEXT                          stream TEXT
    /wait SECONDS                      be silent for that long
    /fail CODE MESSAGE                 the run fails with this last error
    /expire   /incomplete              the run ends so

What stands after a round of calls happens after its outputs came back. Arguments are passed on as
they stand, valid JSON or not, as a model would. A line with a slash that is none of these is text.
"""

from collections.abc import AsyncGenerator

import anyio
from msgspec import Struct, field

from aiodashassist.core.tooling import FunctionCall, ToolCall
from aiodashassist.server.engines import CallFunctions, End, Move, Say, Turn

__all__ = ("OfflineEngine", "Script", "read_script")

CHUNK = 4  # characters; short, so that a stream's consumer sees many events
VERBS = ("call", "then", "say", "wait", "fail", "expire", "incomplete")


class Act(Struct):
    """What happens between two rounds: directives, then the calls of the next round."""

    directives: list[tuple[str, str]] = field(default_factory=list)
    calls: list[FunctionCall] = field(default_factory=list)


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
        spoken = False
        for verb, rest in act.directives:
            match verb:
                case "say":
                    spoken = True
                    for chunk in _chunks(rest):
                        yield Say(chunk)
                case "wait":
                    await anyio.sleep(float(rest))
                case _:
                    yield _end(verb, rest)
                    return
        if act.calls:
            yield CallFunctions(tuple(act.calls))
        elif not spoken:
            text = _report(turn.rounds[-1]) if turn.rounds else "\n".join(script.plain)
            for chunk in _chunks(text):
                yield Say(chunk)


def read_script(text: str) -> Script:
    """The acts of a message; there is one more than it has rounds of calls."""
    script = Script(acts=[Act()], plain=[])
    calling = False
    for line in text.split("\n"):
        verb, _, rest = line.lstrip().removesuffix("\r").partition(" ")
        if not _is_directive(verb, rest):
            script.plain.append(line)
            continue
        if verb == "/call":
            name, _, arguments = rest.strip().partition(" ")
            call = FunctionCall(name=name, arguments=arguments.strip() or "{}")
            script.acts[-1].calls.append(call)
            calling = True
            continue
        if calling:
            script.acts.append(Act())
            calling = False
        if verb != "/then":
            script.acts[-1].directives.append((verb[1:], rest))
    if calling:
        script.acts.append(Act())
    return script


def _is_directive(verb: str, rest: str) -> bool:
    if not verb.startswith("/") or verb[1:] not in VERBS:
        return False
    if verb == "/wait":
        return rest.strip().replace(".", "", 1).isdecimal()
    return verb != "/call" or bool(rest.strip())


def _end(verb: str, rest: str) -> End:
    if verb == "fail":
        code, _, message = rest.strip().partition(" ")
        return End(status="failed", code=code or "server_error", message=message)
    return End(status={"expire": "expired", "incomplete": "incomplete"}[verb])


def _report(calls: tuple[ToolCall, ...]) -> str:
    return "\n".join(f"{call.name} -> {call.output}" for call in calls)


def _chunks(text: str) -> list[str]:
    return [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
